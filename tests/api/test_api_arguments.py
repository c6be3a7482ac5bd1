"""What the functions of the API take, and how they say what they do not take."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import memaudit as ma
from memaudit.api.arguments import checked

FUNCTIONS = [name for name in ma.__all__ if inspect.isfunction(getattr(ma, name))]
FITTING = {"float": 0.5, "Sequence[AnyStore]": ["x"], "Guard": object.__new__(ma.Guard)}
CALLS: dict[str, tuple[Callable[[], object], str]] = {
    "a number as text": (lambda: ma.run_dedup("store", threshold="0.95"), "threshold is '0.95' (str), expected float"),  # type: ignore[arg-type]
    "no path": (lambda: ma.embed(None, "out"), "sources is None, expected str | Path"),  # type: ignore[arg-type]
    "no folder": (lambda: ma.embed("training", None), "out is None, expected str | Path"),  # type: ignore[arg-type]
    "one of several": (lambda: ma.embed(["training", None], "out"), "sources[1] is None, expected str | Path"),  # type: ignore[list-item]
    "a table": (lambda: ma.embed(pd.DataFrame({"path": ["a"]}), "out"), "sources is path 0 a (DataFrame), expected"),
    "an array": (lambda: ma.run_audit(np.zeros((3, 8)), "store"), "generations is array("),  # type: ignore[arg-type]
    "a set": (lambda: ma.embed({"training"}, "out"), "sources is {'training'} (set), expected"),  # type: ignore[arg-type]
    "half a number": (lambda: ma.embed("training", "out", batch_size=1.5), "batch_size is 1.5 (float), expected int"),  # type: ignore[arg-type]
    "a word for yes": (lambda: ma.embed("training", "out", tiles="no"), "tiles is 'no' (str), expected bool"),  # type: ignore[arg-type]
    "a mapping": (lambda: ma.train_filter("store", {"a": None}), "labels['a'] is None, expected int | str"),  # type: ignore[dict-item]
    "no function": (lambda: ma.embed("training", "out", progress=True), "progress is True (bool), expected Callable"),  # type: ignore[arg-type]
    "an option of options": (
        lambda: ma.run_audit("generations", "store", encoding=ma.Encoding(batch_size="16")),  # type: ignore[arg-type]
        "encoding.batch_size is '16' (str), expected int",
    ),
    "no list": (lambda: ma.merge_stores("store", "out"), "stores is 'store' (str), expected Sequence[str | Path | "),
}
RANGES = {"workers": -1, "batch_size": 0, "shard_rows": 0, "neighbours": 0, "seed": -1, "max_unreadable": float("nan")}


@pytest.mark.parametrize("case", CALLS)
def test_a_value_of_another_type_is_named(case: str) -> None:
    """In one line: which argument, its value, what was expected; nothing was done by then."""
    call, said = CALLS[case]
    with pytest.raises(ma.errors.UsageError) as error:
        call()
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "help(ma." in str(error.value)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_holds_every_argument_to_its_type(name: str) -> None:
    function = getattr(ma, name)
    for wanted in inspect.signature(function).parameters:
        with pytest.raises(ma.errors.UsageError, match=rf"{name}: {wanted} is 3j \(complex\), expected "):
            _call_with(function, wanted, 3j)


def _call_with(function: Callable[..., object], wanted: str, value: object) -> None:
    """With a value of no use for one argument, and something that fits for those that must be given."""
    needed = (each for each in inspect.signature(function).parameters.values() if each.default is each.empty)
    function(**{each.name: FITTING.get(each.annotation, "x") for each in needed} | {wanted: value})


@pytest.mark.parametrize("name", RANGES)
def test_a_value_that_the_commands_refuse_is_refused(name: str) -> None:
    """By every function that has it: a look-up of no neighbours would find nothing, and call that a result."""
    of = [each for each in FUNCTIONS if name in inspect.signature(getattr(ma, each)).parameters]
    assert of
    for each in of:
        with pytest.raises(ma.errors.UsageError, match=rf"{each}: {name} is {RANGES[name]} \(\w+\), expected "):
            _call_with(getattr(ma, each), name, RANGES[name])
    with pytest.raises(ma.errors.UsageError, match=r"encoding\.batch_size is 0 \(int\), expected at least 1"):
        ma.run_lookup("generations", "store", encoding=ma.Encoding(batch_size=0))
    with pytest.raises(ma.errors.UsageError, match=r"max_unreadable is 5\.0 \(float\), expected 0 to 1"):
        ma.embed("training", "out", max_unreadable=5)


def test_what_means_the_same_is_taken(folders: Path) -> None:
    """Numbers of NumPy, paths that are no Path, and lists of other kinds."""
    files = [str(path) for path in sorted((folders / "training").iterdir())]
    ways: list[Any] = [files, (Path(file) for file in files), np.array(files), pd.Series(files), map(str, files)]
    made = [ma.embed(each, f"store-{n}", encoder="thumbnail", batch_size=np.int64(4)) for n, each in enumerate(ways)]  # type: ignore[arg-type]
    assert {store.digest for store in made} == {made[0].digest}
    found = ma.run_dedup(made[0], threshold=np.float32(0.75), seed=np.int16(1))  # type: ignore[arg-type]
    assert found.threshold == 0.75
    assert type(found.threshold) is float


def test_a_path_stays_of_its_kind() -> None:
    """As that of a library which puts URLs into paths: its text is theirs."""

    class Elsewhere(type(Path())):  # type: ignore[misc]
        def __str__(self) -> str:
            return "s3://bucket/training"

    def source_of(given: str | Path | Sequence[str | Path]) -> str:
        return str(given)

    assert checked(source_of)(Elsewhere("training")) == "s3://bucket/training"


def test_too_much_and_too_little_are_told_as_python_does() -> None:
    with pytest.raises(TypeError, match=r"embed\(\) got an unexpected keyword argument 'treshold'"):
        ma.embed("training", "out", treshold=0.5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"embed\(\) missing 1 required positional argument: 'out'"):
        ma.embed("training")  # type: ignore[call-arg]


def test_other_processes_can_be_given_a_function() -> None:
    """By pickle, which asks for it by its name."""
    assert all(pickle.loads(pickle.dumps(getattr(ma, name))) is getattr(ma, name) for name in FUNCTIONS)
