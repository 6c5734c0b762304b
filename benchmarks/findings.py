"""The sentences about the published rows in README.md and docs/results.md.

Every sentence goes through `claim`: when the rows no longer support it, the generator stops, and a person
writes a new sentence. The numbers in the sentences come from the rows.
"""

from __future__ import annotations

import math

from benchmarks.in_rows import (
    CLD,
    FORMS,
    NO_INITIAL,
    ONLINE,
    ONLINE_INITIAL,
    VARIANTS,
    beside,
    costs_at,
    detections,
    flipped_kept,
    gap,
    mean,
    selections,
    sides,
    winners,
)
from benchmarks.published import Head, Published
from benchmarks.study_tables import study_value
from benchmarks.wording import at, bullets, claim, listed, signed
from deepcore.analysis.stats import holm

HARD = ("Forgetting", "EL2N", "GraNd", "AUM", "Glister")  # keep the hardest rows


def fashion_findings(published: Published) -> str:
    """All methods on Fashion-MNIST."""
    head = published.fashion
    none = [f for f in head.fractions if not winners(head, f)]
    tdds = gap(head, "TDDS", 0.3)
    short = {f: mean(head, "Full@k", f) for f in head.fractions}
    over = [m for m in selections(head) if mean(head, m, 0.1) > short[0.1]]
    val = mean(head, "ValOnly", None)
    small = [f for f in head.fractions if f <= 0.05]
    q = head.rows[0].q
    return bullets(
        [
            *_above_random_at_10(head),
            claim(
                winners(head, 0.3) == ["TDDS"], f"At 30% kept, TDDS is above Random, by {tdds:.1f} points."
            ),
            claim(none == [0.002, 0.01, 0.05], f"At {at(none)} kept, no method is above Random."),
            *_hardest_rows(head),
            claim(
                set(over) == {"DUAL", "DynUnc"},
                f"All data for as many steps (Full@k) give {short[0.1]:.2f}% at 10% kept. Only DUAL and "
                "DynUnc have a higher mean.",
            ),
            claim(
                all(val > mean(head, m, f) for f in small for m in selections(head)),
                f"The {q:,} validation rows alone (ValOnly) give {val:.2f}%, more than any coreset of 5% or "
                "less.",
            ),
        ]
    )


def form_findings(published: Published) -> str:
    """The forms of CLD on Fashion-MNIST."""
    head = published.fashion
    below = sides(head, NO_INITIAL)["below"]
    gaps = listed([signed(gap(head, NO_INITIAL, f)) for f in below])
    ltc = sides(head, "LTC")["below"]
    return bullets(
        [
            *_published_cld(head),
            claim(
                below == [0.01, 0.05, 0.1],
                f"CLD without the untrained network's losses is below Random at {at(below)} ({gaps} points).",
            ),
            *_online_cld(head),
            claim(
                ltc == [0.1] and not sides(head, "LTC")["above"],
                f"LTC, the earlier form of CLD, is below Random at 10% ({signed(gap(head, 'LTC', 0.1))} "
                "points).",
            ),
        ]
    )


def score_findings(published: Published) -> str:
    """What the scores of CLD's forms measure."""

    def value(method: str, measure: str, fraction: float | None = None) -> float:
        return study_value(published, method, measure, fraction)

    first = {m: value(m, "first_step") for m in FORMS}
    rho = {m: value(m, "rho_el2n") for m in FORMS}
    kept = value(CLD, "kept_el2n", 0.01)
    return bullets(
        [
            claim(
                min(first[CLD], first[ONLINE_INITIAL]) > 0.5,
                "The first loss difference dominates CLD's score when the untrained network is a checkpoint: "
                f"it holds {first[CLD]:.0%} of the squared deviations of a sample's differences.",
            ),
            claim(
                max(rho[CLD], rho[ONLINE_INITIAL]) < -0.5,
                f"The score is then high for easy samples: its correlation with EL2N is {rho[CLD]:+.2f}.",
            ),
            claim(
                max(abs(rho[NO_INITIAL]), abs(rho[ONLINE])) < 0.2,
                "Without the untrained network, the score is hardly related to EL2N "
                f"({rho[NO_INITIAL]:+.2f}; {rho[ONLINE]:+.2f} online).",
            ),
            claim(
                abs(kept - 50) < 15,
                f"CLD does not keep the easiest samples: at 1%, their mean EL2N percentile is {kept:.0f}, "
                "and 50 is chance.",
            ),
            *_hard_percentile(published),
        ]
    )


def variant_findings(published: Published) -> str:
    """Changes of CLD's fields; Holm over the changes and fractions."""
    head = published.fashion
    pairs = {(m, f): beside(head, m, CLD, f) for m in VARIANTS for f in (0.01, 0.1)}
    adjusted = holm({key: pair.p for key, pair in pairs.items() if pair.p is not None})
    shared = study_value(published, "CLD:first=5", "in_cld", 0.1)
    return bullets(
        [
            claim(
                min(adjusted.values()) >= 0.05,
                "No change of CLD can be told apart from CLD at 1 or 10% kept (Holm over the "
                f"{len(adjusted)} tests). Three seeds are few.",
            ),
            claim(shared > 0.75, f"Half of the epochs are enough to keep {shared:.0%} of the same rows."),
        ]
    )


def cost_findings(published: Published) -> str:
    """What coresets of 10% cost."""
    fashion = costs_at(published.fashion, 0.1)
    whole = [fashion[m] for m in (CLD, ONLINE, "AUM", "CCS", "DUAL", "DynUnc")]
    early = fashion["CLD:first=3"].share
    return bullets(
        [
            claim(
                min(c.share for c in whole) > 1,
                "The proxy is itself trained on all data. A 10% coreset of Fashion-MNIST therefore costs "
                f"{fashion['DUAL'].share:.0%} (DUAL) to {fashion[CLD].share:.0%} (CLD) of one training on "
                "all data.",
            ),
            claim(
                {c.pays_after for c in whole} == {2},
                "Such a coreset pays once it is trained on twice.",
            ),
            claim(
                early < 0.6,
                f"A shorter proxy run costs less: CLD on three of the ten epochs costs {early:.0%}.",
            ),
        ]
    )


def noise_findings(published: Published) -> str:
    """Flipped labels on Fashion-MNIST."""
    auroc = {m: detections(published, m) for m in (CLD, ONLINE, "AUM", "EL2N")}
    kept = {m: flipped_kept(published, m) for m in ("AUM", "EL2N")}
    heads = published.noise
    dynunc = {rate: gap(head, "DynUnc", 0.1) for rate, head in heads.items()}
    rates = f"{listed([str(rate) for rate in heads])}%"
    return bullets(
        [
            *_cld_finds_flipped(published),
            claim(
                min(x - y for m in kept for x, y in zip(auroc[m], auroc[CLD], strict=True)) > 0
                and min(*kept["AUM"], *kept["EL2N"]) > 90,
                "AUM and EL2N find flipped labels better, and keep them: more than 90% of their coresets are "
                "flipped rows.",
            ),
            claim(
                max(auroc[ONLINE]) < 0.55,
                "CLD on online losses does not find flipped labels "
                f"(AUROC {listed([f'{v:.2f}' for v in auroc[ONLINE]])}).",
            ),
            claim(
                all("DynUnc" in winners(head, 0.1) for head in heads.values()),
                f"At 10% kept, DynUnc is above Random with {rates} of the labels flipped, by "
                f"{listed([f'{v:.1f}' for v in dynunc.values()])} points.",
            ),
            claim(
                all(not sides(head, CLD)["above"] + sides(head, CLD)["below"] for head in heads.values()),
                "CLD cannot be told apart from Random at either rate. Three seeds are few.",
            ),
        ]
    )


SIDES = {"above": "above", "below": "below", "": "not told apart from"}


def digits_findings(published: Published) -> str:
    """All methods on Digits, ten seeds."""
    head = published.digits
    up, below = (sides(head, CLD)[side] for side in ("above", "below"))
    gaps = [-gap(head, CLD, f) for f in below]
    by = f", by {min(gaps):.1f} to {max(gaps):.1f} points" if gaps else ""
    dual, share = head.entry("DUAL", 0.1), costs_at(head, 0.1)["DUAL"].share
    above = [f"{len(winners(head, f))} at {at([f])}" for f in head.fractions]
    beaten = [
        f for f in head.fractions if all(mean(head, "Full@k", f) > mean(head, m, f) for m in selections(head))
    ]
    return bullets(
        [
            f"One test image is {100 / head.rows[0].n_test:.2f} points.",
            f"CLD as published is above Random at {at(up)}, below at {at(below)}{by}.",
            f"Selections above Random: {listed(above)}.",
            f"The highest mean minus Random's: {listed(_highest(head, f) for f in head.fractions)}.",
            f"A 10% coreset of DUAL, which reads 30 of the 164 epochs, costs {share:.0%} of training on all "
            f"data. Its mean is {dual.accuracy.mean:.1f}% ({SIDES[dual.beside_random]} Random's).",
            f"All data for as many steps (Full@k) have a higher mean than every coreset at {at(beaten)}: "
            f"{mean(head, 'Full@k', 0.01):.1f}% for the steps of a 1% coreset.",
        ]
    )


def _highest(head: Head, fraction: float) -> str:
    """The selection of the highest mean at a fraction, and its difference from Random."""
    best = max(selections(head), key=lambda m: mean(head, m, fraction))
    return f"{best} {signed(gap(head, best, fraction))} at {at([fraction])}"


def _above_random_at_10(head: Head) -> list[str]:
    dual, dynunc = gap(head, "DUAL", 0.1), gap(head, "DynUnc", 0.1)
    return [
        claim(
            set(winners(head, 0.1)) == {"DUAL", "DynUnc"},
            f"At 10% kept, DUAL and DynUnc are above Random, by {dual:.1f} and {dynunc:.1f} points.",
        )
    ]


def _published_cld(head: Head) -> list[str]:
    below = sides(head, CLD)["below"]
    gaps = listed([signed(gap(head, CLD, f)) for f in below])
    return [
        claim(
            below == [0.01, 0.1] and not sides(head, CLD)["above"],
            f"CLD as published is below Random at {at(below)} ({gaps} points) and cannot be told apart from "
            "it at the other fractions.",
        )
    ]


def _online_cld(head: Head) -> list[str]:
    found = sides(head, ONLINE)
    return [
        claim(
            not found["above"] and not found["below"],
            "CLD on losses from the training batches (`record=online`) cannot be told apart from Random at "
            "any fraction.",
        )
    ]


def _hardest_rows(head: Head) -> list[str]:
    fractions = [0.01, 0.05, 0.1]
    worst = max(gap(head, m, f) for m in HARD for f in fractions)
    return [
        claim(
            worst < -15 and all(head.entry(m, f).beside_random == "below" for m in HARD for f in fractions),
            f"{listed(HARD)} are more than 15 points below Random at {at(fractions)}.",
        )
    ]


def _hard_percentile(published: Published) -> list[str]:
    low = min(study_value(published, m, "kept_el2n", 0.01) for m in HARD)
    return [
        claim(
            low > 95,
            f"{listed(HARD)} keep the hardest samples: at 1%, their mean EL2N percentile is "
            f"{math.floor(low)} or more.",
        )
    ]


def _cld_finds_flipped(published: Published) -> list[str]:
    auroc, kept = detections(published, CLD), flipped_kept(published, CLD)
    rates = f"{listed([str(rate) for rate in published.noise])}%"
    return [
        claim(
            min(auroc) > 0.95 and max(kept) < 1,
            f"CLD's score finds flipped labels: with {rates} of the labels flipped, its AUROC is "
            f"{listed([f'{v:.3f}' for v in auroc])}, and its 10% coresets hold "
            f"{listed([f'{v:.1f}' for v in kept])}% flipped rows.",
        )
    ]
