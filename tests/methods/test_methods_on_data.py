"""Every registered method from data to a row, on each kind of data that a user may bring."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from small_grids import grid, runner
from tiny import images, short

import methods
from deepcore.data.memory import from_arrays
from deepcore.proxy import engine as proxy_engine

EPOCHS = short(epochs=6, batch=32)


def vectors(sizes, seed=0):
    """Noisy vectors of classes of these sizes, and a test row of each."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.normal(size=(len(sizes), 7))
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = centres[labels] + rng.normal(size=(len(labels), 7))
    return from_arrays("vectors", x, labels, centres, np.arange(len(sizes)))


DATA = {
    "images": images(),
    "two classes": vectors([40, 30]),
    "23 unequal classes": vectors(range(3, 26)),
    "a class with one row left": vectors([30, 2, 30]),  # the other is held out
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # six epochs: many parameters are reduced
@pytest.mark.parametrize("kind", DATA)
def test_every_method_gives_its_rows(tmp_path, monkeypatch, kind):
    data = DATA[kind]
    trained = []
    real = proxy_engine.train
    monkeypatch.setattr(proxy_engine, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    once = dataclasses.replace(EPOCHS, epochs=1)  # of the target only that it is trained matters here
    spec = grid(*methods.METHODS, fractions=(0.05, 0.4), target=once, proxy=EPOCHS)
    harness = runner(tmp_path, spec, data)
    if kind == "a class with one row left":
        assert np.bincount(data.train.labels[harness.plan.seeds[0].split.train]).min() == 1
    rows = harness.run()
    assert {row.label for row in rows} == set(methods.METHODS)
    for row in rows:
        assert row.status == "ok", f"{row.label} at {row.fraction}: {row.error}"
        if row.is_selection and row.fraction is not None:
            assert row.k == max(1, int(np.floor(row.fraction * row.n + 0.5))), row.label
    own = [name for name, cls in methods.METHODS.items() if cls().own_run is not None]
    assert len(trained) == 1 + len(own)  # one proxy for all but those that train for themselves
    assert len({row.proxy_run for row in rows if row.proxy_run and row.label not in own}) == 1
