"""Data sets held on the device as one tensor; crops and flips are computed there in batches."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from deepcore.common import seeding
from deepcore.common.checks import UsageError, check_labels, check_positive
from deepcore.data.record import LabeledData

# Several batches are prepared at once: on a CPU as many as fit its cache, on a GPU more, for fewer launches.
NAME_BYTES = 100
CHUNK_BYTES = {"cpu": 1 << 20, "cuda": 64 << 20}


@dataclass(frozen=True)
class Augmentation:
    """A random crop of the image padded by `pad` zero pixels, then a left-right flip with probability 1/2.

    The padding is zero in storage units (black for uint8 images), as in torchvision's RandomCrop before
    Normalize.
    """

    pad: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        check_positive("crop padding", self.pad, zero=True, whole=True)

    def draw(self, seed: int, n: int) -> torch.Tensor:
        """One number per row that encodes its crop and flip, (n,) int64 on the CPU.

        The number of row i depends on the seed and on i alone, not on the device or the chunks.
        """
        choices = (2 * self.pad + 1) ** 2 * (2 if self.flip else 1)
        return torch.from_numpy(seeding.stream(seed, "augment").integers(choices, size=n))

    def apply(self, images: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The images (n, C, H, W) after the crops and flips that `codes` (n,) stand for."""
        if not self.pad and not self.flip:
            return images
        _, channels, height, width = images.shape
        padded = F.pad(images, (self.pad,) * 4).flatten(2)
        sources = self._sources(height, width, images.device).index_select(0, codes)
        return padded.gather(2, sources[:, None].expand(-1, channels, -1)).view(images.shape)

    @functools.cache  # noqa: B019 (a few small tables for the life of the process)
    def _sources(self, height: int, width: int, device: torch.device) -> torch.Tensor:
        """For each code, the pixel of the padded image that each pixel of the result comes from,
        (codes, H * W) int64. One gather by this table is faster than windows and a flip.
        """
        side = 2 * self.pad + 1
        codes = torch.arange(side**2 * (2 if self.flip else 1), device=device)
        rows = torch.arange(height, device=device) + (codes // side % side)[:, None]
        columns = torch.arange(width, device=device).expand(len(codes), -1)
        columns = torch.where((codes >= side**2)[:, None], columns.flip(1), columns) + (codes % side)[:, None]
        return (rows[:, :, None] * (width + 2 * self.pad) + columns[:, None]).flatten(1)


class TensorRows:
    """One part of a data set as a tensor (implements `Rows`).

    The tensor is copied to a device at the first use there, and stays.

    Args:
        inputs: (N, C, H, W) uint8 or float32 images, or (N, D) float32 vectors.
        labels: (N,) int64.
        mean, std: in the units of `inputs`, (C,) per channel or (D,) per feature; outputs are
            (input - mean) / std.
        augmentation: applied when `batches` gets an augment_seed; None for no augmentation.
    """

    in_memory = True  # several threads may read it

    def __init__(
        self,
        inputs: torch.Tensor,
        labels: np.ndarray,
        *,
        mean: np.ndarray,
        std: np.ndarray,
        augmentation: Augmentation | None = None,
    ) -> None:
        self.labels = labels
        self.shape = tuple(inputs.shape[1:])
        self.augmentation = augmentation
        spread = (1, -1, *(1 for _ in self.shape[1:]))
        self._mean = torch.tensor(mean, dtype=torch.float32).view(spread)
        self._scale = torch.tensor(1.0 / np.asarray(std, np.float64), dtype=torch.float32).view(spread)
        self.inputs = inputs
        self._on_device: dict[torch.device, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, object]:
        """Without the copies on devices: a worker process makes its own."""
        return {**self.__dict__, "_on_device": {}}

    def batches(
        self,
        groups: Sequence[np.ndarray],
        *,
        device: torch.device,
        augment_seed: int | None = None,
        positions: Sequence[np.ndarray] | None = None,
    ) -> Iterator[torch.Tensor]:
        """See `Rows.batches`. The tensors are contiguous slices of chunks of several batches."""
        sizes = [len(group) for group in groups]
        if not sizes:
            return
        ids = np.concatenate(groups).astype(np.int64, copy=False)
        if ids.size and (ids.min() < 0 or ids.max() >= len(self)):
            raise IndexError(f"row ids run from {ids.min()} to {ids.max()}; there are {len(self)} rows")
        inputs, mean, scale = self._on(device)
        order = torch.from_numpy(ids).to(inputs.device)
        codes = None
        if augment_seed is not None and self.augmentation is not None:
            at = slice(0, len(ids)) if positions is None else np.concatenate(positions)
            drawn = len(ids) if positions is None else int(at.max(initial=-1)) + 1
            codes = self.augmentation.draw(augment_seed, drawn)[at].to(inputs.device)
        budget = CHUNK_BYTES.get(inputs.device.type, CHUNK_BYTES["cuda"])
        start = 0
        for chunk in _chunks(sizes, budget // (4 * max(1, inputs[0].numel()))):
            stop = start + sum(chunk)
            x = inputs.index_select(0, order[start:stop])
            if codes is not None:
                x = self.augmentation.apply(x, codes[start:stop])
            # index_select made a copy, so that a float32 tensor may be changed in place too
            x = x.float().sub_(mean).mul_(scale)
            yield from x.split(chunk)
            start = stop

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Inputs, mean and scale on `device`."""
        device = torch.empty(0, device=device).device  # "cuda" and "cuda:0" are one key
        if device not in self._on_device:
            held = (self.inputs, self._mean, self._scale)
            self._on_device[device] = tuple(tensor.to(device) for tensor in held)
        return self._on_device[device]


def _chunks(sizes: list[int], limit: int) -> Iterator[list[int]]:
    """`sizes` cut into runs of at most `limit` rows together, each of at least one size."""
    run: list[int] = []
    rows = 0
    for size in sizes:
        if run and rows + size > limit:
            yield run
            run, rows = [], 0
        run.append(size)
        rows += size
    yield run


def from_arrays(
    name: str,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_test: np.ndarray,
    y_test: np.ndarray,
    *,
    augmentation: Augmentation | None = None,
    num_classes: int | None = None,
    default_net: str | None = None,
    recipe: str | None = None,
    val_fraction: float = 0.1,
    kinds: np.ndarray | None = None,
) -> LabeledData:
    """A data set from four arrays. Most loaders end with this call.

    Mean and standard deviation, per channel of images or per feature of vectors, are those of the train part.

    Args:
        name: of the data set, also used in messages.
        x_train, x_test: images (N, H, W) or (N, H, W, C), or vectors (N, D); whole numbers 0..255 are kept
            as uint8, everything else as float32.
        y_train, y_test: (N,) labels 0..C-1.
        augmentation: of images; None for none.
        num_classes: C; None for the highest label + 1.
        default_net, recipe: None chooses by the shape: MLP for vectors and images under 16 pixels, ResNet18
            from 32 pixels on, ConvNet between.
        val_fraction, kinds: see LabeledData.

    Raises:
        UsageError: a name of more than 100 bytes, shapes that do not fit, values that are not finite numbers,
            labels out of range, a test class without a train row; naming the array.
    """
    if len(name.encode(errors="replace")) > NAME_BYTES:
        raise UsageError(
            f"the data set's name {name[:40]}... has more than {NAME_BYTES} bytes, and files are named after "
            "it: shorten it"
        )
    inputs = {"x_train": _inputs(x_train, f"{name}: x_train"), "x_test": _inputs(x_test, f"{name}: x_test")}
    train, test = inputs.values()
    if train.shape[1:] != test.shape[1:]:
        raise UsageError(
            f"{name}: x_train has inputs of shape {np.shape(x_train)[1:]}, x_test of {np.shape(x_test)[1:]}; "
            "they must agree"
        )
    labels = _labels(name, (y_train, y_test), (len(train), len(test)), num_classes)
    num_classes = num_classes or int(labels[0].max()) + 1
    mean, std = mean_and_std(train)
    parts = [
        TensorRows(torch.from_numpy(x), y, mean=mean, std=std, augmentation=augmentation)
        for x, y in zip((train, test), labels, strict=True)
    ]
    net_by_shape, recipe_by_shape = _defaults(train.shape[1:])
    return LabeledData(
        name=name,
        train=parts[0],
        test=parts[1],
        num_classes=num_classes,
        fingerprint=content_fingerprint(train, labels[0], test, labels[1], (num_classes, augmentation)),
        default_net=default_net or net_by_shape,
        recipe=recipe or recipe_by_shape,
        val_fraction=val_fraction,
        kinds=kinds,
    )


def _inputs(x: np.ndarray, where: str) -> np.ndarray:
    """Images as (N, C, H, W) uint8 or float32, vectors as (N, D) float32; contiguous."""
    x = np.asarray(x)
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise UsageError(
            f"{where} has shape {x.shape}; expected images (N, H, W) or (N, H, W, C), or vectors (N, D)"
        )
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == bool) or np.iscomplexobj(x):
        raise UsageError(f"{where} holds {x.dtype} values; expected whole or floating-point numbers")
    if x.ndim == 4 and x.shape[3] > min(x.shape[1:3]):
        raise UsageError(
            f"{where} has shape {x.shape}, more channels than pixels: channels come last, (N, H, W, C)"
        )
    if x.ndim == 3:
        x = x[..., None]
    pixels = x.ndim == 4 and (
        x.dtype in (np.uint8, bool)
        or (np.issubdtype(x.dtype, np.integer) and x.min() >= 0 and x.max() <= 255)
    )
    with np.errstate(over="ignore"):
        x = x.astype(np.uint8 if pixels else np.float32, copy=False)
    if not pixels and not np.isfinite(x).all():
        first = int(np.argwhere(~np.isfinite(x))[0][0])
        raise UsageError(
            f"{where} holds values that are not finite float32 numbers, the first in row {first}"
        )
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
    return x if x.flags.writeable else x.copy()  # torch takes writable arrays only


def _labels(
    name: str, labels: tuple[np.ndarray, np.ndarray], sizes: tuple[int, int], num_classes: int | None
) -> list[np.ndarray]:
    """Both parts' labels, checked against the inputs and each other."""
    checked = []
    for part, y, n in zip(("train", "test"), labels, sizes, strict=True):
        y = check_labels(y, num_classes, f"{name}: y_{part}")
        if len(y) != n:
            raise UsageError(f"{name}: y_{part} has {len(y)} labels for the {n} rows of x_{part}")
        checked.append(y)
    train, test = checked
    highest = int(train.max())
    if highest >= len(train):
        raise UsageError(f"{name}: y_train goes up to {highest} with {len(train)} rows; labels count from 0")
    if highest == 0:
        raise UsageError(f"{name}: y_train holds the single class 0; at least two are needed")
    unseen = np.setdiff1d(test, train)
    if unseen.size:
        raise UsageError(f"{name}: class {unseen[0]} occurs in y_test and never in y_train")
    return checked


def mean_and_std(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per channel (C,) of images (N, C, H, W), or per feature (D,) of vectors (N, D), float64.

    The std of a constant channel or feature (at most 1e-6 of its mean, float32's resolution) is set to 1, so
    that rounding is not amplified.
    """
    axes = (0, *range(2, train.ndim))
    count = train.size // train.shape[1]
    blocks = np.array_split(train, max(1, train.size >> 22))  # float64 copies of 32 MB at a time
    mean = sum(block.sum(axis=axes, dtype=np.float64) for block in blocks) / count
    centre = mean.reshape(-1, *(1 for _ in train.shape[2:]))
    variance = sum(((block - centre) ** 2).sum(axis=axes) for block in blocks) / count
    std = np.sqrt(variance)
    return mean, np.where(std <= 1e-6 * np.abs(mean), 1.0, std)


def content_fingerprint(*parts: object) -> str:
    """Thirty-two hex digits of arrays (type, shape, content) and of anything with a stable repr."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(repr(part).encode())
    return digest.hexdigest()


def _defaults(shape: tuple[int, ...]) -> tuple[str, str]:
    """Default net and recipe for inputs of this shape."""
    if len(shape) == 1:
        return "MLP", "vectors"
    pixels = max(shape[1:])
    if pixels < 16:
        return "MLP", "digits"
    return ("ConvNet", "small-images") if pixels < 32 else ("ResNet18", "paper-cifar")
