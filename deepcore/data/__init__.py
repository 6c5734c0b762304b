"""Data sets and what is done to them before a training: the `LabeledData` record, the loaders and their
table `DATASETS`, the train/validation split of a seed, flipped labels.
"""

from __future__ import annotations

from deepcore.data.datasets import DATASETS, load
from deepcore.data.label_noise import LabelNoise
from deepcore.data.memory import Augmentation, TensorRows, from_arrays
from deepcore.data.record import LabeledData, Rows, Source
from deepcore.data.split import Split, make_split

__all__ = [
    "DATASETS",
    "Augmentation",
    "LabelNoise",
    "LabeledData",
    "Rows",
    "Source",
    "Split",
    "TensorRows",
    "from_arrays",
    "load",
    "make_split",
]
