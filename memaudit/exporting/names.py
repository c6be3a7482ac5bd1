"""What the files of a sample are called in an export: by the image_id or the archive's own names, as far as they lead
nowhere else; unique, and the same in every run."""

from __future__ import annotations

import hashlib
import re

from memaudit.exporting.samples import Sample

_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_LONGEST = 180  # bytes of a part of a path, of the 255 that file systems take
_HASH = 8


def path_of(sample: Sample) -> str:
    """Where the files of a sample are in a folder, without their endings."""
    if not sample.archive:
        return _safe(sample.stem, sample)
    return _safe(f"{sample.archive.removesuffix('.tar')}/{sample.stem}", sample)


def key_of(sample: Sample) -> str:
    """The key of a sample in a shard: its last part has no dot, at which readers would cut it."""
    folder, slash, base = sample.stem.rpartition("/")
    return _safe(f"{folder}{slash}{base.replace('.', '_')}", sample)


class Keys:
    """The keys of a shard's samples as they come: one that another has already is told apart by its image_id."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, sample: Sample) -> str:
        key = key_of(sample)
        if key in self._given:
            key = f"{key}-{_hash(sample)}"
        self._given.add(key)
        return key


def _safe(path: str, sample: Sample) -> str:
    """Parts that stay below the folder, and are names everywhere; what had to be changed is told apart by a hash."""
    parts = [_CONTROL.sub("_", part) for part in path.split("/") if part not in ("", ".", "..")]
    parts = [f"_{part}" if part.startswith(".") else part for part in parts]
    parts = [part.encode("utf-8", "backslashreplace")[:_LONGEST].decode("utf-8", "ignore") for part in parts]
    safe = "/".join(parts)
    return safe if safe == path and safe else f"{safe or 'image'}-{_hash(sample)}"


def _hash(sample: Sample) -> str:
    return hashlib.sha256(sample.images[0].image_id.encode()).hexdigest()[:_HASH]
