"""An image's file → what the encoder is given of it: the whole image and its views, of one reading.

The file is decoded once for each scale that is needed. Only JPEGs come at several: a photograph of many pixels is
decoded small for the whole of it and large for its parts, and each of them is what it would be if it were made alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from memaudit.embedding.passes import Pass, seen_views
from memaudit.embedding.reconcile import KnownFiles, bytes_of
from memaudit.encoders import Encoder
from memaudit.errors import InputError
from memaudit.images.cells import storable
from memaudit.images.decode import Decoded, UnreadableImageError, decoding, is_blank, scaled_size
from memaudit.images.image_ref import ImageRef, with_first_frame_alone
from memaudit.images.measures import simplicity
from memaudit.images.opt_outs import ReadC2pa, noted, opt_outs_of
from memaudit.images.parts import count_frames
from memaudit.images.reading import ArchiveCutError
from memaudit.images.sources import read_image
from memaudit.images.views import View
from memaudit.store import ANOTHER_FILE, NO_FILE, Row, is_same_file
from memaudit.types import Status

_CANNOT_READ = "cannot read file: "
_WHOLE = -1  # beside the numbers of kinds of views
_LEAST_PART = 1 / 2  # that an image is decoded for, whatever its views
_MOST_PART = 8  # times the encoder's side: what is larger is reduced, before every view makes a copy

Kinds = Mapping[int, Sequence[View]]
"""Views that are wanted, by the number of their kind: each kind has a store of its own."""


@dataclass(frozen=True)
class Prepared:
    """An image on its way to the encoder: a row without its embedding, and the pixels to make it of.

    pixels is None where nothing is to be encoded, because the image is blank or unreadable, or its file is known; and
    of a view that a pass shows.
    """

    row: Row
    pixels: NDArray[Any] | None = None


class PreparedViews(NamedTuple):
    """The views of one kind of an image, and the passes that show some of them."""

    items: list[Prepared]
    passes: Sequence[Pass] = ()


class PreparedImage(NamedTuple):
    """An image and, unless it is blank or unreadable, those of its views that were wanted, by kind."""

    whole: Prepared
    views: dict[int, PreparedViews]


def prepare(
    ref: ImageRef,
    encoder: Encoder,
    max_pixels: int,
    known: KnownFiles,
    kinds: Kinds,
    *,
    parts: bool = False,
    c2pa: ReadC2pa | None = None,
) -> PreparedImage:
    """Read, decode and measure one image; of one whose file is known nothing but views are made. Without `parts`, rows
    of its further frames, the metadata of a film say that its first frame stands for it; they also say what reserves
    rights (c2pa: reads manifests of C2PA)."""
    row = Row(ref.image_id, ref.uri, ref.caption, NO_FILE, 0, 0, Status.UNREADABLE, "", None, ref.metadata)
    try:
        data = bytes_of(ref)
    except (OSError, InputError) as error:
        return PreparedImage(Prepared(unread(row, error)), {})
    metadata = row.metadata if parts else with_first_frame_alone(row.metadata, count_frames(data))
    row = replace(row, metadata=noted(metadata, opt_outs_of(data, metadata, c2pa)))
    whole = Prepared(replace(row, sha256=hashlib.sha256(data).hexdigest()))
    is_known = known.row_of(whole.row.sha256) >= 0
    sides = ({} if is_known else {_WHOLE: encoder.side}) | _sides(kinds, encoder)
    views: dict[int, PreparedViews] = {}
    for kind, decoded in _decoded(data, max_pixels, sides):
        if kind != _WHOLE:
            views[kind] = _views(whole.row, decoded, encoder, kinds[kind])
            continue
        whole = _whole(whole.row, decoded, encoder)
        if whole.pixels is None:
            break
    return PreparedImage(whole, views)


def prepare_views(row: Row, encoder: Encoder, max_pixels: int, kinds: Kinds) -> dict[int, PreparedViews]:
    """The views of an image that a store has; they are unreadable where its file is gone, or another by now."""
    try:
        data = read_image(row.uri)
    except (OSError, InputError) as error:
        return _unread_views(unread(row, error), kinds)
    if not is_same_file(data, row.sha256):
        return _unread_views(replace(row, error=ANOTHER_FILE), kinds)
    pictures = _decoded(data, max_pixels, _sides(kinds, encoder))
    return {kind: _views(row, decoded, encoder, kinds[kind]) for kind, decoded in pictures}


def unread(row: Row, error: Exception) -> Row:
    """The row of an image whose bytes could not be had."""
    why = getattr(error, "strerror", None) or error
    return replace(row, error=storable(f"{_CANNOT_READ}{why}"), cut=isinstance(error, ArchiveCutError))


def was_not_read(error: str) -> bool:
    """Whether a row has this error because the bytes of its file could not be had, or were others."""
    return error == ANOTHER_FILE or error.startswith(_CANNOT_READ)


def _sides(kinds: Kinds, encoder: Encoder) -> dict[int, int]:
    """What the longer side is to be for each kind: so large that its smallest view has the encoder's side."""
    parts = {kind: min(_LEAST_PART, *(view.part for view in views)) for kind, views in kinds.items()}
    return {kind: round(encoder.side / part) for kind, part in parts.items()}


def _decoded(data: bytes, max_pixels: int, sides: dict[int, int]) -> Iterator[tuple[int, Decoded | str]]:
    """Each kind with the image decoded for its side, or the reason why it cannot be; kinds of one scale share it.

    Nothing else may be decoded between two of them: the pixels at hand count in the budget of all threads.
    """
    by_scale: dict[tuple[int, int], list[int]] = {}
    for kind, side in sides.items():
        by_scale.setdefault(scaled_size(data, side) if len(sides) > 1 else (0, 0), []).append(kind)
    for kinds in by_scale.values():
        try:
            with decoding(data, max_pixels, sides[kinds[0]]) as decoded:
                yield from ((kind, decoded) for kind in kinds)
        except UnreadableImageError as error:
            yield from ((kind, str(error)) for kind in kinds)


def _whole(row: Row, decoded: Decoded | str, encoder: Encoder) -> Prepared:
    if isinstance(decoded, str):
        return Prepared(replace(row, error=decoded))
    image, width, height = decoded
    row = replace(row, width=width, height=height, status=Status.BLANK, simplicity=simplicity(image))
    if is_blank(image):
        return Prepared(row)
    return Prepared(replace(row, status=Status.OK), encoder.preprocess(image))


def _views(row: Row, decoded: Decoded | str, encoder: Encoder, views: Sequence[View]) -> PreparedViews:
    if isinstance(decoded, str):
        return PreparedViews([Prepared(r) for r in _view_rows(replace(row, error=decoded), views)])
    image = decoded.image
    image.thumbnail((_MOST_PART * encoder.side, _MOST_PART * encoder.side))
    rows = _view_rows(replace(row, width=decoded.width, height=decoded.height), views)
    seen = seen_views(image, views, encoder)
    places = seen.places
    items = [
        Prepared(replace(r, status=Status.OK if place in places else Status.BLANK), seen.items.get(place))
        for place, r in enumerate(rows)
    ]
    return PreparedViews(items, seen.passes)


def _view_rows(row: Row, views: Sequence[View]) -> list[Row]:
    row = replace(row, status=Status.UNREADABLE, simplicity=math.nan)
    return [replace(row, image_id=f"{row.image_id}#{view.name}") for view in views]


def _unread_views(row: Row, kinds: Kinds) -> dict[int, PreparedViews]:
    return {kind: PreparedViews([Prepared(r) for r in _view_rows(row, views)]) for kind, views in kinds.items()}
