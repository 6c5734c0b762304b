"""Accuracies over fractions of a few methods beside a reference: tests, table and figure, of a claim's
records (`claim_records.accuracies`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.claim_intervals import adjusted, p_words
from benchmarks.claim_records import Record, by_seed
from benchmarks.claims import Verdict, measured, signed, verdict_by
from deepcore.analysis.equivalence import Equivalence, equivalence, noninferiority
from deepcore.analysis.stats import Paired, paired_difference, summarise
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
    return adjusted(found)


def margin_verdict(
    what: str, cells: Sequence[Paired], asked: Callable[..., Equivalence] = noninferiority
) -> Verdict:
    """Whether the differences of one claim are within the margin, by `noninferiority` or `equivalence`: holds
    when every test says yes, does not when one says no (at 5% over all of them), and cannot be told
    otherwise. The answers of the other question are given beside it."""
    tests = [asked(cell, MARGIN, tests=len(cells)) for cell in cells]
    answers = [test.answer for test in tests]
    holds = False if False in answers else True if all(answers) else None
    said = [
        f"{question}: {answer_counts([test(cell, MARGIN, tests=len(cells)) for cell in cells])}"
        for test, question in (
            (noninferiority, f"loss below {MARGIN:g} point"),
            (equivalence, f"within {MARGIN:g} point on both sides"),
        )
    ]
    number = f"{len(tests)} tests" if len(tests) > 1 else "one test"
    return verdict_by(holds, what, f"{number}; {'; '.join(said)}; {farthest_words(tests, asked)}")


def answer_counts(tests: Sequence[Equivalence]) -> str:
    """How many tests said what."""
    said = {word: sum(test.word == word for test in tests) for word in ("yes", "no", "undecided")}
    return ", ".join(f"{word} {n}" for word, n in said.items() if n)


def farthest_words(tests: Sequence[Equivalence], asked: Callable[..., Equivalence]) -> str:
    """The largest loss (`noninferiority`) or difference (`equivalence`) among the tests that decide: those
    that say no, or else the undecided ones."""
    which = next(answer for answer in (False, None, True) if any(test.answer is answer for test in tests))
    known = [test for test in tests if test.answer is which and test.difference is not None]
    if asked is noninferiority:
        far = min(known, key=lambda test: test.difference)
    else:
        far = max(known, key=lambda test: abs(test.difference))
    return f"the farthest of “{far.word}”: {margin_words(far, len(tests))}"


def margin_words(test: Equivalence, tests: int) -> str:
    """A difference with the interval that decides "yes" and, of several tests, the one that decides "no"."""
    text = f"{measured(test.difference, test.low, test.high)} (90%)"
    if tests == 1 or test.low is None:
        return text
    return f"{text}, {far_ends(test)} ({far_level(tests)})"


def far_ends(test: Equivalence) -> str:
    """The interval that decides "no"."""
    return "-" if test.far_low is None else f"[{signed(test.far_low)}, {signed(test.far_high)}]"


def far_level(tests: int) -> str:
    """The level of the interval that decides "no" among so many tests."""
    return f"{100 * (1 - 2 * 0.05 / tests):.3g}%"


def side_verdict(what: str, cells: Mapping[float, Paired], side: str) -> Verdict:
    """Whether the method is on this side of its reference ("above" or "below") at every fraction: holds when
    it is (p < 0.05 after Holm) at all, does not when it is on the other side at some, and cannot be told
    otherwise."""
    sides = [cell.verdict for cell in cells.values()]
    other = "above" if side == "below" else "below"
    holds = False if other in sides else True if all(found == side for found in sides) else None
    return verdict_by(holds, what, direction_words(cells))


def direction_words(cells: Mapping[float, Paired]) -> str:
    """The difference at each fraction, with its 95% interval and its p after Holm."""
    return "; ".join(
        f"{percent(f)} kept: {measured(cell.difference, cell.low, cell.high)}, {p_words(cell)}"
        for f, cell in cells.items()
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
