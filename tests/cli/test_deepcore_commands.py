"""The commands of DeepCore's README run here, on small data in the real formats.

The data set's and method's names are swapped where they do not exist here. What a command asks for is read
from its flags; it is then run with `SHORT` behind them, on small networks. That each of its own networks
trains is tested in tests/nets.
"""

from __future__ import annotations

import json
import pickle
import shlex

import numpy as np
import pytest
from image_folders import write_folder

import main
from deepcore.cli.flags import IGNORED_FLAGS, parser

SHORT = "--num_exp 1 --epochs 1 --selection_epochs 1 --report false --model LeNet"
COMMON = "--num_exp 5 --workers 10 --optimizer SGD -se 10"
CIFAR = "python -u main.py --fraction 0.1 --dataset CIFAR10 --data_path DATASETS"
FOLDER = "python -u main.py --fraction 0.5 --dataset ImageNet --data_path DATASETS"
CHECKPOINT = "CIFAR10_InceptionV3_Glister_exp0_epoch200_2022-02-05 21:31:53.762903_0.1_unknown.ckpt"
GLISTER = f"{CIFAR} {COMMON} --selection Glister --model InceptionV3 --lr 0.1 -sp ./result --batch 128"
COMMANDS = {
    "Glister, then resumed": [GLISTER, f'{GLISTER} --resume "{CHECKPOINT}"'],
    "ImageNet": [
        f"{FOLDER} {COMMON} --selection EL2N --model MobileNetV3Large --lr 0.1 -sp ./result -tb 256 -sb 128"
    ],
    "uncertainty": [
        f"{CIFAR} {COMMON} --selection GraNd --model ResNet18 --lr 0.1 -sp ./result --batch 128 "
        "--uncertainty Entropy"
    ],
    "submodular": [
        f"{CIFAR} {COMMON} --selection Forgetting --model ResNet18 --lr 0.1 -sp ./result --batch 128 "
        "--submodular GraphCut"
    ],
    "cross": [
        f"{CIFAR} {COMMON} --selection Uniform --model ResNet18 --cross VGG16 LeNet --lr 0.1 -sp ./result "
        "--batch 128"
    ],
}
NETS = {
    "Glister, then resumed": ["inception_v3"],
    "ImageNet": ["mobilenet_v3_large"],
    "uncertainty": ["ResNet18"],
    "submodular": ["ResNet18"],
    "cross": ["ResNet18", "vgg16", "LeNet"],
}


@pytest.fixture
def datasets(tmp_path):
    """CIFAR-10 of 50 + 10 images, and a folder laid out as ImageNet."""
    root = tmp_path / "datasets"
    batches = root / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        images = rng.integers(0, 256, (10, 3072)).astype(np.uint8)
        (batches / name).write_bytes(pickle.dumps({"data": images, "labels": list(range(10))}, protocol=2))
    write_folder(root / "ImageNet", suffix=".JPEG", per_class=3)
    return root


@pytest.mark.filterwarnings("ignore::UserWarning")  # ten workers are more than this machine has processors
@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_s_commands_run(tmp_path, monkeypatch, capsys, datasets, name):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS[name]:
        words = shlex.split(command.replace("DATASETS", str(datasets)))[3:]
        args = parser().parse_args(words)
        spec = main.experiment(args, main.load_data(args, lambda line: None))
        cross = ["--cross", "LeNet", "MLP"] if "--cross" in words else []
        assert main.main([*words, *shlex.split(SHORT), *cross]) == 0
    said = capsys.readouterr().err
    assert list(spec.nets) == NETS[name]
    assert spec.fractions == ((0.5,) if name == "ImageNet" else (0.1,))
    assert len(spec.seeds) == 5
    assert (spec.proxy.epochs, spec.proxy.batch) == (10, 128)
    assert spec.target.batch == (256 if name == "ImageNet" else 128)
    assert spec.target.lr == spec.proxy.lr == 0.1
    rows = [json.loads(path.read_text()) for path in (tmp_path / "result" / "rows").glob("*.json")]
    assert {row["status"] for row in rows} == {"ok"}
    assert sorted(row["target_net"] for row in rows) == (["LeNet", "MLP"] if cross else ["LeNet"])
    for flag in ("resume", "uncertainty", "submodular"):
        assert (f"--{flag} is ignored: {IGNORED_FLAGS[flag]}" in said) == (f"--{flag}" in words)


# every flag of its parser, in every spelling, with a value as one gives it
SPELLINGS = """
--dataset CIFAR10 | --model ResNet18 | --selection uniform | --num_exp 5 | --num_eval 10 | --epochs 200
--data_path data | --gpu 0 1 | --print_freq 20 | -p 20 | --fraction 0.1 | --seed 7 | --workers 4 | -j 4
--cross VGG16 LeNet | --optimizer SGD | --lr 0.1 | --min_lr 1e-4 | --momentum 0.9 | --weight_decay 5e-4
-wd 5e-4 | --gamma 0.5 | --scheduler CosineAnnealingLR | --step_size 50 | --nesterov True | --batch 256
--batch-size 256 | -b 256 | --train_batch 64 | -tb 64 | --selection_batch 64 | -sb 64 | --test_interval 1
-ti 1 | --test_fraction 1. | -tf 1. | --selection_epochs 40 | -se 40 | --selection_momentum 0.9 | -sm 0.9
--selection_weight_decay 5e-4 | -swd 5e-4 | --selection_optimizer SGD | -so SGD
--selection_nesterov True | -sn True | --selection_lr 0.1 | -slr 0.1 | --selection_test_interval 1 | -sti 1
--selection_test_fraction 1. | -stf 1. | --balance True | --submodular GraphCut
--submodular_greedy LazyGreedy | --uncertainty Entropy | --save_path result | -sp result | --resume x | -r x
"""


@pytest.mark.parametrize("spelled", [s.strip() for s in SPELLINGS.replace("\n", "|").split("|") if s.strip()])
def test_every_flag_of_its_parser_is_known(spelled):
    args = parser().parse_args(shlex.split(spelled))
    unset = parser().parse_args([])
    changed = {name for name, value in vars(args).items() if value != getattr(unset, name)}
    ours = {"--num_exp 5", "--data_path data", "--balance True"}  # the same defaults
    assert len(changed) == (0 if spelled in ours else 1)
