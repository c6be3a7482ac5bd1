"""Fixtures of the API's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_folders import write_folders


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with training/ and generations/ in it."""
    monkeypatch.chdir(write_folders(tmp_path))
    return tmp_path
