"""Dedup of whole stores: every image gets an outcome, no pair is lost, and the result depends on the images alone."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from vectors import Vectors, families, near, random_vectors, true_pairs, unit, vector_store

from memaudit.dedup import decisions, joining
from memaudit.dedup.clusters import CLUSTER_ROWS, EXHAUSTIVE_ROWS, choose_clusters
from memaudit.dedup.ignored import RuledOut
from memaudit.dedup.keep import keep_rank
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import Decision, DedupResult, Reason
from memaudit.dedup.run import dedup
from memaudit.errors import InputError, UsageError
from memaudit.store import Columns, Store
from memaudit.types import Status

EXHAUSTIVE = DedupOptions(clusters=0)
MIXED = [1] * 120 + [2] * 40 + [3] * 20 + [20, 35]


def clumpy(folder: Path, seed: int = 0, sizes: list[int] = MIXED, **columns: object) -> Store:
    """Strangers and families in a random order."""
    vectors = families(seed, sizes)
    order = np.random.default_rng(seed).permutation(len(vectors))
    return vector_store(folder, vectors[order], **columns)  # type: ignore[arg-type]


def pairs_by_id(result: DedupResult) -> dict[tuple[str, str], tuple[float, bool]]:
    ids = result.decisions.image_id
    entries = zip(*(column.tolist() for column in result.pairs[:4]), strict=True)
    named = {tuple(sorted((ids[left], ids[right]))): (s, is_exact) for left, right, s, is_exact in entries}
    assert len(named) == len(result.pairs.left), "a pair came twice"
    return named  # type: ignore[return-value]


def outcome_by_id(result: DedupResult) -> dict[str, tuple[str, str, str, float]]:
    """Decision, reason, witness and similarity of each image."""
    d = result.decisions
    return {
        d.image_id[i]: (
            d.decision[i],
            d.reason[i],
            d.image_id[d.witness[i]] if d.witness[i] >= 0 else "",
            d.similarity[i],
        )
        for i in range(len(d.image_id))
    }


def require_sound(result: DedupResult, store: Store) -> None:
    """What must hold of every result: one outcome for each row, kept witnesses, whole groups."""
    d, columns = result.decisions, store.all_columns()
    assert d.image_id.tolist() == columns.image_id.tolist()
    keep, drop, lost = (d.decision == decision for decision in (Decision.KEEP, Decision.DROP, Decision.UNREADABLE))
    assert keep.sum() + drop.sum() + lost.sum() == len(store)
    assert np.array_equal(lost, columns.status == Status.UNREADABLE)
    assert (d.witness[keep] == np.flatnonzero(keep)).all()
    assert keep[d.witness[drop]].all()
    assert (d.witness[lost] == -1).all()
    assert (d.group[lost] == -1).all()
    assert (d.group[drop] == d.group[d.witness[drop]]).all()
    assert sorted(d.group[keep].tolist()) == list(range(keep.sum()))
    assert (d.similarity[drop] >= np.float32(result.threshold)).all()
    assert not (keep[result.pairs.left] & keep[result.pairs.right]).any()


# --- pairs ---------------------------------------------------------------------------------------------------------


def test_exhaustive_run_finds_all_pairs(tmp_path: Path) -> None:
    """Comparing all with all gives exactly the pairs of brute force, and what is kept holds none any more."""
    store = clumpy(tmp_path / "s")
    result = dedup(store, EXHAUSTIVE)
    found = set(zip(result.pairs.left.tolist(), result.pairs.right.tolist(), strict=True))
    assert found == true_pairs(store.embeddings(store.comparable_rows()), 0.8)
    assert len(found) > 500
    require_sound(result, store)
    kept = np.flatnonzero(result.decisions.decision == Decision.KEEP)
    assert true_pairs(store.embeddings(kept), 0.8) == set()


@pytest.mark.parametrize(("clusters", "probes", "clusterings"), [(8, 1, 1), (8, 2, 1), (12, 1, 3), (32, 3, 2)])
def test_clustered_pairs_are_some_of_the_exact_ones(
    tmp_path: Path, clusters: int, probes: int, clusterings: int
) -> None:
    """A clustered run invents no pair, gives each the same similarity, and counts what each clustering added."""
    store = clumpy(tmp_path / "s")
    options = DedupOptions(clusters=clusters, probes=probes, clusterings=clusterings)
    result, exact = dedup(store, options), pairs_by_id(dedup(store, EXHAUSTIVE))
    found = pairs_by_id(result)
    assert found.items() <= exact.items()
    assert sum(result.added) == len(found)
    assert len(result.added) == clusterings
    assert result.recall.by_pair.total > 0
    assert result.recall.by_pair.value == pytest.approx(len(found) / len(exact))
    require_sound(result, store)


def test_probing_every_cluster_finds_all_pairs(tmp_path: Path) -> None:
    """With as many probes as clusters nothing can be missed."""
    store = clumpy(tmp_path / "s")
    result = dedup(store, DedupOptions(clusters=9, probes=9))
    assert pairs_by_id(result) == pairs_by_id(dedup(store, EXHAUSTIVE))
    assert result.recall.by_pair.value == 1


@pytest.mark.parametrize(
    "options", [EXHAUSTIVE, DedupOptions(clusters=2, probes=1), DedupOptions(clusters=3, probes=3)]
)
def test_a_giant_cluster_loses_no_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: DedupOptions) -> None:
    """Trap "clusters too large were cut into parts that were never compared with each other" (SemDeDup)."""
    store = vector_store(tmp_path / "s", families(1, [90, 8], noise=0.2))
    whole = pairs_by_id(dedup(store, options))
    monkeypatch.setattr(joining, "BLOCK_ROWS", 7)
    assert pairs_by_id(dedup(store, options)) == whole
    family = {f"image-{i:05d}" for i in range(90)}
    assert sum(set(pair) <= family for pair in whole) == 90 * 89 // 2


def test_all_images_alike(tmp_path: Path) -> None:
    """One family as large as the set leaves one image, in one group."""
    store = vector_store(tmp_path / "s", families(2, [150], noise=0.2))
    for options in (EXHAUSTIVE, DedupOptions(clusters=10, probes=10)):
        result = dedup(store, options)
        assert result.count(Decision.KEEP) == 1
        assert len(result.pairs.left) == 150 * 149 // 2
        require_sound(result, store)


def test_no_pairs_at_all(tmp_path: Path) -> None:
    """Strangers are all kept; there is no recall of nothing, and no interval either."""
    store = vector_store(tmp_path / "s", random_vectors(0, 60))
    for options in (EXHAUSTIVE, DedupOptions(clusters=4, recall_sample=10)):
        result = dedup(store, options)
        assert set(result.decisions.decision) == {Decision.KEEP}
        assert set(result.decisions.reason) == {Reason.UNIQUE}
        assert len(result.pairs.left) == 0
        for estimate in (result.recall.by_pair, result.recall.by_image):
            assert (estimate.found, estimate.total, estimate.value, estimate.low, estimate.high) == (
                0,
                0,
                None,
                None,
                None,
            )
        require_sound(result, store)


def test_a_single_image(tmp_path: Path) -> None:
    """A set of one is kept."""
    store = vector_store(tmp_path / "s", random_vectors(0, 1))
    assert dedup(store).decisions.decision.tolist() == [Decision.KEEP]


@pytest.mark.parametrize("threshold", [1.0, 0.999])
def test_threshold_of_one_runs_and_drops_identical_images_only(tmp_path: Path, threshold: float) -> None:
    """Rounding of vectors to unit length neither hides identical images at 1.0 nor breaks the witness check."""
    vectors = np.repeat(random_vectors(3, 40), 3, axis=0)
    result = dedup(vector_store(tmp_path / "s", vectors, threshold=threshold))
    assert result.count(Decision.KEEP) == 40
    assert (result.pairs.similarity == 1).all()


# --- exact duplicates ----------------------------------------------------------------------------------------------


def test_the_same_file_is_an_exact_duplicate_even_if_its_embedding_differs(tmp_path: Path) -> None:
    """A file under three names collapses by its hash: one is kept, the two others name it with similarity 1."""
    vectors = np.concatenate([random_vectors(0, 1), random_vectors(1, 1), random_vectors(2, 2)])
    result = dedup(vector_store(tmp_path / "s", vectors, files=["a", "a", "a", "b"]))
    assert result.decisions.decision.tolist() == ["keep", "drop", "drop", "keep"]
    assert result.decisions.reason.tolist() == [Reason.CHOSEN, Reason.COPY, Reason.COPY, Reason.UNIQUE]
    assert result.decisions.group.tolist() == [0, 0, 0, 1]
    assert pairs_by_id(result) == {
        ("image-00000", "image-00001"): (1.0, True),
        ("image-00000", "image-00002"): (1.0, True),
    }


def test_the_same_embedding_in_another_file_is_an_exact_duplicate(tmp_path: Path) -> None:
    """A picture saved again without loss has another hash and the same embedding: it collapses as well."""
    vectors = np.repeat(random_vectors(0, 5), 2, axis=0)
    result = dedup(vector_store(tmp_path / "s", vectors))
    assert result.decisions.decision.tolist() == ["keep", "drop"] * 5
    assert set(result.decisions.reason) == {Reason.CHOSEN, Reason.COPY}
    assert result.pairs.exact.all()


def test_copies_by_file_and_by_embedding_join(tmp_path: Path) -> None:
    """a and b are one file, b and c one embedding: all three are copies of one image."""
    v = random_vectors(0, 2)
    result = dedup(vector_store(tmp_path / "s", v[[0, 1, 1]], files=["x", "x", "y"]))
    assert result.decisions.witness.tolist() == [0, 0, 0]


def test_a_copy_of_a_dropped_image_names_the_kept_one(tmp_path: Path) -> None:
    """B is dropped for A, and C is a copy of B: C's witness is A, which stays, and not B."""
    v = unit([[1, 0, 0], [0.9, 0.3, 0]])
    store = vector_store(tmp_path / "s", v[[0, 1, 1]])
    result = dedup(store)
    assert result.decisions.witness.tolist() == [0, 0, 0]
    assert result.decisions.reason.tolist() == [Reason.CHOSEN, Reason.NEAR, Reason.COPY]
    require_sound(result, store)


def test_a_copy_whose_embedding_differs_in_the_last_bits_is_no_crash(tmp_path: Path) -> None:
    """The same file embedded in another batch may lie just below the threshold of its twin's witness."""
    angle = np.arccos(0.8) - 1e-4
    v = unit([[1, 0], [np.cos(angle), np.sin(angle)], [np.cos(angle + 2e-3), np.sin(angle + 2e-3)]])
    result = dedup(vector_store(tmp_path / "s", v, files=["a", "b", "b"]))
    assert result.decisions.decision.tolist() == ["keep", "drop", "drop"]
    assert result.decisions.witness.tolist() == [0, 0, 0]


@pytest.mark.parametrize("options", [DedupOptions(), DedupOptions(clusters=4), DedupOptions(clusters=30, probes=1)])
def test_a_set_that_is_95_percent_copies(tmp_path: Path, options: DedupOptions) -> None:
    """k-means never sees the copies, so it cannot collapse on them; every copy is found and names a kept image."""
    rng = np.random.default_rng(0)
    originals = random_vectors(5, 60)
    which = np.concatenate([np.arange(60), np.zeros(700, int), rng.integers(0, 60, 440)])
    store = vector_store(tmp_path / "s", originals[rng.permutation(which)])
    result = dedup(store, options)
    assert result.count(Decision.KEEP) == 60
    assert (result.decisions.reason == Reason.COPY).sum() == 1140
    assert len(pairs_by_id(result)) == 1140
    require_sound(result, store)


def test_unreadable_files_are_no_duplicates_of_each_other(tmp_path: Path) -> None:
    """A thousand files that could not be read share no hash and no embedding: none is dropped, none is a witness."""
    statuses = [Status.UNREADABLE] * 5 + [Status.OK] * 2
    result = dedup(vector_store(tmp_path / "s", random_vectors(0, 7), statuses=statuses, files=["x"] * 5 + ["y", "z"]))
    assert result.decisions.decision.tolist() == ["unreadable"] * 5 + ["keep"] * 2


@pytest.mark.parametrize("bad", [Status.UNREADABLE, Status.BLANK])
def test_a_readable_image_never_hangs_on_one_that_was_not_compared(tmp_path: Path, bad: Status) -> None:
    """Trap "dropped without a kept witness": the same file read once and not another time is compared all the same."""
    store = vector_store(
        tmp_path / "s", random_vectors(0, 3), files=["x", "x", "x"], statuses=[bad, Status.OK, Status.OK]
    )
    result = dedup(store, DedupOptions(keep="first"))
    assert result.decisions.decision.tolist()[1:] == ["keep", "drop"]
    require_sound(result, store)


# --- blank and unreadable ------------------------------------------------------------------------------------------


def test_blank_and_unreadable_images_get_an_outcome(tmp_path: Path) -> None:
    """Blank ones are kept without being compared, copies among them dropped; unreadable ones are neither."""
    statuses = [Status.BLANK, Status.OK, Status.UNREADABLE, Status.BLANK, Status.BLANK, Status.OK]
    files = ["white", "a", "cut", "white", "black", "a"]
    store = vector_store(tmp_path / "s", random_vectors(0, 6), statuses=statuses, files=files)
    result = dedup(store)
    assert result.decisions.decision.tolist() == ["keep", "keep", "unreadable", "drop", "keep", "drop"]
    assert result.decisions.reason.tolist() == [
        Reason.CHOSEN,
        Reason.CHOSEN,
        Reason.UNREADABLE,
        Reason.COPY,
        Reason.BLANK,
        Reason.COPY,
    ]
    assert (result.coverage.measured, result.coverage.total) == (5, 6)
    require_sound(result, store)


@pytest.mark.parametrize("status", [Status.UNREADABLE, Status.BLANK])
def test_a_store_with_nothing_to_compare_is_refused(tmp_path: Path, status: Status) -> None:
    """Trap "an empty input scored as perfect": no comparable image is an error in one line, not a clean set."""
    store = vector_store(tmp_path / "s", random_vectors(0, 3), statuses=[status] * 3)
    with pytest.raises(InputError, match="nothing to compare") as caught:
        dedup(store)
    assert "\n" not in str(caught.value)


def test_a_store_without_rows_is_refused(tmp_path: Path) -> None:
    """Trap "an empty input scored as perfect": no row at all is an error as well."""
    with pytest.raises(InputError, match="nothing to compare"):
        dedup(vector_store(tmp_path / "s", np.empty((0, 8))))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("options", [EXHAUSTIVE, DedupOptions(clusters=4)])
def test_nan_is_one_clear_line(tmp_path: Path, value: float, options: DedupOptions) -> None:
    """An embedding with NaN would be similar to nothing and be kept as unique: the run refuses it instead."""
    vectors = random_vectors(0, 50)
    vectors[17, 3] = value
    store = vector_store(tmp_path / "s", vectors)
    with pytest.raises(InputError, match="NaN") as caught:
        dedup(store, options, scratch=tmp_path)
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


# --- what the result must not depend on ----------------------------------------------------------------------------


@pytest.mark.parametrize("groups", ["cover", "components"])
@pytest.mark.parametrize("keep", ["cleanest", "first", "best:score"])
def test_result_does_not_depend_on_the_order_of_rows(tmp_path: Path, keep: str, groups: str) -> None:
    """The same images in another order, in shards of another size, give the same pairs and decisions by image_id.

    Also with pairs ruled out, some of them exact duplicates, against another set, and in what the removal does.
    """
    vectors = np.concatenate([families(4, [1] * 30 + [3] * 20 + [25]), np.repeat(random_vectors(6, 4), 4, axis=0)])
    rng = np.random.default_rng(1)
    count = len(vectors)
    ids = [f"{i:03d}" for i in rng.permutation(count)]
    files = [str(rng.integers(0, count)) for _ in range(count)]
    sizes = [(int(rng.integers(1, 4)), 2) for _ in range(count)]
    statuses = rng.choice([Status.OK] * 8 + [Status.BLANK, Status.UNREADABLE], count).tolist()
    statuses = [Status(status) for status in statuses]
    metadata = [json.dumps({"score": int(rng.integers(0, 3)), "kind": int(rng.integers(0, 2))}) for _ in range(count)]
    ruled_out = RuledOut(Path("i.csv"), "", tuple((ids[i], ids[i + 1]) for i in range(40, count - 1, 3)), (0,) * count)
    ruled_out = replace(ruled_out, lines=(0,) * len(ruled_out.pairs))
    other = vector_store(tmp_path / "other", near(9, vectors[:8], 0.1), prefix="o")

    def run(name: str, order: np.ndarray, shard_rows: int) -> DedupResult:
        def moved(values: list[object]) -> list[object]:
            return [values[i] for i in order]

        columns = {"ids": moved(ids), "files": moved(files), "sizes": moved(sizes), "statuses": moved(statuses)}
        columns["metadata"] = moved(metadata)
        store = vector_store(tmp_path / name, vectors[order], shard_rows=shard_rows, **columns)  # type: ignore[arg-type]
        return dedup(store, DedupOptions(clusters=0, keep=keep, groups=groups), against=other, ruled_out=ruled_out)

    first, second = run("a", np.arange(count), 64), run("b", rng.permutation(count), 7)
    assert outcome_by_id(first) == outcome_by_id(second)
    assert pairs_by_id(first) == pairs_by_id(second)
    assert first.ignored == second.ignored
    assert first.removal.skew.value.tolist() == second.removal.skew.value.tolist() != []
    assert np.allclose(first.removal.skew.ratio, second.removal.skew.ratio, rtol=1e-12)
    assert set(first.decisions.reason) >= {Reason.ELSEWHERE, Reason.COPY, Reason.NEAR}


THREADS = """
import hashlib, sys
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.store import Store
result = dedup(Store.open(sys.argv[1]), DedupOptions(clusters=24, probes=2, clusterings=2, recall_sample=100))
columns = (*result.pairs, result.decisions.witness, result.decisions.similarity)
print(hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest(), result.added, result.recall)
"""


def test_result_does_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    """One thread and two give the same clusters, pairs, decisions and recall, bit for bit."""
    clumpy(tmp_path / "s", sizes=[1] * 600 + [4] * 150 + [60])
    outputs = []
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", THREADS, str(tmp_path / "s")]
        outputs.append(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert outputs[0] == outputs[1]


def test_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    """A run can be repeated: clusters and samples come from the seed alone."""
    store = clumpy(tmp_path / "s")
    options = DedupOptions(clusters=20, probes=1, recall_sample=50, seed=7)
    first, second = dedup(store, options), dedup(store, options)
    assert pairs_by_id(first) == pairs_by_id(second)
    assert first.recall == second.recall


def test_ids_are_kept_whole(tmp_path: Path) -> None:
    """Trap "original ids lost, paths cut to 32 characters, results by position" (NeMo Curator, SemDeDup)."""
    stem = "a/very/long/folder/name/that/goes/beyond/every/column/width/" * 4
    ids = [stem + name for name in ("é 图.png", "é 图.png ", 'quote".png', "new\nline.png", "x" * 5000, "")]
    store = vector_store(tmp_path / "s", np.repeat(random_vectors(0, 3), 2, axis=0), ids=ids)
    result = dedup(store)
    assert result.decisions.image_id.tolist() == ids
    assert outcome_by_id(result)[ids[1]][:3] == ("drop", Reason.COPY, ids[0])


# --- keep rules ----------------------------------------------------------------------------------------------------


def test_largest_keeps_the_most_pixels(tmp_path: Path) -> None:
    """By area and not by width; of equal areas the lowest image_id."""
    vectors = families(0, [4], noise=0.1)
    sizes = [(400, 10), (90, 90), (50, 162), (1, 1)]
    result = dedup(vector_store(tmp_path / "s", vectors, ids=["d", "c", "b", "a"], sizes=sizes))
    assert result.decisions.decision.tolist() == ["drop", "drop", "keep", "drop"]
    assert result.keep_rule == "cleanest"


def test_first_keeps_the_lowest_image_id(tmp_path: Path) -> None:
    """Whatever the size, and whatever the order in the store."""
    result = dedup(
        vector_store(
            tmp_path / "s",
            families(0, [3], noise=0.1),
            ids=["b", "a", "c"],
            sizes=[(9, 9), (1, 1), (5, 5)],
        ),
        DedupOptions(keep="first"),
    )
    assert result.decisions.decision.tolist() == ["drop", "keep", "drop"]


def test_a_chain_does_not_drop_its_far_end(tmp_path: Path) -> None:
    """Trap "A ~ B, B ~ C, A not ~ C": with A kept and B dropped for it, C stays, for nobody kept resembles it."""
    angles = np.radians([0, 30, 60])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    a_largest = dedup(vector_store(tmp_path / "a", vectors, sizes=[(9, 9), (5, 5), (5, 5)]))
    assert a_largest.decisions.decision.tolist() == ["keep", "drop", "keep"]
    b_largest = dedup(vector_store(tmp_path / "b", vectors, sizes=[(5, 5), (9, 9), (5, 5)]))
    assert b_largest.decisions.decision.tolist() == ["drop", "keep", "drop"]


def test_one_very_long_id_does_not_cost_its_length_for_every_row() -> None:
    """Trap "memory blow-up at 40,000 images": 20,000 rows, one id of 50,000 characters, a few MB and not 4 GB."""
    rows = 20_000
    ids = np.array([f"{i}" for i in range(rows)] + ["x" * 50_000], dtype=object)
    sides = {"image_id": ids, "width": np.ones(rows + 1, np.int64), "height": np.ones(rows + 1, np.int64)}
    columns = Columns(**(dict.fromkeys(Columns._fields, ids) | sides))
    tracemalloc.start()
    rank = keep_rank(columns, "largest")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert rank[np.argsort(ids)].tolist() == list(range(rows + 1))


# --- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0.0},
        {"threshold": float("nan")},
        {"threshold": 1.5},
        {"clusters": 11},
        {"clusters": -1},
        {"clusterings": 0},
        {"probes": 0},
        {"keep": "biggest"},
        {"recall_sample": 0},
        {"seed": -1},
        {"seed": 2**31},
        {"confidence": 1.0},
        {"confidence": float("nan")},
    ],
)
def test_impossible_options_are_one_line(tmp_path: Path, wrong: dict[str, object]) -> None:
    """Also fewer rows than clusters, and a recall from no sample: refused before anything is compared."""
    store = vector_store(tmp_path / "s", random_vectors(0, 10))
    with pytest.raises(UsageError, match=r"expected|there are") as caught:
        dedup(store, replace(DedupOptions(), **wrong))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_clusters_count_distinct_images(tmp_path: Path) -> None:
    """Ten images of which nine are copies cannot fill four clusters, and the message says how many there are."""
    store = vector_store(tmp_path / "s", np.repeat(random_vectors(0, 2), 5, axis=0))
    with pytest.raises(UsageError, match="there are 2 distinct images"):
        dedup(store, DedupOptions(clusters=4))


def test_as_many_clusters_as_images(tmp_path: Path) -> None:
    """The most clusters that can be: each image may be alone, and the run still ends soundly."""
    store = vector_store(tmp_path / "s", families(0, [2] * 10))
    require_sound(dedup(store, DedupOptions(clusters=20, probes=2)), store)


@pytest.mark.parametrize("rows", [20_001, 50_000, 10**6, 10**8])
@pytest.mark.parametrize("probes", [1, 2, 8])
def test_the_plan_by_cost_keeps_clusters_filled(rows: int, probes: int) -> None:
    """Small sets are compared exhaustively; in large ones clusters hold enough rows not to tear families apart."""
    assert choose_clusters(EXHAUSTIVE_ROWS, probes, 1) == 0
    clusters = choose_clusters(rows, probes, 1)
    assert clusters >= 2
    assert rows / clusters >= CLUSTER_ROWS


def test_progress_never_exceeds_its_total(tmp_path: Path) -> None:
    """Each stage ends at its total, so that a bar is full when it is done."""
    seen: dict[str, tuple[int, int]] = {}

    def note(stage: str, done: int, total: int) -> None:
        assert 0 < done <= total
        assert done >= seen.get(stage, (0, 0))[0]
        seen[stage] = (done, total)

    dedup(clumpy(tmp_path / "s"), DedupOptions(clusters=8, recall_sample=50), progress=note)
    assert set(seen) == {"assigning clusters", "comparing clusters", "measuring recall"}
    assert all(done == total for done, total in seen.values())


# --- scratch -------------------------------------------------------------------------------------------------------


def test_no_scratch_is_left_after_a_run(tmp_path: Path) -> None:
    """The copy of the embeddings goes with the run."""
    store = clumpy(tmp_path / "s")
    (tmp_path / "scratch").mkdir()
    dedup(store, scratch=tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError])
def test_no_scratch_is_left_after_an_exception(tmp_path: Path, error: type[BaseException]) -> None:
    """Nor does it stay when the run fails or is interrupted in the middle."""
    store = clumpy(tmp_path / "s")

    def fail(stage: str, done: int, total: int) -> None:
        raise error

    with pytest.raises(error):
        dedup(store, DedupOptions(clusters=4), scratch=tmp_path, progress=fail)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


KILLED = """
import os, signal, sys
from pathlib import Path
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.store import Store
def kill(stage, done, total):
    os.kill(os.getpid(), signal.SIGKILL)
dedup(Store.open(sys.argv[1]), DedupOptions(clusters=4), scratch=Path(sys.argv[2]), progress=kill)
"""


def test_a_killed_run_leaves_no_scratch(tmp_path: Path) -> None:
    """Not even kill -9 leaves a copy of the embeddings, which may be people's; the same run again gives the same."""
    store, scratch = clumpy(tmp_path / "s"), tmp_path / "scratch"
    scratch.mkdir()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "s"), str(scratch)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(scratch.iterdir()) == []
    again = dedup(store, DedupOptions(clusters=4), scratch=scratch)
    assert outcome_by_id(again) == outcome_by_id(dedup(store, DedupOptions(clusters=4)))
    assert list(scratch.iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for the scratch is taken before it is used: a mapped file on a full disk would kill the process."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(InputError, match=r"no room for .* bytes of scratch") as caught:
        dedup(vector_store(tmp_path / "s", random_vectors(0, 5)), scratch=tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


# --- the witness check ---------------------------------------------------------------------------------------------


def test_a_witness_below_the_threshold_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the cover rule ever be broken, the run dies before it writes a list of images to delete."""
    store = vector_store(tmp_path / "s", families(0, [2], noise=0.1))

    def stranger(store: Store, left: Vectors, right: Vectors, *where: object) -> Vectors:
        return np.full(len(left), 0.5, np.float32)

    monkeypatch.setattr(decisions, "similarities", stranger)
    with pytest.raises(AssertionError, match="below the threshold"):
        dedup(store)


def test_dedup_of_what_was_kept_finds_nothing(tmp_path: Path) -> None:
    """Run again on the kept images, dedup has nothing left to drop."""
    store = clumpy(tmp_path / "s")
    kept = np.flatnonzero(dedup(store).decisions.decision == Decision.KEEP)
    again = dedup(vector_store(tmp_path / "kept", store.embeddings(kept)))
    assert again.count(Decision.DROP) == 0
