"""Every check of user input, and the exceptions that the user may see.

A `DeepcoreError` carries one sentence that names the bad value, the valid choices and the remedy; the command
line prints it without a traceback. `UsageError` means that the call itself is wrong (exit status 2).
"""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

MOST = 2**53  # whole numbers up to here are numbers of 64 bits of any kind
MOST_CLASSES = 10**7  # each takes memory; more are a stray number
LONGEST = 300  # letters of a path or a quoted text that a message gives whole
LONGEST_MESSAGE = 3000  # letters: room for two specifications


def shortened(message: str) -> str:
    """`message` with the middle of words and of quoted texts of more than LONGEST letters left out, and its
    own beyond LONGEST_MESSAGE."""
    message = re.sub(
        rf"(?<!\w)'[^']{{{LONGEST},}}'(?!\w)|\S{{{LONGEST},}}",
        lambda long: _without_middle(long[0], 200, 50),
        message,
    )
    return _without_middle(message, 2000, 900) if len(message) > LONGEST_MESSAGE else message


def _without_middle(text: str, first: int, last: int) -> str:
    return f"{text[:first]}[... {len(text) - first - last:,} letters ...]{text[-last:]}"


class DeepcoreError(Exception):
    """Base of all errors that are shown to the user as one sentence; what is long in it is shortened."""

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(str(message)))


class UsageError(DeepcoreError, ValueError):
    """A bad argument or file that the caller can correct."""


class MissingSignal(UsageError):
    """A method reads a signal that the proxy run did not record."""


class StoredMismatch(DeepcoreError):
    """A stored file is damaged, or belongs to another specification."""


class Diverged(DeepcoreError):
    """Training produced losses that are not finite; earlier recordings are kept."""


def check_fraction(fraction: float) -> float:
    """The fraction kept, in (0, 1]; raises UsageError otherwise."""
    number = isinstance(fraction, (int, float, np.integer, np.floating)) and not isinstance(fraction, bool)
    if not (number and 0 < fraction <= 1):
        shown = fraction if number else repr(fraction)
        raise UsageError(
            f"fraction is {shown}: it is the fraction kept, above 0 and at most 1 (0.1 keeps 10%)"
        )
    return float(fraction)


def check_positive(
    name: str, value: float, *, zero: bool = False, whole: bool = False, most: int = MOST
) -> None:
    """Check that `value` is a finite number above 0 (at least 0 with `zero`); with `whole` an integer of at
    most `most`."""
    kind = "a whole number" if whole else "a number"
    bounds = "at least 0" if zero else "above 0"
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if number and isinstance(value, (float, np.floating)):
        number = math.isfinite(value)
    elif number:
        number = abs(value) <= sys.float_info.max
    if number and whole and value > most:
        bounds += f" and at most {most:,}"
        number = False
    if not number or (whole and int(value) != value) or value < 0 or (value == 0 and not zero):
        raise UsageError(f"{name} is {value!r}: it must be {kind} {bounds}")


def check_device(name: str | None) -> None:
    """Check that torch can compute on the device of this name here; None is any."""
    if name is None:
        return
    import torch

    cuda = torch.cuda.device_count()
    valid = ["cpu", *(["cuda", *(f"cuda:{i}" for i in range(cuda))] if cuda else [])]
    if torch.backends.mps.is_available():
        valid.append("mps")
    if name not in valid:
        raise UsageError(
            f"device is {name!r}: here it can be {', '.join(valid)}; left out, it is that of --gpu"
        )


def check_choice(what: str, value: str, choices: Iterable[str]) -> str:
    """Check that `value` is one of `choices`; the error lists them and suggests the nearest one."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return value
    lowered = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(str(value).lower(), lowered, n=1)
    hint = f" (did you mean {lowered[near[0]]}?)" if near else ""
    raise UsageError(f"unknown {what} {value!r}{hint}; valid: {', '.join(choices)}")


def check_labels(labels: np.ndarray, num_classes: int | None, where: str) -> np.ndarray:
    """Labels as (N,) int64 in 0..C-1; raises UsageError naming `where` and the offending values."""
    if num_classes is not None:
        check_positive(f"{where}: num_classes", num_classes, whole=True, most=MOST_CLASSES)
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise UsageError(f"{where}: labels have shape {labels.shape}; expected a non-empty vector (N,)")
    if not np.issubdtype(labels.dtype, np.integer):
        whole = np.issubdtype(labels.dtype, np.floating) and bool(np.all(np.isfinite(labels)))
        if not whole or np.any(labels != np.floor(labels)):
            raise UsageError(f"{where}: labels must be whole numbers, got {labels.dtype} values")
    labels = labels.astype(np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (num_classes is not None and high >= num_classes):
        valid = ": they count from 0" if num_classes is None else f" 0..{num_classes - 1}"
        raise UsageError(f"{where}: labels run from {low} to {high}, out of range{valid}")
    return labels


def check_ids(ids: np.ndarray, where: str) -> np.ndarray:
    """Row ids as (N,) int64, unique and not negative; raises UsageError naming `where`."""
    ids = np.asarray(ids)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise UsageError(
            f"{where}: ids must be a vector of whole numbers, got {ids.dtype} of shape {ids.shape}"
        )
    ids = ids.astype(np.int64)
    if ids.size and ids.min() < 0:
        raise UsageError(f"{where}: id {int(ids.min())} is negative")
    values, counts = np.unique(ids, return_counts=True)
    if np.any(counts > 1):
        raise UsageError(
            f"{where}: id {int(values[counts > 1][0])} occurs {int(counts.max())} times; ids must be unique"
        )
    return ids


def check_finite_scores(scores: np.ndarray, ids: np.ndarray, method: str) -> None:
    """Check that all scores are finite; the error names the first rows with another value."""
    bad = ~np.isfinite(scores)
    if bad.any():
        rows = ", ".join(str(i) for i in ids[bad][:5])
        raise DeepcoreError(f"{method}: {int(bad.sum())} scores are not finite numbers (rows {rows}, ...)")


def first_line(error: Exception) -> str:
    """First line of another library's error message, without its advice to load the file unsafely."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return "it is damaged, or no plain data" if "pickle" in line or "weights_only" in line else line


def read_npz(source: str | os.PathLike[str] | BinaryIO, where: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz, nothing unpickled; UsageError naming `where` when it is missing or damaged."""
    try:
        with np.load(source, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise UsageError(f"{where}: it cannot be read ({error.strerror or error})") from None
    except Exception as error:  # damaged bytes raise whatever the zip, zlib, header and dtype parsers do
        raise UsageError(
            f"{where}: no .npz of plain arrays, or a truncated one ({first_line(error)})"
        ) from None
