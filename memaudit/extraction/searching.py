"""A short search for a conditioning by which a diffusion model gives a picture back, whatever the prompt.

A few free vectors stand where a caption's embedding would, and are fitted to the model's own training loss on the one
picture. What they reach is told on noises that none was fitted to; then the model may draw by them, from a few noises.
Budget, starts and noises are the same for every picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from PIL import Image

_AT_ONCE = 4  # noisy versions of the picture in a step
_STRIDE = 0.05  # of a step, in the spread of the embedding's values
_CHECKS = 16  # noisy versions, none of which was fitted to, by which the loss is told


@dataclass(frozen=True)
class Budget:
    """What is spent on each picture. steps: of fitting; vectors: free ones, each as wide as a token's; draws: noises
    that listed pictures are drawn from; seed: of all of them."""

    steps: int = 100
    vectors: int = 8
    draws: int = 4
    seed: int = 0


class Searchable(Protocol):
    """What a search needs of a diffusion model, in tensors of torch on the model's device."""

    @property
    def side(self) -> int:
        """Pixels of the side of the pictures that it draws."""

    @property
    def start(self) -> Any:
        """What it is told by the empty prompt, (1, vectors, width)."""

    def seen(self, picture: Image.Image) -> Any:
        """An RGB picture of `side` pixels as the model predicts it, (1, ...)."""

    def loss(self, seen: Any, told: Any, times: Any, noise: Any) -> Any:
        """Mean squared error of its predictions of one picture. times: how noisy, (n,) from 0 to 1; noise: (n, ...);
        both on the processor."""

    def draw(self, told: Any, seeds: list[int]) -> list[Image.Image]:
        """A picture from the noise of each seed, by the prediction alone, without guidance."""


class Reached(NamedTuple):
    """What a search came to. loss_before, loss: mean squared error of the model's prediction, by the empty prompt and
    by what was found. found: the vectors, a tensor (1, vectors, width)."""

    loss_before: float
    loss: float
    found: Any


class PictureSearch:
    """Searches of one model."""

    def __init__(self, model: Searchable, budget: Budget) -> None:
        import torch

        self._torch, self._model, self._budget = torch, model, budget
        self.side, self._start = model.side, model.start

    def __call__(self, picture: Image.Image) -> Reached:
        with self._torch.no_grad():
            seen = self._model.seen(squared(picture, self.side))
        found = self._fitted(seen)
        with self._torch.no_grad():
            before, after = (self._loss(seen, told, _CHECKS, -1).item() for told in (self._start, found))
        return Reached(before, after, found)

    def draw(self, found: Any) -> list[Image.Image]:
        """What the model draws by what was found, from each noise."""
        with self._torch.no_grad():
            return self._model.draw(found, [self._budget.seed + each for each in range(self._budget.draws)])

    def _fitted(self, seen: Any) -> Any:
        torch = self._torch
        found = self._start.clone().requires_grad_(True)
        descent = torch.optim.Adam([found], lr=_STRIDE * float(self._start.std()))
        with torch.enable_grad():
            for step in range(self._budget.steps):
                descent.zero_grad()
                self._loss(seen, found, _AT_ONCE, step).backward()
                descent.step()
        return found.detach()

    def _loss(self, seen: Any, told: Any, count: int, step: int) -> Any:
        """At times that are spread evenly, from noises that all pictures share. step: -1 for what is not fitted to."""
        torch = self._torch
        rng = torch.Generator("cpu").manual_seed(self._budget.seed * 1_000_003 + step + 1)
        times = (torch.arange(count) + torch.rand(count, generator=rng)) / count
        return self._model.loss(seen, told, times, torch.randn((count, *seen.shape[1:]), generator=rng))


def squared(picture: Image.Image, side: int) -> Image.Image:
    """Its centre square, at `side` pixels: what is searched for."""
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    return picture.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + short, top + short))
