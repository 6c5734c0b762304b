"""The accuracy figure: what is drawn, where, and that names do not overlap."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import LOW, ROWS, rows_of

from deepcore.analysis.comparison import compare_rows
from deepcore.common.checks import UsageError
from deepcore.report.accuracy_figure import accuracy_figure, spread_out
from deepcore.report.figure_files import inline_svg, save_figure

BOTH = compare_rows([*ROWS, *LOW])


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_lines_bands_and_levels():
    figure = accuracy_figure(BOTH)
    above, below = figure.axes
    drawn = lines(above)
    assert set(drawn) == {"A", "B", "Bad", "Random", "RS2†", "Full†"}
    assert drawn["A"].get_xdata().tolist() == [0.01, 0.1]
    assert drawn["A"].get_ydata().tolist() == [71.625, 86.625]
    assert drawn["Full†"].get_ydata() == [97.75, 97.75]
    assert drawn["RS2†"].get_linestyle() != "-" == drawn["A"].get_linestyle()
    band = next(c for c in above.collections if np.allclose(c.get_facecolor()[0][:3], _rgb(drawn["A"])))
    std = np.std([85, 87.5, 86, 88], ddof=1)
    assert band.get_datalim(above.transData).y1 == pytest.approx(86.625 + std)
    assert above.get_xscale() == "log"
    assert {text.get_text() for text in above.texts} == set(drawn)
    differences = lines(below)
    assert set(differences) == {"A", "B", "Bad", "RS2†"}
    assert differences["A"].get_ydata().tolist() == [-4.25, 5.0]


def _rgb(line):
    from matplotlib.colors import to_rgb

    return to_rgb(line.get_color())


def test_one_fraction_is_drawn_in_rows():
    for narrow, places in ((False, [(0, 0), (0, 1)]), (True, [(0, 0), (1, 0)])):
        figure = accuracy_figure(compare_rows(ROWS), narrow=narrow)
        axes = [
            (ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in figure.axes
        ]
        assert axes == places
        names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
        assert names == ["A", "B", "Bad", "Random", "RS2†", "Full†"]
        assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]  # the first on top


def test_without_intervals_there_is_one_panel():
    assert len(accuracy_figure(compare_rows([row for row in ROWS if row.seed < 2])).axes) == 1
    assert len(accuracy_figure(compare_rows(rows_of("A", 70, 71, 72))).axes) == 1


def test_narrow_has_a_legend_instead_of_names():
    figure = accuracy_figure(BOTH, narrow=True)
    assert not figure.axes[0].texts
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"A", "B", "Bad", "Random", "RS2†", "Full†"}


def test_what_cannot_be_drawn_is_refused():
    for rows in ([], rows_of("Full", 97, fraction=None), [*ROWS, *rows_of("A", 1, target_net="LeNet")]):
        with pytest.raises(UsageError, match="one data set and target net, at one fraction or more"):
            accuracy_figure(compare_rows(rows))


def test_the_same_rows_give_the_same_files(tmp_path):
    for name in "ab":
        save_figure(accuracy_figure(BOTH), tmp_path / name)
    for suffix in (".png", ".svg"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_inline_svg_fits_its_place_and_keeps_its_ids_apart():
    svg = inline_svg(accuracy_figure(BOTH), "x")
    assert svg.startswith("<svg ")
    head = svg[: svg.index(">")]
    assert "viewBox" in head
    assert " width=" not in head
    assert " height=" not in head
    assert 'id="x-' in svg
    assert svg.count(' id="') == svg.count(' id="x-')
    assert svg.count("url(#") == svg.count("url(#x-") > 0
    assert "<metadata" not in svg
    assert "RS2†</text>" in svg


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20).map(sorted), st.floats(0.5, 8))
def test_labels_are_apart_in_order_and_in_place(values, gap):
    places = spread_out(values, gap, 0, 100)
    assert all(b - a >= gap - 1e-9 for a, b in itertools.pairwise(places))
    assert places[0] >= -1e-9
    if (len(values) - 1) * gap <= 100:
        assert places[-1] <= 100 + 1e-9
    far = all(b - a >= gap for a, b in itertools.pairwise(values))
    if far:
        assert places == pytest.approx(values)


def test_labels_that_touch_move_as_one():
    assert spread_out([50, 50, 50], 2, 0, 100) == [48, 50, 52]
    assert spread_out([50, 51, 90], 4, 0, 100) == [48.5, 52.5, 90]
    assert spread_out([99, 100], 4, 0, 100) == [96, 100]
