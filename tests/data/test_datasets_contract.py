"""What every registered data set owes, on small files in its format: a new entry is tested on arrival."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from archives import write_cifar, write_idx_folder, write_svhn
from image_folders import picture, write_folder

from deepcore.common.checks import UsageError
from deepcore.data import datasets as data
from deepcore.nets import networks as nets
from deepcore.training.recipes import RECIPES

CPU = torch.device("cpu")
BUILT_IN = ("Digits", "Synthetic")  # without files


def write_tiny_imagenet(root: Path) -> None:
    """Three classes of four images, the validation images in one folder beside their table."""
    root = root / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    lines = []
    for c, name in enumerate(("n01", "n02", "n03")):
        folder = root / "train" / name / "images"
        folder.mkdir(parents=True)
        for i in range(4):
            picture((64, 64), 4 * c + i).save(folder / f"{name}_{i}.JPEG")
        picture((64, 64), 99 + c).save(root / "val" / "images" / f"val_{c}.JPEG")
        lines.append(f"val_{c}.JPEG\t{name}\t0\t0\t62\t62\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))


def write_npz(root: Path) -> None:
    """Colour images of four classes."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (24, 9, 8, 3), dtype=np.uint8), np.arange(24) % 4
    np.savez(root / "mine.npz", x_train=x, y_train=y, x_test=x[:8], y_test=y[:8])


WRITERS = {  # (write the files below a folder, the files are refused when truncated)
    "MNIST": (lambda root: write_idx_folder(root / "MNIST" / "raw"), True),
    "FashionMNIST": (lambda root: write_idx_folder(root / "FashionMNIST" / "raw"), True),
    "SVHN": (write_svhn, True),
    "CIFAR10": (lambda root: write_cifar(root, "CIFAR10"), True),
    "CIFAR100": (lambda root: write_cifar(root, "CIFAR100"), True),
    "TinyImageNet": (write_tiny_imagenet, False),
    "ImageNet": (lambda root: write_folder(root / "ImageNet", suffix=".jpg"), False),
    "ImageFolder": (lambda root: write_folder(root, suffix=".jpg"), False),
    "mine.npz": (write_npz, True),
}


@pytest.fixture
def written(tmp_path, request):
    """The name of a data set, its folder, and a function that loads it."""
    name = request.param
    WRITERS[name][0](tmp_path)
    known = str(tmp_path / name) if name.endswith(".npz") else name
    size = {"image_size": 16} if name in ("ImageNet", "ImageFolder") else {}
    return name, tmp_path, lambda: data.load(known, data_path=tmp_path, workers=0, **size)


def files_of(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_every_data_set_is_here():
    assert set(WRITERS) == {*data.DATASETS, "mine.npz"} - set(BUILT_IN)


def check(loaded: data.LabeledData) -> None:
    """Labels, tensors, defaults and a network's step."""
    for part in (loaded.train, loaded.test):
        assert part.labels.shape == (len(part),)
        assert part.labels.dtype == np.int64
        ids = np.array([len(part) - 1, 0, 0])
        (x,) = part.batches([ids], device=CPU)
        assert x.shape == (3, *part.shape)
        assert x.dtype == torch.float32
        assert torch.isfinite(x).all()
        assert torch.equal(x[1], x[2])
        assert not torch.equal(x[0], x[1])
    assert set(loaded.train.labels) == set(range(loaded.num_classes))
    assert set(loaded.test.labels) <= set(range(loaded.num_classes))
    assert loaded.recipe in RECIPES
    drawn = [
        torch.cat(list(loaded.train.batches([np.arange(3), np.array([2])], device=CPU, augment_seed=seed)))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(drawn[0], drawn[1])
    if loaded.name not in (*BUILT_IN, "mine.npz"):  # these know no augmentation
        assert not torch.equal(drawn[0], drawn[2])
    net = nets.build(loaded.default_net, loaded.train.shape, loaded.num_classes, seed=0)
    labels = torch.from_numpy(loaded.train.labels[[0, 1, 2, 2]])
    torch.nn.functional.cross_entropy(net(drawn[0]), labels).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


@pytest.mark.parametrize("written", WRITERS, indirect=True)
def test_small_files_in_the_real_format_are_read(written):
    _, _, load = written
    check(load())
    assert load().fingerprint == load().fingerprint


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_data(name):
    check(data.load(name))


@pytest.mark.parametrize("written", WRITERS, indirect=True)
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.97])
def test_each_truncated_file_is_named_in_one_sentence(written, keep):
    name, root, load = written
    for file in files_of(root):
        if file.suffix == ".txt":
            continue  # a table cut between two lines is another table
        whole = file.read_bytes()
        file.write_bytes(whole[: int(keep * len(whole))])
        if WRITERS[name][1]:
            with pytest.raises(UsageError, match=file.name) as error:
                load()
            assert "\n" not in str(error.value)
        else:
            loaded = load()
            part = loaded.train if "train" in file.parts else loaded.test
            with pytest.warns(UserWarning, match=rf"{file.name}, cannot be read"):
                list(part.batches([np.arange(len(part))], device=CPU))
        file.write_bytes(whole)
    load()


# a folder of images holds what it holds
@pytest.mark.parametrize("written", [n for n, (_, refused) in WRITERS.items() if refused], indirect=True)
def test_a_missing_file_is_named(written):
    _, root, load = written
    file = files_of(root)[-1]
    file.unlink()
    stem = file.name.split(".")[0]
    with pytest.raises(UsageError, match=stem) as error:
        load()
    assert "\n" not in str(error.value)
