"""Figure 1: what the highest, the smallest and the lowest CLD look like, and coresets of each.

    python benchmarks/contact_sheet.py --data_path DIR

For each class the figure has the candidates of the highest CLD, of CLD nearest to zero and of the lowest,
each with its loss over the checkpoints (red) and its class's mean validation loss (grey), from the proxy run
of seed 0. Below are the test accuracies of coresets of such rows.
"""

from __future__ import annotations

import base64
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.claim_curves import curve_table
from benchmarks.claim_intervals import by_sign
from benchmarks.claim_records import Record, accuracies, by_seed, matching
from benchmarks.claims import Claim, Setting, Size, Verdict, main
from benchmarks.gpu_hours import loads_of
from deepcore.analysis.stats import paired_difference, summarise
from deepcore.experiment.seed_runs import SeedRuns
from deepcore.experiment.spec import ExperimentSpec
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.selection.ranking import order_by_score
from methods.cld import CLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"CLD": "highest CLD", "CLD:keep=zero": "CLD nearest to 0", "CLD:keep=lowest": "lowest CLD",
         "Random": "random rows"}  # fmt: skip
GROUPS = {"highest": "highest CLD", "zero": "CLD nearest to 0", "lowest": "lowest CLD"}
COLOURS = ("#00695c", "#8c6d31", "#b3261e", "#777777")
SIDE = 28  # pixels of a picture in the figure
CLASS_NAMES = {  # where the data have none
    "FashionMNIST": (
        *("T-shirt", "trousers", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
    ),
    "ImageNet": {281: "tabby cat", 207: "golden retriever", 292: "tiger", 817: "sports car"},
}


@dataclass(frozen=True)
class SheetSize(Size):
    """`shown` candidates of each group, for these classes (292 is ImageNet's tiger)."""

    classes: tuple[int, ...] = tuple(range(10))
    shown: int = 8


SIZES = {
    "quick": SheetSize("Digits", ("MLP",), (0.1,), 3, 12, classes=(0, 3, 8), shown=5),
    "reduced": SheetSize("FashionMNIST", ("MLP",), (0.1,), 3, 12),
    "full": SheetSize("ImageNet", ("ResNet18",), (0.1,), 5, classes=(292, 281, 207, 817)),
}


def experiment(size: Size) -> ExperimentSpec:
    """Coresets of either end, of the middle, and random ones."""
    return size.experiment(list(NAMES))


def measure(setting: Setting) -> list[Record]:
    """Train everything, then look at the proxy run of the first seed."""
    rows = setting.rows(experiment(setting.size))
    return [*({"kind": "coreset", **record} for record in accuracies(rows)), *samples(setting)]


def samples(setting: Setting) -> list[Record]:
    """The shown candidates, and the validation loss of each class."""
    harness = setting.harness(experiment(setting.size))
    run = SeedRuns(harness.plan, harness.runtime, 0).of(CLD())
    scores, losses = CLD().score(run), run.trajectory(Signal.LOSS, CLD().mode, initial=True)
    means = run.val_class_means(initial=True)
    found: list[Record] = []
    for label in setting.size.classes:
        names = CLASS_NAMES.get(setting.size.dataset)
        name = f"class {label}" if names is None else names[label]
        found.append(
            {"kind": "validation", "class": label, "name": name, "losses": _numbers(means[:, label])}
        )
        for group in GROUPS:
            at = shown(run, scores, label, group, setting.size.shown)
            pictures = thumbnails(setting, run.ids[at])
            for place, (i, picture) in enumerate(zip(at, pictures, strict=True)):
                found.append(
                    {"kind": "sample", "class": label, "group": group, "place": place, "id": int(run.ids[i]),
                     "score": float(scores[i]), "losses": _numbers(losses[:, i]), "pixels": _packed(picture)}
                )  # fmt: skip
    return found


def shown(run: ProxyRun, scores: np.ndarray, label: int, group: str, count: int) -> np.ndarray:
    """Positions of the first candidates of a class at an end of the score."""
    own = np.flatnonzero(run.labels == label)
    return own[order_by_score(scores[own], run.ids[own], group)[:count]]


def thumbnails(setting: Setting, ids: np.ndarray) -> np.ndarray:
    """(n, SIDE, SIDE, C) uint8, each picture from its darkest to its lightest value."""
    (batch,) = setting.data.train.batches([ids], device=torch.device("cpu"))
    small = torch.nn.functional.interpolate(batch.float(), (SIDE, SIDE), mode="area")
    flat = small.flatten(1)
    low, high = flat.min(1).values, flat.max(1).values
    scaled = (small - low[:, None, None, None]) / (high - low).clamp(min=1e-6)[:, None, None, None]
    return (255 * scaled).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def _packed(picture: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(picture.tobytes(), 9)).decode()


def _picture(text: str) -> np.ndarray:
    """(SIDE, SIDE, C) uint8."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(SIDE, SIDE, -1)


def judge(records: Sequence[Record]) -> list[Verdict]:
    """The highest CLD against the others."""
    coresets = matching(records, kind="coreset")
    said = {
        "CLD:keep=zero": "rows of the highest CLD give a higher accuracy than rows of CLD nearest to 0",
        "CLD:keep=lowest": "rows of the highest CLD give a higher accuracy than rows of the lowest",
        "Random": "control: rows of the highest CLD give a higher accuracy than random rows",
    }
    seeds = {method: by_seed(coresets, method=method) for method in ("CLD", *said)}
    return by_sign({what: paired_difference(seeds, "CLD", other) for other, what in said.items()})


def draw(records: Sequence[Record]) -> Figure:
    """The sheet above, the bars below."""
    from matplotlib.figure import Figure

    labels = [r["class"] for r in matching(records, kind="validation")]
    shown = 1 + max(r["place"] for r in matching(records, kind="sample"))
    picture = 4.2 / shown  # inches, so that a row of pictures is as wide as its axes
    height = len(labels) * (picture + 0.62)
    figure = Figure(figsize=(13, height + 3.4), dpi=DPI * 0.7, layout="constrained")
    sheet, bars = figure.subfigures(2, 1, height_ratios=(height + 0.8, 2.6))
    sheet.suptitle(
        "Candidates of each class by CLD: picture and score; below it, loss over the checkpoints (red) and "
        "the class's mean validation loss (grey)",
        fontsize=11, color=INK,
    )  # fmt: skip
    axes = sheet.subplots(2 * len(labels), len(GROUPS), squeeze=False,
                          gridspec_kw={"height_ratios": (picture + 0.1, 0.42) * len(labels)})  # fmt: skip
    for i, label in enumerate(labels):
        (mean,) = matching(records, kind="validation", **{"class": label})
        for j, (group, name) in enumerate(GROUPS.items()):
            found = matching(records, kind="sample", **{"class": label, "group": group})
            _pictures(axes[2 * i, j], found)
            _losses(axes[2 * i + 1, j], found, mean)
            if i == 0:
                axes[0, j].set_title(name, fontsize=10, color=COLOURS[j], pad=14)
        axes[2 * i, 0].set_ylabel(mean["name"], fontsize=9, color=INK)
    _bars(bars.subplots(), matching(records, kind="coreset"))
    return figure


def _pictures(ax: Axes, found: Sequence[Record]) -> None:
    """In a row, each with its score."""
    pictures = [np.pad(_picture(r["pixels"]), ((0, 0), (2, 2), (0, 0)), constant_values=255) for r in found]
    ax.imshow(np.concatenate(pictures, 1), cmap="gray", vmin=0, vmax=255, aspect="equal")
    for i, record in enumerate(found):
        ax.text((i + 0.5) * (SIDE + 4), -2, f"{record['score']:+.2f}", fontsize=6, ha="center", color=INK)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _losses(ax: Axes, found: Sequence[Record], mean: Record) -> None:
    """Below each picture, on one scale in a row."""
    of_class = np.array(mean["losses"].split(), float)
    x = np.linspace(0.08, 0.92, len(of_class))
    for i, record in enumerate(found):
        ax.plot(i + x, of_class, color="#aaaaaa", lw=1)
        ax.plot(i + x, np.array(record["losses"].split(), float), color="#b3261e", lw=0.9)
    ax.set_xlim(0, len(found))
    ax.set_ylim(bottom=0)
    ax.set_xticks([])
    ax.tick_params(labelsize=6, length=1, pad=1)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _bars(ax: Axes, records: Sequence[Record]) -> None:
    """Mean and std of each kind of coreset."""
    dress(ax, "x")
    (fraction,) = {r["fraction"] for r in records}
    for i, (method, colour) in enumerate(zip(NAMES, COLOURS, strict=True)):
        found = summarise(by_seed(records, method=method))
        ax.barh(-i, found.mean, 0.7, xerr=found.std, color=colour, ecolor="#333333", capsize=3)
        ax.text(found.mean + 3, -i, f"{found.mean:.1f}", va="center", fontsize=9, color=INK)
    ax.set_yticks([-i for i in range(len(NAMES))], list(NAMES.values()), fontsize=9)
    ax.set_xlim(0, 105)
    ax.set_xlabel(
        f"test accuracy of a network trained on {percent(fraction)} of the data chosen so, %: mean ± std",
        fontsize=9, color=INK,
    )  # fmt: skip


CLAIM = Claim(
    name="contact_sheet",
    paper="Figure 1",
    sizes=SIZES,
    loads=lambda size: loads_of(experiment(size), size.dataset),
    measure=measure,
    judge=judge,
    table=lambda records: curve_table(matching(records, kind="coreset"), NAMES, "CLD"),
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
