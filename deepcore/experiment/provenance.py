"""Versions, commit and hardware of a run."""

from __future__ import annotations

import functools
import inspect
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.identity import fingerprint
from deepcore.common.launch import launched
from deepcore.version import __version__


def provenance(device: torch.device, *, threads: int | None = None, compiled: bool = False) -> dict[str, Any]:
    """Versions, commit and hardware of this process, and how the target was trained.

    Args:
        device: device of the training.
        threads: number of threads of the training; None for a target that was not trained.
        compiled: whether torch.compile was used.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()
    return {
        "deepcore": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "commit": _commit(),
        "platform": platform.platform(),
        "device": name,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads() if threads is None else threads,
        "processes": launched()[1],
        "compiled": compiled,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


@functools.cache
def code_of(what: Callable[..., object] | None) -> str | None:
    """A digest of the file that a method's class or a network's function is written in; None where there is
    none."""
    try:
        return fingerprint(inspect.getsource(sys.modules[module_of(what)]))
    except (OSError, TypeError, KeyError):
        return None


def module_of(what: Callable[..., object] | None) -> str:
    """The module of a class or function, also of one with arguments filled in."""
    return getattr(what.func if isinstance(what, functools.partial) else what, "__module__", "")


def _commit() -> str | None:
    """The commit of the source tree, with + when it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        answers = [
            subprocess.run(
                ["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True
            )
            for words in (
                ["rev-parse", "--short=12", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return answers[0].stdout.strip() + ("+" if answers[1].stdout.strip() else "")


def _cpu_name() -> str:
    """The model, as far as the machine tells, and the instructions that torch uses of it: results depend on
    them in their last digits."""
    return f"{_cpu_model()}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
