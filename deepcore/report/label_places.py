"""Where to write the names of points in a figure so that none overlaps another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

GAPS = (
    3.0,
    8.0,
    15.0,
    25.0,
    38.0,
    55.0,
    75.0,
    100.0,
    130.0,
    170.0,
)  # from a bubble's edge to its label, pixels
ANGLES = np.radians(np.arange(0, 360, 15))
SWEEPS = 4
# Prices per square pixel of overlap, and per pixel of distance: names over names never, over bubbles rarely.
ON_LABEL, OUTSIDE, ON_BUBBLE, ON_LINE, DISTANCE = 100.0, 100.0, 0.6, 1.0, 4.0


def place_labels(
    centres: np.ndarray,
    radii: np.ndarray,
    sizes: np.ndarray,
    frame: Sequence[float],
    lines: np.ndarray,
) -> np.ndarray:
    """Boxes for the labels of points, chosen one after the other and then improved in a few sweeps.

    Each label tries 24 directions at 10 distances and takes what overlaps other labels, bubbles, `lines` and
    the outside least, then what is nearest. O(M^2) for M points.

    Args:
        centres: (M, 2) of the bubbles, in pixels.
        radii: (M,) of the bubbles.
        sizes: (M, 2) widths and heights of the labels.
        frame: x0, y0, x1, y1 that labels stay within.
        lines: (L, 4) boxes x0, y0, x1, y1 around what is better not written over.

    Returns:
        (M, 4) boxes x0, y0, x1, y1.
    """
    centres, radii, sizes = (np.asarray(a, dtype=np.float64) for a in (centres, radii, sizes))
    bubbles = np.column_stack([centres - 0.8 * radii[:, None], centres + 0.8 * radii[:, None]])
    frame_box = np.asarray(frame, dtype=np.float64)[None]
    candidates = [_around(c, r, s) for c, r, s in zip(centres, radii, sizes, strict=True)]
    fixed = []
    for (boxes, gaps), size in zip(candidates, sizes, strict=True):
        cost = DISTANCE * gaps + ON_BUBBLE * overlap(boxes, bubbles).sum(axis=1)
        cost += ON_LINE * overlap(boxes, lines).sum(axis=1)
        cost += OUTSIDE * (size.prod() - overlap(boxes, frame_box)[:, 0])
        fixed.append(cost)
    chosen = np.array([boxes[0] for boxes, _ in candidates])
    placed = np.zeros(len(centres), dtype=bool)
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    crowded_first = np.argsort(np.sort(distances, axis=1)[:, : min(4, len(centres))].sum(axis=1))
    for _ in range(SWEEPS):
        for i in crowded_first:
            placed[i] = False
            boxes = candidates[i][0]
            cost = fixed[i] + ON_LABEL * overlap(_grown(boxes), chosen[placed]).sum(axis=1)
            chosen[i] = boxes[np.argmin(cost)]
            placed[i] = True
    return chosen


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Areas shared by boxes (A, 4) and (B, 4): (A, B)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.clip(high - low, 0, None).prod(axis=2)


def _around(centre: np.ndarray, radius: float, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Candidate boxes of one label, and how far each is from the bubble's edge."""
    gaps = np.repeat(GAPS, len(ANGLES))
    angles = np.tile(ANGLES, len(GAPS))
    direction = np.column_stack([np.cos(angles), np.sin(angles)])
    # The box touches the circle of radius + gap from outside: its middle is up to half its size farther.
    reach = np.minimum(1, 1.6 * np.abs(direction)) * np.sign(direction)
    middle = centre + direction * (radius + gaps)[:, None] + reach * size / 2
    return np.column_stack([middle - size / 2, middle + size / 2]), gaps


def _grown(boxes: np.ndarray) -> np.ndarray:
    """Boxes with two pixels of air around them."""
    return boxes + np.array([-2, -2, 2, 2])
