"""Every method against `oracle.py`, which was written from the definitions without knowing this code: on
plain logits, on ones with ties and duplicated rows, on ones of +-80; ids in no order, with and without row 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import oracle
import pytest

import methods
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection import samplers
from deepcore.selection import strata as strata_module
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.ranking import cut_share

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # reduced windows, flat trajectories, ties

RNG = np.random.default_rng(0)
PLAIN, TIED, EXTREME = "plain", "tied", "extreme"
BUDGETS = (0.001, 0.1, 0.35, 1.0)  # 0.001 is one row: fewer than there are classes


@dataclass(frozen=True)
class Case:
    """A run made from logits, and the epochs' logits z (T, N, C) and signals as the oracle sees them."""

    run: ProxyRun
    z: np.ndarray
    grand: np.ndarray

    def seen(self, signal):
        return oracle.over_time(signal, self.z, self.run.labels)

    def final(self, signal, *, val=False):
        return self.run.final_array(signal, val=val).astype(np.float64)


def make(kind, *, seed=0, n=40, classes=3, epochs=11, has_initial=True, dtype=np.float32):
    rng = np.random.default_rng(seed)
    rows, dim = epochs + has_initial, 4
    labels = rng.integers(0, classes, n)
    val_labels = np.concatenate([np.arange(classes).repeat(3), rng.integers(0, classes, 5)])
    weight, bias = rng.normal(size=(classes, dim)), rng.normal(size=classes)
    h, val_h = rng.normal(size=(rows, n, dim)), rng.normal(size=(rows, len(val_labels), dim))
    if kind == TIED:  # on a grid, and half the rows twice
        weight, bias, h, val_h = (np.round(a * 2) / 2 for a in (weight, bias, h, val_h))
        h[:, rng.permutation(n)[: n // 2]] = h[:, rng.permutation(n)[: n // 2]]
    z, val_z = h @ weight.T + bias, val_h @ weight.T + bias
    if kind != TIED:  # some samples are learned, some forgotten
        z[:-1] += (np.eye(classes)[labels] * rng.uniform(-0.2, 0.4, (n, 1)) * np.arange(rows)[:, None, None])[
            :-1
        ]
    if kind == EXTREME:
        for part in (z[:-1], val_z[:-1]):
            part[rng.random(part.shape) < 0.1] *= 1e6
            np.clip(part, -80, 80, out=part)
    z, val_z, h, val_h = (a.astype(dtype) for a in (z, val_z, h, val_h))
    run = ProxyRun.from_logits(
        z,
        labels,
        val_z,
        val_labels,
        features=h,
        val_features=val_h,
        last_layer=(weight, bias),
        ids=rng.choice(10 * n, n, replace=False),
        has_initial=has_initial,
    )
    grand = [
        [oracle.grand(list(z[t, i]), labels[i], h[t, i]) for i in range(n)] for t in range(has_initial, rows)
    ]
    return Case(run, z[int(has_initial) :].astype(np.float64), np.array(grand))


@pytest.fixture(
    scope="module",
    params=[
        (PLAIN, {"dtype": np.float64, "has_initial": False}),
        (TIED, {"seed": 1, "classes": 2}),
        (EXTREME, {"seed": 2, "classes": 6, "epochs": 14}),
    ],
    ids=lambda param: param[0],
)
def case(request):
    kind, options = request.param
    return make(kind, **options)


def close(found, wanted, **tolerances):
    np.testing.assert_allclose(found, wanted, **{"rtol": 2e-5, "atol": 2e-6, **tolerances})


def score(case, name, **fields):
    return methods.get(name)(**fields).score(case.run)


def select(case, name, fraction, **fields):
    budget = Budget.of(fraction, len(case.run.ids))
    rows = methods.get(name)(**fields).select(case.run, budget, np.random.default_rng(5)).rows.tolist()
    assert len(rows) == len(set(rows)) == oracle.budget(fraction, len(case.run.ids))
    return rows


def test_signals(case):
    for signal in ("loss", "margin", "margin_p", "el2n"):
        close(case.run.trajectory(Signal(signal), "online"), case.seen(getattr(oracle, signal)))
    close(case.run.trajectory(Signal.GRAND, "online"), case.grand)


@pytest.mark.parametrize("name", ["CLD", "LTC"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"batch": 7},
        {"initial": False},
        {"record": "online"},
        {"first": 7},
        {"every": 2},
        {"every": 3, "initial": False},
        {"first": 8, "every": 2},
        {"trajectory": "global"},
        {"correlation": "spearman"},
        {"correlation": "spearman", "trajectory": "global"},
    ],
    ids=str,
)
def test_cld_and_ltc(case, name, fields):
    run = case.run
    initial = run.has_initial and fields.get("initial", fields.get("record") != "online")
    used = oracle.checkpoints(run.epochs, initial, fields.get("first"), fields.get("every", 1))
    used = [t - (not run.has_initial) for t in used]
    train = run.trajectory(Signal.LOSS, "post_epoch", initial=run.has_initial)[used]
    val = run.val_trajectory(Signal.LOSS, initial=run.has_initial)[used]
    kinds = fields.get("correlation", "pearson"), fields.get("trajectory", "class")
    wanted = getattr(oracle, name.lower())(train, run.labels, val, run.val_labels, *kinds)
    close(score(case, name, **fields), wanted, atol=1e-7)


def test_losses_that_do_not_vary_correlate_with_nothing():
    rng = np.random.default_rng(3)
    labels, val_labels = np.arange(30) % 3, np.arange(12) % 3
    train, val = np.abs(rng.normal(size=(9, 30))), np.abs(rng.normal(size=(9, 12)))
    train[:, :3], train[:, 3:6] = 2.0, np.linspace(5, 1, 9)[:, None]
    train[:, 6:9] = 1 + 1e-7 * train[:, 6:9]  # less than float32 can tell
    train[:, 9:12] = 1 + 1e-4 * train[:, 9:12]
    val[:, val_labels == 1] = 0.5
    val[:, 0] = 3.0
    run = ProxyRun.from_losses(train, labels, val, val_labels)
    for name in ("CLD", "LTC"):
        wanted = getattr(oracle, name.lower())(train, labels, val, val_labels)
        assert np.count_nonzero(wanted == 0) == 3 + 3 + 3 + 7
        close(methods.get(name)().score(run), wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("epochs", [None, 1, 5, 99])
def test_forgetting(case, epochs):
    correct = case.seen(oracle.margin) > 0
    assert score(case, "Forgetting", epochs=epochs).tolist() == oracle.forgetting(correct[:epochs]).tolist()


def test_el2n_and_grand(case):
    for name, values in (("EL2N", case.seen(oracle.el2n)), ("GraNd", case.grand)):
        for epochs in (1, 10, 99):
            close(score(case, name, epochs=epochs), oracle.mean_of_first(values, epochs))
        for at in (1, 4):
            close(score(case, name, at=at), values[at - 1])


def test_aum(case):
    close(score(case, "AUM"), oracle.mean_of_first(case.seen(oracle.margin), 99))
    close(score(case, "AUM", of="probability"), oracle.mean_of_first(case.seen(oracle.margin_p), 99))


@pytest.mark.parametrize(
    ("window", "epochs", "decay"), [(None, None, 0.9), (3, 7, 0.9), (4, 10, 0.5), (10, 4, 1.0)]
)
def test_tdds(case, window, epochs, decay):
    wanted = oracle.tdds(case.z[: epochs or 30], window or 10, decay)
    close(score(case, "TDDS", window=window, epochs=epochs, decay=decay), wanted, rtol=2e-4)


@pytest.mark.parametrize(
    ("fraction", "epochs", "window"),
    [(0.7, 90, 10), (0.3, 60, 20), (0.2, 20, 10), (0.1, 10, 5), (0.4, 30, 10)],
)
def test_tdds_has_settings_for_each_fraction(fraction, epochs, window):
    case = make(PLAIN, seed=4, n=14, epochs=95)
    run = case.run
    wanted = oracle.tdds(case.z[:epochs], window, 0.9)
    kept = oracle.top(wanted, run.ids, run.labels, oracle.budget(fraction, 14), "highest", True)
    assert set(select(case, "TDDS", fraction)) == kept


@pytest.mark.parametrize(("window", "epochs"), [(10, 30), (3, None), (10, 7), (2, 5)])
def test_dynunc_and_dual(case, window, epochs):
    q = np.exp(-case.seen(oracle.loss))[:epochs]
    close(score(case, "DynUnc", window=window, epochs=epochs), oracle.dynunc(q, window))
    close(score(case, "DUAL", window=window, epochs=epochs), oracle.dual(q, window))


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("c_d", [4.0, 5.5])
def test_dual_weights(case, fraction, c_d):
    q, ids = np.exp(-case.seen(oracle.loss)), case.run.ids
    means, scores = q.mean(axis=0), oracle.dual(q, 10)
    found = samplers.beta_weights(means, scores, fraction, c_d=c_d, ids=ids)
    close(found, oracle.dual_weights(means, scores, ids, fraction, c_d), rtol=1e-9, atol=0)


@pytest.mark.parametrize(("class_balanced", "fraction"), [(True, 0.1), (False, 0.04)])
def test_dual_draws_by_its_weights(class_balanced, fraction):
    """One row of each class, or one of all: how often each is drawn is its share of the weights."""
    case, draws = make(PLAIN, seed=6, n=30), 1200
    run, budget = case.run, Budget.of(fraction, 30)
    q = np.exp(-case.seen(oracle.loss))[:5]
    weights = oracle.dual_weights(q.mean(axis=0), oracle.dual(q, 3), run.ids, fraction)
    method = methods.get("DUAL")(window=3, epochs=5, class_balanced=class_balanced)
    drawn = np.zeros(30)
    for seed in range(draws):
        drawn += np.isin(run.ids, method.select(run, budget, np.random.default_rng(seed)).rows)
    share = np.zeros(30)
    for positions, quota in oracle.parts(run.labels, budget.k, class_balanced):
        assert quota == 1
        share[positions] = weights[positions] / weights[positions].sum()
    off = (drawn / draws - share) / np.sqrt(share * (1 - share) / draws + 1e-5)
    assert np.abs(off).max() < 4


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize(
    ("name", "fields", "keep"),
    [
        ("CLD", {}, "highest"),
        ("CLD", {"keep": "lowest"}, "lowest"),
        ("CLD", {"keep": "zero"}, "zero"),
        ("LTC", {}, "highest"),
        ("Forgetting", {}, "highest"),
        ("EL2N", {}, "highest"),
        ("GraNd", {}, "highest"),
        ("AUM", {}, "lowest"),
        ("TDDS", {"epochs": 10, "window": 5}, "highest"),
        ("DynUnc", {}, "highest"),
        ("DUAL", {"sampling": "top"}, "highest"),
    ],
)
def test_the_kept_end_goes_by_quotas_and_ids(case, name, fields, keep, class_balanced):
    run, scores = case.run, score(case, name, **fields)
    for fraction in BUDGETS:
        k = oracle.budget(fraction, len(run.ids))
        wanted = oracle.top(scores, run.ids, run.labels, k, keep, class_balanced)
        assert set(select(case, name, fraction, class_balanced=class_balanced, **fields)) == wanted


def test_budgets_quotas_and_cuts():
    rng = np.random.default_rng(7)
    for _ in range(300):
        classes, n = int(rng.integers(1, 12)), int(rng.integers(1, 150))
        labels = rng.choice(classes, n, p=rng.dirichlet(np.full(classes, 0.5)))
        fraction = round(float(rng.uniform(0.001, 1)), 3)
        k = oracle.budget(fraction, n)
        assert Budget.of(fraction, n).k == k
        wanted = oracle.quotas(labels, k)
        assert class_quotas(labels, k, classes).tolist() == [wanted.get(c, 0) for c in range(classes)]
        assert cut_share(fraction) == pytest.approx(oracle.cut_share(fraction), abs=1e-9)


@pytest.mark.parametrize("strata", [1, 7, 50])
def test_strata(strata):
    rng = np.random.default_rng(8)
    spread = rng.normal(size=80)
    for scores in (
        spread,
        -np.abs(spread),  # max <= 0
        np.minimum(np.round(spread * 2), 0),  # the maximum is 0, and ties
        np.full(80, -0.7),
        spread * 1e-6 + 1,  # a range of a few float32 steps
        np.exp(5 * spread),
    ):
        edges = strata_module.strata_edges(scores, strata)
        close(edges, oracle.strata_edges(scores, strata), rtol=3e-7, atol=3e-7 * np.abs(scores).max())
        of = oracle.strata_of(scores, edges.tolist())
        counts = [of.count(s) for s in range(len(edges) - 1)]
        assert strata_module.strata_of(scores, edges).tolist() == of
        assert strata_module.strata_counts(scores, edges).tolist() == counts
        for k in (1, 13, 79, 80, 200):
            found = strata_module.strata_budgets(np.array(counts), k).tolist()
            assert found == oracle.strata_budgets(counts, k)


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize(
    ("difficulty", "beta", "strata"),
    [("aum", None, 50), ("aum", 0.0, 5), ("aum", 0.6, 5), ("aum", 0.95, 50), ("el2n", None, 5)],
)
def test_ccs(case, difficulty, beta, strata, class_balanced):
    """The draws are random; which strata there are, and how many come from each, is not."""
    run = case.run
    aum = score(case, "AUM", of="probability")
    scores = aum if difficulty == "aum" else score(case, "EL2N")
    for fraction in BUDGETS:
        cut, k = oracle.cut_share(fraction) if beta is None else beta, oracle.budget(fraction, len(run.ids))
        plan = oracle.ccs_plan(aum, scores, run.ids, run.labels, k, cut, strata, class_balanced)
        fields = {"difficulty": difficulty, "beta": beta, "strata": strata}
        rows = set(select(case, "CCS", fraction, class_balanced=class_balanced, **fields))
        assert [len(rows & stratum) for stratum, _ in plan] == [share for _, share in plan]


def test_ccs_draws_uniformly_within_a_stratum():
    case, draws = make(PLAIN, seed=9, n=30, classes=2), 600
    run, budget = case.run, Budget.of(0.5, 30)
    aum = score(case, "AUM", of="probability")
    drawn = np.zeros(30)
    for seed in range(draws):
        picks = methods.get("CCS")(strata=4).select(run, budget, np.random.default_rng(seed))
        drawn += np.isin(run.ids, picks.rows)
    for stratum, share in oracle.ccs_plan(aum, aum, run.ids, run.labels, budget.k, 0.0, 4, True):
        often = drawn[np.isin(run.ids, list(stratum))] / draws
        p = share / max(len(stratum), 1)
        assert np.all(np.abs(often - p) <= 4 * np.sqrt(p * (1 - p) / draws))


@pytest.mark.parametrize(("graph", "class_balanced"), [("class", True), ("global", False)])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"difficulty": "el2n"},
        {"difficulty": "aum", "beta": 0.3},
        {"difficulty": "el2n", "beta": 0.7},
        {"neighbors": 2, "gamma": 1.0},
        {"neighbors": 500, "gamma": 0.0},
        {"forward": "product"},
        {"reverse": "absolute"},
        {"power": 2},
        {"symmetric": True},
        {"normalize": True},
        {"normalize": True, "symmetric": True, "power": 2, "gamma": 5.0, "difficulty": "el2n"},
    ],
    ids=str,
)
def test_d2(case, fields, graph, class_balanced):
    run, h = case.run, case.final(Signal.FEATURES)
    aum = score(case, "AUM", of="probability")
    difficulty = {
        "forgetting": score(case, "Forgetting"),
        "el2n": score(case, "EL2N"),
        "aum": aum.max() - aum,
    }[fields.get("difficulty", "forgetting")]
    rest = {name: value for name, value in fields.items() if name not in ("difficulty", "beta")}
    for fraction in BUDGETS:
        found, k = select(case, "D2", fraction, graph=graph, class_balanced=class_balanced, **fields), 0
        for positions, quota in oracle.parts(
            run.labels, oracle.budget(fraction, len(run.ids)), class_balanced
        ):
            part = np.array(positions)
            beta = fields.get("beta", oracle.cut_share(fraction))
            stay, cut = oracle.cut_lowest(aum[part], run.ids[part], beta)
            stay, cut = part[stay], part[cut]
            taken = oracle.d2(h[stay], difficulty[stay], run.ids[stay], min(quota, len(stay)), **rest)
            wanted = run.ids[[*stay[taken], *cut[: max(0, quota - len(stay))]]].tolist()
            assert [row for row in found if row in run.ids[part]] == wanted
            k += quota
        assert k == len(found)


@pytest.mark.parametrize("class_balanced", [True, False])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"eta": 5.0},
        {"step": "sum", "eta": 1.0},
        {"picks_per_refresh": 3, "eta": 2.0},
        {"refresh": False},
    ],
    ids=str,
)
def test_glister(case, fields, class_balanced):
    run = case.run
    z, h = case.final(Signal.LOGITS), case.final(Signal.FEATURES)
    val_z, val_h = case.final(Signal.LOGITS, val=True), case.final(Signal.FEATURES, val=True)
    for fraction in (0.001, 0.1, 0.35):
        found = select(case, "Glister", fraction, class_balanced=class_balanced, **fields)
        for part, quota in oracle.parts(run.labels, oracle.budget(fraction, len(run.ids)), class_balanced):
            of_class = run.val_labels == run.labels[part[0]]
            val = np.flatnonzero(of_class | (not class_balanced))
            mine = z[part], h[part], run.labels[part], run.ids[part]
            picks = oracle.glister(*mine, val_z[val], val_h[val], run.val_labels[val], quota, **fields)
            assert [row for row in found if row in run.ids[part]] == run.ids[part][picks].tolist()
