"""Does the model give people back? Every generated face against every face of the training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.shortfalls import ALL_SEEN, Unseen
from memaudit.encoders.specs import family_of
from memaudit.errors import InputError, UsageError
from memaudit.faces.calibrate import Groups, calibrate, excess_p
from memaudit.faces.group_rates import Scored, group_rates, require_columns
from memaudit.faces.membership import measure_membership
from memaudit.faces.mix import mixed
from memaudit.faces.null import SAMPLE, Null, control_null, distinct_rows, gallery_null
from memaudit.faces.people import People, people_of
from memaudit.faces.reasons import Side, reasons
from memaudit.faces.results import Calibration, FaceMatches, FacesResult
from memaudit.faces.rows import face_rows
from memaudit.faces.same_picture import SamePicture
from memaudit.index import Searcher
from memaudit.statistics import rate_of
from memaudit.store import FACES, Store, require_same_encoder
from memaudit.types import Coverage, Float32, Int64, Progress, silent

MIN_CONTROLS = 100  # people, as images for images: with fewer no p-value is printed
_MOST_SAMPLED = 50_000
_QUERY_ROWS = 4096


@dataclass(frozen=True)
class CompareOptions:
    """false_matches: how many may be expected in all. by: metadata columns to split rates by; identity: the column that
    names the person. Raises UsageError for a number of false matches that is none."""

    false_matches: float = 1.0
    by: tuple[str, ...] = ()
    identity: str = ""
    max_unmeasured: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.false_matches < float("inf"):
            raise UsageError(f"--face-false-matches {self.false_matches:g} is out of range: expected a number above 0")


@dataclass(frozen=True)
class ImageStores:
    """The stores of images that stores of faces stand for, where there are any."""

    generations: Store | None = None
    gallery: Store | None = None
    control: Store | None = None


def compare_faces(
    generations: Store,
    gallery: Searcher,
    *,
    control: Store | None = None,
    images: ImageStores = ImageStores(),
    same_picture: SamePicture | None = None,
    options: CompareOptions = CompareOptions(),
    unseen: Unseen = ALL_SEEN,
    progress: Progress = silent,
) -> FacesResult:
    """Compare each generated face with all of the training set, at a threshold calibrated to that set.

    Rates, what chance lets expect, and the test are of people, by one face drawn of each; matches are of all faces.

    All stores hold faces of one encoder. control: faces of people who are not in the training set; without them faces
    drawn from the training set stand in. images: what the stores of faces are held against, image by image; one that
    lacks images of its own is no less inconclusive than one of unreadable images. same_picture: which matches are on
    one picture; without it that is unknown, but of equal files. unseen: of the generations' images.
    Memory: blocks, some 50 bytes a generated face and 42 an image.
    Raises InputError for a store of images, InconclusiveError for different encoders, UsageError for columns that no
    face has.
    """
    _require_faces(generations, gallery.store, control)
    require_columns(options.identity, options.by, generations, gallery.store, control)
    same_person = gallery.store.encoder.threshold
    people = People.of(generations, distinct_rows(generations), same_person, options.identity)
    drawn = people.rows[people.drawn]
    null, source = _null(gallery, control, len(drawn), options)
    groups, mix = mixed(options.by, generations, drawn, control, null)
    calibration = _calibrated(null, gallery.store, groups, options)
    found = _search(generations, gallery, people.rows, calibration.threshold, progress)
    matches = _matches(generations, gallery, found, calibration.threshold, same_picture)
    sides = _sides(generations, gallery.store, control, images)
    made, training, held_out = sides["generations"], sides["training set"], sides.get("controls")
    unread, returned = made.unread + unseen.unread, np.isin(drawn, matches.query)
    tested = source == "control" and calibration.samples >= MIN_CONTROLS
    return FacesResult(
        method=gallery.method,
        digests=_digests(generations, gallery.store, control),
        calibration=calibration,
        source=source,
        one_to_one=_one_to_one(gallery.store),
        same_person=same_person,
        generated=made.counts,
        gallery=training.counts,
        gallery_coverage=training.coverage,
        control_coverage=held_out.coverage if held_out else None,
        of_images={name: side.of_images for name, side in sides.items() if side.of_images},
        matched=rate_of(int(returned.sum()), Coverage(len(drawn), len(drawn) + unread)),
        coverage=Coverage(len(people.rows), len(people.rows) + unread),
        people_matched=len(np.unique(people.person[np.isin(people.rows, matches.query)])),
        training_person=_people_among(gallery.store, matches.reference, options.identity),
        mix=mix,
        matches=matches,
        excess_p=excess_p(groups, returned, null, calibration.threshold) if tested else None,
        why_no_p="" if tested else _why_no_p(source, calibration.samples),
        membership=(
            measure_membership(gallery.store, control, null.rows, generations, options.identity) if control else None
        ),
        by=group_rates(options.by, _scored(generations, drawn, returned, control, null, calibration.threshold)),
        nearest=found.similarity[people.drawn],
        null=null.best,
        inconclusive=reasons(sides, options.max_unmeasured, len(drawn), calibration, unseen),
    )


def _require_faces(generations: Store, gallery: Store, control: Store | None) -> None:
    for store in (s for s in (generations, gallery, control) if s is not None):
        if store.manifest.kind != FACES:
            raise InputError(f"store {store.folder} holds images, not faces: make a store of faces with memaudit faces")
        require_same_encoder(store, gallery)


def _digests(generations: Store, gallery: Store, control: Store | None) -> dict[str, str]:
    controls = {} if control is None else {"control faces": control.digest}
    return {"generated faces": generations.digest, "training faces": gallery.digest, **controls}


def _sides(generations: Store, gallery: Store, control: Store | None, images: ImageStores) -> Mapping[str, Side]:
    sides = {
        "generations": Side.of(generations, images.generations),
        "training set": Side.of(gallery, images.gallery),
    }
    return sides if control is None else {**sides, "controls": Side.of(control, images.control)}


def _null(gallery: Searcher, control: Store | None, scored: int, options: CompareOptions) -> tuple[Null, str]:
    if not gallery.store.comparable:
        return Null(np.empty(0, np.float32)), "gallery" if control is None else "control"
    if control is not None:
        return control_null(control, gallery, options.identity), "control"
    wanted = min(_MOST_SAMPLED, int(2 * scored / options.false_matches))
    store = gallery.store
    return gallery_null(store, store.encoder.threshold, sample=max(SAMPLE, wanted), seed=options.seed), "gallery"


def _calibrated(null: Null, gallery: Store, groups: Groups, options: CompareOptions) -> Calibration:
    floor = _one_to_one(gallery)  # what not even two given faces would pass
    return calibrate(null, len(groups.scored), options.false_matches, floor, gallery.encoder.threshold, groups)


def _one_to_one(gallery: Store) -> float:
    """The encoder's threshold for two given faces; 0 for one that has none."""
    family = family_of(gallery.encoder.name)
    return family.one_to_one if family else 0.0


def _people_among(gallery: Store, references: Int64, column: str) -> Int64:
    """Which person each of the training faces of these rows shows, numbered from 0."""
    rows, places = np.unique(references, return_inverse=True)
    return np.asarray(people_of(gallery, rows, gallery.encoder.threshold, column)[places], np.int64)


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
    generations: Store, gallery: Searcher, found: _Found, threshold: float, same_picture: SamePicture | None
) -> FaceMatches:
    hit = np.flatnonzero(found.similarity >= np.float32(threshold))
    hit = hit[np.lexsort((found.query[hit], -found.similarity[hit]))]
    query, reference = found.query[hit], found.reference[hit]
    sides = generations.columns(query), gallery.store.columns(reference)
    images = np.full(len(hit), np.nan, np.float32)
    same = np.full(len(hit), -1, np.int64)
    if same_picture is not None and len(hit):
        images = same_picture.similarity(*sides)
        same = np.where(np.isnan(images), -1, images >= np.float32(same_picture.threshold)).astype(np.int64)
    files = ([face.file for face in face_rows(columns)] for columns in sides)
    same[[left == right for left, right in zip(*files, strict=True)]] = 1
    count = near_duplicates(reference, gallery, threshold) if len(hit) else np.empty(0, np.int64)
    return FaceMatches(query, reference, found.similarity[hit], images, same, found.above[hit], count)


def _why_no_p(source: str, samples: int) -> str:
    if source == "gallery":
        return "no faces of people outside the training set were given"
    return f"{samples} people outside the training set, at least {MIN_CONTROLS} are needed"


def _scored(
    generations: Store,
    drawn: Int64,
    returned: NDArray[np.bool_],
    control: Store | None,
    null: Null,
    threshold: float,
) -> list[Scored]:
    """The generated people, and held-out ones, by one face of each."""
    sides = [Scored("generated", generations, drawn, returned)]
    if control is not None and len(null.rows):
        sides.append(Scored("held-out", control, null.rows, null.best >= np.float32(threshold)))
    return sides
