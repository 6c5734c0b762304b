"""Graphs and the greedy choice against dense matrices and repeated argmax."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deepcore.scoring.message_passing import Graph, neighbour_graph, pass_forward, pick_and_pass_back


def dense(graph, weights):
    """(n, n) matrix of the weights, 0 where there is no edge."""
    n = len(graph.starts) - 1
    matrix = np.zeros((n, n))
    for node in range(n):
        for edge in range(graph.starts[node], graph.starts[node + 1]):
            matrix[node, graph.targets[edge]] = weights[edge]
    return matrix


def repeated_argmax(values, matrix, groups, quotas):
    """The definition: one pass over all nodes for every pick."""
    x = np.array(values, dtype=float)
    left = np.array(quotas)
    free = np.ones(len(x), dtype=bool)
    picks, tied = [], 0
    while True:
        allowed = np.flatnonzero(free & (left[groups] > 0))
        if not len(allowed):
            return picks, tied
        best = allowed[np.argmax(x[allowed])]
        tied += np.count_nonzero((x == x[best]) & free & (groups == groups[best])) > 1
        picks.append(best)
        free[best] = False
        left[groups[best]] -= 1
        x -= matrix[best] * x[best]


@st.composite
def problems(draw):
    """Small whole or half numbers everywhere: sums are exact and ties abound; values may be negative."""
    n = draw(st.integers(1, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    edges = np.argwhere((rng.random((n, n)) < draw(st.floats(0, 0.6))) & ~np.eye(n, dtype=bool))
    graph = Graph.of_edges(n, edges[:, 0], edges[:, 1], rng.integers(0, 3, len(edges)).astype(float))
    weights = rng.choice(draw(st.sampled_from([[1.0], [0.0, 0.5, 1.0], [2.0]])), len(edges))
    values = rng.integers(*draw(st.sampled_from([(0, 3), (-3, 4), (-4, 0)])), n).astype(float)
    groups = rng.integers(0, draw(st.integers(1, 3)), n)
    quotas = np.array([rng.integers(0, size + 1) for size in np.bincount(groups)])
    return values, graph, weights, groups, quotas


@given(problems())
@settings(max_examples=150, deadline=None)
def test_heap_equals_repeated_argmax(problem):
    values, graph, weights, groups, quotas = problem
    picks, tied = pick_and_pass_back(values, graph, weights, groups, quotas)
    slow, slow_tied = repeated_argmax(values, dense(graph, weights), groups, quotas)
    assert (picks.tolist(), tied) == (slow, slow_tied)


def test_a_value_that_rises_after_a_negative_one_is_taken():
    """0 (worth 5) sinks 1 to -1 and 2 to -4; then 1 goes first and lifts 2 from -4 to -3, above 3's -3.5."""
    graph = Graph.of_edges(4, np.array([0, 0, 1]), np.array([1, 2, 2]), np.zeros(3))
    values = np.array([5.0, 4.0, 1.0, -3.5])
    picks, _ = pick_and_pass_back(values, graph, np.ones(3), np.zeros(4, int), np.array([4]))
    assert picks.tolist() == [0, 1, 2, 3]
    apart = Graph.of_edges(4, np.array([0, 0]), np.array([1, 2]), np.zeros(2))
    picks, _ = pick_and_pass_back(values, apart, np.ones(2), np.zeros(4, int), np.array([4]))
    assert picks.tolist() == [0, 1, 3, 2]


def test_ties_go_to_the_lowest_node():
    graph = Graph.of_edges(6, np.array([5]), np.array([0]), np.zeros(1))
    picks, tied = pick_and_pass_back(np.ones(6), graph, np.ones(1), np.zeros(6, int), np.array([6]))
    assert (picks.tolist(), tied) == ([0, 1, 2, 3, 4, 5], 5)  # the last has no equal left


def test_forward_by_hand():
    graph = Graph.of_edges(3, np.array([2, 0, 0]), np.array([0, 2, 1]), np.array([1.0, 1.0, 0.5]))
    assert graph.targets.tolist() == [1, 2, 0]
    received = pass_forward(np.array([1.0, 10.0, 100.0]), graph, np.array([0.5, 0.25, 2.0]))
    assert received.tolist() == [5.0 + 25.0, 0.0, 2.0]


def test_edges_of_a_node_go_by_distance_then_target():
    graph = Graph.of_edges(3, np.array([1, 0, 0]), np.array([0, 2, 1]), np.array([0.0, 1.0, 1.0]))
    assert (graph.starts.tolist(), graph.targets.tolist()) == ([0, 2, 3, 3], [1, 2, 0])


def test_symmetric_has_every_edge_and_its_reverse_once():
    graph = Graph.of_edges(4, np.array([0, 1, 1, 3]), np.array([1, 0, 2, 1]), np.array([1.0, 1.0, 2.0, 3.0]))
    both = graph.symmetric()
    edges = sorted(zip(both.sources.tolist(), both.targets.tolist(), both.distances.tolist(), strict=True))
    assert edges == [(0, 1, 1.0), (1, 0, 1.0), (1, 2, 2.0), (1, 3, 3.0), (2, 1, 2.0), (3, 1, 3.0)]


def test_graph_of_parts_joins_within_parts_only():
    features = np.array([[9.0], [0.0], [1.0], [0.1], [3.0], [0.2]], dtype=np.float32)
    rows = np.array([1, 2, 3, 4, 5])  # features 0, 1, 0.1, 3, 0.2
    parts = [np.array([0, 1, 3]), np.array([2, 4])]
    graph = neighbour_graph(features, rows, 2, parts)
    assert graph.starts.tolist() == [0, 2, 4, 5, 7, 8]
    assert graph.targets.tolist() == [1, 3, 0, 3, 4, 1, 0, 2]
    np.testing.assert_allclose(graph.distances, [1, 3, 1, 2, 0.1, 2, 3, 0.1], rtol=1e-6)
    scaled = neighbour_graph(features, rows, 2, parts, normalize=True)
    np.testing.assert_allclose(scaled.distances, [0.5, 1.5, 0.5, 1, 1, 1, 1.5, 1], rtol=1e-6)
    equal = neighbour_graph(np.ones((6, 1), np.float32), rows, 2, parts, normalize=True)
    assert not equal.distances.any()


def test_parts_of_one_row_have_no_edge():
    graph = neighbour_graph(np.zeros((2, 1), np.float32), np.array([0, 1]), 3, [np.array([0]), np.array([1])])
    assert (graph.starts.tolist(), graph.targets.tolist()) == ([0, 0, 0], [])
    picks, _ = pick_and_pass_back(
        np.array([1.0, 2.0]), graph.symmetric(), graph.distances, np.zeros(2, int), np.array([2])
    )
    assert picks.tolist() == [1, 0]
