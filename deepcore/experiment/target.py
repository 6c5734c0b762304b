"""Training a target network: a fresh network, trained on a coreset, tested once after the last step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from deepcore.common import seeding
from deepcore.common.meter import Meter
from deepcore.common.progress import Progress
from deepcore.common.threads import threads_for
from deepcore.data.record import LabeledData
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.selection.training_set import TrainingSet
from deepcore.training.checkpoint import Checkpoint
from deepcore.training.compiling import compile_body
from deepcore.training.evaluation import class_accuracy
from deepcore.training.loop import TrainResult, train
from deepcore.training.spec import TrainSpec

CHECKPOINT_SECONDS = 60.0  # a target shorter than this is simply run again after a kill


@dataclass(frozen=True)
class Target:
    """The length, accuracy and cost of a trained target."""

    length: TrainResult
    accuracy: float
    class_accuracy: list[float | None]
    flops: dict[str, int]
    meter: Meter
    threads: int


def train_target(
    name: str,
    data: LabeledData,
    training_set: TrainingSet,
    spec: TrainSpec,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    progress: Progress,
    note: Callable[[str], None],
    compiled: bool,
) -> Target:
    """Train network `name` on `training_set` under `spec`.

    Args:
        name: a name in NETS or of a torchvision model.
        data: its train part is used for training; its test part is read once.
        training_set: rows, weights, length.
        spec: the recipe.
        seed: of the experiment; its stream "target" gives initialisation, order and augmentation.
        device: where it is trained.
        checkpoint: the file of an interrupted training, resumed if it is there, removed at the end.
        progress: has a bar over epochs.
        note: receives the notes of the network.
        compiled: through torch.compile.
    """
    seed = seeding.key(seed, "target")
    net = nets.build(name, data.train.shape, data.num_classes, seed=seed)
    for line in net.notes:
        note(line)
    flops = flops_per_example(net, data.train.shape)
    if compiled:
        compile_body(net)
    meter = Meter(device)
    saved = Checkpoint(checkpoint, every_seconds=CHECKPOINT_SECONDS)
    length = training_set.schedule(spec)
    epochs = length.epochs_over(training_set.size, spec.batch)
    with meter.peak(), threads_for(flops["forward"]) as threads:
        with progress.bar(epochs, f"{name} epochs") as step:
            trained = train(
                net,
                data.train,
                training_set.rows,
                spec,
                seed=seed,
                device=device,
                meter=meter,
                weights=training_set.weights,
                length=length,
                checkpoint=saved,
                progress=lambda epoch: step(),
            )
        with meter.timed("test"):
            accuracy, per_class = class_accuracy(
                net, data.test, data.num_classes, device=device, meter=meter, precision=spec.precision
            )
    saved.remove()
    return Target(trained, accuracy, per_class, flops, meter, threads)
