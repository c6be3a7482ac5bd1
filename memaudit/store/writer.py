"""Writing a store: a shard appears whole, and counts only once the manifest lists it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import keep_private, whole_file, write_json
from memaudit.folders import sole_writer
from memaudit.images.addresses import unsigned
from memaudit.store.columns import Columns, Row, columns_of, content_digest
from memaudit.store.distinct import Listing
from memaudit.store.manifest import FACES, IMAGES, MANIFEST, Manifest, NotRead, ViewsOf, remove_strays
from memaudit.store.places import Place
from memaudit.store.reader import Store
from memaudit.store.shard import Shard, require_whole, shard_file, shard_name
from memaudit.types import EncoderSpec, Status


class StoreWriter:
    """Appends shards to a store. Use within `writing_store`, which holds the lock."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return sum(shard.rows for shard in self.manifest.shards)

    def write_shard(self, rows: Sequence[Row]) -> None:
        """Write the next shard; it counts only once the manifest lists it. Memory: the shard's file."""
        self.write_columns(columns_of(rows), _stored(rows, self.manifest.encoder.dim))

    def write_columns(self, columns: Columns, embeddings: NDArray[np.float16]) -> None:
        """Write the next shard from columns and (rows, dim) unit embeddings; rows that are not OK hold zeros."""
        shard = self._written_shard(columns, embeddings)
        self._save(replace(self.manifest, shards=(*self.manifest.shards, shard), complete=False))

    def _written_shard(self, columns: Columns, embeddings: NDArray[np.float16], taken: Sequence[Shard] = ()) -> Shard:
        """Write a file under a number beyond all that are listed or `taken`: none of theirs is overwritten."""
        name = shard_name(max((shard.number for shard in (*self.manifest.shards, *taken)), default=-1) + 1)
        data = shard_file(columns, embeddings)
        with whole_file(self.folder / name) as file:
            file.write(data)
        return Shard(
            name,
            rows=len(columns.image_id),
            # Counted without numpy, which asks the enum for attributes and swallows a Ctrl-C that comes meanwhile.
            ok=columns.status.tolist().count(Status.OK),
            cut=int(columns.cut.sum()),
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            content_sha256=content_digest(zip(columns.image_id, columns.sha256, strict=True)),
        )

    def replace_rows(self, rows: Mapping[int, Row]) -> None:
        """Write every shard with one of these rows anew, with what they are now, under a further number: the shard,
        then the manifest, then the old shard goes, one after the other. Killed, it has lost one. Memory, and disk: a
        shard, beside the rows."""
        self.remove_strays()
        numbers = np.sort(np.fromiter(rows, np.int64, len(rows)))
        starts = np.cumsum([0, *(shard.rows for shard in self.manifest.shards)])
        bounds = np.searchsorted(numbers, starts)
        for place in np.flatnonzero(np.diff(bounds)).tolist():
            start, own = int(starts[place]), numbers[bounds[place] : bounds[place + 1]].tolist()
            shards = [*self.manifest.shards]
            old, shards[place] = shards[place], self._shard_with(shards[place], {row - start: rows[row] for row in own})
            self._save(replace(self.manifest, shards=tuple(shards), complete=False))
            (self.folder / old.name).unlink()

    def _shard_with(self, shard: Shard, rows: Mapping[int, Row]) -> Shard:
        store = Store(self.folder, replace(self.manifest, shards=(shard,)), as_written=True)
        places = np.fromiter(rows, np.int64, len(rows))
        columns, embeddings = store.all_columns(), store.stored_embeddings(np.arange(shard.rows))
        new = columns_of([*rows.values()])
        for name in Columns._fields:
            getattr(columns, name)[places] = getattr(new, name)
        embeddings[places] = _stored([*rows.values()], self.manifest.encoder.dim)
        return self._written_shard(columns, embeddings)

    def remove_rows(
        self,
        doomed: Callable[[Columns], NDArray[np.bool_]],
        forgotten: Sequence[str],
        redacted: Callable[[Columns], Columns] = lambda columns: columns,
    ) -> None:
        """Write every shard with a doomed row anew, without it and with what is left `redacted`, then a manifest that
        lists the new files and `forgotten`, then delete the old ones. Killed before the manifest, nothing has changed;
        killed after it, the next call deletes what is left. Memory: a shard.

        redacted: returns the very columns it was given where nothing is to be changed.
        """
        self.remove_strays()
        shards: list[Shard] = []
        for shard in self.manifest.shards:
            shards += self._shard_without(shard, doomed, redacted, taken=shards)
        self._save(replace(self.manifest, shards=tuple(shards), forgotten=tuple(forgotten)))
        self.remove_strays()

    def _shard_without(
        self,
        shard: Shard,
        doomed: Callable[[Columns], NDArray[np.bool_]],
        redacted: Callable[[Columns], Columns],
        taken: Sequence[Shard],
    ) -> list[Shard]:
        """What stands for a shard once its doomed rows are gone: itself, another one, or none."""
        store = Store(self.folder, replace(self.manifest, shards=(shard,)), as_written=True)
        columns = store.all_columns()
        kept = np.flatnonzero(~doomed(columns))
        left = redacted(columns)
        if len(kept) == shard.rows and left is columns:
            return [shard]
        return [self._written_shard(left.at(kept), store.stored_embeddings(kept), taken)] if len(kept) else []

    def remove_strays(self) -> None:
        """Delete files by our own names that the manifest does not list."""
        remove_strays(self.folder, self.manifest)

    def written(self) -> Store:
        """What was written so far, for reading. Another one is needed after the next shard."""
        return Store(self.folder, self.manifest)

    def whole_shards(self) -> int:
        """How many shards there are before the first that is missing or cut."""
        for count, shard in enumerate(self.manifest.shards):
            try:
                require_whole(self.folder / shard.name, shard)
            except InconclusiveError:
                return count
        return len(self.manifest.shards)

    def require_whole(self) -> None:
        """Raise InconclusiveError for a shard that is missing or cut."""
        for shard in self.manifest.shards:
            require_whole(self.folder / shard.name, shard)

    def keep_shards(self, count: int) -> None:
        """Begin again after the first `count` shards; files of the others are overwritten or removed at the end."""
        if count < len(self.manifest.shards):
            self._save(replace(self.manifest, shards=self.manifest.shards[:count], complete=False))

    def unfinish(self) -> None:
        """Say that more is to come: from here on the store does not open."""
        if self.manifest.complete:
            self._save(replace(self.manifest, complete=False))

    def finish(self) -> None:
        """Mark the store complete; remove shards that it no longer has, and what killed writers left."""
        self._save(replace(self.manifest, complete=True))
        self.remove_strays()

    def _save(self, manifest: Manifest) -> None:
        write_json(self.folder / MANIFEST, manifest.sealed())
        self.manifest = manifest


def _stored(rows: Sequence[Row], dim: int) -> NDArray[np.float16]:
    """The embeddings (rows, dim) as a shard has them: of rows without one zeros."""
    vectors = np.zeros((len(rows), dim), np.float16)
    for i, row in enumerate(rows):
        if row.embedding is not None:
            vectors[i] = row.embedding
    return vectors


class SetOf(NamedTuple):
    """Of which images a store is, and what was looked at of them: all as a manifest has them; states, not_read: of the
    sources that are written now."""

    part: str = ""
    listing: Listing | None = None
    states: tuple[str, ...] = ()
    opt_outs: tuple[str, ...] = ()
    not_read: tuple[NotRead, ...] = ()


_WHOLE_SET = SetOf()


@contextmanager
def writing_store(
    folder: Path,
    encoder: EncoderSpec,
    shard_rows: int,
    sources: Sequence[str],
    *,
    append: bool = False,
    kind: str = IMAGES,
    views: ViewsOf | None = None,
    of: SetOf = _WHOLE_SET,
) -> Iterator[StoreWriter]:
    """Open `folder` for writing: a new store, or the one begun there by the same encoder.

    Its manifest names the `sources`, without the signatures of URLs; with `append`, last, after those that the store
    was made from. What an unfinished store lacks is among its last sources, so it takes no others before they are all
    there.

    Raises InputError if the folder holds something else, or a store of another encoder or shard size, or if
    another process is writing it.
    """
    names = tuple(map(unsigned, sources))
    fresh = Manifest(
        encoder,
        shard_rows,
        names,
        kind=kind,
        views=views,
        part=of.part,
        listing=of.listing,
        states=of.states,
        opt_outs=of.opt_outs,
        not_read=of.not_read,
        places=() if views else (Place.here(folder),),  # views are made of what their images' store finds
    )
    with sole_writer(folder):
        there = (folder / MANIFEST).exists()
        manifest = (_continued if there else _created)(folder, fresh, append=append)
        if kind == FACES:
            keep_private(folder)
        yield StoreWriter(folder, manifest)


def _created(folder: Path, fresh: Manifest, *, append: bool) -> Manifest:
    if append:
        raise UsageError(f"{folder} holds no store to append to: leave out --append to make one, or check --out")
    strangers = [p.name for p in folder.iterdir() if not p.name.startswith((".", "shard-"))]
    if strangers:
        raise UsageError(f"{folder} is not empty and holds no store (found {strangers[0]}): choose another --out")
    write_json(folder / MANIFEST, fresh.sealed())
    return fresh


def _continued(folder: Path, fresh: Manifest, *, append: bool) -> Manifest:
    """The manifest that is there, as it is to go on. It is not written before the next shard is."""
    begun = Manifest.read(folder)
    _require_continuable(folder, begun, fresh)
    others: tuple[str, ...] = ()
    if append:
        _require_pending(folder, begun, fresh.sources)
        others = tuple(source for source in begun.sources if source not in fresh.sources)
    before = dict(zip(begun.sources, begun.states, strict=False))
    states = (*(before.get(source, "") for source in others), *fresh.states) if fresh.states else ()
    looked = tuple(each for each in fresh.opt_outs if each in begun.opt_outs)  # of rows that are there as well
    places = (*begun.places, *(place for place in fresh.places if place not in begun.places))
    return replace(
        begun,
        sources=others + fresh.sources,
        views=fresh.views,
        listing=fresh.listing,
        states=states,
        opt_outs=looked,
        not_read=_not_read(begun, fresh) if append else fresh.not_read,
        places=places,
    )


def _not_read(begun: Manifest, fresh: Manifest) -> tuple[NotRead, ...]:
    """Of a store that is appended to. What is of these sources alone is counted anew; what was counted of them together
    with others stays, and nothing is added unless another source is among these: its pictures are said, though those
    beside it count twice."""
    kept = [each for each in begun.not_read if not set(each.sources) <= set(fresh.sources)]
    counted = {source for each in kept for source in each.sources}
    return (*kept, *(each for each in fresh.not_read if not set(each.sources) <= counted))


def _require_continuable(folder: Path, begun: Manifest, fresh: Manifest) -> None:
    """Raise InputError unless rows of the store to be could stand in the one that is there."""
    if begun.kind != fresh.kind:
        raise InputError(f"store {folder} holds {begun.kind}, not {fresh.kind}: choose another --out")
    if begun.part != fresh.part:
        raise InputError(
            f"store {folder} holds {f'part {begun.part}' if begun.part else 'all'} of its sources, not "
            f"{f'part {fresh.part}' if fresh.part else 'all'}: choose another --out, or the same --part"
        )
    if not begun.encoder.same_as(fresh.encoder):
        way = "choose another --out, or the same --encoder"
        if begun.encoder.is_prepared_otherwise(fresh.encoder):
            way = "another version of memaudit made it, or other options: embed anew, into another --out"
        raise InputError(
            f"store {folder} was begun with encoder {begun.encoder.identity}, not {fresh.encoder.identity}: {way}"
        )
    if begun.shard_rows != fresh.shard_rows:
        raise InputError(
            f"store {folder} was begun with --shard-rows {begun.shard_rows}, not {fresh.shard_rows}: use the same"
        )


def _require_pending(folder: Path, begun: Manifest, sources: tuple[str, ...]) -> None:
    """Raise InconclusiveError where appending would finish a store that still lacks images of other sources."""
    if not begun.complete and begun.sources[-len(sources) :] != sources:
        raise InconclusiveError(
            f"store {folder} is unfinished, it still lacks images of {', '.join(begun.sources)}: first run the command "
            "again that was interrupted, then append"
        )
