"""What a method costs in FLOPs and storage: the formulas of the CLD paper and of this harness (`FORMULAS`),
and the numbers that fill them (`Scenario`).
"""

from __future__ import annotations

from deepcore.costs.formulas import FORMULAS
from deepcore.costs.of_method import cost_of, formula_cost
from deepcore.costs.scenario import Scenario
from deepcore.costs.terms import Cost

__all__ = ["FORMULAS", "Cost", "Scenario", "cost_of", "formula_cost"]
