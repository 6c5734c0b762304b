"""Data sets. To add one, write a function that returns a LabeledData and put it into the table:

    def my_data(source: Source) -> LabeledData:
        with np.load(source.path / "mine.npz") as f:
            return from_arrays("MyData", f["images"], f["labels"], f["test_images"], f["test_labels"])

    DATASETS["MyData"] = my_data

The command line, the split, the nets' sizes and the files follow from the record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deepcore.common.checks import UsageError, check_choice
from deepcore.data.builtin import digits, synthetic
from deepcore.data.cifar import cifar10, cifar100
from deepcore.data.files import npz
from deepcore.data.folder import image_folder, imagenet, tiny_imagenet
from deepcore.data.idx import fashion_mnist, mnist
from deepcore.data.mat import svhn
from deepcore.data.memory import Augmentation, TensorRows, from_arrays
from deepcore.data.record import LabeledData, Rows, Source

__all__ = ["DATASETS", "Augmentation", "LabeledData", "Rows", "Source", "TensorRows", "from_arrays", "load"]

DATASETS: dict[str, Callable[[Source], LabeledData]] = {
    "Digits": digits,
    "MNIST": mnist,
    "FashionMNIST": fashion_mnist,
    "SVHN": svhn,
    "CIFAR10": cifar10,
    "CIFAR100": cifar100,
    "TinyImageNet": tiny_imagenet,
    "ImageNet": imagenet,
    "ImageFolder": image_folder,
    "Synthetic": synthetic,
}


def load(
    name: str,
    *,
    data_path: str | Path = "data",
    download: bool = False,
    workers: int | None = None,
    image_size: int | None = None,
    resize: int | None = None,
    cache: str | Path | None = None,
) -> LabeledData:
    """The data set `name`: an entry of DATASETS, or the path of a .npz file.

    Args:
        name: see above.
        data_path: folder that holds, or (download) shall hold, the files of data sets that have files.
        download: fetch missing files.
        workers, image_size, resize, cache: of image folders, see Source.

    Raises:
        UsageError: unknown name (the valid ones are listed), files missing or damaged.
    """
    if cache == "":
        raise UsageError("--cache is empty: name a folder for the resized pictures")
    folder = None if cache is None else Path(cache)
    source = Source(Path(data_path), download, workers, image_size, resize, folder)
    if name.endswith(".npz"):
        return npz(Path(name))
    return DATASETS[check_choice("data set", name, [*DATASETS, "PATH.npz"])](source)
