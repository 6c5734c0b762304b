"""Values for flags and fields: fitting ones, and those that people and programs slip in."""

from __future__ import annotations

import dataclasses
import random
import typing

import methods

ODD_TEXT = (
    *("", " ", "--", "-", "nan", "inf", "-inf", "None", "none", "null", "0", "-1", "1e309", "1e-400", "0x10"),
    *("１２", "1_000", "1,5", "½", "é" * 3, "\udcff", "a b", "x" * 5000, "y z " * 1500, "a,b=c", "{seed}"),
    *(
        "../..",
        "/",
        "/dev/null",
        "/nonexistent/x",
        "%s",
        "{}",
        "$HOME",
        "~",
        "'",
        '"',
        "\\",
        "\t",
        "#",
        ":",
        "=",
    ),
)
ODD_WHOLE = (
    *("0", "-1", "-0", "+1", "1.0", "1e3", "2147483648", "4294967296", "9223372036854775807"),
    *("9223372036854775808", "99999999999999999999", "1000000", "100000000", "-9223372036854775809"),
)
ODD_NUMBER = (
    *("0", "-0.0", "1", "1.0000001", "-1e-9", "1e-300", "1e300", "1e400", "nan", "inf", "-inf"),
    "5e-324",
)


def odd(rng: random.Random) -> str:
    """Anything."""
    return rng.choice(rng.choice((ODD_TEXT, ODD_WHOLE, ODD_NUMBER)))


def whole(rng: random.Random) -> str:
    """A whole number, mostly a small one."""
    return str(rng.choice((1, 1, 2, 2, 3, 5, 10, 64))) if rng.random() < 0.75 else rng.choice(ODD_WHOLE)


def number(rng: random.Random) -> str:
    """A number, mostly a share."""
    return f"{rng.random():.3g}" if rng.random() < 0.75 else rng.choice(ODD_NUMBER)


def method(rng: random.Random) -> str:
    """A method string, from the fields of a registered method."""
    if rng.random() < 0.06:
        return rng.choice(
            ("file:ids.csv", "file:none.csv", "file:", "file:{seed}.csv", "file:ids.csv:x", odd(rng))
        )
    name = rng.choice([*methods.METHODS, *methods.ALIASES])
    cls = methods.get(name)
    hints = typing.get_type_hints(cls)
    fields = list(dataclasses.fields(cls))
    items = []
    for field in rng.sample(fields, min(len(fields), rng.choice((0, 0, 1, 1, 2, 3)))):
        items.append(f"{field.name}={_field_value(rng, field.name, hints[field.name])}")
    if rng.random() < 0.03:
        items.append(rng.choice(("", "=", "x", "x=1", "first", "a=b=c", odd(rng))))
    return name + (":" + ",".join(items) if items else "")


WORDS = (
    *("online", "post_epoch", "top", "strata", "beta", "middle", "drop", "el2n", "aum", "forgetting", "cld"),
    *("class", "global", "sum", "product", "weighted", "absolute", "mean", "probability", "logit", "cpu"),
    *("cuda", "meta", "nope"),
)


def _field_value(rng: random.Random, name: str, hint: object) -> str:
    """Of the field's type, or not."""
    kinds = typing.get_args(hint) or (hint,)
    if rng.random() < 0.1:
        return odd(rng)
    kind = rng.choice(kinds)
    if kind is bool:
        return rng.choice(("true", "false"))
    if kind is int:
        return whole(rng)
    if kind is float:
        return number(rng)
    return "none" if kind is type(None) else rng.choice(WORDS)
