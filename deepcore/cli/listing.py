"""What --list prints."""

from __future__ import annotations

import dataclasses


def listing() -> str:
    """Methods (paper, signals, recording, direction, fields), data sets, networks, recipes."""
    from tabulate import tabulate

    import methods
    from deepcore.data.datasets import DATASETS
    from deepcore.nets.networks import NETS
    from deepcore.training.recipes import RECIPES

    common = {"record", "class_balanced", "sampler"}
    table = []
    for name, cls in methods.METHODS.items():
        method = cls()
        reads = sorted(s.value for s in method.needs | method.needs_val)
        own = [f for f in dataclasses.fields(method) if f.name not in common]
        fields = ", ".join(f"{f.name}={getattr(method, f.name)}" for f in own) or "-"
        keeps = getattr(method, "keep", "-") if method.is_selection else "no selection"
        table.append([name, method.paper or "-", ", ".join(reads) or "-", method.mode if reads else "-",
                      keeps, fields])  # fmt: skip
    widths = [None, 24, 20, None, None, 44]
    return "\n\n".join(
        [
            tabulate(
                table,
                headers=["method", "paper", "reads", "recording", "keeps", "fields"],
                maxcolwidths=widths,
            ),
            "file:PATH judges a subset from a .csv or .npz of row ids\n"
            "every method also takes record=online|post_epoch and class_balanced=true|false, every score "
            "sampler=top|strata|beta|middle|drop, extrapolate=SHARE\n"
            f"aliases: {', '.join(f'{alias} is {name}' for alias, name in methods.ALIASES.items())}",
            f"data sets: {', '.join(DATASETS)}, PATH.npz",
            f"networks: {', '.join(NETS)}, and torchvision's classification models by name",
            f"recipes: {', '.join(RECIPES)}",
        ]
    )
