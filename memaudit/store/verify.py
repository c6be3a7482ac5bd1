"""Re-compute what a store claims of itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from memaudit.errors import InconclusiveError
from memaudit.store.columns import Columns
from memaudit.store.distinct import repeated
from memaudit.store.manifest import MANIFEST, Manifest, strays
from memaudit.store.reader import BLOCK_ROWS, Store
from memaudit.store.rows import as_float32
from memaudit.store.shard import CODES, CUT, Shard, open_shard, read_columns, require_unchanged, require_whole
from memaudit.types import Status

_UNIT = 2e-3  # how far from 1 the length of a stored embedding may be: float16 rounding stays below 5e-4


def verify_store(folder: str | Path) -> list[str]:
    """Re-compute every digest and invariant of a store; return one line for each fault, none if it is sound.

    Checked: shards present, listed and unchanged, every column there, rows finite and of unit length, image_ids unique.
    Memory: a block, and 8 bytes an image.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    faults = [] if manifest.complete else [f"{folder} is unfinished: run the same {manifest.command} command again"]
    if manifest.complete:
        faults += [f"{name} is not listed in {MANIFEST}" for name in strays(folder, manifest)]
    store, readable = Store(folder, manifest), list[Shard]()
    for shard in manifest.shards:
        try:
            require_whole(folder / shard.name, shard)
            require_unchanged(folder / shard.name, shard)
            faults += _row_faults(store, shard)
            readable.append(shard)
        except InconclusiveError as error:
            faults.append(str(error))
    try:
        return [*faults, *_repeated_ids(Store(folder, replace(manifest, shards=tuple(readable))))]
    except InconclusiveError as error:  # another one by now
        return [*faults, str(error)]


def _repeated_ids(store: Store) -> list[str]:
    shards = store.manifest.shards
    starts = np.cumsum([0, *(shard.rows for shard in shards[:-1])])
    found = repeated(lambda: (str(name) for names in store.iter_image_ids() for name in names))
    return [
        f"{shards[int(np.searchsorted(starts, place, side='right')) - 1].name}: image_id {image_id!r} occurs twice"
        for place, image_id in found
    ]


def _row_faults(store: Store, shard: Shard) -> list[str]:
    faults = []
    with open_shard(store.folder / shard.name, shard, store.encoder.dim) as file:
        faults += _column_faults(file, shard)
        if (ok := int((file["status"][:] == CODES[Status.OK]).sum())) != shard.ok:
            faults.append(f"{shard.name}: {ok} rows are comparable, {MANIFEST} says {shard.ok}")
        for low in range(0, shard.rows, BLOCK_ROWS):
            part = slice(low, low + BLOCK_ROWS)
            lengths = np.linalg.norm(as_float32(file["embeddings"][part]), axis=1)
            wrong = (file["status"][part] == CODES[Status.OK]) & ~(np.abs(lengths - 1) < _UNIT)
            faults += [
                f"{shard.name} row {low + row}: embedding of length {lengths[row]:.4g}, expected 1"
                for row in np.flatnonzero(wrong)
            ]
    return faults


def _column_faults(file: h5py.File, shard: Shard) -> list[str]:
    """Read every column once. One that is not there, or is of another type, raises as it would when it is needed."""
    lengths = {name: len(file[name]) for name in Columns._fields if name != CUT or CUT in file}
    faults = [f"{shard.name}: column {n} has {found} rows" for n, found in lengths.items() if found != shard.rows]
    parts = (slice(low, low + BLOCK_ROWS) for low in range(0, shard.rows, BLOCK_ROWS))
    cut = sum(int(read_columns(file, part).cut.sum()) for part in parts)
    if cut != shard.cut:
        faults.append(f"{shard.name}: the archives of {cut} rows end early, {MANIFEST} says {shard.cut}")
    return faults
