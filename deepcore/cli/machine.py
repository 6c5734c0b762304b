"""What runs the trainings, from the flags: devices, worker processes, the number of jobs."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from deepcore.cli.launched import check_alone, launched, trains_nothing

if TYPE_CHECKING:
    import torch

    from deepcore.common.pools import LokyPool, Pool

MOST_JOBS = 1024  # more are a slip of the finger


def devices_of(gpus: list[int] | None) -> tuple[torch.device, ...]:
    """The torch devices that --gpu asks for, at least one."""
    import torch

    from deepcore.common.checks import UsageError

    if gpus is None:
        return (torch.device("cuda:0" if torch.cuda.is_available() else "cpu"),)
    if any(gpu < 0 for gpu in gpus):
        if len(gpus) > 1:
            raise UsageError("--gpu: -1 is the CPU, and stands alone")
        return (torch.device("cpu"),)
    for gpu in gpus:
        if gpu >= torch.cuda.device_count():
            raise UsageError(
                f"--gpu {gpu}: there are {torch.cuda.device_count()} CUDA devices; -1 is the CPU"
            )
    return tuple(torch.device(f"cuda:{gpu}") for gpu in dict.fromkeys(gpus))


def early_pool(args: argparse.Namespace) -> LokyPool | None:
    """Worker processes, started before anything is computed, where they are likely to be used; else None.

    Where this process has just imported torch, they are copies of it, so that torch is imported once.
    """
    folder, trainings = Path(args.save_path or "."), args.num_exp * len(args.selection or ["CLD"])
    if trains_nothing(args) or args.cluster:
        return None
    if args.gpu not in (None, [-1]):
        return None
    if launched()[1] > 1:
        return None
    jobs = args.jobs
    if jobs is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        finished = len(list((folder / "rows").glob("*.json"))) if (folder / "rows").is_dir() else 0
        jobs = min(cores, trainings) if trainings >= 3 and finished < trainings else 1
    if not 1 < jobs <= MOST_JOBS:
        return None
    from deepcore.common.pools import LokyPool

    fresh = "torch" not in sys.modules and sys.platform == "linux"
    from deepcore.experiment.harness import PRELOAD

    for name in PRELOAD:
        importlib.import_module(name)
    return LokyPool(jobs, PRELOAD, forked=fresh)


def preload_report() -> None:
    """Import what the tables and figures need."""
    heavy = ("matplotlib.figure", "matplotlib.backends.backend_agg") if find_spec("matplotlib") else ()
    for name in ("deepcore.report.run_report", *heavy):
        importlib.import_module(name)


def pool_and_jobs(
    args: argparse.Namespace, early: Pool | None, devices: Sequence[torch.device]
) -> tuple[Pool | None, int | None]:
    """The pool to use if there is one, and the number of jobs; None for as many as pay."""
    from deepcore.common.checks import UsageError

    for flag in ("jobs", "jobs_per_gpu"):
        value = getattr(args, flag)
        if value is not None and not 1 <= value <= MOST_JOBS:
            raise UsageError(f"--{flag} is {value}: it must be from 1 to {MOST_JOBS}")
    if launched()[1] > 1:
        check_alone(args)
        return None, 1
    gpus = [device for device in devices if device.type == "cuda"]
    on_gpus = len(gpus) * args.jobs_per_gpu
    if args.cluster:
        from deepcore.common.pools import RayPool

        pool = RayPool(args.cluster, args.jobs, gpus=1 / args.jobs_per_gpu if gpus else 0)
        return pool, pool.slots
    if on_gpus > 1:
        return None, args.jobs or on_gpus
    return early, args.jobs
