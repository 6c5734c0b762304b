"""Figure 8b: does a query's prediction flip when the samples that matter most to it are removed?

    python benchmarks/brittleness.py

For each query, attribution and k, the k samples of the highest attribution are removed, and networks are
trained on the rest. A prediction has flipped when it is not that of the majority of networks trained on all
samples from other seeds; a query has flipped when most of its retrainings have. "Nothing removed" is all
samples with the retrainings' own seeds. Two controls: random samples, and, which the paper lacks, random
samples of the query's class; an attribution that merely names the class does as well as the second.
Attributions are those of lds.py.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from scipy.stats import binomtest

from benchmarks.attributors import CLD, COLOURS, RANDOM, TRACIN
from benchmarks.claim_intervals import adjusted, is_above, p_words, share_interval
from benchmarks.claims import Claim, Record, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.kept_arrays import kept_arrays
from benchmarks.lds import attributions_of, queries_of
from benchmarks.many_nets import Member, train_many
from deepcore.analysis.stats import Paired
from deepcore.common.seeding import stream
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_CLASS, NOTHING = "Random of the query's class", "nothing removed"


@dataclass(frozen=True)
class BrittleSize(Size):
    """`seeds` are the retrainings. Also: queries with attributions, those of them that are tested, the
    numbers of samples removed, and networks behind the attributions and the majority."""

    queries: int = 100
    tested: int = 20
    removed: tuple[int, ...] = (20, 40, 80)
    models: int = 3


SIZES = {
    "quick": BrittleSize("Digits", ("MLP",), (1.0,), 1, 8, queries=40, tested=4, removed=(80,), models=2),
    "reduced": BrittleSize("Digits", ("MLP",), (1.0,), 1, 20),
    "full": BrittleSize(
        "CIFAR10",
        ("ResNet9",),
        (1.0,),
        5,
        40,
        queries=200,
        tested=200,
        removed=(50, 100, 200, 400, 800),
        models=10,
    ),
}


def loads(size: BrittleSize) -> list[Load]:
    """Networks behind the attributions, and a training per query, attribution, k and seed."""
    n, epochs = len(stand_in(size.dataset).train), size.recipe.epochs
    trained = (len(COLOURS) + 1) * size.tested * size.seeds * sum(n - k for k in size.removed)
    recorded = size.models * (n + size.queries) * (epochs + 1)
    return [Load(size.dataset, size.nets[0], epochs * (trained + size.models * n), recorded)]


def measure(setting: Setting) -> list[Record]:
    """Attributions, predictions with all samples, then attribution by attribution."""
    size = setting.size
    attributed = queries_of(setting)
    queries = attributed[: size.tested]
    n, labels = len(setting.data.train), setting.data.train.labels
    others = [Member(np.arange(n), 900 + r) for r in range(max(size.models, 3))]
    of_others = _predictions(setting, queries, others, "majority", range(len(others)))
    majority = np.array([np.bincount(column).argmax() for column in of_others.T])
    everything = [Member(np.arange(n), 500 + r) for r in range(size.seeds)]
    of_all = _predictions(setting, queries, everything, "nothing removed", range(len(everything)))
    records = _records(NOTHING, 0, (of_all != majority).mean(axis=0), None)
    ranked = {
        name: np.argsort(-a[: size.tested], axis=1, kind="stable")
        for name, a in attributions_of(setting, attributed).items()
    }
    ranked[OF_CLASS] = _of_class(labels, setting.data.test.labels[queries])
    for name, order in ranked.items():
        for k in size.removed:
            members = [
                Member(np.setdiff1d(np.arange(n), order[q, :k]), 500 + r)
                for q in range(len(queries))
                for r in range(size.seeds)
            ]
            whose = np.repeat(np.arange(len(queries)), size.seeds)
            found = _predictions(setting, queries[whose], members, f"{name} {k}", None)
            flips = (found != majority[whose]).reshape(len(queries), size.seeds).mean(axis=1)
            same = labels[order[:, :k]] == setting.data.test.labels[queries][:, None]
            records += _records(name, k, flips, same.mean(axis=1))
    return records


def _of_class(labels: np.ndarray, of_queries: np.ndarray) -> np.ndarray:
    """Random orders of the samples that begin with those of each query's class, (Q, N)."""
    rng = stream(0, "random of the class")
    keys = rng.random((len(of_queries), len(labels))) + (labels[None] != of_queries[:, None])
    return np.argsort(keys, axis=1)


def _predictions(
    setting: Setting,
    queries: np.ndarray,
    members: Sequence[Member],
    what: str,
    all_queries: range | None,
) -> np.ndarray:
    """Predicted classes: of every query by every member with `all_queries`, (members, Q); else of the i-th
    query by the i-th member, (members,)."""
    size, data = setting.size, setting.data

    def work() -> dict[str, np.ndarray]:
        found = []
        with setting.progress.bar(len(members), f"{what}: networks") as advance:
            for which, networks in train_many(
                size.nets[0], data.train, data.num_classes, members, size.recipe, device=setting.device
            ):
                _, logits = networks.outputs(data.test, np.unique(queries))
                at = np.searchsorted(np.unique(queries), queries)
                predicted = logits.argmax(-1).cpu().numpy()[:, at]
                if all_queries is None:
                    predicted = predicted[np.arange(len(predicted)), np.arange(which.start, which.stop)]
                found.append(predicted)
                for _ in range(which.start, which.stop):
                    advance()
        setting.progress.say(f"{what}: {len(members)} networks trained")
        return {"predicted": np.concatenate(found)}

    of = {"net": size.nets[0], "recipe": dataclasses.asdict(size.recipe), "what": what, "seeds": size.seeds}
    of |= {"queries": len(queries), "models": size.models}
    return kept_arrays(setting, "predictions", of, work)["predicted"]


def _records(name: str, k: int, flips: np.ndarray, same: np.ndarray | None) -> list[Record]:
    """A record per query."""
    return [
        {"attribution": name, "removed": k, "query": q, "flipped": float(share)}
        | {"same_class": None if same is None else float(same[q])}
        for q, share in enumerate(flips)
    ]


def flips(records: Sequence[Record], name: str, k: int) -> np.ndarray:
    """Whether most retrainings flip each query, (Q,) bool."""
    wanted = (name, k)
    return np.array([r["flipped"] > 0.5 for r in records if (r["attribution"], r["removed"]) == wanted])


def summary(flipped: np.ndarray) -> tuple[float, float, float]:
    """The share of flipped queries in percent, and its exact 95% interval."""
    return (100 * float(flipped.mean()), *share_interval(int(flipped.sum()), len(flipped)))


def share_words(flipped: np.ndarray) -> str:
    """For texts and tables."""
    share, low, high = summary(flipped)
    return f"{share:.0f}% [{low:.0f}, {high:.0f}]"


def counts(records: Sequence[Record]) -> list[int]:
    """The numbers of removed samples, ascending."""
    return sorted({r["removed"] for r in records if r["removed"]})


def names(records: Sequence[Record]) -> list[str]:
    """Attributions, those that flip most first."""
    found = dict.fromkeys(r["attribution"] for r in records if r["removed"])
    return sorted(found, key=lambda name: -flips(records, name, counts(records)[-1]).mean())


def judge(records: Sequence[Record]) -> list[Verdict]:
    """At the largest number of removed samples, by exact tests of the queries that flip in one case alone
    (McNemar), corrected by Holm; and the paper's half of the queries."""
    k = counts(records)[-1]
    own = flips(records, CLD, k)
    tests, words = {}, {}
    for other, what in (
        (RANDOM, "more queries flip than without as many random samples"),
        (OF_CLASS, "more queries flip than without as many random samples of the query's class"),
        (TRACIN, "more queries flip than without TracIn's highest"),
    ):
        more, fewer = alone(own, flips(records, other, k)), alone(flips(records, other, k), own)
        what = f"without the {k} samples of the highest CLD_infl, {what}"
        tests[what] = mcnemar(more, fewer, len(own))
        words[what] = f"of {len(own)} queries, {more} only so and {fewer} only in the other case"
    found = [
        verdict_by(is_above(test), what, f"{words[what]}, {p_words(test)}")
        for what, test in adjusted(tests).items()
    ]
    first = counts(records)[0]
    flipped = flips(records, CLD, first)
    _, low, high = summary(flipped)
    what = (
        f"without the {first} samples of the highest CLD_infl, over half of the queries flip (the paper: "
        "without 800 of 50,000)"
    )
    holds = None if low <= 50 <= high else low > 50
    return [*found, verdict_by(holds, what, f"{share_words(flipped)} of {len(flipped)} queries")]


def alone(flipped: np.ndarray, other: np.ndarray) -> int:
    """The number of queries that flip in one case and not in the other."""
    return int((flipped & ~other).sum())


def mcnemar(more: int, fewer: int, queries: int) -> Paired:
    """The exact sign test of the queries that flip in one case alone."""
    p = float(binomtest(more, more + fewer).pvalue) if more + fewer else 1.0
    return Paired("own", "other", queries, float(more - fewer), p=p)


def table(records: Sequence[Record]) -> TextTable:
    """Flipped queries by attribution and k."""
    lines = []
    for name in names(records):
        cells = []
        for k in counts(records):
            cells.append(share_words(flips(records, name, k)))
        same = [
            r["same_class"]
            for r in records
            if r["attribution"] == name and r["removed"] == counts(records)[-1]
        ]
        lines.append((name, *cells, f"{100 * np.mean(same):.0f}"))
    base = share_words(flips(records, NOTHING, 0))
    lines.append((NOTHING, *[base] * len(counts(records)), "-"))
    ks = [f"{k} removed" for k in counts(records)]
    queries = len(flips(records, CLD, counts(records)[0]))
    title = f"Flipped predictions of {queries} queries, with exact 95% intervals"
    return TextTable(title, ("removed are the highest of", *ks, "of the query's class, %"), tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Flipped queries against k."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.2), dpi=DPI, layout="constrained")
    ax, ks = figure.subplots(), counts(records)
    base = summary(flips(records, NOTHING, 0))
    for i, name in enumerate(names(records)):
        found = np.array([base, *(summary(flips(records, name, k)) for k in ks)])
        x = np.array([0, *ks]) + 0.5 * (i - 3)
        colour = COLOURS.get(name, "#777777")
        style = (0, (2, 2)) if name in (RANDOM, OF_CLASS) else "-"
        error = np.abs(found[:, 1:] - found[:, :1]).T
        ax.errorbar(x, found[:, 0], error, color=colour, ls=style, marker="o", markersize=4,
                    lw=2.4 if name == CLD else 1.3, elinewidth=0.8, label=name)  # fmt: skip
    ax.set_xticks([0, *ks])
    ax.set_xlabel("samples removed for each query", fontsize=9, color=INK)
    ax.set_ylabel("queries whose prediction flips, %\n(exact 95% interval)", fontsize=9, color=INK)
    ax.set_title(
        "Does the prediction flip without the samples of highest attribution?", fontsize=10, color=INK
    )
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    dress(ax, "y")
    return figure


CLAIM = Claim("brittleness", "Figure 8b", SIZES, loads, measure, judge, table, draw)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
