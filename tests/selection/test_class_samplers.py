"""The samplers "middle" and "drop": the middle ranks of a score, and DRoP's class quotas for any score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from helpers import full_run, labels_of
from oracle_scores import drop_quotas, middle

import methods
from deepcore.common.checks import MissingSignal, UsageError
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget
from deepcore.selection.middle import middle_ranks
from deepcore.selection.samplers import Drop, Strata

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # twelve epochs: parameters are reduced

RUN = full_run(labels_of(30, 24, 14))


def with_recalls(run, *right):
    """`run` with three validation rows a class, of which so many are predicted right."""
    logits = np.array(run.val_final[Signal.LOGITS])
    for c, count in enumerate(right):
        for i, row in enumerate(np.flatnonzero(run.val_labels == c)):
            logits[row] = 0.0
            logits[row, c if i < count else (c + 1) % len(right)] = 1.0
    return dataclasses.replace(run, val_final={**run.val_final, Signal.LOGITS: logits})


def by_class(run, chosen):
    return np.bincount(run.labels[np.isin(run.ids, chosen.rows)], minlength=run.num_classes).tolist()


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize("name", ["AUM", "CCS", "DUAL", "Moderate", "CLD"])
def test_drop_sets_the_quotas_and_the_method_chooses_inside(name, class_balanced):
    from fractions import Fraction

    run = with_recalls(RUN, 2, 0, 1)
    method = methods.get(name)(sampler="drop", class_balanced=class_balanced)
    for k in (1, 9, 34, 60, 68):
        chosen = method.select(run, Budget(k / 68, k), np.random.default_rng(0))
        sizes = {0: 30, 1: 24, 2: 14}
        quotas = drop_quotas(sizes, {0: Fraction(2, 3), 1: Fraction(0), 2: Fraction(1, 3)}, k)
        assert by_class(run, chosen) == [quotas[c] for c in range(3)]
        assert any("DRoP: the proxy's recall is 0.0% to 66.7%" in note for note in chosen.notes)


def test_inside_a_class_it_is_the_method_s_own_top():
    run = with_recalls(RUN, 2, 0, 1)
    scores = methods.get("AUM")().score(run)
    chosen = methods.get("AUM")(sampler="drop").select(run, Budget(20 / 68, 20), np.random.default_rng(0))
    for c, quota in enumerate(by_class(run, chosen)):
        rows = np.flatnonzero(run.labels == c)
        lowest = rows[np.argsort(scores[rows])[:quota]]
        assert set(run.ids[lowest].tolist()) <= set(chosen.rows.tolist())


def test_a_method_s_own_sampler_keeps_its_fields():
    sampler = methods.parse("CCS:sampler=drop,strata=7,beta=0.2").make_sampler()
    assert sampler == Drop(Strata(7, 0.2))
    assert sampler.needs == {Signal.MARGIN_P}
    assert methods.parse("CCS:sampler=drop").needs_val == {Signal.LOGITS}
    assert methods.parse("CLD:sampler=drop").needs_val == {Signal.LOGITS, Signal.LOSS}


def test_no_recall_no_drop():
    bare = dataclasses.replace(RUN, val_final={})
    with pytest.raises(MissingSignal, match="no final logits of the validation rows"):
        methods.get("AUM")(sampler="drop").select(bare, Budget(0.1, 7), np.random.default_rng(0))
    kept = RUN.val_labels != 1
    run = dataclasses.replace(
        RUN,
        val_labels=RUN.val_labels[kept],
        val_final={s: a[kept] for s, a in RUN.val_final.items()},
    )
    with pytest.raises(UsageError, match="class 1 has no validation row"):
        methods.get("AUM")(sampler="drop").select(run, Budget(0.1, 7), np.random.default_rng(0))


@pytest.mark.parametrize("class_balanced", [True, False])
def test_middle_keeps_the_middle_of_any_score(class_balanced):
    scores = methods.get("EL2N")().score(RUN)
    method = methods.get("EL2N")(sampler="middle", class_balanced=class_balanced)
    chosen = method.select(RUN, Budget(34 / 68, 34), np.random.default_rng(0))
    parts = [np.flatnonzero(RUN.labels == c) for c in range(3)] if class_balanced else [np.arange(68)]
    for rows, quota in zip(parts, [15, 12, 7] if class_balanced else [34], strict=True):
        expected = set(RUN.ids[rows[middle(scores[rows], RUN.ids[rows], quota)]].tolist())
        assert expected <= set(chosen.rows.tolist())


def test_the_middle_comes_first():
    scores, ids = np.arange(9.0), np.arange(9) * 2
    chosen = middle_ranks(scores, ids, np.zeros(9, int), Budget(5 / 9, 5), class_balanced=False)
    assert chosen.rows.tolist() == [8, 6, 10, 4, 12]
    assert chosen.notes == ()
    tied = middle_ranks(np.zeros(9), ids, np.zeros(9, int), Budget(5 / 9, 5), class_balanced=False)
    assert tied.notes == ("5 of 5 picks (100.0%) were decided by the tie rule (lower row id)",)
    scores, labels = np.concatenate([np.zeros(10), np.arange(10.0)]), np.repeat([0, 1], 10)
    half = middle_ranks(scores, np.arange(20), labels, Budget(0.4, 8), class_balanced=True)
    assert half.notes == ("4 of 8 picks (50.0%) were decided by the tie rule (lower row id)",)
