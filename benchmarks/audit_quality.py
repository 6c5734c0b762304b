"""How well an audit finds wrong labels: flipped labels, the audit's scores, and cleanlab beside them.

    python benchmarks/audit_quality.py digits --seeds 2
    python benchmarks/audit_quality.py fashion --data_path DIR --rows 6000 --seeds 2
    python benchmarks/audit_quality.py PATH.npz              any data set of main.py, such as Letter

A share of all labels is flipped, train and validation rows alike: uniformly to another class, or to the next
class. One training is logged as two loops would log it: the losses of its batches, and those of a pass after
each epoch. `python -m deepcore audit` ranks the candidates of either; AUM and the mean loss of the batches,
and CLD in its variants, rank them alone. cleanlab's self-confidence is the probability of the label by
networks that have not seen the sample: five more trainings, of the same recipe, on four fifths each. Per
setting: AUROC, and precision among as many suspects as there are flips; the audits' estimates of the share of
wrong labels, and cleanlab's. Results go to benchmarks/results/audit_quality.csv, a row a setting and score;
those of other settings stay, and `python benchmarks/audit_tables.py` writes them into docs/audit.md. Needs
cleanlab.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # runs from a clone without installation

import methods
from benchmarks.audit_tables import RESULTS, read
from deepcore.cli.audit import audit
from deepcore.common.files import write_bytes
from deepcore.common.meter import Meter
from deepcore.common.seeding import key, stream
from deepcore.common.shares import rows_of_share
from deepcore.data import LabeledData, load, make_split
from deepcore.data.label_noise import Relabelled
from deepcore.data.memory import from_arrays
from deepcore.data.split import Split
from deepcore.nets import build
from deepcore.proxy.engine import obtain_proxy
from deepcore.proxy.recording import Recording
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import Signal
from deepcore.proxy.spec import ProxySpec
from deepcore.training import RECIPES, TrainSpec, train
from deepcore.training.evaluation import evaluate

SETTINGS = [(0.0, "none"), *((rate, kind) for kind in ("uniform", "neighbour") for rate in (0.05, 0.1, 0.2))]
VARIANTS = (
    *("CLD", "CLD:initial=False", "CLD:record=online", "CLD:record=online,initial=True"),
    *("CLD:trajectory=global", "CLD:correlation=spearman", "LTC"),
)
AUDITED = (Signal.LOSS, Signal.MARGIN, Signal.MARGIN_P)
EPOCHS = {"digits": 164, "fashion": 20}
FOLDS = 5
FIELDS = ("data", "rows", "net", "epochs", "seed", "kind", "rate", "wrong", "score", "trainings", "auroc",
          "precision", "estimate", "low", "high")  # fmt: skip


def main() -> None:
    """Run the settings that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="digits, fashion, or an .npz as main.py takes it")
    parser.add_argument("--data_path", default="data", help="folder of Fashion-MNIST's files")
    parser.add_argument("--rows", type=int, help="first rows of the training set; default all")
    parser.add_argument("--net", default="MLP")
    parser.add_argument("--epochs", type=int, help="default: 164 for digits, 20 for fashion, 60")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--folds", type=int, default=FOLDS, help="of cleanlab; 0 leaves it out")
    for rows in runs(parser.parse_args()):
        keep(rows)


def runs(args: argparse.Namespace) -> Iterator[list[dict[str, object]]]:
    """The rows of one setting after the other."""
    data = loaded(args.data, args.data_path, args.rows)
    recipe = dataclasses.replace(
        RECIPES[data.recipe], epochs=args.epochs or EPOCHS.get(args.data, 60), augment=False
    )
    for seed in args.seeds:
        for rate, kind in SETTINGS:
            noisy, wrong = flipped(data, rate, kind, seed)
            split = make_split(noisy.train.labels, val_fraction=0.1, seed=seed)
            setting = {
                **{"data": data.name, "rows": len(split.train), "net": args.net, "epochs": recipe.epochs},
                **{"seed": seed, "kind": kind, "rate": rate, "wrong": round(wrong[split.train].mean(), 5)},
            }
            run = logged(noisy, split, args.net, recipe, seed)
            rows = audited(run, wrong[split.train])
            if args.folds:
                rows += by_cleanlab(noisy, split, args.net, recipe, seed, args.folds, wrong[split.train])
            print(f"{data.name} seed {seed}: {rate:.0%} {kind}", file=sys.stderr, flush=True)
            yield [{**setting, **row} for row in rows]


def loaded(name: str, data_path: str, rows: int | None) -> LabeledData:
    """The data set, or its first rows."""
    known = {"digits": "Digits", "fashion": "FashionMNIST"}
    data = load(known.get(name, name), data_path=data_path)
    if rows is None:
        return data
    x = [part.inputs[:rows].numpy() for part in (data.train, data.test)]
    x = [part.transpose(0, 2, 3, 1) if part.ndim == 4 else part for part in x]
    y = [part.labels[:rows] for part in (data.train, data.test)]
    return from_arrays(f"{data.name}-{rows}", x[0], y[0], x[1], y[1], recipe=data.recipe)


def flipped(data: LabeledData, rate: float, kind: str, seed: int) -> tuple[LabeledData, np.ndarray]:
    """The data with flipped labels, and which rows they are."""
    rng = stream(seed, "audit_quality", kind)
    labels = data.train.labels.copy()
    at = rng.permutation(len(labels))[: rows_of_share(rate, len(labels))]
    shift = 1 if kind == "neighbour" else rng.integers(1, data.num_classes, len(at))
    labels[at] = (labels[at] + shift) % data.num_classes
    noisy = dataclasses.replace(data, train=Relabelled(data.train, labels), fingerprint="flipped")
    return noisy, labels != data.train.labels


def logged(data: LabeledData, split: Split, net: str, recipe: TrainSpec, seed: int) -> ProxyRun:
    """One training with everything that the scores read, in memory."""
    spec = ProxySpec(data.name, data.fingerprint, net, recipe, 0.1, seed)
    recording = Recording(*[frozenset(AUDITED)] * 3)
    with tempfile.TemporaryDirectory() as folder:
        run = obtain_proxy(Path(folder), data, split, spec, recording, device=torch.device("cpu"))
        held = {key: np.array(rows) for key, rows in run.trajectories.items()}
        val = {signal: np.array(rows) for signal, rows in run.val_trajectories.items()}
        return dataclasses.replace(run, trajectories=held, val_trajectories=val)


def logs_of(run: ProxyRun) -> dict[str, ProxyRun]:
    """What two loops would log of this training: losses of its batches, and of a pass after each epoch that
    begins with the untrained network."""
    logs = {}
    for name, mode, initial in (("batches", "online", False), ("passes", "post_epoch", True)):
        losses, margin, margin_p = (run.trajectory(s, mode, initial=initial) for s in AUDITED)
        logs[name] = ProxyRun.from_losses(
            losses,
            run.labels,
            run.val_trajectory(Signal.LOSS, initial=initial),
            run.val_labels,
            ids=run.ids,
            has_initial=initial,
            signals={Signal.MARGIN: margin, Signal.MARGIN_P: margin_p},
        )
    return logs


def audited(run: ProxyRun, wrong: np.ndarray) -> list[dict[str, object]]:
    """A row for each score; those of the two audits have the estimated share, too."""
    rows = []
    for name, log in logs_of(run).items():
        found = audit(log, name)
        row = quality(f"audit of {name}", found.suspects.combined, "lowest", wrong, 1)
        share = found.share
        rows.append(row | {"estimate": share.estimate, "low": share.low, "high": share.high})
    losses = run.trajectory(Signal.LOSS, "online")
    scores = {"AUM": (methods.parse("AUM").score(run), "lowest"), "loss": (losses.mean(axis=0), "highest")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores |= {name: (methods.parse(name).score(run), "lowest") for name in VARIANTS}
    return rows + [quality(name, values, end, wrong, 1) for name, (values, end) in scores.items()]


def quality(name: str, values: np.ndarray, end: str, wrong: np.ndarray, trainings: int) -> dict[str, object]:
    """AUROC, and precision among as many suspects as there are wrong labels; None without any."""
    from sklearn.metrics import roc_auc_score

    suspicion = np.asarray(values) if end == "highest" else -np.asarray(values)
    found = {"score": name, "trainings": trainings}
    if wrong.any():
        first = np.argsort(-suspicion, kind="stable")[: wrong.sum()]
        found |= {"auroc": roc_auc_score(wrong, suspicion), "precision": wrong[first].mean()}
    return found


def by_cleanlab(
    data: LabeledData,
    split: Split,
    net: str,
    recipe: TrainSpec,
    seed: int,
    folds: int,
    wrong: np.ndarray,
) -> list[dict[str, object]]:
    """cleanlab's self-confidence and its count of label issues, from out-of-fold probabilities."""
    from cleanlab.count import num_label_issues
    from cleanlab.rank import get_self_confidence_for_each_label

    labels, device = data.train.labels[split.train], torch.device("cpu")
    probabilities = np.zeros((len(labels), data.num_classes))
    fold_of = stream(seed, "audit_quality", "folds").permutation(len(labels)) % folds
    for fold in range(folds):
        meter = Meter(device)
        network = build(net, data.train.shape, data.num_classes, seed=key(seed, "fold", fold))
        inside, outside = split.train[fold_of != fold], split.train[fold_of == fold]
        train(network, data.train, inside, recipe, seed=key(seed, "fold", fold), device=device, meter=meter)
        passes = evaluate(network, data.train, outside, device=device, meter=meter, kind="record")
        logits = torch.cat([z for _, z, _ in passes])
        probabilities[fold_of == fold] = torch.softmax(logits.double(), dim=1).numpy()
    confidence = get_self_confidence_for_each_label(labels, probabilities)
    row = quality("cleanlab: self-confidence", confidence, "lowest", wrong, folds)
    return [{**row, "estimate": num_label_issues(labels, probabilities) / len(labels)}]


def keep(rows: list[dict[str, object]]) -> None:
    """Put rows into the file of results; those of the same setting and score are replaced."""
    identity = ("data", "rows", "net", "epochs", "seed", "kind", "rate", "score")
    texts = [{name: _text(row.get(name)) for name in FIELDS} for row in rows]
    new = {tuple(row[name] for name in identity) for row in texts}
    held = [row for row in read(RESULTS) if tuple(row[name] for name in identity) not in new]
    handle = io.StringIO(newline="")
    writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(held + texts)
    write_bytes(RESULTS, handle.getvalue().encode())


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.5g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
