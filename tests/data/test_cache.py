"""The cache of an image folder: the same pixels, whatever happens to its build; refused when another's."""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepcore.common.checks import StoredMismatch, UsageError
from deepcore.common.files import locked
from deepcore.common.progress import Progress
from deepcore.data import cache as module
from deepcore.data import cache_work
from deepcore.data.cache import ImageFiles, PictureCache
from deepcore.data.pictures import Crops

QUIET = Progress(quiet=True)
SIZES = ((40, 30), (30, 40), (33, 33), (80, 20), (21, 64), (12, 9))  # width, height
MODES = ("RGB", "L", "P", "RGBA", "CMYK")


def write_images(root: Path, count: int = 12) -> ImageFiles:
    """Images of several shapes and modes; their list."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8))
        image = coarse.resize(SIZES[i % len(SIZES)], Image.Resampling.BICUBIC).convert(MODES[i % len(MODES)])
        image.save(root / f"{i:03d}{'.tif' if image.mode == 'CMYK' else '.png'}")
    return listed(root)


def listed(root: Path) -> ImageFiles:
    files = sorted(root.iterdir())
    paths = np.array([os.fsencode(file.name) for file in files], np.bytes_)
    return ImageFiles(root, paths, np.array([file.stat().st_size for file in files], np.int64))


def built(folder: Path, files: ImageFiles, resize: int = 16, workers: int = 0) -> PictureCache:
    cache = PictureCache(folder, files, resize, workers=workers)
    cache.build(QUIET)
    return cache


def content(folder: Path) -> dict[str, bytes]:
    """All files but the lock."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}


def told(progress: Progress) -> list[str]:
    lines: list[str] = []
    progress.say = lines.append
    return lines


# --- what it holds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 2])
def test_it_holds_each_picture_as_the_test_transform_resizes_it(tmp_path, workers):
    files = write_images(tmp_path / "images", 150)  # three chunks
    cache = built(tmp_path / "cache", files, 16, workers)
    assert cache.finished
    assert len(cache) == 150
    crops, total = Crops(13, 16), 0
    for i, path in enumerate(files.paths):
        with Image.open(files.root / os.fsdecode(path)) as image:
            width, height = image.size
            pixels = cache.picture(i)
            short = 16 / min(width, height)
            assert pixels.shape == (int(height * short + 1e-9), int(width * short + 1e-9), 3)
            np.testing.assert_array_equal(
                pixels, image.convert("RGB").resize(pixels.shape[1::-1], Image.Resampling.BILINEAR)
            )
            np.testing.assert_array_equal(crops.middle(pixels), crops.test(image))
        total += pixels.size
    assert cache.nbytes == total == (tmp_path / "cache" / "pictures").stat().st_size
    assert not pixels.flags.writeable
    assert sorted(content(tmp_path / "cache")) == ["cache.json", "index.npz", "pictures"]


def test_training_from_it_equals_training_from_the_resized_pictures(tmp_path):
    cache = built(tmp_path / "cache", write_images(tmp_path / "images"))
    crops = Crops(13, 16)
    for i in range(12):
        pixels = cache.picture(i)
        Image.fromarray(pixels).save(tmp_path / "resized.png")
        with Image.open(tmp_path / "resized.png") as image:
            np.testing.assert_array_equal(crops.middle(pixels), crops.test(image))
            for seed in range(20):
                ours, theirs = (
                    crops.train(source, np.random.default_rng(seed))
                    for source in (Image.fromarray(pixels), image)
                )
                np.testing.assert_array_equal(ours, theirs)


def test_a_copy_in_another_process_maps_the_file_itself(tmp_path):
    cache = built(tmp_path / "cache", write_images(tmp_path / "images", 40))
    cache.picture(0)
    sent = pickle.dumps(cache)
    assert len(sent) < cache.nbytes / 4
    for i in (3, 39):
        np.testing.assert_array_equal(pickle.loads(sent).picture(i), cache.picture(i))


# --- building --------------------------------------------------------------------------------------------


def test_a_finished_cache_is_used_as_it_is_even_where_nothing_may_be_written(tmp_path, monkeypatch):
    files = write_images(tmp_path / "images")
    built(tmp_path / "cache", files)
    (tmp_path / "cache" / ".cache.lock").unlink()
    before = content(tmp_path / "cache")
    monkeypatch.setattr(module, "in_chunks", None)
    monkeypatch.setattr(module, "locked", None)
    moved = ImageFiles(tmp_path / "elsewhere", files.paths, files.sizes)
    np.testing.assert_array_equal(built(tmp_path / "cache", moved).picture(4)[0, 0].shape, (3,))
    assert content(tmp_path / "cache") == before
    assert not (tmp_path / "cache" / ".cache.lock").exists()


def test_the_size_is_said_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "free_disk", lambda folder: 3 * 10**9)
    files, progress = write_images(tmp_path / "images"), Progress(quiet=True)
    lines = told(progress)
    cache = PictureCache(tmp_path / "cache", files, 16)
    real = cache_work._write
    monkeypatch.setattr(cache_work, "_write", lambda *args: (lines.append("written"), real(*args)))
    cache.build(progress)
    mb = f"{cache.nbytes / 1e3:.3g} kB"
    assert lines[:3] == [
        "cache: reading the sizes of 12 pictures",
        f"cache: 12 pictures of 16 pixels on the shorter side take {mb}; {tmp_path / 'cache'} has 3 GB free",
        "written",
    ]


def test_a_disk_without_the_room_is_refused_with_what_would_fit(tmp_path, monkeypatch):
    files = write_images(tmp_path / "images", 30)
    wanted = built(tmp_path / "other", files).nbytes
    for short, advice in ((1, r"lower --resize \(to about 15\)"), (wanted * 3 // 4, r"\(to about 8\)")):
        free = module.SPARE + wanted - short
        monkeypatch.setattr(module, "free_disk", lambda folder, free=free: free)
        with pytest.raises(
            UsageError, match=f"30 pictures of 16 .* takes [0-9.]+ kB, and .* has .* free: .*{advice}"
        ):
            built(tmp_path / "cache", files)
        assert not (tmp_path / "cache" / "pictures.part").exists()
    monkeypatch.setattr(module, "free_disk", lambda folder: module.SPARE + wanted)
    built(tmp_path / "cache", files)


KILLED = """
import os, sys, time
sys.path.insert(0, sys.argv.pop())
from test_cache import listed, Path, PictureCache, Progress, cache_work, module
module.SAVE_SECONDS = 0.0
real = cache_work._write
def slow(handle, content, offset):
    real(handle, content, offset)
    time.sleep(0.01)
cache_work._write = slow
cache = PictureCache(Path(sys.argv[2]), listed(Path(sys.argv[1])), 16, workers=1)
cache.build(Progress(quiet=True))
"""


def test_a_killed_build_looks_unfinished_and_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    files, folder = write_images(tmp_path / "images", 400), tmp_path / "cache"
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(files.root),
        str(folder),
        str(Path(__file__).parent),
    ]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
    state, patience = folder / "cache.json", time.monotonic() + 60
    while not (state.exists() and json.loads(state.read_text())["done"]) and time.monotonic() < patience:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = json.loads(state.read_text())["done"]
    assert 0 < done < 400
    cache = PictureCache(folder, files, 16)
    assert not cache.finished
    written = []
    real = cache_work._write
    monkeypatch.setattr(cache_work, "_write", lambda *args: (written.append(1), real(*args)))
    built(folder, files)
    assert len(written) == 400 - done
    assert content(folder) == content(built(tmp_path / "undisturbed", files).folder)


@pytest.mark.parametrize(
    ("owner", "name", "times"),
    [
        (module, "write_npz", 1),
        (module, "write_json", 5),
        (os, "fsync", 4),
        (os, "replace", 7),
        (cache_work, "_write", 12),
    ],
)
def test_a_build_stopped_at_any_step_goes_on_to_the_same_bytes(tmp_path, monkeypatch, owner, name, times):
    monkeypatch.setattr(cache_work, "CHUNK", 4)
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    files = write_images(tmp_path / "images")
    expected = content(built(tmp_path / "undisturbed", files).folder)
    for at in range(times + 1):
        folder = tmp_path / f"cache{at}"
        with monkeypatch.context() as patch:
            calls, real = [], getattr(owner, name)

            def stopped(*args, calls=calls, real=real, at=at, **options):
                calls.append(1)
                if len(calls) > at:
                    raise KeyboardInterrupt
                return real(*args, **options)

            patch.setattr(owner, name, stopped)
            if at < times:
                with pytest.raises(KeyboardInterrupt):
                    built(folder, files)
                assert not PictureCache(folder, files, 16).finished
            else:
                built(folder, files)
        assert content(built(folder, files).folder) == expected


def test_a_lost_part_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_work, "CHUNK", 4)
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    files, folder = write_images(tmp_path / "images"), tmp_path / "cache"
    expected = content(built(tmp_path / "undisturbed", files).folder)
    for damage in (Path.unlink, lambda part: os.truncate(part, 100)):
        with monkeypatch.context() as patch:
            patch.setattr(
                os,
                "replace",
                lambda *args, real=os.replace: real(*args) if args[1] != folder / "pictures" else 1 / 0,
            )
            with pytest.raises(ZeroDivisionError):
                built(folder, files)
        damage(folder / "pictures.part")
        assert content(built(folder, files).folder) == expected
        (folder / "pictures").unlink()


def test_a_full_disk_and_a_lost_file_are_told_as_the_system_does_and_the_build_goes_on(tmp_path, monkeypatch):
    files, folder = write_images(tmp_path / "images"), tmp_path / "cache"

    def full(handle, content, offset):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left on device") as error:
            built(folder, files)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(folder / "pictures.part"))
    lost = files.root / "005.png"
    lost.rename(tmp_path / "kept")
    with pytest.raises(FileNotFoundError) as error:
        built(folder, files)
    assert error.value.filename == str(lost)
    (tmp_path / "kept").rename(lost)
    assert content(built(folder, files).folder) == content(built(tmp_path / "undisturbed", files).folder)


def test_a_system_that_writes_less_than_it_was_given(tmp_path, monkeypatch):
    files = write_images(tmp_path / "images")
    expected = content(built(tmp_path / "whole", files).folder)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, rest, offset: real(handle, rest[:100], offset))
    assert content(built(tmp_path / "pieces", files).folder) == expected


# --- files that are no pictures --------------------------------------------------------------------------


def test_broken_images_are_named_and_have_no_picture(tmp_path):
    files = write_images(tmp_path / "images")
    half = (files.root / "000.png").read_bytes()
    (files.root / "000.png").write_bytes(half[: len(half) // 2])
    (files.root / "007.png").write_bytes(b"no image")
    files, progress = listed(files.root), Progress(quiet=True)
    lines, cache = told(progress), PictureCache(tmp_path / "cache", files, 16)
    cache.build(progress)
    assert (
        lines[-1]
        == "cache: 2 of 12 images cannot be read, 000.png the first; a blank picture stands for each"
    )
    assert "runcated" in cache.picture(0)
    assert cache.picture(7).startswith("cannot identify")
    assert built(tmp_path / "cache", files).picture(7) == cache.picture(7)
    for i in (1, 6, 8, 11):
        with Image.open(files.root / os.fsdecode(files.paths[i])) as image:
            np.testing.assert_array_equal(Crops(13, 16).middle(cache.picture(i)), Crops(13, 16).test(image))


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("text", [b"no image", None])
def test_too_many_broken_images(tmp_path, text):
    files = write_images(tmp_path / "images")
    for file in list(files.root.iterdir())[:11]:
        file.write_bytes(file.read_bytes()[:70] if text is None else text)
    with pytest.raises(
        UsageError, match=r"11 of 12 images cannot be read \(.*png, .*\.\.\.\): fetch them again"
    ):
        built(tmp_path / "cache", listed(files.root))
    assert not PictureCache(tmp_path / "cache", files, 16).finished


# --- whose it is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("finished", [True, False])
def test_the_cache_of_another_data_set_is_refused_with_what_differs(tmp_path, monkeypatch, finished):
    root, folder = tmp_path / "images", tmp_path / "cache"
    files = write_images(root)
    built(folder, files)
    if not finished:
        (folder / "pictures").rename(folder / "pictures.part")
    before = content(folder)

    def refused(files, what, resize=16):
        with pytest.raises(StoredMismatch, match=re.escape(what)) as error:
            built(folder, files, resize)
        assert str(error.value).startswith(f"{folder} is the cache of another data set, or of another size (")
        assert str(error.value).endswith("give --cache another folder, or delete this one")
        assert content(folder) == before

    refused(files, "its pictures have 16 pixels and --resize is 20", 20)
    (root / "003.png").rename(root / "0031.png")
    refused(listed(root), "(it is without the file 0031.png)")
    (root / "0031.png").unlink()
    refused(listed(root), "(gone is the file 003.png)")
    write_images(root)
    (root / "010.png").write_bytes((root / "010.png").read_bytes() + b"\0")
    refused(listed(root), "(changed is the file 010.png)")
    write_images(root)
    refused(write_images(root, 15), "(it is without the file 012.png and 2 more)")
    for i in (12, 13, 14):
        next(root.glob(f"0{i}*")).unlink()
    assert built(folder, listed(root)).finished
    with pytest.raises(UsageError, match="resize is 0"):
        built(folder, files, 0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("cache.json", b"{", "the cache's state .* is damaged"),
        ("cache.json", b"[]", "is of another version"),
        ("cache.json", b'{"format": 99}', "is of another version"),
        ("index.npz", b"PK", "no .npz of plain arrays"),
        ("pictures", b"abc", "has 3 bytes, and .* were written"),
    ],
)
def test_damage_is_told_with_the_remedy(tmp_path, name, text, message):
    files, folder = write_images(tmp_path / "images"), tmp_path / "cache"
    built(folder, files)
    (folder / name).write_bytes(text)
    with pytest.raises(
        StoredMismatch, match=f"{message}.*delete {folder}, and the next command builds it again"
    ):
        built(folder, files).picture(0)


def test_nothing_is_unpickled(tmp_path):
    files, folder = write_images(tmp_path / "images"), tmp_path / "cache"
    built(folder, files)
    np.savez(folder / "index.npz", paths=np.array([{}], object), sizes=files.sizes, shapes=np.zeros((12, 2)))
    with pytest.raises(StoredMismatch, match=r"index.npz: no .npz of plain arrays"):
        built(folder, files)


def test_a_cache_in_a_folder_that_is_held_already_is_built(tmp_path):
    files = write_images(tmp_path / "images")
    held = tmp_path / "runs"
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits for itself"))
    signal.alarm(20)
    try:
        with locked(held):
            assert built(held, files).finished
    finally:
        signal.alarm(0)
