"""index.json: what an index was built from and how, which files it has, and what it measured of itself."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of, read_json, real, sealed, sha256_as_it_is, sha256_of, unsealed, write_json
from memaudit.store import Manifest as StoreManifest
from memaudit.store import Store, encoder_spec

SCHEMA = "memaudit-index/3"
UNBOUND_SCHEMA = "memaudit-index/2"  # of memaudit 0.1 and 0.2: as this one, without a digest of its own
MANIFEST = "index.json"
FIRST_FRAMES = "first_frames_alone"  # of the store; not in those of 0.3.0 and before
FILE_NAME = re.compile(r"vectors-\d{5,}\.faiss")
# What opening reads of a larger file than is read whole: 64 pieces of 256 KiB, evenly spread, both ends included
_PIECES, _PIECE = 64, 1 << 18
READ_WHOLE = 1 << 30  # bytes of an index file that opening reads: half a second or so
_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_TUNED = 4096  # nprobe and efSearch, in an index of a few rows
_MOST = 1 << 40  # rows, bytes, candidates: what is above comes of a damaged file
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
    """Read index.json. Raises InputError if the folder holds no index that this version reads, InconclusiveError if the
    manifest was changed since it was written. One of memaudit 0.1 or 0.2 has no digest by which to tell."""
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder} is no index: it has no {MANIFEST} (make one with memaudit index)")
    manifest = read_json(path)
    schema = manifest.get("schema")
    if schema not in (SCHEMA, UNBOUND_SCHEMA):
        raise InputError(
            f"{path} has schema {str(schema)[:80]!r}, this version reads {SCHEMA!r}: build the index again"
        )
    if schema == SCHEMA:
        manifest = unsealed(path, manifest)
    if wrong := _unsound(manifest):
        raise InputError(f"{path} is damaged: no sound {wrong!r}; build the index again")
    return manifest


def _unsound(manifest: dict[str, Any]) -> str:
    """The first part of a manifest that no writer wrote so; empty for none."""
    wrong = [key for key, kind in _EXPECTED.items() if not isinstance(manifest.get(key), kind)]
    if wrong:
        return wrong[0]
    checks: dict[str, Callable[[dict[str, Any]], bool]] = {
        "files": lambda m: _sound_files(m["files"]),
        "search": lambda m: _sound_search(m["search"], m["rows"]),
        "encoder": lambda m: _sound_encoder(m["encoder"]),
        "store_digest": lambda m: _is_sha256(m["store_digest"]),
        "shards": lambda m: all(map(_is_sha256, m["shards"])),
        "rows": lambda m: _is_whole(m["rows"], 1),
        FIRST_FRAMES: lambda m: _is_whole(m.get(FIRST_FRAMES, 0), 0),
        "candidates": lambda m: _is_whole(m["candidates"], 0),
        "index_recall": lambda m: _sound_recall(m["index_recall"]),
        "floor": lambda m: type(m.get("floor", 0)) in (int, float) and 0 <= m.get("floor", 0) <= 1,
    }
    return next((name for name, sound in checks.items() if not sound(manifest)), "")


def _is_whole(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= _MOST


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None


def _sound_files(files: Sequence[Any]) -> bool:
    try:
        found = [IndexFile(**entry) for entry in files]
    except TypeError:
        return False
    return bool(found) and all(
        isinstance(file.name, str)
        and FILE_NAME.fullmatch(file.name) is not None
        and _is_whole(file.bytes, 1)
        and _is_sha256(file.sha256)
        and _is_sha256(file.sampled_sha256)
        for file in found
    )


def _sound_search(search: dict[str, Any], rows: int) -> bool:
    """No more lists or candidates than there are rows, but for the least that tuning tries."""
    value = search.get("value")
    in_range = isinstance(value, int) and _is_whole(value, 1) and value <= max(rows, _MOST_TUNED)
    return search.get("parameter") in ("", "nprobe", "efSearch") and in_range


def _sound_recall(recall: dict[str, Any]) -> bool:
    near = recall.get("near")
    if not isinstance(near, dict):
        return False
    shares = (recall.get("at_1"), recall.get("at_10"), near.get("at_1"))
    return all(isinstance(share, int | float) and 0 <= share <= 1 for share in shares)


def _sound_encoder(encoder: dict[str, Any]) -> bool:
    try:
        encoder_spec(encoder)
    except (TypeError, ValueError):
        return False
    return True


def files_of(manifest: dict[str, Any]) -> list[IndexFile]:
    return [IndexFile(**entry) for entry in manifest["files"]]


def paths_of(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    return [folder / file.name for file in files_of(manifest)]


def require_files(folder: Path, manifest: dict[str, Any], *, all_bytes: bool = False) -> None:
    """Raise InconclusiveError for a file that is missing, cut or changed; all_bytes: whatever was changed in it, and of
    files up to READ_WHOLE in any case."""
    for file in files_of(manifest):
        path = folder / file.name
        if not path.is_file() or path.stat().st_size != file.bytes:
            raise InconclusiveError(f"index file {path} is missing or cut: build it again with memaudit index")
        whole = all_bytes or file.bytes <= READ_WHOLE
        if not (sha256_as_it_is(path) == file.sha256 if whole else sampled_digest(path) == file.sampled_sha256):
            raise InconclusiveError(
                f"index file {path} was changed, or is another one: build it again with memaudit index"
            )


def open_store(folder: Path, manifest: dict[str, Any]) -> Store:
    """Open the store of an index. Raises InconclusiveError if it is no longer the one that was indexed."""
    store = Store.open(real(folder / manifest["store"]))
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


def require_rows(folder: Path, manifest: dict[str, Any], held: int, store: Store) -> None:
    """Raise InconclusiveError unless an index holds as many rows as it says, and as its store has to compare."""
    if not held == manifest["rows"] == store.comparable:
        raise InconclusiveError(
            f"index {folder} holds {held:,} rows, {MANIFEST} says {manifest['rows']:,}, "
            f"the store has {store.comparable:,}: build it again"
        )


def grown_by(store: Store, manifest: dict[str, Any]) -> int:
    """Rows in shards that came after those of the index, whatever could be read of them; 0 if its own are not the first
    of the store."""
    shards = list(shard_digests(store.manifest))
    known = len(manifest["shards"])
    if shards[:known] != manifest["shards"]:
        return 0
    return sum(shard.rows for shard in store.manifest.shards[known:])


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
    save_manifest(folder, manifest)
    for path in strays(folder, manifest):
        path.unlink()


def save_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write index.json alone: its files stay those that it lists, with their digests."""
    write_json(folder / MANIFEST, sealed({**manifest, "schema": SCHEMA}))


def strays(folder: Path, manifest: dict[str, Any] | None) -> list[Path]:
    """Files by our own names that the manifest does not list: what killed builds left."""
    known = {file.name for file in files_of(manifest)} if manifest else set()
    return sorted(path for path in folder.iterdir() if FILE_NAME.fullmatch(path.name) and path.name not in known)


def relative_to(store: Store, folder: Path) -> str:
    return os.path.relpath(real(store.folder), real(folder))
