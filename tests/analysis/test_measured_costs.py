"""The measured bill: hooks against the meter, by hand from N, Q, T and k, and the three readings."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from tiny import images, short
from torch.utils.flop_counter import FlopCounterMode

import methods
from deepcore.analysis.measured_costs import flops, measured_costs
from deepcore.analysis.phases import phases
from deepcore.common.progress import Progress
from deepcore.costs.of_method import cost_of
from deepcore.costs.scenario import Scenario
from deepcore.data.datasets import load
from deepcore.experiment.harness import Harness
from deepcore.experiment.rows import RowStore
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.proxy.signals import Signal
from deepcore.proxy.use import ProxyUse
from deepcore.report.phase_report import phase_report
from deepcore.selection.method import ScoreMethod
from deepcore.selection.needs import use_of

CPU = torch.device("cpu")
T, T_PROXY = 4, 12
FRACTION = 0.2


def grid(folder, *texts, data=None, fractions=(FRACTION,), seeds=(0,), net="MLP", **changes):
    """The rows of a run of these methods."""
    target = changes.pop("target", short(epochs=T))
    chosen = tuple(methods.parse(text) for text in texts)
    proxy = short(epochs=T_PROXY)
    spec = ExperimentSpec(seeds, chosen, fractions, (net,), "MLP", proxy, target, 0.2, **changes)
    return Harness(spec, data or images(), folder, device=CPU, progress=Progress(quiet=True)).run()


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """One grid of several methods at two fractions and two seeds."""
    texts = ("Random", "CLD", "EL2N", "DUAL:window=4,epochs=6", "AUM", "Full")
    return grid(tmp_path_factory.mktemp("runs"), *texts, fractions=(FRACTION, 0.5), seeds=(0, 1))


def of_example(row, part):
    """FLOPs of one example, forward and backward."""
    return row.flops_per_example[part]["forward"], row.flops_per_example[part]["backward"]


def bills(rows):
    return {(bill.method, bill.fraction): bill for bill in measured_costs(rows)}


@pytest.fixture
def counted(monkeypatch):
    """Rows that go through any network built from here on, and back, counted by hooks on it."""
    seen = Counter()
    build = nets.build

    def forward(module, inputs, output):
        if output.device.type != "meta":  # FLOPs are counted on a copy that computes nothing
            seen["training" if module.training else "evaluation"] += len(output)

    def backward(module, grad_input, grad_output):
        if grad_output[0].device.type != "meta":
            seen["backward"] += len(grad_output[0])

    def hooked(*args, **kwargs):
        net = build(*args, **kwargs)
        net.head.register_forward_hook(forward)
        net.head.register_full_backward_hook(backward)
        return net

    monkeypatch.setattr(nets, "build", hooked)
    return seen


def test_a_digits_run_by_hand(tmp_path, counted):
    epochs = 3
    digits = load("Digits")
    spec = ExperimentSpec(
        *((0,), (methods.parse("CLD"), methods.parse("AUM")), (0.1,), ("MLP",), "MLP"),
        *(short(epochs=epochs, batch=128), short(epochs=epochs, batch=128), 0.1),
    )
    cld, aum = Harness(spec, digits, tmp_path, device=CPU, progress=Progress(quiet=True)).run()
    # 1,797 digits, 360 for test; of 1,437 one tenth of each class is held out, of the rest one tenth kept
    n, q, k, n_test = 1292, 145, 129, 360
    assert (cld.n, cld.q, cld.k, cld.n_test) == (n, q, k, n_test)
    proxy = {"train": 3 * 1292, "record": 4 * 1292, "validation": 4 * 145, "encode": 0, "test": 0}
    target = {"train": 3 * 129, "record": 0, "validation": 0, "encode": 0, "test": 360}
    for row in (cld, aum):
        assert row.passes == {"proxy": proxy, "target": target}
        assert row.proxy_run == cld.proxy_run
    # torch's count is that of the linear layers; the first needs no gradient of its input
    widths = [m for m in nets.build("MLP", (1, 8, 8), 10, seed=0).modules() if isinstance(m, torch.nn.Linear)]
    layers = [2 * m.in_features * m.out_features for m in widths]
    f, b = sum(layers), 2 * sum(layers) - layers[0]
    assert cld.flops_per_example == {part: {"forward": f, "backward": b} for part in ("proxy", "target")}
    assert cld.signal_bytes == 4 * (n + q) * 4
    assert aum.signal_bytes == 4 * n * 3
    by_name = bills([cld, aum])
    cld, aum = by_name["CLD", 0.1], by_name["AUM", 0.1]
    assert cld.target == 3 * k * (f + b)
    assert cld.full == 3 * n * (f + b)
    assert cld.alone == 3 * n * (f + b) + (4 * n + 4 * q) * f
    assert aum.alone == 3 * n * (f + b) + (n + 4 * q) * f
    assert cld.shared == aum.shared == cld.alone / 2
    assert (cld.marginal, aum.marginal) == (3 * n * f, 0)  # the passes after each epoch are CLD's alone
    assert cld.pays_after == math.ceil(cld.alone / (cld.full - cld.target)) == 2
    # and the network saw as many rows as the meter says
    assert counted["training"] == counted["backward"] == 3 * n + 2 * 3 * k
    assert counted["evaluation"] == 4 * n + 4 * q + 2 * n_test


@pytest.mark.parametrize("everything", [True, False])
@pytest.mark.parametrize("text", ["CLD", "AUM", "EL2N", "D2", "CLD:record=online", "Random"])
def test_hooks_on_the_network_count_what_the_meter_counts(tmp_path, counted, text, everything):
    (row,) = grid(tmp_path, text, everything=everything, net="LeNet")
    assert row.status == "ok", row.error
    passes = [sum(row.passes[part].values()) for part in row.passes]
    assert counted["training"] + counted["evaluation"] == sum(passes)
    trained = sum(row.passes[part]["train"] for part in row.passes)
    assert counted["training"] == counted["backward"] == trained


def test_flops_are_torch_s_count_of_the_whole_run(tmp_path):
    with FlopCounterMode(display=False) as counter:
        (row,) = grid(tmp_path, "CLD", net="LeNet")
    of_parts = {part: flops(row.passes[part], row.flops_per_example[part]) for part in ("proxy", "target")}
    # to know the FLOPs of an example, each network was traced on two rows
    traced = 2 * sum(sum(per_example.values()) for per_example in row.flops_per_example.values())
    assert counter.get_total_flops() - traced == sum(of_parts.values())


@pytest.mark.parametrize("text", ["CLD", "AUM", "D2", "CLD:record=online", "Random"])
def test_here_is_what_is_counted_when_a_method_runs_alone(tmp_path, text):
    (row,) = grid(tmp_path, text, everything=False)
    (bill,) = measured_costs([row])
    per_example = row.flops_per_example["target"]
    s = Scenario.measured(
        **{"N": row.n, "Q": row.q, "k": row.k, "d": 64, "num_classes": 3, "F": 256, "n_test": row.n_test},
        **{"proxy": per_example, "large": per_example, "T": T, "T_proxy": T_PROXY},
    )
    method = methods.parse(text)
    here = cost_of(method, s, "here")
    of_stage = {"proxy": "train", "record": "record", "validation": "validation", "encode": "encode"}
    expected = dict.fromkeys(of_stage.values(), 0)
    for term in here.terms:
        if term.net == "proxy":
            expected[of_stage[term.stage]] = term.forward
    counted = row.passes.get("proxy", dict.fromkeys([*expected, "test"], 0))
    assert counted == {**expected, "test": 0}
    assert {t.stage: t.forward for t in here.terms if t.net == "large"} == {
        "target": row.passes["target"]["train"],
        "test": row.passes["target"]["test"],
    }
    assert bill.alone == bill.shared == bill.marginal == here.selection_flops
    assert bill.total == here.total_flops


def test_phases_set_here_beside_what_was_counted(rows):
    found = phases(rows)
    assert [p.name for p in found] == [
        *("proxy training", "recording", "validation rows", "scoring: CLD", "scoring: EL2N"),
        *("scoring: DUAL:window=4,epochs=6", "scoring: AUM", "target, k = 14", "test rows"),
        *("target, k = 36", "test rows"),
    ]
    net = nets.build("MLP", (1, 8, 8), 3, seed=0)
    first = next(m for m in net.modules() if isinstance(m, torch.nn.Linear))  # no gradient of its input
    for phase in found:
        assert phase.here == phase.counted, phase
        if "target" in phase.name or phase.name == "proxy training":
            assert (
                phase.flops_here - phase.flops_measured
                == phase.here * 2 * first.in_features * first.out_features
            )
        else:
            assert phase.flops_here == phase.flops_measured
    recording = next(p for p in found if p.name == "recording")
    assert (recording.formula, recording.here) == ("N + N T", 72 * (1 + T_PROXY))
    assert all(p.seconds is not None and p.seconds > 0 for p in found if p.name != "validation rows")
    assert all(p.peak_bytes > 1e6 for p in found if "target" in p.name or "scoring" in p.name)


def test_a_miscount_shows(rows):
    wrong = [dataclasses.replace(r, passes={**r.passes, "proxy": {**r.passes["proxy"], "record": 7}})
             if r.proxy_run else r for r in rows]  # fmt: skip
    (recording,) = [p for p in phases(wrong) if p.name == "recording"]
    assert (recording.here, recording.counted) == (72 * (1 + T_PROXY), 7)


def test_the_readings_by_hand(rows):
    n, q = 72, 18
    f, b = of_example(next(row for row in rows if row.method == "CLD"), "proxy")

    def run(epochs, post=0):
        return epochs * n * (f + b) + (n * (1 + post) + q * (epochs + 1)) * f

    found = bills(rows)
    for fraction in (FRACTION, 0.5):
        cld, el2n, dual, aum = (
            found[name, fraction] for name in ("CLD", "EL2N", "DUAL:window=4,epochs=6", "AUM")
        )
        assert [x.alone for x in (cld, el2n, dual, aum)] == [run(12, 12), run(10), run(6), run(12)]
        assert {x.shared for x in (cld, el2n, dual, aum)} == {
            run(12, 12) / 4
        }  # the final arrays come with it
        assert [x.marginal for x in (cld, el2n, dual, aum)] == [12 * n * f, 0, 0, 0]
        assert found["Random", fraction].alone == found["Random", fraction].marginal == 0
    # without AUM, only CLD reads more than ten epochs, and without both only EL2N more than six
    fewer = bills([row for row in rows if row.method != "AUM"])
    assert fewer["CLD", 0.5].marginal == run(12, 12) - run(10)
    assert fewer["CLD", 0.5].shared == run(12, 12) / 3
    two = bills([row for row in rows if row.method in ("EL2N", "DUAL")])
    assert two["EL2N", 0.5].marginal == run(10) - run(6)
    assert two["EL2N", 0.5].alone == found["EL2N", 0.5].alone


def test_adding_a_method_changes_what_is_shared_and_runs_nothing_again(tmp_path, monkeypatch):
    from deepcore.experiment import target as target_module
    from deepcore.proxy import engine as proxy_engine

    first = grid(tmp_path, "CLD", "EL2N")
    stored = {row.fingerprint: dataclasses.asdict(row) for row in RowStore(tmp_path / "rows").all()}
    before = bills(first)
    trained = []
    real = target_module.train
    monkeypatch.setattr(target_module, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    monkeypatch.setattr(proxy_engine, "train", None)
    after_rows = grid(tmp_path, "CLD", "EL2N", "AUM")
    assert trained == [1]  # AUM's target; no proxy
    after = bills(after_rows)
    for row in RowStore(tmp_path / "rows").all():
        assert row.method == "AUM" or dataclasses.asdict(row) == stored[row.fingerprint]
    for name in ("CLD", "EL2N"):
        was, now = before[name, FRACTION], after[name, FRACTION]
        assert now.alone == was.alone
        assert now.shared == pytest.approx(was.shared * 2 / 3)
    assert after["CLD", FRACTION].marginal < before["CLD", FRACTION].marginal
    total = flops(first[0].passes["proxy"], first[0].flops_per_example["proxy"])
    assert sum(after[name, FRACTION].shared for name in ("CLD", "EL2N", "AUM")) == pytest.approx(total)


def test_methods_that_read_different_runs_share_nothing(tmp_path):
    early = grid(tmp_path, "EL2N", everything=False)  # records online alone
    late = grid(tmp_path, "CLD", everything=False)  # trains another proxy, with passes after each epoch
    assert early[0].proxy_run != late[0].proxy_run
    together = bills([*early, *late])
    for name, alone in (("EL2N", bills(early)), ("CLD", bills(late))):
        assert together[name, FRACTION].shared == alone[name, FRACTION].shared
        assert together[name, FRACTION].marginal == alone[name, FRACTION].marginal


def test_passes_for_methods_to_come_are_shared_and_not_alone(tmp_path):
    (first,) = grid(tmp_path / "all", "Forgetting")
    (bare,) = grid(tmp_path / "needed", "Forgetting", everything=False)
    n, sweeps = first.n, T_PROXY
    # row 0 in both; with all, a pass after every epoch, of which the last gives the final arrays too
    assert first.passes["proxy"]["record"] == n * (1 + sweeps)
    assert (bare.passes["proxy"]["record"], bare.passes["proxy"]["encode"]) == (n, 0)
    assert (first.recorded["post_epochs"], bare.recorded["post_epochs"]) == (sweeps, 0)
    assert (first.reads, first.reads["post_epochs"]) == (bare.reads, 0)
    of_all, of_needed = bills([first])["Forgetting", FRACTION], bills([bare])["Forgetting", FRACTION]
    assert of_all.alone == of_all.marginal == of_needed.alone == of_needed.shared
    assert of_all.shared == flops(first.passes["proxy"], first.flops_per_example["proxy"]) > of_all.alone


def test_repeats_that_no_other_method_reads_are_the_method_s_own(rows):
    repeats = {"train": 720, "record": 0, "validation": 0, "encode": 0, "test": 0}
    el2n = next(row for row in rows if row.method == "EL2N")
    seconds = {**el2n.measured["seconds"], "repeats": 5.0}
    more = dataclasses.replace(
        el2n,
        repeats={"runs": 1, "epochs": 10},
        passes={**el2n.passes, "repeats": repeats},
        measured={**el2n.measured, "seconds": seconds},
    )
    others = [row for row in rows if row.method in ("CLD", "AUM") and row.seed == el2n.seed]
    was, now = (bills([row, *others])["EL2N", FRACTION] for row in (el2n, more))
    own = flops(repeats, el2n.flops_per_example["proxy"])
    for reading in ("alone", "shared", "marginal"):
        assert getattr(now, reading) == pytest.approx(getattr(was, reading) + own)
    assert now.select_seconds == pytest.approx(was.select_seconds + 5)
    assert el2n.repeats == {"runs": 0, "epochs": 0}
    peaks = {**el2n.measured["peak_bytes"], "repeats": 9}
    shown = dataclasses.replace(more, measured={**more.measured, "peak_bytes": peaks})
    (phase,) = [phase for phase in phases([shown, *others]) if phase.name == "repeats: EL2N"]
    assert (phase.here, phase.counted, phase.seconds, phase.peak_bytes) == (720, 720, 5.0, 9)
    longer = dataclasses.replace(shown, repeats={"runs": 1, "epochs": 99})
    longer_phases = [phase for phase in phases([longer, *others]) if phase.name == "repeats: EL2N"]
    assert longer_phases[0].here == el2n.n * el2n.recorded["epochs"]  # no longer than the proxy
    logged = dataclasses.replace(
        shown, recording="post_epoch", passes={**shown.passes, "repeats": {**repeats, "record": 720}}
    )
    found = [phase for phase in phases([logged]) if phase.name == "repeats: EL2N"]
    assert [(phase.here, phase.counted) for phase in found] == [(720, 720)] * 2


def test_repeats_of_two_methods_are_trained_once_and_billed_once(tmp_path):
    both = grid(tmp_path, "EL2N:repeats=3,epochs=3", "GraNd:repeats=3,epochs=3", everything=False)
    assert len(list((tmp_path / "proxies").iterdir())) == 3
    n, q, (f, b) = 72, 18, of_example(both[0], "proxy")
    repeats = 2 * 3 * n * (f + b)
    trained = T_PROXY * n * (f + b) + (n + (T_PROXY + 1) * q) * f + repeats
    bills = measured_costs(both)
    assert sum(bill.shared for bill in bills) == pytest.approx(trained)
    assert [bill.marginal for bill in bills] == [0, 0]
    assert {bill.alone for bill in bills} == {3 * n * (f + b) + (n + 4 * q) * f + repeats}


def test_what_each_method_reads_of_the_repeats_by_hand(tmp_path):
    texts = ("EL2N:repeats=2,epochs=4", "GraNd:repeats=3,epochs=2,record=post_epoch", "AUM")
    three = grid(tmp_path, *texts)
    n, q, (f, b) = 72, 18, of_example(three[0], "proxy")
    trained = flops(three[0].passes["proxy"], three[0].flops_per_example["proxy"])

    def run(epochs, post=0):
        return epochs * n * (f + b) + (n * (1 + post) + q * (epochs + 1)) * f

    el2n, grand, aum = measured_costs(three)
    # repeat 1 makes four epochs for EL2N, each followed by a pass for GraNd; repeat 2 is GraNd's alone
    first, second = 4 * n * (f + b) + 4 * n * f, 2 * n * (f + b) + 2 * n * f
    assert el2n.shared == pytest.approx(trained / 3 + first / 2)
    assert grand.shared == pytest.approx(trained / 3 + first / 2 + second)
    assert aum.shared == pytest.approx(trained / 3)
    assert el2n.alone == run(4) + 4 * n * (f + b)
    assert grand.alone == run(2, 2) + 2 * second
    assert el2n.marginal == 2 * n * (f + b)  # two epochs that GraNd does not read
    assert grand.marginal == 2 * n * f + 2 * n * f + second  # the passes of two runs, and repeat 2
    counted = [row.passes["repeats"] for row in three[:2]]
    assert [passes["train"] for passes in counted] == [4 * n, 2 * 2 * n]
    assert [passes["record"] for passes in counted] == [4 * n, 2 * 2 * n]


@dataclass(frozen=True)
class Own(ScoreMethod):
    """A method of the user's that puts the candidates through the trained network, in two ways."""

    name: ClassVar[str] = "Own"
    features: ClassVar[bool] = True

    @property
    def needs(self):
        return super().needs | {Signal.WEIGHTS}

    def score(self, run):
        network = run.trained_network()
        if self.features:
            network.features(run.ids)
        return network.losses(run.ids, run.labels)


@pytest.mark.parametrize("features", [True, False])
def test_the_phases_of_a_method_without_a_formula_are_what_was_counted(tmp_path, monkeypatch, features):
    monkeypatch.setattr(Own, "features", features)
    monkeypatch.setitem(methods.METHODS, "Own", Own)
    (row,) = grid(tmp_path, "Own", everything=False)
    found = [phase for phase in phases([row]) if phase.name == "scoring: Own"]
    assert [(p.formula, p.here, p.counted) for p in found] == [("", 0, row.n)] * (1 + features)
    assert {p.flops_measured for p in found} == {row.n * of_example(row, "proxy")[0]}
    assert [p.seconds is None for p in found] == [False] + [True] * features
    assert [p.peak_bytes is None for p in found] == [False] + [True] * features
    lines = [line for line in phase_report([row]).splitlines() if line.startswith("scoring: Own")]
    # name, net, formula, passes here and counted, FLOPs here and measured, here over
    assert [[*line.split()[3:6], line.split()[8]] for line in lines] == [["-", "-", "72", "-"]] * len(found)


def test_seconds_alone_by_hand(rows):
    el2n = next(row for row in rows if row.method == "EL2N")
    seconds = {"proxy": 12.0, "record": 100.0, "score": 1.0, "select": 0.5, "train": 7.0, "test": 1.0}
    row = dataclasses.replace(el2n, measured={**el2n.measured, "seconds": seconds})
    (bill,) = measured_costs([row])
    n, q = 72, 18
    forward = (n + 11 * q) / (13 * n + 13 * q)  # ten of twelve epochs, row 0, no passes after the epochs
    assert bill.select_seconds == pytest.approx(10 + 100 * forward + 1.5)
    assert bill.target_seconds == 7


def test_when_it_pays(rows):
    (bill,) = measured_costs([next(row for row in rows if row.method == "CLD")])

    def after(**changes):
        return dataclasses.replace(bill, **changes).pays_after

    assert after(alone=0, target=10, full=100) == 1
    assert after(alone=90, target=10, full=100) == 1
    assert after(alone=91, target=10, full=100) == 2
    assert after(alone=0.3, target=0.9, full=1.0) == 3  # 2.9999999999999996 and the like are 3
    assert after(alone=1, target=100, full=100) is None
    assert after(alone=0, target=101, full=100) is None
    for uses in (1, 2, 3, 4):
        pays = 240 + uses * 15 <= uses * 100
        assert pays == (uses >= after(alone=240, target=15, full=100))
    assert dataclasses.replace(bill, alone=30, target=10, full=100).share == 0.4


def test_equal_steps_save_nothing(tmp_path):
    (row,) = grid(tmp_path, "Random", fractions=(0.5,), target=short(steps=20))
    (bill,) = measured_costs([row])
    # 36 rows in batches of 16, 16 and 4, 72 rows in 16, 16, 16, 16 and 8: 20 steps each
    assert row.passes["target"]["train"] == 6 * 36 + 32
    f, b = of_example(row, "target")
    assert bill.full == 4 * 72 * (f + b)
    whole = grid(tmp_path, "Full", target=short(steps=20))
    (of_full,) = measured_costs(whole)
    assert of_full.target == of_full.full == bill.full
    assert of_full.pays_after is None
    (all_of_it,) = measured_costs(grid(tmp_path, "Random", fractions=(1.0,), target=short(steps=20)))
    assert all_of_it.pays_after is None


def test_failed_rows_are_left_out(rows):
    failed = dataclasses.replace(rows[1], status="failed", measured={})
    assert measured_costs([failed]) == []
    assert phases([failed]) == []


def test_rows_hold_what_their_method_needs_of_a_run(rows):
    for row in rows:
        method = methods.parse(row.label)
        assert ProxyUse(**row.reads) == use_of(method, T_PROXY)
        if row.proxy_run:
            assert ProxyUse(**row.recorded).passes(row.n, row.q) == {
                kind: count for kind, count in row.passes["proxy"].items() if kind != "test"
            }
