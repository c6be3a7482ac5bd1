"""A container of 16 GB and 4 cores on a host of 512 GB and 64: work is planned, spread and held by what it may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import memaudit as ma
from memaudit import machine

GB = 10**9
# A container sees its own group at the root, whatever it is called outside; a job sees those that it lies in too
SECOND = {
    "own": "0::/job/step\n",
    "groups/job/step/cpu.max": "max 100000\n",
    "groups/job/step/memory.max": "max\n",
    "groups/job/step/memory.current": f"{3 * GB}\n",
    "groups/job/cpu.max": "350000 100000\n",
    "groups/job/memory.max": f"{16 * GB}\n",
    "groups/job/memory.current": f"{12 * GB}\n",
    "groups/job/memory.stat": f"anon {5 * GB}\nactive_file {GB}\ninactive_file {6 * GB}\nfile_mapped {GB}\n",
}
FIRST = {
    "own": "12:cpu,cpuacct:/docker/1f\n5:memory:/docker/1f\n1:name=systemd:/docker/1f\n",
    "groups/cpu/cpu.cfs_quota_us": "400000\n",
    "groups/cpu/cpu.cfs_period_us": "100000\n",
    "groups/memory/memory.limit_in_bytes": f"{16 * GB}\n",
    "groups/memory/memory.usage_in_bytes": f"{12 * GB}\n",
    "groups/memory/memory.stat": f"inactive_file 7\ntotal_active_file {GB}\ntotal_inactive_file {6 * GB}\n",
}
NO_LIMIT = {
    "own": "4:memory:/\n3:cpu:/\n0::/\n",
    "groups/cpu.max": "max 100000\n",
    "groups/memory.max": "max\n",
    "groups/cpu/cpu.cfs_quota_us": "-1\n",
    "groups/cpu/cpu.cfs_period_us": "100000\n",
    "groups/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "groups/memory/memory.usage_in_bytes": f"{12 * GB}\n",
}


def host(patch: pytest.MonkeyPatch, folder: Path, files: dict[str, str]) -> None:
    """64 cores, 512 GB of which 400 are free, and these files of its control groups."""
    for name, text in {**files, "meminfo": f"MemTotal: 1 kB\nMemAvailable:   {400 * GB // 1024} kB\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, path in (("_OWN_GROUPS", "own"), ("_GROUPS", "groups"), ("_MEMORY", "meminfo")):
        patch.setattr(machine, name, folder / path)
    patch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    patch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 512 * GB}.__getitem__)


@pytest.mark.parametrize("files", [SECOND, FIRST], ids=["version 2", "version 1"])
def test_of_a_part_only_the_part_counts(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are held in memory count as free: the system gives them back."""
    host(monkeypatch, tmp_path, files)
    assert (machine.cores(), machine.processors()) == (4, 64)
    assert (machine.total_memory(), machine.free_memory()) == (16 * GB, 11 * GB)


def test_without_limits_all_of_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, tmp_path, NO_LIMIT)
    assert (machine.cores(), machine.total_memory()) == (64, 512 * GB)
    assert machine.free_memory() == 400 * GB // 1024 * 1024


def test_cores_are_those_that_the_process_may_run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """taskset, a Slurm job: no control group need say it. A system without the question has all of its cores."""
    host(monkeypatch, tmp_path, NO_LIMIT)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 7})
    assert machine.cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores() == 1


def test_a_plan_as_here_is_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch, tmp_path, SECOND)
    planned = ma.plan_dedup("400M").planned
    assert (planned.machine.cores, planned.machine.memory, planned.fits) == (4, 16 * GB, False)
    assert ma.plan_dedup("400M", machines=ma.Machines(cores=64, memory="512G")).fits
