"""Tasks on other machines, which may not see the folder of the experiment.

Rows, selections and proxy runs are then carried back, and the proxy run that a cell reads is carried there.
"""

from __future__ import annotations

import atexit
import dataclasses
import functools
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from deepcore.common.files import write_bytes
from deepcore.experiment.plan import Cell, ProxyTask, runs_read
from deepcore.experiment.tasks import Done, Task, Work, run_in_worker

Files = Mapping[str, bytes]  # by path below the folder of the experiment
PARTS = ("proxies", "selections", "rows")
TOKEN = ".shared-"  # and the key of the run: whoever sees this file sees the folder


def run_far(work: Work, task: Task, files: Files | None = None, *, overlapped: bool = False) -> Done:
    """`run_in_worker`, in the experiment's folder where that can be seen, else in a temporary one.

    Args:
        work, task, overlapped: as there.
        files: the proxy runs that a cell reads; None until they were asked for (`Done.wants_files`).

    Returns:
        What came of it, with the files that it left where the folder cannot be seen.
    """
    if (work.runtime.folder / (TOKEN + work.key)).exists():
        return run_in_worker(work, task, overlapped=overlapped)
    folder = _temporary(work.key)
    for name, content in (files or {}).items():
        if not (folder / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(folder / name, content)
    if files is None and isinstance(task, Cell) and runs_read(task.method):
        return Done(wants_files=True)
    before = set(_files(folder))
    there = dataclasses.replace(work, runtime=dataclasses.replace(work.runtime, folder=folder))
    done = run_in_worker(there, task, overlapped=overlapped)
    left = [path for path in _files(folder) if path not in before]
    return dataclasses.replace(done, files={str(p.relative_to(folder)): p.read_bytes() for p in left})


@functools.cache
def _temporary(key: str) -> Path:
    """This worker's stand-in for the folder of a run; it goes when the worker ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"deepcore-{key}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def proxy_files(folder: Path, tasks: Iterable[ProxyTask]) -> Files:
    """The stored runs of these tasks, from the experiment's folder."""
    from deepcore.proxy.engine import find_stored

    files: dict[str, bytes] = {}
    for task in tasks:
        store = find_stored(folder / "proxies", task.spec, task.recording)
        if store is not None:
            paths = [path for path in store.folder.iterdir() if path.is_file()]
            files |= {str(path.relative_to(folder)): path.read_bytes() for path in paths}
    return files


def take_back(folder: Path, files: Files) -> None:
    """Write what a task left on another machine into the experiment's folder; the closing record of a proxy
    run comes last."""
    for name in sorted(files, key=lambda name: Path(name).name == "done.json"):
        path = folder / name
        if Path(name).parts[0] not in PARTS or ".." in Path(name).parts:
            raise ValueError(f"{name} is no file of an experiment")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, files[name])
        if path.name == "done.json":
            (path.parent / "state.pt").unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [path for part in PARTS for path in sorted((folder / part).rglob("*")) if path.is_file()]
