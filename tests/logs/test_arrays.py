"""An .npz or a folder of .npy: mapped, checked, never unpickled; what is wrong is named."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tables import LABELS, LOSSES, VAL, VAL_LABELS, C, N, Q, T

from deepcore.common.checks import UsageError
from deepcore.logs import read_logs
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from methods.cld import CLD

ARRAYS = {
    "train_losses": LOSSES,
    "train_labels": LABELS,
    "val_losses": VAL,
    "val_labels": VAL_LABELS,
    "ids": np.arange(N) * 10,
}


def is_mapped(array: np.ndarray) -> bool:
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


def write(folder: Path, arrays: dict, kind: str) -> Path:
    path = folder / ("log.npz" if kind != "folder" else "log")
    if kind == "folder":
        path.mkdir(exist_ok=True)
        for name, array in arrays.items():
            np.save(path / f"{name}.npy", array)
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, **arrays)
    return path


@pytest.mark.parametrize("kind", ["npz", "compressed", "folder"])
def test_every_form_gives_the_run_of_its_arrays(tmp_path, kind):
    arrays = {**ARRAYS, "has_initial": np.array(True), "train_margin": LOSSES - 1}
    run = read_logs(write(tmp_path, arrays, kind))
    expected = ProxyRun.from_losses(**ARRAYS, has_initial=True)
    np.testing.assert_array_equal(CLD().score(run), CLD().score(expected))
    np.testing.assert_array_equal(run.ids, np.arange(N) * 10)
    np.testing.assert_array_equal(run.trajectory(Signal.MARGIN, "online"), LOSSES[1:] - 1)
    assert is_mapped(run.trajectory(Signal.LOSS, "online")) == (kind != "compressed")
    assert read_logs(write(tmp_path, arrays, kind), has_initial=False).has_initial is False


def test_text_ids_and_labels_class_means_and_no_classes(tmp_path):
    names = np.array([f"n{i}" for i in range(N)])
    text = {**ARRAYS, "ids": names, "train_labels": np.array(["b", "a", "c"])[LABELS],
            "val_labels": np.array(["b", "a", "c"])[VAL_LABELS]}  # fmt: skip
    run = read_logs(write(tmp_path, text, "npz"))
    assert run.log.class_names == ("a", "b", "c")
    expected = CLD().score(ProxyRun.from_losses(**ARRAYS))
    np.testing.assert_allclose(CLD().score(run), expected, atol=1e-12)
    means = np.stack([VAL[:, c == VAL_LABELS].mean(axis=1) for c in range(C)], axis=1)
    by_class = {"train_losses": LOSSES, "train_labels": LABELS, "val_losses": means}
    np.testing.assert_allclose(CLD().score(read_logs(write(tmp_path, by_class, "npz"))), expected, atol=1e-6)
    free = {"train_losses": LOSSES, "val_losses": VAL}
    assert not read_logs(write(tmp_path, free, "folder")).log.has_classes


def test_logits_serve_every_method(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"train_logits": rng.random((T, N, C)), "train_labels": LABELS, "val_labels": VAL_LABELS,
              "val_logits": rng.random((T, Q, C)), "features": rng.random((N, 2)),
              "weight": rng.random((C, 2)), "bias": rng.random(C)}  # fmt: skip
    run = read_logs(write(tmp_path, arrays, "npz"))
    assert run.has(Signal.KL_STEP, "online")
    assert run.final_array(Signal.FEATURES).shape == (N, 2)
    assert run.last_layer[0].shape == (C, 2)
    del arrays["val_labels"]
    with pytest.raises(UsageError, match="train_logits came without val_labels"):
        read_logs(write(tmp_path, arrays, "npz"))


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{**ARRAYS, **arrays})
    return content.getvalue()


def claims_more() -> bytes:
    """A member whose header promises 10^12 numbers."""
    header = io.BytesIO()
    shape = (10**6, 10**6)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("train_losses.npy", header.getvalue() + b"\0" * 64)
    return content.getvalue()


def bomb() -> bytes:
    """A compressed member whose zip directory says it is 64 GB, as its header does."""
    header = io.BytesIO()
    shape = (4, 4 << 30)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("train_losses.npy")
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, header.getvalue() + b"\0" * 64)
        size = len(header.getvalue()) + 4 * shape[0] * shape[1]
        info.file_size, info.extra = 0xFFFFFFFF, struct.pack("<HHQ", 1, 8, size)
        archive.NameToInfo["train_losses.npy"].file_size = size
    return content.getvalue()


def flipped() -> bytes:
    """One bit of the losses is another, far into the file."""
    losses = np.random.default_rng(0).random((T, 9999))
    content = npz(train_losses=losses)
    place = content.index(losses.tobytes()) + 5 * 9999
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


class Evil:
    def __reduce__(self):
        return (open, ("/tmp/evil-was-here", "w"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .npz of plain arrays, or one that is cut off"),
        (b"PK\3\4 no zip", "no .npz of plain arrays"),
        (npz()[:600], "no .npz of plain arrays, or one that is cut off"),
        (flipped(), "train_losses.npy is damaged: its checksum is another"),
        (claims_more(), "train_losses.npy claims 4,000,000,000,000 bytes and holds 64"),
        (bomb(), "bytes unpacked and|claims|cut off"),
        (npz(ids=np.array([Evil()] * N)), "ids.npy holds Python objects, which are not loaded"),
        (npz(train_loss=LOSSES), "no array of a log is called 'train_loss'; known names: train_losses"),
        (npz(train_labels=np.full(N, 10**9)), "the label of row 0 is 1000000000, and there are 19 rows"),
        (npz(train_labels=np.append(LABELS[1:], -1)), "labels run from -1"),
        (npz(train_losses=np.where(np.arange(N) == 3, np.nan, LOSSES)), "id 30 is nan at checkpoint 0"),
        (npz(train_losses=np.where(np.arange(N) == 3, np.inf, LOSSES)), "id 30 is inf at checkpoint 0"),
        (npz(val_losses=VAL[1:]), "val_losses has 4 checkpoints, the train part 5"),
        (npz(ids=np.zeros(N, int)), "id 0 occurs 13 times"),
        (npz(has_initial=np.zeros(3)), r"has_initial has shape \(3,\): it is one value"),
        (npz(train_el2n=LOSSES[1:]), r"signal el2n has shape \(4, 13\), train_losses \(5, 13\)"),
    ],
)
def test_what_is_broken_is_named(tmp_path, content, message):
    path = tmp_path / "log.npz"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as error:
        read_logs(path)
    assert str(path) in str(error.value)
    assert not Path("/tmp/evil-was-here").exists()


def test_broken_folders(tmp_path):
    with pytest.raises(UsageError, match=r"there is no .npy file in it"):
        read_logs(tmp_path)
    folder = write(tmp_path, {**ARRAYS, "ids": np.array([Evil()] * N)}, "folder")
    with pytest.raises(UsageError, match=r"ids.npy: no .npy of plain values"):
        read_logs(folder)
    (folder / "ids.npy").unlink()
    path = folder / "val_losses.npy"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UsageError, match=r"val_losses.npy: no .npy of plain values, or one that is cut off"):
        read_logs(folder)
    path.unlink()
    (folder / "train_losses.npy").unlink()
    with pytest.raises(UsageError, match=r"no train_losses .* in it, but train_labels, val_labels"):
        read_logs(folder)


def test_too_few_checkpoints_and_a_class_without_validation_rows(tmp_path):
    short = {**ARRAYS, "train_losses": LOSSES[:3], "val_losses": VAL[:3]}
    with pytest.raises(UsageError, match="2 loss differences per sample, at least 3 are needed"):
        CLD().score(read_logs(write(tmp_path, short, "npz")))
    few = {**ARRAYS, "val_losses": VAL[:, VAL_LABELS > 0], "val_labels": VAL_LABELS[VAL_LABELS > 0]}
    with pytest.raises(UsageError, match="class 0 of the train pool has no validation row"):
        CLD().score(read_logs(write(tmp_path, few, "npz")))
