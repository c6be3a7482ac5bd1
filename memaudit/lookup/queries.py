"""The pictures that are looked up, as queries: the embeddings of their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from memaudit.embedding.passes import SeenViews, seen_views
from memaudit.embedding.reconcile import bytes_of
from memaudit.embedding.rows import batched
from memaudit.encoders import Encoder
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decoding, is_blank
from memaudit.images.image_ref import ImageRef
from memaudit.images.views import View
from memaudit.lookup.results import Answer
from memaudit.matching.compare import Files
from memaudit.matching.search import QueryBlock
from memaudit.store import NO_FILE
from memaudit.types import Float32, Int64, Progress, Status

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
        decoded = [_decoded(ref, encoder, views) for ref in refs]
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
        block = QueryBlock(owners[order, 0], names[owners[order, 1]], rows[order])
        return cls([each.answer for each in decoded], block)

    def __len__(self) -> int:
        return len(self.answers)

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        if len(self.block.query):
            yield self.block

    def files(self, rows: Int64) -> Files:
        names = [(self.answers[i].image, self.answers[i].sha256) for i in rows]
        return Files(*np.array(names, dtype=object).reshape(-1, 2).T)


class _Decoded(NamedTuple):
    """A picture without its matches yet, and its views that have content."""

    answer: Answer
    seen: SeenViews = SeenViews({}, [])


def _decoded(ref: ImageRef, encoder: Encoder, views: Sequence[View]) -> _Decoded:
    """Read a picture and make the views of it."""
    answer = Answer(ref.uri or ref.image_id, NO_FILE, Status.UNREADABLE, "")
    try:
        data = bytes_of(ref)
    except OSError as error:
        return _Decoded(replace(answer, error=f"cannot read file: {error.strerror or error}"))
    answer = replace(answer, sha256=sha256(data).hexdigest())
    # Tiles have half the side, so the picture is decoded at twice the size that the encoder needs of each.
    side = encoder.side * (1 if len(views) <= 1 else 2)
    try:
        with decoding(data, MAX_PIXELS, side) as (image, _, _):
            if is_blank(image):
                return _Decoded(replace(answer, status=Status.BLANK, error="blank: nothing to compare"))
            return _Decoded(replace(answer, status=Status.OK), seen_views(image, views, encoder))
    except UnreadableImageError as error:
        return _Decoded(replace(answer, error=str(error)))
