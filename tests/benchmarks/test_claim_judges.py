"""What the scripts of the paper's claims make of records that are written by hand."""

from __future__ import annotations

import numpy as np

from benchmarks import lds, min_fraction
from benchmarks.claims import FAILS, HOLDS, UNTOLD
from deepcore.analysis.min_fraction import MinFraction


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


def test_smallest_share_names_the_fractions_measured():
    measured = [0.2, 0.5, 0.9, 1.0]
    assert min_fraction.words(MinFraction(0.98, 0.975, 0.99, 5, False), measured).startswith(
        "between 90 and 100% (interpolated 98% ["
    )
    assert min_fraction.bracket(0.5, measured) == (0.2, 0.5)
    assert min_fraction.words(MinFraction(0.2, 0.2, 0.2, 5, True), measured) == "at most 20%"
