"""Long tables: every form gives the same run, whatever the order of the rows; what is wrong is named."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tables import (
    HEADER,
    IDS,
    LABELS,
    LOSSES,
    MARGIN,
    PREDICTED,
    VAL,
    VAL_LABELS,
    C,
    N,
    T,
    csv_text,
    rows,
)

from deepcore.common.checks import UsageError
from deepcore.logs import LogColumns, read_logs
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from methods.aum import AUM
from methods.cld import CLD

ORDER = np.argsort(IDS)


@pytest.fixture(params=["pyarrow", "csv"])
def reader(request, monkeypatch):
    """Both ways to read a CSV."""
    if request.param == "pyarrow":
        pytest.importorskip("pyarrow")
    else:
        found = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name, *more: None if name == "pyarrow" else found(name, *more)
        )
    return request.param


def check(run: ProxyRun, *, text: bool = False) -> None:
    """The run is that of the arrays in `tables`."""
    if text:
        assert run.log.name_of(run.ids).tolist() == [f"img/{i:03}.png" for i in np.sort(IDS)]
        assert run.log.class_names == ("cat", "dog", "eel")
    else:
        np.testing.assert_array_equal(run.ids, np.sort(IDS))
    np.testing.assert_array_equal(run.labels, LABELS[ORDER])
    np.testing.assert_array_equal(run.val_labels, VAL_LABELS)
    np.testing.assert_allclose(run.trajectory(Signal.LOSS, "online"), LOSSES[:, ORDER], rtol=1e-6)
    np.testing.assert_allclose(run.val_trajectory(Signal.LOSS), VAL, rtol=1e-6)
    np.testing.assert_allclose(run.trajectory(Signal.MARGIN, "online"), MARGIN[:, ORDER], rtol=1e-6)
    other = np.where(PREDICTED == LABELS, -1, PREDICTED)
    np.testing.assert_array_equal(run.trajectory(Signal.OTHER, "online"), other[:, ORDER])
    assert run.num_classes == C


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("piece", [7, 1 << 15])
def test_csv(tmp_path, reader, text, piece, monkeypatch):
    monkeypatch.setattr("deepcore.logs.tables.ROWS", piece)
    if reader == "pyarrow":
        monkeypatch.setattr("deepcore.logs.arrow.BLOCK", 40 * piece)
    path = tmp_path / "log.csv"
    for content in (csv_text(rows(text=text)), csv_text(rows(text=text)).replace("\n", "\r\n")):
        path.write_text(content, newline="")
        check(read_logs(path), text=text)
    path.write_text("﻿" + csv_text(rows(text=text, shuffled=False)), encoding="utf-8")
    check(read_logs(str(path)), text=text)


@pytest.mark.parametrize("text", [False, True])
def test_jsonl(tmp_path, text):
    path = tmp_path / "log.jsonl"
    lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows(text=text)]
    path.write_text("\n".join(lines) + "\n\n")
    check(read_logs(path), text=text)


@pytest.mark.parametrize("text", [False, True])
def test_parquet_and_arrow_tables(tmp_path, text):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = dict(zip(HEADER, map(list, zip(*rows(text=text), strict=True)), strict=True))
    table = pyarrow.table(columns)
    parquet.write_table(table, tmp_path / "log.parquet", row_group_size=11)
    check(read_logs(tmp_path / "log.parquet"), text=text)
    check(read_logs(table), text=text)
    whole = (tmp_path / "log.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"cut.parquet: no Parquet file, or one that is cut off"):
        read_logs(tmp_path / "cut.parquet")


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("library", ["pandas", "polars", "datasets", "dict"])
def test_frames(text, library, monkeypatch):
    monkeypatch.setattr("deepcore.logs.tables.ROWS", 10)
    columns = dict(zip(HEADER, map(list, zip(*rows(text=text), strict=True)), strict=True))
    if library == "dict":
        return check(read_logs(columns), text=text)
    made = pytest.importorskip(library)
    if library == "datasets":
        return check(read_logs(made.Dataset.from_dict(columns)), text=text)
    return check(read_logs(made.DataFrame(columns)), text=text)


def test_columns_of_other_names_and_without_split_or_label(tmp_path, reader):
    path = tmp_path / "log.csv"
    path.write_text(csv_text(rows()).replace("id,epoch,split,label,loss", "sample,step,part,class,ce"))
    named = LogColumns(id="sample", epoch="step", split="part", label="class", loss="ce")
    check(read_logs(path, columns=named))
    with pytest.raises(
        UsageError, match=r"no column 'id' for the id; its columns are sample, step, .*--id_c"
    ):
        read_logs(path)
    plain = [row[:2] + row[4:5] for row in rows() if row[2] == "train"]
    path.write_text(csv_text(plain, ["id", "epoch", "loss"]))
    run = read_logs(path)
    assert not run.log.has_classes
    np.testing.assert_allclose(run.trajectory(Signal.LOSS, "online"), LOSSES[:, ORDER], rtol=1e-6)
    unlabelled = [[*row[:3], *row[4:5]] for row in rows()]
    path.write_text(csv_text(unlabelled, ["id", "epoch", "split", "loss"]))
    by_class = ProxyRun.from_losses(LOSSES, LABELS, VAL, VAL_LABELS)
    expected = CLD(trajectory="global").score(by_class)[ORDER]
    np.testing.assert_allclose(CLD().score(read_logs(path)), expected, atol=1e-6)


def test_epochs_are_sorted_and_the_first_may_be_the_untrained_network(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(csv_text(rows(first_epoch=0)))
    run = read_logs(path, has_initial=True)
    assert (run.has_initial, run.epochs) == (True, T - 1)
    np.testing.assert_allclose(
        run.trajectory(Signal.LOSS, "online", initial=True), LOSSES[:, ORDER], rtol=1e-6
    )


def test_ids_far_apart_padded_and_negative(tmp_path, reader):
    path = tmp_path / "log.csv"
    path.write_text(csv_text([[10**12 + row[0] * 10**9, *row[1:]] for row in rows()]))
    assert read_logs(path).ids[0] == 10**12 + IDS.min() * 10**9
    path.write_text(csv_text([[f"{row[0]:05}", *row[1:]] for row in rows()]))
    run = read_logs(path)
    assert run.log.name_of(run.ids)[0] == f"{IDS.min():05}"
    path.write_text(csv_text([[-1 - row[0], *row[1:]] for row in rows()]))
    with pytest.raises(UsageError, match="is negative"):
        read_logs(path)


def changed(place: int, column: str, cell: object) -> list[list[object]]:
    """The rows, one cell replaced."""
    found = rows(shuffled=False)
    found[place][HEADER.index(column)] = cell
    return found


ORDERED = rows(shuffled=False)
LARGE = [[*row[:3], 10**9 if (row[0], row[2]) == (IDS[0], "train") else row[3], *row[4:]] for row in ORDERED]
BROKEN = {  # rows, what is said: line 2 is the first row
    "text": (changed(3, "loss", "abc"), "line 5: the column 'loss' is 'abc': a number is needed"),
    "nan": (changed(3, "loss", float("nan")), r"line 5: the column 'loss' is empty .or NaN.: a finite"),
    "infinite": (changed(3, "loss", float("inf")), "line 5: the column 'loss' is inf: a finite number"),
    "empty": (changed(3, "loss", ""), r"line 5: the column 'loss' is empty .or NaN.: a finite number"),
    "margin": (changed(0, "margin", "high"), "line 2: the column 'margin' is 'high'"),
    "half an epoch": (changed(7, "epoch", 1.5), "line 9: the column 'epoch' is 1.5: a whole number"),
    "empty id": (changed(7, "id", ""), "line 9: the column 'id' is empty"),
    "split": (changed(7, "split", "tset"), "line 9: the column 'split' is 'tset': train or val is needed"),
    "label": (changed(7, "label", 0.5), r"line 9: the column 'label' is '?0.5'?: a class is a whole number"),
    "below 0": (changed(7, "label", -3), "line 9: the column 'label' is '?-3'?: a class is"),
    "label changes": (changed(20, "label", 2), r"line 22: id \d+ has label 2, and had 1 before"),
    "twice": ([*ORDERED, ORDERED[0]], r"line 97: id \d+ has a loss in epoch 1 already"),
    "missing": (ORDERED[1:], rf"epoch 1 has 12 of the 13 train ids; id {IDS[0]} is missing"),
    "cut off": (ORDERED[:-1], "epoch 5 has 5 of the 6 val ids; id 5 is missing.*cut off"),
    "no train": ([row for row in ORDERED if row[2] == "val"], r"no train row in it \(30 rows in all\)"),
    "a label of 10^9": (LARGE, rf"id {IDS[0]} has label 1000000000, and there are 13 train ids"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(tmp_path, reader, name):
    lines, message = BROKEN[name]
    path = tmp_path / "log.csv"
    path.write_text(csv_text(lines))
    with pytest.raises(UsageError, match=message) as error:
        read_logs(path)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n\n", "the file is empty"),
        (b"id,epoch,loss\n", "there is no train row in it"),
        (b"id,epoch\n1,1\n", "there is no column 'loss' for the loss; its columns are id, epoch"),
        (b"id,epoch,loss,id\n1,1,1,1\n", "the column 'id' stands twice"),
        (b"id,epoch,loss\n1,1,0.5\n2,1\n", r"line 3 has 2 of 3 columns \(2,1\): the file is cut off"),
        (b"id,epoch,loss\n1,1,0.5\n2,1,0.5,7\n", "line 3 has 4 of 3 columns"),
        (b'id,epoch,loss\n1,1,0.5\n2,1,"0.5\n', "is no CSV|cut off"),
        (b"id,epoch,loss\n1,1,0.5\n\xff\xfe,1,0.5\n", "is no CSV"),
        (b"\x00\x01\x02", "no CSV|no column"),
        (b"id,epoch,loss\n1,99999999999999999999,0.5\n", "the column 'epoch' is 1e\\+20: a whole"),
    ],
)
def test_broken_files(tmp_path, reader, content, message):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_logs(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is no JSON"),
        ("[1]", "line 1 is no JSON object"),
        ('{"id": 1, "epoch": 1}', "no column 'loss'"),
        ('{"id": 1, "epoch": 1, "loss": "x"}', "line 1: the column 'loss' is 'x'"),
        ('{"id": 1, "epoch": 1, "loss": NaN}', "line 1: the column 'loss' is empty"),
        ("", "the file is empty"),
    ],
)
def test_broken_lines(tmp_path, line, message):
    path = tmp_path / "log.jsonl"
    path.write_text(line)
    with pytest.raises(UsageError, match=message):
        read_logs(path)
    good = '{"id": 1, "epoch": 1, "loss": 0.5}\n'
    path.write_text(good * 3 + '{"id": 1, "epoch": 1, "lo')
    with pytest.raises(UsageError, match="line 4 is no JSON"):
        read_logs(path)


def test_gaps_and_repeats_where_they_are_asked_for(tmp_path, reader):
    lines = rows(shuffled=False)
    lines[2][4] = None  # an empty cell of epoch 1
    again = [*lines[:30], [*lines[4][:4], 9.5, *lines[4][5:]], *lines[31:]]  # one row less, another one twice
    path = tmp_path / "log.csv"
    path.write_text(csv_text(again))
    with pytest.raises(UsageError, match="line 4: the column 'loss' is empty"):
        read_logs(path, repeated="last")
    with pytest.raises(UsageError, match="has a loss in epoch 1 already"):
        read_logs(path, missing="nan")
    run = read_logs(path, missing="nan", repeated="last")
    place = {int(i): p for p, i in enumerate(run.ids)}
    losses = run.trajectory(Signal.LOSS, "online")
    assert np.isnan(losses[0, place[IDS[2]]])
    assert losses[0, place[IDS[4]]] == 9.5
    assert np.isnan(losses).sum() == 2
    assert run.log.notes == (
        "2 of 65 losses are missing: samples are scored at what they have",
        "1 train losses came again in their epoch: the last counts",
    )
    assert np.isfinite(AUM().score(run)).all()


def test_an_epoch_column_that_is_none_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("deepcore.logs.long_table.MARGIN", 1000)
    path = tmp_path / "log.csv"
    path.write_text("id,epoch,loss\n" + "".join(f"{i},{i},0.5\n" for i in range(3000)))
    with pytest.raises(UsageError, match="cannot have a row for each pair of them; is the epoch column"):
        read_logs(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".npz", ".parquet"])
def test_standard_input(monkeypatch, tmp_path, suffix):
    columns = dict(zip(HEADER, map(list, zip(*rows(), strict=True)), strict=True))
    if suffix == ".csv":
        content = csv_text(rows()).encode()
    elif suffix == ".jsonl":
        content = "\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in rows()).encode()
    elif suffix == ".npz":
        held = io.BytesIO()
        np.savez(held, train_losses=LOSSES, train_labels=LABELS, val_losses=VAL, val_labels=VAL_LABELS)
        content = held.getvalue()
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.table(columns), tmp_path / "x")
        content = (tmp_path / "x").read_bytes()
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    run = read_logs("-")
    if suffix != ".npz":
        return check(run)
    np.testing.assert_array_equal(run.trajectory(Signal.LOSS, "online"), LOSSES)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b" \n")))
    with pytest.raises(UsageError, match="standard input is empty"):
        read_logs("-")


def test_what_is_no_log(tmp_path):
    (tmp_path / "log.txt").write_text("x")
    with pytest.raises(UsageError, match=r"a log is an .npz, .csv, .jsonl or .parquet file.*this is .txt"):
        read_logs(tmp_path / "log.txt")
    with pytest.raises(UsageError, match="there is no such file or folder"):
        read_logs(tmp_path / "nothing.csv")
    with pytest.raises(UsageError, match="the table is int"):
        read_logs(7)
    with pytest.raises(UsageError, match="different lengths"):
        read_logs({"id": [1], "epoch": [1, 2], "loss": [1.0]})
    assert Path(tmp_path / "log.txt").read_text() == "x"


def test_parquet_without_pyarrow_says_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda *names: None)
    (tmp_path / "log.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="pip install pyarrow"):
        read_logs(tmp_path / "log.parquet")
    assert len(IDS) == N


def jsonl(objects: list[dict]) -> str:
    return "".join(json.dumps(one) + "\n" for one in objects)


OBJECTS = [{k: v for k, v in zip(HEADER, row, strict=True) if v is not None} for row in ORDERED]
WITHOUT = LogColumns(split="none", label="none", margin="none", predicted="none")
VAL_FIRST = sorted(OBJECTS, key=lambda one: one["split"] == "train")


@pytest.mark.parametrize("piece", [7, 1 << 15])
def test_jsonl_whose_first_rows_lack_a_column(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("deepcore.logs.tables.ROWS", piece)
    path = tmp_path / "log.jsonl"
    path.write_text(jsonl(VAL_FIRST))  # margin and predicted come with the first train row
    check(read_logs(path))
    lacking = [{k: v for k, v in one.items() if k != "label" or one["split"] == "train"} for one in VAL_FIRST]
    path.write_text(jsonl(lacking))
    run = read_logs(path)
    np.testing.assert_array_equal(run.labels, LABELS[ORDER])
    np.testing.assert_allclose(run.val_mean_loss, VAL.mean(axis=1), rtol=1e-6)
    path.write_text(jsonl([{k: v for k, v in OBJECTS[0].items() if k != "label"}, *OBJECTS[1:]]))
    check(read_logs(path))  # the label is in the sample's other rows


@pytest.mark.parametrize("piece", [7, 1 << 15])
def test_jsonl_with_a_split_in_its_validation_rows_alone_is_refused(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("deepcore.logs.tables.ROWS", piece)
    path = tmp_path / "log.jsonl"
    path.write_text(jsonl([{k: v for k, v in o.items() if k != "split" or v == "val"} for o in OBJECTS]))
    with pytest.raises(UsageError, match=r"line \d+.*'split'.*--split_column none"):
        read_logs(path)
    run = read_logs(path, columns=WITHOUT, repeated="last")
    assert len(run.ids) > N


@pytest.mark.parametrize(("column", "role"), [("Split", "split"), (" label", "label"), ("Margin", "margin")])
def test_a_column_that_differs_in_case_alone_is_asked_about(column, role):
    table = dict(zip(HEADER, map(list, zip(*ORDERED, strict=True)), strict=True))
    table[column] = table.pop(role)
    with pytest.raises(UsageError, match=f"is the column '{column}' the {role}\\? Then say --{role}_column"):
        read_logs(table)
    check(read_logs(table, columns=LogColumns(**{role: column})))
    assert not read_logs(table, columns=WITHOUT, repeated="last").log.has_classes


def test_a_table_without_split_or_label_says_so(tmp_path):
    plain = {"id": [1, 2, 1, 2], "epoch": [1, 1, 2, 2], "loss": [0.1, 0.2, 0.3, 0.4], "target": [0, 1, 0, 1]}
    split, label = read_logs(plain).log.notes
    assert "no column 'split': all rows are read as train rows" in split
    assert "no column 'label': there are no classes" in label
    assert read_logs(plain, columns=LogColumns(split="none", label="target")).log.notes == ()


@pytest.mark.parametrize("role", ["id", "split", "label"])
@pytest.mark.parametrize("cell", [[1], {"a": 1}])
def test_a_list_in_a_cell_is_named(tmp_path, role, cell):
    path = tmp_path / "log.jsonl"
    path.write_text(jsonl([*OBJECTS[:4], OBJECTS[4] | {role: cell}]))
    with pytest.raises(UsageError, match=f"line 5: the column '{role}' is .*: a number or text is needed"):
        read_logs(path)


def test_ids_of_several_kinds(tmp_path):
    def ids(values: list) -> list:
        run = read_logs({"id": values, "epoch": [1] * len(values), "loss": [0.5] * len(values)})
        return run.log.name_of(run.ids).tolist()

    assert ids([15.0, 2.0, 3]) == [2, 3, 15]  # a frame with a gap somewhere has whole numbers as floats
    assert ids([1, 2, 5.7]) == ["1.0", "2.0", "5.7"]
    assert ids([7, "007"]) == ["007", "7"]
    assert ids(np.array([1.0, 2.5])) == ["1.0", "2.5"]
    assert ids([2**63, 5]) == ["5", str(2**63)]
    assert ids(np.array([2**63, 5], np.uint64)) == ["5", str(2**63)]


def test_ids_of_a_parquet_file_above_int64(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    ids = pyarrow.array([2**63, 5], pyarrow.uint64())
    table = pyarrow.table({"id": ids, "epoch": [1, 1], "loss": [0.1, 0.2]})
    parquet.write_table(table, tmp_path / "a.parquet")
    run = read_logs(tmp_path / "a.parquet")
    assert run.log.name_of(run.ids).tolist() == ["5", str(2**63)]


def test_classes_that_look_like_numbers_stay_apart(tmp_path, reader):
    path = tmp_path / "log.csv"
    for names in (["1", "01"], ["10", "1e1"], ["a", "inf"]):
        path.write_text("id,epoch,label,loss\n" + "".join(f"{i},1,{c},0.5\n" for i, c in enumerate(names)))
        run = read_logs(path)
        assert run.log.class_of(run.labels).tolist() == names
    path.write_text("id,epoch,label,loss\n0,1,1.0,0.5\n1,1,0,0.5\n")
    assert read_logs(path).labels.tolist() == [1, 0]
