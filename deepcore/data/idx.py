"""MNIST-like data sets in their four idx files, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from deepcore.checks import UsageError
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData, Source
from deepcore.torchvision_import import torchvision

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
UBYTE = 0x08  # idx's code for unsigned bytes, the only type these data sets use


def fashion_mnist(source: Source) -> LabeledData:
    """FashionMNIST (Xiao et al. 2017): 60,000 + 10,000 images 28x28 of 10 classes; crop padding 2, flips."""
    arrays = _load("FashionMNIST", source, aliases=("fashion-mnist",), package="dataset-fashion-mnist")
    return from_arrays("FashionMNIST", *arrays, num_classes=10, augmentation=Augmentation(pad=2, flip=True))


def read_idx(path: Path) -> np.ndarray:
    """The array in an idx file of unsigned bytes; a name that ends in .gz is decompressed.

    Raises:
        UsageError: unreadable, damaged or truncated, not idx, or of another type than unsigned bytes.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} cannot be read ({error}): delete it and fetch it again") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UBYTE or not 1 <= content[3] <= 4:
        raise UsageError(
            f"{path} is not an idx file of unsigned bytes: it begins with {content[:4].hex() or 'nothing'}, "
            "not with 000008 and a number of axes"
        )
    start = 4 + 4 * content[3]
    shape = (
        tuple(int(size) for size in np.frombuffer(content[4:start], ">u4")) if len(content) >= start else ()
    )
    expected = start + math.prod(shape)
    if len(content) != expected:
        kind = "truncated" if len(content) < expected else "too long"
        raise UsageError(
            f"{path} is {kind}: {len(content)} bytes for shape {shape}, which takes {expected}; "
            "delete it and fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _load(name: str, source: Source, *, aliases: tuple[str, ...], package: str) -> list[np.ndarray]:
    """The four arrays in the order of FILES, after downloading them if that was asked for."""
    files = _find(source.path, name, aliases)
    if files is None and source.download:
        _download(name, source.path)
        files = _find(source.path, name, aliases)
    if files is None:
        raise UsageError(
            f"{name} is not in {source.path}: expected {source.path / name / 'raw' / FILES[0]}[.gz] and the "
            f"three other idx files; fetch them with --download, or point --data_path at their folder "
            f"(Debian: apt install {package}, --data_path /usr/share/datasets/{aliases[0]})"
        )
    return [read_idx(file) for file in files]


def _find(path: Path, name: str, aliases: tuple[str, ...]) -> list[Path] | None:
    """The four files: torchvision's layout below `path`, a folder of the data set's name, or `path`."""
    for folder in (path / name / "raw", *(path / alias for alias in (name, *aliases)), path):
        found = [
            next((f for f in (folder / file, folder / f"{file}.gz") if f.is_file()), None) for file in FILES
        ]
        if all(found):
            return found
        if any(found):
            missing = FILES[found.index(None)]
            raise UsageError(f"{folder} holds some of {name}'s files, but neither {missing} nor {missing}.gz")
    return None


def _download(name: str, path: Path) -> None:
    """Fetch the files through torchvision (which checks their md5) into `path`/`name`/raw."""
    data_set = getattr(torchvision("datasets"), name)
    try:
        data_set(root=str(path), download=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{name} could not be downloaded to {path}: {error}") from error
