"""What lies where in a picture, and what two pictures have in common there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw, photograph

from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.weights import find_sscd
from memaudit.matching.layout import (
    LEAST_SHADING,
    SIGNALS,
    SKETCHED,
    Layout,
    framed,
    layout_of,
    signals_of_layouts,
    sketch_of,
    sketched_signals,
)

Pixels = np.ndarray
needs_sscd = pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd")


def picture(seed: int) -> Pixels:
    return np.asarray(photograph(seed, (256, 192)))


def drawn_anew(pixels: Pixels) -> Pixels:
    """Softened, in other colours, and each part moved a little: no pixel is kept."""
    soft = cv2.GaussianBlur(pixels, (0, 0), 3)
    rows, columns = np.mgrid[: soft.shape[0], : soft.shape[1]].astype(np.float32)
    bent = cv2.remap(soft, columns + 4 * np.sin(rows / 25), rows + 4 * np.cos(columns / 30), cv2.INTER_LINEAR)
    return np.clip(bent * [0.8, 0.9, 1.0] + [20, 0, 10], 0, 255).astype(np.uint8)


def test_a_picture_has_all_in_common_with_itself() -> None:
    sketch = sketch_of(picture(1))
    signals = dict(zip(SKETCHED, sketched_signals(sketch, sketch), strict=True))
    assert signals.pop("shading") > LEAST_SHADING
    assert signals == pytest.approx(dict.fromkeys(signals, 1.0), abs=0.02)


def test_drawings_in_plain_colours_are_told_from_photographs() -> None:
    """Whatever their shapes; a photograph is one in grey too."""
    flat = np.full((192, 256, 3), 255, np.uint8)
    cv2.circle(flat, (128, 96), 60, (250, 200, 0), -1)
    cv2.rectangle(flat, (60, 20), (200, 50), (0, 90, 200), -1)
    grey = np.repeat(picture(2).mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    shading = [sketched_signals(sketch_of(each), sketch_of(each))[-1] for each in (flat, picture(2), grey)]
    assert [each >= LEAST_SHADING for each in shading] == [False, True, True]


@pytest.mark.parametrize("seed", range(4))
def test_drawn_anew_it_has_more_in_common_than_another_picture(seed: int) -> None:
    """Light, colours and edges, each by itself."""
    own, anew, other = picture(seed), drawn_anew(picture(seed)), picture(seed + 10)
    near, far = (sketched_signals(sketch_of(each), sketch_of(own))[:4] for each in (anew, other))
    assert (near > far + 0.1).all(), (near, far)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.tuples(st.integers(20, 300), st.integers(20, 300)))
def test_signals_are_correlations_and_know_no_order(one: int, other: int, size: tuple[int, int]) -> None:
    own, another = sketch_of(np.asarray(draw(one, size))), sketch_of(np.asarray(draw(other)))
    there, back = (sketched_signals(*pair)[:4] for pair in ((own, another), (another, own)))
    assert there == pytest.approx(back, abs=1e-6)
    assert (np.abs(there) <= 1 + 1e-6).all()


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_of_plain_pictures_nothing_is_said(grey: int) -> None:
    """No light, no colour and no edge in common, and no division by nothing."""
    plain = sketch_of(np.full((64, 64, 3), grey, np.uint8))
    assert sketched_signals(plain, plain)[:4] == pytest.approx(np.zeros(4), abs=1e-6)


@given(st.tuples(st.integers(1, 99), st.integers(1, 99)), st.tuples(st.integers(1, 99), st.integers(1, 99)))
def test_framed_is_the_middle_in_the_shape_of_another(size: tuple[int, int], other: tuple[int, int]) -> None:
    pixels = np.arange(size[0] * size[1] * 3).reshape(*size, 3).astype(np.uint8)
    cut = framed(pixels, other)
    assert cut.shape[0] == size[0] or cut.shape[1] == size[1]
    assert 1 <= cut.shape[0] <= size[0]
    assert 1 <= cut.shape[1] <= size[1]
    height, width = cut.shape[:2]
    assert abs(width * other[0] - height * other[1]) <= max(other) or 1 in (height, width)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    assert (cut == pixels[top : top + height, left : left + width]).all()


@needs_sscd
def test_layouts_of_an_encoder() -> None:
    """Shapes; a picture drawn anew is alike in the same places, another one is not, nor is its mirror image."""
    regions = load_encoder("sscd").regions
    assert regions is not None
    own, anew, other = (layout_of(each, regions) for each in (picture(3), drawn_anew(picture(3)), picture(13)))
    assert [each.shape for each in own] == [(9, 512), (16, 512), (64, 512)]
    itself, near, far = (signals_of_layouts(own, each) for each in (own, anew, other))
    assert itself[1] == pytest.approx(1 / 1.1, abs=1e-4)
    assert (itself >= near - 0.05).all()
    assert (near > far + 0.05).all(), (near, far)
    assert len(itself) + len(SKETCHED) == len(SIGNALS)


def test_contrast_is_of_the_same_places_against_all_others() -> None:
    """As a sum over all pairs of ninths says it."""
    rng = np.random.default_rng(0)
    one, other = (Layout(*(unit(rng.normal(size=(n, 12))) for n in (9, 16, 64))) for _ in range(2))
    alike = one.thirds @ other.thirds.T
    expected = np.mean([alike[i, i] - np.delete(alike[i], i).mean() for i in range(9)])
    parts = max(0.0, np.mean([own @ another for own, another in zip(one.quarters, other.quarters, strict=True)]))
    assert signals_of_layouts(one, other)[0] == pytest.approx(expected / (parts + 0.1), abs=1e-6)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
