"""Figure 7a: do CLD's scores agree between seeds, and what changes them: the split or the initialisation?

    python benchmarks/seeds_agreement.py --data_path DIR

Proxy runs alone; no coreset is trained. A run has a split and an initialisation, each with a seed of its own;
"initialisation" stands for weights, order of the batches and augmentation. Pairs of runs differ in the
initialisation, in the split, or in both.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import dataclasses

import numpy as np

from benchmarks.claim_records import Record, matching
from benchmarks.claims import Claim, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import Load, loads_of
from deepcore.analysis.overlap import Scores, overlaps
from deepcore.analysis.seed_agreement import score_agreement
from deepcore.data.split import make_split
from deepcore.experiment.plan import ProxyTask
from deepcore.experiment.spec import ExperimentSpec
from deepcore.proxy.engine import obtain_proxy
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable
from deepcore.selection.budget import Budget
from methods.cld import CLD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = {
    "quick": Size("Digits", ("MLP",), (0.1,), 3, 12),
    "reduced": Size("Digits", ("MLP",), (0.1,), 5, 60),
    "full": Size("ImageNet", ("ResNet18",), (0.1,), 5),
}
CHANGED = {"initialisation": "initialisation alone", "split": "split alone", "both": "both"}
MEASURES = {"mae": "mean absolute difference", "pearson": "Pearson", "spearman": "Spearman",
            "jaccard": "Jaccard of the kept rows"}  # fmt: skip
PAPER_MAE = 1e-5


def experiment(size: Size) -> ExperimentSpec:
    """The proxy run of each seed, for CLD alone."""
    return size.experiment(["CLD"])


def runs(seeds: int) -> dict[str, list[tuple[int, int]]]:
    """{what differs: its runs, as (seed of the split, seed of the initialisation)}."""
    each = range(seeds)
    return {
        "initialisation": [(0, i) for i in each],
        "split": [(i, 0) for i in each],
        "both": [(i, i) for i in each],
    }


def loads(size: Size) -> list[Load]:
    """The proxy runs; targets are not trained."""
    (proxy, *_) = loads_of(dataclasses.replace(experiment(size), seeds=(0,)), size.dataset)
    different = {run for of_kind in runs(size.seeds).values() for run in of_kind}
    return [proxy] * len(different)


def measure(setting: Setting) -> list[Record]:
    """Train the runs, compare their scores in pairs."""
    spec = experiment(setting.size)
    plan = setting.harness(spec).plan
    held: dict[tuple[int, int], tuple[Scores, np.ndarray]] = {}
    records: list[Record] = []
    for kind, of_kind in runs(setting.size.seeds).items():
        for run in of_kind:
            if run not in held:
                held[run] = scores_of(setting, plan.proxies[run[1], 0], run[0])
        for a, b in combinations(of_kind, 2):
            records.append(
                {"changed": kind, "splits": f"{a[0]} {b[0]}", "initialisations": f"{a[1]} {b[1]}",
                 "fraction": setting.size.fractions[0], **compared(held[a], held[b])}
            )  # fmt: skip
    return records


def scores_of(setting: Setting, task: ProxyTask, split_seed: int) -> tuple[Scores, np.ndarray]:
    """CLD's scores and kept ids from a run with the split of one seed and the initialisation of another."""
    split = make_split(setting.data.train.labels, val_fraction=task.spec.val_fraction, seed=split_seed)
    own = split_seed == task.seed  # then it is the run that every script shares
    folder = setting.folder / "proxies" if own else setting.folder / "splits" / f"split{split_seed}"
    run = obtain_proxy(
        folder, setting.data, split, task.spec, task.recording, device=setting.device,
        say=setting.progress.say,
    )  # fmt: skip
    budget = Budget.of(setting.size.fractions[0], len(run.ids))
    kept = CLD().select(run, budget, np.random.default_rng(0)).ids
    return Scores(run.ids, CLD().score(run)), kept


def compared(first: tuple[Scores, np.ndarray], second: tuple[Scores, np.ndarray]) -> Record:
    """Scores and kept rows of two runs, on the candidates that both have."""
    found = score_agreement(first[0], second[0])
    pool = np.intersect1d(first[0].ids, second[0].ids)
    (overlap,) = overlaps(
        {name: np.intersect1d(kept, pool) for name, (_, kept) in (("a", first), ("b", second))}, len(pool)
    )
    return {**dataclasses.asdict(found), "jaccard": overlap.jaccard, "chance": overlap.chance}


def ranges(records: Sequence[Record]) -> Iterator[tuple[str, str, list[float]]]:
    """What differs, the measure, and its values over the pairs."""
    for kind in CHANGED:
        for name in (*MEASURES, "spread", "chance"):
            yield kind, name, [r[name] for r in matching(records, changed=kind)]


def judge(records: Sequence[Record]) -> list[Verdict]:
    """The paper's bound in the case that it names, its five seeds changing both; then what the split does."""
    found = {(kind, name): values for kind, name, values in ranges(records)}
    verdicts = []
    for kind, said in (
        ("both", "from seed to seed"),
        ("initialisation", "when only the initialisation changes"),
    ):
        values, spread = found[kind, "mae"], found[kind, "spread"]
        holds = True if max(values) < PAPER_MAE else False if min(values) >= PAPER_MAE else None
        verdicts.append(
            verdict_by(
                holds,
                f"{said}, CLD's scores differ by less than 1e-5 on average",
                f"{np.mean(values):.3f}, {min(values):.3f} to {max(values):.3f} over {len(values)} pairs; "
                f"the scores' own standard deviation is {np.mean(spread):.3f}",
            )
        )
    kept, chance = found["both", "jaccard"], found["both", "chance"]
    holds = True if min(kept) > 0.5 else False if max(kept) < 0.5 else None
    verdicts.append(
        verdict_by(
            holds,
            "of the rows that at least one of two seeds keeps, both keep more than half (not in the paper)",
            f"Jaccard {np.mean(kept):.2f}, from {min(kept):.2f} to {max(kept):.2f} over {len(kept)} pairs; "
            f"chance is {np.mean(chance):.2f}",
        )
    )
    return verdicts


def table(records: Sequence[Record]) -> TextTable:
    """Means with the range over pairs."""
    found = {(kind, name): values for kind, name, values in ranges(records)}
    rows = tuple(
        (
            said,
            *(f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in (found[kind, m] for m in MEASURES)),
        )
        for kind, said in CHANGED.items()
    )
    share = percent(records[0]["fraction"])
    title = f"CLD's scores of two runs; {share} kept; mean over pairs of runs (lowest to highest)"
    return TextTable(title, ("what differs", *MEASURES.values()), rows)


def draw(records: Sequence[Record]) -> Figure:
    """A dot for each pair of runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 3.3), dpi=DPI, layout="constrained")
    axes = figure.subplots(1, len(MEASURES))
    figure.suptitle("Do two runs give the same CLD scores? A dot is a pair of runs (Figure 7a)", fontsize=11,
                    color=INK)  # fmt: skip
    for ax, (name, said) in zip(axes, MEASURES.items(), strict=True):
        dress(ax, "y")
        for x, kind in enumerate(CHANGED):
            values = [r[name] for r in matching(records, changed=kind)]
            places = x + np.linspace(-0.2, 0.2, len(values))
            ax.plot(places, values, "o", markersize=4, color="#1f77b4", alpha=0.7)
            ax.plot([x - 0.3, x + 0.3], [np.mean(values)] * 2, color="#111111", lw=1.6)
        ax.set_xticks(range(len(CHANGED)), ["initial-\nisation", "split", "both"], fontsize=8)
        ax.set_xlim(-0.5, len(CHANGED) - 0.5)
        ax.set_title(said, fontsize=9, color=INK)
        ax.set_ylim(0, 1.02)
    spread = float(np.mean([r["spread"] for r in records]))
    axes[0].set_ylim(0, 1.5 * max(spread, *(r["mae"] for r in records)))
    chance = float(np.mean([r["chance"] for r in records]))
    for ax, level, said in (
        (axes[0], spread, "standard deviation of the scores"),
        (axes[-1], chance, "chance"),
    ):
        ax.axhline(level, color="#b3261e", lw=1, ls=(0, (4, 3)), label=said)
    axes[0].axhline(PAPER_MAE, color="#00695c", lw=2, label="the paper's bound, 0.00001")
    for ax in (axes[0], axes[-1]):
        ax.legend(fontsize=7, frameon=False, loc="upper left")
    figure.supxlabel("what differs between the two runs; the line is the mean", fontsize=9, color=INK)
    return figure


CLAIM = Claim(
    name="seeds_agreement",
    paper="Figure 7a",
    sizes=SIZES,
    loads=loads,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
