"""CIFAR-10 and CIFAR-100 in their Python archives, read without trusting them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepcore.common.checks import UsageError, first_line
from deepcore.common.torchvision_import import torchvision
from deepcore.data.fetch import find, find_or_fetch
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData, Source


def cifar10(source: Source) -> LabeledData:
    """CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 images 32x32x3 of 10 classes; crop padding 4, flips."""
    train = [f"data_batch_{i}" for i in range(1, 6)]
    return _load("CIFAR10", source, "cifar-10-batches-py", train, ["test_batch"], "labels", 10)


def cifar100(source: Source) -> LabeledData:
    """CIFAR-100 (Krizhevsky 2009): 50,000 + 10,000 images 32x32x3 of 100 classes; crop padding 4, flips."""
    return _load("CIFAR100", source, "cifar-100-python", ["train"], ["test"], "fine_labels", 100)


def _load(
    name: str, source: Source, folder: str, train: list[str], test: list[str], key: str, classes: int
) -> LabeledData:
    """The data set out of `folder`, below the path or the path itself; `key` holds the labels."""
    path = source.path

    def fetch() -> None:
        data_set = getattr(torchvision("datasets"), name)
        torchvision("datasets.utils").download_and_extract_archive(
            data_set.url, str(path), filename=data_set.filename, md5=data_set.tgz_md5
        )

    files = find_or_fetch(
        name,
        source,
        look=lambda: find(name, (path / folder, path / name / folder, path), [(f,) for f in train + test]),
        fetch=fetch,
        expected=f"{folder}/{train[0]} and what belongs to it",
    )
    batches = [_read(file, key) for file in files]
    parts = []
    for part in (batches[: len(train)], batches[len(train) :]):
        parts += [np.concatenate(arrays) for arrays in zip(*part, strict=True)]
    return from_arrays(name, *parts, num_classes=classes, augmentation=Augmentation(pad=4, flip=True))


def _read(path: Path, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) uint8 and labels (n,) of one file."""
    try:
        with open(path, "rb") as file:
            batch = _Unpickler(file, encoding="latin1").load()  # written by Python 2
    except Exception as error:  # a damaged pickle fails in any way
        raise UsageError(
            f"{path} cannot be read ({first_line(error)}): delete it and fetch it again"
        ) from error
    data = batch.get("data") if isinstance(batch, dict) else None
    labels = batch.get(key) if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        raise UsageError(f"{path} holds no array 'data' of uint8 rows of 3072 pixels: it is no CIFAR batch")
    if not isinstance(labels, (list, np.ndarray)) or len(labels) != len(data):
        raise UsageError(f"{path} holds no {len(data)} {key!r} beside its {len(data)} images")
    return data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.asarray(labels)


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles; no other codec."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the codec {encoding} is refused")
    return text.encode("latin1")


def _reconstruct(subtype: object, shape: object, typecode: object) -> np.ndarray:
    """The empty array whose state the pickle then sets, as numpy's function of this name."""
    return np.empty(0, "b")


class _Unpickler(pickle.Unpickler):
    """Plain containers and numpy arrays; everything else that a pickle can name is refused."""

    # what pickled arrays name, whatever module of numpy it lives in; "ndarray" is named as an argument only
    NUMPY: ClassVar[dict[str, Any]] = {
        "_reconstruct": _reconstruct,
        "_frombuffer": np.empty(1).__reduce_ex__(5)[0],
        "ndarray": "ndarray",
        "dtype": np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        """See the class."""
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if module.split(".")[0] == "numpy" and name in self.NUMPY:
            return self.NUMPY[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")
