"""Checks of many pairs: whatever the order and the threads, and whatever cannot be read."""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path
from weakref import ref

import cv2
import numpy as np
import pytest
from altered import COPIES
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import banner, mosaic, photograph, round_detail
from threadpoolctl import threadpool_info, threadpool_limits

from memaudit import machine
from memaudit.errors import MissingDependencyError
from memaudit.matching import compare
from memaudit.matching.compare import Checks, Ends, Files, Parts, check_pairs, checked_in_order
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import Picture, read_picture
from memaudit.matching.rule import check
from memaudit.matching.schedule import schedule
from memaudit.types import NO_FILE, Int64, silent

MADE = ("same", "crop", "turned", "sticker")


def write_family(folder: Path, seed: int) -> list[Path]:
    paths = []
    for name in MADE:
        paths.append(folder / f"{seed}-{name}.png")
        COPIES[name](photograph(seed)).save(paths[-1], compress_level=1)
    return paths


def files_of(paths: list[Path]) -> Files:
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "0" * 64 for path in paths]
    return Files(np.array([str(path) for path in paths], object), np.array(hashes, object))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Two families of four."""
    folder = tmp_path_factory.mktemp("families")
    return files_of([path for seed in range(2) for path in write_family(folder, seed)])


@pytest.fixture(scope="module")
def pairs() -> tuple[Int64, Int64]:
    """All of them."""
    left, right = np.triu_indices(2 * len(MADE), 1)
    return left, right


@pytest.fixture(scope="module")
def checks(files: Files, pairs: tuple[Int64, Int64]) -> Checks:
    return check_pairs(files, files, *pairs, silent)


def assert_equal(one: Checks, two: Checks, where: Int64 | slice = slice(None)) -> None:
    for name in Checks._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name)[where], name)


def test_each_pair_gets_what_check_says_of_it(files: Files, pairs: tuple[Int64, Int64], checks: Checks) -> None:
    """Copies are the pairs within a family, and no others; of two that were altered, a crop and what is covered, the
    model may doubt it."""
    left, right = pairs
    family, altered = left // len(MADE) == right // len(MADE), left % len(MADE) > 0
    np.testing.assert_array_equal(checks.copies[~(family & altered)], family[~(family & altered)])
    assert checks.copies[family & altered].mean() > 0.8
    for i in range(0, len(left), 7):
        query, reference = (read_picture(files.uri[row], files.sha256[row]) for row in (left[i], right[i]))
        assert isinstance(query, Picture)
        assert isinstance(reference, Picture)
        found = check(query, reference)
        assert (checks.kind[i], checks.inliers[i]) == (found.kind, found.inliers)
        assert checks.alike[i] == np.float32(found.agreement.alike)
        assert checks.worst[i] == np.float32(found.agreement.worst)


def test_what_is_less_probable_than_the_cut_is_no_copy(
    files: Files, pairs: tuple[Int64, Int64], checks: Checks
) -> None:
    """The probability itself stays as it is; what reaches the cut to the last bit of float32 is a copy as before."""
    cut = float(np.sort(checks.probability[checks.copies])[4])
    strict = check_pairs(files, files, *pairs, silent, cut=cut)
    np.testing.assert_array_equal(strict.probability, checks.probability)
    np.testing.assert_array_equal(strict.copies, checks.copies & (checks.probability >= np.float32(cut)))
    np.testing.assert_array_equal(strict.overlaps.known, strict.copies)
    assert 0 < strict.copies.sum() < checks.copies.sum()
    none = check_pairs(files, files, *(side[:3] for side in pairs), silent, cut=1.0)
    assert not none.copies.any()
    assert set(none.kind) == {Kind.SIMILAR}


@pytest.mark.parametrize("threads", [1, 5])
def test_threads_change_nothing(
    files: Files, pairs: tuple[Int64, Int64], checks: Checks, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: threads)
    assert_equal(check_pairs(files, files, *pairs, silent), checks)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_order_changes_nothing(files: Files, pairs: tuple[Int64, Int64], checks: Checks, data: st.DataObject) -> None:
    """Any pairs in any order, some of them twice; with so little room that pictures are read again."""
    chosen = np.array(data.draw(st.lists(st.integers(0, len(pairs[0]) - 1), max_size=12)), np.int64)
    left, right = (side[chosen] for side in pairs)
    with pytest.MonkeyPatch.context() as patch:
        room = data.draw(st.integers(1, 4))
        patch.setattr(compare, "pictures_held", lambda: room)
        assert_equal(check_pairs(files, files, left, right, silent), checks, chosen)


def test_two_sides_are_kept_apart(files: Files, pairs: tuple[Int64, Int64], checks: Checks) -> None:
    """A row of the queries is not the row of that number among the references."""
    left, right = (side[:20] for side in pairs)
    backwards = Files(files.uri[::-1].copy(), files.sha256[::-1].copy())
    assert_equal(check_pairs(files, backwards, left, len(files.uri) - 1 - right, silent), checks, slice(20))


def test_each_image_is_read_once_where_there_is_room(
    files: Files, pairs: tuple[Int64, Int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def counted(uri: str, sha256: str, part: str) -> Picture | str:
        read.append(uri)
        return read_picture(uri, sha256, part)

    monkeypatch.setattr(compare, "read_picture", counted)
    check_pairs(files, files, *pairs, silent)
    assert sorted(read) == sorted(files.uri)


def test_a_file_that_cannot_be_read_is_no_copy_and_has_a_reason(tmp_path: Path) -> None:
    """The others' results stay; an absent file and a changed one are told apart."""
    paths = write_family(tmp_path, 0)
    files = files_of(paths)
    paths[1].unlink()
    photograph(9).save(paths[2])
    checks = check_pairs(files, files, np.array([0, 0, 0, 1]), np.array([1, 2, 3, 2]), silent)
    assert checks.read.tolist() == [False, False, True, False]
    assert checks.copies.tolist() == [False, False, True, False]
    assert list(checks.why) == [
        "cannot read file: No such file or directory",
        "the file is another one than was embedded",
        "",
        "cannot read file: No such file or directory",
    ]
    assert set(checks.kind[~checks.read]) == {Kind.NEAR}


def test_one_file_is_verbatim_whatever_its_pixels_could_tell(tmp_path: Path) -> None:
    """Too narrow for pixels, or gone: the digests say it. Not of parts of it, nor of what no file was read of."""
    paths = [tmp_path / name for name in ("narrow.png", "again.png", "gone.png", "recoded.png")]
    for path, level in zip(paths, (1, 1, 1, 9), strict=True):
        banner(1).save(path, compress_level=level)
    files = files_of(paths)
    paths[2].unlink()
    checks = check_pairs(files, files, np.array([0, 0, 0, 2]), np.array([1, 2, 3, 3]), silent)
    assert checks.read.tolist() == [True, True, True, False]
    assert checks.copies.tolist() == [True, True, False, False]
    assert checks.kind[:2].tolist() == [Kind.VERBATIM] * 2
    assert checks.probability[:2].tolist() == [1, 1]
    np.testing.assert_array_equal(checks.overlaps.matrix[:2], [np.eye(2, 3)] * 2)
    np.testing.assert_array_equal(checks.overlaps.query_box[:2], [[0, 0, 1, 1]] * 2)
    unknown = Files(files.uri, np.full(4, NO_FILE, object))
    row = np.zeros(1, np.int64)
    assert not check_pairs(unknown, unknown, row, row + 1, silent).copies.any()
    parts = parts_of(["tile 1,1"])
    assert not check_pairs(files, files, row, row + 1, silent, parts).copies.any()


def test_no_pairs_no_checks(files: Files) -> None:
    nothing = np.empty(0, np.int64)
    checks = check_pairs(files, files, nothing, nothing, silent)
    assert [len(column) for column in checks] == [0] * len(Checks._fields)


def test_progress_reaches_its_total(files: Files, pairs: tuple[Int64, Int64]) -> None:
    told = []
    check_pairs(files, files, *pairs, lambda *step: told.append(step))
    assert told[-1] == ("comparing pixels", len(pairs[0]), len(pairs[0]))
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})


def test_threads_of_others_are_as_before(files: Files, pairs: tuple[Int64, Int64]) -> None:
    """OpenCV and BLAS keep to one thread while ours are busy, also after an exception, and get theirs back."""

    def of_blas() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    during = []

    def stop(*_: object) -> None:
        during.append((cv2.getNumThreads(), of_blas()))
        raise KeyboardInterrupt

    with threadpool_limits(2, user_api="blas"):
        before = (cv2.getNumThreads(), of_blas())
        with pytest.raises(KeyboardInterrupt):
            check_pairs(files, files, *pairs, stop)
        assert during == [(1, {1})]
        assert (cv2.getNumThreads(), of_blas()) == before
        assert of_blas() == {2}


def test_an_interrupt_does_not_wait_for_the_rest(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of pairs, those that were begun are finished, and no more."""
    begun = []

    def slow(query: Picture, reference: Picture, cut: float | None) -> None:
        begun.append(time.monotonic())
        time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "check", slow)
    left = np.zeros(5000, np.int64)
    with pytest.raises(KeyboardInterrupt):
        check_pairs(files, files, left, left + 1, silent)
    assert len(begun) < 500


def test_an_error_of_a_reader_reaches_the_caller(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where other threads wait for the same picture."""

    def fail(uri: str, sha256: str, part: str) -> Picture:
        raise MemoryError(uri)

    monkeypatch.setattr(compare, "read_picture", fail)
    left = np.zeros(100, np.int64)
    with pytest.raises(MemoryError):
        check_pairs(files, files, left, left + 1, silent)


def test_what_is_skipped_is_not_read_and_comes_not(
    files: Files, pairs: tuple[Int64, Int64], checks: Checks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are as they were, whatever of the schedule was passed over."""
    read = []

    def counted(uri: str, sha256: str, part: str) -> Picture | str:
        read.append(uri)
        return read_picture(uri, sha256, part)

    monkeypatch.setattr(compare, "read_picture", counted)
    ends = Ends.of(files, files, *pairs)
    skipped = (pairs[0] == 0) | (pairs[1] % 3 == 0)
    seen = []
    for piece, found in checked_in_order(ends, schedule(ends.left, ends.right, 4), skipped):
        seen += piece.tolist()
        assert_equal(found, checks, piece)
    assert sorted(seen) == np.flatnonzero(~skipped).tolist()
    assert files.uri[0] not in read


@pytest.mark.parametrize("held", [2, 5, 100])
def test_files_are_read_as_often_as_the_schedule_says(
    files: Files, pairs: tuple[Int64, Int64], held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more pictures are alive at once than it holds, and those of the pieces that are under way."""
    read, alive, most = [], list[ref[Picture]](), 0

    def counted(uri: str, sha256: str, part: str) -> Picture | str:
        nonlocal most
        picture = read_picture(uri, sha256, part)
        read.append(uri)
        assert isinstance(picture, Picture)
        alive.append(ref(picture))
        most = max(most, sum(each() is not None for each in alive))
        return picture

    monkeypatch.setattr(compare, "read_picture", counted)
    monkeypatch.setattr(compare, "_AT_ONCE", 1)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    ends = Ends.of(files, files, *pairs)
    order = schedule(ends.left, ends.right, held)
    for _ in checked_in_order(ends, order):
        pass
    assert len(read) == order.reads
    assert len(read) == len(files.uri) or held < len(files.uri)
    assert most <= held + 2 * (compare._AHEAD + 2)


def test_without_opencv_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match=r"comparing pixels needs OpenCV.*pip install .*cpu"):
        check_pairs(files, files, np.array([0]), np.array([1]), silent)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Files]:
    """A round detail of 0.13 of the longer side of a picture, and two pictures: its own and another."""
    folder = tmp_path_factory.mktemp("scenes")
    paths = [folder / f"{seed}.png" for seed in (20, 21)]
    for path, seed in zip(paths, (20, 21), strict=True):
        mosaic(seed).save(path, compress_level=1)
    detail = folder / "detail.png"
    round_detail(mosaic(20), (700, 380), 78).save(detail)
    return files_of([detail]), files_of(paths)


def parts_of(reference: list[str]) -> Parts:
    return Parts(np.full(len(reference), "", object), np.array(reference, object))


def test_a_part_is_compared_where_the_whole_shows_too_little(scenes: tuple[Files, Files]) -> None:
    """Of the right picture in the right place only; and what is found in a part is a partial copy."""
    names = ["", "detail 5,7", "detail 1,1", "detail 5,7"]
    right = np.array([0, 0, 0, 1])
    checks = check_pairs(*scenes, np.zeros(4, np.int64), right, silent, parts_of(names))
    assert checks.copies.tolist() == [False, True, False, False]
    assert checks.kind[1] is Kind.PARTIAL
    whole = check_pairs(*scenes, np.zeros(1, np.int64), np.zeros(1, np.int64), silent)
    assert_equal(whole, checks, slice(1))


def test_parts_of_both_sides_in_any_order(scenes: tuple[Files, Files], monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture and its parts are kept apart though they share a file; so are those of either side."""
    _, pictures = scenes
    names = ["", "tile 1,1", "tile 3,3", "detail 5,6"]
    left, right = (side.ravel() for side in np.meshgrid(range(4), range(4)))
    parts = Parts(*(np.array([names[i] for i in side], object) for side in (left, right)))
    row = np.zeros(len(left), np.int64)
    checks = check_pairs(pictures, pictures, row, row, silent, parts)
    # the two tiles share a quarter of each: no copy; the detail lies within neither corner
    copies = checks.copies.reshape(4, 4)
    assert copies.diagonal().all()
    assert copies[0, 1:3].all()
    order = np.random.default_rng(0).permutation(len(left))
    monkeypatch.setattr(compare, "pictures_held", lambda: 2)
    again = check_pairs(pictures, pictures, row, row, silent, Parts(*(side[order] for side in parts)))
    assert_equal(again, checks, order)


@pytest.mark.parametrize(
    ("free", "most"),
    [(0, 1024), (4 * 2**30, 1024), (2**34, 3579), (2**40, 4096)],
    ids=["none", "4 GiB", "16 GiB", "1 TiB"],
)
def test_more_pictures_are_held_where_memory_is_free(free: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    monkeypatch.setattr(compare, "is_limited", lambda: False)
    assert compare.pictures_held() == most


@pytest.mark.parametrize(("free", "room"), [(2**40, 2**34), (2**34, 2**40)])
def test_and_where_the_address_space_has_room_for_them(free: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit (ulimit -v) is asked as the memory is: what is less counts."""
    monkeypatch.setattr(machine, "free_memory", lambda: free)
    monkeypatch.setattr(compare, "is_limited", lambda: True)
    monkeypatch.setattr(compare, "room", lambda: room)
    assert compare.pictures_held() == 3579
