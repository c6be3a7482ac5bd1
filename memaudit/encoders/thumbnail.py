"""The encoder without weights: a small normalised picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders.encoder import spec_of, unit_rows
from memaudit.encoders.specs import families
from memaudit.types import EncoderSpec, Float32

_FAMILY = families()["thumbnail"]
SPEC, SIDE = spec_of(_FAMILY), _FAMILY.side


@dataclass(frozen=True)
class ThumbnailEncoder:
    """Finds recompressed, resized and lightly recoloured copies; no flips, overlays or off-centre crops.

    Runs on the CPU whatever the device. An image whose every channel is flat has no direction: its row is
    zero, so that it matches nothing (callers set such images aside as blank).
    """

    spec: EncoderSpec = SPEC
    side: int = SIDE
    callers: int = 1
    regions: None = None

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """RGB image to (SIDE, SIDE, 3) uint8; Pillow's resize averages over all source pixels."""
        return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def encode(self, batch: NDArray[np.uint8]) -> Float32:
        pixels = batch.astype(np.float32)
        # Per channel, because a colour cast shifts the channels apart and says nothing about the content.
        return unit_rows((pixels - pixels.mean(axis=(1, 2), keepdims=True)).reshape(len(batch), SPEC.dim))
