"""Facts about printed tables, by hand."""

from __future__ import annotations

from benchmarks.paper_check import facts, falls, main, not_best, over_full, pairs_in_common, table_facts
from benchmarks.paper_numbers import Printed

ROWS = {
    1.0: {"Random": Printed(10, 0.5), "CLD": Printed(12, 0.2), "A": Printed(13, 0.5)},
    5.0: {"Random": Printed(20, 0.5), "CLD": Printed(22, 0.2), "A": Printed(12, 0.5)},
    10.0: {"Random": Printed(30, 0.1), "CLD": Printed(31, 0.2), "A": Printed(31, 0.2)},
}


def test_facts_by_hand():
    assert not_best(ROWS, "CLD") == {1.0: "A"}  # equal means at 10% are no better one
    assert pairs_in_common(ROWS, lambda a, b: a.std == b.std) == {("Random", "A"): 2, ("CLD", "A"): 1}
    assert pairs_in_common(ROWS, lambda a, b: a == b) == {("CLD", "A"): 1}
    assert over_full(ROWS, Printed(30.5, 0)) == [(10.0, "CLD", 31), (10.0, "A", 31)]
    assert falls(ROWS) == [("A", 1.0, 5.0, 13, 12)]


def test_sentences_by_hand():
    text = "\n".join(table_facts("T", ROWS, Printed(30.5, 0.1)))
    assert "at 1 of 3 fractions another method's mean is above CLD's (A at 1%)." in text
    assert "at least half of the rows: Random and A in 2 of 3." in text
    assert "same mean and standard deviation: none; other pairs in fewer than 3: 1." in text
    assert "means above that of the whole training set (30.50%): 2, from 10% kept on; 2 of them" in text
    assert "fall when more is kept: 1, most of all A's from 1% to 5%, by 1.00 points." in text


def test_the_paper_s_tables(capsys):
    text = "\n".join(facts())
    assert "at 12 of 17 fractions" in text
    assert "Random and Cal in 14 of 17" in text
    assert "D2 and CLD in 6 of 15" in text
    assert main([]) == 0
    assert capsys.readouterr().out.strip() == text
