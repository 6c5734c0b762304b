"""The one training loop, for proxy and target networks alike: its recipe (`TrainSpec`, `RECIPES`), its
schedule, the hooks that may watch it, checkpoints, number formats, and evaluation.
"""

from __future__ import annotations

from deepcore.training.hooks import Hook
from deepcore.training.loop import TrainResult, train
from deepcore.training.recipes import RECIPES
from deepcore.training.schedule import Schedule
from deepcore.training.spec import TrainSpec

__all__ = ["RECIPES", "Hook", "Schedule", "TrainResult", "TrainSpec", "train"]
