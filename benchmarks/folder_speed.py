"""Images per second out of a folder of JPEG files, beside the usual torchvision pipeline.

    python benchmarks/folder_speed.py                          files of 500x375 made for the purpose
    python benchmarks/folder_speed.py --data_path /imagenet    one's own folder, with train/ and val/

All read the same shuffled images in batches of 64 with as many worker processes, crop them at random to 224
pixels, flip and normalise them; the usual pipeline is ImageFolder with RandomResizedCrop,
RandomHorizontalFlip, ToTensor and Normalize in a DataLoader: with its workers started anew for each pass, as
a DataLoader does by default, and persistent. They take turns within one process, `--repeats` times after a
warm-up; the ratio, to the faster of the two, is the median of those within a turn. A pass of few images shows
what starting to read costs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as main.py does

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate
from torch.utils.data import DataLoader, Subset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

from deepcore.common.torchvision_import import torchvision
from deepcore.data.datasets import load

BATCH = 64


def main() -> None:
    """Time each number of workers, print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", help="a folder with train/ and val/")
    parser.add_argument("--images", nargs="+", type=int, default=[128, 800], help="images of a pass")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 2])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(args.data_path or made)
        if args.data_path is None:
            write_pictures(root, max(args.images))
        lines = [
            [workers, images, *measure(root, images, workers, args.repeats)]
            for workers in args.workers
            for images in args.images
        ]
    print(f"images/s, median of {args.repeats}; batch {BATCH}")
    headers = ["workers", "images", "ours", "torchvision", "torchvision, persistent", "ours / better"]
    print(tabulate(lines, headers=headers, disable_numparse=True))


def measure(root: Path, images: int, workers: int, repeats: int) -> list[str]:
    """The cells of one line."""
    ours = load("ImageFolder", data_path=root, workers=workers).train
    rows = np.random.default_rng(0).permutation(len(ours))[:images]
    groups = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    transforms = torchvision("transforms")
    recipe = transforms.Compose(
        [
            transforms.RandomResizedCrop(224),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    theirs = Subset(torchvision("datasets").ImageFolder(str(root / "train"), recipe), rows.tolist())

    def our_pass(seed: int) -> float:
        start = time.perf_counter()
        for x in ours.batches(groups, device=torch.device("cpu"), augment_seed=seed):
            x.sum()
        return time.perf_counter() - start

    def their_pass(loader: DataLoader) -> float:
        start = time.perf_counter()
        for x, _ in loader:
            x.sum()
        return time.perf_counter() - start

    loaders = [
        DataLoader(theirs, batch_size=BATCH, num_workers=workers, persistent_workers=keep)
        for keep in ((False, True) if workers else (False,))
    ]
    our_pass(0)
    for loader in loaders:
        their_pass(loader)
    seconds = [(our_pass(seed), *map(their_pass, loaders)) for seed in range(1, repeats + 1)]
    speeds = [f"{len(rows) / statistics.median(column):,.0f}" for column in zip(*seconds, strict=True)]
    gain = statistics.median(min(usual) / ours for ours, *usual in seconds)
    return [*speeds, *["-"] * (3 - len(speeds)), f"{gain:.2f}x"]


def write_pictures(root: Path, images: int) -> None:
    """JPEG files of ImageNet's usual size, some 100 KB each: smooth shapes under a little noise."""
    rng = np.random.default_rng(0)
    for i in range(images + 2):
        folder = root / ("train" if i < images else "val") / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        shapes = Image.fromarray(rng.integers(0, 256, (8, 10, 3), dtype=np.uint8)).resize((500, 375))
        noise = rng.normal(0, 12, (375, 500, 3))
        pixels = np.clip(np.asarray(shapes) + noise, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg", quality=90)


if __name__ == "__main__":
    main()
