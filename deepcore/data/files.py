"""A data set from one .npz file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deepcore.common.checks import UsageError, first_line
from deepcore.data.memory import Augmentation, from_arrays
from deepcore.data.record import LabeledData

KEYS = ("x_train", "y_train", "x_test", "y_test")


def npz(path: Path) -> LabeledData:
    """A data set from a .npz file with x_train, y_train, x_test and y_test (forms: see `from_arrays`).

    Images of 16 pixels and more are augmented by a crop with an eighth of their size as padding; not flipped,
    since a mirror image may mean something else.

    Raises:
        UsageError: no such file, damaged or truncated, missing arrays (those present are listed), pickled
            objects (never loaded), or whatever `from_arrays` refuses.
    """
    arrays = _read(path)
    x = arrays["x_train"]
    pixels = min(x.shape[1:3]) if x.ndim > 2 else 0
    augmentation = Augmentation(pad=pixels // 8) if pixels >= 16 else None
    return from_arrays(path.name, *(arrays[key] for key in KEYS), augmentation=augmentation)


def _read(path: Path) -> dict[str, np.ndarray]:
    """The four arrays of the file."""
    if not path.is_file():
        raise UsageError(
            f"there is no file {path}: --dataset NAME.npz names a .npz file with {', '.join(KEYS)}"
        )
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UsageError(
                f"{path} holds a single array: numpy.savez writes {', '.join(KEYS)} into one file"
            )
        with archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise UsageError(
                    f"{path} has no array {missing[0]}: {', '.join(KEYS)} are needed, "
                    f"it holds {', '.join(archive.files) or 'none'}"
                )
            return {key: archive[key] for key in KEYS}
    except UsageError:
        raise
    except Exception as error:  # a damaged archive fails in zipfile, zlib, tokenize, numpy, ...: in any way
        raise UsageError(
            f"{path} cannot be read ({first_line(error)}): expected an undamaged .npz of plain numeric "
            "arrays, as numpy.savez writes it"
        ) from error
