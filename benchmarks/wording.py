"""Sentences about rows: checked before they are printed, with lists, signs and percentages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


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


def at(fractions: Iterable[float]) -> str:
    """1, 5 and 10%."""
    return listed([f"{100 * f:g}" for f in fractions]) + "%"


def bullets(sentences: Sequence[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)
