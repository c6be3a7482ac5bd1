"""Adding a store's new shards to its index."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, UsageError
from memaudit.index import recall
from memaudit.index.adding import Adder
from memaudit.index.build import measure, tune, writing_index
from memaudit.index.engine import Engine
from memaudit.index.faiss_library import import_faiss, ivf_of, read
from memaudit.index.manifest import (
    FIRST_FRAMES,
    files_of,
    grown_by,
    paths_of,
    read_manifest,
    require_files,
    save,
    save_manifest,
    shard_digests,
)
from memaudit.index.opened import Index
from memaudit.index.recipes import CAGRA, MEMORY_SHARE, Machine, Recipe, rows_for
from memaudit.store import Store
from memaudit.types import Progress, silent


def update_index(store: Store, folder: str | Path, progress: Progress = silent) -> Index:
    """Add the shards that the store has got since its index was built, and measure the recall again.

    Lists and codes stay as they were fitted, nprobe or efSearch is tuned again. The earlier index holds until the new
    one is whole. Where the new shards have nothing to compare, the files stay as they are.
    Raises UsageError for an index that cannot be added to, InconclusiveError if the store changed otherwise, if the
    index is damaged, or if the recall is now below the recipe's floor.
    """
    folder, start = Path(folder), time.perf_counter()
    import_faiss()
    manifest = read_manifest(folder)
    if manifest["recipe"] == CAGRA:
        raise UsageError("an index by recipe cagra cannot be added to: build it again, without --update")
    require_files(folder, manifest)
    if store.digest == manifest["store_digest"]:
        if FIRST_FRAMES not in manifest:
            with writing_index(folder):
                save_manifest(folder, {**manifest, FIRST_FRAMES: store.first_frames_alone()})
        return Index.open(folder)
    known = len(manifest["shards"])
    if not grown_by(store, manifest) or store.encoder.as_dict() != manifest["encoder"]:
        raise InconclusiveError(
            f"index {folder} was built from another state of store {store.folder}, not from its first shards: "
            "build it again, without --update"
        )
    with writing_index(folder):
        if store.comparable == manifest["rows"]:
            store.require_current()
            save_manifest(folder, _renewed(manifest, store, start))
            return Index.open(folder)
        sample = _sample(store, known, tuned=bool(manifest["search"]["parameter"]))
        adder = _grown(folder, manifest, store, known, sample, progress)
        recipe = Recipe(
            manifest["recipe"],
            manifest["factory"],
            "",
            manifest["floor"],
            search=manifest["search"]["parameter"],
            candidates=manifest["candidates"],
            exact=manifest["exact"],
        )
        search = manifest["search"]
        engine = Engine(adder.searchable(), search["parameter"], search["value"], copies=False)
        tune(engine, recipe, store, sample, progress)
        found = measure(engine, recipe, store, sample, progress)
        recall.require_floor(found, recipe.floor, recipe.name)
        adder.add_rows(store, sample.held_out)
        store.require_current()
        manifest |= {
            "search": {**search, "value": engine.value},
            "index_recall": asdict(found),
            "on_disk": adder.in_parts,
        }
        save(folder, _renewed(manifest, store, start), adder.finish(store.comparable))
    return Index.open(folder)


def _sample(store: Store, known: int, *, tuned: bool) -> recall.Sample:
    """Rows of the whole store to tune and to measure on; those of them that are new are held out, and added last."""
    sample = recall.draw(store, tuned=tuned, hold_out=True)
    first_new = sum(shard.rows for shard in store.manifest.shards[:known])
    return sample._replace(held_out=sample.held_out[sample.held_out >= first_new])


def _grown(
    folder: Path, manifest: dict[str, Any], store: Store, known: int, sample: recall.Sample, progress: Progress
) -> Adder:
    """The index with the new rows, less those that are held out.

    One that does not fit the memory, or that is in parts, gets the new rows as further parts.
    """
    paths = paths_of(folder, manifest)
    row_bytes = sum(file.bytes for file in files_of(manifest)) / manifest["rows"]
    room = MEMORY_SHARE * Machine.here().memory
    index = read(paths[:1], mapped=False)
    in_parts = manifest["on_disk"] or len(paths) > 1
    if ivf_of(index) is not None and (in_parts or row_bytes * store.comparable > room):
        index.reset()
        adder = Adder(index, folder, rows_for(room / 2, row_bytes), tuple(paths))
    else:
        adder = Adder(index, folder)
    adder.add(store, but=sample.held_out, first_shard=known, progress=progress)
    return adder


def _renewed(manifest: dict[str, Any], store: Store, start: float) -> dict[str, Any]:
    counted = manifest.get(FIRST_FRAMES)
    new = store.first_frames_alone(0 if counted is None else len(manifest["shards"]))
    return {
        **manifest,
        FIRST_FRAMES: new + (counted or 0),
        "store_digest": store.digest,
        "shards": shard_digests(store.manifest),
        "rows": store.comparable,
        "updated": datetime.now(UTC).isoformat(timespec="seconds"),
        "update_seconds": round(time.perf_counter() - start, 2),
        "faiss": import_faiss().__version__,
    }
