"""SloCurv and BoundarySet-CCS: what the loss does when the inputs move."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from oracle_scores import log_softmax
from small_grids import grid, runner
from tiny import images
from torch import nn

import methods
from deepcore.common.checks import MissingSignal, UsageError
from deepcore.common.meter import Meter
from deepcore.common.seeding import stream
from deepcore.data.memory import TensorRows
from deepcore.nets.net import Net
from deepcore.proxy.network import ProxyNetwork
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.strata import strata_budgets

CPU = torch.device("cpu")


def run_of(n=40, dim=4, classes=3, seed=0):
    """A run whose network is a small one in float64; ids in no order, inputs by id."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    ids = rng.permutation(3 * n)[:n]
    inputs = rng.normal(size=(3 * n, dim)).astype(np.float32)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Net(nn.Sequential(nn.Linear(dim, 8), nn.Tanh()), 8, classes).double().eval()
    data = TensorRows(
        torch.from_numpy(inputs), np.zeros(3 * n, np.int64), mean=np.zeros(dim), std=np.ones(dim)
    )
    network = ProxyNetwork(net.requires_grad_(False), data, CPU, Meter(CPU))
    run = ProxyRun(ids, labels, classes, network=lambda trained: network)
    return run, network, inputs[ids].astype(np.float64)


def logits_at(network, x):
    with torch.no_grad():
        return network.net(torch.from_numpy(np.asarray(x, dtype=np.float64))[None])[0].numpy()


def slope(network, x, y, eps=1e-5):
    """The gradient of the loss in the input, by differences."""
    steps = eps * np.eye(len(x))
    loss = [[-log_softmax(logits_at(network, x + sign * s))[y] for sign in (1, -1)] for s in steps]
    return np.array([(up - down) / (2 * eps) for up, down in loss])


@pytest.mark.parametrize(("probes", "h"), [(10, 0.05), (3, 0.2)])
def test_slocurv_is_the_definition(probes, h):
    run, network, x = run_of()
    method = methods.get("SloCurv")(probes=probes, h=h)
    scores = method.score(run)
    directions = stream(0, "probes").choice([-1.0, 1.0], size=(probes, 4))
    for i in range(0, 40, 3):
        here = slope(network, x[i], run.labels[i])
        moved = [slope(network, x[i] + h * v, run.labels[i]) - here for v in directions]
        assert scores[i] == pytest.approx(np.mean([(d**2).sum() for d in moved]), rel=1e-4)
    assert method.keep == "lowest"
    assert network.meter.passes["gradient"] == 40 * (probes + 1)


def test_the_default_step_is_small_and_there_are_ten_probes():
    method = methods.get("SloCurv")()
    assert (method.probes, method.h) == (10, 1e-3)


def test_probes_are_the_same_for_every_order_of_storage():
    run, _, _ = run_of()
    order = np.random.default_rng(1).permutation(40)
    moved = dataclasses.replace(run, ids=run.ids[order], labels=run.labels[order])
    for name in ("SloCurv", "BoundarySet-CCS"):
        method = methods.get(name)()
        np.testing.assert_array_equal(method.score(moved), method.score(run)[order])


@pytest.mark.parametrize(("step", "cap"), [(0.05, 50), (0.2, 7)])
def test_boundary_set_is_the_definition(step, cap):
    run, network, x = run_of()
    method = methods.get("BoundarySet-CCS")(step=step, cap=cap)
    scores = method.score(run)
    passes = 0
    for i in range(40):
        point, steps, y = x[i].copy(), 0, run.labels[i]
        while steps < cap:
            passes += 1
            z = logits_at(network, point)
            if z[y] <= np.delete(z, y).max():
                break
            point += step * np.sign(slope(network, point, y))
            steps += 1
        assert scores[i] == steps
    assert network.meter.passes["gradient"] == passes  # the steps really taken
    assert 0 in scores
    assert len(set(scores.tolist())) > 3


@pytest.mark.parametrize("class_balanced", [True, False])
def test_strata_are_the_distances_smallest_first(class_balanced):
    run, _, _ = run_of(n=120)
    method = methods.get("BoundarySet-CCS")(step=0.1, cap=30, class_balanced=class_balanced)
    steps = method.score(run).astype(int)
    budget = Budget.of(0.3, 120)
    chosen = method.select(run, budget, np.random.default_rng(0))
    position = {row: i for i, row in enumerate(run.ids.tolist())}
    picked = np.array([position[row] for row in chosen.rows.tolist()])
    parts = [(np.arange(120), budget.k)]
    if class_balanced:
        quotas = class_quotas(run.labels, budget.k, 3)
        parts = [(np.flatnonzero(run.labels == c), int(quotas[c])) for c in range(3)]
    for rows, quota in parts:
        counts = np.bincount(steps[rows], minlength=31)
        taken = np.bincount(steps[np.intersect1d(rows, picked)], minlength=31)
        assert sorted(taken[counts > 0]) == sorted(strata_budgets(counts[counts > 0], quota))
        assert (taken <= counts).all()


def test_without_a_network_it_is_said():
    run = dataclasses.replace(run_of()[0], network=None)
    for name in ("SloCurv", "BoundarySet-CCS"):
        with pytest.raises(MissingSignal, match="weights of a network"):
            methods.get(name)().score(run)


@pytest.mark.parametrize(
    "text",
    [
        *("SloCurv:probes=0", "SloCurv:h=0", "SloCurv:h=-1", "SloCurv:probes=2.5"),
        *("BoundarySet-CCS:step=0", "BoundarySet-CCS:cap=0", "BoundarySet-CCS:strata=0"),
    ],
)
def test_bad_fields(text):
    with pytest.raises(UsageError):
        methods.parse(text)


def test_rows_hold_the_passes_and_the_scores_are_those_of_the_stored_network(tmp_path):
    harness = runner(tmp_path, grid("SloCurv:probes=4", "BoundarySet-CCS:cap=6", "AUM"), images())
    rows = {row.method: row for row in harness.run()}
    assert all(row.status == "ok" for row in rows.values()), [row.error for row in rows.values()]
    n = rows["AUM"].n
    assert rows["SloCurv"].passes["score"] == {"gradient": 5 * n}
    assert 0 < rows["BoundarySet-CCS"].passes["score"]["gradient"] <= 6 * n
    assert "score" not in rows["AUM"].passes
    assert len({row.proxy_run for row in rows.values()}) == 1
    scores = np.load(next((tmp_path / "selections").glob("*BoundarySet*/scores.npz")))["scores"]
    assert rows["BoundarySet-CCS"].passes["score"]["gradient"] == np.minimum(scores + 1, 6).sum()
