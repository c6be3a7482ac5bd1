"""Does the model give people back? Every generated face against every face of the training set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.pairing import rows_of
from memaudit.encoders.sface import ONE_TO_ONE, SPEC
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.errors import InputError, UsageError
from memaudit.faces.calibrate import SAMPLE, Null, calibrate, control_null, distinct_rows, gallery_null
from memaudit.faces.coverage import Standing, standing_of
from memaudit.faces.embed import count_faces
from memaudit.faces.membership import measure_membership
from memaudit.faces.names import file_of, given_metadata, parent_of
from memaudit.faces.results import Calibration, FaceCounts, FaceMatches, FacesResult, GroupRate
from memaudit.images.decode import UnreadableImageError, decoding
from memaudit.images.sources import read_image
from memaudit.index import Searcher
from memaudit.similarity import exact
from memaudit.statistics import greater_rate_p, rate_of
from memaudit.store import FACES, Columns, Store, require_same_encoder
from memaudit.types import Coverage, Float32, Int64, Progress, Rate, Status, silent

MIN_CONTROLS = 100  # people, as images for images: with fewer no p-value is printed
MOST_VALUES = 50  # of a metadata column that are told apart, the commonest
_MOST_SAMPLED = 50_000
_QUERY_ROWS = 4096

ImageSimilarity = Callable[[Columns, Columns], Float32]
"""Similarity of the images that paired faces are on, as an image encoder sees it; NaN where it is not known."""


@dataclass(frozen=True)
class FaceOptions:
    """allowed: false matches that may be expected in all. by: metadata columns to split rates by; identity: the column
    that names the person. picture_threshold: image similarity from which on two faces are on the same picture."""

    allowed: float = 1.0
    by: tuple[str, ...] = ()
    identity: str = ""
    picture_threshold: float = 1.0
    max_unmeasured: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class ImageStores:
    """The stores of images that stores of faces stand for, where there are any."""

    generations: Store | None = None
    gallery: Store | None = None
    control: Store | None = None


def audit_faces(
    generations: Store,
    gallery: Searcher,
    *,
    control: Store | None = None,
    images: ImageStores = ImageStores(),
    image_similarity: ImageSimilarity | None = None,
    options: FaceOptions = FaceOptions(),
    progress: Progress = silent,
) -> FacesResult:
    """Compare each generated face with all of the training set, at a threshold calibrated to that set.

    All stores hold faces of one encoder. control: faces of people who are not in the training set; without them faces
    drawn from the training set stand in. images: what the stores of faces are held against, image by image; one that
    lacks images of its own is no less inconclusive than one of unreadable images. Memory: blocks, some 50 bytes a
    generated face and 42 an image.
    Raises InputError for a store of images, InconclusiveError for different encoders, UsageError for impossible
    options.
    """
    _require_possible(options)
    _require_faces(generations, gallery.store, control)
    _require_columns(options, generations, gallery.store, control)
    rows = distinct_rows(generations)
    null, source = _null(gallery, control, len(rows), options)
    same_person = gallery.store.encoder.threshold
    floor = ONE_TO_ONE if gallery.store.encoder.name == SPEC.name else 0.0  # what not even two given faces would pass
    calibration = calibrate(null, len(rows), options.allowed, floor, same_person)
    found = _search(generations, gallery, rows, calibration.threshold, progress)
    matches = _matches(generations, gallery, found, calibration.threshold, image_similarity, options.picture_threshold)
    sides = _sides({"generations": generations, "training set": gallery.store, "controls": control}, images)
    counts = sides["generations"].counts, sides["training set"].counts
    unread = generations.coverage.total - generations.coverage.measured + sides["generations"].absent
    matched = rate_of(len(matches.query), Coverage(len(rows), len(rows) + unread))
    held_out = source == "control" and calibration.samples >= MIN_CONTROLS
    controls = {} if control is None else {"control faces": control.digest}
    return FacesResult(
        method=gallery.method,
        digests={"generated faces": generations.digest, "training faces": gallery.store.digest, **controls},
        calibration=calibration,
        source=source,
        one_to_one=ONE_TO_ONE,
        same_person=same_person,
        generated=counts[0],
        gallery=counts[1],
        gallery_coverage=sides["training set"].coverage,
        control_coverage=sides["controls"].coverage if control else None,
        standing={name: side.standing for name, side in sides.items() if side.standing},
        matched=matched,
        matches=matches,
        excess_p=_excess(matched, calibration) if held_out else None,
        why_no_p="" if held_out else _why_no_p(source, calibration.samples),
        membership=(
            measure_membership(gallery.store, control, null.rows, generations, options.identity) if control else None
        ),
        by=tuple(_by(options.by, generations, rows, matches.query, control, null, calibration.threshold)),
        nearest=found.similarity,
        null=null.best,
        inconclusive=(
            *_cut_archives({"generations": generations, "training set": gallery.store, "controls": control}),
            *(reason for name, side in sides.items() for reason in side.reasons(name, options.max_unmeasured)),
            *_reasons(gallery.store, matched, calibration),
        ),
    )


def _require_possible(options: FaceOptions) -> None:
    if not 0 < options.allowed < float("inf"):
        raise UsageError(f"--face-false-matches {options.allowed:g} is out of range: expected a number above 0")


def _require_faces(generations: Store, gallery: Store, control: Store | None) -> None:
    for store in (s for s in (generations, gallery, control) if s is not None):
        if store.manifest.kind != FACES:
            raise InputError(f"store {store.folder} holds images, not faces: make a store of faces with memaudit faces")
        require_same_encoder(store, gallery)


def _require_columns(options: FaceOptions, *stores: Store | None) -> None:
    """Raise UsageError for a metadata column that no face has: a slip of the pen would pass for one single group."""
    missing = {"--identity": {options.identity} - {""}, "--faces-by": set(options.by)}
    for columns in (part for store in stores if store is not None for part in store.iter_columns()):
        if not any(missing.values()):
            return
        found = {name for text in columns.metadata for name in given_metadata(text)}
        missing = {option: names - found for option, names in missing.items()}
    for option, names in missing.items():
        if names:
            raise UsageError(f"{option} {min(names)}: no face has metadata of that name (look at memaudit info)")


def _null(gallery: Searcher, control: Store | None, scored: int, options: FaceOptions) -> tuple[Null, str]:
    if not gallery.store.comparable:
        return Null(np.empty(0, np.float32)), "gallery" if control is None else "control"
    if control is not None:
        return control_null(control, gallery, options.identity), "control"
    wanted = min(_MOST_SAMPLED, int(2 * scored / options.allowed))
    store = gallery.store
    return gallery_null(store, store.encoder.threshold, sample=max(SAMPLE, wanted), seed=options.seed), "gallery"


class _Found(NamedTuple):
    """For each scored face: its row, its best training face (-1: none), their similarity, and how many reach the
    threshold."""

    query: Int64
    reference: Int64
    similarity: Float32
    above: Int64


def _search(generations: Store, gallery: Searcher, rows: Int64, threshold: float, progress: Progress) -> _Found:
    reference, similarity = np.full(len(rows), -1, np.int64), np.full(len(rows), np.nan, np.float32)
    above = np.zeros(len(rows), np.int64)
    if not gallery.store.comparable:
        return _Found(rows, reference, similarity, above)
    for low in range(0, len(rows), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        near = gallery.search(generations.embeddings(rows[part]), 1, threshold)
        reference[part], similarity[part], above[part] = near.rows[:, 0], near.similarity[:, 0], near.above
        progress("searching the training faces", min(low + _QUERY_ROWS, len(rows)), len(rows))
    return _Found(rows, reference, similarity, above)


def _matches(
    generations: Store,
    gallery: Searcher,
    found: _Found,
    threshold: float,
    image_similarity: ImageSimilarity | None,
    picture_threshold: float,
) -> FaceMatches:
    hit = np.flatnonzero(found.similarity >= np.float32(threshold))
    hit = hit[np.lexsort((found.query[hit], -found.similarity[hit]))]
    query, reference = found.query[hit], found.reference[hit]
    sides = generations.columns(query), gallery.store.columns(reference)
    images = np.full(len(hit), np.nan, np.float32)
    if image_similarity is not None and len(hit):
        images = image_similarity(*sides)
    same_file = np.array([_file(sides[0], i) == _file(sides[1], i) for i in range(len(hit))], dtype=bool)
    same = np.where(np.isnan(images), -1, images >= np.float32(picture_threshold)).astype(np.int64)
    same[same_file] = 1
    count = near_duplicates(reference, gallery, threshold) if len(hit) else np.empty(0, np.int64)
    return FaceMatches(query, reference, found.similarity[hit], images, same, found.above[hit], count)


def _file(columns: Columns, row: int) -> str:
    return file_of(columns.image_id[row], columns.sha256[row], columns.metadata[row])


def _excess(matched: Rate, calibration: Calibration) -> float:
    """Fisher's exact test, exact here although the threshold was chosen among the controls: given it, every order of
    controls and generated faces is equally likely."""
    n = matched.coverage.measured
    return greater_rate_p(matched.count, n, calibration.above, calibration.samples) if n else 1.0


def _why_no_p(source: str, samples: int) -> str:
    if source == "gallery":
        return "no faces of people outside the training set were given"
    return f"{samples} people outside the training set, at least {MIN_CONTROLS} are needed"


def _cut_archives(stores: Mapping[str, Store | None]) -> Iterator[str]:
    for name, store in stores.items():
        if store is not None and store.cut:
            yield f"archives of the {name} end early ({store.cut} rows say so): an unknown number of images is missing"


class _Side(NamedTuple):
    """A store of faces, counted, what of it can be compared, and how it stands for its images."""

    counts: FaceCounts
    comparable: Coverage
    standing: Standing | None

    @property
    def absent(self) -> int:
        return self.standing.absent if self.standing else 0

    @property
    def coverage(self) -> Coverage:
        return self.standing.coverage if self.standing else self.comparable

    def reasons(self, name: str, allowed: float) -> Iterator[str]:
        looked_at = Coverage(self.counts.images - self.counts.unreadable, self.counts.images)
        searched = self.standing.coverage if self.standing else looked_at
        if searched.falls_short(allowed):
            why = f" as the audit's own store has them ({self.standing.as_text()})" if self.standing else ""
            share = f"{searched.measured:,} of {searched.total:,}"
            yield f"only {share} images of the {name} could be searched for faces{why}"
        elif self.comparable.falls_short(allowed):
            share = f"{self.comparable.measured:,} of {self.comparable.total:,}"
            yield f"only {share} faces of the {name} could be compared"


def _sides(stores: Mapping[str, Store | None], images: ImageStores) -> dict[str, _Side]:
    own_stores = (images.generations, images.gallery, images.control)
    return {
        name: _Side(count_faces(faces), faces.coverage, standing_of(faces, own) if own else None)
        for (name, faces), own in zip(stores.items(), own_stores, strict=True)
        if faces is not None
    }


def _reasons(gallery: Store, matched: Rate, calibration: Calibration) -> Iterator[str]:
    """Why these rates must not be read as a clean bill."""
    if matched.coverage.measured and not gallery.comparable:
        yield "no face was found in the training set: no generated face was compared with anything"
    elif calibration.shortfall:
        yield calibration.shortfall


def _by(
    names: Sequence[str],
    generations: Store,
    rows: Int64,
    matched: Int64,
    control: Store | None,
    null: Null,
    threshold: float,
) -> Iterator[GroupRate]:
    """Rates by each column: of generated faces, and of held-out people, whose matches are all false."""
    if not names:
        return
    sides = [("generated", generations, rows, np.isin(rows, matched))]
    if control is not None and len(null.rows):
        sides.append(("held-out", control, null.rows, null.reached >= np.float32(threshold)))
    for side, store, scored, hit in sides:
        given = [given_metadata(text) for text in store.columns(scored).metadata]
        for name in names:
            values = np.array([str(entry.get(name, "")) for entry in given], dtype=object)
            yield from _rates(side, name, values, hit)


def _rates(side: str, column: str, values: NDArray[np.object_], hit: NDArray[np.bool_]) -> Iterator[GroupRate]:
    distinct, counts = np.unique(values, return_counts=True)
    for value in distinct[np.argsort(-counts, kind="stable")][:MOST_VALUES]:
        chosen = values == value
        total = int(chosen.sum())
        yield GroupRate(side, column, str(value), rate_of(int(hit[chosen].sum()), Coverage(total, total)))


def by_image_stores(generations: Store, references: Store) -> ImageSimilarity:
    """How alike the images are, by the embeddings of an image audit's own stores."""

    def similarity(queries: Columns, targets: Columns) -> Float32:
        left, right = _image_rows(generations, queries), _image_rows(references, targets)
        known = (left >= 0) & (right >= 0)
        result = np.full(len(left), np.nan, np.float32)
        result[known] = exact(generations.embeddings(left[known]), references.embeddings(right[known]))
        return result

    return similarity


def copies_among(images: Store, threshold: float) -> Callable[[Sequence[str], Sequence[str]], NDArray[np.bool_]]:
    """Tells of pairs of image_ids whether the two are near-duplicates in this store; of unknown ones they are not."""

    def are_copies(left: Sequence[str], right: Sequence[str]) -> NDArray[np.bool_]:
        rows = [_rows_of_images(images, ids) for ids in (left, right)]
        known = (rows[0] >= 0) & (rows[1] >= 0)
        result = np.zeros(len(left), bool)
        vectors = (images.embeddings(side[known]) for side in rows)
        result[known] = exact(*vectors) >= np.float32(threshold)
        return result

    return are_copies


def _image_rows(store: Store, faces: Columns) -> Int64:
    """The comparable rows, in a store of images, of the images that faces are on; -1 for those that it lacks."""
    return _rows_of_images(store, [parent_of(image_id) for image_id in faces.image_id])


def _rows_of_images(store: Store, parents: Sequence[str]) -> Int64:
    known = rows_of(store, set(parents))
    rows = np.array([known.get(parent, -1) for parent in parents], dtype=np.int64)
    there = np.flatnonzero(rows >= 0)
    rows[there[store.columns(rows[there]).status != Status.OK]] = -1
    return rows


def by_thumbnails(queries: Columns, targets: Columns) -> Float32:
    """How alike the images are, read again and held against each other as thumbnails; NaN where one cannot be read."""
    encoder = ThumbnailEncoder()
    sides = [[_thumbnail(encoder, uri) for uri in columns.uri] for columns in (queries, targets)]
    result = np.full(len(queries.uri), np.nan, np.float32)
    for place, (left, right) in enumerate(zip(*sides, strict=True)):
        if left is not None and right is not None:
            result[place] = exact(left, right)[0]
    return result


def _thumbnail(encoder: ThumbnailEncoder, uri: str) -> Float32 | None:
    try:
        with decoding(read_image(uri), side=encoder.side) as (image, _, _):
            vector = encoder.encode(encoder.preprocess(image)[None])
    except (OSError, InputError, UnreadableImageError):
        return None
    return vector if vector.any() else None
