"""A pipeline of diffusers, as a search wants a model."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from memaudit.errors import InputError

_DRAWN_IN = 25  # steps of the pipeline's own scheduler


class PipelineModel:
    """A U-net that is told a sequence of vectors, in the latents of an autoencoder, as Stable Diffusion 1 and 2: a
    `Searchable`. vectors: so many of the empty prompt's are its start. Raises InputError for a folder that holds none.
    """

    def __init__(self, folder: Path, device: str, vectors: int) -> None:
        import torch

        self._torch = torch
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
            self.start: Any = pipeline.encode_prompt("", self._device, 1, False)[0][:, :vectors].clone()

    def seen(self, picture: Image.Image) -> Any:
        """Its latent."""
        pixels = np.array(picture, np.float32) / 127.5 - 1
        given = self._torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self._device)
        return self._pipeline.vae.encode(given).latent_dist.mean * self._pipeline.vae.config.scaling_factor

    def loss(self, seen: Any, told: Any, times: Any, noise: Any) -> Any:
        steps = (times * len(self._kept)).long().to(self._device)
        noise, kept = noise.to(self._device), self._kept[steps].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * seen + (1 - kept).sqrt() * noise
        found = self._pipeline.unet(noisy, steps, encoder_hidden_states=told.expand(len(steps), -1, -1)).sample
        wanted = {
            "epsilon": noise,
            "v_prediction": kept.sqrt() * noise - (1 - kept).sqrt() * seen,
            "sample": seen.expand_as(noise),
        }[self._pipeline.scheduler.config.prediction_type]
        return (found - wanted).square().mean()

    def draw(self, told: Any, seeds: list[int]) -> list[Image.Image]:
        made = self._pipeline(
            prompt_embeds=told.expand(len(seeds), -1, -1),
            guidance_scale=1.0,
            num_inference_steps=_DRAWN_IN,
            generator=[self._torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            output_type="latent",
        ).images
        decoded = self._pipeline.vae.decode(made / self._pipeline.vae.config.scaling_factor).sample
        pixels = ((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        return [Image.fromarray(np.ascontiguousarray(each)) for each in pixels]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and warnings that these packages write to standard error: what cannot be loaded is one line."""
    import diffusers
    import transformers

    logs: tuple[Any, ...] = (diffusers.utils.logging, transformers.utils.logging)
    before = [(log, log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs]
    try:
        for log in logs:
            log.set_verbosity(logging.CRITICAL)
            log.disable_progress_bar()
        yield
    finally:
        for log, verbosity, bar in before:
            log.set_verbosity(verbosity)
            if bar:
                log.enable_progress_bar()


def _loaded(folder: Path, device: str) -> Any:
    import diffusers

    try:
        json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        with _quiet():
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
