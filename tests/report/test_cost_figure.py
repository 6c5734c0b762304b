"""The Pareto figure: its frontier, its labels, its files."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.paper_figure4 import paper_points
from deepcore.common.checks import UsageError
from deepcore.report.cost_figure import Point, bubble_areas, frontier, pareto_figure, size_name
from deepcore.report.figure_files import save_figure
from deepcore.report.label_places import overlap, place_labels


def point(accuracy, flops, name="m", storage=0.0, family="own"):
    return Point(name, accuracy, flops, storage, family)


def label_boxes(figure, names):
    """Boxes in pixels of the labels, as drawn, by name."""
    figure.canvas.draw()
    texts = [text for text in figure.axes[0].texts if text.get_text() in names]
    assert sorted(text.get_text() for text in texts) == sorted(names)
    return {text.get_text(): text.get_window_extent().extents for text in texts}


def check_labels(figure, points):
    boxes = label_boxes(figure, [p.name for p in points])
    frame = figure.axes[0].get_window_extent().extents
    for a, b in itertools.combinations(boxes, 2):
        assert overlap(boxes[a][None], boxes[b][None])[0, 0] == 0, (a, b)
    for name, box in boxes.items():
        assert (box[:2] >= frame[:2]).all(), name
        assert (box[2:] <= frame[2:]).all(), name


def test_frontier_by_hand():
    rows = [(50, 1), (60, 3), (55, 2), (59, 4), (60, 5), (61, 9), (40, 1), (55, 2)]
    points = [point(accuracy, flops) for accuracy, flops in rows]
    assert frontier(points) == [0, 2, 7, 1, 5]  # equal twins both; (60, 5) is beaten by (60, 3)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6)), min_size=1, max_size=12))
@settings(max_examples=60)
def test_frontier_is_what_nobody_beats(rows):
    beaten = {
        i for i, (a, f) in enumerate(rows) if any((b >= a and g <= f) and (b > a or g < f) for b, g in rows)
    }
    on = frontier([point(a, f) for a, f in rows])
    assert set(on) == set(range(len(rows))) - beaten
    assert [rows[i][1] for i in on] == sorted(rows[i][1] for i in on)


def test_the_paper_s_points():
    points, missing = paper_points()
    by_name = {p.name: p for p in points}
    assert len(points) == 16
    assert missing == ["AUM", "GraNd", "BoundarySet-CCS", "LTC", "CLD (first 45 epochs)"]
    assert (by_name["CLD"].accuracy, by_name["CLD"].std) == (53.81, 0.23)
    assert by_name["GraphCut"].storage == 6_434_897_624_100
    assert [points[i].name for i in frontier(points)] == ["Random", "Forgetting", "CLD"]


def test_labels_of_the_paper_s_figure_do_not_overlap():
    points, _ = paper_points()
    figure = pareto_figure(points, title="t", caption="c " * 200, full=("everything", 2.8e18))
    check_labels(figure, points)


def test_labels_of_a_crowd_do_not_overlap():
    rng = np.random.default_rng(3)
    families = itertools.cycle(["score-based", "CLD", "reference", "training-property"])
    points = [
        Point(f"A method {i}", 60 + rng.normal(), 3e9 * (1 + rng.random()), 1e5, next(families), 0.5)
        for i in range(30)
    ]
    check_labels(pareto_figure(points, title="t", caption="c"), points)


def test_labels_of_equal_points_do_not_overlap():
    points = [point(50, 1e9, name=f"m{i}") for i in range(8)]
    check_labels(pareto_figure(points, title="t", caption="c"), points)


@pytest.mark.parametrize("side", [(0, 0, 300, 100), (0, 100, 300, 300), (0, 0, 100, 300), (100, 0, 300, 300)])
def test_a_lonely_label_is_near_its_bubble_and_off_the_lines(side):
    line = np.array([side], dtype=float)
    centre, size = np.array([[100.0, 100.0]]), np.array([[40.0, 12.0]])
    box = place_labels(centre, np.array([10.0]), size, (0, 0, 300, 300), line)[0]
    np.testing.assert_allclose(box[2:] - box[:2], size[0])
    assert np.hypot(*(np.clip(centre[0], box[:2], box[2:]) - centre[0])) < 20
    assert overlap(box[None], line)[0, 0] == 0


def test_bubbles_grow_with_storage():
    areas = bubble_areas([0, 1e3, 1e6, 1e9, 1e12])
    assert (np.diff(areas) > 0).all()
    assert (areas[4] - areas[0]) / (areas[3] - areas[0]) == pytest.approx(1000**0.25)
    assert (bubble_areas([0, 0]) == areas[0]).all()


def test_names_of_sizes():
    assert [size_name(s) for s in (12, 1000, 461e6, 5.07e6, 6.43e12)] == [
        "12 bytes",
        "1 kB",
        "461 MB",
        "5.1 MB",
        "6.4 TB",
    ]


def test_files_are_written_and_the_same_each_time(tmp_path):
    points = [point(50, 1e9, name="a"), point(51, 2e9, name="b", storage=1e6)]
    contents = []
    for folder in ("one", "two"):
        paths = save_figure(pareto_figure(points, title="t", caption="c"), tmp_path / folder / "fig")
        assert [path.name for path in paths] == ["fig.png", "fig.svg"]
        contents.append([path.read_bytes() for path in paths])
    assert contents[0] == contents[1]


def test_bad_points():
    with pytest.raises(UsageError, match="at least one point"):
        pareto_figure([], title="t", caption="c")
    with pytest.raises(UsageError, match="FLOPs above 0"):
        pareto_figure([point(50, 0)], title="t", caption="c")
    with pytest.raises(UsageError, match="unknown family 'blue'"):
        point(50, 1, family="blue")


def test_error_bars_are_inside_and_names_off_the_line_of_everything():
    points = [
        Point("A long name of a method", 50, 3e9, 1e5, "CLD", 9.0),
        Point("Random", 51, 1e9, 0, "reference", 8.0),
        Point("Another", 52, 3e10, 0, "own"),
    ]
    figure = pareto_figure(points, title="t", caption="c", full=("everything", 4e9))
    ax = figure.axes[0]
    low, high = ax.get_ylim()
    assert low < 41 < 59 < high
    boxes = label_boxes(figure, [p.name for p in points])
    line = ax.transData.transform((4, 50))[0]  # GFLOPs
    for box in boxes.values():
        assert box[2] < line or box[0] > line
