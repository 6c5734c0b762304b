"""Sentences about rows: checked before they are printed, with lists, signs and percentages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from deepcore.analysis.stats import Paired


def claim(holds: bool, sentence: str) -> str:
    """The sentence; ValueError when the rows do not support it."""
    if not holds:
        raise ValueError(f"the published rows do not support this sentence: {sentence}")
    return sentence


def listed(items: Iterable[str]) -> str:
    """a, b and c."""
    *most, last = [*items] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def signed(value: float, decimals: int = 1) -> str:
    """With its sign; no minus before zero."""
    return f"{round(value, decimals) + 0.0:+.{decimals}f}"


def interval(pair: Paired, decimals: int = 1) -> str:
    """A difference with its interval, where it has one; "-" without a difference."""
    if pair.difference is None:
        return "-"
    ends = (_end(end, decimals) for end in (pair.low, pair.high) if end is not None)
    span = f" [{', '.join(ends)}]" if pair.low is not None else ""
    return f"{signed(pair.difference, decimals)}{span}"


def _end(value: float, decimals: int) -> str:
    """An end of an interval; with a decimal more where it would read as 0, whose side is the point."""
    near = value != 0 and round(value, decimals) == 0
    return f"{value:+.{decimals + 1}f}" if near else signed(value, decimals)


def at(fractions: Iterable[float]) -> str:
    """1, 5 and 10%; "no fraction" without any."""
    named = [f"{100 * f:g}" for f in fractions]
    return f"{listed(named)}%" if named else "no fraction"


def bullets(sentences: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)
