"""Generated faces against the training set's: who came back, and how many by chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_stores import face_store
from vectors import cosines, near, random_vectors, vector_store

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.faces.compare import CompareOptions, compare_faces
from memaudit.faces.results import FacesResult
from memaudit.faces.same_picture import by_image_stores
from memaudit.index import ExactSearch
from memaudit.store import Store

DIM = 128
TRAINING, CONTROLS, GENERATED = 500, 400, 120


def stores(tmp_path: Path, copied: int, **options: object) -> tuple[Store, Store, Store]:
    """Generated faces, of which the first `copied` are training identities; the training set's; held-out people's."""
    training = random_vectors(1, TRAINING, DIM)
    generated = random_vectors(2, GENERATED, DIM)
    generated[:copied] = near(3, training[:copied], 0.5)
    return (
        face_store(tmp_path / "generated", generated, prefix="gen", without_face=["blank"], **options),  # type: ignore[arg-type]
        face_store(tmp_path / "training", training, prefix="train"),
        face_store(tmp_path / "control", random_vectors(4, CONTROLS, DIM), prefix="held-out"),
    )


def run(tmp_path: Path, copied: int, **changes: object) -> FacesResult:
    generated, training, control = stores(tmp_path, copied)
    return compare_faces(generated, ExactSearch(training), control=control, **changes)  # type: ignore[arg-type]


def test_people_who_come_back_are_found(tmp_path: Path) -> None:
    """Each match is the best training face, exactly scored; the excess over chance is beyond doubt."""
    generated, training, control = stores(tmp_path, 30)
    result = compare_faces(generated, ExactSearch(training), control=control)
    assert result.source == "control"
    assert result.matched.count == 30
    assert result.matched.coverage.measured == GENERATED
    assert result.generated.without_face == 1
    truth = cosines(generated.embeddings(np.arange(GENERATED)), training.embeddings(np.arange(TRAINING)))
    assert np.array_equal(result.matches.reference, truth[result.matches.query].argmax(axis=1))
    assert np.array_equal(result.matches.similarity, truth[result.matches.query].max(axis=1))
    assert (np.diff(result.matches.similarity) <= 0).all()
    assert result.excess_p is not None
    assert result.excess_p < 1e-10
    assert result.inconclusive == ()


def test_a_model_that_invents_people_matches_as_often_as_expected(tmp_path: Path) -> None:
    """Nothing copied: matches within the interval, no small p, an AUC around one half."""
    result = run(tmp_path, 0)
    assert result.calibration.low <= result.matched.count <= result.calibration.high
    assert result.excess_p is not None
    assert result.excess_p > 0.01
    assert result.membership is not None
    assert result.membership.low < 0.5 < result.membership.high


def test_membership_tells_training_people_from_others(tmp_path: Path) -> None:
    """With every generation a training identity, members are nearer to the generations than held-out people."""
    result = run(tmp_path, GENERATED)
    assert result.membership is not None
    assert result.membership.low > 0.55
    assert (result.membership.members, result.membership.non_members) == (TRAINING, CONTROLS)
    assert result.membership.roc[0] == (0, 0)
    assert result.membership.roc[-1] == (1, 1)


def test_the_one_to_one_threshold_decides_nothing(tmp_path: Path) -> None:
    """In a search of thousands strangers pass 0.363; the calibrated threshold lies above it."""
    training = face_store(tmp_path / "t", random_vectors(1, 6000, 64))
    control = face_store(tmp_path / "c", random_vectors(2, 800, 64))
    generated = face_store(tmp_path / "g", random_vectors(3, 300, 64))
    result = compare_faces(generated, ExactSearch(training), control=control)
    assert (result.nearest >= result.one_to_one).mean() > 0.5
    assert result.calibration.threshold > result.one_to_one + 0.1
    assert result.matched.count <= result.calibration.high


def test_without_controls_the_gallery_calibrates(tmp_path: Path) -> None:
    """No p-value and no membership then, and the report says why."""
    generated, training, _ = stores(tmp_path, 20)
    result = compare_faces(generated, ExactSearch(training), options=CompareOptions(false_matches=2))
    assert result.source == "gallery"
    assert result.matched.count >= 20
    assert (result.excess_p, result.membership) == (None, None)
    assert "no faces of people outside" in result.why_no_p


def test_too_few_controls_are_inconclusive(tmp_path: Path) -> None:
    """Matches are told all the same, but nothing is called clean, and no p-value is printed."""
    generated, training, _ = stores(tmp_path, 5)
    few = face_store(tmp_path / "few", random_vectors(9, 20, DIM))
    result = compare_faces(generated, ExactSearch(training), control=few)
    assert any("at least 119 are needed" in reason for reason in result.inconclusive)
    assert result.excess_p is None
    assert "at least 100" in result.why_no_p


def test_nothing_to_compare_is_said(tmp_path: Path) -> None:
    """No generated face: measured, none came back. No training face: nothing was compared, so it is inconclusive."""
    generated, training, control = stores(tmp_path, 0)
    none = face_store(tmp_path / "none", random_vectors(1, 0, DIM), without_face=["a", "b"])
    result = compare_faces(none, ExactSearch(training), control=control)
    assert (result.matched.count, result.matched.coverage.measured, result.inconclusive) == (0, 0, ())
    assert (result.matched.low, result.matched.high) == (0, 1)
    result = compare_faces(generated, ExactSearch(none), control=control)
    assert result.matched.count == 0
    assert any("no face was found in the training set" in reason for reason in result.inconclusive)


def test_unreadable_images_make_it_inconclusive(tmp_path: Path) -> None:
    """Of what could not be read nobody knows whose faces it showed."""
    _, training, control = stores(tmp_path, 0)
    generated = face_store(tmp_path / "g2", random_vectors(2, 20, DIM), unreadable=["x", "y"])
    result = compare_faces(generated, ExactSearch(training), control=control)
    assert any("only 20 of 22 images of the generations" in reason for reason in result.inconclusive)
    assert result.matched.coverage.total == 22


def test_a_file_generated_twice_counts_once(tmp_path: Path) -> None:
    """Copies of a generation are a single draw."""
    _, training, control = stores(tmp_path, 0)
    vectors = near(3, np.repeat(training.embeddings(np.arange(2)), 5, axis=0), 0.01)
    generated = face_store(tmp_path / "g2", vectors, files=["a"] * 5 + ["b"] * 5)
    result = compare_faces(generated, ExactSearch(training), control=control)
    assert (result.matched.count, result.matched.coverage.measured) == (2, 2)


def test_same_picture_and_new_picture_are_told_apart(tmp_path: Path) -> None:
    """By the similarity of the images the faces are on; where that is unknown, neither is claimed."""
    generated, training, control = stores(tmp_path, 3)
    pictures = random_vectors(7, 3, 32)
    made = vector_store(tmp_path / "gi", pictures, ids=[f"gen-{i:05d}" for i in range(3)])
    shown = np.stack([pictures[0], random_vectors(8, 1, 32)[0]])
    known = vector_store(tmp_path / "ti", shown, ids=["train-00000", "train-00001"])
    result = compare_faces(
        generated,
        ExactSearch(training),
        control=control,
        same_picture=by_image_stores(made, known, 0.75),
    )
    by_query = dict(zip(result.matches.query.tolist(), result.matches.same_picture.tolist(), strict=True))
    assert by_query == {0: 1, 1: 0, 2: -1}
    assert (result.same_picture, result.new_picture) == (1, 1)


def test_rates_are_split_by_metadata(tmp_path: Path) -> None:
    """Generated and held-out faces apart, each with its own n and interval."""
    training = random_vectors(1, TRAINING, DIM)
    generated = np.concatenate([near(3, training[:10], 0.3), random_vectors(2, 30, DIM)])
    kinds = [{"group": "a" if i < 10 else "b"} for i in range(40)]
    result = compare_faces(
        face_store(tmp_path / "g", generated, metadata=kinds),
        ExactSearch(face_store(tmp_path / "t", training)),
        control=face_store(tmp_path / "c", random_vectors(4, CONTROLS, DIM)),
        options=CompareOptions(by=("group",)),
    )
    rates = {(row.side, row.value): (row.rate.count, row.rate.coverage.measured) for row in result.by}
    assert rates[("generated", "a")] == (10, 10)
    assert rates[("generated", "b")] == (0, 30)
    assert rates[("held-out", "")][1] == CONTROLS


def test_identities_are_counted_by_person(tmp_path: Path) -> None:
    """With a column that names the person, of a person's faces the nearest counts."""
    generated, training, _ = stores(tmp_path, 5)
    people = [{"person": f"p{i % 40}"} for i in range(CONTROLS)]
    control = face_store(tmp_path / "c2", random_vectors(4, CONTROLS, DIM), metadata=people)
    options = CompareOptions(identity="person")
    result = compare_faces(generated, ExactSearch(training), control=control, options=options)
    assert result.membership is not None
    assert (result.membership.members, result.membership.non_members) == (TRAINING, 40)
    assert result.membership.identities == "by column person and by likeness"


def test_generated_faces_are_joined_into_people(tmp_path: Path) -> None:
    """Forty faces of one person who comes back are one person of the rate; all of them are matches, and told."""
    _, training, control = stores(tmp_path, 0)
    back = near(3, np.repeat(training.embeddings(np.arange(1)), 40, axis=0), 0.4)
    generated = face_store(tmp_path / "g2", np.concatenate([random_vectors(2, 60, DIM), back]))
    result = compare_faces(generated, ExactSearch(training), control=control)
    assert (result.matched.count, result.matched.coverage.measured, result.coverage.measured) == (1, 61, 100)
    assert (result.faces_matched, result.people_matched, result.training_people) == (40, 1, 1)
    assert result.excess_p is not None
    assert result.excess_p > 0.1
    assert len(result.nearest) == 61


def test_strangers_that_were_left_out_of_the_control_are_among_the_generated(tmp_path: Path) -> None:
    """Where as many others reach the same person's similarity, matches at it are no excess: the larger p is told."""
    training = random_vectors(1, TRAINING, DIM)
    chance = near(5, training[:40], 0.9)
    generated = face_store(tmp_path / "g", np.concatenate([random_vectors(2, 80, DIM), chance[:10]]))
    control = face_store(tmp_path / "c", np.concatenate([random_vectors(4, 270, DIM), chance[10:]]))
    result = compare_faces(generated, ExactSearch(face_store(tmp_path / "t", training)), control=control)
    calibration = result.calibration
    assert (calibration.excluded_people, calibration.excluded_above, result.matched.count) == (30, 30, 10)
    assert calibration.expected <= 1
    assert calibration.expected_with_excluded > 5
    assert calibration.low <= 1
    assert calibration.high >= 10
    assert result.excess_p is not None
    assert result.excess_p > 0.2


def mixed_stores(tmp_path: Path, held_out: str) -> tuple[Store, Store, Store]:
    """Faces of group b lie close together; of the generated people half are of it, of the training set half."""
    centre = random_vectors(11, 1, DIM)

    def faces(seed: int, groups: str, name: str) -> Store:
        vectors = random_vectors(seed, len(groups), DIM)
        alike = np.array([group == "b" for group in groups])
        vectors[alike] += 0.6 * centre
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        metadata = [{"group": group} for group in groups]
        return face_store(tmp_path / name, vectors, prefix=name, metadata=metadata)

    return faces(1, "ab" * 150, "t"), faces(2, "ab" * 60, "g"), faces(3, held_out, "c")


def test_people_are_compared_with_those_of_their_group(tmp_path: Path) -> None:
    """Another mix of groups makes matches of strangers look like an excess; matched by a column it does not."""
    training, generated, control = mixed_stores(tmp_path, "a" * 270 + "b" * 30)
    plain, matched = (
        compare_faces(generated, ExactSearch(training), control=control, options=CompareOptions(6.0, by=by))
        for by in ((), ("group",))
    )
    assert plain.excess_p is not None
    assert matched.excess_p is not None
    assert plain.excess_p < 0.01
    assert matched.excess_p > 0.05
    assert "was not asked: name the column that tells, with --faces-by" in plain.mix.warning
    assert (matched.mix.matched, matched.mix.warning) == (("group",), "")
    assert 4 <= matched.calibration.expected <= 6
    assert matched.calibration.low <= matched.matched.count <= matched.calibration.high


def test_groups_that_nobody_outside_is_of_are_named(tmp_path: Path) -> None:
    """Each of their people counts as a false match to be expected, and the audit is inconclusive."""
    training, generated, control = mixed_stores(tmp_path, "a" * 300)
    options = CompareOptions(by=("group",))
    result = compare_faces(generated, ExactSearch(training), control=control, options=options)
    assert "nobody outside the training set is of group=b: each of these 60 generated people" in result.mix.warning
    assert result.calibration.expected >= 60
    assert any("of the 2 groups as the generated people are, are needed" in why for why in result.inconclusive)


def test_other_stores_and_impossible_options_are_refused(tmp_path: Path) -> None:
    """Images, another encoder, a limit of nothing."""
    generated, training, _ = stores(tmp_path, 0)
    images = vector_store(tmp_path / "i", random_vectors(1, 3, DIM))
    with pytest.raises(InputError, match="holds images, not faces"):
        compare_faces(images, ExactSearch(training))
    other = face_store(tmp_path / "o", random_vectors(1, 3, DIM), name="face-onnx")
    with pytest.raises(InconclusiveError, match="different encoders"):
        compare_faces(other, ExactSearch(training))
    with pytest.raises(UsageError, match="--face-false-matches 0 is out of range"):
        compare_faces(generated, ExactSearch(training), options=CompareOptions(false_matches=0))
