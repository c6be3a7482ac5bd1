"""A small convolutional auto-encoder of pictures: `python -m benchmarks.redrawn.autoencoder FIT OUT [MINUTES]`.

FIT is a folder with the part of that name, of whose pictures it is trained. Any number of its `CHANNELS` may be used,
the first ones (nested dropout: Rippel, Gelbart & Adams, ICML 2014): with few, and with noise on them, composition and
objects stay and details are made up. Nothing else that a model draws anew was trained here; no weights are kept.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.copies.made import made_in
from benchmarks.copies.split import CLEAN, REFERENCE
from scripts.alterations import read_rgb

CHANNELS, CELL = 32, 8  # numbers for each cell of so many pixels a side
_SIDE, _SHIFTS = 128, 16  # pixels that it is trained at, and more from which these are cut
_BATCH, _RATE, _MINUTES = 32, 2e-3, 15.0
_FEW, _NOISE = 8, 0.1
_WIDE, _NARROW, _GROUPS = 128, 64, 8


class _Residual(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolution = (torch.nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        norm = torch.nn.GroupNorm(_GROUPS, channels)
        self.change = torch.nn.Sequential(norm, torch.nn.SiLU(), next(convolution), torch.nn.SiLU(), next(convolution))

    def forward(self, cells: Any) -> Any:
        return cells + self.change(cells)


def _residuals(channels: int) -> list[torch.nn.Module]:
    return [_Residual(channels), _Residual(channels)]


class Autoencoder(torch.nn.Module):  # type: ignore[misc]
    """Batches (n, 3, height, width), -1 to 1, with sides that `CELL` divides, to (n, CHANNELS, height / CELL, width /
    CELL), -1 to 1, and back."""

    def __init__(self) -> None:
        super().__init__()
        layer = torch.nn.Conv2d
        self.encoder = torch.nn.Sequential(
            torch.nn.PixelUnshuffle(4),
            layer(48, _NARROW, 3, padding=1),
            *_residuals(_NARROW),
            layer(_NARROW, _WIDE, 3, stride=2, padding=1),
            *_residuals(_WIDE),
            layer(_WIDE, CHANNELS, 1),
            torch.nn.Tanh(),
        )
        self.decoder = torch.nn.Sequential(
            layer(CHANNELS, _WIDE, 3, padding=1),
            *_residuals(_WIDE),
            torch.nn.Upsample(scale_factor=2),
            layer(_WIDE, _NARROW, 3, padding=1),
            *_residuals(_NARROW),
            layer(_NARROW, 48, 3, padding=1),
            torch.nn.PixelShuffle(4),
        )

    def drawn(
        self, image: Image.Image, side: int, channels: int, noise: float, rng: np.random.Generator
    ) -> Image.Image:
        """An RGB picture, drawn anew where its longer side has about `side` pixels, by so many channels. noise: its
        standard deviation, in those of the numbers."""
        scale = side / max(image.size)
        width, height = (max(4, round(length * scale / CELL)) * CELL for length in image.size)
        pixels = np.array(image.resize((width, height), Image.Resampling.LANCZOS))
        with torch.inference_mode():
            numbers = self.encoder(_as_batch(pixels[None]))
            numbers[:, channels:] = 0
            numbers += noise * numbers.std() * torch.from_numpy(rng.normal(size=numbers.shape).astype(np.float32))
            back = self.decoder(numbers)[0].permute(1, 2, 0).clamp(-1, 1).numpy()
        return Image.fromarray(np.rint((back + 1) * 127.5).astype(np.uint8))


def train(pictures: NDArray[np.uint8], steps: Iterable[float], seed: int = 0) -> Autoencoder:
    """Of pictures (n, side, side, 3). steps: how much of the training is done before each of them, 0 to 1."""
    torch.manual_seed(seed)
    model = Autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), _RATE)
    for done in steps:
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (0.52 + 0.5 * math.cos(math.pi * done))
        loss = _loss(model, _batch(pictures))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    return model


def _for_minutes(minutes: float) -> Iterator[float]:
    """How much of the time is over. How far training comes in it depends on the machine."""
    begun = time.perf_counter()
    while (done := (time.perf_counter() - begun) / (60 * minutes)) < 1:
        yield done


def _batch(pictures: NDArray[np.uint8]) -> Any:
    chosen = torch.randint(len(pictures), (_BATCH,)).numpy()
    top, left = torch.randint(_SHIFTS + 1, (2,)).tolist()
    batch = _as_batch(pictures[chosen, top : top + _SIDE, left : left + _SIDE])
    return batch.flip(3) if torch.rand(()) < 0.5 else batch


def _loss(model: Autoencoder, batch: Any) -> Any:
    """Absolute differences of pixels, and of their differences to the next ones."""
    few, any_ = torch.randint(1, _FEW + 1, (_BATCH, 1, 1, 1)), torch.randint(1, CHANNELS + 1, (_BATCH, 1, 1, 1))
    used = torch.where(torch.rand(_BATCH, 1, 1, 1) < 0.5, few, any_)
    with torch.autocast("cpu", torch.bfloat16):
        numbers = model.encoder(batch) * (torch.arange(CHANNELS)[None, :, None, None] < used)
        back = model.decoder(numbers + _NOISE * torch.randn_like(numbers))
    wrong = back.float() - batch
    return wrong.abs().mean() + 0.5 * (wrong.diff(dim=2).abs().mean() + wrong.diff(dim=3).abs().mean())


def _as_batch(pixels: NDArray[np.uint8]) -> Any:
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


def pictures_of(fit: Path) -> NDArray[np.uint8]:
    """Those of a part that are no copies, each of `_SIDE + _SHIFTS` pixels a side."""
    side = _SIDE + _SHIFTS
    files = sorted({one.file for one in made_in(fit, ()) if one.role in (CLEAN, REFERENCE)})
    return np.stack([np.asarray(read_rgb(file).resize((side, side), Image.Resampling.LANCZOS)) for file in files])


def main(fit: str, out: str, minutes: str = str(_MINUTES)) -> None:
    """Train, and write the weights to `OUT`."""
    torch.save(train(pictures_of(Path(fit)), _for_minutes(float(minutes))).state_dict(), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
