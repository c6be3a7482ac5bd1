"""A short search for a conditioning by which a diffusion model gives a picture back, whatever the prompt.

A few free vectors stand where a caption's embedding would, and are fitted to the model's own training loss on the one
picture. What they reach is told on noises that none was fitted to; then the model may draw by them, from a few noises.
Budget, starts and noises are the same for every picture.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from memaudit.errors import InputError

_AT_ONCE = 4  # noisy versions of the picture in a step
_STRIDE = 0.05  # of a step, in the spread of the embedding's values
_DRAWN_IN = 25  # steps of the pipeline's own scheduler
_CHECKS = 16  # noisy versions, none of which was fitted to, by which the loss is told


@dataclass(frozen=True)
class Budget:
    """What is spent on each picture. steps: of fitting; vectors: free ones, each as wide as a token's; draws: noises
    that listed pictures are drawn from; seed: of all of them."""

    steps: int = 100
    vectors: int = 8
    draws: int = 4
    seed: int = 0


class Reached(NamedTuple):
    """What a search came to. loss_before, loss: mean squared error of the model's prediction, by the empty prompt and
    by what was found. found: the vectors, a tensor (1, vectors, width)."""

    loss_before: float
    loss: float
    found: Any


class PictureSearch:
    """A pipeline of diffusers, opened for searches: a U-net that is told a sequence of vectors, in the latents of an
    autoencoder, as Stable Diffusion 1 and 2. Raises InputError for a folder that holds none."""

    def __init__(self, folder: Path, device: str, budget: Budget) -> None:
        import torch

        self._torch, self._budget = torch, budget
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        pipeline: Any = _loaded(folder, self._device)
        for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
            part.requires_grad_(False)
            part.eval()
        self._pipeline = pipeline
        size = pipeline.unet.config.sample_size
        self.side = int(size if isinstance(size, int) else size[0]) * int(pipeline.vae_scale_factor)
        self._kept = pipeline.scheduler.alphas_cumprod.to(self._device)
        with torch.no_grad():
            self._start = pipeline.encode_prompt("", self._device, 1, False)[0][:, : budget.vectors].clone()

    def __call__(self, picture: Image.Image) -> Reached:
        latent = self._latent_of(picture)
        found = self._fitted(latent)
        with self._torch.no_grad():
            before, after = (self._loss(latent, given, _CHECKS, -1).item() for given in (self._start, found))
        return Reached(before, after, found)

    def draw(self, found: Any) -> list[Image.Image]:
        """What the model draws by what was found, from each noise: by the prediction alone, without guidance."""
        count = self._budget.draws
        noise = [self._torch.Generator("cpu").manual_seed(self._budget.seed + each) for each in range(count)]
        with self._torch.no_grad():
            made = self._pipeline(
                prompt_embeds=found.expand(count, -1, -1),
                guidance_scale=1.0,
                num_inference_steps=_DRAWN_IN,
                generator=noise,
                output_type="latent",
            ).images
            decoded = self._pipeline.vae.decode(made / self._pipeline.vae.config.scaling_factor).sample
        pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(np.ascontiguousarray(each)) for each in pixels]

    def _latent_of(self, picture: Image.Image) -> Any:
        pixels = np.array(squared(picture, self.side), np.float32) / 127.5 - 1
        given = self._torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self._device)
        with self._torch.no_grad():
            mean = self._pipeline.vae.encode(given).latent_dist.mean
        return mean * self._pipeline.vae.config.scaling_factor

    def _fitted(self, latent: Any) -> Any:
        torch = self._torch
        found = self._start.clone().requires_grad_(True)
        descent = torch.optim.Adam([found], lr=_STRIDE * float(self._start.std()))
        with torch.enable_grad():
            for step in range(self._budget.steps):
                descent.zero_grad()
                self._loss(latent, found, _AT_ONCE, step).backward()
                descent.step()
        return found.detach()

    def _loss(self, latent: Any, given: Any, count: int, step: int) -> Any:
        """At times that are spread evenly, from noises that all pictures share. step: -1 for what is not fitted to."""
        torch, longest = self._torch, len(self._kept)
        rng = torch.Generator("cpu").manual_seed(self._budget.seed * 1_000_003 + step + 1)
        times = ((torch.arange(count) + torch.rand(count, generator=rng)) / count * longest).long().to(self._device)
        noise = torch.randn((count, *latent.shape[1:]), generator=rng).to(self._device)
        kept = self._kept[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * latent + (1 - kept).sqrt() * noise
        told = self._pipeline.unet(noisy, times, encoder_hidden_states=given.expand(count, -1, -1)).sample
        wanted = {
            "epsilon": noise,
            "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * latent,
            "sample": latent.expand_as(noise),
        }[self._pipeline.scheduler.config.prediction_type]
        return (told - wanted).square().mean()


def squared(picture: Image.Image, side: int) -> Image.Image:
    """Its centre square, at `side` pixels: what is searched for."""
    short = min(picture.size)
    left, top = (picture.width - short) // 2, (picture.height - short) // 2
    return picture.resize((side, side), Image.Resampling.LANCZOS, (left, top, left + short, top + short))


def _loaded(folder: Path, device: str) -> Any:
    import diffusers

    try:
        json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        pipeline: Any = diffusers.DiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        pipeline = pipeline.to(device)
    except Exception as error:  # noqa: BLE001 - libraries of models raise anything on broken files
        said = " ".join(str(error).split())[:250] or type(error).__name__
        raise InputError(f"the pipeline in {folder} cannot be loaded: {said}") from None
    reason = _unfit(pipeline)
    if reason:
        raise InputError(
            f"the pipeline in {folder} cannot be searched: {reason}; expected one as Stable Diffusion 1 or 2"
        )
    return pipeline


def _unfit(pipeline: Any) -> str:
    for part in ("unet", "vae", "text_encoder"):
        if getattr(pipeline, part, None) is None:
            return f"it has no {part}"
    if pipeline.unet.config.addition_embed_type is not None or getattr(pipeline, "text_encoder_2", None) is not None:
        return "it is told more than one text"
    if pipeline.unet.config.in_channels != pipeline.vae.config.latent_channels:
        return "it is given a picture besides"
    if not hasattr(pipeline.scheduler, "alphas_cumprod"):
        return "its scheduler has no alphas_cumprod"
    return ""
