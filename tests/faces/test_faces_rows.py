"""Whose face a row is, on which image and in which place, stands in fields; stores of 0.1 are read as well."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from face_stores import details, face_store
from vectors import random_vectors

from memaudit.errors import InconclusiveError
from memaudit.faces.embed import count_faces
from memaudit.faces.forget import forget
from memaudit.faces.group_rates import Scored, group_rates
from memaudit.faces.people import people_of
from memaudit.faces.reading import FaceReader
from memaudit.faces.results import FaceCounts
from memaudit.faces.rows import FaceRow, details_of, face_metadata, face_rows, parents, without_own
from memaudit.images.image_ref import ImageRef
from memaudit.store import Columns, Store

OWN = {"person": "Ada", "face": "oval"}


def test_an_image_of_a_table_that_is_gone_has_a_row() -> None:
    """As one whose file is gone: the others are read."""
    reader = FaceReader.__new__(FaceReader)  # of weights that nobody needs for it
    (row,) = reader.rows_of(ImageRef("a", "gone.parquet#row=5"), 10**8)
    assert (row.status, row.error.startswith("cannot read file: table gone.parquet cannot be read")) == (
        "unreadable",
        True,
    )


def columns(tmp_path: Path) -> Columns:
    store = face_store(
        tmp_path / "s",
        random_vectors(1, 3, 16),
        parents=["a", "a", "b#1"],
        metadata=[{"person": "Ada"}, {"person": "Ada"}, {}],
        without_face=["e"],
    )
    return store.all_columns()


def changed(given: Columns, metadata: list[str]) -> Columns:
    return given._replace(metadata=np.array(metadata, dtype=object))


def as_of_0_1(given: Columns) -> Columns:
    """What memaudit 0.1 wrote: a face says neither its image nor its number."""
    texts = []
    for text in given.metadata:
        values = json.loads(text) if text else {}
        for name in ("parent", "number"):
            values.get("face", {}).pop(name, None)
        texts.append(json.dumps(values) if values else "")
    return changed(given, texts)


def test_a_row_says_its_image_and_its_number(tmp_path: Path) -> None:
    """An image without a face is its own parent, of its own file, with number 0."""
    given = columns(tmp_path)
    rows = face_rows(given)
    assert [(row.parent, row.number) for row in rows] == [("a", 1), ("a", 2), ("b#1", 1), ("e", 0)]
    assert parents(given) == ["a", "a", "b#1", "e"]
    assert rows[0].file == rows[1].file != rows[2].file
    assert rows[3] == FaceRow("e", 0, given.sha256[3], {})
    assert (rows[0].own, rows[2].own) == ({"person": "Ada"}, {})
    assert rows[0].details == details() == details_of(given.metadata[0])


def test_stores_of_0_1_say_the_same(tmp_path: Path) -> None:
    """There the image and the number stand in the image_id alone."""
    given = columns(tmp_path)
    old = as_of_0_1(given)
    assert "parent" not in old.metadata[0]
    assert face_rows(old) == face_rows(given)


def test_a_store_written_by_0_1_is_read(tmp_path: Path) -> None:
    """Its files, as 0.1 made them: faces of three images, one without a face, one unreadable."""
    store = Store.open(Path(__file__).parent / "store_of_0_1")
    rows = face_rows(store.all_columns())
    assert [(row.parent, row.number) for row in rows] == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("e", 0), ("x", 0)]
    assert rows[0].own == {"person": "Ada"}
    assert all(row.details for row in rows[:4])
    assert count_faces(store) == FaceCounts(5, 3, 1, 1, 4, 4, 0, 2)
    copy = shutil.copytree(store.folder, tmp_path / "copy")
    assert forget(copy, ["a#face-1", "c"]).removed == ("a#face-1", "c#face-1")
    left = face_rows(Store.open(copy).all_columns())
    assert [(row.parent, row.number, row.own) for row in left[:2]] == [("a", 2, {}), ("b", 1, {})]


@pytest.mark.parametrize(
    "face",
    [
        "oval",
        {"shape": "oval"},
        {"parent": "a", "number": 1},
        {"parent": "a"},
        {"parent": None, "number": "1"},
        [1],
        None,
    ],
)
def test_an_images_own_metadata_are_no_face(face: object, tmp_path: Path) -> None:
    """Whatever they call so: the row of an image is one."""
    given = columns(tmp_path)
    own = json.dumps({"face": face})
    row = face_rows(changed(given, [*given.metadata[:3], own]))[3]
    assert row == FaceRow("e", 0, given.sha256[3], {"face": face})


def test_damaged_rows_are_said_or_have_no_details(tmp_path: Path) -> None:
    """Without the file nothing can be covered or forgotten; without sound measures only these are unknown."""
    given = columns(tmp_path)
    face = json.loads(given.metadata[0])["face"]
    odd = json.dumps({"face": {**face, "box": "none"}})
    rows = face_rows(changed(given, [odd, *given.metadata[1:]]))
    assert (rows[0].number, rows[0].details) == (1, None)
    del face["file"]
    with pytest.raises(InconclusiveError, match="face 'a#face-1' does not say of which file it is"):
        face_rows(changed(given, [json.dumps({"face": face}), *given.metadata[1:]]))
    assert details_of("{") is None
    assert details_of("[]") is None


def test_a_face_can_do_without_its_images_metadata() -> None:
    """What is known of the face stays; of an image's own key of that name nothing."""
    text = face_metadata("a", 2, "ab" * 32, details(), json.dumps(OWN))
    assert json.loads(text)["person"] == "Ada"
    bare = without_own(text)
    assert set(json.loads(bare)) == {"face"}
    assert details_of(bare) == details()
    assert without_own("") == without_own("no JSON") == without_own('{"person": "Ada"}') == ""


def test_null_is_nobodys_name(tmp_path: Path) -> None:
    """Nor are NaN and an empty list: faces of unknown people are no one person, and no group of their own."""
    metadata = [{"person": name} for name in (None, None, float("nan"), float("nan"), [], [], "Ada", "Ada", 7, 7)]
    store = face_store(tmp_path / "s", random_vectors(1, 10, 16), metadata=metadata)
    rows = np.arange(10)
    assert [row.told("person") for row in face_rows(store.all_columns())] == [""] * 6 + ["Ada", "Ada", "7", "7"]
    assert people_of(store, rows, 1.01, "person").tolist() == [0, 1, 2, 3, 4, 5, 6, 6, 7, 7]
    rates = group_rates(["person"], [Scored("generated", store, rows, np.zeros(10, bool))])
    assert {each.value: each.rate.coverage.measured for each in rates} == {"": 6, "Ada": 2, "7": 2}
