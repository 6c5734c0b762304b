"""One sample's losses beside mean validation losses, as a small <svg>."""

from __future__ import annotations

import numpy as np

WIDTH, HEIGHT = 220, 96
LEFT, RIGHT, TOP, BOTTOM = 26, 6, 8, 16  # room for the numbers
CURVE_STYLE = """
.curve text { font-size: 9px; fill: #5c6670; }
.curve path { fill: none; stroke-linejoin: round; }
.curve .axis { stroke: #b6bec6; stroke-width: 1; }
.curve .ref { stroke: #8b96a1; stroke-width: 1.6; stroke-dasharray: 4 3; }
.curve .odd { stroke: #c0392b; stroke-width: 1.8; }
.curve .plain { stroke: #1f6fb2; stroke-width: 1.8; }
"""


def loss_curve(losses: np.ndarray, reference: np.ndarray | None, first: int, *, suspicious: bool) -> str:
    """A drawing without words but for the highest loss, 0 or the lowest, and the first and last epoch.

    Args:
        losses: (T,) of the sample, NaN where it was not logged.
        reference: (T,) mean validation losses, or None.
        first: number of the first epoch.
        suspicious: drawn in the colour of suspects.
    """
    series = [losses] if reference is None else [losses, reference]
    shown = np.concatenate([[0.0], *(values[np.isfinite(values)] for values in series)])
    low, top = float(shown.min()), float(shown.max())
    if top == low:
        top = low + 1.0
    kind = "odd" if suspicious else "plain"
    lines = [] if reference is None else [f'<path class="ref" d="{_path(reference, low, top)}"/>']
    lines.append(f'<path class="{kind}" d="{_path(losses, low, top)}"/>')
    bottom = HEIGHT - BOTTOM
    label = f"losses from epoch {first} to {first + len(losses) - 1}, at most {top:.2g}"
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f'<path class="axis" d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 4}" y="{TOP + 7}" text-anchor="end">{top:.2g}</text>'
        f'<text x="{LEFT - 4}" y="{bottom}" text-anchor="end">{low:.2g}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{first}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 4}" text-anchor="end">{first + len(losses) - 1}</text>'
        f"{''.join(lines)}</svg>"
    )


def _path(values: np.ndarray, low: float, top: float) -> str:
    """Straight lines through the known values."""
    known = np.flatnonzero(np.isfinite(values))
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    points = [
        f"{LEFT + wide * t / max(len(values) - 1, 1):.1f} {TOP + high * (top - values[t]) / (top - low):.1f}"
        for t in known
    ]
    return "M" + "L".join(points) if points else ""
