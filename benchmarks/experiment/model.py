"""A small text-to-image diffusion model in plain torch: pictures of 64 x 64, captions as bags of hashed words.

A caption becomes a sketch first, a picture of 16 x 16 by regression, as a prior stands before a decoder (Ramesh et al.
2022); what it costs is nothing beside the rest, and without it two processor cores need hours to learn any picture.
Under the sketch a U-net over cells of 4 x 4 pixels predicts the velocity (Salimans & Ho, ICLR 2022) under a cosine
schedule (Nichol & Dhariwal, ICML 2021); a tenth of the captions is left out in training, and drawing is guided (Ho &
Salimans 2022) along the deterministic path of DDIM (Song et al., ICLR 2021).
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch

SIDE = 64
STEPS, BATCH = 5000, 32  # of training
GUIDANCE, DRAWN_IN = 2.0, 25  # strength, and steps
_CELL, _WIDE, _DEEP, _GROUPS = 4, 96, 192, 8
_CELLS = SIDE // _CELL
_WORDS, _TOLD = 8192, 256  # hashed words, and width of what a block is told of time and caption
_SKETCHED = 12  # numbers that the caption puts into each cell; the first three are its colour
_NOISIER = 0.7  # exponent of the times trained on: below 1 more are near noise, where layout is decided


def words_of(caption: str) -> list[int]:
    """Numbers of its words and of its pairs of neighbouring words, 1 on; of none, 0 alone."""
    words = re.findall(r"\w+", caption.lower())
    terms = [*words, *(f"{one} {next_}" for one, next_ in pairwise(words))]
    hashed = (int.from_bytes(hashlib.sha256(term.encode()).digest()[:4], "big") for term in terms)
    return [1 + number % (_WORDS - 1) for number in hashed] or [0]


class _Block(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = torch.nn.ModuleList(torch.nn.GroupNorm(_GROUPS, channels) for _ in range(2))
        self.layers = torch.nn.ModuleList(torch.nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.told = torch.nn.Linear(_TOLD, 2 * channels)
        torch.nn.init.zeros_(self.layers[1].weight)

    def forward(self, cells: Any, told: Any) -> Any:
        scale, shift = self.told(told)[:, :, None, None].chunk(2, dim=1)
        inner = self.layers[0](torch.nn.functional.silu(self.norms[0](cells)))
        inner = self.norms[1](inner) * (1 + scale) + shift
        return cells + self.layers[1](torch.nn.functional.silu(inner))


class _Attention(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.GroupNorm(_GROUPS, channels)
        self.inner = torch.nn.MultiheadAttention(channels, 4, batch_first=True)

    def forward(self, cells: Any) -> Any:
        row = self.norm(cells).flatten(2).transpose(1, 2)
        return cells + self.inner(row, row, row, need_weights=False)[0].transpose(1, 2).reshape(cells.shape)


class Denoiser(torch.nn.Module):  # type: ignore[misc]
    """noisy (n, 3, 64, 64), time (n,) from 0, no noise, to 1, noise alone, and captions as (words, offsets) of
    `batch_of`, to velocities (n, 3, 64, 64)."""

    def __init__(self) -> None:
        super().__init__()
        layer, cell = torch.nn.Conv2d, 3 * _CELL**2
        self.words = torch.nn.EmbeddingBag(_WORDS, _TOLD, mode="mean")
        torch.nn.init.normal_(self.words.weight, std=2.0)  # a mean of several is about 1
        self.told = torch.nn.Sequential(
            torch.nn.Linear(2 * _TOLD, _TOLD), torch.nn.SiLU(), torch.nn.Linear(_TOLD, _TOLD), torch.nn.SiLU()
        )
        self.sketch = torch.nn.Linear(_TOLD, _SKETCHED * _CELLS**2)
        self.places = torch.nn.ParameterList(
            torch.nn.Parameter(0.3 * torch.randn(channels, side, side))
            for channels, side in ((_WIDE, _CELLS), (_DEEP, _CELLS // 2))
        )
        self.into = layer(cell + _SKETCHED, _WIDE, 3, padding=1)
        self.down = layer(_WIDE, _DEEP, 3, stride=2, padding=1)
        self.first, self.last = _Block(_WIDE), _Block(_WIDE)
        self.middle = torch.nn.ModuleList(_Block(_DEEP) for _ in range(3))
        self.attention = _Attention(_DEEP)
        self.up, self.join = layer(_DEEP, _WIDE * 4, 1), layer(2 * _WIDE, _WIDE, 1)
        self.out = torch.nn.Sequential(torch.nn.GroupNorm(_GROUPS, _WIDE), torch.nn.SiLU(), layer(_WIDE, cell, 1))

    def forward(self, noisy: Any, time: Any, captions: tuple[Any, Any]) -> Any:
        return self.predicted(noisy, time, self.words(*captions))

    def predicted(self, noisy: Any, time: Any, words: Any) -> Any:
        """words: what a caption is to the model, (n, 256)."""
        told, sketch = self.told(torch.cat([_waves(time), words], dim=1)), self._sketch(words)
        cells = torch.cat([torch.nn.functional.pixel_unshuffle(noisy, _CELL), sketch.to(noisy.dtype)], dim=1)
        fine = self.first(self.into(cells) + self.places[0], told)
        coarse = self.attention(self.middle[0](self.down(fine) + self.places[1], told))
        for block in self.middle[1:]:
            coarse = block(coarse, told)
        fine = self.join(torch.cat([fine, torch.nn.functional.pixel_shuffle(self.up(coarse), 2)], dim=1))
        return torch.nn.functional.pixel_shuffle(self.out(self.last(fine, told)), _CELL)

    def colours(self, captions: tuple[Any, Any]) -> Any:
        """The sketch as a picture (n, 3, 16, 16)."""
        return self._sketch(self.words(*captions))[:, :3]

    def _sketch(self, words: Any) -> Any:
        return self.sketch(words).view(-1, _SKETCHED, _CELLS, _CELLS)


def batch_of(captions: Sequence[str], device: Any = "cpu") -> tuple[Any, Any]:
    """Words of all captions one after the other, and where each caption begins."""
    listed = [words_of(caption) for caption in captions]
    starts = [0]
    for words in listed[:-1]:
        starts.append(starts[-1] + len(words))
    return torch.tensor([word for words in listed for word in words]).to(device), torch.tensor(starts).to(device)


def device_of(model: Denoiser) -> Any:
    return model.places[0].device


def shares(time: Any) -> tuple[Any, Any]:
    """Of picture and of noise at times (n,), each (n, 1, 1, 1); their squares sum to one."""
    angle = (time * math.pi / 2)[:, None, None, None]
    return angle.cos(), angle.sin()


def loss_of(model: Denoiser, pictures: Any, captions: tuple[Any, Any]) -> Any:
    """pictures: on the processor, where noise is drawn whatever the model's device: it is the same on any."""
    time, noise = torch.rand(len(pictures)) ** _NOISIER, torch.randn_like(pictures)
    device = device_of(model)
    time, noise, pictures = time.to(device), noise.to(device), pictures.to(device)
    of_picture, of_noise = shares(time)
    with torch.autocast(device.type, torch.bfloat16):
        told = model(of_picture * pictures + of_noise * noise, time, captions)
    return (told.float() - (of_picture * noise - of_noise * pictures)).pow(2).mean()


def sketch_loss_of(model: Denoiser, pictures: Any, captions: tuple[Any, Any]) -> Any:
    small = torch.nn.functional.avg_pool2d(pictures.to(device_of(model)), _CELL)
    return (model.colours(captions) - small).pow(2).mean()


class Around(NamedTuple):
    """What stands already: pictures (n, 3, 64, 64), -1 to 1; paint (n, 1, 64, 64): 1 where the model paints, else 0."""

    pictures: Any
    paint: Any


def draw(model: Denoiser, captions: Sequence[str], seeds: Sequence[int], around: Around | None = None) -> Any:
    """Pictures (n, 3, 64, 64), -1 to 1, on the processor: each follows from its caption and its seed alone, and from
    what stands around it."""
    with torch.inference_mode():
        return draw_by(model, model.words(*batch_of(captions, device_of(model))), seeds, around)


def draw_by(
    model: Denoiser, words: Any, seeds: Sequence[int], around: Around | None = None, guidance: float = GUIDANCE
) -> Any:
    """By what captions are to the model, (n, 256). What stands around is put back at each step, under the noise that it
    began with (RePaint, Lugmayr et al., CVPR 2022, without its resampling)."""
    device = device_of(model)
    first = noise_of(seeds).to(device)
    with torch.inference_mode():
        cells, untold = first, model.words(*batch_of([""] * len(seeds), device))
        for now, next_ in pairwise(torch.linspace(1, 0, DRAWN_IN + 1).to(device)):
            time = now.repeat(len(cells))
            without = model.predicted(cells, time, untold)
            velocity = without + guidance * (model.predicted(cells, time, words) - without)
            of_picture, of_noise = shares(time)
            picture = (of_picture * cells - of_noise * velocity).clamp(-1, 1)
            noise_ = (cells - of_picture * picture) / of_noise
            of_picture, of_noise = shares(next_.repeat(len(cells)))
            cells = of_picture * picture + of_noise * noise_
            if around is not None:
                there = of_picture * around.pictures.to(device) + of_noise * first
                cells = torch.where(around.paint.to(device) > 0, cells, there)
    return cells.clamp(-1, 1).cpu()


def noise_of(seeds: Sequence[int]) -> Any:
    """(n, 3, 64, 64), on the processor."""
    return torch.stack([torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def moved(model: Denoiser, captions: Sequence[str], seeds: Sequence[int]) -> Any:
    """How far the first prediction moves by the caption (n,): Wen et al., ICLR 2024, as a mean over four noises."""
    total: Any = 0.0
    device = device_of(model)
    with torch.inference_mode():
        for number in range(4):
            cells = noise_of([seed + number for seed in seeds]).to(device)
            time = torch.ones(len(seeds), device=device)
            told, untold = (model(cells, time, batch_of(of, device)) for of in (captions, [""] * len(captions)))
            total += (told - untold).flatten(1).norm(dim=1) / 4
    return total.cpu()


def _waves(time: Any) -> Any:
    rates = torch.exp(torch.linspace(0, math.log(1000), _TOLD // 2)).to(time.device)
    angles = time[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
