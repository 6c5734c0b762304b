"""An open question of the LTC paper: what are the samples of the lowest CLD good for?

    python benchmarks/negative_cld.py --data_path DIR

Among the 5% of the lowest CLD, and among all candidates: how many are mislabelled, 10% of the labels being
flipped; and how many are ambiguous (the highest tenth of the standard deviation of their predicted
probability over the epochs) or rare (the highest tenth of the mean distance to the ten nearest inputs of
their class), with flipped labels and, in a run of its own, without. And the use: networks trained without the
tenth of the lowest CLD, without a random tenth, on everything, and without the flipped rows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.claim_intervals import by_sign, mean_and_std
from benchmarks.claims import Claim, Record, Setting, Verdict, main
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.pool_split import PoolSize, accuracy_of, pool_run, pool_split
from deepcore.analysis.stats import paired_difference
from deepcore.common.seeding import stream
from deepcore.data.label_noise import LabelNoise
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable
from methods.cld import CLD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOISE, LOWEST, TENTH, NEIGHBOURS = 0.1, 0.05, 0.1, 10
FLIPPED, TRUE = "10% flipped", "true labels"
KINDS = {"mislabelled": "#b3261e", "ambiguous": "#e08a1e", "rare": "#1f77b4", "none of these": "#bbbbbb"}
EVERYTHING, WITHOUT_LOWEST, WITHOUT_RANDOM, CLEAN = (
    "all candidates",
    "without the lowest tenth by CLD",
    "without a random tenth",
    "without the flipped rows",
)


@dataclass(frozen=True)
class NoisySize(PoolSize):
    """Also: candidates and validation rows."""

    rows: int = 3_000
    val: int = 500


SIZES = {
    "quick": NoisySize("Digits", ("MLP",), (1 - TENTH,), 3, 10, rows=1_200, val=150),
    "reduced": NoisySize("FashionMNIST", ("MLP",), (1 - TENTH,), 3, 20, 0.02, augment=False),
    "full": NoisySize("CIFAR100", ("ResNet18",), (1 - TENTH,), 5, rows=45_000, val=5_000),
}


def loads(size: NoisySize) -> list[Load]:
    """Proxies, and four targets per seed."""
    epochs, test = size.recipe.epochs, len(stand_in(size.dataset).test)
    trained = epochs * size.rows * (1 + 1 + 3 * (1 - TENTH))
    recorded = (size.rows + size.val) * (epochs + 1) + 4 * test
    return [Load(size.dataset, size.nets[0], size.seeds * trained, size.seeds * recorded)]


def measure(setting: Setting) -> list[Record]:
    """Seed by seed."""
    return setting.seed_by_seed("negative_cld", lambda seed: _of_seed(setting, seed))


def _of_seed(setting: Setting, seed: int) -> list[Record]:
    size, true = setting.size, setting.data.train.labels
    split = pool_split(true, train=size.rows, pool=size.val, seed=seed)
    data, run = pool_run(setting, split, noise=LabelNoise(NOISE))
    flipped = data.train.labels[run.ids] != true[run.ids]
    (inputs,) = data.train.batches([run.ids], device=torch.device("cpu"))
    kinds = kinds_of(run, flipped, inputs.flatten(1))
    order = np.argsort(CLD().score(run), kind="stable")
    records = _shares(seed, FLIPPED, kinds, order)
    _, clean = pool_run(setting, split)
    kinds = kinds_of(clean, np.zeros_like(flipped), inputs.flatten(1))
    records += _shares(seed, TRUE, kinds, np.argsort(CLD().score(clean), kind="stable"))
    tenth, rng = round(TENTH * len(order)), stream(seed, "negative_cld")
    training_sets = {
        EVERYTHING: order,
        WITHOUT_LOWEST: order[tenth:],
        WITHOUT_RANDOM: rng.permutation(order)[tenth:],
        CLEAN: np.flatnonzero(~flipped),
    }
    for name, at in training_sets.items():
        accuracy = accuracy_of(setting, data, run.ids[at], seed=seed)
        setting.progress.say(f"seed {seed}: {name}: {accuracy:.2f}%")
        records.append({"seed": seed, "what": name, "labels": None, "accuracy": accuracy})
    return records


def _shares(seed: int, labels: str, kinds: dict[str, np.ndarray], order: np.ndarray) -> list[Record]:
    """Of each kind, in percent: among the lowest 5% of `order`, and among all."""
    lowest = order[: round(LOWEST * len(order))]
    return [
        {"seed": seed, "what": kind, "labels": labels}
        | {"share": 100 * float(has[lowest].mean()), "share_of_all": 100 * float(has.mean())}
        for kind, has in kinds.items()
    ]


def kinds_of(run: ProxyRun, flipped: np.ndarray, inputs: torch.Tensor) -> dict[str, np.ndarray]:
    """Which candidates are of each kind, (N,) bool. Only those not mislabelled are ambiguous or rare, or
    both.

    Args:
        run: with losses.
        flipped: (N,) bool.
        inputs: (N, D) of the candidates.
    """
    probabilities = run.trajectory(Signal.P_TRUE, "post_epoch")
    ambiguous = highest_tenth(probabilities.std(axis=0), ~flipped)
    rare = highest_tenth(distances(inputs, run.labels), ~flipped)
    found = {"mislabelled": flipped, "ambiguous": ambiguous, "rare": rare}
    return {**found, "none of these": ~(flipped | ambiguous | rare)}


def highest_tenth(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The tenth of the samples in `among` whose values are the highest, (N,) bool."""
    rows = np.flatnonzero(among)
    found = np.zeros(len(values), dtype=bool)
    found[rows[np.argsort(-values[rows], kind="stable")[: round(TENTH * len(rows))]]] = True
    return found


def distances(inputs: torch.Tensor, labels: np.ndarray) -> np.ndarray:
    """Mean distance of each sample to its nearest neighbours with the same label, (N,)."""
    found = np.empty(len(labels))
    for c in np.unique(labels):
        rows = np.flatnonzero(labels == c)
        near = torch.cdist(inputs[rows], inputs[rows]).topk(min(NEIGHBOURS + 1, len(rows)), largest=False)
        found[rows] = near.values[:, 1:].mean(dim=1).numpy()  # the first is the sample itself
    return found


def values(records: Sequence[Record], what: str, measure: str, labels: str | None = None) -> list[float]:
    """Of each seed."""
    return [r[measure] for r in records if (r["what"], r["labels"]) == (what, labels)]


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Shares against those of all candidates, and accuracies, paired over seeds."""
    tests = {}
    for kind, labels in (("mislabelled", FLIPPED), ("ambiguous", TRUE), ("rare", TRUE)):
        shares = {m: dict(enumerate(values(records, kind, m, labels))) for m in ("share", "share_of_all")}
        what = f"among the 5% of the lowest CLD, more rows are {kind} than among all ({labels})"
        tests[what] = paired_difference(shares, "share", "share_of_all")
    accuracies = {
        name: dict(enumerate(values(records, name, "accuracy")))
        for name in (EVERYTHING, WITHOUT_LOWEST, WITHOUT_RANDOM, CLEAN)
    }
    for other in (EVERYTHING, WITHOUT_RANDOM):
        what = f"with 10% of the labels flipped, training without the lowest tenth by CLD beats: {other}"
        tests[what] = paired_difference(accuracies, WITHOUT_LOWEST, other)
    return by_sign(tests)


def table(records: Sequence[Record]) -> TextTable:
    """Shares, then accuracies."""
    lines = []
    for kind in KINDS:
        cells = []
        for labels in (FLIPPED, TRUE):
            for m in ("share", "share_of_all"):
                cells.append(mean_and_std(values(records, kind, m, labels)))
        lines.append((kind, *cells, "-"))
    for name in (EVERYTHING, WITHOUT_RANDOM, WITHOUT_LOWEST, CLEAN):
        lines.append((f"trained on: {name}", *["-"] * 4, mean_and_std(values(records, name, "accuracy"))))
    shares = [f"{where}, %, {labels}" for labels in (FLIPPED, TRUE) for where in ("lowest 5%", "all")]
    headers = ("", *shares, "accuracy, %, 10% flipped")
    seeds = len(values(records, "rare", "share", TRUE))
    return TextTable(f"What the lowest CLD holds, {seeds} seeds", headers, tuple(lines))


def draw(records: Sequence[Record]) -> Figure:
    """Shares beside those of all candidates, and what leaving the lowest out does."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.4), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    for i, (kind, colour) in enumerate(KINDS.items()):
        for at, labels, strength in ((i - 0.2, FLIPPED, 1.0), (i + 0.2, TRUE, 0.45)):
            own, base = (values(records, kind, m, labels) for m in ("share", "share_of_all"))
            left.barh(at, np.mean(own), 0.36, color=colour, alpha=strength, zorder=2)
            left.plot(own, [at] * len(own), "o", markersize=3, color=INK, zorder=3)
            left.plot([np.mean(base)] * 2, [at - 0.18, at + 0.18], color="#111111", lw=2, zorder=4)
    left.set_yticks(range(len(KINDS)), list(KINDS), fontsize=9)
    left.invert_yaxis()
    left.set_xlabel("of the 5% of the lowest CLD, % (line: of all)", fontsize=9, color=INK)
    left.set_title("What they are (strong: 10% flipped; pale: true labels)", fontsize=10, color=INK)
    names = (WITHOUT_LOWEST, WITHOUT_RANDOM, CLEAN)
    base = np.array(values(records, EVERYTHING, "accuracy"))
    for i, name in enumerate(names):
        gain = np.array(values(records, name, "accuracy")) - base
        right.plot(gain, [i] * len(gain), "o", markersize=5, color="#8b0000", alpha=0.5)
        right.plot([gain.mean()], [i], "|", markersize=20, mew=2, color="#8b0000")
    right.axvline(0, color="#111111", lw=1)
    right.set_yticks(range(len(names)), [n.replace("without", "without\n", 1) for n in names], fontsize=8)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.set_xlabel("accuracy minus that of all, points (dots: seeds)", fontsize=9, color=INK)
    right.set_title("What leaving them out does", fontsize=10, color=INK)
    for ax in (left, right):
        dress(ax, "x")
    return figure


CLAIM = Claim(
    "negative_cld", "LTC, negative scores", SIZES, loads, measure, judge, table, draw, in_paper=False
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
