"""Lightning on digits: the callback logs what the steps return."""

import logging
import sys
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import deepcore
from deepcore.callbacks.lightning import LossLog, WithIds  # log
from methods.cld import CLD

EPOCHS = 8


class Classifier(LightningModule):
    """A small network."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

    def training_step(self, batch, batch_idx):
        """Also returns what is logged."""
        inputs, labels, ids = batch  # changed
        logits = self.net(inputs)
        loss = functional.cross_entropy(logits, labels)
        return {"loss": loss, "ids": ids, "logits": logits, "labels": labels}  # changed

    def validation_step(self, batch, batch_idx):
        """Returns what is logged."""
        inputs, labels = batch
        return {"logits": self.net(inputs), "labels": labels}  # log

    def configure_optimizers(self):
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
seed_everything(0, verbose=False)
x, y = load_digits(return_X_y=True)
parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
x_train, x_val, y_train, y_val = map(torch.tensor, parts)
train, val = TensorDataset(x_train.float(), y_train), TensorDataset(x_val.float(), y_val)

log = LossLog()  # log
trainer = Trainer(
    max_epochs=EPOCHS,
    callbacks=[log],  # log
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
loader = DataLoader(WithIds(train), batch_size=64, shuffle=True)  # changed
trainer.fit(Classifier(), loader, DataLoader(val, batch_size=256))

run = log.recorder.run()
selection = deepcore.select(run, CLD(), fraction=0.1)
print(f"{run.epochs} epochs logged; {len(selection.rows)} of {len(train)} samples kept")
