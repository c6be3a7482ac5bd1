"""Files appear whole or not at all."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from memaudit.errors import InputError
from memaudit.files import (
    appearing_whole,
    is_passage,
    keep_private,
    read_json,
    whole_file,
    write_json,
    write_text,
)


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Until the block ends only the temporary file is there; afterwards only the file. Folders are made."""
    path = tmp_path / "a" / "b.txt"
    with appearing_whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]
    assert path.read_text() == "whole"


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    """An error in the middle keeps the old file and no trace of the new one."""
    path = tmp_path / "b.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), appearing_whole(path) as temporary:
        temporary.write_text("new", encoding="ascii") and temporary.write_text("näh", encoding="ascii")
    assert [p.name for p in tmp_path.iterdir()] == ["b.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("step", ["lock_kept", "is_at"])
def test_an_interrupt_at_any_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Ctrl-C may come right after the temporary file was made, before anything holds it."""

    def pressed(*_: object) -> bool:
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(f"memaudit.files.writing.{step}", pressed)
    with pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_written_through(tmp_path: Path) -> None:
    """A pipe gets the text, a link stays and its target is replaced, even one that is not there yet."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_text(tmp_path / "pipe", "text")
    assert os.read(reader, 9) == b"text"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "link").symlink_to("target")
    for text in ("one", "two"):
        write_text(tmp_path / "link", text)
        assert (tmp_path / "target").read_text() == text
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "pipe", "target"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="loop cannot be written: Too many levels of symbolic links"):
        write_text(tmp_path / "loop", "text")
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(InputError, match="full cannot be written: No space left"):
        write_text(tmp_path / "full", "text")


def test_what_goes_elsewhere_is_known(tmp_path: Path) -> None:
    """Devices and open files, and no plain file, wherever it lies."""
    (tmp_path / "file").write_text("text")
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as shared, (tmp_path / "file").open() as handle:
        assert not is_passage(Path(shared.name))
        assert is_passage(Path(f"/dev/fd/{handle.fileno()}"))
    assert is_passage(Path("/dev/null"))
    assert not any(is_passage(path) for path in (tmp_path, tmp_path / "file", tmp_path / "none"))


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """What the disk refuses is an InputError that names the file; half a file never appears."""
    code = (
        "import sys; from pathlib import Path; from memaudit.errors import InputError; from memaudit.files import *\n"
        "try: write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except InputError as error: print(error)"
    )
    path = tmp_path / "big.txt"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    )
    assert done.stdout == f"{path} cannot be written: File too large\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_a_folder_is_needed_is_one_line(tmp_path: Path) -> None:
    """The message names the path that cannot be."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/x\.json cannot be written"):
        write_json(tmp_path / "file" / "x.json", {})


def test_json_refuses_what_json_does_not_allow(tmp_path: Path) -> None:
    """NaN would make a file that other readers reject; nothing is written."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"p": math.nan})
    assert list(tmp_path.iterdir()) == []


def test_text_that_utf8_cannot_hold_is_escaped(tmp_path: Path) -> None:
    """A path of odd bytes survives JSON, and does not stop a text file."""
    odd = os.fsdecode(b"/data/\xff.png")
    write_json(tmp_path / "a.json", {"path": odd})
    assert read_json(tmp_path / "a.json") == {"path": odd}
    write_text(tmp_path / "a.txt", odd)
    assert (tmp_path / "a.txt").read_bytes() == rb"/data/\udcff.png"


def test_a_temporary_name_is_unguessable_and_no_link_is_followed(tmp_path: Path) -> None:
    """In a folder that others write to, a link under the temporary name would lead to any file of the caller's."""
    names = set()
    for _ in range(2):
        with whole_file(tmp_path / "a.txt") as file:
            (name,) = {path.name for path in tmp_path.iterdir()} - {"a.txt"}
            names.add(name)
            file.write(b"x")
    assert len(names) == 2
    assert all(str(os.getpid()) not in name.split(".") for name in names)
    (tmp_path / "precious").write_text("mine")

    def replaced_meanwhile() -> None:
        with appearing_whole(tmp_path / "b") as temporary:
            temporary.unlink()
            temporary.symlink_to(tmp_path / "precious")

    with pytest.raises(InputError, match="put another file in the place"):
        replaced_meanwhile()
    assert (tmp_path / "precious").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "precious"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool) -> None:
    """Of two that write it, the first one's stays; also where a file can have but one name."""

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "evidence.json"
    with pytest.raises(InputError, match=r"evidence\.json cannot be written: File exists"), whole_file(path, new=True):
        write_json(path, {"first": True}, new=True)
    assert read_json(path) == {"first": True}
    assert [each.name for each in tmp_path.iterdir()] == ["evidence.json"]


def test_what_is_private_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Files 0600, folders 0700, whatever the mask, those that are there already too; elsewhere all is as ever."""

    def modes() -> dict[str, str]:
        return {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.rglob("*")}

    before = os.umask(0o022)
    try:
        write_text(tmp_path / "out" / "old", "")
        keep_private(tmp_path / "out")
        write_text(tmp_path / "out" / "crops" / "new", "")
        write_text(tmp_path / "open" / "file", "")
    finally:
        os.umask(before)
    private = {"out": "0o700", "old": "0o600", "crops": "0o700", "new": "0o600"}
    assert modes() == {**private, "open": "0o755", "file": "0o644"}
