"""Small archives in the formats of the public data sets."""

import gzip
import struct

import numpy as np
from scipy.io import savemat

from deepcore.data import idx, mat


def idx_bytes(array):
    return (
        struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    )


def write_idx_folder(folder, compress=True, train=40, test=20):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    arrays = []
    for n in (train, test):
        arrays += [rng.integers(0, 256, (n, 28, 28)).astype(np.uint8), (np.arange(n) % 10).astype(np.uint8)]
    for file, array in zip(idx.FILES, arrays, strict=True):
        if compress:
            (folder / f"{file}.gz").write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / file).write_bytes(idx_bytes(array))
    return arrays


def python2_pickle(batch):
    """A dict of uint8 matrices, lists of integers and strings as Python 2's cPickle writes it, protocol 2."""

    def text(value):
        return b"T" + struct.pack("<i", len(value)) + value  # BINSTRING: bytes in Python 2

    def number(value):
        return b"J" + struct.pack("<i", value)

    def dtype():
        state = b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"t"
        return b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R" + state + b"b"

    def array(value):
        empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b")
        shape = number(value.shape[0]) + number(value.shape[1]) + b"\x86"
        return empty + b"tR(" + number(1) + shape + dtype() + b"\x89" + text(value.tobytes()) + b"tb"

    def any_value(value):
        if isinstance(value, np.ndarray):
            return array(value)
        if isinstance(value, list):
            return b"](" + b"".join(number(v) for v in value) + b"e"
        return text(value.encode())

    items = b"".join(text(key.encode()) + any_value(value) for key, value in batch.items())
    return b"\x80\x02}(" + items + b"u."


def cifar_batch(n, classes, key, seed):
    rng = np.random.default_rng(seed)
    labels = [int(v) for v in np.arange(n) % classes]
    return {
        "batch_label": "a batch",
        key: labels,
        "data": rng.integers(0, 256, (n, 3072)).astype(np.uint8),
    }


def write_cifar(folder, name, dump=python2_pickle):
    if name == "CIFAR10":
        folder = folder / "cifar-10-batches-py"
        sizes = {**{f"data_batch_{i}": 30 for i in range(1, 6)}, "test_batch": 20}
        classes, key = 10, "labels"
    else:
        folder, sizes, classes, key = (
            folder / "cifar-100-python",
            {"train": 200, "test": 100},
            100,
            "fine_labels",
        )
    folder.mkdir(parents=True)
    batches = [cifar_batch(n, classes, key, seed) for seed, n in enumerate(sizes.values())]
    for file, batch in zip(sizes, batches, strict=True):
        (folder / file).write_bytes(dump(batch))
    return folder, batches, key


def write_svhn(folder, n=40):
    folder.mkdir(parents=True, exist_ok=True)
    arrays = []
    for seed, file in enumerate(mat.FILES):
        x = np.random.default_rng(seed).integers(0, 256, (32, 32, 3, n)).astype(np.uint8)
        y = (np.arange(n) % 10 + 1).astype(np.uint8)[:, None]
        savemat(folder / file, {"X": x, "y": y}, do_compression=True)
        arrays += [x, y]
    return arrays
