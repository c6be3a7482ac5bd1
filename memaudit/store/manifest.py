"""store.json: what a store is made of, and which shards count."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import InputError
from memaudit.files import read_json
from memaudit.store.shard import SHARD_NAME, Shard
from memaudit.types import EncoderSpec

SCHEMA = "memaudit-store/1"
MANIFEST = "store.json"
IMAGES, FACES = "images", "faces"  # what the rows of a store are
_VIEWS_OF_0_1 = re.compile(r"views of ((?P<parent>[0-9a-f]{64})|images that are to come)")
_TEMPORARY_NAME = re.compile(rf"\.({SHARD_NAME.pattern}|{re.escape(MANIFEST)})\.\d+\.tmp")


class ViewsOf(NamedTuple):
    """What the rows of a store of views show: `names` views of each comparable row of the store with the digest
    `parent`, which is empty as long as that store is being written."""

    parent: str
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {"parent": self.parent, "names": list(self.names)}


@dataclass(frozen=True)
class Manifest:
    """What store.json holds. kind: IMAGES or FACES, whose rows are biometric templates; forgotten: digests of the
    image_ids that were removed from a store of faces and may not come back; views: None where rows are whole images.
    """

    encoder: EncoderSpec
    shard_rows: int
    sources: tuple[str, ...]
    shards: tuple[Shard, ...] = ()
    complete: bool = False
    kind: str = IMAGES
    forgotten: tuple[str, ...] = ()
    views: ViewsOf | None = None

    def as_dict(self) -> dict[str, Any]:
        of_faces = {"kind": FACES, "biometric_templates": True, "forgotten": list(self.forgotten)}
        return {
            "schema": SCHEMA,
            **(of_faces if self.kind == FACES else {}),
            "encoder": self.encoder.as_dict(),
            "shard_rows": self.shard_rows,
            "sources": list(self.sources),
            **({"views": self.views.as_dict()} if self.views else {}),
            "rows": sum(s.rows for s in self.shards),
            "ok": sum(s.ok for s in self.shards),
            "complete": self.complete,
            "shards": [asdict(s) for s in self.shards],
        }

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises InputError if `folder` holds no store this version can read."""
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder} is no embedding store: it has no {MANIFEST} (make one with memaudit embed)")
        raw = read_json(folder / MANIFEST)
        if raw.get("schema") != SCHEMA:
            raise InputError(f"{folder / MANIFEST} has schema {raw.get('schema')!r}, this version reads {SCHEMA!r}")
        try:
            return cls._from_dict(_with_views_of_0_1(raw))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / MANIFEST} is damaged ({error!r}): restore it or embed again") from None

    @classmethod
    def _from_dict(cls, raw: dict[str, Any]) -> Manifest:
        manifest = cls(
            encoder=_encoder_spec(raw["encoder"]),
            shard_rows=raw["shard_rows"],
            sources=tuple(raw["sources"]),
            shards=tuple(Shard(**entry) for entry in raw["shards"]),
            complete=raw["complete"] is True,
            kind=raw.get("kind", IMAGES),
            forgotten=tuple(map(str, raw.get("forgotten", ()))),
            views=ViewsOf(raw["views"]["parent"], tuple(raw["views"]["names"])) if "views" in raw else None,
        )
        if type(manifest.shard_rows) is not int or manifest.as_dict() != raw:
            raise ValueError("its parts do not fit each other")
        return manifest


def _with_views_of_0_1(raw: dict[str, Any]) -> dict[str, Any]:
    """A manifest as memaudit 0.1 wrote it, brought up to date: there the sources of a store of views were the digest of
    its parent, in words, and the views' names."""
    first, *names = raw["sources"] or [""]
    found = _VIEWS_OF_0_1.fullmatch(first)
    if "views" in raw or not found:
        return raw
    return raw | {"sources": [], "views": {"parent": found["parent"] or "", "names": names}}


def _encoder_spec(raw: dict[str, Any]) -> EncoderSpec:
    spec = EncoderSpec(**raw)
    text = (spec.name, spec.weights_sha256, spec.preprocessing, spec.source)
    if not all(isinstance(value, str) for value in text) or type(spec.dim) is not int or spec.dim < 1:
        raise ValueError(f"encoder {raw}")
    if not isinstance(spec.threshold, int | float):
        raise ValueError(f"encoder threshold {spec.threshold!r}")
    return spec


def strays(folder: Path, manifest: Manifest) -> list[str]:
    """Files by our own names that the manifest does not list."""
    known = {shard.name for shard in manifest.shards}
    names = sorted(path.name for path in folder.iterdir())
    return [n for n in names if _TEMPORARY_NAME.fullmatch(n) or (SHARD_NAME.fullmatch(n) and n not in known)]
