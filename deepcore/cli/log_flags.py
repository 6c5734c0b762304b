"""The flags that say where a log is and how it is read; the same for every verb."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from deepcore.cli.arguments import yes_or_no

if TYPE_CHECKING:
    from deepcore.proxy.run import ProxyRun

ROLES = {  # of a long table's columns, and what they hold
    "id": "the sample; numbers or text",
    "epoch": "a whole number",
    "split": "train or val",
    "label": "the class; numbers or text",
    "loss": "the loss of the sample in that epoch",
    "margin": "logit of the label minus the highest other",
    "margin_p": "the same of probabilities",
    "el2n": "the norm of p - onehot(y)",
    "grand": "the norm of the last layer's gradient",
    "kl_step": "change of the prediction since the epoch before",
    "other": "the strongest other class",
    "predicted": "the class that the model says",
}


def add_log_flags(parser: argparse.ArgumentParser) -> None:
    """LOGS and how it is read."""
    parser.add_argument(
        "logs",
        metavar="LOGS",
        help="an .npz, a folder of .npy or of a LossRecorder, a long .csv, .jsonl or .parquet (one row a "
        "sample and epoch), or - for standard input",
    )
    add = parser.add_argument_group("how the log is read").add_argument
    add(
        "--initial",
        type=yes_or_no,
        metavar="BOOL",
        help="the first checkpoint is the untrained network (default: what the log says, else false)",
    )
    add(
        "--missing",
        choices=("error", "nan"),
        help="nan: a sample that lacks an epoch is scored at the checkpoints it has (default: what the log "
        "says, else error)",
    )
    add(
        "--repeated",
        choices=("error", "last"),
        default="error",
        help="last: of several rows of a sample in an epoch the last counts (default error)",
    )
    columns = parser.add_argument_group("columns of a long table (NAME, or none)").add_argument
    for role, what in ROLES.items():
        columns(f"--{role}_column", metavar="NAME", default=role, help=f"{what} (default {role})")


def read(args: argparse.Namespace) -> ProxyRun:
    """The log that the flags name."""
    from deepcore.logs import LogColumns, read_logs

    columns = LogColumns(**{role: getattr(args, f"{role}_column") for role in ROLES})
    return read_logs(
        args.logs,
        columns=columns,
        has_initial=args.initial,
        missing=args.missing,
        repeated=args.repeated,
    )


def check_outputs(inputs: dict[str, str | None], outputs: list[tuple[str, Path]]) -> None:
    """No file that is to be written is one that is read, or is written twice.

    Args:
        inputs: {what it is: path}; None and "-" are no files.
        outputs: (flag, path) each.

    Raises:
        UsageError: naming the flag.
    """
    from deepcore.common.checks import UsageError

    taken = {Path(path).resolve(): what for what, path in inputs.items() if path not in (None, "-")}
    for flag, path in outputs:
        place = path.resolve()
        for held, what in taken.items():
            of_folder = held in place.parents and place.exists() and place.suffix in (".npy", ".json")
            if place == held or of_folder:
                raise UsageError(f"{flag}: writing {path} would overwrite {what}; give another {flag}")
        taken[place] = f"what {flag} writes"
