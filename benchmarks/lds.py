"""Figure 8a: the linear datamodeling score (LDS) of CLD_infl beside other attributions (Eq. 65).

    python benchmarks/lds.py

Attributions come from networks trained on all samples. Then networks are trained on random subsets, and for
each query the outcome over the subsets is correlated with the sum of the attributions in the subset. The
outcome is the query's margin, log(p / (1 - p)), as TRAK's authors measure it, and its accuracy, as the CLD
paper does; a query whose accuracy is the same for all subsets has no correlation and is left out. "Other
retrainings" is the correlation of one retraining of the subsets with the mean of the others: what noise
leaves to be explained. With `dattri` installed, its TRAK is among the attributions.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks import trak
from benchmarks.attributors import (
    CLD,
    COLOURS,
    RANDOM,
    TRACIN,
    TRAK,
    attribute,
    bootstrap_lds,
    lds,
    margins,
    spearman_rows,
)
from benchmarks.claim_intervals import interval
from benchmarks.claims import Claim, Record, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.kept_arrays import kept_arrays
from benchmarks.many_nets import Member, train_many
from deepcore.common.seeding import stream
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CEILING = "Other retrainings"
MARGIN, ACCURACY = "margin", "accuracy"
RIVALS = {TRACIN: "TracIn", TRAK: "TRAK"}  # which the paper calls close to CLD_infl
NEAR, ZERO = 0.05, 0.1  # an LDS that is at most so much above another; one that counts as 0


@dataclass(frozen=True)
class LdsSize(Size):
    """`fractions` are the alphas and `seeds` the retrainings of each subset. Also: queries, subsets, networks
    behind the attributions, and bootstrap replicates."""

    queries: int = 100
    subsets: int = 50
    models: int = 10
    replicates: int = 2000


SIZES = {
    "quick": LdsSize("Digits", ("MLP",), (0.3, 0.7), 2, 8, queries=40, subsets=16, models=2, replicates=50),
    "reduced": LdsSize("Digits", ("MLP",), (0.3, 0.5, 0.7), 3, 20, models=3),
    "full": LdsSize("CIFAR10", ("ResNet9",), (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), 10, 40, 200, 100),
}


def loads(size: LdsSize) -> list[Load]:
    """Networks behind the attributions and on subsets."""
    n, epochs = len(stand_in(size.dataset).train), size.recipe.epochs
    retrained = sum(size.fractions) * size.subsets * size.seeds
    recorded = size.models * (n + size.queries) * (epochs + 1)
    return [Load(size.dataset, size.nets[0], n * epochs * (size.models + retrained), recorded)]


def measure(setting: Setting) -> list[Record]:
    """Attributions, outcomes alpha by alpha, and the scores."""
    size = setting.size
    queries = queries_of(setting)
    attributions = attributions_of(setting, queries)
    records: list[Record] = []
    replicates: dict[tuple[str, float, str], np.ndarray] = {}
    for alpha in size.fractions:
        subsets = subsets_of(setting, alpha)
        outcomes = _outcomes(setting, queries, subsets, alpha)
        for kind, values in outcomes.items():
            found = _scores(setting, attributions, subsets, values)
            for name, (scores, drawn) in found.items():
                replicates[kind, alpha, name] = drawn
                mean, known = float(np.nanmean(scores)), np.isfinite(scores).sum()
                records.append(_record(kind, alpha, name, mean, drawn, len(size.fractions), known))
    return records + _gaps(size, records, replicates)


def queries_of(setting: Setting) -> np.ndarray:
    """Random ids of the test part."""
    count = len(setting.data.test)
    return np.sort(stream(0, "queries").choice(count, min(setting.size.queries, count), replace=False))


def attributions_of(setting: Setting, queries: np.ndarray) -> dict[str, np.ndarray]:
    """(queries, N) each, kept in a file."""
    size, data = setting.size, setting.data
    samples = np.arange(len(data.train))
    seeds = range(size.models)

    def work() -> dict[str, np.ndarray]:
        setting.progress.say(f"attributions: {len(seeds)} networks on {len(samples):,} samples")
        return attribute(
            size.nets[0],
            data,
            samples,
            queries,
            size.recipe,
            seeds,
            device=setting.device,
            rng=stream(0, "random attribution"),
        )

    of = {
        "net": size.nets[0],
        "recipe": dataclasses.asdict(size.recipe),
        "models": size.models,
        "queries": len(queries),
        "trak": trak.installed(),
    }
    return kept_arrays(setting, "attributions", of, work)


def subsets_of(setting: Setting, alpha: float) -> np.ndarray:
    """(subsets, N) bool, each with ceil(alpha N) samples."""
    n, rng = len(setting.data.train), stream(0, "subsets", alpha)
    found = np.zeros((setting.size.subsets, n), dtype=bool)
    for row in found:
        row[rng.choice(n, int(np.ceil(alpha * n)), replace=False)] = True
    return found


def _outcomes(
    setting: Setting, queries: np.ndarray, subsets: np.ndarray, alpha: float
) -> dict[str, np.ndarray]:
    """Margins and accuracies of the queries, (subsets, retrainings, Q) each."""
    size, data = setting.size, setting.data

    def work() -> dict[str, np.ndarray]:
        members = [
            Member(np.flatnonzero(row), 1000 + j * size.seeds + r)
            for j, row in enumerate(subsets)
            for r in range(size.seeds)
        ]
        found = np.empty((2, len(members), len(queries)), np.float32)
        labels = torch.from_numpy(data.test.labels[queries]).to(setting.device)
        with setting.progress.bar(len(members), f"alpha {alpha}: networks") as advance:
            for which, networks in train_many(
                size.nets[0], data.train, data.num_classes, members, size.recipe, device=setting.device
            ):
                _, logits = networks.outputs(data.test, queries)
                found[0, which] = margins(logits, labels).cpu().numpy()
                found[1, which] = (logits.argmax(-1) == labels).cpu().numpy()
                for _ in range(which.start, which.stop):
                    advance()
        shape = (len(subsets), size.seeds, len(queries))
        return {MARGIN: found[0].reshape(shape), ACCURACY: found[1].reshape(shape)}

    setting.progress.say(
        f"alpha {alpha}: {len(subsets) * size.seeds} networks on {subsets[0].sum():,} samples"
    )
    of = {"net": size.nets[0], "recipe": dataclasses.asdict(size.recipe), "subsets": len(subsets)}
    of |= {"retrainings": size.seeds, "queries": len(queries), "alpha": alpha}
    return kept_arrays(setting, "outcomes", of, work)


def _scores(
    setting: Setting,
    attributions: Mapping[str, np.ndarray],
    subsets: np.ndarray,
    values: np.ndarray,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{attribution: (LDS of each query, replicates of the mean)}, and of retrainings among themselves."""
    mean, rng, many = values.mean(axis=1), stream(0, "bootstrap"), setting.size.replicates
    sums = {name: a @ subsets.T.astype(np.float64) for name, a in attributions.items()}
    drawn = bootstrap_lds(sums, mean, rng, many)
    found = {name: (lds(a, subsets, mean), drawn[name]) for name, a in attributions.items()}
    one, others = values[:, 0], values[:, 1:].mean(axis=1)
    drawn = bootstrap_lds({CEILING: one.T}, others, stream(0, "bootstrap"), many)
    return {**found, CEILING: (spearman_rows(one.T, others.T), drawn[CEILING])}


def _record(
    kind: str,
    alpha: float | None,
    name: str,
    value: float,
    drawn: np.ndarray,
    tests: int,
    queries: int | None = None,
) -> Record:
    """With the 95% interval and the wider one (Bonferroni over the tests of a claim) that decides "no"."""
    (low, high), (far_low, far_high) = interval(drawn), interval(drawn, 1 - 0.05 / tests)
    known = {"outcome": kind, "alpha": alpha, "attribution": name, "lds": value, "low": low, "high": high}
    known |= {"far_low": far_low, "far_high": far_high}
    return {**known, "queries": None if queries is None else int(queries)}


def _gaps(size: LdsSize, records: Sequence[Record], replicates: Mapping) -> list[Record]:
    """A rival's LDS minus CLD_infl's at each alpha, and how much less at the largest alpha than at the
    smallest."""
    values = {(r["outcome"], r["alpha"], r["attribution"]): r["lds"] for r in records}
    found = []
    for rival, name in RIVALS.items():
        for kind in (MARGIN, ACCURACY):
            if (kind, size.fractions[0], rival) not in values:
                continue  # TRAK, without dattri
            gaps = {}
            for alpha in size.fractions:
                drawn = replicates[kind, alpha, rival] - replicates[kind, alpha, CLD]
                gaps[alpha] = values[kind, alpha, rival] - values[kind, alpha, CLD], drawn
                found.append(
                    _record(kind, alpha, f"{name} minus CLD_infl", *gaps[alpha], len(size.fractions))
                )
            first, last = gaps[min(gaps)], gaps[max(gaps)]
            narrower = first[0] - last[0], first[1] - last[1]
            found.append(_record(kind, None, f"{name} narrows", *narrower, 1))
    return found


def of(records: Sequence[Record], kind: str, alpha: float | None, name: str) -> Record:
    """One record."""
    wanted = (kind, alpha, name)
    return next(r for r in records if (r["outcome"], r["alpha"], r["attribution"]) == wanted)


def alphas(records: Sequence[Record]) -> list[float]:
    """All alphas, ascending."""
    return sorted({r["alpha"] for r in records if r["alpha"] is not None})


def judge(records: Sequence[Record]) -> list[Verdict]:
    """The script itself, and the paper's sentences for both outcomes: its own is accuracy."""
    at_random = [of(records, MARGIN, alpha, RANDOM) for alpha in alphas(records)]
    what = f"the LDS of a random attribution is 0 but for {ZERO} (a check of this script)"
    found = [_within(what, at_random, -ZERO, ZERO)]
    for kind in (ACCURACY, MARGIN):
        own = [of(records, kind, alpha, CLD) for alpha in alphas(records)]
        found.append(_within(f"CLD_infl's LDS is above 0 (outcome: {kind})", own, 0.0, np.inf))
    rivals = [name for name in RIVALS.values() if any(r["attribution"] == f"{name} narrows" for r in records)]
    for name in rivals:
        for kind in (ACCURACY, MARGIN):
            gaps = [of(records, kind, alpha, f"{name} minus CLD_infl") for alpha in alphas(records)]
            what = f"{name}'s LDS is at most {NEAR} above CLD_infl's (outcome: {kind})"
            found.append(_within(what, gaps, -np.inf, NEAR))
    for name in rivals:
        for kind in (ACCURACY, MARGIN):
            narrower = of(records, kind, None, f"{name} narrows")
            what = f"the gap to {name} narrows as alpha grows (outcome: {kind})"
            found.append(_within(what, [narrower], 0.0, np.inf))
    return found


def _within(what: str, tests: Sequence[Record], low: float, high: float) -> Verdict:
    """Whether all values are between two bounds: holds when every 95% interval is, does not when a wider one
    (Bonferroni over the tests) lies outside."""
    inside = all(low < r["low"] and r["high"] < high for r in tests)
    outside = any(r["far_high"] < low or r["far_low"] > high for r in tests)
    text = "; ".join(_text(r) if r["alpha"] is None else f"alpha {r['alpha']}: {_text(r)}" for r in tests)
    return verdict_by(True if inside else False if outside else None, what, text)


def _text(record: Record) -> str:
    return f"{record['lds']:+.3f} [{record['low']:+.3f}, {record['high']:+.3f}]"


def names(records: Sequence[Record]) -> list[str]:
    """The attributions, best first at the largest alpha."""
    last = [r for r in records if r["outcome"] == MARGIN and r["alpha"] == alphas(records)[-1]]
    found = [r for r in last if not r["attribution"].endswith(" minus CLD_infl")]
    return [r["attribution"] for r in sorted(found, key=lambda r: -r["lds"])]


def table(records: Sequence[Record]) -> TextTable:
    """LDS by attribution and alpha."""
    lines = []
    for name in names(records):
        cells = []
        for kind in (MARGIN, ACCURACY):
            for alpha in alphas(records):
                cells.append(_text(of(records, kind, alpha, name)))
        lines.append((name, *cells))
    headers = [f"{kind}, alpha {alpha}" for kind in (MARGIN, ACCURACY) for alpha in alphas(records)]
    counts = sorted({r["queries"] for r in records if r["outcome"] == ACCURACY and r["queries"] is not None})
    queries = max(r["queries"] or 0 for r in records)
    title = (
        f"LDS, mean over {queries} queries (accuracy: the {counts[0]} to {counts[-1]} whose accuracy "
        "varies), with 95% intervals over queries and subsets"
    )
    return TextTable(title, ("attribution", *headers), tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """LDS against alpha for both outcomes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.2), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    shown = names(records)
    for ax, kind in zip(axes, (MARGIN, ACCURACY), strict=True):
        for i, name in enumerate(shown):
            own = [of(records, kind, alpha, name) for alpha in alphas(records)]
            x = [r["alpha"] + 0.006 * (i - len(shown) / 2) for r in own]
            y = [r["lds"] for r in own]
            error = [[r["lds"] - r["low"] for r in own], [r["high"] - r["lds"] for r in own]]
            error = np.maximum(error, 0)
            style = (0, (2, 2)) if name in (CEILING, RANDOM) else "-"
            thick = 2.4 if name == CLD else 1.3
            colour = COLOURS.get(name, "#777777")
            ax.errorbar(
                x, y, error, color=colour, lw=thick, ls=style, marker="o", markersize=4, elinewidth=0.8,
                label=name,
            )  # fmt: skip
        ax.axhline(0, color="#111111", lw=0.8)
        ax.set_xlabel("alpha, share of the samples in a subset", fontsize=9, color=INK)
        ax.set_xticks(alphas(records))
        of_queries = "all queries" if kind == MARGIN else "queries whose accuracy varies"
        ax.set_title(f"outcome: {kind} ({of_queries})", fontsize=10, color=INK)
        dress(ax, "y")
    axes[0].set_ylabel("LDS: mean, 95% interval", fontsize=9, color=INK)
    axes[1].legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


CLAIM = Claim("lds", "Figure 8a", SIZES, loads, measure, judge, table, draw)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
