"""XGBoost and LightGBM on digits: a round is an epoch."""

import sys
from pathlib import Path

import lightgbm
import xgboost
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a clone without installation

import deepcore
from deepcore.callbacks.boosting import lightgbm_log, xgboost_log  # log
from deepcore.logs import LossRecorder
from methods.aum import AUM
from methods.cld import CLD

ROUNDS = 10
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, random_state=0, stratify=y)

train, val = xgboost.DMatrix(x_train, y_train), xgboost.DMatrix(x_val, y_val)
of_xgboost = LossRecorder(y_train, y_val)  # log
xgboost.train(
    {"objective": "multi:softprob", "num_class": 10, "max_depth": 3, "nthread": 1},
    train,
    ROUNDS,
    callbacks=[xgboost_log(of_xgboost, train, val)],  # log
)

of_lightgbm = LossRecorder(y_train, y_val)  # log
lightgbm.train(
    {"objective": "multiclass", "num_class": 10, "num_leaves": 7, "num_threads": 1, "verbose": -1},
    lightgbm.Dataset(x_train, y_train),
    ROUNDS,
    callbacks=[lightgbm_log(of_lightgbm, (x_train, y_train), (x_val, y_val))],  # log
)

for name, recorder in (("XGBoost", of_xgboost), ("LightGBM", of_lightgbm)):
    run = recorder.run()
    kept = deepcore.select(run, CLD(), fraction=0.1)
    hard = deepcore.select(run, AUM(), size=5)
    print(f"{name}: {run.epochs} rounds logged; {len(kept.rows)} of {len(x_train)} samples kept, "
          f"the hardest are {hard.ids.tolist()}")  # fmt: skip
