"""Methods by name, and from the text that --selection takes."""

from __future__ import annotations

import pytest

import methods
from deepcore.common.checks import UsageError
from methods.cld import CLD
from methods.from_file import FromFile
from methods.ltc import LTC
from methods.random import Full, Random


def test_names_and_aliases():
    assert methods.get("CLD") is CLD
    assert methods.get("LTC") is LTC
    assert methods.get("Uniform") is methods.get("Random") is Random
    assert methods.get("file") is FromFile
    for name, cls in methods.METHODS.items():
        assert cls.name == name
    with pytest.raises(
        UsageError, match=r"unknown method 'cld' \(did you mean CLD\?\); valid: .*LTC.*Uniform.*file"
    ):
        methods.get("cld")


def test_parse():
    assert methods.parse("CLD") == CLD()
    assert methods.parse("Full:") == Full()
    assert methods.parse(" CLD : first = 45 , every=2 ") == CLD(first=45, every=2)
    assert methods.parse("CLD:first=none,initial=FALSE") == CLD(initial=False)
    assert methods.parse("CLD:initial=None,class_balanced=false,record=online") == CLD(
        class_balanced=False, record="online"
    )
    assert methods.parse("LTC:correlation=spearman,keep=lowest") == LTC(correlation="spearman", keep="lowest")
    assert methods.parse("Uniform:class_balanced=true") == Random()


@pytest.mark.parametrize("text", ["CLD", "CLD:first=45,every=2", "LTC:initial=False,keep=zero", "Full"])
def test_labels_parse_back(text):
    method = methods.parse(text)
    assert method.label() == text
    assert methods.parse(method.label()) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown method ''"),
        ("CDL", r"unknown method 'CDL' \(did you mean CLD\?\)"),
        ("CLD:first", "'first' is not field=value; fields of CLD: .*first, every"),
        ("CLD:fist=3", r"unknown field of CLD 'fist' \(did you mean first\?\); valid: .*every"),
        ("CLD:first=3,first=4", "the field first is set twice"),
        ("CLD:first=many", "CLD:first=many: expected a whole number or none"),
        ("CLD:first=4.5", "CLD:first=4.5: expected a whole number or none"),
        ("CLD:every=", "CLD:every=: expected a whole number"),
        ("CLD:every=none", "CLD:every=none: expected a whole number"),
        ("CLD:initial=1", "CLD:initial=1: expected true or false or none"),
        ("CLD:class_balanced=none", "CLD:class_balanced=none: expected true or false"),
        ("CLD:first=0", "first is 0"),
        ("CLD:name=x", "unknown field of CLD 'name'"),
        ("CLD:every=2,", "'' is not field=value"),
    ],
)
def test_refused(text, message):
    with pytest.raises(UsageError, match=message):
        methods.parse(text)
