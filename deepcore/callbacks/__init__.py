"""Loggers for other people's trainers, a file each: `lightning`, `huggingface`, `keras`, `boosting`. A file
imports its library, which must be installed; nothing is imported here.
"""

from __future__ import annotations

__all__: list[str] = []
