"""Where tasks run: in this process, in worker processes (loky, which comes with joblib), or on a Ray cluster.

A pool has `slots` tasks in flight at most. `share` makes a large object known to all workers once and gives a
handle; `submit(function, handle, *args)` calls `function(object, *args)` somewhere and gives a Future. The
queues, the transport and the supervision of workers are those of loky and Ray. This file imports nothing
heavy, so that worker processes can be started before anything else is.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import importlib
import multiprocessing
import os
import pickle
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from deepcore.common.checks import DeepcoreError, UsageError

WATCH_SECONDS = 0.25  # how soon a worker sees that its parent is gone


class WorkerLost(DeepcoreError):
    """A worker process ended before its task did."""


class Pool(Protocol):
    """Somewhere that tasks run.

    Attributes:
        slots: how many run side by side.
        is_here: tasks run in this very process, one after the other.
        is_far: they may run on other machines.
    """

    slots: int
    is_here: bool
    is_far: bool

    def share(self, value: Any) -> Any:
        """A handle of `value` for `submit`; the value reaches each worker once."""

    def submit(self, function: Callable[..., Any], handle: Any, *args: Any) -> Future:
        """Call `function(value, *args)`; a worker that dies gives WorkerLost."""

    def close(self) -> None:
        """End the workers, whatever they are doing, and remove what was shared."""


class SerialPool:
    """This process: `submit` returns when the task is done. Exceptions, Ctrl-C too, are raised there."""

    slots = 1
    is_here = True
    is_far = False

    def share(self, value: Any) -> Any:
        """The value itself."""
        return value

    def submit(self, function: Callable[..., Any], handle: Any, *args: Any) -> Future:
        """Call it now."""
        future: Future = Future()
        future.set_result(function(handle, *args))
        return future

    def close(self) -> None:
        """Nothing to end."""


class LokyPool:
    """Worker processes on this machine.

    They survive neither their parent nor `close`, and leave Ctrl-C to their parent. Shared values go through
    a private temporary folder, pickled by this process for its own workers.

    Args:
        slots: number of processes.
        preload: modules that each worker imports as soon as it starts.
        forked: the workers are copies of this process, with all that it has imported, and need no time to
            start. Only for a process that has computed nothing yet: threads of a library do not survive in a
            copy. Otherwise they are fresh interpreters.
    """

    is_here = is_far = False

    def __init__(self, slots: int, preload: Iterable[str] = (), *, forked: bool = False) -> None:
        from joblib.externals import loky

        self.slots = slots
        # made by `share`, when there are workers to remove it, whatever becomes of this process
        self._folder = Path(tempfile.gettempdir()) / f"deepcore-{secrets.token_hex(8)}"
        self._executor = loky.ProcessPoolExecutor(
            slots,
            initializer=_start_worker,
            initargs=(os.getpid(), str(self._folder)),
            timeout=None,
            context=multiprocessing.get_context("fork") if forked else None,
        )
        self._broken = loky.process_executor.BrokenProcessPool
        try:
            with _ctrl_c_later() if forked else contextlib.nullcontext():
                for _ in range(slots):  # the workers start, and import, while the parent goes on
                    self._executor.submit(_preload, tuple(preload))
        except BaseException:  # Ctrl-C: nobody has the pool to close it
            self.close()
            raise

    def share(self, value: Any) -> str:
        """The path of its pickle."""
        from joblib.externals.loky.backend import reduction  # its pickler takes classes of __main__, too

        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{len(list(self._folder.iterdir()))}.pickle"
        with open(path, "wb") as handle:
            handle.write(reduction.dumps(value))
        return str(path)

    def submit(self, function: Callable[..., Any], handle: Any, *args: Any) -> Future:
        """Queue it for the workers."""
        outcome: Future = Future()
        try:
            inner = self._executor.submit(_call_shared, function, handle, args)
        except self._broken as error:
            raise _lost() from error

        def pass_on(done: Future) -> None:
            error = done.exception() if not done.cancelled() else concurrent.futures.CancelledError()
            if error is None:
                outcome.set_result(done.result())
            else:
                outcome.set_exception(_lost() if isinstance(error, self._broken) else error)

        inner.add_done_callback(pass_on)
        return outcome

    def close(self) -> None:
        """Remove the folder and kill the workers, in this order: see `share`."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._executor.shutdown(wait=True, kill_workers=True)


class RayPool:
    """The workers of a Ray cluster; `pip install ray`.

    Args:
        address: "ray" for a Ray of this machine, started here; else the address of a running cluster, such as
            "ray://head:10001" or "auto".
        slots: tasks in flight; None for the CPUs of the cluster.
        gpus: GPUs that a task takes.
    """

    is_here = False
    is_far = True

    def __init__(self, address: str, slots: int | None = None, *, gpus: float = 0) -> None:
        try:
            self._ray = importlib.import_module("ray")
        except ImportError:
            raise UsageError("--cluster needs Ray: pip install ray, or leave out --cluster") from None
        options = {"ignore_reinit_error": True, "include_dashboard": False, "log_to_driver": False}
        if address == "ray":
            options["num_cpus"] = slots
        else:
            options = {"address": address, "ignore_reinit_error": True}
        try:
            self._ray.init(logging_level="ERROR", **options)
        except Exception as error:  # no such cluster, another version there: Ray raises many kinds
            raise UsageError(f"--cluster {address} cannot be reached ({error})") from None
        self.slots = slots or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._remote = self._ray.remote(_call).options(num_cpus=1, num_gpus=gpus, max_retries=0)

    def share(self, value: Any) -> Any:
        """A reference into Ray's object store."""
        return self._ray.put(value)

    def submit(self, function: Callable[..., Any], handle: Any, *args: Any) -> Future:
        """Queue it on the cluster."""
        outcome: Future = Future()

        def pass_on(done: Future) -> None:
            error = done.exception()
            if error is None:
                outcome.set_result(done.result())
                return
            gone = (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.NodeDiedError)
            cause = getattr(error, "cause", None)
            outcome.set_exception(_lost() if isinstance(error, gone) else cause or error)

        self._remote.remote(function, handle, *args).future().add_done_callback(pass_on)
        return outcome

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()


@contextlib.contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Ctrl-C waits for the end of the block: within a fork Python would print it and go on. A mask would not
    do, as another thread of the process may get the signal. Only for the main thread."""
    came = []
    before = signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _lost() -> WorkerLost:
    return WorkerLost(
        "a worker process was killed, perhaps for want of memory: finished rows are kept, the same command "
        "goes on; fewer --jobs need less memory"
    )


def _call(function: Callable[..., Any], value: Any, *args: Any) -> Any:
    return function(value, *args)


def _call_shared(function: Callable[..., Any], path: str, args: tuple[Any, ...]) -> Any:
    return function(_shared(path), *args)


@functools.lru_cache(maxsize=2)
def _shared(path: str) -> Any:
    """What the parent of this worker put into its private folder: nobody else can write there."""
    with open(path, "rb") as handle:
        return pickle.load(handle)


def _preload(modules: Iterable[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    time.sleep(0.01)  # so that no worker takes the turn of another


_PARENT: list[int] = []  # of this process, where it is a worker


def end_without_parent() -> None:
    """End this process where it is a worker whose parent is gone. A worker that has taken a lock calls this:
    the next command may have begun before it did."""
    if _PARENT and os.getppid() != _PARENT[-1]:
        os._exit(1)


def _start_worker(parent: int, folder: str) -> None:
    _PARENT.append(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent, folder), daemon=True).start()


def _watch(parent: int, folder: str) -> None:
    """End this worker when its parent is gone, and what the parent can no longer remove."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    with contextlib.suppress(OSError):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
