"""Promises of scripts/bench_faces.py and scripts/fetch_faces."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import bench_faces
import pytest
from drawn_pools import SCRIPTS, load_script, rows_of
from face_stores import needs_photographs, sample_folder


@needs_photographs
def test_ratios_are_written_with_machine_and_versions(tmp_path: Path) -> None:
    """The ratio that is asked for, and pairs/s of the join."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one/t1.jpg").write_bytes((sample_folder() / "t1.jpg").read_bytes())
    arguments = [str(tmp_path / "one"), "--rounds", "1", "--rows", "300", "--results", str(tmp_path / "results")]
    assert bench_faces.main(arguments) == 0
    (table,) = (tmp_path / "results").glob("bench_faces-*.csv")
    rows = {row["measure"]: row for row in rows_of(table)}
    assert rows["memaudit faces / bare loop"]["asked"] == ">= 1.0"
    assert "6 faces (6 by memaudit)" in rows["memaudit faces / bare loop"]["data"]
    assert float(rows["join, pairs/s"]["median"]) > 0
    assert rows["join, pairs/s"]["opencv-python-headless"].startswith("4.")


def test_without_photographs_it_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line and exit code 2."""
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path))
    assert bench_faces.main([]) == 2
    assert capsys.readouterr().err.endswith("run scripts/fetch_faces\n")


def make_archive(path: Path) -> str:
    """A source distribution with a picture, a hostile member and a link; its sha256."""
    with tarfile.open(path, "w:gz") as tar:
        for name in ("pictures/a.jpg", "pictures/../../evil.jpg", "/pictures/b.jpg", "setup.py"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("pictures/link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return sha256(path.read_bytes()).hexdigest()


def test_only_pictures_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the matched name, whatever the member's path; links are passed over; a complete folder is left alone."""
    script = load_script("fetch_faces")
    archive = tmp_path / "d-1.tar.gz"
    digest = make_archive(archive)
    distribution = replace(
        script.DISTRIBUTIONS[0], filename=archive.name, sha256=digest, member=r"pictures/(?P<name>\w+\.jpg)"
    )
    monkeypatch.setattr(script, "DISTRIBUTIONS", (distribution,))

    def brought(into: Path) -> None:
        into.mkdir()
        (into / archive.name).write_bytes(archive.read_bytes())

    monkeypatch.setattr(script, "download", brought)
    folder = tmp_path / "deep/faces"
    assert script.main([str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "stamp.json"]
    assert not list(tmp_path.rglob("evil*"))
    monkeypatch.setattr(script, "download", lambda into: pytest.fail("pip was called"))
    assert script.main([str(folder)]) == 0
    monkeypatch.setattr(script, "DISTRIBUTIONS", (replace(distribution, sha256="0" * 64),))
    monkeypatch.setattr(script, "download", brought)
    assert script.main([str(tmp_path / "other")]) == 2
    assert not (tmp_path / "other").exists()


def test_a_pip_that_cannot_fetch_is_one_line(tmp_path: Path) -> None:
    """Without an index pip fails; nothing is left behind."""
    environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    command = [sys.executable, str(SCRIPTS / "fetch_faces"), str(tmp_path / "faces")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
