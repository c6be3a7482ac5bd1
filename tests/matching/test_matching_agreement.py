"""How far two pictures agree where one lies on the other."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import photograph
from PIL import Image

from memaudit.matching.agreement import NONE, PATCH, agreement
from memaudit.matching.pictures import Picture, picture_of

AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])


@pytest.fixture(scope="module")
def photo() -> Picture:
    return picture_of(photograph(0))


def test_a_picture_agrees_with_itself_wholly(photo: Picture) -> None:
    found = agreement(photo, photo, AS_IT_IS)
    assert found.alike == 1
    assert found.all_alike == 1
    assert found.worst < 1e-6
    assert found.kept == 1
    assert (found.of_query, found.of_reference) == (1, 1)
    assert found.patches > 80


def test_brightness_and_contrast_do_not_count(photo: Picture) -> None:
    """For patches that agree; for the distance of pixels they do."""
    dull = picture_of(photograph(0).point(lambda value: value // 3 + 100))
    found = agreement(dull, photo, AS_IT_IS)
    assert found.alike > 0.95
    assert found.worst > 0.15


def test_a_negative_and_another_picture_do_not_agree(photo: Picture) -> None:
    for other in (photograph(0).point(lambda value: 255 - value), photograph(1)):
        found = agreement(picture_of(other), photo, AS_IT_IS)
        assert found.alike < 0.25
        assert not found.fits
        assert found.coloured == found.crossing == 0  # nobody looked


def test_what_agrees_has_its_colours_and_edges_looked_at(photo: Picture) -> None:
    found = agreement(photo, photo, AS_IT_IS)
    assert found.fits
    assert found.coloured == 1
    assert found.crossing > 0.1


def test_nothing_in_common_is_none(photo: Picture) -> None:
    """Beside the reference, a sliver of it, or far beyond."""
    for shift in (1.0, 0.99, -1.0, 40.0):
        assert agreement(photo, photo, np.array([[1.0, 0, shift], [0, 1, 0]])) == NONE
    assert NONE.evidence == NONE.all_alike == 0


def test_shares_are_those_of_the_geometry(photo: Picture) -> None:
    """The query at half its size in a corner of the reference: all of it, and a quarter of the other."""
    found = agreement(photo, photo, np.array([[0.5, 0, 0], [0, 0.5, 0]]))
    assert found.of_query == pytest.approx(1, abs=0.03)
    assert found.of_reference == pytest.approx(0.25, abs=0.01)


def test_a_plain_picture_says_nothing() -> None:
    """No patch of it shows anything, so none agrees: white pages are no copies of each other."""
    white = picture_of(Image.new("RGB", (300, 200), "white"))
    found = agreement(white, white, AS_IT_IS)
    assert (found.patches, found.edges, found.alike, found.all_alike) == (0, 0, 0, 0)
    assert found.worst == 0


def test_outlines_on_a_plain_ground_are_counted_apart() -> None:
    """A black square on white: what agrees is its edge."""
    page = Image.new("RGB", (256, 256), "white")
    page.paste((0, 0, 0), (70, 70, 186, 186))
    picture = picture_of(page)
    found = agreement(picture, picture, AS_IT_IS)
    assert found.patches == 0
    assert found.edges > 8
    assert found.edge_alike == found.all_alike == 1


def test_the_worst_tile_tells_a_change_in_one_place(photo: Picture) -> None:
    """Patched l2 (Carlini et al. 2023): what a mean over the whole picture would hide."""
    changed = photograph(0)
    changed.paste((255, 255, 255), (10, 10, 80, 80))
    found = agreement(picture_of(changed), photo, AS_IT_IS)
    assert found.worst > 0.25
    assert found.kept > 0.85
    whole = np.sqrt(((np.asarray(changed, float) - np.asarray(photograph(0), float)) ** 2).mean()) / 255
    assert whole < 0.15


def test_evidence_of_few_patches_weighs_less() -> None:
    """All of two patches is less than half of a hundred."""
    few, many = (NONE._replace(alike=share, patches=count) for share, count in ((1.0, 2), (0.5, 100)))
    assert few.evidence < many.evidence
    assert PATCH * 12 == 192
