"""Stores: made of images or of ready embeddings, and opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from memaudit.api.defaults import DEFAULT_ENCODER
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, sources_of, store_at
from memaudit.api.several import not_taken_over
from memaudit.embedding.elsewhere import Named, embed_elsewhere
from memaudit.embedding.importing import Part, clip_retrieval_parts, dimension_of
from memaudit.embedding.importing import import_embeddings as import_parts
from memaudit.embedding.opt_outs import opt_out_counts
from memaudit.embedding.options import PartOf
from memaudit.embedding.run import EmbedOptions, embed_with_views
from memaudit.embedding.views import ViewStore
from memaudit.embedding.windows import DETAILS, TILES, WindowCounts, unfit_windows, window_counts
from memaudit.encoders import load_encoder
from memaudit.encoders.devices import devices_of
from memaudit.errors import InconclusiveError, UsageError
from memaudit.images.image_ref import first_frames_line
from memaudit.images.passed_over import PassedOver
from memaudit.images.views import details as all_details
from memaudit.images.views import tiles as all_tiles
from memaudit.matching.kept import FOLDER, KeptCounts, identity, keep_features
from memaudit.similarity.exact import require_threshold
from memaudit.store import MANIFEST, Store, merge
from memaudit.tasks import beside, clear, executing
from memaudit.types import Coverage, EncoderSpec, Progress, silent


@dataclass(frozen=True, repr=False)
class MadeStore:
    """A store that was made or brought up to date; it is taken wherever a store is.

    tiles, details: how many windows of the images were embedded beside them, None for none. features: of how many what
    pixels are compared by is kept, None for none. not_read: what was not
    looked at of the sources, in sentences: captions and the like, and what may hold pictures in another form; and that
    tiles or details are of an earlier state of the store.

    >>> made = ma.embed("training", out="store", encoder="thumbnail")
    >>> len(made), made.encoder.name, made.coverage.measured
    (12, 'thumbnail', 12)
    """

    store: Store
    tiles: WindowCounts | None = None
    details: WindowCounts | None = None
    features: KeptCounts | None = None
    not_read: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.store.folder

    @property
    def encoder(self) -> EncoderSpec:
        """Name, weights and preprocessing of what made the embeddings."""
        return self.store.encoder

    @property
    def coverage(self) -> Coverage:
        """Images with an embedding, of all that are not blank."""
        return self.store.coverage

    @property
    def digest(self) -> str:
        """SHA-256 over the encoder's identity and the shards."""
        return self.store.digest

    @cached_property
    def blank(self) -> int:
        """Images that were read and show one colour: they are compared with nothing, and coverage leaves them out."""
        return len(self.store) - self.coverage.total

    def __len__(self) -> int:
        return len(self.store)

    def __repr__(self) -> str:
        return f"<Store {self.folder}: {self._measured}, {self.encoder.name}>"

    def _repr_html_(self) -> str:
        cells = [("folder", str(self.folder)), ("encoder", self.encoder.identity), ("digest", self.digest)]
        cells += [(name, str(count)) for name, count in self.windows.items()]
        return card("memaudit store", self._measured, cells)

    @property
    def windows(self) -> dict[str, WindowCounts | KeptCounts]:
        """Counts of tiles, details and features, of those that there are."""
        counts = ((TILES, self.tiles), (DETAILS, self.details), (FOLDER, self.features))
        return {name: count for name, count in counts if count is not None}

    @property
    def _measured(self) -> str:
        of_one_colour = f", and {self.blank:,} blank" if self.blank else ""
        return f"{self.coverage.measured:,} of {self.coverage.total:,} images{of_one_colour}"


def embed(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    encoder: str = DEFAULT_ENCODER,
    device: str = "auto",
    workers: int = 0,
    batch_size: int = 16,
    shard_rows: int = 8192,
    part: str | None = None,
    append: bool = False,
    replace_changed: bool = False,
    reuse: bool = True,
    tiles: bool = False,
    fine_tiles: bool = False,
    features: bool = False,
    max_unreadable: float = 0.01,
    allow_unverified_weights: bool = False,
    executor: str | None = None,
    devices: str | None = None,
    progress: Progress = silent,
) -> MadeStore:
    """Embed images into a store: unit vectors (images, dim) in float16. Called again after a kill, it continues.

    sources: folders, images, manifests, tars, tables, or URLs of them. encoder: of `list_encoders`. part: "2/5", the
    second of five parts, for as many machines: `merge_stores` makes one of them. append: add the
    sources' new images to a finished store; replace_changed: write it anew from the first changed image on, and take
    over captions, columns and opt-outs that are others by now. tiles, fine_tiles: also embed parts of each image.
    features: keep what pixels are compared by, so that audits and dedup need not read the files again: small pixels and
    local features, some 0.1 MB an image. max_unreadable: share of images that may be unreadable. executor: "local:4",
    "slurm:100" or "ray:8", who embeds a new store, part by part, as of `run_dedup`; views are made by this process.
    devices: "all" cards of this machine, or "cuda:0,cuda:1": a process for each embeds its part of a new store.

    Raises UsageError for impossible options, InputError for sources that changed, InconclusiveError where more images
    than allowed could not be read (the store is there all the same).

    >>> ma.embed("training", out="store", encoder="thumbnail")
    <Store store: 12 of 12 images, thumbnail>
    """
    folder = Path(out)
    if features:
        identity()  # what it needs is missed now, and not when all is embedded
    executor, used = _workers_on(devices, executor, device)
    loaded = load_encoder(encoder, device=used[0], allow_unverified_weights=allow_unverified_weights)
    passed = PassedOver()
    options = EmbedOptions(
        batch_size=batch_size,
        workers=workers,
        shard_rows=shard_rows,
        reuse=reuse,
        part=PartOf.of(part) if part else None,
        passed=passed,
    )
    every = {TILES: all_tiles() if tiles or fine_tiles else (), DETAILS: all_details() if fine_tiles else ()}
    kinds = {name: of_kind for name, of_kind in every.items() if of_kind}

    if executor is not None and (part or append or replace_changed):
        asked = "--executor embeds" if devices is None else "--devices embed"
        raise UsageError(f"{asked} a whole set: leave out --part, --append and --replace-changed")
    store: Store | None = None
    views: tuple[ViewStore, ...] = ()
    with executing(executor, beside(folder)) as others:
        if others is not None and not (folder / MANIFEST).exists():
            named = Named(encoder, used, allow_unverified_weights)
            store = embed_elsewhere(sources_of(sources), folder, named, options, others, progress)
    if store is None or kinds:
        store, views = embed_with_views(
            sources_of(sources),
            folder,
            loaded,
            {folder / name: of_kind for name, of_kind in kinds.items()},
            options,
            append=append,
            replace_changed=replace_changed,
            progress=progress,
        )
    if others is not None:
        clear(others.folder)
    windows = dict(zip(kinds, views, strict=True))
    counts = {name: window_counts(each) for name, each in windows.items()}
    told = list[str]()
    kept = keep_features(store, workers, progress, told.append) if features else None
    not_read = (*_not_read(passed, store), *told, *unfit_windows(store))
    # Last, with what there is to say besides: files that cannot be read take neither features nor warnings away
    for embedded in (store, *(each.store for each in windows.values())):
        require_readable(embedded, max_unreadable, not_read)
    return MadeStore(store, counts.get(TILES), counts.get(DETAILS), kept, not_read)


def _workers_on(devices: str | None, executor: str | None, device: str) -> tuple[str | None, tuple[str, ...]]:
    """Who embeds, and on what: of several devices each has a process of this machine."""
    if devices is None:
        return executor, (device,)
    if executor is not None or device != "auto":
        raise UsageError("--devices has a process for each: leave out --executor and --device")
    found = tuple(devices_of(devices))
    return f"local:{len(found)}" if len(found) > 1 else None, found


def _not_read(passed: PassedOver, store: Store) -> tuple[str, ...]:
    frames = first_frames_line(store.first_frames_alone())
    return tuple(filter(None, (*passed.lines, frames, *opt_out_counts(store).warnings)))


def import_embeddings(
    embeddings: str | Path,
    out: str | Path,
    *,
    encoder: str,
    threshold: float,
    ids: str | Path | None = None,
    weights_sha256: str = "",
    preprocessing: str = "as recorded by the user",
    shard_rows: int = 8192,
    max_unreadable: float = 0.01,
    progress: Progress = silent,
) -> MadeStore:
    """Make a store of ready embeddings, with the encoder's identity as you give it.

    embeddings: a .npy file (rows, dim) with `ids`, a text file or Parquet table of image_ids in its order; or
    clip-retrieval's folder, which holds its own. threshold: cosine similarity from which two count as near-duplicates.

    Raises UsageError for ids where there are none to give, InputError for arrays that do not fit.

    >>> import numpy as np
    >>> np.save("vectors.npy", np.eye(3, 8, dtype=np.float32))
    >>> _ = open("ids.txt", "w").write("a\\nb\\nc\\n")
    >>> len(ma.import_embeddings("vectors.npy", "imported", ids="ids.txt", encoder="mine", threshold=0.9))
    3
    """
    require_threshold(threshold)
    source = Path(embeddings)
    if source.is_dir() == (ids is not None):
        raise UsageError("give --ids with a .npy file, and only then: clip-retrieval's folder holds its own")
    parts = [Part(source, Path(ids))] if ids else clip_retrieval_parts(source)
    given = "given when the embeddings were imported"
    spec = EncoderSpec(encoder, weights_sha256, preprocessing, dimension_of(parts), threshold, given)
    store = import_parts(parts, Path(out), spec, shard_rows=shard_rows, progress=progress)
    require_readable(store, max_unreadable)
    return MadeStore(store)


def merge_stores(stores: Sequence[AnyStore], out: str | Path, *, progress: Progress = silent) -> MadeStore:
    """Make one store of several. Their shards become its own, by hard links where the disk has them: nothing is
    computed again. Parts of one set, made by `embed(part=...)`, become the store that one call would have made.

    Tiles, details and kept features are not taken over: `embed` of the sources into the merged store makes them.

    Raises InconclusiveError for stores of different encoders, and where a part is missing or was made of another state
    of the sources; InputError for an image_id that two of them have.

    >>> for part in ("1/2", "2/2"):
    ...     _ = ma.embed("training", out=f"part-{part[0]}", encoder="thumbnail", part=part, shard_rows=4)
    >>> ma.merge_stores(["part-1", "part-2"], "whole")
    <Store whole: 12 of 12 images, thumbnail>
    """
    opened = [store_at(store) for store in stores]
    merged = merge(opened, Path(out), progress)
    return MadeStore(merged, not_read=tuple(not_taken_over(opened)))


def open_store(folder: AnyStore) -> Store:
    """Open a finished store for reading: its length, encoder, coverage, digest, and blocks of embeddings and columns.

    Raises InputError if there is none, InconclusiveError if it is unfinished or a shard is missing.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.open_store("store").coverage
    Coverage(measured=12, total=12)
    """
    return store_at(folder)


def require_readable(store: Store, allowed: float, besides: Sequence[str] = ()) -> None:
    """Raise InconclusiveError when a larger share than `allowed` could not be read, or an archive ends early. besides:
    what else there is to say of the store."""
    more = "".join(f"; {line}" for line in besides)
    if store.cut:  # whatever the share: it would be one of what is there, not of what there was
        raise InconclusiveError(
            f"archives of {store.folder} end early ({store.cut:,} rows say so): an unknown number of images is "
            f"missing; restore them and embed again (memaudit info {store.folder} lists the causes){more}"
        )
    coverage = store.coverage
    if coverage.falls_short(allowed):
        raise InconclusiveError(
            f"{coverage.total - coverage.measured:,} of {coverage.total:,} images could not be read, more than "
            f"--max-unreadable {allowed:g}; the store is complete: memaudit info {store.folder} lists the causes{more}"
        )
