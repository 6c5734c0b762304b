"""Where kept rows lie, and how that goes with accuracy: by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import coverage
from benchmarks.coverage_figure import coverage_figure, coverage_values
from benchmarks.in_rows import CLD, ONLINE
from benchmarks.kept_rows import Inputs
from benchmarks.score_study import Finding
from benchmarks.verdicts import Cell
from deepcore.data.memory import TensorRows
from deepcore.data.split import Split


def rows_of(values, labels):
    inputs = torch.tensor(values, dtype=torch.float32)[:, None]
    return TensorRows(inputs, np.array(labels), mean=np.zeros(1), std=np.ones(1))


def test_spread_and_distance_by_hand():
    part = rows_of([0, 1, 2, 3, 10, 12, 14, 1.5, 11, 20], [0, 0, 0, 0, 1, 1, 1, 0, 1, 1])
    inputs = Inputs.of(part, Split(np.arange(7), np.arange(7, 10), seed=0))
    found = inputs.measures(np.array([0, 3, 4]))
    # class 0: variance of (0, 3) is 4.5, of (0, 1, 2, 3) 5/3; class 1 keeps one row, which has no variance
    assert found["kept_spread"] == pytest.approx(4.5 / (5 / 3))
    assert found["val_distance"] == pytest.approx((1.5 + 1 + 10) / 3)
    both = inputs.measures(np.array([1, 2, 4, 6]))
    assert both["kept_spread"] == pytest.approx((0.5 / (5 / 3) + 8 / 4) / 2)
    assert inputs.measures(np.array([5])) == {"val_distance": pytest.approx((1 + 8) / 2)}


def test_all_candidates_are_as_spread_as_themselves():
    values = np.random.default_rng(0).normal(size=40)
    part = rows_of(values, [0, 1] * 20)
    inputs = Inputs.of(part, Split(np.arange(30), np.arange(30, 40), seed=0))
    assert inputs.measures(np.arange(30))["kept_spread"] == pytest.approx(1)


def study(**distances):
    """Two seeds; the spread is a tenth of the distance."""
    labels = {"cld": CLD, "online": ONLINE, "Random": "Random", "D2": "D2"}
    return [
        Finding(seed, labels[name], 0.05, measure, value * scale + shift)
        for name, value in distances.items()
        for measure, scale in (("val_distance", 1.0), ("kept_spread", 0.1))
        for seed, shift in enumerate((-0.01, 0.01))
    ]


def cells(title, **differences):
    labels = {"cld": CLD, "online": ONLINE, "D2": "D2"}
    return [
        Cell(title, fraction, labels[name], True, difference, "", 3)
        for name, difference in differences.items()
        for fraction in (0.01, 0.05)
    ]


@pytest.fixture
def found():
    """Two data sets; D2 has rows on the first alone."""
    studies = {
        "Letter": study(cld=6.0, online=4.4, Random=4.0, D2=5.0),
        "Spam": study(cld=3.0, online=1.9, Random=2.0),
        "Digits": [],
    }
    chosen = cells("Letter", cld=-9.0, online=-1.0, D2=-4.0) + cells("Spam", cld=-5.0, online=0.5)
    return coverage.places(studies, chosen)


def test_places_by_hand(found):
    assert [(p.title, p.label) for p in found] == [(t, m) for t in ("Letter", "Spam") for m in (CLD, ONLINE)]
    first = found[0]
    assert (first.spread, first.further, first.difference) == pytest.approx((0.6, 50, -9))
    assert found[3].further == pytest.approx(-5)
    assert coverage_values(found)[0][:2] == ("Letter", CLD)


def test_what_is_said_of_them(found):
    table = coverage.coverage_table(found)
    assert table.rows == ((ONLINE, "32", "+2.5", "-0.2"), (CLD, "45", "+50.0", "-7.0"))
    assert "means over 2 data sets" in table.title
    lines = coverage.coverage_sentences(found)
    assert lines[0].endswith("over 2 selections: none.")  # a correlation of two is none
    assert lines[2].startswith("CLD as published keeps rows whose variance is 30 to 60% of their class's.")
    assert lines[2].endswith("further from the validation rows by +50.0 to +50.0%.")
    assert lines[3].endswith("further from the validation rows by -5.0 to +10.0%.")
    assert coverage.coverage_sentences([]) == []


def test_the_two_measures_go_with_accuracy_each_in_its_way():
    """The worst has the widest rows, and the nearest."""
    of = [("A", 0.5, 9, -3.0), ("B", 0.9, 5, -2.0), ("C", 1.1, 2, -1.0), ("D", 4.0, 1, -4.0)]
    found = [coverage.Place("Letter", *place) for place in of]
    lines = coverage.coverage_sentences(found)
    assert lines[0].endswith("over 4 selections: Letter +0.20.")
    assert lines[1].endswith("(the size of its logarithm): Letter -1.00.")
    assert len(lines) == 2  # no form of CLD is among them


def test_the_figure_has_a_point_for_each(found):
    figure = coverage_figure(found, 0.05)
    points = [line for line in figure.axes[0].lines if line.get_marker() not in ("None", None, "")]
    assert [(p.get_xdata()[0], p.get_ydata()[0]) for p in points] == [
        (p.further, p.difference) for p in found
    ]
    assert [t.get_text() for t in figure.legends[0].texts] == [
        CLD,
        ONLINE,
        "Letter",
        "Spam",
    ]
