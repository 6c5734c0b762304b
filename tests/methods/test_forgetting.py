import numpy as np
import pytest
from helpers import online_run

from deepcore.common.checks import DeepcoreError
from deepcore.selection.budget import Budget
from methods.forgetting import Forgetting

#           never  always  once  twice  late  tie with another class
MARGINS = np.array(
    [
        [-1.0, 1.0, 1.0, 2.0, -1.0, 0.0],
        [-2.0, 1.0, -1.0, -1.0, -1.0, 0.0],
        [-1.0, 2.0, -3.0, 1.0, -1.0, 1.0],
        [-1.0, 2.0, 1.0, -1.0, 3.0, 0.0],
        [-1.0, 2.0, 1.0, -1.0, 3.0, 0.0],
    ]
)
RUN = online_run([0, 0, 0, 1, 1, 1], margin=MARGINS)


def test_counted_by_hand():
    np.testing.assert_array_equal(Forgetting().score(RUN), [5, 0, 1, 2, 0, 1])


def test_first_epochs_only_and_never_learned_counts_those():
    # of the first two epochs, the fifth was never right, the sixth neither (a tie is not right)
    np.testing.assert_array_equal(Forgetting(epochs=2).score(RUN), [2, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(Forgetting(epochs=1).score(RUN), [1, 0, 0, 0, 1, 1])


def test_equals_a_plain_loop():
    margins = np.random.default_rng(0).normal(size=(15, 40))
    run = online_run(np.zeros(40, int), margin=margins)
    slow = []
    for i in range(40):
        right = [margins[t, i] > 0 for t in range(15)]
        events = sum(right[t - 1] and not right[t] for t in range(1, 15))
        slow.append(events if any(right) else 15)
    np.testing.assert_array_equal(Forgetting().score(run), slow)


def test_a_margin_that_is_no_number_is_refused_not_counted_as_wrong():
    broken = MARGINS.copy()
    broken[1, 0], broken[3, 4] = np.nan, np.nan  # one never right, one right before
    run = online_run(RUN.labels, margin=broken)
    with pytest.raises(DeepcoreError, match=r"2 scores are not finite numbers \(rows 0, 4,"):
        Forgetting().select(run, Budget.of(0.5, 6), np.random.default_rng(0))


def test_more_epochs_than_recorded_are_reduced_and_said():
    with pytest.warns(UserWarning, match="epochs=9 is more than the 5 epochs"):
        chosen = Forgetting(epochs=9).select(RUN, Budget.of(0.5, 6), np.random.default_rng(0))
    np.testing.assert_array_equal(chosen.scores, Forgetting().score(RUN))


def test_share_of_picks_decided_by_ties_is_noted():
    run = online_run([0, 0, 0, 0], margin=np.ones((4, 4)))
    chosen = Forgetting().select(run, Budget.of(0.5, 4), np.random.default_rng(0))
    assert chosen.rows.tolist() == [0, 1]
    assert chosen.notes == ("2 of 2 picks (100.0%) were decided by the tie rule (lower row id)",)
