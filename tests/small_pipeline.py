"""A text-to-image pipeline of diffusers, of random weights and as small as one can be."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

WIDE = 32


def write_pipeline(folder: Path, *, seed: int = 0, holds_back: bool | None = None) -> Path:
    """holds_back: whether its safety checker holds back everything, or nothing; None: it has none."""
    torch.manual_seed(seed)
    checker = None if holds_back is None else _checker(holds_back)
    StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(WIDE, WIDE),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=8,
            sample_size=32,
        ),
        text_encoder=CLIPTextModel(_text()),
        tokenizer=_tokenizer(folder.parent / f"{folder.name}-words"),
        unet=UNet2DConditionModel(
            block_out_channels=(WIDE, WIDE),
            layers_per_block=1,
            sample_size=16,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=WIDE,
            attention_head_dim=8,
            norm_num_groups=8,
        ),
        scheduler=DDIMScheduler(num_train_timesteps=100, clip_sample=False, set_alpha_to_one=False, steps_offset=1),
        safety_checker=checker,
        feature_extractor=None if checker is None else CLIPImageProcessor(crop_size=32, size={"shortest_edge": 32}),
        requires_safety_checker=checker is not None,
    ).save_pretrained(folder)
    return folder


def _text() -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=600,
        hidden_size=WIDE,
        intermediate_size=WIDE,
        num_attention_heads=2,
        num_hidden_layers=1,
        max_position_embeddings=77,
        projection_dim=WIDE,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )


def _checker(holds_back: bool) -> StableDiffusionSafetyChecker:
    vision = CLIPVisionConfig(
        hidden_size=WIDE,
        intermediate_size=WIDE,
        num_attention_heads=2,
        num_hidden_layers=1,
        image_size=32,
        patch_size=16,
        projection_dim=WIDE,
    )
    checker = StableDiffusionSafetyChecker(
        CLIPConfig(text_config=_text().to_dict(), vision_config=vision.to_dict(), projection_dim=WIDE)
    )
    limit = -10.0 if holds_back else 10.0
    checker.concept_embeds_weights.data.fill_(limit)
    checker.special_care_embeds_weights.data.fill_(10.0)
    return checker


def _tokenizer(folder: Path) -> CLIPTokenizer:
    folder.mkdir(parents=True)
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,.-"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)
