"""memaudit embed: what it says, what it leaves when it is stopped."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import fsspec
import pytest
from calls import Memaudit, program
from pictures import MakeFolder
from PIL import Image

from memaudit.store import Manifest, Store, verify_store

THUMBNAIL = ("--encoder", "thumbnail")


def test_it_embeds(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """A folder becomes a sound store; the result says how many images of how many."""
    called = memaudit("embed", picture_folder(5), "--out", tmp_path / "store", *THUMBNAIL)
    assert called == (0, f"5 of 5 images embedded with thumbnail into {tmp_path / 'store'}\n", "")
    assert verify_store(tmp_path / "store") == []


def test_it_keeps_features(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """Said with their size; info counts them, verify looks at every byte."""
    out = tmp_path / "store"
    called = memaudit("embed", picture_folder(3), "--out", out, *THUMBNAIL, "--features")
    assert called.code == 0
    assert "\nfeatures: of 3 images, " in called.out
    assert "features" in memaudit("info", out).out
    assert memaudit("verify", out).code == 0
    records = next((out / "features").glob("*.records"))
    records.write_bytes(records.read_bytes()[:-1] + b"x")
    changed = memaudit("verify", out)
    assert changed.code == 3
    assert "was changed, cut or removed: run memaudit embed again with --features" in changed.out


def test_too_many_unreadable_images_are_inconclusive(
    picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Above --max-unreadable the exit code is 3 and the causes can be listed; at the limit it is 0."""
    folder, out = picture_folder(82), tmp_path / "store"
    for n in range(18):
        (folder / f"broken-{n}.jpg").write_bytes(b"x")
    memaudit("embed", folder, "--out", out, *THUMBNAIL).failed(3, "18 of 100 images could not be read", "memaudit info")
    assert "not a known image format: 18" in memaudit("info", out).out
    # 0.18 is a share for which 1 - 0.18 is more than 82 / 100 in floating point
    assert memaudit("embed", folder, "--out", out, *THUMBNAIL, "--max-unreadable", "0.18").code == 0
    memaudit("embed", folder, "--out", out, *THUMBNAIL, "--max-unreadable", "0.17").failed(3)


def test_a_cut_archive_is_inconclusive(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """One row stands for an unknown number of lost images: no --max-unreadable allows for it."""
    tar, out = tmp_path / "a.tar", tmp_path / "store"
    with tarfile.open(tar, "w") as archive:
        archive.add(picture_folder(3), arcname="images")
    embed = ("embed", tar, "--out", out, *THUMBNAIL, "--max-unreadable", "1")
    assert memaudit(*embed).code == 0
    data = tar.read_bytes().rstrip(b"\0")
    tar.write_bytes(data[: len(data) - 1000])
    embed = ("embed", tar, "--out", tmp_path / "cut", *THUMBNAIL, "--max-unreadable", "1")
    memaudit(*embed).failed(3, f"archives of {tmp_path / 'cut'} end early", "an unknown number of images is missing")


def test_nothing_but_blank_images(memaudit: Memaudit, tmp_path: Path) -> None:
    """Blank images are out of scope: none could not be read, and the share of nothing is no error."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8), "white").save(tmp_path / "images" / "a.png")
    arguments = ("embed", tmp_path / "images", "--out", tmp_path / "store", *THUMBNAIL)
    said = "1 more are blank, of one colour: they are compared with nothing"
    assert memaudit(*arguments) == (0, f"0 of 0 images embedded with thumbnail into {tmp_path / 'store'}; {said}\n", "")
    assert memaudit(*arguments, "--json").json["images"] == {"measured": 0, "total": 0, "share": 0.0, "blank": 1}


def test_sources_at_urls(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """A URL reaches fsspec as it was typed, with both its slashes; the images are the same as those of the folder."""
    folder = picture_folder(3)
    for path in folder.iterdir():
        fsspec.filesystem("memory").pipe(f"/embed-command/images/{path.name}", path.read_bytes())
    assert program("embed", folder.as_uri(), "--out", tmp_path / "file", *THUMBNAIL).code == 0
    assert memaudit("embed", "memory://embed-command/images", "--out", tmp_path / "memory", *THUMBNAIL).code == 0
    memaudit("embed", "memory://embed-command/none", "--out", tmp_path / "none", *THUMBNAIL).failed(
        2, "memory://embed-command/none does not exist"
    )
    stores = [Store.open(tmp_path / name) for name in ("file", "memory")]
    assert all(store.coverage.measured == 3 for store in stores)
    contents = [shard.content_sha256 for store in stores for shard in store.manifest.shards]
    assert len(contents) == 2
    assert contents[0] == contents[1]
    assert [store.manifest.sources for store in stores] == [(folder.as_uri(),), ("memory://embed-command/images",)]


def test_wrong_input(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """An empty folder, an unknown encoder or device, --out that is a file or full of other things: one line each."""
    folder, out = picture_folder(2), tmp_path / "store"
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    embed = ("embed", folder, "--out")
    memaudit("embed", tmp_path / "empty", "--out", out, *THUMBNAIL).failed(2, "no image in")
    memaudit(*embed, out, "--encoder", "thumbnial").failed(2, "unknown encoder 'thumbnial'", "did you mean thumbnail?")
    memaudit(*embed, out, *THUMBNAIL, "--device", "tpu").failed(2, "unknown device 'tpu'")
    memaudit(*embed, tmp_path / "file", *THUMBNAIL).failed(2, str(tmp_path / "file"))
    memaudit(*embed, tmp_path / "file" / "store", *THUMBNAIL).failed(2, str(tmp_path / "file"))
    memaudit(*embed, tmp_path, *THUMBNAIL).failed(2, "not empty and holds no store")
    memaudit(*embed, folder / "store", *THUMBNAIL).failed(2, "lies inside the source")
    memaudit("embed", folder, folder, "--out", out, *THUMBNAIL).failed(2, "both called 'images'")
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("m.csv", "name\nx.png\n", "no image path; expected one of the columns path"),
        ("m.jsonl", '{"path": "a"}\n{"path" "b"}\n', "line 2: not valid JSON"),
        ("m.csv", "path,id\na,1\nb,1\n", "image_id '1' occurs twice"),
        ("m.tsv", "path\n", "no image in"),
        ("m.json", "[]", "no image in"),
        ("m.yaml", "[]", "is not an image; manifests end in .csv, .tsv, .json"),
    ],
)
def test_a_bad_manifest(memaudit: Memaudit, tmp_path: Path, name: str, text: str, words: str) -> None:
    """The line names the manifest's fault; nothing is written."""
    (tmp_path / name).write_text(text)
    memaudit("embed", tmp_path / name, "--out", tmp_path / "store", *THUMBNAIL).failed(2, words)
    assert not (tmp_path / "store").exists()


def test_changed_images_are_refused(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """A second run over other images says what to do instead of mixing them."""
    folder, out = picture_folder(3), tmp_path / "store"
    memaudit("embed", folder, "--out", out, *THUMBNAIL)
    Image.new("RGB", (8, 8), "red").save(folder / "0001.png")
    refused = memaudit("embed", folder, "--out", out, *THUMBNAIL)
    refused.failed(2, "made from another file than '0001.png' now is", "choose another --out")
    memaudit("embed", folder, "--out", out, *THUMBNAIL, "--shard-rows", "2").failed(2, "--shard-rows 8192, not 2")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere: run ./scripts/test as another user")
def test_a_folder_that_may_not_be_written(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """The operating system's reason and the path, in one line."""
    (tmp_path / "locked").mkdir(mode=0o500)
    memaudit("embed", picture_folder(2), "--out", tmp_path / "locked" / "store", *THUMBNAIL).failed(2, "locked")


def test_a_file_system_that_cannot_be_written(picture_folder: MakeFolder, memaudit: Memaudit) -> None:
    """/proc refuses even root."""
    memaudit("embed", picture_folder(2), "--out", "/proc/store", *THUMBNAIL).failed(2, "/proc/store")


def test_a_full_disk(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """One line, exit 2, no half shard; with space again the same command goes on."""
    folder, out = picture_folder(12), tmp_path / "store"
    arguments = ("embed", folder, "--out", out, *THUMBNAIL, "--shard-rows", "6")
    called = program(*arguments, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))
    called.failed(2, "shard-00000.h5 cannot be written: File too large")
    assert list(out.glob("*shard*")) == []
    assert program(*arguments).code == 0
    assert verify_store(out) == []


def heed_interrupts() -> None:
    """Whoever is started in the background by a shell inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stopped(arguments: list[str], store: Path, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """Send a signal to the command once its store has three shards."""
    command = [sys.executable, "-m", "memaudit", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_interrupts) as process:
        while process.poll() is None and len(list(store.glob("shard-*.h5"))) < 3:
            time.sleep(0.001)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.slow
def test_ctrl_c_is_exit_130_and_can_be_continued(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """One line that says how to go on, one object with --json, no traceback; the same command finishes the store."""
    store = tmp_path / "store"
    arguments = ["embed", str(picture_folder(100)), "--out", str(store), *THUMBNAIL, "--shard-rows", "1", "--json"]
    done = stopped(arguments, store, signal.SIGINT)
    assert done.returncode == 130
    assert done.stderr == "memaudit: interrupted; run the same command again to continue\n"
    assert '"kind": "Interrupted"' in done.stdout
    assert done.stdout.count("\n") == 1
    assert list(store.glob("*.tmp")) == []
    there = len(list(store.glob("shard-*.h5")))
    assert there < 100
    oldest = (store / "shard-00000.h5").stat().st_mtime_ns
    assert program(*arguments).code == 0
    assert len(Store.open(store)) == 100
    assert (store / "shard-00000.h5").stat().st_mtime_ns == oldest


@pytest.mark.slow
def test_killed_while_windows_are_made_it_leaves_no_store_that_passes_for_whole(
    picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Details were asked for: an audit without them is inconclusive, until the same command has made them."""
    folder, store, generations = picture_folder(60), tmp_path / "store", picture_folder(2, "generations", 500)
    arguments = ["embed", str(folder), "--out", str(store), *THUMBNAIL, "--fine-tiles", "--shard-rows", "9"]
    audit = ("audit", generations, "--against", store, "--out", tmp_path / "out", "--views", "none")
    assert memaudit(*arguments[:-3], *arguments[-2:]).code == 0  # the images alone
    assert memaudit(*audit).code == 0
    assert stopped(arguments, store / "tiles", signal.SIGKILL).returncode == -signal.SIGKILL
    assert Store.open(store).comparable == 60
    assert not Manifest.read(store / "details").complete
    memaudit(*audit).failed(3, "tiles is unfinished: run memaudit embed again with --tiles")
    called = memaudit("verify", store)
    assert (called.code, called.out.count(" is unfinished: ")) == (3, 2)
    shutil.rmtree(store / "tiles")
    memaudit(*audit).failed(3, "details is unfinished: run memaudit embed again with --fine-tiles")
    assert memaudit(*audit, "--match", "none").code == 0
    done = memaudit(*arguments)
    assert done.code == 0
    assert "\ntiles: 540 windows of 60 images, " in done.out
    assert "\ndetails: 6,000 windows of 60 images, " in done.out
    assert memaudit("verify", store).code == 0
    assert memaudit(*audit).code == 0


def test_details_are_promised_before_the_images_are_embedded(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """Whenever the command is killed, no finished store stands there without them."""
    store = tmp_path / "store"
    arguments = [
        "embed",
        str(picture_folder(300)),
        "--out",
        str(store),
        *THUMBNAIL,
        "--fine-tiles",
        "--shard-rows",
        "1",
    ]
    stopped(arguments, store, signal.SIGKILL)
    for folder in (store, store / "tiles", store / "details"):
        assert not Manifest.read(folder).complete


def test_windows_of_images_without_content(memaudit: Memaudit, tmp_path: Path) -> None:
    """There are none, and none are missing."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8), "white").save(tmp_path / "images" / "a.png")
    called = memaudit("embed", tmp_path / "images", "--out", tmp_path / "store", *THUMBNAIL, "--tiles", "--json")
    assert called.json["tiles"] == {"images": 0, "windows": 0, "blank": 0, "unreadable": 0}
    assert memaudit("verify", tmp_path / "store").code == 0


def test_info_counts_windows(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    store = tmp_path / "store"
    memaudit("embed", picture_folder(2), "--out", store, *THUMBNAIL, "--tiles")
    value = memaudit("info", store, "--json").json
    assert value["tiles"] == {"images": 2, "windows": 18, "blank": 0, "unreadable": 0}
    assert "details" not in value
    tiles = memaudit("info", store / "tiles", "--json").json
    assert tiles["holds"] == f"views of each image of the store with the digest {value['digest']}"
    assert len(tiles["views"]) == 9
    assert "sources" not in tiles
    (store / "tiles" / "store.json").unlink()
    assert "tiles is unfinished" in memaudit("info", store).out


@pytest.mark.slow
def test_two_runs_at_once(picture_folder: MakeFolder, tmp_path: Path) -> None:
    """The second is refused in one line; the first goes on."""
    store = tmp_path / "store"
    arguments = ["embed", str(picture_folder(80)), "--out", str(store), *THUMBNAIL, "--shard-rows", "1"]
    with subprocess.Popen([sys.executable, "-m", "memaudit", *arguments], stdout=subprocess.DEVNULL) as first:
        while first.poll() is None and not (store / "shard-00000.h5").exists():
            time.sleep(0.001)
        first.send_signal(signal.SIGSTOP)
        try:
            program(*arguments).failed(2, "is being written by another process")
        finally:
            first.send_signal(signal.SIGCONT)
        assert first.wait() == 0
    assert verify_store(store) == []
