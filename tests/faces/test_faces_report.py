"""What a report says of faces: the promised keys, one finding for each pair, nothing of a person that was not asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from face_stores import face_store
from msgspec import UNSET, structs
from vectors import near, random_vectors

from memaudit.faces.compare import CompareOptions, compare_faces
from memaudit.faces.results import FaceAudit, FacePair
from memaudit.faces.same_picture import face_pairs
from memaudit.index import ExactSearch
from memaudit.report.document import read_report
from memaudit.report.faces import (
    FacePart,
    faces_headline,
    faces_results,
    with_faces,
    write_face_audit,
)
from memaudit.report.model import FaceMatch, ImageMatch

PROMISED = {
    *("threshold", "one_to_one_threshold", "calibration", "gallery_faces", "scored_faces", "images_without_face"),
    *("gallery_coverage", "matched", "expected_false_matches", "excess_p", "same_picture", "new_picture", "coverage"),
}


def part(tmp_path: Path, copied: int = 4) -> FacePart:
    training = random_vectors(1, 300, 128)
    generated = random_vectors(2, 50, 128)
    generated[:copied] = near(3, training[:copied], 0.4)
    queries = face_store(tmp_path / "g", generated, prefix="gen", metadata=[{"sex": "fm"[i % 2]} for i in range(50)])
    gallery = face_store(tmp_path / "t", training, prefix="<u>train")
    control = face_store(tmp_path / "c", random_vectors(4, 200, 128))
    options = CompareOptions(by=("sex",))
    result = compare_faces(queries, ExactSearch(gallery), control=control, options=options)
    return FacePart(FaceAudit(result, queries, gallery, face_pairs(result.matches, queries, gallery)))


def test_an_audit_of_faces_alone_is_a_sound_report(tmp_path: Path) -> None:
    """It reads back, has the promised keys, a finding a match, a page and a table; no crops."""
    written = write_face_audit(part(tmp_path), tmp_path).content
    report = read_report(tmp_path / "report.json").content
    assert report == written
    faces = report["results"]["faces"]
    assert report["results"]["about"] == "faces"
    assert set(faces) >= PROMISED
    assert (faces["matched"]["count"], faces["one_to_one_threshold"], faces["calibration"]) == (4, 0.363, "control")
    assert [f["kind"] for f in report["findings"]] == ["face"] * 4
    assert {row["group"] for row in faces["by"]} >= {"f", "m"}
    assert pq.read_table(tmp_path / "face_matches.parquet").num_rows == 4
    page = (tmp_path / "report.html").read_text()
    assert "4 of 50 generated people match a training face" in page
    assert (faces["people"], faces["faces_matched"], faces["people_matched"], faces["training_people"]) == (50, 4, 4, 4)
    assert "groups by sex are not matched" in faces["mix_warning"]
    assert "groups by sex are not matched" in page
    assert "decides nothing here" in page
    assert "<u>train" not in page
    assert not (tmp_path / "face-crops").exists()


def test_a_face_and_an_image_of_one_pair_are_one_finding() -> None:
    """The image's finding gets the similarity of the face; a face on another picture is a finding of its own."""
    shared = {"paired": False, "near_duplicates": 1}
    image = ImageMatch(query_id="g1", reference_id="t1", similarity=0.9, kind="near-duplicate", **shared)

    def face(pair: FacePair, similarity: float = 0.8) -> FaceMatch:
        names = {"query_id": pair.query_id, "reference_id": pair.reference_id}
        return FaceMatch(**names, similarity=similarity, kind="face", **shared)

    told = [FacePair("g1", "t1", 0, 1, told=True), FacePair("g1", "t1-copy", 1, 1, told=True)]
    merged = with_faces([image], told, [face(told[0]), face(told[1], 0.95)])
    assert merged == [structs.replace(image, face_similarity=0.95)]
    assert image.face_similarity is UNSET
    others = [FacePair("g1", "t2", 0, 1), FacePair("g2", "t1", 1, 1), FacePair("g1", "t3", 2, 1)]
    faces = list(map(face, others))
    assert with_faces([image], others, faces) == [image, *faces]


def test_headlines_say_what_was_found(tmp_path: Path) -> None:
    """Of nothing found, how high the rate may be; of no face at all, that none was compared."""
    clean = part(tmp_path, copied=0).audit.result
    assert faces_headline(clean).startswith(("None of 50 generated people", "1 of 50"))
    none = face_store(tmp_path / "n", random_vectors(1, 0, 128), without_face=["a", "b"])
    result = compare_faces(none, ExactSearch(part(tmp_path / "x").audit.gallery))
    assert faces_headline(result) == "No face was found in 2 generations: none was compared."
    assert faces_results(result).matched.n == 0
    assert "0 on a new one, 4 on pictures that could not be compared" in faces_headline(
        part(tmp_path / "y").audit.result
    )
    small = replace(result, generated=replace(result.generated, faces=3, small=3))
    assert faces_headline(small) == "None of the 3 faces in 2 generations could be compared (3 are too small)."
    for counts, told in (
        ({}, ""),
        ({"small": 1, "no_human": 2}, " 3 more faces could not be compared (1 is too small, 2 are no human's)."),
    ):
        crowds = replace(clean, generated=replace(clean.generated, **counts))
        assert faces_headline(crowds) == faces_headline(clean) + told


def test_every_number_is_one_that_json_knows(tmp_path: Path) -> None:
    """No NaN where a similarity of images is unknown."""
    report = write_face_audit(part(tmp_path), tmp_path).content
    assert all(finding["image_similarity"] is None for finding in report["findings"])
    assert np.isfinite(report["threshold"])
