"""Files of tasks: what a killed run left is taken up where it is still true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memaudit.errors import InconclusiveError
from memaudit.tasks import Work, forget, read_inputs, unread_places, write_found, write_inputs


def inputs(folder: Path) -> Path:
    return write_inputs(folder, "kind", {"cut": 0.5}, {"rows": np.arange(3)})


def test_what_another_version_found_is_no_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs(tmp_path)
    assert inputs(tmp_path) == before
    monkeypatch.setattr("memaudit.tasks.files.__version__", "another")
    assert inputs(tmp_path) != before


def test_a_worker_of_another_version_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it found would be taken for part of the run."""
    folder = inputs(tmp_path)
    assert read_inputs(folder)[0]["cut"] == 0.5
    monkeypatch.setattr("memaudit.tasks.files.__version__", "0.0.1")
    with pytest.raises(InconclusiveError, match=r"it began by memaudit .*, this worker has 0\.0\.1"):
        read_inputs(folder)


def test_places_that_could_not_be_read(tmp_path: Path) -> None:
    work = Work(inputs(tmp_path), "module", 3)
    for number, read in ((0, [True, False]), (2, [False, True, False])):
        write_found(work.folder, number, {"read": np.array(read)})
    bounds = np.array([0, 2, 4, 7])
    assert unread_places(work, work.there(), bounds, ("read",), lambda found: ~found["read"]).tolist() == [1, 4, 6]
    assert unread_places(work, [], bounds, ("read",), lambda found: ~found["read"]).tolist() == []


def test_what_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    """The file of a task that read everything stays; one that was not done is no matter."""
    work = Work(inputs(tmp_path), "module", 3)
    write_found(work.folder, 0, {"read": np.array([True, True])})
    write_found(work.folder, 1, {"read": np.array([True, False])})
    forget(work, ("read",), lambda found: not found["read"].all())
    assert work.missing() == [1, 2]
