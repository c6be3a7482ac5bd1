"""A whole dedup run on a Ray cluster of this machine."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_dedup_joining import decided
from vectors import families, vector_store

import memaudit as ma
from memaudit.cli.app import run
from memaudit.tasks import ray_cluster

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason='needs Ray: pip install ".[ray]"')


@pytest.mark.slow
@needs_ray
def test_a_cluster_of_two_processors_decides_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, that is started and ended by the run; clusters, joins and recall are its tasks."""
    import ray

    monkeypatch.delenv(ray_cluster.ADDRESS, raising=False)
    store = vector_store(tmp_path / "store", families(0, [12] * 12, dim=64, noise=0.45))
    ma.run_dedup(store, tmp_path / "alone", clusters=4, recall_sample=20)
    ma.run_dedup(store, tmp_path / "spread", clusters=4, recall_sample=20, executor="ray:2")
    assert decided(tmp_path / "spread") == decided(tmp_path / "alone")
    assert not ray.is_initialized()
    assert not (tmp_path / "spread-tasks").exists()


def test_without_ray_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    store = vector_store(tmp_path / "store", families(0, [2] * 3))
    assert run(["dedup", str(store.folder), "--out", str(tmp_path / "out"), "--executor", "ray:2"]) == 2
    assert "--executor ray needs Ray" in capsys.readouterr().err
