"""Small folders of images."""

import numpy as np
import torch
from PIL import Image

from deepcore.data import datasets as data

CPU = torch.device("cpu")
SIZES = ((40, 30), (30, 40), (33, 33), (80, 20), (21, 64))  # width, height


def picture(size, seed):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_folder(root, classes=("cat", "dog", "emu"), per_class=4, test="val", suffix=".png"):
    seed = 0
    for part, n in (("train", per_class), (test, 2)):
        for name in classes:
            folder = root / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(n):
                picture(SIZES[seed % len(SIZES)], seed).save(folder / f"{name}_{i}{suffix}")
                seed += 1
    return root


def load(root, name="ImageFolder", **options):
    return data.load(name, data_path=root, **{"workers": 0, "image_size": 16, "resize": 20, **options})


def all_rows(rows, ids, batch=5, seed=None):
    groups = [np.asarray(ids)[i : i + batch] for i in range(0, len(ids), batch)]
    return torch.cat(list(rows.batches(groups, device=CPU, augment_seed=seed)))
