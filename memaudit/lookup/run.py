"""The look-up: is this picture, or a part of it, in what was trained on?

Every view of an image is embedded and searched; a match names the view that found it. Candidates below the threshold
are decided on pixels, where the files are there. What cannot be decided is said, not left out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
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
from memaudit.lookup.pixels import Candidates, Pixels, Seen, plan_pixels, see
from memaudit.similarity import Neighbours
from memaudit.store import NO_FILE, Store
from memaudit.types import Int64, Status

SCHEMA = "memaudit-lookup/1"
COMPARED, COMPARED_IN_PART, NOT_COMPARED = "compared", "compared in part", "not compared"
NOTHING, FOUND, UNDECIDED = "nothing found", "found", "could not decide"
LEAST_CANDIDATES = 10  # training images that each picture is held against on pixels
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
    were looked at.
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
    """threshold: None for the encoder's own; neighbours: matches listed for each picture. verify: whether candidates
    are decided on pixels: one of VERIFY; verify_from: their least similarity, None: the encoder's own."""

    views: tuple[View, ...]
    threshold: float | None = None
    neighbours: int = 10
    verify: str = "auto"
    verify_from: float | None = None


def look_up(refs: Iterable[ImageRef], references: Searcher, encoder: Encoder, options: LookupOptions) -> list[Answer]:
    """Search every view of every picture. Memory: the views of 16 pictures, and the answers.

    Raises InconclusiveError if the encoder is not the one that the references were embedded with.
    """
    _pixels(references, options)  # an impossible choice is told before any work
    spec = references.store.encoder
    if not encoder.spec.same_as(spec):
        raise InconclusiveError(
            f"the training set was embedded with {spec.identity}, not with {encoder.spec.identity}: "
            "similarities between the two mean nothing; use the same encoder"
        )
    answers: list[Answer] = []
    for batch in batched(refs, _IMAGES):
        answers += _answered([_seen(ref, encoder, options.views) for ref in batch], references, encoder, options)
    return answers


class _Seen(NamedTuple):
    """A picture without its matches yet, and the encoder's items of its views, None where it has none."""

    answer: Answer
    items: list[Any]


def _seen(ref: ImageRef, encoder: Encoder, views: Sequence[View]) -> _Seen:
    """Read a picture and make the views of it; a view without content (the sky beside a tower) is no item."""
    answer = Answer(ref.uri or ref.image_id, NO_FILE, Status.UNREADABLE, "")
    try:
        data = bytes_of(ref)
    except OSError as error:
        return _Seen(_but(answer, error=f"cannot read file: {error.strerror or error}"), [])
    answer = _but(answer, sha256=sha256(data).hexdigest())
    # Tiles have half the side, so the picture is decoded at twice the size that the encoder needs of each.
    side = encoder.side * (1 if len(views) <= 1 else 2)
    try:
        with decoding(data, MAX_PIXELS, side) as (image, _, _):
            if is_blank(image):
                return _Seen(_but(answer, status=Status.BLANK, error="blank: nothing to compare"), [])
            seen = [view.apply(image) for view in views]
            items = [None if is_blank(part) else encoder.preprocess(part) for part in seen]
            return _Seen(_but(answer, status=Status.OK), items)
    except UnreadableImageError as error:
        return _Seen(_but(answer, error=str(error)), [])


def _but(answer: Answer, **changes: Any) -> Answer:
    return Answer(**{**vars(answer), **changes})


def _answered(batch: Sequence[_Seen], references: Searcher, encoder: Encoder, options: LookupOptions) -> list[Answer]:
    owners = [(i, view) for i, seen in enumerate(batch) for view, item in enumerate(seen.items) if item is not None]
    if not owners:
        return [seen.answer for seen in batch]
    items = [batch[i].items[view] for i, view in owners]
    vectors = np.concatenate([encoder.encode(np.stack(part)) for part in batched(items, _IMAGES)])
    found = references.search(vectors, _asked(options), _threshold(references, options))
    owner = np.array([i for i, _ in owners])
    views = np.array([view for _, view in owners])
    candidates = _candidates(found, owner, views, _asked(options))
    answers = [picture.answer for picture in batch]
    seen = see(
        candidates,
        [answer.image for answer in answers],
        [answer.sha256 for answer in answers],
        references.store,
        _pixels(references, options),
        _threshold(references, options),
    )
    full = np.unique(owner[found.above > _asked(options)])
    return [
        _with_matches(answer, _Part.of(i, candidates, seen), references, options, more=i in full)
        for i, answer in enumerate(answers)
    ]


def _threshold(references: Searcher, options: LookupOptions) -> float:
    return references.store.encoder.threshold if options.threshold is None else options.threshold


def _pixels(references: Searcher, options: LookupOptions) -> Pixels:
    name = references.store.encoder.name
    return plan_pixels(options.verify, options.verify_from, name, _threshold(references, options))


def _asked(options: LookupOptions) -> int:
    return max(options.neighbours, LEAST_CANDIDATES)


def _candidates(found: Neighbours, owner: Int64, views: Int64, most: int) -> Candidates:
    """Each training image once for each picture, by the view that is most similar to it: the `most` most similar ones,
    and one more to tell whether there are more."""
    place, rank = np.nonzero(found.rows >= 0)
    part = Candidates(owner[place], found.rows[place, rank], found.similarity[place, rank], views[place])
    part = part.at(np.lexsort((part.row, -part.similarity, part.picture)))
    _, first = np.unique(np.stack([part.picture, part.row]), axis=1, return_index=True)
    part = part.at(np.sort(first))
    return part.at(np.flatnonzero(np.arange(len(part.row)) - np.searchsorted(part.picture, part.picture) <= most))


class _Part(NamedTuple):
    """The candidates of one picture, and what was seen of them."""

    candidates: Candidates
    seen: Seen

    @classmethod
    def of(cls, picture: int, candidates: Candidates, seen: Seen) -> _Part:
        places = np.flatnonzero(candidates.picture == picture)
        return cls(candidates.at(places), Seen._make(column[places] for column in seen))


def _with_matches(answer: Answer, part: _Part, references: Searcher, options: LookupOptions, *, more: bool) -> Answer:
    """Those that pixels confirm come first, then by similarity."""
    found, seen = part
    if not len(found.row):
        return answer
    chosen = np.flatnonzero((found.similarity >= np.float32(_threshold(references, options))) | seen.verified)
    chosen = chosen[np.lexsort((-found.similarity[chosen], ~seen.verified[chosen]))]
    nearest, *matches = _listed(np.r_[0, chosen[: options.neighbours]], part, references.store, options)
    tried = seen.compared | (seen.why != "")
    return _but(
        answer,
        matches=tuple(matches),
        nearest=nearest,
        more=more or len(chosen) > options.neighbours,
        candidates=int(tried.sum()),
        compared=int(seen.compared.sum()),
        why=tuple(sorted(set(seen.why[seen.why != ""].tolist()))),
    )


def _listed(places: Int64, part: _Part, references: Store, options: LookupOptions) -> list[LookupMatch]:
    found, seen = part
    columns = references.columns(found.row[places])
    return [
        LookupMatch(
            image_id=str(columns.image_id[n]),
            similarity=float(found.similarity[i]),
            view=options.views[found.view[i]].name,
            uri=str(columns.uri[n]),
            caption=str(columns.caption[n]),
            sha256=str(columns.sha256[n]),
            kind=str(seen.kind[i]),
            verified=bool(seen.verified[i]),
            compared=bool(seen.compared[i]),
        )
        for n, i in enumerate(places.tolist())
    ]


def with_fates(answers: Sequence[Answer], decisions: Path) -> list[Answer]:
    """Add what a dedup run decided about every match. decisions: its decisions.parquet.

    Memory: one part of the file at a time. Raises InputError for a file that is no such table.
    """
    wanted = {match.image_id for answer in answers for match in answer.matches}
    fates = dict(_fates(decisions, wanted))
    return [_but(answer, matches=tuple(_decided(match, fates) for match in answer.matches)) for answer in answers]


def _decided(match: LookupMatch, fates: dict[str, DedupFate]) -> LookupMatch:
    if match.image_id not in fates:
        raise InconclusiveError(f"the dedup run says nothing about {match.image_id!r}: it was made of another set")
    return LookupMatch(**{**vars(match), "dedup": fates[match.image_id]})


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
    pixels = _pixels_part(answers, _pixels(references, options))
    doubts = [*undecided(answers, references, allowed), *_unread(pixels)]
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
        "pixels": pixels,
        "images": [asdict(answer) for answer in answers],
        "seconds": seconds,
    }
    return {**content, "sha256": digest_of(content)}


def _pixels_part(answers: Sequence[Answer], pixels: Pixels) -> dict[str, Any]:
    """What was decided on pixels. Where it was not, parts and strong alterations are found at the threshold only."""
    if pixels.why_not:
        return {"status": NOT_COMPARED, "why": [pixels.why_not]}
    candidates, compared = (sum(getattr(answer, name) for answer in answers) for name in ("candidates", "compared"))
    return {
        "status": COMPARED if compared == candidates else NOT_COMPARED if not compared else COMPARED_IN_PART,
        "floor": pixels.floor,
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
        f"{lost:,} candidates could not be compared on pixels ({'; '.join(pixels['why'])}); --verify none leaves them"
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
