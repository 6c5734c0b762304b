"""replay_speed.py without a GPU: what it says, and that it can time both ways."""

from __future__ import annotations

import pytest
import torch
from tiny import images, short

from benchmarks import replay_speed
from deepcore.training import loop


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to be timed")
def test_without_a_gpu_it_says_so(capsys):
    assert replay_speed.main([]) == 2
    assert "CUDA device, and there is none" in capsys.readouterr().err


def test_each_way_is_another_way(monkeypatch):
    """On a CPU, with the choices that a GPU would have looked at."""
    looked = []
    monkeypatch.setattr(replay_speed, "WARM_UP", 1)
    monkeypatch.setattr(replay_speed, "BATCH", 16)
    monkeypatch.setattr(
        replay_speed,
        "_seconds",
        lambda net, data, spec, steps: looked.append((loop.replays, loop.deterministic)) or 0.5,
    )
    real = (loop.replays, loop.deterministic)
    data = images()
    for how in replay_speed.HOW.values():
        assert replay_speed.speed("MLP", data, short(epochs=1), 2, **how) == 2 * 16 / 0.5
    changed = [
        (replays is not real[0], deterministic is not real[1]) for replays, deterministic in looked[::4]
    ]
    assert changed == [(True, False), (False, False), (False, True)]
    assert (loop.replays, loop.deterministic) == real
