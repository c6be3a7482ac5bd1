"""The pictures that are looked up, as queries: the embeddings of their views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np

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
        owners = [
            (i, view) for i, each in enumerate(decoded) for view, item in enumerate(each.items) if item is not None
        ]
        items = [decoded[i].items[view] for i, view in owners]
        vectors: list[Float32] = [encoder.encode(np.stack(part)) for part in batched(items, IMAGES)]
        block = QueryBlock(
            np.array([i for i, _ in owners], np.int64),
            np.array([views[view].name for _, view in owners], object),
            np.concatenate(vectors) if vectors else np.empty((0, encoder.spec.dim), np.float32),
        )
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
