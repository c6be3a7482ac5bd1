"""Reviews in a dedup run: pairs that people ruled out, and pairs that only they know."""

from __future__ import annotations

import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from reviewed import said, write_lines
from vectors import families, vector_store

from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import DedupResult, Reason
from memaudit.dedup.reviewed import are_among, read_reviewed
from memaudit.dedup.run import dedup
from memaudit.report.dedup import write_dedup
from memaudit.similarity import Pairs
from memaudit.store import Store

DAY = date(2026, 12, 1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Rows 0 and 1 are near-duplicates, and so are 2 and 3; 4 resembles nobody."""
    return vector_store(tmp_path / "s", families(0, [2, 2, 1], noise=0.2))


def run(store: Store, *lines: tuple[int, int, str, str], **options: object) -> DedupResult:
    digests = store.all_columns().sha256
    written = [
        said(str(digests[one]), str(digests[other]), verdict, until=until or None)
        for one, other, verdict, until in lines
    ]
    path = write_lines(store.folder.parent / "reviews.jsonl", *written)
    return dedup(store, DedupOptions(**options), reviewed=read_reviewed([path], DAY))  # type: ignore[arg-type]


@pytest.mark.parametrize("groups", ["cover", "components"])
def test_pairs_are_ruled_out_and_named(store: Store, tmp_path: Path, groups: str) -> None:
    """No similarity outweighs what people say; and the report tells what they said, and what that changed."""
    result = run(store, (0, 1, "not a copy", ""), (4, 2, "copy", ""), (2, 3, "copy", ""), groups=groups)
    decisions = result.decisions
    assert decisions.reason.tolist()[:2] == [Reason.UNIQUE] * 2
    assert decisions.group[0] != decisions.group[1]
    assert len(set(decisions.group[2:].tolist())) == 1
    assert Reason.PEOPLE in decisions.reason.tolist()
    assert not decisions.pixels.any()
    assert result.pairs.people.sum() == 1
    reviews = result.reviews
    assert reviews is not None
    assert (reviews.apart, reviews.found, reviews.together, reviews.added) == (1, 1, 2, 1)
    report = write_dedup(result, store, tmp_path / "out")
    assert "or named by people" in report.results.headline
    assert report.results.without_witness == 0 or groups == "components"
    assert report.inputs["reviews"] == reviews.digest
    people = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pydict()
    assert people["people"] == result.pairs.people.tolist()
    assert not any(people["pixels"])


def test_which_pairs_are_named_takes_a_byte_a_pair() -> None:
    """However few are: of a hundred million pairs lists would fill the memory."""
    left, right = np.triu_indices(600, 1)
    pairs = Pairs(left.astype(np.int32), right.astype(np.int32), np.ones(len(left), np.float32))
    named = np.array([[3, 17], [0, 1], [598, 599], [5, 900]])
    tracemalloc.start()
    found = are_among(pairs, named)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(zip(left[found].tolist(), right[found].tolist(), strict=True)) == {(3, 17), (0, 1), (598, 599)}
    assert peak < 2 * len(left)
    assert not are_among(pairs, named[:0]).any()
    assert len(are_among(Pairs.none(), named)) == 0


@pytest.mark.parametrize(
    ("lines", "apart", "together", "left"),
    [
        ([(0, 1, "accepted", "2999-01-01")], 1, 0, 0),
        ([(0, 1, "accepted", "2020-01-01")], 0, 0, 1),
        ([(0, 1, "unsure", "")], 0, 0, 1),
        ([(0, 1, "copy", "2020-01-01")], 0, 0, 1),
        ([(0, 1, "copy", "")], 0, 1, 0),
    ],
)
def test_what_a_verdict_does(
    store: Store, lines: list[tuple[int, int, str, str]], apart: int, together: int, left: int
) -> None:
    """A copy that may stay does stay; what is doubtful, or past its day, is left to the run."""
    reviews = run(store, *lines).reviews
    assert reviews is not None
    assert (reviews.apart, reviews.together, reviews.left) == (apart, together, left)


def test_people_who_disagree_are_not_heeded(store: Store, tmp_path: Path) -> None:
    a, b = store.all_columns().sha256[:2]
    path = write_lines(tmp_path / "r.jsonl", said(a, b, "not a copy"), said(b, a, "copy", "B"))
    result = dedup(store, reviewed=read_reviewed([path], DAY))
    assert result.decisions.decision.tolist()[:2].count("drop") == 1
    assert result.reviews is not None
    assert result.reviews.left == 1


def test_a_ruled_out_pair_outweighs_one_that_is_named_for_an_exact_duplicate(tmp_path: Path) -> None:
    """Rows 0 and 3 are one picture in two files: of pairs with it the one that is ruled out counts."""
    vectors = families(0, [1, 1, 1], noise=0.2)
    store = vector_store(tmp_path / "s", np.concatenate([vectors, vectors[:1]]))
    result = run(store, (0, 1, "not a copy", ""), (3, 1, "copy", ""))
    assert result.decisions.group[0] == result.decisions.group[3] != result.decisions.group[1]


def test_files_of_no_store_are_counted(store: Store, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "r.jsonl", said("a" * 64, "b" * 64, "copy"))
    reviews = dedup(store, reviewed=read_reviewed([path], DAY)).reviews
    assert reviews is not None
    assert (reviews.unknown, reviews.added) == (1, 0)


def test_a_file_paired_with_itself_is_passed_over(store: Store, tmp_path: Path) -> None:
    """An audit may find a training image's very file: what is said of it says nothing to a dedup run."""
    digest = str(store.all_columns().sha256[0])
    reviews = dedup(
        store, reviewed=read_reviewed([write_lines(tmp_path / "r.jsonl", said(digest, digest, "copy"))], DAY)
    )
    assert reviews.reviews is not None
    assert (reviews.reviews.together, reviews.reviews.unknown, reviews.reviews.left) == (0, 0, 0)


def test_without_reviews_nothing_is_said_of_them(store: Store, tmp_path: Path) -> None:
    report = write_dedup(dedup(store), store, tmp_path / "out")
    assert "reviews" not in report.content["results"]
    assert "reviews" not in report.inputs
