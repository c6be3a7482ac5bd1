"""Altered training images: which are drawn, what becomes of their files, and how many an audit is said to find."""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import MakeStore, draw, write_pictures
from PIL import Image
from vectors import near, random_vectors, vector_store
from written import bytes_of

from memaudit.audit.planted import PlantedPairs, PlantedQueries, bounds_of_all, planted_found
from memaudit.audit.planting import Copy, Planting, planting, require_plantable
from memaudit.audit.results import Planted, PlantedKind
from memaudit.embedding.options import EmbedOptions
from memaudit.errors import UsageError
from memaudit.images.copy_kinds import PLANTED, copies_for
from memaudit.matching.candidates import Candidates
from memaudit.matching.search import StoredQueries
from memaudit.statistics import Detected, melded_rate, rate_of
from memaudit.store import Store
from memaudit.types import Coverage, Status

OPTIONS = EmbedOptions(workers=2)


@pytest.fixture
def training(tmp_path: Path, make_store: MakeStore) -> Store:
    return make_store(write_pictures(tmp_path / "training", range(30)))


def planted(training: Store, folder: Path, count: int, like: Store | None = None) -> tuple[Planting, dict[str, bytes]]:
    with planting(training, like or training, folder, count, OPTIONS) as made:
        return made, bytes_of(folder)


def test_of_each_kind_equally_many_of_other_images(training: Store, tmp_path: Path) -> None:
    """And the same again for the same store."""
    made, files = planted(training, tmp_path / "pictures", 25)
    assert Counter(copy.kind for copy in made.copies) == dict.fromkeys(PLANTED, 5)
    assert len({copy.source for copy in made.copies}) == 25
    assert sorted(files) == sorted(copy.name for copy in made.copies)
    assert planted(training, tmp_path / "pictures", 25) == (made, files)


def test_of_a_small_set_each_image_is_altered_in_all_ways(training: Store, tmp_path: Path) -> None:
    """In none twice."""
    made, _ = planted(training, tmp_path / "pictures", 1000)
    assert Counter(copy.kind for copy in made.copies) == dict.fromkeys(PLANTED, 30)
    assert len(set(made.copies)) == 150


def test_no_picture_is_left_behind(training: Store, tmp_path: Path) -> None:
    """Not where the audit was stopped either, and what a killed one left goes as well."""
    folder = write_pictures(tmp_path / "pictures", [7])

    def stopped() -> None:
        with planting(training, training, folder, 5, OPTIONS):
            assert not (folder / "0007.png").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert not folder.exists()


def test_copies_are_as_large_as_generations(training: Store, tmp_path: Path, make_store: MakeStore) -> None:
    small = tmp_path / "generations"
    small.mkdir()
    for seed in range(3):
        draw(seed, (40, 30)).save(small / f"{seed}.png")
    _, files = planted(training, tmp_path / "pictures", 25, make_store(small, name="generations-store"))
    sides = [max(Image.open(io.BytesIO(data)).size) for data in files.values()]
    assert max(sides) == 40


def test_files_that_are_gone_or_changed_are_counted_and_others_taken(training: Store, tmp_path: Path) -> None:
    folder = tmp_path / "training"
    for seed in range(10):
        (folder / f"{seed:04d}.png").unlink()
        draw(900 + seed).save(folder / f"{seed + 10:04d}.png")
    made, _ = planted(training, tmp_path / "pictures", 25)
    names = training.columns(np.array([copy.source for copy in made.copies])).image_id
    assert made.unreadable > 0
    assert len(made.copies) >= 10
    assert set(names) <= {f"{seed:04d}.png" for seed in range(20, 30)}
    for seed in range(20, 30):
        (folder / f"{seed:04d}.png").unlink()
    made, files = planted(training, tmp_path / "pictures", 25)
    assert (made.copies, files) == ((), {})
    assert made.why_none == "no file of the training set could be read"


@pytest.mark.parametrize(("generations", "copies"), [(0, 100), (150, 100), (5000, 160), (50_000, 300)])
def test_how_many_are_planted_where_nobody_says(generations: int, copies: int) -> None:
    """As many as make generations and copies fewest together: the bound is higher by kinds ÷ copies."""
    assert copies_for(generations) == copies
    assert copies % len(PLANTED) == 0
    if 100 < copies < 300:
        assert copies == pytest.approx(math.sqrt(len(PLANTED) * generations), abs=len(PLANTED))


@pytest.mark.parametrize("count", [-1, 10_001])
def test_impossible_numbers(count: int) -> None:
    with pytest.raises(UsageError, match="--planted"):
        require_plantable(count)


def matches(*pairs: tuple[int, int]) -> Candidates:
    """(copy, training image)"""
    query, reference = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    return Candidates.whole(query, reference, np.ones(len(pairs), np.float32))


TRAINING = random_vectors(0, 20)


@pytest.fixture
def vectors(tmp_path: Path) -> Store:
    """Of which the last is a near-duplicate of the first."""
    return vector_store(tmp_path / "training", np.r_[TRAINING, near(1, TRAINING[:1], 0.1)])


def copies(of: Sequence[int], kind: str = "cropped") -> Planting:
    return Planting(len(of), tuple(Copy(f"copy-{place:05d}", kind, source) for place, source in enumerate(of)))


def counts(
    made: Planting, pairs_found: Candidates, training: Store, store: Store, unread: Candidates | None = None
) -> dict[str, tuple[int, int]]:
    """Of each kind how many were found, and of how many."""
    unread = Candidates.joined([]) if unread is None else unread
    pairs = PlantedPairs(pairs_found, unread, np.full(len(pairs_found.query), "verbatim", object))
    told = planted_found(PlantedQueries(made, StoredQueries(store)), pairs, training, 0.8)
    found = {each.kind: each.found for each in told.kinds if each.found and each.found.coverage.total}
    return {kind: (rate.count, rate.coverage.measured) for kind, rate in found.items()}


def embedded(folder: Path, count: int, **columns: Any) -> Store:
    return vector_store(folder, random_vectors(3, count), prefix="copy", **columns)


def test_a_copy_is_found_by_its_source_or_what_is_alike(vectors: Store, tmp_path: Path) -> None:
    """One that is taken for another image's is not."""
    found = matches((0, 0), (1, 20), (2, 9), (3, 4), (3, 7))
    store = embedded(tmp_path / "copies", 5)
    assert counts(copies([0, 0, 2, 7, 8]), found, vectors, store) == {"cropped": (3, 5)}


def test_copies_without_content_are_left_out_like_blank_generations(vectors: Store, tmp_path: Path) -> None:
    """And what could not be read is not measured."""
    store = embedded(tmp_path / "copies", 4, statuses=[Status.OK, Status.BLANK, Status.UNREADABLE, Status.OK])
    assert counts(copies([0, 1, 2, 3]), matches((0, 0)), vectors, store) == {"cropped": (1, 2)}


def test_a_copy_whose_own_image_could_not_be_compared_was_not_measured(vectors: Store, tmp_path: Path) -> None:
    """Nor one of which what is alike could not, unless it was found all the same; another image's says nothing."""
    store = embedded(tmp_path / "copies", 5)
    unread = matches((0, 0), (1, 20), (2, 9), (4, 8))
    made = copies([0, 0, 2, 7, 8])
    assert counts(made, matches((0, 20)), vectors, store, unread) == {"cropped": (1, 3)}


def test_a_copy_that_is_a_sheet_is_found_by_one_of_its_pictures(vectors: Store, tmp_path: Path) -> None:
    """As a generation is: it is one draw with its pictures."""
    names = ["copy-00000", "copy-00000#cell=0,0,10,10", "copy-00001"]
    store = embedded(tmp_path / "copies", 3, ids=names, statuses=[Status.BLANK, Status.OK, Status.OK])
    assert counts(copies([4, 5]), matches((1, 4)), vectors, store) == {"cropped": (1, 2)}


def test_a_copy_is_found_by_the_gravest_kind_of_its_matches(vectors: Store, tmp_path: Path) -> None:
    """Those that were not compared may be of any, and are told apart."""
    kinds = np.array(["partial", "template", "partial", "", "verbatim"], object)
    pairs = PlantedPairs(matches((0, 0), (0, 20), (1, 2), (2, 3), (3, 9)), Candidates.joined([]), kinds)
    queries = PlantedQueries(copies([0, 2, 3, 4]), StoredQueries(embedded(tmp_path / "copies", 4)))
    told = {each.kind: each.matched for each in planted_found(queries, pairs, vectors, 0.8).kinds}
    assert told["cropped"] == {"template": 1, "partial": 1, "": 1}


def test_bounds_go_by_the_kind_that_is_found_least() -> None:
    """The lower end goes by the one that is found most: nobody knows how copies were altered."""
    kinds = {"cropped": (20, 40), "mirrored": (40, 40)}
    rates = {kind: rate_of(x, Coverage(m, m)) for kind, (x, m) in kinds.items()}
    told = Planted(80, 80, (*(PlantedKind(*each) for each in rates.items()), PlantedKind("re-drawn", None)))
    rate = rate_of(5, Coverage(1000, 1000))
    found = bounds_of_all(rate, told, melded_rate)
    assert found is not None
    assert found.kind == "cropped"
    assert found.upper == melded_rate(rate, Detected(20, 40)).upper
    assert found.low == pytest.approx(rate.low)
    assert bounds_of_all(rate, Planted(0), melded_rate) is None


def test_a_kind_of_which_nothing_was_measured_leaves_no_bound(vectors: Store, tmp_path: Path) -> None:
    """It may be the hardest: whether its copies were made and could not be compared, or were too few to be made."""
    pairs = PlantedPairs(matches((0, 0)), matches((1, 1)), np.array(["verbatim"], object))
    made = Planting(3, (*copies([0]).copies, Copy("copy-00001", "mirrored", 1)))
    told = planted_found(PlantedQueries(made, StoredQueries(embedded(tmp_path / "copies", 2))), pairs, vectors, 0.8)
    assert [each.kind for each in told.kinds] == list(PLANTED)
    assert told.unmeasured == tuple(kind for kind in PLANTED if kind != "cropped")
    assert bounds_of_all(rate_of(5, Coverage(1000, 1000)), told, melded_rate) is None
