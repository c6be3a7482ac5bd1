"""Whole samples, read again where their images are: every file of a key, every column of a row, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import NamedTuple

import pyarrow as pa

from memaudit.errors import InputError
from memaudit.exporting.cells import cells_as_files, image_alone
from memaudit.exporting.suffixes import suffix_of
from memaudit.files import reason_of
from memaudit.images.addresses import unsigned
from memaudit.images.arrow_rows import arrow_table, rows_at
from memaudit.images.formats import is_image
from memaudit.images.image_ref import is_first_frame_alone, object_in
from memaudit.images.keyed_files import KeyedFiles, keyed_files
from memaudit.images.opt_outs import OWN
from memaudit.images.parts import file_of
from memaudit.images.passed_over import HEAD
from memaudit.images.reading import read_bytes, tar_place
from memaudit.images.remote import is_url
from memaudit.images.sources import COMPANIONS
from memaudit.images.tables import require_image_column, table_place
from memaudit.images.tar_members import Member
from memaudit.store import Columns, is_same_file

_LONGEST = 12  # characters of a suffix: what is longer is a part of the name
COMPANION_ENDINGS = tuple(sorted(COMPANIONS))


class SampleFile(NamedTuple):
    """A file of a sample. ending: what follows the sample's stem in its name, from a dot on; image: the place of its
    image in the sample, -1 if it is none; path: where it may be linked to, "" for what is no file of its own."""

    ending: str
    data: bytes
    image: int = -1
    path: str = ""


class Image(NamedTuple):
    """What the store says of an image of a sample."""

    image_id: str
    sha256: str
    caption: str
    metadata: str
    width: int
    height: int
    status: str
    uri: str


class Sample(NamedTuple):
    """stem: its name, without the endings of its files, from within the archive that it is in, if any; row: of a table,
    as it is there, with all of its columns; weight: None where nobody asked for one."""

    stem: str
    archive: str
    images: tuple[Image, ...]
    files: tuple[SampleFile, ...]
    row: pa.RecordBatch | None = None
    weight: float | None = None


class _Pack(NamedTuple):
    """An archive or a table."""

    location: str
    is_tar: bool


Images = tuple[Image, ...]


def read_samples(columns: Columns, sample: Sequence[int], *, as_they_are: bool = False) -> Iterator[Sample]:
    """The samples of these rows of a store; sample: the number of each row's. as_they_are: rows of tables are not taken
    apart, the image apart.

    Memory: a sample; the headers of an archive, or a batch of a table. Raises InputError for a source that is not
    there, or of which an image is another one than was embedded.
    """
    images = (Image(*row) for row in zip(*(getattr(columns, name) for name in Image._fields), strict=True))
    together = groupby(zip(images, sample, strict=True), key=lambda pair: pair[1])
    grouped = (tuple(image for image, _ in pairs) for _, pairs in together)
    for pack, of_one in groupby(grouped, key=_pack_of):
        if pack is None:
            yield from map(_beside, of_one)
        elif pack.is_tar:
            with keyed_files(pack.location) as files:
                yield from map(partial(_of_archive, pack.location, files), of_one)
        else:
            yield from _of_table(pack.location, list(of_one), as_they_are)


def _pack_of(images: Images) -> _Pack | None:
    if member := tar_place(images[0].uri):
        return _Pack(member.archive, True)
    row = table_place(images[0].uri)
    return _Pack(row.location, False) if row else None


def _of_archive(location: str, files: KeyedFiles, images: Images) -> Sample:
    found = [tar_place(image.uri) for image in images]
    places = {place.name: number for number, place in enumerate(found) if place and place.size >= 0}
    key = Member(next(iter(places), ""), 0, 0).key
    members = {member.name: member for member in files.of(key)}
    for name in places.keys() - members.keys():
        raise _changed(images[places[name]], f"{name!r} is not in {unsigned(location)} any more")
    for name in (name for name, member in members.items() if member.is_image and name not in places):
        raise _changed(images[0], f"{unsigned(location)} has {name!r} beside it, which was not embedded")
    return Sample(
        key.removeprefix("/"),
        images[0].image_id.removesuffix(f"/{next(iter(places))}"),
        images,
        tuple(_member(files, member, key, images, places.get(name, -1)) for name, member in members.items()),
    )


def _member(files: KeyedFiles, member: Member, key: str, images: Images, number: int) -> SampleFile:
    data = files.read(member)
    if number >= 0:
        _require_same(images[number], data)
    return SampleFile(member.name[len(key.removeprefix("/")) :], data, number)


def _of_table(location: str, samples: list[Images], as_they_are: bool) -> Iterator[Sample]:
    wanted = [place.row for (image,) in samples if (place := table_place(image.uri))]
    with arrow_table("table", location) as table:
        column, count = require_image_column(location, table), 0
        for images, row in zip(samples, rows_at(table, wanted), strict=False):
            count += 1
            files = image_alone(column, row) if as_they_are else cells_as_files(location, column, row)
            _require_same(images[0], files[0].data)
            yield Sample(_stem_of_row(images[0].image_id), "", images, tuple(SampleFile(*each) for each in files), row)
    if count < len(samples):
        raise _changed(samples[count][0], f"table {unsigned(location)} is shorter than it was")


def _stem_of_row(image_id: str) -> str:
    """`train.parquet#17` is train/17."""
    name, found, number = image_id.rpartition("#")
    return f"{os.path.splitext(name)[0]}/{number}" if found and number.isdigit() else image_id


def _beside(images: Images) -> Sample:
    """A file by itself, with those that stand beside it: by its name, or by its name without the suffix."""
    (image,) = images
    if not image.uri or (file_of(image.uri) and not os.path.exists(image.uri)):
        raise InputError(f"{image.image_id!r} is no file of its own, at {unsigned(image.uri)!r}: take --to manifest")
    try:
        data = read_bytes(image.uri)
    except OSError as error:
        raise InputError(f"{image.image_id!r} cannot be read at {unsigned(image.uri)}: {reason_of(error)}") from None
    _require_same(image, data)
    is_local = not is_url(image.uri)
    suffix = os.path.splitext(image.uri.partition("?")[0] if not is_local else image.uri)[1]
    ending = suffix if 1 < len(suffix) <= _LONGEST else suffix_of(data)
    files = [SampleFile(ending, data, 0, image.uri if is_local else "")]
    files += _companions(image.uri, suffix) if is_local else []
    stem = image.image_id.removesuffix(ending)
    return Sample(stem, "", images, (*files, *_said(image, {file.ending for file in files})))


def _companions(path: str, suffix: str) -> list[SampleFile]:
    found = []
    for ending in (*COMPANION_ENDINGS, *(f"{suffix}{ending}" for ending in COMPANION_ENDINGS if suffix)):
        beside = f"{path.removesuffix(suffix)}{ending}"
        if os.path.isfile(beside):
            try:
                data = read_bytes(beside)
            except OSError as error:
                raise InputError(f"{beside} cannot be read: {reason_of(error)}") from None
            if not is_image(data[:HEAD]):  # then it is a sample of its own
                found.append(SampleFile(ending, data, path=beside))
    return found


def _said(image: Image, endings: set[str]) -> list[SampleFile]:
    """Caption and metadata of a manifest's row, where no file has them."""
    files = []
    if image.caption and not endings & {".txt", ".caption"}:
        files.append(SampleFile(".txt", image.caption.encode()))
    values = {name: value for name, value in object_in(image.metadata).items() if name not in OWN}
    if values and ".json" not in endings and not (values.keys() == {"left_out"} and _is_film(image)):
        files.append(SampleFile(".json", image.metadata.encode()))
    return files


def _is_film(image: Image) -> bool:
    return is_first_frame_alone(image.metadata)


def _require_same(image: Image, data: bytes) -> None:
    if not is_same_file(data, image.sha256):
        raise _changed(image, "its sha256 is another one")


def _changed(image: Image, how: str) -> InputError:
    return InputError(
        f"{image.image_id!r} is not what was embedded ({how}): restore it, or embed with --replace-changed and run "
        "dedup again"
    )
