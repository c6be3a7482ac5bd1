"""Fixtures of the calibration's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import FLOOR, Known, filled_in, write_set

from memaudit.api.calibrating import propose_labels


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Known:
    return write_set(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="session")
def proposed(known: Known, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A proposal of all pairs of the set, filled in with what is true."""
    path = tmp_path_factory.mktemp("proposed") / "labels.csv"
    propose_labels(known.store, path, match_from=FLOOR, count=100)
    filled_in(path, known.verdict)
    return path
