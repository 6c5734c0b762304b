"""GraNd: the norm of the last layer's gradient early in training (Paul et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from deepcore.proxy.signals import Signal
from deepcore.selection.method import Facts
from methods.el2n import EL2N


@dataclass(frozen=True)
class GraNd(EL2N):
    """The norm of each sample's own gradient of the last layer, averaged as in EL2N; keep the highest.

    score_i = mean over proxies and epochs of || p - onehot(y) ||_2 * sqrt(1 + || h ||^2), in [0, inf), with h
    the penultimate features: the gradient of the loss with respect to the last layer's weights and bias is
    (p - onehot(y)) outer [h, 1].

    At initialisation (the paper's GraNd at t = 0) the ranking is known not to work (arXiv 2303.14753), so row
    0 is not read here.

    Source: Paul et al. 2021, "Deep Learning on a Data Diet"; fields and repeats as EL2N.
    Memory: 24 N bytes; n rows of each proxy's log are read once.
    """

    name: ClassVar[str] = "GraNd"
    signal: ClassVar[Signal] = Signal.GRAND
    facts: ClassVar[Facts] = Facts(
        code="mansheej/data_diet",
        rule="mean over epochs 1..10 of the norm of p - onehot(y) times sqrt(1 + norm(h)^2)",
        balance="top k within each class's quota; the paper: over the whole pool",
        anchor="tests/methods/test_el2n.py::test_grand_is_the_norm_of_the_last_layers_gradient",
        deviations=(
            "the gradient of the last layer alone; the paper takes that of all weights",
            "epochs 1..10 of one proxy; the paper averages ten networks, also at initialisation",
            "read in the training batches; the authors score saved checkpoints in a pass without "
            "augmentation (`record=post_epoch`)",
        ),
        family="gradient",
    )
