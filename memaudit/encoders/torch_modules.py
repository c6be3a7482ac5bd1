"""Encoders that run a torch module; and the one that is a TorchScript file."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders import sscd, weights
from memaudit.encoders.devices import cuda_number
from memaudit.encoders.encoder import spec_of, unit_rows
from memaudit.encoders.specs import families
from memaudit.errors import InputError, UsageError, require
from memaudit.types import EncoderSpec, Float32

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_FAMILY = families()["sscd-torchscript"]
KNOWN_TORCHSCRIPT = frozenset(filter(None, (_FAMILY.weights_sha256,)))


@dataclass(frozen=True)
class TorchEncoder:
    """`prepare` makes one item of an image; `forward` maps (n, *item) on `device` to (n, dim)."""

    spec: EncoderSpec
    prepare: Callable[[Image.Image], NDArray[Any]]
    forward: Callable[[Any], Any]
    device: str
    side: int
    callers: int = 1
    regions: None = None

    def preprocess(self, image: Image.Image) -> NDArray[Any]:
        return self.prepare(image)

    def encode(self, batch: NDArray[Any]) -> Float32:
        import torch

        with torch.inference_mode():
            return unit_rows(self.forward(torch.tensor(batch, device=self.device)).float().cpu().numpy())


def torch_device(device: str) -> str:
    """`auto` to cuda where torch sees one, else cpu. Raises UsageError when a CUDA device is asked for but absent."""
    torch = require("torch", "an encoder of PyTorch modules")
    present, number = torch.cuda.is_available(), cuda_number(device)
    if number is not None and not present:
        raise UsageError(f"--device {device}: torch {torch.__version__} sees no CUDA device; use --device cpu")
    if number is not None and number >= torch.cuda.device_count():
        raise UsageError(f"--device {device}: torch sees {torch.cuda.device_count()} CUDA devices, counted from 0")
    if number is not None:
        return device
    return "cuda" if present and device != "cpu" else "cpu"


def load_torchscript(path: Path | None, device: str, allow_unverified: bool) -> TorchEncoder:
    """Load Meta's SSCD from `path`, else from the cache.

    Raises MissingDependencyError (none given, none in the cache), InputError (unreadable, unverified, or no
    encoder), UsageError (no CUDA).
    """
    if path is None:
        path = weights.cached_torchscript()
    data = weights.read(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 not in KNOWN_TORCHSCRIPT and not allow_unverified:
        raise InputError(
            f"weights file {path} has sha256 {sha256}, which memaudit does not know: check its "
            "origin, then pass --allow-unverified-weights"
        )
    on = torch_device(device)
    forward, dim = _scripted(path, data, on)
    spec = replace(spec_of(_FAMILY), weights_sha256=sha256, dim=dim)
    return TorchEncoder(spec, sscd.square, forward, on, sscd.SIDE)


def _scripted(path: Path, data: bytes, device: str) -> tuple[Callable[[Any], Any], int]:
    """The forward pass on (n, SIDE, SIDE, 3) uint8, and the dimension of what it gives."""
    import torch

    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    try:
        # torch deprecates jit.load, but Meta publishes this file in no other form.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = torch.jit.load(io.BytesIO(data), map_location=device).eval()

        def forward(pixels: Any) -> Any:
            return module((pixels.permute(0, 3, 1, 2) / 255 - mean) / std)

        with torch.inference_mode():
            _, dim = forward(torch.zeros(1, sscd.SIDE, sscd.SIDE, 3, dtype=torch.uint8, device=device)).shape
    except Exception as error:
        raise InputError(f"{path} is no TorchScript image encoder: {first_line(error)}") from error
    return forward, dim


def first_line(error: Exception) -> str:
    """What a library says, cut to one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
