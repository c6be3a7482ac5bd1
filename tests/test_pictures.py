"""The drawn pictures that the other tests rest on."""

import numpy as np
from pictures import altered, draw

from memaudit.encoders import load_encoder
from memaudit.encoders.thumbnail import SPEC


def test_drawn_pictures_differ_and_altered_ones_do_not() -> None:
    """To the thumbnail encoder no two seeds are near-duplicates, and every altered copy is one of its source."""
    encoder = load_encoder("thumbnail")
    pictures = [draw(seed) for seed in range(300)]
    originals = encoder.encode(np.stack([encoder.preprocess(picture) for picture in pictures]))
    copies = encoder.encode(np.stack([encoder.preprocess(altered(picture)) for picture in pictures]))
    similarity = originals @ copies.T
    assert similarity.diagonal().min() > SPEC.threshold
    np.fill_diagonal(similarity, 0)
    assert similarity.max() < 0.8 < SPEC.threshold


def test_a_seed_draws_one_picture() -> None:
    """The same seed draws the same pixels, in any size."""
    assert draw(3).tobytes() == draw(3).tobytes()
    assert draw(3, (40, 30)).size == (40, 30)
