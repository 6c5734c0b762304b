"""How a command ends: its exit status, and one sentence where it did not come to its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def exit_status(work: Callable[[], int], folder: str) -> int:
    """What `work` returns, or 2 for bad input or a disk that fails, 130 after Ctrl-C, 141 when nobody reads
    the output any more; the reason goes to stderr. `folder` is where the command keeps what it has finished.
    """
    from deepcore.common.checks import DeepcoreError

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
        where = f" ({error.filename})" if error.filename else ""
        print(f"error: {error.strerror or error}{where}; finished rows are kept in {folder}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {folder}", file=sys.stderr)
        return 130
    return 2
