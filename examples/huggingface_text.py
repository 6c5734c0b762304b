"""Hugging Face's Trainer on sentences made by rule: which sentences to keep. No model or data is fetched."""

import sys
import tempfile
from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import deepcore
from deepcore.callbacks.huggingface import LossLogMixin  # log
from methods.cld import CLD

WORDS, LENGTH, EPOCHS = 40, 8, 5


def sentences(count: int, seed: int) -> Dataset:
    """Random words; the class is whether more of them come from the first half of the vocabulary."""
    tokens = np.random.default_rng(seed).integers(1, WORDS, (count, LENGTH))
    labels = ((tokens <= WORDS // 2).mean(axis=1) > 0.5).astype(int)
    columns = {"input_ids": tokens.tolist(), "labels": labels.tolist()}
    return Dataset.from_dict({"id": list(range(count)), **columns})  # changed


class LoggingTrainer(LossLogMixin, Trainer):  # log
    """The Trainer, with a recorder."""  # log


set_seed(0)
train, val = sentences(400, 0), sentences(100, 1)
config = BertConfig(
    vocab_size=WORDS,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=LENGTH,
)
with tempfile.TemporaryDirectory() as folder:
    trainer = LoggingTrainer(  # changed
        BertForSequenceClassification(config),
        TrainingArguments(
            folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=32,
            learning_rate=1e-3,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
        ),
        train_dataset=train,
        eval_dataset=val,
    )
    trainer.train()

run = trainer.recorder.run()
selection = deepcore.select(run, CLD(), fraction=0.1)
kept = selection.apply(train)
print(f"{run.epochs} epochs logged; {len(kept)} of {len(train)} sentences kept")
