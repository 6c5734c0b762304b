"""The proxy run: which signals it records (`Signal`, `Recording`), the engine that trains and stores it, and
`ProxyRun`, which methods read. Logs of other training loops become one here.
"""

from __future__ import annotations

from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun, from_logits, from_losses
from deepcore.proxy.signals import Signal
from deepcore.proxy.spec import ProxySpec

__all__ = [
    "ProxyRun",
    "ProxySpec",
    "Recording",
    "Signal",
    "from_logits",
    "from_losses",
]
