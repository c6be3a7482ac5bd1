"""Files of a source that are not read as images: by name they are none. They are counted, so that nothing is passed
over in silence, and looked into: an image is one whatever its name, and some hold pictures that nothing here reads."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from memaudit.files import open_regular
from memaudit.images.formats import is_image, shows_images_as_text
from memaudit.images.remote import is_url

HEAD = 4096  # bytes by which it is told what a file holds
HIDDEN, ARRAYS, AS_TEXT = "hidden images", "pictures in arrays", "files with images as text"
IN_COLUMNS = "pictures in further columns of tables"
NOT_READ = "not read, and they may hold what is looked for"
_ARRAYS = (".npy", ".npz", ".pt")
_TEXTS = (".txt", ".json", ".jsonl", ".ndjson", ".csv", ".tsv")
_IMAGES = (".png", ".jpg", ".jpeg", ".webp")  # what an array may stand beside: latents, a mask, an embedding
_MOST_MEMBERS = 10_000  # of an .npz that are looked at
_NAMED = 3


class _Tally(NamedTuple):
    """How many, in how many files, and the names of the first few."""

    number: int = 0
    files: int = 0
    names: tuple[str, ...] = ()

    def with_one(self, name: str, number: int) -> _Tally:
        names = self.names if len(self.names) == _NAMED else (*self.names, name)
        return _Tally(self.number + number, self.files + 1, names)

    def __str__(self) -> str:
        more = ", …" if self.files > len(self.names) else ""
        return f"({', '.join(repr(name[-80:])[1:-1] for name in self.names)}{more})"


@dataclass
class PassedOver:
    """What was passed over in one pass over a source. plain: files that hold no image, by suffix; unread: those that
    hold pictures, or may, by what they are, each counted as often as pictures can be told. empty: sources in which
    there is no image. earlier: images that a killed run had embedded, and whose files could not be read to be held
    against it; otherwise: those of which the sources say something else than the store."""

    plain: dict[str, _Tally] = field(default_factory=dict)
    unread: dict[str, _Tally] = field(default_factory=dict)
    empty: _Tally = field(default_factory=_Tally)
    earlier: _Tally = field(default_factory=_Tally)
    otherwise: _Tally = field(default_factory=_Tally)

    def begin(self) -> None:
        """Forget an earlier pass."""
        self.empty = self.earlier = self.otherwise = _Tally()
        self.plain.clear()
        self.unread.clear()

    def add(self, name: str, kind: str = "", count: int = 1) -> None:
        """A file of this name. kind: what its pictures are, if it holds any."""
        suffix = os.path.splitext(name)[1].lower() or "no suffix"
        tallies, key = (self.unread, kind) if kind else (self.plain, suffix)
        tallies[key] = tallies.get(key, _Tally()).with_one(name, count)

    @property
    def pictures(self) -> int:
        """How many pictures were not read, at least."""
        return sum(tally.number for tally in self.unread.values())

    @property
    def lines(self) -> tuple[str, ...]:
        """What to say of it: nothing where nothing was passed over."""
        said = (self.unread_line, self.plain_line, self.empty_line, self.earlier_line, self.otherwise_line)
        return tuple(filter(None, said))

    @property
    def unread_line(self) -> str:
        what = ", ".join(f"{tally.number:,} {kind} {tally}" for kind, tally in self.unread.items())
        return f"{NOT_READ}: {what}" if what else ""

    @property
    def plain_line(self) -> str:
        count = sum(tally.number for tally in self.plain.values())
        what = ", ".join(f"{tally.number:,} {suffix} {tally}" for suffix, tally in sorted(self.plain.items()))
        files = "file holds no image and was" if count == 1 else "files hold no image and were"
        return f"{count:,} {files} not read as images: {what}" if count else ""

    def found_none(self, source: str) -> None:
        """No image in this source."""
        self.empty = self.empty.with_one(source, 1)

    @property
    def empty_line(self) -> str:
        what = "source holds" if self.empty.number == 1 else "sources hold"
        asked = "is a disk not mounted, or the name another one?"
        return f"{self.empty.number:,} {what} no image {self.empty}: {asked}" if self.empty.number else ""

    def stayed(self, count: int, first: Sequence[str]) -> None:
        """So many images whose files cannot be read by now stay as they were embedded; the first are called so."""
        self.earlier = _Tally(count, count, tuple(first[:_NAMED]))

    @property
    def earlier_line(self) -> str:
        what = "files could not be read again, and their images stay as they were embedded"
        return f"{what}: {self.earlier.number:,} {self.earlier}" if self.earlier.number else ""

    def said_otherwise(self, count: int, first: Sequence[str]) -> None:
        """Of so many images the sources have another caption, other columns or opt-outs; the first are called so."""
        self.otherwise = _Tally(count, count, tuple(first[:_NAMED]))

    @property
    def otherwise_line(self) -> str:
        what = "captions, columns or opt-outs of the sources are others by now than in the store"
        way = "embed --replace-changed takes them over"
        return f"{what}: {self.otherwise.number:,} {self.otherwise}; {way}" if self.otherwise.number else ""


def head_of(location: str) -> bytes:
    """The first bytes of a local file; nothing of one that cannot be read or lies at a URL, where it would be asked
    for by itself."""
    if is_url(location):
        return b""
    try:
        # Without a file object: a training folder has a caption for each of millions of images
        if not stat.S_ISREG(os.stat(location).st_mode):
            return b""
        handle = os.open(location, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(handle, HEAD)
    except OSError:
        return b""
    finally:
        os.close(handle)


def holds(name: str, head: bytes) -> str:
    """What a file that is none of images by name holds, by its first bytes: images as text, arrays, or nothing."""
    suffix = os.path.splitext(name)[1].lower()
    if suffix in _ARRAYS:
        return ARRAYS
    return AS_TEXT if suffix in _TEXTS and shows_images_as_text(head) else ""


def note(passed: PassedOver, name: str, location: str, head: bytes) -> None:
    """Count a local file that is no image. An array beside the image of its name belongs to it."""
    kind, count = holds(name, head), 1
    if kind == ARRAYS:
        stem = os.path.splitext(location)[0]
        is_beside = any(os.path.exists(f"{stem}{suffix}") for suffix in _IMAGES)
        count = 0 if is_beside else pictures_in(location)
    passed.add(name, kind if count else "", max(count, 1))


def note_hidden(passed: PassedOver, name: str, location: str) -> None:
    """Hidden files are no part of a source; one that holds an image is not passed over in silence."""
    if is_image(head_of(location)):
        passed.add(name, HIDDEN)


def pictures_in(location: str) -> int:
    """How many pictures an array may hold, by its shape: none in a table of numbers, one where it does not tell."""
    try:
        size = os.path.getsize(location)
        return min(sum(map(_pictures, _shapes(location))), size)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return 1


class _Array(NamedTuple):
    shape: tuple[int, ...]
    of_bytes: bool


def _pictures(array: _Array) -> int:
    shape = array.shape
    if len(shape) == 2:
        return int(array.of_bytes)
    if len(shape) == 3:
        return 1 if {shape[0], shape[2]} & {1, 3, 4} else shape[0]
    return shape[0] if len(shape) == 4 else 0


def _shapes(location: str) -> Iterator[_Array]:
    """Of an .npy, or of those in an .npz; a .pt does not tell. Raises ValueError for what is none of them."""
    with open_regular(location) as handle:
        if not zipfile.is_zipfile(handle):
            handle.seek(0)
            yield _header(handle)
            return
        with zipfile.ZipFile(handle) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")][:_MOST_MEMBERS]
            if not names:
                raise ValueError("no arrays of NumPy")
            for name in names:
                with archive.open(name) as member:
                    yield _header(io.BytesIO(member.read(HEAD)))


def _header(handle: io.BufferedIOBase) -> _Array:
    version = np.lib.format.read_magic(handle)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(handle)
    return _Array(shape, dtype == np.uint8)
