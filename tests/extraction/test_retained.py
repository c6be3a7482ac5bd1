"""Ranks of searched pictures: as rare as they say, and simple pictures no nearer for that."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import draw
from PIL import ImageFilter

from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.extraction.repeated import one_of_each
from memaudit.extraction.retained import Searched, held_out_for, least_together, nearest_drawing, ranked


def searched(name: str, loss: float, simplicity: float = 0.3) -> Searched:
    return Searched(name, "", "", simplicity, 1.0, loss)


def test_rank_p_and_q_are_counted():
    held_out = [searched(f"{n}", 0.5 + n / 100) for n in range(19)]
    first, last = ranked([searched("far", 2.0), searched("near", 0.1)], held_out)
    assert (first.picture.image_id, first.rank, first.p, first.q) == ("near", 1, 0.05, 0.1)
    assert (last.picture.image_id, last.rank, last.p, last.q) == ("far", 20, 1.0, 1.0)
    assert not first.retained
    (alone,) = ranked([searched("near", 0.1)], held_out)
    assert alone.retained


def test_a_tie_is_no_better_rank():
    held_out = [searched(f"{n}", 0.5) for n in range(19)]
    (found,) = ranked([searched("alike", 0.5)], held_out)
    assert (found.rank, found.p) == (20, 1.0)


def test_a_simple_picture_is_judged_beside_simple_ones():
    """Any model predicts it well: its loss is the least of all, and no sign of anything."""
    rng = np.random.default_rng(0)
    simple = rng.uniform(0, 1, 40)
    held_out = [searched(f"{n}", float(np.exp(-2 * s + 0.1 * rng.normal())), s) for n, s in enumerate(simple)]
    (found,) = ranked([searched("logo", float(np.exp(-2.0)), 1.0)], held_out)
    assert found.picture.loss < min(each.loss for each in held_out)
    assert found.p > 0.2
    (known,) = ranked([searched("known", float(np.exp(-1.5)), 0.3)], held_out)
    assert known.rank == 1


def test_false_alarms_are_as_rare_as_they_say():
    """2,000 pictures that no model saw, each among 19 others like it: p of 0.05 in a twentieth, and all ranks alike."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(2000):
        simple, noise = rng.beta(2, 5, 20), rng.normal(0, 0.3, 20)
        all_ = [searched("", float(np.exp(-s + e)), s) for s, e in zip(simple, noise, strict=True)]
        found.append(ranked(all_[:1], all_[1:])[0].rank)
    assert np.mean(np.array(found) == 1) == pytest.approx(0.05, abs=0.015)
    assert np.mean(found) == pytest.approx(10.5, abs=0.4)


def test_the_nearest_drawing_is_found():
    picture = draw(1)
    place, distance = nearest_drawing(picture, [draw(2), picture.filter(ImageFilter.GaussianBlur(1)), draw(3)])
    assert place == 1
    assert 0 < distance < 0.15


@pytest.mark.parametrize("listed", [1, 2, 7, 50])
def test_how_many_held_out_pictures_let_a_single_one_be_found(listed):
    """One fewer does not."""
    for count, alone in ((held_out_for(listed), True), (held_out_for(listed) - 1, False)):
        others = [searched(f"{n}", 0.5 + n / 100) for n in range(count)]
        found = ranked([searched("near", 0.1), *(searched(f"far {n}", 900.0) for n in range(listed - 1))], others)
        assert found[0].retained is alone
        assert (least_together(listed, count) == 1) is alone


def test_without_a_loss_there_is_no_rank():
    with pytest.raises(ValueError, match="no rank"):
        ranked([searched("near", 0.1)], [searched("overflows", float("nan"))])


def test_near_duplicates_are_one_picture():
    small = ThumbnailEncoder()
    first, other = draw(1), draw(2)
    pictures = [first, other, first.resize((70, 70)), first.filter(ImageFilter.GaussianBlur(1))]
    thumbnails = small.encode(np.stack([small.preprocess(each) for each in pictures]))
    assert sorted(one_of_each(thumbnails).tolist()) == [0, 1]
