"""What pixels are compared by, kept beside a store: the same verdicts, and none by what is stale or damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import COPIES
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import photograph
from PIL import Image

import memaudit as ma
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError
from memaudit.images.windows import tile_windows
from memaudit.matching import kept
from memaudit.matching.compare import Checks, Files, Parts, check_pairs, files_of
from memaudit.matching.identity import identity_of_reading, identity_of_rule
from memaudit.matching.kept import FOLDER, feature_faults, features_of, identity, keep_features, kept_counts, not_used
from memaudit.matching.pictures import Reduced, Sift, read_reduced, reduced_of
from memaudit.store import Store
from memaudit.types import silent

MADE = ("same", "crop", "turned", "sticker")
AGAIN = "run memaudit embed again with --features, or delete "


def write_images(folder: Path, seeds: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    for seed in range(seeds):
        for name in MADE:
            COPIES[name](photograph(seed)).save(folder / f"{seed}-{name}.png", compress_level=1)
    return folder


def store_of(images: Path, out: Path, *, append: bool = False, shard_rows: int = 3) -> Store:
    options = EmbedOptions(shard_rows=shard_rows, workers=2)
    return embed([images], out, load_encoder("thumbnail"), options, append=append)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


@pytest.fixture
def store(images: Path, tmp_path: Path) -> Store:
    """Three shards of eight images."""
    return store_of(images, tmp_path / "store")


def checked(store: Store, *, with_kept: bool, parts: Parts | None = None) -> Checks:
    rows = np.arange(len(store))
    left, right = np.triu_indices(len(store), 1)
    files = files_of(store, rows) if with_kept else Files(*files_of(store, rows)[:2])
    return check_pairs(files, files, left, right, silent, parts)


def assert_equal(one: Checks, two: Checks) -> None:
    for name in Checks._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), name)


def assert_same(one: Reduced, two: Reduced) -> None:
    np.testing.assert_array_equal(one.pixels, two.pixels)
    np.testing.assert_array_equal(one.sift.places, two.sift.places)
    np.testing.assert_array_equal(one.sift.descriptors, two.sift.descriptors)
    assert (one.pixels.dtype, one.sift.descriptors.dtype) == (two.pixels.dtype, two.sift.descriptors.dtype)


def test_verdicts_are_the_same_and_the_files_are_not_read(store: Store, images: Path) -> None:
    """To the last bit; once the files are gone, only with what is kept."""
    before = checked(store, with_kept=False)
    counts = keep_features(store)
    assert (counts.images, kept_counts(store)) == (8, counts)
    for path in images.iterdir():
        path.unlink()
    assert_equal(checked(store, with_kept=True), before)
    assert 0 < before.copies.sum() < len(before.copies)
    assert not checked(store, with_kept=False).read.any()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_a_record_holds_all_of_it(height: int, width: int, features: int) -> None:
    rng = np.random.default_rng(height * 1000 + width * 10 + features)
    places = rng.random((features, 2)).astype(np.float32)
    descriptors = rng.integers(0, 256, (features, 128), np.uint8)
    reduced = Reduced(rng.integers(0, 256, (height, width, 3), np.uint8), Sift(places, descriptors))
    assert_same(kept.reduced_of(kept.record_of(reduced)), reduced)


def test_what_is_kept_is_what_the_file_gives(store: Store) -> None:
    keep_features(store)
    columns, features = store.all_columns(), features_of(store)
    assert features is not None
    for place, uri, sha256 in zip(features.images(np.arange(8)), columns.uri, columns.sha256, strict=True):
        found, of_file = place.reduced(), read_reduced(uri, sha256)
        assert isinstance(of_file, Reduced)
        assert_same(found, of_file)
        assert_same(found, reduced_of(Image.open(uri).convert("RGB")))


def test_a_store_without_it_says_nothing_of_it(store: Store) -> None:
    assert (features_of(store), kept_counts(store), feature_faults(store)) == (None, None, [])
    assert files_of(store, np.arange(2)).kept is None


def test_parts_are_cut_from_the_files(store: Store) -> None:
    keep_features(store)
    pairs = len(store) * (len(store) - 1) // 2
    windows = np.full(pairs, tile_windows()[4].name, object)
    parts = Parts(np.full(pairs, "", object), windows)
    with_kept = checked(store, with_kept=True, parts=parts)
    assert_equal(with_kept, checked(store, with_kept=False, parts=parts))
    assert with_kept.read.all()


def test_what_could_not_be_read_is_read_again_and_has_its_reason(store: Store, images: Path) -> None:
    gone = images / "0-crop.png"
    gone.rename(images / "elsewhere")
    assert keep_features(store).images == 7
    checks = checked(store, with_kept=True)
    assert set(checks.why) == {"", "cannot read file: No such file or directory"}
    (images / "elsewhere").rename(gone)
    assert checked(store, with_kept=True).read.all()


def test_equal_files_share_a_record(images: Path, tmp_path: Path) -> None:
    """Within a shard."""
    alone = keep_features(store_of(images, tmp_path / "alone", shard_rows=99))
    for name in ("0-crop", "0-same"):
        (images / f"{name}-again.png").write_bytes((images / f"{name}.png").read_bytes())
    counts = keep_features(store_of(images, tmp_path / "twice", shard_rows=99))
    assert counts.images == alone.images + 2
    assert counts.bytes == alone.bytes + 2 * 44


def test_another_pillow_or_another_way_to_read_makes_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their pixels may differ: no verdict of before is taken up. What is kept hangs on what can change pixels alone."""
    seen = [(identity(), identity_of_rule())]
    for name, value in (
        ("PIL.__version__", "9.0.0"),
        ("PIL.__version__", "9.0.1"),
        ("memaudit.matching.identity._READING", (("memaudit.images", "alpha.py"),)),
        ("memaudit.matching.kept.READING", 99),
    ):
        monkeypatch.setattr(name, value)
        identity_of_reading.cache_clear()
        seen.append((identity(), identity_of_rule()))
    kept_by, decided_by = ([each[0] != each[1] for each in pairwise(by)] for by in zip(*seen, strict=True))
    assert kept_by == [True, False, False, True]
    assert decided_by == [True, True, True, False]
    monkeypatch.undo()
    identity_of_reading.cache_clear()


def test_of_another_make_is_not_used_and_made_anew(store: Store, images: Path) -> None:
    """It is sound, and files are read: that is said, and no reason to stop."""
    counts = keep_features(store)
    of_another_make(store)
    assert (features_of(store), kept_counts(store), feature_faults(store)) == (None, counts, [])
    assert checked(store, with_kept=True).read.all()
    assert "kept features are not used, files are read (they are by OpenCV 3, " in str(not_used(store))
    contents = ma.describe(store.folder).values["features"]
    assert isinstance(contents, dict)
    assert contents["not used"].startswith("they are by OpenCV 3")
    assert keep_features(store) == counts
    assert (not_used(store), features_of(store) is None) == (None, False)


def test_a_dedup_a_look_up_and_a_guard_say_that_they_do_without(store: Store, images: Path, tmp_path: Path) -> None:
    keep_features(store)
    of_another_make(store)
    told = list[str]()
    ma.run_dedup(store.folder, tmp_path / "dedup", tell=told.append)
    found = ma.run_lookup(images / "0-same.png", store.folder, views="none")
    notes = ma.open_guard(store.folder, views="none").notes
    for lines in (told, found.not_read, notes):
        assert [line for line in lines if line.startswith("kept features are not used")] == [str(not_used(store))]


def test_records_of_images_that_are_gone_are_not_written_over(store: Store, images: Path) -> None:
    """By another version they can be read still; here without them, unless somebody deletes the folder."""
    keep_features(store)
    of_another_make(store)
    before = {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()}
    (images / "1-same.png").unlink()
    with pytest.raises(InconclusiveError, match=r"can still use it, and stays as it is: .*1-same\.png"):
        keep_features(store)
    assert {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()} == before


def test_nor_by_a_run_that_goes_on_after_a_kill(
    store: Store, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of the images is away when it is called again."""
    keep_features(store)
    of_another_make(store)
    written = killed_at_the_third(store, monkeypatch)
    before = {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()}
    images.rename(tmp_path / "away")
    with pytest.raises(InconclusiveError, match=r"is made anew half-way and stays as it is: .*0-crop\.png"):
        keep_features(store)
    assert {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()} == before
    (tmp_path / "away").rename(images)
    written.clear()
    assert keep_features(store).images == 8
    assert written == ["shard-00002.h5"]
    images.rename(tmp_path / "away")
    assert keep_features(store).images == 8  # it is done: no image is asked for any more


def test_of_another_make_need_not_be_of_this_state_of_the_store(store: Store, images: Path) -> None:
    keep_features(store)
    append_an_image(store, images)
    of_another_make(store)
    store = Store.open(store.folder)
    assert features_of(store) is None
    assert not_used(store) is not None


def test_fewer_records_than_before_are_told(store: Store, images: Path) -> None:
    """Where the file of records was damaged, or a file of the images is another one by now."""
    keep_features(store)
    of_another_make(store)
    photograph(9).save(images / "0-crop.png")
    told = list[str]()
    assert keep_features(store, tell=told.append).images == 7
    assert told == ["kept features: 1 fewer than before, of files that could not be read"]


def append_an_image(store: Store, images: Path) -> None:
    photograph(9).save(images / "z.png")
    store_of(images, store.folder, append=True)


def of_another_make(store: Store) -> None:
    path = store.folder / FOLDER / "features.json"
    content = {**json.loads(path.read_text()), "made_by": "OpenCV 3"}
    path.write_text(json.dumps(kept.sealed({key: value for key, value in content.items() if key != "digest"})))


def without_a_manifest(store: Store, images: Path) -> None:
    (store.folder / FOLDER / "features.json").unlink()


def with_an_edited_manifest(store: Store, images: Path) -> None:
    path = store.folder / FOLDER / "features.json"
    path.write_text(path.read_text().replace('"images": 3', '"images": 2', 1))


def without_records(store: Store, images: Path) -> None:
    next((store.folder / FOLDER).glob("*.records")).unlink()


def cut(store: Store, images: Path) -> None:
    path = next((store.folder / FOLDER).glob("*.records"))
    path.write_bytes(path.read_bytes()[:-1])


HARM = (append_an_image, without_a_manifest, with_an_edited_manifest, without_records, cut)


@pytest.mark.parametrize("harm", HARM)
def test_what_is_stale_or_damaged_is_refused_and_made_anew(
    store: Store, images: Path, harm: Callable[[Store, Path], None]
) -> None:
    """Never passed over: the run says what is the matter and what to do, and that helps."""
    keep_features(store)
    harm(store, images)
    store = Store.open(store.folder)
    with pytest.raises(InconclusiveError, match=AGAIN):
        files_of(store, np.arange(len(store)))
    assert len(feature_faults(store)) == 1
    assert AGAIN in feature_faults(store)[0]
    assert keep_features(store).images == len(store)
    assert feature_faults(store) == []
    assert_equal(checked(store, with_kept=True), checked(store, with_kept=False))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_flipped_bit_is_believed(kept_store: Store, data: st.DataObject) -> None:
    """Refused, or the record is what it was."""
    files = sorted((kept_store.folder / FOLDER).iterdir())
    path = data.draw(st.sampled_from(files))
    sound = path.read_bytes()
    place = data.draw(st.integers(0, len(sound) - 1))
    bad = bytearray(sound)
    bad[place] ^= 1 << data.draw(st.integers(0, 7))
    columns = kept_store.all_columns()
    path.write_bytes(bad)
    try:
        assert feature_faults(kept_store)
        features = features_of(kept_store)
        assert features is not None
        for row in range(len(kept_store)):
            found = features.images(np.array([row]))[0].reduced()
            of_file = read_reduced(columns.uri[row], columns.sha256[row])
            assert isinstance(of_file, Reduced)
            assert_same(found, of_file)
    except InconclusiveError:
        pass
    finally:
        path.write_bytes(sound)


@pytest.fixture(scope="module")
def kept_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("kept")
    store = store_of(write_images(folder / "images", 1), folder / "store")
    keep_features(store)
    return store


def killed_at_the_third(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that are written from now on, two of them by a run that was killed."""
    written, write = list[str](), kept._written

    def killed(path: Path, of: Store, shard: kept.Shard, *rest: object) -> kept.Records:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(shard.name)
        return write(path, of, shard, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(kept, "_written", killed)
    with pytest.raises(KeyboardInterrupt):
        keep_features(store)
    return written


def test_a_killed_run_goes_on_with_the_next_shard(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    written = killed_at_the_third(store, monkeypatch)
    with pytest.raises(InconclusiveError, match="unfinished"):
        features_of(store)
    written.clear()
    assert keep_features(store).images == 8
    assert written == ["shard-00002.h5"]
    written.clear()
    assert keep_features(store).images == 8
    assert written == []


@pytest.mark.parametrize("harm", [False, True], ids=["whole", "cut"])
def test_a_run_that_is_killed_over_whole_ones_forgets_none(
    store: Store, images: Path, monkeypatch: pytest.MonkeyPatch, harm: bool
) -> None:
    """The images were deleted meanwhile; one file was cut, and is neither replaced nor forgotten."""
    counts = keep_features(store)
    last = next((store.folder / FOLDER).glob(f"{store.manifest.shards[2].content_sha256[:32]}*"))
    if harm:
        last.write_bytes(last.read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()}
    shutil.rmtree(images)
    monkeypatch.setattr(kept, "_is_whole", killed_after(1, kept._is_whole))
    with pytest.raises(KeyboardInterrupt):
        keep_features(store)
    monkeypatch.undo()
    if harm:
        with pytest.raises(InconclusiveError, match=rf"{last.name} was changed or cut, .* stays as it is: .*1-"):
            keep_features(store)
    else:
        assert (features_of(store) is not None, kept_counts(store)) == (True, counts)
        assert keep_features(store) == counts
    assert {path.name: path.read_bytes() for path in (store.folder / FOLDER).iterdir()} == before


def killed_after(calls: int, function: Callable[..., Any]) -> Callable[..., Any]:
    left = iter(range(calls))

    def killed(*given: object) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return function(*given)

    return killed


def test_a_manifest_is_written_where_records_are_new(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And once at the end: of a large set it is megabytes."""
    writes, write = list[Path](), kept.write_json

    def noted(path: Path, content: Any) -> None:
        writes.append(path)
        write(path, content)

    monkeypatch.setattr(kept, "write_json", noted)
    counts = list[int]()
    for harm in (None, None, without_a_manifest, without_records):
        if harm:
            harm(store, Path())
        keep_features(store)
        counts.append(len(writes) - sum(counts))
    assert len(store.manifest.shards) == 3
    assert counts == [4, 1, 4, 2]


def test_records_of_shards_that_are_gone_are_removed(store: Store) -> None:
    keep_features(store)
    (store.folder / FOLDER / f"{'0' * 32}.records").write_bytes(b"old")
    keep_features(store)
    assert len(list((store.folder / FOLDER).iterdir())) == 4


def test_an_embedded_store_keeps_it_and_dedup_reads_no_file(images: Path, tmp_path: Path) -> None:
    """From Python, to the verdict: with the originals gone the same pairs are confirmed."""
    plain = ma.embed(images, out=tmp_path / "plain", encoder="thumbnail")
    made = ma.embed(images, out=tmp_path / "made", encoder="thumbnail", features=True)
    assert made.features is not None
    assert made.features.images == 8
    assert str(made.windows["features"]).startswith("of 8 images, ")
    assert plain.features is None
    wanted = ma.run_dedup(plain, out=tmp_path / "wanted", match_from=0.05, threshold=0.99)
    for path in images.iterdir():
        path.unlink()
    found = ma.run_dedup(made, out=tmp_path / "found", match_from=0.05, threshold=0.99)
    assert found.results is not None
    assert wanted.results is not None
    assert wanted.results.pixels is not None
    assert found.results.pixels == wanted.results.pixels
    assert wanted.results.pixels.confirmed > 0
    assert ma.describe(made.folder).values["features"] == made.features._asdict()
    assert ma.verify(made.folder).sound
