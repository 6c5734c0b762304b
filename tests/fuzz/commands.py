"""Command lines from the parsers' own descriptions: the benchmark's, planned or run on tiny data, and the
verbs of `python -m deepcore`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.fuzz import values
from tests.fuzz.outcome import Fault, captured, check_command
from tests.fuzz.sandbox import Case, Fuzzer, own_folder

LEFT_OUT = {"help", "download", "cluster", "jobs", "jobs_per_gpu"}  # the network; processes are for the kills
RUNS = 0.1  # share of the benchmark's command lines that train
END = {  # what keeps a command short, after all that was drawn
    "dry run": ("--dry_run",),
    "run": (
        "--epochs",
        "2",
        "-se",
        "2",
        "--num_exp",
        "1",
        "--steps",
        "3",
        "--report",
        "false",
        "--jobs",
        "1",
    ),
}
NETS = ("MLP", "MLP", "MLP", "LeNet", "mlp", "ResNet1")
DATA = ("data.npz", "data.npz", "data.npz", "Digits", "CIFAR10", "ImageFolder", "Synthetic")
LOGS = ("log.npz", "log.csv", "log.csv", "folder", "none.csv", "data.npz")
FILES = ("out.csv", "out.npz", "out.json", "none/out.csv", "out", "taken/out.csv")
PATHS = ("runs", "taken", "log.npz", "ids.csv", ".", "new/folder")


def draw(rng: random.Random) -> Case:
    """A command: pieces of one flag with its values each; the first says which command it is."""
    from deepcore.cli import flags, verbs

    if rng.random() < 0.25:
        verb = rng.choice([*verbs.VERBS])  # a new verb is drawn from the day it is there
        parts = verbs.parser()._subparsers._group_actions[0].choices[verb]
        logs = rng.choice(
            ("log.npz", "log.csv", "log.csv", "folder", "none.csv", "data.npz", values.odd(rng))
        )
        return ((verb,), (logs,), *_drawn(rng, parts))
    end = rng.choices(("dry run", "costs", "list", "run"), (1 - RUNS - 0.2, 0.17, 0.03, RUNS))[0]
    return ((end,), *_drawn(rng, flags.parser()))


def _drawn(rng: random.Random, parser: argparse.ArgumentParser) -> Iterator[tuple[str, ...]]:
    """Some flags with values."""
    actions = [a for a in parser._actions if a.option_strings and a.dest not in LEFT_OUT]
    for action in rng.choices(actions, k=rng.choice((1, 2, 3, 3, 4, 6, 10))):
        name = rng.choice(action.option_strings)
        if rng.random() < 0.02:
            name = name[:-1] or name
        if action.nargs == 0:
            yield (name,)
            continue
        count = rng.choice((1, 1, 2, 3)) if action.nargs == "+" else 1
        given = [_value(rng, action) for _ in range(count)]
        if rng.random() < 0.15 and name.startswith("--"):
            yield (f"{name}={given[0]}", *given[1:])
        else:
            yield (name, *given)


def _value(rng: random.Random, action: argparse.Action) -> str:
    """Of the flag's type, or not."""
    if rng.random() < 0.12:
        return values.odd(rng)
    if action.choices:
        return rng.choice([*map(str, action.choices)])
    kind = getattr(action.type, "__name__", "str")
    if kind in ("whole", "int"):
        return values.whole(rng)
    if kind == "float":
        return values.number(rng)
    if kind == "yes_or_no":
        return rng.choice(("true", "no", "1", "maybe"))
    by_name = {
        "METHOD": values.method,
        "NET": lambda rng: rng.choice(NETS),
        "DIR": lambda rng: rng.choice(PATHS),
        "PATH": lambda rng: rng.choice(("rows.csv", *PATHS)),
        "FILE": lambda rng: rng.choice(FILES),
    }
    if action.metavar in by_name:
        return by_name[action.metavar](rng)
    named = {
        "dataset": DATA,
        "recipe": ("digits", "vectors", "paper-cifar", "none"),
        "optimizer": ("SGD", "Adam", "AdamW", "sgd"),
        "selection_optimizer": ("SGD", "Adam", "AdamW"),
        "scheduler": ("MultiStepLR", "CosineAnnealingLR", "OneCycleLR", "StepLR", "ConstantLR", "Cos"),
        "precision": ("fp32", "bf16", "fp16"),
    }
    return rng.choice(named.get(action.dest, ("id", "loss", "label", "none", "x")))


def argv_of(case: Case) -> list[str]:
    """The arguments of a case, with data and end."""
    (first,), rest = case[0], [text for piece in case[1:] for text in piece]
    if first in ("dry run", "run"):
        return ["--dataset", "data.npz", *rest, *END[first]]
    return {"costs": ["--costs", *rest], "list": ["--list", *rest]}.get(first, [first, *rest])


def attempt(case: Case) -> str:
    """Run it in this process; a fault, too, is a row that failed with a traceback."""
    import main
    from deepcore.cli import verbs

    if not case or case[0] not in {
        ("dry run",),
        ("run",),
        ("costs",),
        ("list",),
        *((v,) for v in verbs.VERBS),
    }:
        return "nothing"
    argv = argv_of(case)
    benchmark = case[0][0] not in verbs.VERBS
    writes = case[0][0] == "run" or not benchmark
    folder = own_folder() if writes else Path.cwd() / "shared"
    if not folder.exists() or writes:
        lay_out(folder)
    os.chdir(folder)
    try:
        return _outcome(argv, main.main if benchmark else verbs.main)
    finally:
        if not writes:
            os.chdir(folder.parent)
            if sorted(os.listdir(folder)) != sorted(TOP):
                left = os.listdir(folder)
                shutil.rmtree(folder)
                raise Fault(f"a command that writes nothing left something: {left}")


def _outcome(argv: list[str], command: Callable[[list[str]], int]) -> str:
    status, out, err = captured(lambda: command(argv))
    outcome = check_command(status, out, err)
    if outcome == "failed rows":
        for path in Path.cwd().rglob("rows/*.json"):
            if "Traceback" in path.read_text():
                raise Fault(f"a row failed with a traceback: {path.read_text()[:3000]}")
    if outcome == "refused" and out:
        raise Fault(f"refused after it had printed: {out[:300]}")
    return outcome


def lay_out(folder: Path) -> None:
    """The files that command lines name: a data set, logs, a subset, a file where a folder is wanted."""
    for name, content in _contents().items():
        path = folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)


def some_rows() -> str:
    """Two methods beside Random over three seeds, as a CSV."""
    from deepcore.experiment.rows_csv import to_csv
    from tests.rows import rows_of

    return to_csv([*rows_of("Random", 50, 51, 53), *rows_of("CLD", 52, 54, 53), *rows_of("AUM", 40, 44, 41)])


TOP = ("data.npz", "rows.csv", "log.npz", "log.csv", "folder", "ids.csv", "taken")
_CONTENTS: dict[str, bytes] = {}


def _contents() -> dict[str, bytes]:
    if not _CONTENTS:
        import tempfile

        from tests.logs import tables

        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            write_data(place / "data.npz")
            log = {"train_losses": tables.LOSSES, "train_labels": tables.LABELS, "val_losses": tables.VAL}
            np.savez(place / "log.npz", **log, val_labels=tables.VAL_LABELS)
            (place / "log.csv").write_text(tables.csv_text(tables.rows()))
            (place / "folder").mkdir()
            for name, array in (*log.items(), ("val_labels", tables.VAL_LABELS)):
                np.save(place / "folder" / f"{name}.npy", array)
            (place / "ids.csv").write_text("id\n0\n5\n7\n30\n")
            (place / "taken").write_text("a file")
            (place / "rows.csv").write_text(some_rows())
            files = [path for path in sorted(place.rglob("*")) if path.is_file()]
            _CONTENTS.update({os.path.relpath(path, place): path.read_bytes() for path in files})
    return _CONTENTS


def write_data(path: Path, rows: int = 60) -> None:
    """A tiny data set that a small net can learn: three classes of 6 x 6 images."""
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 256, (3, 6, 6))
    labels = np.arange(rows) % 3
    images = np.clip(patterns[labels] + rng.normal(0, 50, (rows, 6, 6)), 0, 255).astype(np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images[:21], y_test=labels[:21])


FUZZER = Fuzzer("commands", draw, attempt)
