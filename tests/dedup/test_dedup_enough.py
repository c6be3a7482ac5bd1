"""A run of which nobody said how much to compare: as much as a pilot asks for, and no more; and what is said of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from msgspec import convert
from task_workers import in_this_process
from vectors import families, random_vectors, vector_store

from memaudit.dedup import clusters, enough, options, recall, sampling
from memaudit.dedup.clusters import Plan
from memaudit.dedup.enough import AIM, GOAL, MOST_CLUSTERINGS, MOST_PROBES, Enough, find_enough, most_products
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.pairs import Found, PairSearch, compare
from memaudit.dedup.pilot import Pilot
from memaudit.dedup.recall import RecallSample
from memaudit.dedup.results import DedupResult, Outlook, Piloted
from memaudit.dedup.run import dedup
from memaudit.report import model
from memaudit.report.dedup import write_dedup
from memaudit.store import Store
from memaudit.tasks import Executor, executors
from memaudit.types import silent

THRESHOLD = 0.8
OPEN = DedupOptions(threshold=THRESHOLD, match="none", recall_sample=200)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Families that lie at the threshold: borders of clusters cut many of their pairs."""
    vectors = families(0, [4] * 250 + [1] * 500, 32, noise=0.42)
    vectors = vectors[np.random.default_rng(0).permutation(len(vectors))]
    return vector_store(tmp_path_factory.mktemp("enough") / "store", vectors)


@pytest.fixture(scope="module")
def matrix(store: Store) -> Matrix:
    return Matrix(None, store, store.comparable_rows())


@pytest.fixture
def clustered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small sets are clustered as well, and their pilots small."""
    monkeypatch.setattr(clusters, "EXHAUSTIVE_ROWS", 0)
    monkeypatch.setattr(clusters, "CLUSTER_ROWS", 32)
    monkeypatch.setattr(options, "choose_clusters", lambda rows, probes, clusterings: 24)
    monkeypatch.setattr(enough, "PILOT", 400)
    monkeypatch.setattr(enough, "LEAST_PILOT", 400)


def settled(matrix: Matrix, plan: Plan) -> tuple[Enough, Found]:
    search = PairSearch(matrix, THRESHOLD, plan, 0, silent)
    found = find_enough(search, matrix, plan, 0)
    return found, search.as_planned()


def strangers(folder: Path) -> Store:
    return vector_store(folder / "strangers", random_vectors(0, 600, 64))


@pytest.mark.parametrize(("number", "probes"), [(1, 1), (1, 3), (2, 2), (3, 1)])
def test_the_pilot_foretells_what_is_found(matrix: Matrix, number: int, probes: int) -> None:
    """Pair by pair: what it says of a way of comparing is the recall of a run that goes it, of the pilot's images."""
    search = PairSearch(matrix, THRESHOLD, Plan(24, 2, 1), 0, silent)
    search.add_clustering(MOST_PROBES)
    rows = recall.drawn_rows(len(matrix), 300, 0, "pilot")
    pilot = Pilot(rows, search.pairs_of(rows))
    pilot.place(search.clusterings[0])
    for _ in range(1, number):
        search.add_clustering(MOST_PROBES)
        pilot.place(search.clusterings[-1])
    sample = RecallSample.of(matrix, rows, THRESHOLD, silent)
    done = sample.recall_of(compare(matrix, THRESHOLD, Plan(24, probes, number), 0, silent).pairs, 0.95)
    told = pilot.outlook("", number, probes)
    assert pilot.with_duplicates == sample.with_duplicates
    assert (told.by_pair, told.by_image) == (done.by_pair.value, done.by_image.value)


def test_more_is_compared_until_the_pilot_is_at_the_goal(matrix: Matrix, clustered: None) -> None:
    """By pair and by image; and what is found is what a run finds that is given the same plan."""
    way, found = settled(matrix, Plan(24, 2, 1))
    assert not way.told.planned.reaches(GOAL)
    assert way.told.settled.reaches(AIM)
    assert way.told.why_not == ""
    assert way.plan != Plan(24, 2, 1)
    given = compare(matrix, THRESHOLD, way.plan, 0, silent)
    assert all(np.array_equal(a, b) for a, b in zip(found.pairs, given.pairs, strict=True))
    assert (found.added, found.comparison) == (given.added, given.comparison)


def test_what_is_enough_is_left_as_planned(tmp_path: Path, clustered: None) -> None:
    """Families far apart: no further step, and the cost is that of the plan and the pilot."""
    vectors = families(0, [3] * 300, 64, noise=0.1)
    near = Matrix(None, vector_store(tmp_path / "s", vectors), np.arange(len(vectors), dtype=np.int64))
    way, _ = settled(near, Plan(24, 2, 1))
    assert way.plan == Plan(24, 2, 1)
    assert way.told.planned == way.told.settled


def test_what_reaches_the_goal_is_not_spent_on_clusterings() -> None:
    """Eight probes of one clustering are enough, and what another one costs would leave no room for them."""
    costs: Any = enough._Costs(1_000_000, 488, clusters.COMPARE, 2_000)
    most = (costs.left - costs.clustering / 2) / clusters.COMPARE

    class Search:
        clusterings: ClassVar = [SimpleNamespace(comparisons=lambda probes: most * (probes - 0.5) / 7.5)]

        def add_clustering(self, probes: int) -> None:
            self.clusterings.append(self.clusterings[0])

    class EightProbes:
        with_duplicates = 100

        def place(self, clustering: object) -> None:
            pass

        def outlook(self, method: str, clusterings: int, probes: int) -> Outlook:
            share = 0.9999 if (clusterings, probes) == (1, 8) else 0.96
            return Outlook(method, share, share)

    search: Any = Search()
    pilot: Any = EightProbes()
    way, why_not = enough._chosen(search, pilot, Plan(488, 2, 1), costs)
    assert (way.outlook.by_pair, why_not) == (0.9999, "")


@pytest.mark.parametrize("limit", [0, 60, 120, 10**9])
def test_it_ends_within_the_limit(tmp_path: Path, clustered: None, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """Images that pass into each other, cut by many borders: no step costs more than may be, and who stops short says
    so. What was planned is done in any case."""
    monkeypatch.setattr(enough, "LIMIT", limit)
    monkeypatch.setattr(enough, "ALWAYS", 0)
    monkeypatch.setattr(enough, "MOST_PROBES", 3)
    vectors = random_vectors(0, 1500, 6)
    whole = Matrix(None, vector_store(tmp_path / "s", vectors), np.arange(len(vectors), dtype=np.int64))
    plan = Plan(200, 2, 1)
    way, found = settled(whole, plan)
    assert bool(way.told.why_not) == (not way.told.settled.reaches(GOAL))
    assert way.told.limit == most_products(len(vectors)) / (len(vectors) ** 2 / 2)
    assert way.plan == plan or way.plan.exhaustive or way.told.cost <= way.told.limit
    assert len(found.added) <= MOST_CLUSTERINGS
    if limit == 0:
        assert way.plan == plan
        assert "it would take costs more than 0 of comparing all with all" in way.told.why_not
    if limit == 10**9:
        assert way.plan.lossless or way.told.settled.reaches(GOAL)


def test_everything_by_sign_codes_is_no_census(
    matrix: Matrix, clustered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where clusters do not get there, codes of all are compared: they may lose a pair, so the recall is sampled."""
    monkeypatch.setattr(enough, "MOST_PROBES", 2)
    monkeypatch.setattr(enough, "MOST_CLUSTERINGS", 1)
    way, found = settled(matrix, Plan(24, 2, 1, backend="signs"))
    assert way.plan.exhaustive
    assert not way.plan.lossless
    assert way.plan.describe() == "every image compared with every other, by sign codes"
    assert found.comparison.backend.startswith("sign codes")
    assert found.comparison.compared == len(matrix) * (len(matrix) - 1) // 2


def test_everything_by_products_is_an_exhaustive_run(
    store: Store, clustered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has missed nothing, and says so as one that was asked for."""
    monkeypatch.setattr(enough, "MOST_PROBES", 2)
    monkeypatch.setattr(enough, "MOST_CLUSTERINGS", 1)
    result = dedup(store, OPEN)
    asked = dedup(store, replace(OPEN, clusters=0))
    assert result.pilot is not None
    assert result.recall == asked.recall
    assert result.recall.census
    assert (result.method, result.comparison) == (asked.method, asked.comparison)


def test_the_statement_is_of_images_that_took_no_part(
    store: Store, clustered: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image of the pilot, which decided when to stop, is among those whose recall is stated."""
    piloted, stated = list[Any](), list[Any]()
    own_pairs, own_truth = PairSearch.pairs_of, recall.true_pairs

    def pairs_of(self: PairSearch, rows: Any) -> Any:
        piloted.append(rows)
        return own_pairs(self, rows)

    def true_pairs(matrix: Matrix, rows: Any, *given: Any) -> Any:
        stated.append(rows)
        return own_truth(matrix, rows, *given)

    monkeypatch.setattr(PairSearch, "pairs_of", pairs_of)
    monkeypatch.setattr(recall, "true_pairs", true_pairs)
    for seed in range(3):
        result = dedup(store, replace(OPEN, seed=seed))
        assert result.pilot is not None
        assert (result.pilot.images, result.recall.sampled) == (len(piloted[-1]), len(stated[-1])) == (400, 200)
    assert all(not np.intersect1d(one, other).size for one, other in zip(piloted, stated, strict=True))


def test_the_stated_recall_is_that_of_the_run(store: Store, clustered: None) -> None:
    """Of many seeds together the statement is neither above nor below what an exhaustive run shows."""
    every = dedup(store, replace(OPEN, clusters=0)).pairs
    stated, true = list[float](), list[float]()
    for seed in range(4):
        result = dedup(store, replace(OPEN, seed=seed))
        assert result.recall.by_pair.value is not None
        stated.append(result.recall.by_pair.value)
        true.append(len(result.pairs.left) / len(every.left))
    assert np.mean(stated) == pytest.approx(np.mean(true), abs=0.01)


def test_nothing_to_find_is_compared_as_planned(tmp_path: Path, clustered: None) -> None:
    """And each stage, the pilot among them, ends at its total."""
    seen = dict[str, tuple[int, int]]()

    def note(stage: str, done: int, total: int) -> None:
        assert seen.get(stage, (0, 0))[0] <= done <= total
        seen[stage] = (done, total)

    result = dedup(strangers(tmp_path), OPEN, progress=note)
    assert list(seen) == ["assigning clusters", "comparing a pilot", "comparing clusters", "measuring recall"]
    assert all(done == total for done, total in seen.values())
    assert result.pilot is not None
    assert (result.pilot.with_duplicates, result.pilot.settled.by_pair) == (0, None)
    assert result.pilot.planned == result.pilot.settled
    assert result.pilot.why_not == ""
    assert result.recall.by_pair.total == 0


@pytest.mark.parametrize(
    "given",
    [{"clusters": 8}, {"probes": 2}, {"clusterings": 1}, {"method": "openai-2022"}, {"clusters": 0}, {}],
    ids=str,
)
def test_who_says_how_is_not_overruled(store: Store, given: dict[str, Any]) -> None:
    """Clusters, probes, clusterings, a method, all pairs: as asked, without a pilot. Small sets are compared whole."""
    result = dedup(store, replace(OPEN, **given))
    assert result.pilot is None
    assert result.recall.census == (not {"clusters", "method"} & set(given) or given == {"clusters": 0})


@pytest.fixture
def by_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_local", in_this_process)
    monkeypatch.setattr(sampling, "BLOCK_ROWS", 500)


def test_tasks_settle_on_what_one_process_does(store: Store, clustered: None, by_tasks: None, tmp_path: Path) -> None:
    """The same pilot, plan, pairs and statement."""
    alone = dedup(store, OPEN)
    spread = dedup(store, replace(OPEN, executor=Executor("local", 2, tmp_path / "tasks")))
    assert alone.pilot is not None
    assert (alone.pilot, alone.method, alone.recall) == (spread.pilot, spread.method, spread.recall)
    assert (alone.added, alone.comparison) == (spread.added, spread.comparison)
    assert all(np.array_equal(a, b) for a, b in zip(alone.pairs, spread.pairs, strict=True))


def sentence_of(result: DedupResult) -> str:
    return convert(result.pilot, model.Pilot, from_attributes=True).sentence


def test_what_was_not_reached_is_said(
    store: Store, clustered: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And why; a set without near-duplicates is short of nothing."""
    monkeypatch.setattr(enough, "LIMIT", 0)
    monkeypatch.setattr(enough, "ALWAYS", 0)
    told = sentence_of(dedup(store, OPEN))
    assert "; 99.9 % of both is not reached: what more it would take costs more than " in told
    none = sentence_of(dedup(strangers(tmp_path), OPEN))
    assert none == "Pilot: of 300 images drawn at random 0 have a near-duplicate: compared as planned."


def test_the_page_says_what_was_done_and_what_it_cost(tmp_path: Path) -> None:
    """As the command line does: what was planned, what was done, what both find of the pilot, the cost."""
    few = vector_store(tmp_path / "s", families(0, [2] * 5, 32))
    two, five = (f"one clustering of 24 clusters, each image compared with its {number} nearest" for number in (2, 5))
    pilot = Piloted(0.999, 400, 164, Outlook(two, 0.998699, 0.992), Outlook(five, 0.99951, 1.0), 0.0341, 0.25)
    result = replace(dedup(few, OPEN), pilot=pilot)
    (tmp_path / "out").mkdir()
    report = write_dedup(result, few, tmp_path / "out")
    told = sentence_of(result)
    assert report.results.pilot is not None
    assert report.results.pilot.sentence == told
    assert told == (
        f"Pilot: of 400 images drawn at random 164 have a near-duplicate; {two}, would find 99.86 % of their pairs, "
        "one at least for 99.2 % of them; what was done finds 99.95 % of their pairs, one at least for 100 % "
        "of them. It costs 0.034 of "
        "comparing all with all by products in float32 (computed)."
    )
    assert told in (tmp_path / "out" / "report.html").read_text()


def test_a_pilot_of_a_large_set_costs_no_more_than_a_run() -> None:
    """10,000 images where they cost little, fewer against a million, and never so few that they tell nothing."""
    sizes = [enough.pilot_size(rows, by_codes=True) for rows in (1000, 200_000, 400_000, 10**6, 10**8)]
    assert sizes == [500, 10_000, 5_000, 2_000, 2_000]
    assert enough.pilot_size(10**6, by_codes=False) == 2_000
