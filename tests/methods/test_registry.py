"""The registry as a whole: every method on any data from one proxy run; defaults; what is printed of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import methods
from deepcore.cli.listing import listing
from deepcore.data.datasets import DATASETS
from deepcore.nets.networks import NETS
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.selection.budget import Budget

# those of the papers, as methods.md has them; rows of finished runs are identified by them
DEFAULTS = {
    "CLD": {"initial": None, "first": None, "every": 1, "correlation": "pearson", "trajectory": "class",
            "keep": "highest"},
    "LTC": {"initial": None, "first": None, "every": 1, "correlation": "pearson", "trajectory": "class",
            "keep": "highest"},
    "Forgetting": {"epochs": None},
    "EL2N": {"epochs": 10, "at": None, "repeats": 1},
    "GraNd": {"epochs": 10, "at": None, "repeats": 1},
    "AUM": {"of": "logit", "keep": "lowest"},
    "CCS": {"beta": None, "strata": 50, "difficulty": "aum"},
    "D2": {"difficulty": "forgetting", "neighbors": 5, "gamma": 0.1, "beta": None, "graph": "class",
           "forward": "sum", "reverse": "weighted", "power": 1, "symmetric": False, "normalize": False},
    "TDDS": {"window": None, "epochs": None, "decay": 0.9},
    "DynUnc": {"window": 10, "epochs": None},
    "DUAL": {"window": 10, "epochs": 30, "sampling": "beta", "c_d": 4.0},
    "Glister": {"eta": 0.1, "step": "mean", "picks_per_refresh": 1, "refresh": True},
    "Herding": {}, "KCenter": {}, "FacilityLocation": {}, "GraphCut": {"lam": 2.0},
    "CRAIG": {"weighted": True}, "GradMatch": {"lam": 1.0, "weighted": True},
}  # fmt: skip
MODES = {"CLD": "post_epoch", "LTC": "post_epoch"}
COMMON = {"name", "record", "class_balanced", "sampler", "extrapolate"}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_are_those_of_the_papers(name):
    method = methods.get(name)()
    assert {field: value for field, value in method.spec().items() if field not in COMMON} == DEFAULTS[name]
    assert (method.record, method.class_balanced, method.sampler if "sampler" in method.spec() else None) == (
        None, True, None,
    )  # fmt: skip
    assert method.mode == MODES.get(name, "online")


@pytest.mark.filterwarnings("ignore::UserWarning")  # 14 epochs: parameters are reduced
def test_every_selection_from_logits_of_one_s_own():
    rng = np.random.default_rng(3)
    t, n, q, d, c = 14, 60, 12, 5, 3
    features, val_features = rng.normal(size=(n, d)), rng.normal(size=(q, d))
    weight, bias = rng.normal(size=(c, d)), rng.normal(size=c)
    growth = np.arange(1, t + 1)[:, None, None] / t
    logits = growth * (features @ weight.T + bias) + 0.1 * rng.normal(size=(t, n, c))
    val_logits = growth * (val_features @ weight.T + bias)
    run = ProxyRun.from_logits(
        logits, np.arange(n) % c, val_logits, np.arange(q) % c,
        features=np.broadcast_to(features, (t, n, d)), val_features=np.broadcast_to(val_features, (t, q, d)),
        last_layer=(weight, bias), ids=np.arange(n) * 7 + 1,
    )  # fmt: skip
    budget = Budget.of(0.25, n)
    for name, cls in methods.METHODS.items():
        if cls.is_selection and Signal.WEIGHTS not in cls().needs and cls().own_run is None:
            chosen = cls().select(run, budget, np.random.default_rng(0))
            chosen.check_within(run.ids, budget.k)
            if hasattr(cls(), "score"):
                assert cls().score(run).shape == (n,), name


def test_the_list_has_every_name_field_and_default():
    words = listing().replace(",", " ").split()
    for name in (*methods.METHODS, *methods.ALIASES, *DATASETS, *NETS):
        assert name in words, name
    for cls in methods.METHODS.values():
        method = cls()
        for field in dataclasses.fields(cls):
            if field.name not in COMMON:
                assert f"{field.name}={getattr(method, field.name)}" in words, (cls.name, field.name)
