"""Image folders: the crops, streaming through workers, layouts, and broken files."""

import csv
import json
import os
import warnings

import numpy as np
import pytest
import torch
from image_folders import SIZES, all_rows, load, picture, write_folder
from PIL import Image

import main
from deepcore.common import seeding
from deepcore.common.checks import UsageError
from deepcore.data import datasets as data
from deepcore.data.folder import SUFFIXES
from deepcore.data.pictures import Crops, random_box
from deepcore.data.streaming import MEAN, STD

CPU = torch.device("cpu")


def as_pixels(x):
    return np.rint((x.permute(0, 2, 3, 1) * STD + MEAN).numpy()).astype(np.uint8)


# --- one picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*SIZES, (20, 20), (257, 301)])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK"])
def test_the_test_picture_equals_torchvisions(size, mode):
    transforms = pytest.importorskip("torchvision.transforms")
    image = picture(size, 3).convert(mode)
    theirs = transforms.Compose([transforms.Resize(20), transforms.CenterCrop(17)])(image.convert("RGB"))
    np.testing.assert_array_equal(Crops(17, 20).test(image), np.asarray(theirs))


@pytest.mark.parametrize("size", [*SIZES, (257, 301), (500, 7)])
def test_the_train_picture_is_the_drawn_box_as_torchvision_resizes_it_sometimes_flipped(size):
    functional = pytest.importorskip("torchvision.transforms.functional")
    image = picture(size, 3)
    flips = 0
    for seed in range(40):
        left, top, width, height = random_box(*size, np.random.default_rng(seed))
        theirs = np.asarray(functional.resized_crop(image, top, left, height, width, (16, 16)))
        ours = Crops(16, 20).train(image, np.random.default_rng(seed))
        flipped = not np.array_equal(ours, theirs)
        np.testing.assert_array_equal(ours, theirs[:, ::-1] if flipped else theirs)
        flips += flipped
    assert 8 < flips < 32


def test_random_boxes_have_the_published_distribution():
    rng = np.random.default_rng(0)
    boxes = np.array([random_box(1000, 1000, rng) for _ in range(4000)])
    left, top, width, height = boxes.T
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + width <= 1000).all()
    assert (top + height <= 1000).all()
    area, ratio = width * height / 1e6, np.log(width / height)
    assert 0.079 < area.min() < 0.09
    assert area.max() > 0.95
    assert np.abs(ratio).max() < np.log(4 / 3) + 0.01
    small = area < 0.5  # such boxes always fit: there the law is not bent by the redrawing
    np.testing.assert_allclose(np.quantile(area[small], [0.25, 0.5, 0.75]), [0.185, 0.29, 0.395], atol=0.02)
    np.testing.assert_allclose(
        np.quantile(ratio[small] / np.log(4 / 3), [0.25, 0.5, 0.75]), [-0.5, 0, 0.5], atol=0.06
    )
    free = 1000 - width[small]
    assert abs((left[small] / free).mean() - 0.5) < 0.02
    assert (left[small] == 0).any()
    assert (left[small] == free).any()


def test_a_box_of_an_extreme_picture_is_its_centre():
    assert random_box(900, 9, np.random.default_rng(0)) == (444, 0, 12, 9)
    assert random_box(9, 900, np.random.default_rng(0)) == (0, 444, 9, 12)
    assert random_box(1, 1, np.random.default_rng(0)) == (0, 0, 1, 1)


# --- rows ------------------------------------------------------------------------------------------------


def test_rows_are_the_files_in_sorted_order(tmp_path):
    loaded = load(write_folder(tmp_path))
    paths = [os.fsdecode(path) for path in loaded.paths]
    assert paths == [f"train/{name}/{name}_{i}.png" for name in ("cat", "dog", "emu") for i in range(4)]
    np.testing.assert_array_equal(loaded.train.labels, np.repeat([0, 1, 2], 4))
    np.testing.assert_array_equal(loaded.test.labels, np.repeat([0, 1, 2], 2))
    ids = [7, 0, 11, 7, 3, 5]
    got = as_pixels(all_rows(loaded.train, ids))
    for row, pixels in zip(ids, got, strict=True):
        np.testing.assert_array_equal(pixels, Crops(16, 20).test(Image.open(tmp_path / paths[row])))
    last = Crops(16, 20).test(Image.open(tmp_path / "val" / "emu" / "emu_1.png"))
    np.testing.assert_array_equal(as_pixels(all_rows(loaded.test, [5]))[0], last)
    assert loaded.train.shape == (3, 16, 16)


def test_the_order_of_ids_is_torchvisions(tmp_path):
    datasets = pytest.importorskip("torchvision.datasets")
    write_folder(tmp_path, per_class=3)
    for below in ("b", "a/x", "a"):  # nested folders, and files that are no images
        folder = tmp_path / "train" / "dog" / below
        folder.mkdir(parents=True, exist_ok=True)
        picture((9, 9), 1).save(folder / "z.JPEG")
        (folder / "notes.txt").write_text("no image")
    theirs = datasets.ImageFolder(str(tmp_path / "train"))
    ours = load(tmp_path)
    assert [os.path.join(tmp_path, os.fsdecode(path)) for path in ours.paths] == [
        path for path, _ in theirs.samples
    ]
    assert ours.train.labels.tolist() == theirs.targets


def test_augmentation_follows_the_seed_and_the_position_alone(tmp_path):
    loaded = load(write_folder(tmp_path))
    ids = np.array([3, 3, 3, 8, 0, 11, 3])
    whole = all_rows(loaded.train, ids, batch=7, seed=5)
    torch.testing.assert_close(whole, all_rows(loaded.train, ids, batch=2, seed=5), rtol=0, atol=0)
    torch.testing.assert_close(whole[:4], all_rows(loaded.train, ids[:4], seed=5), rtol=0, atol=0)
    assert not torch.equal(whole, all_rows(loaded.train, ids, seed=6))
    assert len(torch.unique(whole[[0, 1, 2, 6]], dim=0)) == 4  # drawn per position, not per row
    image = Image.open(tmp_path / os.fsdecode(loaded.paths[8]))
    expected = Crops(16, 20).train(image, seeding.stream(5, "augment", 3))
    np.testing.assert_array_equal(as_pixels(whole[3:4])[0], expected)


def test_workers_change_nothing_and_the_global_generator_is_left_alone(tmp_path):
    root = write_folder(tmp_path)
    alone, helped = load(root), load(root, workers=2)
    ids = np.array([5, 1, 10, 2, 2, 7, 0, 3])
    for seed in (None, 4):
        torch.testing.assert_close(
            all_rows(alone.train, ids, 3, seed), all_rows(helped.train, ids, 3, seed), rtol=0, atol=0
        )
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    all_rows(alone.train, ids, seed=1)
    assert torch.equal(torch.rand(1), expected)


def test_no_groups_no_batches(tmp_path):
    assert list(load(write_folder(tmp_path), workers=2).train.batches([], device=CPU)) == []


# --- broken files ----------------------------------------------------------------------------------------


def test_broken_images_are_named_once_and_replaced_by_a_blank(tmp_path):
    root = write_folder(tmp_path, suffix=".jpg")
    (root / "train" / "dog" / "dog_1.jpg").write_bytes(b"no image")
    whole = (root / "train" / "emu" / "emu_0.jpg").read_bytes()
    (root / "train" / "emu" / "emu_0.jpg").write_bytes(whole[: len(whole) // 2])
    loaded = load(root)
    with pytest.warns(UserWarning, match="cannot be read") as said:
        x = all_rows(loaded.train, np.arange(12))
    messages = sorted(str(w.message) for w in said)
    assert len(messages) == 2
    assert messages[0].startswith("row 5, train/dog/dog_1.jpg, cannot be read (cannot identify")
    assert messages[1].startswith("row 8, train/emu/emu_0.jpg, cannot be read (")
    assert "runcated" in messages[1]
    assert [row for row in range(12) if x[row].abs().max() < 0.02] == [5, 8]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # named once
        all_rows(loaded.train, np.arange(12), seed=3)


def test_a_file_that_vanished_and_too_many_broken_ones(tmp_path):
    loaded = load(write_folder(tmp_path))
    (tmp_path / "train" / "cat" / "cat_2.png").unlink()
    with pytest.warns(UserWarning, match=r"row 2, .*cat_2.png, cannot be read \(.*No such file"):
        all_rows(loaded.train, [2, 1])
    for file in (tmp_path / "train").rglob("*.png"):
        file.write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="cannot be read"),
        pytest.raises(UsageError, match=r"1[12] of 12 images cannot be read \(train/cat/cat_0.png, "),
    ):
        all_rows(loaded.train, np.arange(12))


# --- layouts ---------------------------------------------------------------------------------------------


def test_the_named_folders(tmp_path):
    write_folder(tmp_path / "imagenet")
    loaded = data.load("ImageNet", data_path=tmp_path, workers=0)
    assert (loaded.val_fraction, loaded.recipe, loaded.default_net) == (0.01, "paper-imagenet", "ResNet18")
    assert loaded.train.shape == (3, 224, 224)
    assert data.load("ImageNet", data_path=tmp_path / "imagenet", workers=0).fingerprint == loaded.fingerprint
    with pytest.raises(
        UsageError, match=r"TinyImageNet is not in .*tiny-imagenet-200/train.*cannot be downloaded"
    ):
        data.load("TinyImageNet", data_path=tmp_path, download=True)


def test_sizes_follow_each_other(tmp_path):
    write_folder(tmp_path)
    sizes = [
        data.load(
            "ImageFolder", data_path=tmp_path, workers=0, image_size=a, resize=b
        ).train.readers.files.crops
        for a, b in ((None, None), (112, None), (112, 112), (None, 300))
    ]
    assert sizes == [Crops(224, 256), Crops(112, 128), Crops(112, 112), Crops(224, 300)]
    for bad, message in (({"resize": 10}, "crops cannot exceed"), ({"image_size": 0}, "image_size is 0"),
                         ({"workers": -1}, "workers is -1")):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            load(tmp_path, **bad)


def test_tiny_imagenet_with_its_annotations(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for name in ("n02", "n01"):
        (root / "train" / name / "images").mkdir(parents=True)
        (root / "train" / name / f"{name}_boxes.txt").write_text("boxes")
        for i in range(3):
            picture((64, 64), i).save(root / "train" / name / "images" / f"{name}_{i}.JPEG")
    (root / "val" / "images").mkdir(parents=True)
    (root / "test" / "images").mkdir(parents=True)  # without labels: not used
    labels = {"val_0.JPEG": "n02", "val_1.JPEG": "n01", "val_2.JPEG": "n02"}
    for name in labels:
        picture((64, 64), 9).save(root / "val" / "images" / name)
    table = root / "val" / "val_annotations.txt"
    table.write_text("".join(f"{file}\t{name}\t0\t0\t62\t62\n" for file, name in labels.items()))
    loaded = data.load("TinyImageNet", data_path=tmp_path, workers=0)
    assert loaded.train.shape == (3, 64, 64)
    assert loaded.test.labels.tolist() == [1, 0, 1]
    assert loaded.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert os.fsdecode(loaded.test.paths[1]) == "val/images/val_1.JPEG"
    assert all_rows(loaded.test, [0, 1, 2]).shape == (3, 3, 64, 64)
    table.write_text("val_0.JPEG\tn03\t0\t0\t0\t0\n")
    with pytest.raises(UsageError, match=r"\['val_0.JPEG', 'n03'\] is not an image and a class"):
        data.load("TinyImageNet", data_path=tmp_path)
    table.write_text("val_9.JPEG\tn01\t0\t0\t0\t0\n")
    with pytest.raises(UsageError, match=r"lists val_9.JPEG, and there is no file"):
        data.load("TinyImageNet", data_path=tmp_path)


def test_bad_layouts(tmp_path):
    def refused(message):
        with pytest.raises(UsageError, match=message) as error:
            load(tmp_path)
        assert "\n" not in str(error.value)

    refused("expected the folder .*/train")
    write_folder(tmp_path, test="other")
    refused("neither val/ nor test/")
    (tmp_path / "other").rename(tmp_path / "test")
    load(tmp_path)
    (tmp_path / "test" / "fox").mkdir()
    refused("holds the class fox, which .*train does not have")
    (tmp_path / "test" / "fox").rmdir()
    (tmp_path / "train" / "eel").mkdir()
    refused(f"the folder eel without images.*{SUFFIXES[0]}")
    (tmp_path / "train" / "eel").rename(tmp_path / "train" / ".eel")
    load(tmp_path)
    for file in (tmp_path / "test").rglob("*.png"):
        file.unlink()
    refused("test holds no image")
    for name in ("dog", "emu"):
        (tmp_path / "train" / name).rename(tmp_path / name)
        (tmp_path / "test" / name).rename(tmp_path / f"test_{name}")
    refused("1 folders of classes; two classes")


def test_the_fingerprint_follows_names_sizes_and_crops(tmp_path):
    write_folder(tmp_path)
    prints = [load(tmp_path).fingerprint, load(tmp_path, image_size=17).fingerprint]
    assert load(tmp_path, workers=2).fingerprint == prints[0]
    picture((50, 50), 99).save(tmp_path / "train" / "cat" / "cat_0.png")
    prints.append(load(tmp_path).fingerprint)
    (tmp_path / "val" / "cat" / "cat_0.png").rename(tmp_path / "val" / "cat" / "cat_9.png")
    prints.append(load(tmp_path).fingerprint)
    assert len(set(prints)) == 4


@pytest.mark.parametrize("suffix", [".bmp", ".PPM", ".tif"])
def test_the_fingerprint_follows_pixels_where_the_length_of_the_file_does_not(tmp_path, suffix):
    write_folder(tmp_path)
    path = tmp_path / "train" / "cat" / f"plain{suffix}"
    Image.new("RGB", (9, 7), (1, 2, 3)).save(path)
    size, before = path.stat().st_size, load(tmp_path).fingerprint
    assert load(tmp_path).fingerprint == before
    Image.new("RGB", (9, 7), (3, 2, 1)).save(path)
    assert path.stat().st_size == size
    assert load(tmp_path).fingerprint != before


# --- the command line ------------------------------------------------------------------------------------


def test_a_folder_runs_end_to_end_and_the_files_name_the_images(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "pets", per_class=9)
    (tmp_path / "pets" / "train" / "dog" / "dog_4.png").write_bytes(b"no image")
    command = [
        *("--dataset", "ImageFolder", "--data_path", "pets", "--image_size", "16", "--resize", "20"),
        *("--model", "LeNet", "--workers", "0", "--epochs", "3", "--num_exp", "1", "--fraction", "0.5"),
        *("--selection", "CLD", "Random", "Full"),
    ]
    with pytest.warns(UserWarning, match="row 13, train/dog/dog_4.png, cannot be read"):
        assert main.main(command) == 0
    out = capsys.readouterr()
    assert [line.split()[0] for line in out.out.split("\n\n")[0].splitlines()[2:]] == [
        "CLD",
        "Random",
        "Full†",
    ]
    assert "ignored" not in out.err
    paths = [os.fsdecode(path) for path in load(tmp_path / "pets").paths]
    for stem, count in (("scores", 24), ("f0.5", 12)):
        (file,) = (tmp_path / "runs" / "selections").glob(f"*CLD*/{stem}.csv")
        rows = list(csv.DictReader(file.open()))
        assert len(rows) == count
        assert all(row["path"] == paths[int(row["id"])] for row in rows)
    (file,) = (tmp_path / "runs" / "selections").glob("*Random*/f0.5.npz")
    chosen = np.load(file, allow_pickle=False)
    assert [paths[i] for i in chosen["ids"]] == chosen["paths"].tolist()
    accuracies = [json.loads(p.read_text())["accuracy"] for p in (tmp_path / "runs" / "rows").glob("*.json")]
    assert len(accuracies) == 3
    assert main.main(command) == 0  # nothing is read again: every row is there
    assert "trains" not in capsys.readouterr().err
