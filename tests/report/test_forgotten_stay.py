"""Whoever is forgotten does not come back with the next run, on a picture that shows somebody else, too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_stores import face_store
from pictures import draw
from vectors import near, random_vectors, vector_store

from memaudit.audit.run import audit
from memaudit.dedup.run import dedup
from memaudit.faces.compare import compare_faces
from memaudit.faces.forget import forget
from memaudit.faces.results import FaceAudit
from memaudit.faces.same_picture import face_pairs
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.dedup import write_dedup
from memaudit.report.faces import FacePart, write_face_audit
from memaudit.store import Store

GROUP, OTHER = "image-00000", "image-00001"


@pytest.fixture
def everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A picture that any uri of a store of faces leads to."""
    draw(0).save(tmp_path / "one.png")
    data = (tmp_path / "one.png").read_bytes()
    monkeypatch.setattr("memaudit.report.pictures.read_image", lambda uri: data)
    monkeypatch.setattr("memaudit.report.pictures.is_same_file", lambda data, sha256: True)
    return str(tmp_path / "one.png")


def faces(tmp_path: Path, *, forgotten: bool) -> FacePart:
    """Two generations show the first face of `GROUP` and the one of `OTHER`; the second of `GROUP` is forgotten."""
    training = random_vectors(1, 60, 128)
    parents = [GROUP, GROUP, OTHER, *(f"far-{i}" for i in range(57))]
    gallery = face_store(tmp_path / "gallery", training, parents=parents)
    queries = face_store(tmp_path / "faces", near(2, training[[0, 2]], 0.3), parents=["gen-00000", "gen-00001"])
    if forgotten:
        forget(tmp_path / "gallery", [f"{GROUP}#face-2"])
        gallery = Store.open(tmp_path / "gallery")
    control = face_store(tmp_path / "control", random_vectors(4, 200, 128))
    result = compare_faces(queries, ExactSearch(gallery), control=control)
    return FacePart(FaceAudit(result, queries, gallery, face_pairs(result.matches, queries, gallery)))


@pytest.mark.parametrize("forgotten", [False, True])
def test_the_whole_pictures_of_an_audit_of_faces(everywhere: str, tmp_path: Path, forgotten: bool) -> None:
    report = write_face_audit(faces(tmp_path, forgotten=forgotten), tmp_path / "out").content
    shown = {
        each["reference_id"]: [each["query_picture"] is not None, each["reference_picture"] is not None]
        for each in report["findings"]
    }
    assert shown == {GROUP: [not forgotten] * 2, OTHER: [True, True]}
    assert len(list((tmp_path / "out" / "thumbnails").iterdir())) == (2 if forgotten else 4)


def test_the_pictures_of_an_audit_of_images_with_faces(everywhere: str, tmp_path: Path) -> None:
    training = random_vectors(0, 40)
    references = vector_store(tmp_path / "t", training, uris=[everywhere] * 40)
    generations = vector_store(tmp_path / "g", near(1, training[:2], 0.3), prefix="gen", uris=[everywhere] * 2)
    result = audit(generations, ExactSearch(references))
    part = faces(tmp_path, forgotten=True)
    report = write_audit(result, generations, references, tmp_path / "out", part).content
    told = [each for each in report["findings"] if each["kind"] != "face"]
    assert {each["reference_id"]: each["query_picture"] is not None for each in told} == {GROUP: False, OTHER: True}
    assert not any(each["query_picture"] or each["reference_picture"] for each in told if each["reference_id"] == GROUP)
    alone = write_audit(result, generations, references, tmp_path / "alone").content
    assert all(each["reference_picture"] for each in alone["findings"])


def test_the_pictures_of_a_dedup_run_of_faces(everywhere: str, tmp_path: Path) -> None:
    """A member of a group is shown with all of its image."""
    vectors = random_vectors(1, 5, 128)
    vectors = np.concatenate([vectors, near(2, vectors[[0, 2]], 0.2)])
    face_store(tmp_path / "s", vectors, parents=[GROUP, GROUP, OTHER, "c", "d", "e", "f"])
    forget(tmp_path / "s", [f"{GROUP}#face-2"])
    store = Store.open(tmp_path / "s")
    report = write_dedup(dedup(store), store, tmp_path / "out").content
    members = [each for group in report["findings"] for each in group["members"]]
    assert {each["image_id"]: each["picture"] is not None for each in members} == {
        f"{GROUP}#face-1": False,
        f"{OTHER}#face-1": True,
        "e#face-1": True,
        "f#face-1": True,
    }
