"""What is held of images and of pairs: so much each, and nothing that could be read when it is needed."""

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from vectors import families, random_vectors, vector_store

from memaudit.dedup import candidates, groups, texts
from memaudit.dedup.candidates import Collected
from memaudit.dedup.cleanest import judge
from memaudit.dedup.described import InStore
from memaudit.dedup.groups import cover
from memaudit.dedup.linked import linked
from memaudit.dedup.options import DEFAULTS
from memaudit.dedup.setup import HELD, set_up
from memaudit.dedup.texts import Texts
from memaudit.errors import InconclusiveError
from memaudit.matching.compare import files_of
from memaudit.similarity import Pairs
from memaudit.store import Store
from memaudit.types import silent

PAIRS, ROWS = 400_000, 4000


def many_pairs() -> Pairs:
    rng = np.random.default_rng(0)
    keys = np.sort(rng.choice(ROWS * ROWS, 3 * PAIRS, replace=False))
    left, right = np.divmod(keys, ROWS)
    chosen = np.flatnonzero(left < right)[:PAIRS]
    return Pairs(left[chosen], right[chosen], rng.uniform(0.75, 1, PAIRS).astype(np.float32))


def test_pairs_are_put_in_order_within_twelve_bytes_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside those that are held: in parts, in any order, they come out sorted, each with its own similarity."""
    monkeypatch.setattr(candidates, "SORTED_AT_ONCE", PAIRS // 20)
    pairs, collected = many_pairs(), Collected(ROWS, 0.5, None)
    order = np.random.default_rng(1).permutation(PAIRS)
    for part in np.array_split(order, 50):
        collected.add(pairs.where(part))
    tracemalloc.start()
    found = collected.in_order()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(np.array_equal(one, other) for one, other in zip(found, pairs, strict=True))
    assert found.left.dtype == np.int32
    assert most < 12 * PAIRS + 0.4 * 12 * PAIRS


@pytest.mark.parametrize("what", ["cover", "linked"])
def test_graphs_take_few_bytes_a_pair(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_AT_ONCE", PAIRS // 20)
    monkeypatch.setattr("memaudit.dedup.linked.AT_ONCE", PAIRS // 20)
    pairs, rank = many_pairs(), np.random.default_rng(2).permutation(ROWS)
    tracemalloc.start()
    if what == "cover":
        cover(ROWS, pairs, rank)
    else:
        linked(ROWS, pairs.left, pairs.right)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10 * PAIRS + 200 * ROWS


def captioned(folder: Path) -> Store:
    captions = [f"Größe {row} — \n{'x' * (row % 7)}" if row % 3 else "" for row in range(60)]
    metadata = [json.dumps({"n": row}) if row % 2 else "" for row in range(60)]
    return vector_store(folder, random_vectors(0, 60), captions=captions, metadata=metadata)


def test_texts_are_those_of_the_store_in_any_order(tmp_path: Path) -> None:
    store = captioned(tmp_path / "s")
    columns, found = set_up(store, DEFAULTS, None, None).images.columns, Texts(store, tmp_path)
    rows = np.random.default_rng(0).permutation(60)[:40]
    own, all_of_them = found.at(columns, rows), store.columns(rows)
    for name in ("image_id", "caption", "metadata", "width", "status"):
        assert getattr(own, name).tolist() == getattr(all_of_them, name).tolist()
    assert found.absent == ""
    assert list(tmp_path.iterdir()) == [tmp_path / "s"]


def test_no_caption_is_held_and_none_can_be_taken_for_one(tmp_path: Path) -> None:
    """Columns that are not held have no entries, so that whoever asks for one is told, and not given an empty text."""
    columns = set_up(captioned(tmp_path / "s"), DEFAULTS, None, None).images.columns
    assert {name for name, column in columns._asdict().items() if len(column)} == set(HELD)
    with pytest.raises(IndexError):
        columns.at(np.arange(3))


@pytest.mark.parametrize("what", ["the cleanest", "pixels", "files of an audit"])
def test_whoever_reads_files_holds_no_caption_of_theirs(tmp_path: Path, what: str) -> None:
    """Of images of which each has a pair: where their files are, however much is written beside them."""
    size, words = 300, "x" * 20_000
    texts = [f"{row}{words}" for row in range(size)]
    uris = [str(tmp_path / f"{row}.png") for row in range(size)]
    store = vector_store(tmp_path / "s", random_vectors(0, size), captions=texts, metadata=texts, uris=uris)
    described, rows = InStore(store, store.all_columns().image_id), np.arange(size)
    one = np.arange(0, size, 2)
    tracemalloc.start()
    if what == "the cleanest":
        assert judge(described, Pairs(one, one + 1, np.ones(len(one), np.float32)), rows, silent).unread == size
    elif what == "pixels":
        assert described.at(rows).uri.tolist() == uris
    else:
        assert files_of(store, rows).uri.tolist() == uris
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 10_000 * size  # thumbnails take 4 kB each


def test_a_scratch_file_that_was_cut_is_no_caption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = captioned(tmp_path / "s")
    columns, found = set_up(store, DEFAULTS, None, None).images.columns, Texts(store, tmp_path)
    monkeypatch.setattr(texts.os, "pread", lambda *_: b"")
    with pytest.raises(InconclusiveError, match="cut while it was read"):
        found.at(columns, np.arange(60))


def test_a_clustered_run_loads_no_torch(tmp_path: Path) -> None:
    """Half a gigabyte, for a few seconds: without a card only a comparison of billions is worth it."""
    vector_store(tmp_path / "s", np.concatenate([families(0, [20] * 20, noise=0.1), random_vectors(1, 200)]))
    code = (
        "import sys, memaudit as ma; "
        f"ma.run_dedup({str(tmp_path / 's')!r}, {str(tmp_path / 'out')!r}, clusters=4, backend='signs'); "
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
