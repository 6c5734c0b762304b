"""The page of an audit: which samples disagree with their labels."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcore.analysis.label_errors import OFTEN, Suspects, WrongShare, instead
from deepcore.proxy.run import ProxyRun
from deepcore.report.page import Section, page
from deepcore.report.sample_cards import CARD_STYLE, cards, class_name, references
from deepcore.report.sample_views import SampleViews

STYLE = (
    """
.tiles { display: flex; flex-wrap: wrap; gap: .9rem; margin: .9rem 0; }
.tiles div { flex: 1 1 11rem; background: var(--tint); border-radius: 8px; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.7rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; }
.classes { width: 100%; }
.classes td.bar { width: 32%; text-align: left; }
.classes td.bar i { display: inline-block; height: .7em; min-width: 1px; margin-right: .5em;
  border-radius: 2px; background: #c0392b; }
.classes td.said { white-space: normal; text-align: left; }
.classes td.said span { white-space: nowrap; margin-right: .9em; }
"""
    + CARD_STYLE
)
LOWER = {"lowest": "low is suspicious", "highest": "high is suspicious"}
TABLED_CLASSES = 100


@dataclass(frozen=True)
class Audit:
    """What is known for the page and the CSV.

    Attributes:
        run: the log.
        suspects: all samples, the most suspicious first.
        share: the estimated share of wrong labels; None where it cannot be estimated.
        count: how many of `suspects` are counted as such.
        source: of the log, for the title.
        notes: what the methods warned of.
    """

    run: ProxyRun
    suspects: Suspects
    share: WrongShare | None
    count: int
    source: str
    notes: tuple[str, ...] = ()

    @property
    def ids(self) -> np.ndarray:
        """(N,) ids as they were logged."""
        return self.run.log.name_of(self.run.ids)


def audit_columns(audit: Audit, rows: int) -> dict[str, np.ndarray]:
    """The table for the person who relabels: the first `rows` suspects, an empty column new_label last."""
    run, positions = audit.run, audit.suspects.order[:rows]
    columns = {"rank": np.arange(1, len(positions) + 1), "id": audit.ids[positions]}
    if run.log.has_classes:
        columns["label"] = run.log.class_of(run.labels[positions])
    said = instead(run, positions)
    if said is not None:
        columns["model_says"] = np.array([class_name(run, c) for c in said[0]])
        if not np.isnan(said[1]).all():
            columns["share_of_epochs"] = said[1].round(3)
    columns["combined_rank"] = audit.suspects.combined[positions]
    for name, values in audit.suspects.scores.items():
        columns[name] = np.asarray(values, dtype=np.float64)[positions]
    return columns | {"new_label": np.array([""] * len(positions))}


def audit_page(audit: Audit, views: SampleViews | None, shown: int, csv_name: str) -> str:
    """The whole page.

    Args:
        audit: what is known.
        views: shows samples; None for none.
        shown: suspects that are shown one by one.
        csv_name: of the table beside it.
    """
    order = audit.suspects.order
    odd = order[:shown]
    typical = order[::-1][: max(4, shown // 3)]
    sections = [
        Section("How many", markup=_how_many(audit)),
        Section("By class", lines=_by_class_lines(audit), markup=_class_table(audit)),
        Section(
            "The most suspicious",
            lines=_legend(audit, odd=True),
            markup=cards(audit.run, audit.suspects, odd, views, suspicious=True),
        ),
        Section(
            "The most typical, for comparison",
            lines=_legend(audit, odd=False),
            markup=cards(audit.run, audit.suspects, typical, views, suspicious=False),
        ),
        Section("How to read the scores", points=_meanings(audit)),
    ]
    run = audit.run
    size = f"{len(run.ids):,} samples"
    size += f" in {np.unique(run.labels).size} classes" if run.log.has_classes else ""
    size += f", {run.epochs} epochs" if run.trajectories else ""
    lead = (
        f"{audit.source}: {size}, ranked by {_and(list(audit.suspects.scores))}. The table for the person "
        f"who relabels is {csv_name}."
    )
    return page("Which labels look wrong", lead, sections, STYLE)


def _how_many(audit: Audit) -> str:
    """The estimate in large figures, how it was made, and what the log's notes say."""
    share, count = audit.share, len(audit.ids)
    if share is None:
        tiles = []
        lines = [
            "How many labels are wrong cannot be estimated from this log: that takes classes, margins "
            "(log logits instead of losses) and validation losses. The ranking below does not need it."
        ]
    else:
        low, high = round(share.low * count), round(share.high * count)
        wrong = round(share.estimate * count)
        tiles = [
            (f"{share.estimate:.1%}", f"estimated share of wrong labels: {wrong:,} of {count:,}"),
            (f"{share.low:.1%} to {share.high:.1%}", f"its interval: {low:,} to {high:,} samples"),
        ]
        lines = [
            f"A label counts as wrong when the model contradicts it in more than {OFTEN:.0%} of "
            f"{_epochs_read(share, audit.run.epochs)}. Samples that are truly ambiguous count, too. Wrong "
            "labels that follow a pattern do not: the model learns the pattern."
        ]
    figures = "".join(f"<div><b>{figure}</b><span>{text}</span></div>" for figure, text in tiles)
    lines += [f"Note: {note}." for note in (*audit.run.log.notes, *audit.notes)]
    text = "".join(f"<p>{html.escape(line)}</p>" for line in lines)
    return (f'<div class="tiles">{figures}</div>' if tiles else "") + text


def _epochs_read(share: WrongShare, epochs: int) -> str:
    if share.epochs >= epochs:
        return f"the {epochs} epochs"
    return f"epochs 1 to {share.epochs} (later the validation loss rises, and labels are learned by heart)"


def _by_class_lines(audit: Audit) -> list[str]:
    if not audit.run.log.has_classes:
        return []
    return [f"Where the {audit.count:,} most suspicious samples are."]


def _class_table(audit: Audit) -> str:
    """Suspects of each class, and the classes that the model says most often instead."""
    run = audit.run
    if not run.log.has_classes:
        return ""
    positions = audit.suspects.order[: audit.count]
    said = instead(run, positions)
    sizes = np.bincount(run.labels, minlength=run.num_classes)
    counts = np.bincount(run.labels[positions], minlength=run.num_classes)
    shares = counts / np.maximum(sizes, 1)
    classes = [int(c) for c in np.lexsort((np.arange(len(counts)), -shares)) if sizes[c]]
    headers = [
        "class",
        "samples",
        "suspects",
        "share of the class",
        *([] if said is None else ["the model says instead"]),
    ]
    rows = []
    for c in classes[:TABLED_CLASSES]:
        long = 70 * shares[c] / max(shares.max(), 1e-9)
        cells = [
            f'<td class="word">{html.escape(class_name(run, c))}</td>',
            f"<td>{sizes[c]:,}</td><td>{counts[c]:,}</td>",
            f'<td class="bar"><i style="width:{long:.0f}%"></i>{shares[c]:.1%}</td>',
        ]
        if said is not None:
            cells.append(f'<td class="said">{_instead_of(run, said[0][run.labels[positions] == c])}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    left = len(classes) - TABLED_CLASSES
    note = f'<p class="note">{left} classes with a smaller share are left out.</p>' if left > 0 else ""
    head = "".join(f"<th{'' if 0 < i < 3 else ' class=word'}>{name}</th>" for i, name in enumerate(headers))
    return (
        f'<div class="scroll"><table class="classes"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>{note}"
    )


def _instead_of(run: ProxyRun, classes: np.ndarray) -> str:
    """The three most frequent classes, with their counts."""
    counts = np.bincount(classes[classes >= 0], minlength=1)
    best = [int(c) for c in np.lexsort((np.arange(len(counts)), -counts))[:3] if counts[c]]
    return "".join(f"<span><b>{html.escape(class_name(run, c))}</b> × {counts[c]:,}</span>" for c in best)


def _legend(audit: Audit, *, odd: bool) -> list[str]:
    if not audit.run.trajectories:
        return ["There are no loss curves: the log was made in one pass."] if odd else []
    colour, known = "Red" if odd else "Blue", references(audit.run)
    whose = "the mean validation loss"
    if known is not None and audit.run.log.has_classes:
        whose += " of its class" if known.shape[1] > 1 else " of all classes"
    reference = "" if known is None else f"; dashed grey: {whose}"
    return [f"{colour}: the sample's loss by epoch{reference}."]


def _meanings(audit: Audit) -> Sequence[str]:
    what = {
        "CLD": "CLD is the correlation of the sample's loss differences with those of the mean "
        "validation loss: near 1, the sample is learned together with the others.",
        "AUM": "AUM is the mean margin over the epochs: how far the label is ahead of the strongest other "
        "class.",
        "loss": "loss is the mean loss over the epochs.",
    }
    found = []
    for name in audit.suspects.scores:
        end = LOWER[audit.suspects.suspicious[name]]
        found.append(f"{what.get(name.split(':')[0], name + '.')} {end[0].upper()}{end[1:]}.")
    if len(audit.suspects.scores) > 1:
        found.append("Samples are ordered by the median of their ranks in these scores.")
    return found


def _and(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
