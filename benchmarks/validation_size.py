"""Section 8, validation size: how many held-out rows CLD needs, and what they cost.

    python benchmarks/validation_size.py --data_path DIR

One proxy run per seed records the losses of a pool of 20% of the rows; validation sets of 1, 2, 5, 10 and 20%
are class-wise parts of it, each within the next. The candidates are the same for all. Beside CLD's coreset
stands what the same rows are worth as training data: a random coreset of the same size, and that coreset with
the validation rows added.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.claim_intervals import by_sign, mean_and_std
from benchmarks.claims import Claim, Record, Setting, Verdict, main
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.pool_split import PoolSize, accuracy_of, chosen, narrowed, pool_run, pool_split
from deepcore.analysis.stats import paired_difference
from deepcore.common.seeding import stream
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable
from methods.cld import CLD
from methods.random import Random

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)  # of all rows, that validate
OF_CLD, RANDOM, ADDED = "CLD", "Random", "Random + validation rows"
COLOURS = {OF_CLD: "#8b0000", RANDOM: "#111111", ADDED: "#1f77b4"}


@dataclass(frozen=True)
class ShareSize(PoolSize):
    """Also: rows in all, a fifth of which is the pool."""

    rows: int = 6_000


SIZES = {
    "quick": ShareSize("Digits", ("MLP",), (0.1,), 3, 10, rows=1_300),
    "reduced": ShareSize("FashionMNIST", ("MLP",), (0.1,), 5, 20, 0.02, augment=False),
    "full": ShareSize("CIFAR100", ("ResNet18",), (0.1,), 5, rows=50_000),
}


def loads(size: ShareSize) -> list[Load]:
    """Proxies and targets."""
    epochs, test = size.recipe.epochs, len(stand_in(size.dataset).test)
    candidates, kept = 0.8 * size.rows, size.fractions[0] * 0.8 * size.rows
    targets = (2 * len(SHARES) + 1) * kept + sum(SHARES) * size.rows
    recorded = size.rows * (epochs + 1) + (2 * len(SHARES) + 1) * test
    return [
        Load(size.dataset, size.nets[0], size.seeds * epochs * (candidates + targets), size.seeds * recorded)
    ]


def nested(labels: np.ndarray, sizes: Sequence[int], rng: np.random.Generator) -> list[np.ndarray]:
    """Class-wise parts of the rows, positions, each within the next.

    Args:
        labels: (n,).
        sizes: ascending; every class gives an equal number, rounded, at least one.
        rng: draws.
    """
    classes = np.unique(labels)
    orders = [rng.permutation(np.flatnonzero(labels == c)) for c in classes]
    each = [max(1, round(size / len(classes))) for size in sizes]
    return [np.sort(np.concatenate([order[:k] for order in orders])) for k in each]


def measure(setting: Setting) -> list[Record]:
    """Seed by seed."""
    return setting.seed_by_seed("validation_size", lambda seed: _of_seed(setting, seed))


def _of_seed(setting: Setting, seed: int) -> list[Record]:
    size, fraction = setting.size, setting.size.fractions[0]
    pool = size.rows // 5
    split = pool_split(setting.data.train.labels, train=size.rows - pool, pool=pool, seed=seed)
    data, run = pool_run(setting, split)
    sizes = [round(share * size.rows) for share in SHARES]
    parts = nested(run.val_labels, sizes, stream(seed, "validation_size"))
    random = chosen(Random(), run, fraction, seed=seed)
    trained = {(RANDOM, None): (random, 0)}
    for share, at in zip(SHARES, parts, strict=True):
        ids = run.val_ids[at]
        trained[OF_CLD, share] = chosen(CLD(), narrowed(run, ids), fraction, seed=seed), len(ids)
        trained[ADDED, share] = np.concatenate([random, ids]), len(ids)
    records: list[Record] = []
    for (what, share), (rows, q) in trained.items():
        accuracy = accuracy_of(setting, data, rows, seed=seed)
        setting.progress.say(f"seed {seed}: {what}, {q} validation rows: {accuracy:.2f}%")
        counts = {"validation_rows": q, "trained_rows": len(rows)}
        records.append({"seed": seed, "method": what, "share": share, **counts, "accuracy": accuracy})
    return records


def accuracies(records: Sequence[Record]) -> dict[str, dict[int, float]]:
    """{method at a share: {seed: accuracy}}."""
    found: dict[str, dict[int, float]] = {}
    for r in records:
        name = r["method"] if r["share"] is None else f"{r['method']} {r['share']}"
        found.setdefault(name, {})[r["seed"]] = r["accuracy"]
    return found


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Paired over seeds."""
    found = accuracies(records)
    small, large = percent(SHARES[0]), percent(SHARES[-1])
    return by_sign(
        {
            f"CLD's coreset is better with {large} of the rows for validation than with {small}": (
                paired_difference(found, f"{OF_CLD} {SHARES[-1]}", f"{OF_CLD} {SHARES[0]}")
            ),
            "with 10% for validation, CLD's coreset is better than a random one that is trained with the "
            "validation rows too (not in the paper)": (
                paired_difference(found, f"{OF_CLD} 0.1", f"{ADDED} 0.1")
            ),
        }
    )


def table(records: Sequence[Record]) -> TextTable:
    """A line for each validation size."""
    found, lines = accuracies(records), []
    at_random = mean_and_std(list(found[RANDOM].values()))
    for share in SHARES:
        q = next(r["validation_rows"] for r in records if r["share"] == share)
        cells = [mean_and_std(list(found[f"{name} {share}"].values())) for name in (OF_CLD, ADDED)]
        lines.append((percent(share), q, cells[0], at_random, cells[1]))
    headers = ("for validation", "rows", OF_CLD, RANDOM, ADDED)
    k = next(r["trained_rows"] for r in records if r["method"] == RANDOM)
    title = f"Accuracy of coresets of {k:,} rows by validation size, {len(found[RANDOM])} seeds"
    return TextTable(title, headers, tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Accuracy against the validation size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), dpi=DPI, layout="constrained")
    ax, found = figure.subplots(), accuracies(records)
    for name, colour in COLOURS.items():
        of = [np.array(list(found[name if name == RANDOM else f"{name} {s}"].values())) for s in SHARES]
        mean = np.array([v.mean() for v in of])
        error = np.array([v.std(ddof=1) / np.sqrt(len(v)) for v in of])
        style = {"ls": (0, (4, 3))} if name == RANDOM else {"marker": "o", "markersize": 5}
        label = f"{name} (no validation rows)" if name == RANDOM else name
        ax.plot(SHARES, mean, color=colour, lw=1.6, label=label, **style)
        ax.fill_between(SHARES, mean - error, mean + error, color=colour, alpha=0.12, lw=0)
    ax.set_xscale("log")
    ax.set_xticks(SHARES, [percent(s) for s in SHARES])
    ax.minorticks_off()
    ax.set_xlabel("rows held out for validation, of all (log scale)", fontsize=9, color=INK)
    ax.set_ylabel("test accuracy, % (mean ± standard error)", fontsize=9, color=INK)
    ax.set_title("What validation rows are worth to CLD, and as training data", fontsize=10, color=INK)
    ax.legend(fontsize=8, frameon=False)
    dress(ax)
    return figure


CLAIM = Claim(
    "validation_size", "Section 8, validation size", SIZES, loads, measure, judge, table, draw, in_paper=False
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
