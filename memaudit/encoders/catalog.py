"""The table of encoders: list them, load one by name, fetch its weights."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from memaudit.encoders import clip, dlib_faces, sface, sscd, thumbnail, weights
from memaudit.encoders.devices import require_device
from memaudit.encoders.encoder import Encoder
from memaudit.encoders.specs import families
from memaudit.encoders.torch_modules import load_torchscript
from memaudit.errors import InputError, MissingDependencyError, UsageError

_IMAGES = [family for family in families().values() if family.embeds == "images"]
NAMES = tuple(call for family in _IMAGES for call in family.calls)
KINDS = tuple(family.name for family in _IMAGES)

WeightsState = Literal["none needed", "ready", "absent", "on demand"]


@dataclass(frozen=True)
class EncoderRow:
    """One line of `memaudit encoders list`. `dim` is None where it depends on the architecture."""

    name: str
    purpose: str
    dim: int | None
    licence: str
    threshold: float
    weights: WeightsState
    where: str


def load_encoder(name: str, *, device: str = "auto", allow_unverified_weights: bool = False) -> Encoder:
    """Load the encoder called `name` (one of NAMES) on `device` (one of DEVICES, or cuda:N).

    Raises UsageError (unknown name or device, no CUDA), MissingDependencyError (package or weights absent)
    and InputError (weights of a wrong hash, unreadable, or unverified without `allow_unverified_weights`).
    """
    require_device(device)
    kind, detail = _parse(name)
    load = _means_of(kind).load
    if load is None:
        raise UsageError(
            f"encoder {kind} embeds images by specs.toml, and memaudit/encoders/catalog.py does not load it"
        )
    return load(detail, device, allow_unverified_weights)


def is_known(name: str) -> bool:
    """Whether memaudit has an encoder of this name; embeddings that were imported may name any other."""
    try:
        _parse(name)
    except UsageError:
        return False
    return True


def fetch_weights(name: str, *, url: str = weights.TORCHSCRIPT_URL) -> Path:
    """Bring the weights of `name` to this machine and return their file; what is there already stays.

    `url` is where sscd-torchscript comes from. Raises UsageError when nothing can be fetched under that name,
    MissingDependencyError when it cannot be had, InputError when what came is something else.
    """
    kind, detail = (name, "") if name in sface.NAMES else _parse(name)
    fetch = _means_of(kind).fetch
    if fetch is None or (kind == "sscd-torchscript" and detail):
        raise UsageError(f"encoder {name} has no weights to fetch")
    return fetch(detail, url)


def list_encoders() -> list[EncoderRow]:
    """What can be loaded, and whether its weights are here. Loads no encoder."""
    return [
        EncoderRow(
            each.calls[0], each.purpose, each.dim or None, each.licence, each.threshold, *_means_of(name).state()
        )
        for name, each in families().items()
    ]


class _State(NamedTuple):
    """Whether weights are here; the file, or what brings it."""

    weights: WeightsState
    where: str


def _torchscript_state() -> _State:
    try:
        return _State("ready", str(weights.cached_torchscript()))
    except MissingDependencyError:
        return _State("absent", "memaudit encoders fetch sscd-torchscript")


def _sface_state() -> _State:
    try:
        for file in sface.PINNED:
            where = sface.face_weights(file)
    except MissingDependencyError:
        return _State("absent", "memaudit encoders fetch sface")
    except InputError as error:
        return _State("absent", str(error))
    return _State("ready", str(where))


def _dlib_state() -> _State:
    try:
        where = dlib_faces.network_weights()
    except MissingDependencyError:
        return _State("absent", "memaudit encoders fetch sface-dlib")
    except InputError as error:
        return _State("absent", str(error))
    return _State("ready", str(where)) if _sface_state().weights == "ready" else _sface_state()


def _fetch_both() -> Path:
    sface.fetch_sface()
    return dlib_faces.fetch_network()


def _sscd_state() -> _State:
    if weights.find_sscd() is None:
        return _State("absent", "memaudit encoders fetch sscd")
    try:
        return _State("ready", str(weights.sscd_weights()))
    except InputError as error:
        return _State("absent", str(error))


def _load_torchscript(detail: str, device: str, allow_unverified: bool) -> Encoder:
    return load_torchscript(Path(detail).expanduser() if detail else None, device, allow_unverified)


def _load_clip(detail: str, device: str, allow_unverified: bool) -> Encoder:
    arch, _, tag = detail.partition("/")
    return clip.load_clip(arch, tag, device, allow_unverified)


def _fetch_clip(detail: str, url: str) -> Path:
    arch, _, tag = detail.partition("/")
    return clip.find_clip(arch, tag).path


class _Means(NamedTuple):
    """What is done for a family, by the DETAIL of NAME:DETAIL. state: whether its weights are here; load: with device
    and whether unverified weights may be, None for faces (memaudit.encoders.sface); fetch: from a url, None: nothing to
    fetch."""

    state: Callable[[], _State]
    load: Callable[[str, str, bool], Encoder] | None = None
    fetch: Callable[[str, str], Path] | None = None


_MEANS = {
    "sscd": _Means(_sscd_state, lambda _, device, __: sscd.load_sscd(device), lambda _, __: weights.fetch_sscd()),
    "sscd-torchscript": _Means(_torchscript_state, _load_torchscript, lambda _, url: weights.fetch_torchscript(url)),
    "open_clip": _Means(lambda: _State("on demand", "open_clip downloads them on first use"), _load_clip, _fetch_clip),
    "thumbnail": _Means(lambda: _State("none needed", ""), lambda *_: thumbnail.ThumbnailEncoder()),
    "sface": _Means(_sface_state, fetch=lambda *_: sface.fetch_sface()),
    "sface-mirrored": _Means(_sface_state, fetch=lambda *_: sface.fetch_sface()),
    "sface-dlib": _Means(_dlib_state, fetch=lambda *_: _fetch_both()),
    "face-onnx": _Means(lambda: _State("on demand", "memaudit faces --encoder")),
}


def _means_of(family: str) -> _Means:
    if family not in _MEANS:
        raise UsageError(f"encoder {family} stands in specs.toml, and not in the table of memaudit/encoders/catalog.py")
    return _MEANS[family]


def _parse(name: str) -> tuple[str, str]:
    """Split NAME or NAME:DETAIL. Raises UsageError for what is not one of NAMES."""
    kind, _, detail = name.partition(":")
    family = families().get(kind)
    if family is not None and family.embeds == "faces":
        raise UsageError(f"encoder {name} embeds faces, not images: use memaudit faces, or memaudit audit --faces")
    if name in KINDS and name != "open_clip":
        return name, ""
    if kind == "sscd-torchscript" and detail:
        return kind, detail
    if kind == "open_clip" and all(detail.partition("/")):
        return kind, detail
    near = difflib.get_close_matches(name, NAMES, n=1) or difflib.get_close_matches(kind, KINDS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise UsageError(f"unknown encoder {name!r}{hint}: use {', '.join(NAMES)}")
