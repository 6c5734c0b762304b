"""The state of a training between two epochs, on disk."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from deepcore.common.checks import StoredMismatch, first_line
from deepcore.common.files import write_bytes

if TYPE_CHECKING:
    from deepcore.common.meter import Meter
    from deepcore.nets.net import Net
    from deepcore.training.hooks import Hook


def training_state(
    net: Net, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, meter: Meter
) -> dict:
    """What a training goes on from, but for the hooks' part; it refers to the live tensors."""
    return {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "meter": meter.state(),
    }


class Checkpoint:
    """Saves network, optimiser, loss scaling, hooks and meter after an epoch, atomically, and restores them.

    Args:
        path: the file; its folder exists.
        every_seconds: save no more often than this (a short training then never saves); 0 saves every epoch.
    """

    def __init__(self, path: Path, *, every_seconds: float = 0.0) -> None:
        self.path = path
        self.every_seconds = every_seconds
        self._last = time.monotonic()

    def save(self, epoch: int, state: dict, hooks: Sequence[Hook]) -> None:
        """Record that `epoch` epochs are done, if it is time.

        Args:
            epoch: 1..T.
            state: `training_state` after that epoch.
            hooks: asked for theirs.
        """
        if time.monotonic() - self._last < self.every_seconds:
            return
        buffer = io.BytesIO()
        torch.save({"epoch": epoch, **state, "hooks": [hook.state() for hook in hooks]}, buffer)
        write_bytes(self.path, buffer.getvalue())
        self._last = time.monotonic()

    def restore(
        self,
        net: Net,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        hooks: Sequence[Hook],
        meter: Meter,
    ) -> int:
        """Load what is there into the arguments and return the epochs done; 0 when there is nothing.

        Raises:
            StoredMismatch: the file cannot be read, or a hook's own files are not those of this checkpoint.
        """
        if not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            net.load_state_dict(state["net"])
            optimizer.load_state_dict(state["optimizer"])
            scaler.load_state_dict(state.get("scaler", {}))  # checkpoints before it are of fp32
            for hook, saved in zip(hooks, state["hooks"], strict=True):
                hook.load(saved)
            meter.load(state["meter"])
            return int(state["epoch"])
        except StoredMismatch:
            raise
        except Exception as error:  # torch.load raises whatever the bytes lead it to
            raise StoredMismatch(
                f"checkpoint {self.path} is damaged ({first_line(error)}); delete it to start this training "
                "again"
            ) from None

    def remove(self) -> None:
        """Delete the file once the results of the training are stored."""
        self.path.unlink(missing_ok=True)
