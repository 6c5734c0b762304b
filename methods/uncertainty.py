"""The three scores of an unsure prediction: LeastConfidence, Entropy, Margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.scoring.uncertainty import entropy, first_two_margin, max_probability
from deepcore.selection.method import Facts, ScoreMethod


def _facts(rule: str, anchor: str, *deviations: str) -> Facts:
    """What the three have in common."""
    return Facts(
        code="PatrickZH/DeepCore (uncertainty.py)",
        rule=rule,
        balance="top k within each class's quota; DeepCore: over the whole pool",
        anchor=f"tests/methods/test_uncertainty_methods.py::{anchor}",
        deviations=(
            "DeepCore without class balance keeps the most confident rows by mistake",
            "with two classes, LeastConfidence, Entropy and Margin are the same order",
            *deviations,
        ),
        family="score",
    )


@dataclass(frozen=True)
class Uncertainty(ScoreMethod):
    """A score of the last checkpoint's prediction p = softmax(z); the label plays no part.

    The softmax is in float64. Memory: 8 N bytes and a block of 32 MB.
    """

    @property
    def needs(self) -> frozenset[Signal]:
        return super().needs | {Signal.LOGITS}


@dataclass(frozen=True)
class LeastConfidence(Uncertainty):
    """The largest probability max_c p_c, in [1/C, 1]; keep the lowest.

    Source: Lewis & Gale 1994, "A Sequential Algorithm for Training Text Classifiers"; as a coreset method in
    DeepCore (Guo et al. 2022).
    """

    name: ClassVar[str] = "LeastConfidence"
    paper: ClassVar[str] = "Lewis & Gale, SIGIR 1994; Guo et al., DEXA 2022"
    facts: ClassVar[Facts] = _facts(
        "the largest probability of the last checkpoint's prediction",
        "test_least_confidence_by_hand",
        "DeepCore takes the largest logit instead of the largest probability",
    )

    @property
    def keep(self) -> str:
        return "lowest"

    def score(self, run: ProxyRun) -> np.ndarray:
        """Largest probabilities, (N,) float64."""
        return max_probability(run.final_array(Signal.LOGITS))


@dataclass(frozen=True)
class Entropy(Uncertainty):
    """The entropy -sum_c p_c log p_c in nats, in [0, log C]; keep the highest.

    Source: Settles 2009, "Active Learning Literature Survey"; as a coreset method in DeepCore (Guo et al.
    2022), which adds 1e-6 inside the logarithm.
    """

    name: ClassVar[str] = "Entropy"
    paper: ClassVar[str] = "Settles 2009; Guo et al., DEXA 2022"
    facts: ClassVar[Facts] = _facts(
        "the entropy of the last checkpoint's prediction",
        "test_entropy_by_hand",
        "DeepCore adds 1e-6 inside the logarithm",
    )

    def score(self, run: ProxyRun) -> np.ndarray:
        """Entropies, (N,) float64."""
        return entropy(run.final_array(Signal.LOGITS))


@dataclass(frozen=True)
class Margin(Uncertainty):
    """The margin p(1) - p(2) between the two largest probabilities, in [0, 1]; keep the lowest.

    Source: Scheffer et al. 2001, "Active Hidden Markov Models for Information Extraction"; as a coreset
    method in DeepCore (Guo et al. 2022).
    """

    name: ClassVar[str] = "Margin"
    paper: ClassVar[str] = "Scheffer et al., IDA 2001; Guo et al., DEXA 2022"
    facts: ClassVar[Facts] = _facts(
        "the difference of the two largest probabilities of the last checkpoint's prediction",
        "test_margin_by_hand",
    )

    @property
    def keep(self) -> str:
        return "lowest"

    def score(self, run: ProxyRun) -> np.ndarray:
        """Margins, (N,) float64."""
        return first_two_margin(run.final_array(Signal.LOGITS))
