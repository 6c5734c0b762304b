"""The command line: flags into specifications, the harness, tables. No logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from deepcore.cli.flags import FOLDER_FLAGS, IGNORED_FLAGS, PROXY_FLAGS, RECIPE_FLAGS, SETTING_FLAGS, parser
from deepcore.cli.launched import check_alone, follow, is_follower, launched, parsed, team_of

MOST_JOBS = 1024  # more are a slip of the finger
MANY = 1000  # trainings whose number is said before they are planned, which takes seconds then


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 when a row failed, 2 for bad input, 130 after
    Ctrl-C, 141 when nobody reads the output any more."""
    for name in ("stdout", "stderr"):  # None where the shell closed it
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the rest of the process)
    args = parsed(parser(), argv)
    # threads that wait for each other sleep: spinning loses a busy machine's time (read when torch is loaded)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from deepcore.common.console import exit_status

    if is_follower():
        return follow(args, lambda: devices_of(args.gpu), lambda: load_data(args, lambda line: None))
    return exit_status(lambda: run(args), args.save_path)


def run(args: argparse.Namespace) -> int:
    """The command, without the handling of errors."""
    early = early_pool(args)
    try:
        return run_with(args, early)
    finally:
        if early is not None:
            early.close()


def run_with(args: argparse.Namespace, early: Any) -> int:
    """The command, with worker processes that were started already, or None."""
    from deepcore.common.checks import UsageError
    from deepcore.common.progress import Progress
    from deepcore.experiment.dry_run import describe
    from deepcore.experiment.harness import Harness
    from deepcore.report.accuracy_report import closing_lines
    from deepcore.report.run_report import write_report

    if args.list:
        print(listing())
        return 0
    if args.costs:
        show(costs(args))
        return 0
    if args.power is not None:
        from deepcore.report.power_report import power_report

        show(power_report(Path(args.power), args.output))
        return 0
    if not args.save_path:
        raise UsageError("--save_path is empty: give a folder (. is the one you are in)")
    if args.print_freq < 0:
        raise UsageError(f"--print_freq is {args.print_freq}: it must be at least 0 (0: no lines)")
    shown = tables(args)
    progress = Progress(quiet=args.quiet, every=args.print_freq)
    for flag, why in IGNORED_FLAGS.items():
        if getattr(args, flag) is not None:
            progress.say(f"--{flag} is ignored: {why}")
    data = load_data(args, progress.say)
    folder = Path(args.save_path)
    devices = devices_of(args.gpu)
    pool, jobs = pool_and_jobs(args, early, devices)
    spec = experiment(args, data)
    if spec.trainings >= MANY:
        progress.say(f"{spec.trainings:,} trainings")
    harness = Harness(
        spec,
        data,
        folder,
        device=devices[0],
        progress=progress,
        proxy_folder=args.proxy_run,
        compiled=args.compile,
        jobs=jobs,
        pool=pool,
        devices=devices if len(devices) > 1 else (),
        meanwhile=preload_report if args.report else lambda: None,
    )
    if args.dry_run:
        print("\n".join(describe(harness)))
        return 0
    with team_of(devices, data):
        rows = harness.run()
    show("\n\n".join(table(rows, args.output) for table in shown))
    if args.figures:
        from deepcore.report.cost_figure_files import pareto_files

        for path in pareto_files(rows, folder):
            progress.say(f"drawn: {path}")
    report = write_report(harness.plan, folder, rows, progress.say) if args.report else None
    progress.say("\n".join(closing_lines(rows, folder)))
    if report is not None:
        progress.say(f"report: {report} (tables/ and figures/ are in the same folder)")
    failed = [row for row in rows if row.status != "ok"]
    for row in failed:
        print(f"failed: {row.label} of seed {row.seed}: {row.error.splitlines()[-1]}", file=sys.stderr)
    return 1 if failed else 0


def load_data(args: argparse.Namespace, say: Callable[[str], None]) -> Any:
    """The LabeledData of --dataset."""
    from deepcore.data import datasets

    folder_flags = {flag: getattr(args, flag) for flag in FOLDER_FLAGS}
    name = "Digits" if args.dataset is None else args.dataset
    data = datasets.load(name, data_path=args.data_path, download=args.download, **folder_flags)
    for flag, value in folder_flags.items():
        if value is not None and isinstance(data.train, datasets.TensorRows):
            say(f"--{flag} is ignored: {data.name} is no folder of images, it lives in memory")
    return data


def costs(args: argparse.Namespace) -> str:
    """The tables of --costs: of the paper's scenario, or of the setting that some flag describes."""
    from deepcore.costs.scenario import Scenario
    from deepcore.experiment.own_scenario import setting
    from deepcore.report.cost_report import costs_report

    scenario = Scenario.paper()
    if any(getattr(args, flag) is not None for flag in SETTING_FLAGS):
        data = load_data(args, lambda line: None)
        scenario = setting(experiment(args, data), data)
    return costs_report(
        scenario,
        protocol=args.protocol or "paper",
        flops=args.flops or "paper",
        output=args.output,
        methods=methods_of(args) if args.selection else (),
    )


def tables(args: argparse.Namespace) -> list[Any]:
    """The functions behind --show, each from (rows, output) to text; what is wrong with the flags of what is
    printed fails here, before anything is run."""
    from deepcore.common.checks import UsageError
    from deepcore.report.accuracy_report import accuracy_report
    from deepcore.report.cost_figure_files import check_matplotlib
    from deepcore.report.measured_cost_report import measured_report
    from deepcore.report.noise_report import noise_report
    from deepcore.report.phase_report import phase_report

    for flag in ("protocol", "flops"):
        if getattr(args, flag) is not None:
            raise UsageError(f"--{flag} belongs to --costs: add --costs, or leave out --{flag}")
    if args.figures:
        check_matplotlib()
    one = args.output in ("csv", "json")
    usual = ["accuracy"] if one else ["accuracy", "costs", *(["noise"] if args.label_noise else [])]
    names = dict.fromkeys(args.show or usual)
    if one and len(names) > 1:
        raise UsageError(f"--output {args.output} holds one table: give --show one of {', '.join(names)}")
    known = {
        "accuracy": accuracy_report,
        "costs": measured_report,
        "phases": phase_report,
        "noise": noise_report,
    }
    return [known[name] for name in names]


def show(text: str) -> None:
    """Print to stdout what its encoding can hold of `text`."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("±", "+-").encode(encoding, "backslashreplace").decode(encoding)
    print(text)


def experiment(args: argparse.Namespace, data: Any) -> Any:
    """The ExperimentSpec of the flags."""
    from deepcore.common.checks import UsageError, check_choice
    from deepcore.data.label_noise import LabelNoise
    from deepcore.experiment.spec import ExperimentSpec, check_seeds
    from deepcore.nets import networks as nets
    from deepcore.training.recipes import RECIPES

    if args.num_exp < 1 or args.seed < 0:
        raise UsageError("--num_exp must be at least 1 and --seed at least 0")
    check_seeds(args.num_exp)
    for flag in ("model", "proxy_model", "recipe"):
        if getattr(args, flag) == "":
            raise UsageError(f"--{flag} is empty: give a name of --list, or leave the flag out")
    base = RECIPES[check_choice("recipe", args.recipe or data.recipe, RECIPES)]
    changes = {name: getattr(args, name) for name in RECIPE_FLAGS if getattr(args, name) is not None}
    recipe = dataclasses.replace(base, **changes, **({"batch": args.batch} if args.batch is not None else {}))
    target = dataclasses.replace(recipe, batch=recipe.batch if args.train_batch is None else args.train_batch)
    overrides = {f: getattr(args, flag) for flag, f in PROXY_FLAGS.items() if getattr(args, flag) is not None}
    model = nets.canonical(args.model or data.default_net)
    return ExperimentSpec(
        seeds=tuple(range(args.seed, args.seed + args.num_exp)),
        methods=methods_of(args),
        fractions=tuple(dict.fromkeys(args.fraction or [0.1])),
        nets=tuple(dict.fromkeys([model, *map(nets.canonical, args.cross)])),
        proxy_net=nets.canonical(args.proxy_model or model),
        proxy=dataclasses.replace(recipe, steps=None, **overrides),
        target=target,
        val_fraction=data.val_fraction if args.val_fraction is None else args.val_fraction,
        everything=args.signals == "all",
        label_noise=LabelNoise(args.label_noise, args.label_noise_val),
        long_tail=args.long_tail,
    )


def methods_of(args: argparse.Namespace) -> tuple[Any, ...]:
    """The methods of --selection, with --record and --balance where they change something (what reads no
    recording, or has no budget, stays the row that it is) and --selection does not say otherwise."""
    import methods

    chosen = []
    for text in args.selection or ["CLD"]:
        method = methods.parse(text)
        common: dict[str, Any] = {}
        if args.record and method.needs and method.mode != args.record:
            common["record"] = args.record
        if not args.balance and method.uses_fraction:
            common["class_balanced"] = False
        chosen.append(methods.parse(text, **common) if common else method)
    return tuple(dict.fromkeys(chosen))


def devices_of(gpus: list[int] | None) -> tuple[Any, ...]:
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


def early_pool(args: argparse.Namespace) -> Any:
    """Worker processes, started before anything is computed, where they are likely to be used; else None.

    Where this process has just imported torch, they are copies of it, so that torch is imported once.
    """
    folder, trainings = Path(args.save_path or "."), args.num_exp * len(args.selection or ["CLD"])
    if args.list or args.costs or args.power or args.dry_run or args.cluster or args.gpu not in (None, [-1]):
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


def pool_and_jobs(args: argparse.Namespace, early: Any, devices: Sequence[Any]) -> tuple[Any, int | None]:
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


def listing() -> str:
    """Methods (paper, signals, recording, direction, fields), data sets, networks, recipes."""
    from tabulate import tabulate

    import methods
    from deepcore.data.datasets import DATASETS
    from deepcore.nets.networks import NETS
    from deepcore.training.recipes import RECIPES

    common = {"record", "class_balanced", "sampler"}
    table = []
    for name, cls in methods.METHODS.items():
        method = cls()
        reads = sorted(s.value for s in method.needs | method.needs_val)
        own = [f for f in dataclasses.fields(method) if f.name not in common]
        fields = ", ".join(f"{f.name}={getattr(method, f.name)}" for f in own) or "-"
        keeps = getattr(method, "keep", "-") if method.is_selection else "no selection"
        table.append([name, method.paper or "-", ", ".join(reads) or "-", method.mode if reads else "-",
                      keeps, fields])  # fmt: skip
    widths = [None, 24, 20, None, None, 44]
    return "\n\n".join(
        [
            tabulate(
                table,
                headers=["method", "paper", "reads", "recording", "keeps", "fields"],
                maxcolwidths=widths,
            ),
            "file:PATH judges a subset from a .csv or .npz of row ids\n"
            "every method also takes record=online|post_epoch and class_balanced=true|false, every score "
            "sampler=top|strata|beta|middle|drop, extrapolate=SHARE\n"
            f"aliases: {', '.join(f'{alias} is {name}' for alias, name in methods.ALIASES.items())}",
            f"data sets: {', '.join(DATASETS)}, PATH.npz",
            f"networks: {', '.join(NETS)}, and torchvision's classification models by name",
            f"recipes: {', '.join(RECIPES)}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
