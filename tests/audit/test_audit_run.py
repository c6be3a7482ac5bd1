"""The audit: planted copies are found, clean generations are not, and what was not measured is never called clean."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vectors import Vectors, cosines, families, near, random_vectors, unit, vector_store

from memaudit.audit import paired
from memaudit.audit.pairing import Prompted
from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.index import ExactSearch, build_index, open_searcher
from memaudit.matching import search
from memaudit.similarity import Neighbours
from memaudit.store import Store
from memaudit.types import Float32, Status

STRICT = AuditOptions(max_unmeasured=0.01)


@pytest.fixture
def references(tmp_path: Path) -> Store:
    """200 training images: strangers, and a family of 30."""
    return vector_store(tmp_path / "training", families(1, [1] * 170 + [30], noise=0.2), prefix="train")


def generations_of(folder: Path, vectors: Vectors, **columns: object) -> Store:
    return vector_store(folder / "generations", vectors, prefix="gen", **columns)  # type: ignore[arg-type]


def pairing_of(pairs: dict[int, int]) -> dict[str, Prompted]:
    return {f"gen-{g:05d}": Prompted(f"train-{r:05d}", f"prompt {g}") for g, r in pairs.items()}


def found(result: AuditResult) -> set[int]:
    return set(np.flatnonzero(result.scores.above > 0).tolist())


# --- full search ---------------------------------------------------------------------------------------------------


def test_planted_copies_are_found_and_clean_generations_are_not(tmp_path: Path, references: Store) -> None:
    """Exactly the altered copies are regurgitated, each with its training image as the best match."""
    copies = near(5, references.embeddings(np.array([3, 50, 120])), 0.3)
    vectors = np.concatenate([random_vectors(9, 60), copies, random_vectors(10, 40)])
    result = audit(generations_of(tmp_path, vectors), ExactSearch(references))
    assert found(result) == {60, 61, 62}
    assert result.scores.best[60:63].tolist() == [3, 50, 120]
    assert (result.searched.count, result.searched.coverage.measured, result.searched.coverage.total) == (3, 103, 103)
    assert result.inconclusive == ()
    assert result.paired is None
    assert result.control is None


def test_similarities_are_those_of_brute_force(tmp_path: Path, references: Store) -> None:
    """Best match, its similarity, the number above the threshold and all matches, with blocks of any size."""
    vectors = np.concatenate([near(5, references.embeddings(np.arange(0, 200, 4)), 0.5), random_vectors(9, 30)])
    store = generations_of(tmp_path, vectors)
    truth = cosines(store.embeddings(np.arange(80)), references.embeddings(np.arange(200)))
    result = audit(store, ExactSearch(references), options=AuditOptions(neighbours=500))
    assert np.array_equal(result.scores.best, truth.argmax(axis=1))
    assert np.array_equal(result.scores.best_similarity, truth.max(axis=1))
    assert np.array_equal(result.scores.above, (truth >= np.float32(0.8)).sum(axis=1))
    matches = set(zip(result.matches.query.tolist(), result.matches.reference.tolist(), strict=True))
    assert matches == set(map(tuple, np.argwhere(truth >= np.float32(0.8)).tolist()))
    assert np.array_equal(result.matches.similarity, truth[result.matches.query, result.matches.reference])


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_result_does_not_depend_on_the_block(
    tmp_path: Path, references: Store, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Small query blocks give the same matches, in the same order."""
    store = generations_of(tmp_path, near(5, references.embeddings(np.arange(0, 200, 3)), 0.4))
    pairing = pairing_of({0: 0, 5: 15, 40: 7})
    whole = audit(store, ExactSearch(references), pairing=pairing)
    monkeypatch.setattr(search, "QUERY_ROWS", rows)
    monkeypatch.setattr(paired, "_ROWS", rows)
    again = audit(store, ExactSearch(references), pairing=pairing)
    for left, right in zip((*whole.matches, *whole.scores), (*again.matches, *again.scores), strict=True):
        np.testing.assert_array_equal(left, right)


def test_matches_are_ranked_and_cut_at_neighbours(tmp_path: Path, references: Store) -> None:
    """Of 30 matches the 5 best are kept, rank 1 first; `above` still counts all 30."""
    store = generations_of(tmp_path, references.embeddings(np.array([180])))
    result = audit(store, ExactSearch(references), options=AuditOptions(neighbours=5))
    assert result.matches.rank.tolist() == [1, 2, 3, 4, 5]
    assert (np.diff(result.matches.similarity) <= 0).all()
    assert result.matches.reference[0] == 180
    assert result.scores.above.tolist() == [30]
    assert result.matched is not None
    assert (result.matched.images.tolist(), result.matched.more.tolist()) == ([30], [True])


def test_near_duplicates_are_the_eidetic_count(tmp_path: Path, references: Store) -> None:
    """How many training images reach the threshold with the one that came back: 30 in the family, 1 for a stranger."""
    store = generations_of(tmp_path, references.embeddings(np.array([185, 4])))
    result = audit(store, ExactSearch(references))
    first = result.matches.rank == 1
    truth = (cosines(references.embeddings(np.arange(200)), references.embeddings(np.arange(200))) >= 0.8).sum(axis=1)
    assert result.matches.near_duplicates[first].tolist() == [30, 1]
    assert np.array_equal(result.matches.near_duplicates, truth[result.matches.reference])


@pytest.mark.parametrize("threshold", [1.0, None])
def test_an_identical_image_is_found_at_any_threshold(
    tmp_path: Path, references: Store, threshold: float | None
) -> None:
    """A training image returned as it is reaches even a threshold of 1.0, and counts itself as a near-duplicate."""
    store = generations_of(tmp_path, references.embeddings(np.arange(170)))
    result = audit(store, ExactSearch(references), options=AuditOptions(threshold=threshold))
    assert len(found(result)) == 170
    assert (result.matches.near_duplicates >= 1).all()


def test_index_gives_the_same_result_as_exact_search(tmp_path: Path, references: Store) -> None:
    """A flat index of the training set, opened from its folder, changes nothing but the name of the method."""
    build_index(references, tmp_path / "index", "flat")
    vectors = np.concatenate([near(5, references.embeddings(np.arange(0, 200, 3)), 0.5), random_vectors(9, 30)])
    store = generations_of(tmp_path, vectors)
    control = vector_store(tmp_path / "control", random_vectors(8, 120))
    exact, index = (
        audit(store, open_searcher(tmp_path / name), control=control, pairing=pairing_of({0: 0, 1: 7}))
        for name in ("training", "index")
    )
    assert (exact.method, index.method) == ("exact", "index:flat")
    for left, right in zip((*exact.matches, *exact.scores), (*index.matches, *index.scores), strict=True):
        np.testing.assert_array_equal(left, right)
    assert exact.control is not None
    assert index.control is not None
    assert exact.control.relabelling_p == index.control.relabelling_p
    assert (exact.searched, exact.paired) == (index.searched, index.paired)


# --- paired test ---------------------------------------------------------------------------------------------------


def test_copy_of_the_prompts_own_image(tmp_path: Path, references: Store) -> None:
    """A generation that equals its prompt's image is found by both tests."""
    store = generations_of(tmp_path, np.concatenate([references.embeddings(np.array([9])), random_vectors(9, 1)]))
    result = audit(store, ExactSearch(references), pairing=pairing_of({0: 9, 1: 10}))
    assert result.paired is not None
    assert (result.paired.count, result.paired.coverage.measured) == (1, 2)
    assert result.scores.paired.tolist() == [9, 10]
    assert result.scores.paired_similarity[0] == 1
    assert found(result) == {0}
    assert result.prompts == ("prompt 0", "prompt 1")


def test_copy_of_another_image_is_found_by_the_full_search_only(tmp_path: Path, references: Store) -> None:
    """The paired test alone would call it clean; the full search names the image that came back."""
    store = generations_of(tmp_path, references.embeddings(np.array([42])))
    result = audit(store, ExactSearch(references), pairing=pairing_of({0: 9}))
    assert result.paired is not None
    assert result.paired.count == 0
    assert found(result) == {0}
    assert result.scores.best.tolist() == [42]


class Forgetful:
    """An approximate index at its worst: it never returns some of the training images."""

    def __init__(self, store: Store, forgotten: list[int]) -> None:
        self.store, self.method, self._forgotten = store, "index:test", forgotten

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        near = ExactSearch(self.store).search(queries, len(self.store), threshold)
        hidden = np.isin(near.rows, self._forgotten)
        above = near.above - (hidden & (near.similarity >= np.float32(threshold))).sum(axis=1)
        order = np.argsort(hidden, axis=1, kind="stable")[:, :k]
        rows = np.where(hidden, -1, near.rows)
        similarity = np.where(hidden, -np.inf, near.similarity).astype(np.float32)
        return Neighbours(np.take_along_axis(rows, order, 1), np.take_along_axis(similarity, order, 1), above)


@pytest.mark.filterwarnings("error")
def test_a_paired_copy_counts_although_the_index_missed_it(tmp_path: Path, references: Store) -> None:
    """Trap "false clean": the paired test is exact, so its copies are findings whatever an index returns."""
    store = generations_of(tmp_path, references.embeddings(np.array([9, 180, 20])))
    result = audit(store, Forgetful(references, [9, 180]), pairing=pairing_of({0: 9, 1: 180, 2: 30}))
    assert result.searched.count == 3
    assert result.scores.best.tolist() == [9, 180, 20]
    assert result.scores.best_similarity.tolist() == [1, 1, 1]
    first = result.matches.rank == 1
    assert result.matches.reference[first].tolist() == [9, 180, 20]
    by_query = [result.matches.rank[result.matches.query == q].tolist() for q in range(3)]
    assert by_query == [[1], list(range(1, 11)), [1]]
    assert result.scores.above.tolist() == [1, 30, 1]
    assert result.matches.near_duplicates[first].tolist() == [1, 29, 1]


def test_an_index_that_returns_nothing_measures_nothing(tmp_path: Path, references: Store) -> None:
    """Without any candidate there is no best match: -1 and NaN, and not a similarity of minus infinity."""
    store = generations_of(tmp_path, random_vectors(0, 2))
    result = audit(store, Forgetful(references, list(range(200))))
    assert result.scores.best.tolist() == [-1, -1]
    assert np.isnan(result.scores.best_similarity).all()


# --- coverage ------------------------------------------------------------------------------------------------------


def test_unknown_training_ids_lower_the_coverage(tmp_path: Path, references: Store) -> None:
    """A pairing that names images the training set lacks was not measured: inconclusive, never clean."""
    store = generations_of(tmp_path, random_vectors(0, 10))
    result = audit(store, ExactSearch(references), pairing=pairing_of({g: 190 + g for g in range(10)} | {9: 999}))
    assert result.paired is not None
    assert (result.paired.coverage.measured, result.paired.coverage.total) == (9, 10)
    assert "9 of 10 prompt pairs" in " ".join(result.inconclusive)


def test_missing_generations_are_listed_and_lower_the_coverage(tmp_path: Path, references: Store) -> None:
    """Trap "a shard that is missing was skipped, a false clean" (DCR): what the pairing names counts."""
    store = generations_of(tmp_path, random_vectors(0, 8))
    result = audit(store, ExactSearch(references), pairing=pairing_of({g: g for g in range(10)}))
    assert result.missing == ("gen-00008", "gen-00009")
    assert (result.searched.coverage.measured, result.searched.coverage.total) == (8, 10)
    assert result.paired is not None
    assert (result.paired.coverage.measured, result.paired.coverage.total) == (8, 10)
    assert any("2 generations named in the pairing were not found" in reason for reason in result.inconclusive)
    assert any("'gen-00008'" in reason for reason in result.inconclusive)


def test_generations_that_the_pairing_does_not_name_are_searched_all_the_same(
    tmp_path: Path, references: Store
) -> None:
    """A pairing of some generations narrows the paired test, not the full search."""
    store = generations_of(tmp_path, references.embeddings(np.arange(5)))
    result = audit(store, ExactSearch(references), pairing=pairing_of({0: 0}))
    assert result.searched.count == 5
    assert result.paired is not None
    assert (result.paired.count, result.paired.coverage.total) == (1, 1)
    assert result.scores.paired.tolist() == [0, -1, -1, -1, -1]


@pytest.mark.parametrize(("unreadable", "conclusive"), [(0, True), (1, True), (2, False), (100, False)])
def test_unreadable_generations_above_the_limit_are_inconclusive(
    tmp_path: Path, references: Store, unreadable: int, conclusive: bool
) -> None:
    """1 of 100 unread is within the limit of 1 %, 2 are not, and all unread is no clean audit either."""
    statuses = [Status.UNREADABLE] * unreadable + [Status.OK] * (100 - unreadable)
    store = generations_of(tmp_path, random_vectors(0, 100), statuses=statuses)
    result = audit(store, ExactSearch(references), options=STRICT)
    assert (result.inconclusive == ()) is conclusive
    assert (result.searched.coverage.measured, result.searched.coverage.total) == (100 - unreadable, 100)


@pytest.mark.parametrize(("unreadable", "conclusive"), [(2, True), (3, False), (150, False)])
def test_unreadable_training_images_above_the_limit_are_inconclusive(
    tmp_path: Path, unreadable: int, conclusive: bool
) -> None:
    """A generation cannot match what could not be read: 3 of 200 missing training images are too many for 1 %."""
    statuses = [Status.OK] * (200 - unreadable) + [Status.UNREADABLE] * unreadable
    training = vector_store(tmp_path / "training", random_vectors(1, 200), statuses=statuses)
    result = audit(generations_of(tmp_path, random_vectors(0, 100)), ExactSearch(training), options=STRICT)
    assert (result.inconclusive == ()) is conclusive
    assert (result.references.measured, result.references.total) == (200 - unreadable, 200)
    assert conclusive or "training images could be measured" in result.inconclusive[0]


def test_a_pair_with_an_unreadable_side_is_not_measured(tmp_path: Path) -> None:
    """Neither an unread generation nor an unread training image makes a clean pair; a blank side is out of scope."""
    bad = [Status.UNREADABLE, Status.OK, Status.BLANK, Status.OK, Status.OK]
    training = vector_store(
        tmp_path / "training", random_vectors(1, 5), prefix="train", statuses=[Status.OK, Status.UNREADABLE, *bad[2:]]
    )
    store = generations_of(tmp_path, random_vectors(2, 5), statuses=[*bad[:3], Status.BLANK, Status.OK])
    result = audit(store, ExactSearch(training), pairing=pairing_of({g: g for g in range(5)}))
    assert result.paired is not None
    assert (result.paired.coverage.measured, result.paired.coverage.total) == (1, 3)
    assert np.isnan(result.scores.paired_similarity).tolist() == [True, True, True, True, False]


def test_blank_generations_are_never_findings(tmp_path: Path) -> None:
    """A white page resembles every white page: it is never a match, and does not make n look larger."""
    white = np.repeat(random_vectors(0, 1), 4, axis=0)
    training = vector_store(tmp_path / "training", white, prefix="train", statuses=[Status.BLANK] * 3 + [Status.OK])
    store = generations_of(tmp_path, white, statuses=[Status.BLANK] * 3 + [Status.OK])
    result = audit(store, ExactSearch(training), pairing=pairing_of({0: 0, 1: 3}))
    assert found(result) == {3}
    assert (result.searched.coverage.measured, result.searched.coverage.total) == (1, 1)
    assert result.scores.best.tolist() == [-1, -1, -1, 3]
    assert result.paired is not None
    assert result.paired.count == 0


def test_a_file_that_was_copied_is_one_draw(tmp_path: Path, references: Store) -> None:
    """Four hundred copies of one clean file show no more than the file does: n counts it once."""
    vectors = np.repeat(random_vectors(7, 2), [300, 1], axis=0)
    store = generations_of(tmp_path, vectors, files=["one"] * 300 + ["another"])
    result = audit(store, ExactSearch(references))
    assert (result.searched.coverage.measured, result.searched.coverage.total) == (2, 2)
    assert result.duplicates == 299


def test_generations_that_are_all_blank_are_inconclusive(tmp_path: Path, references: Store) -> None:
    """Trap "an empty input scored as perfect": a safety filter that paints everything black has tested nothing."""
    store = generations_of(tmp_path, random_vectors(0, 50), statuses=[Status.BLANK] * 50)
    result = audit(store, ExactSearch(references))
    assert result.searched.count == 0
    assert "all 50 generations that could be read are blank" in " ".join(result.inconclusive)


def test_no_generation_at_all_is_inconclusive(tmp_path: Path, references: Store) -> None:
    """Trap "an empty input scored as perfect": none of none is no result."""
    result = audit(generations_of(tmp_path, np.empty((0, 32))), ExactSearch(references))
    assert result.inconclusive
    assert (result.searched.value, result.searched.upper) == (None, 1)


@pytest.mark.parametrize("status", [Status.BLANK, Status.UNREADABLE])
def test_a_training_set_with_nothing_to_compare_is_inconclusive(tmp_path: Path, status: Status) -> None:
    """Trap "a false clean": against no image every model is clean, so the audit refuses."""
    training = vector_store(tmp_path / "training", random_vectors(0, 5), statuses=[status] * 5)
    with pytest.raises(InconclusiveError, match="no readable image"):
        audit(generations_of(tmp_path, random_vectors(1, 5)), ExactSearch(training))


def test_a_missing_shard_of_the_training_set_is_inconclusive(tmp_path: Path, references: Store) -> None:
    """Trap "a shard that is missing was skipped, its scores stayed at -1: a false clean" (DCR): before and during."""
    store = generations_of(tmp_path, references.embeddings(np.array([199])))
    searcher = ExactSearch(references)
    (references.folder / "shard-00003.h5").unlink()
    with pytest.raises(InconclusiveError, match="shard-00003"):
        Store.open(references.folder)
    with pytest.raises(InconclusiveError, match="shard-00003"):
        audit(store, searcher)


def test_a_cut_shard_of_the_generations_is_inconclusive(tmp_path: Path, references: Store) -> None:
    """The same for generations: a file that lost its end does not shrink the audit."""
    store = generations_of(tmp_path, random_vectors(0, 100))
    path = store.folder / "shard-00001.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InconclusiveError, match="shard-00001"):
        Store.open(store.folder)
    with pytest.raises(InconclusiveError, match="shard-00001"):
        audit(store, ExactSearch(references))


@pytest.mark.parametrize("side", ["generations", "training", "control"])
def test_nan_is_one_clear_line(tmp_path: Path, references: Store, side: str) -> None:
    """An embedding with NaN resembles nothing and would look clean on any side: the audit refuses."""
    good, bad = random_vectors(0, 120), random_vectors(0, 120)
    bad[70] = np.nan
    vectors = {name: bad if name == side else good for name in ("generations", "training", "control")}
    training = vector_store(tmp_path / "t", vectors["training"])
    control = vector_store(tmp_path / "control", vectors["control"])
    with pytest.raises(InputError, match="NaN") as caught:
        audit(generations_of(tmp_path, vectors["generations"]), ExactSearch(training), control=control)
    assert "\n" not in str(caught.value)


# --- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": 1.01},
        {"threshold": float("nan")},
        {"neighbours": 0},
        {"max_unmeasured": -0.1},
        {"max_unmeasured": 1.1},
        {"max_unmeasured": float("nan")},
    ],
)
def test_impossible_options_are_one_line(tmp_path: Path, references: Store, wrong: dict[str, float]) -> None:
    """A limit of NaN, above all, would make every audit conclusive."""
    with pytest.raises(UsageError, match="out of range") as caught:
        audit(
            generations_of(tmp_path, random_vectors(0, 2)),
            ExactSearch(references),
            options=replace(AuditOptions(), **wrong),  # type: ignore[arg-type]
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("side", ["generations", "control"])
def test_stores_of_different_encoders_are_inconclusive(tmp_path: Path, references: Store, side: str) -> None:
    """Similarities between two encoders mean nothing, and would mostly look clean."""
    same, other = random_vectors(0, 5), random_vectors(0, 5, 16)
    store = generations_of(tmp_path, other if side == "generations" else same)
    control = vector_store(tmp_path / "control", other if side == "control" else same)
    with pytest.raises(InconclusiveError, match="different encoders"):
        audit(store, ExactSearch(references), control=control)


def test_the_same_encoder_with_other_weights_is_inconclusive(tmp_path: Path) -> None:
    """Trap "cache key without the checkpoint: stale features, silently" (dgm-eval): weights count."""
    training = vector_store(tmp_path / "training", random_vectors(0, 5), weights="a" * 64)
    store = generations_of(tmp_path, random_vectors(0, 5), weights="b" * 64)
    with pytest.raises(InconclusiveError, match="different encoders"):
        audit(store, ExactSearch(training))


def test_the_threshold_is_tested_with_at_least(tmp_path: Path) -> None:
    """Similarity exactly at the threshold is a finding; the next number above it is not."""
    training = vector_store(tmp_path / "training", unit([[1, 0, 0, 0]]), prefix="train")
    store = generations_of(tmp_path, unit([[1, 1, 1, 1]]))  # similarity 0.5, exact in float16
    at, above = (
        audit(store, ExactSearch(training), options=AuditOptions(threshold=t))
        for t in (0.5, float(np.nextafter(np.float32(0.5), np.float32(1))))
    )
    assert (at.searched.count, above.searched.count) == (1, 0)


def test_progress_never_exceeds_its_total(tmp_path: Path, references: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search ends at the number of generations that can be compared."""
    monkeypatch.setattr(search, "QUERY_ROWS", 10)
    calls: list[tuple[str, int, int]] = []
    statuses = [Status.OK, Status.BLANK] * 20
    store = generations_of(tmp_path, random_vectors(0, 40), statuses=statuses)
    audit(store, ExactSearch(references), progress=lambda *call: calls.append(call))
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1] == ("searching the training set", 20, 20)
