"""The command line under torchrun: process 0 runs the command, the others train with it."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from deepcore.common.launch import launched

if TYPE_CHECKING:
    import torch

    from deepcore.data.record import LabeledData

# seconds in which process 0 says what is wrong, before another one ends, and with it torchrun all of them
GRACE = 10.0


def is_follower() -> bool:
    """Whether this process leaves deciding and printing to process 0."""
    rank, processes = launched()
    return processes > 1 and rank > 0


def parsed(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The flags; what is wrong with them, process 0 says."""
    if not is_follower():
        return parser.parse_args(argv)
    try:
        with contextlib.ExitStack() as stack:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(contextlib.redirect_stderr(nowhere))
            stack.enter_context(contextlib.redirect_stdout(nowhere))
            return parser.parse_args(argv)
    except SystemExit:
        time.sleep(GRACE)
        raise


def trains_nothing(args: argparse.Namespace) -> bool:
    """Whether the command only prints: it needs neither worker processes nor the others of torchrun."""
    return args.list or args.costs or args.dry_run or args.power is not None


def check_alone(args: argparse.Namespace) -> None:
    """UsageError where a flag asks for what torchrun excludes."""
    from deepcore.common.checks import UsageError

    for flag in ("jobs", "cluster"):
        if getattr(args, flag) not in (None, 1):
            raise UsageError(
                f"--{flag} runs trainings side by side, and torchrun trains one network over all processes: "
                "leave out one of the two"
            )


@contextlib.contextmanager
def team_of(devices: Sequence[torch.device], data: LabeledData) -> Iterator[None]:
    """Let all processes that torchrun started train together within the block, led by this one; without
    torchrun, nothing.

    Args:
        devices: of the machine.
        data: that is trained on; the others load it, too.
    """
    if launched()[1] == 1:
        yield
        return
    from deepcore.training import distributed

    with distributed.joined(distributed.device_of_process(devices)) as team:
        team.parts = {"train": data.train, "test": data.test}
        team.tell("load")
        yield


def follow(
    args: argparse.Namespace,
    devices: Callable[[], Sequence[torch.device]],
    load: Callable[[], LabeledData],
) -> int:
    """What a process other than 0 does; returns its exit status.

    Args:
        args: of the command, the same for all processes.
        devices: of the machine.
        load: gives the data set.
    """
    from deepcore.common.checks import UsageError
    from deepcore.training import distributed
    from deepcore.training.follower import follow as carry_out

    if trains_nothing(args):
        return 0  # process 0 does it alone
    joined = False
    try:
        with distributed.joined(distributed.device_of_process(devices())) as team:
            joined = True
            carry_out(team, load)
        return 0
    except KeyboardInterrupt:
        return 130
    except UsageError as error:
        if joined:
            _tell(error)
        else:
            time.sleep(GRACE)
    except distributed.TeamLost as error:
        if not isinstance(error.__cause__, RuntimeError):  # which says that another one is gone
            _tell(error.__cause__ or error)
    except Exception as error:
        _tell(error)
    return 2


def _tell(error: BaseException) -> None:
    rank, processes = launched()
    print(f"error: process {rank} of {processes}: {' '.join(str(error).split())}", file=sys.stderr)
