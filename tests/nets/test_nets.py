"""Every network at every size, its features, and its initialisation."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deepcore.common.checks import UsageError
from deepcore.nets import networks as nets
from deepcore.nets.networks import NETS, build
from deepcore.nets.vision import model_names

SHAPES = [(3, 8, 8), (1, 28, 28), (3, 32, 32), (1, 64, 64), (3, 20, 36)]
# torchvision's pad to a least size and have one stem up to 64 pixels
FEWER = {
    "ResNet18": [(3, 8, 8), (1, 64, 64), (3, 20, 36)],
    "ResNet34": [(3, 20, 36)],
    "ResNet50": [(3, 20, 36)],
    "VGG19bn": [(3, 20, 36)],
    "DenseNet121": [(3, 8, 8), (3, 20, 36)],
    "SwinT": [(3, 8, 8), (3, 20, 36)],
}
PADDED = {("LeNet", (3, 8, 8)), ("VGG19bn", (3, 20, 36))}
# of DeepCore's README, beyond those of the table
MORE = [("inception_v3", (3, 32, 32)), ("mobilenet_v3_large", (3, 32, 32)), ("vgg16", (3, 32, 32))]


def check(name, shape):
    """The head reads the penultimate features, the input reaches the logits, a step moves the weights."""
    net = build(name, shape, 5, seed=0).eval()
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = net.features(x), net(x)
    assert features.shape == (2, net.feature_dim)
    assert isinstance(net.head, nn.Linear)
    assert net.head.weight.shape == (5, net.feature_dim)
    torch.testing.assert_close(features @ net.head.weight.T + net.head.bias, logits)
    assert not torch.equal(*logits)
    before = [p.detach().clone() for p in net.parameters()]
    loss = nn.functional.cross_entropy(net.train()(x), torch.tensor([1, 4]))
    loss.backward()
    torch.optim.SGD(net.parameters(), lr=0.1).step()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in net.parameters())
    moved = [bool((p.detach() != b).any()) for p, b in zip(net.parameters(), before, strict=True)]
    assert sum(moved) > 0.8 * len(moved)
    return net


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name in NETS for shape in FEWER.get(name, SHAPES)] + MORE, ids=str
)
def test_every_net_has_a_head_steps_at_every_size_and_says_when_it_pads(name, shape):
    assert bool(check(name, shape).notes) == ((name, shape) in PADDED)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(NETS)[3:])
def test_every_net_steps_on_large_images(name):
    assert not check(name, (3, 224, 224)).notes


@pytest.mark.slow
@pytest.mark.parametrize("size", [32, 224])
@pytest.mark.parametrize("name", model_names())
def test_every_torchvision_model_steps_or_says_why_not(name, size):
    if any(mark in name for mark in ("vit_h", "128gf", "_l_16", "_l_32", "convnext_large")):
        pytest.skip("a billion bytes of weights")
    if name.startswith("squeezenet"):
        with pytest.raises(UsageError, match="does not end in a linear layer"):
            build(name, (3, size, size), 5, seed=0)
    else:
        check(name, (3, size, size))


@pytest.mark.parametrize("name", ["MLP", "LeNet", "ConvNet", "ResNet9", "ResNet18", "mnasnet0_5"])
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
    assert all(module.training for module in first.modules())


def test_convnet_costs_at_most_two_million_multiply_adds():
    net = build("ConvNet", (1, 28, 28), 10, seed=0)
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(2, 1, 28, 28))  # BatchNorm wants two rows
    assert 1_000_000 < counter.get_total_flops() / 2 / 2 <= 2_000_000


@pytest.mark.parametrize(("name", "note"), [("LeNet", "LeNet needs 16"), ("AlexNet", "alexnet needs 64")])
def test_small_images_get_zeros_around_them_and_it_is_said(name, note):
    net = build(name, (1, 7, 8), 3, seed=0).eval()
    side = int(note.split()[-1])
    assert net.notes == (f"{note} pixels: images of 7x8 are zero-padded to {side}x{side}",)
    x = torch.randn(1, 1, 7, 8)
    around = torch.zeros(1, 1, side, side)
    top, left = (side - 7) // 2, (side - 8) // 2
    around[:, :, top : top + 7, left : left + 8] = x
    bigger = build(name, (1, side, side), 3, seed=0).eval()
    torch.testing.assert_close(net(x), bigger(around))


@pytest.mark.parametrize(
    ("name", "module", "sides"),
    [
        ("ResNet18", "layer1", {64: 64, 96: 24}),
        ("DenseNet121", "features.denseblock1.denselayer1", {64: 64, 96: 24}),
        ("SwinT", "features.0", {64: 32, 96: 24}),
        ("InceptionV3", "Mixed_5b", {32: 26}),
        ("MobileNetV3Large", "features.0", {64: 64, 96: 48}),
    ],
)
def test_stems_keep_the_resolution_of_small_images_only(name, module, sides):
    for size, expected in sides.items():
        net = build(name, (3, size, size), 4, seed=0).eval()
        shapes = []
        layer = net.body[-1].get_submodule(module)
        layer.register_forward_hook(lambda module, args, out, shapes=shapes: shapes.append(out.shape))
        net(torch.zeros(1, 3, size, size))
        assert expected in shapes[0][1:3]  # Swin's maps are (B, H, W, C)
        assert expected in shapes[0][2:]


def test_vectors_are_for_the_mlp():
    net = build("MLP", (9,), 4, seed=0)
    assert net(torch.randn(2, 9)).shape == (2, 4)
    for name in NETS:
        if name != "MLP":
            with pytest.raises(UsageError, match="9 features: use MLP"):
                build(name, (9,), 4, seed=0)


def test_names_in_any_spelling_and_unknown_names():
    spellings = {
        "resnet18": "ResNet18",
        "vgg19_bn": "VGG19bn",
        "VGG19BN": "VGG19bn",
        "swin_t": "SwinT",
        "InceptionV3": "inception_v3",
        "MobileNetV3Large": "mobilenet_v3_large",
        "VGG11": "vgg11",
        "ResNet101": "resnet101",
    }
    assert {spelled: nets.canonical(spelled) for spelled in spellings} == spellings
    with pytest.raises(UsageError, match=r"unknown network 'ResNet19'.*ResNet18.*any torchvision"):
        build("ResNet19", (1, 8, 8), 3, seed=0)


def test_networks_without_a_linear_head_are_refused():
    with pytest.raises(UsageError, match="squeezenet1_1 does not end in a linear layer"):
        build("squeezenet1_1", (3, 32, 32), 3, seed=0)
