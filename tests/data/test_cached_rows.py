"""Image folders through a cache of pictures: loader and command line, what is said and what is refused."""

from __future__ import annotations

import json
import os
import warnings

import numpy as np
import pytest
import torch
from image_folders import all_rows, load, write_folder
from PIL import Image

from deepcore.common.checks import StoredMismatch, UsageError
from deepcore.data import datasets

IDS = np.array([7, 0, 11, 7, 3, 5])


def test_test_pictures_are_those_of_the_files_and_training_is_that_of_the_resized_pictures(tmp_path):
    root = write_folder(tmp_path / "files")
    decoded, cached = load(root), load(root, cache=tmp_path / "cache")
    for part, ids in (("train", IDS), ("test", IDS % 6)):
        expected = all_rows(getattr(decoded, part), ids)
        torch.testing.assert_close(all_rows(getattr(cached, part), ids), expected, rtol=0, atol=0)
        assert getattr(cached, part).shape == getattr(decoded, part).shape
        np.testing.assert_array_equal(getattr(cached, part).labels, getattr(decoded, part).labels)
    for i, path in enumerate([*decoded.paths, *decoded.test.paths]):  # as anybody would resize the folder
        target = tmp_path / "resized" / os.fsdecode(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(root / os.fsdecode(path)) as image:
            short = 20 / min(image.size)
            size = tuple(int(side * short + 1e-9) for side in image.size)
            image.convert("RGB").resize(size, Image.Resampling.BILINEAR).save(target)
            assert cached.cache.picture(i).shape[:2] == size[::-1]
    resized = load(tmp_path / "resized")
    for seed in range(10):
        torch.testing.assert_close(
            all_rows(cached.train, IDS, seed=seed), all_rows(resized.train, IDS, seed=seed), rtol=0, atol=0
        )
    assert not torch.equal(all_rows(cached.train, IDS, seed=1), all_rows(decoded.train, IDS, seed=1))
    np.testing.assert_array_equal(cached.paths, decoded.paths)


def test_workers_read_it_too_and_its_files_are_not_needed_any_more(tmp_path):
    root = write_folder(tmp_path / "files")
    alone, helped = (load(root, cache=tmp_path / "cache", workers=workers) for workers in (0, 2))
    expected = [all_rows(alone.train, IDS, 3, seed) for seed in (None, 4)]
    for file in root.rglob("*.png"):
        file.unlink()
    for seed, rows in zip((None, 4), expected, strict=True):
        torch.testing.assert_close(all_rows(helped.train, IDS, 3, seed), rows, rtol=0, atol=0)


def test_the_fingerprint_is_another_than_that_of_the_files_and_does_not_follow_the_folder(tmp_path):
    root = write_folder(tmp_path / "files")
    prints = [load(root, cache=tmp_path / name).fingerprint for name in ("a", "b")]
    assert prints[0] == prints[1] != load(root).fingerprint
    assert load(root, cache=tmp_path / "a", resize=24).fingerprint != prints[0]
    assert not (tmp_path / "a").exists()  # nothing is written before a row is read


def test_broken_images_of_a_cache_are_blank_and_named_once(tmp_path):
    root = write_folder(tmp_path / "files")
    (root / "train" / "dog" / "dog_1.png").write_bytes(b"no image")
    (root / "val" / "cat" / "cat_0.png").write_bytes(b"no image")
    cached = load(root, cache=tmp_path / "cache")
    with pytest.warns(UserWarning, match=r"row 5, train/dog/dog_1.png, cannot be read \(cannot identify"):
        x = all_rows(cached.train, np.arange(12))
    assert [row for row in range(12) if x[row].abs().max() < 0.02] == [5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        all_rows(cached.train, np.arange(12), seed=3)
    with pytest.warns(UserWarning, match=r"row 0, val/cat/cat_0.png, cannot be read"):
        all_rows(cached.test, np.arange(6))


def test_a_cache_of_another_folder_is_refused_when_it_is_first_read(tmp_path):
    all_rows(load(write_folder(tmp_path / "pets"), cache=tmp_path / "cache").train, IDS)
    others = load(write_folder(tmp_path / "others", classes=("ant", "bee", "cow")), cache=tmp_path / "cache")
    with pytest.raises(
        StoredMismatch, match=r"another data set.*\(it is without the file train/ant/ant_0.png"
    ):
        all_rows(others.train, IDS)
    with pytest.raises(UsageError, match="--cache is empty"):
        load(tmp_path / "pets", cache="")


def test_tiny_imagenet_and_the_rest_take_it(tmp_path):
    write_folder(tmp_path / "tiny-imagenet-200")
    tiny = datasets.load("TinyImageNet", data_path=tmp_path, workers=0, cache=tmp_path / "cache")
    assert all_rows(tiny.train, IDS, seed=1).shape == (6, 3, 64, 64)
    assert tiny.cache.resize == 64
    assert datasets.load("Digits", cache=tmp_path / "cache").cache is None


# --- the command line ------------------------------------------------------------------------------------

FLAGS = (
    *("--dataset", "ImageFolder", "--data_path", "pets", "--image_size", 16, "--resize", 20, "--workers", 0),
    *("--model", "MLP", "--epochs", 3, "--num_exp", 1, "--fraction", 0.5, "--selection", "CLD", "Random"),
)


def test_a_command_builds_it_once_and_says_so(call, tmp_path):
    write_folder(tmp_path / "pets", per_class=9)
    status, out, err = call(*FLAGS, "--cache", "cache", "--dry_run")
    assert status == 0
    assert "cache of 33 pictures to build in cache: about " in out
    assert not (tmp_path / "cache").exists()
    status, table, err = call(*FLAGS, "--cache", "cache")
    assert status == 0
    assert "cache: 33 pictures of 20 pixels on the shorter side take " in err
    assert err.index("cache: 33") < err.index("trains")
    _, out, _ = call(*FLAGS, "--cache", "cache", "--dry_run", "--seed", 1)
    assert "cache of 33 pictures found in cache" in out
    before = (tmp_path / "cache" / "pictures").stat()
    status, again, err = call(*FLAGS, "--cache", "cache")
    assert (status, again) == (0, table)
    assert "cache" not in err
    assert (tmp_path / "cache" / "pictures").stat().st_mtime_ns == before.st_mtime_ns
    _, _, err = call(*FLAGS)  # from the files it is other data
    assert "trains" in err
    assert len(list((tmp_path / "runs" / "rows").glob("*.json"))) == 4
    rows = [json.loads(path.read_text()) for path in (tmp_path / "runs" / "rows").glob("*.json")]
    assert all(row["status"] == "ok" for row in rows)


def test_a_disk_that_is_too_small_is_told_before_anything_is_trained(call, tmp_path, monkeypatch):
    from deepcore.experiment import preflight

    write_folder(tmp_path / "pets", per_class=9)
    monkeypatch.setattr(preflight, "free_disk", lambda folder: 1000 if folder.name == "cache" else 10**12)
    status, out, err = call(*FLAGS, "--cache", "cache")
    assert status == 2
    assert "writing a cache of 33 pictures into cache needs about " in err
    assert "of disk, 1 kB are free: give --cache a folder on a larger disk, lower --resize" in err
    assert "Traceback" not in err
    assert not (tmp_path / "cache").exists()
    status, out, _ = call(*FLAGS, "--cache", "cache", "--dry_run")
    assert status == 0
    assert "this would be refused: writing a cache of 33 pictures into cache" in out


def test_the_cache_of_another_size_stops_the_command(call, tmp_path):
    write_folder(tmp_path / "pets", per_class=9)
    assert call(*FLAGS, "--cache", "cache")[0] == 0
    status, _, err = call(*FLAGS, "--resize", 24, "--cache", "cache")
    assert status == 2
    assert "cache is the cache of another data set, or of another size (its pictures have 20 pixels" in err
    status, _, err = call("--dataset", "Digits", "--cache", "cache", "--dry_run", "--num_exp", 1)
    assert status == 0
    assert "--cache is ignored: Digits is no folder of images" in err
    (tmp_path / "file").write_text("")
    status, _, err = call(*FLAGS, "--seed", 1, "--cache", "file")
    assert status == 2
    assert "file is, or lies below, a file: give --cache a folder" in err
