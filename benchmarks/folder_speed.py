"""Images per second out of a folder of JPEG files, beside the usual torchvision pipeline.

    python benchmarks/folder_speed.py                          800 files of 500x375 made for the purpose
    python benchmarks/folder_speed.py --data_path /imagenet    one's own folder, with train/ and val/

Both read the same shuffled images in batches of 64 with as many worker processes (started anew for each
pass, as a DataLoader does by default), crop them at random to 224 pixels, flip and normalise them; the usual
pipeline is ImageFolder with RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize. They take turns
within one process, `--repeats` times after a warm-up; the ratio is the median of those within a turn.
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

from deepcore.data import load
from deepcore.torchvision_import import torchvision

BATCH = 64


def main() -> None:
    """Time each number of workers, print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", help="a folder with train/ and val/")
    parser.add_argument("--images", type=int, default=800, help="images of a pass")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 2])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(args.data_path or made)
        if args.data_path is None:
            write_pictures(root, args.images)
        lines = [[workers, *measure(root, args.images, workers, args.repeats)] for workers in args.workers]
    print(f"images/s, median of {args.repeats}; {args.images:,} images, batch {BATCH}")
    print(
        tabulate(
            lines, headers=["workers", "ours", "torchvision", "ours / torchvision"], disable_numparse=True
        )
    )


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

    def their_pass() -> float:
        start = time.perf_counter()
        for x, _ in DataLoader(theirs, batch_size=BATCH, num_workers=workers):
            x.sum()
        return time.perf_counter() - start

    our_pass(0)
    their_pass()
    seconds = [(our_pass(seed), their_pass()) for seed in range(1, repeats + 1)]
    speeds = [f"{len(rows) / statistics.median(column):,.0f}" for column in zip(*seconds, strict=True)]
    return [*speeds, f"{statistics.median(b / a for a, b in seconds):.2f}x"]


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
