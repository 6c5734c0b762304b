"""The network of a proxy run, for methods that put rows through it themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from deepcore.common.meter import Meter
from deepcore.data.record import Rows
from deepcore.nets.net import Net

BATCH = 256  # rows; fixed, so that results do not depend on --batch


@dataclass(frozen=True)
class ProxyNetwork:
    """A network in eval mode, and the rows that it can be given.

    Everything runs in the type of the weights, float32 for networks trained here, whatever the precision of
    the training. Every pass is counted.

    Attributes:
        net: on `device`, in eval mode; its weights want no gradient.
        data: the training part of the data set: ids are its rows.
        device: where it computes.
        meter: counts the passes by the names of `Meter`: "gradient" for a forward and a backward pass to the
            inputs, "record" and "encode" for a forward pass.
    """

    net: Net
    data: Rows
    device: torch.device
    meter: Meter

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights, and of the inputs that it gives."""
        return self.net.head.weight.dtype

    def batches(self, ids: np.ndarray) -> Iterator[tuple[slice, torch.Tensor]]:
        """Batches of the rows `ids` (n,) in their order: positions into `ids`, inputs (b, *shape) as the
        network wants them, not augmented."""
        cuts = [slice(a, min(a + BATCH, len(ids))) for a in range(0, len(ids), BATCH)]
        inputs = self.data.batches([ids[cut] for cut in cuts], device=self.device)
        return ((cut, x.to(self.dtype)) for cut, x in zip(cuts, inputs, strict=True))

    @torch.no_grad()
    def losses(self, ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The cross-entropy of each row, (n,) float64; a forward pass a row."""
        out = np.empty(len(ids))
        for cut, x in self.batches(ids):
            y = torch.from_numpy(labels[cut]).to(self.device)
            loss = functional.cross_entropy(self.net(x).double(), y, reduction="none")
            out[cut] = loss.cpu().numpy()
            self.meter.count("record", len(x))
        return out

    @torch.no_grad()
    def features(self, ids: np.ndarray) -> np.ndarray:
        """Penultimate features, (n, D) float32; a forward pass a row."""
        out = []
        for _, x in self.batches(ids):
            out.append(self.net.features(x).float().cpu().numpy())
            self.meter.count("encode", len(x))
        return np.concatenate(out) if out else np.zeros((0, self.net.feature_dim), np.float32)
