"""Figure 5a: CLD from the first third, the first half, every second and every third checkpoint against all.

    python benchmarks/subsampling.py --data_path DIR

The proxy and the targets train for all epochs; only the checkpoints that CLD reads differ.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.claim_curves import curve_figure, curve_table, differences, margin_verdict
from benchmarks.claim_records import Record, accuracies
from benchmarks.claims import Claim, Setting, Size, Verdict, main
from benchmarks.gpu_hours import loads_of
from deepcore.analysis.equivalence import equivalence, noninferiority
from deepcore.experiment.spec import ExperimentSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = {
    "quick": Size("Digits", ("MLP",), (0.1, 0.3), 3, 12),
    "reduced": Size("Digits", ("MLP",), (0.05, 0.1, 0.2, 0.5), 8, 30),
    "full": Size("ImageNet", ("ResNet18",), (0.1, 0.3, 0.5, 0.7, 0.9), 5),
}


def methods(epochs: int) -> dict[str, str]:
    """{method: its name here}."""
    return {
        "CLD": "all checkpoints",
        f"CLD:first={epochs // 3}": "first third",
        f"CLD:first={epochs // 2}": "first half",
        "CLD:every=2": "every second",
        "CLD:every=3": "every third",
        "Random": "random rows",
    }


def experiment(size: Size) -> ExperimentSpec:
    """CLD on parts of the trajectory."""
    return size.experiment(list(methods(size.recipe.epochs)))


def measure(setting: Setting) -> list[Record]:
    """Train everything."""
    return accuracies(setting.rows(experiment(setting.size)))


def names(records: Sequence[Record]) -> dict[str, str]:
    """{method: its name here}, of the records."""
    firsts = sorted(int(m.partition("=")[2]) for m in {r["method"] for r in records} if "first=" in m)
    return methods(2 * firsts[-1])


def judge(records: Sequence[Record]) -> list[Verdict]:
    """The paper calls the accuracy of the first checkpoints nearly identical, and that of every second or
    third one preserved or little degraded: the former are tested on both sides, the latter for a loss."""
    said = {
        "first third": ("CLD on the first third of the checkpoints is within 1 point of CLD on all, at every "
                        "fraction", equivalence),
        "first half": ("the same for the first half", equivalence),
        "every second": ("CLD on every second checkpoint loses less than 1 point against CLD on all, at "
                         "every fraction", noninferiority),
        "every third": ("the same for every third checkpoint", noninferiority),
        "random rows": ("control: random rows lose less than 1 point against CLD on all checkpoints, too",
                        noninferiority),
    }  # fmt: skip
    return [
        margin_verdict(said[name][0], list(differences(records, method, "CLD").values()), said[name][1])
        for method, name in names(records).items()
        if method != "CLD"
    ]


def draw(records: Sequence[Record]) -> Figure:
    """Accuracy, and difference from CLD on all checkpoints."""
    title = "CLD from a part of the checkpoints (Figure 5a)"
    return curve_figure(records, names(records), "CLD", title, margin=1.0)


CLAIM = Claim(
    name="subsampling",
    paper="Figure 5a",
    sizes=SIZES,
    loads=lambda size: loads_of(experiment(size), size.dataset),
    measure=measure,
    judge=judge,
    table=lambda records: curve_table(records, names(records), "CLD"),
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
