"""Faces made unrecognisable in pictures that a report shows."""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from memaudit.encoders.sface import YUNET_FILE, face_weights
from memaudit.faces.find import FaceFinder

_EAGER = 0.3  # of the detector's score: better a blurred vase than a face
_MARGIN = 0.3  # of the box, on each side: hair and chin
_CELLS = 6  # squares a side that are left of a face


def face_blurrer() -> Callable[[Image.Image], Image.Image]:
    """A function that replaces every face it finds by a few squares. Not thread-safe.

    What the detector does not find is not blurred. Raises MissingDependencyError without OpenCV or the weights.
    """
    finder = FaceFinder(face_weights(YUNET_FILE), score=_EAGER)

    def blur(image: Image.Image) -> Image.Image:
        result = image.copy()
        for found in finder.find(image):
            left, top, width, height = found.details.box
            box = (
                max(0, round(left - _MARGIN * width)),
                max(0, round(top - _MARGIN * height)),
                min(image.width, round(left + (1 + _MARGIN) * width)),
                min(image.height, round(top + (1 + _MARGIN) * height)),
            )
            if box[0] < box[2] and box[1] < box[3]:
                squares = result.crop(box).resize((_CELLS, _CELLS), Image.Resampling.BOX)
                result.paste(squares.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.NEAREST), box)
        return result

    return blur
