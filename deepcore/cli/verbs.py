"""The commands for logs of one's own training loop: select, audit, inspect."""

from __future__ import annotations

import os

from deepcore.cli import audit, inspect, select
from deepcore.cli.arguments import Parser
from deepcore.common.console import exit_status

VERBS = {"select": select, "audit": audit, "inspect": inspect}


def parser() -> Parser:
    """One parser with a part for each verb."""
    whole = Parser(
        prog="python -m deepcore",
        description="Coresets and label errors from the losses of your own training loop.",
        epilog="The benchmark has flags instead of a verb: python main.py --help, or deepcore-bench --list.",
        allow_abbrev=False,
    )
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, module in VERBS.items():
        module.add_flags(verbs.add_parser(name, help=module.SUMMARY, description=module.SUMMARY,
                                          allow_abbrev=False))  # fmt: skip
    return whole


def main(argv: list[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0, 2 for bad input, 130 after Ctrl-C, 141 when nobody reads the
    output any more."""
    args = parser().parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    return exit_status(lambda: VERBS[args.verb].run(args), None)
