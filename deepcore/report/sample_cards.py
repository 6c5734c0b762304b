"""Samples one by one, as cards of a page: picture or text, label, loss curve, scores."""

from __future__ import annotations

import html

import numpy as np

from deepcore.analysis.label_errors import Suspects, instead
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.report.loss_curve import CURVE_STYLE, loss_curve
from deepcore.report.sample_views import SampleViews

CARD_STYLE = (
    """
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .9rem;
  margin: .8rem 0; }
.card { display: flex; flex-direction: column; border: 1px solid var(--rule); border-radius: 8px;
  padding: .7rem .8rem .5rem; break-inside: avoid; }
.card header { display: flex; justify-content: space-between; gap: .5rem; font-size: .8rem;
  color: var(--soft); }
.card header b { color: var(--ink); overflow-wrap: anywhere; }
.card .what { display: flex; gap: .8rem; align-items: center; margin: .5rem 0 .4rem; }
.card .what > div { min-width: 0; }
.card p { margin: .1rem 0; font-size: .9rem; overflow-wrap: anywhere; }
.card small { color: var(--soft); }
.card .given { color: var(--below); font-weight: 600; }
.card .said { color: var(--above); font-weight: 600; }
.card img { flex: none; max-width: 6rem; max-height: 6rem; border-radius: 4px; background: var(--tint); }
.card img.sharp { width: 6rem; image-rendering: pixelated; }
.card blockquote { flex: 1; margin: 0; padding: .35rem .5rem; background: var(--tint); border-radius: 4px;
  font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere; max-height: 10.4em; overflow: hidden; }
.card .what:has(blockquote) { display: block; }
.card blockquote + div { margin-top: .4rem; }
.card .curve { margin-top: auto; }
.card .note { margin: .2rem 0 0; font-size: .78rem; }
"""
    + CURVE_STYLE
)


def class_name(run: ProxyRun, c: int) -> str:
    """A class as it was logged; "" for none."""
    return "" if c < 0 else str(run.log.class_of(np.array([c]))[0])


def references(run: ProxyRun) -> np.ndarray | None:
    """(T, 1) mean validation losses to draw, with which CLD compares in an audit; (T, C) of each class where
    only these were logged; None without any."""
    if Signal.LOSS in run.val_trajectories or run.val_mean_loss is not None:
        return run.val_mean(initial=run.has_initial)[:, None]
    return None if run.val_class_loss is None else run.val_class_means(initial=run.has_initial)


def cards(
    run: ProxyRun, suspects: Suspects, positions: np.ndarray, views: SampleViews | None, *, suspicious: bool
) -> str:
    """A card for each sample.

    Args:
        run: the log.
        suspects: the ranking of all samples.
        positions: (n,) of the samples shown, by rank: from the first, or with `suspicious` off from the last.
        views: shows samples; None for none.
        suspicious: whether the cards say what the model says instead.
    """
    names, said = run.log.name_of(run.ids[positions]), instead(run, positions)
    known = references(run) if run.trajectories else None
    losses = run.trajectory(Signal.LOSS, "online", initial=run.has_initial) if run.trajectories else None
    found = []
    for place, position in enumerate(positions.tolist()):
        rank = place + 1 if suspicious else len(run.ids) - place
        label = int(run.labels[position])
        parts = [f"<header><b>{html.escape(str(names[place]))}</b><span>#{rank:,}</span></header>"]
        other = (said[0][place], said[1][place]) if suspicious and said is not None else None
        line = _label(run, label, other) if run.log.has_classes else ""
        view = "" if views is None else views.view(names[place].item())
        parts.append(f'<div class="what">{view}<div>{line}</div></div>')
        if losses is not None:
            column = None if known is None else known[:, label if known.shape[1] > 1 else 0]
            first = 0 if run.has_initial else 1
            parts.append(loss_curve(losses[:, position], column, first, suspicious=suspicious))
        parts.append(f'<p class="note">{_scores(suspects, position)}</p>')
        found.append(f'<article class="card">{"".join(parts)}</article>')
    return f'<div class="cards">{"".join(found)}</div>'


def _label(run: ProxyRun, label: int, other: tuple[int, float] | None) -> str:
    """The label, and what the model says instead and how often."""
    given = html.escape(class_name(run, label))
    if other is None or other[0] < 0:
        return f"<p>labelled <b>{given}</b></p>"
    often = "" if np.isnan(other[1]) else f"<p><small>in {other[1]:.0%} of the epochs</small></p>"
    said = html.escape(class_name(run, int(other[0])))
    return (
        f'<p>labelled <span class="given">{given}</span></p>'
        f'<p>the model says <span class="said">{said}</span></p>{often}'
    )


def _scores(suspects: Suspects, position: int) -> str:
    return " · ".join(
        f"{html.escape(name)} {float(values[position]):.3g}" for name, values in suspects.scores.items()
    )
