"""Views that are windows: which are shown by a pass, over a picture of which size."""

import numpy as np
import pytest
from passes import SIDE, PassEncoder
from pictures import draw
from PIL import Image

from memaudit.embedding.passes import scheme_of, seen_views
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.images.views import details, tiles, views_of

ALL = views_of("all")


def test_windows_of_one_size_are_shown_by_one_pass() -> None:
    """The whole picture and what is turned are encoded each by itself, and so is everything without such an encoder."""
    seen = seen_views(draw(1, (600, 400)), (*ALL, *details()), PassEncoder())
    turned = [place for place, view in enumerate(ALL) if view.window is None]
    assert list(seen.items) == turned
    assert [len(each.places) for each in seen.passes] == [9, len(seen.places) - len(turned) - 9]
    plain = seen_views(draw(1, (600, 400)), (*ALL, *details()), ThumbnailEncoder())
    assert (set(plain.items), plain.passes) == (seen.places, [])


@pytest.mark.parametrize(
    ("size", "of_tiles", "of_details"),
    [
        ((600, 400), (24, 24), (72, 48)),
        ((400, 600), (24, 24), (48, 72)),
        ((599, 401), (24, 24), (72, 48)),
        ((1200, 90), (24, 24), (72, 12)),  # lower than a detail is wide
        ((60, 60), (24, 24), (72, 72)),
    ],
)
def test_each_window_of_the_pass_has_the_encoders_side(
    size: tuple[int, int], of_tiles: tuple[int, int], of_details: tuple[int, int]
) -> None:
    """As it would have alone. A tile is squeezed to a square, a detail is one."""
    for views, expected in ((tiles(), of_tiles), (details(), of_details)):
        (made,) = seen_views(draw(2, size), views, PassEncoder()).passes
        height, width, _ = made.picture.shape
        assert (width, height) == expected
        sides = made.boxes[:, 2:] - made.boxes[:, :2]
        np.testing.assert_allclose(sides, SIDE, atol=0.5)
        assert made.boxes.min() == 0
        np.testing.assert_allclose(made.boxes[:, 2:].max(axis=0), expected)


def test_a_window_is_where_its_view_is() -> None:
    """The pass shows there what the view would have shown by itself."""
    image, encoder = draw(3, (720, 480)), PassEncoder()
    (made,) = seen_views(image, tiles(), encoder).passes
    views = [encoder.preprocess(tiles()[place].apply(image)) for place in made.places]
    similarity = made.encoded(encoder.regions) @ encoder.encode(np.stack(views)).T
    assert similarity.diagonal().min() > 0.98
    assert (similarity.argmax(axis=1) == np.arange(9)).all()


def test_windows_without_content_are_in_no_pass() -> None:
    image = Image.new("RGB", (400, 400), "white")
    image.paste(draw(1, (100, 100)), (300, 300))
    (made,) = seen_views(image, tiles(), PassEncoder()).passes
    assert (made.places, len(made.boxes)) == ([8], 1)
    assert seen_views(Image.new("RGB", (40, 40), "white"), tiles(), PassEncoder()).passes == []


def test_the_scheme_is_named_where_there_are_windows() -> None:
    encoder = PassEncoder()
    assert [scheme_of(encoder, views) for views in (tiles(), ALL, ALL[:3])] == ["crops", "crops", ""]
    assert scheme_of(ThumbnailEncoder(), tiles()) == ""
