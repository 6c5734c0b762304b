"""The names of a long table's columns."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields

from deepcore.common.checks import UsageError

NEEDED = ("id", "epoch", "loss")


@dataclass(frozen=True)
class LogColumns:
    """Which column of a long table is what.

    Attributes:
        id: of the sample; numbers or text.
        epoch: a whole number; epochs are sorted by it.
        split: "train" or "val" (also training, valid, validation, dev, eval); a table without it holds train
            rows alone.
        label: numbers from 0 or text; a table without it has no classes.
        loss: of the sample after, or in, that epoch.
        margin, margin_p, el2n, grand, kl_step: further signals, read where they are there.
        other: the strongest other class.
        predicted: the class that the model says; stands for `other` where that is missing.
    """

    id: str = "id"
    epoch: str = "epoch"
    split: str = "split"
    label: str = "label"
    loss: str = "loss"
    margin: str = "margin"
    margin_p: str = "margin_p"
    el2n: str = "el2n"
    grand: str = "grand"
    kl_step: str = "kl_step"
    other: str = "other"
    predicted: str = "predicted"

    def present(self, header: Iterable[object], where: str) -> dict[str, str]:
        """{role: column} of the columns that a table has.

        Raises:
            UsageError: id, epoch or loss is missing, a column that the user named is not there, or a name
                stands twice.
        """
        names = [str(name) for name in header]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"{where}: the column {twice!r} stands twice in its header")
        found = {}
        for role in fields(self):
            name = getattr(self, role.name)
            if name in names:
                found[role.name] = name
                continue
            alike = next((held for held in names if held.strip().lower() == name.lower()), None)
            if name == role.default and alike is not None:
                other = "" if role.name in NEEDED else f", else --{role.name}_column none"
                raise UsageError(
                    f"{where}: is the column {alike!r} the {role.name}? Then say --{role.name}_column "
                    f"{alike!r}{other}; in Python {role.name}=NAME of LogColumns"
                )
            if role.name in NEEDED or name not in (role.default, "none"):
                held = ", ".join(names)
                raise UsageError(
                    f"{where}: there is no column {name!r} for the {role.name}; its columns are "
                    f"{held[:200] or 'none'}: say which it is with --{role.name}_column NAME, in Python "
                    f"{role.name}=NAME"
                )
        return found

    def absent(self, roles: Collection[str]) -> list[str]:
        """A sentence for split and label each, where a table should have had the column and has not.

        Args:
            roles: what `present` found.
        """
        said = {
            "split": "all rows are read as train rows",
            "label": "there are no classes",
        }
        return [
            f"no column {getattr(self, role)!r}: {what} (it has another name? --{role}_column NAME)"
            for role, what in said.items()
            if role not in roles and getattr(self, role) != "none"
        ]
