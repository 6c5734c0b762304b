"""A proxy run on disk: one folder, readable by numpy alone.

spec.json                what was trained and what is recorded
pool.npz                 ids, labels, val_ids, val_labels
online_loss.npy ...      (T+1, N) float32, mode and signal in the name; (T, N) without the untrained network
val_loss.npy ...         (T+1, Q) float32
final_logits.npy ...     (N, C), (N, D); val_final_* the same of the validation rows; last_layer.npz W, b
rest_final_features.npy  (M, D) of the candidates that the network was not trained on, where there are such
weights.npz              every parameter and buffer of the trained network under its name, plain arrays
state.pt                 the training after the last whole epoch; rows up to it are complete
done.json                costs and checksums, written last
diverged.json            instead of done.json: the epoch whose losses were not finite
"""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepcore.common.checks import Diverged, StoredMismatch, first_line, read_npz
from deepcore.common.files import read_json, write_json, write_npz
from deepcore.common.identity import fingerprint
from deepcore.data.split import Split
from deepcore.nets.net import Net
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal

COSTS = {  # of a finished run, and what each part has at least
    "passes": {"train", "record", "validation"},
    "seconds": {"train", "record"},
    "flops_per_example": {"forward", "backward"},
}


@dataclass(frozen=True)
class ProxyStore:
    """The folder of one proxy run: finished, unfinished or new."""

    folder: Path

    @property
    def state_path(self) -> Path:
        """The checkpoint of the training."""
        return self.folder / "state.pt"

    @property
    def is_done(self) -> bool:
        """Whether the run finished."""
        return (self.folder / "done.json").exists()

    @property
    def has_diverged(self) -> bool:
        """Whether the run ended in losses that are not finite."""
        return (self.folder / "diverged.json").exists()

    def spec(self) -> dict[str, Any]:
        """The run's specification; StoredMismatch when unreadable."""
        remedy = "delete its folder and run the command again"
        spec = read_json(self.folder / "spec.json", "the specification of a proxy run", remedy)
        if not _is_spec(spec):
            raise StoredMismatch(f"{self.folder / 'spec.json'} is not of a proxy run; delete the folder")
        named = re.search("-([0-9a-f]{16})$", self.folder.name)
        if named and named[1] != fingerprint(spec):
            raise StoredMismatch(
                f"{self.folder / 'spec.json'} was changed, or comes from elsewhere: its fingerprint is "
                f"{fingerprint(spec)}, that of the folder's name {named[1]}; delete the folder and run the "
                "command again"
            )
        return spec

    def create(
        self, spec: Mapping[str, Any], split: Split, labels: np.ndarray, arrays: Mapping[str, int], rows: int
    ) -> None:
        """Lay out a new run: empty trajectories of `rows` checkpoints, {file stem: columns}; spec.json comes
        last.

        Raises:
            StoredMismatch: the folder holds a run that ended, with a specification lost or changed.
        """
        if self.is_done or self.has_diverged:
            raise self._damaged("spec.json is missing, or another run's")
        self.folder.parent.mkdir(exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        rest = {"rest_ids": split.rest} if len(split.rest) else {}
        write_npz(
            self.folder / "pool.npz",
            ids=split.train,
            labels=labels[split.train],
            val_ids=split.val,
            val_labels=labels[split.val],
            **rest,
        )
        for stem, columns in arrays.items():
            path = self.folder / f"{stem}.npy"
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, columns))
        write_json(self.folder / "spec.json", spec)

    def check_layout(self, arrays: Mapping[str, int], rows: int) -> None:
        """The trajectories that `create` laid out are there; StoredMismatch names the one that is not."""
        for stem, columns in arrays.items():
            try:
                fits = self._map(stem).shape == (rows, columns)
            except (OSError, ValueError, EOFError):
                fits = False
            if not fits:
                raise self._damaged(f"{stem}.npy is missing or truncated")

    def _damaged(self, what: str) -> StoredMismatch:
        return StoredMismatch(
            f"proxy run {self.folder} is damaged: {what}; delete the folder and run the command again to "
            "train it anew"
        )

    def write_row(self, stem: str, t: int, row: np.ndarray) -> int:
        """Write row t of a trajectory with an ordinary write: on a full disk that is an error, while a memory
        map would crash. Returns the row's checksum."""
        path = self.folder / f"{stem}.npy"
        data = np.ascontiguousarray(row, dtype=np.float32).tobytes()
        with open(path, "r+b") as handle:
            np.lib.format.read_magic(handle)
            np.lib.format.read_array_header_1_0(handle)
            handle.seek(handle.tell() + t * len(data))
            handle.write(data)
        return zlib.crc32(data)

    def check_rows(self, stem: str, sums: Mapping[int, int]) -> None:
        """Rows {t: checksum} of a trajectory are what was written. After a crash of the machine they may not
        have reached the disk; StoredMismatch names the first such row."""
        rows = self._map(stem)
        for t, written in sums.items():
            if zlib.crc32(rows[t].tobytes()) != written:
                raise self._damaged(f"row {t} of {stem}.npy differs from what was written")

    @contextlib.contextmanager
    def appended(self, stem: str, rows: int) -> Iterator[Callable[[np.ndarray], None]]:
        """A function that appends blocks (b, D) to a new array (rows, D), so that it never is in memory
        whole."""
        with open(self.folder / f"{stem}.npy", "wb") as handle:

            def append(block: np.ndarray) -> None:
                if handle.tell() == 0:
                    header = {"descr": "<f4", "fortran_order": False, "shape": (rows, block.shape[1])}
                    np.lib.format.write_array_header_1_0(handle, header)
                handle.write(np.ascontiguousarray(block, dtype="<f4").tobytes())

            yield append

    def write_last_layer(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        """W (C, D) and b (C,) of the trained network."""
        weight, bias = weight.detach().cpu().numpy(), bias.detach().cpu().numpy()
        write_npz(self.folder / "last_layer.npz", weight=weight, bias=bias)

    @property
    def weights_path(self) -> Path:
        """The trained network's weights, where they are kept."""
        return self.folder / "weights.npz"

    def write_weights(self, state: Mapping[str, torch.Tensor]) -> None:
        """Every parameter and buffer of the trained network."""
        arrays = {name: value.detach().cpu().numpy() for name, value in state.items()}
        write_npz(self.weights_path, **arrays)

    def load_weights(self, net: Net) -> None:
        """Put what `write_weights` wrote into a network of the same kind; StoredMismatch when it is not."""
        arrays = read_npz(self.weights_path, str(self.weights_path))
        try:
            net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        except RuntimeError as error:
            raise self._damaged(f"weights.npz is of another network ({first_line(error)})") from None

    def finish(self, costs: Mapping[str, Any]) -> None:
        """Mark the run as done: checksum every file but the training state, which is deleted."""
        sums = {path.name: _checksum(path) for path in sorted(self.folder.glob("*.np[yz]"))}
        record = {"costs": dict(costs), "counted": _counted(costs), "checksums": sums}
        write_json(self.folder / "done.json", record)
        self.state_path.unlink(missing_ok=True)

    def set_diverged(self, message: str, costs: Mapping[str, Any]) -> None:
        """Mark the run as diverged; its rows up to the last whole epoch stay."""
        write_json(self.folder / "diverged.json", {"message": message, "costs": dict(costs)})

    def load(self) -> ProxyRun:
        """The finished run, trajectories memory-mapped, every checksum verified.

        Raises:
            Diverged: the run had diverged.
            StoredMismatch: a file is missing, truncated or changed; the message names it and the remedy.
        """
        spec = self.spec()
        if self.has_diverged:
            record = read_json(self.folder / "diverged.json", "the record of a diverged proxy run")
            message = record.get("message") if isinstance(record, dict) else None
            if not isinstance(message, str):
                raise self._damaged("diverged.json does not say what happened")
            raise Diverged(message)
        done = read_json(self.folder / "done.json", "the closing record of a proxy run")
        sums = done.get("checksums") if isinstance(done, dict) else None
        if not isinstance(sums, dict) or not _are_costs(done.get("costs")) or _files(spec) - set(sums):
            raise self._damaged("done.json does not list its files and costs")
        if done.get("counted", _counted(done["costs"])) != _counted(done["costs"]):
            raise self._damaged("the counts in done.json are not those that were written")
        for name, checksum in sums.items():
            path = self.folder / name
            if not path.exists() or _checksum(path) != checksum:
                state = "differs from what was written" if path.exists() else "is missing"
                raise StoredMismatch(
                    f"proxy run {self.folder} is damaged: {name} {state}; delete the folder and run the "
                    f"command again to train it anew (it is of: {json.dumps(spec, sort_keys=True)})"
                )
        return self._read(spec, done["costs"])

    def _read(self, spec: dict[str, Any], costs: dict[str, Any]) -> ProxyRun:
        recording = spec["recording"]
        final = Recording.from_dict(recording).final_arrays
        pool = np.load(self.folder / "pool.npz", allow_pickle=False)
        last = np.load(self.folder / "last_layer.npz", allow_pickle=False)
        return ProxyRun(
            ids=pool["ids"],
            labels=pool["labels"],
            num_classes=int(last["weight"].shape[0]),
            val_ids=pool["val_ids"],
            val_labels=pool["val_labels"],
            trajectories={
                (mode, Signal(name)): self._map(f"{mode}_{name}")
                for mode in ("online", "post_epoch")
                for name in recording[mode]
            },
            val_trajectories={Signal(name): self._map(f"val_{name}") for name in recording["val"]},
            final={signal: self._map(f"final_{signal.value}") for signal in final},
            val_final={signal: self._map(f"val_final_{signal.value}") for signal in final},
            last_layer=(last["weight"], last["bias"]),
            rest_ids=pool.get("rest_ids", np.zeros(0, np.int64)),
            rest_features=self._map("rest_final_features") if "rest_ids" in pool else None,
            spec=spec,
            costs=costs,
            has_initial=recording.get("initial", True),
            folder=self.folder,
        )

    def _map(self, stem: str) -> np.ndarray:
        return np.load(self.folder / f"{stem}.npy", mmap_mode="r", allow_pickle=False)


def _is_spec(spec: Any) -> bool:
    """Whether a JSON value is the specification of a run."""
    try:
        Recording.from_dict(spec["recording"])
        return isinstance(spec["identity"], dict)
    except (TypeError, ValueError, KeyError, AttributeError):
        return False


def _are_costs(costs: Any) -> bool:
    """Whether a JSON value is what a run counted, measured and computed."""
    if not isinstance(costs, dict):
        return False
    for part, names in COSTS.items():
        numbers = costs.get(part)
        if not isinstance(numbers, dict) or not names <= numbers.keys():
            return False
    numbers = [costs.get("peak_bytes"), *(number for part in COSTS for number in costs[part].values())]
    return all(type(number) in (int, float) and 0 <= number < float("inf") for number in numbers)


def _counted(costs: Mapping[str, Any]) -> str:
    """The fingerprint of what two runs of the same specification count alike."""
    return fingerprint(
        {name: value for name, value in costs.items() if name not in ("seconds", "peak_bytes")}
    )


def _files(spec: Mapping[str, Any]) -> set[str]:
    """The names of the arrays of a finished run."""
    recording = spec["recording"]
    stems = {f"{mode}_{name}" for mode in ("online", "post_epoch", "val") for name in recording[mode]}
    arrays = set(recording["final"]) - {Signal.WEIGHTS.value}
    stems |= {f"{final}_{name}" for final in ("final", "val_final") for name in arrays}
    weights = {"weights.npz"} if Signal.WEIGHTS.value in recording["final"] else set()
    return {"pool.npz", "last_layer.npz", *weights, *(f"{stem}.npy" for stem in stems)}


def _checksum(path: Path) -> int:
    """CRC-32 of a file, read in pieces."""
    value = 0
    with open(path, "rb") as handle:
        while piece := handle.read(1 << 22):
            value = zlib.crc32(piece, value)
    return value
