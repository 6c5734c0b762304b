"""Accuracies over fractions of a few methods beside a reference: tests, table and figure, of a claim's
records (`claim_records.accuracies`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.claim_records import Record, by_seed
from benchmarks.claims import Verdict, measured, verdict_by
from deepcore.analysis.equivalence import Equivalence, equivalence
from deepcore.analysis.stats import Paired, holm, paired_difference, summarise
from deepcore.report.accuracy_figure import MARKERS, PALETTE
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARGIN = 1.0  # point of accuracy, "within 1%" in the paper


def fractions_of(records: Sequence[Record]) -> list[float]:
    """Ascending; rows without a fraction left out."""
    return sorted({r["fraction"] for r in records if r["fraction"] is not None})


def differences(records: Sequence[Record], method: str, reference: str) -> dict[float, Paired]:
    """{fraction: method minus reference, in points, over common seeds}; p adjusted over the fractions."""
    found = {}
    for fraction in fractions_of(records):
        both = {m: by_seed(records, method=m, fraction=fraction) for m in (method, reference)}
        found[fraction] = paired_difference(both, method, reference)
    known = {str(f): paired.p for f, paired in found.items() if paired.p is not None}
    adjusted = holm(known)
    return {f: replace(paired, p_adjusted=adjusted.get(str(f))) for f, paired in found.items()}


def overall(records: Sequence[Record], method: str, reference: str) -> Paired:
    """Method minus reference, averaged over the fractions within each seed."""
    at = [r for r in records if r["fraction"] is not None]
    both = {m: by_seed(at, method=m) for m in (method, reference)}
    return paired_difference(both, method, reference)


def equal_verdict(what: str, cells: Sequence[Paired], margin: float = MARGIN) -> Verdict:
    """Whether all differences are within the margin: holds when every test says yes, does not when one says
    no (at 5% over all of them), and cannot be told otherwise."""
    tests = [equivalence(cell, margin, tests=len(cells)) for cell in cells]
    answers = [test.answer for test in tests]
    holds = False if False in answers else True if all(answers) else None
    return verdict_by(holds, what, equal_words(tests))


def equal_words(tests: Sequence[Equivalence]) -> str:
    """How many tests said what, and the largest difference with its 90% interval."""
    said = {word: sum(test.word == word for test in tests) for word in ("yes", "no", "undecided")}
    counts = ", ".join(f"{word} {n}" for word, n in said.items() if n)
    known = [test for test in tests if test.difference is not None]
    widest = max(known, key=lambda test: abs(test.difference))
    number = f"{len(tests)} tests" if len(tests) > 1 else "one test"
    return (
        f"within {widest.margin:g} point by {number}: {counts}; largest difference "
        f"{measured(widest.difference, widest.low, widest.high)} (90% interval)"
    )


def lower_verdict(what: str, cells: Mapping[float, Paired]) -> Verdict:
    """Whether the method is below its reference at every fraction: holds when it is (p < 0.05 after Holm) at
    all, does not when it is above at some, and cannot be told otherwise."""
    sides = [cell.verdict for cell in cells.values()]
    holds = False if "above" in sides else True if all(side == "below" for side in sides) else None
    return verdict_by(holds, what, direction_words(cells))


def direction_words(cells: Mapping[float, Paired]) -> str:
    """The difference at each fraction, with 95% intervals."""
    return "; ".join(
        f"{percent(f)} kept: {measured(cell.difference, cell.low, cell.high)}" for f, cell in cells.items()
    )


def curve_table(records: Sequence[Record], names: Mapping[str, str], reference: str) -> TextTable:
    """One line per method: mean accuracy at each fraction and the difference from the reference."""
    fractions = fractions_of(records)
    rows = []
    for method, name in names.items():
        gaps = differences(records, method, reference) if method != reference else {}
        cells = []
        for f in fractions:
            found = summarise(by_seed(records, method=method, fraction=f))
            spread = "" if found.std is None else f" ± {found.std:.2f}"
            gap = gaps.get(f)
            beside = f" ({measured(gap.difference, gap.low, gap.high, '')})" if gap else ""
            cells.append(f"{found.mean:.2f}{spread}{beside}")
        rows.append((name, *cells))
    title = f"Test accuracy in %, mean ± std over seeds; in brackets: minus {names[reference]}, 95% interval"
    return TextTable(title, ("kept", *map(percent, fractions)), tuple(rows))


def curve_figure(
    records: Sequence[Record], names: Mapping[str, str], reference: str, title: str, *, margin: float | None
) -> Figure:
    """Left: accuracy. Right: minus the reference, with 95% intervals and (`margin`) the band that counts as
    equal. The fraction axis is categorical, as in the paper."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    figure.suptitle(title, fontsize=11, color=INK)
    fractions = fractions_of(records)
    for ax, label in ((left, "test accuracy, %: mean ± std"), (right, f"minus “{names[reference]}”, points")):
        dress(ax)
        fraction_axis(ax, fractions)
        ax.set_ylabel(label, fontsize=9, color=INK)
    right.axhline(0, color="#111111", lw=1)
    if margin is not None:
        right.axhspan(-margin, margin, color="#e5efe5", zorder=0)
        right.set_title(f"95% intervals; green: within ±{margin:g} point", fontsize=8, color="#55775a")
    for i, (method, name) in enumerate(names.items()):
        style = style_of(i, method == reference)
        found = [summarise(by_seed(records, method=method, fraction=f)) for f in fractions]
        left.errorbar(range(len(fractions)), [s.mean for s in found], [s.std or 0.0 for s in found],
                      label=name, **style)  # fmt: skip
        if method != reference:
            gaps = list(differences(records, method, reference).values())
            shift = 0.07 * (i - len(names) / 2)
            right.errorbar([x + shift for x in range(len(fractions))], [g.difference for g in gaps],
                           [0.0 if g.high is None else g.high - g.difference for g in gaps],
                           **{**style, "ls": "none"})  # fmt: skip
    left.legend(fontsize=8, frameon=False)
    return figure


def style_of(i: int, stands_out: bool) -> dict[str, object]:
    """Of the i-th line; the reference is black."""
    colour = "#111111" if stands_out else PALETTE[i % len(PALETTE)]
    return {"color": colour, "marker": MARKERS[i % len(MARKERS)], "markersize": 4.5, "capsize": 2,
            "lw": 2 if stands_out else 1.3, "elinewidth": 0.8}  # fmt: skip


def fraction_axis(ax: Axes, fractions: Sequence[float]) -> None:
    """One place for each fraction, at equal distances."""
    labels = [percent(f) for f in fractions]
    turned = sum(map(len, labels)) > 45
    ax.set_xticks(range(len(fractions)), labels, rotation=60 if turned else 0)
    ax.set_xlim(-0.45, len(fractions) - 0.55)
    ax.set_xlabel("kept, of the training data (places at equal distances)", fontsize=9, color=INK)


def higher_verdict(what: str, paired: Paired) -> Verdict:
    """Whether a mean difference is above 0, by its 95% interval."""
    holds = None if not paired.distinguishable else paired.difference > 0
    return verdict_by(holds, what, f"{measured(paired.difference, paired.low, paired.high)} (95% interval)")
