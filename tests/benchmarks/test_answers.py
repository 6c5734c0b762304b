"""Verdicts over data sets, and the sentences, tables and figures made from them by rule."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from rows import rows_of
from scipy import stats as scipy_stats

from benchmarks import (
    answers,
    long_tables,
    repeats,
    results_tables,
    score_study,
    seed_overlap,
    what_to_record,
)
from benchmarks.in_rows import CLD, FORMS, NO_INITIAL, ONLINE, ONLINE_INITIAL
from benchmarks.matrix_figure import matrix_figure, matrix_values
from benchmarks.published import Head, Published, by_title, studies_of, title_of
from benchmarks.rank_figure import rank_figure
from benchmarks.result_figures import ranks_of
from benchmarks.score_study import Finding
from benchmarks.verdicts import (
    accuracies_by_data_set,
    cells_of,
    columns_of,
    count,
    mean_difference,
    of_label,
    ordered,
)
from benchmarks.wording import bullets, signed
from deepcore.analysis.critical_difference import rank_differences
from deepcore.analysis.overlap import Scores
from deepcore.experiment.rows_csv import to_csv

UP, SAME, DOWN = (3.0, 3.1, 2.9), (0.5, -0.5, 0.1), (-2.0, -2.1, -1.9)  # minus Random, by seed
RANDOM = (50.0, 51.0, 52.0)


def beside(label, differences, fraction=0.1, **fields):
    return rows_of(
        label, *(r + d for r, d in zip(RANDOM, differences, strict=False)), fraction=fraction, **fields
    )


def head(methods, fractions=(0.1,), **fields):
    rows = []
    for fraction in fractions:
        rows += rows_of("Random", *RANDOM, fraction=fraction, **fields)
        for label, differences in methods.items():
            rows += beside(label, differences, fraction, **fields)
    return Head.of(rows)


FORM_ROWS = {CLD: DOWN, NO_INITIAL: SAME, ONLINE: UP, ONLINE_INITIAL: SAME}


@pytest.fixture
def heads():
    """Two data sets: on the second a fraction more, and EL2N with two seeds."""
    return {
        "Letter": head({**FORM_ROWS, "DUAL": UP, "AUM": DOWN, "CCS": SAME, "D2": SAME, "Full@k": UP}),
        "Spam": head(
            {**FORM_ROWS, "DUAL": UP, "AUM": SAME, "CCS": SAME, "D2": SAME, "EL2N": UP[:2]}, (0.1, 0.3)
        ),
    }


def test_cells_and_their_order(heads):
    cells = cells_of(heads)
    assert columns_of(cells) == [("Letter", 0.1), ("Spam", 0.1), ("Spam", 0.3)]
    assert not of_label(cells, "EL2N")  # two seeds give no verdict
    dual = of_label(cells, "DUAL")
    assert (len(dual), count(dual, "above")) == (3, 3)
    assert mean_difference(dual) == pytest.approx(3.0)
    assert mean_difference(of_label(cells, "AUM")) == pytest.approx((-2 + 0.1 / 3) / 2)  # each data set once
    order = ordered(cells)
    assert set(order[:2]) == {"DUAL", ONLINE}
    assert order[-1] == "Full@k"  # reference rows last
    assert order.index("AUM") > order.index("CCS")


def test_a_changed_cld_is_no_cell_of_its_own():
    cells = cells_of({"x": head({CLD: SAME, "CLD:every=2": UP, "CLD:first=49": UP})})
    assert {c.label for c in cells} == {CLD, "CLD:first=49"}


def test_sentences_count_cells(heads):
    cells = cells_of(heads)
    text = bullets(answers.answer_sentences(cells))
    assert "2 data sets (Letter; Spam), 3 cells of a data set and a fraction, 3 seeds." in text
    assert "More often above Random than below: DUAL (3 above, 0 below of 3)." in text  # and no form of CLD
    assert (
        "2 of the 5 selections with rows in at least half of the cells (of CLD, the published form) are more "
        "often below Random than above: below in 33% to 100% of their cells."
    ) in text
    assert text.startswith("- So far 2 data sets")
    assert "In every cell some method is above Random." in text
    assert "CLD as published is above Random in 0 of 3 cells, below in 3, not told apart in 0" in text
    assert "Full@k) have a higher mean than every coreset in 0 of 1 cells" in text


def test_a_cell_without_a_winner_is_named():
    cells = cells_of({"Letter": head({"AUM": SAME, "EL2N": DOWN}, (0.01, 0.1))})
    text = bullets(answers.answer_sentences(cells))
    assert "No method is more often above Random than below." in text
    assert "In 2 of 2 cells no method is above Random: Letter at 1 and 10%." in text
    assert "CLD as published has no rows here." in text
    assert "beside Random only" not in text


def test_a_cell_of_few_methods_is_named():
    many = dict.fromkeys(("AUM", "EL2N", "DUAL"), UP)
    heads = {"Letter": head(many, (0.01,)), "Spam": head({"AUM": SAME}, (0.01, 0.1))}
    text = bullets(answers.answer_sentences(cells_of(heads)))
    assert "In 2 of 3 cells no method is above Random: Spam at 1 and 10%." in text
    assert "Spam at 1 and 10% has rows of 1 selection beside Random only." in text


def test_what_to_record_by_hand(heads):
    cells = cells_of(heads)
    assert what_to_record.form_means(cells) == pytest.approx(
        {CLD: -2.0, NO_INITIAL: 0.1 / 3, ONLINE: 3.0, ONLINE_INITIAL: 0.1 / 3}
    )
    assert what_to_record.sides_of(heads, cells, ONLINE, [CLD]) == {CLD: (3, 0, 0)}
    assert what_to_record.sides_of(heads, cells, ONLINE_INITIAL, [NO_INITIAL]) == {NO_INITIAL: (0, 0, 3)}
    lines = what_to_record.recording_sentences(heads, cells)
    assert lines[0].startswith(
        "CLD's mean is highest on the loss of each row in its own training batch (+3.0"
    )
    assert f"`{ONLINE}` is above `{CLD}` in 3 of 3 cells, below in 0, not told apart in 0." in lines
    few = what_to_record.recommendation(heads, cells)
    assert few[0] == "For CLD, nothing is recommended yet: 2 data sets cannot decide it."
    clear = head({**dict.fromkeys(FORMS, (0.1, 0.0, -0.1)), CLD: DOWN, ONLINE: UP})
    three = dict.fromkeys(("Letter", "Spam", "Satellite"), clear)
    advice = what_to_record.recommendation(three, cells_of(three))
    assert advice[0] == f"If you use CLD, record the loss of each row in its own training batch: `{ONLINE}`."
    assert "DUAL" in advice[1]
    assert "GraNd" not in advice[1]  # it reads features, too
    assert "TAP" not in advice[1]  # it trains a network of its own
    assert "features" in advice[2]
    assert advice[3].startswith("As published, CLD, LTC and S2L need a pass")


def test_holm_is_over_all_forms_that_are_compared(heads):
    """One comparison finds what three do not."""
    cells, others = cells_of(heads), [NO_INITIAL, CLD, ONLINE_INITIAL]
    alone = what_to_record.sides_of(heads, cells, ONLINE, [NO_INITIAL])
    together = what_to_record.sides_of(heads, cells, ONLINE, others)
    assert (alone[NO_INITIAL], together[NO_INITIAL]) == ((3, 0, 0), (0, 0, 3))
    assert together[CLD] == (3, 0, 0)


def test_a_form_that_never_beats_random_is_recommended_with_a_caution():
    level = head({**dict.fromkeys(FORMS, (-4.1, -4.0, -3.9)), CLD: (-6.0, -6.1, -5.9), ONLINE: SAME})
    three = dict.fromkeys(("Letter", "Spam", "Satellite"), level)
    advice = what_to_record.recommendation(three, cells_of(three))[0]
    assert advice.endswith(f"`{ONLINE}`. No form of CLD is more often above Random than below.")


def test_without_a_difference_nothing_is_recommended_for_cld():
    level = head(dict.fromkeys(FORMS, SAME) | {ONLINE: (0.6, -0.5, 0.1), "AUM": UP})
    three = dict.fromkeys(("Letter", "Spam", "Satellite"), level)
    assert what_to_record.recommendation(three, cells_of(three))[0].startswith(
        "For CLD, no recording is shown"
    )


def test_a_form_that_is_better_than_one_other_alone_is_not_recommended():
    """Its mean is the highest, and it is told apart from CLD, not from the others."""
    lower = (-9.0, -10.5, -9.6)
    rows = head({CLD: lower, NO_INITIAL: SAME, ONLINE: (0.6, -0.5, 0.1), ONLINE_INITIAL: SAME, "AUM": UP})
    three = dict.fromkeys(("Letter", "Spam", "Satellite"), rows)
    assert what_to_record.sides_of(three, cells_of(three), ONLINE, [CLD])[CLD][0] == 3
    assert what_to_record.recommendation(three, cells_of(three))[0].startswith(
        "For CLD, no recording is shown"
    )


def test_methods_of_equal_counts_are_named_together_or_not_at_all():
    """Seven methods above in one cell and one above in two: of equals none is picked out."""
    names = [f"file:{letter}.csv" for letter in "abcdefgh"]
    methods = dict.fromkeys(names, UP)
    cells = cells_of({"Letter": head(methods), "Spam": head({**dict.fromkeys(names, SAME), names[0]: UP})})
    text = bullets(answers.answer_sentences(cells))
    assert f"than below: {names[0]} (2 above, 0 below of 2); and 7 others." in text
    equal = cells_of({"Letter": head(methods)})
    text = bullets(answers.answer_sentences(equal))
    assert all(f"{name} (1 above, 0 below of 1)" in text for name in names)


def test_ranks_over_data_sets_by_hand(heads):
    accuracies = accuracies_by_data_set(heads)
    assert "EL2N" not in accuracies  # Letter has no row of it
    assert "Full@k" not in accuracies
    assert accuracies["DUAL"]["Spam"] == pytest.approx(54.0)
    three = {**heads, "Satellite": heads["Letter"]}
    found = rank_differences(accuracies_by_data_set(three))
    sentence = answers.rank_sentence(found)
    assert sentence.startswith("Over 3 data sets DUAL has the best average rank, 1.0 among 6")  # CLD once
    assert "is not told apart from it" in sentence
    ranks = [[accuracies[m][data] for m in accuracies] for data in ("Letter", "Spam", "Letter")]
    statistic, p = scipy_stats.friedmanchisquare(*np.array(ranks).T)
    assert sentence.endswith(f"chi-squared {statistic:.1f}, 5 degrees of freedom, p = {p:.3f}.")


def test_the_matrix_has_a_coloured_number_for_every_cell(heads):
    cells = cells_of(heads)
    (ax,) = matrix_figure(cells).axes
    texts = [text.get_text() for text in ax.texts]
    assert len(ax.patches) == len(cells) == len(matrix_values(cells))
    assert texts.count("+3.0") == count(of_label(cells, "DUAL"), "above") * 2 + 1  # DUAL, online, Full@k
    assert {"Letter", "Spam"} <= set(texts)
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "Full@k†"


def test_the_diagram_names_every_method_with_its_rank(heads):
    found = rank_differences(accuracies_by_data_set({**heads, "x": heads["Letter"]}))
    (ax,) = rank_figure(found).axes
    texts = {text.get_text() for text in ax.texts}
    for name, rank in found.ranks.ranks.items():
        assert f"{name} {rank:.1f}" in texts
    assert f"critical difference {found.critical:.1f}" in texts


def test_the_table_of_forms_by_hand(heads):
    table = long_tables.forms_over_data(cells_of(heads))
    assert table.headers == ("data", *FORMS)
    assert table.rows[1] == (
        "Spam", "-2.0 (▲0 ▼2 of 2)", "+0.0 (▲0 ▼0 of 2)", "+3.0 (▲2 ▼0 of 2)", "+0.0 (▲0 ▼0 of 2)",
    )  # fmt: skip
    assert table.rows[2][1] == "-2.0 (▲0 ▼3 of 3)"
    assert "| Letter" in long_tables.seeds_over_data(heads)


def study(values):
    """Two seeds of each measure, 0.01 below and above its mean."""
    return [
        Finding(seed, method, fraction, measure, value + shift)
        for (method, fraction, measure), value in values.items()
        for seed, shift in enumerate((-0.01, 0.01))
    ]


REPEATS = {CLD: 0.30, NO_INITIAL: 0.25, ONLINE: 0.06, ONLINE_INITIAL: 0.10, "DUAL": 0.20, "Random": 0.05}


@pytest.fixture
def repeated():
    """Two data sets with a study and one without; their cells, and what repeats on them."""
    labels = {CLD: DOWN, NO_INITIAL: (-9.0, -9.1, -8.9), ONLINE: SAME, ONLINE_INITIAL: (-1.0, -1.1, -0.9)}
    heads = {title: head({**labels, "DUAL": UP}, (0.05, 0.1)) for title in ("Letter", "Spam", "Digits")}
    values = {(m, 0.05, "kept_again"): share for m, share in REPEATS.items()}
    values |= {(CLD, 0.05, "kept_el2n"): 40, (CLD, 0.1, "kept_again"): 0.9, (CLD, None, "rho_seeds"): 0.8}
    values |= {(ONLINE, None, "rho_seeds"): 0.02, (CLD, None, "first_step"): 0.5}
    other = values | {(CLD, 0.05, "kept_again"): 0.20, (ONLINE, None, "rho_seeds"): -0.1}
    cells = cells_of(heads)
    return repeats.repeats({"Letter": study(values), "Spam": study(other)}, cells), cells


def test_what_repeats_by_hand(repeated):
    found, cells = repeated
    assert [(r.title, r.label) for r in found] == [(t, m) for t in ("Letter", "Spam") for m in REPEATS]
    first, second = found[0], found[len(REPEATS)]
    assert (first.first_step, first.rho_seeds, first.again) == pytest.approx((0.5, 0.8, 6.0))
    assert (first.rho_el2n, first.rho_first_drop, first.difference) == (None, None, pytest.approx(-2))
    assert second.again == pytest.approx(4)
    table = repeats.repeats_table(found)
    assert table.rows[0] == ("Letter", CLD, "50%", "-", "-", "+0.80", "6.0", "-2.0")
    assert table.rows[4] == ("Letter", "Random", "-", "-", "-", "-", "1.0", "+0.0")
    assert len(table.rows) == 2 * (len(FORMS) + 1)
    lines = repeats.repeat_sentences(found, cells, ONLINE)
    assert "in the median data set: CLD 5.0; CLD:initial=False 5.0; CLD:record=online 1.2;" in lines[0]
    assert lines[1].endswith("`CLD:record=online` correlate by -0.10 (Spam) to +0.02 (Letter).")
    assert "-0.89 over 8 pairs of a data set and a form of CLD" in lines[3]
    assert "one of DUAL" not in lines[3]  # two pairs give no correlation
    assert "keeps few of the same rows" in lines[4]
    assert "above Random in 0 of 6 cells, below in 0. These rows do not show" in lines[4]


def test_no_caution_for_a_form_that_repeats_or_is_above_random(repeated):
    found, cells = repeated
    assert len(repeats.repeat_sentences(found, cells, CLD)) == 3
    better = [dataclasses.replace(c, side="above") if c.label == ONLINE else c for c in cells]
    last = repeats.repeat_sentences(found, better, ONLINE)[-1]
    assert last.endswith("It is above Random in 6 of 6 cells, below in 0.")
    assert repeats.repeat_sentences([], cells, ONLINE) == repeats.repeat_sentences(found, cells, None) == []


def test_what_another_seed_keeps_by_hand():
    candidates = {0: np.arange(8), 1: np.arange(2, 10), 2: np.array([0, 1, 2, 3])}
    kept = {0: np.array([0, 2, 3]), 1: np.array([2, 9]), 2: np.array([1])}
    again = dict(seed_overlap.kept_again(kept, candidates))
    assert again[0] == pytest.approx((1 / 2 + 0 / 3) / 2)  # seed 1 lacks row 0; seed 2 has all three
    assert again[1] == pytest.approx((1 / 1 + 0 / 1) / 2)
    assert again[2] == 0  # row 1 is a candidate of seed 0 alone
    rising = {s: Scores(np.arange(s, s + 6), np.arange(6.0)) for s in (0, 1)}
    assert dict(seed_overlap.rank_agreement(rising)) == {0: pytest.approx(1), 1: pytest.approx(1)}
    flat = {**rising, 2: Scores(np.arange(6), np.zeros(6))}
    assert set(dict(seed_overlap.rank_agreement(flat))) == {0, 1}
    assert list(seed_overlap.rank_agreement({0: rising[0]})) == []


def test_effects_by_hand():
    labels = dict.fromkeys(label for _, *pair in long_tables.PROTOCOL for label in pair)
    effects = head({label: UP for label in labels if label != "Random"})
    curves = [
        Finding(seed, method, 0.1, measure, value + seed)
        for seed in range(3)
        for method in ("Random", "CLD")
        for measure, value in [("last", 50.0), ("best", 50.5), ("shifted", 48.0)]
    ]
    published = Published(effects, effects, {}, (), effects=effects, curves=curves)
    lines = {line[:3]: line[3] for line in long_tables.effects_table(published).rows}
    assert lines["best test epoch, not the last", "CLD", "CLD"] == "+0.5"  # no spread, no interval
    assert lines["ids read as rows of unsorted data", "CLD", "CLD"] == "-2.0"
    assert lines["validation rows trained on, too", "Random+Val†", "Random"] == "+3.0 [+2.8, +3.2]"
    without = dataclasses.replace(published, curves=())
    assert len(long_tables.effects_table(without).rows) == len(long_tables.PROTOCOL)


def test_flipped_labels_at_full_length_by_hand():
    clean = {"train": 0.1, "val": 0.0, "flipped": 9, "kept": 2, "auroc": 0.1}
    val = {"train": 0.0, "val": 0.3, "flipped": 0, "kept": 0, "auroc": None}
    grids = by_title(
        head({"CLD": DOWN}, dataset="FashionMNIST", k=10, label_noise=noise).rows for noise in (clean, val)
    )
    assert list(grids) == [
        "Fashion-MNIST, 10% of the labels flipped",
        "Fashion-MNIST, 30% of the validation labels flipped",
    ]
    table = long_tables.long_noise_table(grids)
    assert [line for line in table.rows if line[0] == "CLD"] == [("CLD", "▼ 49.0", "20.0", "0.900", "▼ 49.0")]


@pytest.mark.parametrize(("kept", "share", "advice"), [(5, "50.0", True), (1, "10.0", False)])
def test_a_form_that_keeps_flipped_rows_is_said_to(kept, share, advice):
    """Of 10 rows; of Random's, 4 are flipped. Flipped validation labels say nothing about it."""

    def noisy(label, flipped, differences, train=0.1):
        noise = {"train": train, "val": 0.0, "flipped": 9, "kept": flipped, "auroc": None}
        return beside(label, differences, dataset="FashionMNIST", k=10, label_noise=noise)

    train = Head.of([*noisy("Random", 4, SAME), *noisy(ONLINE, kept, SAME)])
    val = Head.of([*noisy("Random", 0, SAME, 0.0), *noisy(ONLINE, 9, SAME, 0.0)])
    (line,) = what_to_record.in_flipped_labels({"10%": train, "val": val}, ONLINE)
    assert line.startswith(f"With 10% of the labels flipped, {share}% of the rows that `{ONLINE}` keeps")
    assert "of random ones 40.0%" in line
    assert ("Do not use it" in line) == advice
    assert what_to_record.in_flipped_labels({"val": val}, ONLINE) == []


def test_what_flipped_labels_change_by_hand():
    clean = {"Letter": head({"CLD": UP, "DUAL": SAME}), "Spam": head({"CLD": UP})}
    noisy = {
        "Letter, 30% of the validation labels flipped": head({"CLD": DOWN, "DUAL": SAME, "AUM": UP}),
        "Digits, 10% of the labels flipped": head({"CLD": DOWN}),  # no clean rows
    }
    (line,) = long_tables.noise_sentences(clean, noisy)
    assert line == (
        "With 30% of the validation labels flipped, 10% kept, accuracies change against clean labels, in "
        "points: CLD -5.0 [-5.5, -4.5]; DUAL +0.0 [+0.0, +0.0]; Random +0.0 [+0.0, +0.0]."
    )


def test_no_minus_before_zero():
    assert [signed(x) for x in (-0.04, 0.05, -1.25)] == ["+0.0", "+0.1", "-1.2"]
    assert signed(-0.004, 2) == "+0.00"


def test_titles():
    (row,) = rows_of("CLD", 50, dataset="FashionMNIST")
    assert title_of(row) == "Fashion-MNIST"
    row = dataclasses.replace(row, long_tail={"imbalance": 100.0}, target_net="ConvNet")
    assert title_of(row) == "Fashion-MNIST, long tail, ConvNet"


def test_two_grids_of_one_title_are_one_and_a_row_counts_once():
    rows = rows_of("CLD", 50, 51)
    assert len(by_title([rows, [*rows, *rows_of("AUM", 1)]])["Digits"].rows) == 3


def test_two_studies_of_one_title_are_one(tmp_path):
    (row,) = rows_of("CLD", 50, dataset="FashionMNIST")
    for name, fraction in (("fashion_long", 0.05), ("fashion_long_large", 0.3)):
        findings = study({(CLD, fraction, "kept_again"): 0.1})
        (tmp_path / f"{name}_scores.csv").write_text(score_study.to_csv(findings))
    grids = {"fashion_long": [row], "fashion_long_large": [row], "letter": [row]}
    found = studies_of(grids, tmp_path)
    assert [(f.fraction, f.seed) for f in found["Fashion-MNIST"]] == [
        (0.05, 0),
        (0.05, 1),
        (0.3, 0),
        (0.3, 1),
    ]


def test_the_page_takes_the_grids_that_are_there(tmp_path):
    """Three data sets at full length, ranks among them, from files in a folder."""
    for name in ("fashion", "fashion_noise10", "fashion_noise30", "digits"):
        (tmp_path / f"{name}.csv").symlink_to(results_tables.HERE / "results" / f"{name}.csv")
    (tmp_path / "fashion_scores.csv").symlink_to(results_tables.HERE / "results" / "fashion_scores.csv")
    labels = {**FORM_ROWS, "DUAL": UP, "LTC": SAME, "AUM": DOWN, "CCS": SAME}
    for name in ("letter", "spam"):
        possible = {"worst": 40.0, "n_test": 1000}  # accuracies are shares of the test rows
        rows = head(labels, (0.01, 0.05), dataset=f"{name}.npz", **possible).rows
        (tmp_path / f"{name}.csv").write_text(to_csv(rows))
    tail = head(labels, (0.01,), dataset="FashionMNIST", **possible, long_tail={"imbalance": 100.0}).rows
    (tmp_path / "fashion_tail.csv").write_text(to_csv(tail))
    conv = head(labels, (0.002, 0.01), dataset="FashionMNIST", **possible, target_net="ConvNet").rows
    (tmp_path / "fashion_conv.csv").write_text(to_csv(conv))
    two = [study({(CLD, f, "kept_again"): 0.1}) for f in (0.01, 0.3)]
    for name, findings in zip(("letter", "letter_noise10"), two, strict=True):
        (tmp_path / f"{name}_scores.csv").write_text(score_study.to_csv(findings))
    published = Published.read(tmp_path)
    assert list(published.long) == ["Digits", "Letter", "Spam"]  # the long tail is no data set of its own
    assert list(published.settings) == ["fashion_conv", "fashion_tail"]  # nor is another network
    parts = results_tables.long_parts(published)
    assert "- CLD minus Random at 1%, in points: -2.0 (below)." in parts["tail"]
    assert "- CLD minus Random at 0.2 and 1%, in points: -2.0 (below) and -2.0 (below)." in parts["conv"]
    assert "- DUAL minus Random at 1%, in points: +3.0 (above)." in parts["tail"]
    assert "- CCS minus Random at 1%, in points: +0.0." in parts["tail"]
    assert "- 3 seeds find differences from Random of" in parts["conv"]
    assert all("**Accuracy in %" in parts[name] for name in ("tail", "conv"))
    assert "3 data sets (Digits; Letter; Spam), 9 cells" in parts["answer"]
    assert "figures/ranks.png" in parts["ranks"]
    assert "### Letter, accuracy" in parts["long_numbers"]
    assert "fashion_long_effects" in parts["effects"]
    assert ranks_of(published).ranks.n == 3
