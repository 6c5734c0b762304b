"""What the callbacks log is what the trainers themselves compute."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from deepcore.common.checks import UsageError
from deepcore.logs import LossRecorder, WithIds
from deepcore.proxy.signals import Signal

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
N, Q, C, EPOCHS = 60, 20, 3, 4
X, X_VAL = RNG.normal(0, 1, (N, 5)).astype(np.float32), RNG.normal(0, 1, (Q, 5)).astype(np.float32)
Y, Y_VAL = np.arange(N) % C, np.arange(Q) % C


def test_with_ids_extends_any_sample():
    data = TensorDataset(torch.arange(3), torch.arange(3) * 2)
    assert [tuple(map(int, sample)) for sample in WithIds(data)] == [(0, 0, 0), (1, 2, 1), (2, 4, 2)]
    assert WithIds([{"x": 1}])[0] == {"x": 1, "id": 0}
    assert WithIds(["a"])[0] == ("a", 0)


def make_module(lightning, seen: dict, *, ids: bool = True):
    """A linear model that remembers the losses of its own batches."""

    class Linear(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = torch.nn.Linear(5, C)

        def training_step(self, batch, batch_idx):
            x, y, i = batch
            logits = self.net(x)
            losses = functional.cross_entropy(logits, y, reduction="none")
            for row, loss in zip(i.tolist(), losses.tolist(), strict=True):
                seen.setdefault(self.current_epoch, {})[row] = loss
            found = {"loss": losses.mean(), "logits": logits, "labels": y}
            return {**found, "ids": i} if ids else found

        def validation_step(self, batch, batch_idx):
            x, y = batch
            losses = functional.cross_entropy(self.net(x), y, reduction="none")
            if not self.trainer.sanity_checking:
                seen.setdefault("val", []).extend(losses.tolist())
            return {"losses": losses}

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Linear()


@pytest.mark.parametrize("ids", [True, False])
def test_lightning(ids):
    lightning = pytest.importorskip("lightning.pytorch")
    from deepcore.callbacks.lightning import LossLog

    train = DataLoader(WithIds(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))), 8, shuffle=True)
    val = DataLoader(TensorDataset(torch.from_numpy(X_VAL), torch.from_numpy(Y_VAL)), 7)
    log, seen = LossLog(), {}
    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        callbacks=[log],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = make_module(lightning, seen, ids=ids)
    if not ids:
        with pytest.raises(UsageError, match="training_step gave no ids"):
            trainer.fit(module, train, val)
        return
    trainer.fit(module, train, val)
    run = log.recorder.run()
    assert run.epochs == EPOCHS
    losses = run.trajectory(Signal.LOSS, "online")
    for epoch in range(EPOCHS):
        expected = [seen[epoch][int(i)] for i in run.ids]
        np.testing.assert_allclose(losses[epoch], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        run.val_mean(), np.array(seen["val"]).reshape(EPOCHS, Q).mean(axis=1), rtol=1e-5
    )


@pytest.mark.parametrize("evaluated", ["epoch", "no", "steps", "start"])
def test_hugging_face_classifier(tmp_path, evaluated):
    transformers = pytest.importorskip("transformers")
    datasets = pytest.importorskip("datasets")
    pytest.importorskip("accelerate")
    from deepcore.callbacks.huggingface import LossLogMixin

    class LoggingTrainer(LossLogMixin, transformers.Trainer):
        pass

    def make(count: int, seed: int):
        tokens = np.random.default_rng(seed).integers(1, 20, (count, 6))
        labels = (tokens[:, 0] % 2).tolist()
        ids = [100 + i for i in range(count)]
        columns = {"id": ids, "input_ids": tokens.tolist(), "labels": labels, "unused": ["x"] * count}
        return datasets.Dataset.from_dict(columns)

    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=6,
    )
    arguments = transformers.TrainingArguments(
        str(tmp_path),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=8,
        eval_strategy="epoch" if evaluated == "start" else evaluated,
        eval_on_start=evaluated == "start",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    model = transformers.BertForSequenceClassification(config)
    given = {"train_dataset": make(N, 0), "eval_dataset": make(Q, 1)}
    refused = {"steps": "eval_strategy is .steps.", "start": "eval_on_start is True: .* eval_on_start=False"}
    if evaluated in refused:
        with pytest.raises(UsageError, match=refused[evaluated]):
            LoggingTrainer(model, arguments, **given).train()
        return
    trainer = LoggingTrainer(model, arguments, **given)
    trainer.train()
    before = trainer.recorder.epochs
    trainer.evaluate()  # after training: not an epoch
    trainer.predict(given["eval_dataset"])
    assert len(trainer.predict(given["eval_dataset"].remove_columns("labels")).predictions) == Q
    assert trainer.recorder.epochs == before == EPOCHS
    run = trainer.recorder.run()
    np.testing.assert_array_equal(run.ids, 100 + np.arange(N))
    np.testing.assert_array_equal(run.labels, given["train_dataset"]["labels"])
    if evaluated == "epoch":
        told = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry][:EPOCHS]
        np.testing.assert_allclose(run.val_mean(), told, rtol=1e-4)
    else:
        assert not run.val_trajectories


def test_hugging_face_language_model():
    transformers = pytest.importorskip("transformers")
    from deepcore.callbacks.huggingface import LossLogMixin

    config = transformers.GPT2Config(vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(config).eval()
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 20, (4, 8)))
    labels = tokens.clone()
    labels[1, 5:] = -100
    with torch.no_grad():
        logits = model(input_ids=tokens).logits
        losses = LossLogMixin.sample_losses(None, model, logits, labels)
        for i in range(4):
            alone = model(input_ids=tokens[i : i + 1], labels=labels[i : i + 1]).loss
            assert float(losses[i]) == pytest.approx(float(alone), rel=1e-5)
        compiled = torch.compile(model, backend="eager")
        torch.testing.assert_close(LossLogMixin.sample_losses(None, compiled, logits, labels), losses)


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_hugging_face_labels_that_are_no_classes(kind):
    transformers = pytest.importorskip("transformers")
    from deepcore.callbacks.huggingface import LossLogMixin

    config = transformers.BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                                     intermediate_size=8, num_labels=3, problem_type=kind)  # fmt: skip
    model = transformers.BertForSequenceClassification(config).eval()
    tokens = torch.from_numpy(np.random.default_rng(0).integers(1, 20, (4, 6)))
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 2, (4, 3))).float()
    with torch.no_grad():
        losses = LossLogMixin.sample_losses(None, model, model(input_ids=tokens).logits, labels)
        for i in range(4):
            alone = model(input_ids=tokens[i : i + 1], labels=labels[i : i + 1]).loss
            assert float(losses[i]) == pytest.approx(float(alone), rel=1e-5)


@pytest.mark.parametrize("output", ["softmax", None, "regression"])
def test_keras(output):
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    from deepcore.callbacks.keras import LossLog

    keras.utils.set_random_seed(0)
    if output == "regression":
        y, y_val = X[:, 0] * 2, X_VAL[:, 0] * 2
        layers, loss = [keras.layers.Dense(1)], "mse"
    else:
        y, y_val, layers = Y, Y_VAL, [keras.layers.Dense(C, output)]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=output is None)
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1), loss)
    recorder = LossRecorder(size=N)
    told = model.fit(
        X, y, epochs=EPOCHS, verbose=0, batch_size=8, validation_data=(X_VAL, y_val),
        callbacks=[LossLog(recorder, (X, y), (X_VAL, y_val))],
    )  # fmt: skip
    run = recorder.run()
    assert run.epochs == EPOCHS
    assert run.log.has_classes == (output != "regression")
    np.testing.assert_allclose(run.val_mean(), told.history["val_loss"], rtol=1e-4)
    last = model.evaluate(X, y, verbose=0)
    np.testing.assert_allclose(run.trajectory(Signal.LOSS, "online")[-1].mean(), last, rtol=1e-4)


def test_keras_logs_the_untrained_network_first():
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    from deepcore.callbacks.keras import LossLog

    model = keras.Sequential([keras.layers.Input(X.shape[1:]), keras.layers.Dense(C)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    untrained = model.evaluate(X_VAL, Y_VAL, verbose=0)
    recorder = LossRecorder(Y, Y_VAL, has_initial=True)
    log = LossLog(recorder, (X, Y), (X_VAL, Y_VAL))
    for _ in range(2):  # a second fit goes on
        model.fit(X, Y, epochs=EPOCHS, verbose=0, batch_size=8, callbacks=[log])
    run = recorder.run()
    assert (run.has_initial, run.epochs, recorder.epochs) == (True, 2 * EPOCHS, 2 * EPOCHS + 1)
    np.testing.assert_allclose(run.val_mean(initial=True)[0], untrained, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosting(library, classes):
    made = pytest.importorskip(library)
    from deepcore.callbacks import boosting

    y, y_val = np.arange(N) % classes, np.arange(Q) % classes
    recorder, told = LossRecorder(y, y_val), {}
    few = {"num_class": classes} if classes > 2 else {}
    if library == "xgboost":
        train, val = made.DMatrix(X, y), made.DMatrix(X_VAL, y_val)
        kind = {"objective": "multi:softprob" if few else "binary:logistic", **few, "nthread": 1}
        made.train(
            kind,
            train,
            EPOCHS,
            evals=[(train, "train"), (val, "val")],
            evals_result=told,
            verbose_eval=False,
            callbacks=[boosting.xgboost_log(recorder, train, val)],
        )
    else:
        kind = {"objective": "multiclass" if few else "binary", **few, "num_threads": 1, "verbose": -1,
                "min_data_in_leaf": 3}  # fmt: skip
        train = made.Dataset(X, y, free_raw_data=False)
        val = made.Dataset(X_VAL, y_val, reference=train, free_raw_data=False)
        made.train(
            kind, train, EPOCHS, valid_sets=[train, val], valid_names=["train", "val"],
            callbacks=[boosting.lightgbm_log(recorder, (X, y), (X_VAL, y_val)), made.record_evaluation(told)],
        )  # fmt: skip
    run = recorder.run()
    assert run.epochs == EPOCHS
    (metric,) = told["train"]
    means = run.trajectory(Signal.LOSS, "online").mean(axis=1)
    np.testing.assert_allclose(means, told["train"][metric], rtol=1e-4)
    np.testing.assert_allclose(run.val_mean(), told["val"][metric], rtol=1e-4)


@pytest.mark.parametrize("boosting", ["dart", "gbdt"])
def test_lightgbm_reweighted_or_trained_further(boosting):
    """DART changes the trees of earlier rounds; a training that goes on begins with trees."""
    lightgbm = pytest.importorskip("lightgbm")
    from deepcore.callbacks.boosting import lightgbm_log

    kind = {"objective": "multiclass", "num_class": C, "num_threads": 1, "verbose": -1, "min_data_in_leaf": 3,
            "boosting": boosting, "drop_rate": 0.9, "skip_drop": 0.0}  # fmt: skip
    parts = (X, Y), (X_VAL, Y_VAL)
    before = None
    if boosting == "gbdt":
        before = lightgbm.train(kind, lightgbm.Dataset(X, Y, free_raw_data=False), 3)
    recorder = LossRecorder(Y, Y_VAL)
    model = lightgbm.train(
        kind, lightgbm.Dataset(X, Y, free_raw_data=False), 6, init_model=before,
        callbacks=[lightgbm_log(recorder, *parts)],
    )  # fmt: skip
    run = recorder.run()
    assert run.epochs == 6
    expected = -np.log(model.predict(X)[np.arange(N), Y])
    np.testing.assert_allclose(run.trajectory(Signal.LOSS, "online")[-1], expected, rtol=1e-4)


def test_xgboost_trained_further():
    """A training that goes on begins with trees, and its rounds count from 0 again."""
    xgboost = pytest.importorskip("xgboost")
    from deepcore.callbacks.boosting import xgboost_log

    kind = {"objective": "multi:softprob", "num_class": C, "nthread": 1}
    train, val = xgboost.DMatrix(X, Y), xgboost.DMatrix(X_VAL, Y_VAL)
    recorder, told = LossRecorder(Y, Y_VAL), {}
    xgboost.train(
        kind, train, 6, xgb_model=xgboost.train(kind, train, 3), evals=[(train, "train"), (val, "val")],
        evals_result=told, verbose_eval=False, callbacks=[xgboost_log(recorder, train, val)],
    )  # fmt: skip
    run = recorder.run()
    means = run.trajectory(Signal.LOSS, "online").mean(axis=1)
    np.testing.assert_allclose(means, told["train"]["mlogloss"], rtol=1e-4)
    np.testing.assert_allclose(run.val_mean(), told["val"]["mlogloss"], rtol=1e-4)


def test_a_second_training_with_the_same_callback_begins_without_the_first_one_s_trees():
    lightgbm = pytest.importorskip("lightgbm")
    from deepcore.callbacks.boosting import lightgbm_log

    kind = {"objective": "multiclass", "num_class": C, "num_threads": 1, "verbose": -1, "min_data_in_leaf": 3}
    recorder = LossRecorder(Y, Y_VAL)
    log = lightgbm_log(recorder, (X, Y), (X_VAL, Y_VAL))
    for _ in range(2):
        lightgbm.train(kind, lightgbm.Dataset(X, Y, free_raw_data=False), 4, callbacks=[log])
    losses = recorder.run().trajectory(Signal.LOSS, "online")
    np.testing.assert_array_equal(losses[4:], losses[:4])


def test_boosting_with_a_loss_of_ones_own_and_every_second_round():
    xgboost = pytest.importorskip("xgboost")
    from deepcore.callbacks.boosting import xgboost_log

    y, y_val = X[:, 0], X_VAL[:, 0]
    train, val = xgboost.DMatrix(X, y), xgboost.DMatrix(X_VAL, y_val)
    recorder = LossRecorder(size=N)
    log = xgboost_log(recorder, train, val, loss=lambda raw, label: (raw - label) ** 2, every=2)
    model = xgboost.train({"nthread": 1}, train, 6, callbacks=[log])
    run = recorder.run()
    assert (run.epochs, run.log.has_classes) == (3, False)
    expected = (model.predict(train) - y) ** 2
    np.testing.assert_allclose(run.trajectory(Signal.LOSS, "online")[-1], expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosting_of_numbers_asks_for_a_loss(library):
    boosting = pytest.importorskip(library)
    from deepcore.callbacks import boosting as callbacks

    y, y_val = X[:, 0], X_VAL[:, 0]
    if library == "xgboost":
        train = boosting.DMatrix(X, y)
        log = callbacks.xgboost_log(LossRecorder(size=N), train, boosting.DMatrix(X_VAL, y_val))
    else:
        train = boosting.Dataset(X, y)
        log = callbacks.lightgbm_log(LossRecorder(size=N), (X, y), (X_VAL, y_val))
    with pytest.raises(UsageError, match=r"regression and ranking\): labels must be whole numbers"):
        boosting.train({"verbosity": 0}, train, 2, callbacks=[log])
