"""Figure 3 and Table 6: coresets that one network's proxy chose, for other networks.

    python benchmarks/transfer.py --data_path DIR

For each target network the oracle is the coreset that its own proxy chose. The gap is the accuracy of a
coreset which another network's proxy chose minus that of the oracle, on the same split and from the same
initialisation of the target. Random rows are beside them as a control.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.claim_curves import (
    MARGIN,
    far_ends,
    far_level,
    fraction_axis,
    fractions_of,
    margin_verdict,
    style_of,
)
from benchmarks.claim_intervals import by_sign
from benchmarks.claim_records import Record, accuracies, by_seed, matching
from benchmarks.claims import Claim, Setting, Size, Verdict, main, measured
from benchmarks.gpu_hours import Load, loads_of
from benchmarks.score_study import selected
from deepcore.analysis.equivalence import equivalence, noninferiority
from deepcore.analysis.overlap import overlaps
from deepcore.analysis.stats import Paired, paired_difference, summarise
from deepcore.experiment.spec import ExperimentSpec
from deepcore.report.cells import percent
from deepcore.report.figure_files import DPI, INK, dress
from deepcore.report.text_table import TextTable
from methods.cld import CLD

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


RANDOM = "Random"


@dataclass(frozen=True)
class TransferSize(Size):
    """`from_all`: every network's selections go to every network; otherwise those of the first alone."""

    from_all: bool = True


SIZES = {
    "quick": TransferSize("Digits", ("MLP", "ConvNet"), (0.1, 0.3), 3, 8),
    "reduced": TransferSize("Digits", ("MLP", "LeNet", "ConvNet"), (0.1, 0.3), 3, 50),
    "full": TransferSize(
        "ImageNet",
        ("ResNet18", "ResNet34", "ResNet50", "VGG19bn", "DenseNet121"),
        (0.05, 0.1, 0.25, 0.4, 0.5, 0.75, 0.8),
        5,
        from_all=False,
    ),
}


def experiments(size: TransferSize) -> list[ExperimentSpec]:
    """One for each proxy; random rows are with the first."""
    found = []
    for i, proxy in enumerate(size.nets):
        targets = size.nets if i == 0 or size.from_all else (proxy,)
        found.append(size.experiment(["CLD", *(["Random"] if i == 0 else [])], proxy=proxy, targets=targets))
    return found


def loads(size: TransferSize) -> list[Load]:
    """Of all experiments."""
    return [load for spec in experiments(size) for load in loads_of(spec, size.dataset)]


def measure(setting: Setting) -> list[Record]:
    """Train everything; then compare the selections of the proxies."""
    specs = experiments(setting.size)
    rows = [row for spec in specs for row in setting.rows(spec)]
    return [
        *({"kind": "accuracy", **record} for record in accuracies(rows)),
        *overlap_records(setting, specs),
    ]


def overlap_records(setting: Setting, specs: Sequence[ExperimentSpec]) -> Iterator[Record]:
    """The rows that two proxies' selections share."""
    harnesses = {spec.proxy_net: setting.harness(spec) for spec in specs}
    for first, second in combinations(harnesses, 2):
        for seed in range(setting.size.seeds):
            for fraction in setting.size.fractions:
                kept = {net: selected(harnesses[net], seed, CLD(), fraction) for net in (first, second)}
                pool = len(harnesses[first].plan.seeds[seed].split.train)
                (found,) = overlaps(kept, pool)
                yield {"kind": "overlap", "proxy": first, "target": second, "fraction": fraction,
                       "seed": seed, "jaccard": found.jaccard, "chance": found.chance}  # fmt: skip


def networks(records: Sequence[Record]) -> list[str]:
    """The targets, in the order of the run."""
    return list(dict.fromkeys(r["target"] for r in matching(records, kind="accuracy")))


def gap(records: Sequence[Record], target: str, source: str, fraction: float) -> Paired:
    """Transfer minus oracle, in points.

    Args:
        records: of the run.
        target: the network trained on the coresets.
        source: the proxy's network; "Random" for random rows.
        fraction: kept.
    """
    own = matching(records, kind="accuracy", target=target, fraction=fraction)
    of_cld = matching(own, method="CLD")
    other = matching(own, method="Random") if source == RANDOM else matching(of_cld, proxy=source)
    found = {"oracle": by_seed(matching(of_cld, proxy=target)), "transfer": by_seed(other)}
    return paired_difference(found, "transfer", "oracle")


def sources_of(records: Sequence[Record], target: str) -> list[str]:
    """The other networks whose selections the target was trained on."""
    of_cld = matching(records, kind="accuracy", method="CLD", target=target)
    return [net for net in dict.fromkeys(r["proxy"] for r in of_cld) if net != target]


def targets_of(records: Sequence[Record]) -> list[str]:
    """The networks that have an oracle and a coreset from another network."""
    return [net for net in networks(records) if sources_of(records, net)]


def of_networks(records: Sequence[Record]) -> dict[tuple[str, str, float], Paired]:
    """The gap of each target, other network and fraction: the tests of the claim."""
    return _gaps_of(records, {target: sources_of(records, target) for target in targets_of(records)})


def of_random(records: Sequence[Record]) -> dict[tuple[str, str, float], Paired]:
    """The gap of random rows for each target and fraction: the tests of the control."""
    return _gaps_of(records, {target: [RANDOM] for target in targets_of(records)})


def _gaps_of(
    records: Sequence[Record], sources: dict[str, list[str]]
) -> dict[tuple[str, str, float], Paired]:
    """The gaps of {target: sources} at every fraction."""
    fractions = fractions_of(matching(records, kind="accuracy"))
    return {
        (target, source, f): gap(records, target, source, f)
        for target, of_target in sources.items()
        for f in fractions
        for source in of_target
    }


def means(records: Sequence[Record], source: str | None) -> dict[str, dict[int, float]]:
    """{"oracle" and "transfer": {seed: accuracy}}, averaged over targets, fractions and sources.

    Args:
        records: of the run.
        source: "Random" for random rows; None for all networks but the target.
    """
    found: dict[str, dict[int, list[float]]] = {"oracle": {}, "transfer": {}}
    accuracy = matching(records, kind="accuracy")
    for target in targets_of(records):
        for fraction in fractions_of(accuracy):
            at = matching(accuracy, target=target, fraction=fraction)
            of_cld = matching(at, method="CLD")
            others = [r for r in of_cld if r["proxy"] != target]
            other = matching(at, method="Random") if source == RANDOM else others
            for name, chosen in (("oracle", matching(of_cld, proxy=target)), ("transfer", other)):
                for seed, value in by_seed(chosen).items():
                    found[name].setdefault(seed, []).append(value)
    return {name: {s: float(np.mean(v)) for s, v in seeds.items()} for name, seeds in found.items()}


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Every target, source and fraction; the mean; and random rows by the same test."""
    average = paired_difference(means(records, None), "transfer", "oracle")
    above_random = paired_difference(means(records, RANDOM), "oracle", "transfer")
    return [
        margin_verdict(
            "another network's selection loses less than 1 point against the oracle, for every target, "
            "network and fraction", list(of_networks(records).values())),
        margin_verdict("the same on average over them", [average]),
        margin_verdict(
            "control: random rows lose less than 1 point against the oracle, for every target and fraction",
            list(of_random(records).values())),
        *by_sign({"control: the oracle is above random rows on average": above_random}),
    ]  # fmt: skip


def table(records: Sequence[Record]) -> TextTable:
    """A line for each target, source and fraction, as in Table 6."""
    networks, random = of_networks(records), of_random(records)
    lines = []
    for cells in (networks, random):
        for (target, source, fraction), cell in cells.items():
            at = matching(records, kind="accuracy", target=target, fraction=fraction)
            loss, both = (test(cell, MARGIN, tests=len(cells)) for test in (noninferiority, equivalence))
            oracle = summarise(by_seed(matching(at, method="CLD", proxy=target))).mean
            lines.append(
                (target, percent(fraction), source, f"{oracle:.2f}", f"{oracle + cell.difference:.2f}",
                 measured(loss.difference, loss.low, loss.high, ""),
                 far_ends(loss), loss.word, both.word,
                 _overlap(records, target, source, fraction))
            )  # fmt: skip
    place = {target: i for i, target in enumerate(targets_of(records))}
    lines.sort(key=lambda line: (place[line[0]], float(line[1].rstrip("%"))))
    headers = ("target", "kept", "chosen by", "oracle %", "transfer %", "minus oracle, 90%",
               "second interval", "loss below 1 point", "within 1 point",
               "shared rows, Jaccard (chance)")  # fmt: skip
    title = (
        "Transfer minus oracle, in points; “no” is decided by the second interval, "
        f"{far_level(len(networks))} for networks, {far_level(len(random))} for random rows"
    )
    return TextTable(title, headers, tuple(lines), words=(2,))


def _overlap(records: Sequence[Record], one: str, other: str, fraction: float) -> str:
    """Mean Jaccard overlap of two proxies' selections."""
    found = [
        r
        for r in matching(records, kind="overlap", fraction=fraction)
        if {r["proxy"], r["target"]} == {one, other}
    ]
    if not found:
        return "-"
    return f"{np.mean([r['jaccard'] for r in found]):.2f} ({np.mean([r['chance'] for r in found]):.2f})"


def draw(records: Sequence[Record]) -> Figure:
    """Above: accuracies on each target. Below: the gap of each pair."""
    from matplotlib.figure import Figure

    targets = targets_of(records)
    figure = Figure(figsize=(3.4 * len(targets) + 0.4, 6.6), dpi=DPI, layout="constrained")
    figure.suptitle("Coresets chosen by another network's proxy (Figure 3, Table 6)", fontsize=11, color=INK)
    axes = figure.subplots(2, len(targets), squeeze=False, sharey="row")
    for i, target in enumerate(targets):
        _curves(axes[0, i], records, target)
        _gaps(axes[1, i], records, target)
    axes[0, 0].set_ylabel("test accuracy, %: mean ± std", fontsize=9, color=INK)
    axes[1, 0].set_ylabel("minus the oracle,\npoints, 90% interval", fontsize=9, color=INK)
    return figure


def _curves(ax: Axes, records: Sequence[Record], target: str) -> None:
    """Oracle, transfer and random rows over the fractions."""
    dress(ax)
    accuracy = matching(records, kind="accuracy", target=target)
    fractions = fractions_of(accuracy)
    fraction_axis(ax, fractions)
    ax.set_xlabel("kept", fontsize=9, color=INK)
    ax.set_title(f"target: {target}", fontsize=10, color=INK)
    for i, source in enumerate((target, *sources_of(records, target), RANDOM)):
        own = matching(accuracy, method="Random") if source == RANDOM else matching(accuracy, proxy=source)
        found = [summarise(by_seed(own, fraction=f)) for f in fractions]
        name = "oracle: its own proxy" if source == target else f"chosen by {source}"
        style = style_of(i, source == target) | {"color": _colour(records, source, target)}
        ax.errorbar(range(len(fractions)), [s.mean for s in found], [s.std or 0 for s in found],
                    label="random rows" if source == RANDOM else name, **style)  # fmt: skip
    ax.legend(fontsize=7.5, frameon=False)


def _gaps(ax: Axes, records: Sequence[Record], target: str) -> None:
    """A dot for each source and fraction, with the answer of its test."""
    dress(ax, "y")
    ax.axhspan(-MARGIN, MARGIN, color="#e5efe5", zorder=0)
    ax.axhline(0, color="#111111", lw=0.8)
    shown = []
    for cells in (of_networks(records), of_random(records)):
        for (of, source, fraction), cell in cells.items():
            if of == target:
                shown.append((source, fraction, noninferiority(cell, MARGIN, tests=len(cells))))
    shown.sort(key=lambda cell: cell[0] == RANDOM)
    for x, (source, _, test) in enumerate(shown):
        colour = _colour(records, source, target)
        if test.low is not None:
            ax.plot([x, x], [test.low, test.high], color=colour, lw=1.6)
        ax.plot(x, test.difference, "o", color=colour)
        top = test.difference if test.high is None else test.high
        ax.annotate(test.word, (x, top), (0, 4), textcoords="offset points", fontsize=6.5, ha="center",
                    rotation=90, color=INK)  # fmt: skip
    ax.margins(y=0.45)
    names = [f"{'random rows' if s == RANDOM else s}\n{percent(f)}" for s, f, _ in shown]
    ax.set_xticks(range(len(shown)), names, fontsize=7, rotation=60)
    ax.set_xlim(-0.6, len(shown) - 0.4)
    ax.set_xlabel("chosen by, and kept; is the loss below 1 point?", fontsize=9, color=INK)


def _colour(records: Sequence[Record], source: str, target: str) -> str:
    """The same for a network in all panels; the oracle black, random rows grey."""
    if source in (target, RANDOM):
        return "#111111" if source == target else "#999999"
    return str(style_of(networks(records).index(source), False)["color"])


CLAIM = Claim(
    name="transfer",
    paper="Figure 3, Table 6",
    sizes=SIZES,
    loads=loads,
    measure=measure,
    judge=judge,
    table=table,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
