"""memaudit audit: what cannot be measured is inconclusive, and no earlier report passes for this run's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest
from calls import Called, Memaudit, program
from manifests import edit_manifest
from pictures import MakeFolder, MakeStore, altered, draw, write_pictures

from memaudit.report.document import read_report
from memaudit.store import Store


@pytest.fixture
def train(picture_folder: MakeFolder, make_store: MakeStore) -> Path:
    """A training set of 20 pictures in shards of eight."""
    return make_store(picture_folder(20, name="train"), name="train-store").folder


@pytest.fixture
def generations(picture_folder: MakeFolder) -> Path:
    """Six pictures that are in no training set, and an altered copy of training picture 3."""
    folder = picture_folder(6, name="generations", first_seed=500)
    altered(draw(3)).save(folder / "copy.png")
    return folder


def clean_report(out: Path) -> None:
    """What an earlier, clean run left in `out`."""
    out.mkdir(exist_ok=True)
    (out / "report.json").write_text('{"earlier": true}')
    (out / "report.html").write_text("earlier")
    (out / ".memaudit-run").write_text("audit\n")


def inconclusive(called: Called, out: Path, *words: str) -> dict[str, Any]:
    """Assert exit 3 and a sound report that says conclusive: false, and return it."""
    called.failed(3, *words)
    report = read_report(out / "report.json").content
    assert report["results"]["conclusive"] is False
    for word in words:
        assert word in report["results"]["headline"]
    return report


def test_a_copy_is_found(memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path) -> None:
    """The finding names both images; measuring is exit 0 whatever was found, judging is the gate's."""
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out")
    assert called.code == 0
    assert "1 of 7 generations is a near-duplicate of a training image (" in called.out
    report = read_report(tmp_path / "out" / "report.json").content
    assert [(f["query_id"], f["reference_id"]) for f in report["findings"]] == [("copy.png", "0003.png")]
    assert memaudit("gate", tmp_path / "out" / "report.json").code == 1


def test_a_store_and_a_folder_of_generations_give_the_same(
    memaudit: Memaudit, make_store: MakeStore, train: Path, generations: Path, tmp_path: Path
) -> None:
    """What was embedded before need not be embedded again, also through an index."""
    store = make_store(generations, name="generations-store").folder
    memaudit("index", train, "--out", tmp_path / "index")
    results = []
    for number, (queries, against) in enumerate([(generations, train), (store, train), (store, tmp_path / "index")]):
        called = memaudit("audit", queries, "--against", against, "--out", tmp_path / str(number), "--json")
        assert called.code == 0
        results.append(called.json["findings"])
    assert results[0] == results[1] == results[2]


def test_no_generations_are_not_a_clean_model(memaudit: Memaudit, train: Path, tmp_path: Path) -> None:
    """An empty folder is exit 3; the report says so, and the gate does not pass it."""
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    clean_report(out)
    called = memaudit("audit", tmp_path / "empty", "--against", train, "--out", out)
    report = inconclusive(called, out, "no image in")
    assert report["coverage"]["measured"] == 0
    assert all("earlier" not in page.read_text() for page in out.glob("report.html"))
    assert memaudit("gate", out / "report.json").code == 3


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_a_missing_shard_of_the_training_set(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path, json_flag: list[str]
) -> None:
    """What lies in the lost shard would never be matched: exit 3, and the shard is named."""
    clean_report(tmp_path / "out")
    (train / "shard-00001.h5").unlink()
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out", *json_flag)
    inconclusive(called, tmp_path / "out", "shard-00001.h5 is missing")
    if json_flag:
        assert called.json["exit_code"] == 3


def test_a_damaged_training_set(memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path) -> None:
    """A flipped bit in an embedding is exit 3 as well, in a store and in a store of generations."""
    path = train / "shard-00002.h5"
    with h5py.File(path) as file:
        offset = file["embeddings"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)
    clean_report(tmp_path / "out")
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out")
    inconclusive(called, tmp_path / "out", "shard-00002.h5 was changed, or is another one")


def test_an_unfinished_training_set(memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path) -> None:
    """Half a training set cannot acquit."""
    edit_manifest(train, lambda manifest: manifest.update(complete=False))
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out")
    inconclusive(called, tmp_path / "out", "unfinished")


def test_another_encoder(
    memaudit: Memaudit, make_store: MakeStore, train: Path, generations: Path, tmp_path: Path
) -> None:
    """Embeddings of two encoders are not compared: exit 3, whether one is given by name or as a store."""
    queries = make_store(generations, name="generations-store").folder
    edit_manifest(queries, lambda manifest: manifest["encoder"].update(weights_sha256="ab" * 32))
    called = memaudit("audit", queries, "--against", train, "--out", tmp_path / "out")
    inconclusive(called, tmp_path / "out", "different encoders")
    called = memaudit("audit", generations, "--against", queries, "--out", tmp_path / "out2")
    inconclusive(called, tmp_path / "out2", "use the same encoder")


def test_one_broken_image(memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path) -> None:
    """It lowers the coverage: exit 3 above --max-unreadable, named as what was not measured; allowed it is exit 0."""
    (generations / "broken.png").write_bytes(b"x")
    audit = ("audit", generations, "--against", train, "--out", tmp_path / "out")
    called = memaudit(*audit)
    assert called.code == 3
    report = read_report(tmp_path / "out" / "report.json").content
    assert report["results"]["conclusive"] is False
    assert report["coverage"] == {"measured": 7, "total": 8, "share": 7 / 8}
    assert "Found all the same: 1 near-duplicate." in called.out
    assert memaudit(*audit, "--max-unreadable", "0.125").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold", "0"], "threshold 0 is out of range"),
        (["--threshold", "1.5"], "threshold 1.5 is out of range"),
        (["--threshold", "-1"], "threshold -1 is out of range"),
        (["--threshold", "nan"], "threshold nan is out of range"),
        (["--encoder", "nosuch"], "unknown encoder 'nosuch'"),
        (["--pairing", "absent.csv"], "absent.csv"),
        (["--control", "absent"], "absent does not exist"),
    ],
)
def test_wrong_options_leave_no_report(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """Exit 2, before anything is embedded where it can be known; the earlier report is gone."""
    clean_report(tmp_path / "out")
    memaudit("audit", generations, "--against", train, "--out", tmp_path / "out", *arguments).failed(2, words)
    assert not (tmp_path / "out" / "report.json").exists()
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("against", ["absent", "images"])
def test_what_is_no_training_set_leaves_no_report(
    memaudit: Memaudit, generations: Path, tmp_path: Path, against: str
) -> None:
    """A folder of images where a store is expected is exit 2, without the earlier report."""
    clean_report(tmp_path / "out")
    write_pictures(tmp_path / "images", [1])
    called = memaudit("audit", generations, "--against", tmp_path / against, "--out", tmp_path / "out")
    called.failed(2, "is no embedding store")
    assert not (tmp_path / "out" / "report.json").exists()


def test_out_is_a_file(memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path) -> None:
    """One line, and the file stays."""
    (tmp_path / "out").write_text("mine")
    memaudit("audit", generations, "--against", train, "--out", tmp_path / "out").failed(2, "out")
    assert (tmp_path / "out").read_text() == "mine"


def test_out_inside_the_generations(memaudit: Memaudit, train: Path, generations: Path) -> None:
    """Its thumbnails would be audited as generations next time."""
    called = memaudit("audit", generations, "--against", train, "--out", generations / "out")
    called.failed(2, "lies inside the source")


@pytest.mark.parametrize("command", ["audit", "dedup"])
def test_out_inside_the_training_images(memaudit: Memaudit, train: Path, generations: Path, command: str) -> None:
    """Its thumbnails would be trained on, and be in the store of the next time. Nothing that embed reads is left."""
    out = Path(Store.open(train).sources[0]) / "out"
    given = (generations, "--against", train) if command == "audit" else (train,)
    memaudit(command, *given, "--out", out).failed(2, "lies inside the source", "choose an --out outside of it")
    assert {path.name for path in out.iterdir()} <= {".lock", ".memaudit-run"}


def test_the_training_set_is_not_overwritten(
    memaudit: Memaudit, make_store: MakeStore, picture_folder: MakeFolder, generations: Path, tmp_path: Path
) -> None:
    """A training store that lies where --out keeps the generations' store is left alone."""
    store = make_store(picture_folder(5, name="train"), name="run/generations")
    memaudit("audit", generations, "--against", store.folder, "--out", tmp_path / "run").failed(2, "choose another")
    assert type(store).open(store.folder).digest == store.digest


def test_a_replaced_generation_is_measured_anew(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path
) -> None:
    """Another picture under the name of an old one, of the same time: the old embedding does not survive."""
    audit = ("audit", generations, "--against", train, "--out", tmp_path / "out", "--json")
    assert [f["reference_id"] for f in memaudit(*audit).json["findings"]] == ["0003.png"]
    stat = (generations / "copy.png").stat()
    altered(draw(7)).save(generations / "copy.png")
    os.utime(generations / "copy.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert [f["reference_id"] for f in memaudit(*audit).json["findings"]] == ["0007.png"]
    draw(888).save(generations / "copy.png")
    assert memaudit(*audit).json["findings"] == []


def test_a_removed_generation_does_not_linger(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path
) -> None:
    """Results are of the images that are there now."""
    audit = ("audit", generations, "--against", train, "--out", tmp_path / "out", "--json")
    assert memaudit(*audit).json["coverage"]["total"] == 7
    (generations / "copy.png").unlink()
    again = memaudit(*audit).json
    assert (again["coverage"]["total"], again["findings"]) == (6, [])


@pytest.mark.slow
def test_killed_it_leaves_no_report_and_can_be_run_again(
    train: Path, picture_folder: MakeFolder, tmp_path: Path
) -> None:
    """SIGKILL in the middle of embedding: nothing passes for a result, the next run measures all."""
    generations, out = picture_folder(80, name="many", first_seed=1000), tmp_path / "out"
    altered(draw(3)).save(generations / "9999.png")
    clean_report(out)
    arguments = ["audit", str(generations), "--against", str(train), "--out", str(out), "--shard-rows", "1"]
    arguments += ["--planted", "0"]
    with subprocess.Popen([sys.executable, "-m", "memaudit", *arguments]) as process:
        while process.poll() is None and len(list((out / "generations").glob("shard-*.h5"))) < 5:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (out / "report.json").exists()
    assert not (out / "report.html").exists()
    called = program(*arguments, "--json")
    assert called.code == 0
    assert called.json["coverage"] == {"measured": 81, "total": 81, "share": 1.0}
    assert [finding["query_id"] for finding in called.json["findings"]] == ["9999.png"]


def test_tiles_that_the_training_set_has_are_searched_and_kept_up_to_date(
    memaudit: Memaudit, picture_folder: MakeFolder, generations: Path, tmp_path: Path
) -> None:
    """Tiles of another state of the store would miss what came since: they are refused until embed makes them anew."""
    folder, store = picture_folder(8, name="train"), tmp_path / "store"
    embed = ("embed", folder, "--out", store, "--encoder", "thumbnail")
    assert memaudit(*embed, "--tiles").code == 0
    assert memaudit("audit", generations, "--against", store, "--out", tmp_path / "out").code == 0
    write_pictures(folder, [90])
    said = memaudit(*embed)
    assert said.code == 0
    assert "holds tiles of another state" in said.out
    called = memaudit("audit", generations, "--against", store, "--out", tmp_path / "out")
    inconclusive(called, tmp_path / "out", "another state", "--tiles")
    said = memaudit(*embed, "--tiles")
    assert (said.code, "another state" in said.out) == (0, False)
    assert memaudit("audit", generations, "--against", store, "--out", tmp_path / "out").code == 0


def test_fine_tiles_are_a_store_of_their_own_beside_the_tiles(
    memaudit: Memaudit, picture_folder: MakeFolder, generations: Path, tmp_path: Path
) -> None:
    """Asking for the one leaves the other as it is; what is older than the store is refused by its name."""
    folder, store = picture_folder(4, name="train"), tmp_path / "store"
    embed = ("embed", folder, "--out", store, "--encoder", "thumbnail")
    audit = ("audit", generations, "--against", store, "--out", tmp_path / "out", "--views", "none")

    def rows() -> dict[str, int]:
        return {path.name: len(Store.open(path)) for path in store.iterdir() if path.is_dir()}

    def shards() -> dict[Path, int]:
        """When each was written."""
        return {path: path.stat().st_mtime_ns for path in store.glob("*/shard-*.h5")}

    assert memaudit(*embed, "--tiles").code == 0
    assert rows() == {"tiles": 4 * 9}
    before = shards()
    assert memaudit(*embed, "--fine-tiles").code == 0
    assert rows() == {"tiles": 4 * 9, "details": 4 * 100}
    assert memaudit(*embed, "--tiles").code == 0
    assert rows() == {"tiles": 4 * 9, "details": 4 * 100}
    assert shards() == before | {path: at for path, at in shards().items() if path.parent.name == "details"}
    assert memaudit("verify", store).code == 0
    assert memaudit(*audit).code == 0
    write_pictures(folder, [90])
    assert memaudit(*embed, "--tiles").code == 0
    inconclusive(memaudit(*audit), tmp_path / "out", "another state", "--fine-tiles")
    assert memaudit(*embed, "--fine-tiles").code == 0
    assert rows() == {"tiles": 5 * 9, "details": 5 * 100}
    assert memaudit(*audit).code == 0


def test_the_report_and_the_terminal_say_what_was_searched_of_the_training_images(
    memaudit: Memaudit, picture_folder: MakeFolder, generations: Path, tmp_path: Path
) -> None:
    """Without them the same generations can have fewer findings; audits that differ in it are not comparable."""
    folder, store = picture_folder(4, name="train"), tmp_path / "store"
    embed = ("embed", folder, "--out", store, "--encoder", "thumbnail")
    audit = ("audit", generations, "--against", store, "--views", "none", "--out")
    told = []
    for name, option in (("whole", ()), ("tiles", ("--tiles",)), ("all", ("--fine-tiles",))):
        assert memaudit(*embed, *option).code == 0
        called = memaudit(*audit, tmp_path / name)
        told += [line for line in called.out.splitlines() if line.startswith("Searched in")]
        assert told[-1] in (tmp_path / name / "report.html").read_text()
    assert told == [
        "Searched in: whole training images; the store has no tiles (memaudit embed --tiles) and no details (memaudit "
        "embed --fine-tiles) of them.",
        "Searched in: whole training images, their tiles; the store has no details (memaudit embed --fine-tiles) of "
        "them.",
        "Searched in: whole training images, their tiles, their details.",
    ]
    searched = read_report(tmp_path / "all" / "report.json").content["results"]["reference_views"]
    stores = {"whole": store, "tiles": store / "tiles", "details": store / "details"}
    assert searched == {kind: Store.open(path).digest for kind, path in stores.items()}
    called = memaudit("compare", tmp_path / "tiles" / "report.json", tmp_path / "all" / "report.json")
    called.failed(3, "different views of the training images")
    assert memaudit(*audit, tmp_path / "again").code == 0
    assert memaudit("compare", tmp_path / "again" / "report.json", tmp_path / "all" / "report.json").code == 0
    called = memaudit(*audit, tmp_path / "none", "--match", "none")
    assert called.out.splitlines()[2].endswith("their details were not used: without pixels they decide nothing.")


@pytest.mark.parametrize(("folder", "option"), [("tiles", "--tiles"), ("details", "--fine-tiles")])
def test_windows_that_are_no_store_are_inconclusive(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path, folder: str, option: str
) -> None:
    """An empty folder is what a killed run may leave: a report says so, and not a wrong usage."""
    (train / folder).mkdir()
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out")
    inconclusive(called, tmp_path / "out", f"{folder} is unfinished: run memaudit embed again with {option}")
    assert memaudit("verify", train).code == 3


@pytest.mark.parametrize(
    ("options", "views"),
    [((), 10), (("--views", "none"), 1), (("--views", "flips"), 3), (("--views", "all"), 17)],
)
def test_the_report_names_the_views(
    memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path, options: tuple[str, ...], views: int
) -> None:
    called = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out", "--json", *options)
    assert called.code == 0
    assert len(called.json["results"]["views"]) == views
    assert called.json["results"]["verified"]["share"] == 1


def test_a_store_of_generations_whose_files_are_gone_is_inconclusive_unless_views_are_left_out(
    memaudit: Memaudit, make_store: MakeStore, train: Path, generations: Path, tmp_path: Path
) -> None:
    store = make_store(generations, name="generations-store").folder
    for path in generations.iterdir():
        path.unlink()
    command = ("audit", store, "--against", train, "--out", tmp_path / "out")
    assert memaudit(*command).code == 3
    assert "views of the generations" in read_report(tmp_path / "out" / "report.json").content["results"]["reasons"][0]
    called = memaudit(*command, "--views", "none", "--json")
    assert (called.code, called.json["results"]["searched"]["count"]) == (0, 1)
    assert called.json["findings"][0]["verified"] is False


def test_a_device_that_is_not_there_is_not_taken_for_an_encoder_that_is_not(
    memaudit: Memaudit, make_store: MakeStore, train: Path, generations: Path, tmp_path: Path
) -> None:
    """Views were left out in silence, and their copies with them."""
    store = make_store(generations, name="generations-store").folder
    called = memaudit("audit", store, "--against", train, "--out", tmp_path / "out", "--device", "nonsense")
    called.failed(2, "nonsense")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model-digest", "5" * 64], "--model-digest without --model"),
        (["--model", " ", "--model-digest", "5" * 64], "--model-digest without --model"),
        (["--model", "painter", "--model-digest", "v2"], "'v2' is none: expected 16 to 128 hexadecimal digits"),
    ],
)
def test_a_model_has_a_name_and_a_digest(
    options: list[str], said: str, memaudit: Memaudit, train: Path, generations: Path, tmp_path: Path
) -> None:
    result = memaudit("audit", generations, "--against", train, "--out", tmp_path / "out", *options)
    assert result.code == 2
    assert said in result.err
    assert result.err.count("\n") == 1
