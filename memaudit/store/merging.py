"""Several stores as one: its shards are theirs, under one more name each; nothing is computed, and little is copied."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import open_regular, whole_file, write_json
from memaudit.folders import sole_writer
from memaudit.store.distinct import Listing, counted
from memaudit.store.manifest import IMAGES, MANIFEST, Manifest, remove_strays
from memaudit.store.places import Place
from memaudit.store.reader import Store, require_same_encoder
from memaudit.store.shard import Shard, require_unchanged, shard_name
from memaudit.types import Progress, silent

_STAGE = "joining shards"


Share = Callable[[Path, Path, Shard], None]


def merge(stores: Sequence[Store], out: Path, progress: Progress = silent) -> Store:
    """Make one store of several, in the order in which they are given; parts of one set, whatever their order, become
    the store that one run would have made. Called again after a kill, it continues; called with more stores after those
    that `out` was made of, it adds them. Memory: 8 bytes an image.

    Raises InconclusiveError for stores of different encoders, where a part is missing, and where parts were made of two
    states of their sources, between which images could be lost; InputError for an image_id
    that two of them have, UsageError for stores of views or faces, and for an `out` that holds something else.
    """
    return _merged(stores, out, _share, progress)


def merge_by_links(stores: Sequence[Store], out: Path) -> Store:
    """The same by symbolic links: whatever disks they lie on nothing is copied, and it lasts as long as they do."""
    return _merged(stores, out, _point_at, silent)


def _merged(stores: Sequence[Store], out: Path, share: Share, progress: Progress) -> Store:
    _require_images(stores)
    shards = _in_order(stores)
    manifest = _manifest(stores, [shard for _, shard in shards], out)
    _require_distinct(stores)
    with sole_writer(out):
        _require_free(out, manifest)
        for number, (store, shard) in enumerate(shards):
            progress(_STAGE, number, len(shards))
            share(store.folder / shard.name, out / shard_name(number), shard)
        progress(_STAGE, len(shards), len(shards))
        for store in stores:
            store.require_current()
        write_json(out / MANIFEST, manifest.sealed())
        remove_strays(out, manifest)  # of a larger merge, or of one in another order, that was killed
    return Store.open(out)


def _require_images(stores: Sequence[Store]) -> None:
    if len(stores) < 2:
        raise UsageError("one store alone is merged already: name two at least")
    for store in stores:
        if store.manifest.kind != IMAGES or store.manifest.views is not None:
            raise UsageError(f"store {store.folder} holds faces or views, and no images: those of images are merged")
        require_same_encoder(stores[0], store)


def require_whole_set(store: Store) -> Store:
    """The store, for what tells of a set. Raises InconclusiveError for a part of one: what the other parts hold would
    pass for searched."""
    part = store.manifest.part
    if part and part != "1/1":
        raise InconclusiveError(
            f"store {store.folder} is part {part} of {', '.join(store.manifest.sources)}, and nothing can be said of "
            "the other parts: name their stores too, or make one of all with memaudit merge"
        )
    return store


def _in_order(stores: Sequence[Store]) -> list[tuple[Store, Shard]]:
    """All shards; those of parts in turn, for a part has each so-manyth shard of the set."""
    if not any(store.manifest.part for store in stores):
        return [(store, shard) for store in stores for shard in store.manifest.shards]
    parts = _parts(stores)
    turns = zip_longest(*([(store, shard) for shard in store.manifest.shards] for store in parts))
    return [each for turn in turns for each in turn if each is not None]


def _parts(stores: Sequence[Store]) -> list[Store]:
    """By their number. Raises InconclusiveError unless all of one set are there, each once."""
    first = stores[0].manifest
    count = int(first.part.partition("/")[2] or 0)
    numbered = {store.manifest.part: store for store in stores}
    wanted = [f"{number}/{count}" for number in range(1, count + 1)]
    for store in stores:
        if store.manifest.part not in wanted or _set_of(store) != _set_of(stores[0]):
            raise InconclusiveError(
                f"store {store.folder} has {_set_of(store)}, and {stores[0].folder} has {_set_of(stores[0])}: merge "
                "the parts of one set, all made with one --shard-rows"
            )
    _require_one_listing(stores)
    if missing := [part for part in wanted if part not in numbered]:
        raise InconclusiveError(f"part {missing[0]} is missing ({len(stores)} stores are given): name its store too")
    if len(stores) > count:
        raise UsageError(f"a part is given twice: there are {count}, and {len(stores)} stores")
    return [numbered[part] for part in wanted]


_TWO_STATES = (
    "images came or went meanwhile, and some would be in no part: once nothing does, run what made them again, with "
    "--replace-changed where it asks for it"
)


def _require_one_listing(stores: Sequence[Store]) -> None:
    """Raise InconclusiveError for parts of two listings: what is whose is by place in it."""
    listed = [(store.folder, listing) for store in stores if (listing := store.manifest.listing) is not None]
    for folder, listing in listed:
        first, of_first = listed[0]
        if listing != of_first:
            raise InconclusiveError(
                f"store {first} is a part of {of_first.number:,} images, and {folder} of {listing.number:,} others: "
                f"{_TWO_STATES}"
            )


def _require_all(stores: Sequence[Store], found: Listing) -> None:
    """Raise InconclusiveError unless parts have together what was listed; parts of before do not say what that was."""
    for listing in (store.manifest.listing for store in stores):
        if listing is not None and listing != found:
            raise InconclusiveError(
                f"the parts hold {found.number:,} images, and {listing.number:,} were listed, or others: {_TWO_STATES}"
            )


def _set_of(store: Store) -> str:
    """Of what a store is a part."""
    own = store.manifest
    part = f"a part of {own.part.partition('/')[2]}" if own.part else "all"
    return f"{part} of {', '.join(own.sources)} in shards of {own.shard_rows}"


def _manifest(stores: Sequence[Store], shards: Sequence[Shard], out: Path) -> Manifest:
    first = stores[0].manifest
    sources = tuple(dict.fromkeys(source for store in stores for source in store.manifest.sources))
    named = tuple(replace(shard, name=shard_name(number)) for number, shard in enumerate(shards))
    states = {
        source: state
        for store in reversed(stores)
        for source, state in zip_longest(store.manifest.sources, store.manifest.states, fillvalue="")
    }
    looked = tuple(each for each in first.opt_outs if all(each in store.manifest.opt_outs for store in stores))
    return Manifest(
        first.encoder,
        first.shard_rows,
        sources,
        named,
        complete=True,
        states=tuple(states[source] for source in sources),
        opt_outs=looked,
        not_read=tuple(dict.fromkeys(each for store in stores for each in store.manifest.not_read)),
        places=_places(stores, out),
    )


def _places(stores: Sequence[Store], out: Path) -> tuple[Place, ...]:
    """Without what relative paths began at where that is not the same for all: which is whose is not known then."""
    places = [place.seen_from(store.folder, out) for store in stores for place in store.manifest.places]
    if len({place.base for place in places}) > 1:
        places = [place._replace(base="") for place in places]
    return tuple(dict.fromkeys(places))


def _require_distinct(stores: Sequence[Store]) -> None:
    def names() -> Iterator[str]:
        return (str(name) for store in stores for block in store.iter_image_ids() for name in block)

    found = counted(names)
    _require_all(stores, found.listing)
    if found.repeated is not None:
        raise InputError(
            f"image_id {found.repeated!r} is in two of the stores: embed their sources in one call, where names of "
            "sources come first, or give each image its own id in a manifest"
        )


def _require_free(out: Path, manifest: Manifest) -> None:
    """Raise UsageError for a folder with another store, or with anything but shards that a killed run left. The first
    shards of this store are no other one."""
    if (out / MANIFEST).exists():
        there = Manifest.read(out)
        first = replace(manifest, shards=manifest.shards[: len(there.shards)], sources=there.sources)
        if replace(there, opt_outs=manifest.opt_outs) != first:
            raise UsageError(f"{out} holds another store: choose another --out, or delete it")
        return
    if strangers := [path.name for path in out.iterdir() if not path.name.startswith((".", "shard-"))]:
        raise UsageError(f"{out} is not empty and holds no store (found {strangers[0]}): choose another --out")


def _point_at(source: Path, target: Path, shard: Shard) -> None:
    target.symlink_to(os.path.realpath(source))


def _share(source: Path, target: Path, shard: Shard) -> None:
    """A further name for the file; a copy where there are no such names, on another disk. Shards are never written
    again: whoever changes a store writes new ones."""
    if target.exists() and target.samefile(source):
        return
    try:
        target.unlink(missing_ok=True)
        os.link(os.path.realpath(source), target)
    except OSError:
        with open_regular(source) as from_there, whole_file(target) as file:
            shutil.copyfileobj(from_there, file)
        require_unchanged(target, shard)
