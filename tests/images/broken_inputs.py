"""One builder for each kind of input in docs/inputs.md: it makes the input in a folder and returns the source."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import draw
from PIL import Image

from memaudit.images import reading

Build = Callable[[Path, pytest.MonkeyPatch], Path]
KINDS: dict[str, Build] = {}
GOOD = "good.png"


def kind(name: str) -> Callable[[Build], Build]:
    """Register the builder of the table's row of this name."""

    def register(build: Build) -> Build:
        assert name not in KINDS
        KINDS[name] = build
        return build

    return register


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, form, **options)
    return data.getvalue()


PNG, JPEG = saved(draw(5, (200, 160)), "PNG"), saved(draw(5, (200, 160)), "JPEG")


def put(name: str, data: bytes) -> Build:
    """A builder of a folder with one file."""

    def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        (folder / name).write_bytes(data)
        return folder

    return build


def given(name: str, data: bytes, good: str = "") -> Build:
    """A builder of one file that is itself the source; a good image may lie beside it."""

    def build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        if good:
            (folder / good).write_bytes(PNG)
        (folder / name).write_bytes(data)
        return folder / name

    return build


def chunk(form: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + form + data + struct.pack(">I", zlib.crc32(form + data))


def png(width: int, height: int, content: bytes = b"", extra: bytes = b"") -> bytes:
    """A grey PNG that says it has this size, whatever its content."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(content, 9)) + chunk(b"IEND", b"")


def icon(inner: bytes) -> bytes:
    """An .ico whose header says 16 x 16, whatever the PNG inside says."""
    return struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def animation(form: str) -> bytes:
    return saved(draw(1), form, save_all=True, append_images=[draw(2)])


def palette() -> Image.Image:
    return draw(3).quantize(16)


def clear(image: Image.Image) -> Image.Image:
    image.putalpha(0)
    return image


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n"
GREY = np.asarray(draw(4).convert("L"))
LIMIT_BOMB = png(15_000, 15_000)
TEXT = chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"node " * 360_000))
PROFILE = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(range(256)) * 8192))
TEXT_BOMB = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100 << 20), 9))

for name, data in {
    "a file of zero bytes": ("a.jpg", b""),
    "text": ("a.png", b"this is no picture\n"),
    "zeros": ("a.jpg", bytes(5000)),
    "an HTML error page saved as .jpg": ("a.jpg", b"<!DOCTYPE html><title>404 Not Found</title>"),
    "an SVG": ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"),
    "a Git LFS pointer": ("a.jpg", LFS),
    "a git-annex pointer": ("a.jpg", b"/annex/objects/SHA256E-s1--ab.jpg\n"),
    "a JPEG XL": ("a.jxl", b"\xff\x0a" + bytes(99)),
    "a JPEG XL in its container": ("a.jxl", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99)),
    "a HEIF": ("a.heic", b"\0\0\0\x18ftypheic" + bytes(99)),
    "a camera's CR3": ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(99)),
    "a camera's CR2": ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(99)),
    "an EPS": ("a.eps", saved(draw(7), "EPS")),
    "a JPEG that ends early": ("a.jpg", JPEG[: len(JPEG) // 2]),
    "a PNG that ends early": ("a.png", PNG[: len(PNG) // 2]),
    "a PNG with a flipped bit in its header": ("a.png", flipped(PNG, 18)),
    "a PNG with a flipped bit in its pixels": ("a.png", flipped(PNG, len(PNG) // 2)),
    "a JPEG with a flipped bit in its pixels": ("a.jpg", flipped(JPEG, len(JPEG) * 3 // 4)),
    "a JPEG with a flipped bit in its header": ("a.jpg", flipped(JPEG, 2)),
    "a PNG of zero width": ("a.png", png(0, 5)),
    "a PNG that says it is 15,000 x 15,000": ("a.png", LIMIT_BOMB),
    "a PNG that says it is 50,000 x 50,000": ("a.png", png(50_000, 50_000)),
    "a PNG that says it is 10,000 x 10,000 and holds nothing": ("a.png", png(10_000, 10_000)),
    "an icon with a PNG of 50,000 x 50,000 inside": ("a.ico", icon(png(50_000, 50_000, bytes(1000)))),
    "a PNG with 100 MB of compressed text": ("a.png", PNG[:33] + TEXT_BOMB + PNG[33:]),
    "a PNG with 1.8 MB of text": ("a.png", PNG[:33] + TEXT + PNG[33:]),
    "a PNG with text behind its pixels": ("a.png", PNG[:-12] + TEXT + PNG[-12:]),
    "a PNG with a colour profile of 2 MB": ("a.png", PNG[:33] + PROFILE + PNG[33:]),
    "CMYK": ("a.jpg", saved(draw(1).convert("CMYK"), "JPEG")),
    "a palette with a transparent entry": ("a.png", saved(palette(), "PNG", transparency=3)),
    "16-bit grey": ("a.png", saved(Image.fromarray(GREY.astype(np.uint16) * 257), "PNG")),
    "floating-point grey": ("a.tif", saved(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF")),
    "an animated GIF": ("a.gif", animation("GIF")),
    "an animated WebP": ("a.webp", animation("WEBP")),
    "a broken EXIF orientation": ("a.jpg", saved(draw(1), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "a PNG called .jpg": ("a.jpg", PNG),
    "an image without an extension": ("IMG_1", PNG),
    "one colour": ("a.png", saved(Image.new("RGB", (40, 30), "navy"), "PNG")),
    "white on transparent": (
        "a.png",
        saved(Image.merge("LA", [Image.new("L", (96, 72), 255), draw(1).convert("L")]), "PNG"),
    ),
    "wholly transparent": ("a.png", saved(clear(draw(1)), "PNG")),
    "a file name with a newline": ("new\nline.png", PNG),
    "a file name that is no UTF-8": (os.fsdecode(b"\xff\xfe.png"), PNG),
    "a film": ("a.mp4", b"\0\0\0\x20ftypisom" + bytes(100)),
    "a folder with nothing but hidden files": (".a.png", PNG),
    "a folder with nothing but captions, logs and plain tables": ("a.txt", b"a disc"),
}.items():
    KINDS[name] = put(*data)


@kind("a link to itself")
def _link(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "self.png").symlink_to("self.png")
    return folder


@kind("a link that leads nowhere")
def _dangling(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "gone.png").symlink_to("nowhere.png")
    return folder


@kind("a link to a folder above")
def _loop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "a").mkdir()
    (folder / "a" / "one.png").write_bytes(PNG)
    (folder / "a" / "up").symlink_to("..")
    return folder


@kind("a folder called x.jpg")
def _folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "x.jpg").mkdir()
    (folder / "x.jpg" / "1.png").write_bytes(PNG)
    return folder


@kind("a folder where a manifest says an image is")
def _listed_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "x.jpg").mkdir()
    return given("m.csv", b"path\nx.jpg\n")(folder, monkeypatch)


@kind("a pipe")
def _pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    os.mkfifo(folder / "pipe.png")
    return folder


@kind("a socket")
def _socket(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    os.mknod(folder / "socket.png", stat.S_IFSOCK | 0o600)
    return folder


@kind("a device")
def _device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "zero.png").symlink_to("/dev/zero")
    return folder


@kind("a pipe as the source")
def _pipe_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    os.mkfifo(folder / "pipe.csv")
    return folder / "pipe.csv"


@kind("a file that may not be read")
def _forbidden(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may read everything: run ./scripts/test as another user")
    (folder / "a.png").write_bytes(PNG)
    (folder / "a.png").chmod(0)
    return folder


@kind("a folder that may not be listed")
def _closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may list everything: run ./scripts/test as another user")
    (folder / "closed").mkdir(0)
    return folder


@kind("a file that vanishes after it was listed")
def _vanishing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    opened = reading.open_binary

    def late(uri: str) -> Any:
        Path(uri).unlink(missing_ok=True)
        return opened(uri)

    monkeypatch.setattr(reading, "open_binary", late)
    return put("a.png", PNG)(folder, monkeypatch)


@kind("a file larger than 2 GiB")
def _huge(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with (folder / "a.mp4").open("wb") as file:
        file.truncate((2 << 30) + 1)
    return folder


def tar(members: dict[str, bytes], mode: str = "w") -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def linked_tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, form in (("link.png", tarfile.SYMTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = form, "/etc/passwd"
            archive.addfile(info)
        archive.addfile(_info("a.png", len(PNG)), io.BytesIO(PNG))
    return data.getvalue()


def hard_linked_tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(_info("a.png", len(PNG)), io.BytesIO(PNG))
        for name, target in (("b.png", "a.png"), ("c.png", "gone.png")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.LNKTYPE, target
            archive.addfile(info)
    return data.getvalue()


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    return info


def sparse_tar() -> bytes:
    """A member of GNU's sparse kind: its map says 100 bytes at 0, and that it is 1 TB long."""
    info = _info("a.png", 512)
    info.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" + b"00000001000\0"
    header[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + PNG[:512].ljust(512, b"\0") + bytes(1024)


def pax_tar(**headers: str) -> bytes:
    """A picture, and another one with these in its header of the POSIX kind."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_info("a.png", len(PNG)), io.BytesIO(PNG))
        info = _info("b.png", len(PNG))
        info.pax_headers = headers
        archive.addfile(info, io.BytesIO(PNG))
    return data.getvalue()


TWO = tar({"a.png": PNG, "b.png": PNG[:-9] + b"\0" + PNG[-8:]})

for name, data in {
    "a tar that ends within an image": ("a.tar", TWO[: 512 + len(PNG) + 1500]),
    "a tar that ends between two images": ("a.tar", TWO[: TWO.rindex(b"b.png")]),
    "a tar with garbage behind its end": ("a.tar", tar({"a.png": PNG}) + b"x" * 700),
    "a tar with a damaged header": ("a.tar", flipped(TWO, TWO.rindex(b"b.png") + 110)),
    "a tar with a damaged pax header": ("a.tar", pax_tar(**{"GNU.sparse.map": "abc"})),
    "a tar with NUL in a name": ("a.tar", pax_tar(path="b\0c.png")),
    "a tar of files that are no images": ("a.tar", tar({"a.bin": b"x" * 100, "b.exe": b"MZ" * 50})),
    "a tar without a single file": ("a.tar", tar({})),
    "an empty file called .tar": ("a.tar", b""),
    "text called .tar": ("a.tar", b"no tar at all" * 100),
    "a tar with one name twice": ("a.tar", tar({"a.png": PNG}) + tar({"a.png": PNG})),
    "a tar with names that lead out of it": ("a.tar", tar({"../../etc/passwd.png": PNG, "/etc/b.png": PNG})),
    "a tar with links and pipes": ("a.tar", linked_tar()),
    "a tar with hard links": ("a.tar", hard_linked_tar()),
    "a tar whose captions follow all images": (
        "a.tar",
        tar({"a.png": PNG, "b.png": JPEG, "a.txt": b"A", "b.txt": b"B"}),
    ),
    "a Git LFS pointer called .tar": ("a.tar", LFS),
    "a Git LFS pointer called .parquet": ("a.parquet", LFS),
    "a sparse tar": ("a.tar", sparse_tar()),
    "a compressed tar": ("a.tar.gz", tar({"a.png": PNG}, "w:gz")),
    "a compressed tar called .tar": ("a.tar", tar({"a.png": PNG}, "w:gz")),
    "a zip": ("a.zip", b"PK\3\4" + bytes(50)),
}.items():
    KINDS[name] = given(*data)
KINDS["a compressed tar in a folder"] = put("a.tar.gz", tar({"a.png": PNG}, "w:gz"))
KINDS["text called .tar in a folder"] = put("a.tar", b"no tar at all" * 100)


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


IMAGES = pa.table({"key": ["a", "b"], "jpg": [JPEG, None]})
WHOLE = parquet(IMAGES)
NO_IMAGES = pa.table({"x": [1], "y": ["z"]})

for name, data in {
    "a Parquet file that ends early": ("a.parquet", WHOLE[: len(WHOLE) // 2]),
    "a Parquet file with damaged pages": ("a.parquet", WHOLE[:40] + bytes(1000) + WHOLE[1040:]),
    "text called .parquet": ("a.parquet", b"no table"),
    "a Parquet file with neither images nor paths": ("a.parquet", parquet(NO_IMAGES)),
    "a Parquet file with an empty cell": ("a.parquet", WHOLE),
    "a Parquet file whose images are numbers": ("a.parquet", parquet(pa.table({"image": [1, 2]}))),
    "a Parquet file with an empty path": ("a.parquet", parquet(pa.table({"path": ["good.png", None]}))),
    "a Parquet file without rows": ("a.parquet", parquet(IMAGES.slice(0, 0))),
    "a Parquet file with one key twice": ("a.parquet", parquet(pa.table({"key": ["a", "a"], "jpg": [JPEG, PNG]}))),
    "a Parquet file with times of nanoseconds": (
        "a.parquet",
        parquet(pa.table({"jpg": [JPEG], "taken": pa.array([1700000000123456789], pa.timestamp("ns"))})),
    ),
    "a Parquet file with several images a row": ("a.parquet", parquet(pa.table({"images": [[JPEG, PNG]]}))),
    "a Parquet file with a column twice": ("a.parquet", parquet(pa.table([[PNG], [PNG]], names=["jpg", "jpg"]))),
    "an Arrow file that ends early": ("a.arrow", arrow(IMAGES)[:600]),
    "an Arrow file with neither images nor paths": ("a.arrow", arrow(NO_IMAGES)),
}.items():
    KINDS[name] = given(*data)
BY_PATH = pa.array([{"bytes": None, "path": GOOD}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
KINDS["a Parquet file with images by their path, as Hugging Face stores them"] = given(
    "a.parquet", parquet(pa.table({"image": BY_PATH})), good=GOOD
)
KINDS["a Parquet file whose paths are binary"] = given(
    "a.parquet", parquet(pa.table({"path": [b"good.png"]})), good=GOOD
)
KINDS["a Parquet file with images in two unknown columns, in a folder"] = put(
    "a.parquet", parquet(pa.table({"left": [JPEG], "right": [PNG]}))
)
KINDS["a Parquet file that ends early, in a folder"] = put("a.parquet", WHOLE[: len(WHOLE) // 2])
KINDS["an Arrow file that ends early, in a folder"] = put("a.arrow", arrow(IMAGES)[:600])
KINDS["an empty file called .parquet, in a folder"] = put("a.parquet", b"")


@kind("a Hugging Face dataset that lost a file")
def _lost(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (folder / "data-0.arrow").write_bytes(arrow(IMAGES))
    names = [{"filename": "data-0.arrow"}, {"filename": "data-1.arrow"}]
    (folder / "state.json").write_text(json.dumps({"_data_files": names}))
    return folder


for name, (file, content) in {
    "a manifest without a path column": ("m.csv", b"picture\nx.png\n"),
    "a manifest with an empty path": ("m.csv", b"path,id\ngood.png,1\n,2\n"),
    "a manifest that names a missing file": ("m.csv", b"path\nnowhere.png\n"),
    "a manifest with one id twice": ("m.csv", b"path,id\ngood.png,1\n./good.png,1\n"),
    "a manifest with one path twice": ("m.csv", b"path\ngood.png\ngood.png\n"),
    "a CSV with too many fields in a line": ("m.csv", b"path,caption\ngood.png,one, two\n"),
    "a CSV with a column twice": ("m.csv", b"path,caption,caption\ngood.png,a,b\n"),
    "a CSV with blanks after its commas": ("m.csv", b"path, caption\ngood.png, a disc\n"),
    "a CSV with upper-case names": ("m.csv", b"FILE_NAME,TEXT\ngood.png,a disc\n"),
    "a TSV with quotes": ("m.tsv", b'path\tid\tcaption\ngood.png\t1\t"begun\ngood.png\t2\tended"\n'),
    "a TSV with a line that is short": ("m.tsv", b'path\tcaption\ngood.png\t"two\nlines"\n'),
    "a JSON array": ("m.json", b'[{"path": "good.png"}]'),
    "a JSON object": ("m.json", b'{"path": "good.png"}'),
    "a JSONL with a key twice": ("m.jsonl", b'{"path": "good.png", "path": "x.png"}\n'),
    "a JSONL with a list of paths in a line": ("m.jsonl", b'{"path": ["good.png", "x.png"]}\n'),
    "a CSV with a quote that is never closed": ("m.csv", b'path,caption\ngood.png,"never closed\ny.png,b\n'),
    "a CSV with a field of 200 kB": ("m.csv", b"path,caption\ngood.png," + b"a" * 200_000 + b"\n"),
    "a CSV with a NUL": ("m.csv", b"path\na\0b.png\n"),
    "a CSV with a byte order mark": ("m.csv", b"\xef\xbb\xbfpath\ngood.png\n"),
    "a CSV in Latin-1": ("m.csv", "path\nstraße.png\n".encode("latin-1")),
    "a CSV in UTF-16": ("m.csv", "path\nx.png\n".encode("utf-16")),
    "a CSV with Windows line ends": ("m.csv", b"path,caption\r\ngood.png,disc\r\n"),
    "a CSV with names and no lines": ("m.csv", b"path\n"),
    "an empty CSV": ("m.csv", b""),
    "a CSV with a blank line": ("m.csv", b"path\ngood.png\n\n"),
    "a JSONL with a line that is no JSON": ("m.jsonl", b'{"path": "good.png"}\n{"path": \n'),
    "a JSONL with a line that is no object": ("m.jsonl", b'\n\n["good.png"]\n'),
    "a JSONL with a number of 5,000 digits": ("m.jsonl", b'{"path": "x.png", "id": ' + b"9" * 5000 + b"}\n"),
    "a JSONL of 100,000 brackets": ("m.jsonl", b"[" * 100_000 + b"\n"),
    "a JSONL with half a surrogate pair": ("m.jsonl", b'{"path": "\\ud800.png"}\n'),
    "a JSONL whose path is a number": ("m.jsonl", b'{"path": 7}\n'),
    "a list that names a missing file": ("l.txt", b"good.png\nnowhere.png\n"),
    "a list with a NUL": ("l.txt", b"a\0b.png\n"),
    "an empty list": ("l.txt", b"\n\n"),
    "a list that is an image called .txt": ("l.txt", PNG),
    "a file of another kind": ("notes.md", b"# Notes"),
    "a manifest that names a URL that cannot be read": ("m.csv", b"path\nmemory://nowhere/x.png\n"),
}.items():
    KINDS[name] = given(file, content, good=GOOD)


@kind("a path longer than the system allows")
def _long(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return given("l.txt", b"x" * 5000 + b".png\n")(folder, monkeypatch)


@kind("an empty folder")
def _empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder


@kind("a source that does not exist")
def _absent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return folder / "nowhere"
