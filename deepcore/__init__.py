"""Coreset selection for deep learning: one proxy run, many methods, an honest comparison.

The names below are what a library user needs; each is loaded when it is first used, so that `import deepcore`
is cheap. The rooms (sub-packages) are listed in the README, lowest first.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deepcore.version import __version__

if TYPE_CHECKING:
    from deepcore.common.checks import DeepcoreError, UsageError
    from deepcore.costs.of_method import cost_of
    from deepcore.costs.scenario import Scenario
    from deepcore.data.memory import from_arrays
    from deepcore.experiment.harness import Harness
    from deepcore.experiment.spec import ExperimentSpec
    from deepcore.logs.columns import LogColumns
    from deepcore.logs.read import read_logs
    from deepcore.logs.recorder import LossRecorder
    from deepcore.proxy.run import ProxyRun, from_logits, from_losses
    from deepcore.proxy.signals import Signal
    from deepcore.scoring.one_pass import CLDStream
    from deepcore.selection.budget import Budget
    from deepcore.selection.choosing import select
    from deepcore.selection.method import CoresetMethod, ScoreMethod
    from deepcore.selection.selection import Selection
    from deepcore.training.spec import TrainSpec

_FROM = {  # name -> the room that exports it
    "Budget": "selection",
    "CLDStream": "scoring",
    "CoresetMethod": "selection",
    "DeepcoreError": "common",
    "ExperimentSpec": "experiment",
    "Harness": "experiment",
    "LogColumns": "logs",
    "LossRecorder": "logs",
    "ProxyRun": "proxy",
    "Scenario": "costs",
    "ScoreMethod": "selection",
    "Selection": "selection",
    "Signal": "proxy",
    "TrainSpec": "training",
    "UsageError": "common",
    "cost_of": "costs",
    "from_arrays": "data",
    "from_logits": "proxy",
    "from_losses": "proxy",
    "read_logs": "logs",
    "select": "selection",
}

__all__ = [
    "Budget",
    "CLDStream",
    "CoresetMethod",
    "DeepcoreError",
    "ExperimentSpec",
    "Harness",
    "LogColumns",
    "LossRecorder",
    "ProxyRun",
    "Scenario",
    "ScoreMethod",
    "Selection",
    "Signal",
    "TrainSpec",
    "UsageError",
    "__version__",
    "cost_of",
    "from_arrays",
    "from_logits",
    "from_losses",
    "read_logs",
    "select",
]


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'deepcore' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"deepcore.{_FROM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
