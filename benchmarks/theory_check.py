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
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

import methods as known_methods
from benchmarks.claims import Claim, Record, Setting, Size, main
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
from benchmarks.theory_verdicts import METHODS, judge, remarks, table
from deepcore.common import seeding
from deepcore.data.record import LabeledData, Rows
from deepcore.data.split import Split, make_split
from deepcore.proxy.run import ProxyRun
from deepcore.report.cells import percent

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
