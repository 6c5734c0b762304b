"""Changes of a file's content: at bytes, at fields of JSON, CSV and text, at the arrays of an .npz."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import numpy as np

Change = tuple[str, float, Any]  # what, where as a share of the content, with what

ODD_JSON = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        0.5,
        1e308,
        -1e308,
        10**30,
        2**63,
        "",
        "x",
        "online",
        "ok",
        "\udcff",
        [],
        {},
    ),
    *([[]], [None], [1, "x"], {"a": 1}, float("nan"), float("inf"), "x" * 5000),
)
ODD_CELLS = (
    *(
        "",
        "nan",
        "inf",
        "-1",
        "1e999",
        "99999999999999999999",
        "1000000000",
        "x",
        '"',
        "'",
        "1,2",
        "\x00",
        "\udcff",
    ),
    *("0x10", "１", " 1 ", "true", "-0", "1e9", "x" * 2000, "\r\n", "a\tb"),
)
DTYPES = ("float16", "float64", "int8", "uint64", "complex64", "bool", "U5", "S3")
BYTES = ("flip", "cut", "insert", "zero", "double", "drop", "set", "number")


def changes(rng: random.Random, forms: tuple[str, ...]) -> tuple[Change, ...]:
    """One to three changes of the given forms."""
    return tuple(
        (rng.choice(forms), rng.random(), rng.randrange(1 << 30)) for _ in range(rng.choice((1, 1, 1, 2, 3)))
    )


def changed(content: bytes, made: tuple[Change, ...]) -> bytes:
    """The content after the changes; one that does not apply leaves it as it is."""
    for form, where, number in made:
        content = FORMS[form](content, where, random.Random(number))
    return content


def _bytes(form: str, content: bytes, where: float, rng: random.Random) -> bytes:
    at, length = int(where * len(content)), rng.choice((1, 1, 2, 4, 8, 64, 512))
    if form == "flip" and content:
        return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]
    if form == "set":
        return content[:at] + rng.randbytes(length) + content[at + length :]
    if form == "zero":
        return content[:at] + rng.choice((b"\x00", b"\xff")) * length + content[at + length :]
    if form == "insert":
        return content[:at] + rng.randbytes(length) + content[at:]
    if form == "double":
        return content[: at + length] + content[at:]
    if form == "drop":
        return content[:at] + content[at + length :]
    if form == "number":  # a length or a size in a header
        size = rng.choice((2, 4, 8))
        value = rng.choice((0, 1, -1, 2**31 - 1, 2**15 - 1, 10**9)) % (1 << 8 * size)
        return content[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + content[at + size :]
    return content[:at]


def _json(content: bytes, where: float, rng: random.Random) -> bytes:
    """One value, anywhere in a JSON document, replaced, left out or put beside."""
    try:
        value = json.loads(content)
    except ValueError:
        return content
    places = _places(value)
    holder, key = places[int(where * len(places))] if places else (None, None)
    if holder is None:
        value = rng.choice(ODD_JSON)
    else:
        what = rng.random()
        if what < 0.6:
            holder[key] = rng.choice(ODD_JSON)
        elif what < 0.75 and isinstance(holder[key], (int, float)):
            holder[key] = holder[key] + rng.choice((1, -1, 0.5))
        elif what < 0.9:
            del holder[key]
        elif isinstance(holder, dict):
            holder[f"{key}_"] = holder[key]
        else:
            holder.append(holder[key])
    return json.dumps(value).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) within a JSON value."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def _lines(content: bytes, where: float, rng: random.Random) -> bytes:
    """A cell of a line, or a line."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    at = int(where * len(lines))
    what = rng.random()
    if what < 0.6:
        cells = lines[at].split(",")
        cells[rng.randrange(len(cells))] = rng.choice(ODD_CELLS)
        lines[at] = ",".join(cells)
    elif what < 0.7:
        lines.insert(at, lines[rng.randrange(len(lines))])
    elif what < 0.8:
        del lines[at]
    elif what < 0.9:
        lines[0] = rng.choice(
            (lines[0].upper(), lines[0] + ",id", lines[0].replace("id", "ID"), "", "\ufeff" + lines[0])
        )
    else:
        lines[at] += rng.choice((",", ",1", '"', "\r", " ", "#"))
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _array(array: np.ndarray, rng: random.Random) -> Any:
    """Another array in the place of one."""
    what = rng.randrange(12)
    flat = array.reshape(-1)
    if what == 0:
        return array[:-1] if array.ndim else array
    if what == 1:
        return array.astype(
            rng.choice(("float16", "float64", "int8", "uint64", "complex64", "bool", "U5", "S3"))
        )
    if what == 2:
        return array.reshape(-1)
    if what == 3:
        return array[..., None]
    if what == 4:
        return array[:0]
    if what == 5:
        return np.array(rng.choice((0, -1, 1e308, float("nan"), "x")))
    if what == 6:
        return np.concatenate([array, array]) if array.ndim else array
    if what == 7 and array.dtype.kind == "f":
        return np.where(
            np.arange(array.size).reshape(array.shape) == rng.randrange(array.size), np.nan, array
        )
    if what == 8 and array.dtype.kind in "iu" and array.size:
        value = rng.choice((-1, 0, 100, 10**6, 10**9, 2**62))
        copy = array.astype(np.int64)
        copy.reshape(-1)[rng.randrange(copy.size)] = value
        return copy
    if what == 9 and array.dtype.kind == "f" and array.size:
        copy = array.copy()
        copy.reshape(-1)[rng.randrange(copy.size)] = rng.choice((np.inf, -np.inf, 3e38, -1.0, 0.0))
        return copy
    if what == 10:
        return np.asfortranarray(array[::-1]) if array.ndim else array
    return flat[:1].reshape((1,) * max(array.ndim, 1)) if array.size else array


def _npz(content: bytes, where: float, rng: random.Random) -> bytes:
    """An array of an .npz, or of an .npy, replaced, left out, renamed or added."""
    try:
        held = np.load(io.BytesIO(content), allow_pickle=False)
        buffer = io.BytesIO()
        if isinstance(held, np.ndarray):
            np.save(buffer, _array(held, rng), allow_pickle=False)
            return buffer.getvalue()
        arrays = {name: held[name] for name in held.files}
        name = [*arrays][int(where * len(arrays))]
        what = rng.random()
        if what < 0.7:
            arrays[name] = _array(arrays[name], rng)
        elif what < 0.8:
            del arrays[name]
        elif what < 0.9:
            arrays[rng.choice(("x", "", "a/b", name.upper()))] = arrays.pop(name)
        else:
            arrays["more"] = np.zeros(3)
        np.savez(buffer, **arrays)
        return buffer.getvalue()
    except Exception:  # no array file any more, after another change
        return content


FORMS = {form: (lambda content, where, rng, form=form: _bytes(form, content, where, rng)) for form in BYTES}
FORMS |= {"json": _json, "line": _lines, "array": _npz}
