"""SSCD (Pizzi et al. 2022, sscd_disc_mixup) through onnxruntime, int8."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit import machine
from memaudit.encoders import weights
from memaudit.encoders.devices import cuda_number
from memaudit.encoders.encoder import Regions, spec_of
from memaudit.encoders.onnx_graph import weights_of, with_one_output
from memaudit.encoders.onnx_runtime import import_onnxruntime
from memaudit.encoders.regions import Trunk, TrunkRegions
from memaudit.encoders.specs import families
from memaudit.errors import UsageError
from memaudit.types import EncoderSpec, Float32

_FAMILY = families()["sscd"]
SPEC, SIDE = spec_of(_FAMILY), _FAMILY.side
_LAST_MAP = "/backbone/blocks/3/block3-2/relu/Relu_output_0_DequantizeLinear_Output"
_WEIGHT, _BIAS = "embeddings.1.weight", "embeddings.1.bias"
SCHEME = "windows of one pass, 1"
Provider = str | tuple[str, dict[str, int]]  # as onnxruntime takes them


def square(image: Image.Image) -> NDArray[np.uint8]:
    """RGB image to (SIDE, SIDE, 3) uint8, aspect ratio not kept."""
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


@dataclass(frozen=True)
class SscdEncoder:
    """`session` maps `image` (n, SIDE, SIDE, 3) uint8 to `embedding` (n, 512) float32, rows of length 1.

    It is given `at_once` images, by each of `callers` threads. regions: parts of a picture, by a session of their own.
    """

    spec: EncoderSpec
    session: Any
    side: int = SIDE
    callers: int = 1
    at_once: int = 1024
    regions: Regions | None = None

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        return square(image)

    def encode(self, batch: NDArray[np.uint8]) -> Float32:
        pieces = [batch[low : low + self.at_once] for low in range(0, len(batch), self.at_once)]
        return np.concatenate([self.session.run(["embedding"], {"image": piece})[0] for piece in pieces])


def load_sscd(device: str) -> SscdEncoder:
    """Find, verify and load SSCD. `auto` means the CPU: the int8 graph is made for it.

    Raises MissingDependencyError (onnxruntime or weights absent), InputError (wrong hash), UsageError (no
    CUDA).
    """
    onnxruntime = import_onnxruntime("encoder sscd", "use --encoder thumbnail")
    number = cuda_number(device)
    provider = "CPUExecutionProvider" if number is None else "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise UsageError(f"--device {device}: this onnxruntime is built without CUDA; use --device cpu")
    settings = onnxruntime.SessionOptions()
    if number is None:
        settings.intra_op_num_threads = 1
    chosen: Provider = provider if not number else (provider, {"device_id": number})
    session = onnxruntime.InferenceSession(weights.read_sscd(), settings, providers=[chosen])
    # onnxruntime falls back to the CPU with no more than a log line.
    if provider not in session.get_providers():
        raise UsageError(f"--device {device}: onnxruntime cannot use this CUDA device here; use --device cpu")
    regions = TrunkRegions(SCHEME, partial(_load_trunk, chosen))
    if number is not None:
        return SscdEncoder(SPEC, session, regions=regions)
    # A call a core: threads of one call would wait for each other, and spin while others decode. Four images a call
    # are as fast as sixteen, and take a quarter of the memory (30 MB).
    return SscdEncoder(SPEC, session, callers=machine.cores() + 1, at_once=4, regions=regions)


def load_regions() -> Regions:
    """Parts of pictures alone; the graph is loaded when the first are asked for.

    Raises MissingDependencyError (onnxruntime or weights absent), InputError (wrong hash).
    """
    import_onnxruntime("encoder sscd")
    weights.read_sscd()
    return TrunkRegions(SCHEME, partial(_load_trunk, "CPUExecutionProvider"))


def _load_trunk(provider: Provider) -> Trunk:
    """A second session, so that whole images are embedded by the graph as it is, bit for bit."""
    onnxruntime = import_onnxruntime("encoder sscd")
    model = weights.read_sscd()
    settings = onnxruntime.SessionOptions()
    # All cores in one call, for calls at once would take memory for each; the threads sleep while others decode
    settings.intra_op_num_threads = machine.cores()
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.enable_mem_pattern = False  # a plan for each size of picture takes 90 MB more and saves no time
    session = onnxruntime.InferenceSession(with_one_output(model, _LAST_MAP), settings, providers=[provider])
    linear = weights_of(model, (_WEIGHT, _BIAS))

    def last_map(picture: NDArray[np.uint8]) -> Float32:
        cells: Float32 = session.run(None, {"image": picture})[0][0]
        return cells

    return Trunk(last_map, linear[_WEIGHT], linear[_BIAS])
