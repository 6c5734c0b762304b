"""Figure 6: how much the composition of the validation set matters to CLD.

    python benchmarks/validation_proxy.py --data_path DIR

The training set is halved class by class into candidates and a pool. `mem` of every row comes from many small
networks on random 70% subsets. Five validation sets are chosen from the pool by `mem`. One proxy run per seed
records the losses of the candidates and of the whole pool, so that the five coresets differ in the validation
set alone. A sixth curve, random coresets, is not in the paper.
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

from benchmarks.claim_intervals import by_sign, error_bar, mean_and_std
from benchmarks.claims import Claim, Record, Setting, Verdict, main
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.memorisation import SETS, SHARE, memorisation, validation_sets
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

RANDOM_CORESET = "random coreset"
COLOURS = {
    "highest": "#b3261e",
    "lowest": "#1f77b4",
    "proportional": "#2e7d32",
    "random": "#111111",
    "mixed": "#8e5bc0",
    RANDOM_CORESET: "#999999",
}
OTHERS = {
    "highest": "one of the highest mem",
    "lowest": "one of the lowest mem",
    "mixed": "one of both ends",
    "random": "a random one",
}
BINS = np.linspace(-0.5, 1, 31)


@dataclass(frozen=True)
class ProxySize(PoolSize):
    """Also: rows of each half, of a validation set; the networks behind mem and their epochs."""

    half: int = 3_000
    val: int = 600
    mem_net: str = "MLP"
    mem_networks: int = 30
    mem_epochs: int = 8


SIZES = {
    "quick": ProxySize("Digits", ("MLP",), (0.1,), 3, 10, half=690, val=140, mem_networks=16, mem_epochs=4),
    "reduced": ProxySize("FashionMNIST", ("MLP",), (0.1, 0.3), 5, 20, 0.02, augment=False),
    "full": ProxySize(
        "CIFAR100",
        ("ResNet18",),
        (0.01, 0.05, 0.1, 0.2, 0.5),
        5,
        half=25_000,
        val=5_000,
        mem_net="ResNet18",
        mem_networks=100,
        mem_epochs=40,
    ),
}


def loads(size: ProxySize) -> list[Load]:
    """Networks for mem, proxies, targets."""
    epochs, sets = size.recipe.epochs, len(SETS) + 1
    kept = sum(size.fractions) * size.half
    test = len(stand_in(size.dataset).test)
    mem = size.mem_networks * 2 * size.half
    return [
        Load(size.dataset, size.mem_net, SHARE * mem * size.mem_epochs, mem),
        Load(
            size.dataset,
            size.nets[0],
            size.seeds * epochs * (size.half + sets * kept),
            size.seeds * (2 * size.half * (epochs + 1) + sets * len(size.fractions) * test),
        ),
    ]


def measure(setting: Setting) -> list[Record]:
    """mem of all rows, then seed by seed."""
    size = setting.size
    among = pool_split(setting.data.train.labels, train=2 * size.half, pool=0, seed=0).train
    mem = np.full(len(setting.data.train), np.nan)
    of = {key: value for key, value in dataclasses.asdict(size).items() if key.startswith(("mem", "half"))}
    found = setting.once("mem", of, lambda: _mem(setting, among))
    mem[among] = [record["mem"] for record in found]
    records: list[Record] = []
    for seed in range(size.seeds):
        of = {**dataclasses.asdict(size), "seeds": seed}
        records += setting.once("validation_proxy", of, lambda seed=seed: _of_seed(setting, among, mem, seed))
    return records


def _mem(setting: Setting, among: np.ndarray) -> list[Record]:
    size = setting.size
    recipe = dataclasses.replace(size.recipe, epochs=size.mem_epochs, augment=False, lr=0.05)
    with setting.progress.bar(size.mem_networks, "networks for mem") as advance:
        mem = memorisation(
            size.mem_net,
            setting.data,
            among,
            recipe,
            networks=size.mem_networks,
            device=setting.device,
            advance=advance,
        )
    return [{"id": int(i), "mem": round(float(value), 4)} for i, value in zip(among, mem, strict=True)]


def _of_seed(setting: Setting, among: np.ndarray, mem: np.ndarray, seed: int) -> list[Record]:
    """Accuracies of a seed's coresets; of the first seed the histograms, too."""
    size = setting.size
    split = pool_split(setting.data.train.labels, train=size.half, pool=size.half, seed=seed, among=among)
    data, run = pool_run(setting, split)
    of_pool = mem[run.val_ids]
    sets = validation_sets(of_pool, run.val_labels, size.val, stream(seed, "validation_sets"))
    records: list[Record] = []
    for name in (*SETS, RANDOM_CORESET):
        for fraction in size.fractions:
            if name == RANDOM_CORESET:
                rows = chosen(Random(), run, fraction, seed=seed)
            else:
                rows = chosen(CLD(), narrowed(run, run.val_ids[sets[name]]), fraction, seed=seed)
            accuracy = accuracy_of(setting, data, rows, seed=seed)
            setting.progress.say(f"seed {seed}: {name}, {percent(fraction)}: {accuracy:.2f}%")
            mean = None if name == RANDOM_CORESET else float(of_pool[sets[name]].mean())
            kept = float(mem[rows].mean())
            records.append(
                _record("accuracy", seed=seed, fraction=fraction, set=name, accuracy=accuracy)
                | {"mean_mem": mean, "mem_of_coreset": kept}
            )
    if seed == 0:
        for name, values in {"pool": of_pool, **{n: of_pool[at] for n, at in sets.items()}}.items():
            counts, _ = np.histogram(np.clip(values, BINS[0], BINS[-1]), BINS)
            for low, count in zip(BINS, counts, strict=False):
                records.append(_record("histogram", set=name, bin=float(low), share=count / len(values)))
    return records


def _record(kind: str, **columns: object) -> Record:
    return {"kind": kind, **columns}


def accuracies(records: Sequence[Record], fraction: float | None = None) -> dict[str, dict[int, float]]:
    """{set: {seed: accuracy}} at a fraction; None for the mean over fractions."""
    found: dict[str, dict[int, list[float]]] = {}
    for r in records:
        if r["kind"] == "accuracy" and fraction in (None, r["fraction"]):
            found.setdefault(r["set"], {}).setdefault(r["seed"], []).append(r["accuracy"])
    return {name: {s: float(np.mean(v)) for s, v in seeds.items()} for name, seeds in found.items()}


def judge(records: Sequence[Record]) -> list[Verdict]:
    """On means over the fractions, paired over seeds."""
    found = accuracies(records)
    of_random = (
        "with the proportional validation set, CLD's coreset is better than a random one (not in the paper)"
    )
    pairs = {
        "a random validation set is better than one of the highest-mem rows": ("random", "highest"),
        "a validation set of the lowest-mem rows is better than one of the highest": ("lowest", "highest"),
        **{
            f"a validation set drawn in proportion to mem is better than {other}": ("proportional", name)
            for name, other in OTHERS.items()
        },
        of_random: ("proportional", RANDOM_CORESET),
    }
    return by_sign({what: paired_difference(found, *pair) for what, pair in pairs.items()})


def table(records: Sequence[Record]) -> TextTable:
    """A line for each validation set."""
    fractions = sorted({r["fraction"] for r in records if r["kind"] == "accuracy"})
    lines = []
    for name in (*SETS, RANDOM_CORESET):
        own = [r for r in records if r["kind"] == "accuracy" and r["set"] == name]
        mem = [r["mean_mem"] for r in own if r["mean_mem"] is not None]
        cells = [mean_and_std(list(accuracies(records, f)[name].values())) for f in fractions]
        of_coreset = np.mean([r["mem_of_coreset"] for r in own])
        lines.append((name, f"{np.mean(mem):.3f}" if mem else "-", f"{of_coreset:.3f}", *cells))
    headers = (
        "validation set",
        "its mean mem",
        "mean mem of coresets",
        *(f"accuracy at {percent(f)}" for f in fractions),
    )
    seeds = len({r["seed"] for r in records if r["kind"] == "accuracy"})
    return TextTable(f"Accuracy of CLD's coresets by validation set, {seeds} seeds", headers, tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Histograms of mem, and accuracies minus those with the random validation set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for name in ("pool", *SETS):
        own = [r for r in records if r["kind"] == "histogram" and r["set"] == name]
        colour = COLOURS.get(name, "#cccccc")
        x, y = [r["bin"] for r in own], [100 * r["share"] for r in own]
        if name == "pool":
            left.bar(x, y, BINS[1] - BINS[0], align="edge", color=colour, label="whole pool")
        else:
            left.stairs(y, [*x, x[-1] + BINS[1] - BINS[0]], color=colour, lw=1.4, label=name)
    left.set_yscale("symlog", linthresh=1)
    left.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    left.set_xlabel("memorisation (accuracy when trained on it, minus when not)", fontsize=9, color=INK)
    left.set_ylabel("rows, %", fontsize=9, color=INK)
    left.set_title("(a) The validation sets", fontsize=10, color=INK)
    left.legend(fontsize=8, frameon=False)
    fractions = sorted({r["fraction"] for r in records if r["kind"] == "accuracy"})
    names = [name for name in (*SETS, RANDOM_CORESET) if name != "random"]
    for i, name in enumerate(names):
        for j, fraction in enumerate(fractions):
            paired = paired_difference(accuracies(records, fraction), name, "random")
            at = j + 0.13 * (i - (len(names) - 1) / 2)
            right.errorbar(
                [at], [paired.difference], error_bar(paired), fmt="o", markersize=5, lw=1.4, capsize=2,
                color=COLOURS[name], label=name if j == 0 else None,
            )  # fmt: skip
    right.axhline(0, color="#111111", lw=1)
    right.set_xticks(range(len(fractions)), [f"{percent(f)} kept" for f in fractions])
    right.set_xlim(-0.5, len(fractions) - 0.5)
    right.set_ylabel(
        "accuracy minus that with the\nrandom validation set, points (95%)", fontsize=9, color=INK
    )
    right.set_title("(b) CLD's coresets", fontsize=10, color=INK)
    right.legend(fontsize=8, frameon=False)
    for ax in (left, right):
        dress(ax, "y")
    return figure


CLAIM = Claim("validation_proxy", "Figure 6", SIZES, loads, measure, judge, table, draw)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
