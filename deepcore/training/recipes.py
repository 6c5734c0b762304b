"""Named recipes: those of the CLD paper (Appendix C), and recipes for small data sets."""

from __future__ import annotations

from deepcore.training.spec import TrainSpec

RECIPES: dict[str, TrainSpec] = {
    "paper-cifar": TrainSpec(),
    "paper-imagenet": TrainSpec(epochs=90, batch=256, weight_decay=1e-4, milestones=(30 / 90, 60 / 90)),
    "digits": TrainSpec(lr=0.05, augment=False),
    "small-images": TrainSpec(epochs=30),
    "vectors": TrainSpec(epochs=60, lr=0.05, augment=False),
}
