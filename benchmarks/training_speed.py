"""Images per second of a training epoch: this project's loop, with and without recording, beside the usual
one.

    python benchmarks/training_speed.py --data_path /usr/share/datasets/fashion-mnist
    python benchmarks/training_speed.py --synthetic --images 6000 --repeats 2        a quick look, without
    files

The usual loop is torchvision's data set with RandomCrop, RandomHorizontalFlip, ToTensor and Normalize in a
DataLoader (0 workers, and 2 persistent ones), cross_entropy, zero_grad, backward, step of the same SGD. All
loops train the same network on the same images. They run in turn within one process, `--repeats` times after
a warm-up, so that a busy machine slows them alike; ratios are taken within a repeat and their median is
printed. "recording" is the epoch with every online signal written to disk, without row 0 and the validation
pass.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as main.py does

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

from deepcore import nets
from deepcore.config import TrainSpec
from deepcore.data import Augmentation, LabeledData, from_arrays, load
from deepcore.flops import flops_per_example
from deepcore.meter import Meter
from deepcore.proxy_store import ProxyStore
from deepcore.recorder import Recorder, Recording
from deepcore.signals import TRAJECTORIES
from deepcore.split import Split
from deepcore.threads import threads_for
from deepcore.torchvision_import import torchvision
from deepcore.train import make_optimizer, train

CPU = torch.device("cpu")


def main() -> None:
    """Time every net and batch size, print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", default="data", help="FashionMNIST's folder")
    parser.add_argument("--synthetic", action="store_true", help="random images of the same size instead")
    parser.add_argument("--models", nargs="+", default=["MLP", "LeNet", "ConvNet"])
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 256])
    parser.add_argument("--images", type=int, default=12_000, help="images of an epoch")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    data = random_images(args.images) if args.synthetic else load("FashionMNIST", data_path=args.data_path)
    rows = np.arange(min(args.images, len(data.train)))
    lines = []
    for model in args.models:
        for batch in args.batches:
            lines.append([model, batch, *measure(model, batch, data, rows, args.repeats)])
            print(f"{model} at batch {batch} done", file=sys.stderr, flush=True)
    headers = [
        "net",
        "batch",
        "ours",
        "recording",
        "loader 0",
        "loader 2",
        "ours / better loader",
        "recording costs",
    ]
    print(f"images/s, median of {args.repeats}; {len(rows):,} images, {torch.get_num_threads()} threads")
    print(tabulate(lines, headers=headers, colalign=["left", *["right"] * 7], disable_numparse=True))


def measure(model: str, batch: int, data: LabeledData, rows: np.ndarray, repeats: int) -> list[str]:
    """The cells of one line."""
    spec = TrainSpec(batch=batch, epochs=1)
    loops: list[Callable[[], float]] = [
        lambda: our_epoch(model, data, rows, spec, record=False),
        lambda: our_epoch(model, data, rows, spec, record=True),
        *(usual_loop(model, data, rows, spec, workers) for workers in (0, 2)),
    ]
    for loop in loops:
        loop()
    seconds = [[loop() for loop in loops] for _ in range(repeats)]
    speeds = [f"{len(rows) / statistics.median(column):,.0f}" for column in zip(*seconds, strict=True)]
    gain = statistics.median(min(zero, two) / ours for ours, _, zero, two in seconds)
    cost = statistics.median(recording / ours - 1 for ours, recording, _, _ in seconds)
    return [*speeds, f"{gain:.1f}x", f"{cost:+.1%}"]


def our_epoch(model: str, data: LabeledData, rows: np.ndarray, spec: TrainSpec, *, record: bool) -> float:
    """Seconds of one epoch of deepcore.train, the online recording of every signal included when asked."""
    net = nets.build(model, data.train.shape, data.num_classes, seed=0)
    hooks, meter = [], Meter(CPU)
    with (
        tempfile.TemporaryDirectory() as folder,
        threads_for(flops_per_example(net, data.train.shape)["forward"]),
    ):
        if record:
            hooks.append(EpochOnly(Path(folder), data, rows, meter))
        train(net, data.train, rows, spec, seed=0, device=CPU, meter=meter, hooks=hooks)
    return meter.seconds["train"] + meter.seconds.get("record", 0.0)


class EpochOnly(Recorder):
    """The recorder of all online signals without its row 0 and its validation pass."""

    def __init__(self, folder: Path, data: LabeledData, rows: np.ndarray, meter: Meter) -> None:
        split = Split(rows, rows[:0], 0)
        recording = Recording(online=frozenset(TRAJECTORIES), val=frozenset())
        store = ProxyStore(folder / "run")
        store.create({}, split, data.train.labels, recording.arrays(len(rows), 0), 2)
        super().__init__(
            store,
            data.train,
            split,
            recording,
            epochs=2,
            num_classes=data.num_classes,
            device=CPU,
            meter=meter,
        )
        self.before["online"] = torch.zeros(len(rows), data.num_classes)

    def begin(self, net: nets.Net) -> None:
        """No row 0."""


def usual_loop(
    model: str, data: LabeledData, rows: np.ndarray, spec: TrainSpec, workers: int
) -> Callable[[], float]:
    """A function that trains one epoch the usual way and returns its seconds; the workers live across
    epochs."""
    transforms = torchvision("transforms")
    recipe = transforms.Compose(
        [
            transforms.RandomCrop(data.train.shape[1:], padding=data.train.augmentation.pad),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.2860,), (0.3530,)),
        ]
    )
    dataset = Pictures(data.train.inputs[rows, 0].numpy(), data.train.labels[rows], recipe)
    loader = DataLoader(
        dataset, batch_size=spec.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    net = nets.build(model, data.train.shape, data.num_classes, seed=0)
    optimizer = make_optimizer(net, spec)

    def epoch() -> float:
        start = time.perf_counter()
        net.train()
        for x, y in loader:
            loss = functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.perf_counter() - start

    return epoch


class Pictures(Dataset):
    """Images as torchvision's MNIST classes hold and give them: a uint8 tensor, a PIL image an item."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Callable) -> None:
        self.data, self.targets, self.transform = (
            torch.from_numpy(images),
            torch.from_numpy(labels),
            transform,
        )

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.data[index].numpy(), mode="L")
        return self.transform(image), int(self.targets[index])


def random_images(n: int) -> LabeledData:
    """Noise of FashionMNIST's shape and augmentation."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % 10
    return from_arrays("noise", x, y, x[:100], y[:100], augmentation=Augmentation(pad=2, flip=True))


if __name__ == "__main__":
    main()
