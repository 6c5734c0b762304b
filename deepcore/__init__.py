"""Coreset selection for deep learning: one proxy run, many methods, an honest comparison."""

__version__ = "0.1.0"
