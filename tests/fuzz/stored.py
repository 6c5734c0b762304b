"""Stored runs changed by hand: rows, selections and proxy runs are refused with what differs, or what was
changed makes no difference; they are never used silently."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.commands import write_data
from tests.fuzz.mutate import BYTES, Change, changed, changes
from tests.fuzz.outcome import Fault, captured, check_command
from tests.fuzz.sandbox import Case, own_folder

KIND = "stored run"
ARGV = (
    *(
        "--dataset",
        "data.npz",
        "--selection",
        "CLD",
        "Random",
        "D2:beta=0",
        "--fraction",
        "0.2",
        "--num_exp",
        "1",
    ),
    *("--epochs", "3", "--batch", "16", "--signals", "needed", "--jobs", "1", "--quiet", "--report"),
)
FORMS = {
    ".json": (*BYTES, *["json"] * 12),
    ".npz": (*BYTES, *["array"] * 4),
    ".npy": (*BYTES, *["array"] * 2),
    ".csv": ("line",),
}
RUN_TO_RUN = {"measured", "provenance"}


def command(report: str) -> tuple[int, str, str]:
    """The command of the grid, in this process and in the current folder."""
    import main

    return captured(lambda: main.main([*ARGV, report]))


@functools.cache
def finished() -> tuple[dict[str, bytes], str]:
    """The files of a finished run, and the table that it printed."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        os.chdir(folder)
        try:
            write_data(Path("data.npz"))
            status, out, err = command("false")
            assert status == 0, err
            files = [path for path in sorted(Path().rglob("*")) if path.is_file() and path.name[0] != "."]
            return {str(path): path.read_bytes() for path in files}, table(out)
        finally:
            os.chdir(before)


def table(out: str) -> str:
    """The accuracies: costs are of the machine."""
    return out.split("\n\n")[0]


def draw(rng: random.Random) -> Case:
    """A file of the run, what is left out, and changes."""
    files = [name for name in finished()[0] if name != "data.npz"]
    weights = [3.0 if name.endswith(".json") else 1.0 for name in files]
    file = rng.choices(files, weights)[0]
    made: tuple[Change, ...] = changes(rng, FORMS[Path(file).suffix])
    if rng.random() < 0.4 and "rows" not in file:  # then the proxy run is read, too
        made = (("without rows", 0.0, 0), *made)
    return (KIND, file, *made)


def attempt(file: str, made: tuple[Change, ...]) -> str:
    """Run the command over the changed folder, with a report, which reads the selections."""
    files, printed = finished()
    own_folder()
    without = any(change[0] == "without rows" for change in made)
    made = tuple(change for change in made if change[0] != "without rows")
    after = changed(files[file], made)
    for name, content in files.items():
        if without and "/rows/" in name:
            continue
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(after if name == file else content)
    selection = "selections" in file and not without
    status, out, err = command("true" if selection else "false")
    outcome = check_command(status, out, err)
    if outcome != "done":
        return outcome
    if table(out) != printed:
        raise Fault(f"{file} was changed and used: the table is\n{table(out)}\ninstead of\n{printed}")
    for name, content in files.items():
        if "/rows/" in name and _meaning(Path(name).read_bytes()) != _meaning(content):
            raise Fault(f"{file} was changed and used: {name} is another row")
    same = _meaning(after) == _meaning(files[file])
    return "no difference" if same else "not read"


def _meaning(content: bytes) -> Any:
    """A row without what differs between two runs; other files as they are."""
    with contextlib.suppress(ValueError):
        value = json.loads(content)
        if isinstance(value, dict):
            return {name: part for name, part in value.items() if name not in RUN_TO_RUN}
    return content
