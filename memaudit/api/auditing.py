"""Audits of generations against a training set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from memaudit.api.calibrated_options import by_calibration
from memaudit.api.defaults import DEFAULT_VIEWS
from memaudit.api.encoding import Encoding as Encoding
from memaudit.api.page_choices import AS_IT_IS, how_to_show
from memaudit.api.page_choices import PageChoices as PageChoices
from memaudit.api.places import AnyStore, Files, files_of, folder_of, searcher_of_set
from memaudit.api.runs import AuditRun, DedupRun, Place
from memaudit.api.runs_given import table_of
from memaudit.api.several import Stores, as_one, without
from memaudit.audit.pairing import Pairer, pairer
from memaudit.audit.planted import PlantedQueries
from memaudit.audit.planting import Planting, planting, require_plantable
from memaudit.audit.prompts import GroupSizes
from memaudit.audit.results import AuditedModel
from memaudit.audit.run import AuditOptions, with_planted
from memaudit.audit.run import audit as audit_images
from memaudit.audit.shortfalls import Unseen, Views
from memaudit.embedding.growth import grown
from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.run import require_outside
from memaudit.encoders.catalog import is_known
from memaudit.errors import UsageError
from memaudit.faces.audit import AuditedImages, FaceAuditOptions, audit_faces_alone, audit_faces_beside
from memaudit.faces.compare import CompareOptions
from memaudit.faces.results import FaceAudit
from memaudit.faces.stores import CONTROL, GALLERY, GENERATIONS, FaceEmbedder, require_face_store
from memaudit.faces.uses import note_use
from memaudit.files import real, sha256_as_it_is
from memaudit.images.copy_kinds import copies_for
from memaudit.images.passed_over import PassedOver
from memaudit.images.views import views_of
from memaudit.index import Searcher
from memaudit.matching.kinds import kinds_of
from memaudit.matching.plan import plan_matching
from memaudit.matching.search import StoredQueries
from memaudit.matching.windows import Windows
from memaudit.report.audit import write_audit
from memaudit.report.faces import FacePart, write_face_audit
from memaudit.report.forgotten import remove_forgotten
from memaudit.report.model import DIGEST_OF_MODEL, Report
from memaudit.report.pages import How
from memaudit.report.run_folder import PLANTED_PICTURES, keep_for_owner, remove_earlier_pictures
from memaudit.reviews import read_reviews
from memaudit.similarity.exact import require_threshold
from memaudit.store import FACES, Store, require_current
from memaudit.types import PLANTED_COPIES, Progress, silent


@dataclass(frozen=True)
class FaceChoices:
    """How an audit compares faces. store: the training set's store of faces, or an index of it; None: it is made.
    control: pictures or a store of faces of people who are not in the training set. encoder: as of `find_faces`.
    false_matches: how many may be expected in all. identity: the metadata column that names the person. by: columns to
    split rates by. save_crops: write matched faces as pictures. wanted: False compares none.

    >>> ma.FaceChoices(false_matches=0.5).wanted
    True
    """

    store: str | Path | None = None
    control: str | Path | None = None
    encoder: str | None = None
    false_matches: float = 1.0
    identity: str = ""
    by: tuple[str, ...] = ()
    save_crops: bool = False
    wanted: bool = True

    def require_wanted(self) -> None:
        """Raise UsageError for options about faces where nobody asked to compare them."""
        given = (self.store, self.control, self.encoder, self.identity, self.by, self.save_crops)
        if not self.wanted and any(given):
            raise UsageError(
                "--face-store, --control-faces, --face-encoder, --identity, --faces-by and --save-crops need --faces, "
                "or --against a store of faces"
            )


@dataclass(frozen=True)
class _Asked:
    """What an audit is asked for, checked before hours of embedding."""

    generations: str | Path | Store
    control: str | Path | Store | None
    views: str | None
    on_pixels: bool
    pair: Pairer | None
    options: AuditOptions
    faces: FaceChoices
    about_faces: FaceAuditOptions
    encoding: Encoding
    how: How
    planted: int | None
    progress: Progress
    dedup: str | Path | DedupRun | None = None


def run_audit(
    generations: str | Path | AnyStore,
    against: Stores,
    out: str | Path | None = None,
    *,
    pairing: str | Path | None = None,
    pairing_pattern: str | None = None,
    pairing_metadata: bool = False,
    control: str | Path | AnyStore | None = None,
    threshold: float | None = None,
    neighbours: int = 10,
    views: str | None = None,
    match: str = "auto",
    match_from: float | None = None,
    calibration: str | Path | None = None,
    kinds: str | Sequence[str] = (),
    reviews: Files = (),
    metrics: bool = False,
    planted: int | None = None,
    model: str | None = None,
    model_digest: str | None = None,
    dedup: str | Path | DedupRun | None = None,
    faces: bool | FaceChoices = False,
    page: PageChoices = AS_IT_IS,
    max_unreadable: float = 0.01,
    encoding: Encoding = Encoding(),
    progress: Progress = silent,
) -> AuditRun:
    """Test whether generations are near-duplicates of training images, or copies of parts of them.

    generations, control: images (folder, manifest, archive …) or a store; control are held-out images, never trained
    on. against: the training set's store or an index of it; of several stores one is made beside `out`, OUT-store. out:
    folder of the run's files, where it continues; None: a temporary one. pairing: a CSV, TSV, JSON or Parquet that
    names the image of each generation's prompt; pairing_pattern: how generations are named, say {image_id}_{seed}.png.
    threshold: cosine, None for the encoder's own. views: none, flips, tiles or all. match: whether candidates from
    `match_from` to the threshold are decided on pixels: auto, pixels or none. calibration: a file of `calibrate`.
    kinds: of findings that count, with commas or as names (none: all); others are shown with their number. reviews:
    files of what people said of findings before, which the new ones carry. metrics: also C_T, AuthPct, FLD gap, by a
    control. model, model_digest: what made the generations, and a hexadecimal digest of its weights: `run_gate` with a
    ledger pools the audits of one model. dedup: a run of the training set, of which each group is one observation in
    the tests against held-out images. page: where its pictures are, and what it says of the training set and who ran
    it.
    planted: altered training images that are searched like generations, so that bounds count what is not detected, 100
    to 300 by the number of generations (None); 0: bounds are of copies that can be detected.

    Raises UsageError for impossible options, InconclusiveError where nothing could be measured.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> audit = ma.run_audit("generations", against=store)
    >>> audit.rate.value, audit.conclusive
    (0.2, True)
    """
    choices = _choices(faces, page)
    training = as_one(against, out)
    options = AuditOptions(threshold, neighbours, max_unreadable, metrics=metrics, match=match, match_from=match_from)
    options = replace(options, model=_audited_model(model, model_digest), kinds=kinds_of(kinds))
    options = by_calibration(options, calibration)
    about_faces = _about_faces(choices, options, encoding)
    said = read_reviews(reviewed) if (reviewed := files_of(reviews)) else None
    place, how = Place(out), replace(how_to_show(page, training, model), reviews=said)
    with place.running("audit", how.about):
        require_plantable(planted)
        on_pixels = _require_possible(options, views, control)
        if dedup is not None and control is None:
            raise UsageError("--dedup joins families in the tests against held-out images: give these with --control")
        asked = _Asked(
            _source(generations),
            None if control is None else _source(control),
            views,
            on_pixels,
            pairer(Path(pairing) if pairing else None, pairing_pattern, pairing_metadata),
            options,
            choices,
            about_faces,
            encoding,
            how,
            planted,
            progress,
            dedup,
        )
        return place.run(AuditRun, _audited(asked, training, place.folder))


def _audited_model(name: str | None, digest: str | None) -> AuditedModel | None:
    if digest is None:
        return None
    if not name or not name.strip():
        raise UsageError("--model-digest without --model: a name for readers, a digest that tells models apart")
    digest = digest.lower().removeprefix("sha256:")
    if not re.fullmatch(DIGEST_OF_MODEL, digest):
        raise UsageError(
            f"--model-digest {digest[:80]!r} is none: expected 16 to 128 hexadecimal digits, such as sha256sum "
            "prints of the weights"
        )
    return AuditedModel(" ".join(name.split()), digest)


def _choices(faces: bool | FaceChoices, page: PageChoices) -> FaceChoices:
    choices = FaceChoices(wanted=faces) if isinstance(faces, bool) else faces
    if choices.save_crops and page.blur_faces:
        raise UsageError("--save-crops writes faces and --blur-faces hides them: choose one")
    return choices


def _require_possible(options: AuditOptions, views: str | None, control: object) -> bool:
    """Whether pixels are compared, which in a search depends on neither encoder nor threshold."""
    views_of(views or DEFAULT_VIEWS)
    on_pixels = plan_matching(options.match, options.match_from, "", 1.0).on_pixels
    if options.threshold is not None:
        require_threshold(options.threshold)
    if options.metrics and control is None:
        raise UsageError("--metrics compare with images the model never saw: give them with --control")
    return on_pixels


def _about_faces(faces: FaceChoices, options: AuditOptions, encoding: Encoding) -> FaceAuditOptions:
    compare = CompareOptions(faces.false_matches, faces.by, faces.identity, options.max_unmeasured)
    require_face_store(faces.store)
    unverified = encoding.allow_unverified_weights
    embedder = FaceEmbedder(faces.encoder, encoding.device, encoding.workers, unverified)
    return FaceAuditOptions(faces.store, faces.control, embedder, compare, options.threshold)


def _source(given: str | Path | AnyStore) -> str | Path | Store:
    return given if isinstance(given, str | Path | Store) else folder_of(given)


def _audited(asked: _Asked, against: AnyStore, out: Path) -> Report:
    """Measure and write. Raises InconclusiveError and EmptyInputError for what could not be measured."""
    if asked.how.alter is not None:
        remove_earlier_pictures(out)
    references = searcher_of_set(against)
    require_outside(out, references.store.sources)
    _require_apart(references.store.folder, out)
    if asked.faces.wanted or references.store.manifest.kind == FACES:
        keep_for_owner(out)
    if references.store.manifest.kind == FACES:
        _require_of_faces(asked)
        audit = audit_faces_alone(asked.generations, references, asked.control, out, asked.about_faces, asked.progress)
        _note_use(audit, out)
        return write_face_audit(FacePart(audit, asked.faces.save_crops), out, asked.how)
    asked.faces.require_wanted()
    images = _of_images(asked, references, out)
    part = None
    if asked.faces.wanted:
        audit = audit_faces_beside(images, out, asked.about_faces, asked.progress)
        part = FacePart(audit, asked.faces.save_crops)
        _note_use(audit, out)
    return write_audit(images.result, images.generations, references.store, out, part, asked.how)


def _require_of_faces(asked: _Asked) -> None:
    """Raise UsageError for what changes nothing in a search of faces alone: passed over, it would seem to be heeded.
    What asks for less than images would be given (`--planted 0`, `--views none`) is heeded."""
    options, alone, own = asked.options, AuditOptions(), asked.options.calibrated is None
    of_images = {
        "--pairing": asked.pair is not None,
        "--threshold": own and options.threshold is not None,
        "--calibration": not own,
        "--match": own and options.match not in (alone.match, "none"),
        "--match-from": own and options.match_from is not None,
        "--neighbours": options.neighbours != alone.neighbours,
        "--kinds": options.kinds != alone.kinds,
        "--metrics": options.metrics,
        "--views": asked.views not in (None, "none"),
        "--planted": bool(asked.planted),
        "--model": options.model is not None,
        "--dedup": asked.dedup is not None,
        "--encoder": asked.encoding.encoder is not None,
        "--face-store": asked.faces.store is not None,
    }
    if given := [name for name, is_given in of_images.items() if is_given]:
        raise UsageError(
            f"{', '.join(given)} {'is' if len(given) == 1 else 'are'} for an audit of images, and --against is a store "
            "of faces, of which a search calibrates its threshold: leave out what is for images, or audit images with "
            "--faces"
        )


def _note_use(audit: FaceAudit, out: Path) -> None:
    """Let the stores of faces know of the audit, and the runs that were put aside no longer show whom these forgot."""
    for store in (audit.gallery, audit.generations):
        note_use(store, out)
        if store.manifest.forgotten:
            remove_forgotten(out, store.manifest.forgotten)


def _of_images(asked: _Asked, references: Searcher, out: Path) -> AuditedImages:
    encoding, progress = asked.encoding, asked.progress
    table = None if asked.dedup is None else table_of(asked.dedup, references.store, "groups.parquet")
    groups = None if table is None else GroupSizes.read(table)
    folder = out / "generations"
    passed, beside = PassedOver(), PassedOver()
    queries, of_queries = encoding.with_views(
        asked.generations, asked.views, folder, references.store, progress, passed
    )
    control, of_control = None, None
    if asked.control is not None:
        folder = out / "control"
        control, of_control = encoding.with_views(
            asked.control, asked.views, folder, references.store, progress, beside
        )
    views = Views(of_queries, of_control, Windows.of(references.store, on_pixels=asked.on_pixels))
    pairs = asked.pair(queries, references.store) if asked.pair else None
    options = replace(asked.options, groups=groups)
    hidden = 0 if queries.folder == out / "generations" else encoding.hidden_in(queries)
    result = audit_images(
        queries,
        references,
        pairing=pairs,
        control=control,
        views=views,
        options=options,
        unseen=Unseen(hidden, passed.pictures, passed.unread_line),
        progress=progress,
    )
    with _planted(asked, queries, references.store, out) as planted:
        result = with_planted(result, planted, references, views.windows, options, _of_planted(progress))
    result = replace(result, grown=grown(references.store), not_read=_not_read(passed, beside, references))
    if table is not None:
        result = replace(result, digests={**result.digests, "dedup groups": sha256_as_it_is(table)})
    references.require_current()
    windows = (of_queries, of_control, views.windows.tiles, views.windows.details)
    require_current(queries, control, *planted.stores, *(each.store for each in windows if each))
    return AuditedImages(result, queries, references.store, control)


@contextmanager
def _planted(asked: _Asked, queries: Store, references: Store, out: Path) -> Iterator[PlantedQueries]:
    """Altered training images, embedded as the generations are; their files are gone afterwards."""
    encoding, pictures = asked.encoding, out / PLANTED_PICTURES
    count = copies_for(queries.comparable) if asked.planted is None else asked.planted
    if not count or not is_known(references.encoder.name):
        unknown = f"the encoder {references.encoder.name} is none of memaudit's"
        yield PlantedQueries(Planting(count, why_none=unknown if count else "--planted 0"))
        return
    with planting(references, queries, pictures, count, EmbedOptions(workers=encoding.workers)) as made:
        if not made.copies:
            yield PlantedQueries(made)
            return
        progress = _of_planted(asked.progress)
        views = encoding.with_views(pictures, asked.views, out / "planted", references, progress)
        yield PlantedQueries(made, StoredQueries(*views))


def _of_planted(progress: Progress) -> Progress:
    """Stages of planted copies go by a name of their own: they are not those of generations once more."""
    return lambda stage, done, total: progress(f"{PLANTED_COPIES}{stage}", done, total)


def _not_read(passed: PassedOver, beside: PassedOver, references: Searcher) -> tuple[str, ...]:
    of_training = (*references.store.unsearched(references.first_frames_alone()), *without(references.store))
    said = {"generations": passed.lines, "held-out images": beside.lines, "training images": of_training}
    return tuple(f"{name}: {line}" for name, lines in said.items() for line in lines)


def _require_apart(references: Path, out: Path) -> None:
    """The generations are embedded into `out`: not over the training set's own store."""
    own = ("generations", "control", "planted", GENERATIONS, GALLERY, CONTROL)
    if real(references) in (real(out / name) for name in own):
        raise UsageError(f"--against {references} lies where --out {out} keeps its own stores: choose another --out")
