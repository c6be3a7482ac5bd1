"""Sources: every image is listed once, in a stable order, under a stable name."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.errors import UsageError
from memaudit.images.image_ref import ImageRef
from memaudit.images.sources import iter_images, read_image


def ids(*sources: Path) -> list[str]:
    return [ref.image_id for ref in iter_images(sources)]


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode(errors="surrogateescape"))
    return folder


def manifest(folder: Path, name: str, text: str) -> list[ImageRef]:
    (folder / name).write_bytes(text.encode())
    return list(iter_images([folder / name]))


def test_a_folder_is_listed_deeply_and_in_path_order(tmp_path: Path) -> None:
    """Order is by name at each level, whatever the order of creation; ids are relative paths."""
    touch(tmp_path, "c.png", "b/2.png", "b/1.png", "a.png", "b/a/z.png", "B.png")
    assert ids(tmp_path) == ["B.png", "a.png", "b/1.png", "b/2.png", "b/a/z.png", "c.png"]


def test_ids_do_not_depend_on_where_the_folder_is(tmp_path: Path) -> None:
    """The same files under another path, or named relatively, get the same ids, and uris that can be opened."""
    one, two = touch(tmp_path / "one", "a/x.png", "y.png"), touch(tmp_path / "two", "a/x.png", "y.png")
    assert ids(one) == ids(two) == ids(one / "a" / "..")
    assert [Path(ref.uri).read_bytes() for ref in iter_images([one])] == [b"a/x.png", b"y.png"]
    assert all(os.path.isabs(ref.uri) for ref in iter_images([os.path.relpath(one)]))


def test_hidden_files_and_companions_are_left_out(tmp_path: Path) -> None:
    """Captions and tables beside the images are no images; what a system hides stays hidden."""
    touch(tmp_path, "a.jpg", "a.txt", "a.JSON", ".DS_Store", ".cache/b.jpg", "run.log")
    pq.write_table(pa.table({"key": ["a"], "clip_score": [0.3]}), tmp_path / "meta.parquet")
    assert ids(tmp_path) == ["a.jpg"]


def test_an_unknown_file_counts_as_an_image(tmp_path: Path) -> None:
    """What cannot be decoded must lower the coverage, so it is listed: no suffix, or one never heard of."""
    touch(tmp_path, "IMG_1", "b.heif2", "c.jpg")
    assert ids(tmp_path) == ["IMG_1", "b.heif2", "c.jpg"]


def test_a_single_image_is_a_source(tmp_path: Path) -> None:
    """Its id is its file name."""
    touch(tmp_path, "a/x.png")
    assert ids(tmp_path / "a" / "x.png") == ["x.png"]


@pytest.mark.parametrize(
    "name", ["with space.png", "umläut-日本.png", "tab\t.png", "-rf.png", "%41.png", "back\\slash.png"]
)
def test_odd_names_are_kept(tmp_path: Path, name: str) -> None:
    """The id is the name, character by character."""
    touch(tmp_path, name)
    (ref,) = iter_images([tmp_path])
    assert ref.image_id == name
    assert Path(ref.uri).read_bytes() == name.encode()


@pytest.mark.parametrize("name", ["new\nline.png", "c\rr.png", "next\x85.png", "sep\u2028.png"])
def test_an_image_id_is_one_line(tmp_path: Path, name: str) -> None:
    """Lists of image_ids have one a line: a line break in a name is escaped; the uri still leads to the file."""
    touch(tmp_path, name)
    (ref,) = iter_images([tmp_path])
    assert ref.image_id == name.encode("unicode_escape").decode()
    assert Path(ref.uri).read_bytes() == name.encode()


def test_a_name_that_is_not_utf8_is_escaped_and_can_be_opened(tmp_path: Path) -> None:
    """The id can be printed and stored; the uri still leads to the file."""
    with open(os.fsencode(tmp_path) + b"/\xff\xfe.png", "wb") as file:
        file.write(b"content")
    (ref,) = iter_images([tmp_path])
    assert ref.image_id == r"\udcff\udcfe.png"
    assert Path(ref.uri).read_bytes() == b"content"


def test_links_to_folders_above_end(tmp_path: Path) -> None:
    """Loops of symbolic links are not walked: every image once, under the name that no link gives it."""
    touch(tmp_path, "a/x.png", "b/y.png")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "b" / "across").symlink_to("../a")
    assert ids(tmp_path) == ["a/x.png", "b/y.png"]


def test_folders_that_link_to_each_other(tmp_path: Path) -> None:
    """Six folders, each with a link to each: 13,699 paths, six images. So it is behind a link that leads out."""
    for here in "abcdef":
        touch(tmp_path, f"set/{here}/x.png")
        for there in "abcdef":
            (tmp_path / "set" / here / f"to-{there}").symlink_to(f"../{there}")
    assert ids(tmp_path / "set") == [f"{name}/x.png" for name in "abcdef"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1").symlink_to(tmp_path / "set" / "c")
    (tmp_path / "other" / "2").symlink_to(tmp_path / "set")
    (tmp_path / "other" / "3").symlink_to(tmp_path / "set")
    found = ids(tmp_path / "other")
    assert len(found) == len({(tmp_path / "other" / name).resolve() for name in found}) == 6


def test_links_that_double_at_each_step(tmp_path: Path) -> None:
    """2 to the power of 24 paths to one image end, and give one row."""
    for step in range(24):
        (tmp_path / f"{step:02}").mkdir()
        for name in "ab":
            (tmp_path / f"{step:02}" / name).symlink_to(f"../{step + 1:02}")
    touch(tmp_path, "24/x.png")
    assert ids(tmp_path) == ["24/x.png"]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "l").symlink_to(tmp_path / "00")
    assert len(ids(tmp_path / "out")) == 1


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    """A dataset that is put together from links is not empty."""
    touch(tmp_path / "elsewhere", "x.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "part").symlink_to(tmp_path / "elsewhere")
    assert ids(tmp_path / "set") == ["part/x.png"]


def test_folders_deeper_than_the_interpreters_stack(tmp_path: Path) -> None:
    """Depth is no limit."""
    here = os.getcwd()
    try:
        os.chdir(tmp_path)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        Path("x.png").write_bytes(b"")
        os.chdir(tmp_path)
        assert len(ids(Path("d"))) == 1
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # pytest's own clean-up would recurse


def test_no_source_is_a_usage_error() -> None:
    """An empty list is never an empty data set."""
    with pytest.raises(UsageError, match="no source"):
        ids()


def test_several_sources_are_told_apart(tmp_path: Path) -> None:
    """Equal names in two sources stay two images, in the order of the sources."""
    touch(tmp_path, "b/1.png", "a/1.png")
    assert ids(tmp_path / "b", tmp_path / "a") == ["b/1.png", "a/1.png"]


def test_the_current_folder_has_a_name_among_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`.` is prefixed by what it is called."""
    touch(tmp_path, "a/1.png", "b/1.png")
    monkeypatch.chdir(tmp_path / "a")
    assert ids(Path("."), Path("../b")) == ["a/1.png", "b/1.png"]


def test_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their ids would clash; the message says what to do."""
    touch(tmp_path, "x/images/1.png", "y/images/2.png")
    with pytest.raises(UsageError, match=r"both called 'images'.*rename one"):
        ids(tmp_path / "x" / "images", tmp_path / "y" / "images")


def test_csv_with_ids_and_captions(tmp_path: Path) -> None:
    """Columns are found by name; paths are relative to the manifest; a byte order mark does not matter."""
    refs = manifest(tmp_path, "m.csv", '\ufeffcaption,id,path\r\n"a ""red"" one, wide",007,sub/x.png\r\n')
    assert refs == [ImageRef("007", str(tmp_path / "sub" / "x.png"), 'a "red" one, wide')]


def test_tsv_without_ids(tmp_path: Path) -> None:
    """Without an id column the path as written is the id."""
    refs = manifest(tmp_path, "m.tsv", "filename\ttext\na, b.png\thello\n/abs/c.png\t\n")
    assert refs == [ImageRef("a, b.png", str(tmp_path / "a, b.png"), "hello"), ImageRef("/abs/c.png", "/abs/c.png", "")]


def test_json_lines(tmp_path: Path) -> None:
    """Numbers become text, blank lines do not count, a byte order mark does not matter."""
    refs = manifest(tmp_path, "m.jsonl", '\ufeff{"image": "x.png", "image_id": 0, "prompt": "p"}\n\n{"uri": "y.png"}\n')
    assert refs == [ImageRef("0", str(tmp_path / "x.png"), "p"), ImageRef("y.png", str(tmp_path / "y.png"), "")]


def write_jsonl(path: Path, rows: Sequence[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def one_line(text: str) -> str:
    return "".join(c.encode("unicode_escape").decode() if c.splitlines() == [""] else c for c in text)


@given(rows=st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=8))
def test_any_text_survives_a_manifest(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    """Ids and captions of any characters come through in order, as text that UTF-8 columns can hold."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    write_jsonl(path, [{"path": "x.png", "id": name, "caption": caption} for name, caption in rows])
    refs = list(iter_images([path]))
    assert [(ref.image_id, ref.caption) for ref in refs] == [
        (one_line(name.replace("\0", "\\0")), caption.replace("\0", "\\0")) for name, caption in rows
    ]
    assert all((ref.image_id + ref.caption).encode() for ref in refs if ref.image_id)


def test_files_go_by_the_name_that_they_were_given(tmp_path: Path) -> None:
    """Caches of downloads hold files under their hashes, and links to them: what a name says would be lost."""
    blobs, shown = touch(tmp_path / "blobs", "b"), tmp_path / "shown"
    shown.mkdir()
    table = pa.table({"image": [b"\x89PNG one", b"\x89PNG two"]})
    pq.write_table(table, blobs / "a")
    (shown / "train.parquet").symlink_to("../blobs/a")
    (shown / "1.png").symlink_to("../blobs/b")
    (tmp_path / "set").symlink_to("shown")
    rows = list(iter_images([tmp_path / "set" / "train.parquet"]))
    assert [read_image(ref.uri) for ref in rows] == [b"\x89PNG one", b"\x89PNG two"]
    (listed,) = manifest(shown, "list.csv", "path\n../set/1.png\n")
    (alone,) = iter_images([tmp_path / "set" / "1.png"])
    assert listed.uri == alone.uri == str(shown.resolve() / "1.png")
