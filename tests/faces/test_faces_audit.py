"""An audit of faces from Python: paths or opened stores in, one result out; nothing is embedded that is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_stores import face_store, needs_weights
from vectors import near, random_vectors, vector_store

from memaudit.encoders.sface import resolve
from memaudit.errors import InconclusiveError, UsageError
from memaudit.faces.audit import FaceAuditOptions, audit_faces_alone
from memaudit.faces.compare import CompareOptions
from memaudit.faces.stores import FaceEmbedder, gallery_at, require_face_store, template_folders
from memaudit.images.passed_over import ARRAYS
from memaudit.index import ExactSearch
from memaudit.types import EncoderSpec


def test_stores_of_faces_are_compared_as_they_are(tmp_path: Path) -> None:
    """Given by path or opened, with the same result; on which pictures is unknown, for the images are gone."""
    training = random_vectors(1, 300, 128)
    generated = np.concatenate([near(3, training[:3], 0.4), random_vectors(2, 20, 128)])
    queries = face_store(tmp_path / "g", generated, prefix="gen")
    gallery = ExactSearch(face_store(tmp_path / "t", training, prefix="train"))
    control = face_store(tmp_path / "c", random_vectors(4, 200, 128))
    options = FaceAuditOptions(comparison=CompareOptions(false_matches=2))
    opened = audit_faces_alone(queries, gallery, control, tmp_path / "out", options)
    by_path = audit_faces_alone(str(queries.folder), gallery, control.folder, tmp_path / "out", options)
    assert [(pair.query_id, pair.reference_id) for pair in opened.pairs[:3]] == [
        (pair.query_id, pair.reference_id) for pair in by_path.pairs[:3]
    ]
    assert opened.result.matched == by_path.result.matched
    assert {pair.query_id for pair in opened.pairs} >= {f"gen-0000{i}" for i in range(3)}
    assert (opened.result.same_picture, opened.result.new_picture) == (0, 0)
    other = FaceAuditOptions(control=face_store(tmp_path / "c2", random_vectors(5, 150, 128)))
    assert audit_faces_alone(queries, gallery, control, tmp_path / "out", other).result.calibration.samples == 150
    assert template_folders(tmp_path / "out") == []


@needs_weights
def test_generations_are_embedded_as_the_training_faces_were(tmp_path: Path) -> None:
    """By the encoder that the training faces' store names; one of two networks is not taken for one of one."""
    for name in ("sface", "sface-mirrored"):
        like = resolve(name, "cpu").spec
        assert FaceEmbedder()._model(like).spec.same_as(like)
        other = "sface" if name == "sface-mirrored" else "sface-mirrored"
        with pytest.raises(InconclusiveError, match="similarities between the two mean nothing"):
            FaceEmbedder(encoder=other)._model(like)
    assert FaceEmbedder()._model(None).spec.name == "sface"
    with pytest.raises(UsageError, match="an encoder of your own"):
        FaceEmbedder()._model(EncoderSpec("face-onnx", "", "mine", 128, 0.6))


def test_a_store_of_images_is_no_gallery(tmp_path: Path) -> None:
    """Said before anything is embedded, and again when it is opened."""
    images = vector_store(tmp_path / "i", random_vectors(1, 3, 32))
    with pytest.raises(UsageError, match="holds images, not faces"):
        require_face_store(images.folder)
    with pytest.raises(UsageError, match="holds images, not faces"):
        gallery_at(images.folder)
    require_face_store(None)


@pytest.mark.parametrize("count", [0, -1, float("nan"), float("inf")])
def test_an_impossible_number_of_false_matches_is_refused(count: float) -> None:
    """Before anything is embedded."""
    with pytest.raises(UsageError, match=r"--face-false-matches .* is out of range"):
        CompareOptions(false_matches=count)


def test_pictures_beside_the_generations_that_nobody_reads_are_not_measured(tmp_path: Path) -> None:
    made = face_store(tmp_path / "g", random_vectors(2, 20, 128), prefix="gen")
    gallery = ExactSearch(face_store(tmp_path / "t", random_vectors(1, 300, 128), prefix="train"))
    control = face_store(tmp_path / "c", random_vectors(4, 400, 128))

    class Found(FaceEmbedder):
        def embed(self, sources, folder, like, progress, passed=None):  # type: ignore[no-untyped-def]
            passed.add("batch.npy", ARRAYS, 30)
            return made

    audit = audit_faces_alone(tmp_path / "pictures", gallery, control, tmp_path, FaceAuditOptions(embedder=Found()))
    (why,) = audit.result.inconclusive
    assert why.startswith("30 pictures beside 20 generations were not read")
    assert audit.result.matched.coverage.total == 50
