"""Small experiments of methods on tiny images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from tiny import SHORT, images

import methods
from deepcore.common.progress import Progress
from deepcore.experiment.harness import Harness
from deepcore.experiment.spec import ExperimentSpec
from deepcore.proxy.signals import Signal
from deepcore.selection.method import ScoreMethod

CPU = torch.device("cpu")


QUIET = Progress(quiet=True)


def grid(*selection, seeds=(0,), fractions=(0.2,), nets=("MLP",), target=SHORT, proxy=SHORT, **changes):
    chosen = tuple(methods.parse(m) if isinstance(m, str) else m for m in selection)
    return ExperimentSpec(seeds, chosen, fractions, nets, "MLP", proxy, target, 0.2, **changes)


def runner(folder, spec, data=None, progress=QUIET, **options):
    return Harness(spec, data or images(), folder, device=CPU, progress=progress, **options)


@dataclass(frozen=True)
class Breaks(ScoreMethod):
    """Fails until told otherwise."""

    name: ClassVar[str] = "Breaks"
    broken: ClassVar[bool] = True

    @property
    def needs(self):
        return frozenset({Signal.LOSS})

    def score(self, run):
        if self.broken:
            raise RuntimeError("no luck")
        return run.trajectory(Signal.LOSS, self.mode)[-1]
