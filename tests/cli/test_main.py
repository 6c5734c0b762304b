"""The command line, as a person uses it."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import main
from deepcore.cli.flags import IGNORED_FLAGS, parser
from deepcore.cli.launched import follow
from deepcore.cli.machine import early_pool
from deepcore.common.checks import UsageError

ROOT = Path(__file__).resolve().parents[2]
MAY_BE_MISSING = ("tqdm", "matplotlib", "torchvision")
FAST = ["--epochs", "3", "--num_exp", "2", "--selection", "CLD", "Random"]


def test_the_main_job_prints_a_table_and_again_the_same_without_work(call, tmp_path):
    status, out, err = call(*FAST, "--fraction", "0.1", "0.5")
    assert status == 0
    lines = out.split("\n\n")[0].splitlines()
    assert lines[0].split() == [
        *("method", "kept", "rows", "accuracy", "%", "worst", "class", "%", "minus", "Random")
    ]
    assert [line.split()[:2] for line in lines[2:]] == [
        ["CLD", "10%"], ["Random", "10%"], ["CLD", "50%"], ["Random", "50%"],
    ]  # fmt: skip
    assert all("(2)" in line and "±" in line for line in lines[2:])
    assert "proxy MLP trains, 3 epochs on 1,292 rows" in err
    for fact in (
        "1,292 candidates, 145 validation rows",
        "last step",
        "post_epoch",
        "are in runs",
        "batch 128",
    ):
        assert fact in err
    again = call(*FAST, "--fraction", "0.1", "0.5")
    assert again[1] == out
    assert "trains" not in again[2]


def test_the_printed_mean_and_std_are_those_of_the_rows(call, tmp_path):
    _, out, _ = call(*FAST, "--output", "csv", "--quiet")
    records = list(csv.DictReader(io.StringIO(out)))
    for record in records:
        rows = [
            json.loads(p.read_text()) for p in (tmp_path / "runs/rows").glob(f"*-{record['method']}-*.json")
        ]
        accuracies = [100 * row["accuracy"] for row in rows]
        assert len(accuracies) == 2
        assert float(record["mean"]) == pytest.approx(np.mean(accuracies))
        assert float(record["std"]) == pytest.approx(np.std(accuracies, ddof=1))
        worst = [100 * min(row["class_accuracy"]) for row in rows]
        assert float(record["worst_mean"]) == pytest.approx(np.mean(worst))


@pytest.mark.parametrize("output", ["md", "latex", "json"])
def test_other_forms_of_the_table(call, output):
    status, out, _ = call(
        "--selection", "Random", "--epochs", "1", "--num_exp", "1", "--output", output, "--quiet"
    )
    assert status == 0
    if output == "json":
        (record,) = json.loads(out)
        assert record["std"] is None
        assert record["n"] == 1
    else:
        assert {"md": "|", "latex": r"\begin{tabular}"}[output] in out


def test_quiet_prints_the_table_alone(call):
    _, out, err = call("--selection", "Random", "--epochs", "1", "--num_exp", "1", "--quiet")
    assert err == ""
    assert out.startswith("method")


BAD = {
    "fraction 0": (["--fraction", "0"], "fraction is 0"),
    "fraction 1.5": (["--fraction", "1.5"], "fraction is 1.5"),
    "fraction nan": (["--fraction", "nan"], "fraction is nan"),
    "fraction word": (["--fraction", "ten"], "invalid float value"),
    "method": (["--selection", "CLDD"], "did you mean CLD?"),
    "field": (["--selection", "CLD:frist=4"], "did you mean first?"),
    "field type": (["--selection", "CLD:first=few"], "expected a whole number"),
    "data set": (["--dataset", "Digit"], "did you mean Digits?"),
    "net": (["--model", "ResNet1"], "unknown network"),
    "flag": (["--fractoin", "0.1"], "unrecognized arguments"),
    "abbreviation": (["--frac", "0.1"], "unrecognized arguments"),
    "recipe": (["--recipe", "x"], "unknown recipe"),
    "epochs": (["--epochs", "0"], "epochs is 0"),
    "scheduler": (["--scheduler", "Cos"], "unknown scheduler"),
    "val_fraction": (["--val_fraction", "1"], "val_fraction is 1"),
    "missing npz": (["--dataset", "nothing.npz"], "nothing.npz"),
    "missing data": (["--dataset", "FashionMNIST"], "--download"),
    "missing subset": (["--selection", "file:nothing.csv"], "nothing.csv"),
    "seed": (["--seed", "-1"], "--seed"),
    "num_exp": (["--num_exp", "0"], "--num_exp"),
    "gpu": (["--gpu", "99"], "--gpu 99"),
    "named proxy": (["--proxy_run", "nowhere", "--epochs", "3", "--num_exp", "1"], "holds no proxy run"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_status_2(call, tmp_path, case):
    argv, message = BAD[case]
    status, out, err = call(*argv)
    assert status == 2
    assert out == ""
    assert message in err
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in err
    assert not list(tmp_path.glob("runs/rows/*"))


def test_a_save_path_that_is_a_file(call, tmp_path):
    (tmp_path / "taken").write_text("precious")
    status, _, err = call(*FAST, "--save_path", "taken")
    assert status == 2
    assert "give --save_path a folder" in err
    assert (tmp_path / "taken").read_text() == "precious"


def test_a_full_disk_keeps_finished_rows_and_says_so(call, tmp_path, monkeypatch):
    import deepcore.experiment.rows as results

    real = results.write_json
    written = []

    def full(path, value):
        if len(written) == 1:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        real(path, value)

    monkeypatch.setattr(results, "write_json", full)
    status, _, err = call("--selection", "Random", "--epochs", "1", "--num_exp", "3")
    assert status == 2
    assert "No space left on device" in err
    assert "finished rows are kept in runs" in err
    assert len(list((tmp_path / "runs/rows").glob("*.json"))) == 1


def test_a_failed_row_gives_status_1_and_its_error(call):
    status, out, err = call(*FAST, "-slr", "1e9", "--num_exp", "1")
    assert status == 1
    assert "Random" in out
    assert "CLD" not in out
    assert "failed: CLD" in err
    assert "diverged" in err


def test_ctrl_c_says_how_to_go_on(call, monkeypatch):
    from deepcore.experiment.harness import Harness

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Harness, "run", interrupted)
    status, _, err = call(*FAST)
    assert status == 130
    assert err.strip().splitlines()[-1] == "stopped; the same command goes on from runs"


def test_a_dry_run_writes_nothing(call, tmp_path):
    status, out, _ = call(*FAST, "--dry_run")
    assert status == 0
    assert not (tmp_path / "runs").exists()
    assert "4 rows, 0 of them finished" in out
    assert (
        "seed 1: proxy MLP to train: 3 epochs, 33 steps of 128, 1,292 candidates, 145 validation rows" in out
    )
    assert "4 target trainings: MLP on 129 rows, 3 epochs, 3 steps of 128" in out
    call(*FAST)
    # one post_epoch and six online trajectories of 1,292, one of 145, 4 rows; logits and features of all
    arrays = [np.load(p, mmap_mode="r") for p in (tmp_path / "runs/proxies").rglob("*.npy")]
    columns = sum(a.shape[1] for a in arrays if a.shape[1] not in (145, 1292)) // 2 // 2
    size = 4 * ((7 * 1292 + 145) * 4 + (1292 + 145) * columns)
    assert sum(a.nbytes for a in arrays) == 2 * size
    weights = [np.load(p, allow_pickle=False) for p in (tmp_path / "runs/proxies").rglob("weights.npz")]
    kept = sum(held[name].nbytes for held in weights for name in held.files)
    assert len(weights) == 2
    assert f"{(2 * size + kept) / 1e6:.1f} MB" in out
    _, out, _ = call(*FAST, "--dry_run")
    assert "4 rows, 4 of them finished" in out


def test_deepcore_s_flags_without_a_meaning_are_accepted_and_said(call):
    short = ["--selection", "Random", "--epochs", "1", "--num_exp", "1"]
    status, _, err = call(*short, "-ti", "5", "--workers", "4", "--submodular", "GraphCut")
    assert status == 0
    for flag in ("test_interval", "submodular"):
        assert f"--{flag} is ignored: {IGNORED_FLAGS[flag]}" in err
    assert "--workers is ignored: Digits is no folder of images" in err


def test_deepcore_s_spellings_reach_the_recipe(call, tmp_path):
    call(
        *("--dataset", "Digits", "--model", "mlp", "--selection", "Uniform", "--fraction", "0.1"),
        *("--num_exp", "1", "--epochs", "2", "-b", "64", "-tb", "32", "-wd", "1e-3", "--lr", "0.02"),
        *("--momentum", "0.8", "--nesterov", "false", "--optimizer", "SGD", "--gamma", "0.5", "-sp", "out"),
        *("--scheduler", "StepLR", "--step_size", "1", "--min_lr", "1e-5", "-p", "1"),
    )
    (path,) = (tmp_path / "out/rows").glob("*.json")
    recipe = json.loads(path.read_text())["target_recipe"]
    expected = {"epochs": 2, "batch": 32, "lr": 0.02, "momentum": 0.8, "nesterov": False, "gamma": 0.5}
    expected |= {"weight_decay": 1e-3, "scheduler": "StepLR", "step_size": 1, "min_lr": 1e-5}
    assert {key: recipe[key] for key in expected} == expected


def test_the_proxy_s_own_recipe_and_a_target_in_steps(call, tmp_path):
    status, _, _ = call(
        *("--num_exp", "1", "--epochs", "9", "--steps", "4", "-se", "4", "-sb", "64", "-slr", "0.01"),
        *("--cross", "LeNet", "--record", "online", "--balance", "false"),
    )
    assert status == 0
    rows = [json.loads(p.read_text()) for p in (tmp_path / "runs/rows").glob("*.json")]
    assert {row["target_net"] for row in rows} == {"MLP", "LeNet"}
    for row in rows:
        assert row["steps"] == 4
        proxy = row["proxy_recipe"]
        assert (proxy["epochs"], proxy["batch"], proxy["lr"], proxy["steps"]) == (4, 64, 0.01, None)
        assert row["recording"] == "online"
        assert row["method_spec"]["class_balanced"] is False


def test_record_and_balance_reach_the_methods_that_they_mean_something_to(tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("id\n3\n")
    texts = ["CLD", "CLD:record=post_epoch,class_balanced=true", "AUM", "Random", "Full", f"file:{path}"]
    args = parser().parse_args(["--selection", *texts, "--record", "online", "--balance", "false"])
    assert [method.label() for method in main.methods_of(args)] == [
        "CLD:record=online,class_balanced=False",
        "CLD:record=post_epoch",  # its own words come first
        "AUM:class_balanced=False",  # online anyhow
        "Random:class_balanced=False",
        "Full",
        f"file:{path}",
    ]


@pytest.mark.parametrize(("signals", "recordings"), [("needed", 2), ("all", 2 + 6 + 4)])
def test_signals_needed_records_no_more(call, tmp_path, signals, recordings):
    call("--selection", "CLD", "--epochs", "3", "--num_exp", "1", "--signals", signals)
    assert len(list(tmp_path.glob("runs/proxies/*/*.npy"))) == recordings


def test_list_and_help(call):
    status, out, _ = call("--list")
    assert status == 0
    for word in ("CLD", "post_epoch", "highest", "Random", "Digits", "ConvNet", "paper-cifar", "file:PATH"):
        assert word in out
    status, out, _ = call("--help")
    assert status == 0
    assert "train pool" in out
    groups = [group.title for group in parser()._action_groups]
    assert "recipe (defaults: the data set's)" in groups


def test_the_main_job_runs_without_tqdm_matplotlib_and_torchvision(tmp_path, capsys, monkeypatch):
    # that no file imports them when it is loaded: tests/test_rooms.py
    for name in [*sys.modules]:
        if name.partition(".")[0] in MAY_BE_MISSING:
            monkeypatch.setitem(sys.modules, name, None)
    for name in MAY_BE_MISSING:
        monkeypatch.setitem(sys.modules, name, None)
    argv = ["--selection", "CLD", "--epochs", "3", "--num_exp", "1", "--save_path", str(tmp_path)]
    assert main.main(argv) == 0
    said = capsys.readouterr()
    assert "CLD" in said.out
    assert "no figures: matplotlib is not installed" in said.err
    assert (tmp_path / "report.html").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--save_path", ""], "--save_path is empty"),
        (["--power", ""], "--power is empty"),
        (["--model", ""], "--model is empty"),
        (["--dataset", ""], "unknown data set ''"),
        (["--print_freq", "-1"], "--print_freq is -1"),
        (["--momentum", "0"], "--nesterov false"),
    ],
)
def test_values_that_mean_nothing_are_refused(call, tmp_path, argv, message):
    status, _, err = call(*FAST, *argv)
    assert status == 2
    assert message in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("flags", ["--list", "--costs", "--dry_run", "--power=", "--power=runs"])
def test_what_trains_nothing_starts_no_workers_and_joins_no_other_process(flags):
    args = parser().parse_args([flags, "--jobs", "2"])
    assert early_pool(args) is None
    assert follow(args, lambda: pytest.fail("it joins"), lambda: pytest.fail("it loads")) == 0


def test_a_dry_run_refuses_what_the_run_would(call, tmp_path):
    (tmp_path / "runs").write_text("mine")
    status, out, err = call(*FAST, "--dry_run")
    assert (status, out) == (2, "")
    assert "is, or lies below, a file" in err


def test_a_dry_run_counts_the_rows_of_a_subset(call, tmp_path):
    (tmp_path / "ids.csv").write_text("\n".join(map(str, range(1437))))
    _, out, _ = call("--selection", "file:ids.csv", "--num_exp", "1", "--dry_run")
    assert "MLP on 1,292 rows" in out
    (tmp_path / "ids.csv").write_text("0\n2\n5\n")
    _, out, _ = call("--selection", "file:ids.csv", "--num_exp", "1", "--dry_run")
    assert re.search("MLP on [1-3] rows", out)


def test_output_that_is_ascii(call, monkeypatch):
    argv = ["--selection", "Random", "--epochs", "1", "--num_exp", "2", "--quiet"]
    _, usual, _ = call(*argv)
    assert " ± " in usual
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", plain)
    assert call(*argv)[0] == 0
    plain.seek(0)
    assert plain.read() == usual.replace("±", "+-")


def test_output_that_nobody_reads(tmp_path):
    command = [sys.executable, str(ROOT / "main.py"), "--list"]
    reader, writer = os.pipe()
    os.close(reader)
    closed = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=100)
    os.close(writer)
    assert (closed.returncode, closed.stderr) == (141, b"")


def test_a_closed_stderr_stops_nothing(call, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    status, out, _ = call("--selection", "Random", "--epochs", "1", "--num_exp", "1")
    assert status == 0
    assert "Random" in out


def test_a_save_path_that_cannot_be_written(call, tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    status, _, err = call(*FAST)
    assert (status, err) == (
        2,
        "error: runs cannot be written (Read-only file system): give --save_path a folder of yours\n",
    )


def test_an_error_of_several_lines_is_printed_as_one(call, monkeypatch):
    def fail(*args, **options):
        raise UsageError("no\n  server\n")

    monkeypatch.setattr("deepcore.data.datasets.load", fail)
    assert call(*FAST) == (2, "", "error: no server\n")
