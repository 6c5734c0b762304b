"""Figure 7b: the smallest share of the data within 0.5 points of training on all of it.

    python benchmarks/min_fraction.py --data_path DIR

Each method's mean accuracies over the fractions are made increasing (isotonic regression) and interpolated;
intervals are percentiles of a bootstrap over seeds. The networks train for the same number of epochs, so a
smaller share also takes fewer steps.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.claim_curves import fraction_axis, fractions_of, style_of
from benchmarks.claim_records import Record, accuracies, by_seed
from benchmarks.claims import Claim, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import loads_of
from deepcore.analysis.min_fraction import Curve, MinFraction, min_fraction
from deepcore.analysis.stats import summarise
from deepcore.experiment.spec import ExperimentSpec
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("CLD", "D2", "DUAL", "EL2N", "Forgetting", "CCS", "Random")
TOLERANCE = 0.5  # points below all data, as in the paper
PAPER = 0.75  # what CLD needs in the paper
SIZES = {
    "quick": Size("Digits", ("MLP",), (0.3, 0.6, 0.9), 3, 12),
    "reduced": Size("Digits", ("MLP",), (0.2, 0.5, 0.7, 0.9), 5, 30),
    "full": Size("ImageNet", ("ResNet18",), (0.4, 0.5, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95), 5),
}


def experiment(size: Size) -> ExperimentSpec:
    """The methods at large fractions, and all data."""
    return size.experiment([*METHODS, "Full"])


def measure(setting: Setting) -> list[Record]:
    """Train everything."""
    return accuracies(setting.rows(experiment(setting.size)))


def curve(records: Sequence[Record], method: str) -> Curve:
    """A method's accuracies, with those of all data at 1.0."""
    found = {f: by_seed(records, method=method, fraction=f) for f in fractions_of(records)}
    return {**found, 1.0: by_seed(records, method="Full")}


def smallest(records: Sequence[Record], method: str) -> MinFraction:
    """Of a method; the bootstrap draws the same seeds for all of them."""
    return min_fraction(curve(records, method), TOLERANCE, np.random.default_rng(0))


def words(found: MinFraction, measured: Sequence[float]) -> str:
    """The fractions measured around it, and the interpolated share in percent with its interval.

    Args:
        found: the smallest share.
        measured: ascending; all data are the last.
    """
    if found.at_edge:
        return f"at most {100 * measured[0]:g}%"
    low, high = bracket(found.fraction, measured)
    between = "no interval" if found.low is None else f"[{100 * found.low:.0f}, {100 * found.high:.0f}]"
    return f"between {100 * low:g} and {100 * high:g}% (interpolated {100 * found.fraction:.0f}% {between})"


def bracket(fraction: float, measured: Sequence[float]) -> tuple[float, float]:
    """The neighbours of a share among the fractions measured: at the first the accuracy is too low."""
    return max(f for f in measured if f < fraction), min(f for f in measured if f >= fraction)


def judge(records: Sequence[Record]) -> list[Verdict]:
    """The paper's 75%; and whether CLD needs less than random rows."""
    cld, random = smallest(records, "CLD"), smallest(records, "Random")
    measured = [*fractions_of(records), 1.0]
    holds = below = None
    if cld.low is not None and random.low is not None:
        holds = True if cld.high <= PAPER else False if cld.low > PAPER else None
        below = True if cld.high < random.low else False if cld.low > random.high else None
    return [
        verdict_by(holds, "CLD is within 0.5 points of all data with 75% of it", words(cld, measured)),
        verdict_by(
            below,
            "control: CLD needs less data for it than random rows",
            f"CLD {words(cld, measured)}, random rows {words(random, measured)}",
        ),
    ]


def table(records: Sequence[Record]) -> TextTable:
    """One line per method, the least data first."""
    found = {method: smallest(records, method) for method in METHODS}
    order = sorted(METHODS, key=lambda method: found[method].fraction)
    lines = []
    for method in order:
        means = [summarise(by_seed(records, method=method, fraction=f)).mean for f in fractions_of(records)]
        share = words(found[method], [*fractions_of(records), 1.0])
        lines.append((method, share, *(f"{mean:.2f}" for mean in means)))
    full = summarise(by_seed(records, method="Full"))
    title = f"Smallest share within {TOLERANCE} points of all data ({full.mean:.2f}%), and mean accuracies"
    headers = ("method", "smallest share (95%)", *(f"{100 * f:g}%" for f in fractions_of(records)))
    return TextTable(title, headers, tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Left: accuracy by fraction with the band of the tolerance. Right: the smallest shares."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle("How much data for the accuracy of all data? (Figure 7b)", fontsize=11, color=INK)
    fractions = [*fractions_of(records), 1.0]
    full = summarise(by_seed(records, method="Full")).mean
    dress(left)
    fraction_axis(left, fractions)
    left.axhspan(full - TOLERANCE, full, color="#e5efe5", zorder=0)
    left.set_title(f"green: within {TOLERANCE} points of all data", fontsize=8, color="#55775a")
    left.set_ylabel("test accuracy, %: mean", fontsize=9, color=INK)
    dress(right, "x")
    for i, method in enumerate(METHODS):
        of = curve(records, method)
        style = style_of(i, method == "CLD")
        left.plot(range(len(fractions)), [summarise(of[f]).mean for f in fractions], label=method,
                  **{k: v for k, v in style.items() if k not in ("capsize", "elinewidth")})  # fmt: skip
        found = smallest(records, method)
        low, high = (found.fraction if end is None else end for end in (found.low, found.high))
        right.plot([100 * low, 100 * high], [-i, -i], color=style["color"], lw=2)
        right.plot(100 * found.fraction, -i, color=style["color"], marker=style["marker"], markersize=6)
    left.set_ylim(max(full - 12, left.get_ylim()[0]), full + 1)
    left.legend(fontsize=8, frameon=False, loc="lower right")
    right.axvline(100 * PAPER, color="#777777", lw=1, ls=(0, (4, 3)))
    right.text(100 * PAPER, 0.5, " the paper's CLD", fontsize=8, color="#777777")
    right.set_yticks([-i for i in range(len(METHODS))], METHODS, fontsize=9)
    right.set_ylim(-len(METHODS) + 0.4, 0.8)
    right.set_xlim(0, 102)
    right.set_xlabel("smallest share of the data, %, with 95% interval", fontsize=9, color=INK)
    return figure


CLAIM = Claim(
    name="min_fraction",
    paper="Figure 7b",
    sizes=SIZES,
    loads=lambda size: loads_of(experiment(size), size.dataset),
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
