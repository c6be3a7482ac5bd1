"""The pictures that are looked up, as queries: the embeddings of their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from memaudit.embedding.passes import Pass, SeenViews, seen_views
from memaudit.embedding.pictures import prepare
from memaudit.embedding.reconcile import KnownFiles, bytes_of
from memaudit.embedding.rows import NO_EMBEDDING, are_unit, batched
from memaudit.encoders import Encoder
from memaudit.errors import InputError
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decoding, is_blank
from memaudit.images.image_ref import ImageRef
from memaudit.images.views import View
from memaudit.lookup.results import Answer
from memaudit.matching.compare import Files
from memaudit.matching.search import QueryBlock
from memaudit.store import NO_FILE, unit_rows
from memaudit.types import Float32, Int64, Progress, Status

BLANK = "blank: nothing to compare"
IMAGES = 16  # decoded and searched at once: with 17 views each, 272 embeddings


@dataclass(frozen=True)
class Pictures:
    """Queries of a few pictures: of which (n,) and by what view (n,) the embeddings (n, dim) are. answers: theirs as
    far as it is known before the search, with the pictures that could not be read."""

    answers: Sequence[Answer]
    block: QueryBlock

    @classmethod
    def of(cls, refs: Iterable[ImageRef], encoder: Encoder, views: Sequence[View]) -> Pictures:
        """Decode and embed them."""
        return cls.encoded([_decoded(ref, encoder, views) for ref in refs], encoder, views)

    @classmethod
    def as_stored(cls, refs: Iterable[ImageRef], encoder: Encoder, views: Sequence[View]) -> Pictures:
        """The same, made and rounded as the rows of a store are: what an audit finds of a generation is then found of
        it, to the last digit."""
        seen = cls.encoded([_prepared(ref, encoder, views) for ref in refs], encoder, views)
        block = seen.block
        return cls(seen.answers, block._replace(embeddings=unit_rows(block.embeddings.astype(np.float16))))

    @classmethod
    def encoded(cls, decoded: Sequence[Decoded], encoder: Encoder, views: Sequence[View]) -> Pictures:
        """Embed them."""
        singly = [(i, view) for i, each in enumerate(decoded) for view in each.seen.items]
        items = [decoded[i].seen.items[view] for i, view in singly]
        vectors: list[Float32] = [encoder.encode(np.stack(part)) for part in batched(items, IMAGES)]
        shown = [(i, each) for i, one in enumerate(decoded) for each in one.seen.passes]
        if encoder.regions is not None:
            vectors += [each.encoded(encoder.regions) for _, each in shown]
        owners = np.array([*singly, *((i, view) for i, each in shown for view in each.places)], np.int64).reshape(-1, 2)
        order = np.lexsort(owners.T[::-1])
        names = np.array([view.name for view in views], object)
        rows = np.concatenate(vectors) if vectors else np.empty((0, encoder.spec.dim), np.float32)
        sound = are_unit(rows)
        lost = {int(i) for i, view in owners[~sound] if view == 0}  # of the whole picture
        order = order[sound[order]]
        order = order[~np.isin(owners[order, 0], list(lost))]
        block = QueryBlock(owners[order, 0], names[owners[order, 1]], rows[order])
        return cls([_unseen(one.answer) if i in lost else one.answer for i, one in enumerate(decoded)], block)

    def __len__(self) -> int:
        return len(self.answers)

    def only(self, picture: int) -> Pictures:
        """One of them."""
        own = self.block.query == picture
        query = np.zeros(np.count_nonzero(own), np.int64)
        return Pictures([self.answers[picture]], QueryBlock(query, self.block.view[own], self.block.embeddings[own]))

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        if len(self.block.query):
            yield self.block

    def files(self, rows: Int64) -> Files:
        names = [(self.answers[i].image, self.answers[i].sha256) for i in rows]
        return Files(*np.array(names, dtype=object).reshape(-1, 2).T)


class Decoded(NamedTuple):
    """A picture without its matches yet, and its views that have content."""

    answer: Answer
    seen: SeenViews = SeenViews({}, [])


def _unseen(answer: Answer) -> Answer:
    return replace(answer, status=Status.UNREADABLE, error=NO_EMBEDDING)


def _decoded(ref: ImageRef, encoder: Encoder, views: Sequence[View]) -> Decoded:
    """Read a picture and make the views of it."""
    answer = Answer(ref.uri or ref.image_id, NO_FILE, Status.UNREADABLE, "")
    try:
        data = bytes_of(ref)
    except (OSError, InputError) as error:  # the latter of a table
        return Decoded(replace(answer, error=f"cannot read file: {getattr(error, 'strerror', None) or error}"))
    answer = replace(answer, sha256=sha256(data).hexdigest())
    # Tiles have half the side, so the picture is decoded at twice the size that the encoder needs of each.
    side = encoder.side * (1 if len(views) <= 1 else 2)
    try:
        with decoding(data, MAX_PIXELS, side) as (image, _, _):
            if is_blank(image):
                return Decoded(replace(answer, status=Status.BLANK, error=BLANK))
            return Decoded(replace(answer, status=Status.OK), seen_views(image, views, encoder))
    except UnreadableImageError as error:
        return Decoded(replace(answer, error=str(error)))


def _prepared(ref: ImageRef, encoder: Encoder, views: Sequence[View]) -> Decoded:
    """Read a picture and make the views of it, whole images first, as `embed` makes them."""
    others = {0: views[1:]} if len(views) > 1 else {}
    whole, kinds = prepare(ref, encoder, MAX_PIXELS, KnownFiles(), others, parts=True)
    row, answer = whole.row, Answer(ref.uri or ref.image_id, whole.row.sha256, whole.row.status, whole.row.error)
    if row.status == Status.BLANK:
        answer = replace(answer, error=BLANK)
    if whole.pixels is None:
        return Decoded(answer)
    items, passes = {0: whole.pixels}, list[Pass]()
    for seen in kinds.values():
        items |= {place: each.pixels for place, each in enumerate(seen.items, 1) if each.pixels is not None}
        passes += [each._replace(places=[place + 1 for place in each.places]) for each in seen.passes]
    return Decoded(answer, SeenViews(items, passes))
