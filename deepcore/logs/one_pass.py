"""A log of which only the finished scores are kept, in memory or in a folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepcore.common.checks import UsageError
from deepcore.logs.keeper import Keeper
from deepcore.logs.part import Classes, Part, Row
from deepcore.proxy.logs import check_known
from deepcore.proxy.own_log import check_label_range, numbered_ids
from deepcore.proxy.run import ProxyRun, class_means
from deepcore.proxy.signals import Signal
from deepcore.scoring.running import RunningScores


class OnePassKeeper(Keeper):
    """The finished scores and what they need to go on."""

    def __init__(self, path: Path | None, facts: Mapping[str, Any]) -> None:
        super().__init__(path, facts)
        self.scores: RunningScores | None = None

    def _make(self, row: Row, val: Row | None, classes: Classes) -> RunningScores:
        """Empty scores for the parts at hand."""
        if row.labels is not None and (row.labels < 0).any():
            raise UsageError(
                'mode="one_pass" needs every label from the first epoch on: give labels to the recorder'
            )
        labels = np.zeros(len(row.columns), np.int64) if row.labels is None else row.labels
        val_labels = self._val_labels(row, val)
        highest = max(int(labels.max()), -1 if val_labels is None else int(val_labels.max(initial=0)))
        check_label_range(labels, len(labels), "labels")
        if val_labels is not None:
            lacking = np.setdiff1d(labels, val_labels)
            if lacking.size:
                raise UsageError(
                    f"class {lacking[0]} has no validation row ({lacking.size} such classes): hold out at "
                    "least one of each class, or leave all labels out for one validation trajectory"
                )
        return RunningScores(
            labels,
            max(len(classes.names), highest + 1),
            frozenset(row.values),
            gaps=self.facts["missing"] == "nan",
            has_val=val_labels is not None,
            initial=self.facts["has_initial"],
        )

    @staticmethod
    def _val_labels(row: Row, val: Row | None) -> np.ndarray | None:
        """The class of each validation row; None where CLD cannot compare with them."""
        if val is None or (row.labels is None) != (val.labels is None):
            return None
        return np.zeros(len(val.columns), np.int64) if val.labels is None else val.labels

    def _resume(self, part: Part, val: Part) -> None:
        rows = [
            Row(dict.fromkeys(one.signals or (), np.zeros(0)), one.columns, one.labels, 0, 0)
            if one.columns is not None
            else None
            for one in (part, val)
        ]
        self.scores = self._make(rows[0], rows[1], part.classes)
        self.scores.load(self.folder.state(), str(self.folder.path))

    def _keep(self, row: Row, val: Row | None, classes: Classes, facts: Mapping[str, Any]) -> None:
        scores = self.scores or self._make(row, val, classes)
        val_labels, means = self._val_labels(row, val), None
        if val_labels is not None:
            losses = val.values[Signal.LOSS][None]
            means = class_means(losses, val_labels, scores.num_classes)[0]
        before = None
        if self.folder is not None:
            before = {name: array.copy() for name, array in scores.state().items()}
        first = self.facts["has_initial"] and not self.counts
        scores.update(row.values, means, initial=first)
        if self.folder is not None:
            try:
                self.folder.replace_state(scores.state(), facts)
            except BaseException:
                scores.load(before, "the scores")
                raise
        self.scores = scores

    def arrays(self, part: Part, val: Part) -> dict[str, np.ndarray]:
        raise UsageError('mode="one_pass" keeps no log to save: its scores are those of run()')

    def run(self, part: Part, val: Part) -> ProxyRun:
        return one_pass_run(
            self.scores,
            part.columns.ids,
            part.labels,
            list(part.classes.names),
            gaps=self.facts["missing"] == "nan",
            notes=self.notes(),
        )


def one_pass_run(
    scores: RunningScores,
    ids: np.ndarray,
    labels: np.ndarray | None,
    class_names: list[str],
    *,
    gaps: bool,
    notes: tuple[str, ...],
) -> ProxyRun:
    """A run without trajectories: the finished scores and what goes with them."""
    check_known(scores.known, ids, "id")
    numbers, names = numbered_ids(ids, "ids")
    run = ProxyRun(
        ids=numbers,
        labels=np.zeros(len(ids), np.int64) if labels is None else labels,
        num_classes=scores.num_classes,
        has_initial=False,
        modes_agree=True,
    )
    own = dataclasses.replace(
        run.log,
        names=names,
        class_names=tuple(class_names),
        has_classes=labels is not None,
        has_gaps=gaps,
        scores=scores.scores(),
        summaries=scores.summaries(),
        notes=notes,
    )
    return dataclasses.replace(run, log=own)
