"""The coreset methods, one file each, and the one table of them.

`get("CLD")` is the class; `parse("CLD:first=45,every=2")` is an instance with type-checked fields, the form
that `--selection` takes; `parse("file:PATH")` takes the path as it stands.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from deepcore.common.checks import UsageError, check_choice
from deepcore.selection.method import CoresetMethod
from methods.aum import AUM
from methods.boundary import BoundarySetCCS
from methods.cal import Cal
from methods.ccs import CCS
from methods.cld import CLD
from methods.craig import CRAIG
from methods.d2 import D2
from methods.dual import DUAL
from methods.dynunc import DynUnc
from methods.el2n import EL2N
from methods.facility_location import FacilityLocation
from methods.forgetting import Forgetting
from methods.from_file import FromFile
from methods.glister import Glister
from methods.gradmatch import GradMatch
from methods.grand import GraNd
from methods.graph_cut import GraphCut
from methods.herding import Herding
from methods.infomax import InfoMax
from methods.k_center import KCenter
from methods.ltc import LTC
from methods.moderate import Moderate
from methods.random import Full, Random
from methods.reference import RS2, FullAtK, RandomVal, ValOnly
from methods.s2l import S2L
from methods.slocurv import SloCurv
from methods.tap import TAP
from methods.tdds import TDDS
from methods.uncertainty import Entropy, LeastConfidence, Margin

# Each can be made without arguments; `file` needs its path and stands apart.
METHODS: dict[str, type[CoresetMethod]] = {
    "CLD": CLD,
    "LTC": LTC,
    "Random": Random,
    "Full": Full,
    "Full@k": FullAtK,
    "RS2": RS2,
    "ValOnly": ValOnly,
    "Random+Val": RandomVal,
    "Forgetting": Forgetting,
    "EL2N": EL2N,
    "GraNd": GraNd,
    "AUM": AUM,
    "CCS": CCS,
    "D2": D2,
    "TDDS": TDDS,
    "DynUnc": DynUnc,
    "DUAL": DUAL,
    "Glister": Glister,
    "Cal": Cal,
    "Moderate": Moderate,
    "LeastConfidence": LeastConfidence,
    "Entropy": Entropy,
    "Margin": Margin,
    "SloCurv": SloCurv,
    "BoundarySet-CCS": BoundarySetCCS,
    "S2L": S2L,
    "InfoMax": InfoMax,
    "TAP": TAP,
    "Herding": Herding,
    "KCenter": KCenter,
    "GraphCut": GraphCut,
    "FacilityLocation": FacilityLocation,
    "CRAIG": CRAIG,
    "GradMatch": GradMatch,
}
ALIASES = {"Uniform": "Random", "Dyn-Unc": "DynUnc", "k-Center": "KCenter"}


def get(name: str) -> type[CoresetMethod]:
    """The class of a method by its name or alias; UsageError lists the valid names."""
    if name == FromFile.name:
        return FromFile
    return METHODS[ALIASES.get(name) or check_choice("method", name, [*METHODS, *ALIASES, FromFile.name])]


def parse(text: str, **defaults: Any) -> CoresetMethod:
    """An instance from `Name` or `Name:field=value,field=value`, or `file:PATH`.

    `defaults` are for fields that `text` does not set.

    Values are read by the field's type: whole numbers, numbers, true/false, none (where the field may be
    None), text.

    Raises:
        UsageError: unknown name or field (the valid ones are listed), a value of the wrong type, a repeated
            field, or whatever the method's own checks refuse.
    """
    name, _, rest = text.partition(":")
    cls = get(name.strip())
    if cls is FromFile:  # a path may hold any sign
        return FromFile(path=rest)
    hints = typing.get_type_hints(cls)
    valid = {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for item in rest.split(",") if rest.strip() else []:
        key, equals, raw = (part.strip() for part in item.partition("="))
        if not equals:
            raise UsageError(f"{text!r}: {item!r} is not field=value; fields of {name}: {', '.join(valid)}")
        check_choice(f"field of {name}", key, valid)
        if key in values:
            raise UsageError(f"{text!r}: the field {key} is set twice")
        values[key] = _value(raw, valid[key], f"{name}:{key}")
    return cls(**{**defaults, **values})


def _value(raw: str, hint: Any, where: str) -> Any:
    """`raw` as the annotated type `hint` (bool, int, float, str, each possibly | None, or a Literal)."""
    kinds = (
        typing.get_args(hint)
        if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        else (hint,)
    )
    if type(None) in kinds and raw.lower() == "none":
        return None
    if bool in kinds and raw.lower() in ("true", "false"):
        return raw.lower() == "true"
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(raw)
            except ValueError:
                continue
    if str in kinds:
        return raw
    names = {int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}
    raise UsageError(f"{where}={raw}: expected {' or '.join(names[kind] for kind in kinds)}")
