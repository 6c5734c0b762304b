"""Images per second out of a folder of JPEG files: decoded, from a cache, by the usual torchvision pipeline.

    python benchmarks/folder_speed.py                          files of 500x375 made for the purpose
    python benchmarks/folder_speed.py --data_path /imagenet    one's own folder, with train/ and val/

All read the same shuffled images in batches of 64 with as many worker processes, crop them at random to 224
pixels, flip and normalise them; the usual pipeline is ImageFolder with RandomResizedCrop,
RandomHorizontalFlip, ToTensor and Normalize in a DataLoader: with its workers started anew for each pass, as
a DataLoader does by default, and persistent. The cache holds the pictures with 256 pixels on the shorter
side. They take turns within one process, `--repeats` times after a warm-up; a ratio is the median of those
within a turn, that to torchvision of the faster of the two. A pass of few images shows what starting to read
costs. The second table is of pictures without augmentation, as every pass that records or evaluates reads
them: the middle 224 pixels.
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

from deepcore.common.progress import Progress
from deepcore.common.torchvision_import import torchvision
from deepcore.common.units import size
from deepcore.data.datasets import load
from deepcore.data.record import Rows

BATCH = 64


def main() -> None:
    """Time each number of workers, print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_path", help="a folder with train/ and val/")
    parser.add_argument("--cache", help="where the cache is kept (default: in a temporary folder)")
    parser.add_argument("--images", nargs="+", type=int, default=[128, 800], help="images of a pass")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 2])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(args.data_path or made)
        if args.data_path is None:
            write_pictures(root, max(args.images))
        cache = Path(args.cache or Path(made) / "cache")
        start = time.perf_counter()
        built = load("ImageFolder", data_path=root, cache=cache, workers=max(args.workers)).cache
        built.build(Progress(quiet=True))
        seconds = time.perf_counter() - start
        print(
            f"cache: {len(built):,} pictures, {size(built.nbytes)}, built by {max(args.workers)} workers at "
            f"{len(built) / seconds:,.0f} images/s; median of {args.repeats}, batch {BATCH}, images/s:\n"
        )
        cases = [(workers, images) for workers in args.workers for images in args.images]
        training = [[*case, *measure(root, cache, *case, args.repeats)] for case in cases]
        plain = [[*case, *measure_plain(root, cache, *case, args.repeats)] for case in cases]
    theirs = ["torchvision", "torchvision, persistent"]
    headers = ["workers", "images", "decoded", "cache", *theirs, "decoded / torchvision", "cache / decoded"]
    print(tabulate(training, headers=headers, disable_numparse=True))
    print()
    print(tabulate(plain, headers=[*headers[:4], headers[-1]], disable_numparse=True))


def measure(root: Path, cache: Path, workers: int, images: int, repeats: int) -> list[str]:
    """The cells of one line of the first table."""
    decoded, cached = parts(root, cache, workers)
    rows = np.random.default_rng(0).permutation(len(decoded))[:images]
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

    def their_pass(loader: DataLoader) -> float:
        start = time.perf_counter()
        for x, _ in loader:
            x.sum()
        return time.perf_counter() - start

    loaders = [
        DataLoader(theirs, batch_size=BATCH, num_workers=workers, persistent_workers=keep)
        for keep in ((False, True) if workers else (False,))
    ]
    seconds = [
        (our_pass(decoded, groups, seed), our_pass(cached, groups, seed), *map(their_pass, loaders))
        for seed in range(repeats + 1)
    ][1:]
    speeds = [f"{len(rows) / statistics.median(column):,.0f}" for column in zip(*seconds, strict=True)]
    gain = statistics.median(min(usual) / ours for ours, _, *usual in seconds)
    gain_of_cache = statistics.median(ours / cache for ours, cache, *_ in seconds)
    return [*speeds, *["-"] * (4 - len(speeds)), f"{gain:.2f}x", f"{gain_of_cache:.2f}x"]


def measure_plain(root: Path, cache: Path, workers: int, images: int, repeats: int) -> list[str]:
    """The cells of one line of the second table."""
    both = parts(root, cache, workers)
    rows = np.random.default_rng(0).permutation(len(both[0]))[:images]
    groups = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    seconds = [[our_pass(part, groups, None) for part in both] for _ in range(repeats + 1)][1:]
    speeds = [f"{len(rows) / statistics.median(column):,.0f}" for column in zip(*seconds, strict=True)]
    return [*speeds, f"{statistics.median(ours / cache for ours, cache in seconds):.2f}x"]


def parts(root: Path, cache: Path, workers: int) -> tuple[Rows, Rows]:
    """The training part, decoded and from the cache."""
    decoded = load("ImageFolder", data_path=root, workers=workers)
    return decoded.train, load("ImageFolder", data_path=root, workers=workers, cache=cache).train


def our_pass(part: Rows, groups: list[np.ndarray], seed: int | None) -> float:
    """Seconds to read the groups."""
    start = time.perf_counter()
    for x in part.batches(groups, device=torch.device("cpu"), augment_seed=seed):
        x.sum()
    return time.perf_counter() - start


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
