"""What pixels have said outlives a killed run: whole pieces, of the same store and rule, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.dedup.verdicts import VERDICTS, Said, Verdicts
from memaudit.errors import InputError
from memaudit.matching.overlap import Overlaps

PIECES = st.lists(st.lists(st.tuples(st.integers(0, 2**40), st.booleans()), max_size=5), max_size=4)


def said(pairs: list[tuple[int, bool]]) -> Said:
    number = np.array([pair for pair, _ in pairs], np.int64)
    is_copy = np.array([copy for _, copy in pairs], bool)
    drawn = np.random.default_rng(len(pairs)).random((int(is_copy.sum()), 15))
    overlaps = Overlaps(drawn[:, :6].reshape(-1, 2, 3), drawn[:, 6:10], drawn[:, 10:14])
    return Said(number, is_copy, overlaps, drawn[:, 14].astype(np.float32), np.arange(len(drawn)) % 4)


def assert_equal(one: Said, two: Said) -> None:
    assert one.pair.tolist() == two.pair.tolist()
    assert one.is_copy.tolist() == two.is_copy.tolist()
    assert one.probability.tolist() == two.probability.tolist()
    assert one.kind.tolist() == two.kind.tolist()
    for name in ("matrix", "query_box", "reference_box"):
        np.testing.assert_array_equal(getattr(one.overlaps, name), getattr(two.overlaps, name))


def written(path: Path, pieces: list[Said], depends_on: str = "a") -> None:
    for piece in pieces:  # each by a run of its own
        with Verdicts(path, depends_on) as verdicts:
            verdicts.add(piece)


def read(path: Path, depends_on: str = "a") -> Said:
    with Verdicts(path, depends_on) as verdicts:
        return verdicts.earlier


@settings(max_examples=25, deadline=None)
@given(PIECES)
def test_what_was_added_is_there_again(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[tuple[int, bool]]]
) -> None:
    path = tmp_path_factory.mktemp("verdicts") / VERDICTS
    written(path, [said(piece) for piece in pieces])
    assert_equal(read(path), Said.joined([said(piece) for piece in pieces]))


@settings(max_examples=40, deadline=None)
@given(PIECES.filter(len), st.data())
def test_cut_anywhere_or_damaged_the_whole_pieces_before_are_left(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[tuple[int, bool]]], data: st.DataObject
) -> None:
    """And what is written then follows on them."""
    path = tmp_path_factory.mktemp("verdicts") / VERDICTS
    written(path, [said(piece) for piece in pieces])
    ends = np.cumsum([len(said(piece).as_bytes()) for piece in pieces])
    whole = path.read_bytes()
    first = len(whole) - int(ends[-1])
    at = data.draw(st.integers(first, len(whole) - 1))
    cut = data.draw(st.booleans())
    path.write_bytes(whole[:at] if cut else whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
    left = [said(piece) for piece, end in zip(pieces, ends + first, strict=True) if end <= at]
    assert_equal(read(path), Said.joined(left))
    written(path, [said([(7, True)])])
    assert_equal(read(path), Said.joined([*left, said([(7, True)])]))


@pytest.mark.parametrize("other", [b"", b"something else", b"memaudit verdicts 1 b\n" + said([(1, True)]).as_bytes()])
def test_those_of_another_store_or_rule_are_let_go(tmp_path: Path, other: bytes) -> None:
    path = tmp_path / VERDICTS
    path.write_bytes(other)
    assert len(read(path).pair) == 0
    written(path, [said([(2, False)])])
    assert read(path).pair.tolist() == [2]
    assert len(read(path, "c").pair) == 0


def test_an_interrupt_loses_none_and_nowhere_keeps_none(tmp_path: Path) -> None:
    path = tmp_path / VERDICTS

    def interrupted() -> None:
        with Verdicts(path, "a") as verdicts:
            verdicts.add(said([(3, True)]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert read(path).pair.tolist() == [3]
    with Verdicts(None, "a") as verdicts:
        verdicts.add(said([(3, True)]))
    assert len(verdicts.earlier.pair) == 0


def test_a_disk_that_refuses_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        Verdicts(tmp_path / "absent" / VERDICTS, "a")
    (tmp_path / VERDICTS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be written"):
        Verdicts(tmp_path / VERDICTS, "a")
    verdicts = Verdicts(tmp_path / "full", "a")
    verdicts.add(said([(3, True)]))

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(InputError, match="No space left"), verdicts:
        pass
