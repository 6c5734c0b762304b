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


def interval(pair: Paired) -> str:
    """A difference with its interval, where it has one; "-" without a difference."""
    if pair.difference is None:
        return "-"
    span = f" [{signed(pair.low)}, {signed(pair.high)}]" if pair.low is not None else ""
    return f"{signed(pair.difference)}{span}"


def at(fractions: Iterable[float]) -> str:
    """1, 5 and 10%."""
    return listed([f"{100 * f:g}" for f in fractions]) + "%"


def bullets(sentences: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)
