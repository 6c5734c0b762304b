"""A bad log is one sentence that names the place and the remedy, from every verb; nothing is written."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import deepcore
from deepcore.__main__ import main
from deepcore.common.checks import UsageError

N, Q, T = 12, 4, 6
RNG = np.random.default_rng(0)
LOSSES = RNG.random((T, N))
ARRAYS = {
    "train_losses": LOSSES,
    "train_labels": np.arange(N) % 2,
    "val_losses": RNG.random((T, Q)),
    "val_labels": np.arange(Q) % 2,
}
LINES = ["id,epoch,split,label,loss"]
LINES += [f"{i},{t},train,{i % 2},{ARRAYS['train_losses'][t, i]}" for t in range(T) for i in range(N)]
LINES += [f"{i},{t},val,{i % 2},{ARRAYS['val_losses'][t, i]}" for t in range(T) for i in range(Q)]


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{**ARRAYS, **arrays})
    return content.getvalue()


def table(line: int, old: str, new: str) -> bytes:
    """The CSV with something else in a line (the header is line 1); every line with line 0."""
    lines = list(LINES)
    for place in range(len(lines)) if line == 0 else [line - 1]:
        lines[place] = re.sub(old, new, lines[place])
    return ("\n".join(lines) + "\n").encode()


def bomb() -> bytes:
    """A zip of a few bytes whose directory and header promise 64 GB."""
    header, content, shape = io.BytesIO(), io.BytesIO(), (4, 4 << 30)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("train_losses.npy")
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, header.getvalue() + b"\0" * 64)
        size = len(header.getvalue()) + 4 * shape[0] * shape[1]
        info.file_size, info.extra = 0xFFFFFFFF, struct.pack("<HHQ", 1, 8, size)
        archive.NameToInfo["train_losses.npy"].file_size = size
    return content.getvalue()


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


UNREADABLE = {  # file, content, what is said
    "label of 10^9, npz": ("x.npz", npz(train_labels=np.append(np.arange(N - 1) % 2, 10**9)),
                           "the label of row 11 is 1000000000, and there are 16 rows"),
    "label of 10^9, csv": ("x.csv", table(0, r"^3,(\d),train,1", r"3,\1,train,1000000000"),
                           "id 3 has label 1000000000, and there are 12 train ids"),
    "label below 0": ("x.npz", npz(train_labels=np.append(np.arange(N - 1) % 2, -2)), "labels run from -2"),
    "labels too few": ("x.npz", npz(train_labels=np.arange(N - 1) % 2), "11 labels for 12 rows"),
    "epochs of two sizes": ("x.csv", table(2, ".*", ""), "epoch 0 has 11 of the 12 train ids; id 0"),
    "checkpoints of two sizes": ("x.npz", npz(val_losses=ARRAYS["val_losses"][1:]), "val_losses has 5 c"),
    "nan": ("x.csv", table(5, r"[\d.]+$", "nan"), "line 5: the column 'loss' is empty (or NaN)"),
    "inf": ("x.npz", npz(train_losses=np.where(np.arange(N) == 7, np.inf, LOSSES)), "id 7 is inf at"),
    "empty csv": ("x.csv", b"", "the file is empty"),
    "empty jsonl": ("x.jsonl", b"", "the file is empty"),
    "empty npz": ("x.npz", b"", "no .npz of plain arrays, or one that is cut off"),
    "missing column": ("x.csv", table(1, "loss", "lose"), "no column 'loss' for the loss; its columns are"),
    "text cell": ("x.csv", table(9, r"[\d.]+$", "high"), "line 9: the column 'loss' is 'high': a number is"),
    "cut off csv": ("x.csv", table(0, "x", "x")[:700], "line 23 has 4 of 5 columns (9,1,train,)"),
    "cut off between lines": ("x.csv", "\n".join(LINES[:40]).encode(), "epoch 3 has 3 of the 12 train ids; "),
    "cut off npz": ("x.npz", npz()[:500], "no .npz of plain arrays, or one that is cut off"),
    "zip that claims more": ("x.npz", bomb(), "takes 68,719,476,736 bytes unpacked|claims"),
    "pickle": ("x.npz", npz(ids=np.array([Evil()] * N)), "ids.npy holds Python objects, which are not"),
    "shifted ids": ("x.csv", table(0, r"^5,(\d),train,1", r"5,\1,train,\1"),
                    "line 19: id 5 has label 1, and had 0 before"),
}  # fmt: skip


@pytest.fixture
def said(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(name: str, content: bytes, *argv: str) -> str:
        Path(name).write_bytes(content)
        assert main([argv[0], name, *argv[1:]]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert len(err) < 450
        assert [path.name for path in Path().iterdir()] == [name]
        return err

    return run


@pytest.mark.parametrize("verb", ["select", "audit", "inspect"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_log_that_cannot_be_read(said, verb, name):
    file, content, message = UNREADABLE[name]
    out = {"select": ["--out", "coreset.csv"], "audit": [], "inspect": []}[verb]
    assert re.search(re.escape(message).replace(r"\|", "|"), said(file, content, verb, *out))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            npz(train_losses=ARRAYS["train_losses"][:3], val_losses=ARRAYS["val_losses"][:3]),
            "2 loss differences per sample, at least 3 are needed",
        ),
        (npz(val_labels=np.zeros(Q, int)), "class 1 of the train pool has no validation row"),
    ],
)
def test_a_log_that_cld_cannot_use(said, content, message):
    assert message in said("x.npz", content, "select", "--out", "coreset.csv", "--scores", "scores.csv")


def test_one_stray_label_asks_for_no_memory():
    labels = np.arange(N) % 2
    labels[5] = 10**9
    with pytest.raises(UsageError, match=r"train_labels: the label of row 5 is 1000000000, and there are 16"):
        deepcore.from_losses(ARRAYS["train_losses"], labels, ARRAYS["val_losses"], ARRAYS["val_labels"])
    recorder = deepcore.LossRecorder()
    recorder.log(np.arange(N), ARRAYS["train_losses"][0], labels=labels)
    with pytest.raises(UsageError, match="the label of sample 5 is 1000000000, and there are 12 of them"):
        recorder.end_epoch()
