"""Analysis of result rows: statistics over seeds, comparisons with Random and with the best method, overlap
of selections, measured costs.
"""

from __future__ import annotations

from deepcore.analysis.comparison import Comparison, compare_rows
from deepcore.analysis.measured_costs import MeasuredCost, measured_costs
from deepcore.analysis.overlap import overlaps
from deepcore.analysis.stats import Paired, Summary

__all__ = ["Comparison", "MeasuredCost", "Paired", "Summary", "compare_rows", "measured_costs", "overlaps"]
