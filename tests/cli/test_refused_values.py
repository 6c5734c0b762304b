"""Values that no command means are refused in a sentence, before anything is trained or planned."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import main
import methods
from deepcore.cli.arguments import whole
from deepcore.cli.flags import parser
from deepcore.common.checks import LONGEST, UsageError, check_fraction, check_positive, shortened
from deepcore.data import datasets
from deepcore.experiment.spec import MOST_TRAININGS, ExperimentSpec
from deepcore.training.spec import TrainSpec

HUGE = "9" * 20


def refused(call, tmp_path, *argv) -> str:
    """The one sentence of a command that ends with status 2 and leaves nothing."""
    status, out, err = call(*argv)
    assert (status, out) == (2, ""), err
    assert err.count("error: ") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()
    return err


@pytest.mark.parametrize("flag", ["--num_exp", "--epochs", "--selection_epochs", "--seed", "--gpu"])
def test_whole_numbers_beyond_64_bits(call, tmp_path, flag):
    assert f": {HUGE} is beyond 64 bits" in refused(call, tmp_path, flag, HUGE)
    assert whole("-" + str(2**63)) == -(2**63)


@pytest.mark.parametrize("field", ["epochs", "at", "repeats"])
def test_fields_beyond_64_bits(call, tmp_path, field):
    assert f"{field} is {HUGE}" in refused(call, tmp_path, "--selection", f"EL2N:{field}={HUGE}")


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400, 2**63, True, "3", None])
def test_a_positive_whole_number(value):
    with pytest.raises(UsageError, match=r"^epochs is .*: it must be a whole number above 0"):
        check_positive("epochs", value, whole=True)
    with pytest.raises(UsageError):
        check_fraction(value)
    check_positive("epochs", 2**53, whole=True)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_a_positive_number_of_numpy(kind):
    check_positive("lr", kind(0.1))
    for value in ("inf", "nan"):
        with pytest.raises(UsageError, match=r"^lr is .*: it must be a number above 0"):
            check_positive("lr", kind(value))


@pytest.mark.parametrize(
    "flag",
    [
        *("--val_fraction", "--label_noise", "--label_noise_val", "--num_exp", "--seed", "--print_freq"),
        *("--gpu", "--fraction", "--selection", "--cross", "--dataset", "--output"),
    ],
)
def test_two_dashes_are_no_value(call, tmp_path, flag):
    assert f"argument {flag}: -- is no value" in refused(call, tmp_path, f"{flag}=--")
    assert parser().parse_args([]).cross == []


def test_seeds_and_trainings_that_no_one_can_mean(call, tmp_path):
    assert "num_exp is 1,000,000" in refused(call, tmp_path, "--num_exp", "1000000")
    argv = ("--num_exp", "10000", "--selection", "Random", "CLD", "Full", "--fraction", *"1234567")
    assert "this asks for" in refused(call, tmp_path, *argv[:-7], *(f"0.{i}" for i in range(1, 8)))


def test_the_number_of_trainings_is_that_of_the_plan(call, tmp_path, monkeypatch):
    chosen = tuple(map(methods.parse, ("CLD", "Random", "Full", "EL2N:repeats=3", "TAP")))
    spec = ExperimentSpec((0, 1), chosen, (0.1, 0.2), ("MLP", "LeNet"), "MLP", TrainSpec(), TrainSpec())
    from deepcore.experiment.plan import make_plan

    plan = make_plan(spec, datasets.load("Digits"))
    assert spec.trainings == len(plan.cells) + len(plan.proxies)
    assert spec.trainings < MOST_TRAININGS
    monkeypatch.setattr(main, "MANY", 10)
    _, _, err = call("--num_exp", "10", "--selection", "Random", "--dry_run")
    assert err == "10 trainings\n"


NAMED = [
    name for name, cls in methods.METHODS.items() if "device" in {f.name for f in dataclasses.fields(cls)}
]


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("device", ["nope", "meta", "cuda:99"])
def test_a_device_that_is_not_here(call, tmp_path, name, device):
    err = refused(call, tmp_path, "--selection", f"{name}:device={device}", "--num_exp", "1")
    assert f"device is '{device}': here it can be cpu" in err
    assert methods.parse(f"{name}:device=cpu").device == "cpu"
    assert len(NAMED) > 5


@pytest.mark.parametrize(
    "method",
    [
        *("CCS:strata=100000000", "BoundarySet-CCS:strata=100000000", "BoundarySet-CCS:cap=100000000"),
        *("EL2N:repeats=1000000", "GraNd:repeats=1000000", "SloCurv:probes=100000000"),
    ],
)
def test_fields_that_would_take_for_ever(call, tmp_path, method):
    field, value = method.partition(":")[2].split("=")
    assert f"{field} is {value}: it must be" in refused(call, tmp_path, "--selection", method)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--image_size", "-1"),
        ("--resize", "0"),
        ("--workers", "-1"),
        ("--workers", "100000"),
        ("--cache", ""),
    ],
)
@pytest.mark.parametrize("data", ["Digits", "mine.npz"])
def test_flags_of_folders_are_checked_where_the_data_are_none(call, tmp_path, flag, value, data):
    assert flag[2:] in refused(call, tmp_path, "--dataset", data, flag, value)


LONG = "x" * 5000
QUOTED = "y z " * 1500


@pytest.mark.parametrize(
    "argv",
    [
        ("--dataset", LONG),
        ("--dataset", QUOTED),
        ("--dataset", f"{LONG}.npz"),
        ("--dataset", "CIFAR10", "--data_path", LONG),
        ("--selection", LONG),
        ("--selection", f"CLD:{LONG}"),
        ("--selection", f"CLD:first={LONG}"),
        ("--selection", f"file:{LONG}"),
        ("--epochs", LONG),
        (f"--{LONG}",),
        ("--save_path", LONG, "--num_exp", "1", "--epochs", "1", "--selection", "Random"),
        ("--output", QUOTED),
        ("--dataset", f"{QUOTED}.npz"),
        ("--nonsense", QUOTED),
    ],
    ids=range(14),
)
def test_messages_shorten_what_is_long(call, tmp_path, argv):
    err = refused(call, tmp_path, *argv)
    assert len(err) < 3100
    assert " letters ...]" in err


def test_shortened_keeps_what_is_short_and_says_how_much_is_left_out():
    sentence = f"it isn't there: '{'a b ' * 50}' and {'p' * (LONGEST - 1)} , don't" + " word" * 200
    assert shortened(sentence) == sentence
    short = shortened("a" * 200 + "b" * 1000 + "c" * 50)
    assert short == "a" * 200 + "[... 1,000 letters ...]" + "c" * 50
    assert shortened(short) == short
    assert str(UsageError(LONG)) == shortened(LONG)


def test_more_epochs_than_a_range_can_count(call, tmp_path):
    assert "epochs is 9223372036854775807" in refused(call, tmp_path, "--selection_epochs", str(2**63 - 1))


@pytest.mark.parametrize("value", [None, 3, 0.5, [], np.zeros(0), np.array(["fp32"]), ("fp32",)])
def test_a_choice_is_text(value):
    with pytest.raises(UsageError, match=r"^unknown precision .*; valid: fp32, bf16, fp16"):
        TrainSpec(precision=value)


def test_names_of_files_that_are_no_text(tmp_path, monkeypatch, capsys):
    """Bytes of a name that are no UTF-8 reach Python as surrogates; they are printed and written escaped."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a\udcff.csv").write_text("id\n" + "\n".join(map(str, range(0, 1437, 9))))
    argv = ["--selection", "file:a\udcff.csv", "--num_exp", "1", "--epochs", "1", "--save_path", "b\udcff"]
    assert main.main([*argv, "--dry_run"]) == 0
    assert r"into b\udcff" in capsys.readouterr().out
    assert main.main(argv) == 0
    assert r"file:a\udcff.csv" in capsys.readouterr().out
    assert r"file:a\udcff.csv" in (tmp_path / "b\udcff" / "report.html").read_text()
