"""Sources: folders, images, manifests, WebDataset tars and tables become one stream of `ImageRef`.

Any of them may be local or an fsspec URL. Order is stable (path order in folders, line order in manifests), so that a
killed run can be continued. Everything in a folder that is not a known companion file counts as an image: a file this
build cannot decode becomes an unreadable row and lowers the coverage, instead of vanishing. So does a companion that
begins as an image does; the others are counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from memaudit.errors import InputError, UsageError
from memaudit.files import reason_of
from memaudit.images import parts, tables
from memaudit.images.addresses import place_of, unsigned
from memaudit.images.archives import iter_tar
from memaudit.images.braces import expanded
from memaudit.images.cells import storable, storable_id, storable_uri
from memaudit.images.folders import File, walk
from memaudit.images.formats import is_image
from memaudit.images.hosts import allow_source
from memaudit.images.image_ref import MOST_TEXT, ImageRef
from memaudit.images.manifests import MANIFESTS, iter_manifest
from memaudit.images.opt_outs import MOST_JSON, noted, opt_outs_in_columns, opt_outs_in_json
from memaudit.images.passed_over import PassedOver, head_of, note, note_hidden
from memaudit.images.reading import lost_rest, read_bytes
from memaudit.images.remote import filesystem_of, is_url, is_web, local_path, plain_name
from memaudit.images.web import Part, get

_LISTS = (".csv", ".tsv", ".jsonl", ".ndjson")  # whoever names one expects its rows: a picture is none
COMPANIONS = frozenset(
    f".{suffix}"
    for suffix in (
        *(
            "csv",
            "tsv",
            "json",
            "jsonl",
            "txt",
            "caption",
            "md",
            "html",
            "xml",
            "yaml",
            "yml",
            "toml",
            "lock",
            "log",
            "py",
        ),
        *("npy", "npz", "pt", "idx"),
    )
)
TABLES = (".parquet", ".arrow")
_SUMS = "SHA256SUMS"  # beside an export's images
_MOST_CAPTION = 1 << 20  # bytes
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".zip")


def iter_images(
    sources: Sequence[str | Path], *, contents: bool = True, passed: PassedOver | None = None
) -> Iterator[ImageRef]:
    """Yield every image of `sources`, in order. Without `contents` tables leave the bytes out: to count, or for ids.
    passed: counts, from nothing, the files that are not read as images, and sources without one; after the last image
    it is complete.

    image_ids are paths relative to the folder given, the manifest's or table's id column, or archive/member. With
    several sources those of folders, manifests and tables are prefixed by the source's name, so that `a/1.jpg` and
    `b/1.jpg` stay two images. Memory: the folders on the way to the current one, and a few rows of a table.
    Raises InputError for a source that does not exist or cannot be understood.
    """
    locations = [local_path(part) for source in sources for part in _expanded(str(source))]
    if not locations:
        raise UsageError("no source given: name at least one folder, image, manifest, tar or table")
    for location in filter(is_url, locations):
        allow_source(location)
    passed = PassedOver() if passed is None else passed
    passed.begin()
    names = [plain_name(location) for location in locations]
    if len(set(names)) < len(names):
        raise UsageError(
            f"two sources are both called {_first_repeated(names)!r}, so their image_ids would clash: "
            "rename one, or list the images in a manifest with an id column"
        )
    for location, name in zip(locations, names, strict=True):
        prefix = f"{name}/" if len(names) > 1 and not name.lower().endswith(".tar") else ""
        found = False
        for ref in _iter_one(location, name, contents, passed):
            found = True
            yield _storable_ref(prefix, _bounded(ref))
        if not found:
            passed.found_none(unsigned(location))


def _bounded(ref: ImageRef) -> ImageRef:
    """The same within bounds; what reserves rights in metadata that are left out is noted all the same."""
    bounded = ref.bounded()
    if len(ref.metadata) <= MOST_TEXT:
        return bounded
    return replace(bounded, metadata=noted(bounded.metadata, opt_outs_in_columns(ref.metadata)))


def _expanded(source: str) -> list[str]:
    """`shard-{000..012}.tar` is thirteen sources, unless a file is really called so."""
    if "{" not in source or os.path.exists(source):
        return [source]
    return expanded(source)


def _first_repeated(names: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _storable_ref(prefix: str, ref: ImageRef) -> ImageRef:
    return replace(
        ref,
        image_id=storable_id(prefix + ref.image_id),
        uri=storable_uri(ref.uri),
        caption=storable(ref.caption),
        metadata=storable(ref.metadata),
    )


def _iter_one(location: str, name: str, contents: bool, passed: PassedOver) -> Iterator[ImageRef]:
    if _is_folder_at(location):
        return _iter_folder(location, contents, passed)
    suffix = os.path.splitext(name)[1].lower()
    if suffix in COMPANIONS and suffix not in _LISTS and is_image(head_of(location)):
        return iter([ImageRef(name, place_of(location))])
    if suffix in MANIFESTS or (suffix in TABLES and not tables.holds_images(location)):
        return iter_manifest(location)
    if suffix == ".tar" or suffix in TABLES:
        return _iter_pack(File(name, location if is_url(location) else place_of(location)), contents, passed)
    if name.lower().endswith(PACKED):
        raise InputError(
            f"source {unsigned(location)} is a compressed archive: unpack it, or make it an uncompressed .tar"
        )
    if suffix in COMPANIONS:
        raise InputError(f"source {unsigned(location)} is not an image; manifests end in {', '.join(MANIFESTS)}")
    return iter([ImageRef(name, location if is_url(location) else place_of(location))])


def read_image(uri: str) -> bytes:
    """Read again what an `ImageRef` named by its uri. Raises OSError if it is not there any more."""
    if (file := parts.file_of(uri)) and not os.path.exists(uri):
        return parts.read_part(read_image(file), uri)
    row = tables.read_row(uri)
    return read_bytes(uri) if row is None else row


def _is_folder_at(location: str) -> bool:
    """Raises InputError if there is nothing at `location`."""
    if is_web(location):
        return _is_web_folder(location)
    if is_url(location):
        filesystem, path = filesystem_of(location)
        try:
            if filesystem.isdir(path):
                return True
            found = filesystem.exists(path)
        except Exception as error:  # noqa: BLE001 - each backend has exceptions of its own
            raise InputError(
                f"source {unsigned(location)} cannot be reached: {type(error).__name__}: {error}"
            ) from None
    else:
        if os.path.isdir(location):
            return True
        found = os.path.exists(location)
    if not found:
        raise InputError(
            f"source {unsigned(location)} does not exist: give a folder, an image, a manifest, a tar or a table"
        )
    return False


def _is_web_folder(location: str) -> bool:
    """A page, unless its name says that it is something else. What is read anyway is not asked for here."""
    name = plain_name(location)
    suffix = os.path.splitext(name)[1].lower()
    if location.endswith("/") or suffix in (*MANIFESTS, *TABLES, *COMPANIONS, ".tar") or name.lower().endswith(PACKED):
        return location.endswith("/")
    try:
        return get(location, Part(0, 1)).media_type == "text/html" and not suffix
    except OSError as error:
        raise InputError(f"source {unsigned(location)} cannot be reached: {reason_of(error)}") from None


def _iter_folder(location: str, contents: bool, passed: PassedOver) -> Iterator[ImageRef]:
    for file in walk(location, hidden=True):
        suffix = os.path.splitext(file.relative)[1].lower()
        if file.hidden:
            note_hidden(passed, file.relative, file.location)
        elif suffix == ".tar":
            yield from _iter_pack(file, contents, passed)
        elif suffix in TABLES:
            yield from _iter_table_beside_images(file, contents, passed)
        elif suffix not in COMPANIONS and os.path.basename(file.relative) != _SUMS:
            yield _with_what_is_beside(file) if contents else ImageRef(file.relative, file.location)
        elif is_image(head := head_of(file.location)):
            yield ImageRef(file.relative, file.location)
        else:
            note(passed, file.relative, file.location, head)


def _with_what_is_beside(file: File) -> ImageRef:
    """An image of a folder with its caption, and with what reserves rights; neither is looked for at a URL."""
    if is_url(file.location):
        return ImageRef(file.relative, file.location)
    stem = os.path.splitext(file.location)[0]
    metadata = ""
    for beside in (f"{stem}.json", f"{file.location}.json"):
        metadata = metadata or _opt_outs_beside(beside)
    return ImageRef(file.relative, file.location, _caption_beside(stem), metadata)


def _caption_beside(stem: str) -> str:
    """What kohya's scripts write beside an image: a file of its name that ends in .caption."""
    beside = f"{stem}.caption"
    if os.path.isfile(beside):
        with suppress(OSError), open(beside, "rb") as handle:
            return handle.read(_MOST_CAPTION).decode("utf-8", "replace").strip()
    return ""


def _opt_outs_beside(path: str) -> str:
    """Metadata that say what reserves rights in a file of JSON, and nothing else of it."""
    if not os.path.isfile(path):
        return ""
    text = None
    with suppress(OSError), open(path, "rb") as handle:
        data = handle.read(MOST_JSON + 1)
        text = data.decode("utf-8-sig", "replace") if len(data) <= MOST_JSON else None
    return noted("", opt_outs_in_json(text))


def _iter_table_beside_images(file: File, contents: bool, passed: PassedOver) -> Iterator[ImageRef]:
    """A table without images is a companion. A damaged one might hold any number of images, like an archive that ends
    early: it has a row that says so, whatever bytes are there."""
    if file.relative.lower().endswith(".arrow") and not tables.is_listed(file.location):
        passed.add(file.relative)
        return
    try:
        is_pack = tables.holds_images(file.location)
    except tables.UnplacedImagesError:
        raise
    except InputError:
        yield ImageRef(file.relative, lost_rest(file.location), lost=True)
        return
    if is_pack:
        yield from _iter_pack(file, contents, passed)
    else:
        passed.add(file.relative)


def _iter_pack(file: File, contents: bool, passed: PassedOver) -> Iterator[ImageRef]:
    suffix = os.path.splitext(file.relative)[1].lower()
    if suffix == ".tar":
        return iter_tar(file.location, file.relative, passed)
    return tables.iter_table(file.location, file.relative, passed, contents=contents)
