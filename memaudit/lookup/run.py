"""The look-up: is this picture, or a part of it, in what was trained on?

Every view of an image is embedded and searched; a match names the view that found it. Candidates below the threshold
are decided on pixels, where the files are there. What cannot be decided is said, not left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import memaudit
from memaudit.embedding.reconcile import bytes_of
from memaudit.embedding.rows import batched
from memaudit.encoders import Encoder
from memaudit.errors import InconclusiveError, InputError
from memaudit.files import digest_of
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decoding, is_blank
from memaudit.images.image_ref import ImageRef
from memaudit.images.views import View
from memaudit.index import Index, Searcher
from memaudit.matching.candidates import Candidates
from memaudit.matching.compare import Files
from memaudit.matching.decide import Decided, decide
from memaudit.matching.plan import MatchPlan, plan_matching
from memaudit.matching.search import LEAST_CANDIDATES, QueryBlock, Scope, Searched, search
from memaudit.matching.windows import Windows
from memaudit.store import NO_FILE, Store
from memaudit.types import Float32, Int64, Progress, Status, silent

SCHEMA = "memaudit-lookup/1"
COMPARED, COMPARED_IN_PART, NOT_COMPARED = "compared", "compared in part", "not compared"
NOTHING, FOUND, UNDECIDED = "nothing found", "found", "could not decide"
_IMAGES = 16  # decoded and searched at once: with 17 views each, 272 embeddings


@dataclass(frozen=True)
class DedupFate:
    """What a dedup run decided about an image: keep or drop, why, and the witness that stands for it."""

    decision: str
    reason: str
    witness_id: str
    witness_similarity: float | None


@dataclass(frozen=True)
class LookupMatch:
    """A training image that reaches the threshold with a view of the picture asked for, or that pixels confirm.

    kind: of `Kind`, empty for one that is no match and was not compared. verified: pixels confirm it; compared: they
    were looked at. alignment (the matrix row by row), picture_box, reference_box: where the picture and the training
    image show the same, see `Overlap`; None where pixels do not confirm it.
    """

    image_id: str
    similarity: float
    view: str
    uri: str
    caption: str
    sha256: str
    dedup: DedupFate | None = None
    kind: str = ""
    verified: bool = False
    compared: bool = False
    alignment: tuple[float, ...] | None = None
    picture_box: tuple[float, ...] | None = None
    reference_box: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """What came of one picture. status: ok, blank or unreadable (with the `error`); of the last two nothing is known.

    nearest: its most similar training image, whether or not it reaches the threshold. more: further matches than are
    listed reach the threshold. candidates, compared: how many were to be held against it on pixels, and could be; why
    not.
    """

    image: str
    sha256: str
    status: Status
    error: str
    matches: tuple[LookupMatch, ...] = ()
    nearest: LookupMatch | None = None
    more: bool = False
    candidates: int = 0
    compared: int = 0
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class LookupOptions:
    """threshold: None for the encoder's own; neighbours: matches listed for each picture. match: whether candidates
    are decided on pixels: auto, pixels or none; match_from: their least similarity, None: the encoder's own."""

    views: tuple[View, ...]
    threshold: float | None = None
    neighbours: int = 10
    match: str = "auto"
    match_from: float | None = None


def look_up(refs: Iterable[ImageRef], references: Searcher, encoder: Encoder, options: LookupOptions) -> list[Answer]:
    """Search every view of every picture, in the training images and in their tiles and details where the store has
    them. Memory: the views of 16 pictures, and the answers.

    Raises UsageError for impossible options, InconclusiveError if the encoder is not the one that the references were
    embedded with, or their windows are unfinished, or of another state of the store.
    """
    plan = _plan(references, options)
    spec = references.store.encoder
    if not encoder.spec.same_as(spec):
        raise InconclusiveError(
            f"the training set was embedded with {spec.identity}, not with {encoder.spec.identity}: "
            "similarities between the two mean nothing; use the same encoder"
        )
    windows = Windows.of(references.store, on_pixels=plan.on_pixels)
    # One more than is listed, to tell whether there are more
    most = max(options.neighbours, LEAST_CANDIDATES) + 1
    scope = Scope(references, _threshold(references, options), plan.floor, most, windows)
    answers: list[Answer] = []
    for batch in batched(refs, _IMAGES):
        pictures = _encoded([_decoded(ref, encoder, options.views) for ref in batch], encoder, options.views)
        searched = search(pictures, scope, None, silent)
        decided = decide(searched, pictures, references.store, scope.threshold, plan, silent)
        answers += [
            _answered(answer, i, searched, decided, references.store, options.neighbours)
            for i, answer in enumerate(pictures.answers)
        ]
    return answers


class _Decoded(NamedTuple):
    """A picture without its matches yet, and the encoder's items of its views, None where it has none."""

    answer: Answer
    items: list[Any]


def _decoded(ref: ImageRef, encoder: Encoder, views: Sequence[View]) -> _Decoded:
    """Read a picture and make the views of it; a view without content (the sky beside a tower) is no item."""
    answer = Answer(ref.uri or ref.image_id, NO_FILE, Status.UNREADABLE, "")
    try:
        data = bytes_of(ref)
    except OSError as error:
        return _Decoded(replace(answer, error=f"cannot read file: {error.strerror or error}"), [])
    answer = replace(answer, sha256=sha256(data).hexdigest())
    # Tiles have half the side, so the picture is decoded at twice the size that the encoder needs of each.
    side = encoder.side * (1 if len(views) <= 1 else 2)
    try:
        with decoding(data, MAX_PIXELS, side) as (image, _, _):
            if is_blank(image):
                return _Decoded(replace(answer, status=Status.BLANK, error="blank: nothing to compare"), [])
            seen = [view.apply(image) for view in views]
            items = [None if is_blank(part) else encoder.preprocess(part) for part in seen]
            return _Decoded(replace(answer, status=Status.OK), items)
    except UnreadableImageError as error:
        return _Decoded(replace(answer, error=str(error)), [])


@dataclass(frozen=True)
class _Pictures:
    """Queries of a few pictures: of which (n,) and by what view (n,) the embeddings (n, dim) are."""

    answers: Sequence[Answer]
    block: QueryBlock

    def __len__(self) -> int:
        return len(self.answers)

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        if len(self.block.query):
            yield self.block

    def files(self, rows: Int64) -> Files:
        names = [(self.answers[i].image, self.answers[i].sha256) for i in rows]
        return Files(*np.array(names, dtype=object).reshape(-1, 2).T)


def _encoded(batch: Sequence[_Decoded], encoder: Encoder, views: Sequence[View]) -> _Pictures:
    owners = [(i, view) for i, seen in enumerate(batch) for view, item in enumerate(seen.items) if item is not None]
    items = [batch[i].items[view] for i, view in owners]
    vectors: list[Float32] = [encoder.encode(np.stack(part)) for part in batched(items, _IMAGES)]
    block = QueryBlock(
        np.array([i for i, _ in owners], np.int64),
        np.array([views[view].name for _, view in owners], object),
        np.concatenate(vectors) if vectors else np.empty((0, encoder.spec.dim), np.float32),
    )
    return _Pictures([seen.answer for seen in batch], block)


def _threshold(references: Searcher, options: LookupOptions) -> float:
    return references.store.encoder.threshold if options.threshold is None else options.threshold


def _plan(references: Searcher, options: LookupOptions) -> MatchPlan:
    name = references.store.encoder.name
    return plan_matching(options.match, options.match_from, name, _threshold(references, options))


def _answered(
    answer: Answer, picture: int, searched: Searched, decided: Decided, references: Store, most: int
) -> Answer:
    """The answer of one picture, with its first `most` matches."""
    near = searched.nearest.picked(searched.nearest.query == picture)
    if not len(near.query):
        return answer
    candidates, checks = decided.candidates, decided.checks
    places = decided.places_of_matches()
    places = places[candidates.query[places] == picture]
    pairs = Candidates.joined([near, candidates.picked(places[:most])])
    nearest, *matches = _described(pairs, np.r_[near.places_in(candidates), places[:most]], decided, references)
    why = checks.why[candidates.query == picture]
    compared = int(checks.read[candidates.query == picture].sum())
    return replace(
        answer,
        matches=tuple(matches),
        nearest=nearest,
        more=len(places) > most,
        candidates=compared + int((why != "").sum()),
        compared=compared,
        why=tuple(sorted(set(why[why != ""].tolist()))),
    )


def _described(pairs: Candidates, places: Int64, decided: Decided, references: Store) -> Iterator[LookupMatch]:
    """These pairs, with what was decided of them: at `places`, -1 for what was too far off to be a candidate."""
    columns, views = references.columns(pairs.reference), pairs.views
    for n, place in enumerate(places):
        match = LookupMatch(
            image_id=str(columns.image_id[n]),
            similarity=float(pairs.similarity[n]),
            view=str(views[n]),
            uri=str(columns.uri[n]),
            caption=str(columns.caption[n]),
            sha256=str(columns.sha256[n]),
        )
        yield match if place < 0 else _as_decided(match, decided, int(place))


def _as_decided(match: LookupMatch, decided: Decided, place: int) -> LookupMatch:
    overlaps = decided.checks.overlaps
    columns = (overlaps.matrix, overlaps.query_box, overlaps.reference_box)
    where = [tuple(column[place].ravel().tolist()) if overlaps.known[place] else None for column in columns]
    return replace(
        match,
        kind=str(decided.kind[place]),
        verified=bool(decided.verified[place]),
        compared=bool(decided.compared[place]),
        alignment=where[0],
        picture_box=where[1],
        reference_box=where[2],
    )


def with_fates(answers: Sequence[Answer], decisions: Path) -> list[Answer]:
    """Add what a dedup run decided about every match. decisions: its decisions.parquet.

    Memory: one part of the file at a time. Raises InputError for a file that is no such table.
    """
    wanted = {match.image_id for answer in answers for match in answer.matches}
    fates = dict(_fates(decisions, wanted))
    return [replace(answer, matches=tuple(_with_fate(match, fates) for match in answer.matches)) for answer in answers]


def _with_fate(match: LookupMatch, fates: dict[str, DedupFate]) -> LookupMatch:
    if match.image_id not in fates:
        raise InconclusiveError(f"the dedup run says nothing about {match.image_id!r}: it was made of another set")
    return replace(match, dedup=fates[match.image_id])


def _fates(path: Path, wanted: set[str]) -> Iterator[tuple[str, DedupFate]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = ["image_id", "decision", "reason", "witness_id", "witness_similarity"]
    ids = pa.array(sorted(wanted), pa.string())
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=names):
            for row in batch.filter(pc.is_in(batch["image_id"].cast(pa.string()), ids)).to_pylist():
                value = row["witness_similarity"]
                similarity = None if value is None or math.isnan(value) else float(value)
                yield row["image_id"], DedupFate(row["decision"], row["reason"], row["witness_id"] or "", similarity)
    except KeyError:
        raise InputError(f"{path} has not the columns of a dedup run: {', '.join(names)}") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def evidence(
    answers: Sequence[Answer],
    references: Searcher,
    options: LookupOptions,
    allowed: float,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """What was asked, of what, how, and what came of it: with the digests that make it repeatable, and its own.

    allowed: share of the training images that may be unmeasured before "found nothing" says nothing.
    """
    store = references.store
    plan = _plan(references, options)
    pixels, windows = _pixels_part(answers, plan), Windows.of(store, on_pixels=plan.on_pixels)
    doubts = [*undecided(answers, references, allowed), *windows.lost(allowed), *_unread(pixels)]
    content = {
        "schema": SCHEMA,
        "memaudit": memaudit.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "outcome": _outcome(answers, doubts),
        "undecided": doubts,
        "store": {"path": str(store.folder), "sha256": store.digest, "coverage": store.coverage.as_dict()},
        "index": _index_part(references),
        "encoder": store.encoder.as_dict(),
        "threshold": _threshold(references, options),
        "views": [view.name for view in options.views],
        "reference_views": windows.searched_with(store).as_dict(),
        "pixels": pixels,
        "images": [asdict(answer) for answer in answers],
        "seconds": seconds,
    }
    return {**content, "sha256": digest_of(content)}


def _pixels_part(answers: Sequence[Answer], plan: MatchPlan) -> dict[str, Any]:
    """What was decided on pixels. Where it was not, parts and strong alterations are found at the threshold only."""
    if not plan.on_pixels:
        return {"status": NOT_COMPARED, "why": [plan.why_not]}
    candidates, compared = (sum(getattr(answer, name) for answer in answers) for name in ("candidates", "compared"))
    return {
        "status": COMPARED if compared == candidates else NOT_COMPARED if not compared else COMPARED_IN_PART,
        "floor": plan.floor,
        "candidates": candidates,
        "compared": compared,
        "why": sorted({reason for answer in answers for reason in answer.why}),
    }


def _unread(pixels: dict[str, Any]) -> list[str]:
    """Candidates that could be copies, had their files been there to be looked at."""
    lost = pixels.get("candidates", 0) - pixels.get("compared", 0)
    if not lost:
        return []
    return [
        f"{lost:,} candidates could not be compared on pixels ({'; '.join(pixels['why'])}); --match none leaves them"
    ]


def _outcome(answers: Sequence[Answer], doubts: Sequence[str]) -> str:
    if any(answer.matches for answer in answers):
        return FOUND
    return UNDECIDED if doubts else NOTHING


def _index_part(references: Searcher) -> dict[str, Any] | None:
    if not isinstance(references, Index):
        return None
    recall = references.manifest["index_recall"]
    return {
        "path": str(references.folder),
        "sha256": references.digest,
        "recipe": references.manifest["recipe"],
        "index_recall": recall,
    }


def undecided(answers: Sequence[Answer], references: Searcher, allowed: float) -> list[str]:
    """Why "found nothing" must not be read as "is not in it": one line for each reason; none if it may be."""
    reasons = [f"{answer.image}: {answer.error}" for answer in answers if answer.status != Status.OK]
    store = references.store
    if store.cut:
        reasons.append(f"archives of the training set end early ({store.cut:,} rows say so)")
    if store.coverage.falls_short(allowed):
        lost = store.coverage.total - store.coverage.measured
        reasons.append(
            f"{lost:,} of {store.coverage.total:,} training images could not be read when they were embedded"
        )
    return reasons


class Stopwatch:
    """Seconds of named steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._last = round(now - self._last, 3), now
