"""Image_ids that are told apart: counted as ever, in the memory that is said."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.store import distinct
from memaudit.store.distinct import Counted, Listing, counted, repeated


def _by_copies(image_ids: Callable[[], Iterable[str]]) -> Counted:
    """As it was: numpy sorts a copy and counts all of them."""
    keys = np.array([distinct._short_key(image_id) for image_id in image_ids()], np.uint64)
    listing = Listing.of_sum(len(keys), int(keys.sum(dtype=np.uint64)))
    values, counts = np.unique(keys, return_counts=True)
    suspects, seen = set(values[counts > 1].tolist()), set[str]()
    for image_id in image_ids() if suspects else ():
        if distinct._short_key(image_id) in suspects:
            if image_id in seen:
                return Counted(listing, image_id)
            seen.add(image_id)
    return Counted(listing, None)


@given(ids=st.lists(st.text("ab\udcff", max_size=3), max_size=30), block=st.integers(1, 9), alike=st.booleans())
def test_what_is_counted_and_found_is_as_ever(ids: list[str], block: int, alike: bool) -> None:
    """Number, digest and the first that is repeated are those of before, wherever blocks end and though two that
    differ have one hash; and each that is there once more is named with its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct, "_BLOCK", block)
        if alike:
            patch.setattr(distinct, "_short_key", len)
        assert counted(lambda: ids) == _by_copies(lambda: ids)
        assert list(repeated(lambda: ids)) == [(n, each) for n, each in enumerate(ids) if each in ids[:n]]


def test_8_bytes_an_id() -> None:
    """Nothing is copied: what an array keeps in hand is a sixteenth."""
    tracemalloc.start()
    assert counted(lambda: map(str, range(40_000))).number == 40_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 40_000 + (1 << 17)
