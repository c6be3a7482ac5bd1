"""The audit of faces, from images or stores to a result: beside an audit of images, or alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from memaudit.audit.results import AuditResult
from memaudit.audit.shortfalls import ALL_SEEN, Unseen
from memaudit.faces.compare import CompareOptions, ImageStores, compare_faces
from memaudit.faces.results import FaceAudit
from memaudit.faces.same_picture import (
    MatchedImages,
    SamePicture,
    beside_matched,
    by_image_stores,
    by_thumbnails,
    copies_among,
    face_pairs,
)
from memaudit.faces.stores import CONTROL, GALLERY, GENERATIONS, FaceEmbedder, Source, gallery_at, images_at
from memaudit.images.passed_over import PassedOver
from memaudit.index import ExactSearch, Searcher
from memaudit.store import Store, require_current
from memaudit.types import Progress, silent


@dataclass(frozen=True)
class FaceAuditOptions:
    """store: the training set's store of faces, or an index of it; None: it is made. control: pictures, or a store of
    faces, of people who are not in the training set; None: the held-out images of the audit, if there are any.
    picture_threshold: similarity of images from which on two are the same picture; None: the image encoder's own.
    """

    store: str | Path | None = None
    control: Source | None = None
    embedder: FaceEmbedder = field(default_factory=FaceEmbedder)
    comparison: CompareOptions = field(default_factory=CompareOptions)
    picture_threshold: float | None = None


@dataclass(frozen=True)
class AuditedImages:
    """An audit of images: its result and the stores of images that it compared."""

    result: AuditResult
    generations: Store
    references: Store
    control: Store | None = None


def audit_faces_beside(
    images: AuditedImages, folder: Path, options: FaceAuditOptions = FaceAuditOptions(), progress: Progress = silent
) -> FaceAudit:
    """Find and compare the faces of an audit of images: of the sources that its stores were made from.

    folder: where stores of faces are made that are not there yet; they are kept, for the next audit. Raises as
    `embed_faces` and `compare_faces`, UsageError where options.store holds images, InconclusiveError for another
    encoder than the training faces'.
    """
    embed, generations, references = options.embedder.embed, images.generations, images.references
    if options.store is None:
        gallery: Searcher = ExactSearch(embed(references.sources, folder / GALLERY, None, progress))
    else:
        gallery = gallery_at(options.store)
    like = gallery.store.encoder
    queries = embed(generations.sources, folder / GENERATIONS, like, progress)
    control, control_images = None, images.control
    if options.control is not None:
        control = options.embedder.store_of(options.control, folder / CONTROL, like, progress)
        control_images = images_at(options.control)
    elif images.control is not None:
        control = embed(images.control.sources, folder / CONTROL, like, progress)
    threshold = references.encoder.threshold if options.picture_threshold is None else options.picture_threshold
    same = by_image_stores(generations, references, threshold)
    stores = ImageStores(generations, references, control_images)
    audit = _compared(queries, gallery, control, stores, same, options, progress)
    matched = MatchedImages.of(images.result.matches, generations, references)
    return beside_matched(audit, matched, lambda pairs: copies_among(references, pairs, threshold))


def audit_faces_alone(
    generations: Source,
    gallery: Searcher,
    control: Source | None,
    folder: Path,
    options: FaceAuditOptions = FaceAuditOptions(),
    progress: Progress = silent,
) -> FaceAudit:
    """Compare the faces of generations with a store of faces; which are on the same picture is told by thumbnails.

    folder, errors: as `audit_faces_beside`. options.control, if given, stands in for `control`; options.store and
    picture_threshold say nothing here.
    """
    like, make = gallery.store.encoder, options.embedder.store_of
    passed = PassedOver()
    queries = make(generations, folder / GENERATIONS, like, progress, passed)
    unseen = Unseen(unread=passed.pictures, why_unread=passed.unread_line)
    people = control if options.control is None else options.control
    held_out = None if people is None else make(people, folder / CONTROL, like, progress)
    stores = ImageStores(images_at(generations), None, images_at(people))
    return _compared(queries, gallery, held_out, stores, by_thumbnails(), options, progress, unseen)


def _compared(
    queries: Store,
    gallery: Searcher,
    control: Store | None,
    images: ImageStores,
    same: SamePicture,
    options: FaceAuditOptions,
    progress: Progress,
    unseen: Unseen = ALL_SEEN,
) -> FaceAudit:
    result = compare_faces(
        queries,
        gallery,
        control=control,
        images=images,
        same_picture=same,
        options=options.comparison,
        unseen=unseen,
        progress=progress,
    )
    gallery.require_current()
    require_current(queries, control)
    return FaceAudit(result, queries, gallery.store, face_pairs(result.matches, queries, gallery.store))
