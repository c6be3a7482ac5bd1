"""Stores of faces: found, summed up, cut down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from memaudit.api.notebook import card, grid
from memaudit.api.places import AnyStore, folder_of, sources_of, store_at
from memaudit.api.stores import require_readable
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.encoders.sface import resolve
from memaudit.errors import InconclusiveError, InputError, MemauditError
from memaudit.faces.embed import FaceOptions, count_faces, count_forgotten, embed_faces
from memaudit.faces.forget import Forgotten as Forgotten
from memaudit.faces.forget import forget
from memaudit.faces.results import FaceCounts
from memaudit.faces.summary import Identity, repeated_identities
from memaudit.faces.uses import uses_of
from memaudit.images.image_ref import first_frames_line
from memaudit.images.passed_over import PassedOver
from memaudit.index import MANIFEST, read_manifest
from memaudit.report.forgotten import remove_forgotten
from memaudit.report.naming import naming_tables
from memaudit.store import FACES, Manifest, Store
from memaudit.types import Coverage, Progress, silent

_SHOWN = 20


@dataclass(frozen=True, repr=False)
class FaceStore:
    """A store of faces that was made or brought up to date: biometric templates, personal data. summary: the identities
    that it repeats most, where those were asked for. skipped: images of the sources that were passed over as forgotten,
    or because all of their faces were. not_read: what was not looked at of the sources, a sentence for each kind.

    >>> faces = ma.find_faces("training", out="faces")  # doctest: +WEIGHTS
    >>> faces.counts.images  # doctest: +WEIGHTS
    12
    """

    store: Store
    counts: FaceCounts
    summary: FaceSummary | None = None
    skipped: int = 0
    not_read: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.store.folder

    def __len__(self) -> int:
        return self.counts.faces

    def __repr__(self) -> str:
        return f"<FaceStore {self.folder}: {self._said}>"

    def _repr_html_(self) -> str:
        cells = [("folder", str(self.folder)), ("encoder", self.store.encoder.identity)]
        return card("memaudit faces", self._said, cells)

    @property
    def _said(self) -> str:
        return f"{self.counts.faces:,} faces on {self.counts.with_face:,} of {self.counts.images:,} images"


def find_faces(
    sources: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    encoder: str = "sface",
    device: str = "auto",
    workers: int = 0,
    shard_rows: int = 1024,
    append: bool = False,
    replace_changed: bool = False,
    max_unreadable: float = 0.01,
    allow_unverified_weights: bool = False,
    summary: bool = False,
    threshold: float | None = None,
    progress: Progress = silent,
) -> FaceStore:
    """Find, align and embed the faces of images, into a store with a row for each face. It continues after a kill.

    sources: as of `embed`. encoder: sface, sface-mirrored, sface-dlib, or face-onnx:PATH with its options. summary:
    also as `summarise_faces`, with this threshold. Raises as `embed`.

    >>> ma.find_faces("training", out="faces")  # doctest: +WEIGHTS
    <FaceStore faces: 0 faces on 0 of 12 images>
    """
    model = resolve(encoder, device, allow_unverified_weights=allow_unverified_weights)
    passed = PassedOver()
    options = FaceOptions(workers, shard_rows, append=append, replace_changed=replace_changed, passed=passed)
    store = embed_faces(sources_of(sources), Path(out), model, options, progress)
    counts = count_faces(store)
    require_readable(store, 1.0)  # archives that end early
    if Coverage(counts.images - counts.unreadable, counts.images).falls_short(max_unreadable):
        raise InconclusiveError(
            f"{counts.unreadable:,} of {counts.images:,} images could not be read, more than --max-unreadable "
            f"{max_unreadable:g}; the store is complete: memaudit info {store.folder} lists the causes"
        )
    repeated = summarise_faces(store, threshold=threshold, progress=progress) if summary else None
    not_read = tuple(filter(None, (*passed.lines, first_frames_line(counts.films))))
    return FaceStore(store, counts, repeated, count_forgotten(store, sources_of(sources)), not_read)


def forget_faces(store: AnyStore, image_ids: str | Sequence[str]) -> Forgotten:
    """Remove the faces of images, or single ones (IMAGE_ID#face-2), from a store of faces; they do not come back. Their
    pictures go from the runs that the store knows of as well.

    Raises InputError for a store of images, or for image_ids that it never had.

    >>> faces = ma.find_faces("training", out="faces")  # doctest: +WEIGHTS
    >>> ma.forget_faces(faces, "0003.png").removed  # doctest: +WEIGHTS
    ('0003.png',)
    """
    folder = folder_of(store)
    done = forget(folder, [image_ids] if isinstance(image_ids, str) else list(image_ids))
    left = Store(folder, Manifest.read(folder))  # also of one that is not finished
    stones, pictures, elsewhere = left.manifest.forgotten, list[str](), list[str]()
    for place in uses_of(folder):
        traces = remove_forgotten(place, stones)
        pictures += map(str, traces.pictures)
        found = [*traces.naming, *naming_tables(place, stones), *([place] if _is_older(place, left) else [])]
        elsewhere += map(str, dict.fromkeys(found))
    return replace(done, pictures=tuple(pictures), elsewhere=tuple(elsewhere))


def _is_older(place: Path, store: Store) -> bool:
    """Whether an index is there that was built of another state of the store, and may hold whom that had."""
    try:
        return (place / MANIFEST).is_file() and read_manifest(place)["store_digest"] != store.digest
    except MemauditError:
        return True


@dataclass(frozen=True, repr=False)
class FaceSummary:
    """Which identities a store of faces repeats most. threshold: cosine from which two faces count as one person's;
    recall_by_pair: of the pairs that link them, None where none were compared.

    >>> faces = ma.find_faces("training", out="faces")  # doctest: +WEIGHTS
    >>> ma.summarise_faces(faces).repeated  # doctest: +WEIGHTS
    ()
    """

    threshold: float
    faces: int
    persons: int
    repeated_persons: int
    repeated: tuple[Identity, ...]
    recall_by_pair: float | None = None

    def __repr__(self) -> str:
        return f"<FaceSummary: {self._said}>"

    def _repr_html_(self) -> str:
        names = [each.name for each in fields(Identity)]
        rows = [[getattr(identity, name) for name in names] for identity in self.repeated]
        return grid(names, rows, title="memaudit faces --summary", headline=self._said)

    @property
    def _said(self) -> str:
        return f"{self.repeated_persons:,} of {self.persons:,} persons have several of the {self.faces:,} faces"


def summarise_faces(store: AnyStore, *, threshold: float | None = None, progress: Progress = silent) -> FaceSummary:
    """The identities that a store of faces repeats most, which a model is likeliest to learn: the largest groups of a
    dedup run over its faces. Raises InputError for a store of images.

    >>> ma.summarise_faces(ma.find_faces("training", out="faces")).persons  # doctest: +WEIGHTS
    0
    """
    opened = store_at(store)
    if opened.manifest.kind != FACES:
        raise InputError(f"store {opened.folder} holds images, not faces: memaudit dedup finds what it repeats")
    if not opened.comparable:
        return FaceSummary(threshold or opened.encoder.threshold, 0, 0, 0, ())
    result = dedup(opened, DedupOptions(threshold=threshold, keep="largest", groups="components"), progress=progress)
    opened.require_current()
    found = repeated_identities(opened, result.decisions, _SHOWN)
    recall = result.recall.by_pair.value
    return FaceSummary(result.threshold, opened.comparable, found.persons, found.repeated, found.largest, recall)
