"""store.json: what a store is made of, and which shards count."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import InputError
from memaudit.files import read_json, sealed, unsealed
from memaudit.store.distinct import Listing
from memaudit.store.places import Place
from memaudit.store.shard import SHARD_NAME, Shard
from memaudit.types import EncoderSpec

SCHEMA = "memaudit-store/2"
UNBOUND_SCHEMA = "memaudit-store/1"  # of memaudit 0.1 and 0.2: as this one, without a digest of its own
MANIFEST = "store.json"
IMAGES, FACES = "images", "faces"  # what the rows of a store are
_MOST_DIM, _MOST_ROWS = 1 << 20, 1 << 40  # far beyond any store: what is above comes of a damaged file
_VIEWS_OF_0_1 = re.compile(r"views of ((?P<parent>[0-9a-f]{64})|images that are to come)")


class ViewsOf(NamedTuple):
    """What the rows of a store of views show: `names` views of each comparable row of the store with the digest
    `parent`, which is empty as long as that store is being written. scheme: how windows among them were made, empty:
    each was encoded as a picture of its own."""

    parent: str
    names: tuple[str, ...]
    scheme: str = ""

    def as_dict(self) -> dict[str, Any]:
        scheme = {"scheme": self.scheme} if self.scheme else {}
        return {"parent": self.parent, "names": list(self.names), **scheme}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ViewsOf:
        return cls(raw["parent"], tuple(raw["names"]), raw.get("scheme", ""))


class NotRead(NamedTuple):
    """What sources that were listed together hold beside images: how many pictures, at least, that nothing here reads,
    and a sentence on them."""

    sources: tuple[str, ...]
    pictures: int
    line: str

    def as_dict(self) -> dict[str, Any]:
        return {"sources": list(self.sources), "pictures": self.pictures, "line": self.line}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> NotRead:
        sources, line = tuple(raw["sources"]), raw["line"]
        if not all(isinstance(text, str) for text in (line, *sources)):
            raise ValueError("what was not read is no text")
        return cls(sources, raw["pictures"], line)


@dataclass(frozen=True)
class Manifest:
    """What store.json holds. kind: IMAGES or FACES, whose rows are biometric templates; forgotten: digests of the
    image_ids that were removed from a store of faces and may not come back; views: None where rows are whole images.
    part: "2/5", of the images of its sources the second of five parts. listing: of a part all images that its sources
    held when it was made, so that parts of two states of them are told apart; None in parts of before. states: of each
    source what is another one once a name came or went (`growth`); empty of URLs, and in stores of before. opt_outs:
    where reservations of rights were looked for, of every row; empty: nowhere, as in stores of before. not_read: what
    of its sources may be training images and is no row, by what was listed together; stores of before do not know.
    places: from where it was written, one after the other; it is the same store wherever that was.
    bound: the file has a digest of its own, which fits.
    """

    encoder: EncoderSpec
    shard_rows: int
    sources: tuple[str, ...]
    shards: tuple[Shard, ...] = ()
    complete: bool = False
    kind: str = IMAGES
    forgotten: tuple[str, ...] = ()
    views: ViewsOf | None = None
    part: str = ""
    listing: Listing | None = None
    states: tuple[str, ...] = field(default=(), compare=False)
    opt_outs: tuple[str, ...] = ()
    not_read: tuple[NotRead, ...] = field(default=(), compare=False)
    places: tuple[Place, ...] = field(default=(), compare=False)
    bound: bool = field(default=True, compare=False)

    @property
    def command(self) -> str:
        """What makes such a store."""
        return "memaudit faces" if self.kind == FACES else "memaudit embed"

    def sealed(self) -> dict[str, Any]:
        """What is written: all of it, and its digest."""
        return sealed(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        of_faces = {"kind": FACES, "biometric_templates": True, "forgotten": list(self.forgotten)}
        return {
            "schema": SCHEMA,
            **(of_faces if self.kind == FACES else {}),
            "encoder": self.encoder.as_dict(),
            "shard_rows": self.shard_rows,
            "sources": list(self.sources),
            **({"views": self.views.as_dict()} if self.views else {}),
            **({"part": self.part} if self.part else {}),
            **({"listing": self.listing.as_dict()} if self.listing else {}),
            **({"states": list(self.states)} if any(self.states) else {}),
            **({"opt_outs": list(self.opt_outs)} if self.opt_outs else {}),
            **({"not_read": [each.as_dict() for each in self.not_read]} if self.not_read else {}),
            **({"places": [place.as_dict() for place in self.places]} if self.places else {}),
            "rows": sum(s.rows for s in self.shards),
            "ok": sum(s.ok for s in self.shards),
            "complete": self.complete,
            "shards": [asdict(s) for s in self.shards],
        }

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises InputError if `folder` holds no store this version can read, InconclusiveError if its manifest was
        changed since it was written. One of memaudit 0.1 or 0.2 has no digest by which to tell."""
        path = folder / MANIFEST
        if not path.is_file():
            raise InputError(f"{folder} is no embedding store: it has no {MANIFEST} (make one with memaudit embed)")
        raw = read_json(path)
        schema = raw.get("schema")
        if schema not in (SCHEMA, UNBOUND_SCHEMA):
            raise InputError(f"{path} has schema {str(schema)[:80]!r}, this version reads {SCHEMA!r}")
        bound = schema == SCHEMA
        content = unsealed(path, raw) if bound else {**raw, "schema": SCHEMA}
        try:
            return cls._from_dict(_with_views_of_0_1(content), bound=bound)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            reason = " ".join(f"{error!r}".split())[:200]
            raise InputError(f"{path} is damaged ({reason}): restore it or embed again") from None

    @classmethod
    def _from_dict(cls, raw: dict[str, Any], *, bound: bool) -> Manifest:
        manifest = cls(
            encoder=encoder_spec(raw["encoder"]),
            shard_rows=raw["shard_rows"],
            sources=tuple(raw["sources"]),
            shards=tuple(Shard(**entry) for entry in raw["shards"]),
            complete=raw["complete"] is True,
            kind=raw.get("kind", IMAGES),
            forgotten=tuple(map(str, raw.get("forgotten", ()))),
            views=ViewsOf.from_dict(raw["views"]) if "views" in raw else None,
            part=raw.get("part", ""),
            listing=Listing(**raw["listing"]) if "listing" in raw else None,
            states=tuple(map(str, raw.get("states", ()))),
            opt_outs=tuple(map(str, raw.get("opt_outs", ()))),
            not_read=tuple(map(NotRead.from_dict, raw.get("not_read", ()))),
            places=tuple(Place(**place) for place in raw.get("places", ())),
            bound=bound,
        )
        manifest._require_possible()
        if manifest.as_dict() != raw:
            raise ValueError("its parts do not fit each other")
        return manifest

    def _require_possible(self) -> None:
        """Raise ValueError for numbers that no writer wrote."""
        for name, value, least, most in (
            ("shard_rows", self.shard_rows, 1, _MOST_ROWS),
            ("rows", sum(shard.rows for shard in self.shards), 0, _MOST_ROWS),
            *(("pictures", each.pictures, 1, 1 << 62) for each in self.not_read),
            ("images listed", self.listing.number if self.listing else 0, 0, _MOST_ROWS),
        ):
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} {str(value)[:40]}, expected {least} to {most}")
        if not all(isinstance(source, str) for source in self.sources):
            raise ValueError("sources that are no text")
        if self.views and not (self.views.names and all(isinstance(name, str) for name in self.views.names)):
            raise ValueError("views without names")
        if self.views and not isinstance(self.views.scheme, str):
            raise ValueError("views whose scheme is no text")
        if self.states and len(self.states) != len(self.sources):
            raise ValueError("states that are not of its sources")
        if not isinstance(self.part, str):
            raise ValueError("a part that is no text")
        if not all(isinstance(folder, str) and "\0" not in folder for place in self.places for folder in place):
            raise ValueError("places that are no text")
        names = [shard.name for shard in self.shards]
        if len(set(names)) < len(names):
            raise ValueError("a shard is listed twice")


def _with_views_of_0_1(raw: dict[str, Any]) -> dict[str, Any]:
    """A manifest as memaudit 0.1 wrote it, brought up to date: there the sources of a store of views were the digest of
    its parent, in words, and the views' names."""
    first, *names = raw["sources"] or [""]
    found = _VIEWS_OF_0_1.fullmatch(str(first))
    if "views" in raw or not found:
        return raw
    return raw | {"sources": [], "views": {"parent": found["parent"] or "", "names": names}}


def encoder_spec(raw: dict[str, Any]) -> EncoderSpec:
    """The encoder that a manifest names. Raises TypeError or ValueError for what cannot be one."""
    spec = EncoderSpec(**raw)
    text = (spec.name, spec.weights_sha256, spec.preprocessing, spec.source)
    if not all(isinstance(value, str) for value in text):
        raise ValueError("an encoder whose name, weights, preprocessing or source is no text")
    if type(spec.dim) is not int or not 1 <= spec.dim <= _MOST_DIM:
        raise ValueError(f"encoder dimension {str(spec.dim)[:40]}, expected 1 to {_MOST_DIM}")
    if type(spec.threshold) not in (int, float) or not -1 <= spec.threshold <= 1:
        raise ValueError(f"encoder threshold {str(spec.threshold)[:40]}, expected a cosine, -1 to 1")
    return spec


def strays(folder: Path, manifest: Manifest) -> list[str]:
    """Shards that the manifest does not list."""
    known = {shard.name for shard in manifest.shards}
    return sorted(p.name for p in folder.iterdir() if SHARD_NAME.fullmatch(p.name) and p.name not in known)


def remove_strays(folder: Path, manifest: Manifest) -> None:
    """Delete files by our own names that the manifest does not list; it must be the one that is written there."""
    for name in strays(folder, manifest):
        (folder / name).unlink()
