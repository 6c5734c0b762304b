"""Shares are rounded as the decimal number that was written."""

import pytest

from deepcore.common.shares import rows_of_share


@pytest.mark.parametrize(
    ("share", "n", "rows"),
    [
        (0.145, 100, 15),
        (0.285, 100, 29),
        (0.1, 54_000, 5_400),
        (0.5, 3, 2),
        (0.5, 1, 1),
        (0.0, 9, 0),
        (1.0, 7, 7),
    ],
)
def test_half_a_row_counts(share, n, rows):
    assert rows_of_share(share, n) == rows
