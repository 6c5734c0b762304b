"""Image folders: one folder per class in train/ and in val/ or test/."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.data.cache import ImageFiles, PictureCache
from deepcore.data.memory import content_fingerprint
from deepcore.data.pictures import Crops
from deepcore.data.record import LabeledData, Source
from deepcore.data.streaming import Cached, Decoded, FolderRows, Readers

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
UNCOMPRESSED = (b".bmp", b".ppm", b".pgm", b".tif", b".tiff")

Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # of each file: path below the root, label, bytes


def image_folder(source: Source) -> LabeledData:
    """Any images: the path holds train/ and val/ (or test/), each with one folder per class."""
    return _load("ImageFolder", source, _root("ImageFolder", source.path, ()), Crops())


def imagenet(source: Source) -> LabeledData:
    """ImageNet-1k (Russakovsky et al. 2015), unpacked: train/<class>/ and val/<class>/; 1% for validation."""
    root = _root("ImageNet", source.path, ("ImageNet", "imagenet", "ILSVRC2012"))
    return _load("ImageNet", source, root, Crops(), val_fraction=0.01)


def tiny_imagenet(source: Source) -> LabeledData:
    """Tiny ImageNet: 100,000 + 10,000 images 64x64 of 200 classes, as tiny-imagenet-200.zip unpacks."""
    root = _root("TinyImageNet", source.path, ("tiny-imagenet-200", "TinyImageNet"))
    return _load("TinyImageNet", source, root, Crops(64, 64), recipe="paper-cifar")


def _root(name: str, path: Path, below: tuple[str, ...]) -> Path:
    """The folder that holds train/: `path`, or one `below` it."""
    for root in (path, *(path / folder for folder in below)):
        if (root / "train").is_dir():
            return root
    places = " or ".join(str(path / folder / "train") for folder in ("", *below))
    raise UsageError(
        f"{name} is not in {path}: expected the folder {places}, with a folder of images per class, and val/ "
        "or test/ beside it; it cannot be downloaded, --data_path names another folder"
    )


def _load(
    name: str,
    source: Source,
    root: Path,
    crops: Crops,
    *,
    recipe: str = "paper-imagenet",
    val_fraction: float = 0.1,
) -> LabeledData:
    """The record of a folder; the source's sizes and workers go before the defaults."""
    size = source.image_size or crops.size
    crops = Crops(size, source.resize or round(size * crops.resize / crops.size))
    workers = min(8, os.cpu_count() or 1) if source.workers is None else source.workers
    test_folder = next((folder for folder in ("val", "test") if (root / folder).is_dir()), None)
    if test_folder is None:
        raise UsageError(
            f"{root} holds train/, but neither val/ nor test/: the accuracy is measured on one of them"
        )
    classes = sorted(entry.name for entry in os.scandir(root / "train") if _is_class(entry))
    train = _scan(root, "train", classes)
    test = _annotated(root, classes) or _scan(root, test_folder, classes)
    empty = sorted(set(range(len(classes))) - set(train[1].tolist()))
    if len(classes) < 2 or empty:
        what = (
            f"the folder {classes[empty[0]]} without images"
            if empty
            else f"{len(classes)} folders of classes"
        )
        raise UsageError(
            f"{root / 'train'} holds {what}; two classes with an image each ({SUFFIXES[0]}, ...) are needed"
        )
    if not len(test[0]):
        raise UsageError(f"{root / test_folder} holds no image in the folder of a class")
    cache = None if source.cache is None else _cache(source.cache, root, (train, test), crops, workers)
    files = Decoded(os.fsencode(root), crops) if cache is None else Cached(cache, crops)
    readers = Readers(files, workers)
    return LabeledData(
        name=name,
        train=FolderRows(readers, *train[:2], size),
        test=FolderRows(readers, *test[:2], size, begin=len(train[0])),
        num_classes=len(classes),
        fingerprint=content_fingerprint(
            *train, *test, crops, *(["cache"] if cache else []), *_contents(root, train, test)
        ),
        default_net="ResNet18",
        recipe=recipe,
        val_fraction=val_fraction,
        paths=train[0],
        cache=cache,
    )


def _contents(root: Path, *parts: Part) -> list[np.ndarray]:
    """A checksum of each file that is as long whatever it shows; for the others paths and lengths do. Empty
    where there are none such."""
    paths = [path for part in parts for path in part[0].tolist() if path.lower().endswith(UNCOMPRESSED)]
    sums = [zlib.crc32((root / os.fsdecode(path)).read_bytes()) for path in paths]
    return [np.array(sums, np.int64)] if sums else []


def _cache(folder: Path, root: Path, parts: Sequence[Part], crops: Crops, workers: int) -> PictureCache:
    """Of the files of all parts, one part behind the other."""
    paths, sizes = (np.concatenate([part[field] for part in parts]) for field in (0, 2))
    return PictureCache(folder, ImageFiles(root, paths, sizes), crops.resize, workers=workers)


def _is_class(entry: os.DirEntry) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _scan(root: Path, part: str, classes: list[str]) -> Part:
    """(paths, labels, bytes of each file) of the images below root/part/<class>, by class, then folder, then
    name; folders of test classes that train does not have are an error."""
    for entry in os.scandir(root / part):
        if _is_class(entry) and entry.name not in classes:
            raise UsageError(
                f"{root / part} holds the class {entry.name}, which {root / 'train'} does not have"
            )
    paths: list[bytes] = []
    labels: list[int] = []
    sizes: list[int] = []
    for label, name in enumerate(classes):
        for folder, _, files in sorted(os.walk(root / part / name, followlinks=True)):
            below = os.path.relpath(folder, root)
            for file in sorted(files):
                if file.lower().endswith(SUFFIXES):
                    paths.append(os.fsencode(os.path.join(below, file)))
                    labels.append(label)
                    sizes.append(os.stat(os.path.join(folder, file)).st_size)
    return np.array(paths, np.bytes_), np.array(labels, np.int64), np.array(sizes, np.int64)


def _annotated(root: Path, classes: list[str]) -> Part | None:
    """Tiny ImageNet's val/: one folder of images, and val_annotations.txt; None where there is none."""
    table = root / "val" / "val_annotations.txt"
    if not table.is_file():
        return None
    lines = sorted(line.split("\t")[:2] for line in table.read_text().splitlines() if line.strip())
    label_of = {name: label for label, name in enumerate(classes)}
    paths, labels, sizes = [], [], []
    for line in lines:
        if len(line) != 2 or line[1] not in label_of:
            raise UsageError(f"{table}: {line} is not an image and a class of {root / 'train'}")
        path = root / "val" / "images" / line[0]
        if not path.is_file():
            raise UsageError(f"{table} lists {line[0]}, and there is no file {path}")
        paths.append(os.fsencode(path.relative_to(root)))
        labels.append(label_of[line[1]])
        sizes.append(path.stat().st_size)
    return np.array(paths, np.bytes_), np.array(labels, np.int64), np.array(sizes, np.int64)
