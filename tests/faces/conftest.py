"""Photographs with faces, and the encoder that reads them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from face_stores import sample_folder

from memaudit.encoders.sface import FaceModel, resolve

Copy = Callable[..., Path]


@pytest.fixture(scope="session")
def model() -> FaceModel:
    return resolve("sface", "cpu")


@pytest.fixture
def photographs(tmp_path: Path) -> Copy:
    """photographs("obama.jpg", "t1.jpg", folder="a"): copy some of the samples into a folder."""

    def copy(*names: str, folder: str = "photographs") -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for name in names:
            shutil.copy(sample_folder() / name, target / name)
        return target

    return copy
