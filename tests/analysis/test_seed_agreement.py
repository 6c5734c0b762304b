"""Agreement of two score vectors, by row id."""

from __future__ import annotations

import numpy as np
import pytest

from deepcore.analysis.overlap import Scores
from deepcore.analysis.seed_agreement import score_agreement
from deepcore.common.checks import UsageError


def test_rows_are_matched_by_id_and_others_left_out():
    first = Scores(np.array([1, 2, 3, 4]), np.array([0.0, 1.0, 2.0, 9.0]))
    second = Scores(np.array([3, 7, 1, 2]), np.array([2.5, 9.0, 0.0, 1.0]))
    found = score_agreement(first, second)
    assert found.n == 3
    assert found.mae == pytest.approx(0.5 / 3)
    assert found.spearman == pytest.approx(1.0)
    assert found.pearson == pytest.approx(np.corrcoef([0.0, 1.0, 2.0], [0.0, 1.0, 2.5])[0, 1])
    assert found.spread == pytest.approx((np.std([0, 1, 2], ddof=1) + np.std([0, 1, 2.5], ddof=1)) / 2)


def test_a_constant_score_has_no_correlation():
    ids = np.arange(4)
    found = score_agreement(Scores(ids, np.ones(4)), Scores(ids, np.arange(4.0)))
    assert (found.pearson, found.spearman) == (None, None)


def test_too_few_common_rows():
    with pytest.raises(UsageError, match="2 rows"):
        score_agreement(Scores(np.arange(2), np.ones(2)), Scores(np.arange(3), np.ones(3)))
