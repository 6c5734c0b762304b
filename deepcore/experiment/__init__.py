"""An experiment: its `ExperimentSpec`, the plan made from it, the checks before anything is trained, the
harness that runs it, and the result rows that it leaves.
"""

from __future__ import annotations

from deepcore.experiment.harness import Harness
from deepcore.experiment.plan import Cell, Plan, Runtime, make_plan
from deepcore.experiment.rows import ResultRow, RowStore, read_row
from deepcore.experiment.spec import ExperimentSpec

__all__ = [
    "Cell",
    "ExperimentSpec",
    "Harness",
    "Plan",
    "ResultRow",
    "RowStore",
    "Runtime",
    "make_plan",
    "read_row",
]
