"""Facts about a method for the generated pages, beyond what its class states."""

from __future__ import annotations

from dataclasses import dataclass

from deepcore.common.checks import check_choice

# how methods are told apart for those who choose: by what their choice goes by
FAMILIES = ("random", "score", "trajectory", "gradient", "diversity", "other")


@dataclass(frozen=True)
class Facts:
    """Facts for methods/README.md and methods/CHOOSING.md.

    Attributes:
        code: the authors' implementation, where known.
        rule: what is implemented, in one line.
        balance: how budget and class balance work for it, and in its paper.
        anchor: the test that compares it with its definition, "tests/test_x.py::test_y".
        deviations: from the paper or from its authors' code, one sentence each.
        family: one of FAMILIES: "score" for how easy or hard a sample is at a checkpoint or on average,
            "trajectory" for how its values move over epochs, "gradient" for gradients of the loss,
            "diversity" for coverage of the data.
        passes: example passes that scoring itself makes through networks, as "N (probes + 1) forward and
            backward"; "" for none.
    """

    code: str
    rule: str
    balance: str
    anchor: str
    deviations: tuple[str, ...] = ()
    family: str = "other"
    passes: str = ""

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)
