"""Generated parts of a page: the text between `<!-- KIND: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def filled(path: Path, kind: str, parts: Mapping[str, str]) -> str:
    """The file's text with its parts of this kind replaced; SystemExit when its names are not those of
    `parts`."""
    text = path.read_text()
    missing = set(parts) ^ set(re.findall(rf"<!-- {kind}: (\w+) -->", text))
    if missing:
        raise SystemExit(f"{path.name}: not in the file, or not generated: {', '.join(sorted(missing))}")
    marked = re.compile(rf"(?<=<!-- {kind}: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
    return marked.sub(lambda mark: f"{mark[1]}{mark[2]}{parts[mark[1]]}\n", text)


def write_or_check(files: Mapping[Path, str], *, check: bool, command: str) -> int:
    """Write the files, or with `check` name those that differ; returns 1 when some do."""
    stale = []
    for path, text in files.items():
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            stale.append(path.name)
    for name in stale:
        print(f"{name} is out of date: run {command}")
    return 1 if stale else 0
