"""The hook that records a proxy run while it trains, without disturbing it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping

import numpy as np
import torch

from deepcore.common.checks import Diverged
from deepcore.common.meter import Meter
from deepcore.data.record import Rows
from deepcore.data.split import Split
from deepcore.nets.net import Net
from deepcore.proxy.recording import BUFFER, Recording
from deepcore.proxy.signals import Signal, signals_from_logits
from deepcore.proxy.store import ProxyStore
from deepcore.training.evaluation import evaluate
from deepcore.training.hooks import Hook


class Recorder(Hook):
    """Writes row t of every recorded trajectory after epoch t, and the final arrays and weights after the
    last.

    Online values are those of the sample's own training batch: the loop's logits are buffered and turned into
    signals when the buffer is full or the epoch ends. Row 0, post_epoch and validation rows come from eval
    passes, which the meter counts. With KL_STEP the logits of the checkpoint before are kept, (N, C) per
    mode.
    """

    def __init__(
        self,
        store: ProxyStore,
        data: Rows,
        split: Split,
        recording: Recording,
        *,
        epochs: int,
        num_classes: int,
        device: torch.device,
        meter: Meter,
        precision: str = "fp32",
        overlapped: bool = False,
    ) -> None:
        self.store, self.data, self.split, self.recording = store, data, split, recording
        self.epochs, self.device, self.meter, self.precision = epochs, device, meter, precision
        self.overlapped = overlapped
        self.side_by_side = 1  # batches of an eval pass
        self.row0 = threading.Event()  # set when row 0 is written, or never will be
        n = len(split.train)
        self.labels = torch.from_numpy(data.labels[split.train]).to(device)
        self.val_labels = torch.from_numpy(data.labels[split.val]).to(device)
        self.capacity = max(1, min(n, BUFFER // num_classes))
        self.logits = torch.empty(self.capacity if recording.online else 0, num_classes, device=device)
        self.norms = torch.empty(len(self.logits), device=device)
        self.filled = 0
        self.positions: list[np.ndarray] = []
        self.online = {signal: torch.empty(n, device=device) for signal in recording.online}
        self.before: dict[str, torch.Tensor] = {}  # per mode, the logits of the checkpoint before
        self.sums: dict[str, dict[int, int]] = {}  # per trajectory, the checksum of each row
        self.closed: dict[Signal, np.ndarray] = {}  # the online row of the epoch that ended last
        self.closed_before = torch.empty(0)  # and the logits after it

    def begin(self, net: Net) -> None:
        """Row 0: the untrained network on all candidates (for both modes) and on the validation rows."""
        try:
            self._make_room(net.head.out_features)
            if self.recording.initial:
                self._record_initial(net)
        finally:
            self.row0.set()

    def _make_room(self, num_classes: int) -> None:
        """For the logits of the checkpoint before. NaN: what is before row 0 has no value."""
        r = self.recording
        for mode, wanted, size in (
            ("online", r.online, len(self.labels)),
            ("post_epoch", r.post_epoch, len(self.labels)),
            ("val", r.val, len(self.val_labels)),
        ):
            if Signal.KL_STEP in wanted:
                self.before[mode] = torch.full((size, num_classes), float("nan"), device=self.device)

    def _record_initial(self, net: Net) -> None:
        r = self.recording
        with self.meter.timed("record"):
            if r.online | r.post_epoch:
                mode = "online" if Signal.KL_STEP in r.online else "post_epoch"
                values = self._pass(
                    net, self.split.train, self.labels, r.online | r.post_epoch, "record", mode
                )
                for other in self.before.keys() & {"online", "post_epoch"}:
                    self.before[other].copy_(self.before[mode])
                self._write("online", 0, {signal: values[signal] for signal in r.online})
                self._write("post_epoch", 0, {signal: values[signal] for signal in r.post_epoch})
            self._validate(net, 0, frozenset())

    def batch(self, positions: np.ndarray, logits: torch.Tensor, features: torch.Tensor) -> None:
        """Buffer one training batch's outputs; what the buffer cannot hold at once, in pieces."""
        if not self.recording.online:
            return
        for start in range(0, len(positions), self.capacity):
            piece = slice(start, start + self.capacity)
            self._hold(positions[piece], logits[piece], features[piece])

    def _hold(self, positions: np.ndarray, logits: torch.Tensor, features: torch.Tensor) -> None:
        if self.filled + len(positions) > self.capacity:
            self._flush()
        part = slice(self.filled, self.filled + len(positions))
        self.logits[part] = logits
        if Signal.GRAND in self.recording.online:
            self.norms[part] = features.square().sum(dim=1)
        self.positions.append(positions)
        self.filled = part.stop

    def close_epoch(self, epoch: int) -> None:
        """Turn what is left in the buffer into signals, and keep row `epoch` of the online ones."""
        if not self.recording.online:
            return
        with self.meter.timed("record"):
            self._flush()
            self.closed = {signal: value.cpu().numpy().copy() for signal, value in self.online.items()}
            if self.overlapped and "online" in self.before:
                self.closed_before = self.before["online"].clone()

    def epoch_end(self, net: Net, epoch: int) -> None:
        """Write row `epoch`, and the final arrays when it is the last."""
        r = self.recording
        final = r.final_arrays if epoch == self.epochs else frozenset()
        if self.overlapped and epoch == self.epochs:
            self.side_by_side = 2  # nothing trains any more
        with self.meter.timed("record"):
            if r.online:
                self._write("online", epoch, self.closed)
            if r.post_epoch or final:
                kind = "record" if r.post_epoch else "encode"
                values = self._pass(
                    net, self.split.train, self.labels, r.post_epoch, kind, "post_epoch", final, "final"
                )
                self._write("post_epoch", epoch, values)
            self._validate(net, epoch, final)
        if epoch == self.epochs:
            if len(self.split.rest):
                self._encode_rest(net)
            self.store.write_last_layer(net.head.weight, net.head.bias)
            if Signal.WEIGHTS in r.final:
                self.store.write_weights(net.state_dict())

    def state(self) -> dict:
        """The logits of the checkpoint before, where KL_STEP needs them, what was counted here, and the
        checksums of the rows."""
        before = dict(self.before)
        if self.overlapped and "online" in before:
            before["online"] = self.closed_before
        return {"before": before, "meter": self.meter.state(), "sums": self.sums}

    def load(self, state: dict) -> None:
        """Take over `state` from a checkpoint, whose rows must be there. One of version 0.1 has all counts in
        the training's meter, and no checksums.

        Raises:
            StoredMismatch: a row is not what was written.
        """
        self.sums = state.get("sums", {})
        for stem, sums in self.sums.items():
            self.store.check_rows(stem, sums)
        self.before = {mode: z.to(self.device) for mode, z in state["before"].items()}
        self.row0.set()
        if "meter" in state:
            self.meter.load(state["meter"])

    def _flush(self) -> None:
        """Turn the buffered logits into signals at their rows' places."""
        if not self.filled:
            return
        self.row0.wait()  # its logits are what the first epoch's are compared with
        rows = torch.from_numpy(np.concatenate(self.positions)).to(self.device)
        logits = self.logits[: self.filled]
        before = self.before.get("online")
        values = signals_from_logits(
            logits,
            self.labels[rows],
            self.recording.online,
            feature_norm2=self.norms[: self.filled],
            before=None if before is None else before[rows],
        )
        for signal, value in values.items():
            self.online[signal][rows] = value
        if before is not None:
            before[rows] = logits
        self.filled = 0
        self.positions.clear()

    def _encode_rest(self, net: Net) -> None:
        """Final features of the candidates that the network was not trained on."""
        with self.meter.timed("record"):
            labels = torch.from_numpy(self.data.labels[self.split.rest]).to(self.device)
            features = frozenset({Signal.FEATURES})
            self._pass(net, self.split.rest, labels, frozenset(), "encode", "", features, "rest_final")

    def _validate(self, net: Net, epoch: int, final: frozenset[Signal]) -> None:
        """Row `epoch` of the validation rows."""
        if not (self.recording.val | final):
            return
        values = self._pass(
            net, self.split.val, self.val_labels, self.recording.val, "validation", "val", final, "val_final"
        )
        self._write("val", epoch, values)

    def _pass(
        self,
        net: Net,
        rows: np.ndarray,
        labels: torch.Tensor,
        wanted: frozenset[Signal],
        kind: str,
        mode: str,
        final: frozenset[Signal] = frozenset(),
        final_stem: str = "",
    ) -> dict[Signal, torch.Tensor]:
        """One eval pass over `rows`: the wanted signals, (n,) each; the `final` arrays go straight to their
        files."""
        values = {signal: torch.empty(len(rows), device=self.device) for signal in wanted}
        before = self.before.get(mode)
        with contextlib.ExitStack() as stack:
            write = {
                s: stack.enter_context(self.store.appended(f"{final_stem}_{s.value}", len(rows)))
                for s in final
            }
            passes = evaluate(
                net,
                self.data,
                rows,
                device=self.device,
                meter=self.meter,
                kind=kind,
                precision=self.precision,
                side_by_side=self.side_by_side,
            )
            for cut, logits, features in passes:
                found = signals_from_logits(
                    logits,
                    labels[cut],
                    wanted,
                    feature_norm2=features.square().sum(dim=1) if Signal.GRAND in wanted else None,
                    before=None if before is None else before[cut],
                )
                for signal, value in found.items():
                    values[signal][cut] = value
                if before is not None:
                    before[cut] = logits
                for signal, writer in write.items():
                    writer((logits if signal is Signal.LOGITS else features).cpu().numpy())
        return values

    def _write(self, mode: str, t: int, values: Mapping[Signal, torch.Tensor | np.ndarray]) -> None:
        """Row t of `values`; a loss that is not finite stops the run before anything of row t counts."""
        for signal, value in values.items():
            row = value.cpu().numpy() if isinstance(value, torch.Tensor) else value
            if signal is Signal.LOSS and not np.isfinite(row).all():
                raise Diverged(f"the {mode} losses after epoch {t} are not finite: lower --lr")
            stem, place = f"{mode}_{signal.value}", self.recording.rows(t) - 1
            self.sums.setdefault(stem, {})[place] = self.store.write_row(stem, place, row)
