"""The flags of the command line; DeepCore's keep their names and meaning."""

from __future__ import annotations

import argparse

from deepcore.cli.arguments import Parser, whole, yes_or_no

IGNORED_FLAGS = {  # DeepCore's flags that mean nothing here, and why
    "test_interval": "the test set is read once, after the last step",
    "test_fraction": "the whole test set is read once, after the last step",
    "selection_test_interval": "the proxy never sees the test set",
    "selection_test_fraction": "the proxy never sees the test set",
    "num_eval": "each seed trains one target per method; give --num_exp",
    "resume": "the same command goes on by itself where it stopped",
    "submodular": "no method here takes it; fields are set as in --selection NAME:field=value",
    "submodular_greedy": "no method here takes it; fields are set as in --selection NAME:field=value",
    "uncertainty": "no method here takes it; fields are set as in --selection NAME:field=value",
}

# flag of the proxy -> field of its TrainSpec; each defaults to the target's value
PROXY_FLAGS = {
    "selection_epochs": "epochs",
    "selection_batch": "batch",
    "selection_lr": "lr",
    "selection_momentum": "momentum",
    "selection_weight_decay": "weight_decay",
    "selection_optimizer": "optimizer",
    "selection_nesterov": "nesterov",
}
FOLDER_FLAGS = ("workers", "image_size", "resize", "cache")  # they mean something for folders of images only
RECIPE_FLAGS = (
    *("epochs", "steps", "optimizer", "lr", "min_lr", "momentum", "nesterov", "weight_decay"),
    *("scheduler", "gamma", "step_size", "augment", "precision"),
)


# any of these makes --costs use your own setting instead of the paper's
SETTING_FLAGS = (
    *("dataset", "model", "proxy_model", "fraction", "val_fraction", "long_tail", "recipe"),
    *("batch", "train_batch"),
    *RECIPE_FLAGS,
    *PROXY_FLAGS,
)
TABLES = ("accuracy", "costs", "phases", "noise")


def parser() -> argparse.ArgumentParser:
    """All flags; DeepCore's keep their names."""
    p = Parser(
        prog="main.py",
        usage="python main.py [--dataset NAME] [--selection METHOD ...] [--fraction F ...] [flag ...]",
        description="Coreset selection for deep learning: methods compared on one proxy run per seed.",
        epilog='Example: python main.py --selection CLD "CLD:first=45,every=2" Random --fraction 0.05 0.1',
        allow_abbrev=False,
    )
    for group in (_data, _compared, _recipe, _proxy, _output, _machine, _costs, _ignored):
        group(p)
    return p


def _data(p: Parser) -> None:
    """The data set and its files."""
    add = p.add_argument_group("data").add_argument
    add("--dataset", metavar="NAME", help="a name of --list, or PATH.npz (default Digits)")
    add("--data_path", default="data", metavar="DIR", help="folder of the data set's files (default data)")
    add("--download", action="store_true", help="fetch missing files into --data_path")
    add(
        "--workers",
        "-j",
        type=whole,
        metavar="N",
        help="processes that read image folders (default: CPUs, up to 8)",
    )
    add(
        "--image_size",
        type=whole,
        metavar="PX",
        help="side of the crops of image folders (default 224; Tiny: 64)",
    )
    add(
        "--resize",
        type=whole,
        metavar="PX",
        help="shorter side before the central crop (default 256; Tiny: 64)",
    )
    add(
        "--cache",
        metavar="DIR",
        help="decode image folders once, into DIR: the pictures with --resize pixels on the shorter side "
        "(336 GB for ImageNet); training crops are then cut out of those",
    )


def _compared(p: Parser) -> None:
    """What is compared with what."""
    add = p.add_argument_group("what is compared").add_argument
    add("--model", metavar="NET", help="target network (default: the data set's)")
    add(
        "--cross",
        nargs="+",
        default=[],
        metavar="NET",
        help="further target networks for the same selections",
    )
    add("--proxy_model", metavar="NET", help="network of the proxy run (default: --model)")
    add(
        "--selection",
        nargs="+",
        metavar="METHOD",
        help='methods, as NAME or "NAME:field=value,..."; file:PATH judges anybody\'s subset (default CLD)',
    )
    add(
        "--fraction",
        nargs="+",
        type=float,
        metavar="F",
        help="fractions kept, in (0, 1], of the train pool, which is what the validation split leaves; "
        "DeepCore's are of the whole training set (default 0.1)",
    )
    add(
        "--val_fraction",
        type=float,
        metavar="F",
        help="share of each class held out (default: the data set's, mostly 0.1; ImageNet 0.01)",
    )
    add(
        "--label_noise",
        type=float,
        default=0.0,
        metavar="F",
        help="share of the train pool's labels to flip to another class (default 0); test labels stay",
    )
    add(
        "--label_noise_val",
        type=float,
        default=0.0,
        metavar="F",
        help="share of the validation rows' labels to flip, too (default 0)",
    )
    add(
        "--long_tail",
        type=float,
        metavar="X",
        help="cut the train pool to exponential class sizes, class 0 being X times as large as the last "
        "(default: all rows); validation and test rows stay",
    )
    add(
        "--balance",
        type=yes_or_no,
        default=True,
        metavar="BOOL",
        help="each class gets its share of the budget; false drops the class quotas: CLD's paper and a few "
        "others have them, most do not (default true)",
    )
    add(
        "--record",
        choices=("online", "post_epoch"),
        help="recording for all methods (default: each method's own; --list names it)",
    )
    add("--num_exp", type=whole, default=5, metavar="N", help="independent seeds (default 5)")
    add("--seed", type=whole, default=0, metavar="S", help="experiment e has seed S + e (default 0)")


def _recipe(p: Parser) -> None:
    """Of target and proxy."""
    add = p.add_argument_group("recipe (defaults: the data set's)").add_argument
    add("--recipe", metavar="NAME", help="a named recipe of --list to start from")
    add("--epochs", type=whole, metavar="N", help="epochs of target and proxy; milestones scale with them")
    add("--steps", type=whole, metavar="N", help="length of the target in steps instead")
    add("--batch", "-b", "--batch-size", type=whole, metavar="N", help="batch of target and proxy")
    add("--train_batch", "-tb", type=whole, metavar="N", help="batch of the target (default --batch)")
    add("--optimizer", metavar="NAME", help="SGD, Adam or AdamW")
    add("--lr", type=float, metavar="X", help="initial learning rate")
    add("--min_lr", type=float, metavar="X", help="last learning rate of the cosine and one-cycle schedules")
    add("--momentum", type=float, metavar="X", help="of SGD")
    add("--nesterov", type=yes_or_no, metavar="BOOL", help="of SGD")
    add("--weight_decay", "-wd", "--weight-decay", type=float, metavar="X", help="on all parameters")
    add(
        "--scheduler", metavar="NAME", help="MultiStepLR, CosineAnnealingLR, OneCycleLR, StepLR or ConstantLR"
    )
    add("--gamma", type=float, metavar="X", help="factor of a MultiStepLR or StepLR decay")
    add("--step_size", type=whole, metavar="N", help="epochs between StepLR's decays")
    add("--augment", type=yes_or_no, metavar="BOOL", help="use the data set's augmentation")
    add(
        "--precision",
        metavar="NAME",
        help="fp32, bf16 (mixed, on CPU and GPU) or fp16 (mixed, with loss scaling, on a GPU), of target and "
        "proxy (default fp32)",
    )


def _proxy(p: Parser) -> None:
    """Where the proxy differs from the target."""
    add = p.add_argument_group("proxy run (defaults: the target's recipe)").add_argument
    add("--selection_epochs", "-se", type=whole, metavar="N", help="epochs of the proxy")
    add("--selection_batch", "-sb", type=whole, metavar="N", help="batch of the proxy")
    add("--selection_lr", "-slr", type=float, metavar="X", help="learning rate of the proxy")
    add("--selection_momentum", "-sm", type=float, metavar="X", help="momentum of the proxy")
    add("--selection_weight_decay", "-swd", type=float, metavar="X", help="weight decay of the proxy")
    add("--selection_optimizer", "-so", metavar="NAME", help="optimiser of the proxy")
    add("--selection_nesterov", "-sn", type=yes_or_no, metavar="BOOL", help="of the proxy's SGD")
    add(
        "--signals",
        choices=("all", "needed"),
        default="all",
        help="record what methods added later may need too (one more forward pass per epoch), "
        "or only what --selection needs",
    )
    add("--proxy_run", metavar="DIR", help="use exactly this stored proxy run; {seed} stands for the seed")


def _output(p: Parser) -> None:
    """What is kept and printed."""
    add = p.add_argument_group("output").add_argument
    add(
        "--save_path",
        "-sp",
        default="runs",
        metavar="DIR",
        help="rows, selections and proxy runs (default runs)",
    )
    add(
        "--output", choices=("table", "md", "latex", "csv", "json"), default="table", help="form of the table"
    )
    add(
        "--report",
        type=yes_or_no,
        default=True,
        metavar="BOOL",
        help="write report.html, tables/ and figures/ into --save_path (default true)",
    )
    add(
        "--print_freq",
        "-p",
        type=whole,
        default=0,
        metavar="N",
        help="a line every N epochs (default 0: none)",
    )
    add(
        "--show",
        nargs="+",
        choices=TABLES,
        help="tables: accuracy; costs, what each method cost and when it pays; phases, passes and FLOPs by "
        "formula and as counted, seconds, memory; noise, what became of flipped labels (default accuracy "
        "costs, and noise with --label_noise; for csv and json accuracy)",
    )
    add("--figures", action="store_true", help="draw accuracy against cost: pareto.png, .svg in --save_path")
    add("--quiet", action="store_true", help="the table alone: no lines, no bars")
    add("--dry_run", action="store_true", help="print what would be trained, the disk and the time it takes")
    add(
        "--power",
        metavar="PATH",
        help="run nothing: from the rows in a folder (--save_path) or a .csv of rows, print the seeds that "
        "differences from Random of 0.5, 1, 2 and 5 points need",
    )
    add("--list", action="store_true", help="print methods, data sets, networks and recipes")


def _machine(p: Parser) -> None:
    """What it runs on."""
    add = p.add_argument_group("machine").add_argument
    add(
        "--gpu",
        nargs="+",
        type=whole,
        metavar="ID",
        help="CUDA device, or several for a job on each (default 0 where there is one, else the CPU; "
        "-1 is the CPU)",
    )
    add(
        "--jobs",
        type=whole,
        metavar="N",
        help="trainings side by side, each in a process of its own (default: as many as pay on this machine; "
        "1: none); the rows do not depend on it",
    )
    add(
        "--jobs_per_gpu",
        type=whole,
        default=1,
        metavar="N",
        help="jobs on each CUDA device, for small networks (default 1)",
    )
    add(
        "--cluster",
        metavar="ADDRESS",
        help='run the jobs on Ray: "ray" for one on this machine, else the address of a cluster, such as '
        "ray://HOST:10001 (needs pip install ray)",
    )
    add(
        "--compile",
        action="store_true",
        help="run the networks through torch.compile (needs g++, on a GPU Triton); the rows are the same but "
        "for rounding, and say it",
    )


def _costs(p: Parser) -> None:
    """The cost formulas."""
    add = p.add_argument_group("cost tables").add_argument
    add(
        "--costs",
        action="store_true",
        help="run nothing: print the CLD paper's cost tables or, with --dataset, --model, --fraction or a "
        "recipe, those of that setting; --selection adds methods with their fields",
    )
    add(
        "--protocol",
        choices=("paper", "here"),
        help="of --costs: the paper's, or this harness's (default paper)",
    )
    add(
        "--flops",
        choices=("paper", "consistent"),
        help="of --costs: as the paper prints f and f_large, or 2 per multiply-add in both (default paper)",
    )


def _ignored(p: Parser) -> None:
    """DeepCore's flags that mean nothing here."""
    add = p.add_argument_group("DeepCore's flags without a meaning here (accepted, and said)").add_argument
    short = {"test_interval": "-ti", "test_fraction": "-tf", "selection_test_interval": "-sti",
             "selection_test_fraction": "-stf", "resume": "-r"}  # fmt: skip
    for flag, why in IGNORED_FLAGS.items():
        add(f"--{flag}", *([short[flag]] if flag in short else []), metavar="X", help=why)
