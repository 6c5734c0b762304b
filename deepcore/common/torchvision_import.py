"""The one place that imports torchvision."""

from __future__ import annotations

import importlib
from importlib import metadata
from types import ModuleType

from deepcore.common.checks import UsageError, first_line


def torchvision(submodule: str) -> ModuleType:
    """`torchvision.<submodule>`, imported when it is needed.

    Raises:
        UsageError: torchvision is missing or was built for another torch; the message has the remedy.
    """
    try:
        return importlib.import_module(f"torchvision.{submodule}")
    except Exception as error:  # a mismatched pair fails with RuntimeError, OSError, AttributeError, ...
        raise UsageError(
            f"torchvision {_version('torchvision')} cannot be imported beside torch {_version('torch')} "
            f"({first_line(error)}): install a matched pair, for instance "
            "pip install --upgrade --force-reinstall torch torchvision"
        ) from error


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
