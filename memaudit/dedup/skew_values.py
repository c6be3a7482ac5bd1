"""The values of an image that a removal may favour: words, metadata, size band, simplicity band."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from memaudit.dedup.keep import metadata_of
from memaudit.store import Columns

WORD = "caption word"
_WORDS = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SIDES = (64, 128, 256, 512, 1024, 2048)


def values_of(columns: Columns, row: int) -> Iterator[tuple[str, str]]:
    """(feature, value) of an image, each once. Lists and objects in metadata are passed over."""
    for word in sorted(set(words_of(columns.caption[row]))):
        yield WORD, word
    for name, value in metadata_of(columns.metadata[row]).items():
        if isinstance(value, str | int | float) and value != "":
            yield f"metadata {_printable(name)}", _printable(str(value))
    yield "size", size_band(int(columns.width[row]), int(columns.height[row]))
    if np.isfinite(columns.simplicity[row]):
        yield "simplicity", simplicity_band(float(columns.simplicity[row]))


def _printable(text: str) -> str:
    """Half characters, which JSON may hold and UTF-8 may not, are escaped."""
    return text.encode(errors="backslashreplace").decode()


def words_of(caption: str) -> list[str]:
    """The words of a caption, lower-cased and composed (NFC): runs of letters and digits of any script."""
    return _WORDS.findall(unicodedata.normalize("NFC", caption).lower())


def size_band(width: int, height: int) -> str:
    """The side of the square of as many pixels, in octaves."""
    side = (width * height) ** 0.5
    for low, high in zip((0, *_SIDES), _SIDES, strict=False):
        if side < high:
            return f"{low} to {high} pixels a side" if low else f"below {high} pixels a side"
    return f"{_SIDES[-1]} pixels a side and more"


def simplicity_band(simplicity: float) -> str:
    """Fifths of the share that the five commonest colours cover."""
    fifth = max(0, min(4, int(simplicity * 5)))
    return f"{fifth * 20} to {fifth * 20 + 20} %"


def absent_values(columns: Columns) -> str:
    """What the store does not have, in words; empty if it has captions and metadata."""
    captions, metadata = any(columns.caption), any(columns.metadata)
    if captions and metadata:
        return ""
    return f"the store holds no {'captions' if metadata else 'metadata' if captions else 'captions and no metadata'}"
