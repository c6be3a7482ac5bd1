"""Files of tasks: what a killed run left is taken up where it is still true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memaudit.tasks import Work, forget, write_found, write_inputs


def inputs(folder: Path) -> Path:
    return write_inputs(folder, "kind", {"cut": 0.5}, {"rows": np.arange(3)})


def test_what_another_version_found_is_no_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = inputs(tmp_path)
    assert inputs(tmp_path) == before
    monkeypatch.setattr("memaudit.tasks.files.__version__", "another")
    assert inputs(tmp_path) != before


def test_what_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    """The file of a task that read everything stays; one that was not done is no matter."""
    work = Work(inputs(tmp_path), "module", 3)
    write_found(work.folder, 0, {"read": np.array([True, True])})
    write_found(work.folder, 1, {"read": np.array([True, False])})
    forget(work, ("read",), lambda found: not found["read"].all())
    assert work.missing() == [1, 2]
