"""The library's public calls, by hypothesis: what comes back is a result or a sentence of ours."""

from __future__ import annotations

import random
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
from hypothesis import strategies as st

import deepcore
import methods
from deepcore.common.checks import DeepcoreError
from tests.fuzz import values
from tests.fuzz.outcome import Fault
from tests.fuzz.sandbox import Case, Fuzzer, own_folder

EXAMPLES = 60  # of one case
COUNTS: Counter[str] = Counter()
GROUPS: dict[
    str, tuple[tuple[Any, ...], Callable[..., None]]
] = {}  # strategies, and what is done with values


def group(*strategies: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Put a function into GROUPS."""

    def registered(function: Callable[..., None]) -> Callable[..., None]:
        GROUPS[function.__name__] = (strategies, function)
        return function

    return registered


NOT_NUMBERS = (None, True, "", "x", "nan", b"x", [], [1], (1, 2), {}, np.array(2), np.zeros(0))
NUMBERS = (0, -1, 1, 2, 10**9, 2**63, 10**30, 0.5, 1.5, -0.1, np.nan, np.inf, np.float32(0.5), np.int64(3))
ODD = st.sampled_from((*NOT_NUMBERS, *NUMBERS))
SMALL = st.integers(0, 7)
SEEDS = st.integers(0, 99)


def call(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """The result of a public call; None where it refused in a sentence. Any other exception is a fault."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*args, **options)
    except DeepcoreError as error:
        if not str(error):
            raise Fault("refused without a sentence") from error
        COUNTS["refused"] += 1
        return None
    COUNTS["answered"] += 1
    return result


def array(shape: tuple[int, ...], kind: str, seed: int) -> Any:
    """An array of numbers of a kind."""
    rng = np.random.default_rng(seed)
    values = rng.exponential(1, shape)
    if kind == "stray" and values.size:
        values.reshape(-1)[seed % values.size] = (np.nan, np.inf, -np.inf, 1e300)[seed % 4]
    if kind == "list":
        return values.tolist()
    if kind == "equal":
        return np.full(shape, 2.0)
    if kind in ("int64", "float16", "float32", "U3", "complex64", "object", "uint8"):
        return values.astype(kind)
    return values


KINDS = st.sampled_from(
    [*["float32", "float64"] * 3, "stray", "list", "equal", "float16", "int64", "U3", "complex64", "object"]
)


def labels_of(count: int, kind: str, seed: int) -> Any:
    """Labels of a kind."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, count)
    if kind == "stray" and count:
        labels[seed % count] = (-1, 10**9, 1000, 2**62, 50)[seed % 5]
    if kind == "text":
        return np.array(["cat", "dog", "eel"])[labels]
    if kind == "float":
        return labels + (0.5 if seed % 2 else 0.0)
    if kind == "list":
        return labels.tolist()
    return {"none": None, "one": labels * 0, "uint8": labels.astype(np.uint8)}.get(kind, labels)


LABELS = st.sampled_from(
    ["plain", "plain", "plain", "stray", "text", "float", "list", "none", "one", "uint8"]
)


@st.composite
def runs(draw: Any) -> dict[str, Any]:
    """Arguments of from_losses."""
    checkpoints, count, val = draw(st.integers(0, 7)), draw(st.integers(0, 14)), draw(st.integers(0, 8))
    shape = draw(
        st.sampled_from([(checkpoints, count), (checkpoints, count), (checkpoints,), (count, checkpoints, 1)])
    )
    val_shape = draw(
        st.sampled_from([(checkpoints, val), (checkpoints, val), (checkpoints,), (checkpoints, 3), (val,)])
    )
    given = {
        "train_losses": array(shape, draw(KINDS), draw(SEEDS)),
        "train_labels": labels_of(count, draw(LABELS), draw(SEEDS)),
        "val_losses": draw(st.one_of(st.none(), st.builds(array, st.just(val_shape), KINDS, SEEDS))),
        "val_labels": draw(st.one_of(st.none(), st.builds(labels_of, st.just(val), LABELS, SEEDS))),
        "has_initial": draw(st.booleans()),
        "missing": draw(st.sampled_from(["error", "error", "nan", "x"])),
    }
    if draw(st.booleans()):
        given["ids"] = draw(
            st.sampled_from(
                [
                    np.arange(count) * 3,
                    np.array([f"i{n}" for n in range(count)]),
                    np.zeros(count),
                    [1, 1],
                    "x",
                ]
            )
        )
    if draw(st.booleans()):
        name = draw(st.sampled_from(["margin", "margin_p", "el2n", "grand", "kl_step", "loss", "x"]))
        given["signals"] = {name: array(shape, draw(KINDS), draw(SEEDS))}
    return given


METHODS = st.builds(lambda seed: values.method(random.Random(seed)), st.integers(0, 10**6))


@st.composite
def sizes(draw: Any) -> dict[str, Any]:
    """Arguments of select."""
    names = draw(
        st.lists(st.sampled_from(["fraction", "size", "per_class"]), min_size=0, max_size=2, unique=True)
    )
    plain = {"fraction": st.floats(0.01, 1), "size": st.integers(1, 12), "per_class": st.integers(1, 4)}
    return {name: draw(st.one_of(plain[name], plain[name], ODD)) for name in names or ["fraction"]}


@group(runs(), METHODS, sizes())
def losses(given: dict[str, Any], text: str, size: dict[str, Any]) -> None:
    """From losses to a selection and what is done with it."""
    run = call(deepcore.from_losses, **given)
    use(run, text, size)


def use(run: Any, text: str, size: dict[str, Any]) -> None:
    """Choose from a run, and apply the choice."""
    method = call(methods.parse, text)
    if run is None or method is None:
        return
    selection = call(deepcore.select, run, method, **size)
    if selection is None:
        return
    assert np.unique(selection.rows).size == selection.rows.size
    assert np.isin(selection.rows, run.ids).all()
    call(selection.columns)
    call(selection.apply, list(range(100)))
    call(selection.apply, np.arange(len(run.ids)), run.log.name_of(run.ids))


SHAPES = st.tuples(SMALL, st.integers(0, 12), st.integers(0, 6), st.integers(0, 4))


@group(SHAPES, KINDS, LABELS, SEEDS, METHODS, sizes(), st.booleans())
def logits(
    shape: tuple[int, ...], kind: str, labels: str, seed: int, text: str, size: dict[str, Any], features: bool
) -> None:
    """From logits, with or without features."""
    checkpoints, count, val, classes = shape
    given = {
        "train_logits": array((checkpoints, count, classes), kind, seed),
        "train_labels": labels_of(count, labels, seed),
        "val_logits": array((checkpoints, val, classes), kind, seed + 1),
        "val_labels": labels_of(val, labels, seed + 1),
    }
    if features:
        given["features"] = array((checkpoints, count, 2) if seed % 2 else (count, 2), kind, seed)
        given["val_features"] = array((checkpoints, val, 2) if seed % 2 else (val, 2), kind, seed)
        given["last_layer"] = (array((classes, 2), kind, seed), array((classes,), kind, seed))
    use(call(deepcore.from_logits, **given), text, size)


STEPS = st.tuples(
    st.sampled_from(["log", "log", "log", "val", "end", "run", "logits"]), KINDS, SEEDS, st.integers(0, 9)
)


@group(
    st.one_of(st.none(), st.builds(labels_of, st.integers(0, 9), LABELS, SEEDS)),
    st.one_of(st.none(), st.builds(labels_of, st.integers(0, 5), LABELS, SEEDS)),
    st.fixed_dictionaries(
        {},
        optional={
            "has_initial": st.booleans(),
            "size": st.one_of(st.integers(0, 9), ODD),
            "mode": st.sampled_from(["log", "one_pass", "x"]),
            "missing": st.sampled_from(["error", "nan"]),
            "repeated": st.sampled_from(["error", "last"]),
        },
    ),
    st.lists(STEPS, max_size=9),
)
def recorder(labels: Any, val_labels: Any, options: dict[str, Any], steps: list[Any]) -> None:
    """A recorder that is called in any order."""
    made = call(deepcore.LossRecorder, labels, val_labels, **options)
    if made is None:
        return
    for what, kind, seed, count in steps:
        numbers = array((count,), kind, seed)
        if what == "log":
            ids = np.random.default_rng(seed).permutation(9)[:count]
            call(made.log, ids if seed % 5 else ids.tolist(), numbers)
        elif what == "logits":
            call(
                made.log,
                np.arange(count),
                logits=array((count, 3), kind, seed),
                labels=labels_of(count, "plain", seed),
            )
        elif what == "val":
            call(made.log_val, numbers)
        else:
            call(made.end_epoch if what == "end" else made.run)


NAMES = st.sampled_from(["id", "epoch", "split", "label", "loss", "margin", "x"])


@group(st.dictionaries(NAMES, st.tuples(KINDS, SEEDS), max_size=7), SMALL, st.booleans())
def frames(columns: dict[str, tuple[str, int]], count: int, whole: bool) -> None:
    """A log as a mapping of columns."""
    table = {}
    for name, (kind, seed) in columns.items():
        rng = np.random.default_rng(seed)
        plain = {
            "id": np.arange(count) // 2,
            "epoch": np.arange(count) % 2,
            "split": np.array(["train", "val"])[rng.integers(0, 2, count)],
            "label": np.arange(count) // 2 % 3,
        }
        table[name] = plain[name] if whole and name in plain else array((count,), kind, seed)
    call(deepcore.read_logs, table)


@group(LABELS, st.integers(0, 9), st.one_of(SMALL, ODD), st.lists(st.tuples(KINDS, KINDS, SEEDS), max_size=6))
def stream(labels: str, count: int, classes: Any, updates: list[Any]) -> None:
    """CLD in one pass."""
    made = call(deepcore.CLDStream, labels_of(count, labels, count), classes)
    for kind, val_kind, seed in updates if made is not None else ():
        call(made.update, array((count,), kind, seed), array((3,) if seed % 3 else (), val_kind, seed))
        call(made.score)


@group(st.one_of(st.floats(0, 1), ODD), st.one_of(st.integers(-1, 50), st.just(10**12)), ODD,
                  st.builds(array, st.tuples(SMALL), KINDS, SEEDS), METHODS)  # fmt: skip
def values_of(fraction: Any, count: int, odd: Any, numbers: Any, text: str) -> None:
    """Budgets, selections, specifications, costs."""
    call(deepcore.Budget.of, fraction, count)
    call(deepcore.Selection, numbers)
    call(deepcore.Selection, np.arange(count % 9), odd)
    for name in (
        "epochs",
        "batch",
        "lr",
        "momentum",
        "steps",
        "gamma",
        "step_size",
        "optimizer",
        "scheduler",
    ):
        call(deepcore.TrainSpec, **{name: odd})
    method = call(methods.parse, text)
    if method is not None:
        call(deepcore.cost_of, method, deepcore.Scenario.paper(), protocol="here" if count % 2 else "paper")


ROWS = st.sampled_from([(6, 3), (6, 4, 4), (6, 4, 4, 3), (0, 3), (6,), (6, 1, 1, 5)])


@group(ROWS, KINDS, LABELS, SEEDS, st.one_of(st.none(), SMALL))
def data(shape: tuple[int, ...], kind: str, labels: str, seed: int, classes: int | None) -> None:
    """A data set from arrays."""
    parts = [array(shape, kind, seed), labels_of(shape[0], labels, seed)]
    call(deepcore.from_arrays, "mine", *parts, *parts, num_classes=classes)


def draw(rng: random.Random) -> Case:
    """A group of calls and a seed for hypothesis."""
    return (rng.choice([*GROUPS]), rng.randrange(1 << 30))


def attempt(case: Case) -> dict[str, int]:
    """Some examples of a group; hypothesis finds the smallest that fails."""
    if len(case) < 2:
        return {}
    name, seed = case
    own_folder()
    COUNTS.clear()
    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    )
    strategies, function = GROUPS[name]

    def once(given: tuple[Any, ...]) -> None:
        function(*given)

    hypothesis.seed(seed)(settings(hypothesis.given(st.tuples(*strategies))(once)))()
    return dict(COUNTS)


FUZZER = Fuzzer("calls", draw, attempt, batch=10, cpu_seconds=120)
