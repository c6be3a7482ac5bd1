"""The benchmark of costs: each stage has its time, and the fit finds the coefficients that runs were made by."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name

import pytest
from vectors import families, vector_store

from benchmarks import costs
from benchmarks.costs import STAGES, WITHIN, Ran, measured, write_fit
from memaudit.costs.model import PATH, read_costs

OF_FILES = "looking for the cleanest"  # which a synthetic store has not


def test_each_stage_of_a_run_has_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions are still called as they are noted here, and the plan knows every stage."""
    store = vector_store(tmp_path / "s", families(0, [3] * 20, noise=0.1))
    noted = costs._noted
    with monkeypatch.context() as patch:
        for place, name, _ in (*STAGES, *WITHIN):
            patch.setattr(f"{place}.{name}", resolve_name(f"{place}.{name}"))  # is put back at the end
        found = measured(store.folder, 0.8)
    assert costs._noted is noted
    assert (found["dim"], found["clusters"], found["pairs"]) == (32, 0, 60)
    assert set(found["within"]) == {part for _, _, part in WITHIN}
    known = {stage.name for stage in read_costs().commands["dedup"].stages}
    assert set(found["stages"]) <= known - {OF_FILES} == {stage for _, _, stage in STAGES}


def test_the_fit_finds_what_runs_were_made_by(tmp_path: Path) -> None:
    """Runs whose stages and memory cost what the file says, twice: the file written from them says twice."""
    path = tmp_path / "costs.toml"
    path.write_bytes(PATH.read_bytes())
    runs = []
    for rows, clusters, pairs in ((1e4, 0, 1e5), (2e4, 0, 9e5), (1e5, 64, 1e6), (3e5, 128, 4e6), (3e5, 128, 1e6)):
        ran = Ran(int(rows), 512, clusters, 1.5 * rows**2 / max(1, clusters), pairs, {}, 0.0)
        told = read_costs().commands["dedup"].told(ran.quantities, 1)
        stages = {stage.name: 2 * stage.cpu_seconds for stage in told.stages}
        runs.append(ran._replace(stages=stages, peak=2 * told.memory))
    write_fit(runs, path)
    read_costs.cache_clear()
    before, after = read_costs(), read_costs(path)
    for ran in runs:
        first, second = (costs_.commands["dedup"].told(ran.quantities, 1) for costs_ in (before, after))
        assert second.memory == pytest.approx(2 * first.memory, rel=0.02)
        for old, new in zip(first.stages, second.stages, strict=True):
            assert new.cpu_seconds == pytest.approx(2 * old.cpu_seconds, rel=0.02)
    assert after.commands["audit"] == before.commands["audit"]
    kept = [stage for stage in after.commands["dedup"].stages if stage.name == OF_FILES]
    assert kept == [stage for stage in before.commands["dedup"].stages if stage.name == OF_FILES]
