"""Whole dedup runs whose stages are tasks of others: pixels and traces of real files, clusters, recall."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_workers import in_this_process
from test_dedup_pixels import CHECKED, apart, line, store_of
from vectors import families, near, random_vectors, vector_store

from memaudit.dedup import against, assigning, closest, sampling, tracing
from memaudit.dedup.kmeans import fit
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import DedupResult
from memaudit.dedup.run import dedup
from memaudit.dedup.sampling import true_pairs
from memaudit.errors import InconclusiveError
from memaudit.images.traces import Traces
from memaudit.matching import elsewhere
from memaudit.matching.compare import Checks, Ends, Files
from memaudit.matching.kept import keep_features
from memaudit.matching.schedule import Schedule, schedule
from memaudit.store import Store
from memaudit.tasks import Executor, Work, executors, text_arrays, texts_of
from memaudit.tasks import files as tasks_files
from memaudit.types import silent


@pytest.fixture(autouse=True)
def workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Work]]:
    """Of this process, that do all in shuffled order and twice; and what they were given."""
    given = list[Work]()

    def noted(work: Work, parts: int, report: Any) -> None:
        given.append(work)
        in_this_process(work, parts, report)

    monkeypatch.setattr(executors, "_local", noted)
    return given


def same(left: DedupResult, right: DedupResult) -> bool:
    """All that is decided, and all that is told of how."""
    pairs = all(np.array_equal(a, b) for a, b in zip(left.pairs, right.pairs, strict=True))
    decisions = all(
        np.array_equal(getattr(left.decisions, name), getattr(right.decisions, name))
        for name in ("witness", "group", "pixels", "decision", "reason", "image_id")
    )
    told = (left.pixels, left.recall, left.candidate_recall, left.comparison, left.inconclusive)
    where = np.array_equal(left.overlaps.matrix, right.overlaps.matrix, equal_nan=True)
    clean = left.cleanness, right.cleanness
    scores = clean == (None, None) or all(
        each is not None and np.array_equal(each.score, clean[0].score, equal_nan=True) for each in clean if clean[0]
    )
    same_told = told == (right.pixels, right.recall, right.candidate_recall, right.comparison, right.inconclusive)
    return pairs and decisions and where and scores and same_told


@pytest.mark.parametrize("kept", [False, True], ids=["files", "kept features"])
def test_pixels_and_traces_are_those_of_one_process(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """With a picture that is gone among them, in one task for each two pairs."""
    pictures = [(0, "same"), (0, "crop"), (1, "same"), (2, "same"), (3, "same"), (3, "small"), (4, "same")]
    store = store_of(tmp_path, pictures, apart(line(2), line(2), line(3, 0.9)))
    if kept:
        keep_features(store)
    (tmp_path / "images/4-same.png").unlink()
    monkeypatch.setattr(elsewhere, "PAIRS", 2)
    alone = dedup(store, CHECKED)
    spread = dedup(store, replace(CHECKED, executor=Executor("local", 2, tmp_path / "tasks")))
    assert alone.pixels is not None
    assert alone.pixels.confirmed > 0
    assert same(alone, spread)
    assert {work.folder.name.partition("-")[0] for work in workers} == {"join", "pixels", "traces"}


def test_a_killed_run_asks_again_only_for_what_it_could_not_read(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task has a picture that is gone, and one of these comes back; what else was found stays."""
    pictures = [(0, "same"), (1, "same"), (2, "same"), (3, "same"), (3, "small"), (3, "crop"), (4, "same")]
    store = store_of(tmp_path, pictures, apart(line(3), line(4, 0.9)))
    images, away = tmp_path / "images", tmp_path / "away"
    away.mkdir()
    for name in ("1-same.png", "4-same.png"):
        (images / name).rename(away / name)
    monkeypatch.setattr(elsewhere, "PAIRS", 99)
    monkeypatch.setattr(elsewhere, "TASKS_A_PART", 1)
    monkeypatch.setattr(tracing, "TASKS_A_PART", 1)
    spread = replace(CHECKED, executor=Executor("local", 1, tmp_path / "tasks"))
    before = dedup(store, spread)
    (away / "4-same.png").rename(images / "4-same.png")
    pairs, files = list[int](), list[int]()
    for module, name, place, counts in ((elsewhere, "checked_in_order", 1, pairs), (tracing, "_here", 0, files)):
        monkeypatch.setattr(module, name, counting(getattr(module, name), place, counts))
    again = dedup(store, spread)
    twice = dedup(store, spread)
    assert before.pixels is not None
    assert before.cleanness is not None
    assert (before.pixels.checked, before.pixels.unread, before.cleanness.read, before.cleanness.unread) == (1, 3, 3, 1)
    assert pairs == [3, 3]  # what is gone still is asked for each time
    assert files == [1]
    assert same(again, twice)
    assert same(again, dedup(store, CHECKED))


def test_killed_while_results_are_collected_it_compares_no_pair_again(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tasks are done, and the first is collected. What one process decided before it is not compared either."""
    pictures = [(0, "same"), (1, "same"), (2, "same"), (3, "same"), (3, "small"), (3, "crop"), (4, "same")]
    store = store_of(tmp_path, pictures, apart(line(3), line(4, 0.9)))
    monkeypatch.setattr(elsewhere, "PAIRS", 1)
    spread = replace(CHECKED, executor=Executor("local", 2, tmp_path / "tasks"))
    collected, pairs = elsewhere._found_of, list[int]()

    def killed(work: Work, number: int, bounds: Any) -> Any:
        if number == 1:
            raise KeyboardInterrupt
        return collected(work, number, bounds)

    monkeypatch.setattr(elsewhere, "_found_of", killed)
    with pytest.raises(KeyboardInterrupt):
        dedup(store, spread, scratch=tmp_path)
    monkeypatch.setattr(elsewhere, "_found_of", collected)
    monkeypatch.setattr(elsewhere, "checked_in_order", counting(elsewhere.checked_in_order, 1, pairs))
    again = dedup(store, spread, scratch=tmp_path)
    assert pairs == []
    assert same(again, dedup(store, CHECKED))
    dedup(store, replace(spread, executor=Executor("local", 2, tmp_path / "others")), scratch=tmp_path)
    assert pairs == []


def test_pairs_that_are_left_have_a_schedule_of_their_own() -> None:
    """Each picture is let go with its last pair: one whose last pair in the schedule of all was decided before, too."""
    left, right = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 3, 2, 3, 3])
    ends = Ends.of_whole(Files(np.full(4, "", object), np.full(4, "", object)), left, right)
    whole = schedule(left, right, 1024)
    skipped = np.isin(np.arange(6), whole.pairs[3:])
    order = elsewhere._without(whole, ends, skipped)
    assert sorted(order.pairs.tolist()) == sorted(whole.pairs[:3].tolist())
    gone = np.concatenate([left[order.pairs][order.done[:, 0]], right[order.pairs][order.done[:, 1]]])
    assert sorted(gone.tolist()) == np.union1d(left[order.pairs], right[order.pairs]).tolist()
    assert elsewhere._without(whole, ends, np.zeros(6, bool)) is whole


def counting(function: Callable[..., Any], place: int, counts: list[int]) -> Callable[..., Any]:
    """The function, which notes how many things its argument in this place is of."""

    def counted(*given: Any, **named: Any) -> Any:
        asked = given[place]
        counts.append(len(asked.pairs if isinstance(asked, Schedule) else asked))
        return function(*given, **named)

    return counted


def test_a_worker_with_another_opencv_or_pillow_refuses(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it decides would be no part of the run."""
    store = store_of(tmp_path, [(0, "same"), (0, "crop"), (1, "same")], apart(line(2, 0.9), line(1)))
    read = tasks_files.read_inputs
    for module, kind, name in ((elsewhere, "pixels", "rule"), (tracing, "traces", "measure")):

        def of_another(folder: Path, kind: str = kind, name: str = name) -> Any:
            told, arrays = read(folder)
            return ({**told, name: "another"} if folder.name.startswith(kind) else told), arrays

        monkeypatch.setattr(module, "read_inputs", of_another)
        pairs = replace(CHECKED, threshold=0.95) if kind == "pixels" else CHECKED
        executor = Executor("local", 1, tmp_path / kind)
        with pytest.raises(InconclusiveError, match=r"install the same wherever workers run: it began by .* another,"):
            dedup(store, replace(pairs, executor=executor))
        monkeypatch.setattr(module, "read_inputs", read)


@pytest.mark.parametrize("parts", [1, 3])
def test_another_set_is_compared_as_by_one_process(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    """Ties, same files and rows with nothing near them among them; and a store that changed meanwhile is refused."""
    vectors = families(0, [3] * 12, noise=0.3)
    store = vector_store(tmp_path / "a", vectors, files=[f"f{n}" for n in range(36)])
    others = np.concatenate([near(5, vectors[::4], 0.3), vectors[:3], vectors[:3], random_vectors(9, 20)])
    names = [*(f"o{n}" for n in range(34)), "f7"]
    other = vector_store(tmp_path / "b", others, prefix="other", shard_rows=7, files=names)
    monkeypatch.setattr(against, "BLOCK_ROWS", 5)
    monkeypatch.setattr(against, "OTHER_ROWS", 3)
    executor = Executor("local", parts, tmp_path / "tasks")
    alone, spread = dedup(store, against=other), dedup(store, DedupOptions(executor=executor), against=other)
    assert alone.against is not None
    assert spread.against is not None
    found = zip(alone.against.found, spread.against.found, strict=True)
    assert all(np.array_equal(one, another) for one, another in found)
    assert len(alone.against.found.row) > 5
    assert same(alone, spread)
    (work,) = {each for each in workers if each.folder.name.startswith("against")}
    assert work.tasks == min(8, 4 * parts)
    (tmp_path / "b").rename(tmp_path / "gone")
    vector_store(tmp_path / "b", others[:9], prefix="other")
    with pytest.raises(InconclusiveError, match=r"store .*/b was changed since the run began"):
        against.do_tasks(work.folder, [0])


def test_the_closest_are_those_of_one_process(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = vector_store(tmp_path / "s", families(3, [4] * 9, noise=0.5))
    rows = np.arange(0, 36, 2)
    monkeypatch.setattr(closest, "ROWS", 4)
    search = closest.Closest(store, rows, 3, 0.2, 0.9)
    here = search.pairs(None, silent)
    there = search.pairs(Executor("local", 2, tmp_path / "tasks"), silent)
    assert all(np.array_equal(one, another) for one, another in zip(here, there, strict=True))
    assert len(here.left) > 10
    assert workers[0].tasks == 5


def test_a_budget_is_kept_by_this_process(tmp_path: Path, workers: list[Work]) -> None:
    pictures = [(0, "same"), (0, "crop")]
    store = store_of(tmp_path, pictures, apart(line(2)))
    dedup(store, replace(CHECKED, budget=60.0, executor=Executor("local", 2, tmp_path / "tasks")))
    assert {work.folder.name.partition("-")[0] for work in workers} == {"join", "traces"}


def test_clusters_and_recall_are_those_of_one_process(
    tmp_path: Path, workers: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task for each clustering, several for each pass over all rows."""
    vectors = np.concatenate([families(0, [12] * 12, dim=64, noise=0.45), random_vectors(5, 60, 64)])
    store = vector_store(tmp_path / "store", vectors)
    for module, name, value in ((assigning, "BLOCK_ROWS", 17), (sampling, "BLOCK_ROWS", 17), (sampling, "QUERIES", 30)):
        monkeypatch.setattr(module, name, value)
    options = DedupOptions(clusters=5, clusterings=3, recall_sample=50, backend="signs", match="none")
    alone = dedup(store, options)
    assert same(alone, dedup(store, replace(options, executor=Executor("local", 2, tmp_path / "tasks"))))
    tasks = {work.folder.name.partition("-")[0]: work.tasks for work in workers}
    assert (tasks["fit"], tasks["assign"], tasks["sample"]) == (3, 8, 8)


def test_sampled_pairs_are_the_same_in_any_cut(store_and_matrix: Matrix, tmp_path: Path) -> None:
    rows = np.arange(0, len(store_and_matrix), 3)
    here = true_pairs(store_and_matrix, rows, 0.7, silent)
    there = true_pairs(store_and_matrix, rows, 0.7, silent, Executor("local", 3, tmp_path))
    assert all(np.array_equal(a, b) for a, b in zip(here, there, strict=True))
    assert len(here.left) > 20


@pytest.fixture
def store_and_matrix(tmp_path: Path) -> Matrix:
    store: Store = vector_store(tmp_path / "s", families(1, [5] * 12, dim=32, noise=0.3))
    return Matrix(None, store, store.comparable_rows())


def test_clusters_do_not_hang_on_threads() -> None:
    """So that a worker with fewer of them fits what one process fits."""
    import faiss

    sample, threads, found = random_vectors(3, 4096, 64), faiss.omp_get_max_threads(), []
    for each in (1, 2, 3):
        faiss.omp_set_num_threads(each)
        found.append(fit(sample, 16, 7))
    faiss.omp_set_num_threads(threads)
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("texts", [[], [""], ["a", "", "äß\udce9", "x" * 300]])
def test_texts_come_back(texts: list[str]) -> None:
    assert texts_of(text_arrays("uri", texts), "uri").tolist() == texts


def test_all_fields_of_what_is_found_are_kept() -> None:
    """A field that is added to either must not be lost on the way."""
    checks = Checks.of_nothing(2)
    back = elsewhere.checks_of_arrays(elsewhere.checks_as_arrays(checks))
    for name in Checks._fields:
        if name != "overlaps":
            one, other = getattr(checks, name), getattr(back, name)
            assert (one.dtype, one.tolist()) == (other.dtype, other.tolist()) or np.isnan(one).all()
    assert len(Traces._fields) == 11
