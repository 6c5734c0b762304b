"""Every network at every size, its features, and its initialisation."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deepcore import nets
from deepcore.checks import UsageError
from deepcore.nets import NETS, build

SIZES = (8, 28, 32, 64)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NETS)
def test_every_net_steps_at_every_size(name, size, channels):
    net = build(name, (channels, size, size), 5, seed=0)
    x = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    before = [p.detach().clone() for p in net.parameters()]
    loss = nn.functional.cross_entropy(net(x), torch.tensor([1, 4]))
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert torch.isfinite(loss)
    moved = [bool((p.detach() != b).any()) for p, b in zip(net.parameters(), before, strict=True)]
    assert all(p.grad is not None for p in net.parameters())
    assert sum(moved) > 0.8 * len(moved)


@pytest.mark.parametrize("name", NETS)
def test_logits_are_the_head_of_the_penultimate_features(name):
    net = build(name, (3, 32, 32), 5, seed=0).eval()
    x = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = net.features(x), net(x)
    assert features.shape == (3, net.feature_dim)
    assert isinstance(net.head, nn.Linear)
    assert net.head.weight.shape == (5, net.feature_dim)
    torch.testing.assert_close(features @ net.head.weight.T + net.head.bias, logits)
    assert len(torch.unique(logits, dim=0)) == 3  # the input reaches them


@pytest.mark.parametrize("name", NETS)
def test_the_same_seed_gives_the_same_weights_and_touches_no_global_generator(name):
    torch.manual_seed(5)
    untouched = torch.rand(1)
    torch.manual_seed(5)
    first = build(name, (1, 28, 28), 4, seed=3)
    torch.testing.assert_close(torch.rand(1), untouched, rtol=0, atol=0)
    again, other = build(name, (1, 28, 28), 4, seed=3), build(name, (1, 28, 28), 4, seed=4)
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_convnet_costs_at_most_two_million_multiply_adds():
    net = build("ConvNet", (1, 28, 28), 10, seed=0)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(2, 1, 28, 28))  # BatchNorm wants two rows
    assert 1_000_000 < counter.get_total_flops() / 2 / 2 <= 2_000_000


@pytest.mark.parametrize("name", NETS)
def test_padding_is_said_and_is_zeros_around_the_image(name):
    net = build(name, (1, 8, 8), 3, seed=0).eval()
    assert not build(name, (1, 32, 32), 3, seed=0).notes
    pads = [layer for layer in net.modules() if isinstance(layer, nn.ZeroPad2d)]
    assert len(net.notes) == len(pads)
    if pads:
        assert "8x8 are zero-padded to" in net.notes[0]
        x = torch.ones(1, 1, 8, 8)
        padded = pads[0](x)
        assert padded.sum() == 64
        side = padded.shape[-1]
        bigger = build(name, (1, side, side), 3, seed=0).eval()
        torch.testing.assert_close(net(x), bigger(padded))


def test_non_square_images_run():
    for name in NETS:
        assert build(name, (3, 20, 36), 4, seed=0)(torch.randn(2, 3, 20, 36)).shape == (2, 4)


def test_resnet18_keeps_its_resolution_up_to_64_pixels_only():
    def last_map(size):
        sizes = []
        net = build("ResNet18", (3, size, size), 4, seed=0)
        net.body[-1].layer4.register_forward_hook(lambda module, args, out: sizes.append(out.shape[-1]))
        net(torch.zeros(2, 3, size, size))
        return sizes[0]

    assert [last_map(size) for size in (32, 64, 96)] == [4, 8, 3]


def test_vectors_are_for_the_mlp():
    net = build("MLP", (9,), 4, seed=0)
    assert net(torch.randn(2, 9)).shape == (2, 4)
    for name in NETS:
        if name != "MLP":
            with pytest.raises(UsageError, match="9 features: use MLP"):
                build(name, (9,), 4, seed=0)


def test_names_in_any_case_and_unknown_names():
    assert nets.canonical("resnet18") == "ResNet18"
    with pytest.raises(UsageError, match=r"unknown network 'ResNet19'.*ResNet18"):
        build("ResNet19", (1, 8, 8), 3, seed=0)
