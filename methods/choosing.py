"""The page that helps to choose: methods by family, what each reads and what it costs.

`python -m methods.choosing` writes methods/CHOOSING.md from the classes; with --check it writes nothing and
fails when the file is not what the classes say.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from deepcore.common.units import size
from deepcore.proxy.run import ProxyRun
from deepcore.proxy.signals import stored
from deepcore.selection.facts import FAMILIES
from deepcore.selection.method import CoresetMethod, ScoreMethod
from deepcore.selection.needs import use_of
from methods import METHODS

PAGE = Path(__file__).with_name("CHOOSING.md")
N, Q, CLASSES, FEATURES, EPOCHS, FRACTION = 50_000, 5_000, 10, 512, 30, 0.1  # of the examples
COLUMNS = ("method", "keeps", "reads", "proxy epochs", "forward passes", "scoring's own passes", "memory")
HEAD = f"""# Which method for what

Generated from the classes by `python -m methods.choosing`; edit those, not this file. What each method
computes, and how faithfully, is in [README.md](README.md). How accurate its coresets were here, beside
random ones, is in [results.md](../docs/results.md#over-data-sets).

All numbers are for {N:,} candidates in {CLASSES} classes, {Q:,} validation rows, a proxy of {EPOCHS} epochs
with {FEATURES} features, {100 * FRACTION:g}% kept, and each method alone, with its defaults.

- **proxy epochs**: epochs of the proxy that it reads; the training costs three forward passes over the
  candidates for each. One training serves all methods of a command.
- **forward passes**: over the candidates (N) and the validation rows (Q), to record what it reads.
- **scoring's own passes**: what it puts through a trained network by itself.
- **memory**: beyond what is recorded, an estimate from above, as the command checks it before it starts.
"""
OF_FAMILY = {
    "random": ("Random", "The yardstick: no proxy, no cost, nothing to tune."),
    "score": (
        "How easy or hard a sample is",
        "One number a sample, at a checkpoint or on average. Methods that keep the hardest samples are known "
        "to fall below Random at small fractions (arXiv 2302.06960); strata and middles of a score were made "
        "against that.",
    ),
    "trajectory": (
        "How a sample's values move over the epochs",
        "One number a sample and epoch: losses, margins, probabilities.",
    ),
    "gradient": (
        "Gradients of the loss",
        "In the last layer (one product a row) or in the input (passes through the network).",
    ),
    "diversity": (
        "What differs from the rest",
        "Distances or similarities in the proxy's feature space, so that near copies are not kept twice. "
        "They hold the features and take the time of a search for neighbours.",
    ),
    "other": ("Others", "Methods that belong to none of these."),
}


def page() -> str:
    """The text of the file."""
    parts = [HEAD]
    for family in FAMILIES:
        members = [name for name, cls in METHODS.items() if cls.is_selection and _family(cls) == family]
        if not members:
            continue
        title, lead = OF_FAMILY[family]
        lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
        lines += ["| " + " | ".join(_row(name)) + " |" for name in members]
        parts.append(f"## {title}\n\n{lead}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _family(cls: type[CoresetMethod]) -> str:
    return cls.facts.family if cls.facts else "random"


def _row(name: str) -> list[str]:
    method = METHODS[name]().resolve(FRACTION)
    use, own = use_of(method, EPOCHS), method.own_run
    wanted = sorted(signal.value for signal in stored(method.needs))
    wanted_val = sorted(f"{signal.value} of Q" for signal in stored(method.needs_val))
    passes = use.passes(N, Q)
    epochs = f"{use.epochs}, a run of its own on Q" if own else str(use.epochs)
    memory = method.memory(_pool(), round(FRACTION * N), FEATURES, EPOCHS)
    return [
        name,
        _keeps(method),
        ", ".join(wanted + wanted_val) or "nothing",
        epochs if use.epochs else "-",
        _sweeps((passes["record"] + passes["encode"]) // N, passes["validation"] // Q) if not own else "-",
        (method.facts.passes if method.facts else "") or "-",
        size(memory.host + memory.device),
    ]


def _keeps(method: CoresetMethod) -> str:
    if not isinstance(method, ScoreMethod):
        return "its own choice"
    ways = {"strata": "strata of it", "middle": "its middle", "beta": "weighted draws"}
    return ways.get(method.own_sampler) or f"the {method.keep}"


def _sweeps(candidates: int, validation: int) -> str:
    of = [f"{count} {symbol}" for count, symbol in ((candidates, "N"), (validation, "Q")) if count]
    return " + ".join(of) or "-"


def _pool() -> ProxyRun:
    """Candidates in equal classes, without recordings."""
    labels = np.arange(N) % CLASSES
    return ProxyRun(np.arange(N), labels, CLASSES, N + np.arange(Q), np.arange(Q) % CLASSES)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it with `--check`; 1 when it is out of date."""
    parser = argparse.ArgumentParser(description="Write methods/CHOOSING.md from the method classes.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is out of date")
    text = page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != text:
        print("methods/CHOOSING.md is out of date: run python -m methods.choosing", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
