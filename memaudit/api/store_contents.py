"""What a store holds, and what is wrong with it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from memaudit.embedding.growth import grown
from memaudit.embedding.opt_outs import opt_out_counts
from memaudit.embedding.windows import DETAILS, TILES, window_counts, window_faults, windows_of
from memaudit.errors import InconclusiveError
from memaudit.files import NOT_BOUND
from memaudit.matching.kept import FOLDER, feature_faults, kept_counts, not_used
from memaudit.store import FACES, MANIFEST, Manifest, Store, verify_store
from memaudit.types import Status

_NAMED_CAUSES = 20
_MOST_CAUSES = 1000
_NUMBER = re.compile(r"(?<!HTTP )\b\d[\d,.]*")  # which answer a web server gave is no measure


def faults_of(path: Path) -> list[str]:
    """Of the store, and of the tiles, details and features within it."""
    return [*verify_store(path), *window_faults(path), *feature_faults(Store(path, Manifest.read(path)))]


def unchecked_in(path: Path) -> list[str]:
    """What has no digest of its own by which to tell whether it was changed: manifests of earlier versions."""
    folders = [path, *(path / name for name in (TILES, DETAILS) if (path / name / MANIFEST).is_file())]
    return [NOT_BOUND.format(folder / MANIFEST) for folder in folders if not Manifest.read(folder).bound]


def notes_of(path: Path) -> list[str]:
    """What the store's sources hold by now and it does not."""
    manifest = Manifest.read(path)
    return [*filter(None, [grown(Store(path, manifest))] if manifest.complete else [])]


def faults_as_read(path: Path, digest: str) -> list[str]:
    """Of a store that a report is about: it must be the one that was read, and sound."""
    try:
        if Store(path, Manifest.read(path)).digest != digest:
            return [f"{path} is another store than the report is about, or was changed since: restore it, or run again"]
        return verify_store(path)
    except InconclusiveError as error:
        return [str(error)]


def contents_of(path: Path) -> dict[str, object]:
    """Names and values; of an unfinished store what its manifest says."""
    manifest = Manifest.read(path)
    value: dict[str, object] = {
        "kind": "store",
        "complete": manifest.complete,
        **_held(manifest),
        "encoder": manifest.encoder.identity,
        **({} if manifest.views else {"sources": list(manifest.sources)}),
        **({"part": manifest.part} if manifest.part else {}),
        "shards": len(manifest.shards),
        "rows": sum(shard.rows for shard in manifest.shards),
        "comparable": sum(shard.ok for shard in manifest.shards),
    }
    if not manifest.complete:
        return value
    store = Store.open(path)
    status: Counter[str] = Counter()
    causes, others = _Causes(), _Causes()
    for columns in store.iter_columns(only=("status", "error")):
        status.update(map(str, columns.status))
        for state, error in zip(columns.status, columns.error, strict=True):
            if error:
                (causes if state == Status.UNREADABLE else others).add(error)
    out_of_scope = {"not compared": named} if (named := others.as_dict()) else {}
    return {
        **value,
        "digest": store.digest,
        "status": dict(status),
        "unreadable": causes.as_dict(),
        **out_of_scope,
        **({} if manifest.views or manifest.kind == FACES else {"opt-outs": opt_out_counts(store).as_dict()}),
        **({"not read": list(store.not_read)} if store.not_read else {}),
        **({"first frame only": films} if (films := store.first_frames_alone()) else {}),
        **_windows(store),
    }


class _Causes:
    """Texts that say why, counted. Those that differ in numbers alone, such as how many bytes a file lacks, are one.
    Memory: _MOST_CAUSES texts; whatever comes after them is counted together."""

    def __init__(self) -> None:
        self._counts, self._words = Counter[str](), dict[str, str]()
        self._further = 0

    def add(self, text: str) -> None:
        cause = _NUMBER.sub("…", text)
        if cause not in self._counts and len(self._counts) == _MOST_CAUSES:
            self._further += 1
            return
        self._counts[cause] += 1
        if self._words.setdefault(cause, text) != text:
            self._words[cause] = cause

    def as_dict(self) -> dict[str, int]:
        """The most frequent ones with their counts, and then that of all others."""
        named = self._counts.most_common(_NAMED_CAUSES)
        others = self._counts.total() + self._further - sum(count for _, count in named)
        return {self._words[cause]: count for cause, count in named} | ({"others": others} if others else {})


def _held(manifest: Manifest) -> dict[str, object]:
    """What its rows are, where they are not whole images."""
    if manifest.kind == FACES:
        return {"holds": "faces: biometric templates of people"}
    if manifest.views is None:
        return {}
    parent = f"with the digest {manifest.views.parent}" if manifest.views.parent else "that is not finished"
    made = {"made as": manifest.views.scheme} if manifest.views.scheme else {}
    return {"holds": f"views of each image of the store {parent}", "views": list(manifest.views.names), **made}


def _windows(store: Store) -> dict[str, object]:
    """How many tiles, details and features the images have, or what is wrong with them; nothing of those that are not
    there."""
    value: dict[str, object] = {}
    for name in (TILES, DETAILS):
        try:
            windows = windows_of(store, name)
            if windows is not None:
                value[name] = window_counts(windows)._asdict()
        except InconclusiveError as error:
            value[name] = {"fault": str(error)}
    try:
        kept = kept_counts(store)
        if kept is None:
            return value
        why_not = not_used(store)
        return {**value, FOLDER: kept._asdict() | ({"not used": why_not.advice} if why_not else {})}
    except InconclusiveError as error:
        return {**value, FOLDER: {"fault": str(error)}}
