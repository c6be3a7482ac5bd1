"""Embedding: every image gets its row, and a killed run continues to the very same store."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import MakeFolder, MakeStore, draw, write_pictures
from PIL import Image

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.encoders.thumbnail import ThumbnailEncoder
from memaudit.errors import EmptyInputError, InconclusiveError, InputError, UsageError
from memaudit.images import reading
from memaudit.store import NO_FILE, Store, verify_store
from memaudit.types import EncoderSpec, Float32

ENCODER = load_encoder("thumbnail")
SHARDS_OF_4 = EmbedOptions(shard_rows=4, workers=2)


def files_of(store: Path) -> dict[str, str]:
    """sha256 of every file of a store but the lock."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in store.iterdir() if path.name != ".lock"
    }


def error_of(store: Store, image_id: str) -> str:
    columns = store.all_columns()
    return str(columns.error[columns.image_id.tolist().index(image_id)])


# --- every image gets its row ---------------------------------------------------------------------------------------


def test_every_image_has_a_row_in_order(picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """Good, blank and broken images, in the order of the source, each with its sha256 and its size."""
    folder = picture_folder(5)
    Image.new("RGB", (30, 20), "white").save(folder / "0001b.png")
    (folder / "0002b.png").write_bytes(b"not an image")
    (folder / "0003b.png").symlink_to("nowhere")
    (folder / "0003c.png").write_bytes(b"")
    store = make_store(folder)
    columns = store.all_columns()
    names = sorted(path.name for path in folder.iterdir())
    assert columns.image_id.tolist() == names
    assert columns.status.tolist() == [
        *("ok", "ok", "blank", "ok", "unreadable", "ok", "unreadable", "unreadable", "ok"),
    ]
    assert columns.error.tolist()[4::2] == [
        "not a known image format",
        "cannot read file: No such file or directory",
        "",
    ]
    assert error_of(store, "0003c.png") == "empty file"
    hashes = [
        hashlib.sha256((folder / n).read_bytes()).hexdigest() if (folder / n).exists() else NO_FILE for n in names
    ]
    assert columns.sha256.tolist() == hashes
    assert (columns.width[2], columns.height[2]) == (30, 20)
    assert (store.coverage.measured, store.coverage.total) == (5, 8)
    assert verify_store(store.folder) == []


def test_the_embedding_is_the_encoders(picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """What the store holds is what the encoder makes of each image, to float16."""
    store = make_store(picture_folder(6))
    expected = ENCODER.encode(np.stack([ENCODER.preprocess(draw(seed)) for seed in range(6)]))
    assert np.abs(store.embeddings(np.arange(6)) - expected).max() < 1e-3


@pytest.mark.parametrize("options", [EmbedOptions(1, 1, 4), EmbedOptions(3, 2, 4), EmbedOptions(64, 5, 4)])
def test_batches_and_workers_do_not_change_the_store(
    picture_folder: MakeFolder, tmp_path: Path, options: EmbedOptions
) -> None:
    """Bit by bit the same files."""
    folder = picture_folder(18)
    (folder / "0007.png").write_bytes(b"broken")
    embed([folder], tmp_path / "a", ENCODER, SHARDS_OF_4)
    embed([folder], tmp_path / "b", ENCODER, options)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_nothing_to_embed_is_an_error(tmp_path: Path) -> None:
    """An empty folder is never an empty store; nothing is written."""
    (tmp_path / "images").mkdir()
    with pytest.raises(EmptyInputError, match=r"no image in .*images: nothing to embed"):
        embed([tmp_path / "images"], tmp_path / "store", ENCODER)
    assert not (tmp_path / "store").exists()


def test_repeated_ids_are_refused(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Two images of one id would be one image in every result."""
    picture_folder(2)
    (tmp_path / "m.csv").write_text("path,id\nimages/0000.png,a\nimages/0001.png,b\nimages/0000.png,a\n")
    with pytest.raises(InputError, match="image_id 'a' occurs twice"):
        embed([tmp_path / "m.csv"], tmp_path / "store", ENCODER)


def test_a_store_inside_its_source_is_refused(picture_folder: MakeFolder) -> None:
    """Its own files would be taken for images by the next run."""
    folder = picture_folder(2)
    for out in (folder / "out", folder):
        with pytest.raises(UsageError, match="lies inside the source"):
            embed([folder], out, ENCODER)
    assert sorted(path.name for path in folder.iterdir()) == ["0000.png", "0001.png"]


def test_what_never_ends_is_not_read(picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """A pipe, a device and a folder that a manifest names are unreadable rows; the run does not hang."""
    folder = picture_folder(1)
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder.parent / "m.csv").write_text("path\nimages/0000.png\nimages/pipe.png\nimages/zero.png\nimages\n")
    store = make_store(folder.parent / "m.csv")
    assert store.all_columns().status.tolist() == ["ok", "unreadable", "unreadable", "unreadable"]
    assert error_of(store, "images/pipe.png") == "cannot read file: not a regular file"
    assert len(make_store(folder.parent / "m.csv")) == 4


def test_a_file_too_large_is_not_loaded(
    picture_folder: MakeFolder, make_store: MakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A film in the folder is an unreadable row, not held in memory, and the store can be continued."""
    folder = picture_folder(2)
    monkeypatch.setattr(reading, "MAX_BYTES", 100_000)
    (folder / "film.mp4").write_bytes(bytes(100_001))
    store = make_store(folder)
    assert error_of(store, "film.mp4") == "cannot read file: file over the limit of 100,000 bytes"
    before = files_of(store.folder)
    assert files_of(make_store(folder).folder) == before


def test_odd_file_names_reach_the_store_and_back(picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """Spaces, newlines and bytes that are no UTF-8: unique ids, and uris that still lead to the files."""
    folder = picture_folder(1)
    good = (folder / "0000.png").read_bytes()
    for name in (b"sp ace.png", b"new\nline.png", b"\xff\xfe.png", "日本.png".encode()):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(good)
    columns = make_store(folder).all_columns()
    assert set(columns.image_id) == {"0000.png", "sp ace.png", r"new\nline.png", r"\udcff\udcfe.png", "日本.png"}
    assert all(Path(uri).read_bytes() == good for uri in columns.uri)


@dataclass(frozen=True)
class FaultyEncoder(ThumbnailEncoder):
    """Gives NaN for the pictures of the chosen seeds."""

    def encode(self, batch: NDArray[Any]) -> Float32:
        rows = super().encode(batch)
        rows[(batch == ENCODER.preprocess(draw(1))).all(axis=(1, 2, 3))] = np.nan
        return rows


def test_a_table_that_a_manifest_names_a_row_of_and_nobody_can_read(tmp_path: Path) -> None:
    """An unreadable row that says why, as a file is, whatever bytes its name has; and each run goes on from there."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/d\xff"))
    folder.mkdir()
    draw(1).save(folder / "a.png")
    (folder / "t.parquet").write_bytes(b"damaged")
    (folder / "list.csv").write_text("path\na.png\nt.parquet#row=5\ngone.parquet#row=5\n")
    store = embed([folder / "list.csv"], tmp_path / "store", ENCODER)
    assert store.all_columns().status.tolist() == ["ok", "unreadable", "unreadable"]
    assert "t.parquet cannot be read" in error_of(store, "t.parquet#row=5")
    assert "\\udcff" in error_of(store, "gone.parquet#row=5")
    assert embed([folder / "list.csv"], tmp_path / "store", ENCODER).digest == store.digest


def test_an_embedding_that_is_none_lowers_the_coverage(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """An encoder that fails on one image makes it unreadable; a row of NaN, similar to nothing, is never stored."""
    store = embed([picture_folder(3)], tmp_path / "store", FaultyEncoder())
    assert store.all_columns().status.tolist() == ["ok", "unreadable", "ok"]
    assert "no unit vector" in error_of(store, "0001.png")


@dataclass(frozen=True)
class CountingEncoder(ThumbnailEncoder):
    """Records how many images had been prepared before each batch, beyond those encoded."""

    prepared: list[int] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)

    def preprocess(self, image: Image.Image) -> NDArray[np.uint8]:
        self.prepared.append(1)
        return super().preprocess(image)

    def encode(self, batch: NDArray[Any]) -> Float32:
        time.sleep(0.02)  # the threads would run far ahead now, if they could
        self.waiting.append(len(self.prepared) - len(self.encoded))
        self.encoded.extend([1] * len(batch))
        return super().encode(batch)


def test_prefetching_is_bounded(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """However slow the encoder, only a window of decoded images waits for it: memory does not grow with the set."""
    encoder = CountingEncoder()
    embed([picture_folder(120)], tmp_path / "store", encoder, EmbedOptions(batch_size=4, workers=2))
    assert len(encoder.encoded) == 120
    assert max(encoder.waiting) <= 4 * 2 + 4 + 2 * 4 < 120 / 2


def test_progress_counts_every_image(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Stages count up to the total, on resume as well."""
    calls: list[tuple[str, int, int]] = []
    folder = picture_folder(10)
    for _ in range(2):
        embed([folder], tmp_path / "store", ENCODER, SHARDS_OF_4, progress=lambda *call: calls.append(call))
    assert [call for call in calls if call[1] == call[2]] == [("embedding", 10, 10), ("checking what is there", 10, 10)]
    assert all(total == 10 and 0 < done <= 10 for _, done, total in calls)


# --- what is there already ------------------------------------------------------------------------------------------


@pytest.fixture
def finished(picture_folder: MakeFolder, tmp_path: Path) -> Path:
    """A finished store of ten pictures in shards of four; the pictures are beside it."""
    return embed([picture_folder(10)], tmp_path / "store", ENCODER, SHARDS_OF_4).folder


def again(store: Path, **options: bool) -> Store:
    return embed([store.parent / "images"], store, ENCODER, SHARDS_OF_4, **options)


def test_nothing_to_do_changes_nothing(finished: Path) -> None:
    """A second run is a check: no file changes."""
    before = files_of(finished)
    times = {path.name: path.stat().st_mtime_ns for path in finished.glob("*.h5")}
    again(finished)
    assert files_of(finished) == before
    assert {path.name: path.stat().st_mtime_ns for path in finished.glob("*.h5")} == times


def changes(images: Path) -> dict[str, Any]:
    return {
        "replaced by another of the same name": lambda: (
            write_pictures(images.parent / "other", [99]).joinpath("0099.png").replace(images / "0005.png")
        ),
        "broken": lambda: (images / "0005.png").write_bytes(b"x"),
        "added in the middle": lambda: draw(77).save(images / "0004b.png"),
        "added at the end": lambda: draw(77).save(images / "0099.png"),
        "removed": lambda: (images / "0005.png").unlink(),
        "last removed": lambda: (images / "0009.png").unlink(),
        "last shard removed": lambda: [(images / f"000{n}.png").unlink() for n in (8, 9)],
        "renamed": lambda: (images / "0005.png").rename(images / "0005x.png"),
    }


CHANGES = list(changes(Path()))
REFUSED = {
    "replaced by another of the same name": "was made from another file than '0005.png' now is",
    "broken": "was made from another file than '0005.png' now is",
    "removed": r"holds 1 images that are not in the sources \(the first is '0005.png'\)",
    "last removed": r"holds 1 images that are not in the sources \(the first is '0009.png'\)",
    "last shard removed": r"holds 2 images that are not in the sources \(the first is '0008.png'\)",
    "renamed": r"holds 1 images that are not in the sources \(the first is '0005.png'\)",
}


@pytest.mark.parametrize("change", REFUSED)
def test_changed_sources_are_refused(finished: Path, change: str) -> None:
    """A store never mixes two states of its sources: the error names the first image that differs, nothing is lost."""
    before = files_of(finished)
    changes(finished.parent / "images")[change]()
    with pytest.raises(InputError, match=REFUSED[change]):
        again(finished)
    assert files_of(finished) == before
    assert verify_store(finished) == []


@pytest.mark.parametrize("change", sorted(set(CHANGES) - set(REFUSED)))
def test_new_images_become_new_shards(finished: Path, change: str) -> None:
    """Wherever they stand in the folder: the shards that are there stay as they are."""
    before = files_of(finished)
    changes(finished.parent / "images")[change]()
    store = again(finished)
    assert [shard.rows for shard in store.manifest.shards] == [4, 4, 2, 1]
    assert {name: files_of(finished)[name] for name in before if name != "store.json"}.items() <= before.items()
    assert store.all_columns().image_id[-1] == ("0004b.png" if "middle" in change else "0099.png")
    assert verify_store(finished) == []


@pytest.mark.parametrize("change", CHANGES)
def test_changed_sources_replace_what_is_stale(finished: Path, tmp_path: Path, change: str) -> None:
    """With replace_changed the store becomes that of the sources as they are: the same as one made anew."""
    changes(finished.parent / "images")[change]()
    again(finished, replace_changed=True)
    embed([finished.parent / "images"], tmp_path / "fresh", ENCODER, SHARDS_OF_4)
    assert files_of(finished) == files_of(tmp_path / "fresh")


def test_same_size_and_time_do_not_hide_a_change(finished: Path) -> None:
    """Files are told apart by their bytes, not by what the file system says of them."""
    path = finished.parent / "images" / "0002.png"
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match=r"another file than '0002.png'"):
        again(finished)


def test_an_unreadable_file_that_was_repaired_is_a_change(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """A row that could not be measured does not stay so when the file has come back."""
    folder = picture_folder(3)
    (folder / "0001.png").rename(tmp_path / "kept.png")
    (folder / "0001.png").symlink_to(tmp_path / "absent.png")
    store = embed([folder], tmp_path / "store", ENCODER)
    assert store.coverage.measured == 2
    (tmp_path / "kept.png").rename(tmp_path / "absent.png")
    with pytest.raises(InputError, match=r"'0001.png' could not be read when .* and now can: --replace-changed"):
        embed([folder], tmp_path / "store", ENCODER)
    assert embed([folder], tmp_path / "store", ENCODER, replace_changed=True).coverage.measured == 3


@pytest.mark.parametrize("fault", ["missing", "cut"])
def test_a_lost_shard_is_made_again(finished: Path, fault: str) -> None:
    """replace_changed brings back a shard that is missing or cut; without it the run is refused."""
    before = files_of(finished)
    shard = finished / "shard-00001.h5"
    shard.unlink() if fault == "missing" else shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(InconclusiveError, match=r"shard-00001.h5 (is missing|has \d+ bytes)"):
        again(finished)
    again(finished, replace_changed=True)
    assert files_of(finished) == before


def test_another_source_of_the_same_images_is_recorded(finished: Path) -> None:
    """The provenance names the sources of the last run."""
    shutil.copytree(finished.parent / "images", finished.parent / "copied")
    store = embed([finished.parent / "copied"], finished, ENCODER, SHARDS_OF_4)
    assert store.manifest.sources == (str(finished.parent / "copied"),)


def test_a_store_of_another_encoder_is_refused(finished: Path) -> None:
    """Before anything is written."""

    other = ThumbnailEncoder(EncoderSpec("other", "", "none", 432, 0.9))
    before = files_of(finished)
    with pytest.raises(InputError, match="was begun with encoder thumbnail"):
        embed([finished.parent / "images"], finished, other, SHARDS_OF_4, replace_changed=True)
    assert files_of(finished) == before


# --- killed at any moment -------------------------------------------------------------------------------------------


def run_until(images: Path, store: Path, event: int, *, append: bool = False) -> int:
    """Embed in a process that kills itself at its n-th opening, renaming or removing of a file of the store.

    Returns its exit code; at its end it writes the number of those events into `events`, beside the store.
    """
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    count, code = 0, 1

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if name in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(str(store)):
            count += 1
            if count == event:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(hook)
        embed([images], store, ENCODER, SHARDS_OF_4, append=append)
        (store.parent / "events").write_text(str(count))
        code = 0
    finally:
        os._exit(code)


def test_killed_at_any_step_it_continues_to_the_same_store(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Between and during the writes of shards and manifest: the store left behind does not open as finished unless it
    is, and the next run makes the store of an uninterrupted one, bit by bit, with nothing left over."""
    images = picture_folder(10)
    assert run_until(images, tmp_path / "whole", 0) == 0
    events = int((tmp_path / "events").read_text())
    expected = files_of(tmp_path / "whole")
    assert events > 20
    for event in sorted(random.sample(range(1, events + 1), 20)):
        store = tmp_path / f"killed-{event}"
        assert run_until(images, store, event) == -signal.SIGKILL
        if "store.json" in files_of(store) and files_of(store) != expected:
            assert verify_store(store) != [] or Store.open(store)
            assert_unfinished_or_whole(store, 10)
        embed([images], store, ENCODER, SHARDS_OF_4)
        assert files_of(store) == expected, f"killed at event {event} of {events}"


def assert_unfinished_or_whole(store: Path, rows: int) -> None:
    try:
        assert len(Store.open(store)) == rows
    except InconclusiveError as error:
        assert "unfinished" in str(error)  # noqa: PT017 - both outcomes are right


@pytest.mark.parametrize("append", [False, True])
def test_killed_while_a_finished_store_grows(picture_folder: MakeFolder, tmp_path: Path, append: bool) -> None:
    """A finished store to which images are added is never taken for finished with only some of them; run again, it
    becomes the store of an undisturbed run."""
    images = picture_folder(6)
    embed([images], tmp_path / "grown", ENCODER, SHARDS_OF_4)
    shutil.copytree(tmp_path / "grown", tmp_path / "undisturbed")
    added = write_pictures(tmp_path / "more" if append else images, range(8, 20))
    assert run_until(added, tmp_path / "undisturbed", 0, append=append) == 0
    events = int((tmp_path / "events").read_text())
    for event in (events // 2, events // 3):  # the first third only checks what is there; so does a run that goes on
        assert run_until(added, tmp_path / "grown", event, append=append) == -signal.SIGKILL
        with pytest.raises(InconclusiveError, match="unfinished"):
            Store.open(tmp_path / "grown")
    embed([added], tmp_path / "grown", ENCODER, SHARDS_OF_4, append=append)
    assert [shard.rows for shard in Store.open(tmp_path / "grown").manifest.shards] == [4, 2, 4, 4, 4]
    assert files_of(tmp_path / "grown") == files_of(tmp_path / "undisturbed")


def test_killed_at_random_times_the_command_continues(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The command itself, killed again and again: each run goes on from the last, and the end is the same."""
    images, store = picture_folder(160), tmp_path / "store"
    command = [sys.executable, "-m", "memaudit", "embed", str(images), "--encoder", "thumbnail", "--shard-rows", "2"]
    for _ in range(5):
        there = len(list(store.glob("shard-*.h5")))
        with subprocess.Popen([*command, "--out", str(store)], stderr=subprocess.PIPE) as process:
            while process.poll() is None and len(list(store.glob("shard-*.h5"))) < there + 3:
                time.sleep(0.001)
            time.sleep(random.uniform(0, 0.03))
            process.kill()
        assert_unfinished_or_whole(store, 160)
    done = subprocess.run([*command, "--out", str(store)], capture_output=True, text=True, check=True)
    assert "160 of 160 images embedded" in done.stdout
    assert verify_store(store) == []
    embed([images], tmp_path / "whole", ENCODER, EmbedOptions(shard_rows=2))
    assert files_of(store) == files_of(tmp_path / "whole")
