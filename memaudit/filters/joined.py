"""Several stores of the same images by different encoders, read side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import eq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError, UsageError
from memaudit.store import BLOCK_ROWS, IMAGES, NamedBlock, Store
from memaudit.store.shard import CODES
from memaudit.types import EncoderSpec, Float64, Int64, Status

OK, BLANK, UNREADABLE = (CODES[status] for status in (Status.OK, Status.BLANK, Status.UNREADABLE))
ABSENT = 3  # from another of the stores


class JoinedBlock(NamedTuple):
    """A run of rows of the first store from `first` on: image_ids (n,), what became of each (n,), the worst of all
    stores, and embeddings (n, dim) as stored by each; they mean nothing unless the state is OK."""

    first: int
    image_id: NDArray[np.object_]
    state: NDArray[np.uint8]
    embeddings: tuple[NDArray[np.float16], ...]

    @property
    def scored(self) -> NDArray[np.bool_]:
        return np.asarray(self.state == OK)


class Joined:
    """Stores of the same images, by image_id: rows are those of the first.

    Where the others list their images in another order, 8 bytes a row are held for each, and more while it is opened.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        """Raises UsageError for stores that cannot be joined, InputError where an image_id is there twice."""
        _require_joinable(stores)
        self.stores = tuple(stores)
        self._places = [_places(stores[0], other) for other in stores[1:]]

    @property
    def encoders(self) -> tuple[EncoderSpec, ...]:
        return tuple(store.encoder for store in self.stores)

    @property
    def digests(self) -> list[str]:
        return [store.digest for store in self.stores]

    def __len__(self) -> int:
        return len(self.stores[0])

    def blocks(self, size: int = BLOCK_ROWS, *, names: bool = True) -> Iterator[JoinedBlock]:
        """All rows in order, at most `size` at a time. names: False leaves the image_ids out."""
        others = [
            _Sequence(store) if places is None else _Gathered(store, places)
            for store, places in zip(self.stores[1:], self._places, strict=True)
        ]
        for block in self.stores[0].named_blocks(size, names=names):
            parts = [other.take(block.first, len(block.status)) for other in others]
            state = block.status
            for part in parts:
                state = np.maximum(state, part.status)
            yield JoinedBlock(block.first, block.image_id, state, (block.embeddings, *(p.embeddings for p in parts)))

    def states(self, rows: Int64) -> NDArray[np.uint8]:
        """What became of each of the given rows (n,): as of `JoinedBlock`."""
        state = _codes(self.stores[0], rows)
        for store, places in zip(self.stores[1:], self._places, strict=True):
            there = rows if places is None else places[rows]
            found = np.full(len(rows), ABSENT, np.uint8)
            found[there >= 0] = _codes(store, there[there >= 0])
            state = np.maximum(state, found)
        return state

    def features(self, rows: Int64) -> Float64:
        """Unit embeddings of all stores side by side, (len(rows), sum of dim); the rows must be scored."""
        parts = [self.stores[0].embeddings(rows)]
        for store, places in zip(self.stores[1:], self._places, strict=True):
            parts.append(store.embeddings(rows if places is None else places[rows]))
        return np.concatenate(parts, axis=1, dtype=np.float64)


class _Part(NamedTuple):
    status: NDArray[np.uint8]
    embeddings: NDArray[np.float16]


class _Sequence:
    """Rows of a store in its own order, in pieces of any size."""

    def __init__(self, store: Store) -> None:
        self._blocks = store.named_blocks(names=False)
        self._left: list[NamedBlock] = []

    def take(self, first: int, count: int) -> _Part:
        parts = list[_Part]()
        while count:
            block = self._left.pop() if self._left else next(self._blocks)
            parts.append(_Part(block.status[:count], block.embeddings[:count]))
            if len(block.status) > count:
                rest = slice(count, None)
                self._left.append(block._replace(status=block.status[rest], embeddings=block.embeddings[rest]))
            count -= len(parts[-1].status)
        if len(parts) == 1:
            return parts[0]
        return _Part(np.concatenate([p.status for p in parts]), np.concatenate([p.embeddings for p in parts]))


class _Gathered:
    """Rows of a store by their places in it; -1 for those that it has not."""

    def __init__(self, store: Store, places: Int64) -> None:
        self._store, self._places = store, places
        self._state = np.concatenate([block.status for block in store.named_blocks(names=False)])

    def take(self, first: int, count: int) -> _Part:
        places = self._places[first : first + count]
        there = places >= 0
        status = np.full(count, ABSENT, np.uint8)
        status[there] = self._state[places[there]]
        embeddings = np.zeros((count, self._store.encoder.dim), np.float16)
        if there.any():
            embeddings[there] = self._store.stored_embeddings(places[there])
        return _Part(status, embeddings)


def _codes(store: Store, rows: Int64) -> NDArray[np.uint8]:
    return np.array([CODES[status] for status in store.columns(rows).status], np.uint8)


def _require_joinable(stores: Sequence[Store]) -> None:
    for number, store in enumerate(stores):
        if store.manifest.kind != IMAGES or store.manifest.views:
            raise UsageError(f"store {store.folder} does not hold whole images: expected a store that embed makes")
        if any(store.encoder.same_as(other.encoder) for other in stores[:number]):
            raise UsageError(
                f"two of the stores are of {store.encoder.identity}: stores that are joined hold the same images by "
                "different encoders"
            )


def _places(first: Store, other: Store) -> Int64 | None:
    """Where each image of `first` is in `other`, -1: nowhere; None where both list the same in the same order."""
    if len(first) == len(other) and all(map(eq, _flat(first), _flat(other))):
        return None
    place = {image_id: row for row, image_id in enumerate(_flat(other))}
    if len(place) < len(other):
        raise InputError(f"store {other.folder} has an image_id twice: it cannot be joined by image_id")
    found = np.fromiter((place.get(image_id, -1) for image_id in _flat(first)), np.int64, len(first))
    if (found < 0).all():
        raise InputError(
            f"stores {first.folder} and {other.folder} have no image_id in common: they are of different images"
        )
    return found


def _flat(store: Store) -> Iterator[str]:
    return (image_id for block in store.iter_image_ids() for image_id in block)
