"""index.json: what an index was built from and how, which files it has, and what it measured of itself."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of, read_json, sha256_of, write_json
from memaudit.store import Manifest as StoreManifest
from memaudit.store import Store

SCHEMA = "memaudit-index/2"
MANIFEST = "index.json"
FILE_NAME = re.compile(r"vectors-\d{5,}\.faiss")
_TEMPORARY_NAME = re.compile(rf"\.({FILE_NAME.pattern}|index\.json)\.\d+\.tmp")
_PIECES, _PIECE = (
    64,
    1 << 18,
)  # what opening reads of each file: 64 pieces of 256 KiB, evenly spread, both ends included
_EXPECTED = {
    "store": str,
    "store_digest": str,
    "shards": list,
    "encoder": dict,
    "recipe": str,
    "factory": str,
    "exact": bool,
    "candidates": int,
    "search": dict,
    "rows": int,
    "index_recall": dict,
    "files": list,
}


@dataclass(frozen=True)
class IndexFile:
    """A file of the index. sampled_sha256: over its size and 64 pieces of it, which opening can afford to read."""

    name: str
    bytes: int
    sha256: str
    sampled_sha256: str

    @classmethod
    def of(cls, path: Path) -> IndexFile:
        return cls(path.name, path.stat().st_size, sha256_of(path), sampled_digest(path))


def sampled_digest(path: Path) -> str:
    """SHA-256 over a file's size and 64 pieces of 256 KiB, the first and the last included: all of a file of 16 MiB."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as handle:
        for piece in range(_PIECES):
            handle.seek(max(0, size - _PIECE) * piece // (_PIECES - 1))
            digest.update(handle.read(_PIECE))
    return digest.hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read index.json. Raises InputError if the folder holds no index of this version."""
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} is no index: it has no {MANIFEST} (make one with memaudit index)")
    manifest = read_json(folder / MANIFEST)
    if manifest.get("schema") != SCHEMA:
        raise InputError(
            f"{folder / MANIFEST} has schema {manifest.get('schema')!r}, this version reads {SCHEMA!r}: "
            "build the index again"
        )
    wrong = [key for key, kind in _EXPECTED.items() if not isinstance(manifest.get(key), kind)]
    if wrong or not _sound_files(manifest["files"]) or not _sound_search(manifest["search"]):
        name = wrong[0] if wrong else "files or search"
        raise InputError(f"{folder / MANIFEST} is damaged: no sound {name!r}; build the index again")
    return manifest


def _sound_files(files: Sequence[Any]) -> bool:
    try:
        found = [IndexFile(**entry) for entry in files]
    except TypeError:
        return False
    return bool(found) and all(
        isinstance(file.name, str) and FILE_NAME.fullmatch(file.name) and type(file.bytes) is int for file in found
    )


def _sound_search(search: dict[str, Any]) -> bool:
    return search.get("parameter") in ("", "nprobe", "efSearch") and type(search.get("value")) is int


def files_of(manifest: dict[str, Any]) -> list[IndexFile]:
    return [IndexFile(**entry) for entry in manifest["files"]]


def paths_of(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    return [folder / file.name for file in files_of(manifest)]


def require_files(folder: Path, manifest: dict[str, Any], *, all_bytes: bool = False) -> None:
    """Raise InconclusiveError for a file that is missing, cut or changed; all_bytes: whatever was changed in it."""
    for file in files_of(manifest):
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.bytes:
            raise InconclusiveError(f"index file {path} is missing or cut: build it again with memaudit index")
        sound = sha256_of(path) == file.sha256 if all_bytes else sampled_digest(path) == file.sampled_sha256
        if not sound:
            raise InconclusiveError(f"index file {path} was changed: build it again with memaudit index")


def open_store(folder: Path, manifest: dict[str, Any]) -> Store:
    """Open the store of an index. Raises InconclusiveError if it is no longer the one that was indexed."""
    store = Store.open((folder / manifest["store"]).resolve())
    if store.encoder.as_dict() != manifest["encoder"] and not _same_encoder(store, manifest["encoder"]):
        raise InconclusiveError(
            f"index {folder} was built with another encoder than store {store.folder} has ({store.encoder.identity}): "
            "build it again"
        )
    if store.digest != manifest["store_digest"]:
        if grown_by(store, manifest):
            raise InconclusiveError(
                f"store {store.folder} has grown by {grown_by(store, manifest):,} images since index {folder} was "
                f"built: memaudit index {store.folder} --out {folder} --update adds them"
            )
        raise InconclusiveError(f"index {folder} was built from another state of store {store.folder}: build it again")
    return store


def _same_encoder(store: Store, encoder: dict[str, Any]) -> bool:
    """Where the default threshold alone was changed embeddings are still comparable."""
    return all(
        getattr(store.encoder, key) == encoder.get(key) for key in ("name", "weights_sha256", "preprocessing", "dim")
    )


def grown_by(store: Store, manifest: dict[str, Any]) -> int:
    """Comparable rows in shards that came after those of the index; 0 if its own are not the first of the store."""
    shards = list(shard_digests(store.manifest))
    known = len(manifest["shards"])
    if shards[:known] != manifest["shards"]:
        return 0
    return sum(shard.ok for shard in store.manifest.shards[known:])


def shard_digests(manifest: StoreManifest) -> list[str]:
    return [shard.sha256 for shard in manifest.shards]


def index_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 over what decides an index's answers: its store, its files and how they are searched."""
    files = [file.sha256 for file in files_of(manifest)]
    return digest_of([manifest["store_digest"], files, manifest["search"], manifest["candidates"]])


def next_number(folder: Path) -> int:
    """The number of the next files: names are never used twice, so that a manifest never lists another build's."""
    numbers = [int(re.findall(r"\d+", path.name)[0]) for path in folder.glob("*") if FILE_NAME.fullmatch(path.name)]
    return max(numbers, default=-1) + 1


def save(folder: Path, manifest: dict[str, Any], paths: Sequence[Path]) -> None:
    """Write index.json, which makes the files count, and remove those of earlier builds."""
    manifest = {**manifest, "files": [asdict(IndexFile.of(path)) for path in paths]}
    write_json(folder / MANIFEST, manifest)
    for path in strays(folder, manifest):
        path.unlink()


def strays(folder: Path, manifest: dict[str, Any] | None) -> list[Path]:
    """Files by our own names that the manifest does not list: what killed builds left."""
    known = {file.name for file in files_of(manifest)} if manifest else set()
    own = (path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name) or _TEMPORARY_NAME.fullmatch(path.name))
    return sorted(path for path in own if path.name not in known)


def relative_to(store: Store, folder: Path) -> str:
    return os.path.relpath(store.folder.resolve(), folder.resolve())
