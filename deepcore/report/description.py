"""The closing sections of a report: data, recipes, methods, notes, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from deepcore.experiment.rows import ResultRow
from deepcore.experiment.tail_record import tail_line
from deepcore.report.cells import REFERENCE, percent
from deepcore.report.page import Section

MEANING = (
    "Accuracy is the test accuracy after the last training step. The test set is read once per row.",
    "Kept is a fraction of the candidates: the training set without the validation rows.",
    "Each seed has its own split, proxy run and target initialisation. All methods of a seed share them, so "
    "differences between methods are paired.",
)
SCHEDULES = {  # what of a recipe belongs to which schedule
    "MultiStepLR": ("milestones", "gamma"),
    "CosineAnnealingLR": ("min_lr",),
    "OneCycleLR": ("min_lr",),
    "StepLR": ("step_size", "gamma"),
    "ConstantLR": (),
}


def description(done: Sequence[ResultRow]) -> list[Section]:
    """The closing sections of a report."""
    first = done[0]
    proxies = [row for row in done if row.proxy_net and not row.reads.get("own")]
    data = [
        ("data set", first.dataset),
        ("candidates", f"{first.n:,} in each seed"),
        ("validation rows", f"{first.q:,} in each seed, held out"),
        ("test rows", f"{first.n_test:,}"),
        ("seeds", ", ".join(map(str, sorted({row.seed for row in done})))),
        ("target", f"{', '.join(_distinct(row.target_net for row in done))}; {recipe(first.target_recipe)}"),
    ]
    if first.long_tail:
        data.append(("class sizes", tail_line(first.long_tail)))
    if proxies:
        same = proxies[0].proxy_recipe == first.target_recipe
        how = "the target's recipe" if same else recipe(proxies[0].proxy_recipe)
        data.append(("proxy", f"{proxies[0].proxy_net}; {how}"))
    return [
        Section("What was run", lines=MEANING, facts=data),
        Section(
            "Methods",
            lines=["A field that depends on the fraction has one value per fraction."],
            facts=_methods(done),
        ),
        Section("Notes of the selections", points=_notes(done), folded="open"),
        Section("Provenance", facts=_provenance(done)),
    ]


def recipe(spec: Mapping[str, Any]) -> str:
    """A TrainSpec in one line."""
    length = f"{spec['steps']:,} steps" if spec["steps"] else f"{spec['epochs']} epochs"
    momentum = f", momentum {spec['momentum']:g}" if spec["optimizer"] == "SGD" else ""
    nesterov = " (Nesterov)" if momentum and spec["nesterov"] else ""
    own = []
    for name in SCHEDULES[spec["scheduler"]]:
        value = spec[name]
        shown = (
            ", ".join(f"{v:.3g}" for v in value) + " of the length" if name == "milestones" else f"{value:g}"
        )
        own.append(f"{name} {shown}")
    schedule = spec["scheduler"] + (f" ({'; '.join(own)})" if own else "")
    augmented = "the data set's augmentation" if spec["augment"] else "no augmentation"
    return (
        f"{length}, batch {spec['batch']}, {spec['optimizer']}, lr {spec['lr']:g}{momentum}{nesterov}, "
        f"weight decay {spec['weight_decay']:g}, {schedule}, {augmented}, {spec['precision']}"
    )


def failures(rows: Iterable[ResultRow]) -> list[str]:
    """One line for each failed row."""
    return [
        f"{row.label}, {percent(row.fraction)}, {row.target_net}, seed {row.seed}: "
        f"{row.error.splitlines()[-1]}"
        for row in rows
        if row.status != "ok"
    ]


def _methods(done: Sequence[ResultRow]) -> list[tuple[str, str]]:
    """Each method with its recording and the fields that are set."""
    facts = []
    for label in _distinct(row.label for row in done):
        members = sorted((row for row in done if row.label == label), key=lambda row: row.fraction or 0)
        specs = {row.fraction: row.method_spec for row in members}
        parts = [f"reads {members[0].recording} recordings"] if members[0].recording else []
        for name in members[0].method_spec:
            values = [str(spec[name]) for spec in specs.values()]
            if name not in ("name", "record") and set(values) != {"None"}:
                parts.append(f"{name}={' / '.join(values if len(set(values)) > 1 else values[:1])}")
        facts.append((label if members[0].is_selection else label + REFERENCE, ", ".join(parts)))
    return facts


def _notes(done: Sequence[ResultRow]) -> list[str]:
    """Each note of a selection once, with its seeds."""
    found: dict[tuple, list[int]] = {}
    for row in done:
        for note in row.notes:
            if row.is_selection:
                seeds = found.setdefault((row.label, row.fraction, note), [])
                seeds += [row.seed] if row.seed not in seeds else []
    return [
        f"{label}, {percent(fraction)}, seed {', '.join(map(str, seeds))}: {note}"
        for (label, fraction, note), seeds in found.items()
    ]


def _provenance(done: Sequence[ResultRow]) -> list[tuple[str, str]]:
    """Versions, commit, machine and commands: all values that the rows have."""
    facts = []
    versions = ("deepcore", "commit", "python", "torch", "numpy")
    for name in (*versions, "platform", "device", "cores", "threads", "compiled"):
        values = _distinct(str(row.provenance[name]) for row in done if row.provenance.get(name) is not None)
        if values:
            facts.append((name, ", ".join(values)))
    commands = _distinct(" ".join(row.provenance.get("command", ())) for row in done)
    facts.append(("command" if len(commands) == 1 else "commands", "; ".join(commands)))
    finished = sorted(row.measured["finished"] for row in done)
    facts.append(("rows finished", f"{finished[0]} to {finished[-1]}"))
    return facts


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
