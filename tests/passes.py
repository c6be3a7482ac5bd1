"""An encoder that embeds windows by passes, without weights: it cuts them out of the picture of the pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from memaudit.encoders.thumbnail import ThumbnailEncoder

SIDE = 12


@dataclass(frozen=True)
class Crops:
    scheme: str = "crops"
    seen: list[tuple[tuple[int, int], int]] = field(default_factory=list, compare=False)  # size, windows: of each pass

    def encode(self, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        self.seen.append((picture.shape[1::-1], len(boxes)))
        image, encoder = Image.fromarray(picture), ThumbnailEncoder()
        return encoder.encode(np.stack([encoder.preprocess(image.crop(tuple(np.round(box)))) for box in boxes]))


@dataclass(frozen=True)
class PassEncoder(ThumbnailEncoder):
    regions: Crops = field(default_factory=Crops)
