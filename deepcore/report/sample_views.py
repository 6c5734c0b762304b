"""Pictures and texts of samples by their ids, for pages: from an .npz, a folder of pictures, a CSV."""

from __future__ import annotations

import abc
import base64
import csv
import html
import io
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError, read_npz

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
SIDE = 160  # pixels of the longer side, at most
TEXT = 400  # characters shown
SAMPLED = 1000  # pictures whose values say which are black and white
DARK = 64  # bytes below this throughout are no usual picture: their own range is shown
ARRAYS = ("x_train", "images", "x", "data")


class SampleViews(abc.ABC):
    """Something that shows samples."""

    @abc.abstractmethod
    def view(self, sample: Any) -> str:
        """The sample with this id as HTML; UsageError where there is none."""


def sample_views(path: Path, column: str | None, id_column: str) -> SampleViews:
    """The views of a data set.

    Args:
        path: an .npz with pictures x_train (N, H, W) or (N, H, W, C), ids being row numbers; a folder of
            pictures, ids being their paths in it or their places among the sorted paths; a .csv with a text.
        column: of the text; for a .csv alone.
        id_column: of the ids in a .csv.
    """
    if path.is_dir():
        return _Folder(path)
    if path.suffix == ".npz":
        return _Arrays(path)
    if path.suffix == ".csv":
        if column is None:
            raise UsageError(f"{path}: which column holds the text? say --data_column NAME")
        return _Texts(path, column, id_column)
    raise UsageError(f"{path}: --data names an .npz of pictures, a folder of pictures, or a .csv of texts")


class _Arrays(SampleViews):
    def __init__(self, path: Path) -> None:
        arrays = read_npz(path, str(path))
        name = next((name for name in ARRAYS if name in arrays), None)
        if name is None or arrays[name].ndim not in (3, 4):
            held = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
            raise UsageError(f"{path}: no pictures x_train (N, H, W) or (N, H, W, C) in it, but {held}")
        self.where, self.pictures = path, arrays[name]
        shape = self.pictures.shape
        if len(shape) == 4 and shape[3] not in (1, 3, 4) and shape[3] > min(shape[1:3]):
            raise UsageError(
                f"{path}: {name} has shape {shape}, more channels than rows or columns: channels come last, "
                "(N, H, W, C)"
            )
        if self.pictures.dtype.kind not in "buif" or not self.pictures.size:
            raise UsageError(
                f"{path}: {name} holds {self.pictures.dtype} values of shape {self.pictures.shape}: pictures "
                "are real numbers, at least one"
            )
        few = self.pictures[:SAMPLED]
        few = few[np.isfinite(few)]
        self.low, self.high = (float(few.min()), float(few.max())) if few.size else (0.0, 0.0)
        if self.pictures.dtype == np.uint8 and self.high >= DARK:
            self.low, self.high = 0.0, 255.0

    def view(self, sample: Any) -> str:
        if not isinstance(sample, (int, np.integer)) or not 0 <= sample < len(self.pictures):
            raise UsageError(
                f"{self.where}: there is no picture for id {sample}: ids of pictures in an .npz are row "
                f"numbers, 0 to {len(self.pictures) - 1}"
            )
        from PIL import Image

        values = np.asarray(self.pictures[sample], np.float64)
        values = np.where(np.isfinite(values), values, self.low)
        shares = (values - self.low) / ((self.high - self.low) or 1.0)
        pixels = (255 * shares.clip(0, 1) + 0.5).astype(np.uint8)
        if pixels.ndim == 3 and pixels.shape[2] not in (3, 4):
            pixels = pixels[..., 0]
        return _picture(Image.fromarray(pixels), sample)


class _Folder(SampleViews):
    def __init__(self, folder: Path) -> None:
        found = (path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)
        self.where, self.paths = folder, sorted(path.relative_to(folder).as_posix() for path in found)
        if not self.paths:
            raise UsageError(f"{folder}: there are no pictures in it ({', '.join(PICTURES)})")
        self.names = set(self.paths)

    def view(self, sample: Any) -> str:
        from PIL import Image

        if isinstance(sample, (int, np.integer)):
            name = self.paths[sample] if 0 <= sample < len(self.paths) else None
        else:
            name = str(sample) if str(sample) in self.names else None
        if name is None:
            raise UsageError(
                f"{self.where}: there is no picture for id {sample}: ids are paths in the folder, such as "
                f"{self.paths[0]}, or places among its {len(self.paths)} sorted paths"
            )
        try:
            with Image.open(self.where / name) as picture:
                return _picture(picture.convert("RGB"), name)
        except (OSError, ValueError, Image.DecompressionBombError) as error:
            raise UsageError(f"{self.where / name}: it is no picture ({error})") from None


class _Texts(SampleViews):
    def __init__(self, path: Path, column: str, id_column: str) -> None:
        self.where = path
        try:
            with open(path, encoding="utf-8-sig", newline="") as handle:
                reader = csv.DictReader(handle)
                header = reader.fieldnames or []
                for name in (column, id_column):
                    if name not in header:
                        raise UsageError(
                            f"{path}: there is no column {name!r} in it, but {', '.join(header)}"
                        )
                self.texts = {row[id_column]: row[column] or "" for row in reader}
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{path}: it cannot be read as CSV ({error})") from None

    def view(self, sample: Any) -> str:
        if str(sample) not in self.texts:
            raise UsageError(f"{self.where}: there is no text for id {sample}")
        text = self.texts[str(sample)]
        shown = text if len(text) <= TEXT else f"{text[:TEXT]}…"
        return f"<blockquote>{html.escape(shown)}</blockquote>"


def _picture(image: Any, name: Any) -> str:
    """An <img> that holds its own bytes; small pictures are enlarged by whole pixels."""
    sharp = max(image.size) < SIDE // 2
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE))
    content = io.BytesIO()
    image.save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    kind = ' class="sharp"' if sharp else ""
    return f'<img{kind} alt="sample {html.escape(str(name))}" src="data:image/png;base64,{data}">'
