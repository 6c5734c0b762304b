"""Keras on digits: a pass over all samples before the first and after each epoch, as CLD was published."""

import os
import sys
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

os.environ.setdefault("KERAS_BACKEND", "torch")
import keras

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import deepcore
from deepcore.callbacks.keras import LossLog  # log
from deepcore.logs import LossRecorder
from methods.cld import CLD

EPOCHS = 6
keras.utils.set_random_seed(0)
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)

model = keras.Sequential([keras.layers.Dense(64, "relu"), keras.layers.Dense(10, "softmax")])
model.compile(keras.optimizers.SGD(0.1, 0.9), "sparse_categorical_crossentropy")
recorder = LossRecorder(y_train, y_val, has_initial=True)  # log
model.fit(
    x_train,
    y_train,
    epochs=EPOCHS,
    batch_size=64,
    verbose=0,
    callbacks=[LossLog(recorder, (x_train, y_train), (x_val, y_val))],  # log
)

run = recorder.run()
selection = deepcore.select(run, CLD(), fraction=0.1)
print(f"{run.epochs} epochs logged; {len(selection.apply(x_train))} of {len(x_train)} samples kept")
