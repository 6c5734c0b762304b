"""The bill: the paper's figures, its formulas against its numbers, this harness's passes, bad scenarios."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
import torchvision
from tiny import SHORT, images

import methods
from deepcore.common.checks import UsageError
from deepcore.costs.formulas import FORMULAS
from deepcore.costs.of_method import cost_of, find, formula_cost
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import Price
from deepcore.data.split import make_split
from deepcore.nets.flops import flops_per_example
from deepcore.proxy.engine import obtain_proxy
from deepcore.proxy.signals import Signal, stored
from deepcore.proxy.spec import ProxySpec
from deepcore.selection.method import ScoreMethod
from deepcore.selection.needs import recording_of
from methods import METHODS

PAPER = Path(__file__).parents[2] / "benchmarks" / "paper"
REFERENCE = list(csv.DictReader((PAPER / "paper_appendix_e_costs.csv").open()))
# GB that the paper prints and its own formula does not give, and what the formula gives
STORAGE_DIFFERS = {"Cal": 763.691765760, "Moderate": 763.691765760, "GraphCut": 6434.897624100}
SMALL = Scenario(
    N=1000,
    Q=110,
    k=130,
    d=17,
    num_classes=7,
    f_proxy=3.0,
    f_large=50.0,
    T=19,
    T_proxy=23,
    T_early=5,
    T_proxy_early=11,
    T_first=9,
    n_test=210,
    F=13,
    R_early=4,
    R_curv=6,
    J=8,
    gamma=2.5,
    epsilon=0.05,
    K_max=31,
)


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: row["method"])
def test_paper_figures(row):
    cost = formula_cost(row["method"], Scenario.paper())
    assert cost.method == row["method"]
    got = (cost.selection_flops, cost.training_flops, cost.total_flops)
    for column, flops in zip(("selection", "training", "total"), got, strict=True):
        assert flops / 1e15 == pytest.approx(float(row[f"{column}_pflops"]), abs=0.0011)
    if row["storage_bytes"]:
        assert cost.storage_bytes == int(row["storage_bytes"])
    printed = float(row["storage_gb"])
    if row["method"] in STORAGE_DIFFERS:
        assert cost.storage_bytes / 1e9 == pytest.approx(STORAGE_DIFFERS[row["method"]], abs=1e-9)
        assert any(f"{printed:,.3f}" in note and row["method"] in note for note in cost.notes)
    else:
        assert cost.storage_bytes / 1e9 == pytest.approx(printed, abs=min(0.00051, 0.05 * printed))


def test_paper_scenario_is_the_printed_one():
    printed = json.loads((PAPER / "paper_appendix_e_scenario.json").read_text())
    del printed["note"]
    scenario = Scenario.paper()
    assert {name: getattr(scenario, name) for name in printed} == printed
    assert scenario.fraction == 0.1


def value_of(text: str, scenario: Scenario, symbols: dict[str, float]) -> float:
    """The number that a formula such as "3 N T_proxy f" stands for: tokens side by side are multiplied."""
    known = {"f": scenario.f_proxy, "c": scenario.num_classes, "U": scenario.N, "N_test": scenario.n_test}
    out = ""
    for token in re.findall(r"[A-Za-z_]+|\d+|[()+/-]", text):
        operand = token not in "()+-/"
        if (operand or token == "(") and re.search(r"[\w)]$", out) and not out.endswith("log"):
            out += "*"
        if not operand or token.isdigit() or token == "log":
            out += token
        else:
            out += repr(float(known.get(token, symbols.get(token, getattr(scenario, token, math.nan)))))
    return eval(out, {"log": math.log, "nan": math.nan})


@pytest.mark.parametrize("protocol", ["paper", "here"])
@pytest.mark.parametrize("name", FORMULAS)
def test_every_term_is_what_its_formula_says(name, protocol):
    cost = formula_cost(name, SMALL, protocol)
    symbols = {"R": SMALL.R_curv if name == "SloCurv" else SMALL.R_early}
    for term in cost.terms:
        assert term.flops == pytest.approx(value_of(term.text, SMALL, symbols), rel=1e-12), term
        assert term.text in cost.formula
        assert term.backward in (0, term.forward)
    assert cost.total_flops == pytest.approx(cost.selection_flops + cost.training_flops)
    if protocol == "paper":
        text = re.sub(r" \[.*?\]", "", cost.storage_text).replace("O(N kappa)", "0").replace("O(k^2)", "0")
        text = text.replace("N^2", "N N").replace("O(", "(")
        assert cost.storage_bytes == 4 * value_of(text, SMALL, symbols)
    else:
        assert cost.storage_bytes == 4 * value_of(cost.storage_text, SMALL, symbols)


@pytest.mark.parametrize("protocol", ["paper", "here"])
def test_tap_costs_its_own_training_and_two_passes(protocol):
    cost = cost_of(methods.parse("TAP:epochs=6"), SMALL, protocol)
    by_stage = {term.stage: (term.forward, term.backward) for term in cost.terms}
    assert by_stage["proxy"] == (110 * 6, 110 * 6)
    assert by_stage["score"] == (2 * 1000, 0)
    assert cost.selection_flops == 3 * 110 * 6 * 3.0 + 2 * 1000 * 3.0
    assert cost.formula.startswith("3 Q T_own f + 2 N f + 3 k T f_large")


def test_fields_of_the_input_methods_set_their_sweeps():
    for protocol in ("paper", "here"):
        curvature = cost_of(methods.parse("SloCurv:probes=4"), SMALL, protocol)
        assert {term.forward for term in curvature.terms if term.stage == "score"} == {5 * 1000}
        boundary = cost_of(methods.parse("BoundarySet-CCS:cap=9"), SMALL, protocol)
        assert {term.forward for term in boundary.terms if term.stage == "score"} == {9 * 1000}


def test_a_scenario_by_hand():
    epochs = {"T": 3, "T_proxy": 5, "T_early": 1, "T_proxy_early": 4, "T_first": 2}
    s = dataclasses.replace(SMALL, N=100, Q=10, k=20, f_proxy=2, f_large=7, **epochs)
    cld = formula_cost("CLD", s)
    assert [term.flops for term in cld.terms] == [3000, 100, 1260]  # 3*100*5*2, 10*5*2, 3*20*3*7
    assert [(term.forward, term.backward) for term in cld.terms] == [(500, 500), (50, 0), (60, 60)]
    assert (cld.selection_flops, cld.training_flops, cld.total_flops) == (3100, 1260, 4360)
    assert cld.storage_bytes == 4 * 110 * 5
    assert formula_cost("CLD (authors' code)", s).selection_flops == 3100 + 100 * 5 * 2
    assert (
        formula_cost("TDDS", s).selection_flops
        == 2 * formula_cost("TDDS (no sweep)", s).selection_flops
        == 6000
    )
    assert formula_cost("Forgetting", s).total_flops == 3 * 100 * 1 * 7 + 3 * 20 * 2 * 7
    assert formula_cost("Full", s).total_flops == 3 * 100 * 3 * 7
    assert formula_cost("Random", s).total_flops == 1260
    here = formula_cost("CLD", s, "here")
    by_stage = {term.stage: (term.forward, term.backward) for term in here.terms}
    assert by_stage == {
        "proxy": (500, 500),
        "record": (600, 0),  # row 0 and five epochs
        "validation": (60, 0),
        "target": (60, 60),
        "test": (210, 0),
    }
    assert here.total_flops == 3000 + 2 * 660 + 1260  # the test rows are listed only


def test_measured_backward_passes_replace_the_factor_of_three():
    s = dataclasses.replace(SMALL, b_proxy=4.0, b_large=99.0)
    cost = formula_cost("CLD", s)
    assert cost.stage_flops("proxy") == 1000 * 23 * (3 + 4)
    assert cost.stage_flops("validation") == 110 * 23 * 3
    assert cost.training_flops == 130 * 19 * (50 + 99)


def test_consistent_counts_two_in_both_networks():
    paper, consistent = Scenario.paper(), Scenario.paper().consistent()
    assert (consistent.f_proxy, consistent.f_large) == (2 * paper.f_proxy, paper.f_large)
    assert consistent.consistent() == consistent
    for name in FORMULAS:
        before, after = formula_cost(name, paper), formula_cost(name, consistent)
        grown = sum(term.flops for term in before.terms if term.net == "proxy")
        assert after.total_flops == pytest.approx(before.total_flops + grown)
        assert after.storage_bytes == before.storage_bytes
    both = dataclasses.replace(SMALL, madd_proxy=1, b_proxy=5.0)
    assert (both.consistent().f_proxy, both.consistent().b_proxy) == (6.0, 10.0)


@dataclass(frozen=True)
class Reader(ScoreMethod):
    """Reads whatever it is told to, and has the fields that bills know."""

    called: str = "CLD"
    reads: tuple[Signal, ...] = (Signal.LOSS,)
    reads_val: tuple[Signal, ...] = ()
    first: int | None = None
    epochs: int | None = None
    at: int | None = None
    repeats: int = 1
    window: int | None = None

    paper: ClassVar[str] = "a test"

    @property
    def name(self) -> str:
        return self.called

    @property
    def needs(self):
        return frozenset(self.reads)

    def checkpoints(self, epochs):
        return range(1, min(epochs, self.first or self.at or self.epochs or epochs) + 1)

    @property
    def needs_val(self):
        return frozenset(self.reads_val)

    def score(self, run):
        return np.zeros(len(run.ids))


def selection_flops(s: Scenario, protocol: str = "paper", **fields: object) -> float:
    return cost_of(Reader(**fields), s, protocol).selection_flops


def test_fields_of_an_instance_enter_its_bill():
    s = Scenario.paper()
    first = formula_cost("CLD (first)", s)
    cost = cost_of(Reader(first=45), s)
    assert (cost.selection_flops, cost.storage_bytes) == (first.selection_flops, first.storage_bytes)
    assert cost.method == "CLD:first=45"
    assert selection_flops(s, first=500) == formula_cost("CLD", s).selection_flops  # no more than were run
    assert selection_flops(s, called="EL2N", epochs=10, repeats=10) == formula_cost("EL2N", s).selection_flops
    assert (
        selection_flops(s, called="EL2N", epochs=10, repeats=1) * 10
        == formula_cost("EL2N", s).selection_flops
    )
    assert selection_flops(s, called="EL2N", epochs=10, at=3, repeats=10) == pytest.approx(
        0.3 * formula_cost("EL2N", s).selection_flops
    )
    assert selection_flops(s, called="DUAL", epochs=50) == formula_cost("DUAL", s).selection_flops
    assert selection_flops(s, called="TDDS", epochs=9) * 10 == formula_cost("TDDS", s).selection_flops
    window = cost_of(Reader(called="TDDS", window=5), s)
    assert window.storage_bytes * 2 == formula_cost("TDDS", s).storage_bytes
    forgetting = cost_of(Reader(called="Forgetting", epochs=20), s)
    assert forgetting.stage_flops("proxy") == 2 * formula_cost("Forgetting", s).stage_flops("proxy")
    assert forgetting.training_flops == 3 * s.k * 70 * s.f_large


def test_fields_of_an_instance_enter_what_this_harness_does():
    s = SMALL

    def proxy_passes(**fields: object) -> dict[str, float]:
        terms = cost_of(Reader(**fields), s, "here").terms
        return {t.stage: t.forward for t in terms if t.net == "proxy"}

    assert proxy_passes(first=7) == {"proxy": 7000, "record": 1000, "validation": 880}
    assert proxy_passes(first=7, record="post_epoch") == {"proxy": 7000, "record": 8000, "validation": 880}
    assert proxy_passes(called="EL2N", epochs=5) == {"proxy": 5000, "record": 1000, "validation": 660}
    assert proxy_passes(called="EL2N", epochs=5, repeats=3) == {
        "proxy": 15000,
        "record": 1000,  # the repeats have no row 0 and no validation rows
        "validation": 660,
    }
    assert proxy_passes(called="EL2N", epochs=5, repeats=3, record="post_epoch") == {
        "proxy": 15000,
        "record": 16000,
        "validation": 660,
    }
    assert proxy_passes(called="EL2N", epochs=99) == proxy_passes(called="EL2N", epochs=23)


def test_stored_rows_are_those_that_are_read():
    s = SMALL
    cld = cost_of(methods.parse("CLD:first=7"), s, "here")
    assert (cld.storage_bytes, cld.storage_text) == (4 * 1110 * 8, "N (T_proxy + 1) + Q (T_proxy + 1)")
    assert cost_of(methods.parse("CLD:first=7,initial=false"), s, "here").storage_bytes == 4 * 1110 * 7
    assert cost_of(methods.parse("TDDS:epochs=12,window=5"), s, "here").storage_bytes == 4 * 1000 * 11
    el2n, beta = (cost_of(methods.parse(f"EL2N:epochs=4{more}"), s, "here") for more in ("", ",sampler=beta"))
    assert el2n.stage_flops("proxy") * 23 == beta.stage_flops("proxy") * 4  # the draw reads 30, of 23 epochs
    assert (el2n.storage_bytes, beta.storage_bytes) == (4 * 4000, 4 * 23 * 2000)


def test_a_method_without_an_entry_is_billed_for_the_run_it_reads():
    own = Reader(called="Mine", reads=(Signal.LOSS, Signal.FEATURES), reads_val=(Signal.LOSS,))
    cost = cost_of(own, SMALL)
    assert cost.formula == "3 N T_proxy f + Q T_proxy f + N f + 3 k T f_large"
    assert cost.storage_bytes == 4 * (1000 * 23 + 1000 * 13 + 110 * 23)
    early = dataclasses.replace(own, reads=(Signal.LOSS,), reads_val=(), first=9)
    assert cost_of(early, SMALL).stage_flops("proxy") == 3 * 1000 * 9 * 3.0
    assert cost_of(early, SMALL, "here").stage_flops("proxy") == 3 * 1000 * 9 * 3.0
    nothing = Reader(called="Nothing", reads=())
    assert cost_of(nothing, SMALL).selection_flops == cost_of(nothing, SMALL, "here").selection_flops == 0


@pytest.mark.parametrize(
    ("reads", "record"),
    [
        ((Signal.LOSS,), "online"),
        ((Signal.LOSS,), "post_epoch"),
        ((Signal.FEATURES, Signal.LOGITS), "online"),
        ((Signal.MARGIN, Signal.FEATURES), "online"),
        ((Signal.MARGIN, Signal.FEATURES), "post_epoch"),
    ],
)
def test_here_is_what_the_engine_counts(tmp_path, reads, record):
    data = images()
    split = make_split(data.train.labels, val_fraction=0.2, seed=0)
    method = Reader(called="Mine", reads=reads, record=record)
    spec = ProxySpec(data.name, data.fingerprint, "MLP", SHORT, 0.2, 0)
    recording = recording_of([method], everything=False)
    run = obtain_proxy(tmp_path, data, split, spec, recording, device=torch.device("cpu"))
    n, q = len(split.train), len(split.val)
    s = dataclasses.replace(SMALL, N=n, Q=q, k=10, T_proxy=SHORT.epochs, T_proxy_early=1, T_first=1)
    expected = {term.stage: term.forward for term in cost_of(method, s, "here").terms if term.net == "proxy"}
    counted = {kind: passes for kind, passes in run.costs["passes"].items() if passes}
    assert counted.pop("train") == expected.pop("proxy")
    assert counted == expected


def test_registered_methods_fit_their_bills():
    for name, cls in METHODS.items():
        if name == "file":
            continue  # reads a file when it is made; it has no entry
        method = cls()
        for protocol in ("paper", "here"):
            assert cost_of(method, SMALL, protocol).total_flops > 0
        if name not in FORMULAS:
            continue
        entry = FORMULAS[name]
        assert set(entry.fields) <= {f.name for f in dataclasses.fields(cls)}, name
        reads = entry.reads
        assert bool(method.needs | method.needs_val) == (reads is not None), name
        if reads is not None:
            assert stored(method.needs) == reads.needs, name
            assert stored(method.needs_val) == reads.needs_val, name
            assert method.mode == reads.mode, name
            assert reads.by(method) == reads, name


def test_reference_rows_are_billed_for_what_they_train_on():
    s = SMALL
    of = {
        name: cost_of(METHODS[name](), s, "here")
        for name in ("Full", "Full@k", "RS2", "ValOnly", "Random+Val")
    }
    rows = {"Full": s.N, "Full@k": s.k, "RS2": s.k, "ValOnly": s.Q, "Random+Val": s.k + s.Q}
    for name, cost in of.items():
        assert cost.family == "reference"
        assert cost.selection_flops == 0
        assert cost.training_flops == 3 * rows[name] * s.T * s.f_large, name
        assert cost_of(METHODS[name](), s).total_flops == cost.total_flops


def test_names():
    assert find("Dyn-Unc") is find("DynUnc")
    with pytest.raises(UsageError, match="did you mean Herding"):
        formula_cost("Hirding", SMALL)
    with pytest.raises(UsageError, match=r"unknown protocol 'theirs'.*paper, here"):
        formula_cost("CLD", SMALL, "theirs")
    with pytest.raises(UsageError, match="unknown stage"):
        Price("scorign", "N f", lambda s: s.N)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 1001}, "k is 1001 with N = 1000.*smaller k"),
        ({"k": 0}, "k is 0"),
        ({"N": -5}, "N is -5"),
        ({"Q": -1}, "Q is -1.*at least 0"),
        ({"Q": 1.5}, "Q is 1.5.*whole"),
        ({"T": -90}, "T is -90.*above 0"),
        ({"T_proxy": 0}, "T_proxy is 0"),
        ({"T_early": 0}, "T_early is 0"),
        ({"T_proxy_early": 24}, "T_proxy_early is 24 with T_proxy = 23"),
        ({"T_first": 24}, "T_first is 24 with T_proxy = 23"),
        ({"f_proxy": 0}, "f_proxy is 0"),
        ({"f_large": math.nan}, "f_large is nan"),
        ({"b_large": -1}, "b_large is -1"),
        ({"madd_proxy": 3}, "madd_proxy is 3"),
        ({"epsilon": 1}, "epsilon is 1"),
        ({"gamma": "20"}, "gamma is '20'"),
        ({"J": True}, "J is True"),
    ],
)
def test_bad_scenarios(changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_a_measured_scenario_keeps_the_paper_s_shares():
    sizes = {"N": 1000, "Q": 100, "k": 50, "d": 64, "num_classes": 10, "F": 128, "n_test": 300}
    flops = {"proxy": {"forward": 10, "backward": 19}, "large": {"forward": 30, "backward": 55}}
    s = Scenario.measured(**sizes, **flops, T=90, T_proxy=90)
    assert (s.T_early, s.T_late, s.T_proxy_early, s.T_first) == (10, 80, 50, 45)
    assert formula_cost("Random", s).total_flops == 50 * 90 * 85
    short = Scenario.measured(**sizes, **flops, T=0.5, T_proxy=1)
    assert (short.T_early, short.T_late, short.T_proxy_early, short.T_first) == (1, 0, 1, 1)
    assert s.consistent() == s
    with pytest.raises(UsageError, match="T_proxy is -1"):
        Scenario.measured(**sizes, **flops, T=1, T_proxy=-1)


@pytest.mark.parametrize(("name", "madds"), [("resnet18", 1.814e9), ("resnet50", 4.089e9)])
def test_flops_of_known_networks(name, madds):
    flops = flops_per_example(torchvision.models.get_model(name), (3, 224, 224))
    assert flops["forward"] == pytest.approx(2 * madds, rel=0.01)
    assert flops["backward"] == pytest.approx(4 * madds, rel=0.04)
