"""A share of a number of rows, rounded."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal


def rows_of_share(share: float, n: int) -> int:
    """floor(share * n + 1/2), of the decimal number that was written.

    0.145 of 100 is 15, though the product of the floats is 14.499...
    """
    return int((Decimal(str(share)) * n + Decimal("0.5")).to_integral_value(rounding=ROUND_FLOOR))
