"""What is said of a method beyond what its class states already."""

from __future__ import annotations

from dataclasses import dataclass

from deepcore.common.checks import check_choice

# how methods are told apart for those who choose: by what their choice goes by
FAMILIES = ("random", "score", "trajectory", "gradient", "diversity", "other")


@dataclass(frozen=True)
class Facts:
    """For the fidelity table (methods/README.md) and the page that helps to choose.

    Attributes:
        code: the authors' implementation, where known.
        rule: what is implemented, in a line.
        balance: what budget and class balance mean for it, and its paper's own form.
        anchor: the test that holds it to its definition, "tests/test_x.py::test_y".
        deviations: from the paper or from its authors' code, one sentence each.
        family: one of FAMILIES: "score" for how easy or hard a sample is at a checkpoint or on average,
            "trajectory" for how its values move over epochs, "gradient" for gradients of the loss,
            "diversity" for what differs from the rest.
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
