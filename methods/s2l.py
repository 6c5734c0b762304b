"""S2L: even draws over clusters of loss trajectories (Yang et al. 2024)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.trajectory_clusters import standardised, trajectory_clusters
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, Facts
from deepcore.selection.ranking import groups, interleave
from deepcore.selection.selection import Selection
from deepcore.selection.strata import strata_budgets

LEAST = 5  # rows a cluster has on average, at the least
LIBRARY = 32 << 20  # bytes that loading scikit-learn takes


@dataclass(frozen=True)
class S2L(CoresetMethod):
    """Cluster the samples by their loss trajectories, then draw as evenly as can be from all clusters.

    1. k-means on the trajectories (l_i[1], ..., l_i[T]), within each class when `class_balanced`.
    2. Clusters by increasing size get min(size, budget left // clusters left): what small clusters cannot
       give goes to the others.
    3. That many rows are drawn uniformly without replacement from each cluster.

    It reads no validation rows. The picks come in turn, one of each cluster at a time.

    Source: Yang et al. 2024, "SmallToLarge (S2L): Scalable Data Selection for Fine-tuning Large Language
    Models by Summarizing Training Trajectories of Small Models", Algorithm 1. The paper's checkpoints are
    evaluations of a small model between steps: the published recording is post_epoch.
    Memory: 16 n T bytes, n the largest class (32 n T when standardised), 128 N, and 32 MB for scikit-learn.

    Attributes:
        clusters: the most clusters; there are never more than a fifth of the rows of the class (of the pool
            without class balance), nor than different trajectories. A reduction is said in a warning.
        standardize: give every checkpoint mean 0 and standard deviation 1 first; the paper clusters the
            losses as they are.
    """

    clusters: int = 100
    standardize: bool = False

    name: ClassVar[str] = "S2L"
    paper: ClassVar[str] = "Yang et al., NeurIPS 2024"
    published_mode: ClassVar[str] = "post_epoch"
    facts: ClassVar[Facts] = Facts(
        code="BigML-CS-UCLA/S2L",
        rule="k-means on loss trajectories; even draws over the clusters, small clusters first",
        balance="clusters and draws inside each class, with its quota; the paper: over the whole pool",
        anchor="tests/methods/test_s2l.py::test_draws_are_even_and_small_clusters_come_first",
        deviations=(
            "at most one cluster for five rows: the paper's 100 clusters are of 262,000 rows",
            "scikit-learn's k-means from one start; the authors use faiss",
            "the proxy of this benchmark is the small model",
            "a quota below the number of clusters takes one row from each of the largest and none from the "
            "others: before, a cluster's share rounds down to 0",
            "clusters of one and two rows are drawn from like others; the authors' code takes them last",
        ),
        family="trajectory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("clusters", self.clusters, whole=True)
        if not isinstance(self.standardize, bool):
            raise UsageError(f"standardize is {self.standardize!r}: valid: true, false")

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.LOSS}

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above."""
        rows = int(np.bincount(pool.labels).max()) if self.class_balanced else len(pool.ids)
        trajectories = rows * epochs * (32 if self.standardize else 16)
        return Memory(super().memory(pool, k, features, epochs).host + trajectories + LIBRARY)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """Draws over the clusters, class by class; k-means starts from a number that `rng` gives."""
        losses = run.trajectory(Signal.LOSS, self.mode)
        picks, made, reduced = [], 0, 0
        for rows, quota in groups(np.argsort(run.ids), run.labels, budget.k, self.class_balanced):
            points = np.ascontiguousarray(losses[:, rows].T)
            if self.standardize:
                points = standardised(points)
            wanted = min(self.clusters, max(1, len(rows) // LEAST))
            of = trajectory_clusters(points, wanted, int(rng.integers(2**32)))
            counts = np.bincount(of)
            draws = [
                rng.choice(rows[of == c], share, replace=False)
                for c, share in enumerate(strata_budgets(counts, quota))
            ]
            picks.append(interleave(draws))
            made, reduced = made + len(counts), reduced + (len(counts) < self.clusters)
        if reduced:
            where = f"{reduced} of {len(picks)} classes have" if self.class_balanced else "the pool has"
            warnings.warn(
                f"S2L: {where} fewer than {self.clusters} clusters ({made} in all): at most one for "
                f"{LEAST} rows, and none twice for equal trajectories",
                stacklevel=2,
            )
        return Selection(run.ids[interleave(picks)])
