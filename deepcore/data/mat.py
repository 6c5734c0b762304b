"""SVHN in its two Matlab files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepcore.common.checks import UsageError, first_line
from deepcore.common.torchvision_import import torchvision
from deepcore.data.fetch import find, find_or_fetch
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData, Source

FILES = ("train_32x32.mat", "test_32x32.mat")


def svhn(source: Source) -> LabeledData:
    """SVHN (Netzer et al. 2011): 73,257 + 26,032 images 32x32x3 of 10 digits; crop padding 4, no flips."""
    path = source.path

    def fetch() -> None:
        for part in ("train", "test"):
            url, file, md5 = torchvision("datasets").SVHN.split_list[part]
            torchvision("datasets.utils").download_url(url, str(path), file, md5)

    files = find_or_fetch(
        "SVHN",
        source,
        look=lambda: find("SVHN", (path / "SVHN", path / "svhn", path), [(file,) for file in FILES]),
        fetch=fetch,
        expected=" and ".join(FILES),
    )
    arrays = [array for file in files for array in _read(file)]
    return from_arrays("SVHN", *arrays, num_classes=10, augmentation=Augmentation(pad=4))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) uint8 and labels (n,) of one file, where 10 stands for the digit 0."""
    from scipy.io import loadmat

    try:
        content = loadmat(path, variable_names=("X", "y"))
        x, y = content["X"], content["y"].ravel().astype(np.int64)
    except Exception as error:  # a damaged file fails in any way
        raise UsageError(
            f"{path} cannot be read ({first_line(error)}): delete it and fetch it again"
        ) from error
    if x.dtype != np.uint8 or x.ndim != 4 or x.shape[:3] != (32, 32, 3):
        raise UsageError(f"{path}: X has shape {x.shape} of {x.dtype}; expected (32, 32, 3, N) of uint8")
    return x.transpose(3, 0, 1, 2), np.where(y == 10, 0, y)
