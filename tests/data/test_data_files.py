"""The data sets that come in files: small ones written in the real formats, and damaged ones."""

import codecs
import gzip
import pickle
import struct
import types

import numpy as np
import pytest
import torch
from archives import idx_bytes, python2_pickle, write_cifar, write_idx_folder, write_svhn
from scipy.io import savemat

import main
from deepcore.common.checks import UsageError
from deepcore.data import cifar, idx, mat
from deepcore.data import datasets as data


def pixels(rows, ids):
    """Images (n, H, W, C) uint8 of rows in memory, undoing the normalisation."""
    x = torch.cat(list(rows.batches([np.asarray(ids)], device=torch.device("cpu"))))
    return np.rint((x / rows._scale + rows._mean).numpy()).astype(np.uint8).transpose(0, 2, 3, 1)


# --- MNIST and FashionMNIST ------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "."])
@pytest.mark.parametrize("compress", [True, False])
def test_fashion_mnist_is_found_in_each_layout(tmp_path, below, compress):
    x, y, _, y_test = write_idx_folder(tmp_path / below, compress)
    loaded = data.load("FashionMNIST", data_path=tmp_path)
    np.testing.assert_array_equal(loaded.train.labels, y)
    np.testing.assert_array_equal(loaded.test.labels, y_test)
    assert (loaded.train.shape, loaded.num_classes) == ((1, 28, 28), 10)
    np.testing.assert_array_equal(pixels(loaded.train, [7, 3])[..., 0], x[[7, 3]])
    assert loaded.train.augmentation == data.Augmentation(pad=2, flip=True)


def test_missing_and_incomplete_fashion_mnist(tmp_path):
    with pytest.raises(UsageError, match=r"FashionMNIST/raw/train-images-idx3-ubyte\[\.gz\].*--download"):
        data.load("FashionMNIST", data_path=tmp_path)
    write_idx_folder(tmp_path / "fashion-mnist")
    (tmp_path / "fashion-mnist" / f"{idx.FILES[3]}.gz").unlink()
    with pytest.raises(UsageError, match=f"but not {idx.FILES[3]} or {idx.FILES[3]}.gz"):
        data.load("FashionMNIST", data_path=tmp_path)


def test_download_goes_through_torchvision_and_its_failure_is_one_sentence(tmp_path, monkeypatch):
    asked = []

    def fetch(root, download):
        asked.append((root, download))
        write_idx_folder(tmp_path / "FashionMNIST" / "raw")

    monkeypatch.setattr(idx, "torchvision", lambda module: types.SimpleNamespace(FashionMNIST=fetch))
    assert len(data.load("FashionMNIST", data_path=tmp_path, download=True).train) == 40
    data.load("FashionMNIST", data_path=tmp_path, download=True)  # what is there is not fetched again
    assert asked == [(str(tmp_path), True)]
    for path in (tmp_path / "FashionMNIST" / "raw").glob("t10k-labels*"):
        path.unlink()  # a download that was stopped goes on
    with pytest.raises(UsageError, match="holds some of FashionMNIST's files, but not t10k-labels"):
        data.load("FashionMNIST", data_path=tmp_path)
    assert len(data.load("FashionMNIST", data_path=tmp_path, download=True).test) > 0
    assert len(asked) == 2

    def fail(root, download):
        raise OSError("no route to host")

    monkeypatch.setattr(idx, "torchvision", lambda module: types.SimpleNamespace(FashionMNIST=fail))
    with pytest.raises(UsageError, match=r"could not be downloaded.*no route to host"):
        data.load("FashionMNIST", data_path=tmp_path / "empty", download=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\x89PNG....", "begins with 89504e47"),
        (struct.pack(">HBBI", 0, 0x0D, 1, 1) + b"\0\0\0\0", "not an idx file of unsigned bytes"),
        (struct.pack(">HBB", 0, 8, 3), "is truncated"),
        (idx_bytes(np.zeros((3, 4)))[:-1], r"is truncated: 23 bytes for shape \(3, 4\), which takes 24"),
        (idx_bytes(np.zeros((3, 4))) + b"x", "is too long"),
    ],
)
def test_bad_idx_files(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        idx.read_idx(tmp_path / "a")


def test_bad_gzip_files(tmp_path):
    whole = gzip.compress(idx_bytes(np.random.default_rng(0).integers(0, 256, (30, 30))))
    broken = whole[:300] + bytes(300) + whole[600:]
    for content in (whole[:-20], b"plain bytes", b"", broken, whole[:10] + b"\xff" + whole[11:]):
        (tmp_path / "a.gz").write_bytes(content)
        with pytest.raises(UsageError, match=r"a\.gz"):
            idx.read_idx(tmp_path / "a.gz")


def test_images_and_labels_that_disagree_are_refused(tmp_path):
    write_idx_folder(tmp_path, compress=False)
    (tmp_path / idx.FILES[1]).write_bytes(idx_bytes(np.arange(39) % 10))
    with pytest.raises(UsageError, match="39 labels for the 40 rows of x_train"):
        data.load("FashionMNIST", data_path=tmp_path)


def test_mnist_is_kept_apart_from_fashion_mnist(tmp_path):
    write_idx_folder(tmp_path / "FashionMNIST" / "raw")
    with pytest.raises(UsageError, match="MNIST is not in"):
        data.load("MNIST", data_path=tmp_path)
    write_idx_folder(tmp_path / "MNIST" / "raw", train=50)
    loaded = data.load("MNIST", data_path=tmp_path)
    assert (len(loaded.train), loaded.train.augmentation) == (50, data.Augmentation(pad=2))


# --- CIFAR -----------------------------------------------------------------------------------------------


DUMPS = {
    "Python 2": python2_pickle,
    **{f"protocol {p}": lambda batch, p=p: pickle.dumps(batch, protocol=p) for p in (0, 2, 4, 5)},
}


@pytest.mark.parametrize("dump", DUMPS)
@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_archives(tmp_path, name, dump):
    folder, batches, key = write_cifar(tmp_path, name, DUMPS[dump])
    loaded = data.load(name, data_path=tmp_path)
    x = np.concatenate([b["data"] for b in batches[:-1]])
    np.testing.assert_array_equal(loaded.train.labels, np.concatenate([b[key] for b in batches[:-1]]))
    np.testing.assert_array_equal(loaded.test.labels, batches[-1][key])
    ids = [3, len(x) - 1, 3]
    np.testing.assert_array_equal(
        pixels(loaded.train, ids), x[ids].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    )
    np.testing.assert_array_equal(
        pixels(loaded.test, [5]), batches[-1]["data"][[5]].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    )
    assert loaded.num_classes == (10 if name == "CIFAR10" else 100)
    assert (loaded.default_net, loaded.recipe) == ("ResNet18", "paper-cifar")
    assert loaded.train.augmentation == data.Augmentation(pad=4, flip=True)
    assert data.load(name, data_path=folder).fingerprint == loaded.fingerprint


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_torchvision_reads_the_same_cifar(tmp_path, monkeypatch, name):
    cls = getattr(pytest.importorskip("torchvision.datasets"), name)
    monkeypatch.setattr(cls, "_check_integrity", lambda self: True)  # its md5 is of the real archive
    monkeypatch.setattr(cls, "_load_meta", lambda self: None)
    write_cifar(tmp_path, name)
    ours = data.load(name, data_path=tmp_path)
    for part, train in ((ours.train, True), (ours.test, False)):
        theirs = cls(tmp_path, train=train)
        np.testing.assert_array_equal(pixels(part, range(len(part))), theirs.data)
        np.testing.assert_array_equal(part.labels, theirs.targets)


class Evil:
    def __reduce__(self):
        return (print, ("ran foreign code",))


class Codec:
    def __reduce__(self):
        return (codecs.encode, ("aaaa", "zip"))


def test_a_pickle_that_names_anything_else_is_refused_and_not_run(tmp_path, capsys):
    folder, batches, _ = write_cifar(tmp_path, "CIFAR10")
    for value, named in (
        (Evil(), "print"),
        (Codec(), "codec zip"),
        (np.float64, "float64"),
        (len, "len"),
    ):
        (folder / "test_batch").write_bytes(pickle.dumps({**batches[-1], "more": value}, protocol=2))
        with pytest.raises(UsageError, match=rf"test_batch cannot be read \(.*{named}.* refused\)"):
            data.load("CIFAR10", data_path=tmp_path)
    assert "foreign" not in capsys.readouterr().out


def test_damaged_and_incomplete_cifar(tmp_path):
    folder, batches, _ = write_cifar(tmp_path, "CIFAR10")

    def refused(content, message):
        (folder / "data_batch_3").write_bytes(content)
        with pytest.raises(UsageError, match=message) as error:
            data.load("CIFAR10", data_path=tmp_path)
        assert "\n" not in str(error.value)

    whole = python2_pickle(batches[2])
    refused(whole[: len(whole) // 2], "data_batch_3 cannot be read")
    refused(b"", "cannot be read")
    refused(b"no pickle", "cannot be read")
    refused(pickle.dumps([1, 2]), "no array 'data'")
    refused(pickle.dumps({**batches[2], "data": np.zeros((30, 3000), np.uint8)}), "no array 'data'")
    refused(pickle.dumps({**batches[2], "labels": [1]}), "no 30 'labels'")
    refused(
        pickle.dumps({**batches[2], "labels": [10] * 30}), r"labels run from 0 to 10, out of range 0\.\.9"
    )
    rng = np.random.default_rng(0)
    for position in rng.integers(0, 400, size=80):
        damaged = bytearray(whole)
        damaged[-position] ^= int(rng.integers(1, 256))
        (folder / "data_batch_3").write_bytes(damaged)
        try:
            data.load("CIFAR10", data_path=tmp_path)
        except UsageError as error:
            assert str(error)  # noqa: PT017
    (folder / "data_batch_3").unlink()
    with pytest.raises(UsageError, match="but not data_batch_3"):
        data.load("CIFAR10", data_path=tmp_path)
    with pytest.raises(UsageError, match="cifar-100-python/train and what belongs to it there; --download"):
        data.load("CIFAR100", data_path=tmp_path)


def fake_torchvision(monkeypatch, module, **parts):
    monkeypatch.setattr(module, "torchvision", lambda name: types.SimpleNamespace(**parts))


def test_cifar_download_checks_the_md5_through_torchvision(tmp_path, monkeypatch):
    asked = []

    def fetch(url, root, filename, md5):
        asked.append((url, root, filename, md5))
        write_cifar(tmp_path, "CIFAR100")

    archive = types.SimpleNamespace(url="http://x/c.tgz", filename="c.tgz", tgz_md5="abc")
    fake_torchvision(monkeypatch, cifar, CIFAR100=archive, download_and_extract_archive=fetch)
    for _ in range(2):
        assert len(data.load("CIFAR100", data_path=tmp_path, download=True).train) == 200
    assert asked == [("http://x/c.tgz", str(tmp_path), "c.tgz", "abc")]


def test_a_cifar_archive_runs_end_to_end(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_cifar(tmp_path / "data", "CIFAR100")
    command = [
        *("--dataset", "CIFAR100", "--model", "LeNet", "--epochs", "3", "--num_exp", "1"),
        *("--selection", "CLD", "Random", "--fraction", "0.5", "--workers", "2"),
    ]
    assert main.main(command) == 0
    out = capsys.readouterr()
    assert [line.split()[0] for line in out.out.split("\n\n")[0].splitlines()[2:]] == ["CLD", "Random"]
    assert "--workers is ignored: CIFAR100 is no folder of images" in out.err


# --- SVHN ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", [".", "SVHN", "svhn"])
def test_svhn(tmp_path, below):
    x, y, x_test, _ = write_svhn(tmp_path / below)
    loaded = data.load("SVHN", data_path=tmp_path)
    np.testing.assert_array_equal(loaded.train.labels, y.ravel() % 10)
    np.testing.assert_array_equal(pixels(loaded.train, [3, 0]), x[..., [3, 0]].transpose(3, 0, 1, 2))
    np.testing.assert_array_equal(pixels(loaded.test, [7])[0], x_test[..., 7])
    assert loaded.train.augmentation == data.Augmentation(pad=4)


def test_damaged_svhn(tmp_path):
    write_svhn(tmp_path)
    train = tmp_path / mat.FILES[0]
    whole = train.read_bytes()

    def refused(message):
        with pytest.raises(UsageError, match=message) as error:
            data.load("SVHN", data_path=tmp_path)
        assert "\n" not in str(error.value)

    for content in (whole[: len(whole) // 2], b"", b"no Matlab file" * 20):
        train.write_bytes(content)
        refused("train_32x32.mat cannot be read")
    savemat(train, {"X": np.zeros((3, 3))})
    refused("cannot be read")
    savemat(train, {"X": np.zeros((40, 32, 32, 3), np.uint8), "y": np.ones(40)})
    refused(r"X has shape \(40, 32, 32, 3\) of uint8; expected \(32, 32, 3, N\)")
    savemat(train, {"X": np.zeros((32, 32, 3, 40), np.uint8), "y": np.full(40, 11)})
    refused("labels run from 11 to 11")
    train.unlink()
    refused("SVHN's files, but not train_32x32.mat")


def test_svhn_download(tmp_path, monkeypatch):
    asked = []

    def fetch(url, root, filename, md5):
        asked.append((url, root, filename, md5))
        write_svhn(tmp_path)

    files = {"train": ["u1", mat.FILES[0], "m1"], "test": ["u2", mat.FILES[1], "m2"]}
    fake_torchvision(monkeypatch, mat, SVHN=types.SimpleNamespace(split_list=files), download_url=fetch)
    data.load("SVHN", data_path=tmp_path, download=True)
    assert asked == [("u1", str(tmp_path), mat.FILES[0], "m1"), ("u2", str(tmp_path), mat.FILES[1], "m2")]
