"""The values of an image that a removal may favour: words, metadata, size band, simplicity band."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.keep import metadata_of
from memaudit.store import Columns
from memaudit.types import Float32, Int64

WORD = "caption word"
_WORDS = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SIDES = (64, 128, 256, 512, 1024, 2048)
_SIZES = [
    ("size", f"below {_SIDES[0]} pixels a side"),
    *(("size", f"{low} to {high} pixels a side") for low, high in pairwise(_SIDES)),
    ("size", f"{_SIDES[-1]} pixels a side and more"),
]
_FIFTHS = [("simplicity", f"{low} to {low + 20} %") for low in range(0, 100, 20)]


class Entries(NamedTuple):
    """What images have: image (m,) rising and the place of its value in `values` (m,); values (feature, value), each
    once."""

    image: Int64
    place: Int64
    values: list[tuple[str, str]]


class Bands(NamedTuple):
    """Of a feature of which each image has one value: all values that there may be, and the place of each image's
    among them (n,), -1 for none."""

    values: Sequence[tuple[str, str]]
    place: Int64


def entries_of(columns: Columns, clusters: Bands | None = None) -> Entries:
    """The values of images, each once an image: size, simplicity, `clusters`, words, metadata. Those of words and
    metadata stand in the order in which they are met. Lists and objects in metadata are passed over."""
    values, image, place = list[tuple[str, str]](), list[Int64](), list[Int64]()
    bands = [size_bands(columns.width, columns.height), simplicity_bands(columns.simplicity)]
    for band in [*bands, *([clusters] if clusters else [])]:
        there = np.flatnonzero(band.place >= 0)
        occurring, found = np.unique(band.place[there], return_inverse=True)
        image.append(there)
        place.append(found + len(values))
        values += [band.values[each] for each in occurring.tolist()]
    of_texts = _of_texts(columns.caption, columns.metadata)
    image.append(of_texts.image)
    place.append(of_texts.place + len(values))
    order = np.argsort(every := np.concatenate(image), kind="stable")
    return Entries(every[order], np.concatenate(place)[order], values + of_texts.values)


def _of_texts(captions: NDArray[np.object_], metadata: NDArray[np.object_]) -> Entries:
    """Words, and values of metadata."""
    places = defaultdict[tuple[str, str], int]()
    places.default_factory = places.__len__
    entry, counts = array("q"), array("q")
    some = np.flatnonzero((captions != "") | (metadata != ""))
    for caption, told in zip(captions[some].tolist(), metadata[some].tolist(), strict=True):
        found = [(WORD, word) for word in sorted(set(words_of(caption)))]
        if told:
            found += _told(told)
        entry.extend(map(places.__getitem__, found))
        counts.append(len(found))
    return Entries(np.repeat(some, np.array(counts, np.int64)), np.array(entry, np.int64), list(places))


def _told(metadata: str) -> list[tuple[str, str]]:
    return [
        (f"metadata {_printable(name)}", _printable(str(value)))
        for name, value in metadata_of(metadata).items()
        if isinstance(value, str | int | float) and value != ""
    ]


def _printable(text: str) -> str:
    """Half characters, which JSON may hold and UTF-8 may not, are escaped."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def words_of(caption: str) -> list[str]:
    """The words of a caption, lower-cased and composed (NFC): runs of letters and digits of any script."""
    text = caption if caption.isascii() else unicodedata.normalize("NFC", caption)
    return _WORDS.findall(text.lower())


def size_bands(width: Int64, height: Int64) -> Bands:
    """The side of the square of as many pixels, in octaves."""
    sides = np.sqrt((width * height).astype(np.float64))
    return Bands(_SIZES, np.searchsorted(_SIDES, sides, side="right"))


def simplicity_bands(simplicity: Float32) -> Bands:
    """Fifths of the share that the five commonest colours cover; none where it is not known."""
    known = np.isfinite(simplicity)
    fifths = np.clip(np.trunc(np.where(known, simplicity, 0).astype(np.float64) * 5), 0, 4).astype(np.int64)
    return Bands(_FIFTHS, np.where(known, fifths, -1))


def absent_values(columns: Columns) -> str:
    """What the store does not have, in words; empty if it has captions and metadata."""
    return absent(captions=any(columns.caption), metadata=any(columns.metadata))


def absent(*, captions: bool, metadata: bool) -> str:
    """The same, of what is there."""
    if captions and metadata:
        return ""
    return f"the store holds no {'captions' if metadata else 'metadata' if captions else 'captions and no metadata'}"
