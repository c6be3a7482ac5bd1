"""A command parses, calls one function of the API, and prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import MakeFolder, MakeStore

import memaudit.cli

FILES = sorted(Path(memaudit.cli.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_body_of_a_command_is_long(path: Path) -> None:
    """Signatures and docstrings apart: what is longer does something that a library user would miss."""
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= 30, f"{path.name}: {function.name} has {lines} lines"


def test_options_under_their_old_names(memaudit: Memaudit, picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """They do the same, and a line says how they are called now."""
    store = make_store(picture_folder(4)).folder
    old = memaudit("dedup", store, "--out", store.parent / "old", "--verify", "none", "--json")
    new = memaudit("dedup", store, "--out", store.parent / "new", "--match", "none", "--json")
    assert old.code == new.code == 0
    assert old.json["results"] == new.json["results"]
    assert old.err == "memaudit: --verify is now called --match; the old name goes with 0.3\n"
    assert new.err == ""


def test_old_names_are_not_in_the_help(memaudit: Memaudit) -> None:
    for command in ("audit", "dedup", "lookup"):
        text = memaudit(command, "--help").out
        assert "--match" in text
        assert "--verify" not in text
