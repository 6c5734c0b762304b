"""From scores to a coreset: `Budget` and class quotas, `Selection`, the base classes of methods
(`CoresetMethod`, `ScoreMethod`), samplers. The only room that sorts scores or divides a budget.
"""

from __future__ import annotations

from deepcore.selection.budget import Budget
from deepcore.selection.choosing import select
from deepcore.selection.method import CoresetMethod, Facts, ScoreMethod
from deepcore.selection.selection import Selection
from deepcore.selection.training_set import TrainingSet

__all__ = ["Budget", "CoresetMethod", "Facts", "ScoreMethod", "Selection", "TrainingSet", "select"]
