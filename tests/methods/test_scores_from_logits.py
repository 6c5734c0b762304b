"""Every score from raw logits against its definition, in float64 and one sample at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import methods
from deepcore.proxy.run import ProxyRun

T, N, C, D = 34, 24, 4, 5
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, C, N)
LOGITS = RNG.normal(size=(T + 1, N, C)) * 2 + np.arange(T + 1)[:, None, None] / 10 * np.eye(C)[LABELS]
FEATURES = RNG.normal(size=(T + 1, N, D))


def probabilities(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def windows(values: np.ndarray, width: int) -> list[np.ndarray]:
    return [values[k : k + width] for k in range(len(values) - width + 1)]


def margin(values: np.ndarray, y: int) -> float:
    return values[y] - max(values[j] for j in range(C) if j != y)


def forgetting(z, h, y):
    right = [margin(row, y) > 0 for row in z]
    return sum(a and not b for a, b in itertools.pairwise(right)) if any(right) else len(z)


def el2n(z, h, y):
    return np.mean([np.linalg.norm(p - np.eye(C)[y]) for p in probabilities(z[:10])])


def grand(z, h, y):
    gradients = [
        np.outer(p - np.eye(C)[y], [*f, 1.0]) for p, f in zip(probabilities(z[:10]), h[:10], strict=True)
    ]
    return np.mean([np.sqrt((g**2).sum()) for g in gradients])


def aum(z, h, y):
    return np.mean([margin(row, y) for row in z])


def aum_p(z, h, y):
    return np.mean([margin(row, y) for row in probabilities(z)])


def tdds(z, h, y, epochs=30, window=10, decay=0.9):
    p = probabilities(z[:epochs])
    steps = np.abs(p[1:] * (np.log(p[1:] + 1e-8) - np.log(p[:-1] + 1e-8))).sum(axis=1)
    spread = [np.linalg.norm(w - w.mean()) for w in windows(steps, window - 1)]
    return sum(u * decay * (1 - decay) ** (epochs - window - k) for k, u in enumerate(spread))


def dynunc(z, h, y):
    return np.mean([w.std(ddof=1) for w in windows(probabilities(z)[:, y], 10)])


def dual(z, h, y):
    return np.mean([w.std(ddof=1) * (1 - w.mean()) for w in windows(probabilities(z[:30])[:, y], 10)])


@pytest.mark.parametrize("has_initial", [True, False])
@pytest.mark.parametrize(
    ("spec", "definition"),
    [
        ("Forgetting", forgetting),
        ("EL2N", el2n),
        ("GraNd", grand),
        ("AUM", aum),
        ("CCS", aum_p),
        ("TDDS", tdds),
        ("DynUnc", dynunc),
        ("DUAL", dual),
    ],
)
def test_score_is_its_definition(spec, definition, has_initial):
    """The untrained network's row, where there is one, is never read."""
    first = 0 if has_initial else 1
    run = ProxyRun.from_logits(
        LOGITS[first:],
        LABELS,
        LOGITS[first:, :C],
        np.arange(C),
        features=FEATURES[first:],
        val_features=FEATURES[first:, :C],
        has_initial=has_initial,
    )
    expected = [definition(LOGITS[1:, i], FEATURES[1:, i], LABELS[i]) for i in range(N)]
    np.testing.assert_allclose(methods.get(spec)().score(run), expected, rtol=2e-5, atol=2e-6)
