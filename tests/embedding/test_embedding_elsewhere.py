"""A store that workers embed in parts: the files of one that a single process makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pictures import MakeFolder, draw
from task_workers import in_this_process

import memaudit as ma
from memaudit.cli.app import run
from memaudit.embedding import elsewhere
from memaudit.encoders import Encoder, devices
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


@pytest.mark.usefixtures("here")
def test_what_came_after_a_kill_is_not_left_out(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All parts done, then killed; a file comes, one goes, one is another: the store is of the files as they are."""
    pictures = picture_folder(10)
    with monkeypatch.context() as killed:
        killed.setattr(elsewhere, "merge", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            embed(pictures, tmp_path / "spread", executor="local:2")
    draw(50).save(pictures / "0001b.png")
    (pictures / "0004.png").unlink()
    draw(51).save(pictures / "0008.png")
    embed(pictures, tmp_path / "spread", executor="local:2")
    embed(pictures, tmp_path / "alone")
    assert files(tmp_path / "spread") == files(tmp_path / "alone")


@pytest.mark.usefixtures("here")
def test_what_stays_as_a_killed_run_embedded_it_is_said(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever embeds: files that cannot be read any more, in two parts, and another caption."""
    pictures = picture_folder(10)
    with monkeypatch.context() as killed:
        killed.setattr(elsewhere, "merge", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            embed(pictures, tmp_path / "spread", executor="local:2")
    for name in ("0001.png", "0004.png"):
        (pictures / name).unlink()
        (pictures / name).symlink_to("nowhere")
    (pictures / "0007.caption").write_text("a disc")
    made = embed(pictures, tmp_path / "spread", executor="local:2")
    assert [line for line in made.not_read if "no image" not in line] == [
        "files could not be read again, and their images stay as they were embedded: 2 (0001.png, 0004.png)",
        "captions, columns or opt-outs of the sources are others by now than in the store: 1 (0007.png); "
        "embed --replace-changed takes them over",
    ]


def test_real_processes_make_it_too(picture_folder: MakeFolder, tmp_path: Path) -> None:
    pictures = picture_folder(7)
    embed(pictures, tmp_path / "alone")
    embed(pictures, tmp_path / "spread", executor="local:2")
    assert files(tmp_path / "spread") == files(tmp_path / "alone")


def test_each_device_embeds_a_part(picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of one process, whatever the shards; every part on its own device, also when it is done again."""
    used, load = list[tuple[str, str]](), elsewhere.load_encoder

    def noted(name: str, *, device: str, **more: bool) -> Encoder:
        used.append((name, device))
        return load(name, device="cpu", **more)

    monkeypatch.setattr(executors, "_local", in_this_process)
    monkeypatch.setattr(elsewhere, "load_encoder", noted)
    pictures = picture_folder(10)
    embed(pictures, tmp_path / "alone")
    embed(pictures, tmp_path / "spread", devices="cpu,cuda:0, cuda:1")
    assert files(tmp_path / "spread") == files(tmp_path / "alone")
    assert set(used) == {("thumbnail", device) for device in ("cpu", "cuda:0", "cuda:1")}
    monkeypatch.setattr(executors, "_local", lambda *given: pytest.fail("a worker is asked"))
    embed(pictures, tmp_path / "one", devices="cpu")
    assert files(tmp_path / "one") == files(tmp_path / "alone")


def test_processes_on_stand_ins_for_cards(picture_folder: MakeFolder, tmp_path: Path) -> None:
    pictures = picture_folder(7)
    embed(pictures, tmp_path / "alone")
    given = ["embed", str(pictures), "--out", str(tmp_path / "spread"), "--encoder", "thumbnail", "--shard-rows", "3"]
    assert run([*given, "--devices", "cpu,cpu"]) == 0
    assert files(tmp_path / "spread") == files(tmp_path / "alone")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--devices", "all"], "there is no CUDA device here"),
        (["--devices", "cpu,gpu"], "unknown device 'gpu'"),
        (["--devices", ""], "unknown device ''"),
        (["--devices", "auto"], "is no list of devices"),
        (["--devices", ",".join(["cpu"] * 257)], "257 devices: expected 256 at most"),
        (["--devices", "cpu,cpu", "--device", "cpu"], "leave out --executor and --device"),
        (["--devices", "cpu,cpu", "--executor", "local:2"], "leave out --executor and --device"),
        (["--devices", "cpu,cpu", "--append"], "--devices embed a whole set: leave out --part"),
    ],
)
def test_devices_that_are_none(
    tmp_path: Path,
    wrong: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "cuda_devices", list)
    assert run(["embed", str(tmp_path), "--out", str(tmp_path / "out"), "--encoder", "thumbnail", *wrong]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_cards_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the driver where there is no PyTorch; of them those that this process may use."""
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    monkeypatch.setattr(devices, "_CARDS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.cuda_devices() == []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    assert devices.devices_of("all") == ["cuda:0", "cuda:1", "cuda:2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
    assert devices.devices_of("all") == ["cuda:0", "cuda:1"]


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
