"""Of a store the columns are read that are needed: captions and metadata may be a hundred times as large."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from pictures import draw

from memaudit.embedding.parts import hidden_in
from memaudit.embedding.reconcile import known_files, known_rows
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.store import Store, shard


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Two pictures, and a film of three frames."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, seed in (("a.png", 0), ("b.png", 1)):
        draw(seed).save(folder / name)
    draw(2).save(folder / "film.gif", save_all=True, append_images=[draw(3), draw(4)])
    return folder


def _captions_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*given: object) -> NoReturn:
        raise AssertionError(given)

    for name in ("caption", "metadata", "error"):
        monkeypatch.setitem(shard._READ, name, asked)


@pytest.mark.parametrize("parts", [False, True])
def test_files_with_pictures_that_have_no_rows(
    sources: Path, tmp_path: Path, parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film, unless its frames were embedded. A file that is gone is not counted."""
    options = EmbedOptions(parts=parts)
    store = embed([sources], tmp_path / "store", load_encoder("thumbnail"), options)
    assert len(store) == (5 if parts else 3)
    _captions_are_not_read(monkeypatch)
    assert hidden_in(store, options) == (0 if parts else 1)
    (sources / "film.gif").unlink()
    assert hidden_in(store, options) == 0


@pytest.mark.parametrize("known", [known_files, known_rows])
def test_what_is_known_is_known_without_captions(
    known: Callable[[Store], object], sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resuming and --append hold ids, places and hashes alone against the sources."""
    store = embed([sources], tmp_path / "store", load_encoder("thumbnail"))
    _captions_are_not_read(monkeypatch)
    assert known(store) is not None
