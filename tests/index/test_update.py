"""Appended shards: an index that grew is one that was built anew."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from manifests import edit_manifest
from vectors import Vectors, families, near, vector_store

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.index import Index, build_index, read_manifest, recipes, update_index, verify_index
from memaudit.index.recipes import Machine
from memaudit.store import Store
from memaudit.types import Status

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
VECTORS = families(1, [1 + n % 4 for n in range(1200)], 64)[:3000]


def grown(folder: Path, rows: int, vectors: Vectors = VECTORS) -> Store:
    """A store of the first rows; called again with more, it has got further shards."""
    for path in folder.glob("*"):
        path.unlink()
    return vector_store(folder, vectors[:rows], shard_rows=500)


@pytest.mark.parametrize("recipe", ["flat", "ivf", "hnsw", "IVF10,PQ16x4"])
def test_update_equals_rebuild(tmp_path: Path, recipe: str) -> None:
    """Exact recipes give the same ids; trained ones the same recall; every new image is found by itself."""
    build_index(grown(tmp_path / "store", 2000), tmp_path / "index", recipe)
    store = grown(tmp_path / "store", 3000)
    with pytest.raises(InconclusiveError, match=r"has grown by 1,000 images since .*: memaudit index .* --update adds"):
        Index.open(tmp_path / "index")
    updated = update_index(store, tmp_path / "index")
    rebuilt = build_index(store, tmp_path / "rebuilt", recipe)
    queries = near(5, VECTORS[::15], 0.2)
    left, right = updated.search(queries, 3, 0.8), rebuilt.search(queries, 3, 0.8)
    share = 1 if recipe == "flat" else 0.97
    assert (left.rows[:, 0] == right.rows[:, 0]).mean() >= share
    assert (left.above == right.above).mean() >= share
    new = np.arange(2000, 3000)
    assert (updated.search(VECTORS[new], 1, 0.99).rows[:, 0] == new).mean() >= 0.999
    assert updated.manifest["rows"] == 3000
    assert updated.manifest["index_recall"]["near"]["at_1"] >= 0.99
    assert verify_index(tmp_path / "index") == []
    assert [path.name for path in (tmp_path / "index").glob("vectors*")] == ["vectors-00001.faiss"]


def test_an_index_in_parts_gets_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is there is written again, and the answers are those of an index that was built anew."""
    monkeypatch.setattr(recipes, "LEAST_PART", 700)
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: Machine(2000, 0)))
    before = build_index(grown(tmp_path / "store", 2000), tmp_path / "index", "IVF20,Flat").manifest["files"]
    store = grown(tmp_path / "store", 3000)
    updated = update_index(store, tmp_path / "index")
    assert updated.manifest["files"][: len(before)] == before
    assert len(updated.manifest["files"]) > len(before)
    new = np.arange(3000)
    assert (updated.search(VECTORS, 1, 0.99).rows[:, 0] == new).mean() >= 0.999


def test_parts_of_an_earlier_update_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that was short once, and is free at the next update: every row is in the index, and found."""
    build_index(grown(tmp_path / "store", 2000), tmp_path / "index", "IVF20,Flat")
    with monkeypatch.context() as short:
        short.setattr(Machine, "here", classmethod(lambda cls: Machine(2000, 0)))
        update_index(grown(tmp_path / "store", 2500), tmp_path / "index")
    updated = update_index(grown(tmp_path / "store", 3000), tmp_path / "index")
    assert verify_index(tmp_path / "index") == []
    assert (updated.search(VECTORS, 1, 0.99).rows[:, 0] == np.arange(3000)).mean() >= 0.999


def test_an_index_that_lacks_rows_does_not_open(tmp_path: Path) -> None:
    """As an earlier version left one: what is not in it would be called clean."""
    build_index(grown(tmp_path / "store", 1498), tmp_path / "index")
    before = read_manifest(tmp_path / "index")["files"]
    build_index(grown(tmp_path / "store", 1500), tmp_path / "other")
    (tmp_path / "index" / before[0]["name"]).rename(tmp_path / "other" / "vectors-00000.faiss")
    edit_manifest(tmp_path / "other", lambda manifest: manifest.update(files=before), "index.json")
    with pytest.raises(InconclusiveError, match=r"holds 1,498 rows, index.json says 1,500, .*: build it again"):
        Index.open(tmp_path / "other")
    with pytest.raises(InconclusiveError, match="would hold 1,998 of 2,000 rows: not saved"):
        update_index(grown(tmp_path / "store", 2000), tmp_path / "other")


def test_shards_with_nothing_to_compare_renew_the_index(tmp_path: Path) -> None:
    """Broken files that came: the index stays as it is, and is of the store again."""
    built = build_index(grown(tmp_path / "store", 1000), tmp_path / "index", "ivf")
    statuses = [Status.OK] * 1000 + [Status.UNREADABLE] * 3
    for path in (tmp_path / "store").glob("*"):
        path.unlink()
    store = vector_store(tmp_path / "store", VECTORS[:1003], shard_rows=500, statuses=statuses)
    with pytest.raises(InconclusiveError, match=r"has grown by 3 images since .*: memaudit index .* --update adds"):
        Index.open(tmp_path / "index")
    updated = update_index(store, tmp_path / "index")
    assert updated.manifest["files"] == built.manifest["files"]
    assert verify_index(tmp_path / "index") == []


def test_nothing_new(tmp_path: Path) -> None:
    """An update without new images leaves the index as it is."""
    store = grown(tmp_path / "store", 1000)
    built = build_index(store, tmp_path / "index")
    assert update_index(store, tmp_path / "index").manifest == built.manifest


def test_a_store_that_changed_is_not_added_to(tmp_path: Path) -> None:
    """Only a store that still begins with the same shards has grown."""
    build_index(grown(tmp_path / "store", 1000), tmp_path / "index")
    changed = VECTORS.copy()
    changed[3] = VECTORS[77]
    with pytest.raises(InconclusiveError, match=r"another state of store .*: build it again, without --update"):
        update_index(grown(tmp_path / "store", 2000, changed), tmp_path / "index")
    with pytest.raises(InconclusiveError, match=r"another state of store .*: build it again"):
        Index.open(tmp_path / "index")


def test_a_damaged_index_is_not_added_to(tmp_path: Path) -> None:
    """Damage would be carried over, with a fresh digest."""
    store = grown(tmp_path / "store", 1000)
    build_index(store, tmp_path / "index")
    path = tmp_path / "index" / "vectors-00000.faiss"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InconclusiveError, match="missing or cut"):
        update_index(grown(tmp_path / "store", 2000), tmp_path / "index")


def test_what_cannot_be_updated(tmp_path: Path) -> None:
    """No index, or one whose graph is finished."""
    store = grown(tmp_path / "store", 1000)
    with pytest.raises(InputError, match="is no index"):
        update_index(store, tmp_path / "index")
    build_index(store, tmp_path / "index")
    edit_manifest(tmp_path / "index", lambda manifest: manifest.update(recipe="cagra"), "index.json")
    with pytest.raises(UsageError, match="cagra cannot be added to: build it again"):
        update_index(store, tmp_path / "index")


def test_a_kill_leaves_the_earlier_index(tmp_path: Path) -> None:
    """Killed while it writes, an update has changed nothing; the same command again succeeds and tidies up."""
    build_index(grown(tmp_path / "store", 1000), tmp_path / "index")
    before = read_manifest(tmp_path / "index")
    store = grown(tmp_path / "store", 3000)
    code = (
        "import sys, time; from memaudit.index import update, update_index; from memaudit.store import Store\n"
        "def late(*_): print('here', flush=True); time.sleep(60)\n"
        "update.save = late\n"
        "update_index(Store.open(sys.argv[1]), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(store.folder), str(tmp_path / "index")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGKILL)
    assert read_manifest(tmp_path / "index") == before
    assert verify_index(tmp_path / "index")[0] == "vectors-00001.faiss is not listed in index.json"
    started = time.perf_counter()
    assert update_index(store, tmp_path / "index").manifest["rows"] == 3000
    assert time.perf_counter() - started < 60
    assert verify_index(tmp_path / "index") == []
    assert len(list((tmp_path / "index").glob("vectors*"))) == 1
