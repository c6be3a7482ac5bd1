"""The small project, made once for all tests of faults: whoever strikes it copies it before."""

from __future__ import annotations

from pathlib import Path

import pytest
from project import write_project


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project without a fault."""
    return write_project(tmp_path_factory.mktemp("sound") / "project")
