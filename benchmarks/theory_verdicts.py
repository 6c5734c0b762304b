"""What the records of theory_check.py say: verdicts, table, remarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from benchmarks.claim_intervals import adjusted, beside, is_above, p_words, t_interval
from benchmarks.claims import Record, Verdict, measured, verdict_by
from benchmarks.wording import claim
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

METHODS = ("CLD", "CLD:keep=lowest", "LTC", "Random", "DUAL", "CCS", "EL2N", "Forgetting", "AUM")


def values(records: Sequence[Record], measure: str, method: str, fraction: float) -> list[float]:
    """Of each seed."""
    wanted = (measure, method, fraction)
    return [r["value"] for r in records if (r["measure"], r["method"], r["fraction"]) == wanted]


def fractions_of(records: Sequence[Record]) -> list[float]:
    """Of the coresets, ascending."""
    return sorted({r["fraction"] for r in records if r["measure"] == "accuracy"})


def rank_agreement(records: Sequence[Record]) -> list[float]:
    """Of each seed: Spearman's correlation over methods of -kappa with accuracy, mean over fractions."""
    seeds = range(len(values(records, "accuracy", "CLD", fractions_of(records)[0])))
    found = []
    for seed in seeds:
        of_seed = []
        for fraction in fractions_of(records):
            pairs = [
                (
                    values(records, "kappa_mean", m, fraction)[seed],
                    values(records, "accuracy", m, fraction)[seed],
                )
                for m in METHODS
            ]
            kappa, accuracy = zip(*pairs, strict=True)
            of_seed.append(spearmanr(-np.array(kappa), accuracy)[0])
        found.append(float(np.mean(of_seed)))
    return found


def runs(records: Sequence[Record], measure: str) -> list[float]:
    """Of every method, fraction and seed."""
    return [v for f in fractions_of(records) for m in METHODS for v in values(records, measure, m, f)]


def by_run_of_seed(records: Sequence[Record], measure: str) -> np.ndarray:
    """Of each seed, the mean over methods and fractions."""
    return np.mean([values(records, measure, m, f) for f in fractions_of(records) for m in METHODS], axis=0)


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Lemma 1, Eq. 46, Eq. 15, and what kappa is good for. What is tested over seeds is corrected by Holm."""
    lemma, omitted, kappa, rank = _over_seeds(records)
    return [*lemma, _printed_bound(records), omitted, _bound(records), kappa, rank]


def _over_seeds(records: Sequence[Record]) -> tuple[list[Verdict], Verdict, Verdict, Verdict]:
    """Means over seeds beside thresholds."""
    tests, words = {}, {}
    for where, said in (("overall", "all samples"), ("within", "the samples of a class")):
        for kind in ("global", "class"):
            what = (
                f"CLD ranks {said} as the cosine with the validation gradient does: Spearman above 0.5, a "
                f"threshold that is not in the paper ({kind} trajectory)"
            )
            found = values(records, f"alignment_{kind}_{where}", "all", 1.0)
            tests[what], words[what] = beside(found, 0.5), measured(*t_interval(found), "")
    what = (
        "the square of the difference of the norms, which Eq. 46 omits, is below 5% of ||g - G_V||^2, a "
        "threshold that is not in the paper"
    )
    omitted = 100 * by_run_of_seed(records, "omitted")
    mean, low, high = t_interval(omitted)
    tests[what], words[what] = beside(-omitted, -5.0), f"{mean:.1f}% [{low:.1f}, {high:.1f}]"
    what = "kappa, the mean of 1 - cos, is smaller for CLD's coresets than for random ones of the same size"
    cld, random = (
        np.mean([values(records, "kappa_mean", m, f) for f in fractions_of(records)], axis=0)
        for m in ("CLD", "Random")
    )
    tests[what], words[what] = beside(random - cld, 0.0), measured(*t_interval(cld - random), "")
    what = "the smaller kappa, the higher the accuracy: Spearman over methods is above 0"
    ranks = rank_agreement(records)
    tests[what], words[what] = beside(ranks, 0.0), measured(*t_interval(ranks), "")
    *lemma, omitted, kappa, rank = [
        verdict_by(is_above(test), what, f"{words[what]}, {p_words(test)}")
        for what, test in adjusted(tests).items()
    ]
    return lemma, omitted, kappa, rank


def _printed_bound(records: Sequence[Record]) -> Verdict:
    """Whether Eq. 46 as printed is exceeded in any run."""
    shares = np.array(runs(records, "printed_violated"))
    what = (
        "Eq. 46 as printed is not exceeded by any sample with its own angle: ||g - G_V||^2 <= 2 B^2 (1 - cos)"
    )
    text = f"in {(shares > 0).sum()} of the {len(shares)} runs a sample exceeds it"
    if shares.any():
        text += f", at most {100 * shares.max():.2f}% of a run's pairs of sample and step"
    return verdict_by(not shares.any(), what, text)


def _bound(records: Sequence[Record]) -> Verdict:
    """Whether the right side of (15) is below what is known without training, in every run."""
    terms = [np.array(runs(records, f"term_{name}")) for name in ("start", "step", "alignment")]
    right, start = np.sum(terms, axis=0), np.array(runs(records, "risk2_start"))
    left = np.array(runs(records, "risk2_min"))
    text = (
        f"so in {(right < start).sum()} of the {len(right)} runs; on average left side {left.mean():.2g}, "
        f"right side {right.mean():.3g} ({' + '.join(f'{t.mean():.3g}' for t in terms)}), before training "
        f"{start.mean():.3g}"
    )
    what = "the bound (15) says more than the start: its right side is below ||grad R(theta_0)||^2"
    return verdict_by(bool((right < start).all()), what, text)


def table(records: Sequence[Record]) -> TextTable:
    """A line for each method and fraction."""
    lines = []
    shown = ("accuracy", "kappa_mean", "kappa_max", "delta", "error", "printed_ratio", "corrected_ratio")
    for fraction in fractions_of(records):
        rows = [
            (m, percent(fraction), *(float(np.mean(values(records, name, m, fraction))) for name in shown))
            for m in METHODS
        ]
        rows.sort(key=lambda row: -row[2])
        lines += [(*row[:2], f"{row[2]:.2f}", *(f"{v:.3f}" for v in row[3:])) for row in rows]
    headers = ("method", "kept", "accuracy", "mean kappa", "largest kappa", "largest delta", "largest error",
               "distance / bound, printed", "distance / bound, corrected")  # fmt: skip
    seeds = len(values(records, "curvature", "all", 1.0))
    return TextTable(f"Gradient descent on coresets, mean of {seeds} seeds", headers, tuple(lines))


def remarks(records: Sequence[Record]) -> list[str]:
    """How far kappa is from 0, whether the step is short enough for the theorem, and what R_inf does."""
    large = fractions_of(records)[-1]
    mean, largest = (
        float(np.mean(values(records, name, "CLD", large))) for name in ("kappa_mean", "kappa_max")
    )
    curvature = max(values(records, "curvature", "all", 1.0))
    first = max(runs(records, "term_start"))
    return [
        claim(
            mean > 0.5 and largest > 1,
            "Gradients of single samples are far from the validation gradient, also those that CLD keeps: "
            f"at {percent(large)} their mean cosine with it is {1 - mean:.2f} and the smallest is "
            f"{1 - largest:.2f}, where the theorem has cosines near 1 in mind.",
        ),
        claim(
            curvature > 0,
            f"The largest curvature met is {curvature:.1f}, so steps below {1 / curvature:.2f} are "
            "short enough for the mean loss; the theorem asks for it of every sample's loss.",
        ),
        claim(
            first > 0,
            "The second and third term of (15) are no smaller with the true B and L. R_inf = 0 makes the "
            f"first too large, by at most {first:.3g}.",
        ),
    ]
