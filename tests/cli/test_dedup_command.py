"""memaudit dedup with another set, ruled-out pairs, keep rules and groups, as it is called."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from calls import Memaudit
from manifests import edit_manifest
from pictures import MakeFolder, MakeStore, altered, draw, write_pictures
from vectors import families, random_vectors, vector_store

from memaudit.dedup import target_recall
from memaudit.report.document import read_report
from memaudit.store import Store
from memaudit.types import Status


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    """Ten pictures, near-duplicates of the first three, and a copy of the fourth."""
    folder = picture_folder(10)
    for seed in range(3):
        altered(draw(seed)).save(folder / f"near-{seed}.png")
    shutil.copy(folder / "0003.png", folder / "copy-3.png")
    return make_store(folder)


@pytest.fixture
def other(tmp_path: Path, make_store: MakeStore) -> Store:
    """A test set: the second and the fourth picture, and three others."""
    folder = write_pictures(tmp_path / "test-set", [1, 3, 500, 501, 502])
    return make_store(folder, name="other")


def table(out: Path, name: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(out / name).to_pydict()
    return columns


def ruled_out(path: Path, *pairs: tuple[str, str]) -> Path:
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([("left_id", "right_id"), *pairs])
    return path


def nothing_written(out: Path) -> bool:
    names = {path.name for path in out.iterdir()} if out.exists() else set()
    return names <= {".lock", ".memaudit-run"}


def test_against_another_set(memaudit: Memaudit, store: Store, other: Store, tmp_path: Path) -> None:
    """What the test set has goes first, with its witness there; report, digest and pictures say so."""
    out = tmp_path / "out"
    called = memaudit("dedup", store.folder, "--out", out, "--against", other.folder)
    assert called.code == 0
    assert "4 of 14 images (28.6\N{NO-BREAK SPACE}%) are in the other set." in called.out
    report = read_report(out / "report.json").content
    assert report["inputs"] == {"store": store.digest, "against": other.digest}
    assert report["results"]["in_other_set"] == report["results"]["against"]["found"] == 4
    assert report["results"]["against"]["same_file"] == 3
    decisions = table(out, "decisions.parquet")
    columns = zip(decisions["image_id"], decisions["witness_id"], decisions["reason"], strict=True)
    gone = {image_id: witness for image_id, witness, reason in columns if reason == "in the other set"}
    assert gone == {"0001.png": "0001.png", "near-1.png": "0001.png", "0003.png": "0003.png", "copy-3.png": "0003.png"}
    assert set(gone) <= set((out / "drop.txt").read_text().split())
    page = (out / "report.html").read_text()
    assert "In the other set" in page
    assert "thumbnails/other-1.jpg" in page
    assert (out / "thumbnails" / "other-1.jpg").is_file()


def test_ignored_pairs_do_not_come_back(memaudit: Memaudit, store: Store, tmp_path: Path) -> None:
    """Trap "false positives that a person dismissed came back on the next run" (czkawka #832)."""
    pairs = [("near-0.png", "0000.png"), ("0003.png", "copy-3.png")]
    path, out = ruled_out(tmp_path / "ignored.csv", *pairs), tmp_path / "out"
    assert memaudit("dedup", store.folder, "--out", out).code == 0
    assert {"near-0.png", "copy-3.png"} <= set((out / "drop.txt").read_text().split())
    assert memaudit("dedup", store.folder, "--out", out, "--ignore", path).code == 0
    assert not {"near-0.png", "copy-3.png", "0000.png", "0003.png"} & set((out / "drop.txt").read_text().split())
    found = table(out, "pairs.parquet")
    named = {frozenset(pair) for pair in zip(found["left_id"], found["right_id"], strict=True)}
    assert not named & {frozenset(pair) for pair in pairs}
    report = read_report(out / "report.json").content
    assert report["results"]["ignored"] == {"pairs": 2, "found": 2}
    assert set(report["inputs"]) == {"store", "ignored"}
    assert "2 were given" in (out / "report.html").read_text()


def test_components_print_their_weakest_links(memaudit: Memaudit, tmp_path: Path) -> None:
    """A chain of three: one is kept, and the far end's own similarity is printed though it is below the threshold."""
    angles = np.radians([0, 30, 55])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    chain = vector_store(tmp_path / "s", vectors, sizes=[(9, 9), (5, 5), (5, 5)])
    for groups, dropped in (("cover", 1), ("components", 2)):
        out = tmp_path / groups
        called = memaudit("dedup", chain.folder, "--out", out, "--groups", groups, "--json")
        assert called.json["results"]["dropped"] == dropped
        assert called.json["results"]["without_witness"] == dropped - 1
    groups = table(tmp_path / "components", "groups.parquet")
    cosines = [1, np.cos(angles[1]), np.cos(angles[2])]
    assert groups["similarity"] == pytest.approx(cosines, abs=1e-3)
    assert groups["chain_similarity"] == pytest.approx([1, cosines[1], cosines[1]], abs=1e-3)
    assert groups["group_smallest_similarity"] == pytest.approx([cosines[2]] * 3, abs=1e-3)
    assert groups["group_chain_similarity"] == pytest.approx([cosines[1]] * 3, abs=1e-3)
    assert table(tmp_path / "components", "decisions.parquet")["reason"][2] == "near-duplicate by a chain"
    page = (tmp_path / "components" / "report.html").read_text()
    assert "weakest link" in page
    assert "1 of them are less similar" in page


def test_the_best_by_a_column_of_the_manifest(memaudit: Memaudit, tmp_path: Path) -> None:
    """A score in a CSV manifest decides who stays."""
    folder = write_pictures(tmp_path / "images", range(4))
    altered(draw(2)).save(folder / "small.png")
    names = sorted(path.name for path in folder.iterdir())
    rows = [("path", "score"), *((name, "9.5" if name == "small.png" else "") for name in names)]
    with (folder / "manifest.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    arguments = (folder / "manifest.csv", "--encoder", "thumbnail", "--out", tmp_path / "s")
    assert memaudit("embed", *arguments).code == 0
    assert memaudit("dedup", tmp_path / "s", "--out", tmp_path / "out", "--keep", "best:score").code == 0
    assert (tmp_path / "out" / "drop.txt").read_text() == "0002.png\n"
    called = memaudit("dedup", tmp_path / "s", "--out", tmp_path / "o", "--keep", "best:beauty")
    called.failed(2, "no such column; the store has width, height, simplicity, score")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "1.01"], "threshold 1.01 is out of range"),
        (["--threshold", "-0.5"], "threshold -0.5 is out of range"),
        (["--clusters", "99"], "--clusters 99 is out of range: there are 13 distinct images"),
        (["--method", "magic"], "unknown --method 'magic': expected one of auto, openai-2022"),
        (["--method", "openai-2022", "--probes", "3"], "leave out --probes"),
        (["--method", "openai-2022", "--exhaustive"], "leave out --exhaustive"),
        (["--method", "openai-2022", "--target-recall", "0.9"], "leave out --target-recall"),
        (["--exhaustive", "--clusters", "3"], "--exhaustive has no clusters"),
        (["--backend", "cuda"], "no CUDA device"),
        (["--backend", "abacus"], "unknown backend 'abacus': expected one of auto, product, half, signs, cuda"),
        (["--target-recall", "1"], "target recall 1 is out of range"),
        (["--keep", "best:"], "unknown keep rule 'best:'"),
        (["--keep", "best:nothing"], "no such column; the store has width"),
        (["--groups", "chains"], "unknown --groups 'chains': expected one of cover, components"),
        (["--ignore", "nowhere.csv"], "ignored pairs nowhere.csv cannot be read"),
        (["--against", "nowhere"], "nowhere is no embedding store"),
    ],
)
def test_wrong_options_write_nothing(
    memaudit: Memaudit, store: Store, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One line, exit 2, and no file that looks like a result."""
    memaudit("dedup", store.folder, "--out", tmp_path / "out", *arguments).failed(2, words)
    assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a,b", "x,y"], "no column 'left_id'"),
        (["left_id,right_id"], "a header and no line"),
        (["left_id,right_id", "0000.png,0000.png"], "paired with itself"),
        (["left_id,right_id", "0000.png,9999.png"], "the store has no image_id '9999.png'"),
        (["PAR1\x00\udcff\udcfe"], "are no CSV in UTF-8"),
    ],
)
def test_a_bad_ignore_file_writes_nothing(
    memaudit: Memaudit, store: Store, tmp_path: Path, lines: list[str], words: str
) -> None:
    """A ruling on the wrong ids would be no ruling: it is refused before anything is compared."""
    (tmp_path / "i.csv").write_text("\n".join(lines) + "\n", errors="surrogateescape")
    memaudit("dedup", store.folder, "--out", tmp_path / "out", "--ignore", tmp_path / "i.csv").failed(2, words)
    assert nothing_written(tmp_path / "out")


def test_against_the_store_itself(memaudit: Memaudit, store: Store, tmp_path: Path) -> None:
    """A slip of the pen that would drop everything."""
    called = memaudit("dedup", store.folder, "--out", tmp_path / "out", "--against", store.folder)
    called.failed(2, "is the same store")


@pytest.mark.parametrize("fault", ["encoder", "unfinished", "missing shard", "unreadable"])
def test_against_what_cannot_be_measured_is_inconclusive(memaudit: Memaudit, tmp_path: Path, fault: str) -> None:
    """Exit 3, and a report that says so; drop.txt only where decisions were made at all."""
    store = vector_store(tmp_path / "s", random_vectors(0, 6))
    statuses = [Status.UNREADABLE if fault == "unreadable" and i < 2 else Status.OK for i in range(6)]
    other = vector_store(
        tmp_path / "o", random_vectors(1, 6), weights="f" * 64 if fault == "encoder" else "", statuses=statuses
    )
    if fault == "unfinished":
        edit_manifest(other.folder, lambda manifest: manifest.update(complete=False))
    if fault == "missing shard":
        (other.folder / "shard-00000.h5").unlink()
    out = tmp_path / "out"
    called = memaudit("dedup", store.folder, "--out", out, "--against", other.folder)
    assert called.code == 3
    report = read_report(out / "report.json").content
    assert report["results"]["conclusive"] is False
    if fault == "unreadable":
        assert report["results"]["reasons"] == ["the other set: only 4 of 6 images could be read"]
    else:
        called.failed(3, "inconclusive")
        assert not (out / "drop.txt").exists()


def test_a_row_of_nan_is_one_line(memaudit: Memaudit, tmp_path: Path) -> None:
    """In this store or in the other one: nothing is written, nothing is called clean."""
    vectors = random_vectors(0, 20)
    vectors[3, 3] = np.nan
    bad, good = vector_store(tmp_path / "bad", vectors), vector_store(tmp_path / "good", random_vectors(1, 20))
    for store, other in ((bad, good), (good, bad)):
        out = tmp_path / f"out-{store.folder.name}"
        memaudit("dedup", store.folder, "--out", out, "--against", other.folder).failed(2, "bad", "NaN")
        assert nothing_written(out)


KILLED = """
import os, signal, sys
from memaudit.cli import app
from memaudit.report import dedup
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "comparing":
    from memaudit.dedup import search
    search.Matrix = kill
else:
    dedup.write_report_page = kill
app.run(sys.argv[2:])
"""


@pytest.mark.parametrize("moment", ["comparing", "writing"])
def test_a_killed_run_is_repeated_by_the_same_command(memaudit: Memaudit, tmp_path: Path, moment: str) -> None:
    """kill -9 leaves no report; the same command gives what an undisturbed run gives, and its scratch is gone."""
    store = vector_store(tmp_path / "s", families(0, [1] * 30 + [3] * 10))
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = ["dedup", str(store.folder), "--out", str(out), "--clusters", "4"]
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, *command], check=False, env=dict(os.environ))
    assert killed.returncode == -signal.SIGKILL
    assert not (out / "report.json").exists()
    (out / ".groups.parquet.4242.tmp").write_bytes(b"half")
    (out / ".dedup-of_0_2").mkdir()
    (out / ".dedup-of_0_2" / "lock").write_bytes(b"")
    assert memaudit(*command).code == 0
    assert memaudit("dedup", store.folder, "--out", whole, "--clusters", "4").code == 0
    tables = [f"{name}.parquet" for name in ("pairs", "groups", "decisions", "skew")]
    for name in ("keep.txt", "drop.txt", *tables):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    results = [read_report(folder / "report.json").content["results"] for folder in (out, whole)]
    assert results[0] == results[1]
    left = {path.name for path in out.iterdir()} - {path.name for path in whole.iterdir()}
    assert left <= {"previous-runs"}


# --- how pairs are found --------------------------------------------------------------------------------------------


@pytest.fixture
def clumps(tmp_path: Path) -> Store:
    """Families that three narrow clusters tear apart."""
    return vector_store(tmp_path / "clumps", families(4, [1] * 300 + [2] * 100 + [4] * 25))


def run(memaudit: Memaudit, store: Store, out: Path, *arguments: str) -> dict[str, Any]:
    results: dict[str, Any] = memaudit("dedup", store.folder, "--out", out, "--json", *arguments).json["results"]
    return results


@pytest.mark.parametrize("backend", ["product", pytest.param("half", marks=pytest.mark.torch), "signs"])
def test_backends_find_the_same_pairs_and_are_named(
    memaudit: Memaudit, clumps: Store, tmp_path: Path, backend: str
) -> None:
    """The report says what nominated the pairs, how many were compared and how full the clusters were."""
    exhaustive = run(memaudit, clumps, tmp_path / "all", "--exhaustive")
    found = run(memaudit, clumps, tmp_path / "some", "--clusters", "4", "--probes", "4", "--backend", backend)
    assert found["pairs"] == exhaustive["pairs"]
    assert {"product": "float32", "half": "bfloat16", "signs": "sign codes"}[backend] in found["comparison"]["backend"]
    (cells,) = found["comparison"]["clusterings"]
    assert cells["clusters"] == 4
    assert cells["rows"] == 600
    assert 0.25 <= cells["share"] <= 1


def test_the_published_method_by_name(memaudit: Memaudit, clumps: Store, tmp_path: Path) -> None:
    """Five clusterings, each image within its own cluster, and what each clustering added."""
    results = run(memaudit, clumps, tmp_path / "out", "--method", "openai-2022")
    assert results["method"].startswith("openai-2022: union of 5 clusterings of 9 clusters")
    assert "too many for 600 images" in results["method"]
    assert len(results["pairs_added_by_clustering"]) == 5
    assert sum(results["pairs_added_by_clustering"]) == results["pairs"]
    printed = memaudit("dedup", clumps.folder, "--out", tmp_path / "out", "--method", "openai-2022").out
    assert f"New pairs by clustering: {results['pairs_added_by_clustering'][0]}, " in printed


@pytest.mark.parametrize("arguments", [(), ("--exhaustive",)])
def test_sign_codes_do_not_serve_an_exhaustive_run(
    memaudit: Memaudit, clumps: Store, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """It says that it found everything, and sign codes may lose a pair: products take their place, and that is said."""
    results = run(memaudit, clumps, tmp_path / "out", "--backend", "signs", *arguments)
    assert results["comparison"]["backend"] == "products in float32"
    assert "sign codes could miss a pair" in results["comparison"]["note"]


def test_clusters_for_fewer_images_than_there_were(memaudit: Memaudit, tmp_path: Path) -> None:
    """What another set takes away does not make possible options impossible."""
    vectors = random_vectors(5, 60)
    store, other = vector_store(tmp_path / "s", vectors), vector_store(tmp_path / "o", vectors[:55], prefix="other")
    called = memaudit("dedup", store.folder, "--out", tmp_path / "out", "--clusters", "20", "--against", other.folder)
    assert called.code == 0


def test_a_target_is_reached_or_inconclusive(
    memaudit: Memaudit, clumps: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More probes prove what one could not; what no search could prove ends with exit code 3 and says why."""
    narrow = ("--clusters", "16", "--probes", "1", "--recall-sample", "300")
    assert run(memaudit, clumps, tmp_path / "plain", *narrow)["recall"]["by_pair"]["low"] < 0.95
    reached = run(memaudit, clumps, tmp_path / "reached", *narrow, "--target-recall", "0.95")
    assert reached["recall"]["by_pair"]["low"] >= 0.95
    assert "16 clusters, each image compared with its 1 nearest" not in reached["method"]
    monkeypatch.setattr(target_recall, "MOST_SAMPLED", 300)
    arguments = ("dedup", clumps.folder, "--out", tmp_path / "failed", *narrow, "--target-recall", "0.999")
    assert memaudit(*arguments).code == 3
    report = read_report(tmp_path / "failed" / "report.json").content
    assert not report["results"]["conclusive"]
    assert "recall of" in report["results"]["reasons"][0]
    assert (tmp_path / "failed" / "decisions.parquet").exists()
