"""Keep rules: any numeric column, highest first, missing last, ties by image_id."""

import json
from pathlib import Path

import numpy as np
import pytest
from vectors import families, random_vectors, vector_store

from memaudit.dedup.keep import keep_rank
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.errors import InputError, UsageError
from memaudit.store import Store


def scored(folder: Path, *scores: object) -> Store:
    metadata = ["" if score is ... else json.dumps({"score": score, "license": "cc0"}) for score in scores]
    return vector_store(folder, families(0, [len(scores)], noise=0.1), metadata=metadata)


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([1, 3, 2], 1),
        (["0.5", "10", "9"], 1),  # a CSV manifest's numbers are text: by value, not by letters
        ([None, "", 0.1], 2),
        ([..., -5, None], 1),
        ([7, 7, 7], 0),
        ([float("nan"), -1, ...], 1),
        ([float("-inf"), float("nan"), ...], 0),
        ([2, 10**300, 5], 1),
    ],
)
def test_the_highest_value_stays(tmp_path: Path, scores: list[object], kept: int) -> None:
    """Numbers or text of numbers; rows without a value come last."""
    result = dedup(scored(tmp_path / "s", *scores), DedupOptions(keep="best:score"))
    assert np.flatnonzero(result.decisions.decision == "keep").tolist() == [kept]
    assert result.keep_rule == "best:score"


def test_columns_that_every_store_has(tmp_path: Path) -> None:
    """width, height and simplicity; unmeasured simplicity comes last."""
    sizes, simplicity = [(5, 90), (90, 5), (10, 10)], [0.2, float("nan"), 0.9]
    store = vector_store(tmp_path / "s", families(0, [3], noise=0.1), sizes=sizes, simplicity=simplicity)
    columns = store.all_columns()
    assert keep_rank(columns, "best:width").tolist() == [2, 0, 1]
    assert keep_rank(columns, "best:height").tolist() == [0, 2, 1]
    assert keep_rank(columns, "best:simplicity").tolist() == [1, 2, 0]


def test_an_unknown_column_lists_those_there_are(tmp_path: Path) -> None:
    """Not only that it is unknown."""
    with pytest.raises(
        UsageError, match="no such column; the store has width, height, simplicity, license, score"
    ) as e:
        dedup(scored(tmp_path / "s", 1, 2), DedupOptions(keep="best:aesthetic"))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("value", ["high", True, [1], 10**400])
def test_a_column_that_is_not_numeric_is_one_line(tmp_path: Path, value: object) -> None:
    """It names the image and the value."""
    with pytest.raises(InputError, match="must be numeric, but image 'image-00001' has"):
        dedup(scored(tmp_path / "s", 1, value), DedupOptions(keep="best:score"))


def test_a_column_without_any_value(tmp_path: Path) -> None:
    """Nobody would be preferred by it: that is no rule."""
    with pytest.raises(UsageError, match="no image has a value"):
        dedup(scored(tmp_path / "s", None, ""), DedupOptions(keep="best:score"))


@pytest.mark.parametrize("rule", ["best", "best:", "biggest", ""])
def test_what_is_no_rule(tmp_path: Path, rule: str) -> None:
    """The rules that there are are listed."""
    with pytest.raises(UsageError, match="cleanest, largest, first or best:COLUMN"):
        dedup(vector_store(tmp_path / "s", random_vectors(0, 2)), DedupOptions(keep=rule))
