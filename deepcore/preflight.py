"""What is known before anything is trained: parameters that cannot work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepcore.seed_runs import bare_run

if TYPE_CHECKING:
    from deepcore.harness import Harness


def check_methods(harness: Harness) -> None:
    """Each method of the grid, at each fraction and seed, could work on a proxy run of this length; else the
    UsageError of its `check`."""
    spec = harness.spec
    for seed in spec.seeds:
        pool = bare_run(harness.data_of(seed), harness.splits[seed], spec.val_fraction)
        for method in spec.methods:
            fractions = spec.fractions if method.uses_fraction else ()
            for chosen in dict.fromkeys(map(method.resolve, fractions)) if fractions else (method,):
                chosen.check(pool, spec.proxy.epochs)
