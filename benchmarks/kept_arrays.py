"""Arrays of a step of a claim's script, kept in a file beside its records."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.claims import Setting
from deepcore.common.files import write_npz
from deepcore.common.identity import fingerprint


def kept_arrays(
    setting: Setting, what: str, of: object, work: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """As `Setting.once`, for arrays by name.

    Args:
        setting: names the folder and the data.
        what: a word for the file's name.
        of: JSON of everything that fixes the arrays.
        work: computes them.
    """
    path = setting.folder / "steps" / f"{what}-{fingerprint(what, of, setting.data.fingerprint)}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, **work())
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
