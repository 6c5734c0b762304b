"""Tables from result rows, and from nothing else."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tabulate import tabulate

from deepcore.results import ResultRow

OUTPUTS = ("table", "md", "latex", "csv", "json")
_STYLES = {"table": "simple", "md": "github", "latex": "latex"}


@dataclass(frozen=True)
class Summary:
    """The finished rows of one method, fraction and target net over seeds; accuracies in percent.

    `std` is the sample standard deviation (n - 1), None for one seed. `worst` is the mean over seeds of the
    lowest class accuracy.
    """

    dataset: str
    net: str
    method: str
    fraction: float | None
    k: int
    n: int
    mean: float
    std: float | None
    worst_mean: float
    worst_std: float | None


def summarise(rows: Sequence[ResultRow]) -> list[Summary]:
    """One Summary per (net, method, fraction) with a finished row, in order of first appearance."""
    groups: dict[tuple, list[ResultRow]] = {}
    for row in rows:
        if row.status == "ok":
            groups.setdefault((row.dataset, row.target_net, row.label, row.fraction), []).append(row)
    summaries = []
    for (dataset, net, label, fraction), members in groups.items():
        mean, std = _mean_std([100 * row.accuracy for row in members])
        worst_mean, worst_std = _mean_std([100 * (row.worst_class() or 0.0) for row in members])
        k = round(statistics.mean(row.k for row in members))
        summaries.append(
            Summary(dataset, net, label, fraction, k, len(members), mean, std, worst_mean, worst_std)
        )
    return summaries


def accuracy_report(rows: Sequence[ResultRow], output: str = "table") -> str:
    """The accuracy table: mean ± sample std (n seeds) of the last step's test accuracy, worst class beside
    it.

    Args:
        rows: of any number of methods, fractions, nets and seeds; failed ones are left out.
        output: one of OUTPUTS; csv and json have one record per method, fraction and net, in percent.
    """
    summaries = summarise(rows)
    if output == "json":
        return json.dumps([asdict(s) for s in summaries], indent=1)
    if output == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, list(Summary.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(s) for s in summaries)
        return text.getvalue().rstrip("\n")
    nets = list(dict.fromkeys(s.net for s in summaries))
    headers = ["method", "kept", "rows", "accuracy %", "worst class %"]
    if len(nets) > 1:
        headers.insert(0, "net")
    body = []
    for s in summaries:
        kept = "all" if s.fraction is None and s.method.startswith("Full") else _percent(s.fraction)
        line = [s.method, kept, f"{s.k:,}", _spread(s.mean, s.std, s.n), _spread(s.worst_mean, s.worst_std)]
        body.append([s.net, *line] if len(nets) > 1 else line)
    align = ["left"] * (len(headers) - 4) + ["right"] * 4
    return tabulate(body, headers=headers, tablefmt=_STYLES[output], colalign=align, disable_numparse=True)


def _percent(fraction: float | None) -> str:
    return "file" if fraction is None else f"{100 * fraction:.10g}%"


def _spread(mean: float, std: float | None, n: int | None = None) -> str:
    """`mean ± std (n)`; without the std where there is none."""
    spread = "" if std is None else f" ± {std:.2f}"
    return f"{mean:.2f}{spread}" + ("" if n is None else f" ({n})")


def _mean_std(values: list[float]) -> tuple[float, float | None]:
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None


def closing_lines(rows: Sequence[ResultRow], folder: Path) -> list[str]:
    """What the numbers above are of, and where everything is."""
    done = [row for row in rows if row.status == "ok"]
    if not done:
        return [f"no row finished; the errors are in {folder / 'rows'}"]
    first = done[0]
    recipe = first.target_recipe
    length = f"{recipe['steps']} steps" if recipe["steps"] else f"{recipe['epochs']} epochs"
    steps = sorted({row.steps for row in done})
    span = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    modes = ", ".join(sorted({row.recording for row in done if row.recording})) or "none"
    schedule = f"{recipe['optimizer']}, lr {recipe['lr']:g}, {recipe['scheduler']}, batch {recipe['batch']}"
    proxies = sorted(
        {f"{row.proxy_net}, {row.proxy_recipe['epochs']} epochs" for row in done if row.proxy_net}
    )
    return [
        f"{first.dataset}: {first.n:,} candidates, {first.q:,} validation rows; kept is of the candidates",
        f"targets: {length} each ({span} steps), {schedule}",
        "accuracy: on the test set, after the last step; mean ± sample std (number of seeds)",
        f"proxy: {'; '.join(proxies) or 'none'}; recording: {modes}",
        f"rows, selections and proxy runs are in {folder}",
    ]
