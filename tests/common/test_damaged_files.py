"""Damaged files are told in a line of ours, not with another library's advice to read them unsafely."""

from __future__ import annotations

import pytest
import torch

import main
from deepcore.common.checks import StoredMismatch, first_line, read_npz
from deepcore.common.meter import Meter
from deepcore.training.checkpoint import Checkpoint


def test_the_first_line_or_the_kind_of_the_error():
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(EOFError()) == "EOFError"


@pytest.mark.parametrize("content", [b"garbage", b"", b"\x80\x04garbage"])
def test_nobody_is_told_to_allow_pickles(tmp_path, capsys, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    assert main.main(["--dataset", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path} cannot be read (")
    with pytest.raises(Exception, match=r"no \.npz of plain arrays") as error:
        read_npz(path, "x")
    state = tmp_path / "state.pt"
    state.write_bytes(content)
    net = torch.nn.Linear(1, 1)
    with pytest.raises(StoredMismatch, match="is damaged") as damaged:
        Checkpoint(state).restore(net, None, None, (), Meter(torch.device("cpu")))
    for text in (said, str(error.value), str(damaged.value)):
        assert "pickle" not in text
        assert "weights_only" not in text
        assert "unsafe" not in text
