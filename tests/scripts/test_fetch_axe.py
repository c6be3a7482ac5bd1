"""Promises of scripts/fetch_axe: one file of the pinned package, or one line that says why not."""

from __future__ import annotations

import io
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from scripts import fetch_axe as script
from scripts.folders import ScriptError


def package(folder: Path, content: bytes) -> str:
    """A package as npm packs it; its sha256."""
    with tarfile.open(folder / script.FILE, "w:gz") as tar:
        for name in (script.MEMBER, "package/../../evil.js"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return sha256((folder / script.FILE).read_bytes()).hexdigest()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that brings a package of ours, pinned."""
    (tmp_path / "source").mkdir()
    monkeypatch.setattr(script, "SHA256", package(tmp_path / "source", b"axe"))
    monkeypatch.setattr(script, "SCRIPT_SHA256", sha256(b"axe").hexdigest())
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    binary = tmp_path / "npm"
    binary.write_text(f'#!/bin/sh\ncp "{tmp_path}/source/{script.FILE}" "$5"\n')
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return binary


def test_one_file_of_the_pinned_package_is_kept(
    npm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is there is not fetched again."""
    script.work()
    monkeypatch.setenv("PATH", "")
    script.work()
    path = tmp_path / "cache" / "axe" / "axe.min.js"
    assert path.read_bytes() == b"axe"
    assert [each.name for each in path.parent.iterdir()] == ["axe.min.js"]
    assert capsys.readouterr().out.splitlines() == [str(path)] * 2


def test_another_package_is_refused(npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "SHA256", "0" * 64)
    with pytest.raises(ScriptError, match="expected 000"):
        script.work()
    assert not (tmp_path / "cache" / "axe" / "axe.min.js").exists()


def test_without_npm_a_line_says_so(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ScriptError, match="no npm: install it"):
        script.work()
