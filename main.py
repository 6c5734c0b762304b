"""The command line: flags into specifications, the harness, tables. No logic of its own."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deepcore.cli.flags import FOLDER_FLAGS, IGNORED_FLAGS, PROXY_FLAGS, RECIPE_FLAGS, SETTING_FLAGS, parser
from deepcore.cli.launched import follow, is_follower, parsed, team_of
from deepcore.cli.listing import listing
from deepcore.cli.machine import devices_of, early_pool, pool_and_jobs, preload_report

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

        if not args.power:
            raise UsageError(
                "--power is empty: give a folder of results or a .csv of rows (. is the one you are in)"
            )
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
    from deepcore.common.checks import UsageError
    from deepcore.costs.scenario import Scenario
    from deepcore.experiment.own_scenario import setting
    from deepcore.report.cost_report import costs_report

    if not args.selection and (args.record or not args.balance):
        flag = "--record" if args.record else "--balance"
        raise UsageError(f"{flag} changes the methods of --selection: add --selection, or leave out {flag}")
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


if __name__ == "__main__":
    sys.exit(main())
