"""How much longer a training epoch takes when its losses are logged.

    python benchmarks/logging_cost.py              an MLP on 54,000 x 784, and ResNet18 on 12 batches of 128
    python benchmarks/logging_cost.py --net MLP

Epochs without and with logging take turns in one process, each on a network of its own; the ratio is taken
within a pair, its median is printed. `end_epoch` is in the time, and so is writing to a folder where one is
used. The data are random: only the work counts. With one thread on a CPU the process's own time is taken,
which other programs disturb less; else the clock's.
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
SIZES = {"MLP": (54_000, (784,)), "ResNet18": (12 * BATCH, (3, 32, 32))}


def main() -> None:
    """Time each network, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--net", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=7, help="pairs of epochs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    rows = [row for net in args.net for row in measure(net, args.repeats, torch.device(args.device))]
    headers = ["net", "what is logged", "plain s", "logged s", "slower %", "least pair %"]
    print(f"{args.device}, {torch.get_num_threads()} threads, {args.repeats} pairs of epochs")
    print(tabulate(rows, headers, floatfmt=("", "", ".2f", ".2f", ".1f", ".1f")))


def measure(net: str, repeats: int, device: torch.device) -> list[list[object]]:
    """A row for each way of logging."""
    count, shape = SIZES[net]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((count, *shape), generator=generator).to(device)
    y = torch.randint(CLASSES, (count,), generator=generator).to(device)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "losses": lambda ids, logits, losses, labels: recorder.log(ids, losses),
            "losses, in a folder": lambda ids, logits, losses, labels: recorder.log(ids, losses),
            "logits": lambda ids, logits, losses, labels: recorder.log(ids, logits=logits, labels=labels),
            "logits, one pass": lambda ids, logits, losses, labels: recorder.log(
                ids, logits=logits, labels=labels
            ),
        }
        for number, (name, log) in enumerate(ways.items()):
            recorder = LossRecorder(
                y,
                folder=f"{folder}/{number}" if "folder" in name else None,
                mode="one_pass" if "one pass" in name else "log",
            )
            plain, logged = (Training(net, x, y) for _ in range(2))
            plain.epoch(None)
            logged.epoch(log)
            recorder.end_epoch()  # warm
            pairs = []
            for _ in range(repeats):
                first = timed(lambda training=plain: training.epoch(None), device)
                second = timed(lambda t=logged, a=log, r=recorder: (t.epoch(a), r.end_epoch()), device)
                pairs.append((first, second))
            times = np.array(pairs)
            slower = 100 * (times[:, 1] / times[:, 0] - 1)
            rows.append([net, name, *np.median(times, axis=0), np.median(slower), slower.min()])
    return rows


class Training:
    """One network and its optimiser."""

    def __init__(self, net: str, x: torch.Tensor, y: torch.Tensor) -> None:
        self.x, self.y = x, y
        self.net = build(net, tuple(x.shape[1:]), CLASSES, seed=0).to(x.device)
        self.optimizer = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=0.9)
        self.generator = torch.Generator().manual_seed(0)

    def epoch(self, log: Callable[..., None] | None) -> None:
        """One pass in shuffled batches; the loss is computed per sample either way."""
        self.net.train()
        for ids in torch.randperm(len(self.x), generator=self.generator).split(BATCH):
            labels = self.y[ids]
            logits = self.net(self.x[ids])
            losses = functional.cross_entropy(logits, labels, reduction="none")
            self.optimizer.zero_grad()
            losses.mean().backward()
            self.optimizer.step()
            if log is not None:
                log(ids, logits, losses, labels)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds, the device's queue emptied before and after."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - start


if __name__ == "__main__":
    main()
