"""docs/own_loop.md: its loop gives the scores of the built-in proxy with the same seed."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import images

from deepcore.data.split import make_split
from deepcore.proxy.engine import obtain_proxy
from deepcore.proxy.recording import Recording
from deepcore.proxy.signals import Signal
from deepcore.proxy.spec import ProxySpec
from deepcore.training.recipes import RECIPES
from methods.cld import CLD

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "own_loop.md").read_text()
LOAD = 'data = load("FashionMNIST", data_path="data", download=True)'


def block() -> str:
    (found,) = [b for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if LOAD in b]
    return found


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])
def test_the_loop_on_the_page_is_the_proxy(net, tmp_path):
    data = images(rows=700, augment=True)
    assert data.recipe != "small-images"
    data = dataclasses.replace(data, recipe="small-images")  # with augmentation
    before = torch.get_num_threads()
    scope = {"data": data}
    try:
        code = block().replace(LOAD, "").replace('"MLP"', repr(net))
        exec(compile(code, "own_loop.md", "exec", dont_inherit=True), scope)
    finally:
        torch.set_num_threads(before)
    split = make_split(data.train.labels, val_fraction=data.val_fraction, seed=0)
    spec = ProxySpec(
        data.name,
        data.fingerprint,
        net,
        dataclasses.replace(RECIPES["small-images"], epochs=5),
        data.val_fraction,
        0,
    )
    recording = Recording(post_epoch=frozenset({Signal.LOSS}))
    built_in = obtain_proxy(tmp_path, data, split, spec, recording, device=torch.device("cpu"))
    logged = scope["recorder"].run()
    np.testing.assert_array_equal(logged.ids, built_in.ids)
    np.testing.assert_allclose(scope["scores"], CLD().score(built_in), atol=1e-6)
    assert np.ptp(scope["scores"]) > 0.1
