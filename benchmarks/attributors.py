"""Training data attribution: which training sample matters to which query, and how well that is known.

Every attribution is a (Q, N) array; a larger value means that sample i helps query q more. They come from
networks trained on all N samples (averaged over the networks), by closed forms of the last layer: with
features h, x = [1, h], p = softmax(logits), r = p - onehot(y), the gradient of a sample's loss there is
r outer x, so `<g_i, g_q> = (r_i . r_q) (x_i . x_q)`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.stats import rankdata
from torch.nn import functional

from benchmarks import trak
from benchmarks.many_nets import Member, Networks, train_many
from deepcore.data.record import LabeledData
from deepcore.scoring.last_layer import errors_of
from deepcore.training.schedule import Schedule, lr_at
from deepcore.training.spec import TrainSpec
from methods.cld import cld_influence

CLD, TRACIN, GRAD_DOT = "CLD_infl", "TracIn (last layer)", "Gradient dot product"
INFLUENCE, FEATURES, RANDOM = "Influence function (last layer)", "Feature similarity", "Random"
TRAK = "TRAK (dattri)"
ATTRIBUTORS = (CLD, TRACIN, GRAD_DOT, INFLUENCE, FEATURES, RANDOM)
COLOURS = {
    CLD: "#8b0000",
    TRACIN: "#1f77b4",
    GRAD_DOT: "#2ca6a4",
    INFLUENCE: "#2e7d32",
    TRAK: "#8e5bc0",
    FEATURES: "#e08a1e",
    RANDOM: "#111111",
}


class Recorder:
    """Watches M networks that are trained on the same N samples, and keeps what attributions read.

    Args:
        data: the samples are of its train part, the queries of its test part.
        samples, queries: ids, (N,) and (Q,).
        spec: the recipe, for the learning rates.
        count: M.
    """

    def __init__(
        self, data: LabeledData, samples: np.ndarray, queries: np.ndarray, spec: TrainSpec, count: int
    ) -> None:
        self.data, self.samples, self.queries, self.spec = data, samples, queries, spec
        self.labels = torch.from_numpy(data.train.labels[samples])
        self.query_labels = torch.from_numpy(data.test.labels[queries])
        self.losses: list[list[np.ndarray]] = [[] for _ in range(count)]
        self.query_losses: list[list[np.ndarray]] = [[] for _ in range(count)]
        self.tracin = np.zeros((len(queries), len(samples)))  # mean over the networks
        self.sums = {name: np.zeros_like(self.tracin) for name in (GRAD_DOT, INFLUENCE, FEATURES)}
        self.count = count

    def __call__(self, epoch: int, which: slice, networks: Networks) -> None:
        """After epoch 0, 1, ... of these networks."""
        schedule = Schedule.of(len(self.samples), self.spec)
        outputs = networks.outputs(self.data.train, self.samples)
        query_outputs = networks.outputs(self.data.test, self.queries)
        for i, h, z, hq, zq in zip(range(which.start, which.stop), *outputs, *query_outputs, strict=True):
            h, z, hq, zq = (value.cpu().double() for value in (h, z, hq, zq))
            self.losses[i].append(functional.cross_entropy(z, self.labels, reduction="none").numpy())
            of_query = functional.cross_entropy(zq, self.query_labels, reduction="none")
            self.query_losses[i].append(of_query.numpy())
            r, rq = errors_of(z, self.labels), errors_of(zq, self.query_labels)
            dots = last_layer_dots(r, h, rq, hq).numpy()
            if epoch:
                self.tracin += lr_at(epoch * schedule.per_epoch - 1, self.spec, schedule) * dots / self.count
            if epoch == schedule.epochs:
                self.sums[GRAD_DOT] += dots / self.count
                self.sums[FEATURES] += cosines(h, hq).numpy() / self.count
                influence = influence_function(h, torch.softmax(z, 1), r, hq, rq, self.spec.weight_decay)
                self.sums[INFLUENCE] += influence.numpy() / self.count

    def attributions(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """All attributions by name, (Q, N) each."""
        cld = sum(
            cld_influence(np.stack(losses), np.stack(of_queries)).T
            for losses, of_queries in zip(self.losses, self.query_losses, strict=True)
        )
        random = rng.standard_normal(self.tracin.shape)
        found = {CLD: cld / self.count, TRACIN: self.tracin, **self.sums, RANDOM: random}
        return {name: found[name] for name in ATTRIBUTORS}


def attribute(
    net: str,
    data: LabeledData,
    samples: np.ndarray,
    queries: np.ndarray,
    spec: TrainSpec,
    seeds: Sequence[int],
    *,
    device: torch.device,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Train a network per seed on all samples, and attribute; `rng` draws the random attribution. With
    `dattri` installed its TRAK is added, from the same networks."""
    recorder, trained = Recorder(data, samples, queries, spec, len(seeds)), []
    members = [Member(samples, seed) for seed in seeds]
    for _, networks in train_many(
        net, data.train, data.num_classes, members, spec, device=device, watch=recorder
    ):
        trained += networks.nets()
    found = recorder.attributions(rng)
    if trak.installed():
        found[TRAK] = trak.scores(trained, data, samples, queries)
    return found


def last_layer_dots(r: torch.Tensor, h: torch.Tensor, rq: torch.Tensor, hq: torch.Tensor) -> torch.Tensor:
    """<g_q, g_i>, (Q, N), from errors (N, C) and features (N, D) of samples and queries."""
    return (rq @ r.T) * (1 + hq @ h.T)


def cosines(h: torch.Tensor, hq: torch.Tensor) -> torch.Tensor:
    """Cosine of the features, (Q, N)."""
    return functional.normalize(hq, dim=1) @ functional.normalize(h, dim=1).T


def influence_function(
    h: torch.Tensor, p: torch.Tensor, r: torch.Tensor, hq: torch.Tensor, rq: torch.Tensor, damping: float
) -> torch.Tensor:
    """g_q' (H + damping I)^-1 g_i, (Q, N): N times the rise of q's loss without i.

    H is the Hessian of the samples' mean loss in the last layer,
    `mean_i (diag(p_i) - p_i p_i') (x) x_i x_i'`: exact for a linear model (Koh & Liang 2017). `damping` is
    the weight decay.

    Args:
        h, p, r: features (N, D), probabilities (N, C), errors (N, C) of the samples.
        hq, rq: of the queries.
    """
    x, xq = (functional.pad(value, (1, 0), value=1.0) for value in (h, hq))
    (n, classes), width = r.shape, x.shape[1]
    hessian = torch.zeros(classes, width, classes, width, dtype=h.dtype)
    for c in range(classes):
        for d in range(c, classes):
            weight = p[:, c] * (float(c == d) - p[:, d]) / n
            hessian[c, :, d] = hessian[d, :, c] = (x * weight[:, None]).T @ x
    hessian = hessian.reshape(classes * width, -1)
    hessian.diagonal().add_(damping)
    of_queries = (rq[:, :, None] * xq[:, None]).flatten(1)
    solved = torch.linalg.solve(hessian, of_queries.T).T.reshape(len(rq), classes, width)
    return torch.einsum("qcd,nc,nd->qn", solved, r, x)


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """log(p_y / (1 - p_y)), (..., n), of logits (..., n, C): what TRAK's authors measure of a query."""
    index = labels.expand(logits.shape[:-1])[..., None]
    others = logits.scatter(-1, index, float("-inf"))
    return logits.gather(-1, index)[..., 0] - torch.logsumexp(others, dim=-1)


def spearman_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of a and b, (Q, C) both; NaN where a row does not vary."""
    return row_products(a, standard_ranks(b))


def row_products(a: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """As `spearman_rows`, b being given by its standard ranks."""
    return (standard_ranks(a) * ranks).sum(axis=1)


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks with mean 0 and norm 1 in each row; NaN in a row that does not vary."""
    ranks = rankdata(values, axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt(np.square(ranks).sum(axis=1, keepdims=True))
    return ranks / np.where(norms > 0, norms, np.nan)


def lds(attribution: np.ndarray, subsets: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """The linear datamodeling score of each query, (Q,) (Eq. 65).

    Args:
        attribution: (Q, N).
        subsets: (C, N) bool, the samples that each subset holds.
        outcomes: (C, Q), what was measured of the queries after training on a subset, mean over retrainings.

    Returns:
        Spearman's correlation over the subsets of the outcome with the sum of the attributions in the subset;
        NaN for queries whose outcome is the same for all.
    """
    return spearman_rows(attribution @ subsets.T.astype(np.float64), outcomes.T)


def bootstrap_lds(
    sums: Mapping[str, np.ndarray], outcomes: np.ndarray, rng: np.random.Generator, replicates: int
) -> dict[str, np.ndarray]:
    """Mean LDS over the queries in resamples of queries and subsets, (replicates,) each. The resamples are
    the same for all attributions, so that differences are paired.

    Args:
        sums: of the attributions in each subset, (Q, C) each.
        outcomes: (C, Q).
        rng: draws the resamples.
        replicates: number of them.
    """
    count, queries = outcomes.shape
    found = {name: np.empty(replicates) for name in sums}
    for b in range(replicates):
        drawn, kept = rng.integers(queries, size=queries), rng.integers(count, size=count)
        of_outcomes = standard_ranks(outcomes.T[np.ix_(drawn, kept)])
        for name, values in sums.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # no query whose outcome varies
                found[name][b] = np.nanmean(row_products(values[np.ix_(drawn, kept)], of_outcomes))
    return found
