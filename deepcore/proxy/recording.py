"""Which signals a proxy run records."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from deepcore.proxy.signals import FINAL, Signal
from deepcore.proxy.use import ProxyUse

BUFFER = 1 << 24  # logits held before the signals are computed from them (64 MB)


@dataclass(frozen=True)
class Recording:
    """Which signals a run records.

    Attributes:
        online, post_epoch: signals of the candidates, every epoch, by recording mode.
        val: signals of the validation rows, every epoch.
        final: signals after the last step, and the network's weights.
        initial: whether the trajectories begin with row 0, the untrained network.
    """

    online: frozenset[Signal] = frozenset()
    post_epoch: frozenset[Signal] = frozenset()
    val: frozenset[Signal] = frozenset({Signal.LOSS})
    final: frozenset[Signal] = frozenset()
    initial: bool = True

    @property
    def final_arrays(self) -> frozenset[Signal]:
        """The arrays of rows kept at the end: `final` without the weights."""
        return self.final & frozenset(FINAL)

    def covers(self, other: Recording) -> bool:
        """Whether everything in `other` is recorded here too."""
        return all(getattr(self, f.name) >= getattr(other, f.name) for f in dataclasses.fields(self))

    def to_dict(self) -> dict[str, Any]:
        """Names of the signals, sorted, and `initial`."""
        value = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: v if isinstance(v, bool) else sorted(s.value for s in v) for name, v in value.items()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Recording:
        """The counterpart of `to_dict`."""
        return cls(**{n: v if isinstance(v, bool) else frozenset(map(Signal, v)) for n, v in value.items()})

    def rows(self, epochs: int) -> int:
        """Rows of the trajectories of a run of `epochs` epochs."""
        return epochs + int(self.initial)

    def use(self, epochs: int) -> ProxyUse:
        """The passes that this recording needs in a run of `epochs` epochs."""
        trajectories = bool(self.online | self.post_epoch)
        return ProxyUse(epochs, epochs if self.post_epoch else 0, trajectories, bool(self.final_arrays))

    def memory(self, n: int, num_classes: int) -> int:
        """Upper estimate of the bytes on the device: a value per candidate and signal, the previous
        logits for KL_STEP (and their copies in a checkpoint), the buffer of logits, and temporary arrays."""
        modes = (self.online, self.post_epoch)
        before = sum(Signal.KL_STEP in signals for signals in modes) * 3 * n * num_classes
        return 4 * (sum(map(len, modes)) * n + before + 8 * min(n * num_classes, BUFFER))

    def arrays(self, n: int, q: int) -> dict[str, int]:
        """{file stem: columns} of all trajectories, for n candidates and q validation rows."""
        stems = {f"online_{s.value}": n for s in self.online} | {
            f"post_epoch_{s.value}": n for s in self.post_epoch
        }
        return dict(sorted((stems | {f"val_{s.value}": q for s in self.val}).items()))
