"""Recipes: each against exact search; which one fits; what is malformed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vectors import families, near, random_vectors, vector_store

from memaudit.errors import InconclusiveError, UsageError
from memaudit.index import ExactSearch, Index, build_index, recipes, verify_index
from memaudit.index.recipes import Machine, read_recipe, settle
from memaudit.store import Store

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
BIG = Machine(64 << 30, 0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """3,000 rows: 600 families of one to four, of similarity 0.92; threshold 0.8."""
    vectors = families(1, [1 + n % 4 for n in range(1200)], 64)[:3000]
    return vector_store(tmp_path_factory.mktemp("recipes") / "store", vectors, shard_rows=500)


@pytest.mark.parametrize(
    "recipe",
    [
        "flat",
        "ivf",
        pytest.param("ivfpq", marks=pytest.mark.slow),
        "hnsw",
        "auto",
        "IVF20,Flat",
        "RR64,IVF10,PQ16x4",
        pytest.param("OPQ16,IVF10,PQ16x4", marks=pytest.mark.slow),
    ],
)
def test_every_recipe_against_exact_search(store: Store, recipe: str, tmp_path: Path) -> None:
    """Near-duplicates are found as by exhaustive products, with the same ids, similarities and counts."""
    index = build_index(store, tmp_path / "index", recipe)
    queries = near(5, store.embeddings(np.arange(0, 3000, 15)), 0.2)
    expected, found = (s.search(queries, 2, 0.8) for s in (ExactSearch(store), index))
    there = expected.above > 0
    assert there.sum() > 150
    same = (found.rows[:, 0] == expected.rows[:, 0])[there]
    assert same.mean() >= (1 if recipe in ("flat", "auto") else 0.97)
    agree = there & (found.rows[:, 0] == expected.rows[:, 0])
    assert (found.similarity[agree, 0] == expected.similarity[agree, 0]).all()
    assert (found.above[there] == expected.above[there]).mean() >= 0.95
    assert index.manifest["index_recall"]["near"]["at_1"] >= 0.99
    assert verify_index(tmp_path / "index") == []


def test_a_tuned_parameter_is_stated_and_used(store: Store, tmp_path: Path) -> None:
    """The least nprobe that reaches the floor is in the manifest, and the opened index searches with it."""
    index = build_index(store, tmp_path / "index", "ivf")
    search = index.manifest["search"]
    assert search["parameter"] == "nprobe"
    assert 1 <= search["value"] < 77
    assert Index.open(tmp_path / "index")._candidates.engine.value == search["value"]


def test_rows_are_held_out_of_a_large_store(tmp_path: Path) -> None:
    """From 20,000 rows on recall is measured on rows that were not yet in the index; in the end all are."""
    store = vector_store(tmp_path / "store", random_vectors(0, 20_000, 16), shard_rows=20_000)
    index = build_index(store, tmp_path / "index", "IVF64,Flat")
    recall = index.manifest["index_recall"]
    assert (recall["rows"], recall["held_out"]) == (1000, 1000)
    rows = np.arange(0, 20_000, 7)
    assert (index.search(store.embeddings(rows), 1, 0.99).rows[:, 0] == rows).mean() > 0.99


def test_lists_that_stay_on_the_disk(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that is built and searched in parts gives the answers of one that is built in memory."""
    monkeypatch.setattr(recipes, "LEAST_PART", 700)
    whole = build_index(store, tmp_path / "whole", "IVF20,Flat")
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: Machine(2000, 0)))
    parts = build_index(store, tmp_path / "parts", "IVF20,Flat")
    assert len(parts.manifest["files"]) == 3
    assert parts.manifest["on_disk"]
    queries = near(5, store.embeddings(np.arange(0, 3000, 15)), 0.2)
    for left, right in zip(whole.search(queries, 3, 0.8), parts.search(queries, 3, 0.8), strict=True):
        np.testing.assert_array_equal(left, right)
    assert verify_index(tmp_path / "parts") == []


def test_more_than_the_memory(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be put on the disk is refused before anything is written."""
    monkeypatch.setattr(Machine, "here", classmethod(lambda cls: Machine(2000, 0)))
    with pytest.raises(UsageError, match=r"recipe flat needs about .* GB may be used: choose --recipe auto"):
        build_index(store, tmp_path / "index", "flat")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize(
    ("rows", "memory", "expected", "on_disk"),
    [
        (100_000, 16e9, "flat", False),
        (1_000_000, 16e9, "ivf", False),
        (10_000_000, 16e9, "ivfpq", False),
        (1_000_000, 1e9, "ivfpq", False),
        (5_000_000_000, 1e12, "ivfpq", False),
        (5_000_000_000, 64e9, "ivfpq", True),
    ],
)
def test_auto_fits_rows_and_memory(rows: int, memory: float, expected: str, on_disk: bool) -> None:
    """Exact while that is quick, float16 lists while they fit, codes beyond; the reason says rows and memory."""
    plan = settle("auto", rows, 512, Machine(int(memory), 0))
    assert (plan.recipe.name, plan.on_disk) == (expected, on_disk)
    assert plan.reason.startswith(f"auto: {expected}, ")
    assert f"{rows:,} images x 512" in plan.reason
    assert "\n" not in plan.reason


def test_lists_grow_with_the_root_of_the_rows() -> None:
    """nlist is filled into the factory string; very many lists are found by a graph; codes divide the dimension."""
    assert settle("ivf", 1_000_000, 512, BIG).factory == "IVF2000,SQfp16"
    assert settle("ivf", 50, 512, BIG).factory == "IVF1,SQfp16"
    assert settle("ivfpq", 400_000_000, 432, BIG).factory == "IVF40000_HNSW32,PQ54"


def test_cagra_needs_a_gpu(store: Store, tmp_path: Path) -> None:
    """One line that says what is missing and what to use instead."""
    with pytest.raises(UsageError, match=r"needs an NVIDIA GPU and cuVS .*: choose ivf or hnsw") as caught:
        settle("cagra", 1000, 64, BIG)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ivf9", "Nonsense,Flat", "IVF10,Nonsense", ""])
def test_neither_recipe_nor_factory_string(store: Store, tmp_path: Path, name: str) -> None:
    """The recipes are listed, and what FAISS said."""
    with pytest.raises(
        UsageError, match=r"unknown recipe .*: expected one of auto, cagra, flat, hnsw, ivf, ivfpq, a file"
    ):
        build_index(store, tmp_path / "index", name)


@pytest.mark.parametrize("factory", ["IDMap,Flat", "IDMap2,Flat", "IVF4,Flat,RFlat", "IVF4,PQ4x4,Refine(SQ8)", "NSG16"])
def test_a_factory_that_cannot_be_filled(tmp_path: Path, factory: str) -> None:
    """FAISS makes it, but takes no ids of ours, or so few rows: one line, and no index."""
    store = vector_store(tmp_path / "s", random_vectors(0, 90, 16))
    with pytest.raises(UsageError, match="FAISS cannot fill"):
        build_index(store, tmp_path / "i", factory)
    assert not (tmp_path / "i" / "index.json").exists()


def test_too_few_rows_to_train(tmp_path: Path) -> None:
    """Product codes need 256 rows: one line, not FAISS's."""
    store = vector_store(tmp_path / "store", random_vectors(0, 100, 64))
    with pytest.raises(UsageError, match=r"recipe ivfpq cannot be trained on 100 rows .*: choose --recipe flat"):
        build_index(store, tmp_path / "index", "ivfpq")


@pytest.mark.parametrize(
    "text",
    [
        'about = "x"',
        'factory = 5\nabout = "x"',
        'factory = "Flat"\nabout = "x"\nnprobe = 5',
        'factory = "Flat"\nabout = "x"\nsearch = "k"',
        'factory = "Flat"\nabout = "x"\nexact = 1',
        "factory = ",
    ],
)
def test_a_malformed_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The message names the file and what is wrong in it."""
    (tmp_path / "mine.toml").write_text(text)
    monkeypatch.setattr(recipes, "_FOLDER", tmp_path)
    with pytest.raises(UsageError, match=r"mine\.toml is malformed: "):
        read_recipe("mine")


def test_a_floor_that_is_not_reached(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of too coarse codes is refused, exit code 3, and an earlier one stays."""
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "coarse.toml").write_text('factory = "PQ1x2"\nabout = "x"\nfloor = 0.9')
    monkeypatch.setattr(recipes, "_FOLDER", tmp_path / "r")
    build_index(store, tmp_path / "index", "Flat")
    with pytest.raises(InconclusiveError, match=r"below the floor 0\.9 of recipe coarse: not saved") as caught:
        build_index(store, tmp_path / "index", "coarse")
    assert caught.value.exit_code == 3
    assert Index.open(tmp_path / "index").manifest["recipe"] == "Flat"
    assert verify_index(tmp_path / "index") == []
