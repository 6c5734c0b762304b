"""InfoMax: scores without redundancy."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from helpers import full_run, labels_of
from oracle_scores import best_subset, information, similar
from small_grids import grid, runner
from tiny import short

import methods
from deepcore.common.checks import UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # twelve epochs: parameters are reduced


def scaled(scores, keep="highest"):
    better = scores if keep == "highest" else scores.max() - scores
    return (better - better.min()) / (better.max() - better.min())


def pick(run, fraction=0.3, **fields):
    method = methods.get("InfoMax")(**fields)
    return method.select(run, Budget.of(fraction, len(run.ids)), np.random.default_rng(0))


@pytest.mark.parametrize("weight", [0.3, 2.0])
def test_objective_is_that_of_the_definition(weight):
    run = full_run(labels_of(12, 8), epochs=6)
    chosen = pick(run, weight=weight, class_balanced=False)
    scores = scaled(methods.get("EL2N")().score(run))
    np.testing.assert_allclose(chosen.scores, scores, rtol=1e-12)
    features = run.final_array(Signal.FEATURES).astype(np.float64)
    edges = similar(features, run.ids, 5)
    x = np.isin(run.ids, chosen.rows).astype(float)
    value = information(x, scores, edges, weight)
    reached, kept = map(float, re.findall(r"[-\d.e]+(?=,|$)", chosen.notes[0]))
    assert kept == pytest.approx(value, rel=1e-5)
    best = best_subset(scores, edges, weight, len(chosen.rows))
    top = np.isin(np.arange(20), np.argsort(-scores)[:6]).astype(float)
    by_score = information(top, scores, edges, weight)
    assert value >= by_score - 1e-9
    assert value >= best - 0.1 * abs(best)
    assert value >= reached - 1e-5


def test_without_redundancy_it_is_the_score():
    run = full_run(labels_of(25, 15), epochs=6)
    for of in ("el2n", "aum", "cld", "dual"):
        cls = {"el2n": "EL2N", "aum": "AUM", "cld": "CLD", "dual": "DUAL"}[of]
        fields = {"sampling": "top"} if of == "dual" else {}
        alone = methods.get(cls)(**fields).select(run, Budget.of(0.3, 40), np.random.default_rng(0))
        assert set(pick(run, of=of, weight=0.0).rows.tolist()) == set(alone.rows.tolist())


def test_copies_are_avoided():
    """Every row twice: with redundancy hardly a pair is kept, without it the pairs of high score are."""
    run = full_run(labels_of(9, 11), epochs=6)
    double = np.repeat(np.arange(10), 2)
    twice = {key: a[:, double] for key, a in run.trajectories.items()}
    final = {s: a[double] for s, a in run.final.items()}
    run = dataclasses.replace(run, trajectories=twice, final=final)

    def pairs(chosen):
        return len(chosen.rows) - len(set((np.searchsorted(run.ids, chosen.rows) // 2).tolist()))

    assert pairs(pick(run, 0.4, weight=0.0, class_balanced=False)) == 4
    assert pairs(pick(run, 0.4, weight=2.0, class_balanced=False)) <= 1


def test_features_of_zero_resemble_nothing():
    run = full_run(labels_of(12, 10), epochs=6)
    features = np.array(run.final_array(Signal.FEATURES))
    features[::2] = 0.0
    run = dataclasses.replace(run, final={**run.final, Signal.FEATURES: features})
    method = methods.get("InfoMax")()
    objective = method.objective(run, np.arange(22), np.ones(22))
    zero = (features == 0).all(axis=1)
    assert not objective.similarities[zero[objective.sources] | zero[objective.targets]].any()
    assert objective.similarities.any()
    assert len(pick(run).rows) == 7
    features = np.zeros((22, 3))
    features[4, 0], features[9, :2] = 1.0, (1.0, 2.0)  # each other's only neighbour, at a cosine of 0.447
    run = dataclasses.replace(run, final={**run.final, Signal.FEATURES: features})
    objective = methods.get("InfoMax")(neighbors=1).objective(run, np.arange(22), np.ones(22))
    assert (objective.sources.tolist(), objective.targets.tolist()) == ([4, 9], [9, 4])
    np.testing.assert_allclose(objective.similarities, 1 / np.sqrt(5))
    run = dataclasses.replace(run, final={**run.final, Signal.FEATURES: np.zeros((22, 3))})
    assert len(pick(run).rows) == 7


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"of": "el2m"}, "did you mean el2n"),
        ({"weight": -1}, "weight is -1"),
        ({"neighbors": 0}, "neighbors"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(UsageError, match=message):
        methods.get("InfoMax")(**fields)


def test_the_fraction_sets_the_epochs_that_its_score_reads():
    """TDDS reads 10 epochs in windows of 5 at 10%, 90 in windows of 10 at 70%; without a fraction 30."""
    method = methods.parse("InfoMax:of=tdds")
    few, many = method.resolve(0.1), method.resolve(0.7)
    assert few.rows_read(100) == (range(2, 11),)
    assert many.rows_read(100) == (range(2, 91),)
    assert method.rows_read(100) == (range(2, 31),)
    assert few != many
    assert few.resolve(0.1) == few.resolve(0.7) == few
    run = full_run(labels_of(40, 30))
    wide = [dataclasses.replace(method, neighbors=1).resolve(f).memory(run, 7, 6, 60) for f in (0.1, 0.3)]
    assert wide[0].host < wide[1].host  # windows of 5 and 20 epochs
    # what identifies it in rows and files stays
    assert few.spec() == method.spec()
    assert few.label() == method.label()
    assert set(few.spec()) == set(methods.get("InfoMax")().spec())
    el2n = methods.get("InfoMax")()
    assert el2n.resolve(0.1) is el2n


@pytest.mark.parametrize("fraction", [0.1, 0.2])
def test_a_resolved_one_reads_what_it_says_and_chooses_the_same(fraction):
    run, method = full_run(labels_of(25, 15), epochs=40), methods.parse("InfoMax:of=tdds")
    resolved, budget = method.resolve(fraction), Budget.of(fraction, 40)
    (read,) = resolved.rows_read(40)
    others = sorted(set(range(41)) - set(read))
    changed = {key: np.array(a) for key, a in run.trajectories.items()}
    for a in changed.values():
        a[others] = 7.0
    expected = method.select(run, budget, np.random.default_rng(0))
    for held in (run, dataclasses.replace(run, trajectories=changed)):
        chosen = resolved.select(held, budget, np.random.default_rng(0))
        np.testing.assert_array_equal(chosen.rows, expected.rows)
        np.testing.assert_array_equal(chosen.scores, expected.scores)


def test_its_bill_is_that_of_the_fraction(tmp_path):
    proxy = short(epochs=12)
    few, many = runner(tmp_path, grid("InfoMax:of=tdds", fractions=(0.1, 0.2), proxy=proxy)).run()
    assert [few.status, many.status] == ["ok", "ok"], few.error
    features = 4 * few.n * 256
    assert few.signal_bytes == features + 4 * few.n * 9  # rows 2 to 10
    assert many.signal_bytes == features + 4 * few.n * 11  # 20 of 12 epochs
    assert few.method_spec == many.method_spec
    # the scores of each fraction are kept
    names = {path.name for path in tmp_path.glob("selections/*/scores*.npz")}
    assert names == {"scores-f0.1.npz", "scores-f0.2.npz"}
