"""The named grids of head_to_head.py: data set, network, methods, fractions and seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import methods
from deepcore.common.checks import UsageError, check_choice
from deepcore.data import datasets
from deepcore.data.label_noise import LabelNoise
from deepcore.data.record import LabeledData
from deepcore.experiment.spec import ExperimentSpec
from deepcore.nets import networks as nets
from deepcore.training.recipes import RECIPES

SELECTIONS = (
    *("CLD", "CLD:initial=false", "CLD:record=online", "CLD:record=online,initial=true", "LTC", "Random"),
    *("Forgetting", "EL2N", "GraNd", "AUM", "CCS", "D2", "TDDS", "DynUnc", "DUAL", "Glister"),
)
# the other columns of the paper's tables, and what came since; in the grids that were not run before them
PAPER = ("Herding", "Cal", "Moderate", "CRAIG", "GraphCut", "SloCurv")
FURTHER = (
    *("BoundarySet-CCS", "KCenter", "FacilityLocation", "GradMatch", "LeastConfidence", "Entropy", "Margin"),
    *("S2L", "InfoMax", "TAP"),
)
BESIDE = ("Full@k", "RS2", "ValOnly", "Random+Val")
REFERENCES = ("Full", *BESIDE)
EVERY = (*SELECTIONS, *PAPER, *FURTHER, *REFERENCES)
TENTHS = (0.01, 0.05, 0.1, 0.3)
EARLY = "CLD:first=49"  # 30% of 164 epochs
PAPER_EPOCHS = 164  # of the CIFAR recipe, for proxy and coresets alike

CLEAN = LabelNoise()


@dataclass(frozen=True)
class Part:
    """Methods x fractions x seeds."""

    methods: tuple[str, ...]
    fractions: tuple[float, ...]
    seeds: int


@dataclass(frozen=True)
class Grid:
    """A comparison of methods on one data set; proxy and target have the same network.

    Attributes:
        dataset, model: names; PATH.npz is a file of benchmarks/real_data.py in --data_path.
        epochs: of the data set's recipe; None for the recipe's own.
        proxy_epochs: of the proxy; None for as many as the coresets have.
        parts: methods, fractions and seeds to run; a cell that is in two parts runs once.
        noise: shares of labels to flip.
        long_tail: imbalance of the candidates' classes; None for all candidates.
        precision: of proxy and coresets; None for the recipe's own.
        paper: file in benchmarks/paper with the paper's accuracies of the same data and network.
    """

    name: str
    dataset: str
    model: str
    parts: tuple[Part, ...]
    epochs: int | None = None
    proxy_epochs: int | None = None
    noise: LabelNoise = CLEAN
    long_tail: float | None = None
    precision: str | None = None
    paper: str | None = None

    def load(self, folder: str | Path, *, download: bool = False, workers: int | None = None) -> LabeledData:
        """The data set, its files being in the folder."""
        if self.dataset.endswith(".npz"):
            return datasets.load(str(Path(folder) / self.dataset))
        return datasets.load(self.dataset, data_path=folder, download=download, workers=workers)

    @property
    def seeds(self) -> range:
        """The seeds of all parts."""
        return range(max(part.seeds for part in self.parts))

    def experiments(self, data: LabeledData, seed: int) -> Iterator[ExperimentSpec]:
        """The grid's experiments under one seed, one per part."""
        recipe = RECIPES[data.recipe]
        recipe = dataclasses.replace(
            recipe,
            epochs=self.epochs or recipe.epochs,
            precision=self.precision or recipe.precision,
        )
        proxy = dataclasses.replace(recipe, epochs=self.proxy_epochs or recipe.epochs)
        net = nets.canonical(self.model)
        for part in self.parts:
            if seed < part.seeds:
                yield ExperimentSpec(
                    seeds=(seed,),
                    methods=tuple(methods.parse(text) for text in part.methods),
                    fractions=part.fractions,
                    nets=(net,),
                    proxy_net=net,
                    proxy=proxy,
                    target=recipe,
                    val_fraction=data.val_fraction,
                    label_noise=self.noise,
                    long_tail=self.long_tail,
                )


def _variants(first: int, half: int) -> tuple[str, ...]:
    """CLD with 30 and 45% of the epochs, every second checkpoint, the global trajectory, Spearman."""
    fields = (f"first={first}", f"first={half}", "every=2", "trajectory=global", "correlation=spearman")
    return tuple(f"CLD:{field}" for field in fields)


def _noisy(percent: int) -> Grid:
    part = Part(SELECTIONS, (0.01, 0.1), 3)
    noise = LabelNoise(percent / 100)
    return Grid(f"fashion_noise{percent}", "FashionMNIST", "ConvNet", (part,), epochs=10, noise=noise)


# for trainings that are dear: many rows or a larger network
FEW = ("CLD", "CLD:record=online", "Random", "CCS", "DUAL")
LARGER = Part((*FEW, "D2", "Herding", "Full@k"), (0.002, 0.01), 5)  # of Fashion-MNIST, larger networks

# what protocol and variants do
EFFECTS = (
    *("Random", "Random:class_balanced=false", "Random+Val"),
    *("CLD", "CLD:class_balanced=false", "CLD:initial=false"),
    *("AUM", "AUM:class_balanced=false", "AUM:of=probability"),
    *("DUAL", "DUAL:class_balanced=false"),
    *("D2", "D2:power=2", "D2:forward=product", "D2:reverse=absolute", "D2:normalize=true"),
)


def _long(name: str, *parts: Part) -> Grid:
    """Fashion-MNIST at the paper's length; the MLP makes it cheap."""
    return Grid(f"fashion_long{name}", "FashionMNIST", "MLP", parts, epochs=PAPER_EPOCHS)


def _real(name: str, *parts: Part, noise: LabelNoise = CLEAN) -> Grid:
    """A data set of benchmarks/real_data.py at the paper's length; its name is the first word of the
    grid's."""
    return Grid(name, f"{name.partition('_')[0]}.npz", "MLP", parts, epochs=PAPER_EPOCHS, noise=noise)


_CIFAR = (0.002, 0.004, 0.006, 0.008, *(p / 100 for p in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 75)))
_IMAGENET = (0.001, 0.005, *(p / 100 for p in (1, 5, 10, 30, 40, 50, 65, 70, 75, 80, 85, 90, 95)))

GRIDS = {
    grid.name: grid
    for grid in (
        Grid(
            "digits",
            "Digits",
            "MLP",
            (Part((*EVERY, *_variants(49, 74)), (0.01, 0.05, 0.1, 0.2, 0.5), 10),),
        ),
        Grid(
            "fashion",
            "FashionMNIST",
            "ConvNet",
            (
                Part((*SELECTIONS, *REFERENCES), (0.002, 0.01, 0.05, 0.1), 5),
                Part(_variants(3, 5), (0.01, 0.1), 3),
                Part((*SELECTIONS, *REFERENCES), (0.3,), 3),
            ),
            epochs=10,
        ),
        Grid(
            "fashion_all",
            "FashionMNIST",
            "LeNet",
            (Part(EVERY, (0.01, 0.1), 1),),
            epochs=10,
        ),
        _noisy(10),
        _noisy(30),
        _long(
            "",
            Part((*SELECTIONS, *PAPER, *FURTHER, EARLY, *BESIDE), (0.002, 0.01, 0.05, 0.1), 10),
            Part(("Full",), (0.01,), 1),  # the dearest training, the same for all fractions
        ),
        _long(
            "_large",
            Part((*SELECTIONS, *PAPER, *FURTHER, EARLY, *BESIDE), (0.3,), 10),
            Part((*FEW, "Full"), (0.5, 0.75), 5),
        ),
        _long("_effects", Part(EFFECTS, (0.01, 0.1), 10)),
        _real("mnist5k", Part((*EVERY, EARLY), (0.01, 0.05, 0.1), 10)),
        _real("letter", Part((*EVERY, EARLY), (0.01, 0.05, 0.1), 10)),
        _real("letter_noise10", Part(SELECTIONS, (0.05,), 10), noise=LabelNoise(0.1)),
        _real("letter_noise30", Part(SELECTIONS, (0.05,), 10), noise=LabelNoise(0.3)),
        _real("letter_noise_val", Part(SELECTIONS, (0.05,), 10), noise=LabelNoise(0.0, 0.3)),
        _real("satellite", Part(EVERY, TENTHS, 10)),
        _real("spam", Part((*EVERY, EARLY), (0.01, 0.05, 0.1), 10)),
        Grid(
            "fashion_conv",
            "FashionMNIST",
            "ConvNet",
            (LARGER,),
            epochs=PAPER_EPOCHS,
            proxy_epochs=30,  # 164 would take an hour and a half on a core
        ),
        Grid(
            "fashion_resnet",
            "FashionMNIST",
            "ResNet18",
            (LARGER,),
            epochs=PAPER_EPOCHS,
            proxy_epochs=30,  # as fashion_conv
            precision="bf16",
        ),
        Grid(
            "fashion_tail",
            "FashionMNIST",
            "MLP",
            (Part((*SELECTIONS, *REFERENCES), TENTHS, 5),),
            epochs=PAPER_EPOCHS,
            long_tail=100,
        ),
        Grid(
            "cifar100",
            "CIFAR100",
            "ResNet18",
            (Part((*SELECTIONS, *PAPER, *REFERENCES), _CIFAR, 5),),
            paper="paper_table2_3_cifar100_resnet18.csv",
        ),
        Grid(
            "imagenet",
            "ImageNet",
            "ResNet18",
            (Part((*SELECTIONS, *PAPER, *REFERENCES), _IMAGENET, 5),),
            paper="paper_table4_5_imagenet_resnet18.csv",
        ),
    )
}


def grid_of(name: str) -> Grid:
    """A grid by name; UsageError lists the valid ones."""
    return GRIDS[check_choice("grid", name, GRIDS)]


def check_seeds(grid: Grid, seeds: list[int]) -> None:
    """Seeds that the grid has."""
    for seed in seeds:
        if seed not in grid.seeds:
            raise UsageError(f"seed {seed} is not in the grid {grid.name}: 0 to {grid.seeds[-1]}")
