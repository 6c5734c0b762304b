"""What the scripts of the paper's claims make of records that are written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import brittleness, figure2, lds, min_fraction, theory_check, transfer, validation_proxy
from benchmarks.claim_curves import differences
from benchmarks.claims import FAILS, HOLDS, UNTOLD
from deepcore.analysis.min_fraction import MinFraction


def of_transfer(gaps):
    """Three seeds of an oracle at 90% and of networks that differ from it by the gaps and a little noise."""
    records = []
    for seed in range(3):
        for target in ("A", "B", "C"):
            for proxy in ("A", "B", "C"):
                accuracy = 90 + gaps.get((target, proxy), 0.0) + 0.1 * seed * (proxy != target)
                records.append({"kind": "accuracy", "proxy": proxy, "target": target, "method": "CLD",
                                "fraction": 0.1, "seed": seed, "accuracy": accuracy})  # fmt: skip
            records.append({"kind": "accuracy", "proxy": None, "target": target, "method": "Random",
                            "fraction": 0.1, "seed": seed, "accuracy": 92 + 0.3 * seed})  # fmt: skip
    return records


def test_a_gain_from_one_network_does_not_hide_the_loss_from_another():
    first, average, control, _ = transfer.judge(of_transfer({("A", "B"): 8.0, ("A", "C"): -8.0}))
    assert (first.word, average.word, control.word) == (FAILS, HOLDS, HOLDS)
    assert "6 tests" in first.measured


def test_table_and_verdict_of_transfer_have_the_same_tests():
    records = of_transfer({("A", "B"): -1.25})
    table, verdict = transfer.table(records), transfer.judge(records)[0]
    answers = [row[7] for row in table.rows if row[2] != "Random"]
    counts = ", ".join(f"{w} {answers.count(w)}" for w in ("yes", "no", "undecided") if w in answers)
    assert f"6 tests; loss below 1 point: {counts};" in verdict.measured


def test_cld_above_random_at_every_fraction_is_corrected():
    """At one of two fractions CLD is below with p near 0.05: alone that would decide."""
    values = {0.1: (-1.6, -2.6, -3.6), 0.2: (-3.0, 3.0, 1.0)}
    records = [
        {"dataset": "D", "method": method, "fraction": f, "seed": seed, "accuracy": 50 + gap * own}
        for f, gaps in values.items()
        for seed, gap in enumerate(gaps)
        for method, own in (("CLD", 1), ("Random", 0), ("AUM", 0))
    ]
    assert differences(records, "CLD", "Random")[0.1].high < 0
    assert figure2.judge(records)[1].word == UNTOLD


def test_rows_are_said_to_be_of_so_many_epochs_and_seeds():
    records = [
        {"dataset": "FashionMNIST", "method": "CLD", "fraction": f, "seed": seed, "accuracy": 80.0}
        for f, seeds in ((0.1, 4), (0.3, 2))
        for seed in range(seeds)
    ]
    said = figure2.trained_sentence(records, "FashionMNIST")
    assert said == "FashionMNIST: MLP, 164 epochs, 4 seeds (2 at 30%)."
    records += [{**record, "method": "AUM"} for record in records if record["fraction"] == 0.1]
    records += [{**record, "method": "AUM"} for record in records[4:5]]
    said = figure2.trained_sentence(records, "FashionMNIST")
    assert said == "FashionMNIST: MLP, 164 epochs, 4 seeds (1 to 2 at 30%)."


def test_proportional_is_compared_with_each_other_set():
    accuracy = {"highest": 60, "lowest": 70, "mixed": 70, "random": 70, "proportional": 72}
    records = [
        {"kind": "accuracy", "set": name, "seed": seed, "fraction": 0.1, "accuracy": value + 0.1 * seed * i}
        for i, (name, value) in enumerate({**accuracy, "random coreset": 80}.items()) for seed in range(5)
    ]  # fmt: skip
    found = {v.what: v.word for v in validation_proxy.judge(records)}
    against = [word for what, word in found.items() if "in proportion to mem is better than" in what]
    assert against == [HOLDS] * 4
    assert found["a random validation set is better than one of the highest-mem rows"] == HOLDS


def of_theory(**violated):
    """Three seeds of all methods at one fraction; `violated`: the share of a method that exceeds Eq. 46."""
    own = {"omitted": 0.7, "kappa_mean": 0.9, "term_start": 0.4, "term_step": 1.0, "term_alignment": 1.0,
           "risk2_start": 1.0, "risk2_min": 0.1}  # fmt: skip
    found = [
        {
            "fraction": 1.0,
            "measure": f"alignment_{kind}_{where}",
            "method": "all",
            "seed": seed,
            "value": value,
        }
        for kind in ("global", "class")
        for where in ("overall", "within")
        for seed, value in enumerate((0.2, 0.3, 0.25))
    ]
    for i, method in enumerate(theory_check.METHODS):
        for seed in range(3):
            values = {**own, "accuracy": 80 + i + seed, "printed_violated": 0.0}
            values["kappa_mean"] += 0.001 * ((i * (seed + 2)) % 5)
            values["omitted"] += 0.01 * seed
            if seed == 1 and method in violated:
                values["printed_violated"] = violated[method]
            found += [
                {"fraction": 0.1, "measure": m, "method": method, "seed": seed, "value": v}
                for m, v in values.items()
            ]
    return found


def eq_46(records):
    return next(v for v in theory_check.judge(records) if v.what.startswith("Eq. 46"))


def test_one_sample_of_any_method_breaks_eq_46():
    assert eq_46(of_theory()).word == HOLDS
    found = eq_46(of_theory(LTC=0.0005))
    assert found.word == FAILS
    assert "in 1 of the 27 runs" in found.measured
    assert "0.05%" in found.measured


def test_thresholds_of_the_theorem_are_marked():
    marked = [
        v.what for v in theory_check.judge(of_theory()) if "a threshold that is not in the paper" in v.what
    ]
    assert len(marked) == 5


def of_lds(*values, width=0.02, far=0.03, **where):
    """Records with the same half widths at three alphas."""
    return [
        {"alpha": alpha, "lds": v, "low": v - width, "high": v + width, "far_low": v - far,
         "far_high": v + far, "queries": 100, **where}
        for alpha, v in zip((0.3, 0.5, 0.7), values, strict=True)
    ]  # fmt: skip


def all_lds(random=0.0, trak=0.15):
    found = []
    for kind in ("margin", "accuracy"):
        found += of_lds(*[random] * 3, outcome=kind, attribution="Random")
        found += of_lds(0.1, 0.1, 0.1, outcome=kind, attribution="CLD_infl")
        for name, gap in (("TracIn", 0.3), ("TRAK", trak - 0.1)):
            found += of_lds(*[gap] * 3, outcome=kind, attribution=f"{name} minus CLD_infl")
            (last,) = of_lds(0.1, 0.1, 0.1, outcome=kind, attribution=f"{name} narrows")[:1]
            found.append({**last, "alpha": None})
    return found


def test_lds_is_judged_for_both_outcomes_and_for_trak():
    found = {v.what: v.word for v in lds.judge(all_lds(trak=0.1))}
    for kind in ("accuracy", "margin"):
        assert found[f"CLD_infl's LDS is above 0 (outcome: {kind})"] == HOLDS
        assert found[f"TracIn's LDS is at most 0.05 above CLD_infl's (outcome: {kind})"] == FAILS
        assert found[f"TRAK's LDS is at most 0.05 above CLD_infl's (outcome: {kind})"] == HOLDS
        assert found[f"the gap to TRAK narrows as alpha grows (outcome: {kind})"] == HOLDS
    near = {v.what: v.word for v in lds.judge(all_lds(trak=0.15))}
    assert near["TRAK's LDS is at most 0.05 above CLD_infl's (outcome: margin)"] == UNTOLD


def test_a_wide_interval_with_0_in_it_is_not_0():
    assert lds.judge(all_lds(random=0.0))[0].word == HOLDS
    assert lds.judge(all_lds(random=0.09))[0].word == UNTOLD
    assert lds.judge(all_lds(random=0.2))[0].word == FAILS


def test_no_needs_the_wider_interval():
    """The 95% interval lies above the margin, the corrected one does not."""
    records = of_lds(0.075, 0.0, 0.0, width=0.02, far=0.03)
    assert lds._within("it", records, -np.inf, 0.05).word == UNTOLD
    assert lds._within("it", of_lds(0.085, 0.0, 0.0), -np.inf, 0.05).word == FAILS


def of_queries(**flipped):
    """Twenty queries; the numbers of those that flip, of each attribution at both k."""
    names = {"own": brittleness.CLD, "random": brittleness.RANDOM, "same": brittleness.OF_CLASS,
             "tracin": brittleness.TRACIN}  # fmt: skip
    return [
        {"attribution": name, "removed": k, "query": q, "flipped": float(q < flipped.get(key, 0))}
        for key, name in names.items()
        for k in (20, 80)
        for q in range(20)
    ]


def test_no_flip_of_twenty_is_not_0_for_sure():
    assert brittleness.share_words(np.zeros(20, bool)) == "0% [0, 17]"
    assert brittleness.share_words(np.arange(20) < 1) == "5% [0, 25]"


def test_flips_are_compared_by_the_exact_test():
    """Six queries flip in one case alone: p is 2 / 64 = 0.03, after Holm over three tests 0.09."""
    test = brittleness.mcnemar(6, 0, 20)
    assert test.p == pytest.approx(2 / 64)
    found = brittleness.judge(of_queries(own=6, same=6, tracin=6))
    assert [v.word for v in found] == [UNTOLD] * 4
    assert "of 20 queries, 6 only so and 0 only in the other case, p = 0.094" in found[0].measured
    found = brittleness.judge(of_queries(own=12, same=12, tracin=0))
    assert [v.word for v in found] == [HOLDS, UNTOLD, HOLDS, UNTOLD]


def test_a_query_flips_when_most_retrainings_do():
    records = [
        {"attribution": "a", "removed": 20, "query": q, "flipped": share}
        for q, share in enumerate((0.4, 0.6, 1.0))
    ]
    assert brittleness.flips(records, "a", 20).tolist() == [False, True, True]


def test_smallest_share_names_the_fractions_measured():
    measured = [0.2, 0.5, 0.9, 1.0]
    assert min_fraction.words(MinFraction(0.98, 0.975, 0.99, 5, False), measured).startswith(
        "between 90 and 100% (interpolated 98% ["
    )
    assert min_fraction.bracket(0.5, measured) == (0.2, 0.5)
    assert min_fraction.words(MinFraction(0.2, 0.2, 0.2, 5, True), measured) == "at most 20%"
