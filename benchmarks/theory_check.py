"""Theorem 1 and Lemmas 1 to 3, measured.

    python benchmarks/theory_check.py

Gradient descent, the theorem's own algorithm, on an MLP: first on the whole train part S, where every
iteration is a checkpoint of CLD, then on the coresets of several methods. Gradients of single samples are
exact. The test part stands for the distribution. Measured: whether CLD is high where a sample's gradient
points along the validation gradient (Lemma 1), the gap of alignment kappa, the three terms of the bound
beside the left side, Eq. 46 with and without the term that it omits, and whether kappa ranks methods as their
accuracy does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from scipy.stats import spearmanr

import methods as known_methods
from benchmarks.claim_intervals import adjusted, beside, is_above, p_words, t_interval
from benchmarks.claims import Claim, Record, Setting, Size, Verdict, main, measured, verdict_by
from benchmarks.gpu_hours import Load, stand_in
from benchmarks.layer_gradients import Gradients, Matrices, initial, logits_of, norm
from benchmarks.pool_split import chosen
from benchmarks.theory_figure import draw
from benchmarks.theory_measures import (
    Moment,
    Part,
    Watch,
    alignment,
    bound_terms,
    descend,
    largest_curvature,
    moment,
    summary,
)
from benchmarks.wording import claim
from deepcore.common import seeding
from deepcore.data.record import LabeledData, Rows
from deepcore.data.split import Split, make_split
from deepcore.proxy.run import ProxyRun
from deepcore.report.cells import percent
from deepcore.report.text_table import TextTable

METHODS = ("CLD", "CLD:keep=lowest", "LTC", "Random", "DUAL", "CCS", "EL2N", "Forgetting", "AUM")
EVERY = 5  # other methods read each fifth iteration, as if it were an epoch


@dataclass(frozen=True)
class TheorySize(Size):
    """Also: steps of gradient descent, their length, and how often gradients are measured."""

    steps: int = 100
    eta: float = 0.1
    each: int = 20


SIZES = {
    "quick": TheorySize("Digits", ("MLP",), (0.1,), 3, steps=60, each=20),
    "reduced": TheorySize("Digits", ("MLP",), (0.1, 0.3), 3),
    "full": TheorySize("FashionMNIST", ("MLP",), (0.01, 0.05, 0.1, 0.3), 5, steps=2000, each=50),
}


def loads(size: TheorySize) -> list[Load]:
    """Gradient descent on all rows and on coresets; measured steps count as training passes."""
    data = stand_in(size.dataset)
    n, held = len(data.train), len(data.test) + data.val_fraction * len(data.train)
    kept = len(METHODS) * sum(size.fractions) * n
    moments = size.steps / size.each * held * len(METHODS) * len(size.fractions)
    return [Load(size.dataset, "MLP", size.seeds * (size.steps * (n + kept) + moments), 0)]


def measure(setting: Setting) -> list[Record]:
    """Seed by seed."""
    return setting.seed_by_seed("theory_check", lambda seed: _of_seed(setting, seed))


def _of_seed(setting: Setting, seed: int) -> list[Record]:
    size, data = setting.size, setting.data
    split = make_split(data.train.labels, val_fraction=data.val_fraction, seed=seed)
    train, val = _part(data.train, split.train), _part(data.train, split.val)
    test = _part(data.test, np.arange(len(data.test)))
    start = initial(data.train.shape, data.num_classes, seeding.key(seed, "theory"))
    whole = _Whole(size, train, val)
    descend(start, train, eta=size.eta, steps=size.steps + 1, watch=whole)
    curvature = largest_curvature(whole.path, test)
    records = [_record(seed, "all", 1.0, f"{m}", v) for m, v in whole.alignments(split, data).items()]
    records.append(_record(seed, "all", 1.0, "curvature", curvature))
    for text in METHODS:
        method = known_methods.parse(text)
        run = whole.run(split, data.num_classes, every=1 if text.startswith(("CLD", "LTC")) else EVERY)
        for fraction in size.fractions:
            rows = np.searchsorted(split.train, chosen(method, run, fraction, seed=seed))
            part, moments = Part(train.x[rows], train.y[rows]), []
            trained = descend(
                start, part, eta=size.eta, steps=size.steps, watch=_watch(size, val, test, moments)
            )
            found = summary(moments)
            risk = test.loss(start)
            found |= bound_terms(found, risk=risk, curvature=curvature, eta=size.eta, steps=size.steps)
            found["accuracy"] = test.accuracy(trained)
            setting.progress.say(
                f"seed {seed}: {text}, {percent(fraction)}: {found['accuracy']:.2f}%, "
                f"kappa {found['kappa_mean']:.3f}"
            )
            records += [_record(seed, text, fraction, name, float(value)) for name, value in found.items()]
            if seed == 0 and fraction == size.fractions[-1]:
                records += _curves(text, fraction, moments)
    return records


def _curves(text: str, fraction: float, moments: list[Moment]) -> list[Record]:
    """kappa and delta along the first seed's training."""
    return [
        {**_record(0, text, fraction, name, value), "step": m.step}
        for m in moments
        for name, value in (("kappa_at", float(1 - m.cosines.mean())), ("delta_at", m.delta))
    ]


def _record(seed: int, method: str, fraction: float, measure: str, value: float) -> Record:
    known = {"seed": seed, "method": method, "fraction": fraction, "measure": measure}
    return {**known, "step": None, "value": value}


def _part(rows: Rows, ids: np.ndarray) -> Part:
    (x,) = rows.batches([ids], device=torch.device("cpu"))
    return Part(x.flatten(1).double(), torch.from_numpy(rows.labels[ids]))


def _watch(size: TheorySize, val: Part, test: Part, moments: list[Moment]) -> Watch:
    def watch(step: int, weights: Matrices, gradients: Gradients) -> None:
        if step % size.each == 0:
            moments.append(moment(step, weights, gradients, val, test))

    return watch


class _Whole:
    """Watches the descent on all of S: logits of every iteration, and cosines with the validation gradients
    of all classes together and of the sample's own class."""

    def __init__(self, size: TheorySize, train: Part, val: Part) -> None:
        self.size, self.train, self.val = size, train, val
        self.logits, self.val_logits = [], []
        self.path: list[Matrices] = []
        self.cosines: dict[str, list[np.ndarray]] = {"global": [], "class": []}

    def __call__(self, step: int, weights: Matrices, gradients: Gradients) -> None:
        self.logits.append(logits_of(weights, self.train.x).float().numpy())
        self.val_logits.append(logits_of(weights, self.val.x).float().numpy())
        if step % self.size.each or step == self.size.steps:
            return
        if step % (self.size.steps // 4) < self.size.each:
            self.path.append(weights)
        norms = gradients.norms()
        g = Gradients.of(weights, self.val.x, self.val.y).mean()
        self.cosines["global"].append((gradients.along(g) / (norms * norm(g))).numpy())
        of_class = np.empty(len(self.train.y))
        for c in self.train.y.unique():
            at = self.val.y == c
            g = Gradients.of(weights, self.val.x[at], self.val.y[at]).mean()
            own = (self.train.y == c).numpy()
            of_class[own] = (gradients.along(g) / (norms * norm(g))).numpy()[own]
        self.cosines["class"].append(of_class)

    def run(self, split: Split, num_classes: int, *, every: int) -> ProxyRun:
        """Each `every`-th iteration as a checkpoint, from the untrained network."""
        return ProxyRun.from_logits(
            np.stack(self.logits[::every]),
            self.train.y.numpy(),
            np.stack(self.val_logits[::every]),
            self.val.y.numpy(),
            ids=split.train,
            has_initial=True,
        )

    def alignments(self, split: Split, data: LabeledData) -> dict[str, float]:
        """Of CLD with either trajectory."""
        run, labels, found = self.run(split, data.num_classes, every=1), self.train.y.numpy(), {}
        for kind, cosines in self.cosines.items():
            scores = known_methods.parse(f"CLD:trajectory={kind}").score(run)
            mean = np.mean(cosines, axis=0)
            for where, value in alignment(mean, scores, labels).items():
                found[f"alignment_{kind}_{where}"] = value
            best = np.argsort(-scores)[: len(scores) // 10]
            found[f"cosine_{kind}_top"], found[f"cosine_{kind}_all"] = (
                float(mean[best].mean()),
                float(mean.mean()),
            )
        return found


def values(records: Sequence[Record], measure: str, method: str, fraction: float) -> list[float]:
    """Of each seed."""
    wanted = (measure, method, fraction)
    return [r["value"] for r in records if (r["measure"], r["method"], r["fraction"]) == wanted]


def fractions_of(records: Sequence[Record]) -> list[float]:
    """Of the coresets, ascending."""
    return sorted({r["fraction"] for r in records if r["measure"] == "accuracy"})


def rank_agreement(records: Sequence[Record]) -> list[float]:
    """Of each seed: Spearman's correlation over methods of -kappa with accuracy, mean over fractions."""
    seeds = range(len(values(records, "accuracy", "CLD", fractions_of(records)[0])))
    found = []
    for seed in seeds:
        of_seed = []
        for fraction in fractions_of(records):
            pairs = [
                (
                    values(records, "kappa_mean", m, fraction)[seed],
                    values(records, "accuracy", m, fraction)[seed],
                )
                for m in METHODS
            ]
            kappa, accuracy = zip(*pairs, strict=True)
            of_seed.append(spearmanr(-np.array(kappa), accuracy)[0])
        found.append(float(np.mean(of_seed)))
    return found


def runs(records: Sequence[Record], measure: str) -> list[float]:
    """Of every method, fraction and seed."""
    return [v for f in fractions_of(records) for m in METHODS for v in values(records, measure, m, f)]


def by_run_of_seed(records: Sequence[Record], measure: str) -> np.ndarray:
    """Of each seed, the mean over methods and fractions."""
    return np.mean([values(records, measure, m, f) for f in fractions_of(records) for m in METHODS], axis=0)


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Lemma 1, Eq. 46, Eq. 15, and what kappa is good for. What is tested over seeds is corrected by Holm."""
    lemma, omitted, kappa, rank = _over_seeds(records)
    return [*lemma, _printed_bound(records), omitted, _bound(records), kappa, rank]


def _over_seeds(records: Sequence[Record]) -> tuple[list[Verdict], Verdict, Verdict, Verdict]:
    """Means over seeds beside thresholds."""
    tests, words = {}, {}
    for where, said in (("overall", "all samples"), ("within", "the samples of a class")):
        for kind in ("global", "class"):
            what = (
                f"CLD ranks {said} as the cosine with the validation gradient does: Spearman above 0.5, a "
                f"threshold that is not in the paper ({kind} trajectory)"
            )
            found = values(records, f"alignment_{kind}_{where}", "all", 1.0)
            tests[what], words[what] = beside(found, 0.5), measured(*t_interval(found), "")
    what = (
        "the square of the difference of the norms, which Eq. 46 omits, is below 5% of ||g - G_V||^2, a "
        "threshold that is not in the paper"
    )
    omitted = 100 * by_run_of_seed(records, "omitted")
    mean, low, high = t_interval(omitted)
    tests[what], words[what] = beside(-omitted, -5.0), f"{mean:.1f}% [{low:.1f}, {high:.1f}]"
    what = "kappa, the mean of 1 - cos, is smaller for CLD's coresets than for random ones of the same size"
    cld, random = (
        np.mean([values(records, "kappa_mean", m, f) for f in fractions_of(records)], axis=0)
        for m in ("CLD", "Random")
    )
    tests[what], words[what] = beside(random - cld, 0.0), measured(*t_interval(cld - random), "")
    what = "the smaller kappa, the higher the accuracy: Spearman over methods is above 0"
    ranks = rank_agreement(records)
    tests[what], words[what] = beside(ranks, 0.0), measured(*t_interval(ranks), "")
    *lemma, omitted, kappa, rank = [
        verdict_by(is_above(test), what, f"{words[what]}, {p_words(test)}")
        for what, test in adjusted(tests).items()
    ]
    return lemma, omitted, kappa, rank


def _printed_bound(records: Sequence[Record]) -> Verdict:
    """Whether Eq. 46 as printed is exceeded in any run."""
    shares = np.array(runs(records, "printed_violated"))
    what = (
        "Eq. 46 as printed is not exceeded by any sample with its own angle: ||g - G_V||^2 <= 2 B^2 (1 - cos)"
    )
    text = f"in {(shares > 0).sum()} of the {len(shares)} runs a sample exceeds it"
    if shares.any():
        text += f", at most {100 * shares.max():.2f}% of a run's pairs of sample and step"
    return verdict_by(not shares.any(), what, text)


def _bound(records: Sequence[Record]) -> Verdict:
    """Whether the right side of (15) is below what is known without training, in every run."""
    terms = [np.array(runs(records, f"term_{name}")) for name in ("start", "step", "alignment")]
    right, start = np.sum(terms, axis=0), np.array(runs(records, "risk2_start"))
    left = np.array(runs(records, "risk2_min"))
    text = (
        f"so in {(right < start).sum()} of the {len(right)} runs; on average left side {left.mean():.2g}, "
        f"right side {right.mean():.3g} ({' + '.join(f'{t.mean():.3g}' for t in terms)}), before training "
        f"{start.mean():.3g}"
    )
    what = "the bound (15) says more than the start: its right side is below ||grad R(theta_0)||^2"
    return verdict_by(bool((right < start).all()), what, text)


def table(records: Sequence[Record]) -> TextTable:
    """A line for each method and fraction."""
    lines = []
    shown = ("accuracy", "kappa_mean", "kappa_max", "delta", "error", "printed_ratio", "corrected_ratio")
    for fraction in fractions_of(records):
        rows = [
            (m, percent(fraction), *(float(np.mean(values(records, name, m, fraction))) for name in shown))
            for m in METHODS
        ]
        rows.sort(key=lambda row: -row[2])
        lines += [(*row[:2], f"{row[2]:.2f}", *(f"{v:.3f}" for v in row[3:])) for row in rows]
    headers = ("method", "kept", "accuracy", "mean kappa", "largest kappa", "largest delta", "largest error",
               "distance / bound, printed", "distance / bound, corrected")  # fmt: skip
    seeds = len(values(records, "curvature", "all", 1.0))
    return TextTable(f"Gradient descent on coresets, mean of {seeds} seeds", headers, tuple(lines))


def remarks(records: Sequence[Record]) -> list[str]:
    """How far kappa is from 0, whether the step is short enough for the theorem, and what R_inf does."""
    large = fractions_of(records)[-1]
    mean, largest = (
        float(np.mean(values(records, name, "CLD", large))) for name in ("kappa_mean", "kappa_max")
    )
    curvature = max(values(records, "curvature", "all", 1.0))
    first = max(runs(records, "term_start"))
    return [
        claim(
            mean > 0.5 and largest > 1,
            "Gradients of single samples are far from the validation gradient, also those that CLD keeps: "
            f"at {percent(large)} their mean cosine with it is {1 - mean:.2f} and the smallest is "
            f"{1 - largest:.2f}, where the theorem has cosines near 1 in mind.",
        ),
        claim(
            curvature > 0,
            f"The largest curvature met is {curvature:.1f}, so steps below {1 / curvature:.2f} are "
            "short enough for the mean loss; the theorem asks for it of every sample's loss.",
        ),
        claim(
            first > 0,
            "The second and third term of (15) are no smaller with the true B and L. R_inf = 0 makes the "
            f"first too large, by at most {first:.3g}.",
        ),
    ]


CLAIM = Claim(
    "theory_check",
    "Theorem 1, Lemmas 1-3",
    SIZES,
    loads,
    measure,
    judge,
    table,
    draw,
    remarks,
    in_paper=False,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
