"""python -m deepcore select and inspect: what they write, print and refuse."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deepcore
from deepcore.__main__ import main
from deepcore.logs import LossRecorder, read_logs
from methods.aum import AUM
from methods.cld import CLD

ROOT = Path(__file__).resolve().parents[2]
N, Q, T = 40, 9, 8
RNG = np.random.default_rng(0)
LABELS, VAL_LABELS = np.arange(N) % 3, np.arange(Q) % 3
LOGITS, VAL_LOGITS = RNG.normal(0, 1, (T, N, 3)), RNG.normal(0, 1, (T, Q, 3))
IDS = RNG.permutation(900)[:N]


@pytest.fixture
def log(tmp_path):
    """The folder of a recorder, with the signals of logits."""
    recorder = LossRecorder(LABELS, VAL_LABELS, IDS, folder=tmp_path / "log")
    for train, val in zip(LOGITS, VAL_LOGITS, strict=True):
        recorder.log(IDS, logits=train)
        recorder.log_val(logits=val)
        recorder.end_epoch()
    return tmp_path / "log"


@pytest.fixture
def command(capsys):
    def run(*argv):
        try:
            status = main([str(word) for word in argv])
        except SystemExit as stop:
            status = stop.code
        out = capsys.readouterr()
        return status, out.out, out.err

    return run


def table(text: str) -> dict[str, list[str]]:
    header, *rows = csv.reader(io.StringIO(text))
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".json", ".parquet"])
def test_select_writes_what_select_gives(log, command, tmp_path, suffix):
    path, scores = tmp_path / f"coreset{suffix}", tmp_path / f"scores{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    status, out, said = command("select", log, "--method", "CLD", "--fraction", "0.2", "--out", path,
                                "--scores", scores)  # fmt: skip
    assert (status, out) == (0, "")
    assert "CLD: 8 of 40 samples (20.0%); written to" in said
    expected = deepcore.select(read_logs(log), CLD(), fraction=0.2)

    def read(path: Path) -> dict:
        if suffix == ".csv":
            return table(path.read_text())
        if suffix == ".npz":
            return {name[:-1]: array.tolist() for name, array in np.load(path).items()}
        if suffix == ".json":
            records = json.loads(path.read_text())
            return {name: [record[name] for record in records] for name in records[0]}
        from pyarrow import parquet

        return parquet.read_table(path).to_pydict()

    chosen, every = read(path), read(scores)
    assert [int(i) for i in chosen["id"]] == expected.rows.tolist()
    assert [float(s) for s in chosen["score"]] == pytest.approx(expected.columns()["score"])
    assert [int(i) for i in every["id"]] == IDS.tolist()
    best = [int(i) for i, rank in zip(every["id"], every["rank"], strict=True) if int(rank) == 1]
    assert best == [IDS[np.argmax(expected.scores)]]


def test_one_method_without_a_file_prints_a_csv(log, command):
    status, out, _ = command("select", log, "--size", 3)
    assert status == 0
    assert table(out)["id"] == [str(i) for i in deepcore.select(read_logs(log), CLD(), size=3).rows]


def test_several_methods_give_their_overlap(log, command, tmp_path):
    argv = ["select", log, "--method", "CLD", "AUM:keep=highest", "Random", "--per_class", 4]
    status, out, _ = command(*argv, "--out", tmp_path / "c.csv", "--scores", tmp_path / "s.csv")
    assert status == 0
    names = {path.name for path in tmp_path.glob("c-*.csv")}
    assert names == {"c-CLD.csv", "c-AUM_keep=highest.csv", "c-Random.csv"}
    run = read_logs(log)
    first = deepcore.select(run, CLD(), per_class=4).rows
    second = deepcore.select(run, AUM(keep="highest"), per_class=4).rows
    shared = np.intersect1d(first, second).size
    assert out.splitlines()[2].split()[:3] == ["CLD", "AUM:keep=highest", str(shared)]
    scores = table((tmp_path / "s.csv").read_text())
    assert set(scores) == {"id", "label", "score_CLD", "rank_CLD", "score_AUM:keep=highest",
                           "rank_AUM:keep=highest"}  # fmt: skip


def test_inspect_says_what_is_there_and_what_is_missing(log, command):
    status, out, _ = command("inspect", log)
    assert status == 0
    assert "samples       40, ids" in out
    assert "classes       3 (0, 1, 2), 13 to 14 samples each" in out
    assert "validation    9 rows" in out
    assert "8 epochs (is the first one the untrained network?" in out
    assert "signals       el2n, loss, margin, margin_p, other" in out
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    for name in ("CLD", "AUM", "EL2N", "CCS", "Random"):
        assert lines[name].split()[1:] == ["yes"]
    assert "kl_step: from_logits, or a column kl_step" in lines["TDDS"]
    assert "features: from_logits with features" in lines["KCenter"]


def test_what_inspect_promises_is_kept(log, tmp_path):
    """Every method that is said to read the log selects from it, and no other does."""
    import methods
    from deepcore.common.checks import UsageError
    from deepcore.selection.readable import lacking

    holed = LOGITS.copy()
    one_pass = LossRecorder(LABELS, VAL_LABELS, mode="one_pass")
    gaps = LossRecorder(LABELS, VAL_LABELS, missing="nan")
    for t in range(T):
        for recorder, rows in ((one_pass, np.arange(N)), (gaps, np.arange(N)[t % 2 :])):
            recorder.log(rows, logits=holed[t, rows])
            recorder.log_val(logits=VAL_LOGITS[t])
            recorder.end_epoch()
    free = deepcore.from_losses(RNG.random((T, N)), None, RNG.random((T, Q)))
    without_val = deepcore.from_losses(RNG.random((T, N)), LABELS, None)
    short = deepcore.from_losses(RNG.random((2, N)), LABELS, RNG.random((2, Q)), VAL_LABELS)
    everything = deepcore.from_logits(LOGITS, LABELS, VAL_LOGITS, VAL_LABELS, features=RNG.random((T, N, 4)))
    with pytest.warns(UserWarning, match="missing"):
        gapped = gaps.run()
    classes = LABELS.max() + 1
    means = [deepcore.from_losses(RNG.random((T, N)), LABELS, RNG.random(s)) for s in ((T,), (T, classes))]
    runs = (read_logs(log), one_pass.run(), gapped, free, without_val, short, everything, *means)
    can = 0
    for run in runs:
        for method in (*(cls() for cls in methods.METHODS.values()), methods.parse("CLD:trajectory=global")):
            if not method.is_selection:
                continue
            missing = lacking(method, run)
            if missing:
                with pytest.raises(UsageError):
                    deepcore.select(run, method, size=6)
            else:
                assert len(deepcore.select(run, method, size=6).rows) == 6, method.name
                can += 1
    assert can > 40


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["select", "nothing.csv"], "nothing.csv: there is no such file or folder"),
        (["select", "LOG", "--method", "CDL"], "unknown method 'CDL' (did you mean CLD?)"),
        (["select", "LOG", "--fraction", "2"], "fraction is 2.0"),
        (["select", "LOG", "--fraction", "0.1", "--size", "3"], "this is fraction and size"),
        (["select", "LOG", "--size", "99"], "size is 99: there are 40 rows"),
        (["select", "LOG", "--out", "x.txt"], "x.txt: the file must end in one of .csv"),
        (
            ["select", "LOG", "--method", "CLD", "DUAL", "--out", ""],
            "--out is empty: give the path of a file",
        ),
        (["select", "LOG", "--scores", ""], "--scores is empty: give the path of a file"),
        (["select", "LOG", "--out", "no/x.csv"], "lies in a folder that does not exist"),
        (["select", "LOG", "--method", "TDDS"], "no kl_step trajectory"),
        (["select", "LOG", "--method", "Random", "--scores", "s.csv"], "Random gives no scores"),
        *(
            (
                ["select", "LOG", "--method", "CLD", name, "--out", "x.csv"],
                f"{name} is no selection, and makes no coreset: give --method one of CLD, LTC, Random,",
            )
            for name in ("RS2", "Full", "Full@k", "Random+Val", "ValOnly")
        ),
        (["select", "LOG", "--seed", "-1"], "--seed is -1"),
        (["select", "LOG", "--size", "x"], "invalid int value: 'x' (--help lists every flag)"),
        (["slect", "LOG"], "invalid choice: 'slect'"),
        ([], "the following arguments are required: VERB"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(
    log, command, tmp_path, monkeypatch, argv, message
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    status, out, said = command(*(log if word == "LOG" else word for word in argv))
    assert (status, out) == (2, "")
    assert message in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not list(Path().iterdir())


def test_select_overwrites_neither_the_log_nor_its_own_files(log, command, tmp_path):
    text = "id,epoch,loss\n" + "".join(f"{i},{t},{i + t}.5\n" for t in range(5) for i in range(9))
    (path := tmp_path / "run.csv").write_text(text)
    twice = tmp_path / "kept.csv"
    for argv, said in (
        ([path, "--out", path], "--out: writing"),
        ([path, "--scores", path], "--scores: writing"),
        ([path, "--out", twice, "--scores", twice], "would overwrite what --out writes"),
    ):
        status, out, err = command("select", *argv, "--method", "S2L", "--size", 3)
        assert (status, out) == (2, "")
        assert said in err
        assert path.read_text() == text
        assert not twice.exists()
    (held := log / "facts.json").write_text("of the log")
    status, _, err = command("select", log, "--out", held)
    assert status == 2
    assert "would overwrite the log" in err
    assert held.read_text() == "of the log"
    held.unlink()
    for _ in range(2):  # the second time over its own file
        assert command("select", log, "--out", log / "new.csv")[0] == 0


def test_the_installed_command_runs_the_benchmark_and_the_verbs(log):
    module = [sys.executable, "-m", "deepcore"]
    listed = subprocess.run([*module, "--list"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "data sets: Digits" in listed.stdout
    helped = subprocess.run([*module, "--help"], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "select" in helped.stdout
    assert "inspect" in helped.stdout
    assert 'deepcore-bench = "deepcore.__main__:main"' in (ROOT / "pyproject.toml").read_text()
