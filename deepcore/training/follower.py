"""What the processes of a training do that do not lead it: wait for orders, and take their share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from deepcore.common import seeding
from deepcore.common.meter import Meter
from deepcore.data.label_noise import Relabelled
from deepcore.data.record import LabeledData
from deepcore.training.compiling import compile_body
from deepcore.training.deterministic import deterministic
from deepcore.training.distributed import Team
from deepcore.training.loop import Batches, _run_epoch, make_optimizer
from deepcore.training.precision import make_scaler
from deepcore.training.together import Job, Together, shared_pass
from deepcore.training.update import Update


def follow(team: Team, load: Callable[[], LabeledData]) -> None:
    """Carry out the orders of process 0 until it says that this was all.

    Args:
        team: of which this process is not the first.
        load: gives the data set that process 0 has; called when it has it.

    Raises:
        TeamLost: another process is gone.
    """
    training: Trainee | None = None
    while True:
        with team.together():
            order, *details = team.hear()
        if order == "end":
            return
        if order == "load":
            data = load()
            team.parts = {"train": data.train, "test": data.test}
        elif order == "train":
            training = None  # its memory goes first
            training = Trainee(team, *details)
        elif order == "epoch":
            training.epoch(*details)
        elif order == "pass":
            training.evaluate(*details)


class Trainee:
    """This process's copy of the network that is trained, with its optimiser."""

    def __init__(self, team: Team, job: Job) -> None:
        self.team, self.given = team, job.given
        torch.set_num_threads(job.threads)
        spec = job.given["spec"]
        self.net = job.net.to(team.device)
        if job.compiled:
            compile_body(self.net)
        self.optimizer = make_optimizer(self.net, spec)
        self.scaler = make_scaler(spec.precision, team.device)
        if job.start is not None:
            self.optimizer.load_state_dict(job.start["optimizer"])
            self.scaler.load_state_dict(job.start["scaler"])
        rows = Relabelled(team.parts[job.part], job.labels)
        self.batches = Batches(rows, device=team.device, team=team, **job.given)
        with team.together():
            self.steps = Together(team, self.net, spec.precision, (), kept=job.kept)

    def epoch(self, epoch: int, rows: np.ndarray) -> None:
        """This process's share of an epoch; dropout draws from a stream of its own."""
        dropout = seeding.global_stream(self.given["seed"], "dropout", epoch, self.team.rank)
        with dropout, self.team.together(), deterministic(self.team.device):
            _run_epoch(
                self.net,
                Update(self.steps, self.optimizer, self.scaler),
                self.steps,
                self.batches.epoch(epoch, rows),
                Meter(self.team.device),
            )

    def evaluate(self, part: str, rows: np.ndarray, batch: int, precision: str) -> None:
        """This process's share of a pass."""
        self.net.eval()
        for _ in shared_pass(self.team, self.net, self.team.parts[part], rows, batch, precision):
            raise AssertionError("only process 0 gets outputs")
