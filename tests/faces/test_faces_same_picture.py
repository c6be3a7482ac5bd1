"""Which faces are on the same picture, and which the audit of the images tells of already."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from face_stores import face_store
from numpy.typing import NDArray
from vectors import near, random_vectors, vector_store

from memaudit.faces.compare import compare_faces
from memaudit.faces.results import FaceAudit
from memaudit.faces.same_picture import (
    MatchedImages,
    Pair,
    SamePicture,
    beside_matched,
    by_image_stores,
    copies_among,
    face_pairs,
)
from memaudit.index import ExactSearch
from memaudit.matching.results import Matches
from memaudit.store import Columns


def audit(tmp_path: Path, parents: Sequence[str], copied: int) -> FaceAudit:
    """The first `copied` of the generated faces are of the training people of the same place; all pictures differ."""
    training = random_vectors(1, 300, 128)
    generated = random_vectors(2, len(parents), 128)
    generated[:copied] = near(3, training[:copied], 0.4)
    queries = face_store(tmp_path / "g", generated, parents=parents)
    gallery = face_store(tmp_path / "t", training, prefix="train")
    control = face_store(tmp_path / "c", random_vectors(4, 200, 128))
    different = SamePicture(lambda left, right: np.zeros(len(left.uri), np.float32), 0.5)
    result = compare_faces(queries, ExactSearch(gallery), control=control, same_picture=different)
    return FaceAudit(result, queries, gallery, face_pairs(result.matches, queries, gallery))


def test_faces_of_one_pair_of_images_are_one(tmp_path: Path) -> None:
    """By the most similar one; the others are counted."""
    training = random_vectors(1, 300, 128)
    generated = np.concatenate([near(3, training[:3], 0.4), random_vectors(2, 20, 128)])
    queries = face_store(tmp_path / "g", generated, parents=["a", "a", "b", *(f"g{i}" for i in range(20))])
    gallery = face_store(tmp_path / "t", training, parents=["x", "x", *(f"t{i}" for i in range(298))])
    control = face_store(tmp_path / "c", random_vectors(4, 200, 128))
    matches = compare_faces(queries, ExactSearch(gallery), control=control).matches
    found = {(pair.query_id, pair.reference_id): pair for pair in face_pairs(matches, queries, gallery)}
    assert {pair: found[pair].faces for pair in found} == {("a", "x"): 2, ("b", "t0"): 1}
    best = max(range(3), key=lambda i: matches.similarity[i] if matches.query[i] < 2 else -1)
    assert found["a", "x"].match == best


def test_a_picture_that_the_images_match_is_the_same_picture(tmp_path: Path) -> None:
    """Whatever the similarity of the images: the pair itself, and a near-duplicate of the training image found."""
    found = audit(tmp_path, [f"gen-{i}" for i in range(50)], 4)
    (first, a), (second, b), *_ = [(pair.query_id, pair.reference_id) for pair in found.pairs]

    def are_copies(pairs: Sequence[Pair]) -> NDArray[np.bool_]:
        return np.array([pair == ("another", b) for pair in pairs], dtype=bool)

    images = MatchedImages(frozenset({(first, a), (second, "another")}), {second: "another"})
    beside = beside_matched(found, images, are_copies)
    assert beside.result.matches.same_picture.tolist() == [1, 1, 0, 0]
    assert (beside.result.same_picture, beside.result.new_picture) == (2, 2)
    assert beside_matched(found, MatchedImages(frozenset(), {}), are_copies).result.new_picture == 4


def test_the_images_tell_of_their_first_match_and_its_copies(tmp_path: Path) -> None:
    """A further match, or another generation's, has a finding of its own."""
    found = audit(tmp_path, [f"gen-{i}" for i in range(50)], 4)
    pairs = [(pair.query_id, pair.reference_id) for pair in found.pairs]
    first = {pairs[0][0]: pairs[0][1], pairs[1][0]: "original", pairs[2][0]: "something else", "gen-40": pairs[3][1]}
    images = MatchedImages(frozenset(first.items()) | {pairs[2]}, first)
    copies = ("original", pairs[1][1])
    beside = beside_matched(found, images, lambda asked: np.array([pair == copies for pair in asked], dtype=bool))
    assert [pair.told for pair in beside.pairs] == [True, True, False, False]
    assert beside.result.matches.same_picture.tolist() == [1, 1, 1, 0]


def test_matched_images_are_those_of_an_audit(tmp_path: Path) -> None:
    """All pairs by image_id, and of each generation the match of rank 1."""
    made = vector_store(tmp_path / "g", random_vectors(1, 2, 16), ids=["g0", "g1"])
    known = vector_store(tmp_path / "t", random_vectors(2, 3, 16), ids=["t0", "t1", "t2"])
    query, reference, rank = np.array([1, 1, 0]), np.array([2, 0, 0]), np.array([1, 2, 1])
    nothing = np.zeros(3)
    matches = Matches(query, reference, *[nothing] * 2, rank, *[nothing] * 6)  # type: ignore[arg-type]
    images = MatchedImages.of(matches, made, known)
    assert images.pairs == {("g1", "t2"), ("g1", "t0"), ("g0", "t0")}
    assert images.first == {"g1": "t2", "g0": "t0"}


def test_unknown_images_have_no_similarity(tmp_path: Path) -> None:
    """Images that an image store lacks, or could not read, are unknown: NaN."""
    faces = face_store(tmp_path / "f", random_vectors(1, 2, 128), parents=["here", "gone"]).all_columns()
    images = vector_store(tmp_path / "i", random_vectors(1, 1, 32), ids=["here"])
    assert isinstance(faces, Columns)
    similarity = by_image_stores(images, images, 0.9).similarity(faces, faces)
    assert similarity[0] == 1
    assert np.isnan(similarity[1])


def test_copies_are_known_by_the_embeddings_of_their_store(tmp_path: Path) -> None:
    """At the threshold or above; an unknown image is nobody's copy."""
    picture, other = random_vectors(1, 2, 32)
    images = vector_store(tmp_path / "i", np.stack([picture, picture, other]), ids=["a", "b", "c"])
    assert copies_among(images, [("a", "b"), ("a", "c"), ("a", "gone")], 0.9).tolist() == [True, False, False]
