"""Whether image_ids are told apart: counted, and the first that is there twice; and which there are, in a few bytes."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_WRAP = 1 << 64
_BLOCK = 1 << 16  # keys looked at at once

Keys = NDArray[np.uint64]


class Listing(NamedTuple):
    """Which texts there are, such as the image_ids of a set, in whatever order: how many, and the sum of their hashes,
    16 hexadecimal digits. By chance two sets have one sum once in 2^64."""

    number: int
    digest: str

    @classmethod
    def of_sum(cls, number: int, total: int) -> Listing:
        return cls(number, f"{total % _WRAP:016x}")

    def as_dict(self) -> dict[str, Any]:
        return self._asdict()


class Tally:
    """Texts that pass by become a listing. Memory: none of them."""

    def __init__(self) -> None:
        self._number = self._sum = 0

    def add(self, text: str) -> None:
        self._number += 1
        self._sum += _short_key(text)

    @property
    def listing(self) -> Listing:
        return Listing.of_sum(self._number, self._sum)


class Counted(NamedTuple):
    """Which there are; repeated: one that is there twice, None where all are told apart."""

    listing: Listing
    repeated: str | None

    @property
    def number(self) -> int:
        return self.listing.number


class Repeated(NamedTuple):
    """An image_id that was there before, and its place among all."""

    place: int
    image_id: str


def counted(image_ids: Callable[[], Iterable[str]]) -> Counted:
    """Called again only where two may be alike. Memory: 8 bytes an id."""
    keys = _keys(image_ids())
    listing = Listing.of_sum(len(keys), int(keys.sum(dtype=np.uint64)))
    first = next(_repeated(image_ids, keys), None)
    return Counted(listing, None if first is None else first.image_id)


def repeated(image_ids: Callable[[], Iterable[str]]) -> Iterator[Repeated]:
    """Each image_id that is there once more, in order. As `counted`, and the ids that are repeated."""
    return _repeated(image_ids, _keys(image_ids()))


def _keys(image_ids: Iterable[str]) -> Keys:
    return np.asarray(array("Q", map(_short_key, image_ids)))


def _repeated(image_ids: Callable[[], Iterable[str]], keys: Keys) -> Iterator[Repeated]:
    """Sorts the keys where they are: whatever makes a copy takes several times their memory."""
    keys.sort()
    suspects, seen = set(_neighbours(keys)), set[str]()
    for place, image_id in enumerate(image_ids() if suspects else ()):
        if _short_key(image_id) in suspects:
            if image_id in seen:
                yield Repeated(place, image_id)
            seen.add(image_id)


def _neighbours(keys: Keys) -> Iterator[int]:
    """Sorted keys that the one before is equal to."""
    for low in range(0, len(keys), _BLOCK):
        part = keys[low : low + _BLOCK + 1]
        yield from part[1:][part[1:] == part[:-1]].tolist()


def _short_key(text: str) -> int:
    data = text.encode("utf-8", "surrogateescape")  # of names of folders, which may be any bytes
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
