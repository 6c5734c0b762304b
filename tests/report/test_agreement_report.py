"""Overlap of selections and correlation of scores, from the files of a small run."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats
from small_grids import grid, runner

from deepcore.report.agreement_report import agreement_tables

SELECTION = ("AUM", "AUM:keep=highest", "Random", "EL2N:sampler=strata", "Full", "CLD:keep=zero")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A harness after its run: six rows at two fractions, two seeds."""
    harness = runner(
        tmp_path_factory.mktemp("run"), grid(*SELECTION, seeds=(0, 1), fractions=(0.2, 0.5), everything=True)
    )
    assert {row.status for row in harness.run()} == {"ok"}
    return harness


def ids(harness, seed, name, stem):
    """The ids of a selection's CSV, read without the library."""
    (path,) = harness.runtime.folder.glob(f"selections/*-seed{seed}-{name}-*/{stem}.csv")
    return [int(line["id"]) for line in csv.DictReader(path.open())]


def column(harness, seed, name, key):
    (path,) = harness.runtime.folder.glob(f"selections/*-seed{seed}-{name}-*/scores.csv")
    return {int(line["id"]): float(line[key]) for line in csv.DictReader(path.open())}


def tables(harness):
    return {table.name: table for table in agreement_tables(harness.plan, harness.runtime.folder)}


def test_overlap_of_methods_by_hand(run):
    found = tables(run)["overlap_f0.2"]
    record = next(r for r in found.records if (r["first"], r["second"]) == ("AUM", "Random"))
    values = []
    for seed in (0, 1):
        a, b = set(ids(run, seed, "AUM", "f0.2")), set(ids(run, seed, "Random", "f0.2"))
        values.append(len(a & b) / len(a | b))
    assert record["jaccard"] == pytest.approx(np.mean(values))
    shared = 14 * 14 / 72
    assert record["chance"] == pytest.approx(shared / (28 - shared))
    assert record["seeds"] == 2
    assert not any("Full" in (r["first"], r["second"]) for r in found.records)
    opposite = next(r for r in found.records if (r["first"], r["second"]) == ("AUM", "AUM:keep=highest"))
    assert opposite["jaccard"] == 0
    assert f"{record['chance']:.2f}" in found.notes[0]
    header, row = found.text.headers, found.text.rows[0]
    assert header == ("", "1", "2", "3", "4", "5")
    assert row[:3] == ("1 AUM", "-", "0.00")


def test_scores_are_turned_to_their_kept_end(run):
    records = tables(run)["score_correlation"].records
    found = {(r["first"], r["second"]): r["spearman"] for r in records}
    assert found["AUM", "AUM:keep=highest"] == pytest.approx(-1.0)
    assert len(found) == 6  # Random has no scores
    expected = []
    for seed in (0, 1):
        aum, cld = (column(run, seed, name, "score") for name in ("AUM", "CLD_keep=zero"))
        turned = [-abs(cld[i]) for i in aum]  # closest to 0 is kept
        expected.append(scipy_stats.spearmanr([-aum[i] for i in aum], turned).statistic)
    assert found["AUM", "CLD:keep=zero"] == pytest.approx(np.mean(expected))


def test_agreement_between_seeds_by_hand(run):
    found = tables(run)["between_seeds"]
    record = next(r for r in found.records if r["method"] == "AUM" and r["fraction"] == 0.5)
    pool = set.intersection(*(set(of_seed.split.train) for of_seed in run.plan.seeds.values()))
    a, b = (set(ids(run, seed, "AUM", "f0.5")) & pool for seed in (0, 1))
    assert record["jaccard"] == pytest.approx(len(a & b) / len(a | b))
    first, second = (column(run, seed, "AUM", "score") for seed in (0, 1))
    common = sorted(pool)
    rho = scipy_stats.spearmanr([first[i] for i in common], [second[i] for i in common]).statistic
    assert record["spearman"] == pytest.approx(rho)
    assert record["pairs"] == 1
    row = next(row for row in found.text.rows if row[0] == "Random")
    assert row[-1] == "-"


def test_three_seeds_are_three_pairs(tmp_path):
    harness = runner(tmp_path, grid("Random", seeds=(0, 1, 2), fractions=(0.5,)))
    harness.run()
    (table,) = agreement_tables(harness.plan, harness.runtime.folder)
    values = []
    for s, t in itertools.combinations(range(3), 2):
        pool = set(harness.plan.seeds[s].split.train) & set(harness.plan.seeds[t].split.train)
        a, b = (set(ids(harness, seed, "Random", "f0.5")) & pool for seed in (s, t))
        values.append(len(a & b) / len(a | b))
    (record,) = table.records
    assert (record["jaccard"], record["pairs"]) == (pytest.approx(np.mean(values)), 3)


def test_missing_files_are_left_out(tmp_path):
    harness = runner(tmp_path, grid("AUM", "Random", fractions=(0.2,)))
    harness.run()
    assert set(tables(harness)) == {"overlap_f0.2"}  # one seed, one score
    for path in tmp_path.glob("selections/*-AUM-*/*"):
        path.unlink()
    assert tables(harness) == {}
