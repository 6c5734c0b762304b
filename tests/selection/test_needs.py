"""What methods want of a proxy run."""

from __future__ import annotations

import pytest

import methods
from deepcore.proxy.use import ProxyUse
from deepcore.selection.needs import use_of


@pytest.mark.parametrize(
    ("text", "demand"),
    [
        ("Random", ProxyUse()),
        ("CLD", ProxyUse(20, 20, True)),
        ("CLD:first=7", ProxyUse(7, 7, True)),
        ("CLD:first=7,every=4", ProxyUse(4, 4, True)),  # rows 0 and 4
        ("CLD:record=online", ProxyUse(20, 0, True)),
        ("EL2N", ProxyUse(10, 0, True)),
        ("EL2N:at=3", ProxyUse(3, 0, True)),
        ("DUAL", ProxyUse(20, 0, True)),  # 30 of 20
        ("TDDS:epochs=5,window=4", ProxyUse(5, 0, True)),
        ("CCS:beta=0.1,difficulty=el2n", ProxyUse(20, 0, True)),
        ("CCS:beta=0,difficulty=el2n", ProxyUse(10, 0, True)),
    ],
)
def test_of_a_method(text, demand):
    assert use_of(methods.parse(text), 20) == demand


def test_passes_by_hand():
    nothing = {"train": 0, "record": 0, "validation": 0, "encode": 0}
    assert ProxyUse().passes(100, 10) == nothing
    online = ProxyUse(5, 0, True)
    assert online.passes(100, 10) == {"train": 500, "record": 100, "validation": 60, "encode": 0}
    assert (online | ProxyUse(2, 2, True)).passes(100, 10)["record"] == 300
    final = ProxyUse(8, 0, False, True)
    assert final.passes(100, 10) == {"train": 800, "record": 0, "validation": 90, "encode": 100}
    both = online | final
    assert both == final | online == ProxyUse(8, 0, True, True)
    assert both.passes(100, 10) == {"train": 800, "record": 100, "validation": 90, "encode": 100}
    assert (both | ProxyUse(8, 8, True)).passes(100, 10)["encode"] == 0  # the last of the passes gives them
    assert (both | ProxyUse(7, 7, True)).passes(100, 10)["encode"] == 100
