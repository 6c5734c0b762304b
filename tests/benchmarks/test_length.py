"""Accuracy against epochs: rows of several lengths in one file, curves by hand."""

from __future__ import annotations

from rows import rows_of

from benchmarks import length
from benchmarks.length_figure import length_figure, length_sentences, length_values
from deepcore.experiment.rows_csv import from_csv

ROWS = [
    *rows_of("Random", 50, 52, epochs=10, fraction=0.01),
    *rows_of("Random", 60, 64, epochs=20, fraction=0.01),
    *rows_of("Random", 70, epochs=10, fraction=0.05),
]


def test_curves_by_hand():
    values = length_values(ROWS)
    assert values["MLP", 0.01] == [(10, 51.0, 2**0.5), (20, 62.0, 8**0.5)]
    assert values["MLP", 0.05] == [(10, 70.0, 0.0)]
    first, last = length_sentences(ROWS)  # 5% kept has one length
    assert first == "MLP, 1% kept (2 seeds), in points: 10 to 20 epochs +11.00."
    assert last == "The last doubling changes nothing that these seeds can tell."
    (ax,) = length_figure(ROWS).axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["1% kept", "5% kept"]


def test_what_the_last_doubling_changes():
    def rows(epochs, *accuracies):
        return rows_of("Random", *accuracies, epochs=epochs, fraction=0.01)

    long = [*rows(10, 10, 11, 12), *rows(20, 50, 51, 52), *rows(40, 50.5, 50.5, 52.5), *rows(80, 50, 51, 52)]
    first, last = length_sentences(long)
    assert first.endswith(
        "points: 20 to 40 epochs +0.17 [-1.27, +1.60], 40 to 80 epochs -0.17 [-1.60, +1.27]."
    )
    assert last.endswith("can tell; by its intervals it could change up to 1.6 points.")
    risen = [*rows(10, 50, 51, 52), *rows(20, 60, 61.1, 61.9)]
    assert "can tell, but for MLP, 1% kept; by" in length_sentences(risen)[1]


def test_lengths_come_into_one_file_and_a_second_command_adds_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(length, "EPOCHS", (2, 3))
    argv = ["--dataset", "Synthetic", "--save_path", str(tmp_path), "--fraction", "0.1"]
    assert length.main([*argv, "--seeds", "0"]) == 0
    assert length.main([*argv, "--seeds", "0", "1"]) == 0
    rows = from_csv((tmp_path / "length.csv").read_text())
    assert sorted((row.epochs, row.seed) for row in rows) == [(2, 0), (2, 1), (3, 0), (3, 1)]
