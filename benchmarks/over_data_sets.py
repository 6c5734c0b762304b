"""Each method beside Random with the data sets as the sample: the mean over data sets, and its interval.

A cell's verdict says whether another seed would show the difference again on that data set. This table asks
whether another data set would. It uses only cells that all its selections have, so that no method is judged
on easier or harder ones.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.in_rows import ONLINE
from benchmarks.verdicts import RANDOM, Cell, count, most_run, of_label, ordered
from benchmarks.wording import interval, listed
from deepcore.analysis.stats import MIN_SEEDS, Paired, compare
from deepcore.report.cells import REFERENCE
from deepcore.report.text_table import TextTable


def shared(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the data sets and fractions at which every selection of `most_run` has one, and CLD on
    online losses: of these selections, and of the references that have them all."""
    labels = [m for m in (*most_run(cells), ONLINE) if of_label(cells, m)]
    places = [{(c.title, c.fraction) for c in of_label(cells, m)} for m in labels]
    common = set.intersection(*places) if places else set()
    here = [c for c in cells if (c.title, c.fraction) in common]
    whole = [m for m in ordered(here) if len(of_label(here, m)) == len(common)]
    return [c for c in here if c.label in whole and (c.label in labels or not c.is_selection)]


def beside_random(cells: Sequence[Cell]) -> dict[str, Paired]:
    """{method: its mean difference from Random over data sets, in points}, each data set's own being the mean
    over its fractions; t intervals, p values after Holm over the selections."""
    means: dict[str, dict[int, float]] = {}
    titles = list(dict.fromkeys(c.title for c in cells))
    for label in ordered(cells):
        found = of_label(cells, label)
        means[label] = {
            i: statistics.mean(c.difference for c in found if c.title == title)
            for i, title in enumerate(titles)
        }
    zero = {RANDOM: dict.fromkeys(range(len(titles)), 0.0)}
    references = {c.label for c in cells if not c.is_selection}
    selections = compare({m: of for m, of in means.items() if m not in references} | zero, RANDOM)
    others = {m: compare({m: means[m]} | zero, RANDOM)[m] for m in means if m in references}
    return selections | others


def data_sets_table(cells: Sequence[Cell]) -> TextTable:
    """A row per method, by falling mean difference; references last."""
    references = {c.label for c in cells if not c.is_selection}
    lines = []
    for label, pair in beside_random(cells).items():
        found = of_label(cells, label)
        sides = (str(count(found, side)) for side in ("above", "below"))
        lines.append((label + (REFERENCE if label in references else ""), interval(pair), *sides))
    places, titles = _size(cells)
    headers = ("method", f"minus Random, points: mean over {titles} data sets, 95%", "cells above", "below")
    return TextTable(f"The same {places} cells for every method", headers, tuple(lines))


def data_sets_sentences(cells: Sequence[Cell]) -> list[str]:
    """Whose interval lies above Random, whose below, what remains after Holm's correction, and whether what
    is above stays so without any one data set."""
    references = {c.label for c in cells if not c.is_selection}
    pairs = {m: pair for m, pair in beside_random(cells).items() if m not in references}
    places, titles = _size(cells)
    up = [m for m, pair in pairs.items() if pair.low is not None and pair.low > 0]
    down = [m for m, pair in pairs.items() if pair.high is not None and pair.high < 0]
    sides = {side: [m for m, pair in pairs.items() if pair.verdict == side] for side in ("above", "below")}
    return [
        f"{len(pairs)} selections have these {places} cells of {titles} data sets. Intervals above Random: "
        f"{listed(up)}. Below Random: those of {len(down)} selections.",
        f"After Holm's correction over the selections: {listed(sides['above'])} above; "
        f"{listed(sides['below'])} below. {titles} data sets are few.",
        *_without_one(cells, up),
    ]


def _without_one(cells: Sequence[Cell], methods: Sequence[str]) -> list[str]:
    """In how many cases an interval stays above Random when one data set is left out; nothing of too few."""
    titles = list(dict.fromkeys(c.title for c in cells))
    if len(titles) <= MIN_SEEDS:
        return []
    without = [beside_random([c for c in cells if c.title != title]) for title in titles]
    stays = {m: sum((pairs[m].low or 0.0) > 0 for pairs in without) for m in methods}
    return [
        f"With one data set left out, {m}'s interval is above Random in {n} of {len(titles)} cases."
        for m, n in stays.items()
    ]


def enough(cells: Sequence[Cell]) -> bool:
    """Whether there are data sets enough for an interval."""
    return _size(cells)[1] >= MIN_SEEDS


def _size(cells: Sequence[Cell]) -> tuple[int, int]:
    """Columns and data sets."""
    return len({(c.title, c.fraction) for c in cells}), len({c.title for c in cells})
