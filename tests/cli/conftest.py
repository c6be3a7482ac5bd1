"""The command line, called in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from calls import Called, Memaudit

from memaudit.cli.app import run


@pytest.fixture
def memaudit(capsys: pytest.CaptureFixture[str]) -> Memaudit:
    """memaudit("info", path): call a command in this process."""

    def call(*arguments: str | Path) -> Called:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Called(code, *capsys.readouterr())

    return call
