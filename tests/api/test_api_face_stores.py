"""Stores of faces and summaries of them, as a notebook shows them."""

from __future__ import annotations

from pathlib import Path

import pytest
from face_stores import face_store
from vectors import families

import memaudit as ma


def test_a_summary_says_who_is_there_again_and_again(tmp_path: Path) -> None:
    """In a line, and as a table of the identities."""
    summary = ma.summarise_faces(face_store(tmp_path / "faces", families(0, [3, 2, 1, 1])))
    assert (summary.faces, summary.persons, summary.repeated_persons) == (7, 4, 2)
    assert repr(summary) == "<FaceSummary: 2 of 4 persons have several of the 7 faces>"
    page = summary._repr_html_()
    assert "2 of 4 persons" in page
    assert page.count("<tr>") == 1 + len(summary.repeated) == 3


def test_a_store_without_faces_has_nobody(tmp_path: Path) -> None:
    empty = face_store(tmp_path / "faces", families(0, [1])[:0], without_face=["a", "b"])
    assert ma.summarise_faces(empty).persons == 0


def test_a_store_of_images_has_no_summary(folders: Path) -> None:
    store = ma.embed("training.csv", out="store", encoder="thumbnail")
    with pytest.raises(ma.errors.InputError, match="holds images, not faces: memaudit dedup finds what it repeats"):
        ma.summarise_faces(store)


def test_a_dedup_of_faces_is_its_owners_and_known_to_the_store(tmp_path: Path) -> None:
    """The run's folder is readable by nobody else, and so is a copy of it; the store knows where it is used."""
    store = face_store(tmp_path / "faces", families(0, [2, 1]))
    run = ma.run_dedup(store, out=tmp_path / "run")
    copied = run.write(tmp_path / "copy")
    assert [path.stat().st_mode & 0o077 for path in (tmp_path / "run", copied)] == [0, 0]
    assert any("run" in path.read_text() for path in (tmp_path / "faces").glob(".used-by*"))
