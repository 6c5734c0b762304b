"""Result rows without a run."""

from __future__ import annotations

import dataclasses
from typing import Any

from deepcore.experiment.rows import ResultRow

RECIPE = {
    "epochs": 3, "steps": None, "batch": 16, "optimizer": "SGD", "lr": 0.05, "min_lr": 1e-4, "momentum": 0.9,
    "nesterov": True, "weight_decay": 5e-4, "scheduler": "MultiStepLR", "milestones": [0.5, 0.75],
    "gamma": 0.1, "step_size": 50, "augment": False, "precision": "fp32",
}  # fmt: skip
ONE = ResultRow(
    fingerprint="f",
    dataset="Digits",
    seed=0,
    n=1000,
    q=100,
    method="",
    label="",
    method_spec={"name": "x", "beta": 0.3, "record": None},
    is_selection=True,
    fraction=0.1,
    target_net="MLP",
    proxy_net=None,
    recording=None,
    proxy_recipe=None,
    target_recipe=RECIPE,
    k=100,
    epochs=3,
    steps=21,
    batch=16,
    n_test=300,
    passes={"target": {"train": 300, "record": 0, "validation": 0, "encode": 0, "test": 300}},
    flops_per_example={"target": {"forward": 10, "backward": 20}},
    measured={
        "seconds": {"proxy": 0.0, "record": 0.0, "score": 0.0, "select": 0.1, "train": 1.0, "test": 0.1},
        "peak_bytes": {"proxy": 0, "score": 1, "target": 1},
        "finished": "2026-01-01T00:00:00Z",
    },
    provenance={"torch": "2.6", "commit": "abc", "command": ["main.py", "--fraction", "0.1"]},
)
NO_SELECTION = ("Full", "Full@k", "RS2", "ValOnly", "Random+Val")


def rows_of(label: str, *percents: float, worst: float = 50.0, **fields: Any) -> list[ResultRow]:
    """Rows of seeds 0, 1, ... with these accuracies in percent; the second class at `worst` percent less."""
    method = label.partition(":")[0]
    fields = {"is_selection": method not in NO_SELECTION, **fields}
    return [
        dataclasses.replace(
            ONE,
            label=label,
            method=method,
            seed=seed,
            fingerprint=f"{label}-{seed}-{fields.get('fraction', 0.1)}",
            accuracy=percent / 100,
            class_accuracy=[1.0, (percent - worst) / 100, None],
            **fields,
        )
        for seed, percent in enumerate(percents)
    ]


A, B, BAD = (85, 87.5, 86, 88), (85.5, 86, 86.5, 87), (60, 62.5, 61, 63)
RANDOM, RS2 = (80, 82, 81.5, 83), (90, 91, 92.5, 93)
ROWS = [
    *rows_of("A", *A),
    *rows_of("B", *B),
    *rows_of("Bad", *BAD),
    *rows_of("Random", *RANDOM),
    *rows_of("RS2", *RS2),
    *rows_of("Full", 97, 97.5, 98, 98.5, fraction=None, k=1000),
]


LOW = [
    *rows_of("A", 70, 71, 72.5, 73, fraction=0.01, k=10),
    *rows_of("Random", 75, 75.5, 76, 77, fraction=0.01, k=10),
]
