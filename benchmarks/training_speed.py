"""Images per second of a training epoch: this project's loop, with and without recording, and a DataLoader
loop.

    python benchmarks/training_speed.py --data_path /usr/share/datasets/fashion-mnist
    python benchmarks/training_speed.py --synthetic --images 6000 --repeats 2        short, without files
    python benchmarks/training_speed.py --resnet        ResNet18 on 32x32 images, in fp32 and bf16
    python benchmarks/training_speed.py --resnet --device cuda --steps 200        the same on a GPU

The usual loop is torchvision's data set with RandomCrop, RandomHorizontalFlip, ToTensor and Normalize in a
DataLoader (0 workers, and 2 persistent ones), cross_entropy, zero_grad, backward, step of the same SGD. All
loops train the same network on the same images. They run in turn within one process, `--repeats` times after
a warm-up, so that a busy machine slows them alike; ratios are taken within a repeat and their median is
printed. "recording" is the epoch with every online signal written to disk, without row 0 and the validation
pass.

With --resnet the usual loop has the network in torch's own memory layout and fp32, as torchvision gives it;
ours has channels_last. The share of the peak is the FLOPs of a step (2 per multiply-add) by the step's time,
in parts of the fastest large matrix product seen in the same process and number format. With
--processor_time and OMP_NUM_THREADS=1, the seconds are those in which this process had a processor: for
machines that others use.
"""

from __future__ import annotations

import argparse
import dataclasses
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

from deepcore.common.meter import Meter
from deepcore.common.threads import threads_for
from deepcore.common.torchvision_import import torchvision
from deepcore.data.datasets import load
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData
from deepcore.data.split import Split
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.proxy.recorder import Recorder
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import TRAJECTORIES
from deepcore.proxy.store import ProxyStore
from deepcore.training.loop import make_optimizer, train
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")


def clock() -> float:
    """Seconds, when all that was asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


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
    parser.add_argument("--resnet", action="store_true", help="ResNet18 on 32x32 noise instead of all this")
    parser.add_argument("--device", type=torch.device, default=CPU, help="of --resnet")
    parser.add_argument("--steps", type=int, default=3, help="of 128 images, of --resnet, in a repeat")
    parser.add_argument("--processor_time", action="store_true", help="of --resnet, for one thread on a CPU")
    args = parser.parse_args()
    if args.resnet:
        resnet(args.device, args.steps, args.repeats, time.process_time if args.processor_time else clock)
        return
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


def resnet(device: torch.device, steps: int, repeats: int, now: Callable[[], float]) -> None:
    """Print the table of ResNet18, timed by `now`."""
    batch = 128
    data = random_images(steps * batch, (32, 32, 3), 100)
    rows = np.arange(steps * batch)
    spec = TrainSpec(batch=batch, epochs=1)
    bf16 = dataclasses.replace(spec, precision="bf16")

    def ours(spec: TrainSpec, record: bool = False) -> Callable[[], float]:
        return lambda: our_epoch("ResNet18", data, rows, spec, record=record, device=device, now=now)

    def usual(workers: int) -> Callable[[], float]:
        return usual_loop("ResNet18", data, rows, spec, workers, device, now, plain=True)

    loops = {
        "DataLoader loop, fp32, 0 workers": usual(0),
        "DataLoader loop, fp32, 2 workers": usual(2),
        "ours, fp32": ours(spec),
        "ours, bf16": ours(bf16),
        "ours, bf16, recording": ours(bf16, record=True),
    }
    rounds, peaks = [], []
    for i in range(repeats + 1):
        peaks.append([matmul_peak(dtype, device, now) for dtype in (torch.float32, torch.bfloat16)])
        rounds.append([loop() for loop in loops.values()])
        print(f"repeat {i}: {np.round(rounds[-1], 2)} s", file=sys.stderr, flush=True)
    peak = np.max(peaks, axis=0)
    seconds = np.array(rounds[1:])  # without the warm-up
    flops = sum(flops_per_example(nets.build("ResNet18", (3, 32, 32), 100, seed=0), (3, 32, 32)).values())
    speed = len(rows) / np.median(seconds, axis=0)
    better = seconds[:, :2].min(axis=1)
    lines = [
        [
            name,
            f"{speed[i]:,.1f}",
            f"{np.median(better / seconds[:, i]):.2f}x",
            f"{np.median(seconds[:, 2] / seconds[:, i]):.2f}x",
            f"{speed[i] * flops / peak[int('bf16' in name)]:.0%}",
        ]
        for i, name in enumerate(loops)
    ]
    setting = f"threads: {torch.get_num_threads()}, on {device}, {now.__name__}"
    print(f"{repeats} repeats of {steps} x {batch} images, {setting}")
    print(f"matrix products: fp32 {peak[0] / 1e9:,.0f}, bf16 {peak[1] / 1e9:,.0f} GFLOP/s at best")
    headers = ["ResNet18, 32x32", "images/s", "over the better loader", "over ours in fp32", "of the peak"]
    print(tabulate(lines, headers=headers, colalign=["left", *["right"] * 4], disable_numparse=True))
    costs = np.median(seconds[:, 4] / seconds[:, 3] - 1)
    print(f"recording costs {costs:+.1%}")


def matmul_peak(dtype: torch.dtype, device: torch.device, now: Callable[[], float]) -> float:
    """FLOP/s of the fastest of some large matrix products."""
    best = 0.0
    for n in (1024, 2048) if device.type == "cpu" else (4096, 8192):
        a, b = torch.randn(2, n, n, device=device).to(dtype)
        for _ in range(5):
            start = now()
            functional.linear(a, b)
            best = max(best, 2 * n**3 / (now() - start))
    return best


def our_epoch(
    model: str,
    data: LabeledData,
    rows: np.ndarray,
    spec: TrainSpec,
    *,
    record: bool,
    device: torch.device = CPU,
    now: Callable[[], float] = clock,
) -> float:
    """Seconds of one epoch of the training loop; `recording` adds the online recording of every signal."""
    net = nets.build(model, data.train.shape, data.num_classes, seed=0)
    hooks, meter = [], Meter(device)
    with (
        tempfile.TemporaryDirectory() as folder,
        threads_for(flops_per_example(net, data.train.shape)["forward"]),
    ):
        if record:
            hooks.append(EpochOnly(Path(folder), data, rows, meter))
        start = now()
        train(net, data.train, rows, spec, seed=0, device=device, meter=meter, hooks=hooks)
        return now() - start


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
            device=meter.device,
            meter=meter,
        )
        self.before["online"] = torch.zeros(len(rows), data.num_classes, device=meter.device)

    def begin(self, net: nets.Net) -> None:
        """No row 0."""


def usual_loop(
    model: str,
    data: LabeledData,
    rows: np.ndarray,
    spec: TrainSpec,
    workers: int,
    device: torch.device = CPU,
    now: Callable[[], float] = clock,
    *,
    plain: bool = False,
) -> Callable[[], float]:
    """A function that trains one epoch the usual way and returns its seconds; the workers live across
    epochs. With `plain` the network is in torch's own memory layout."""
    transforms = torchvision("transforms")
    recipe = transforms.Compose(
        [
            transforms.RandomCrop(data.train.shape[1:], padding=data.train.augmentation.pad),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.2860,), (0.3530,)),
        ]
    )
    images = data.train.inputs[rows].permute(0, 2, 3, 1).contiguous()
    dataset = Pictures(images.squeeze(3).numpy(), data.train.labels[rows], recipe)
    loader = DataLoader(
        dataset,
        batch_size=spec.batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    net = nets.build(model, data.train.shape, data.num_classes, seed=0).to(device)
    if plain:
        net = net.to(memory_format=torch.contiguous_format)
    optimizer = make_optimizer(net, spec)

    def epoch() -> float:
        start = now()
        net.train()
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            loss = functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return now() - start

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
        image = Image.fromarray(self.data[index].numpy())
        return self.transform(image), int(self.targets[index])


def random_images(n: int, shape: tuple[int, ...] = (28, 28), classes: int = 10) -> LabeledData:
    """Noise of FashionMNIST's shape, or another, with the padding of the data sets of that size."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (n, *shape), dtype=np.uint8), np.arange(n) % classes
    augmentation = Augmentation(pad=shape[0] // 8 if len(shape) > 2 else 2, flip=True)
    return from_arrays("noise", x, y, x[:100], y[:100], augmentation=augmentation)


if __name__ == "__main__":
    main()
