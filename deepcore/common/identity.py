"""Identity of a specification: its plain JSON form and a fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any


def to_dict(spec: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values (tuples become lists), keys sorted."""
    return json.loads(json.dumps(dataclasses.asdict(spec), sort_keys=True))


def fingerprint(*parts: Any) -> str:
    """Sixteen hex digits that identify the JSON content of `parts`."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
