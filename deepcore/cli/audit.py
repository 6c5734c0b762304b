"""`audit LOGS`: which samples disagree with their class."""

from __future__ import annotations

import argparse

from deepcore.cli.log_flags import add_log_flags

SUMMARY = "Rank the samples whose labels look wrong; one page for the browser, one CSV to relabel."


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this verb."""
    add_log_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Not there yet."""
    raise NotImplementedError
