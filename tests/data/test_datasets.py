"""Rows in memory, augmentation, and the loaders that need no network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.common import torchvision_import
from deepcore.common.checks import UsageError
from deepcore.data import datasets as data
from deepcore.data import memory
from deepcore.data.memory import Augmentation, from_arrays

CPU = torch.device("cpu")


def all_rows(rows, ids, batch=7, seed=None):
    groups = [np.asarray(ids)[i : i + batch] for i in range(0, len(ids), batch)]
    return torch.cat(list(rows.batches(groups, device=CPU, augment_seed=seed))).numpy()


def tiny_images(n=40, shape=(6, 5, 3), seed=0, dtype=np.uint8):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, size=(n, *shape)).astype(dtype)
    return x, np.arange(n) % 4


def tiny(augmentation=None, **arrays):
    x, y = tiny_images()
    parts = {"x_train": x[:30], "y_train": y[:30], "x_test": x[30:], "y_test": y[30:], **arrays}
    return from_arrays("tiny", *parts.values(), augmentation=augmentation)


# --- batches ---------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    groups=st.lists(st.lists(st.integers(0, 29), max_size=9), max_size=8),
    limit=st.sampled_from([1, 360 * 4, 360 * 11, 1 << 20]),
    dtype=st.sampled_from([np.uint8, np.float32]),
)
def test_batches_are_the_named_rows_in_order_normalised_by_the_train_part(groups, limit, dtype):
    x, y = tiny_images(dtype=dtype)
    loaded = from_arrays("tiny", x[:30], y[:30], x[30:], y[30:])
    mean, std = x[:30].mean(axis=(0, 1, 2)), x[:30].std(axis=(0, 1, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(memory.CHUNK_BYTES, "cpu", limit)
        got = list(loaded.train.batches([np.array(g, np.int64) for g in groups], device=CPU))
    assert [len(g) for g in groups] == [len(b) for b in got]
    for group, batch in zip(groups, got, strict=True):
        assert batch.dtype == torch.float32
        assert batch.is_contiguous()
        expected = ((x[group] - mean) / std).transpose(0, 3, 1, 2) if group else np.zeros((0, 3, 6, 5))
        np.testing.assert_allclose(batch.numpy(), expected, atol=1e-5)


def test_a_consumer_may_write_into_its_batch():
    x, y = tiny_images(dtype=np.float32)
    loaded = from_arrays("tiny", x, y, x, y)
    before = all_rows(loaded.train, range(40))
    for batch in loaded.train.batches([np.arange(40)], device=CPU):
        batch.zero_()
    np.testing.assert_array_equal(all_rows(loaded.train, range(40)), before)
    np.testing.assert_array_equal(x, tiny_images(dtype=np.float32)[0])


def test_the_test_part_is_normalised_by_the_train_part():
    loaded = tiny()
    train, test = tiny_images()[0][:30], tiny_images()[0][30:]
    expected = (test - train.mean(axis=(0, 1, 2))) / train.std(axis=(0, 1, 2))
    np.testing.assert_allclose(
        all_rows(loaded.test, range(10)), expected.transpose(0, 3, 1, 2), rtol=0, atol=1e-5
    )


def test_ids_out_of_range_are_refused():
    for ids in ([30], [-1]):
        with pytest.raises(IndexError, match="30 rows"):
            all_rows(tiny().train, ids)


def test_a_constant_feature_becomes_zero():
    x = np.random.default_rng(0).standard_normal((20, 3)) * 7 + 2
    x[:, 1] = 0.1  # not a float32
    x = np.c_[x, np.where(np.arange(20) % 3, 1000, np.nextafter(np.float32(1000), np.float32(2000)))]
    test = x.copy()
    test[:, 1] = 0.3
    loaded = from_arrays("vectors", x, np.arange(20) % 2, test, np.arange(20) % 2)
    train = all_rows(loaded.train, range(20))
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(train.std(axis=0), [1, 0, 1, 0], atol=1e-4)
    np.testing.assert_allclose(all_rows(loaded.test, range(20))[:, 1], 0.2, atol=1e-6)


# --- augmentation ----------------------------------------------------------------------------------------


def every_outcome(image, pad, flip):
    """All crops (and flips) of one (C, H, W) image padded with zeros, written out."""
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (pad, pad), (pad, pad)))
    crops = [
        padded[:, dy : dy + height, dx : dx + width] for dy in range(2 * pad + 1) for dx in range(2 * pad + 1)
    ]
    return crops + [crop[:, :, ::-1] for crop in crops] if flip else crops


@pytest.mark.parametrize(("pad", "flip"), [(0, True), (1, False), (1, True), (2, True)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_augmentation_draws_uniformly_from_all_crops_and_flips(pad, flip, dtype):
    x, y = tiny_images(dtype=dtype)
    loaded = from_arrays("tiny", x, y, x, y, augmentation=Augmentation(pad, flip))
    mean, std = (s.reshape(3, 1, 1) for s in memory.mean_and_std(x.transpose(0, 3, 1, 2)))
    outcomes = [
        [((o - mean) / std).astype(np.float32) for o in every_outcome(i.transpose(2, 0, 1), pad, flip)]
        for i in x
    ]
    counts = np.zeros(len(outcomes[0]), int)
    repeats = 40 * len(counts) // len(x) + 1
    for ids in np.random.default_rng(1).permuted(np.tile(np.arange(40), (repeats, 1)), axis=1):
        for row, image in zip(ids, all_rows(loaded.train, ids, seed=int(ids[0]) + 100), strict=True):
            distances = [np.abs(image - outcome).max() for outcome in outcomes[row]]
            assert min(distances) < 1e-5
            counts[np.argmin(distances)] += 1
    assert counts.min() > 0
    expected = counts.sum() / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < 3 * len(counts)  # a chi-square far beyond its mean


def test_augmentation_follows_the_seed_and_the_position_alone():
    loaded = tiny(Augmentation(2, True))
    ids = np.arange(30)
    whole = all_rows(loaded.train, ids, batch=30, seed=5)
    np.testing.assert_array_equal(whole, all_rows(loaded.train, ids, batch=4, seed=5))
    np.testing.assert_array_equal(whole[:11], all_rows(loaded.train, ids[:11], seed=5))
    assert not np.array_equal(whole, all_rows(loaded.train, ids, seed=6))
    same_row = all_rows(loaded.train, np.zeros(30, int), seed=5)
    assert len(np.unique(same_row.reshape(30, -1), axis=0)) > 10  # drawn per position, not per row id


def test_the_chunks_do_not_matter_for_augmentation(monkeypatch):
    loaded = tiny(Augmentation(2, True))
    whole = all_rows(loaded.train, np.arange(30), seed=5)
    assert all(
        b.is_contiguous() for b in loaded.train.batches([np.arange(9)] * 3, device=CPU, augment_seed=5)
    )
    monkeypatch.setitem(memory.CHUNK_BYTES, "cpu", 1)
    np.testing.assert_array_equal(whole, all_rows(loaded.train, np.arange(30), seed=5))


def test_without_a_seed_or_an_augmentation_nothing_is_augmented():
    plain = all_rows(tiny().train, range(30))
    np.testing.assert_array_equal(plain, all_rows(tiny(Augmentation(2, True)).train, range(30)))
    np.testing.assert_array_equal(plain, all_rows(tiny().train, range(30), seed=3))


# --- the record ------------------------------------------------------------------------------------------


def test_the_fingerprint_is_of_the_content():
    x, y = tiny_images()
    base = tiny().fingerprint
    assert base == tiny().fingerprint
    pixel = x[:30].copy()
    pixel[3, 2, 1, 0] ^= 1
    label = y[30:].copy()
    label[0] = (label[0] + 1) % 4
    others = [
        tiny(x_train=pixel).fingerprint,
        tiny(y_test=label).fingerprint,
        tiny(x_train=x[:30].astype(np.float32), x_test=x[30:].astype(np.float32)).fingerprint,
        tiny(Augmentation(1)).fingerprint,
        tiny(Augmentation(2)).fingerprint,
        tiny(Augmentation(1, True)).fingerprint,
    ]
    assert len({base, *others}) == 7


@pytest.mark.parametrize(
    ("shape", "net", "recipe"),
    [
        ((12,), "MLP", "vectors"),
        ((8, 8), "MLP", "digits"),
        ((28, 28), "ConvNet", "small-images"),
        ((32, 32, 3), "ResNet18", "paper-cifar"),
    ],
)
def test_defaults_by_shape(shape, net, recipe):
    x, y = tiny_images(shape=shape)
    loaded = from_arrays("x", x, y, x, y)
    assert (loaded.default_net, loaded.recipe) == (net, recipe)
    assert (
        loaded.train.shape == ((shape[2], *shape[:2]) if len(shape) == 3 else (1, *shape)[-3:])
        or len(shape) == 1
    )


BAD_ARRAYS = {
    "one axis": ({"x_train": np.zeros(30)}, r"x_train has shape \(30,\); expected images"),
    "empty": ({"x_test": np.zeros((0, 6, 5, 3))}, r"x_test has shape \(0, 6, 5, 3\)"),
    "text": ({"x_train": np.full((30, 4), "a")}, "holds <U1 values"),
    "complex": ({"x_train": np.zeros((30, 4), complex)}, "holds complex128 values"),
    "channels first": ({"x_train": np.zeros((30, 3, 6, 5))}, "channels come last"),
    "shapes differ": ({"x_test": np.zeros((10, 6, 6, 3))}, "they must agree"),
    "NaN": (
        {"x_train": np.where(np.arange(2700).reshape(30, 6, 5, 3) == 1000, np.nan, 0)},
        "first in row 11",
    ),
    "beyond float32": ({"x_test": np.full((10, 6, 5, 3), 1e300)}, "not finite float32"),
    "too few labels": ({"y_train": np.arange(29) % 4}, "29 labels for the 30 rows of x_train"),
    "negative label": ({"y_train": np.arange(30) % 4 - 1}, "labels run from -1"),
    "fractional label": ({"y_test": np.arange(10) / 2}, "whole numbers"),
    "text label": ({"y_test": np.full(10, "cat")}, "whole numbers"),
    "column of labels": ({"y_test": np.zeros((10, 1), int)}, r"shape \(10, 1\)"),
    "huge label": ({"y_train": np.where(np.arange(30) == 4, 1000, np.arange(30) % 4)}, "goes up to 1000"),
    "one class": ({"y_train": np.zeros(30, int), "y_test": np.zeros(10, int)}, "single class"),
    "unseen class": ({"y_test": np.full(10, 9)}, "class 9 occurs in y_test and never in y_train"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_sentence(case):
    arrays, message = BAD_ARRAYS[case]
    with pytest.raises(UsageError, match=message) as error:
        tiny(**arrays)
    assert str(error.value).startswith("tiny: ")
    assert "\n" not in str(error.value)


def test_labels_beyond_a_stated_number_of_classes_are_refused():
    x, y = tiny_images()
    with pytest.raises(UsageError, match=r"y_train: labels run from 0 to 3, out of range 0\.\.2"):
        from_arrays("tiny", x, y, x, y, num_classes=3)


def test_a_name_that_no_file_can_have_is_refused():
    x, y = tiny_images()
    with pytest.raises(UsageError, match=r"has more than 100 bytes.*: shorten it"):
        from_arrays("数" * 40, x, y, x, y)
    assert from_arrays("数" * 30, x, y, x, y).name == "数" * 30


# --- npz -------------------------------------------------------------------------------------------------


def write_npz(path, **changes):
    x, y = tiny_images(shape=(28, 28))
    arrays = {"x_train": x[:30], "y_train": y[:30], "x_test": x[30:], "y_test": y[30:], **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def test_npz_images_equal_data_ids_on_a_permuted_file(tmp_path):
    order = np.random.default_rng(3).permutation(30)
    x, y = tiny_images(shape=(28, 28))
    write_npz(tmp_path / "straight.npz")
    write_npz(tmp_path / "permuted.npz", x_train=x[:30][order], y_train=y[:30][order])
    straight = data.load(str(tmp_path / "straight.npz"))
    permuted = data.load(str(tmp_path / "permuted.npz"))
    ids = np.array([4, 29, 0, 4, 17])
    np.testing.assert_array_equal(permuted.train.labels, y[:30][order])
    np.testing.assert_allclose(
        all_rows(permuted.train, ids), all_rows(straight.train, order[ids]), rtol=0, atol=1e-6
    )
    pixels = all_rows(permuted.train, ids) * x[:30].std() + x[:30].mean()
    np.testing.assert_array_equal(np.rint(pixels[:, 0]), x[:30][order][ids])
    assert permuted.name == "permuted.npz"
    assert permuted.fingerprint != straight.fingerprint


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, np.float16, bool])
def test_npz_takes_images_and_vectors_of_any_numeric_type(tmp_path, dtype):
    for shape in ((9,), (8, 8), (8, 8, 3)):
        x, y = tiny_images(shape=shape)
        x = (x // 32).astype(dtype)
        np.savez(tmp_path / "a.npz", x_train=x, y_train=y.astype(np.float32), x_test=x, y_test=y)
        loaded = data.load(str(tmp_path / "a.npz"))
        got = all_rows(loaded.train, range(40))
        axes = (0,) if len(shape) == 1 else (0, 1, 2)
        wide = x.astype(np.float64)
        expected = (wide - wide.mean(axis=axes if len(shape) != 2 else None)) / np.maximum(
            wide.std(axis=axes if len(shape) != 2 else None), 1e-9
        )
        expected = expected if len(shape) == 1 else expected.reshape(40, 8, 8, -1).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_bad_npz_files(tmp_path):
    path = tmp_path / "bad.npz"

    def refused(message):
        with pytest.raises(UsageError, match=message) as error:
            data.load(str(path))
        assert "\n" not in str(error.value)

    refused("there is no file")
    write_npz(path, y_test=None)
    refused("no array y_test: .* it holds x_train, y_train, x_test")
    write_npz(path, x_train=np.array([object()] * 30))
    refused("no plain data")
    write_npz(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused("cannot be read")
    path.write_bytes(b"not an archive at all")
    refused("cannot be read")
    path.write_bytes(b"")
    refused("cannot be read")
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))
    refused("single array")


def test_a_damaged_npz_is_refused_or_read_but_never_crashes(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path)
    whole = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(whole), size=60).tolist() + list(range(0, 140, 3)):
        damaged = bytearray(whole)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            data.load(str(path))
        except UsageError as error:
            assert "a.npz" in str(error)  # noqa: PT017


# --- built in, and the table -----------------------------------------------------------------------------


def test_digits_are_scikit_learns_in_a_fixed_stratified_split():
    from sklearn.datasets import load_digits

    loaded = data.load("Digits")
    assert (len(loaded.train), len(loaded.test), loaded.train.shape) == (1437, 360, (1, 8, 8))
    assert (loaded.recipe, loaded.default_net) == ("digits", "MLP")
    assert loaded.fingerprint == data.load("Digits").fingerprint
    bunch = load_digits()
    sizes = np.bincount(bunch.target)
    assert np.abs(np.bincount(loaded.test.labels) - 0.2 * sizes).max() < 1
    parts = [all_rows(loaded.train, range(1437)), all_rows(loaded.test, range(360))]
    scale, shift = 1 / loaded.train._scale.item(), loaded.train._mean.item()
    pixels = np.rint(np.concatenate(parts).reshape(-1, 64) * scale + shift)
    labels = np.concatenate([loaded.train.labels, loaded.test.labels])
    ours, theirs = np.c_[pixels, labels], np.c_[bunch.data, bunch.target]
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])


def test_synthetic_kinds_are_what_they_say():
    loaded = data.load("Synthetic")
    x, y = all_rows(loaded.train, range(2000)), loaded.train.labels
    assert loaded.fingerprint == data.load("Synthetic").fingerprint
    assert dict(zip(*np.unique(loaded.kinds, return_counts=True), strict=True)) == {
        "easy": 1400,
        "hard": 400,
        "mislabelled": 200,
    }
    for kind, share in (("easy", 140), ("hard", 40), ("mislabelled", 20)):
        np.testing.assert_array_equal(np.bincount(y[loaded.kinds == kind]), share)
    easy = loaded.kinds == "easy"
    centres = np.stack([x[easy & (y == c)].mean(axis=0) for c in range(10)])
    nearest = np.linalg.norm(x[:, None] - centres, axis=2).argmin(axis=1)
    agree = {kind: (nearest == y)[loaded.kinds == kind].mean() for kind in np.unique(loaded.kinds)}
    assert agree["easy"] > 0.97
    assert 0.5 < agree["hard"] < 0.95
    assert agree["mislabelled"] < 0.03


def test_unknown_names_list_the_valid_ones(tmp_path):
    with pytest.raises(
        UsageError, match=r"'Digit' \(did you mean Digits\?\); valid: Digits, MNIST, FashionMNIST"
    ):
        data.load("Digit")


def test_a_mismatched_torchvision_is_one_sentence_with_the_remedy(monkeypatch):
    def fail(name):
        raise RuntimeError("operator torchvision::nms does not exist\nand more")

    monkeypatch.setattr(torchvision_import.importlib, "import_module", fail)
    with pytest.raises(UsageError, match=r"torch .*nms does not exist\).*pip install") as error:
        torchvision_import.torchvision("models")
    assert "\n" not in str(error.value)
