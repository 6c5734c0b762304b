"""How many tasks of an experiment run side by side, when nobody says."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
from torch import nn

from deepcore.common.threads import SMALL
from deepcore.experiment.plan import Cell, Plan, ProxyTask
from deepcore.nets import networks
from deepcore.nets.flops import flops_per_example
from deepcore.selection.budget import Budget
from deepcore.training.schedule import Schedule

WORTH = 6.0  # seconds of work below which starting worker processes does not pay
STEP_SECONDS, FLOPS_PER_SECOND = 1e-3, 2e10  # of one step of a small network, and of one core, roughly


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jobs_that_pay(plan: Plan, cells: Sequence[Cell], proxies: Sequence[ProxyTask]) -> int:
    """As many as there are cores for, where the trainings take one thread each and last long enough; else 1.

    A larger network takes all threads of the machine by itself, and keeps them whatever the number of jobs,
    since results depend on them in their last digits: with OMP_NUM_THREADS=1 it takes one, and jobs pay.

    Args:
        plan: the experiment.
        cells, proxies: what is still to be run.
    """
    sizes = {name: _forward_flops(plan, name) for name in {plan.spec.proxy_net, *plan.spec.nets}}
    threads = torch.get_num_threads() if max(sizes.values()) >= SMALL else 1
    side_by_side = max(len(cells), len(proxies))
    jobs = min(max(1, cores() // threads), side_by_side)
    return jobs if jobs > 1 and _seconds(plan, cells, proxies, sizes) > WORTH else 1


def _forward_flops(plan: Plan, name: str) -> int:
    shape, classes = plan.data.train.shape, plan.data.num_classes
    net = networks.build(name, shape, classes, seed=0)
    parameters = sum(p.numel() for p in net.parameters())
    layers = [module for module in net.modules() if not list(module.children())]
    if 2 * parameters >= SMALL or not any(isinstance(layer, nn.Conv2d) for layer in layers):
        return 2 * parameters
    return flops_per_example(net, shape)["forward"]


def _seconds(plan: Plan, cells: Sequence[Cell], proxies: Sequence[ProxyTask], sizes: dict[str, int]) -> float:
    """A rough estimate of the work, on one core."""
    total = 0.0
    for task in proxies:
        n = len(task.split.train)
        steps = task.spec.epochs * Schedule.of(n, task.spec.train).per_epoch
        total += (
            steps * STEP_SECONDS + 4 * n * task.spec.epochs * sizes[plan.spec.proxy_net] / FLOPS_PER_SECOND
        )
    for cell in cells:
        pool = len(plan.seeds[cell.seed].split.train)
        rows = Budget.of(1.0 if cell.fraction is None else cell.fraction, pool).k
        steps = Schedule.of(rows, plan.spec.target).steps
        passes = 3 * steps * plan.spec.target.batch + len(plan.data.test)
        total += steps * STEP_SECONDS + passes * sizes[cell.net] / FLOPS_PER_SECOND
    return total
