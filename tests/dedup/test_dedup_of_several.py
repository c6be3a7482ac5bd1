"""Several stores as one: the decisions of the store that they make together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_dedup_joining import decided
from vectors import families, vector_store

import memaudit as ma
from memaudit.cli.app import run
from memaudit.errors import InputError, UsageError
from memaudit.store import Store


@pytest.fixture
def stores(tmp_path: Path) -> list[Store]:
    vectors = families(0, [4] * 6)[np.random.default_rng(0).permutation(24)]
    parts = np.split(vectors, 3)
    return [vector_store(tmp_path / f"s{i}", part, prefix=f"p{i}", shard_rows=5) for i, part in enumerate(parts)]


def test_they_are_one(stores: list[Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without copying; called again, the same; and their store is there for what follows."""
    ma.run_dedup(ma.merge_stores(stores, tmp_path / "whole"), tmp_path / "alone")
    for _ in range(2):
        given = [str(store.folder) for store in stores]
        assert run(["dedup", *given, "--out", str(tmp_path / "spread")]) == 0
        assert decided(tmp_path / "spread") == decided(tmp_path / "alone")
    joined = tmp_path / "spread-store"
    assert ma.open_store(joined).digest == ma.open_store(tmp_path / "whole").digest
    assert all(path.stat().st_nlink > 1 for path in joined.glob("shard-*"))
    assert len(ma.run_dedup([stores[0]], tmp_path / "one").keep) > 0


def test_a_plan_counts_all(stores: list[Store], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [str(store.folder) for store in stores]
    assert run(["dedup", *given, "--out", str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    assert '"rows": 24' in capsys.readouterr().out


def test_what_cannot_be_one(stores: list[Store], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name the folder"):
        ma.run_dedup(stores)
    again = vector_store(tmp_path / "again", families(1, [2]), prefix="p0")
    with pytest.raises(InputError, match="is in two of the stores"):
        ma.run_dedup([stores[0], again], tmp_path / "out")
