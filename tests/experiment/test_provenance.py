"""Provenance: the commit of the source tree."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

from deepcore.experiment.provenance import provenance

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_a_row_made_in_a_checkout_names_its_commit():
    words = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    head = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert provenance(torch.device("cpu"))["commit"].rstrip("+") == head
