"""Logs of other people's training loops: the recorder that a loop calls (`LossRecorder`), and readers that
make a `ProxyRun` of files, folders, tables and data frames (`read_logs`).
"""

from __future__ import annotations

from deepcore.logs.columns import LogColumns
from deepcore.logs.read import read_logs
from deepcore.logs.recorder import LossRecorder
from deepcore.logs.with_ids import WithIds

__all__ = ["LogColumns", "LossRecorder", "WithIds", "read_logs"]
