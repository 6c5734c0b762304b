"""D2 pruning: difficulty and diversity by messages over a neighbour graph (Maharana et al. 2024)."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_choice, check_device, check_positive
from deepcore.common.resources import Memory
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.message_passing import Graph, neighbour_graph, pass_forward, pick_and_pass_back
from deepcore.scoring.neighbours import BLOCK_BYTES, SPARE
from deepcore.selection.budget import Budget, class_quotas
from deepcore.selection.method import CoresetMethod, Facts, ScoreMethod
from deepcore.selection.ranking import cut_lowest, cut_share
from deepcore.selection.selection import Selection
from methods.aum import AUM
from methods.el2n import EL2N
from methods.forgetting import Forgetting

_DIFFICULTIES = {"forgetting": Forgetting(), "el2n": EL2N(), "aum": AUM(of="probability")}
FLOOR = 1e-7  # least difficulty on the symmetric graph, as in the authors' dense path
NOTHING = 2.0**-53  # an edge of this weight does not move a value of its own size


@dataclass(frozen=True)
class D2(CoresetMethod):
    """Forward and reverse message passing of the difficulty s over the nearest-neighbour graph of features.

    nn(i) are the kappa nearest other rows of row i by Euclidean distance d_ij between penultimate features of
    the last checkpoint (ties: lower id).

        forward:  x_i = s_i + sum_{j in nn(i)} exp(-d_ij) s_j       ("product": s_i times the sum)
        reverse:  take the row of the largest x (ties: lowest id), then for each j in nn(i)
                  x_j -= exp(-gamma d_ij) x_i                       ("absolute": x_j -= x_i), and repeat.

    s >= 0 is Forgetting's, EL2N's (defaults of each) or max(AUM) - AUM over probabilities, the maximum over
    the pool. Before, the int(beta * n) rows of the lowest AUM are set aside, as in CCS (within each class
    when class-balanced); when too few stay for the budget, the best of those cut fill up, and it is noted.
    `graph` says where edges run, `class_balanced` whether quotas hold: class graphs with quotas are the
    authors' CIFAR setting, `graph=global,class_balanced=false` their ImageNet one.

    Source: Maharana et al. 2024, "D2 Pruning: Message Passing for Balancing Diversity and Difficulty in Data
    Pruning".
    Memory: 16 n D bytes, n the largest graph (32 n D where float32 does not settle the neighbours), and two
    blocks of 128 MB (or 8 n^2 bytes, if that is less), then 80 N (kappa + 10) + 200 (N + k kappa) bytes
    (`memory`). Time: 2 n^2 D FLOPs a graph, and
    O((N + k kappa) log N) for the greedy choice.

    Attributes:
        difficulty: "forgetting", "el2n" or "aum".
        neighbors: kappa; a class with fewer other rows is joined completely, and it is said.
        gamma: of the reverse kernel; the paper sets it per data set and fraction.
        beta: share cut; None for `deepcore.selection.ranking.cut_share` of the fraction kept.
        graph: "class" (edges within each class) or "global".
        forward: "sum" or "product".
        reverse: "weighted" or "absolute".
        power: of the distance in both kernels: 1 as in the authors' code, 2 as in the paper.
        symmetric: the authors' dense path: edges in both directions, s at least 1e-7.
        normalize: divide the distances of each graph by their median; features far apart need it.
        device: where distances are computed, as torch names it; None for the run's (`--gpu`).
    """

    difficulty: str = "forgetting"
    neighbors: int = 5
    gamma: float = 0.1
    beta: float | None = None
    graph: str = "class"
    forward: str = "sum"
    reverse: str = "weighted"
    power: int = 1
    symmetric: bool = False
    normalize: bool = False
    device: str | None = field(default=None, compare=False)

    name: ClassVar[str] = "D2"
    paper: ClassVar[str] = "Maharana et al., ICLR 2024"
    facts: ClassVar[Facts] = Facts(
        code="adymaharana/d2pruning",
        rule="x = s + sum of exp(-d) s over kappa nearest; take the largest x, lower its neighbours, repeat",
        balance="graph and quota inside each class, the authors' CIFAR setting, and the cut too; "
        "`graph=global,class_balanced=false` is their ImageNet one",
        anchor="tests/methods/test_d2.py::test_by_hand",
        deviations=(
            "the kernel exp(-d) is the authors' code; the paper writes exp(-gamma d^2) (`power=2`)",
            "the directed neighbour lists of the authors' precomputed path; `symmetric=true` for their dense "
            "one",
            "a class no larger than kappa keeps its quota; the authors take it whole",
            "gamma=0.1 for all data and fractions, where the paper tunes it",
            "beta is that of CCS; the paper tunes it, and its authors cut over the whole pool",
            "without the floor of the dense path, rows that were never forgotten, and whose neighbours were "
            "not, are equal: the lower row id decides, and a note says for how many",
        ),
        family="diversity",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("difficulty", self.difficulty, _DIFFICULTIES)
        check_positive("neighbors", self.neighbors, whole=True)
        check_device(self.device)
        check_positive("gamma", self.gamma, zero=True)
        check_choice("graph", self.graph, ("class", "global"))
        check_choice("forward", self.forward, ("sum", "product"))
        check_choice("reverse", self.reverse, ("weighted", "absolute"))
        if self.power not in (1, 2):
            raise UsageError(f"power is {self.power}: it is 1 (the authors' code) or 2 (the paper)")
        if self.beta is not None and not 0 <= self.beta < 1:
            raise UsageError(f"beta is {self.beta}: it is the share cut, at least 0 and below 1")

    @property
    def needs(self) -> frozenset[Signal]:
        cut = frozenset() if self.beta == 0 else frozenset({Signal.MARGIN_P})
        return frozenset({Signal.FEATURES}) | self._scorer().needs | cut

    def checkpoints(self, epochs: int) -> range:
        """Those of the difficulty; all, when AUM cuts some."""
        return self._scorer().checkpoints(epochs) if self.beta == 0 else super().checkpoints(epochs)

    def resolve(self, fraction: float) -> D2:
        """With beta set for the fraction kept."""
        return self if self.beta is not None else dataclasses.replace(self, beta=cut_share(fraction))

    def memory(self, pool: ProxyRun, k: int, features: int, epochs: int) -> Memory:
        """By the formula above, of the largest graph, where float32 does not settle its neighbours."""
        n = len(pool.ids)
        nodes = int(np.bincount(pool.labels).max()) if self.graph == "class" else n
        distances = 32 * nodes * features + min(8 * nodes**2, 2 * BLOCK_BYTES)
        edges = n * self.neighbors * (2 if self.symmetric else 1)
        greedy = 80 * (n * SPARE + edges) + 200 * (n + k * self.neighbors)
        smaller = "graph=class" if self.graph == "global" else ""
        return Memory(super().memory(pool, k, features, epochs).host + greedy, distances, smaller)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """The greedy picks in order, then those that the cut had set aside; `rng` is not used."""
        method = self.resolve(budget.fraction)
        group = run.labels if self.class_balanced else np.zeros_like(run.labels)  # who shares a quota
        quotas = class_quotas(group, budget.k, int(group.max()) + 1)
        kept, cut = method.cut(run, group)
        graph = method.build_graph(run, kept)
        values, weights = method.messages(method.difficulties(run)[kept], graph)
        nodes, tied = pick_and_pass_back(values, graph, weights, group[kept], quotas)
        picks = kept[nodes]
        short = quotas - np.bincount(group[picks], minlength=len(quotas))
        back = [cut[group[cut] == g][: short[g]] for g in np.flatnonzero(short)]
        notes = []
        if tied:
            notes.append(
                f"{tied} of {budget.k} picks ({tied / budget.k:.1%}) had an equal when they were picked: the "
                "lower row id decided"
            )
        if back:
            notes.append(
                f"{short.sum()} of {budget.k} picks had been cut (beta={method.beta}) and came back to fill "
                "the budget"
            )
        return Selection(run.ids[np.concatenate([picks, *back])], notes=tuple(notes))

    def cut(self, run: ProxyRun, group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions that stay, by id, and those set aside in each group, of a group the highest AUM first."""
        order = np.argsort(run.ids)
        if not self.beta:
            return order, order[:0]
        aum = AUM(record=self.record, of="probability").checked_scores(run)
        parts = [(rows, *cut_lowest(aum[rows], run.ids[rows], self.beta)) for rows in _split(order, group)]
        kept = np.concatenate([rows[stay] for rows, stay, _ in parts])
        return kept[np.argsort(run.ids[kept])], np.concatenate([rows[low] for rows, _, low in parts])

    def difficulties(self, run: ProxyRun) -> np.ndarray:
        """s, (N,) float64, at least 0; high is hard."""
        scores = self._scorer().checked_scores(run)
        return scores.max() - scores if self.difficulty == "aum" else scores

    def build_graph(self, run: ProxyRun, rows: np.ndarray) -> Graph:
        """The graph whose nodes are the positions `rows`, sorted by id."""
        nodes = np.arange(len(rows))
        parts = _split(nodes, run.labels[rows]) if self.graph == "class" else [nodes]
        small = sum(len(part) <= self.neighbors for part in parts)
        if small:
            warnings.warn(
                f"D2: neighbors={self.neighbors} is more than the other rows of {small} of {len(parts)} "
                "graphs: there each row is joined to all others",
                stacklevel=3,
            )
        graph = neighbour_graph(
            run.final_array(Signal.FEATURES),
            rows,
            self.neighbors,
            parts,
            normalize=self.normalize,
            device=run.device_for(self.device),
        )
        return graph.symmetric() if self.symmetric else graph

    def messages(self, difficulties: np.ndarray, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
        """x after the forward step (n,), and the weights of the edges in the reverse step (E,)."""
        s = np.maximum(difficulties, FLOOR) if self.symmetric else difficulties
        powered = graph.distances**self.power
        kernel = np.exp(-powered)
        lost = np.mean(kernel < NOTHING) if len(kernel) else 0.0
        if lost > 0.5:
            warnings.warn(
                f"D2: {lost:.0%} of the edges have a weight of 0 to working precision (median distance "
                f"{np.median(graph.distances):.3g}), so neighbours hardly count: try normalize=true",
                stacklevel=3,
            )
        if self.forward == "sum":
            values = pass_forward(s, graph, kernel, own=True)
        else:
            values = s * pass_forward(s, graph, kernel)
        return values, np.exp(-self.gamma * powered) if self.reverse == "weighted" else np.ones_like(powered)

    def _scorer(self) -> ScoreMethod:
        return dataclasses.replace(_DIFFICULTIES[self.difficulty], record=self.record)


def _split(order: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    """`order` by group of its entries, each part in the given order."""
    of = group[order]
    ends = np.cumsum(np.bincount(of))
    return [part for part in np.split(order[np.argsort(of, kind="stable")], ends[:-1]) if len(part)]
