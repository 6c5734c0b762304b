"""The page of an audit: which samples disagree with their labels."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepcore.analysis.label_errors import OFTEN, Suspects, WrongShare, instead
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.report.loss_curve import loss_curve
from deepcore.report.page import Section, page
from deepcore.report.sample_views import SampleViews
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

STYLE = """
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .9rem;
  margin: .8rem 0; }
.card { border: 1px solid var(--rule); border-radius: 6px; padding: .7rem .8rem .5rem; break-inside: avoid; }
.card header { display: flex; justify-content: space-between; gap: .5rem; font-size: .8rem;
  color: var(--soft); }
.card header b { color: var(--ink); overflow-wrap: anywhere; }
.card p { margin: .25rem 0; font-size: .9rem; overflow-wrap: anywhere; }
.card .given { color: var(--below); font-weight: 600; }
.card .said { color: var(--above); font-weight: 600; }
.card img { display: block; max-width: 100%; margin: .3rem 0; }
.card img.sharp { width: 7rem; image-rendering: pixelated; }
.card blockquote { margin: .3rem 0; padding: .3rem .5rem; background: var(--tint); font-size: .82rem;
  overflow-wrap: anywhere; max-height: 9em; overflow: hidden; }
.card .note { margin: .1rem 0 0; }
.curve { margin-top: .3rem; }
.curve text { font-size: 9px; fill: #5c6670; }
.curve path { fill: none; stroke-linejoin: round; }
.curve .axis { stroke: #b6bec6; stroke-width: 1; }
.curve .ref { stroke: #8b96a1; stroke-width: 1.6; stroke-dasharray: 4 3; }
.curve .odd { stroke: #c0392b; stroke-width: 1.8; }
.curve .plain { stroke: #1f6fb2; stroke-width: 1.8; }
"""
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
        columns["model_says"] = np.array([_class_name(run, c) for c in said[0]])
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
        Section("How many", lines=_how_many(audit), facts=_facts(audit, csv_name)),
        Section("By class", lines=_by_class_lines(audit), tables=_class_tables(audit)),
        Section(
            "The most suspicious",
            lines=_legend(audit, odd=True),
            markup=_cards(audit, odd, views, suspicious=True),
        ),
        Section(
            "The most typical, for comparison",
            lines=_legend(audit, odd=False),
            markup=_cards(audit, typical, views, suspicious=False),
        ),
        Section("How to read the scores", points=_meanings(audit)),
    ]
    lead = (
        f"{audit.source}: {len(audit.ids):,} samples ranked by {', '.join(audit.suspects.scores)}; the table "
        f"to relabel is {csv_name}"
    )
    return page("Which labels look wrong", lead, sections, STYLE)


def _how_many(audit: Audit) -> list[str]:
    share = audit.share
    if share is None:
        return [
            "How many labels are wrong cannot be estimated from this log: that takes classes, margins "
            "(log logits instead of losses) and validation losses. The ranking below does not need it."
        ]
    count = len(audit.ids)
    return [
        f"An estimated {share.estimate:.1%} of the labels are wrong ({round(share.estimate * count):,} of "
        f"{count:,}); between {share.low:.1%} and {share.high:.1%} "
        f"({round(share.low * count):,} to {round(share.high * count):,}).",
        f"The estimate counts samples whose label the model contradicts in more than {OFTEN:.0%} of epochs 1 "
        f"to {share.epochs}, after which the validation loss rises and labels are learned by heart. Samples "
        "that are truly ambiguous count, too; wrong labels that follow a pattern do not.",
    ]


def _facts(audit: Audit, csv_name: str) -> list[tuple[str, str]]:
    run = audit.run
    classes = np.unique(run.labels).size if run.log.has_classes else "none"
    facts = [("samples", f"{len(run.ids):,}"), ("classes", str(classes))]
    if run.trajectories:
        facts.append(("epochs", str(run.epochs)))
    facts += [("to relabel", csv_name), *(("note", note) for note in (*run.log.notes, *audit.notes))]
    return facts


def _by_class_lines(audit: Audit) -> list[str]:
    if not audit.run.log.has_classes:
        return []
    return [f"Where the {audit.count:,} most suspicious samples are, and what the model says of them."]


def _class_tables(audit: Audit) -> list[Table]:
    """Suspects of each class, and the classes that the model says most often instead."""
    run = audit.run
    if not run.log.has_classes:
        return []
    positions = audit.suspects.order[: audit.count]
    said = instead(run, positions)
    sizes = np.bincount(run.labels, minlength=run.num_classes)
    counts = np.bincount(run.labels[positions], minlength=run.num_classes)
    shares = counts / np.maximum(sizes, 1)
    classes = [int(c) for c in np.lexsort((np.arange(len(counts)), -shares)) if sizes[c]]
    rows, records = [], []
    for c in classes[:TABLED_CLASSES]:
        of_class = "" if said is None else _instead_of(run, said[0][run.labels[positions] == c])
        name = _class_name(run, c)
        rows.append((name, f"{sizes[c]:,}", f"{counts[c]:,}", f"{shares[c]:.1%}", of_class))
        records.append({"class": name, "samples": int(sizes[c]), "suspects": int(counts[c]),
                        "share": float(shares[c]), "instead": of_class})  # fmt: skip
    notes = []
    if len(classes) > TABLED_CLASSES:
        notes.append(f"the {TABLED_CLASSES} classes with the largest share, of {len(classes)}")
    headers = ("class", "samples", "suspects", "share", "the model says instead")
    text = TextTable("", headers, tuple(rows), words=(4,))
    return [Table("suspects", text, tuple(records), tuple(notes))]


def _instead_of(run: ProxyRun, classes: np.ndarray) -> str:
    """The three most frequent classes, with their counts."""
    known = classes[classes >= 0]
    if not known.size:
        return ""
    counts = np.bincount(known)
    best = [int(c) for c in np.lexsort((np.arange(len(counts)), -counts))[:3] if counts[c]]
    return ", ".join(f"{_class_name(run, c)} ({counts[c]:,})" for c in best)


def _class_name(run: ProxyRun, c: int) -> str:
    return "" if c < 0 else str(run.log.class_of(np.array([c]))[0])


def _legend(audit: Audit, *, odd: bool) -> list[str]:
    if not audit.run.trajectories:
        return ["There are no loss curves: the log was made in one pass."] if odd else []
    whose = "its class's mean validation loss" if audit.run.log.has_classes else "the mean validation loss"
    colour = "Red" if odd else "Blue"
    reference = f"; dashed grey: {whose}" if _references(audit.run) is not None else ""
    return [f"{colour}: the sample's loss by epoch{reference}."]


def _references(run: ProxyRun) -> np.ndarray | None:
    """(T, C) validation losses to draw; one column without classes; None without any."""
    if Signal.LOSS in run.val_trajectories or run.val_class_loss is not None:
        return run.val_class_means(initial=run.has_initial)
    return None if run.val_mean_loss is None else run.val_mean(initial=run.has_initial)[:, None]


def _cards(audit: Audit, positions: np.ndarray, views: SampleViews | None, *, suspicious: bool) -> str:
    """A card for each sample."""
    run, said = audit.run, instead(audit.run, positions)
    references = _references(run) if run.trajectories else None
    losses = run.trajectory(Signal.LOSS, "online", initial=run.has_initial) if run.trajectories else None
    cards = []
    for place, position in enumerate(positions.tolist()):
        rank = place + 1 if suspicious else len(run.ids) - place
        parts = [f"<header><b>{html.escape(str(audit.ids[position]))}</b><span>#{rank:,}</span></header>"]
        if views is not None:
            parts.append(views.view(audit.ids[position].item()))
        if run.log.has_classes:
            other = None if said is None else (said[0][place], said[1][place])
            parts.append(_label_line(run, int(run.labels[position]), other if suspicious else None))
        if losses is not None:
            column = None
            if references is not None:
                column = references[:, run.labels[position] if references.shape[1] > 1 else 0]
            first = 0 if run.has_initial else 1
            parts.append(loss_curve(losses[:, position], column, first, suspicious=suspicious))
        parts.append(f'<p class="note">{_score_line(audit.suspects, position)}</p>')
        cards.append(f'<article class="card">{"".join(parts)}</article>')
    return f'<div class="cards">{"".join(cards)}</div>'


def _label_line(run: ProxyRun, label: int, other: tuple[int, float] | None) -> str:
    """The label, and what the model says instead and how often."""
    given = html.escape(_class_name(run, label))
    if other is None or other[0] < 0:
        return f"<p>labelled <b>{given}</b></p>"
    often = "" if np.isnan(other[1]) else f" <small>({other[1]:.0%} of epochs)</small>"
    said = html.escape(_class_name(run, int(other[0])))
    return (
        f'<p>labelled <span class="given">{given}</span>, the model says <span class="said">{said}</span>'
        f"{often}</p>"
    )


def _score_line(suspects: Suspects, position: int) -> str:
    return ", ".join(
        f"{html.escape(name)} {float(values[position]):.3g}" for name, values in suspects.scores.items()
    )


def _meanings(audit: Audit) -> Sequence[str]:
    what = {
        "CLD": "CLD is the correlation of the sample's loss differences with those of its class's validation "
        "loss: a sample that is learned with its class is near 1.",
        "AUM": "AUM is the mean margin over the epochs: how far the label is ahead of the strongest other "
        "class.",
        "loss": "loss is the mean loss over the epochs.",
    }
    found = []
    for name in audit.suspects.scores:
        end = LOWER[audit.suspects.suspicious[name]]
        found.append(f"{what.get(name.split(':')[0], name + '.')} {end[0].upper()}{end[1:]}.")
    if len(audit.suspects.scores) > 1:
        found.append("Samples are ordered by the mean of their ranks in these scores.")
    return found
