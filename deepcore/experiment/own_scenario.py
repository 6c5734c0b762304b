"""The cost scenario of an experiment: sizes of its split, FLOPs of its networks, lengths of its recipes."""

from __future__ import annotations

import math

from deepcore.common.checks import UsageError
from deepcore.costs.scenario import Scenario
from deepcore.data.long_tail import cut_tail
from deepcore.data.record import LabeledData
from deepcore.data.split import make_split
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.nets.flops import flops_per_example
from deepcore.selection.budget import Budget


def setting(spec: ExperimentSpec, data: LabeledData) -> Scenario:
    """The scenario of an experiment with one fraction and one target network. Nothing is trained.

    Raises:
        UsageError: several fractions or target nets, or a target in steps: the formulas are in epochs.
    """
    if len(spec.fractions) > 1:
        listed = ", ".join(f"{fraction:g}" for fraction in spec.fractions)
        raise UsageError(f"--costs is for one setting: give one --fraction, not {listed}")
    if len(spec.nets) > 1:
        raise UsageError(f"--costs is for one target network, not {', '.join(spec.nets)}: leave out --cross")
    if spec.target.steps is not None:
        raise UsageError(
            "--costs compares equal epochs, as its formulas do: give --epochs instead of --steps"
        )
    split = make_split(data.train.labels, val_fraction=spec.val_fraction, seed=spec.seeds[0])
    data, split = cut_tail(data, split, spec.long_tail)
    shape = data.train.shape
    proxy, target = (nets.build(n, shape, data.num_classes, seed=0) for n in (spec.proxy_net, spec.nets[0]))
    return Scenario.measured(
        N=len(split.train),
        Q=len(split.val),
        k=Budget.of(spec.fractions[0], len(split.train)).k,
        d=math.prod(shape),
        num_classes=data.num_classes,
        F=proxy.feature_dim,
        n_test=len(data.test),
        proxy=flops_per_example(proxy, shape),
        large=flops_per_example(target, shape),
        T=spec.target.epochs,
        T_proxy=spec.proxy.epochs,
    )
