"""What every encoder promises."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders.specs import EncoderFamily
from memaudit.types import EncoderSpec, Float32, Float64

REDUCED_JPEG = "large JPEGs decoded at a reduced scale, 5/4 of the size or more"


class Regions(Protocol):
    """Many parts of a picture from one pass over it, in the encoder's own space."""

    @property
    def scheme(self) -> str:
        """How it is done, as stores of windows keep it: what would give other embeddings has another name."""

    def encode(self, picture: NDArray[np.uint8], boxes: Float64) -> Float32:
        """Of an RGB picture (height, width, 3) the parts in boxes (n, 4), left, top, right, bottom in pixels: (n, dim)
        rows of length 1, which depend on the picture and the boxes alone. A part should have the encoder's side."""


class Encoder(Protocol):
    """Images to embeddings, in two steps. Both may be called by several threads at once."""

    @property
    def spec(self) -> EncoderSpec: ...

    @property
    def side(self) -> int:
        """The side that `preprocess` resizes to: JPEGs may come decoded down to 5/4 of that."""

    @property
    def callers(self) -> int:
        """How many threads should be in `encode` at once, so that the device is never idle."""

    @property
    def regions(self) -> Regions | None:
        """What makes embeddings of windows; None: each is encoded as a picture of its own."""

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        """One RGB image to one item: same shape and dtype for every image, no batch axis."""

    def encode(self, batch: NDArray[Any]) -> Float32:
        """Stacked items to (n, dim) float32 rows of length 1; a row depends on its own item alone.

        `sscd` and `thumbnail` keep that last promise bit for bit, the torch encoders up to float rounding.
        """


def spec_of(family: EncoderFamily) -> EncoderSpec:
    """The identity of the encoder of a family that has one alone: its dimension and preprocessing are fixed."""
    if not family.dim:
        raise ValueError(f"there is more than one encoder {family.name}")
    return EncoderSpec(
        name=family.name,
        weights_sha256=family.weights_sha256,
        preprocessing="; ".join(filter(None, (family.detection, family.preprocessing))),
        dim=family.dim,
        threshold=family.threshold,
        source=family.threshold_source,
    )


def unit_rows(rows: NDArray[Any]) -> Float32:
    """Divide each row of (n, dim) by its length; a row of zeros stays zero."""
    rows = np.asarray(rows, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    lengths[lengths == 0] = 1
    unit: Float32 = rows / lengths
    return unit
