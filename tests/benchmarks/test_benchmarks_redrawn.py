"""How pictures are drawn anew for the benchmark, and what its figures are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import draw, photograph, write_pictures

from benchmarks.redrawn.rates import average_precision, recalls

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from benchmarks.redrawn import autoencoder  # noqa: E402
from benchmarks.redrawn.autoencoder import CELL, CHANNELS, train  # noqa: E402
from benchmarks.redrawn.drawing import Patches, bend, with_motif  # noqa: E402


def test_bent_by_nothing_a_picture_stays_and_by_little_no_pixel_does() -> None:
    image, rng = photograph(1), np.random.default_rng(0)
    assert np.array_equal(np.asarray(bend(image, 0.0, rng)), np.asarray(image))
    bent = np.asarray(bend(image, 0.02, rng)).astype(int)
    assert np.mean(np.abs(bent - np.asarray(image)).max(axis=2) > 2) > 0.9
    assert bent.shape == np.asarray(image).shape


def test_a_motif_is_in_the_middle_and_not_at_the_rim() -> None:
    image, other = photograph(1), photograph(2)
    mixed = np.asarray(with_motif(image, other, np.random.default_rng(0)))
    from_image, from_other = (np.abs(mixed.astype(int) - np.asarray(each)).max(axis=2) for each in (image, other))
    assert from_image[[0, -1]].max() < 16
    assert 0.03 < (from_other < 8).mean() < 0.3


def test_patches_of_others_resemble_the_picture_more_than_its_neighbour(tmp_path: Path) -> None:
    files = sorted(write_pictures(tmp_path, range(6)).iterdir())
    patches = Patches(files, np.random.default_rng(0))
    image = draw(20, (256, 192))
    anew = np.asarray(patches.drawn(image)).astype(float)
    near, far = (np.abs(anew - np.asarray(each).astype(float)).mean() for each in (image, draw(21, (256, 192))))
    assert anew.shape == (192, 256, 3)
    assert near < far / 2


def test_the_auto_encoder_keeps_sides_and_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides are those asked for, in whole cells; a step of training changes what it draws, and equal ones alike."""
    monkeypatch.setattr(autoencoder, "_BATCH", 2)  # bfloat16 takes its time where there are no units for it
    pictures = np.stack([np.asarray(draw(seed, (144, 144))) for seed in range(4)])
    models = [train(pictures, steps) for steps in ([], [0.0], [0.0])]
    drawn = [model.drawn(draw(0, (256, 200)), 128, CHANNELS, 0.0, np.random.default_rng(0)) for model in models]
    assert drawn[0].size == (128, 12 * CELL)
    before, after, again = map(np.asarray, drawn)
    assert (before != after).any()
    assert np.array_equal(after, again)


def test_average_precision_is_the_mean_of_precision_at_each_hit() -> None:
    values, truth = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1.0, 0.0, 1.0, 0.0])
    assert average_precision(values, truth) == pytest.approx((1 + 2 / 3) / 2)


def test_recall_is_of_the_strengths_that_people_call_a_copy() -> None:
    rows = [
        {
            "redrawn": True,
            "strength": strength,
            "kind": "photograph",
            "way": "style",
            "similarity": 0.5,
            "source": str(strength),
        }
        for strength in range(4)
    ]
    figures = {figure.measure: figure for figure in recalls(rows, np.array([True, False, False, False]), "data")}
    assert figures["recall"].median == 0.5
    assert figures["recall, strength 3"].median == 0
    assert figures["recall, style"].count == 2
