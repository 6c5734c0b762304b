"""Methods beside Random with data sets as the sample, by hand."""

from __future__ import annotations

import pytest

from benchmarks.over_data_sets import beside_random, data_sets_sentences, data_sets_table, enough, shared
from benchmarks.verdicts import Cell


def cells(label, found, is_selection=True):
    """{(data set, fraction): difference}, above Random where it is over 2."""
    return [
        Cell(title, fraction, label, is_selection, difference, "above" if difference > 2 else "", 10)
        for (title, fraction), difference in found.items()
    ]


PLACES = [("A", 0.01), ("A", 0.1), ("B", 0.01), ("C", 0.01)]
EVERYWHERE = [
    *cells("DUAL", dict(zip(PLACES, (1.0, 3.0, 2.0, 2.0), strict=True))),
    *cells("AUM", dict(zip(PLACES, (-9.0, -9.0, -1.0, 1.0), strict=True))),
    *cells("CLD", dict(zip(PLACES, (-1.0, -2.0, -1.5, -1.4), strict=True))),
    *cells("CLD:every=2", dict(zip(PLACES, (0.0, 0.0, 0.0, 0.0), strict=True))),
    *cells("Full@k", dict(zip(PLACES, (5.0, 5.0, 6.0, 7.0), strict=True)), is_selection=False),
]


def test_only_cells_that_all_have_count():
    lacking = cells("Herding", {("A", 0.01): 1.0, ("B", 0.01): 1.1, ("C", 0.01): 0.9})
    rare = cells("KCenter", {("A", 0.1): 8.0})  # a quarter of the cells: it decides nothing
    few = cells("RS2", {("A", 0.01): 1.0}, is_selection=False)
    found = shared([*EVERYWHERE, *lacking, *rare, *few])
    assert {(c.title, c.fraction) for c in found} == {("A", 0.01), ("B", 0.01), ("C", 0.01)}
    assert {c.label for c in found} == {"DUAL", "AUM", "CLD", "Herding", "Full@k"}


def test_a_data_set_counts_once_and_the_interval_is_over_data_sets():
    found = beside_random(shared(EVERYWHERE))
    assert found["DUAL"].difference == pytest.approx(2.0)  # 2, 2 and 2
    assert found["AUM"].difference == pytest.approx(-3.0)  # -9, -1 and 1
    assert (found["AUM"].n, found["AUM"].std) == (3, pytest.approx(28**0.5))
    assert found["AUM"].low == pytest.approx(-3 - 4.3026527 * (28 / 3) ** 0.5)
    assert found["CLD"].p_adjusted == pytest.approx(2 * found["CLD"].p)  # Holm over AUM and CLD
    assert found["Full@k"].p_adjusted == found["Full@k"].p  # no selection
    rows = {row[0]: row[1:] for row in data_sets_table(shared(EVERYWHERE)).rows}
    assert rows["AUM"] == ("-3.0 [-16.1, +10.1]", "0", "0")
    assert rows["Full@k†"][1:] == ("4", "0")


def test_sentences_name_what_lies_beside_random():
    varied = [
        c if c.label != "DUAL" else Cell(c.title, c.fraction, "DUAL", True, difference, "", 10)
        for c, difference in zip(EVERYWHERE, (2.0, 2.0, 2.2, 1.9, *[0] * 16), strict=True)
    ]
    lines = data_sets_sentences(shared(varied))
    assert lines[0].startswith(
        "3 selections have these 4 cells of 3 data sets. Intervals above Random: DUAL."
    )
    assert lines[0].endswith("Below Random: those of 1 selections.")
    assert lines[1].startswith("After Holm's correction over the selections: DUAL above; CLD below.")
    assert len(lines) == 2  # two data sets would be too few


def test_sentences_say_whether_one_data_set_decides():
    def said(*differences: float) -> list[str]:
        places = [(title, 0.1) for title in "ABCD"]
        found = cells("DUAL", dict(zip(places, differences, strict=True)))
        for label in ("CLD", "CLD:record=online"):
            found += cells(label, dict.fromkeys(places, -1.0))
        return data_sets_sentences(shared(found))[2:]

    def cases(n: int) -> list[str]:
        return [f"With one data set left out, DUAL's interval is above Random in {n} of 4 cases."]

    assert said(1.0, 1.1, 1.2, 1.3) == cases(4)
    # of the sets of three, only 1.0, 1.1 and 0.9 have an interval above 0
    assert said(1.0, 1.1, 0.9, 0.2) == cases(1)
    assert said(1.0, -1.0, 1.0, 0.2) == []


def test_two_data_sets_give_no_interval():
    assert not enough(shared([c for c in EVERYWHERE if c.title != "C"]))
    assert enough(shared(EVERYWHERE))
    assert not enough(shared([]))
