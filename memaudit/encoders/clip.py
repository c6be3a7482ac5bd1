"""Encoders of open_clip: its architectures, its loading, its preprocessing."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders import weights
from memaudit.encoders.encoder import REDUCED_JPEG
from memaudit.encoders.specs import families
from memaudit.encoders.torch_modules import TorchEncoder, first_line, torch_device
from memaudit.errors import InputError, MissingDependencyError, UsageError, require
from memaudit.types import EncoderSpec

_FAMILY = families()["open_clip"]


@dataclass(frozen=True)
class ClipWeights:
    """`name` is what is recorded: a path is no identity, the hash is. `config` is open_clip's for the tag."""

    name: str
    path: Path
    config: dict[str, Any] = field(default_factory=dict)


def load_clip(arch: str, tag: str, device: str, allow_unverified: bool) -> TorchEncoder:
    """Load `tag` (pretrained tag or path of a weights file) into open_clip's `arch`.

    A tag's own activation is used (QuickGELU for OpenAI's), even where the architecture's default is another.
    Raises UsageError (unknown name, no CUDA), MissingDependencyError (no download), InputError (bad file).
    """
    found = find_clip(arch, tag)
    sha256 = weights.digest(found.path)
    if not found.config and not allow_unverified:
        raise InputError(
            f"weights file {found.path} (sha256 {sha256}) is not from open_clip's table: check its "
            "origin, then pass --allow-unverified-weights"
        )
    on = torch_device(device)
    with weights.loading(found.path, sha256):
        model, transform = _create(arch, found, on)

    def prepare(image: Image.Image) -> NDArray[np.float32]:
        item: NDArray[np.float32] = transform(image).numpy()
        return item

    import open_clip

    spec = EncoderSpec(
        name=found.name,
        weights_sha256=sha256,
        preprocessing=_describe(model.visual.preprocess_cfg),
        dim=open_clip.get_model_config(arch)["embed_dim"],
        threshold=_FAMILY.threshold,
        source=_FAMILY.threshold_source,
    )
    return TorchEncoder(spec, prepare, model.encode_image, on, _side(model.visual.preprocess_cfg))


def embed_text(spec: EncoderSpec, text: str, tag: str = "") -> NDArray[np.float32]:
    """The unit embedding (dim,) of a text, by the text tower of the encoder of a store. tag: a file of its weights,
    where the store was made with one.

    Raises UsageError where the encoder has none, InputError for other weights than those of the store.
    """
    family, _, rest = spec.name.partition(":")
    arch, _, named = rest.partition("/")
    if family != "open_clip":
        raise UsageError(f"encoder {spec.name} knows no text: --text needs a store by open_clip")
    if not (tag or named):
        raise UsageError(f"the store was made with a file of weights for {arch}: name it by --text-weights")
    found = find_clip(arch, tag or named)
    sha256 = weights.digest(found.path)
    if sha256 != spec.weights_sha256:
        raise InputError(
            f"{found.path} has sha256 {sha256[:12]}…, the store was made with {spec.weights_sha256[:12]}…: a text and "
            "pictures are compared by one model"
        )
    import open_clip
    import torch

    with weights.loading(found.path, sha256):
        model, _ = _create(arch, found, "cpu")
    with torch.no_grad():
        embedding = model.encode_text(open_clip.get_tokenizer(arch)([text]))[0].float().numpy()
    return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def find_clip(arch: str, tag: str) -> ClipWeights:
    """The weights file of a tag, downloaded by open_clip if need be, or the local file that `tag` names."""
    open_clip = require("open_clip", f"encoder open_clip:{arch}")
    if arch not in open_clip.list_models():
        near = ", ".join(difflib.get_close_matches(arch, open_clip.list_models(), n=3, cutoff=0))
        raise UsageError(f"open_clip has no architecture {arch!r}: the nearest are {near}")
    config = open_clip.get_pretrained_cfg(arch, tag)
    if config:
        try:
            return ClipWeights(f"open_clip:{arch}/{tag}", Path(open_clip.download_pretrained(config)), config)
        except Exception as error:
            raise MissingDependencyError(
                f"the weights of open_clip:{arch}/{tag} could not be downloaded ({first_line(error)}): retry, "
                f"or use --encoder open_clip:{arch}/PATH --allow-unverified-weights"
            ) from error
    path = Path(tag).expanduser()
    if not path.is_file():
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(arch)) or "none"
        raise UsageError(f"{tag!r} is neither a file nor a pretrained tag of {arch}; its tags: {tags}")
    return ClipWeights(f"open_clip:{arch}", path)


def _create(arch: str, found: ClipWeights, device: str) -> tuple[Any, Any]:
    # By path and not by tag, so that the hash recorded is of the file that is read.
    import open_clip

    try:
        model, transform = open_clip.create_model_from_pretrained(
            arch,
            str(found.path),
            device=device,
            image_mean=found.config.get("mean"),
            image_std=found.config.get("std"),
            image_interpolation=found.config.get("interpolation"),
            image_resize_mode=found.config.get("resize_mode"),
            force_quick_gelu=found.config.get("quick_gelu", False),
            weights_only=True,
        )
    except Exception as error:
        raise InputError(f"{found.path} does not load as open_clip {arch}: {first_line(error)}") from error
    return model.eval(), transform


def _side(config: dict[str, Any]) -> int:
    size = config["size"]
    return int(size if isinstance(size, int) else max(size))


def _describe(config: dict[str, Any]) -> str:
    mean, std = (" ".join(f"{value:.6g}" for value in config[key]) for key in ("mean", "std"))
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    resize = f"{width}x{height} {config['resize_mode']} {config['interpolation']}"
    return f"open_clip {resize}, mean {mean}, std {std}; {REDUCED_JPEG}"
