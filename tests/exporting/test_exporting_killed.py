"""Killed half-way and called again, an export is, byte for byte, that of a run that nobody disturbed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from sets import contents, deduped, write_tars

import memaudit as ma
from memaudit.exporting.options import TARGETS


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tars")
    return deduped(write_tars(place / "tars", 45, 15), place)


def killed_in(tars: Path, out: Path, to: str, file: str) -> None:
    """Export in a process of its own, which is killed when a file of this name is about to appear."""
    process = os.fork()
    if not process:
        try:

            def hook(event: str, arguments: tuple[object, ...]) -> None:
                if event == "os.rename" and str(arguments[1]).endswith(file):
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            ma.export(tars, out, to=to, shard_samples=9)
        finally:
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("to", TARGETS)
@pytest.mark.parametrize("half", ["a shard", "its list", "the description"])
def test_bytes_are_those_of_an_undisturbed_run(half: str, to: str, tars: Path, tmp_path: Path) -> None:
    shard = {
        "webdataset": "shard-000002.tar",
        "parquet": "data/shard-000002.parquet",
        "hf": "data/train-00002-of-00004.parquet",
        "folder": "000031.jpg",
        "manifest": "manifest.parquet",
    }[to]
    its_list = "files/shard-000000.parquet" if to == "manifest" else "files/shard-000002.parquet"
    file = {"a shard": shard, "its list": its_list, "the description": "croissant.json"}[half]
    whole = ma.export(tars, tmp_path / "whole", to=to, shard_samples=9)
    killed_in(tars, tmp_path / "out", to, file)
    assert not (tmp_path / "out" / file).exists()
    again = ma.export(tars, tmp_path / "out", to=to, shard_samples=9)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert again.digest == whole.digest
