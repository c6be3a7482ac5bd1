"""Runs that no test changes."""

from __future__ import annotations

import pytest
from desks import Runs, write_runs


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return write_runs(tmp_path_factory.mktemp("reviewed"))
