"""What methods want of a proxy run."""

from __future__ import annotations

import pytest

import methods
from deepcore.demand import Demand


@pytest.mark.parametrize(
    ("text", "demand"),
    [
        ("Random", Demand()),
        ("CLD", Demand(20, 20, True)),
        ("CLD:first=7", Demand(7, 7, True)),
        ("CLD:first=7,every=4", Demand(4, 4, True)),  # rows 0 and 4
        ("CLD:record=online", Demand(20, 0, True)),
        ("EL2N", Demand(10, 0, True)),
        ("EL2N:at=3", Demand(3, 0, True)),
        ("DUAL", Demand(20, 0, True)),  # 30 of 20
        ("TDDS:epochs=5,window=4", Demand(5, 0, True)),
        ("CCS:beta=0.1,difficulty=el2n", Demand(20, 0, True)),
        ("CCS:beta=0,difficulty=el2n", Demand(10, 0, True)),
    ],
)
def test_of_a_method(text, demand):
    assert Demand.of(methods.parse(text), 20) == demand


def test_passes_by_hand():
    nothing = {"train": 0, "record": 0, "validation": 0, "encode": 0}
    assert Demand().passes(100, 10) == nothing
    online = Demand(5, 0, True)
    assert online.passes(100, 10) == {"train": 500, "record": 100, "validation": 60, "encode": 0}
    assert (online | Demand(2, 2, True)).passes(100, 10)["record"] == 300
    final = Demand(8, 0, False, True)
    assert final.passes(100, 10) == {"train": 800, "record": 0, "validation": 90, "encode": 100}
    both = online | final
    assert both == final | online == Demand(8, 0, True, True)
    assert both.passes(100, 10) == {"train": 800, "record": 100, "validation": 90, "encode": 100}
    assert (both | Demand(8, 8, True)).passes(100, 10)["encode"] == 0  # the last of the passes gives them
    assert (both | Demand(7, 7, True)).passes(100, 10)["encode"] == 100
