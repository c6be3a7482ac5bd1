"""Promises of scripts/fetch_faces."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from drawn_pools import SCRIPTS

from scripts import fetch_faces as script


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
    command = [str(SCRIPTS / "fetch_faces"), str(tmp_path / "faces")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
