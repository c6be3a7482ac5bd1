"""Where a picture lies in another one."""

from __future__ import annotations

import numpy as np
import pytest
from altered import cropped, stretched
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pictures import photograph
from PIL import Image

from memaudit.matching import align
from memaudit.matching.align import alignments, matched
from memaudit.matching.pictures import Features, Picture, picture_of


def features(points: NDArray[np.float64], descriptors: NDArray[np.float32]) -> Features:
    return Features(np.asarray(points, np.float32), descriptors)


def with_features(picture: Picture, found: Features) -> Picture:
    return Picture(picture.pixels, picture.ground, found)


@given(
    arrays.arrays(np.float32, (7, 3), elements=st.integers(0, 4).map(float)),
    arrays.arrays(np.float32, (5, 3), elements=st.integers(0, 4).map(float)),
)
def test_matches_are_those_of_brute_force(query: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
    """Lowe's ratio test one by one; each feature of the reference is matched once, with the closest."""
    query, reference = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6) for rows in (query, reference)
    )
    best: dict[int, tuple[float, int]] = {}
    cosine = query @ reference.T
    for i, row in enumerate(cosine):
        order = np.argsort(-row, kind="stable")
        first, second = (np.sqrt(max(2 - 2 * row[j], np.float32(0))) for j in order[:2])
        if first < np.float32(0.8) * second:
            j = int(order[0])
            best[j] = min(best.get(j, (np.inf, i)), (float(first), i))
    left, right = matched(query.astype(np.float32), reference.astype(np.float32))
    assert dict(zip(right.tolist(), left.tolist(), strict=True)) == {j: i for j, (_, i) in best.items()}


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_features_match_nothing(count: int) -> None:
    few, many = np.ones((count, 128), np.float32), np.eye(5, 128, dtype=np.float32)
    assert [len(side) for side in matched(few, many)] == [0, 0]
    assert [len(side) for side in matched(many, few)] == [0, 0]


def test_a_crop_is_found_where_it_was_cut() -> None:
    """Its corners lie in the original within a hundredth of the longer side."""
    image = photograph(0)
    found = next(iter(alignments(picture_of(cropped(image)), picture_of(image))))
    corner = found.matrix @ np.array([0, 0, 1])
    np.testing.assert_allclose(corner, np.array([image.width // 8, image.height // 5]) / image.width, atol=0.01)
    np.testing.assert_allclose(found.matrix[:, :2], np.eye(2) * 0.7, atol=0.01)
    assert found.inliers >= 20


def test_a_stretched_picture_is_found_by_an_affine_transform() -> None:
    """A similarity fits only a part of it; one of the hypotheses takes frame to frame."""
    image = photograph(0)
    found = [
        hypothesis for hypothesis in alignments(picture_of(stretched(image)), picture_of(image)) if hypothesis.inliers
    ]
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]])
    wanted = np.array([[0, 0], [1, 0], [0, 0.75], [1, 0.75]])
    assert min(np.abs(corners @ hypothesis.matrix.T - wanted).max() for hypothesis in found) < 0.02


TURNS = [None, *Image.Transpose]


@pytest.mark.parametrize("turn", TURNS, ids=str)
def test_frames_are_laid_on_each_other_in_all_eight_orientations(turn: Image.Transpose | None) -> None:
    """The last hypothesis takes the turned corner of the query to that of the reference, without any feature."""
    image = photograph(1)
    query, reference = picture_of(image), picture_of(image.transpose(turn) if turn is not None else image)
    *_, last = alignments(query, reference)
    assert last.inliers == 0
    marked = Image.new("L", image.size)
    marked.paste(255, (0, 0, 20, 15))
    marked = marked.transpose(turn) if turn is not None else marked
    rows, columns = np.nonzero(np.asarray(marked))
    wanted = np.array([columns.mean() + 0.5, rows.mean() + 0.5]) / max(image.size)
    np.testing.assert_allclose(last.matrix @ np.array([10, 7.5, image.width]) / image.width, wanted, atol=0.01)


def test_at_most_eight_hypotheses() -> None:
    """Those with features come first, then frame on frame, then what the pixels are asked for."""
    found = list(alignments(picture_of(photograph(0)), picture_of(photograph(0).rotate(20, expand=True))))
    assert 1 <= len(found) <= 8
    order = [(not alignment.inliers, alignment.sought) for alignment in found]
    assert order == sorted(order)
    assert (True, False) in order
    assert (True, True) in order


@pytest.mark.parametrize("shape", ["point", "line", "two points", "tiny", "huge"])
def test_matches_that_fit_no_plane_are_no_evidence(shape: str) -> None:
    """All at one place, on a line, at two places, or far too small or large: no error, and no alignment by features."""
    generator = np.random.default_rng(0)
    spread = generator.uniform(0.1, 0.7, (40, 2))
    points = {
        "point": np.full((40, 2), 0.5),
        "line": np.c_[np.full(40, 0.5), np.linspace(0, 0.01, 40)],
        "two points": np.repeat([[0.1, 0.1], [0.6, 0.6]], 20, axis=0),
        "tiny": spread * 0.01,
        "huge": spread,
    }[shape]
    own = spread * 0.01 if shape == "huge" else spread
    descriptors = np.eye(40, 128, dtype=np.float32)
    picture = picture_of(photograph(0))
    left, right = (with_features(picture, features(places, descriptors)) for places in (own, points))
    for query, reference in ((left, right), (right, left)):
        assert all(found.inliers == 0 for found in alignments(query, reference))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_transform_that_is_no_number_is_passed_over(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV: ./scripts/test")

    def broken(*_: object, **__: object) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        return np.full((2, 3), value), np.ones((600, 1), np.uint8)

    monkeypatch.setattr(cv2, "estimateAffinePartial2D", broken)
    monkeypatch.setattr(cv2, "estimateAffine2D", broken)
    picture = picture_of(photograph(0))
    assert all(found.inliers == 0 for found in alignments(picture, picture))


def test_places_are_counted_once() -> None:
    """Many features of one spot, as SIFT gives them, are one piece of evidence."""
    assert align._distinct(np.repeat(np.array([[0.5, 0.5], [0.2, 0.1]], np.float32), 30, axis=0)) == 2
