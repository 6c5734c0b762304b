"""What the published rows say about a method: means, differences, verdicts, costs, flipped rows found."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.published import Head, Published
from deepcore.analysis.measured_costs import MeasuredCost, measured_costs
from deepcore.analysis.stats import Paired, paired_difference
from deepcore.report.noise_report import detection, noise_table

CLD, NO_INITIAL, ONLINE, ONLINE_INITIAL = (
    "CLD",
    "CLD:initial=False",
    "CLD:record=online",
    "CLD:record=online,initial=True",
)
FORMS = {  # of CLD, by the losses that they read
    CLD: "after each epoch, with the untrained network (as published)",
    NO_INITIAL: "after each epoch, without it (as in the authors' code)",
    ONLINE: "in the training batches, without it",
    ONLINE_INITIAL: "in the training batches, with it",
}
VARIANTS = {  # of CLD on Fashion-MNIST
    "CLD:first=3": "30% of the epochs",
    "CLD:first=5": "50% of the epochs",
    "CLD:every=2": "every second checkpoint",
    "CLD:trajectory=global": "one validation trajectory for all classes",
    "CLD:correlation=spearman": "Spearman's correlation",
}


def selections(head: Head) -> list[str]:
    """Names of the selections at a grid's every fraction: without Random and the changes of CLD's fields."""
    labels = dict.fromkeys(e.label for c in head.comparisons for e in c.entries if e.is_selection)
    return [m for m in labels if m != "Random" and (m in FORMS or not m.startswith("CLD:"))]


def winners(head: Head, fraction: float) -> list[str]:
    """The selections above Random."""
    return [m for m in selections(head) if head.entry(m, fraction).beside_random == "above"]


def sides(head: Head, label: str) -> dict[str, list[float]]:
    """The fractions at which a method is above and below Random, or not told apart from it ("")."""
    found: dict[str, list[float]] = {"above": [], "below": [], "": []}
    for fraction in head.fractions:
        found[head.entry(label, fraction).beside_random].append(fraction)
    return found


def gap(head: Head, label: str, fraction: float) -> float:
    """A method minus Random, in points."""
    return head.entry(label, fraction).to_random.difference


def mean(head: Head, label: str, fraction: float | None) -> float:
    """The mean accuracy, in percent."""
    return head.entry(label, fraction).accuracy.mean


def beside(head: Head, label: str, reference: str, fraction: float) -> Paired:
    """A method minus another one, over the seeds that both have, in points."""
    of = {
        name: {r.seed: 100 * r.accuracy for r in head.rows if (r.label, r.fraction) == (name, fraction)}
        for name in (label, reference)
    }
    return paired_difference(of, label, reference)


def costs_at(head: Head, fraction: float) -> Mapping[str, MeasuredCost]:
    """{method: its measured cost} at a fraction."""
    return {c.method: c for c in measured_costs([r for r in head.rows if r.fraction in (fraction, None)])}


def detections(published: Published, method: str) -> list[float]:
    """AUROC of flipped labels at each rate, for 10% kept."""
    return [detection(record["auroc"])[0] for record in _noise_records(published, method)]


def flipped_kept(published: Published, method: str) -> list[float]:
    """Flipped rows among the 10% kept, in percent, at each rate."""
    return [record["flipped_kept"] for record in _noise_records(published, method)]


def _noise_records(published: Published, method: str) -> list[Mapping[str, float]]:
    return [
        next(r for r in noise_table(head.rows).records if (r["method"], r["fraction"]) == (method, 0.1))
        for head in published.noise.values()
    ]
