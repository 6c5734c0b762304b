"""A data set whose samples come with their row number."""

from __future__ import annotations

from typing import Any

import torch


class WithIds(torch.utils.data.Dataset):
    """Each sample of a data set, and its row number as the last part: (x, y) becomes (x, y, i).

    Args:
        dataset: with random access. Tuples are extended, dictionaries get the key "id", anything else becomes
            a pair.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        sample = self.dataset[index]
        if isinstance(sample, dict):
            return {**sample, "id": index}
        return (*sample, index) if isinstance(sample, (tuple, list)) else (sample, index)
