"""The rooms of the package: who may import whom, and that the README lists them."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "deepcore"
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE)  # lowest first
METHODS_MAY = {"common", "data", "proxy", "scoring", "selection"}
DOOR = ("__init__", "__main__", "version")  # of the package itself, outside the rooms


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The modules of this project that a file imports, also within functions and for type checkers;
    `from deepcore.nets import networks` names the file networks."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = ROOT / Path(*node.module.split(".")) / f"{alias.name}.py"
                found.add(f"{node.module}.{alias.name}" if inner.exists() else node.module)
    return {name for name in found if name.split(".")[0] in ("deepcore", "methods", "main", "benchmarks")}


def room(name: str) -> str | None:
    """The room of a module; None for the package's own door."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] not in DOOR else None


def test_the_readme_lists_the_rooms():
    assert sorted(ROOMS) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(DOOR)


@pytest.mark.parametrize("path", files(), ids=module)
def test_a_room_imports_only_rooms_below_it(path):
    own = room(module(path))
    for name in imported(path):
        if not name.startswith("deepcore"):
            assert own == "cli" or path.stem == "__main__", (
                f"{path} imports {name}: the engine knows no methods"
            )
            continue
        if own is None:  # the door: its rooms are imported when a name is first used
            continue
        target = room(name)
        assert target is not None or name == "deepcore.version", f"{path} imports the door"
        assert target is None or ROOMS.index(target) <= ROOMS.index(own), f"{path} imports {name}, above it"


def test_there_is_no_circle():
    graph = {module(path): imported(path) for path in files() if path.stem != "__init__"}
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle


def test_the_check_would_find_a_circle_and_a_step_up(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from deepcore.report import page\n    import methods.cld\n")
    assert imported(path) == {"deepcore.report.page", "methods.cld"}
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())


@pytest.mark.parametrize("path", sorted((ROOT / "methods").glob("*.py")), ids=lambda path: path.stem)
def test_methods_import_nothing_above_selection(path):
    rooms = {room(name) for name in imported(path) if name.startswith("deepcore")}
    assert rooms <= METHODS_MAY


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_says_what_lives_there_and_exports_its_names(name):
    tree = ast.parse((PACKAGE / name / "__init__.py").read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree)
    assert doc
    assert len(doc.splitlines()) <= 3
    exported = __import__(f"deepcore.{name}", fromlist=["__all__"])
    for public in exported.__all__ if name != "cli" else ():
        assert getattr(exported, public) is not None


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, deepcore\n"
        "heavy = {'torch', 'numpy', 'scipy', 'sklearn', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_names_of_the_door_are_there():
    import deepcore

    for name in deepcore.__all__:
        assert getattr(deepcore, name) is not None
    assert set(deepcore.__all__) <= set(dir(deepcore))
    with pytest.raises(AttributeError, match="nothing"):
        _ = deepcore.nothing


def loaded_at_once(tree: ast.Module) -> set[str]:
    """The packages that a file imports when it is imported: not in functions, not for type checkers."""
    found, waiting = set(), list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


def test_what_may_be_missing_is_imported_when_it_is_used():
    """The main job then runs without it: tests/cli/test_main.py."""
    paths = [*files(), *(ROOT / "methods").glob("*.py"), ROOT / "main.py"]
    for path in paths:
        at_once = loaded_at_once(ast.parse(path.read_text(encoding="utf-8")))
        assert not at_once & {"tqdm", "matplotlib", "torchvision", "ray"}, path
    script = (
        "import a\nif TYPE_CHECKING: import b\nclass C:\n  import c.d\n  def f(): import e\n"
        "try: from f.g import h\nexcept ImportError: import i\n"
    )
    assert loaded_at_once(ast.parse(script)) == {"a", "c", "f", "i"}


def test_the_readme_lists_the_names_of_the_door():
    import deepcore

    listed = re.search(r"<!-- names of deepcore -->\n(.*?)<!-- end -->", README, re.DOTALL)[1]
    assert set(re.findall(r"`(\w+)`", listed)) == set(deepcore.__all__) - {"__version__"}
