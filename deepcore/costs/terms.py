"""The terms of a cost in symbols and numbers, and the cost of one method.

Section 7, Table 1 and Appendix E of the CLD paper. One backward pass counts as two forward passes unless it
was measured, so a training step is 3 forwards per example. The formula of each method is in
`deepcore.costs.formulas`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from deepcore.common.checks import check_choice
from deepcore.costs.scenario import NETS, Scenario

PROTOCOLS = ("paper", "here")
FAMILIES = ("reference", "score-based", "optimisation-based", "training-property", "CLD", "own")
# In the order of the tables. "proxy" is the training that selection needs (of the large network for the
# methods that the paper runs so); "record" and "validation" are forward passes that log candidates and query
# rows.
STAGES = ("proxy", "record", "validation", "encode", "score", "target", "test")
FLOAT32 = 4  # bytes
UNBOUNDED = 1 << 40  # epochs of a run without an end: a method that reads fewer stops early by itself


@dataclass(frozen=True)
class Term:
    """One term of a cost.

    Attributes:
        stage: one of STAGES; net: "proxy" or "large".
        text: the formula, such as "3 N T_proxy f".
        forward, backward: example passes.
        flops: what they come to.
    """

    stage: str
    net: str
    text: str
    forward: float
    backward: float
    flops: float


@dataclass(frozen=True)
class Price:
    """A term in symbols: `passes(scenario)` example passes, each forward only or (`backward`) forward and
    backward; `text` is the same in words."""

    stage: str
    text: str
    passes: Callable[[Scenario], float]
    net: str = "proxy"
    backward: bool = False

    def __post_init__(self) -> None:
        check_choice("stage", self.stage, STAGES)
        check_choice("net", self.net, NETS)

    def of(self, scenario: Scenario) -> Term:
        """The term's numbers in a scenario."""
        forward = self.passes(scenario)
        backward = forward if self.backward else 0
        flops = scenario.flops(self.net, forward, backward)
        return Term(self.stage, self.net, self.text, forward, backward, flops)


@dataclass(frozen=True)
class Cost:
    """The cost of one method in one scenario: selection and the training on the coreset.

    Attributes:
        method, family: as printed; one of FAMILIES.
        protocol: "paper", or "here" for what this harness does.
        terms: in the order of STAGES.
        formula: as text, with the big-O terms that no number is given for.
        storage_bytes: what selection keeps beyond the networks' weights, in float32.
        storage_text: the same as a formula.
        notes: what the reader must know of these numbers, a sentence each.
    """

    method: str
    family: str
    protocol: str
    terms: tuple[Term, ...]
    formula: str
    storage_bytes: float
    storage_text: str
    notes: tuple[str, ...] = ()

    def stage_flops(self, stage: str) -> float:
        """FLOPs of one of STAGES."""
        check_choice("stage", stage, STAGES)
        return sum(term.flops for term in self.terms if term.stage == stage)

    @property
    def selection_flops(self) -> float:
        """FLOPs of everything before the training on the coreset."""
        return sum(term.flops for term in self.terms if term.stage not in ("target", "test"))

    @property
    def training_flops(self) -> float:
        """FLOPs of the training on the coreset."""
        return self.stage_flops("target")

    @property
    def total_flops(self) -> float:
        """Selection and training. The test rows are listed in `terms` but not in here: they price nothing."""
        return self.selection_flops + self.training_flops


CORESET = Price("target", "3 k T f_large", lambda s: s.k * s.T, "large", backward=True)
EVERYTHING = Price("target", "3 N T f_large", lambda s: s.N * s.T, "large", backward=True)
TEST = Price("test", "N_test f_large", lambda s: s.n_test, "large")
ENCODE = Price("encode", "N f", lambda s: s.N)
