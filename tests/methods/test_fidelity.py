import ast
from pathlib import Path

import pytest

import methods
from methods import fidelity

ROOT = Path(__file__).parents[2]
CLAIMED = {name: cls.facts for name, cls in methods.METHODS.items() if cls.facts is not None}


def test_the_file_says_what_the_classes_say():
    assert fidelity.main(["--check"]) == 0, "run python -m methods.fidelity"


def test_check_fails_on_an_old_file(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fidelity, "README", tmp_path / "README.md")
    assert fidelity.main(["--check"]) == 1
    assert fidelity.main([]) == 0
    assert fidelity.main(["--check"]) == 0
    fidelity.README.write_text(fidelity.README.read_text() + "x")
    assert fidelity.main(["--check"]) == 1
    assert "python -m methods.fidelity" in capsys.readouterr().err


@pytest.mark.parametrize("name", CLAIMED)
def test_every_anchor_is_a_test_that_exists(name):
    path, _, function = CLAIMED[name].anchor.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.startswith("test_")
    assert function in found


def test_one_row_a_method_with_every_column():
    rows = [line for line in fidelity.table().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(methods.METHODS)
    for row in rows:
        assert row.replace("\\|", "").count("|") == len(fidelity.COLUMNS) + 1


def test_what_claims_nothing_is_described_in_whole_sentences():
    rows = {line.split(" | ")[0][2:]: line.split(" | ") for line in fidelity.table().splitlines()[2:]}
    for name, cls in methods.METHODS.items():
        if cls.facts is None:
            rule = rows[name][fidelity.COLUMNS.index("rule")]
            assert rule.endswith("."), rule
            assert rows[name][fidelity.COLUMNS.index("anchor")] == "none: nothing is claimed"
