"""Exit status of a command, and the one-line error message when it fails."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def exit_status(work: Callable[[], int], folder: str | None) -> int:
    """Run `work` and return its exit status; turn errors into a status and a line on stderr.

    2 means bad input or a failing disk, 130 Ctrl-C, 141 a closed output pipe. The message names `folder`,
    where finished work is kept; None where a command keeps nothing.
    """
    from deepcore.common.checks import DeepcoreError, shortened

    for stream in (sys.stdout, sys.stderr):  # the name of a file may hold bytes that are no text
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # as in "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered goes nowhere, without a word
        return 141
    except DeepcoreError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    except OSError as error:
        where = f" ({shortened(str(error.filename))})" if error.filename else ""
        kept = f"; finished rows are kept in {folder}" if folder else ""
        print(f"error: {error.strerror or error}{where}{kept}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {folder}" if folder else "stopped", file=sys.stderr)
        return 130
    return 2


def say(line: str) -> None:
    """A line for the person, beside what goes to standard output."""
    print(line, file=sys.stderr, flush=True)
