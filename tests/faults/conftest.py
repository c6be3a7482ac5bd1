"""The small project, made once for all tests of faults: whoever strikes it copies it before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from project import write_project, write_searched


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project without a fault."""
    return write_project(tmp_path_factory.mktemp("sound") / "project")


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a search in a model takes, without a fault; its drawings are drawn in two steps."""
    pytest.importorskip("diffusers", reason="needs PyTorch and diffusers: ./scripts/test --all")
    from memaudit.extraction import pipeline_model

    project = write_searched(tmp_path_factory.mktemp("searched") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_model, "_DRAWN_IN", 2)
        yield project


@pytest.fixture
def project_of(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """The project of a command: what needs a model has one of its own."""
    return lambda command: request.getfixturevalue("searched" if "{pipeline}" in command else "sound")
