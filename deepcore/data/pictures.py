"""From one image file to one training or test picture: ImageNet's crops, for Pillow images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepcore.common.checks import UsageError, check_positive

if TYPE_CHECKING:
    from PIL.Image import Image

AREA = (0.08, 1.0)  # share of the picture that a training crop covers
RATIO = (3 / 4, 4 / 3)  # its width / height


@dataclass(frozen=True)
class Crops:
    """Training: RandomResizedCrop(size) and a flip; test: Resize(resize) and CenterCrop(size); bilinear."""

    size: int = 224
    resize: int = 256

    def __post_init__(self) -> None:
        check_positive("image size", self.size, whole=True)
        check_positive("resize", self.resize, whole=True)
        if self.resize < self.size:
            raise UsageError(
                f"resize is {self.resize} and image size {self.size}: crops cannot exceed the picture"
            )

    def train(self, image: Image, rng: np.random.Generator) -> np.ndarray:
        """A random part of the picture as (size, size, 3) uint8, flipped with probability 1/2."""
        left, top, width, height = random_box(*image.size, rng)
        pixels = _resized(image.crop((left, top, left + width, top + height)), self.size, self.size)
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels

    def test(self, image: Image) -> np.ndarray:
        """The middle of the picture, its shorter side resized to `resize`, as (size, size, 3) uint8."""
        return self.middle(whole(image, self.resize))

    def middle(self, pixels: np.ndarray) -> np.ndarray:
        """The middle (size, size, 3) of a picture (height, width, 3)."""
        height, width, _ = pixels.shape
        left, top = round((width - self.size) / 2), round((height - self.size) / 2)
        return pixels[top : top + self.size, left : left + self.size]


def size_of_whole(width: int, height: int, resize: int) -> tuple[int, int]:
    """(width, height) of a picture once its shorter side is `resize`."""
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def whole(image: Image, resize: int) -> np.ndarray:
    """All of the picture in RGB, its shorter side resized to `resize`, as (height, width, 3) uint8."""
    return _resized(image, *size_of_whole(*image.size, resize))


def random_box(width: int, height: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A random part of a picture, (left, top, width, height), in pixels (Szegedy et al. 2015).

    Its share of the area is uniform in AREA, the logarithm of width / height in RATIO; where ten draws do not
    fit into the picture, it is the largest central part with an allowed ratio.
    """
    for _ in range(10):
        area = rng.uniform(*AREA) * width * height
        ratio = math.exp(rng.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h
    w = max(1, min(width, round(height * RATIO[1])))
    h = max(1, min(height, round(width / RATIO[0])))
    return (width - w) // 2, (height - h) // 2, w, h


def _resized(image: Image, width: int, height: int) -> np.ndarray:
    """The picture in RGB at this size, (height, width, 3) uint8."""
    from PIL.Image import Resampling

    image = image if image.mode == "RGB" else image.convert("RGB")  # which copies what it need not convert
    return np.asarray(image.resize((width, height), Resampling.BILINEAR))
