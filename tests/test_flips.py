"""A flipped bit, anywhere in what memaudit wrote, is refused or says nothing: never another answer in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from flips import Flipper, artefacts, tally, write_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("flips"))


def test_every_kind_of_artefact_is_there(project: Path) -> None:
    """Otherwise the others prove little."""
    kinds = {path.name if path.suffix == ".json" else path.suffix for path in artefacts(project)}
    assert kinds >= {"store.json", "index.json", "report.json", "evidence.json"}
    assert kinds >= {".h5", ".faiss", ".parquet", ".txt", ".html", ".jpg"}


@pytest.mark.parametrize("seed", range(4))
def test_flips_are_refused_or_harmless(project: Path, seed: int) -> None:
    _, wrong = tally(Flipper(project).flips(100, seed))
    assert wrong == [], "\n".join(map(str, wrong))


@pytest.mark.slow
def test_many_flips_are_refused_or_harmless(project: Path) -> None:
    counts, wrong = tally(Flipper(project, verified=4).flips(4000, 10))
    assert wrong == [], "\n".join(map(str, wrong))
    assert counts["refused"] > 3500
