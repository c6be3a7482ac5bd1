"""benchmarks/index.py: what it compares is the same search, and what cannot run here says so."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")

from benchmarks import index
from benchmarks.synthetic import make_store
from memaudit.index import import_faiss


def test_both_find_the_same(tmp_path: Path) -> None:
    """Our exact search and IndexFlatIP name the same nearest rows; ratios are there for k = 1 and 10."""
    store = make_store(tmp_path / "store", 3000)
    figures = {figure.measure: figure for figure in index.exact_search(store, 1)}
    assert figures["same nearest row k=1"].median == figures["same nearest row k=10"].median == 1
    ratio = figures["IndexFlatIP ÷ exact search k=1"].median
    assert ratio == figures["IndexFlatIP k=1 s"].median / figures["exact search k=1 s"].median


def test_a_recipe_that_cannot_be_built_is_a_line_in_the_table(tmp_path: Path) -> None:
    """Nothing is left out in silence: neither a recipe nor the GPU."""
    store = make_store(tmp_path / "store", 300)
    (figure,) = index.of_recipe(store, tmp_path, "nosuch")
    assert figure.median is None
    assert "unknown recipe 'nosuch'" in figure.note
    if import_faiss().get_num_gpus() == 0:
        assert "no GPU here" in next(index.on_gpu()).note
