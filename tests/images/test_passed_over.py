"""What is no image by its name is counted; what is one by its first bytes is read; what may hold pictures is said."""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import draw

from memaudit.errors import InputError
from memaudit.images.passed_over import PassedOver, head_of
from memaudit.images.sources import iter_images


def image(seed: int, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    draw(seed).save(data, kind)
    return data.getvalue()


def listed(source: Path) -> tuple[list[str], PassedOver]:
    passed = PassedOver()
    return [ref.image_id for ref in iter_images([source], passed=passed)], passed


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM", "JPEG2000", "ICO"])
@pytest.mark.parametrize("name", ["a.txt", "b.json", "c.npy", "d.pt", "e.caption", "f.html"])
def test_an_image_is_read_whatever_its_name(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(image(1, kind))
    names, passed = listed(tmp_path)
    assert names == [name]
    assert passed.lines == ()
    assert [ref.image_id for ref in iter_images([tmp_path / name])] == [name]


def test_captions_and_metadata_are_counted_and_are_no_alarm(tmp_path: Path) -> None:
    """Those of a training folder: a file of each for every image, arrays of the images' names, and lists."""
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(image(number))
        (tmp_path / f"{number:02}.txt").write_text("a cat")
        (tmp_path / f"{number:02}.json").write_text('{"prompt": "a cat"}')
        np.save(tmp_path / f"{number:02}.npy", np.zeros((4, 8, 8), np.float32))
    (tmp_path / "metadata.csv").write_text("path,caption\n00.png,a cat\n")
    pq.write_table(pa.table({"path": ["00.png"]}), tmp_path / "list.parquet")
    names, passed = listed(tmp_path)
    assert len(names) == 12
    assert passed.pictures == 0
    assert passed.lines == (
        "38 files hold no image and were not read as images: 1 .csv (metadata.csv), 12 .json (00.json, 01.json, "
        "02.json, …), 12 .npy (00.npy, 01.npy, 02.npy, …), 1 .parquet (list.parquet), "
        "12 .txt (00.txt, 01.txt, 02.txt, …)",
    )


@pytest.mark.parametrize(
    ("shape", "kind", "pictures"),
    [
        ((30, 8, 8, 3), np.uint8, 30),
        ((8, 8, 3), np.uint8, 1),
        ((3, 8, 8), np.float32, 1),
        ((20, 8, 8), np.uint8, 20),
        ((8, 8), np.uint8, 1),
        ((100, 512), np.float32, 0),
        ((100,), np.uint8, 0),
    ],
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_hold_as_many_pictures_as_their_shape_says(
    shape: tuple[int, ...], kind: type, pictures: int, suffix: str, tmp_path: Path
) -> None:
    """Samples are handed on as arrays; a table of embeddings holds none."""
    values = np.zeros(shape, kind)
    if suffix == "npy":
        np.save(tmp_path / "samples.npy", values)
    else:
        np.savez(tmp_path / "samples.npz", values, labels=np.zeros(shape[0]))
    names, passed = listed(tmp_path)
    assert names == []
    assert passed.pictures == pictures
    said = f"not read, and they may hold what is looked for: {pictures} pictures in arrays (samples.{suffix}"
    assert passed.lines[0].startswith(said if pictures else "1 file holds no image")


@pytest.mark.parametrize("content", [b"PK\3\4 no archive", b"", b"\x93NUMPY\1\0", b"\x93NUMPY\x09\0\xff\xff"])
@pytest.mark.parametrize("suffix", ["pt", "npy", "npz"])
def test_an_array_that_does_not_tell_counts_once(content: bytes, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"a.{suffix}").write_bytes(content)
    assert listed(tmp_path)[1].pictures == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
@pytest.mark.parametrize("form", ["json", "url", "lines"])
def test_images_as_text_are_said(kind: str, form: str, tmp_path: Path) -> None:
    """As the interfaces of generators answer."""
    coded = [base64.b64encode(image(number, kind)).decode() for number in range(2)]
    texts = {
        "json": json.dumps({"images": coded}),
        "url": json.dumps([{"url": f"data:image/{kind.lower()};base64,{each}"} for each in coded]),
        "lines": "\n".join(coded),
    }
    (tmp_path / "answer.json").write_text(texts[form])
    assert listed(tmp_path)[1].lines[0] == (
        "not read, and they may hold what is looked for: 1 files with images as text (answer.json)"
    )


def test_a_table_of_images_as_text_is_refused_by_name(tmp_path: Path) -> None:
    coded = [base64.b64encode(image(number)).decode() for number in range(2)]
    pq.write_table(pa.table({"image_base64": coded}), tmp_path / "out.parquet")
    for source in (tmp_path, tmp_path / "out.parquet"):
        with pytest.raises(InputError, match=r"holds images that are not read, in image_base64 \(string\)"):
            list(iter_images([source]))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_pictures_beside_the_column_that_is_read_are_counted(suffix: str, tmp_path: Path) -> None:
    """As in sets of pairs, before and after: bytes, structs, several a row and base64; hashes, numbers and captions are
    none, empty cells neither. By names alone, too, and where the column that is read has a name that says nothing."""
    images = [image(number) for number in range(3)]
    others = {
        "edited_image": [{"bytes": images[1], "path": "a.png"}, None, {"bytes": images[2], "path": None}],
        "views": [images[:2], [], None],
        "as_text": [base64.b64encode(images[0]).decode(), "", "no image"],
    }
    plain = {"hash": [b"\xff\x0a" + bytes(30)] * 3, "caption": ["BM and II"] * 3, "score": [[0.5] * 9] * 3}
    for name in ("image", "photo"):
        table = pa.table({name: images, **plain, **(others if name == "image" else {})})
        if suffix == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet")
            continue
        with pa.OSFile(str(tmp_path / f"{name}.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    for contents in (True, False):
        passed = PassedOver()
        assert len(list(iter_images([tmp_path], contents=contents, passed=passed))) == 6
        assert passed.pictures == 5
        assert passed.lines == (
            "not read, and they may hold what is looked for: 5 pictures in further columns of tables "
            f"(image.{suffix}: edited_image, image.{suffix}: views, image.{suffix}: as_text)",
        )


def test_hidden_images_are_said_and_hidden_files_are_not(tmp_path: Path) -> None:
    """Of a folder that cannot be listed, of a repository's own files, and behind links nothing is said."""
    (tmp_path / "a.png").write_bytes(image(0))
    (tmp_path / ".b.png").write_bytes(image(1))
    (tmp_path / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    (tmp_path / "._a.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X")
    for folder in (".batch/deeper", ".git/lfs"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "c.txt").write_bytes(image(2))
    (tmp_path / ".closed").mkdir(mode=0)
    (tmp_path / ".round").symlink_to(tmp_path)
    names, passed = listed(tmp_path)
    assert names == ["a.png"]
    assert passed.lines == (
        "not read, and they may hold what is looked for: 2 hidden images (.b.png, .batch/deeper/c.txt)",
    )


def test_what_a_hidden_link_leads_to_is_walked_under_its_other_name(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.png").write_bytes(image(0))
    folder = tmp_path / "folder"
    (folder / ".cache").mkdir(parents=True)
    (folder / ".cache" / "link").symlink_to(elsewhere)
    (folder / "shown").symlink_to(elsewhere)
    assert listed(folder)[0] == ["shown/a.png"]


def test_members_of_a_tar_are_looked_into_as_well(tmp_path: Path) -> None:
    contents = {
        "a.png": image(0),
        "a.txt": b"a cat",
        "a.npy": b"\x93NUMPY",
        "b.txt": image(1),
        ".c.png": image(2),
        ".d": b"no image",
        "e.npy": b"\x93NUMPY",
        "f.json": json.dumps({"images": [base64.b64encode(image(3)).decode()]}).encode(),
    }
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    passed = PassedOver()
    refs = list(iter_images([tmp_path / "x.tar"], passed=passed))
    assert [(ref.image_id, ref.caption) for ref in refs] == [("x.tar/a.png", "a cat"), ("x.tar/b.txt", "")]
    assert passed.pictures == 3
    assert passed.lines == (
        "not read, and they may hold what is looked for: 1 hidden images (x.tar/.c.png), 1 pictures in arrays "
        "(x.tar/e.npy), 1 files with images as text (x.tar/f.json)",
        "2 files hold no image and were not read as images: 1 .npy (x.tar/a.npy), 1 .txt (x.tar/a.txt)",
    )


def test_a_further_pass_counts_anew(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    passed = PassedOver()
    for _ in range(2):
        list(iter_images([tmp_path], passed=passed))
    assert passed.lines == (
        "1 file holds no image and was not read as images: 1 .txt (a.txt)",
        f"1 source holds no image ({str(tmp_path)[-80:]}): is a disk not mounted, or the name another one?",
    )


def test_a_source_without_an_image_is_said_beside_others(tmp_path: Path) -> None:
    """A disk that is not mounted is an empty folder: half of a training set was missing without a word."""
    for name in ("full", "empty", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "a.png").write_bytes(image(0))
    (tmp_path / "notes" / "a.txt").write_text("x")
    passed = PassedOver()
    sources = [tmp_path / name for name in ("empty", "full", "notes")]
    assert [ref.image_id for ref in iter_images(sources, passed=passed)] == ["full/a.png"]
    assert passed.empty_line.startswith("2 sources hold no image (")
    assert passed.empty_line in passed.lines


def test_a_name_is_one_line_and_short(tmp_path: Path) -> None:
    (tmp_path / f"{'long' * 50}\n\x1b.txt").write_text("x")
    for line in listed(tmp_path)[1].lines:
        assert line.isprintable()
        assert len(line) < 200


def test_looking_into_captions_takes_little_time(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"{number}.txt").write_text("a cat on a mat")
    start = time.process_time()
    assert listed(tmp_path)[1].pictures == 0
    assert time.process_time() - start < 1.0


def test_the_head_of_what_cannot_be_read_is_nothing(tmp_path: Path) -> None:
    """And a pipe is not waited for, nor a server asked."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("a caption")
    assert head_of(str(tmp_path / "text")) == b"a caption"
    for location in ("pipe", "nowhere", "no\0name", "text/below"):
        assert head_of(f"{tmp_path}/{location}") == b""
    assert head_of("https://example.invalid/a.txt") == b""


def test_an_archive_without_arrays_counts_once(tmp_path: Path) -> None:
    """One of NumPy's by its name alone."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    assert listed(tmp_path)[1].lines != ()
