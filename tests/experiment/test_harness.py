"""The harness: what reaches the target, when the test set is read, what rows hold, what is run again."""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from helpers import proxy_of, seed_runs
from small_grids import CPU, Breaks, grid, runner
from tiny import images, short

import methods
from deepcore.analysis.comparison import compare_rows
from deepcore.common.checks import StoredMismatch, UsageError
from deepcore.common.progress import Lines
from deepcore.common.seeding import stream
from deepcore.data.datasets import load
from deepcore.experiment import target as target_module
from deepcore.experiment.provenance import code_of
from deepcore.experiment.rows import RowStore, read_row
from deepcore.nets.networks import NETS
from deepcore.proxy import engine as proxy_engine
from deepcore.report.accuracy_report import accuracy_report
from deepcore.selection.budget import Budget
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.selection import Selection
from deepcore.training import loop as train_module


def test_rows_hold_what_was_run(tmp_path):
    data = images()
    spec = grid("CLD", "Random", "Full", seeds=(0, 1), fractions=(0.2, 0.5), nets=("MLP", "LeNet"))
    rows = runner(tmp_path, spec, data).run()
    # two methods at two fractions and Full once, on two nets, for two seeds
    assert len(rows) == (2 * 2 + 1) * 2 * 2
    assert all(row.status == "ok" for row in rows)
    n, q, epochs = 72, 18, 4
    for row in rows:
        assert (row.n, row.q, row.dataset, row.epochs) == (n, q, "tiny", 4)
        expected_k = {0.2: 14, 0.5: 36, None: n}[row.fraction]
        assert row.k == expected_k
        assert row.steps == {14: 4, 36: 12, 72: 20}[row.k]
        assert row.passes["target"] == {
            "train": epochs * row.k, "record": 0, "validation": 0, "encode": 0, "test": 30,
        }  # fmt: skip
        assert 0 <= row.accuracy <= 1
        assert row.accuracy == pytest.approx(np.mean(row.class_accuracy))  # equal test classes
        assert row.flops_per_example["target"]["forward"] > 0
        assert {"train", "test", "score", "select"} <= row.measured["seconds"].keys()
        assert row.measured["peak_bytes"]["target"] > 1e6
        assert row.n_test == 30
        assert row.provenance["torch"] == torch.__version__
    cld = [row for row in rows if row.method == "CLD"]
    for row in cld:
        assert row.passes["proxy"] == {
            "train": epochs * n, "record": n + epochs * n, "validation": (epochs + 1) * q,
            "encode": 0, "test": 0,
        }  # fmt: skip
        assert row.recording == "post_epoch"
        assert row.signal_bytes == 4 * (epochs + 1) * (n + q)  # row 0 is read
        assert row.reads == {"epochs": 4, "post_epochs": 4, "trajectories": True, "final": False}
        assert row.recorded == {**row.reads, "final": True}
        assert row.proxy_run in {path.name for path in (tmp_path / "proxies").iterdir()}
        assert row.measured["seconds"]["proxy"] > 0
    assert all(row.proxy_run is None and not row.recorded["epochs"] for row in rows if row.method != "CLD")
    assert all(row.proxy_net is None and "proxy" not in row.passes for row in rows if row.method != "CLD")
    assert len(list((tmp_path / "proxies").iterdir())) == 2  # one proxy per seed
    stored = RowStore(tmp_path / "rows").all()
    assert sorted(r.fingerprint for r in stored) == sorted(r.fingerprint for r in rows)


def test_the_images_that_train_the_target_are_those_of_the_selected_ids(tmp_path, monkeypatch):
    # the published CLD scripts fail here: a permuted file, an id-dependent image, a split in between
    rng = np.random.default_rng(0)
    n = 120
    identity = rng.permutation(n)
    x = np.zeros((n, 8, 8), np.uint8)
    x[:, 0, 0] = identity  # each image carries a number of its own
    y = identity % 3
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    data = load(str(tmp_path / "d.npz"))
    seen = []
    real = target_module.train

    def spied(net, rows_data, rows, spec, **options):
        class Watched:
            labels, shape = rows_data.labels, rows_data.shape

            def __len__(self):
                return len(rows_data)

            def batches(self, groups, **kwargs):
                for _, batch in zip(groups, rows_data.batches(groups, **kwargs), strict=True):
                    seen.append(batch)
                    yield batch

        return real(net, Watched(), rows, spec, **options)

    monkeypatch.setattr(target_module, "train", spied)
    spec = grid("CLD", fractions=(0.25,), target=short(epochs=1, augment=False))
    runner(tmp_path / "runs", spec, data).run()
    (table,) = (tmp_path / "runs" / "selections").glob("*/f0.25.csv")
    ids = [int(line["id"]) for line in csv.DictReader(table.open())]
    assert len(ids) == len(set(ids)) == 24
    whole = next(data.train.batches([np.arange(n)], device=CPU))
    expected = {tuple(whole[i].flatten().tolist()) for i in ids}
    got = {tuple(image.flatten().tolist()) for batch in seen for image in batch}
    assert got == expected
    labels = [int(line["label"]) for line in csv.DictReader(table.open())]
    assert labels == y[ids].tolist()


def test_the_target_gets_sorted_ids_and_each_its_own_weight(tmp_path, monkeypatch):
    # sorted: the data order of a seed is of positions, so that an order by score would unpair the methods
    got = []
    real = target_module.train

    def watch(net, data, rows, *args, **options):
        got.append((rows.tolist(), None if options["weights"] is None else options["weights"].tolist()))
        return real(net, data, rows, *args, **options)

    monkeypatch.setattr(target_module, "train", watch)
    ids = np.random.default_rng(0).permutation(90)[:40]
    lines = "".join(f"{i},{1 + i}\n" for i in ids)
    (tmp_path / "weighted.csv").write_text("id,weight\n" + lines)
    spec = grid("CLD", f"file:{tmp_path / 'weighted.csv'}", target=short(epochs=1))
    harness = runner(tmp_path / "runs", spec)
    harness.run()
    (chosen, equal), (named, weights) = got
    assert chosen == sorted(chosen)
    assert equal is None
    assert named == sorted(set(ids.tolist()) & set(harness.plan.seeds[0].split.train.tolist()))
    assert weights == [1 + i for i in named]


class TestSpy:
    """Raises when the test part is touched before the target's last step."""

    __test__ = False

    def __init__(self, rows):
        self.rows, self.reads, self.open = rows, 0, False

    def __len__(self):
        return len(self.rows)

    @property
    def shape(self):
        return self.rows.shape

    @property
    def labels(self):
        if not self.open:
            raise AssertionError("the test labels were read before the last step")
        return self.rows.labels

    def batches(self, *args, **kwargs):
        if not self.open:
            raise AssertionError("the test set was read before the last step")
        self.reads += 1
        self.open = False
        return self.rows.batches(*args, **kwargs)


def test_the_test_set_is_read_once_per_row_after_the_last_step(tmp_path, monkeypatch):
    data = images()
    spy = TestSpy(data.test)
    real = target_module.train

    def then_open(*args, **kwargs):
        assert not spy.open
        result = real(*args, **kwargs)
        spy.open = True
        return result

    monkeypatch.setattr(target_module, "train", then_open)
    rows = runner(tmp_path, grid("CLD", "Random"), dataclasses.replace(data, test=spy)).run()
    assert [row.status for row in rows] == ["ok", "ok"]
    assert spy.reads == 2
    # and the spy can fail
    with pytest.raises(AssertionError, match="before"):
        spy.batches([])


def test_a_finished_row_is_not_run_again_and_more_seeds_add_only_theirs(tmp_path, monkeypatch):
    first = runner(tmp_path, grid("CLD", "Random")).run()
    trained = []
    real = target_module.train
    monkeypatch.setattr(target_module, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    again = runner(tmp_path, grid("CLD", "Random")).run()
    assert not trained
    assert [r.content() for r in again] == [r.content() for r in first]
    more = runner(tmp_path, grid("CLD", "Random", seeds=(0, 1))).run()
    assert len(trained) == 2
    assert len(more) == 4
    runner(tmp_path, grid("Random", target=short(lr=0.01))).run()
    assert len(trained) == 3  # another recipe is another row
    runner(tmp_path, grid("Random"), images(seed=1)).run()
    assert len(trained) == 4  # so are other data of the same name and size
    runner(tmp_path, grid("CLD", proxy=short(lr=0.01))).run()
    assert len(trained) == 5  # and another proxy, for a method that reads it


def test_two_names_of_one_experiment_are_one_training_and_two_lines(tmp_path, monkeypatch):
    trained = []
    real = target_module.train
    monkeypatch.setattr(target_module, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    names = ["CCS", "CCS:beta=0.1"]  # 0.1 is what CCS resolves to at 20% kept
    for _ in range(2):  # trained, then found
        rows = runner(tmp_path, grid(*names, seeds=(0, 1))).run()
        assert [row.label for row in rows] == names * 2
        (comparison,) = compare_rows(rows)
        assert [(e.label, e.accuracy.n) for e in comparison.entries] == [(name, 2) for name in names]
    assert len(trained) == 2
    assert len(RowStore(tmp_path / "rows").all()) == 2


@pytest.mark.parametrize("twice", [{"seeds": (0, 1, 0)}, {"fractions": (0.2, 0.2)}, {"nets": ("MLP", "MLP")}])
def test_what_would_count_twice_is_refused(twice):
    with pytest.raises(UsageError, match="given twice"):
        grid("CLD", **twice)
    with pytest.raises(UsageError, match="one of the methods"):
        grid("CLD", "CLD")


def test_the_proxy_recipe_does_not_touch_methods_without_proxy(tmp_path, monkeypatch):
    runner(tmp_path, grid("Random")).run()
    monkeypatch.setattr(target_module, "train", None)
    runner(tmp_path, grid("Random", proxy=short(lr=0.01))).run()
    assert len(RowStore(tmp_path / "rows").all()) == 1


def stopped_in_its_third_epoch(folder, monkeypatch):
    """A command of the grid "Random" that is stopped; its target's checkpoint stays."""
    real, trained = train_module._run_epoch, []

    def stops(*args):
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(1)
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "_run_epoch", stops)
        with pytest.raises(KeyboardInterrupt):
            runner(folder, grid("Random")).run()
    assert len(list(folder.glob("target-*.pt"))) == 1


def test_a_target_goes_on_from_its_checkpoint_and_leaves_none(tmp_path, monkeypatch):
    monkeypatch.setattr(target_module, "CHECKPOINT_SECONDS", 0.0)
    (whole,) = runner(tmp_path / "whole", grid("Random")).run()
    stopped_in_its_third_epoch(tmp_path / "cut", monkeypatch)
    real, trained = train_module._run_epoch, []
    monkeypatch.setattr(train_module, "_run_epoch", lambda *args: trained.append(1) or real(*args))
    (resumed,) = runner(tmp_path / "cut", grid("Random")).run()
    assert len(trained) == 2
    assert resumed.content() == whole.content()
    assert not list(tmp_path.glob("*/target-*.pt"))


def test_a_target_does_not_go_on_from_the_checkpoint_of_another_selection(tmp_path, monkeypatch):
    monkeypatch.setattr(target_module, "CHECKPOINT_SECONDS", 0.0)
    (whole,) = runner(tmp_path / "whole", grid("Random")).run()
    with monkeypatch.context() as patched:
        patched.setattr(methods.METHODS["Random"], "select", takes_the_first)
        stopped_in_its_third_epoch(tmp_path / "cut", monkeypatch)
    real, trained = train_module._run_epoch, []
    monkeypatch.setattr(train_module, "_run_epoch", lambda *args: trained.append(1) or real(*args))
    (again,) = runner(tmp_path / "cut", grid("Random")).run()
    assert len(trained) == 4  # from the start
    assert again.content() == whole.content()
    assert not list(tmp_path.glob("*/target-*.pt"))


def takes_the_first(method, run, budget, rng):
    return Selection(run.ids[: budget.k])


def test_rows_of_a_method_or_network_whose_code_changed_are_announced(tmp_path, monkeypatch):
    def said(proxy_net="MLP") -> str:
        lines = Lines()
        spec = dataclasses.replace(grid("Random", "CLD"), proxy_net=proxy_net)
        runner(tmp_path, spec, progress=lines).run()
        return "\n".join(lines.said)

    said()
    assert "has changed" not in said()
    real = code_of

    for one, sentence in (
        (methods.get("CLD"), "CLD: methods.cld has changed since its stored rows were made"),
        (NETS["MLP"], "MLP: deepcore.nets.small has changed since its stored rows were made"),
        (NETS["ResNet18"], ""),  # of another module, and not used here
    ):
        monkeypatch.setattr(
            "deepcore.experiment.harness.code_of",
            lambda kind, one=one: real(kind) if kind is not one else "0",
        )
        lines = [line for line in said().splitlines() if "has changed" in line]
        assert len(lines) == bool(sentence)
        assert all(sentence in line for line in lines)
    assert "Random:" not in said()
    monkeypatch.setattr("deepcore.experiment.harness.code_of", real)
    said("ResNet18")  # a proxy whose network is changed next
    assert "ResNet18: deepcore.nets.vision has changed since" not in said("ResNet18")
    monkeypatch.setattr(
        "deepcore.experiment.harness.code_of",
        lambda kind: real(kind) if kind is not NETS["ResNet18"] else "0",
    )
    assert "ResNet18: deepcore.nets.vision has changed since its stored rows were made" in said("ResNet18")
    assert code_of(methods.METHODS["CLD"]) != code_of(methods.METHODS["LTC"])


def test_a_failed_row_is_recorded_retried_and_stops_nothing(tmp_path, monkeypatch):
    rows = runner(tmp_path, grid(Breaks(), "Random")).run()
    assert [row.status for row in rows] == ["failed", "ok"]
    assert "no luck" in rows[0].error
    assert read_row(RowStore(tmp_path / "rows").path(rows[0])).status == "failed"
    monkeypatch.setattr(Breaks, "broken", False)
    rows = runner(tmp_path, grid(Breaks(), "Random")).run()
    assert [row.status for row in rows] == ["ok", "ok"]


@dataclass(frozen=True)
class Nan(ScoreMethod):
    """One score that is not a number."""

    name: ClassVar[str] = "Nan"

    def score(self, run):
        return np.where(run.ids == run.ids[3], np.nan, 1.0)


def test_nan_scores_name_their_rows(tmp_path):
    data = images()
    harness = runner(tmp_path, grid(Nan()), data)
    (row,) = harness.run()
    assert row.status == "failed"
    assert f"rows {harness.plan.seeds[0].split.train[3]}" in row.error


def test_a_diverged_proxy_fails_its_rows_only_and_trains_once(tmp_path):
    spec = grid("CLD", "LTC", "Random", proxy=short(lr=1e4, scheduler="ConstantLR"))
    rows = runner(tmp_path, spec).run()
    assert [row.status for row in rows] == ["failed", "failed", "ok"]
    assert "diverged" in rows[0].error
    assert len(list((tmp_path / "proxies").iterdir())) == 1


def test_same_seed_same_start_and_order_for_every_method(tmp_path, monkeypatch):
    starts, seeds = [], []
    real = target_module.train

    def watch(net, *args, **options):
        starts.append({k: v.clone() for k, v in net.state_dict().items()})
        seeds.append(options["seed"])
        return real(net, *args, **options)

    monkeypatch.setattr(target_module, "train", watch)
    runner(tmp_path, grid("CLD", "Random", seeds=(0, 1))).run()
    same = [
        all(torch.equal(a[k], b[k]) for k in a) for a, b in ((starts[0], starts[1]), (starts[0], starts[2]))
    ]
    assert same == [True, False]
    assert seeds[0] == seeds[1] != seeds[2] == seeds[3]


def test_scores_and_selections_on_disk(tmp_path):
    data = images()
    harness = runner(tmp_path, grid("CLD", fractions=(0.2, 1.0)), data)
    harness.run()
    (folder,) = (tmp_path / "selections").iterdir()
    names = {p.name for p in folder.iterdir()}
    assert names == {"method.json", "f0.2.csv", "f0.2.npz", "f1.csv", "f1.npz", "scores.csv", "scores.npz"}
    scores = np.load(folder / "scores.npz", allow_pickle=False)
    assert np.array_equal(scores["ids"], harness.plan.seeds[0].split.train)
    assert np.array_equal(scores["labels"], data.train.labels[scores["ids"]])
    assert sorted(scores["ranks"]) == list(range(1, 73))
    best = scores["ids"][np.argsort(scores["ranks"])]
    assert np.array_equal(np.load(folder / "f1.npz")["ids"], best)
    chosen = np.load(folder / "f0.2.npz")
    assert next(csv.reader((folder / "f0.2.csv").open())) == ["id", "label", "score", "rank"]
    top = best[np.isin(best, chosen["ids"])]
    assert np.array_equal(chosen["ids"], top)
    assert json.loads((folder / "method.json").read_text())["name"] == "CLD"


def test_the_stored_selection_is_the_method_s_own_with_the_seed_s_stream(tmp_path):
    harness = runner(tmp_path, grid("CCS", "Random", seeds=(0, 1)))
    assert {row.status for row in harness.run()} == {"ok"}
    for seed in (0, 1):
        run = proxy_of(harness, seed)
        for name in ("CCS", "Random"):  # CCS: what its fields resolve to at 20% changes the rows
            rng = stream(seed, "select", name, 0.2)
            expected = methods.parse(name).select(run, Budget.of(0.2, len(run.ids)), rng)
            (path,) = tmp_path.glob(f"selections/tiny-seed{seed}-{name}-*/f0.2.npz")
            np.testing.assert_array_equal(np.load(path)["ids"], expected.rows)


@dataclass(frozen=True)
class Sloppy(CoresetMethod):
    """One row too few, or one that is held out."""

    held_out: bool = False
    name: ClassVar[str] = "Sloppy"

    def select(self, run, budget, rng):
        if self.held_out:
            return Selection(np.append(run.ids[1 : budget.k], run.val_ids[0]))
        return Selection(run.ids[1 : budget.k])


def test_a_selection_of_another_size_or_with_held_out_rows_fails(tmp_path):
    few, leaking = runner(tmp_path, grid(Sloppy(), Sloppy(held_out=True))).run()
    assert "13 rows were selected for a budget of 14" in few.error
    assert "1 selected rows are not in the train pool" in leaking.error


def test_anybody_s_subset_is_judged(tmp_path):
    (tmp_path / "ids.csv").write_text("id\n" + "\n".join(map(str, range(40))) + "\n")
    data = images()
    harness = runner(tmp_path / "runs", grid(f"file:{tmp_path / 'ids.csv'}"), data)
    (row,) = harness.run()
    held_out = np.intersect1d(np.arange(40), harness.plan.seeds[0].split.val)
    assert row.status == "ok"
    assert row.k == 40 - len(held_out)
    assert row.fraction is None
    assert len(held_out) == 0 or any("validation" in note for note in row.notes)
    (tmp_path / "ids.csv").write_text("id\n1\n2\n")
    (other,) = runner(tmp_path / "runs", grid(f"file:{tmp_path / 'ids.csv'}"), data).run()
    assert other.fingerprint != row.fingerprint


def test_a_warning_of_the_scores_is_noted_at_every_fraction(tmp_path):
    proxy = short(lr=0.0, augment=False)  # nothing moves: no correlation exists
    rows = runner(tmp_path, grid("CLD", fractions=(0.2, 0.5), proxy=proxy)).run()
    assert all(any("do not vary" in note for note in row.notes) for row in rows)


def test_a_budget_below_one_per_class_is_allowed_and_said(tmp_path):
    (row,) = runner(tmp_path, grid("Random", fractions=(0.02,))).run()
    assert row.k == 1
    assert any("below one row for each of the 3 classes" in note for note in row.notes)


def test_half_written_files_of_ours_are_removed_and_nobody_else_s(tmp_path):
    ours = [tmp_path / name for name in (".target-1.pt.12.tmp", "rows/.a.json.7.tmp", "proxies/p/.s.9.tmp")]
    others = [tmp_path / name for name in ("thesis/.chapter.12.tmp", ".notes.tmp", "rows/a.json.7.tmp")]
    for path in (*ours, *others):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    runner(tmp_path, grid("Random")).run()
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)


def test_a_row_of_another_schema_is_refused(tmp_path):
    (row,) = runner(tmp_path, grid("Random")).run()
    path = RowStore(tmp_path / "rows").path(row)
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "schema": 99}))

    with pytest.raises(StoredMismatch, match="schema 99"):
        runner(tmp_path, grid("Random")).run()


@pytest.mark.parametrize(
    "change",
    [{"accuracy": "high"}, {"accuracy": 1.5}, {"class_accuracy": None}, {"status": "fine"}, {"k": 0},
     {"fingerprint": "0" * 16}],
)  # fmt: skip
def test_a_row_with_values_that_no_run_writes_is_refused(tmp_path, change):
    (row,) = runner(tmp_path, grid("Random")).run()
    path = RowStore(tmp_path / "rows").path(row)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(StoredMismatch, match="damaged"):
        runner(tmp_path, grid("Random")).run()


def test_a_subset_of_one_weighted_row(tmp_path):
    data = images()
    harness = runner(tmp_path, grid("Random"), data)
    kept, held_out = harness.plan.seeds[0].split.train[0], harness.plan.seeds[0].split.val[0]
    path = tmp_path / "one.csv"
    path.write_text(f"id,weight\n{kept},5\n")
    (row,) = runner(tmp_path, grid(f"file:{path}"), data).run()
    path.write_text(f"{kept}\n")
    (plain,) = runner(tmp_path, grid(f"file:{path}"), data).run()
    assert (row.status, row.error) == ("ok", "")
    assert row.accuracy == plain.accuracy
    path.write_text(f"id,weight\n{kept},0\n{held_out},5\n")
    with pytest.raises(UsageError, match="its only weights above 0 are of validation rows"):
        runner(tmp_path, grid(f"file:{path}"), data)


def test_close_fractions_have_a_file_and_a_line_each(tmp_path):
    rows = runner(tmp_path, grid("Random", fractions=(0.1234561, 0.5234562, 0.5234563))).run()
    assert len({path.name for path in (tmp_path / "selections").rglob("f*.csv")}) == 3
    assert "52.34562%" in accuracy_report(rows)
    assert "52.34563%" in accuracy_report(rows)


def test_methods_compute_on_the_device_of_the_run(tmp_path, monkeypatch):
    # as on a machine with a GPU under --gpu -1: to ask for CUDA here would fail the row
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    rows = runner(tmp_path, grid("D2", "Glister", everything=False)).run()
    assert [(row.status, row.error) for row in rows] == [("ok", "")] * 2
    run = seed_runs(runner(tmp_path, grid("D2"))).of(methods.parse("D2"))
    assert run.device_for(None) == CPU
    assert run.device_for("cuda:1") == torch.device("cuda:1")  # a method's own field comes first
    own_logs = dataclasses.replace(run, device=None)
    assert own_logs.device_for(None) == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert own_logs.device_for(None) == CPU


def test_a_method_added_later_reads_the_same_proxy(tmp_path, monkeypatch):
    trained = []
    real = proxy_engine.train
    monkeypatch.setattr(proxy_engine, "train", lambda *a, **k: trained.append(1) or real(*a, **k))
    runner(tmp_path, grid("Random")).run()
    assert (trained, list(tmp_path.glob("proxies/*"))) == ([], [])  # it reads nothing, whatever is recorded
    first = runner(tmp_path, grid("Forgetting")).run()
    later = runner(tmp_path, grid("Forgetting", "CLD", "D2", "Glister", "LTC", "TDDS")).run()
    assert trained == [1]
    assert {row.proxy_run for row in later} == {first[0].proxy_run}
    assert {row.status for row in later} == {"ok"}
    runner(tmp_path, grid("Forgetting", "CLD:record=online", everything=False)).run()
    assert trained == [1]
    folder = tmp_path / "needed"
    for names in (["Forgetting"], ["Forgetting", "CLD"]):
        runner(folder, grid(*names, everything=False)).run()
    assert trained == [1] * 3  # what was needed first is not what is needed later
