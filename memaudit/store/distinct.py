"""Whether image_ids are told apart: counted, and the first that is there twice; and which there are, in a few bytes."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

_WRAP = 1 << 64


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


def counted(image_ids: Callable[[], Iterable[str]]) -> Counted:
    """Called again only where two may be alike. Memory: 8 bytes an id."""
    keys = np.asarray(array("Q", map(_short_key, image_ids())))
    listing = Listing.of_sum(len(keys), int(keys.sum(dtype=np.uint64)))
    values, counts = np.unique(keys, return_counts=True)
    suspects, seen = set(values[counts > 1].tolist()), set[str]()
    for image_id in image_ids() if suspects else ():
        if _short_key(image_id) in suspects:
            if image_id in seen:
                return Counted(listing, image_id)
            seen.add(image_id)
    return Counted(listing, None)


def _short_key(text: str) -> int:
    data = text.encode("utf-8", "surrogateescape")  # of names of folders, which may be any bytes
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
