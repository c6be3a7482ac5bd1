"""Reservations of rights that a picture's file, or what its source says of it, holds against its use for training.

Read are PLUS `DataMining` in XMP (IPTC Photo Metadata 2023.1), `tdm-reservation` (TDM Reservation Protocol), the
directives `noai` and `noimageai` in text of the file, columns of the same names, and C2PA assertions on training and
data mining. Nothing is parsed as XML and nothing is fetched.
"""

from __future__ import annotations

import io
import json
import re
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from importlib.util import find_spec
from threading import Lock
from typing import NamedTuple

from memaudit.images.cells import storable
from memaudit.images.image_ref import CUT_TEXT, object_in

FILE, COLUMNS, C2PA = "file", "columns", "c2pa"
FOUND, UNREAD = "opt_out", "opt_out_not_read"  # keys of metadata
OWN = frozenset({FOUND, UNREAD})
MOST_JSON = 1 << 22  # bytes of a file of JSON beside an image that is looked into, however much of it is kept
_MOST_TEXT = 1 << 20  # bytes of a compressed text, and of an XMP packet
_MOST_NOTED, _LONGEST_NOTED = 32, 200  # opt-outs of an image, and characters of one: no more is written down
_PLUS = re.compile(rb"DataMining[^\0]{0,400}?(DMI-[A-Z]+(?:-[A-Z]+)*)", re.DOTALL | re.IGNORECASE)
_TDM = re.compile(rb"""tdm[:_-]reservation[^\0<>"']{0,40}[>"']\s*1\b""", re.IGNORECASE)
_NOAI = re.compile(rb"(?<![A-Za-z0-9])(noai|noimageai)(?![A-Za-z0-9])", re.IGNORECASE)
_ASSERTIONS = ("c2pa.training-mining", "cawg.training-mining")
_USES = ("ai_generative_training", "ai_training", "data_mining")
_REFUSED = ("notAllowed", "constrained")
_ROBOTS, _TDM_COLUMNS = {"xrobotstag", "robots"}, {"tdmreservation"}
_PLUS_COLUMNS, _TEXT_COLUMNS = {"datamining", "plusdatamining", "xmpplusdatamining"}, {"exif", "iptc", "xmp"}
_LOOKED_AT = _ROBOTS | _TDM_COLUMNS | _PLUS_COLUMNS | _TEXT_COLUMNS
_CUT = _LOOKED_AT | {"metadata"}
_HINT = re.compile(f"noai|noimageai|tdm|mining|dmi-|{FOUND}", re.IGNORECASE)


def read_of(c2pa: ReadC2pa | None) -> tuple[str, ...]:
    """Where opt-outs are looked for, as a store says it."""
    return (FILE, COLUMNS, *([C2PA] if c2pa else []))


class OptOuts(NamedTuple):
    """found: what reserves the rights, such as `plus: DMI-PROHIBITED`; unread: what is there and could not be read."""

    found: tuple[str, ...]
    unread: tuple[str, ...] = ()


ReadC2pa = Callable[[bytes], list[str]]
"""What a C2PA manifest in these bytes refuses. Raises ValueError for one that cannot be read."""


def opt_outs_of(data: bytes, metadata: str, c2pa: ReadC2pa | None) -> OptOuts:
    """Of a file and of what its source says of it. c2pa: None where the library is not there."""
    in_columns = opt_outs_in_columns(metadata)
    found, unread = [*_in_file(data), *in_columns.found], [*in_columns.unread]
    if _has_c2pa(data):
        try:
            found += c2pa(data) if c2pa else []
            unread += [] if c2pa else [C2PA]
        except ValueError:
            unread.append(C2PA)
    return OptOuts(tuple(dict.fromkeys(found)), tuple(unread))


def noted(metadata: str, opt_outs: OptOuts) -> str:
    """Metadata that say so; the same where there is nothing to say."""
    noting = ((FOUND, opt_outs.found), (UNREAD, opt_outs.unread))
    said = {name: [text[:_LONGEST_NOTED] for text in each[:_MOST_NOTED]] for name, each in noting if each}
    return json.dumps({**object_in(metadata), **said}) if said else metadata


def opt_outs_in(metadata: str) -> OptOuts:
    """What was noted of an image of a store."""
    if FOUND not in metadata:
        return OptOuts(())
    values = object_in(metadata)
    found, unread = (values.get(name) for name in (FOUND, UNREAD))
    return OptOuts(*(tuple(map(str, each)) if isinstance(each, list) else () for each in (found, unread)))


def noted_otherwise(noted: OptOuts, in_source: OptOuts, in_file: Collection[str]) -> bool:
    """Whether what was noted of an image is not what its source and its file say by now. What a manifest of C2PA
    refused is taken to stand there still, where the file has one: not everybody has the library."""
    now = {text[:_LONGEST_NOTED] for text in in_source.found}
    there = {*now, *(text[:_LONGEST_NOTED] for text in in_file)}
    of_manifest = f"{C2PA}: " if C2PA in in_file else None
    gone = any(text not in there and not (of_manifest and text.startswith(of_manifest)) for text in noted.found)
    new = len(noted.found) < _MOST_NOTED and not now.issubset(noted.found)
    return gone or new or (COLUMNS in noted.unread) != (COLUMNS in in_source.unread)


def opt_outs_in_file(data: bytes) -> frozenset[str]:
    """What a file says by itself; of a manifest of C2PA no more than that there is one: `C2PA`."""
    return frozenset([*_in_file(data), *([C2PA] if _has_c2pa(data) else [])])


def _in_file(data: bytes) -> Iterator[str]:
    for text in _texts(data):
        for match in _PLUS.finditer(text):
            value = match[1].decode().upper()
            if value.startswith("DMI-PROHIBITED"):
                yield f"plus: {value}"
        if _TDM.search(text):
            yield "tdm-reservation"
        yield from (match[1].decode().lower() for match in _NOAI.finditer(text))


def opt_outs_in_columns(metadata: str) -> OptOuts:
    """Of what a source says of an image, however much that is. What was cut is unread."""
    columns = [*_columns_of(metadata)]
    found = dict.fromkeys(text for name, value in columns for text in _in_column(name, value))
    return OptOuts(tuple(found), (COLUMNS,) if any(_is_unread(*column) for column in columns) else ())


def opt_outs_in_json(text: str | None) -> OptOuts:
    """Of a file beside an image, which may be long and without any; None: nobody could read it."""
    if text is None:
        return OptOuts((), (COLUMNS,))
    return opt_outs_in_columns(text) if _HINT.search(text) else OptOuts(())


def _columns_of(metadata: str) -> Iterator[tuple[str, object]]:
    """Also those in a column `metadata`, as tables that we export have it."""
    for name, value in (object_in(metadata) if metadata else {}).items():
        yield name, value
        if name == "metadata" and isinstance(value, str):
            yield from object_in(value).items()


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _is_unread(name: str, value: object) -> bool:
    if name == UNREAD:  # what of a file could not be read is asked of the file again
        return isinstance(value, list) and COLUMNS in value
    return isinstance(value, str) and len(value) == CUT_TEXT and _plain_name(name) in _CUT


def _in_column(name: str, value: object) -> Iterator[str]:
    plain = _plain_name(name)
    if plain in _LOOKED_AT:
        text = value if isinstance(value, str) else json.dumps(value)
        if plain in _ROBOTS or plain in _TEXT_COLUMNS:
            yield from (match[1].decode().lower() for match in _NOAI.finditer(text.encode("utf-8", "replace")))
        if plain in _PLUS_COLUMNS or plain in _TEXT_COLUMNS:
            yield from (f"plus: {each}" for each in re.findall(r"DMI-PROHIBITED(?:-[A-Z]+)*", text))
        if plain in _TDM_COLUMNS and text.strip().lower() in ("1", "1.0", "true"):
            yield "tdm-reservation"
    if name == FOUND and isinstance(value, list):  # as an export of ours carries it on
        yield from (storable(str(each)) for each in value)


def _texts(data: bytes) -> Iterator[bytes]:
    """Where a file holds text: the segments, chunks or packets, and no pixels."""
    if data.startswith(b"\xff\xd8"):
        yield from _jpeg_segments(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        yield from _png_texts(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        yield from _webp_chunks(data)
    else:
        yield from _packets(data)


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        kind, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if kind == 0xDA or size < 2:  # pixels from here on
            return
        if kind in (0xE1, 0xED, 0xFE):  # EXIF and XMP, IPTC, comment
            yield data[place + 4 : place + 2 + size]
        place += 2 + size


def _png_texts(data: bytes) -> Iterator[bytes]:
    """`keyword=text` of each chunk of text, so that a directive is read by its name."""
    place = 8
    while place + 8 <= len(data):
        (size,), kind = struct.unpack(">I", data[place : place + 4]), data[place + 4 : place + 8]
        chunk = data[place + 8 : place + 8 + size]
        if kind == b"eXIf":
            yield chunk
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, _, rest = chunk.partition(b"\0")
            yield keyword + b'="' + _png_text(kind, rest)
        place += 12 + size


def _png_text(kind: bytes, rest: bytes) -> bytes:
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _inflated(rest[1:])
    compressed, text = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    return _inflated(text) if compressed else text


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_TEXT)
    except zlib.error:
        return b""


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    place = 12
    while place + 8 <= len(data):
        (size,), kind = struct.unpack("<I", data[place + 4 : place + 8]), data[place : place + 4]
        if kind in (b"XMP ", b"EXIF"):
            yield data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


def _packets(data: bytes) -> Iterator[bytes]:
    """XMP as it stands in TIFF, AVIF, GIF and others."""
    start = data.find(b"<x:xmpmeta")
    while start >= 0:
        end = data.find(b"</x:xmpmeta>", start, start + _MOST_TEXT)
        yield data[start : end if end >= 0 else start + _MOST_TEXT]
        start = data.find(b"<x:xmpmeta", start + 10)


def _has_c2pa(data: bytes) -> bool:
    """Whether there is a box of JUMBF with a manifest; one that lies elsewhere is not asked for."""
    return b"jumb" in data and b"c2pa" in data


def c2pa_reader() -> ReadC2pa | None:
    """By the library c2pa-python, without asking the network; None where it is not installed."""
    if find_spec("c2pa") is None:
        return None
    one_at_a_time = Lock()

    def read(data: bytes) -> list[str]:
        import c2pa

        settings = c2pa.Settings.from_dict({"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}})
        try:
            with one_at_a_time, c2pa.Reader(None, io.BytesIO(data), context=c2pa.Context(settings)) as reader:
                return list(refusals(json.loads(reader.json())))
        except c2pa.C2paError.ManifestNotFound:
            return []
        except Exception as error:  # noqa: BLE001 - the library's own errors, whatever they are
            raise ValueError(str(error)) from None

    return read


def refusals(store: dict[str, object]) -> Iterator[str]:
    """What the active manifest of a C2PA store refuses."""
    manifests, active = store.get("manifests"), store.get("active_manifest")
    manifest = manifests.get(active) if isinstance(manifests, dict) else None
    assertions = manifest.get("assertions", []) if isinstance(manifest, dict) else []
    for each in assertions if isinstance(assertions, list) else []:
        if not isinstance(each, dict) or not str(each.get("label", "")).startswith(_ASSERTIONS):
            continue
        data = each.get("data")
        entries = data.get("entries") if isinstance(data, dict) else None
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            use = entry.get("use") if isinstance(entry, dict) else None
            if use in _REFUSED and str(name).rpartition(".")[2] in _USES:
                yield f"c2pa: {name} {use}"
