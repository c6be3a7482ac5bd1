"""A command parses, calls one function of the API, and prints."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from calls import Memaudit

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


def test_options_of_0_1_are_gone(memaudit: Memaudit) -> None:
    """A script that still has them is refused, in a line that leads to their new names."""
    for command in ("audit", "dedup", "lookup"):
        memaudit(command, "there", "--verify", "none").failed(2, f"No such option: --verify (memaudit {command} --help")
        text = memaudit(command, "--help").out
        assert "--match" in text
        assert "--verify" not in text
