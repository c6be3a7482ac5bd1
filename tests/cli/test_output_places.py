"""No two runs write one place: a new command with --out has to be in the table below."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Memaudit
from pictures import MakeFolder, MakeStore

from memaudit.cli.app import app
from memaudit.folders import sole_writer, sole_writer_of

OUTPUTS = {"out", "evidence"}  # parameters that name what a command writes
FILES = {"prompts", "lookup"}  # commands that write a file there, and no folder
AT_ONCE = {"bundle", "card", "history"}  # makes one file of what is there, in one go: who comes last has it whole
TOGETHER = {"review"}  # several add whole lines to one file: tests/reviews/test_reviews_appending.py
COMMANDS = {
    "embed": ["{images}", "--encoder", "thumbnail"],
    "import": ["{vectors}", "--ids", "{ids}", "--encoder", "thumbnail", "--threshold", "0.9"],
    "index": ["{store}"],
    "dedup": ["{store}"],
    "prompts": ["{store}"],
    "run": ["{run}"],
    "export": ["{store}", "--to", "manifest"],
    "merge": ["{store}", "{other}"],
    "reweight": ["{store}", "--kept", "{kept}"],
    "audit": ["{images}", "--against", "{store}"],
    "extract": ["{images}"],
    "faces": ["--forget", "0001.png"],
    "lookup": ["{images}/0001.png", "--against", "{store}"],
}


def writing_commands() -> dict[str, str]:
    """Commands that have such an option, and its name."""
    found = {}
    for command in app.registered_commands:
        assert command.name is not None
        assert command.callback is not None
        for name in OUTPUTS & set(command.callback.__annotations__):
            found[command.name] = name
    return found


def test_the_table_has_every_command_that_writes() -> None:
    assert writing_commands().keys() == COMMANDS.keys() | AT_ONCE | TOGETHER


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"faces"}))
def test_the_second_is_refused_in_a_line(
    memaudit: Memaudit, picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path, command: str
) -> None:
    """With the usual exit code, before it has written anything; what the first wrote stays."""
    images = picture_folder(3)
    store = make_store(images).folder
    out = tmp_path / "out"
    given = {"images": images, "store": store, "vectors": tmp_path / "v.npy", "ids": tmp_path / "ids.txt"}
    given |= {"kept": tmp_path / "kept.txt", "run": tmp_path / "release.toml"}
    given["run"].write_text('training = {store = "store"}\ngenerator = {kind = "folder", path = "images"}\n')
    if command == "merge":
        given["other"] = make_store(picture_folder(3, "others", 50), name="other").folder
    if command == "import":
        import numpy as np

        np.save(given["vectors"], np.eye(3, 192, dtype=np.float32))
        given["ids"].write_text("a\nb\nc\n")
    arguments = [each.format_map(given) for each in COMMANDS[command]]
    with (sole_writer_of if command in FILES else sole_writer)(out):
        before = sorted(path.name for path in out.iterdir()) if out.is_dir() else out.exists()
        option = writing_commands()[command]
        memaudit(command, *arguments, f"--{option}", out).failed(2, f"{out} is being written by another process")
        assert before == (sorted(path.name for path in out.iterdir()) if out.is_dir() else out.exists())
