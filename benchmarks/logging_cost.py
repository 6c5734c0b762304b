"""How much longer a training epoch takes when its losses are logged.

    python benchmarks/logging_cost.py              an MLP on 54,000 x 784, and ResNet18 on a batch of 128
    python benchmarks/logging_cost.py --net MLP

Epochs without and with logging take turns in one process, each on a network of its own; the ratio is taken
within a pair, its median is printed, and beside it the share of a logged epoch that passes inside `log` and
`end_epoch`, which other programs disturb less. Writing to a folder is in the time where one is used. The data
are random: only the work counts. ResNet18 logs logits alone, which is the most work. With one thread on a CPU
the process's own time is taken; else the clock's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

from deepcore.logs import LossRecorder
from deepcore.nets import build

CLASSES, BATCH = 10, 128
SIZES = {"MLP": (54_000, (784,)), "ResNet18": (BATCH, (3, 32, 32))}
WAYS = ("losses", "losses, in a folder", "logits", "logits, in one pass")


def main() -> None:
    """Time each network, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="default: all for MLP, logits for ResNet18")
    parser.add_argument("--repeats", type=int, default=7, help="pairs of epochs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    rows = [
        measure(net, way, args.repeats, torch.device(args.device))
        for net in args.net
        for way in args.ways or (WAYS if net == "MLP" else WAYS[2:3])
    ]
    headers = ["net", "what is logged", "plain s", "logged s", "slower %", "in the logger %"]
    print(f"{args.device}, {torch.get_num_threads()} threads, {args.repeats} pairs of epochs")
    print(tabulate(rows, headers, floatfmt=("", "", ".2f", ".2f", ".1f", ".2f")))


def measure(net: str, way: str, repeats: int, device: torch.device) -> list[object]:
    """The row of one network and one way of logging."""
    count, shape = SIZES[net]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((count, *shape), generator=generator).to(device)
    y = torch.randint(CLASSES, (count,), generator=generator).to(device)
    plain, logged = (Training(net, x, y) for _ in range(2))
    pairs, inside = [], []
    with tempfile.TemporaryDirectory() as folder:
        recorder = LossRecorder(
            y,
            folder=folder if "folder" in way else None,
            mode="one_pass" if "one pass" in way else "log",
        )
        for _ in range(1 + repeats):
            logger = Logger(recorder, "logits" in way, device)
            first = timed(lambda: plain.epoch(None), device)
            second = timed(lambda logger=logger: logged.epoch(logger), device)
            pairs.append((first, second))
            inside.append(100 * logger.seconds / second)
    times = np.array(pairs[1:])  # the first pair warms up
    slower = 100 * (times[:, 1] / times[:, 0] - 1)
    return [net, way, *np.median(times, axis=0), np.median(slower), np.median(inside[1:])]


class Logger:
    """Logs the batches of one epoch and counts the seconds that this takes."""

    def __init__(self, recorder: LossRecorder, logits: bool, device: torch.device) -> None:
        self.recorder, self.logits, self.clock = recorder, logits, clock_of(device)
        self.seconds = 0.0

    def log(
        self, ids: torch.Tensor, logits: torch.Tensor, losses: torch.Tensor, labels: torch.Tensor
    ) -> None:
        """One batch."""
        start = self.clock()
        if self.logits:
            self.recorder.log(ids, logits=logits, labels=labels)
        else:
            self.recorder.log(ids, losses)
        self.seconds += self.clock() - start

    def end(self) -> None:
        """The end of the epoch."""
        start = self.clock()
        self.recorder.end_epoch()
        self.seconds += self.clock() - start


class Training:
    """One network and its optimiser."""

    def __init__(self, net: str, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y
        self.net = build(net, tuple(x.shape[1:]), CLASSES, seed=0).to(x.device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        self.generator = torch.Generator().manual_seed(0)

    def epoch(self, logger: Logger | None) -> None:
        """One pass in shuffled batches; the loss is computed per sample either way."""
        self.net.train()
        for ids in torch.randperm(len(self.x), generator=self.generator).split(BATCH):
            labels = self.y[ids]
            logits = self.net(self.x[ids])
            losses = functional.cross_entropy(logits, labels, reduction="none")
            self.optimizer.zero_grad()
            losses.mean().backward()
            self.optimizer.step()
            if logger is not None:
                logger.log(ids, logits, losses, labels)
        if logger is not None:
            logger.end()


def clock_of(device: torch.device) -> Callable[[], float]:
    """The process's own time with one thread on a CPU, else the clock's."""
    alone = device.type == "cpu" and torch.get_num_threads() == 1
    return time.process_time if alone else time.perf_counter


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds, the device's queue emptied before and after."""
    clock = clock_of(device)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


if __name__ == "__main__":
    main()
