"""How every command reads its arguments: errors of one sentence, whole numbers, yes or no.

It imports neither torch nor numpy, so that --help is quick.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one sentence (exit status 2)."""

    def error(self, message: str) -> NoReturn:
        """Print the message and where help is."""
        from deepcore.common.checks import shortened

        self.exit(2, f"error: {shortened(message)} (--help lists every flag)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """argparse's, but `--flag=--` gives no value and is refused; argparse makes it an empty list."""
        found, rest = super().parse_known_args(args, namespace)
        for name, value in vars(found).items():
            if value == [] and value is not self.get_default(name):
                self.error(f"argument --{name}: -- is no value")
        return found, rest


def whole(text: str) -> int:
    """A whole number of at most 64 bits."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"invalid int value: {text!r}") from None
    if not -(2**63) <= number < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is beyond 64 bits")
    return number


def yes_or_no(text: str) -> bool:
    """true/false in the usual spellings."""
    if text.lower() in ("true", "yes", "1", "y", "t"):
        return True
    if text.lower() in ("false", "no", "0", "n", "f"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
