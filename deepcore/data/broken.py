"""Images that cannot be read: a few are borne, many are not."""

from __future__ import annotations

import os
from collections.abc import Collection

import numpy as np

from deepcore.common.checks import UsageError

BROKEN_SHARE = 0.01  # of unreadable images, from which on the data set is refused
BROKEN_LEAST = 10  # that are always borne


def check_readable(broken: Collection[int], paths: np.ndarray) -> None:
    """UsageError, naming some of the files, when too many cannot be read.

    Args:
        broken: positions of the unreadable files in `paths`.
        paths: (N,) bytes, as os.fsencode gives.
    """
    if len(broken) > max(BROKEN_LEAST, BROKEN_SHARE * len(paths)):
        names = ", ".join(os.fsdecode(paths[position]) for position in sorted(broken)[:5])
        raise UsageError(
            f"{len(broken)} of {len(paths)} images cannot be read ({names}, ...): fetch them again"
        )
