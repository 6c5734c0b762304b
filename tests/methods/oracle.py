"""The methods once more, slowly: plain loops over rows in float64, written from the definitions alone,
without a look at `methods/`. `test_against_oracle.py` holds the product to them.

Names: z logits (T, N, C), y labels (N,), q probability of the true class (T, N), h features (N, D).
"""

from __future__ import annotations

import itertools
import math
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

import numpy as np
from scipy.stats import beta as beta_distribution
from scipy.stats import rankdata

# --- signals of one checkpoint's logits ------------------------------------------------------------


def softmax(row):
    top = max(row)
    powers = [math.exp(value - top) for value in row]
    total = math.fsum(powers)
    return [power / total for power in powers]


def loss(row, y):
    top = max(row)
    return math.log(math.fsum(math.exp(value - top) for value in row)) + top - row[y]


def margin(row, y):
    return row[y] - max(value for c, value in enumerate(row) if c != y)


def margin_p(row, y):
    return margin(softmax(row), y)


def error(row, y):
    return [p - (c == y) for c, p in enumerate(softmax(row))]


def el2n(row, y):
    return math.sqrt(math.fsum(r * r for r in error(row, y)))


def grand(row, y, h):
    gradient = np.outer(error(row, y), [1.0, *h])
    return math.sqrt(float((gradient**2).sum()))


def kl_step(before, now):
    return math.fsum(
        abs(p * (math.log(p + 1e-8) - math.log(q + 1e-8)))
        for q, p in zip(softmax(before), softmax(now), strict=True)
    )


def over_time(signal, z, y):
    """(T, N) of a signal of (logits row, label)."""
    z = np.asarray(z, dtype=np.float64)
    return np.array([[signal(list(row), c) for row, c in zip(step, y, strict=True)] for step in z])


# --- budgets and top-k -----------------------------------------------------------------------------


def budget(fraction, n):
    return max(1, int((Decimal(str(fraction)) * n + Decimal("0.5")).to_integral_value(ROUND_FLOOR)))


def quotas(y, k):
    """{class: quota} over the classes present."""
    sizes = {c: sum(1 for label in y if label == c) for c in sorted(set(map(int, y)))}
    exact = {c: Fraction(size * k, len(y)) for c, size in sizes.items()}
    out = {c: math.floor(share) for c, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda c: (out[c] - exact[c], c))
    for c in by_remainder[: k - sum(out.values())]:
        out[c] += 1
    if k >= len(sizes):
        for c in sizes:
            if out[c] == 0:
                largest = max(sizes, key=lambda d: (out[d], d))
                out[largest] -= 1
                out[c] += 1
    return out


def best_first(scores, ids, keep):
    key = {"highest": lambda s: -s, "lowest": lambda s: s, "zero": abs}[keep]
    return sorted(range(len(ids)), key=lambda i: (key(scores[i]), ids[i]))


def parts(y, k, class_balanced):
    """[(positions, quota)] in which a budget is spent."""
    if not class_balanced:
        return [(list(range(len(y))), k)]
    return [([i for i in range(len(y)) if y[i] == c], q) for c, q in quotas(y, k).items() if q]


def top(scores, ids, y, k, keep, class_balanced):
    """The set of ids kept."""
    kept = set()
    for positions, quota in parts(y, k, class_balanced):
        order = best_first([scores[i] for i in positions], [ids[i] for i in positions], keep)
        kept |= {int(ids[positions[j]]) for j in order[:quota]}
    return kept


# --- CLD and LTC -----------------------------------------------------------------------------------


def checkpoints(last, initial, first, every):
    """The rows used of 0..last."""
    stop = last if first is None else min(first, last)
    return [t for t in range(0 if initial else 1, stop + 1) if (t - (0 if initial else 1)) % every == 0]


def flat(losses):
    steps = [b - a for a, b in itertools.pairwise(losses)]
    return max(steps) - min(steps) <= 1e-6 * max(abs(value) for value in losses)


def correlation(losses_a, losses_b, kind):
    """Correlation of the differences of two loss trajectories; 0 where one does not vary."""
    if flat(losses_a) or flat(losses_b):
        return 0.0
    a, b = np.diff(losses_a), np.diff(losses_b)
    if kind == "spearman":
        a, b = rankdata(a), rankdata(b)
    a, b = a - a.mean(), b - b.mean()
    below = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / below


def cld(train, y, val, val_y, kind="pearson", trajectory="class"):
    """train (rows used, N), val (rows used, Q) losses."""
    out = []
    for i in range(train.shape[1]):
        rows = [j for j in range(val.shape[1]) if trajectory == "global" or val_y[j] == y[i]]
        mean = [math.fsum(float(val[t, j]) for j in rows) / len(rows) for t in range(len(val))]
        out.append(correlation([float(v) for v in train[:, i]], mean, kind))
    return np.array(out)


def ltc(train, y, val, val_y, kind="pearson", trajectory="class"):
    out = []
    for i in range(train.shape[1]):
        rows = [j for j in range(val.shape[1]) if trajectory == "global" or val_y[j] == y[i]]
        mine = [float(v) for v in train[:, i]]
        each = [correlation(mine, [float(v) for v in val[:, j]], kind) for j in rows]
        out.append(math.fsum(each) / len(each))
    return np.array(out)


# --- scores over epochs ----------------------------------------------------------------------------


def forgetting(correct):
    """correct (T, N) bool."""
    out = []
    for i in range(correct.shape[1]):
        events, ever = 0, False
        for t in range(len(correct)):
            ever = ever or bool(correct[t, i])
            events += t > 0 and bool(correct[t - 1, i]) and not correct[t, i]
        out.append(events if ever else len(correct))
    return np.array(out, dtype=float)


def mean_of_first(values, epochs):
    count = min(epochs, len(values))
    return np.array([math.fsum(map(float, values[:count, i])) / count for i in range(values.shape[1])])


def tdds(z, window, decay):
    """z (T, N, C) of the epochs used."""
    last, n = len(z), z.shape[1]
    window = min(window, last)
    out = np.zeros(n)
    for i in range(n):
        for k in range(last - window + 1):
            steps = [kl_step(list(z[t, i]), list(z[t + 1, i])) for t in range(k, k + window - 1)]
            mean = math.fsum(steps) / len(steps)
            u = math.sqrt(math.fsum((s - mean) ** 2 for s in steps))
            out[i] += u * decay * (1 - decay) ** (last - window - k)
    return out


def _windows(q, window):
    window = min(window, len(q))
    for k in range(len(q) - window + 1):
        part = [float(v) for v in q[k : k + window]]
        mean = math.fsum(part) / window
        yield mean, math.sqrt(math.fsum((v - mean) ** 2 for v in part) / (window - 1))


def dynunc(q, window):
    """q (T, N)."""
    return np.array([np.mean([sd for _, sd in _windows(q[:, i], window)]) for i in range(q.shape[1])])


def dual(q, window):
    return np.array(
        [np.mean([sd * (1 - mean) for mean, sd in _windows(q[:, i], window)]) for i in range(q.shape[1])]
    )


def dual_beta(means, scores, ids, fraction, c_d):
    """(y_a, y_b)."""
    best = best_first(scores, ids, "highest")[:10]
    a = math.fsum(float(means[i]) for i in best) / len(best)
    y_b = 15 * (1 - a) * (1 - (1 - fraction) ** c_d)
    return 16 - y_b, y_b


def dual_weights(means, scores, ids, fraction, c_d=4.0):
    y_a, y_b = dual_beta(means, scores, ids, fraction, c_d)
    out = []
    for m, s in zip(means, scores, strict=True):
        m = min(max(float(m), 1e-6), 1 - 1e-6)
        out.append(math.exp(beta_distribution.logpdf(m, y_a, y_b)) * float(s))
    return np.array(out)


# --- CCS -------------------------------------------------------------------------------------------

CUT = {0.7: 0.0, 0.5: 0.0, 0.3: 0.1, 0.2: 0.1, 0.1: 0.3}


def cut_share(fraction):
    known = sorted(CUT)
    if fraction <= known[0] or fraction >= known[-1]:
        return CUT[known[0] if fraction <= known[0] else known[-1]]
    for low, high in itertools.pairwise(known):
        if low <= fraction <= high:
            return CUT[low] + (CUT[high] - CUT[low]) * (fraction - low) / (high - low)
    raise AssertionError


def strata_edges(scores, strata):
    """Strata of no width (all scores equal) are one stratum."""
    scores = [np.float32(s) for s in scores]
    low, high = min(scores), max(scores)
    strata = 1 if low == high else strata
    top_edge = np.float32(high + np.float32(1e-4) * np.float32(abs(high)))
    step = np.float32((top_edge - low) / np.float32(strata))
    return [np.float32(low + np.float32(i) * step) for i in range(strata + 1)]


def strata_of(scores, edges):
    """The last stratum is closed, and holds whatever rounding puts above the last edge."""
    out = []
    for s in scores:
        s = np.float32(s)
        inside = [i for i in range(len(edges) - 1) if edges[i] <= s < edges[i + 1]]
        out.append(inside[0] if inside else len(edges) - 2)
    return out


def strata_budgets(counts, k):
    out = [0] * len(counts)
    order = sorted(range(len(counts)), key=lambda i: (counts[i], i))
    for turn, i in enumerate(order):
        out[i] = min(counts[i], k // (len(counts) - turn))
        k -= out[i]
    return out


def cut_lowest(values, ids, beta):
    """(positions that stay, positions cut with the highest value first)."""
    order = best_first(values, ids, "lowest")
    cut = order[: int(beta * len(order))]
    stay = [i for i in range(len(ids)) if i not in set(cut)]
    return stay, sorted(cut, key=lambda i: (-values[i], ids[i]))


def ccs_plan(aum, scores, ids, y, k, beta, strata, class_balanced):
    """[(ids of a stratum, how many of them are drawn)], the refill included."""
    plan = []
    for positions, quota in parts(y, k, class_balanced):
        stay, cut = cut_lowest([aum[i] for i in positions], [ids[i] for i in positions], beta)
        stay, cut = [positions[j] for j in stay], [positions[j] for j in cut]
        if stay:
            edges = strata_edges([scores[i] for i in stay], strata)
            of = strata_of([scores[i] for i in stay], edges)
            counts = [of.count(s) for s in range(len(edges) - 1)]
            for s, share in enumerate(strata_budgets(counts, quota)):
                plan.append(({int(ids[i]) for i, mine in zip(stay, of, strict=True) if mine == s}, share))
        if quota > len(stay):
            filled = cut[: quota - len(stay)]
            plan.append(({int(ids[i]) for i in filled}, len(filled)))
    return plan


# --- D2 --------------------------------------------------------------------------------------------


def nearest(h, ids, neighbors):
    """[{neighbour position: distance}] directed, ties to the lower id."""
    out = []
    for i in range(len(h)):
        far = [(math.dist(h[i], h[j]), ids[j], j) for j in range(len(h)) if j != i]
        out.append({j: d for d, _, j in sorted(far)[:neighbors]})
    return out


def d2(
    h,
    s,
    ids,
    k,
    *,
    neighbors=5,
    gamma=0.1,
    forward="sum",
    reverse="weighted",
    power=1,
    symmetric=False,
    normalize=False,
):
    """Positions in the order taken."""
    graph = nearest(h, ids, min(neighbors, len(h) - 1))
    lengths = [d for edges in graph for d in edges.values()]
    if normalize and lengths and (middle := float(np.median(lengths))) > 0:
        graph = [{j: d / middle for j, d in edges.items()} for edges in graph]
    if symmetric:
        both = [dict(edges) for edges in graph]
        for i, edges in enumerate(graph):
            for j, d in edges.items():
                both[j][i] = d
        graph, s = both, [max(value, 1e-7) for value in s]
    x = []
    for i, edges in enumerate(graph):
        messages = [math.exp(-(d**power)) * s[j] for j, d in edges.items()]
        x.append(s[i] * math.fsum(messages) if forward == "product" else math.fsum([s[i], *messages]))
    left, taken = set(range(len(x))), []
    for _ in range(k):
        i = min(left, key=lambda j: (-x[j], ids[j]))
        left.remove(i)
        taken.append(i)
        for j, d in graph[i].items():
            x[j] -= x[i] * (math.exp(-gamma * d**power) if reverse == "weighted" else 1.0)
    return taken


# --- Glister ---------------------------------------------------------------------------------------


def glister(z, h, y, ids, val_z, val_h, val_y, k, *, eta=0.1, step="mean", picks_per_refresh=1, refresh=True):
    """Positions in the order picked."""
    gradients = [np.outer(error(list(z[i]), y[i]), [1.0, *h[i]]) for i in range(len(y))]
    moved, picked = np.zeros_like(gradients[0]), []
    while len(picked) < k:
        v = np.zeros_like(gradients[0])
        for j in range(len(val_y)):
            inputs = np.array([1.0, *val_h[j]])
            logits = val_z[j] - eta * (moved @ inputs)
            v += np.outer(error(list(logits), val_y[j]), inputs) / len(val_y)
        left = [i for i in range(len(y)) if i not in picked]
        gain = {i: float((gradients[i] * v).sum()) for i in left}
        order = sorted(left, key=lambda i: (-gain[i], ids[i]))
        picked += order[: min(picks_per_refresh if refresh else k, k - len(picked))]
        total = sum(gradients[i] for i in picked)
        moved = total / len(picked) if step == "mean" else total
    return picked
