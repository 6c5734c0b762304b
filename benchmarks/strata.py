"""Figure 5b: strata over the score instead of its highest rows, for CLD and for AUM.

    python benchmarks/strata.py --data_path DIR

Strata are CCS's: 50 of equal width over the score, drawn from alike; CCS itself adds a cut of the rows with
the lowest AUM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.claim_curves import curve_figure, curve_table, differences, direction_words, side_verdict
from benchmarks.claim_records import Record, accuracies
from benchmarks.claims import Claim, Setting, Size, Verdict, main, verdict_by
from benchmarks.gpu_hours import loads_of
from deepcore.experiment.spec import ExperimentSpec

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "CLD": "CLD, highest",
    "CLD:sampler=strata": "CLD, strata",
    "AUM": "AUM, lowest",
    "AUM:sampler=strata": "AUM, strata",
    "CCS": "CCS (AUM, cut and strata)",
    "Random": "random rows",
}
SIZES = {
    "quick": Size("Digits", ("MLP",), (0.1, 0.3), 3, 12),
    "reduced": Size("Digits", ("MLP",), (0.05, 0.1, 0.2, 0.5), 8, 30),
    "full": Size(
        "CIFAR100", ("ResNet18",), (0.002, 0.006, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.2, 0.5, 0.75), 5
    ),
}


def experiment(size: Size) -> ExperimentSpec:
    """Both scores, both ways."""
    return size.experiment(list(NAMES))


def measure(setting: Setting) -> list[Record]:
    """Train everything."""
    return accuracies(setting.rows(experiment(setting.size)))


def judge(records: Sequence[Record]) -> list[Verdict]:
    """Strata lower CLD's accuracy at every fraction; they raise AUM's at some."""
    of_aum = differences(records, "AUM:sampler=strata", "AUM")
    sides = [cell.verdict for cell in of_aum.values()]
    raises = True if "above" in sides else False if all(side == "below" for side in sides) else None
    return [
        side_verdict(
            "strata over CLD give a lower accuracy than the highest CLD, at every fraction",
            differences(records, "CLD:sampler=strata", "CLD"),
            "below",
        ),
        verdict_by(raises, "strata over AUM help at some fraction", direction_words(of_aum)),
    ]


def draw(records: Sequence[Record]) -> Figure:
    """Accuracy, and difference from the highest CLD."""
    return curve_figure(records, NAMES, "CLD", "Strata over the score (Figure 5b)", margin=None)


CLAIM = Claim(
    name="strata",
    paper="Figure 5b",
    sizes=SIZES,
    loads=lambda size: loads_of(experiment(size), size.dataset),
    measure=measure,
    judge=judge,
    table=lambda records: curve_table(records, NAMES, "CLD"),
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(main(CLAIM))
