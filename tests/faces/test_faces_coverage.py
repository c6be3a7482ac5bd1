"""Stores of faces that stand for other images than an audit's are no clean bill."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from face_stores import face_store
from vectors import random_vectors, vector_store

from memaudit.faces.compare import ImageStores, compare_faces
from memaudit.faces.coverage import FaceCoverage, coverage_of
from memaudit.faces.embed import count_faces
from memaudit.faces.forget import forget
from memaudit.faces.reading import NO_HUMAN, SMALL
from memaudit.faces.results import FacesResult
from memaudit.images.image_ref import with_first_frame_alone
from memaudit.index import ExactSearch
from memaudit.store import NO_FILE, Store
from memaudit.types import Status

NAMES = ("a", "b", "b", "c", "d")


def faces(tmp_path: Path) -> Store:
    return face_store(tmp_path / "f", random_vectors(1, 5, 16), parents=NAMES, without_face=["e"], unreadable=["x"])


def test_what_stands_for_other_images_is_counted(tmp_path: Path) -> None:
    """Missing, changed, unreadable; images without a face or without content count as searched."""
    images = vector_store(
        tmp_path / "i",
        random_vectors(2, 7),
        ids=["a", "b", "c", "e", "x", "new", "blank"],
        files=["a", "b", "another", "e", "x", "new", "blank"],
        statuses=[Status.OK] * 6 + [Status.BLANK],
    )
    found = coverage_of(faces(tmp_path), images)
    assert found == FaceCoverage(7, 3, missing=2, changed=1, forgotten=0, unreadable=1, by_name=0, others=1)
    assert found.as_text() == "2 missing, 1 changed, 1 unreadable"


def test_imported_images_are_known_by_name(tmp_path: Path) -> None:
    """They have no file to compare."""
    images = vector_store(tmp_path / "i", random_vectors(2, 3), ids=["a", "b", "q"], hashes=[NO_FILE] * 3)
    found = coverage_of(faces(tmp_path), images)
    assert (found.covered, found.by_name, found.missing) == (2, 2, 1)


@pytest.mark.parametrize("ids", [["b"], ["b#face-1"], ["b#face-2"], ["b#face-1", "b#face-2"]])
def test_forgotten_images_are_not_covered(ids: list[str], tmp_path: Path) -> None:
    """Neither wholly forgotten ones nor those of which a face was forgotten."""
    images = vector_store(tmp_path / "i", random_vectors(2, 5), ids=list("abcde"), files=list("abcde"))
    store = faces(tmp_path)
    assert coverage_of(store, images).covered == 5
    forget(store.folder, ids)
    found = coverage_of(Store.open(store.folder), images)
    assert (found.covered, found.forgotten, found.missing) == (4, 1, 0)


def audited(tmp_path: Path, made: list[str], known: list[str], unread: int = 0) -> FacesResult:
    """20 generated and 30 training faces, held against the images that are really there."""
    generated = face_store(tmp_path / "g", random_vectors(2, 20, 64), prefix="gen")
    training = face_store(tmp_path / "t", random_vectors(1, 30, 64), prefix="train")
    broken = [f"broken-{i}" for i in range(unread)]
    control = face_store(tmp_path / "c", random_vectors(4, 400, 64), prefix="control", unreadable=broken)
    stores = (
        vector_store(tmp_path / side, random_vectors(9, len(ids)), ids=ids, files=ids)
        for side, ids in (("gi", made), ("ti", known))
    )
    return compare_faces(generated, ExactSearch(training), control=control, images=ImageStores(*stores))


def named(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{i:05d}" for i in range(count)]


def test_an_audit_of_the_right_images_is_conclusive(tmp_path: Path) -> None:
    """Full coverage on both sides."""
    result = audited(tmp_path, named("gen", 20), named("train", 30))
    assert result.inconclusive == ()
    assert result.gallery_coverage.as_dict() == {"measured": 30, "total": 30, "share": 1}
    assert result.matched.coverage.share == 1
    assert set(result.of_images) == {"generations", "training set"}


def test_a_gallery_of_other_people_is_inconclusive(tmp_path: Path) -> None:
    """A store of faces that lacks most of the training images compares with too few."""
    result = audited(tmp_path, named("gen", 20), named("train", 300))
    assert result.gallery_coverage.as_dict() == {"measured": 30, "total": 300, "share": 0.1}
    (reason,) = result.inconclusive
    assert "only 30 of 300 images of the training set" in reason
    assert "270 missing" in reason


def test_generations_lost_before_the_search_for_faces_lower_coverage(tmp_path: Path) -> None:
    """Of them nobody knows whose faces they showed."""
    result = audited(tmp_path, named("gen", 40), named("train", 30))
    assert result.matched.coverage.as_dict() == {"measured": 20, "total": 40, "share": 0.5}
    assert any("only 20 of 40 images of the generations" in reason for reason in result.inconclusive)


def test_unreadable_controls_are_said(tmp_path: Path) -> None:
    """A calibration by those that happen to be readable is none of the set that was given."""
    result = audited(tmp_path, named("gen", 20), named("train", 30), unread=100)
    assert result.control_coverage is not None
    assert (result.control_coverage.measured, result.control_coverage.total) == (400, 500)
    assert any("only 400 of 500 images of the controls" in reason for reason in result.inconclusive)
    assert np.isfinite(result.calibration.threshold)


def test_frames_that_nobody_looked_at_are_not_measured(tmp_path: Path) -> None:
    """A face on a later frame of a film may be anybody's. The pictures of a sheet are searched with it."""
    film = json.loads(with_first_frame_alone("", 3))
    vectors, control = random_vectors(2, 20, 64), face_store(tmp_path / "c", random_vectors(4, 400, 64), prefix="c")
    training = ExactSearch(face_store(tmp_path / "t", random_vectors(1, 30, 64), prefix="train"))
    ids = [*named("gen", 20), "gen-00000#frame=1", "gen-00000#frame=2", "gen-00001#cell=0,0,9,9"]
    images = ImageStores(vector_store(tmp_path / "i", random_vectors(9, 23), ids=ids, files=ids))
    for films, reasons in ((0, 0), (1, 1)):
        told = [film] * films + [{}] * (20 - films)
        made = face_store(tmp_path / f"g{films}", vectors, prefix="gen", metadata=told)
        result = compare_faces(made, training, control=control, images=images)
        assert len(result.inconclusive) == reasons
        assert result.coverage.total - result.coverage.measured == films
    assert result.inconclusive[0].startswith("of 1 of 20 generations, films or files of several pages, only the first")


def crowds(tmp_path: Path, errors: dict[int, str]) -> Store:
    """Twenty generations of one face, or two faces on the last of them."""
    parents = [*named("gen", 20), "gen-00019"]
    return face_store(tmp_path / "g", random_vectors(2, 21, 64), parents=parents, not_compared=errors, shard_rows=7)


@pytest.mark.parametrize(
    ("errors", "counted", "reason"),
    [
        ({}, (0, 0), ""),
        ({20: SMALL}, (0, 0), ""),  # the other face of the image is compared
        ({0: NO_HUMAN, 1: NO_HUMAN}, (2, 0), ""),
        ({0: SMALL, 19: SMALL, 20: NO_HUMAN}, (2, 2), "of 2 of 20 generations all faces are too small to be compared"),
        (dict.fromkeys(range(21), SMALL), (20, 20), "no generated face could be compared"),
        (dict.fromkeys(range(21), NO_HUMAN), (20, 0), "no generated face could be compared"),
    ],
    ids=["all compared", "beside another", "drawn", "some", "none", "all drawn"],
)
def test_generations_whose_faces_are_too_small_are_not_measured(
    tmp_path: Path, errors: dict[int, str], counted: tuple[int, int], reason: str
) -> None:
    """Nobody knows whom they show. A face that is drawn shows nobody, unless no other was found."""
    made = crowds(tmp_path, errors)
    counts = count_faces(made)
    assert (counts.uncompared, counts.all_small) == counted
    assert (counts.images, counts.with_face, counts.most, counts.faces) == (20, 20, 2, 21)
    training = ExactSearch(face_store(tmp_path / "t", random_vectors(1, 30, 64), prefix="train"))
    control = face_store(tmp_path / "c", random_vectors(4, 400, 64), prefix="control")
    assert compare_faces(made, training, control=control).inconclusive == ((reason,) if reason else ())
