"""Tables, figures and pages, made from result rows and nothing else. A file for each report; a new table goes
here, beside `accuracy_tables.py`.
"""

from __future__ import annotations

from deepcore.report.cost_report import costs_report
from deepcore.report.measured_cost_report import measured_report
from deepcore.report.run_report import write_report
from deepcore.report.table import Table
from deepcore.report.text_table import TextTable

__all__ = [
    "Table",
    "TextTable",
    "costs_report",
    "measured_report",
    "write_report",
]
