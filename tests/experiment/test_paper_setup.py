"""Without further flags, the experiments are the CLD paper's: section 6 and Appendix C, number by number."""

from __future__ import annotations

import numpy as np
import pytest
from archives import write_cifar
from image_folders import write_folder

import main
from deepcore.cli.flags import parser
from deepcore.data.memory import Augmentation
from deepcore.data.pictures import Crops
from deepcore.data.split import make_split
from deepcore.training.recipes import RECIPES
from deepcore.training.schedule import Schedule, lr_at
from deepcore.training.spec import TrainSpec


def described(*argv):
    """The data and the experiment of a command line."""
    args = parser().parse_args([str(a) for a in argv])
    data = main.load_data(args, lambda line: None)
    return data, main.experiment(args, data)


def rates(spec: TrainSpec, rows: int) -> dict[int, float]:
    """{epoch: learning rate} wherever it changes, epochs counted from 0."""
    plan = Schedule.of(rows, spec)
    all_rates = [lr_at(step, spec, plan) for step in range(plan.steps)]
    changes = [0, *(i for i in range(1, plan.steps) if all_rates[i] != all_rates[i - 1])]
    assert all(step % plan.per_epoch == 0 for step in changes)
    return {step // plan.per_epoch: pytest.approx(all_rates[step]) for step in changes}


def test_cifar100_with_a_resnet18(tmp_path):
    write_cifar(tmp_path, "CIFAR100")
    data, spec = described("--dataset", "CIFAR100", "--model", "ResNet18", "--data_path", tmp_path)
    recipe = spec.target
    assert recipe == RECIPES["paper-cifar"]
    assert (recipe.optimizer, recipe.epochs, recipe.steps) == ("SGD", 164, None)
    assert rates(recipe, 45_000) == {0: 0.1, 81: 0.01, 121: 0.001}
    assert (recipe.nesterov, recipe.momentum, recipe.weight_decay) == (True, 0.9, 5e-4)
    assert recipe.augment
    assert data.train.augmentation == Augmentation(pad=4, flip=True)
    assert data.train.shape == (3, 32, 32)
    assert recipe.precision == "fp32"  # "in full precision"
    assert spec.proxy == recipe
    assert (spec.proxy_net, spec.nets) == ("ResNet18", ("ResNet18",))
    assert len(spec.seeds) == 5
    assert spec.val_fraction == 0.1
    assert [method.label() for method in spec.methods] == ["CLD"]
    assert all(method.class_balanced for method in spec.methods)
    assert RECIPES["paper-cifar"].batch == 128  # the paper says no batch size


def test_ten_percent_of_each_class_of_cifar100_are_held_out():
    labels = np.tile(np.arange(100), 500)
    split = make_split(labels, val_fraction=0.1, seed=0)
    assert (len(split.train), len(split.val)) == (45_000, 5_000)
    assert np.bincount(labels[split.val]).tolist() == [50] * 100


@pytest.mark.parametrize("named", [False, True])
def test_imagenet(tmp_path, named):
    name = "ImageFolder" if named else "ImageNet"
    root = tmp_path if named else tmp_path / "ILSVRC2012"
    write_folder(root)
    data, spec = described(
        *("--dataset", name, "--data_path", tmp_path), *(("--recipe", "paper-imagenet") if named else ())
    )
    recipe = spec.target
    assert recipe == RECIPES["paper-imagenet"] == spec.proxy
    assert (recipe.optimizer, recipe.epochs, recipe.steps) == ("SGD", 90, None)
    assert rates(recipe, 4_000) == {0: 0.1, 30: 0.01, 60: 0.001}
    assert (recipe.nesterov, recipe.momentum, recipe.weight_decay) == (True, 0.9, 1e-4)
    assert recipe.augment
    assert data.train.readers.files.crops == Crops(224, 256)
    assert recipe.precision == "fp32"
    assert spec.val_fraction == (0.1 if named else 0.01)
    assert (spec.proxy_net, spec.nets) == ("ResNet18", ("ResNet18",))
    assert recipe.batch == 256  # the paper says none; torchvision's references for these networks do


def test_the_transfer_of_imagenet_selections(tmp_path):
    write_folder(tmp_path)
    _, spec = described(
        *("--dataset", "ImageNet", "--data_path", tmp_path, "--model", "ResNet18"),
        *("--cross", "ResNet34", "ResNet50", "VGG19bn", "DenseNet121"),
    )
    assert spec.nets == ("ResNet18", "ResNet34", "ResNet50", "VGG19bn", "DenseNet121")
    assert spec.proxy_net == "ResNet18"
