"""Building an index: train on a part, add block by block, tune, measure, save."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import memaudit
from memaudit.errors import InconclusiveError, InputError
from memaudit.folders import sole_writer
from memaudit.index import recall
from memaudit.index.adding import Adder
from memaudit.index.engine import Engine
from memaudit.index.faiss_library import gpus, import_faiss, ivf_of
from memaudit.index.manifest import (
    FIRST_FRAMES,
    MANIFEST,
    SCHEMA,
    read_manifest,
    relative_to,
    save,
    shard_digests,
    strays,
)
from memaudit.index.opened import Index
from memaudit.index.recipes import CAGRA, Machine, Plan, Recipe, settle
from memaudit.index.search import Candidates
from memaudit.index.training import cagra_index, trained_index
from memaudit.store import Store
from memaudit.types import Progress, silent

_PATIENCE, _GAIN = 3, 1e-3  # values that must bring so much more recall, or the rest is left untried
_SHARE_TO_SPARE = 0.5  # of what the floor leaves to 1: a tuned index must reach so much more, or luck would decide


def build_index(store: Store, folder: str | Path, recipe: str = "flat", progress: Progress = silent) -> Index:
    """Build the index of a store, measure its recall, save it. recipe: a name, `auto` or a FAISS factory string.

    Memory: the index, or a part of it where its lists stay on the disk; the rows it is trained on; a block.
    Raises UsageError for an unknown recipe or one that does not fit the machine, InconclusiveError if the recall at
    near-duplicate scale is below the recipe's floor.
    """
    import_faiss()
    if not store.comparable:
        raise InputError(f"store {store.folder} has no readable image: nothing to index")
    plan = settle(recipe, store.comparable, store.encoder.dim, Machine.here())
    folder, start = Path(folder), time.perf_counter()
    with writing_index(folder):
        sample = recall.draw(store, tuned=bool(plan.recipe.search), hold_out=plan.recipe.name != CAGRA)
        adder = _filled(plan, store, folder, sample, progress)
        engine = Engine(adder.searchable(), plan.recipe.search, 1, copies=False)
        tune(engine, plan.recipe, store, sample, progress)
        found = measure(engine, plan.recipe, store, sample, progress)
        recall.require_floor(found, plan.recipe.floor, plan.recipe.name)
        adder.add_rows(store, sample.held_out)
        manifest = _manifest(plan, store, folder, engine, found, time.perf_counter() - start)
        store.require_current()
        save(folder, manifest, adder.finish(store.comparable))
    return Index.open(folder)


def _filled(plan: Plan, store: Store, folder: Path, sample: recall.Sample, progress: Progress) -> Adder:
    """The index of everything but the rows that are held out."""
    progress("training", 0, 0)
    if plan.recipe.name == CAGRA:
        return Adder(cagra_index(store), folder)
    adder = Adder(trained_index(plan, store), folder, plan.part_rows)
    adder.add(store, but=sample.held_out, progress=progress)
    return adder


def tune(engine: Engine, recipe: Recipe, store: Store, sample: recall.Sample, progress: Progress = silent) -> None:
    """Find the least nprobe or efSearch with which recall@1 at near-duplicate scale passes the floor with room.

    On rows of their own: measured on the same it would flatter.
    """
    if not recipe.search:
        return
    queries = recall.asked(store, sample.tune, sample.held_out)
    near, _ = recall.near_queries(store, queries, sample.held_out, store.encoder.threshold)
    search, threshold = searcher(engine, recipe, store).search, store.encoder.threshold
    target = recipe.floor + _SHARE_TO_SPARE * (1 - recipe.floor)
    values, seen = _values(engine, recipe.search), list[float]()
    for value in values:
        progress(f"tuning {recipe.search}", len(seen), len(values))
        engine.tune(value)
        seen.append(recall.recall(near, search(near.vectors, 2, threshold), 1))
        if seen[-1] >= target or (len(seen) > _PATIENCE and seen[-1] < seen[-1 - _PATIENCE] + _GAIN):
            break
    best = next(i for i, found in enumerate(seen) if found >= min(target, max(seen) - _GAIN))
    engine.tune(values[best])


def _values(engine: Engine, parameter: str) -> list[int]:
    if parameter == "efSearch":
        return [2**power for power in range(4, 12)]
    lists = int(ivf_of(engine.index).nlist)
    return [2**power for power in range(13) if 2**power < lists] + ([lists] if lists <= 4096 else [])


def measure(engine: Engine, recipe: Recipe, store: Store, sample: recall.Sample, progress: Progress = silent) -> Any:
    """The index's recall on the rows that are there for it."""
    progress("measuring recall", 0, 0)
    search = searcher(engine, recipe, store).search
    return recall.measured(search, store, sample, store.encoder.threshold)


def searcher(engine: Engine, recipe: Recipe, store: Store) -> Candidates:
    return Candidates(engine, store, recipe.candidates, recipe.exact)


def _manifest(
    plan: Plan, store: Store, folder: Path, engine: Engine, found: recall.IndexRecall, seconds: float
) -> dict[str, Any]:
    faiss = import_faiss()
    return {
        "schema": SCHEMA,
        "memaudit": memaudit.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "store": relative_to(store, folder),
        "store_digest": store.digest,
        **({"parts": {relative_to(part, folder): part.digest for part in store.made_of}} if store.made_of else {}),
        "shards": shard_digests(store.manifest),
        "encoder": store.encoder.as_dict(),
        "recipe": plan.recipe.name,
        "chosen": plan.reason,
        "factory": plan.factory,
        "metric": "inner product of unit vectors (cosine)",
        "exact": plan.recipe.exact,
        "candidates": plan.recipe.candidates,
        "floor": plan.recipe.floor,
        "search": {"parameter": plan.recipe.search, "value": engine.value},
        "rows": store.comparable,
        "rows_when_trained": store.comparable,
        FIRST_FRAMES: store.first_frames_alone(),
        "on_disk": plan.on_disk,
        "index_recall": asdict(found),
        "build_seconds": round(seconds, 2),
        "device": f"{gpus()} GPUs" if gpus() else "cpu",
        "faiss": faiss.__version__,
    }


@contextmanager
def writing_index(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; whatever happens, files that no manifest lists are gone afterwards.

    Raises InputError if another process is writing there, or the folder cannot be written.
    """
    with sole_writer(folder):
        try:
            _tidy(folder)
            yield
        finally:
            _tidy(folder)


def _tidy(folder: Path) -> None:
    manifest = None
    if (folder / MANIFEST).is_file():
        try:
            manifest = read_manifest(folder)
        except (InputError, InconclusiveError):  # earlier, or damaged: its files stay until the build is there
            return
    for path in strays(folder, manifest):
        path.unlink(missing_ok=True)
