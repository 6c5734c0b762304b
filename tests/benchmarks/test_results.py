"""What is published: pages and figures are made from the rows, and every sentence is backed by them."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest
from helpers import full_run, labels_of
from rows import rows_of

import methods
from benchmarks import (
    findings,
    grids,
    head_to_head,
    in_rows,
    results_tables,
    score_study,
    short_tables,
    wording,
)
from benchmarks.forest_figure import forest_figure
from benchmarks.grids import GRIDS, Grid, Part
from benchmarks.published import RESULTS, Head, Published
from benchmarks.result_figures import FIGURES, cost_figure, fraction_figure, noise_figure
from benchmarks.score_study import Finding, first_step
from benchmarks.study_tables import flipped_table, marked, scores_table, study_value
from deepcore.analysis.comparison import compare_rows
from deepcore.analysis.stats import paired_difference
from deepcore.experiment.rows_csv import from_csv
from deepcore.proxy.signals import Signal
from methods.cld import CLD


@pytest.fixture(scope="module")
def published():
    return Published.read()


@pytest.fixture(scope="module")
def drawn():
    """{what a figure is of: its files}, kept by `draw_once`."""
    return {}


@pytest.fixture
def draw_once(monkeypatch, drawn):
    """A figure of the same rows is drawn once; that it comes out the same each time is tested in
    tests/report."""
    real = results_tables.save_figure

    def save(figure, stem, *, about):
        if about not in drawn:
            drawn[about] = {path.suffix: path.read_bytes() for path in real(figure, stem, about=about)}
        for suffix, content in drawn[about].items():
            stem.with_suffix(suffix).write_bytes(content)
        return [stem.with_suffix(suffix) for suffix in drawn[about]]

    monkeypatch.setattr(results_tables, "save_figure", save)


def changed(published, label="CCS", fraction=0.1):
    """The same with one row of the fashion grid a point better."""
    rows = list(published.fashion.rows)
    at = next(i for i, r in enumerate(rows) if (r.label, r.fraction) == (label, fraction))
    rows[at] = dataclasses.replace(rows[at], accuracy=rows[at].accuracy + 0.01)
    return dataclasses.replace(published, fashion=Head.of(rows))


def test_pages_and_figures_are_made_from_the_rows(capsys, draw_once):
    assert results_tables.main(["--check"]) == 0, capsys.readouterr().out


def test_another_row_makes_them_stale(published, monkeypatch, capsys, draw_once):
    monkeypatch.setattr(results_tables.Published, "read", lambda: changed(published))
    assert results_tables.main(["--check"]) == 1
    out = capsys.readouterr().out
    for name in ("forest_fashion.png", "forest_fashion.svg", "accuracy_fashion.png", "results.md"):
        assert f"{name} is out of date" in out
    assert "digits" not in out


def test_a_figure_that_was_touched_is_stale(published, tmp_path, draw_once):
    for path in results_tables.FOLDER.glob("*"):
        shutil.copy(path, tmp_path)
    assert results_tables.figures(published, tmp_path, check=True) == []
    svg = tmp_path / "forest_digits.svg"
    svg.write_text(svg.read_text().replace("rows ", "rows x", 1))
    (tmp_path / "forest_fashion.png").unlink()
    (tmp_path / "cost_digits.png").write_bytes((tmp_path / "cost_digits.png").read_bytes() + b"x")
    assert results_tables.figures(published, tmp_path, check=True) == [
        *("forest_fashion.png", "forest_digits.svg", "cost_digits.png"),
    ]


@pytest.mark.parametrize("name", [name for name in GRIDS if (RESULTS / f"{name}.csv").exists()])
def test_published_grids_are_whole(name):
    """Every cell of every part has its row, and nothing else is there."""
    grid = GRIDS[name]
    rows = from_csv((RESULTS / f"{name}.csv").read_text())
    have = {(r.label, r.fraction, r.seed) for r in rows}
    assert len(have) == len(rows)
    want = set()
    for part in grid.parts:
        for text in part.methods:
            method = methods.parse(text)
            fractions = part.fractions if method.uses_fraction else (None,)
            want |= {(method.label(), f, s) for f in fractions for s in range(part.seeds)}
    assert have == want
    assert all(r.status == "ok" and r.dataset == grid.dataset for r in rows)
    assert {r.label_noise.get("train", 0.0) for r in rows} == {grid.noise.train}
    assert {r.label_noise.get("val", 0.0) for r in rows} == {grid.noise.val}
    assert {r.long_tail.get("imbalance") for r in rows} == {grid.long_tail}


@pytest.mark.parametrize("name", [name for name in GRIDS if (RESULTS / f"{name}_scores.csv").exists()])
def test_published_studies_are_whole(name):
    """Every selection of the grid has its measures, under every seed; of long trainings also over seeds."""
    rows = [r for r in from_csv((RESULTS / f"{name}.csv").read_text()) if r.is_selection]
    found = score_study.from_csv((RESULTS / f"{name}_scores.csv").read_text())
    measures = {"kept_el2n", "in_cld"}
    measures |= {"kept_again", "kept_spread", "val_distance"} if name != "fashion" else set()
    have = {(f.method, f.fraction, f.seed, f.measure) for f in found}
    assert len(have) == len(found)
    several = {(r.label, r.fraction) for r in rows if r.seed > 0}
    for row in (r for r in rows if r.fraction is not None):
        for measure in measures:
            alone = measure == "kept_again" and (row.label, row.fraction) not in several
            assert ((row.label, row.fraction, row.seed, measure) in have) is not alone
    assert {f.method for f in found} == {r.label for r in rows if r.fraction is not None}


def test_what_is_published_is_small():
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < 10_000_000


def test_a_claim_that_the_rows_do_not_support_is_refused(published):
    with pytest.raises(ValueError, match="do not support this sentence: up is down"):
        wording.claim(False, "up is down")
    study = [
        f._replace(value=0.1) if f.measure == "first_step" and f.method == "CLD" else f
        for f in published.study
    ]
    with pytest.raises(ValueError, match="The first loss difference dominates"):
        findings.score_findings(dataclasses.replace(published, study=study))


def test_every_list_of_sentences_stops_when_its_rows_change(published):
    """With all methods as good as Random, no list can be written."""

    def level(head):
        of_random = {(r.fraction, r.seed): r.accuracy for r in head.rows if r.label == "Random"}
        level = [(r, of_random.get((r.fraction, r.seed), r.accuracy)) for r in head.rows]
        return Head.of([dataclasses.replace(r, accuracy=accuracy) for r, accuracy in level])

    flat = dataclasses.replace(
        published,
        fashion=level(published.fashion),
        digits=level(published.digits),
        noise={rate: level(head) for rate, head in published.noise.items()},
    )
    for part in (findings.fashion_findings, findings.form_findings, findings.noise_findings):
        with pytest.raises(ValueError, match="do not support"):
            part(flat)
    on_digits = findings.digits_findings(flat)
    assert "CLD as published is above Random at no fraction, below at no fraction." in on_digits
    assert "Selections above Random: 0 at 1%, 0 at 5%, 0 at 10%, 0 at 20% and 0 at 50%." in on_digits
    assert "(not told apart from Random's)" in on_digits


def test_a_change_of_cld_that_is_told_apart_stops_its_sentence(published):
    better = {"CLD:every=2": 0.3}
    rows = [
        dataclasses.replace(r, accuracy=r.accuracy / 2 + better.get(r.label, 0.0))
        for r in published.fashion.rows
    ]
    with pytest.raises(ValueError, match="No change of CLD can be told apart"):
        findings.variant_findings(dataclasses.replace(published, fashion=Head.of(rows)))


def test_proxy_runs_that_cost_nothing_stop_the_sentences_on_costs(published):
    free = [dataclasses.replace(r, reads={**r.reads, "epochs": 0}) for r in published.fashion.rows]
    with pytest.raises(ValueError, match="do not support"):
        findings.cost_findings(dataclasses.replace(published, fashion=Head.of(free)))


def test_sentences_are_short(published):
    for part in (findings.fashion_findings, findings.form_findings, findings.score_findings,
                 findings.variant_findings, findings.cost_findings,
                 findings.noise_findings, findings.digits_findings):  # fmt: skip
        lines = part(published).splitlines()
        assert 2 <= len(lines) <= 6
        assert max(map(len, lines)) <= 160


def test_sentences_by_hand():
    rows = [
        *(r for f in (0.1, 0.2) for r in rows_of("Random", 50.0, 51.0, 52.0, fraction=f)),
        *rows_of("CLD", 60.1, 61.0, 61.9, fraction=0.1),
        *rows_of("CLD", 50.0, 52.0, 51.0, fraction=0.2),
        *rows_of("AUM", 39.9, 41.0, 42.1, fraction=0.1),
    ]
    head = Head.of(rows)
    assert in_rows.sides(head, "CLD") == {"above": [0.1], "below": [], "": [0.2]}
    assert in_rows.gap(head, "AUM", 0.1) == pytest.approx(-10)
    assert in_rows.winners(head, 0.1) == ["CLD"]
    assert short_tables._difference(head, "AUM", 0.1) == "▼\N{NO-BREAK SPACE}-10.0"
    assert short_tables._difference(head, "CLD", 0.2) == "+0.0"
    assert wording.listed("abc") == "a, b and c"
    assert wording.signed(-0.01) == "+0.0"
    pair = paired_difference({"a": {0: 1.0, 1: 1.1, 2: 3.0}, "b": dict.fromkeys(range(3), 0.0)}, "a", "b")
    near = dataclasses.replace(pair, low=-0.02, high=0.0)
    assert wording.interval(near) == "+1.7 [-0.02, +0.0]"  # the side of an end is never rounded away
    assert marked(head.entry("CLD", 0.1)) == "*▲ 61.00 ± 0.90"


def test_tables_by_hand(published):
    def row(label, kept, auroc):
        noise = {"train": 0.1, "val": 0.0, "flipped": 9, "kept": kept, "auroc": auroc}
        return [dataclasses.replace(r, label_noise=noise) for r in rows_of(label, 50, 52, 51, k=10)]

    head = Head.of([*row("Random", 1, None), *row("AUM", 9, 0.1), *row("EL2N", 8, 0.95)])
    study = [Finding(s, "AUM", f, "kept_el2n", v) for s, f, v in [(0, 0.1, 10), (1, 0.1, 20), (0, 0.01, 4)]]
    ours = dataclasses.replace(published, noise={10: head}, study=study)
    lines = [line[:4] for line in flipped_table(ours, 10).rows]
    assert lines == [
        ("EL2N", "0.950", "high", "80.0"),
        ("AUM", "0.900", "low", "90.0"),
        ("Random", "-", "-", "10.0"),
    ]
    assert study_value(ours, "AUM", "kept_el2n", 0.1) == 15
    assert study_value(ours, "AUM", "rho_el2n") is None
    (line,) = scores_table(ours).rows
    assert line == ("AUM", "-", "-", "-", "-", "4", "15", "-", "-")


def test_the_figure_shows_every_difference():
    rows = [
        *rows_of("Random", 50.0, 51.0, 52.0),
        *rows_of("CLD", 51.1, 52.0, 52.9),
        *rows_of("AUM", 19.9, 21.0, 22.1),
        *rows_of("RS2", 50.0, 51.5, 52.0),
    ]
    figure = forest_figure(compare_rows(rows), "t")
    (ax,) = figure.axes
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["RS2†", "AUM", "CLD"]  # upwards: references, then by mean difference
    dots = {
        (round(line.get_xdata()[0], 3), line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"
    }
    assert (1.0, names.index("CLD")) in dots
    assert [t.get_text() for t in ax.texts] == ["-30.0"]  # outside, in figures


def test_the_curves_show_every_mean(published):
    (ax,) = fraction_figure(published.fashion).axes
    drawn = [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in ax.lines]
    for label in ("CLD", "Random", "DUAL"):
        points = [(f, in_rows.mean(published.fashion, label, f)) for f in published.fashion.fractions]
        assert points in drawn
        assert label in {text.get_text() for text in ax.texts}


def test_the_cost_figure_has_each_method_at_its_cost_and_accuracy(published):
    (ax,) = cost_figure(published.digits).axes
    names = {text.get_text() for text in ax.texts}
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == "o"]
    for label in ("CLD", "DUAL", "Random"):
        assert label in names
        cost = 100 * in_rows.costs_at(published.digits, 0.1)[label].share
        accuracy = in_rows.mean(published.digits, label, 0.1)
        assert any(x == pytest.approx(cost, rel=0.06) and y == accuracy for x, y in dots), label


def test_the_noise_figure_has_each_method_at_both_rates(published):
    kept, accuracy = noise_figure(published.noise).axes
    names = [text.get_text() for text in kept.get_yticklabels()]
    at = names.index("CLD")
    for i, rate in enumerate(published.noise):
        dots = [ax.lines[2 * i].get_xdata()[at] for ax in (kept, accuracy)]
        assert dots[0] == in_rows.flipped_kept(published, "CLD")[i]
        assert dots[1] == pytest.approx(in_rows.mean(published.noise[rate], "CLD", 0.1))


def test_a_figure_says_its_numbers(published):
    drawn = {name: drawing for name, drawing in FIGURES.items() if drawing.exists(published)}
    ours = {name: results_tables.description(drawing, published) for name, drawing in drawn.items()}
    assert len(set(ours.values())) == len(drawn) >= 6
    theirs = results_tables.description(FIGURES["accuracy_fashion"], changed(published))
    assert theirs != ours["accuracy_fashion"]


def test_first_step_by_hand():
    run = full_run(labels_of(4, 4), epochs=3)
    losses = run.trajectory(Signal.LOSS, "post_epoch", initial=True)
    shares = []
    for m in range(8):
        d = [float(losses[t + 1][m]) - float(losses[t][m]) for t in range(3)]
        mean = sum(d) / 3
        squares = [(x - mean) ** 2 for x in d]
        shares.append(squares[0] / sum(squares))
    assert first_step(CLD(), run) == pytest.approx(np.mean(shares))
    without = first_step(CLD(initial=False), run)
    assert without == pytest.approx(0.5)  # two differences lie equally far from their mean


def test_the_study_of_a_small_grid(tmp_path, monkeypatch, capsys):
    tiny = Grid("tiny", "Synthetic", "MLP", (Part(("CLD", "EL2N", "Random"), (0.1,), 2),), epochs=4)
    monkeypatch.setitem(grids.GRIDS, "tiny", tiny)
    argv = ["tiny", "--save_path", str(tmp_path)]
    assert score_study.main(argv) == 2
    assert "run head_to_head.py tiny" in capsys.readouterr().err
    assert head_to_head.main(argv) == 0
    assert score_study.main(argv) == 0
    text = (tmp_path / "tiny_scores.csv").read_text()
    found = score_study.from_csv(text)
    assert score_study.to_csv(found) == text
    value = {(f.method, f.fraction, f.measure): f.value for f in found}
    assert {f.seed for f in found if f.measure == "kept_again"} == {0, 1}
    assert value["EL2N", None, "rho_seeds"] > 0.3  # both seeds find the same rows hard
    assert ("Random", None, "rho_seeds") not in value
    assert value["EL2N", 0.1, "kept_again"] > 0.2
    assert value["EL2N", None, "rho_el2n"] == pytest.approx(1)
    assert value["CLD", 0.1, "in_cld"] == 1
    assert value["EL2N", 0.1, "kept_el2n"] > 80  # it keeps the highest of each class
    assert 0 <= value["Random", 0.1, "in_cld"] < 0.5
    assert ("Random", None, "rho_el2n") not in value
    assert 0 < value["CLD", None, "first_step"] <= 1
