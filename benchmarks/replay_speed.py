"""Images per second of a training epoch on a GPU: steps started one by one, and replayed from a CUDA graph.

    python benchmarks/replay_speed.py --data_path /usr/share/datasets/fashion-mnist

One epoch of Fashion-MNIST's first images in batches of 128 with the project's own loop, after 20 steps that
warm up; the faster of two.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import numpy as np
import torch
from tabulate import tabulate

from deepcore.cli.arguments import Parser
from deepcore.common.checks import UsageError
from deepcore.common.console import exit_status
from deepcore.common.meter import Meter
from deepcore.data import datasets
from deepcore.data.record import LabeledData
from deepcore.nets import networks as nets
from deepcore.training import loop
from deepcore.training.spec import TrainSpec

CASES = (("ResNet18", "fp32"), ("ResNet18", "bf16"), ("ConvNet", "fp32"), ("MLP", "fp32"))
BATCH, WARM_UP = 128, 20


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 without a GPU or its data."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path", default="data", metavar="DIR", help="FashionMNIST's folder")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="of the epoch")
    args = parser.parse_args(argv)
    return exit_status(lambda: run(args.data_path, args.steps), "")


def run(data_path: str, steps: int) -> int:
    """Time every case and print a table."""
    if not torch.cuda.is_available():
        raise UsageError("replay_speed.py compares two ways to use a CUDA device, and there is none")
    data = datasets.load("FashionMNIST", data_path=data_path)
    lines = []
    for name, precision in CASES:
        spec = TrainSpec(batch=BATCH, epochs=1, precision=precision)
        speeds = [speed(name, data, spec, steps, **how) for how in HOW.values()]
        lines.append(
            [f"{name}, {precision}", *(f"{s:,.0f}" for s in speeds), f"{speeds[1] / speeds[0]:.1f}x"]
        )
    print(f"images/s, {torch.cuda.get_device_name()}, torch {torch.__version__}")
    print(tabulate(lines, headers=["", *HOW, "replayed / one by one"], disable_numparse=True))
    return 0


HOW = {
    "one by one": {"replayed": False, "deterministic": True},
    "replayed": {"replayed": True, "deterministic": True},
    "replayed, any algorithm of cuDNN": {"replayed": True, "deterministic": False},
}


def speed(
    name: str, data: LabeledData, spec: TrainSpec, steps: int, *, replayed: bool, deterministic: bool
) -> float:
    """Images per second of the faster of two epochs."""
    found = []
    for _ in range(2):
        net = nets.build(name, data.train.shape, data.num_classes, seed=0)
        with _as_asked(replayed=replayed, deterministic=deterministic):
            _seconds(net, data, spec, WARM_UP)
            found.append(steps * BATCH / _seconds(net, data, spec, steps))
    return max(found)


@contextlib.contextmanager
def _as_asked(*, replayed: bool, deterministic: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if not replayed:
            stack.enter_context(mock.patch.object(loop, "replays", return_value=False))
        if not deterministic:
            stack.enter_context(
                mock.patch.object(loop, "deterministic", return_value=contextlib.nullcontext())
            )
        yield


def _seconds(net: nets.Net, data: LabeledData, spec: TrainSpec, steps: int) -> float:
    device = torch.device("cuda")
    torch.cuda.synchronize()
    start = time.perf_counter()
    loop.train(net, data.train, np.arange(steps * BATCH), spec, seed=0, device=device, meter=Meter(device))
    torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
