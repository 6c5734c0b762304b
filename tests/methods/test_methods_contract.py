"""What every method of the registry owes: a new entry is tested on arrival."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch
from helpers import full_run, labels_of, permuted

import methods
from deepcore.common.checks import MissingSignal
from deepcore.proxy.signals import TRAJECTORIES, Signal
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.method import MODES, ScoreMethod
from deepcore.selection.recall_quotas import recall_counts, recall_quotas
from deepcore.selection.samplers import SAMPLERS
from deepcore.selection.selection import Selection

SEEDED = 7
UNEQUAL = labels_of(*range(2, 25))  # 23 classes of 2..24 rows
POOLS = {
    "three classes": labels_of(30, 20, 10),
    "two classes": labels_of(25, 40),
    "23 unequal classes": UNEQUAL,
    "a class with one row": labels_of(20, 1, 19),
}
RUNS = {name: full_run(labels) for name, labels in POOLS.items()}
RUN = RUNS["three classes"]
# reference rows (Full) fix their own size: the budget is not theirs
SELECTING = [name for name, cls in methods.METHODS.items() if cls.is_selection and cls.uses_fraction]
SCORING = [name for name in SELECTING if issubclass(methods.METHODS[name], ScoreMethod)]
OF_VALIDATION = ("top", "strata", "middle")  # for TAP, whose training records nothing that others could read
SAMPLERS_OF = {name: OF_VALIDATION if name == "TAP" else tuple(SAMPLERS) for name in SCORING}

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # 12 epochs: many parameters are reduced


def pick(method, run, fraction: float = 0.2, seed: int = SEEDED) -> Selection:
    budget = Budget.of(fraction, len(run.ids))
    chosen = method.select(run, budget, np.random.default_rng(seed))
    chosen.check_within(run.ids, budget.k)
    return chosen


def classes_of(run, chosen: Selection) -> np.ndarray:
    by_id = dict(zip(run.ids.tolist(), run.labels.tolist(), strict=True))
    return np.bincount([by_id[i] for i in chosen.rows.tolist()], minlength=run.num_classes)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.37, 1.0])
@pytest.mark.parametrize("name", SELECTING)
def test_budget_is_exact_and_quotas_hold(name, pool, fraction):
    run = RUNS[pool]
    chosen = pick(methods.get(name)(), run, fraction)
    k = Budget.of(fraction, len(run.ids)).k
    np.testing.assert_array_equal(classes_of(run, chosen), class_quotas(run.labels, k, run.num_classes))
    if fraction == 1.0:
        assert sorted(chosen.rows) == run.ids.tolist()


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("name", SELECTING)
def test_unbalanced_selection_spends_the_budget(name, pool):
    pick(methods.get(name)(class_balanced=False), RUNS[pool], 0.37)
    pick(methods.get(name)(class_balanced=False), RUNS[pool], 1.0)


@pytest.mark.parametrize("name", SELECTING)
def test_one_per_class(name):
    run = RUNS["23 unequal classes"]
    chosen = pick(methods.get(name)(), run, 23 / len(run.ids))
    np.testing.assert_array_equal(classes_of(run, chosen), np.ones(23))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", methods.METHODS)
def test_same_seed_same_rows_in_any_storage_order(name, mode):
    method = methods.get(name)(record=mode)
    first = method.select(RUN, Budget.of(0.2, 60), np.random.default_rng(SEEDED))
    again = method.select(RUN, Budget.of(0.2, 60), np.random.default_rng(SEEDED))
    np.testing.assert_array_equal(first.rows, again.rows)
    for seed in range(3):
        shuffled = permuted(RUN, np.random.default_rng(seed).permutation(60))
        moved = method.select(shuffled, Budget.of(0.2, 60), np.random.default_rng(SEEDED))
        np.testing.assert_array_equal(first.rows, moved.rows)


@pytest.mark.parametrize("name", methods.METHODS)
def test_global_random_state_is_left_alone(name):
    def state():
        numpy_state = np.random.get_state()  # noqa: NPY002 - that it does not move is the test
        return random.getstate(), numpy_state[1].tolist(), numpy_state[2], torch.get_rng_state().tolist()

    before = state()
    methods.get(name)().select(RUN, Budget.of(0.2, 60), np.random.default_rng(SEEDED))
    assert state() == before


@pytest.mark.parametrize("name", SELECTING)
def test_constant_scores(name):
    run = full_run(labels_of(12, 8), constant=True)
    chosen = pick(methods.get(name)(), run, 0.3)
    np.testing.assert_array_equal(classes_of(run, chosen), class_quotas(run.labels, 6, 2))


@pytest.mark.parametrize("name", methods.METHODS)
def test_missing_signal_is_named(name):
    method = methods.get(name)()
    bare = dataclasses.replace(
        RUN, trajectories={}, final={}, val_trajectories={}, val_final={}, network=None, own=None
    )
    budget = Budget.of(0.2, 60)
    if not method.needs and not method.needs_val:
        method.select(bare, budget, np.random.default_rng(0))
        return
    with pytest.raises(MissingSignal) as caught:
        method.select(bare, budget, np.random.default_rng(0))
    names = {s.value for wanted in method.needs | method.needs_val for s in (wanted, *wanted.stored)}
    assert any(name in str(caught.value) for name in names)


@pytest.mark.parametrize("name", methods.METHODS)
def test_what_it_needs_is_enough(name):
    """Nothing beyond `needs` and `needs_val` is read."""
    for sampler in (None, *SAMPLERS_OF.get(name, ())):
        method = methods.get(name)() if sampler is None else methods.get(name)(sampler=sampler)
        for resolved in (method, method.resolve(0.1)):
            stored = frozenset().union(*(s.stored for s in resolved.needs))
            stored_val = frozenset().union(*(s.stored for s in resolved.needs_val))
            lean = dataclasses.replace(
                RUN,
                trajectories={
                    (m, s): a for (m, s), a in RUN.trajectories.items() if s in stored and m == method.mode
                },
                final={s: a for s, a in RUN.final.items() if s in stored},
                val_trajectories={s: a for s, a in RUN.val_trajectories.items() if s in stored_val},
                val_final={s: a for s, a in RUN.val_final.items() if s in stored_val},
                network=RUN.network if Signal.WEIGHTS in stored else None,
            )
            resolved.select(lean, Budget.of(0.1, 60), np.random.default_rng(0))


LONG = full_run(POOLS["three classes"], epochs=40)
TEXTS = [
    *("CLD:first=9,every=3", "CLD:initial=false", "CLD:record=online", "EL2N:at=4", "DUAL:epochs=20"),
    *("CCS:beta=0,difficulty=el2n", "Forgetting:epochs=7", "DynUnc:epochs=15", "AUM:sampler=beta"),
    *(
        "TDDS:decay=0.1",
        "D2:beta=0,difficulty=el2n",
        "EL2N:sampler=beta",
        "CCS:sampler=top,difficulty=forgetting",
    ),
]


def with_rows(run, touch, rng):
    """`run` with fresh numbers in the rows of its trajectories that `touch` names."""
    changed = []
    for arrays in (run.trajectories, run.val_trajectories):
        copies = {key: np.array(a) for key, a in arrays.items()}
        for a in copies.values():
            a[touch] = rng.permuted(np.abs(a[touch]) + rng.random(a[touch].shape, np.float32), axis=-1)
        changed.append(copies)
    return dataclasses.replace(run, trajectories=changed[0], val_trajectories=changed[1])


@pytest.mark.parametrize("fraction", [0.1, 0.5])
@pytest.mark.parametrize("text", [*SELECTING, *TEXTS])
def test_it_reads_the_checkpoints_it_is_billed_for(text, fraction):
    method = methods.parse(text).resolve(fraction)
    if not method.needs & set(TRAJECTORIES) or method.own_run is not None:
        return
    read = {t for rows in method.rows_read(40) for t in rows}
    rng = np.random.default_rng(5)

    def outcome(run):
        chosen = pick(method, run, fraction)
        return [*chosen.rows.tolist(), *([] if chosen.scores is None else chosen.scores.tolist())]

    as_recorded = outcome(LONG)
    assert outcome(with_rows(LONG, sorted(set(range(41)) - read), rng)) == as_recorded
    ends = {max(read)} if text == "TDDS" else {min(read), max(read)}  # TDDS: its first window weighs 1e-60
    for t in ends:
        assert outcome(with_rows(LONG, [t], rng)) != as_recorded, t
    assert all(set(rows) <= set(range(4)) for rows in method.rows_read(3))


@pytest.mark.parametrize("name", methods.METHODS)
def test_no_fraction_needs_more_than_what_is_recorded_for_all(name):
    for sampler in (None, *SAMPLERS_OF.get(name, ())):
        method = methods.get(name)() if sampler is None else methods.get(name)(sampler=sampler)
        for fraction in (0.01, 0.1, 0.2, 0.5, 1.0):
            resolved = method.resolve(fraction)
            assert resolved.needs <= method.needs
            assert resolved.needs_val <= method.needs_val
            assert resolved.mode == method.mode
            assert resolved.resolve(fraction) == resolved


@pytest.mark.parametrize("name", SCORING)
def test_scores_are_plain_float64(name):
    method = methods.get(name)()
    before = {key: a.copy() for key, a in RUN.trajectories.items()}
    scores = method.score(RUN)
    assert scores.shape == (60,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert method.keep in ("highest", "lowest", "zero")
    for key, a in RUN.trajectories.items():
        np.testing.assert_array_equal(a, before[key])
    np.testing.assert_array_equal(pick(method, RUN).scores, method.resolve(0.2).score(RUN))


@pytest.mark.parametrize(("name", "sampler"), [(n, s) for n in SCORING for s in SAMPLERS_OF[n]])
def test_any_score_with_any_sampler(name, sampler):
    method = methods.parse(f"{name}:sampler={sampler}")
    for pool in ("three classes", "a class with one row"):
        run = RUNS[pool]
        chosen = pick(method, run, 0.37)
        k = Budget.of(0.37, len(run.ids)).k
        quotas = class_quotas(run.labels, k, run.num_classes)
        if sampler == "drop":
            counts = recall_counts(run.val_final[Signal.LOGITS], run.val_labels, run.num_classes)
            quotas = recall_quotas(run.labels, k, *counts)
        np.testing.assert_array_equal(classes_of(run, chosen), quotas)
        order = np.random.default_rng(1).permutation(len(run.ids))
        np.testing.assert_array_equal(pick(method, permuted(run, order), 0.37).rows, chosen.rows)


@pytest.mark.parametrize("name", methods.METHODS)
def test_label_is_what_the_command_line_takes(name):
    method = methods.get(name)()
    assert method.label() == name
    for changed in (method, dataclasses.replace(method, record="post_epoch"), method.resolve(0.1)):
        assert methods.parse(changed.label()) == changed
