"""Pairs below the threshold, decided on pixels; similarities are set by hand, the pictures are real files."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from altered import COPIES
from graphs import Graph, graphs, pairs_of
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import photograph
from vectors import families, near, unit, vector_store

from memaudit import machine
from memaudit.cli.app import run
from memaudit.dedup import candidates, pixels
from memaudit.dedup.candidates import CandidateRule, Collected
from memaudit.dedup.components import components
from memaudit.dedup.groups import cover
from memaudit.dedup.ignored import read_ruled_out, without
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import Decision, DedupResult, PixelChecks, Reason
from memaudit.dedup.run import dedup
from memaudit.errors import InconclusiveError
from memaudit.matching.compare import Checks, Ends, checked_in_order
from memaudit.matching.kept import keep_features
from memaudit.matching.plan import PAIR_FLOORS
from memaudit.matching.schedule import Schedule
from memaudit.report.dedup import write_dedup
from memaudit.report.document import read_report
from memaudit.similarity import Pairs, exact
from memaudit.similarity.exact import similarity_at
from memaudit.store import Store, unit_rows
from memaudit.types import Int64

FLOOR, THRESHOLD = 0.5, 0.8
BELOW = 0.6  # similarity of each picture to the next one of its line
MADE = ("same", "crop", "turned", "sticker")
CHECKED = DedupOptions(match_from=FLOOR)


def line(pictures: int, similarity: float = BELOW) -> np.ndarray:
    """Unit vectors, each of the given similarity to its neighbours; farther ones less similar."""
    angle = np.arccos(similarity) * np.arange(pictures)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def apart(*lines: np.ndarray) -> np.ndarray:
    """Lines of no similarity to each other."""
    rows = np.zeros((sum(map(len, lines)), 2 * len(lines)))
    start = 0
    for number, vectors in enumerate(lines):
        rows[start : start + len(vectors), 2 * number : 2 * number + 2] = vectors
        start += len(vectors)
    return rows


def store_of(
    folder: Path, pictures: Sequence[tuple[int, str]], vectors: np.ndarray, order: Sequence[int] | None = None
) -> Store:
    """Files `SEED-COPY.png`; a row for each in the order given, with its vector."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    order = range(len(pictures)) if order is None else order
    paths = []
    for seed, name in pictures:
        paths.append(images / f"{seed}-{name}.png")
        if not paths[-1].exists():
            made = photograph(seed) if name == "small" else COPIES[name](photograph(seed))
            (made.resize((160, 120)) if name == "small" else made).save(paths[-1], compress_level=1)
    return vector_store(
        folder / "store",
        vectors[list(order)],
        ids=[paths[i].stem for i in order],
        uris=[str(paths[i]) for i in order],
        hashes=[hashlib.sha256(paths[i].read_bytes()).hexdigest() for i in order],
        sizes=[(320, 240) if pictures[i][1] == "same" else (200, 150) for i in order],
    )


@pytest.mark.parametrize("harm", ["removed", "cut", "unfinished"])
def test_damaged_kept_features_end_a_run_before_its_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """And not after hours; without pixels nobody asks for them."""
    store = store_of(tmp_path, [(0, "same"), (1, "same")], apart(line(1), line(1)))
    keep_features(store)
    (path,) = (store.folder / "features").glob("*.json" if harm == "unfinished" else "*.records")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()

    def never(*given: object) -> None:
        raise AssertionError("it was searched")

    with monkeypatch.context() as patched:
        patched.setattr("memaudit.dedup.run.search", never)
        with pytest.raises(InconclusiveError, match="run memaudit embed again with --features, or delete"):
            dedup(store, CHECKED)
    assert dedup(store, DedupOptions(match="none")).inconclusive == ()


def decided(result: DedupResult) -> dict[str, tuple[str, str, bool]]:
    """For each image_id its decision, witness and whether pixels confirmed the two."""
    d = result.decisions
    witness = [d.image_id[row] if row >= 0 else "" for row in d.witness]
    return dict(zip(d.image_id, zip(d.decision, witness, d.pixels.tolist(), strict=True), strict=True))


def checks_of(result: DedupResult) -> PixelChecks:
    assert result.pixels is not None
    return result.pixels


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A picture and a crop of it, a picture and another one, both just as similar; and near ones by similarity."""
    pictures = [(0, "same"), (0, "crop"), (1, "same"), (2, "same"), (3, "same"), (3, "small")]
    return store_of(tmp_path, pictures, apart(line(2), line(2), line(2, 0.9)))


def test_pixels_tell_a_copy_from_what_is_just_as_similar(store: Store) -> None:
    """The crop is dropped for its picture, which is named as the witness with its similarity."""
    result = dedup(store, CHECKED)
    assert decided(result) == {
        "0-same": (Decision.KEEP, "0-same", False),
        "0-crop": (Decision.DROP, "0-same", True),
        "1-same": (Decision.KEEP, "1-same", False),
        "2-same": (Decision.KEEP, "2-same", False),
        "3-same": (Decision.KEEP, "3-same", False),
        "3-small": (Decision.DROP, "3-same", False),
    }
    d = result.decisions
    assert d.reason.tolist()[1] == Reason.PIXELS
    assert d.similarity[1] == d.chain[1] == pytest.approx(BELOW, abs=1e-3)
    assert checks_of(result) == PixelChecks(FLOOR, 2, 2, 1, 0, 0, (), images=4, reads=4)
    assert sorted(result.pairs.similarity.round(1).tolist()) == pytest.approx([0.6, 0.9])
    assert result.recall.by_pair.total == 2  # from either side
    assert result.candidate_recall is not None
    assert result.candidate_recall.by_pair.total == 6


def test_tables_and_headline_name_them(store: Store, tmp_path: Path) -> None:
    """Column `pixels` of both tables, the pairs by similarity counted apart, and pictures of what was confirmed."""
    report = write_dedup(dedup(store, CHECKED), store, tmp_path / "out").content
    results = report["results"]
    assert (results["pairs"], results["near_pairs"], results["by_pixels"], results["near_duplicates"]) == (2, 1, 1, 2)
    assert results["pixels"]["confirmed"] == len(results["by_pixels_shown"]) == 1
    assert "exact, of similarity 0.8 and more, or seen on pixels (1 of them)" in results["headline"]
    assert " of the pairs of similarity 0.8 and more (every" in results["headline"]  # of others it knows nothing
    page = (tmp_path / "out/report.html").read_text()
    assert "confirmed on pixels" in page
    assert "refused by their pixels" in page
    refused = [{side["image_id"] for side in pair["sides"]} for pair in results["refused_shown"]]
    assert refused == [{"1-same", "2-same"}]
    assert results["by_threshold"][0] == {"threshold": 0.8, "pairs": 1, "images": 2, "groups": 1}
    assert page.count("0-crop") >= 2
    pairs, decisions = (pq.read_table(tmp_path / f"out/{name}.parquet").to_pydict() for name in ("pairs", "decisions"))
    assert dict(zip(pairs["left_id"], pairs["pixels"], strict=True)) == {"0-same": True, "3-same": False}
    assert [i for i, seen in zip(decisions["image_id"], decisions["pixels"], strict=True) if seen] == ["0-crop"]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_table_says_where_the_two_show_the_same(tmp_path: Path, order: list[int]) -> None:
    """The crop is all there in the picture, whichever stands left; of a pair by similarity nothing is said."""
    pictures = [(0, "same"), (0, "crop"), (3, "same"), (3, "small")]
    store = store_of(tmp_path, pictures, apart(line(2), line(2, 0.9)), [*order, 2, 3])
    write_dedup(dedup(store, CHECKED), store, tmp_path / "out")
    seen, near = pq.read_table(tmp_path / "out/pairs.parquet").to_pylist()
    crop, whole = ("left", "right") if seen["left_id"] == "0-crop" else ("right", "left")
    assert seen[f"{crop}_box"] == pytest.approx([0, 0, 1, 1], abs=0.03)
    left, top, right, bottom = seen[f"{whole}_box"]
    assert 0.3 < (right - left) * (bottom - top) < 0.9
    middle = np.array(seen["alignment"]).reshape(2, 3) @ [0.5, 0.375, 1]  # pictures of 4 to 3, in either direction
    assert ((middle > 0.2) & (middle < 0.8)).all()
    assert (near["pixels"], near["alignment"], near["left_box"], near["right_box"]) == (False, None, None, None)


def test_none_looks_at_no_pixels(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = dedup(store, DedupOptions(match="none"))
    assert (result.pixels, result.no_pixels, result.candidate_recall) == (None, "--match none", None)
    assert result.decisions.decision.tolist().count(Decision.DROP) == 1


@pytest.mark.parametrize("groups", ["cover", "components"])
def test_the_order_of_rows_changes_nothing(tmp_path: Path, groups: str) -> None:
    """Nor which of two pictures comes first, nor ties of similarity beyond the number that is checked."""
    pictures = [(seed, name) for seed in range(3) for name in MADE]
    vectors = np.c_[np.eye(12) * np.sqrt(1 - BELOW), np.full((12, 1), np.sqrt(BELOW))]  # all pairs tie
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixels, "CANDIDATES", 3)
        for number, order in enumerate([range(12), range(11, -1, -1), np.random.default_rng(0).permutation(12)]):
            made = store_of(tmp_path / str(number), pictures, vectors, list(order))
            result = dedup(made, DedupOptions(match_from=FLOOR, groups=groups))
            found.append((decided(result), checks_of(result)))
    assert found[0] == found[1] == found[2]
    assert checks_of(result).left_out > 0
    assert checks_of(result).confirmed > 0


def test_threads_change_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    several = dedup(store, CHECKED)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    alone = dedup(store, CHECKED)
    assert decided(alone) == decided(several)
    assert alone.pixels == several.pixels


def test_components_by_a_chain_of_confirmed_pairs(tmp_path: Path) -> None:
    """The far end was not compared with the one kept: it is dropped by a chain, and not called seen on pixels."""
    store = store_of(tmp_path, [(0, "crop"), (0, "same"), (0, "sticker")], line(3))
    result = dedup(store, DedupOptions(match_from=FLOOR, groups="components", keep="first"))
    d = result.decisions
    assert d.reason.tolist() == [Reason.CHOSEN, Reason.PIXELS, Reason.CHAIN]
    assert d.pixels.tolist() == [False, True, False]
    assert d.chain[2] == pytest.approx(BELOW, abs=1e-3)
    assert d.similarity[2] == pytest.approx(2 * BELOW**2 - 1, abs=1e-3)
    by_cover = dedup(store, replace(CHECKED, keep="first")).decisions
    assert by_cover.decision.tolist() == [Decision.KEEP, Decision.DROP, Decision.KEEP]


def test_exact_duplicates_follow_an_image_that_was_confirmed(tmp_path: Path) -> None:
    """The same file twice: both copies are dropped for the picture, one of them as an exact duplicate."""
    vectors = apart(line(2))[[0, 1, 1]]
    store = store_of(tmp_path, [(0, "same"), (0, "crop"), (0, "crop")], vectors)
    (tmp_path / "ids").mkdir()
    columns = store.all_columns()
    store = vector_store(
        tmp_path / "twice",
        vectors,
        ids=["a", "b", "c"],
        uris=list(columns.uri),
        hashes=list(columns.sha256),
        sizes=[(320, 240), (200, 150), (200, 150)],
    )
    d = dedup(store, CHECKED).decisions
    assert d.decision.tolist() == [Decision.KEEP, Decision.DROP, Decision.DROP]
    assert d.witness.tolist() == [0, 0, 0]
    assert d.reason.tolist() == [Reason.CHOSEN, Reason.PIXELS, Reason.COPY]
    assert d.pixels.tolist() == [False, True, True]


def test_ruled_out_pairs_are_not_looked_at_and_do_not_come_back(store: Store, tmp_path: Path) -> None:
    ignored = tmp_path / "ignored.csv"
    ignored.write_text("left_id,right_id\n0-crop,0-same\n")
    result = dedup(store, CHECKED, ruled_out=read_ruled_out(ignored))
    assert decided(result)["0-crop"] == (Decision.KEEP, "0-crop", False)
    assert (checks_of(result).candidates, checks_of(result).checked, checks_of(result).confirmed) == (1, 1, 0)
    assert result.ignored is not None
    assert result.ignored.found == 0  # it was no pair at the threshold


def test_another_set_is_held_against_by_similarity_alone(store: Store, tmp_path: Path) -> None:
    """A crop of what the other set holds stays: below the threshold nothing is compared with that set."""
    other = store_of(tmp_path / "other", [(0, "same")], np.eye(6)[:1])
    d = decided(dedup(store, CHECKED, against=other))
    assert d["0-same"][0] == Decision.DROP
    assert d["0-crop"] == (Decision.KEEP, "0-crop", False)


def test_files_that_are_gone_or_changed_are_counted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their pairs are no duplicates, and the run is inconclusive, whether or not somebody asked for pixels."""
    (tmp_path / "images/0-crop.png").unlink()
    photograph(77).save(tmp_path / "images/1-same.png")
    monkeypatch.setitem(PAIR_FLOORS, "test", FLOOR)
    for verify, floor in (("auto", None), ("auto", FLOOR), ("pixels", None)):
        result = dedup(store, DedupOptions(match=verify, match_from=floor))
        checks = checks_of(result)
        assert (checks.checked, checks.confirmed, checks.unread) == (0, 0, 2)
        assert sorted(checks.why) == [
            "cannot read file: No such file or directory: 1",
            "the file is another one than was embedded: 1",
        ]
        assert decided(result)["0-crop"][0] == Decision.KEEP
        assert "pixels of only 0 of 2 pairs" in result.inconclusive[0]
    report = write_dedup(result, store, tmp_path / "out").content
    assert report["results"]["pixels"]["unread"] == 2
    assert "2 could not be looked at" in (tmp_path / "out/report.html").read_text()


def test_at_most_so_many_pairs_of_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs that both images have better ones than are left out, and counted."""
    monkeypatch.setattr(pixels, "CANDIDATES", 1)
    vectors = np.c_[np.eye(4) * np.sqrt(1 - BELOW), np.full((4, 1), np.sqrt(BELOW))]
    result = dedup(store_of(tmp_path, [(0, name) for name in MADE], vectors), CHECKED)
    checks = checks_of(result)
    assert (checks.candidates, checks.checked, checks.left_out) == (6, 3, 3)


def called(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run([str(argument) for argument in arguments])
    return (code, *capsys.readouterr())


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--match", "pixel"], "expected one of auto, pixels, none"),
        (["--match", "none", "--match-from", "0.5"], "leave out --match-from"),
        (["--match-from", "1.5"], "1.5"),
        (["--match", "pixels"], "--match-from"),
        (["--match-from", "0.9"], "not above 0.9"),
        (["--match", "pixels", "--match-from", "0.5"], "comparing pixels needs OpenCV"),
    ],
)
def test_what_cannot_be_is_one_line(
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    word: str,
) -> None:
    """Unknown values, a floor above the threshold, none known for the encoder, no OpenCV: exit code 2, no report."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, out, err = called(capsys, "dedup", store.folder, "--out", tmp_path / "out", *options)
    assert code == 2
    assert out == ""
    assert err.startswith("memaudit: ")
    assert err.count("\n") == 1
    assert word in err
    assert not (tmp_path / "out/report.json").exists()


def test_without_opencv_auto_says_so_and_goes_on(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setitem(PAIR_FLOORS, "test", FLOOR)
    code, out, _ = called(capsys, "dedup", store.folder, "--out", tmp_path / "out")
    assert code == 0
    assert "Pairs below the threshold were not looked at: comparing pixels needs OpenCV" in out
    assert read_report(tmp_path / "out/report.json").content["results"]["dropped"] == 1


def test_the_command_says_what_pixels_gave(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An encoder with a floor needs no option."""
    monkeypatch.setitem(PAIR_FLOORS, "test", FLOOR)
    code, out, _ = called(capsys, "dedup", store.folder, "--out", tmp_path / "out")
    assert code == 0
    assert "Pixels: of 2 pairs of similarity 0.5 and more below the threshold, 1 are copies" in out


RUN = """
import os, signal, sys
from memaudit.cli import app
from memaudit.matching import compare
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "kill":
    compare.check = kill
code = app.run(sys.argv[2:])
sys.exit(code or 10 * ("cv2" in sys.modules))
"""


def test_a_run_killed_over_its_pixels_is_repeated_by_the_same_command(store: Store, tmp_path: Path) -> None:
    """kill -9 leaves no report; again, it gives what an undisturbed run gives. OpenCV is loaded for pixels only."""

    def call(how: str, out: str, *options: str) -> int:
        command = [sys.executable, "-c", RUN, how, "dedup", str(store.folder), "--out", str(tmp_path / out), *options]
        return subprocess.run(command, check=False).returncode

    pixels_too = ("--match-from", str(FLOOR))
    assert call("kill", "out", *pixels_too) == -signal.SIGKILL
    assert not (tmp_path / "out/report.json").exists()
    assert call("run", "out", *pixels_too) == 10
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".dedup-")]
    write_dedup(dedup(store, CHECKED), store, tmp_path / "whole")
    for name in ("keep.txt", "pairs.parquet", "decisions.parquet", "groups.parquet"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert call("run", "plain", "--match", "none") == 0


@given(graphs(), st.data())
def test_every_witness_is_kept_and_near_or_confirmed(graph: Graph, data: st.DataObject) -> None:
    """Any graph, any of its pairs below the threshold confirmed: the cover rule's witness is a direct pair."""
    similarity = [data.draw(st.sampled_from([value, BELOW, 0.7])) for value in graph.similarity]
    stays = [value >= 0.75 or data.draw(st.booleans()) for value in similarity]
    edges = [edge for edge, stay in zip(graph.edges, stays, strict=True) if stay]
    pairs = pairs_of(edges, [value for value, stay in zip(similarity, stays, strict=True) if stay])
    covered = cover(graph.size, pairs, graph.rank)
    linked = components(graph.size, pairs, graph.rank)
    known = {frozenset(edge): np.float32(value) for edge, value in zip(edges, pairs.similarity, strict=True)}
    for image in range(graph.size):
        witness = int(covered.witness[image])
        assert covered.witness[witness] == witness
        if witness != image:
            assert known[frozenset((image, witness))] == covered.similarity[image]
        assert linked.witness[linked.witness[image]] == linked.witness[image]
        assert linked.chain[image] >= np.float32(BELOW)
    kept = [image for image in range(graph.size) if covered.witness[image] == image]
    assert not any(frozenset((a, b)) in known for a in kept for b in kept if a != b)


def tie(rounded_up: bool) -> tuple[np.ndarray, float]:
    """Two unit vectors, in two further dimensions, and a threshold between their similarity and its float32 product."""
    for seed in range(1000):
        x, z = np.random.default_rng(seed).standard_normal((2, 512))
        x, z = x / np.linalg.norm(x), z - (z @ x) / (x @ x) * x
        vectors = unit(np.stack([x, 0.9 * x + np.sqrt(1 - 0.81) * z / np.linalg.norm(z)])).astype(np.float16)
        rows, zero = unit_rows(vectors), np.zeros(1, np.int64)
        product = float(similarity_at(rows, zero, rows, zero + 1, FLOOR)[0])
        true = float(exact(rows[:1], rows[1:])[0])
        if product != true and (product > true) is rounded_up:
            return vectors, max(product, true)
    raise AssertionError("no such pair")


@pytest.mark.parametrize("rounded_up", [True, False])
def test_at_the_threshold_pairs_are_those_of_a_run_without_pixels(tmp_path: Path, rounded_up: bool) -> None:
    """Whoever lies within rounding of the threshold is scored exactly, although the search began at the floor."""
    vectors, threshold = tie(rounded_up)
    store = store_of(tmp_path, [(0, "same"), (1, "same")], vectors)
    plain = dedup(store, DedupOptions(threshold=threshold, match="none", keep="largest"))
    checked = dedup(store, DedupOptions(threshold=threshold, match_from=FLOOR, keep="largest"))
    assert checked.decisions.decision.tolist() == plain.decisions.decision.tolist()
    assert checked.pairs.similarity.tolist() == plain.pairs.similarity.tolist()
    assert len(plain.pairs.left) == (0 if rounded_up else 1)
    assert checks_of(checked).candidates == (1 if rounded_up else 0)


def crowd(folder: Path, sizes: Sequence[int], similarity: float = BELOW, seed: int = 0) -> Store:
    """Families of images without files, each image about `similarity` to those of its family, and near pairs."""
    vectors = families(seed, sizes, 24, np.sqrt(1 / similarity - 1))
    vectors = np.concatenate([vectors, near(seed + 2, vectors[: len(vectors) // 3], 0.4)])
    return vector_store(folder / "crowd", vectors)


CLUSTERED = {"clusters": 8, "probes": 2, "clusterings": 2, "recall_sample": 60}


@pytest.mark.parametrize("options", [{}, CLUSTERED, CLUSTERED | {"target_recall": 0.8}])
def test_candidates_change_nothing_at_the_threshold(tmp_path: Path, options: dict[str, Any]) -> None:
    """The same recall, effort, and new pairs by clustering; the recall of the candidates stands beside it."""
    store = crowd(tmp_path, [12] * 8)
    plain = dedup(store, DedupOptions(match="none", **options))
    checked = dedup(store, DedupOptions(match_from=FLOOR, **options))
    assert checked.method == plain.method
    assert checked.recall == plain.recall
    assert checked.added == plain.added
    assert sum(checked.added) == int((checked.pairs.similarity >= np.float32(THRESHOLD)).sum())
    assert checks_of(checked).candidates > len(plain.pairs.left) / 2
    assert checked.candidate_recall is not None
    assert checked.candidate_recall.by_pair.total > checked.recall.by_pair.total


@pytest.mark.parametrize("options", [{}, CLUSTERED])
def test_candidates_that_nobody_asks_about_are_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    """With room for few pairs the same are compared, and the same counts stated; but no recall of what was let go."""
    store, looked_at = crowd(tmp_path, [30, 20, 10]), []
    ignored = tmp_path / "ignored.csv"
    ignored.write_text("left_id,right_id\nimage-00000,image-00001\nimage-00002,image-00005\n")

    def watched(
        ends: Ends, order: Schedule, skipped: NDArray[np.bool_], cut: float | None
    ) -> Generator[tuple[Int64, Checks], None, None]:
        looked_at.append(sorted(zip(ends.left.tolist(), ends.right.tolist(), strict=True)))
        return checked_in_order(ends, order, skipped, cut)

    monkeypatch.setattr(pixels, "checked_in_order", watched)
    monkeypatch.setattr(pixels, "CANDIDATES", 3)
    results = []
    for room in (candidates.PRUNE_AT, 40):
        monkeypatch.setattr(candidates, "PRUNE_AT", room)
        results.append(dedup(store, DedupOptions(match_from=FLOOR, **options), ruled_out=read_ruled_out(ignored)))
    roomy, tight = results
    assert looked_at[0] == looked_at[1]
    assert checks_of(roomy) == checks_of(tight)
    assert checks_of(tight).left_out > 0
    assert (tight.recall, tight.added, tight.ignored) == (roomy.recall, roomy.added, roomy.ignored)
    assert roomy.candidate_recall is not None
    assert tight.candidate_recall is None
    write_dedup(tight, store, tmp_path / "out")
    assert "too many to hold all" in (tmp_path / "out/report.html").read_text()


@given(graphs(ruled_out=True), st.integers(1, 3), st.integers(1, 4), st.randoms(use_true_random=False))
def test_what_is_held_of_any_pairs_is_what_would_be_chosen_of_all(
    graph: Graph, most: int, room: int, random: Random
) -> None:
    """Ties by the order of the images; ruled-out pairs stay and take no place; in parts, in any order."""
    edges = graph.edges + [(int(a), int(b)) for a, b in graph.apart]
    everything = pairs_of(edges, [random.choice([BELOW, 0.65, 0.7, 0.9]) for _ in edges]).in_order()
    rule = CandidateRule(FLOOR, most, graph.rank, graph.apart)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "PRUNE_AT", room)
        held = Collected(graph.size, THRESHOLD, rule)
        for part in np.array_split(random.sample(range(len(edges)), len(edges)), 3):
            piece = Collected(graph.size, THRESHOLD, rule)
            piece.add(everything.where(part.astype(np.int64)))
            held.merge(piece)
    found = held.in_order()
    assert held.near == int((everything.similarity >= np.float32(THRESHOLD)).sum())
    assert len(found.left) + held.left_out == len(edges)
    assert chosen_below(found, rule) == chosen_below(everything, rule)
    assert set(map(tuple, graph.apart.tolist())) <= set(zip(found.left.tolist(), found.right.tolist(), strict=True))


def chosen_below(pairs: Pairs, rule: CandidateRule) -> list[tuple[int, int, float]]:
    pairs = without(pairs, rule.apart)
    below = pairs.where(pairs.similarity < np.float32(THRESHOLD))
    return list(zip(*(column.tolist() for column in below.where(rule.chosen(below))), strict=True))


def test_a_floor_that_was_named_was_asked_for(tmp_path: Path) -> None:
    """Where no file is left nothing is said to have been seen, and the run is inconclusive."""
    store = vector_store(tmp_path / "two", line(2), uris=["gone.png", "lost.png"])
    result = dedup(store, CHECKED)
    assert "pixels of only 0 of 1 pairs" in result.inconclusive[0]
    headline = write_dedup(result, store, tmp_path / "out").content["results"]["headline"]
    assert "among 2 images; of 1 pairs from 0.5 on none could be compared on pixels." in headline
    assert "none seen" not in headline


def test_the_headline_says_none_seen_of_what_was_looked_at(tmp_path: Path) -> None:
    """Two pairs of strangers, the file of one of them gone; and with all there."""
    store = store_of(tmp_path, [(0, "same"), (1, "same"), (2, "same"), (3, "same")], apart(line(2), line(2)))
    report = write_dedup(dedup(store, CHECKED), store, tmp_path / "out").content
    assert ", and none seen on pixels from 0.5 on." in report["results"]["headline"]
    (tmp_path / "images/0-same.png").unlink()
    report = write_dedup(dedup(store, CHECKED), store, tmp_path / "out").content
    assert ", and none seen on pixels in 1 of 2 pairs from 0.5 on." in report["results"]["headline"]


def test_the_headline_does_not_contradict_itself(tmp_path: Path) -> None:
    """A copy was seen on pixels, and no other image is similar: the recall speaks of the threshold only."""
    store = store_of(tmp_path, [(0, "same"), (0, "crop")], line(2))
    headline = write_dedup(dedup(store, CHECKED), store, tmp_path / "out").content["results"]["headline"]
    assert headline.startswith("1 of 2 images")
    assert (
        "At the threshold of 0.8, none of 2 distinct images compared exactly with all others has another." in headline
    )
