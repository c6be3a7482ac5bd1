"""WebDataset shards: uncompressed tars in which the files of a sample share a key and follow each other."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from memaudit.errors import InputError
from memaudit.images.image_ref import ARCHIVE_CUT, ImageRef
from memaudit.images.reading import lost_rest, open_binary, tar_member

_SIDECARS = frozenset(("txt", "json", "cls", "npy", "npz", "pth", "pyd", "caption", "id", "index", "jsonl"))
_CAPTIONS = ("caption", "text", "txt")
_BLOCK = tarfile.BLOCKSIZE
_READ_AT_ONCE = 2048 * _BLOCK  # of the padding between two archives


@dataclass
class _Sample:
    """The files of one key, as they come."""

    key: str
    images: list[tarfile.TarInfo] = field(default_factory=list)
    text: str = ""
    metadata: str = ""


def iter_tar(location: str, name: str) -> Iterator[ImageRef]:
    """Yield the images of a tar, each with the caption (.txt) and metadata (.json) of its key.

    image_id is `name` of the archive / the member's name. Archives that were written one after the other into the same
    file (`cat a.tar b.tar`) are read on. An archive that ends early, or goes on with what is no tar, yields what is
    readable, and then one image that is `lost`: what it stands for nobody can count.
    Raises InputError for what is no tar at all, or a compressed one (its members cannot be reached singly).
    """
    try:
        handle = open_binary(location)
    except OSError as error:
        raise InputError(f"archive {location} cannot be read: {error.strerror or error}") from None
    with handle:
        try:
            archive = tarfile.TarFile(fileobj=handle)
        except tarfile.TarError as error:
            raise InputError(f"archive {location} is no uncompressed tar ({error}): unpack it, or check it") from None
        samples = _Samples(archive)
        for sample in samples:
            for member in sample.images:
                uri = tar_member(location, member.offset_data, member.size, member.name)
                yield ImageRef(f"{name}/{member.name}", uri, sample.text, sample.metadata)
        if not samples.ended_well:
            yield ImageRef(f"{name}/({ARCHIVE_CUT})", lost_rest(location), lost=True)


class _Samples:
    """Iterates over the samples of an archive; afterwards `ended_well` says whether its end was there."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.ended_well = False

    def __iter__(self) -> Iterator[_Sample]:
        sample = _Sample("")
        for member in self._members():
            key, _, extension = member.name.rpartition("/")[2].partition(".")
            key = f"{member.name.rpartition('/')[0]}/{key}"
            if key != sample.key:
                yield sample
                sample = _Sample(key)
            try:
                self._add(sample, member, extension.lower())
            except (tarfile.TarError, OSError):  # cut within a caption; what follows is lost as well
                break
        yield sample

    def _members(self) -> Iterator[tarfile.TarInfo]:
        while True:
            try:
                member = self._archive.next()
                if member is None and not self._goes_on():
                    return
            except (tarfile.TarError, OSError):
                return
            if member is None:
                continue
            if member.isreg() and not member.name.rpartition("/")[2].startswith("."):
                yield member
            self._archive.members = []  # type: ignore[attr-defined]  # tarfile remembers every member: that would grow with the archive

    def _goes_on(self) -> bool:
        """Go behind the end mark, to where another archive may begin; False, with `ended_well` set, if there is none.

        A whole tar ends in a block of zeros; one that was cut between two members, or goes on with garbage, does not.
        """
        handle = self._archive.fileobj
        assert handle is not None
        handle.seek(self._archive.offset)
        if handle.read(_BLOCK) != bytes(_BLOCK):
            return False
        position = self._archive.offset + _BLOCK
        while padding := handle.read(_READ_AT_ONCE):
            zeros = len(padding) - len(padding.lstrip(b"\0"))
            if zeros < len(padding):
                self._archive.offset = position + zeros // _BLOCK * _BLOCK
                return True
            position += len(padding)
        self.ended_well = True
        return False

    def _add(self, sample: _Sample, member: tarfile.TarInfo, extension: str) -> None:
        last = extension.rpartition(".")[2]
        if last not in _SIDECARS:
            sample.images.append(member)
        elif last in ("txt", "caption", "json") and member.size < 1 << 20:
            self._add_text(sample, member, last)

    def _add_text(self, sample: _Sample, member: tarfile.TarInfo, kind: str) -> None:
        handle = self._archive.extractfile(member)
        text = handle.read().decode("utf-8", "replace") if handle else ""
        if kind != "json":
            sample.text = text.strip()
            return
        sample.metadata = text
        sample.text = sample.text or _caption_in(text)


def _caption_in(metadata: str) -> str:
    try:
        values = json.loads(metadata)
    except (ValueError, RecursionError):
        return ""
    found = (values.get(name) for name in _CAPTIONS) if isinstance(values, dict) else ()
    return next((value for value in found if isinstance(value, str)), "")
