"""Networks trained in a stack end as the project's own loop leaves them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.many_nets import Member, train_many
from deepcore.common.meter import Meter
from deepcore.data import datasets
from deepcore.nets import networks as nets
from deepcore.training.loop import train
from deepcore.training.spec import TrainSpec

CPU = torch.device("cpu")
SPEC = TrainSpec(epochs=3, lr=0.05, augment=False)


@pytest.fixture(scope="module")
def data():
    return datasets.load("Digits", data_path="data")


def members_of(data, sizes):
    rng = np.random.default_rng(0)
    return [
        Member(np.sort(rng.choice(len(data.train), n, replace=False)), seed) for seed, n in enumerate(sizes)
    ]


@pytest.mark.parametrize("net", ["MLP", "ConvNet"])  # stacked; one by one, for its BatchNorm
def test_each_network_is_the_one_of_the_training_loop(data, net):
    members = members_of(data, (300, 300, 300, 257))
    queries = np.arange(50)
    found = {}
    for which, networks in train_many(net, data.train, 10, members, SPEC, device=CPU, group=2):
        _, logits = networks.outputs(data.test, queries)
        found |= dict(zip(range(which.start, which.stop), logits, strict=True))
    assert sorted(found) == [0, 1, 2, 3]
    for i, member in enumerate(members):
        single = nets.build(net, data.train.shape, 10, seed=member.seed)
        train(single, data.train, member.rows, SPEC, seed=member.seed, device=CPU, meter=Meter(CPU))
        single.eval()
        with torch.no_grad():
            (x,) = data.test.batches([queries], device=CPU)
            expected = single(x)
        assert torch.allclose(found[i], expected, atol=1e-3), (found[i] - expected).abs().max()
    assert not torch.allclose(found[0], found[1], atol=0.1)


def test_watch_sees_every_epoch_of_every_network(data):
    members, seen = members_of(data, (64, 64, 80)), []

    def watch(epoch, which, networks):
        features, logits = networks.outputs(data.test, np.arange(5))
        assert features.shape == (which.stop - which.start, 5, 256)
        assert logits.shape == (which.stop - which.start, 5, 10)
        heads = torch.stack([net.head(f) for net, f in zip(networks.nets(), features, strict=True)])
        assert torch.allclose(heads, logits, atol=1e-5)
        seen.extend((epoch, member) for member in range(which.start, which.stop))

    for _ in train_many("MLP", data.train, 10, members, SPEC, device=CPU, watch=watch):
        pass
    assert sorted(seen) == [(epoch, member) for epoch in range(4) for member in range(3)]
