"""Flipped labels: which rows, who sees them, what is reported."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from rows import rows_of

import main
from deepcore.common.checks import UsageError
from deepcore.data import datasets
from deepcore.data.label_noise import LabelNoise, flip
from deepcore.data.memory import from_arrays
from deepcore.data.split import make_split
from deepcore.experiment import target
from deepcore.experiment.noise_record import noise_record
from deepcore.proxy import engine as proxy_engine
from deepcore.proxy.signals import Signal
from deepcore.proxy.store import ProxyStore
from deepcore.report.noise_report import detection, noise_table
from deepcore.selection.selection import Selection


def blobs(classes=4, n=200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n + 40, 3)).astype(np.float32)
    y = np.arange(n + 40) % classes
    return from_arrays("Blobs", x[:n], y[:n], x[n:], y[n:])


def noisy(train=0.0, val=0.0, seed=0, classes=4):
    data = blobs(classes)
    split = make_split(data.train.labels, val_fraction=0.1, seed=seed)
    return data, split, flip(data, split, LabelNoise(train, val))


def test_labels_flip_to_classes_that_have_candidates():
    """Class 1 of three has no rows, in either part."""
    x = np.random.default_rng(0).normal(size=(240, 3)).astype(np.float32)
    y = 2 * (np.arange(240) % 2)
    data = from_arrays("Gap", x[:200], y[:200], x[200:], y[200:])
    split = make_split(data.train.labels, val_fraction=0.1, seed=0)
    found = flip(data, split, LabelNoise(0.2, 0.2))
    assert set(found.data.train.labels) == {0, 2}
    np.testing.assert_array_equal(found.data.train.labels[found.rows], 2 - data.train.labels[found.rows])
    assert len(found.rows) == 36


@pytest.mark.parametrize(("rate", "count"), [(0.1, 18), (0.3, 54), (0.5, 90)])
def test_exactly_the_rate_of_the_pool_is_flipped_and_nothing_else(rate, count):
    data, split, flipped = noisy(train=rate)
    changed = np.flatnonzero(data.train.labels != flipped.data.train.labels)
    np.testing.assert_array_equal(changed, flipped.rows)
    assert len(changed) == count
    assert set(changed) <= set(split.train)
    np.testing.assert_array_equal(flipped.data.test.labels, data.test.labels)


def test_validation_rows_are_flipped_only_when_asked():
    data, split, flipped = noisy(val=0.5)
    changed = np.flatnonzero(data.train.labels != flipped.data.train.labels)
    assert len(changed) == 10
    assert set(changed) <= set(split.val)
    assert flipped.rows.size == 0


def test_wrong_labels_are_spread_over_the_other_classes():
    data = blobs(4, 4000)
    split = make_split(data.train.labels, val_fraction=0.1, seed=0)
    flipped = flip(data, split, LabelNoise(0.9))
    shift = (flipped.data.train.labels - data.train.labels)[flipped.rows] % 4
    assert np.bincount(shift, minlength=4)[0] == 0
    share = np.bincount(shift, minlength=4)[1:] / len(shift)
    np.testing.assert_allclose(share, 1 / 3, atol=0.03)


def test_a_lower_rate_flips_a_part_of_the_same_rows_and_a_seed_its_own():
    _, _, low = noisy(train=0.1)
    _, _, high = noisy(train=0.3)
    assert set(low.rows) < set(high.rows)
    same = low.data.train.labels[low.rows] == high.data.train.labels[low.rows]
    assert same.all()
    assert set(noisy(train=0.1, seed=1)[2].rows) != set(low.rows)


def test_no_noise_is_the_data_set_itself_and_noise_has_a_fingerprint_of_its_own():
    data, _, clean = noisy()
    assert clean.data is data
    prints = {noisy(train=t, val=v, seed=s)[2].data.fingerprint for t, v, s in
              [(0.1, 0, 0), (0.2, 0, 0), (0.1, 0.1, 0), (0.1, 0, 1), (0, 0, 0)]}  # fmt: skip
    assert len(prints) == 5


def test_inputs_are_those_of_the_data_set():
    data, _, flipped = noisy(train=0.3)
    groups, cpu = [np.array([3, 1, 2])], torch.device("cpu")
    (ours,), (theirs,) = (list(d.train.batches(groups, device=cpu)) for d in (flipped.data, data))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert (len(flipped.data.train), flipped.data.train.shape) == (len(data.train), data.train.shape)


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_a_rate_outside_its_range_is_refused(rate):
    with pytest.raises(UsageError, match="at least 0 and below 1"):
        LabelNoise(rate)


def test_the_record_by_hand():
    ids = np.array([2, 3, 5, 7])
    chosen = Selection(np.array([7, 2]), scores=np.array([0.4, 0.9, 0.1, 0.2]))
    record = noise_record(LabelNoise(0.5), np.array([5, 7]), ids, chosen)
    # flipped score 0.1 and 0.2, clean 0.4 and 0.9: every flipped one below every clean one
    assert record == {"train": 0.5, "val": 0.0, "flipped": 2, "kept": 1, "auroc": 0.0}
    tied = Selection(np.array([7, 2]), scores=np.array([0.2, 0.9, 0.1, 0.2]))  # of 4 pairs 1 tie, 0 above
    assert noise_record(LabelNoise(0.5), np.array([5, 7]), ids, tied)["auroc"] == pytest.approx(1 / 8)
    assert noise_record(LabelNoise(0.5), np.array([5, 7]), ids, Selection(np.array([7])))["auroc"] is None
    assert noise_record(LabelNoise(), np.array([5, 7]), ids, chosen) == {}
    assert detection(0.0) == (1.0, "low")
    assert detection(0.75) == (0.75, "high")


def test_the_table_by_hand():
    def noise(kept, auroc):
        return {"train": 0.1, "val": 0.0, "flipped": 9, "kept": kept, "auroc": auroc}

    first, second = rows_of("CLD", 50, 60, k=10)
    rows = [
        dataclasses.replace(first, label_noise=noise(1, 0.1)),
        dataclasses.replace(second, label_noise=noise(3, 0.3)),
        *rows_of("Random", 70),  # clean
    ]
    table = noise_table(rows)
    (record,) = table.records
    assert record["n"] == 2
    assert record["flipped_kept"] == pytest.approx(20)
    assert record["auroc"] == pytest.approx(0.2)
    printed = table.render("table")
    assert "20.00 ± 14.14" in printed
    assert "0.800 ± 0.141 (low)" in printed
    assert printed.startswith("Flipped labels: 10% of the candidates\n")
    assert "--label_noise" in noise_table(rows_of("CLD", 50)).render("table")
    of_validation = {**noise(0, None), "train": 0.0, "val": 0.2, "flipped": 0}
    printed = noise_table([dataclasses.replace(first, label_noise=of_validation)]).render("table")
    assert printed.startswith("Flipped labels: 0% of the candidates, 20% of the validation rows\n")
    assert "-: the method has no score, or no candidate was flipped." in printed


def run(folder, *argv):
    common = ["--dataset", "Synthetic", "--epochs", "3", "--num_exp", "1", "--fraction", "0.1", "--quiet"]
    return main.main([*common, "--save_path", str(folder), "--report", "false", *argv])


def stored_rows(folder):
    return [json.loads(path.read_text()) for path in sorted((folder / "rows").glob("*.json"))]


def test_a_run_trains_on_the_flipped_labels_and_says_so(tmp_path, capsys):
    assert run(tmp_path, "--selection", "Random", "CLD", "--label_noise", "0.4") == 0
    assert "Flipped labels: 40%" in capsys.readouterr().out
    for row in stored_rows(tmp_path):
        noise = row["label_noise"]
        assert noise["train"] == 0.4
        assert noise["flipped"] == int(0.4 * row["n"] + 0.5)
        assert 0 <= noise["kept"] <= row["k"]
        assert (noise["auroc"] is None) == (row["method"] == "Random")
    written = np.load(next((tmp_path / "selections").glob("*Random*/f0.1.npz")))
    clean = tmp_path / "clean"
    assert run(clean, "--selection", "Random", "CLD") == 0
    assert "Flipped" not in capsys.readouterr().out
    assert all(row["label_noise"] == {} for row in stored_rows(clean))
    shared = np.load(next((clean / "selections").glob("*Random*/f0.1.npz")))
    labels, known = dict(zip(written["ids"], written["labels"], strict=True)), shared["ids"]
    both = [i for i in known if i in labels]
    assert both
    at = dict(zip(known, shared["labels"], strict=True))
    assert any(at[i] != labels[i] for i in both)


def test_proxy_target_and_selection_see_the_flipped_labels_and_the_test_the_clean(tmp_path, monkeypatch):
    clean = datasets.load("Synthetic", data_path="", download=False)
    split = make_split(clean.train.labels, val_fraction=clean.val_fraction, seed=0)
    flipped = flip(clean, split, LabelNoise(0.3)).data
    assert (flipped.train.labels != clean.train.labels).sum() == int(0.3 * len(split.train) + 0.5)
    seen = {"target": [], "proxy": [], "test": []}

    def spy(module, name, key, labels):
        real = getattr(module, name)

        def watch(*args, **kwargs):
            seen[key].append(labels(args))
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, watch)

    spy(target, "train", "target", lambda args: args[1].labels)
    spy(target, "class_accuracy", "test", lambda args: args[1].labels)
    spy(proxy_engine, "train", "proxy", lambda args: args[1].labels)
    assert run(tmp_path, "--selection", "CLD", "D2", "--label_noise", "0.3") == 0
    for key, count in (("target", 2), ("proxy", 1)):
        assert len(seen[key]) == count
        for labels in seen[key]:
            np.testing.assert_array_equal(labels, flipped.train.labels)
    for labels in seen["test"]:
        np.testing.assert_array_equal(labels, clean.test.labels)
    (folder,) = (tmp_path / "proxies").iterdir()
    stored = ProxyStore(folder).load()
    np.testing.assert_array_equal(stored.labels, flipped.train.labels[split.train])
    np.testing.assert_array_equal(stored.val_labels, clean.train.labels[split.val])
    # the recorded losses are of the flipped labels: exp(-loss) of row T is the probability of that class
    logits = torch.from_numpy(np.array(stored.final_array(Signal.LOGITS)))
    loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(stored.labels), reduction="none")
    last = np.array(stored.trajectory(Signal.LOSS, "post_epoch"))[-1]
    np.testing.assert_allclose(last, loss.numpy(), atol=1e-4)


def test_a_class_without_a_validation_row_is_refused_before_anything_is_trained():
    data = blobs(2, 48)
    split = make_split(data.train.labels, val_fraction=0.01, seed=0)  # one validation row a class
    with pytest.raises(UsageError, match=r"leaves class [01] without a validation row"):
        flip(data, split, LabelNoise(val=0.5))  # one of the two


def test_noise_is_another_row_and_another_proxy_in_the_same_folder(tmp_path):
    assert run(tmp_path, "--selection", "CLD") == 0
    assert run(tmp_path, "--selection", "CLD", "--label_noise", "0.2") == 0
    assert run(tmp_path, "--selection", "CLD", "--label_noise", "0.2", "--label_noise_val", "0.2") == 0
    assert len(stored_rows(tmp_path)) == 3
    assert len(list((tmp_path / "proxies").glob("*/spec.json"))) == 3


def test_a_row_written_before_there_was_label_noise_is_read(tmp_path):
    assert run(tmp_path, "--selection", "Random") == 0
    (path,) = (tmp_path / "rows").glob("*.json")
    value = json.loads(path.read_text())
    del value["label_noise"], value["provenance"]["checksum"]
    value["provenance"]["deepcore"] = "0.1.0"
    path.write_text(json.dumps(value))
    before = path.read_bytes()
    assert run(tmp_path, "--selection", "Random") == 0
    assert path.read_bytes() == before


def test_a_wrong_rate_is_one_sentence(tmp_path, capsys):
    assert run(tmp_path, "--label_noise", "1.5") == 2
    assert "label_noise is 1.5" in capsys.readouterr().err
