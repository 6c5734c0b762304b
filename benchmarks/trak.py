"""TRAK (Park et al. 2023) by the library `dattri`, an optional dependency: `pip install dattri`."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from collections.abc import Sequence

import numpy as np
import torch
from torch.func import functional_call
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from deepcore.data.record import LabeledData
from deepcore.nets.net import Net

PROJECTION = 512


def installed() -> bool:
    """Whether dattri can be imported."""
    return importlib.util.find_spec("dattri") is not None


def scores(
    networks: Sequence[Net],
    data: LabeledData,
    samples: np.ndarray,
    queries: np.ndarray,
    *,
    projection: int = PROJECTION,
    damping: float = 0.0,
) -> np.ndarray:
    """Attributions of networks trained on the samples, (Q, N); higher means more helpful.

    Args:
        networks: of one architecture, on the CPU.
        data: the samples are of its train part, the queries of its test part.
        samples, queries: ids.
        projection: dimension of the random projection of the gradients.
        damping: added to the diagonal of their kernel.
    """
    from dattri.algorithm import TRAKAttributor
    from dattri.task import AttributionTask

    model = networks[0].eval()

    def log_odds(parameters: dict, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, y = pair
        logits = functional_call(model, parameters, (x[None],))
        log_p = -functional.cross_entropy(logits, y[None])
        others = logits[0].scatter(0, y[None], float("-inf"))
        return log_p - (torch.logsumexp(others, 0) - torch.logsumexp(logits[0], 0))

    def probability(parameters: dict, pair: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, y = pair
        logits = functional_call(model, parameters, (x[None],))
        return torch.exp(-functional.cross_entropy(logits, y[None]))

    task = AttributionTask(
        loss_func=log_odds, model=model, checkpoints=[net.state_dict() for net in networks]
    )
    loaders = []
    for rows, ids in ((data.train, samples), (data.test, queries)):
        (x,) = rows.batches([ids], device=torch.device("cpu"))
        loaders.append(DataLoader(TensorDataset(x, torch.from_numpy(rows.labels[ids])), batch_size=128))
    options = {"proj_dim": projection, "proj_max_batch_size": 32, "proj_seed": 0, "device": "cpu"}
    attributor = TRAKAttributor(
        task, correct_probability_func=probability, projector_kwargs=options, regularization=damping
    )
    with torch.no_grad(), contextlib.redirect_stderr(io.StringIO()):  # its bars
        attributor.cache(loaders[0])
        found = attributor.attribute(loaders[1])
    return found.T.double().numpy()
