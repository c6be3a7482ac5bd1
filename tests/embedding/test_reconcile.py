"""What a store holds: looked up by key, held against the sources."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.embedding.reconcile import ComparedImage, ImageState, KnownFiles, Table, reconcile, require_distinct
from memaudit.errors import InputError

# Few first bytes, and hashes that end in NUL, so that keys are near each other and tails count.
HASHES = st.sampled_from([hashlib.sha256(bytes([n])).hexdigest() for n in range(8)]) | st.sampled_from(
    ["ab" + "00" * 31, "ab" + "00" * 14 + "01" + "00" * 16, "00" * 31 + "01", "ff" * 32]
)


@given(st.lists(st.lists(HASHES, max_size=6), max_size=4), HASHES)
def test_the_first_row_of_a_file_is_found(parts: list[list[str]], asked: str) -> None:
    """However the rows came in, the answer is that of a dictionary by the first 128 bits."""
    known, first, row = KnownFiles(), dict[str, int](), 0
    for part in parts:
        known.add(list(enumerate(part, row)))
        for sha256 in part:
            first.setdefault(sha256[:32], row)
            row += 1
    assert known.row_of(asked) == first.get(asked[:32], -1)


def test_a_shard_more_costs_no_sort_of_all_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a set of many shards each would cost more than the one before."""
    sorted_keys, of = list[int](), Table.of
    monkeypatch.setattr(
        Table, "of", classmethod(lambda cls, keys, rows: (sorted_keys.append(len(keys)), of(keys, rows))[1])
    )
    known, hashes = KnownFiles(), [hashlib.sha256(str(n).encode()).hexdigest() for n in range(1200)]
    known.add(enumerate(hashes[:1000]))
    for row in range(1000, 1200, 4):
        known.add(list(enumerate(hashes[row : row + 4], row)))
    assert sum(sorted_keys) < 4000
    assert [known.row_of(each) for each in hashes] == list(range(1200))


ROWS = 5


@given(st.permutations(range(ROWS)), st.sets(st.integers(0, ROWS - 1)), st.booleans())
def test_a_survey_tells_what_the_sources_still_have(order: list[int], lost: set[int], in_order: bool) -> None:
    """A row is current if its image was seen with the same file and, when asked for, in the same place."""
    seen = [
        ComparedImage(f"i{row}", row, (ImageState.SAME, ImageState.OTHER_FILE)[row % 2])
        for row in order
        if row not in lost
    ]
    compared = [ComparedImage("new", -1, ImageState.NEW), *seen] if not in_order else seen
    found = reconcile(ROWS, compared, in_order=in_order, tick=lambda _: None)
    for row in range(ROWS):
        place = [s.row for s in seen].index(row) if row not in lost else -1
        assert found.current[row] == (row not in lost and row % 2 == 0 and (place == row or not in_order))
    assert found.odd == next((s for s in seen if s.state is ImageState.OTHER_FILE), None)


@given(st.lists(st.text(max_size=3)))
def test_repeated_ids_are_found(ids: list[str]) -> None:
    """Every id once is counted; one that comes twice is named."""
    encodable = [i.encode("utf-8", "backslashreplace").decode() for i in ids]
    if len(set(encodable)) == len(encodable):
        assert require_distinct(lambda: encodable) == len(encodable)
    else:
        with pytest.raises(InputError, match="occurs twice"):
            require_distinct(lambda: encodable)


def test_an_empty_store_has_nothing_to_check() -> None:
    """No image of the sources is looked at."""
    found = reconcile(0, iter(()), in_order=True, tick=lambda _: None)
    assert found.current.shape == (0,)
    assert found.current.dtype == np.bool_
    assert found.odd is None
