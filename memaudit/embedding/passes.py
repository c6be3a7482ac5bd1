"""Views that are windows of a picture, embedded by one pass over it for each size of window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders import Encoder
from memaudit.encoders.encoder import Regions
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


def seen_in_passes(encoder: Encoder, views: Sequence[View]) -> list[bool]:
    """Which of these views are windows that the encoder makes without encoding each."""
    return [encoder.regions is not None and view.window is not None for view in views]


def passes(image: Image.Image, views: Sequence[View], places: Sequence[int], side: int) -> Iterator[Pass]:
    """Those that the views at `places`, all windows, take: one for each size, at which it is as if every window were
    brought to a square of `side`."""
    by_part: dict[float, list[int]] = {}
    for place in places:
        by_part.setdefault(views[place].part, []).append(place)
    for of_part in by_part.values():
        boxes = np.array([window.box(image.size) for place in of_part if (window := views[place].window)], np.float64)
        scale = side / (boxes[0, 2:] - boxes[0, :2])
        size = tuple(round(length) for length in scale * image.size)
        picture = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
        yield Pass(np.asarray(picture), boxes * np.tile(np.divide(size, image.size), 2), of_part)
