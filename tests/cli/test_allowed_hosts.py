"""--allow-host: what a manifest names on this machine is read only if a person says so."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from calls import Memaudit
from pictures import MakeFolder

from memaudit.images import hosts
from memaudit.store import Store


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def manifest(picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """It names an image on a server of this machine."""
    monkeypatch.setattr(hosts, "_named", set())
    folder = picture_folder(1)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        path = tmp_path / "m.csv"
        path.write_text(f"path\nhttp://127.0.0.1:{server.server_port}/0000.png\n")
        yield path
        server.shutdown()


def test_a_manifest_alone_does_not_reach_this_machine(memaudit: Memaudit, manifest: Path, tmp_path: Path) -> None:
    """The row says why, and what would read it; with that, or with the variable, it is read."""
    embed = ("embed", manifest, "--encoder", "thumbnail", "--out")
    memaudit(*embed, tmp_path / "a").failed(3, "1 of 1 images could not be read")
    (error,) = Store.open(tmp_path / "a").all_columns().error
    assert error == (
        "cannot read file: 127.0.0.1 is at 127.0.0.1, no public address: memaudit --allow-host 127.0.0.1 would read it"
    )
    assert memaudit("--allow-host", "127.0.0.0/8", *embed, tmp_path / "b").code == 0


def test_the_variable(memaudit: Memaudit, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For commands that others call."""
    monkeypatch.setenv(hosts.VARIABLE, "example.org, 127.0.0.1")
    assert memaudit("embed", manifest, "--encoder", "thumbnail", "--out", tmp_path / "a").code == 0


def test_what_is_no_host_is_wrong_usage(memaudit: Memaudit, manifest: Path, tmp_path: Path) -> None:
    """Before anything is read."""
    memaudit("--allow-host", "http://a/", "embed", manifest, "--out", tmp_path / "a").failed(2, "--allow-host")
