"""file:PATH, a subset from a file, so that any selection can be compared in this harness."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from deepcore.common.checks import UsageError, check_ids, read_npz
from deepcore.proxy.run import ProxyRun
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod
from deepcore.selection.selection import Selection

# of one file: ids (k,) int64 in its order, weights (k,) float64 or None
Subset = tuple[np.ndarray, "np.ndarray | None"]


@dataclass(frozen=True)
class FromFile(CoresetMethod):
    """The rows named in a file, in its order, whatever the fraction; `--selection file:PATH`.

    The ids are original row numbers of the training set. The file is a CSV with a column `id` and optionally
    `weight` (such as the selection files of this harness), a text of one id per line, or an .npz with `ids`
    (k,) and optionally `weights` (k,). Validation rows of the seed are left out, because no method may train
    on them; a note says how many. The files are read, checked and hashed once, when the method is made.

    Attributes:
        path: the file; `{seed}` in it stands for the seed, with one file per seed. The hash in `spec()`
            covers the files of all seeds, so that a changed or added file makes new rows.
    """

    path: str = field(kw_only=True)

    name: ClassVar[str] = "file"
    paper: ClassVar[str] = "a file of row ids"
    uses_fraction: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        files = _matching(self.path)
        contents = {seed: _read(file) for seed, file in files.items()}
        digest = hashlib.sha256()
        for seed, content in contents.items():
            digest.update(f"{seed} {len(content)} ".encode() + content)
        object.__setattr__(self, "_sha256", digest.hexdigest())
        subsets = {seed: _parse(file, contents[seed]) for seed, file in files.items()}
        object.__setattr__(self, "_subsets", subsets)

    def spec(self) -> dict[str, Any]:
        """As for every method, and the hash of the files."""
        return {**super().spec(), "sha256": self._sha256}

    def label(self) -> str:
        """As `--selection` accepts it."""
        return f"{self.name}:{self.path}"

    def check(self, pool: ProxyRun, epochs: int) -> None:
        """UsageError for whatever `select` would refuse."""
        self._within(pool)

    def select(self, run: ProxyRun, budget: Budget, rng: np.random.Generator) -> Selection:
        """The file's ids that are in the pool, with their weights; `budget` and `rng` are not used.

        Raises:
            UsageError: no file for this seed, an id outside the training set, or nothing left of the pool.
        """
        return self._within(run)

    def _within(self, run: ProxyRun) -> Selection:
        """The selection from the pool of `run`, checked."""
        ids, weights = self._subset_of(run)
        in_pool, is_val = np.isin(ids, run.ids), np.isin(ids, run.val_ids)
        outside = ids[~(in_pool | is_val)]
        if outside.size:
            last = max(run.ids.max(), run.val_ids.max(initial=0)) if run.total is None else run.total - 1
            what = f"no row of the training set ({outside.size} such ids): its last row is {last}"
            if 0 <= outside[0] <= last:
                what = f"no candidate of this seed ({outside.size} such ids): --long_tail left it out"
            raise UsageError(f"{self.path}: id {outside[0]} is {what}")
        if is_val.all():
            raise UsageError(f"{self.path}: all its {ids.size} ids are validation rows of this seed")
        notes = ()
        if is_val.any():
            notes = (
                f"{is_val.sum()} of {ids.size} ids of {self.path} left out: validation rows of this seed",
            )
        kept = None if weights is None else weights[in_pool]
        if kept is not None and not kept.any():
            raise UsageError(
                f"{self.path}: its only weights above 0 are of validation rows of this seed, which no method "
                "trains on: give another row a weight"
            )
        return Selection(ids[in_pool], kept, notes=notes)

    def _subset_of(self, run: ProxyRun) -> Subset:
        if "{seed}" not in self.path:
            return self._subsets[""]
        seed = str(run.seed)
        if seed not in self._subsets:
            held = ", ".join(self._subsets)
            raise UsageError(f"{self.path}: there is no file for seed {seed}; seeds with a file: {held}")
        return self._subsets[seed]


def _matching(path: str) -> dict[str, Path]:
    """The files that `path` stands for, by seed; one under "" when it has no {seed}."""
    if not path:
        raise UsageError("file: needs a path, as in file:subset.csv or file:subset_{seed}.npz")
    first, *rest = path.split("{seed}")
    if not rest:
        return {"": Path(path)}
    pattern = re.compile(
        re.escape(first) + "(?P<seed>0|[1-9][0-9]*)" + "(?P=seed)".join(re.escape(part) for part in rest)
    )
    names = glob.glob("*".join(glob.escape(part) for part in (first, *rest)))
    matches = [match for name in names if (match := pattern.fullmatch(name))]
    if not matches:
        raise UsageError(f"{path}: no such file; {{seed}} is a number, as in {path.replace('{seed}', '0')}")
    matches.sort(key=lambda match: int(match["seed"]))
    return {match["seed"]: Path(match[0]) for match in matches}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}: file:PATH wants the path of a CSV or .npz of row ids"
        ) from None


def _parse(path: Path, content: bytes) -> Subset:
    """Ids and weights of one file, checked."""
    ids, weights = _from_npz(path, content) if path.suffix == ".npz" else _from_text(path, content)
    if ids.size == 0:
        raise UsageError(f"{path}: it holds no ids")
    ids = check_ids(ids, str(path))
    if weights is not None:
        if weights.shape != ids.shape:
            raise UsageError(f"{path}: weights of shape {weights.shape} for {ids.size} ids")
        bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
        if bad.size or not weights.any():
            row = bad[0] if bad.size else 0
            raise UsageError(
                f"{path}: the weight of id {ids[row]} is {weights[row]}: weights are finite, none below 0, "
                "and not all 0"
            )
    return ids, weights


def _from_npz(path: Path, content: bytes) -> Subset:
    arrays = read_npz(io.BytesIO(content), str(path))
    if "ids" not in arrays:
        raise UsageError(f"{path}: no array ids in it, only: {', '.join(arrays) or 'nothing'}")
    ids, weights = arrays["ids"], arrays.get("weights")
    if ids.size and ids.dtype.kind not in "iu":
        raise UsageError(f"{path}: ids are {ids.dtype} such as {ids.flat[0]}: whole numbers are needed")
    if weights is not None:
        if weights.dtype.kind not in "fiu":
            raise UsageError(f"{path}: weights are {weights.dtype} values: numbers are needed")
        weights = weights.astype(np.float64)
    return ids, weights


def _from_text(path: Path, content: bytes) -> Subset:
    """A CSV with a column `id`, or one id a line."""
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
        reader = csv.reader(text, strict=True)
        lines = [
            (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: neither an .npz nor a CSV ({error})") from None
    header = ["id"]
    if lines and ("id" in lines[0][1] or len(lines[0][1]) > 1):
        header = lines.pop(0)[1]
        if "id" not in header:
            raise UsageError(f"{path}: a CSV needs a column id; its first line is {', '.join(header)}")
    for number, row in lines:
        if len(row) != len(header):
            raise UsageError(
                f"{path}: line {number} ({','.join(row)}) has {len(row)} of {len(header)} columns: truncated?"
            )
    ids = [_whole(path, number, row[header.index("id")]) for number, row in lines]
    weights = None
    if "weight" in header:
        weights = np.array([_number(path, number, row[header.index("weight")]) for number, row in lines])
    return np.array(ids, dtype=np.int64), weights


def _whole(path: Path, line: int, cell: str) -> int:
    if not re.fullmatch("-?[0-9]{1,18}", cell):
        raise UsageError(f"{path}: line {line}: {cell!r} is not a row number (a whole number)")
    return int(cell)


def _number(path: Path, line: int, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UsageError(f"{path}: line {line}: the weight {cell!r} is not a number") from None
