"""The paper's claims: every script runs, and page and figures are made from the committed records."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from benchmarks import claims, claims_page, figure2
from benchmarks.claim_curves import margin_verdict, side_verdict
from benchmarks.claim_intervals import adjusted, beside, by_sign, is_above, share_interval
from benchmarks.claim_records import by_seed, from_csv, to_csv
from benchmarks.claims import FAILS, HOLDS, UNTOLD, Setting, Size
from benchmarks.gpu_hours import Load, gpu_hours, hours_words, loads_of, stand_in
from benchmarks.grids import GRIDS
from deepcore.analysis.equivalence import equivalence, noninferiority
from deepcore.analysis.stats import Paired, holm, paired_difference
from deepcore.common.progress import Progress
from deepcore.data import datasets
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example

SCRIPTS = claims_page.SCRIPTS


def claim_of(name):
    return next(claim for claim in claims_page.claims() if claim.name == name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_runs_is_resumed_and_gives_a_verdict(name, tmp_path, capsys):
    claim = claim_of(name)
    argv = ["--quick", "--save_path", str(tmp_path)]
    assert claims.main(claim, argv) == 0
    first = (tmp_path / f"{name}.csv").read_bytes()
    out = capsys.readouterr().out
    assert any(line.startswith((HOLDS, FAILS, UNTOLD)) for line in out.splitlines())
    assert (tmp_path / f"{name}.png").exists()
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")}
    assert claims.main(claim, argv) == 0
    assert (tmp_path / f"{name}.csv").read_bytes() == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize("name", SCRIPTS)
def test_full_size_prints_its_command_and_gpu_hours(name, capsys):
    assert claims.main(claim_of(name), ["--full", "--dry_run"]) == 0
    out = capsys.readouterr().out
    assert f"benchmarks/{name}.py --full" in out
    assert "GPU hours" in out


def test_figure2_shows_the_committed_rows():
    names = figure2.COMMITTED["reduced"]
    assert claims.published(claim_of("figure2")) == from_csv(to_csv(figure2.committed(names), {}))


def test_page_and_figures_are_made_from_the_committed_records():
    assert claims_page.main(["--check"]) == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--quick", "--full"], "one of them"), (["--quick", "--publish"], "leave out --quick")],
)
def test_flags_that_do_not_go_together(flags, said, tmp_path, capsys):
    assert claims.main(claim_of("figure2"), [*flags, "--save_path", str(tmp_path)]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_records_come_back_from_their_csv():
    records = [{"a": 1, "b": "x 1.5", "c": 0.123456789}, {"a": None, "d": "true", "c": -2.0}]
    back = from_csv(to_csv(records, {"claim": "any, with a comma"}))
    assert back == [
        {"a": 1, "b": "x 1.5", "c": 0.123457, "d": None},
        {"a": None, "b": None, "c": -2, "d": "true"},
    ]


def test_a_seed_s_values_are_averaged():
    values = ((0, "a", 1.0), (0, "a", 3.0), (1, "b", 5.0))
    records = [{"seed": seed, "method": m, "accuracy": value} for seed, m, value in values]
    assert by_seed(records) == {0: 2.0, 1: 5.0}
    assert by_seed(records, method="b") == {1: 5.0}


def test_a_step_is_not_done_twice_unless_something_changed(tmp_path):
    size = Size("Digits", ("MLP",), (0.1,), 1)
    setting = Setting(size, "", tmp_path, torch.device("cpu"), Progress(quiet=True))
    done = []

    def work():
        done.append(1)
        return [{"x": len(done)}]

    assert setting.once("step", [1], work) == setting.once("step", [1], work) == [{"x": 1}]
    assert setting.once("step", [2], work) == [{"x": 2}]


def paired(*differences):
    seeds = dict(enumerate(differences))
    found = paired_difference({"a": seeds, "b": dict.fromkeys(seeds, 0.0)}, "a", "b")
    return dataclasses.replace(found, p_adjusted=None if found.p is None else holm({"a": found.p})["a"])


def words(asked, *cells: Paired):
    return margin_verdict("it", list(cells), asked).word


def test_equal_holds_when_all_are_and_not_when_one_is_far():
    near, far, wide = paired(0.1, 0.2, 0.0, 0.1), paired(2.0, 2.1, 2.2, 2.1), paired(-3.0, 3.0, 1.0)
    assert words(equivalence, near, near) == HOLDS
    assert words(equivalence, near, far) == FAILS
    assert words(equivalence, near, wide) == UNTOLD
    assert words(equivalence, wide, far) == FAILS


def test_a_gain_is_no_loss():
    better, worse, wide = paired(2.0, 2.1, 2.2, 2.1), paired(-2.0, -2.1, -2.2), paired(-3.0, 3.0, 1.0)
    assert words(noninferiority, better, better) == HOLDS
    assert words(noninferiority, better, worse) == FAILS
    assert words(noninferiority, better, wide) == UNTOLD
    assert "within 1 point on both sides: no 1" in margin_verdict("it", [better]).measured


def test_the_interval_that_decides_is_printed():
    """The mean is -2, its error 0.2 and t at 5% and 2.5% with three degrees of freedom 2.353 and 3.182."""
    cells = [paired(0.0, 0.0, 0.1), paired(-1.6, -2.4, -2.2, -1.8), paired(1.0, 2.0, 9.0)]
    half = 0.3651484 / 2
    text = margin_verdict("it", cells[:2]).measured
    assert f"“no”: -2.00 points [{-2 - 2.3534 * half:.2f}, {-2 + 2.3534 * half:.2f}] (90%)" in text
    assert f"[{-2 - 3.1824 * half:.2f}, {-2 + 3.1824 * half:.2f}] (95%)" in text


def test_a_side_needs_every_fraction():
    below, above, wide = paired(-2.0, -2.1, -2.2), paired(2.0, 2.1, 2.2), paired(-3.0, 3.0, 1.0)
    assert side_verdict("it", {0.1: below, 0.2: below}, "below").word == HOLDS
    assert side_verdict("it", {0.1: above, 0.2: above}, "above").word == HOLDS
    assert side_verdict("it", {0.1: below, 0.2: wide}, "below").word == UNTOLD
    assert side_verdict("it", {0.1: below, 0.2: above}, "below").word == FAILS


def test_signs_of_one_claim_are_corrected():
    """A p of 0.046 decides alone, and not among three: Holm makes it 0.14."""
    barely, wide = paired(-1.6, -2.6, -3.6), paired(-3.0, 3.0, 1.0)
    assert 0.04 < barely.p < 0.05
    assert [v.word for v in by_sign({"a": barely})] == [FAILS]
    assert [v.word for v in by_sign({"a": barely, "b": wide, "c": wide})] == [UNTOLD] * 3
    assert [v.word for v in by_sign({"a": paired(2.0, 2.1, 2.2), "b": wide})] == [HOLDS, UNTOLD]
    assert f"p = {3 * barely.p:.2g}" in by_sign({"a": barely, "b": wide, "c": wide})[0].measured


def test_beside_a_threshold():
    found = adjusted({"high": beside([97.0, 98.0, 97.5], 95.0), "near": beside([94.0, 95.0, 96.0], 95.0)})
    assert is_above(found["high"]) is True
    assert is_above(found["near"]) is None


def test_exact_interval_of_a_share():
    """0 of 20: 1 - 0.025 ** (1 / 20) = 16.84%."""
    low, high = share_interval(0, 20)
    assert (low, high) == (0.0, pytest.approx(100 * (1 - 0.025 ** (1 / 20))))
    assert share_interval(1, 20) == (pytest.approx(0.127, abs=0.001), pytest.approx(24.87, abs=0.01))


def test_gpu_hours_of_digits_are_those_of_its_plan():
    """The stand-in has the real sizes, so the passes are those that a run would count."""
    spec = Size("Digits", ("MLP",), (0.1,), 2, 3).experiment(["CLD", "Full"])
    digits = datasets.load("Digits")
    assert (len(stand_in("Digits").train), len(stand_in("Digits").test)) == (
        len(digits.train),
        len(digits.test),
    )
    n, q = 1_292, 145
    by_hand = 2 * (3 * n + 3 * 129 + 3 * n)  # proxy, coreset, all data
    loads = loads_of(spec, "Digits")
    assert sum(load.train for load in loads) == pytest.approx(by_hand, rel=0.01)
    recorded = 2 * (4 * n + 4 * q + 2 * 360)
    assert sum(load.forward for load in loads) == pytest.approx(recorded, rel=0.01)
    flops = flops_per_example(nets.build("MLP", (1, 8, 8), 10, seed=0), (1, 8, 8))
    hours = gpu_hours([Load("Digits", "MLP", 1000, 500)], flops_per_second=1e6)
    assert hours == pytest.approx(
        (1000 * (flops["forward"] + flops["backward"]) + 500 * flops["forward"]) / 3.6e9
    )


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (14_746, "about 15,000"),
        (2_510, "about 2,500"),
        (9.04, "about 9"),
        (0.44, "about 0.44"),
        (0.0004, "less than 0.1"),
    ],
)
def test_hours_have_two_digits(hours, said):
    assert hours_words(hours) == said


def test_page_says_whether_the_paper_has_the_size():
    assert "at the paper's size, `" in claims_page.part(claim_of("lds"))
    assert "at a larger size, `" in claims_page.part(claim_of("theory_check"))


def test_large_data_are_counted_in_full():
    spec = Size("CIFAR100", ("ResNet18",), (0.1,), 5).experiment(["Random"])
    (load,) = loads_of(spec, "CIFAR100")
    assert load.train == pytest.approx(5 * 164 * 4_500, rel=0.01)
    assert load.forward == 5 * 10_000
    assert len(stand_in("CIFAR100").train) == 50_000


def test_the_paper_s_own_table_by_hand():
    """CIFAR-100 at 50%: D2 49, CLD 46.18."""
    gap, other = figure2.printed_gaps(GRIDS["cifar100"].paper)[0.5]
    assert (round(gap, 2), other) == (-2.82, "D2")
    sentence = figure2.printed_sentence(GRIDS["cifar100"])
    assert "at 12 of 17 fractions, by more than 1 point at 3" in sentence
    assert "never by more than 1 point" in figure2.printed_sentence(GRIDS["imagenet"])
