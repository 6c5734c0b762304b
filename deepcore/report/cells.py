"""Numbers as text for the cells of tables."""

from __future__ import annotations

from deepcore.analysis.stats import Paired, Summary

REFERENCE = "†"  # follows the name of a reference row, which is not a selection


def percent(fraction: float | None) -> str:
    """A fraction kept; "own size" for methods that fix their own size."""
    return "own size" if fraction is None else f"{100 * fraction:.10g}%"


def spread(summary: Summary, *, count: bool = True) -> str:
    """`mean ± std (n)`; one seed has no std."""
    deviation = "" if summary.std is None else f" ± {summary.std:.2f}"
    return f"{summary.mean:.2f}{deviation}" + (f" ({summary.n})" if count else "")


def difference(paired: Paired | None) -> str:
    """`+1.20 [+0.40, +2.00]`; without the interval below three seeds."""
    if paired is None or paired.difference is None:
        return ""
    interval = f" [{paired.low:+.2f}, {paired.high:+.2f}]" if paired.low is not None else ""
    return f"{paired.difference:+.2f}{interval}"


def p_value(paired: Paired | None) -> str:
    """The adjusted p, to three decimals."""
    return _p(paired.p_adjusted) if paired and paired.p_adjusted is not None else ""


def _p(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
