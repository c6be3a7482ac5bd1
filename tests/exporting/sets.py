"""Small sets to export: tars with several files a key, folders with files beside their images, tables; and a dedup run
of each."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pictures import altered, draw

import memaudit as ma


def jpeg(seed: int) -> bytes:
    """Every fifth is an altered copy of the next one."""
    data = io.BytesIO()
    (draw(seed) if seed % 5 else altered(draw(seed + 1))).save(data, "JPEG", quality=90)
    return data.getvalue()


def files_of(number: int) -> dict[str, bytes]:
    """A sample: its files by what follows the key."""
    said = json.dumps({"n": number, "text": f"picture {number}"})
    return {
        "jpg": jpeg(number),
        "txt": f"picture {number}".encode(),
        "json": said.encode(),
        "cls": str(number % 10).encode(),
    }


def write_tar(path: Path, samples: Iterable[int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number in samples:
            for ending, data in files_of(number).items():
                add(archive, f"{number:06d}.{ending}", data, number)
    return path


def add(archive: tarfile.TarFile, name: str, data: bytes, time: int = 0) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(data), time
    archive.addfile(member, io.BytesIO(data))


def write_tars(folder: Path, count: int, each: int) -> Path:
    for start in range(0, count, each):
        write_tar(folder / f"part-{start // each:04d}.tar", range(start, min(start + each, count)))
    return folder


def write_folder(folder: Path, count: int) -> Path:
    """JPEGs with a caption and a JSON file beside them."""
    folder.mkdir(parents=True)
    for number in range(count):
        for ending, data in files_of(number).items():
            if ending != "cls":
                (folder / f"{number:06d}.{ending}").write_bytes(data)
    return folder


def write_rows(path: Path, numbers: Iterable[int]) -> Path:
    """A table as Hugging Face writes one: pictures, captions, numbers and a further column of bytes."""
    rows = [
        {
            "image": {"bytes": jpeg(number), "path": f"{number}.jpg"},
            "caption": f"picture {number}",
            "n": number,
            "mask": draw(number, (8, 8)).tobytes() * 4,
        }
        for number in numbers
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


def deduped(source: Path, place: Path) -> Path:
    """A dedup run of a source, beside its store."""
    ma.embed(source, out=place / "store", encoder="thumbnail")
    ma.run_dedup(place / "store", out=place / "dedup")
    return place / "dedup"


def in_tar(path: Path) -> dict[str, bytes]:
    """The files of a tar, in their order."""
    with tarfile.open(path) as archive:
        return {member.name: found.read() for member in archive if (found := archive.extractfile(member))}


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of an export, whatever is written in passing."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
