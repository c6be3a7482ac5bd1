"""The threshold of a search of faces: as many false matches as it says, whatever the gallery's size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_stores import SAME_PERSON, face_store
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import cosines, near, random_vectors

from memaudit.faces.calibrate import calibrate
from memaudit.faces.null import Null, control_null, distinct_rows, gallery_null
from memaudit.faces.people import people_of
from memaudit.index import ExactSearch
from memaudit.similarity import top_k
from memaudit.store import Store

QUERIES = 10_000
FACES = 128  # dimensions


def nearest(vectors: np.ndarray, gallery: Store) -> np.ndarray:
    parts = (vectors[low : low + 2048] for low in range(0, len(vectors), 2048))
    return np.concatenate([top_k(part, gallery.blocks(), 1, 1.0).similarity[:, 0] for part in parts])


@pytest.mark.parametrize(
    "size", [1000, pytest.param(10_000, marks=pytest.mark.slow), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_false_matches_are_as_many_as_expected_at_every_size(size: int, tmp_path: Path) -> None:
    """10,000 control queries set the threshold; of 10,000 fresh ones as many pass as the 95 % interval says."""
    gallery = face_store(tmp_path / "gallery", random_vectors(1, size, FACES))
    control = face_store(tmp_path / "control", random_vectors(2, QUERIES, FACES))
    null, found = control_null(control, ExactSearch(gallery)), nearest(random_vectors(3, QUERIES, FACES), gallery)
    for allowed in (1, 10, 100):
        calibration = calibrate(null, QUERIES, allowed, 0.0, SAME_PERSON)
        assert calibration.expected == pytest.approx(allowed, rel=1e-3)
        assert calibration.shortfall == ""
        assert calibration.low <= int((found >= np.float32(calibration.threshold)).sum()) <= calibration.high


def test_a_larger_gallery_needs_a_higher_threshold(tmp_path: Path) -> None:
    """The reason for all this: at one threshold, false matches grow with the set that is searched."""
    control = face_store(tmp_path / "control", random_vectors(2, 2000, FACES))
    thresholds = []
    for size in (100, 1000, 5000):
        gallery = face_store(tmp_path / str(size), random_vectors(1, size, FACES))
        thresholds.append(calibrate(control_null(control, ExactSearch(gallery)), 100, 1, 0, 0.6).threshold)
    assert thresholds == sorted(thresholds)
    assert thresholds[2] > thresholds[0] + 0.05


def test_the_gallery_itself_can_stand_in_for_controls(tmp_path: Path) -> None:
    """Without controls, faces drawn from the gallery give a threshold of which the same holds."""
    gallery = face_store(tmp_path / "gallery", random_vectors(1, 4000, FACES))
    null = gallery_null(gallery, SAME_PERSON)
    assert len(null.best) == 2000
    assert null.factor == 2
    found = nearest(random_vectors(3, 4000, FACES), gallery)
    calibration = calibrate(null, 4000, 40, 0.0, SAME_PERSON)
    assert calibration.low <= int((found >= np.float32(calibration.threshold)).sum()) <= calibration.high


@settings(deadline=None)  # the first call loads scipy
@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 200), st.sampled_from([0.5, 1.0, 3.0, 20.0]))
def test_the_expected_number_is_honest(seed: int, samples: int, scored: int, allowed: float) -> None:
    """It is scored x (reached + 1) / (samples + 1); above what was asked for only with a reason; ties included."""
    best = np.random.default_rng(seed).integers(-3, 8, samples).astype(np.float32) / 10
    calibration = calibrate(Null(best), scored, allowed, 0.0, SAME_PERSON)
    reached = int((best >= np.float32(calibration.threshold)).sum())
    assert calibration.above == reached
    assert calibration.expected == pytest.approx(scored * (reached + 1) / (samples + 1))
    assert (calibration.shortfall != "") == (calibration.expected > allowed * (1 + 1e-9))
    assert 0 < calibration.threshold <= 1
    assert 0 <= calibration.low <= calibration.high <= scored


def test_intervals_hold_as_often_as_they_say() -> None:
    """Over 400 drawn audits the number of false matches lies in its interval in some 95 %, and is right on average."""
    rng = np.random.default_rng(5)
    inside, counts = 0, []
    for _ in range(400):
        null = Null(np.float32(rng.gumbel(0.35, 0.03, 500)))
        calibration = calibrate(null, 300, 6, 0.0, SAME_PERSON)
        count = int((np.float32(rng.gumbel(0.35, 0.03, 300)) >= np.float32(calibration.threshold)).sum())
        inside += calibration.low <= count <= calibration.high
        counts.append(count)
    assert 0.93 <= inside / 400 <= 1
    assert np.mean(counts) == pytest.approx(calibration.expected, abs=0.5)


def test_too_few_controls_promise_nothing() -> None:
    """With n controls nothing below scored / (n + 1) can be shown: the shortfall says how many are needed."""
    null = Null(np.linspace(0.1, 0.4, 99, dtype=np.float32))
    calibration = calibrate(null, 1000, 1.0, 0.363, SAME_PERSON)
    assert calibration.threshold == pytest.approx(0.4, abs=1e-6)
    assert calibration.expected == pytest.approx(10)
    assert "at least 999 are needed" in calibration.shortfall
    assert "--control-faces" in calibration.shortfall
    assert calibrate(null, 1000, 10.0, 0.363, SAME_PERSON).shortfall == ""


def test_without_any_sample_every_face_may_be_a_false_match() -> None:
    """The fallback threshold stands in, and nothing is promised."""
    calibration = calibrate(Null(np.empty(0, np.float32)), 50, 1.0, 0.363, SAME_PERSON)
    assert calibration.threshold == pytest.approx(SAME_PERSON)
    assert (calibration.expected, calibration.low, calibration.high) == (50, 0, 50)
    assert "0 other people" in calibration.shortfall


def test_controls_that_are_in_the_gallery_are_called_so(tmp_path: Path) -> None:
    """A held-out set with the training set's own pictures calibrates nothing."""
    vectors = random_vectors(1, 200, FACES)
    gallery, control = face_store(tmp_path / "g", vectors), face_store(tmp_path / "c", vectors)
    calibration = calibrate(control_null(control, ExactSearch(gallery)), 100, 1.0, 0.363, SAME_PERSON)
    assert "0 other people (200 faces left out as those of training people)" in calibration.shortfall
    assert (calibration.samples, calibration.excluded, calibration.excluded_people) == (0, 200, 200)
    assert calibration.expected_with_excluded == 100


def test_training_people_among_the_controls_do_not_raise_the_threshold(tmp_path: Path) -> None:
    """Three of a thousand are left out, counted, and what they would have meant is said."""
    training, strangers = random_vectors(1, 2000, FACES), random_vectors(2, 1000, FACES)
    mixed = np.concatenate([near(5, training[:3], 0.6), strangers[:997]])
    gallery = ExactSearch(face_store(tmp_path / "g", training))
    clean, spoilt = (
        calibrate(control_null(face_store(tmp_path / name, vectors), gallery), 500, 1.0, 0.363, SAME_PERSON)
        for name, vectors in (("c", strangers), ("m", mixed))
    )
    assert spoilt.threshold == pytest.approx(clean.threshold, abs=0.05)
    assert (spoilt.excluded, spoilt.samples, clean.excluded) == (3, 997, 0)
    assert spoilt.expected_with_excluded == pytest.approx(500 * (spoilt.above + 4) / 1001)


def test_many_faces_of_few_people_are_few_controls(tmp_path: Path) -> None:
    """Three people with 100 faces each promise what three values promise; of each one face counts, drawn at random,
    the same on every run."""
    gallery = ExactSearch(face_store(tmp_path / "g", random_vectors(1, 500, FACES)))
    people = random_vectors(2, 3, FACES)
    control = face_store(tmp_path / "c", near(3, np.repeat(people, 100, axis=0), 0.2))
    null = control_null(control, gallery)
    assert (len(null.best), null.faces) == (3, 300)
    reached = nearest(control.embeddings(np.arange(300)), gallery.store)
    assert null.best.tolist() == pytest.approx(reached[null.rows].tolist())
    assert (null.rows // 100).tolist() == [0, 1, 2]
    assert not np.array_equal(null.rows % 100, reached.reshape(3, 100).argmax(axis=1))
    assert control_null(control, gallery).rows.tolist() == null.rows.tolist()
    calibration = calibrate(null, 200, 1.0, 0.363, SAME_PERSON)
    assert "3 other people cannot show" in calibration.shortfall
    assert (calibration.samples, calibration.faces) == (3, 300)


def test_who_is_named_the_same_is_one_person(tmp_path: Path) -> None:
    """By the column, by likeness, and by chains of both; a training person's other faces are left out as well."""
    vectors = random_vectors(2, 6, FACES)
    vectors[3] = near(3, vectors[2:3], 0.3)[0]
    names = [{"who": name} for name in ("x", "y", "x", "", "", "z")]
    control = face_store(tmp_path / "c", vectors, metadata=names)
    assert people_of(control, np.arange(6), SAME_PERSON).tolist() == [0, 1, 2, 2, 3, 4]
    assert people_of(control, np.arange(6), SAME_PERSON, "who").tolist() == [0, 1, 0, 0, 2, 3]
    gallery = ExactSearch(face_store(tmp_path / "g", near(4, vectors[3:4], 0.1)))
    null = control_null(control, gallery, "who")
    assert (null.rows.tolist(), null.excluded_faces, len(null.excluded)) == ([1, 4, 5], 3, 1)
    assert null.excluded_rows.tolist()[0] in (0, 2, 3)


def test_people_are_the_same_in_small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the blocks that are compared."""
    control = face_store(tmp_path / "c", near(3, np.repeat(random_vectors(2, 9, FACES), 4, axis=0), 0.3)[::-1].copy())
    whole = people_of(control, np.arange(36), SAME_PERSON)
    assert len(set(whole.tolist())) == 9
    monkeypatch.setattr("memaudit.faces.people._BLOCK_ROWS", 5)
    assert people_of(control, np.arange(36), SAME_PERSON).tolist() == whole.tolist()


def test_the_threshold_never_falls_below_what_two_given_faces_need() -> None:
    """A tiny gallery gives low similarities; the floor keeps strangers out, and fewer false matches are expected."""
    calibration = calibrate(Null(np.linspace(0, 0.2, 500, dtype=np.float32)), 10, 1.0, 0.363, SAME_PERSON)
    assert calibration.threshold == pytest.approx(0.363, abs=1e-6)
    assert calibration.expected == pytest.approx(10 / 501)


def test_one_persons_faces_are_no_impostors(tmp_path: Path) -> None:
    """Drawn faces are compared with other people only: neither with each other nor with their own likenesses."""
    people = random_vectors(1, 60, FACES)
    vectors = np.concatenate([people, near(2, people, noise=0.3), near(3, people, noise=0.3)])
    gallery = face_store(tmp_path / "gallery", vectors)
    null = gallery_null(gallery, SAME_PERSON, sample=40, seed=1)
    assert len(null.best) <= 40
    assert null.best.max() < SAME_PERSON
    drawn = np.sort(np.random.default_rng(1).choice(np.arange(180), 40, replace=False))
    stored = gallery.embeddings(np.arange(180))
    alike = cosines(stored[drawn], stored) >= SAME_PERSON
    others = np.setdiff1d(np.flatnonzero(~alike.any(axis=0)), drawn)
    assert null.left_out == 180 - len(others)
    assert null.factor == pytest.approx(180 / len(others))
    truth = cosines(stored[drawn], stored[others]).max(axis=1)
    assert np.isin(null.best, truth).all()


def test_a_file_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    """Copies of a control picture are one control."""
    store = face_store(tmp_path / "c", random_vectors(1, 4, 16), files=["a", "b", "a", "c"])
    assert distinct_rows(store).tolist() == [0, 1, 3]
