"""The encoder without weights: a small normalised picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders.encoder import REDUCED_JPEG, unit_rows
from memaudit.types import EncoderSpec, Float32

SIDE = 12  # at equal false matches, 10 and 12 find more crops than 8, 16 or 24; 12 confuses fewer emoji
SPEC = EncoderSpec(
    name="thumbnail",
    weights_sha256="",
    preprocessing=f"RGB {SIDE}x{SIDE} Pillow bilinear, minus each channel's mean; {REDUCED_JPEG}",
    dim=SIDE * SIDE * 3,
    threshold=0.95,
    source=(
        "measured on 230 photographs and 872 emoji: JPEG 70, half size, warmer or brighter copies reach 0.95 in "
        "98.6-100 %, a centred 5 % crop in 97 % (photographs) and 84 % (emoji); of 26335 pairs of distinct "
        "photographs the highest is 0.931"
    ),
)


@dataclass(frozen=True)
class ThumbnailEncoder:
    """Finds recompressed, resized and lightly recoloured copies; no flips, overlays or off-centre crops.

    Runs on the CPU whatever the device. An image whose every channel is flat has no direction: its row is
    zero, so that it matches nothing (callers set such images aside as blank).
    """

    spec: EncoderSpec = SPEC
    side: int = SIDE
    callers: int = 1

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        """RGB image to (SIDE, SIDE, 3) uint8; Pillow's resize averages over all source pixels."""
        return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))

    def encode(self, batch: NDArray[np.uint8]) -> Float32:
        pixels = batch.astype(np.float32)
        # Per channel, because a colour cast shifts the channels apart and says nothing about the content.
        return unit_rows((pixels - pixels.mean(axis=(1, 2), keepdims=True)).reshape(len(batch), SPEC.dim))
