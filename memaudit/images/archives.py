"""WebDataset shards: uncompressed tars in which the files of a sample share a key, in whatever order they come."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import IO, NamedTuple

from memaudit.errors import InputError
from memaudit.files import reason_of
from memaudit.images.addresses import unsigned
from memaudit.images.formats import why_not_there
from memaudit.images.image_ref import ARCHIVE_CUT, MOST_TEXT, ImageRef, noting, object_in
from memaudit.images.opt_outs import MOST_JSON, noted, opt_outs_in_json
from memaudit.images.passed_over import ARRAYS, HIDDEN, PassedOver, holds
from memaudit.images.reading import lost_rest, open_binary, tar_link, tar_member
from memaudit.images.tar_members import TEXTS, Member, Members, Survey, Texts, survey

_CAPTIONS = ("caption", "text", "txt")
_MOST_BYTES = 4 * MOST_TEXT  # of a caption or of metadata


def iter_tar(location: str, name: str, passed: PassedOver) -> Iterator[ImageRef]:
    """Yield the images of a tar, each with its caption (.txt, .caption) and metadata (.json).

    image_id is `name` of the archive / the member's name. Archives that were written one after the other into the same
    file (`cat a.tar b.tar`) are read on. An archive that ends early, or goes on with what is no tar, yields what is
    readable, and then one image that is `lost`: what it stands for nobody can count. A link is the file that it leads
    to; one that leads out of the archive cannot be read.
    Raises InputError for what is no tar at all, or a compressed one (its members cannot be reached singly).
    """
    try:
        handle = open_binary(location)
    except OSError as error:
        raise InputError(f"archive {unsigned(location)} cannot be read: {reason_of(error)}") from None
    with handle:
        try:
            members = Members(handle)
        except (tarfile.TarError, OSError) as error:
            raise InputError(_why_no_tar(location, handle, error)) from None
        surveyed = _survey(location, handle)
        for sample in _samples(members, surveyed):
            for image in sample.images:
                said = _said_of(image, sample, partial(_read_text, handle, surveyed))
                yield _ref(location, name, image, surveyed, said)
            for other in sample.others:
                _note(passed, f"{name}/{other.name}", other, is_beside=bool(sample.images))
        if not members.ended_well:
            yield ImageRef(f"{name}/({ARCHIVE_CUT})", lost_rest(location), lost=True)


def _note(passed: PassedOver, name: str, other: Member, *, is_beside: bool) -> None:
    """Count a file that is not read as an image. An array of an image's key belongs to it."""
    kind = HIDDEN if other.is_hidden else holds(name, other.head)
    passed.add(name, "" if kind == ARRAYS and is_beside else kind)


def _why_no_tar(location: str, handle: IO[bytes], error: Exception) -> str:
    handle.seek(0)
    reason = why_not_there(handle.read(64))
    return f"archive {unsigned(location)} is {reason or f'no uncompressed tar ({error}): unpack it, or check it'}"


def _ref(location: str, name: str, image: Member, surveyed: Survey, said: _Said) -> ImageRef:
    file = surveyed.followed(image)
    uri = tar_member(location, file.offset, file.size, image.name) if file else tar_link(location, image.link)
    return ImageRef(f"{name}/{image.name}", uri, said.caption, said.metadata)


def _survey(location: str, handle: IO[bytes]) -> Survey:
    """Each archive is read several times by a command, and surveyed once unless it has changed."""
    size = handle.seek(0, os.SEEK_END)
    changed = os.stat(location).st_mtime_ns if os.path.exists(location) else 0
    key = (location, size, changed)
    found = _surveys(key)
    if not found:
        found.append(survey(handle))
    return found[0]


@lru_cache(maxsize=4)
def _surveys(_: tuple[str, int, int]) -> list[Survey]:
    return []


class _Sample(NamedTuple):
    """Images of a key that follow each other, the other files among them, the texts of these, and those of the key that
    stand elsewhere."""

    images: list[Member]
    others: list[Member]
    texts: Texts
    strays: Texts

    def texts_of(self, image: Member) -> Iterator[list[Member]]:
        """Those with the image's own name; else those of the key (`a.txt` beside `a.mask.png`); else, if the image has
        the key's name, those of longer names (`a.blip.txt` beside `a.png`)."""
        for stem in (image.stem, image.key):
            yield [*self.texts.get(stem, ()), *self.strays.get(stem, ())]
        if image.stem == image.key:
            yield [text for texts in (self.texts, self.strays) for named in texts.values() for text in named]


def _samples(members: Members, surveyed: Survey) -> Iterator[_Sample]:
    sample, key = _Sample([], [], {}, {}), ""
    for member in members:
        if member.key != key:
            yield sample
            key = member.key
            sample = _Sample([], [], {}, surveyed.strays.get(key, {}))
        if member.is_image:
            sample.images.append(member)
            continue
        sample.others.append(member)
        if member.ending in TEXTS and not member.is_hidden:
            sample.texts.setdefault(member.stem, []).append(member)
    yield sample


class _Said(NamedTuple):
    """What stands beside an image."""

    caption: str = ""
    metadata: str = ""


def _said_of(image: Member, sample: _Sample, read: Callable[[Member, int], str | None]) -> _Said:
    """Of several texts the nearest by name counts, of equally near ones the last. One that is too large is left out,
    and the metadata say so; what reserves rights is looked for in it all the same."""
    caption, metadata = "", ""
    left_out: dict[str, Member] = {}  # each once, in order
    for texts in sample.texts_of(image):
        for text in reversed(texts):
            if metadata if text.ending == "json" else caption:
                continue
            said = read(text, _MOST_BYTES)
            if said is None:
                left_out[f"{text.name} is over the limit of {_MOST_BYTES:,} bytes"] = text
            elif text.ending == "json":
                metadata = said
            else:
                caption = said.strip()
    values = object_in(metadata)
    if left_out:
        metadata = noting(metadata, list(left_out))
        for text in (text for text in left_out.values() if text.ending == "json"):
            metadata = noted(metadata, opt_outs_in_json(read(text, MOST_JSON)))
    in_metadata = (value for name in _CAPTIONS if isinstance(value := values.get(name), str))
    return _Said(caption or next(in_metadata, ""), metadata)


def _read_text(handle: IO[bytes], surveyed: Survey, text: Member, most: int) -> str | None:
    """A text, or None for one of more bytes; a link that leads nowhere says nothing."""
    file = surveyed.followed(text)
    if file is None:
        return ""
    if file.size > most:
        return None
    handle.seek(file.offset)
    return handle.read(file.size).decode("utf-8", "replace")
