"""Runs that methods ask for themselves: extrapolated scores, from the data to the bill."""

from __future__ import annotations

import numpy as np
import pytest
from small_grids import grid, runner
from tiny import SHORT, images

import methods
from deepcore.analysis.measured_costs import flops, measured_costs, selection_flops
from deepcore.analysis.phases import phases
from deepcore.costs.of_method import cost_of
from deepcore.costs.scenario import Scenario
from deepcore.experiment.preflight import proxy_states
from deepcore.proxy.signals import Signal
from deepcore.proxy.use import ProxyUse
from deepcore.selection.own_run import OwnRun

SHARES = ("AUM:extrapolate=0.4", "CLD:extrapolate=0.4", "DUAL:extrapolate=0.4", "SloCurv:extrapolate=0.4")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    harness = runner(folder, grid(*SHARES, "CCS:extrapolate=0.2", "AUM", "TAP:epochs=2"), images())
    rows = {row.label: row for row in harness.run()}
    assert all(row.status == "ok" for row in rows.values()), [row.error for row in rows.values()]
    return harness, rows


def test_methods_of_one_share_read_one_run(done):
    harness, rows = done
    runs = {label: rows[label].proxy_run for label in rows}
    assert len({runs[label] for label in SHARES}) == 1
    assert len(set(runs.values())) == 4  # the share 0.4, the share 0.2, the shared proxy, TAP's
    assert "share0.4" in runs["AUM:extrapolate=0.4"]
    assert len(list((harness.runtime.folder / "proxies").iterdir())) == 4


def test_the_share_is_drawn_by_class_and_is_the_same_for_all(done):
    harness, _ = done
    split, labels = harness.plan.seeds[0].split, harness.plan.data.train.labels
    task = harness.plan.proxies[0, OwnRun("share", 0.4)]
    part, rest = task.split.train, task.split.rest
    assert np.array_equal(np.union1d(part, rest), split.train)
    assert len(part) == round(0.4 * len(split.train))
    shares = np.bincount(labels[part]) / np.bincount(labels[split.train])
    assert np.ptp(shares) < 0.1
    again = OwnRun("share", 0.4).split(split, labels, 3)
    np.testing.assert_array_equal(again.train, part)


def test_scored_rows_have_the_score_of_the_run_on_the_share(done):
    harness, rows = done
    store = harness.runtime.folder / "proxies" / rows["AUM:extrapolate=0.4"].proxy_run
    margins = np.load(store / "online_margin.npy")[1:]
    ids = np.load(store / "pool.npz")["ids"]
    scores = np.load(next((harness.runtime.folder / "selections").glob("*AUM_extrapolate*/scores.npz")))
    np.testing.assert_allclose(scores["scores"][np.isin(scores["ids"], ids)], margins.mean(axis=0), rtol=1e-6)
    assert len(scores["ids"]) == rows["AUM"].n
    assert np.load(store / "rest_final_features.npy").shape[0] == rows["AUM"].n - len(ids)


def test_the_passes_are_those_of_the_share_and_one_over_the_others(done):
    _, rows = done
    row, whole = rows["AUM:extrapolate=0.4"], rows["AUM"]
    n, part, epochs = row.n, round(0.4 * row.n), SHORT.epochs
    assert row.passes["proxy"]["train"] == part * epochs
    assert whole.passes["proxy"]["train"] == n * epochs
    assert row.reads == {
        "epochs": epochs, "post_epochs": 0, "trajectories": True, "final": True, "own": "share", "rows": part,
    }  # fmt: skip
    assert ProxyUse(**row.reads).passes(n, row.q)["encode"] == n  # the share's own, and the others
    assert set(whole.reads) == {"epochs", "post_epochs", "trajectories", "final"}
    assert rows["SloCurv:extrapolate=0.4"].passes["score"] == {"gradient": 11 * part}


def test_recorded_is_what_was_counted(done):
    _, rows = done
    for row in rows.values():
        counted = {kind: n for kind, n in row.passes["proxy"].items() if n}
        expected = {kind: n for kind, n in ProxyUse(**row.recorded).passes(row.n, row.q).items() if n}
        assert counted == expected, row.label


def test_measured_costs_and_phases(done):
    _, rows = done
    found = {cost.method: cost for cost in measured_costs(list(rows.values()))}
    assert found["AUM:extrapolate=0.4"].alone < 0.6 * found["AUM"].alone
    tap = rows["TAP:epochs=2"]
    per_example = tap.flops_per_example["proxy"]
    alone, _, marginal = selection_flops(tap, [tap])
    assert alone == marginal == flops({"train": 2 * tap.q, "record": 2 * tap.n}, per_example)
    assert found["TAP:epochs=2"].family == "training-property"
    listed = {phase.name: phase for phase in phases(list(rows.values()))}
    assert listed["scoring: TAP:epochs=2"].here == listed["scoring: TAP:epochs=2"].counted == 2 * tap.n
    assert listed["scoring: TAP:epochs=2"].formula == "2 N"
    curvature = listed["scoring: SloCurv:extrapolate=0.4"]
    assert curvature.here == curvature.counted == 11 * round(0.4 * tap.n)
    assert curvature.formula == "N (R + 1)"
    assert "proxy training on validation rows" in listed
    part = round(0.4 * tap.n)
    assert listed[f"proxy training on S = {part:,} rows"].formula == "S T"


def test_what_is_read_of_a_share_by_hand(done):
    _, rows = done
    n, epochs, width = rows["AUM"].n, SHORT.epochs, 256
    part = round(0.4 * n)
    features = 4 * n * width  # of the share and of the others
    assert rows["AUM:extrapolate=0.4"].signal_bytes == 4 * part * epochs + features
    assert rows["SloCurv:extrapolate=0.4"].signal_bytes == features
    cld = rows["CLD:extrapolate=0.4"]
    assert cld.signal_bytes == 4 * (part + cld.q) * (epochs + 1) + features


def test_what_this_harness_does_is_what_it_counted(done):
    _, rows = done
    for label, row in rows.items():
        if label == "CCS:extrapolate=0.2":
            continue  # the fraction of the scenario sets its cut
        s = Scenario(
            N=row.n, Q=row.q, k=row.k, d=64, num_classes=3, f_proxy=1, f_large=1, T=4, T_proxy=4, T_early=1,
            T_proxy_early=4, T_first=1, F=256,
        )  # fmt: skip
        cost = cost_of(methods.parse(label), s, "here")
        here = {}
        for term in cost.terms:
            if term.net == "proxy":
                here[term.stage] = here.get(term.stage, 0) + term.forward
        counted = ProxyUse(**row.reads).passes(row.n, row.q)
        own = row.passes.get("score", {})
        expected = {"proxy": counted["train"], "score": sum(own.values())}
        expected |= {kind: counted[kind] for kind in ("record", "validation", "encode")}
        assert here == {stage: n for stage, n in expected.items() if n}, label
        assert cost.storage_bytes == row.signal_bytes, label


def test_the_paper_s_terms_are_those_of_the_share():
    s = Scenario.paper()
    cost = cost_of(methods.parse("AUM:extrapolate=0.1"), s)
    assert cost.formula == "3 S T_proxy f + N f + 3 k T f_large"
    whole = cost_of(methods.parse("AUM"), s)
    share = 126_836 / s.N
    assert cost.stage_flops("proxy") == pytest.approx(share * whole.stage_flops("proxy"))
    assert cost.stage_flops("encode") == s.N * s.f_proxy
    assert cost.training_flops == whole.training_flops
    moderate = cost_of(methods.parse("Moderate:extrapolate=0.1"), s)
    assert moderate.formula == "3 S T_proxy f + S f + (N - S) f + 3 k T f_large"


def test_finished_rows_are_read_and_nothing_is_trained_again(done, monkeypatch):
    harness, rows = done
    again = runner(harness.runtime.folder, harness.plan.spec, images())
    assert again.pending() == []
    assert [row.label for row in again.run()] == list(rows)


def test_own_runs_are_planned_and_have_a_size(tmp_path):
    harness = runner(tmp_path, grid("AUM:extrapolate=0.5", "TAP", "Random"), images())
    states = proxy_states(harness.plan, harness.runtime, harness.pending())
    assert [state.task.spec.rows for state in states] == ["share0.5", "validation"]
    assert all(state.state == "to train" and state.disk > 0 for state in states)
    assert Signal.FEATURES in states[0].task.recording.final


@pytest.mark.parametrize(("share", "scored"), [(0.001, 2), (0.999, 72)])
def test_the_least_and_the_most_of_a_share(tmp_path, share, scored):
    (row,) = runner(tmp_path, grid(f"EL2N:extrapolate={share}"), images()).run()
    assert row.status == "ok", row.error
    assert row.reads["rows"] == scored
    assert row.k == round(0.2 * row.n)
