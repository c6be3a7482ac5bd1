"""WebDataset tars: what is readable is read, what is lost is said."""

import io
import json
import tarfile
import time
from contextlib import nullcontext
from pathlib import Path

import fsspec
import pytest
from pictures import draw

from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
from memaudit.images import archives, folders
from memaudit.images.archives import iter_tar
from memaudit.images.folders import walk
from memaudit.images.image_ref import ARCHIVE_CUT
from memaudit.images.passed_over import PassedOver
from memaudit.images.reading import read_bytes
from memaudit.images.sources import iter_images, read_image
from memaudit.types import Status


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    draw(seed).save(buffer, "PNG")
    return buffer.getvalue()


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def shard(path: Path, first: int = 0, count: int = 3) -> Path:
    members = {}
    for number in range(first, first + count):
        members[f"{number:05d}.png"] = png(number)
        members[f"{number:05d}.txt"] = f"picture {number}".encode()
        members[f"{number:05d}.json"] = json.dumps({"number": number}).encode()
    return write_tar(path, members)


def test_samples_carry_caption_and_metadata(tmp_path):
    """Image, .txt and .json of one key are one row; the id is archive/member, the uri leads back to the bytes."""
    refs = list(iter_images([shard(tmp_path / "a.tar")]))
    assert [ref.image_id for ref in refs] == ["a.tar/00000.png", "a.tar/00001.png", "a.tar/00002.png"]
    assert [ref.caption for ref in refs] == ["picture 0", "picture 1", "picture 2"]
    assert json.loads(refs[1].metadata) == {"number": 1}
    assert [read_image(ref.uri) for ref in refs] == [png(0), png(1), png(2)]


def test_a_caption_may_stand_in_the_json_and_before_the_image(tmp_path):
    """The order of a key's files does not matter; without a .txt the caption of the .json counts."""
    tar = write_tar(tmp_path / "a.tar", {"k.json": b'{"caption": "a disc"}', "k.png": png(1), "l.png": png(2)})
    assert [(ref.image_id, ref.caption) for ref in iter_images([tar])] == [
        ("a.tar/k.png", "a disc"),
        ("a.tar/l.png", ""),
    ]


def test_braces_name_many_shards(tmp_path):
    """shard-{000..002}.tar is three sources, in order; a missing one is an error, not a shorter training set."""
    for number in range(3):
        shard(tmp_path / f"s-{number:03d}.tar", first=3 * number)
    pattern = f"{tmp_path}/s-{{000..002}}.tar"
    assert len(list(iter_images([pattern]))) == 9
    (tmp_path / "s-001.tar").unlink()
    with pytest.raises(InputError, match=r"s-001\.tar does not exist"):
        list(iter_images([pattern]))


def test_a_folder_of_shards(tmp_path):
    """Tars in a folder are read as archives, beside plain images; img2dataset's companions are left out."""
    (tmp_path / "set").mkdir()
    shard(tmp_path / "set" / "00000.tar", count=2)
    (tmp_path / "set" / "00000_stats.json").write_text("{}")
    (tmp_path / "set" / "z.png").write_bytes(png(9))
    assert [ref.image_id for ref in iter_images([tmp_path / "set"])] == [
        "00000.tar/00000.png",
        "00000.tar/00001.png",
        "z.png",
    ]


@pytest.mark.parametrize("keep", [0.35, 0.6, 0.85, 0.97])
def test_a_truncated_tar_gives_what_is_readable_and_says_what_is_lost(tmp_path, keep):
    """However it was cut: every whole image is embedded, and the loss is an unreadable row."""
    whole = shard(tmp_path / "whole.tar", count=6)
    data = whole.read_bytes().rstrip(b"\0")
    cut = tmp_path / "cut.tar"
    cut.write_bytes(data[: int(len(data) * keep)])
    store = embed([cut], tmp_path / "store", load_encoder("thumbnail"))
    columns = store.all_columns()
    readable = columns.image_id[columns.status == Status.OK]
    expected = [
        f"cut.tar/{ref.image_id.partition('/')[2]}"
        for ref in iter_images([whole])
        if int(ref.uri.partition("#tar=")[2].split(",")[0]) + int(ref.uri.split(",")[1]) <= len(cut.read_bytes())
    ]
    assert list(readable) == expected
    assert columns.status[-1] == Status.UNREADABLE
    assert columns.error[-1] == f"cannot read file: {ARCHIVE_CUT}: 0 of 512 bytes are there"
    assert 1 <= store.cut <= 2  # the row of the lost rest, and the image that was cut if it was one


def test_a_tar_cut_between_two_members_is_noticed(tmp_path):
    """Only the block of zeros at the end tells that such an archive is whole."""
    data = write_tar(tmp_path / "a.tar", {"a.png": png(1), "b.png": png(2)}).read_bytes()
    end = data.rindex(b"b.png")
    (tmp_path / "cut.tar").write_bytes(data[:end])
    assert [ref.image_id for ref in iter_images([tmp_path / "cut.tar"])] == [
        "cut.tar/a.png",
        "cut.tar/(the archive ends early)",
    ]


def rest_row(tmp_path: Path, data: bytes) -> tuple[list[str], str]:
    """The image_ids of an archive's readable rows, and the error of the row of its lost rest, if there is one."""
    (tmp_path / "x.tar").write_bytes(data)
    store = embed([tmp_path / "x.tar"], tmp_path / "store", load_encoder("thumbnail"))
    columns = store.all_columns()
    errors = columns.error[columns.image_id == "x.tar/(the archive ends early)"]
    assert (store.cut > 0) == (len(errors) == 1)
    return columns.image_id[columns.status == Status.OK].tolist(), "".join(errors)


def test_a_tar_cut_within_a_long_name_is_noticed(tmp_path):
    """Bytes of the next header are there, but no member: the loss must not read as an image of unknown format."""
    long = "n" * 300 + ".png"
    whole = write_tar(tmp_path / "a.tar", {"a.png": png(1), long: png(2)})
    with tarfile.open(whole) as archive:
        header = archive.getmembers()[1].offset_data - 512
    cut = whole.read_bytes()[:header]
    assert cut.count(b"n" * 300) == 1  # the name has a header of its own, before the member's
    readable, error = rest_row(tmp_path, cut)
    assert readable == ["x.tar/a.png"]
    assert ARCHIVE_CUT in error


@pytest.mark.parametrize("padding", [0, 10_240, 3 << 20])
def test_archives_one_after_the_other(tmp_path, padding):
    """`cat a.tar b.tar`: the first one's end mark is not the end, however many zeros follow it."""
    parts = [shard(tmp_path / f"{n}.tar", first=3 * n).read_bytes() for n in range(3)]
    (tmp_path / "cat.tar").write_bytes(bytes(padding).join(parts))
    refs = list(iter_images([tmp_path / "cat.tar"]))
    assert [ref.image_id for ref in refs] == [f"cat.tar/{n:05d}.png" for n in range(9)]
    assert [ref.caption for ref in refs] == [f"picture {n}" for n in range(9)]
    assert [read_image(ref.uri) for ref in refs] == [png(n) for n in range(9)]


@pytest.mark.parametrize(
    "headers",
    [
        {"size": "9" * 23},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
        {"size": "-1536"},  # from where its content would begin back to where its header does
    ],
)
def test_numbers_of_a_header_that_are_none_end_an_archive(tmp_path, headers):
    """As any damage does: what stands before it is read. It ended the run, each time, or nothing did."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.png", "b.png", "c.png"):
            info = tarfile.TarInfo(name)
            info.size = 3000
            info.pax_headers = headers if name == "b.png" else {}
            archive.addfile(info, io.BytesIO(bytes(3000)))
    (tmp_path / "x.tar").write_bytes(data.getvalue())
    refs = list(iter_images([tmp_path / "x.tar"]))
    assert refs[0].image_id == "x.tar/a.png"
    assert "x.tar/c.png" not in [ref.image_id for ref in refs]
    assert refs[-1].lost
    (tmp_path / "y.tar").write_bytes(data.getvalue()[3584:])
    with pytest.raises(InputError, match="no uncompressed tar") if "GNU.sparse.major" in headers else nullcontext():
        assert list(iter_images([tmp_path / "y.tar"]))[-1].lost


def test_an_empty_archive_before_another(tmp_path):
    """A tar may begin with an end mark, too."""
    empty = write_tar(tmp_path / "empty.tar", {}).read_bytes()
    assert rest_row(tmp_path, empty + shard(tmp_path / "a.tar", count=1).read_bytes()) == (["x.tar/00000.png"], "")


def test_a_cut_archive_after_a_whole_one(tmp_path):
    """The end mark of the first says nothing of the second."""
    data = shard(tmp_path / "a.tar", count=1).read_bytes() + shard(tmp_path / "b.tar", first=1).read_bytes()[:2000]
    readable, error = rest_row(tmp_path, data)
    assert readable == ["x.tar/00000.png"]
    assert ARCHIVE_CUT in error


@pytest.mark.parametrize("garbage", [b"x", b"x" * 700, b"x" * 10_240, bytes(10_240) + b"x", bytes(700) + b"x" * 5000])
def test_garbage_after_the_end_is_reported(tmp_path, garbage):
    """What follows an archive and is none may be one that was damaged: it is not ignored."""
    readable, error = rest_row(tmp_path, shard(tmp_path / "a.tar", count=2).read_bytes() + garbage)
    assert readable == ["x.tar/00000.png", "x.tar/00001.png"]
    assert ARCHIVE_CUT in error


@pytest.mark.parametrize("length", [1, 511, 512, 100_000])
def test_zeros_after_the_end_are_its_padding(tmp_path, length):
    """Tapes and tools pad with zeros to lengths of their own."""
    data = write_tar(tmp_path / "a.tar", {"a.png": png(1)}).read_bytes().rstrip(b"\0")
    whole = data + bytes(-len(data) % 512 + 512)
    assert rest_row(tmp_path, whole + bytes(length)) == (["x.tar/a.png"], "")


def test_shards_at_a_url(tmp_path):
    """fsspec URLs work like local paths: archive, folder and manifest."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/set/a.tar", shard(tmp_path / "a.tar").read_bytes())
    memory.pipe("/bucket/set/sub/z.png", png(7))
    memory.pipe("/bucket/list.csv", b"path,caption\nset/sub/z.png,seven\n")
    refs = list(iter_images(["memory://bucket/set"]))
    assert [ref.image_id for ref in refs] == ["a.tar/00000.png", "a.tar/00001.png", "a.tar/00002.png", "sub/z.png"]
    assert [read_bytes(ref.uri) for ref in refs] == [png(0), png(1), png(2), png(7)]
    listed = list(iter_images(["memory://bucket/list.csv"]))
    assert [(ref.caption, read_bytes(ref.uri)) for ref in listed] == [("seven", png(7))]
    assert [ref.image_id for ref in iter_images(["memory://bucket/set/a.tar"])] == [ref.image_id for ref in refs[:3]]


def test_a_folder_at_a_url_is_listed_by_one_request(monkeypatch):
    """What is a folder a listing says; of an empty one there is no image."""
    memory, asked = fsspec.filesystem("memory"), []
    for name in ("b.png", "a/1.png", "a/c/2.png", ".hidden/3.png", "a.b/4.png"):
        memory.pipe(f"/listed/{name}", png(1))
    memory.makedirs("/listed/empty/inner")
    kind = type(memory)
    for name in ("isdir", "ls"):
        of_all = getattr(kind, name)
        monkeypatch.setattr(kind, name, lambda self, *a, f=of_all, n=name, **k: (asked.append(n), f(self, *a, **k))[1])
    names = [file.relative for file in walk("memory://listed")]
    assert names == ["a/1.png", "a/c/2.png", "a.b/4.png", "b.png"]
    assert (asked.count("isdir"), asked.count("ls")) == (0, 6)
    assert list(walk("memory://listed/empty")) == []


def test_what_a_listing_does_not_say_is_asked_for(monkeypatch):
    """A link at a server; a name that ends in a slash is a folder's in a bucket, and that of the folder itself."""

    class Bucket:
        def ls(self, path, detail):
            below = [{"name": "b/", "type": "file"}, {"name": "b/l", "type": "link"}, {"name": "b/d/", "type": "file"}]
            return {"b": below, "b/l": [{"name": "b/l/1.png"}], "b/d": [{"name": "b/d/2.png", "type": "file"}]}[path]

        def isdir(self, path):
            return path == "b/l"

        def unstrip_protocol(self, path):
            return f"s3://{path}"

    monkeypatch.setattr(folders, "filesystem_of", lambda url: (Bucket(), "b"))
    assert [file.location for file in walk("s3://b")] == ["s3://b/d/2.png", "s3://b/l/1.png"]


def test_secrets_of_a_url_stand_in_no_error(monkeypatch):
    """Who asks, and by which signature, is nobody's business who reads a log."""

    class Closed:
        def ls(self, path, detail):
            raise PermissionError("no")

    signed = "https://user:secret@127.0.0.1:1"
    monkeypatch.setattr(folders, "filesystem_of", lambda url: (Closed(), "b"))
    for read in (
        lambda: list(iter_tar(f"{signed}/a.tar?sig=secret&se=1", "a.tar", PassedOver())),
        lambda: list(walk(f"{signed}/folder/")),
        lambda: list(walk("ftp://user:secret@host/folder")),
    ):
        with pytest.raises(InputError, match=r"127\.0\.0\.1:1/|host/folder") as raised:
            read()
        assert "secret" not in str(raised.value)
    (no_tar, why) = f"{signed}/a.tar?sig=secret&se=1", ValueError("no")
    assert "secret" not in archives._why_no_tar(no_tar, io.BytesIO(b"x"), why)


def test_an_absent_url_or_backend_is_named():
    """What cannot be reached is one line: the URL and why."""
    with pytest.raises(InputError, match="memory://nowhere/x does not exist"):
        list(iter_images(["memory://nowhere/x"]))


def test_a_file_served_over_http(tmp_path):
    """A manifest on an HTTP server, its images relative to it."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    (tmp_path / "z.png").write_bytes(png(3))
    (tmp_path / "list.csv").write_text("path,caption\nz.png,three\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/list.csv"
        store = embed([url], tmp_path / "store", load_encoder("thumbnail"))
        server.shutdown()
    assert list(store.all_columns().caption) == ["three"]
    assert store.comparable == 1


def said(tmp_path: Path, members: dict[str, bytes]) -> dict[str, tuple[str, str]]:
    """Caption and metadata of the images of a tar, by their names."""
    refs = iter_images([write_tar(tmp_path / "a.tar", members)])
    return {ref.image_id.removeprefix("a.tar/"): (ref.caption, ref.metadata) for ref in refs}


def test_each_image_of_a_key_has_its_own_caption(tmp_path: Path) -> None:
    """A key ends at the first dot, yet a.1.txt is not about a.2.png."""
    members = {f"a.{n}.{ending}": text for n in "12" for ending, text in (("png", png(int(n))), ("txt", n.encode()))}
    assert said(tmp_path, members) == {"a.1.png": ("1", ""), "a.2.png": ("2", "")}
    assert said(tmp_path, {"a.1.txt": b"1", "a.2.png": png(2), "a.1.json": b"{}"}) == {"a.2.png": ("", "")}


def test_images_of_a_key_share_what_has_no_name_of_its_own(tmp_path: Path) -> None:
    """The key's caption is for all of its images; one of a longer name is for the image that has the key's name."""
    members = {"a.png": png(1), "a.mask.png": png(2), "a.txt": b"both", "a.mask.json": b'{"m": 1}'}
    assert said(tmp_path, members) == {"a.png": ("both", '{"m": 1}'), "a.mask.png": ("both", '{"m": 1}')}
    assert said(tmp_path, {"a.png": png(1), "a.blip.txt": b"a cat"}) == {"a.png": ("a cat", "")}


def test_captions_apart_from_their_images(tmp_path: Path) -> None:
    """After all images, before them, or anywhere: the name counts."""
    images = {"x/a.png": png(1), "x/b.png": png(2)}
    texts = {"x/a.txt": b"A", "x/b.txt": b"B", "x/a.json": b'{"s": 1}', "y/b.json": b'{"s": 2}'}
    expected = {"x/a.png": ("A", '{"s": 1}'), "x/b.png": ("B", "")}
    assert said(tmp_path, images | texts) == said(tmp_path, texts | images) == expected
    mixed = {"x/b.txt": b"B", **images, "x/a.json": b'{"s": 1}', "z.png": png(3), "x/a.txt": b"A"}
    assert said(tmp_path, mixed) == {**expected, "z.png": ("", "")}


def test_a_text_that_is_too_large_is_said_to_be_left_out(tmp_path: Path) -> None:
    """It stands in the row's metadata; the rest of them stays."""
    members = {"a.png": png(1), "a.txt": bytes(1 << 21), "a.json": b'{"s": 1}'}
    caption, metadata = said(tmp_path, members)["a.png"]
    assert caption == ""
    assert json.loads(metadata) == {"s": 1, "left_out": ["a.txt is over the limit of 262,144 bytes"]}


def test_links_in_a_tar_are_what_they_lead_to(tmp_path: Path) -> None:
    """GNU tar stores a second name of a file as a hard link; symbolic ones may lead to links, and forward."""
    folder = tmp_path / "set" / "s"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(1))
    (folder / "a.txt").write_text("one")
    (folder / "b.png").hardlink_to(folder / "a.png")
    (folder / "b.txt").hardlink_to(folder / "a.txt")
    (folder / "0.png").symlink_to("b.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "out.png").symlink_to("../../secret.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(folder, "./s")
    refs = {ref.image_id.rpartition("/")[2]: ref for ref in iter_images([tmp_path / "a.tar"])}
    assert set(refs) == {"0.png", "a.png", "b.png", "loop.png", "out.png"}
    assert {refs[name].caption for name in ("a.png", "b.png")} == {"one"}
    assert {read_image(refs[name].uri) for name in ("0.png", "a.png", "b.png")} == {png(1)}
    for name in ("loop.png", "out.png"):
        with pytest.raises(OSError, match=r"a link to '.*', which is not in the archive"):
            read_image(refs[name].uri)


def test_many_images_of_one_key_are_read_in_time(tmp_path: Path) -> None:
    """Frames of a film: work that grows with their square would take minutes."""
    members = {f"film.{n:05}.{ending}": b"x" for n in range(4000) for ending in ("png", "txt")}
    shuffled = dict(sorted(members.items(), key=lambda item: item[0][::-1]))
    start = time.perf_counter()
    assert len(said(tmp_path, shuffled)) == 4000
    assert time.perf_counter() - start < 30


def test_a_changed_archive_is_looked_at_anew(tmp_path: Path) -> None:
    """What is remembered of an archive ends with it."""
    assert said(tmp_path, {"a.png": png(1), "b.png": png(2), "a.txt": b"A"})["a.png"] == ("A", "")
    assert said(tmp_path, {"a.png": png(1), "b.png": png(2), "a.txt": b"B"})["a.png"] == ("B", "")
