"""Views that are windows of a picture, embedded by one pass over it for each size of window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders import Encoder
from memaudit.encoders.encoder import Regions
from memaudit.images.decode import is_blank
from memaudit.images.views import View
from memaudit.types import Float32, Float64


class Pass(NamedTuple):
    """An RGB picture (height, width, 3), brought to where its windows have the encoder's side; `boxes` (n, 4) of these,
    left, top, right, bottom in its pixels, and the `places` of their views."""

    picture: NDArray[np.uint8]
    boxes: Float64
    places: list[int]

    def encoded(self, regions: Regions) -> Float32:
        """The windows' embeddings (n, dim)."""
        return regions.encode(self.picture, self.boxes)


def scheme_of(encoder: Encoder, views: Sequence[View]) -> str:
    """How windows among these views are made, empty: each is encoded as a picture of its own."""
    return encoder.regions.scheme if encoder.regions and any(view.window for view in views) else ""


class SeenViews(NamedTuple):
    """Those views of an image that have content, by their places: items for the encoder, or `passes` that show them."""

    items: dict[int, NDArray[Any]]
    passes: list[Pass]

    @property
    def places(self) -> set[int]:
        return {*self.items, *(place for each in self.passes for place in each.places)}


def seen_views(image: Image.Image, views: Sequence[View], encoder: Encoder) -> SeenViews:
    """Make views of an RGB image; one of a single colour (the sky beside a tower) is left out."""
    items: dict[int, NDArray[Any]] = {}
    in_passes: dict[float, list[int]] = {}
    for place, view in enumerate(views):
        part = view.apply(image)
        if is_blank(part):
            continue
        if encoder.regions is not None and view.window is not None:
            in_passes.setdefault(view.part, []).append(place)
        else:
            items[place] = encoder.preprocess(part)
    return SeenViews(items, [_pass(image, views, places, encoder.side) for places in in_passes.values()])


def _pass(image: Image.Image, views: Sequence[View], places: list[int], side: int) -> Pass:
    """That of windows of one size: the image is scaled as if each of them were brought to a square of `side`."""
    boxes = np.array([window.box(image.size) for place in places if (window := views[place].window)], np.float64)
    scale = side / (boxes[0, 2:] - boxes[0, :2])
    width, height = (round(length) for length in scale * image.size)
    picture = image.resize((width, height), Image.Resampling.BILINEAR)
    return Pass(np.asarray(picture), boxes * np.tile(np.divide(picture.size, image.size), 2), places)
