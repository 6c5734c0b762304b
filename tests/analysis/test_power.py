"""What a number of seeds can show: known sample sizes, and a simulation of the whole test."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from rows import LOW, ROWS, rows_of
from scipy import stats as scipy_stats

import main
from deepcore.analysis import power as power_module
from deepcore.analysis.comparison import compare_rows
from deepcore.analysis.power import power, reach, seeds_needed, smallest_shown, typical_std
from deepcore.analysis.stats import Paired, holm
from deepcore.common.checks import UsageError
from deepcore.experiment.rows import RowStore
from deepcore.experiment.rows_csv import to_csv
from deepcore.report.accuracy_tables import accuracy_table, overview_table, reach_notes
from deepcore.report.power_report import power_report, power_table


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_sample_sizes_of_the_textbooks(effect, n):
    """Paired t test, two-sided 5%, 80%: Cohen's d of 0.2, 0.5, 0.8 and 1 need so many pairs (G*Power)."""
    assert seeds_needed(effect, 1.0) == n
    assert seeds_needed(3 * effect, 3.0) == n
    assert power(effect, 1.0, n - 1) < 0.8 <= power(effect, 1.0, n)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("comparisons", [1, 15, 40])
def test_power_by_another_integral(n, comparisons):
    """P(Z + nc > t s) over the distribution of s, instead of the noncentral t."""
    shown = smallest_shown(2.0, n, comparisons)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    s = np.sqrt(scipy_stats.chi2.ppf((nodes + 1) / 2, n - 1) / (n - 1))
    limit = scipy_stats.t.isf(0.05 / comparisons / 2, n - 1)
    found = weights / 2 @ scipy_stats.norm.sf(limit * s - shown * math.sqrt(n) / 2.0)
    assert found == pytest.approx(0.8, abs=1e-5)
    assert power(shown, 2.0, n, comparisons) == pytest.approx(0.8, abs=1e-6)


def test_the_share_of_simulated_experiments_that_show_it():
    """Eight methods, one of which differs by the smallest difference shown: Holm finds it in 80% of 2,000
    experiments, to four standard errors."""
    n, methods, std, trials = 5, 8, 1.5, 2000
    shown = smallest_shown(std, n, methods)
    rng = np.random.default_rng(0)
    differences = rng.normal(0.0, std, (trials, methods, n))
    differences[:, 0] += shown
    t = differences.mean(axis=2) * math.sqrt(n) / differences.std(axis=2, ddof=1)
    p = 2 * scipy_stats.t.sf(np.abs(t), n - 1)
    found = [holm(dict(enumerate(row)))[0] < 0.05 and t[i, 0] > 0 for i, row in enumerate(p)]
    assert np.mean(found) == pytest.approx(0.8, abs=4 * math.sqrt(0.8 * 0.2 / trials))


def test_more_seeds_show_less_and_more_methods_more():
    assert smallest_shown(1.0, 2) is None
    assert smallest_shown(1.0, 10) < smallest_shown(1.0, 5) < smallest_shown(1.0, 5, 10)
    assert seeds_needed(1e-4, 1.0) is None
    assert seeds_needed(100.0, 1.0) == 3


def test_no_more_seeds_than_the_most(monkeypatch):
    assert seeds_needed(0.0065, 1.0) is None  # 185,775
    monkeypatch.setattr(power_module, "MOST_SEEDS", 34)
    assert seeds_needed(0.5, 1.0) == 34
    monkeypatch.setattr(power_module, "MOST_SEEDS", 33)
    assert seeds_needed(0.5, 1.0) is None


def pair(std, n, p=0.5):
    return Paired("a", "Random", n, 1.0, std, p=p)


def test_the_typical_deviation_by_hand(monkeypatch):
    """With 3 seeds s / sigma has the median sqrt(ln 2); the median of three methods is the middle one."""
    three = [pair(std, 3) for std in (5.0, 1.0, 2.0)]
    assert typical_std(three) == pytest.approx(2.0 / math.sqrt(math.log(2)))
    assert typical_std([pair(0.0, 3), pair(None, 1)]) is None
    (found,) = reach([*three, pair(4.0, 2, p=None)])
    assert (found.methods, found.n) == (3, 3)
    assert found.shown == smallest_shown(found.std, 3, 3)
    assert reach([pair(1.0, 2, p=None)]) == ()
    assert [(r.n, r.methods) for r in reach([*three, pair(1.0, 10)])] == [(10, 4), (3, 4)]


def test_simulated_deviations_are_met_in_the_median():
    rng = np.random.default_rng(1)
    stds = rng.normal(0, 2.0, (800, 4)).std(axis=1, ddof=1)
    assert typical_std([pair(float(s), 4) for s in stds]) == pytest.approx(2.0, rel=0.08)


def test_every_accuracy_table_says_it():
    comparisons = compare_rows([*ROWS, *LOW])
    low, high, _ = comparisons
    (of_low,), (of_high,) = low.reach, high.reach
    assert (of_low.methods, of_high.methods, of_high.n) == (1, 3, 4)  # selections alone
    (note,) = reach_notes(comparisons)
    assert f"1%: {of_low.shown:.1f} (4 seeds); 10%: {of_high.shown:.1f} (4 seeds)" in note
    for table in (accuracy_table(comparisons), overview_table(comparisons, "MLP")):
        assert note in table.notes
        assert "found by 80%" in table.render("md")
    assert reach_notes(compare_rows(rows_of("A", 85))) == ()


def test_the_table_of_seeds_by_hand():
    high = compare_rows(ROWS)
    (record,) = power_table(high).records
    std = high[0].reach[0].std
    assert record["seeds_for_2"] == seeds_needed(2.0, std, 3)
    assert (record["fraction"], record["methods"], record["seeds"]) == (0.1, 3, 4)
    assert "Digits, MLP" in power_table(high).render("md")


def test_the_command_reads_a_folder_and_a_csv(tmp_path, capsys):
    (tmp_path / "runs" / "seed0").mkdir(parents=True)
    store = RowStore(tmp_path / "runs" / "seed0" / "rows")
    rows = [dataclasses.replace(row, n_test=1000) for row in ROWS]  # of which their accuracies are shares
    for row in rows:
        store.save(row)
    (tmp_path / "rows.csv").write_text(to_csv(rows))
    assert main.main(["--power", str(tmp_path / "runs")]) == 0
    of_folder = capsys.readouterr().out
    assert main.main(["--power", str(tmp_path / "rows.csv")]) == 0
    assert capsys.readouterr().out == of_folder
    assert "5 points" in of_folder
    assert power_report(tmp_path / "rows.csv", "csv").startswith("dataset,net,fraction,methods,seeds")


def test_what_holds_no_rows_is_refused(tmp_path):
    (tmp_path / "one.csv").write_text(to_csv(rows_of("A", 85)))
    for path, words in [
        (tmp_path, "holds no result rows"),
        (tmp_path / "nothing.csv", "give a folder of results"),
        (tmp_path / "one.csv", "compared with Random"),
    ]:
        with pytest.raises(UsageError, match=words):
            power_report(path)


def test_the_noncentral_t_is_replaced_where_it_is_not_computed(monkeypatch):
    monkeypatch.setattr(power_module.scipy_stats.nct, "sf", lambda *args: float("nan"))
    assert power(1.0, 1.0, 1000) == pytest.approx(1.0)
