"""MNIST-like data sets in their four idx files, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.common.torchvision_import import torchvision
from deepcore.data.fetch import find, find_or_fetch
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData, Source

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
UBYTE = 0x08  # idx's code for unsigned bytes, the only type these data sets use


def mnist(source: Source) -> LabeledData:
    """MNIST (LeCun et al. 1998): 60,000 + 10,000 images 28x28 of 10 digits; crop padding 2, no flips."""
    arrays = _load("MNIST", source, "mnist")
    return from_arrays("MNIST", *arrays, num_classes=10, augmentation=Augmentation(pad=2))


def fashion_mnist(source: Source) -> LabeledData:
    """FashionMNIST (Xiao et al. 2017): 60,000 + 10,000 images 28x28 of 10 classes; crop padding 2, flips.

    Debian's package dataset-fashion-mnist installs the files; --data_path /usr/share/datasets finds them.
    """
    arrays = _load("FashionMNIST", source, "fashion-mnist")
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


def _load(name: str, source: Source, alias: str) -> list[np.ndarray]:
    """The four arrays in the order of FILES, from torchvision's layout below the path, a folder of the data
    set's name, or the path itself."""
    path = source.path
    folders = (path / name / "raw", path / name, path / alias, path)
    files = find_or_fetch(
        name,
        source,
        look=lambda: find(name, folders, [(file, f"{file}.gz") for file in FILES]),
        fetch=lambda: getattr(torchvision("datasets"), name)(root=str(path), download=True),
        expected=f"{name}/raw/{FILES[0]}[.gz] and the three other idx files",
    )
    return [read_idx(file) for file in files]
