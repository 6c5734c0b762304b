"""The greedy and geometric methods once more, slowly: plain loops in float64 over whole matrices, written
from the definitions alone, without a look at `methods/` or `deepcore/`.

Names: z logits (n, C), y labels (n,), h features (n, D), all of one part of the pool in the order of their
ids; g last-layer gradients (n, C (D + 1)). Every function gives positions in the order picked.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.optimize import nnls

TIE = 1e-12  # values closer than this, relative to the largest, are equal


def gradients(z, y, h):
    """(softmax(z) - onehot(y)) outer [1, h] of each row, flat."""
    out = []
    for row, label, features in zip(z, y, h, strict=True):
        powers = [math.exp(v - max(row)) for v in row]
        p = [v / math.fsum(powers) for v in powers]
        r = [p[c] if c != label else -math.fsum(p[:c] + p[c + 1 :]) for c in range(len(p))]
        out.append(np.outer(r, [1.0, *features]).ravel())
    return np.array(out)


def first_best(values, scale=None):
    """The key of the largest of {position: value}, the lowest position among equal ones."""
    top = max(values.values())
    slack = TIE * (max(map(abs, values.values())) if scale is None else scale)
    return min(i for i, value in values.items() if value >= top - slack)


def herding(h, k):
    mu, picked = h.mean(axis=0), []
    spread = max(float(np.linalg.norm(x - mu)) for x in h)
    for t in range(k):
        w = (t + 1) * mu - sum((h[i] for i in picked), np.zeros_like(mu))
        far = {i: -float(np.linalg.norm(w - h[i])) for i in range(len(h)) if i not in picked}
        picked.append(first_best(far, spread))
    return picked


def k_center(h, k, first):
    picked = [first]
    scale = max(math.dist(a, h[first]) for a in h)
    while len(picked) < k:
        near = {i: min(math.dist(h[i], h[j]) for j in picked) for i in range(len(h)) if i not in picked}
        picked.append(first_best(near, scale))
    return picked


def cosine_kernel(g):
    """0.5 + 0.5 cos; a gradient of 0 has cosine 0 with all."""
    n = len(g)
    kernel = np.full((n, n), 0.5)
    lengths = [math.sqrt(math.fsum(v * v for v in row)) for row in g]
    for i, j in itertools.product(range(n), repeat=2):
        if lengths[i] > 0 and lengths[j] > 0:
            kernel[i, j] += 0.5 * float(np.dot(g[i] / lengths[i], g[j] / lengths[j]))
    return kernel


def distances(g):
    return np.array([[math.dist(a, b) for b in g] for a in g])


def graph_cut(kernel, k, lam):
    picked = []
    for _ in range(k):
        gain = {
            j: lam * math.fsum(kernel[:, j]) - 2 * math.fsum(kernel[a, j] for a in picked)
            for j in range(len(kernel))
            if j not in picked
        }
        picked.append(first_best(gain, lam * len(kernel)))
    return picked


def facility_location(similarity, k):
    """Positions picked; similarities are at least 0, and 0 is what no facility gives."""
    n, picked = len(similarity), []
    for _ in range(k):
        served = [max([0.0, *(similarity[i, a] for a in picked)]) for i in range(n)]
        gain = {
            j: math.fsum(max(0.0, similarity[i, j] - served[i]) for i in range(n))
            for j in range(n)
            if j not in picked
        }
        picked.append(first_best(gain, n * float(np.abs(similarity).max())))
    return picked


def cluster_sizes(similarity, picked):
    """How many rows have their most similar pick in each; of equal ones the first picked."""
    sizes = [0] * len(picked)
    slack = TIE * float(np.abs(similarity).max())
    for row in similarity:
        top = max(row[a] for a in picked)
        sizes[next(t for t, a in enumerate(picked) if row[a] >= top - slack)] += 1
    return sizes


def craig(g, k):
    """(positions, weights)."""
    far = distances(g)
    similarity = far.max() - far
    picked = facility_location(similarity, k)
    return picked, cluster_sizes(similarity, picked)


def pursuit(g, k, lam):
    """(positions picked, x of the last least squares): the pursuit before anything is made non-negative."""
    t, picked, x = g.mean(axis=0), [], np.zeros(0)
    for _ in range(k):
        residual = t - g[picked].T @ x
        product = {i: float(g[i] @ residual) for i in range(len(g)) if i not in picked}
        scale = max(np.linalg.norm(g, axis=1)) * np.linalg.norm(residual)
        picked.append(first_best(product, scale))
        a = g[picked].T
        x = np.linalg.solve(a.T @ a + lam * np.eye(len(picked)), a.T @ t)
    return picked, x


def nonnegative(g, picked, lam):
    """The x >= 0 of least ||A x - t||^2 + lam ||x||^2, A the gradients picked, t the mean of all."""
    a, t = g[picked].T, g.mean(axis=0)
    tall = np.vstack([a, math.sqrt(lam) * np.eye(len(picked))])
    return nnls(tall, np.concatenate([t, np.zeros(len(picked))]), maxiter=100 * len(picked))[0]
