"""A store that workers embed in parts: the files of one that a single process makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pictures import MakeFolder
from task_workers import in_this_process

import memaudit as ma
from memaudit.cli.app import run
from memaudit.tasks import executors


def files(store: Path) -> dict[str, bytes]:
    found = (path for path in store.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(store)): path.read_bytes() for path in found}


def embed(source: Path, out: Path, **more: Any) -> ma.MadeStore:
    return ma.embed(source, out, encoder="thumbnail", shard_rows=3, **more)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_local", in_this_process)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("parts", [2, 5])
def test_it_is_the_store_of_one_process(picture_folder: MakeFolder, tmp_path: Path, parts: int) -> None:
    """Of more workers than shards, with a file that is no picture, and each part done twice."""
    pictures = picture_folder(10)
    (pictures / "0003.png").write_bytes(b"none")
    alone = embed(pictures, tmp_path / "alone", max_unreadable=0.5)
    spread = embed(pictures, tmp_path / "spread", executor=f"local:{parts}", max_unreadable=0.5)
    assert files(tmp_path / "spread") == files(tmp_path / "alone")
    assert (spread.digest, spread.coverage, spread.not_read) == (alone.digest, alone.coverage, alone.not_read)
    assert not (tmp_path / "spread-tasks").exists()


def test_real_processes_make_it_too(picture_folder: MakeFolder, tmp_path: Path) -> None:
    pictures = picture_folder(7)
    embed(pictures, tmp_path / "alone")
    embed(pictures, tmp_path / "spread", executor="local:2")
    assert files(tmp_path / "spread") == files(tmp_path / "alone")


@pytest.mark.usefixtures("here")
def test_tiles_follow(picture_folder: MakeFolder, tmp_path: Path) -> None:
    pictures = picture_folder(4)
    embed(pictures, tmp_path / "alone", tiles=True)
    embed(pictures, tmp_path / "spread", tiles=True, executor="local:2")
    assert files(tmp_path / "spread") == files(tmp_path / "alone")


def test_what_is_there_and_what_is_one_part_is_done_here(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_local", lambda *given: pytest.fail("a worker is asked"))
    pictures = picture_folder(3)
    embed(pictures, tmp_path / "store", executor="local:4")
    assert len(embed(pictures, tmp_path / "store", executor="local:4")) == 3


@pytest.mark.parametrize("wrong", [["--part", "1/2"], ["--append"], ["--replace-changed"]])
def test_what_it_cannot_be_asked_for_with(
    picture_folder: MakeFolder, tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["embed", str(picture_folder(2)), "--out", str(tmp_path / "out"), "--encoder", "thumbnail"]
    assert run([*given, "--executor", "local:2", *wrong]) == 2
    assert "--executor embeds a whole set: leave out --part" in capsys.readouterr().err
