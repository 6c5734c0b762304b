"""Rows into a CSV and back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest
import torch
from rows import rows_of
from small_grids import CPU, QUIET, Breaks
from tiny import images, short

import methods
from deepcore.common.checks import StoredMismatch
from deepcore.data.label_noise import LabelNoise
from deepcore.experiment.harness import Harness
from deepcore.experiment.rows import CODES
from deepcore.experiment.rows_csv import from_csv, read_csv, to_csv
from deepcore.experiment.spec import ExperimentSpec


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """What a run writes: a proxy reader with repeats, one without a proxy, a reference, a failed row."""
    chosen = (*map(methods.parse, ("Random", "EL2N:repeats=2", "CLD", "Full")), Breaks())
    spec = ExperimentSpec(
        (0, 1), chosen, (0.2,), ("MLP",), "MLP", short(epochs=4), short(), 0.2,
        label_noise=LabelNoise(0.1),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("runs")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the MLP takes: the failed row, which trained nothing, then says the same
    try:
        return Harness(spec, images(), folder, device=CPU, progress=QUIET).run()
    finally:
        torch.set_num_threads(threads)


def test_nothing_is_lost(rows):
    assert {row.status for row in rows} == {"ok", "failed"}
    assert from_csv(to_csv(rows)) == rows
    clean = rows_of("Random", 50, 60)
    assert from_csv(to_csv(clean)) == clean


def test_words_that_look_like_numbers_stay_words():
    (row,) = rows_of("Random", 50)
    row = dataclasses.replace(row, fingerprint="1234567890123456", error='a "quoted", line\nand another')
    assert from_csv(to_csv([row])) == [row]


def test_the_table_is_what_other_programs_read(rows):
    text = to_csv(rows)
    body = [line for line in text.splitlines() if not line.startswith("#")]
    table = list(csv.DictReader(io.StringIO("\n".join(body))))
    done = [row for row in rows if row.status == "ok"]
    assert [float(line["accuracy"]) for line in table if line["accuracy"]] == [row.accuracy for row in done]
    assert list(table[0])[:3] == ["dataset", "target_net", "method"]
    shared = [line for line in text.splitlines() if line.startswith("# provenance")]
    said = [json.loads(line.partition(": ")[2]) for line in shared]
    codes = {tuple(one.pop(name, None) for name in CODES) for one in said}
    assert len(codes) == len(said) == 4  # once a file of methods (Random and Full share one), failed: none
    assert all(one == said[0] for one in said)
    assert "torch" in said[0]


def test_a_file_cut_short_is_refused(rows):
    text = to_csv(rows)
    with pytest.raises(StoredMismatch, match="not a CSV of result rows"):
        from_csv(text[: text.rindex(",") - 20])


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "# notes 1: {broken\nlabel\nx\n"])
def test_another_file_is_refused(text):
    if not text:
        assert from_csv(text) == []
        return
    with pytest.raises(StoredMismatch, match=r"x\.csv is not a CSV of result rows"):
        from_csv(text, "x.csv")


@pytest.mark.parametrize(
    "content",
    [b"dataset,label\nDigits,M\xfcller\n", b"label\n" + b"x" * 200_000, b"label\n" + b"[" * 100_000],
    ids=["latin", "long", "deep"],
)
def test_bytes_that_no_row_has_are_one_sentence(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(StoredMismatch, match=r"x\.csv .*CSV of result rows"):
        read_csv(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accuracy": None}, "accuracy is None"),
        ({"accuracy": "high"}, "accuracy is 'high'"),
        ({"accuracy": 60.0}, "accuracy is 60"),
        ({"fraction": "ten"}, "fraction is 'ten'"),
    ],
)
def test_a_value_that_no_row_has_is_named_with_its_line(changes, words):
    first, second = rows_of("Random", 50, 60)
    text = to_csv([first, dataclasses.replace(second, **changes)])
    line = text.count("\n")
    with pytest.raises(StoredMismatch, match=f"x.csv: line {line}: {words}"):
        from_csv(text, "x.csv")
