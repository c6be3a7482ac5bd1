"""What `info` says of why images could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from memaudit.api import store_contents
from memaudit.api.store_contents import contents_of
from memaudit.store import NO_FILE, Row, writing_store
from memaudit.types import EncoderSpec, Status


def _causes(folder: Path, errors: Sequence[str]) -> dict[str, int]:
    """As info tells them of a store of so many unreadable images."""
    rows = [Row(str(n), "", "", NO_FILE, 0, 0, Status.UNREADABLE, why, None) for n, why in enumerate(errors)]
    with writing_store(folder, EncoderSpec("test", "", "none", 4, 0.9), 64, ["test"]) as writer:
        writer.write_shard(rows)
        writer.finish()
    found = contents_of(folder)["unreadable"]
    assert isinstance(found, dict)
    return found


def test_causes_that_differ_in_numbers_are_one(tmp_path: Path) -> None:
    """Each truncated file lacks another number of bytes. What all of a kind say stays as it is, and so does what a web
    server answered."""
    cut = [f"cannot decode: image file is truncated ({n} bytes not processed)" for n in range(7)]
    large = ["cannot read file: file over the limit of 1,073,741,824 bytes"] * 3
    web = ["cannot read file: HTTP 404 Not Found"] * 2 + ["cannot read file: HTTP 403 Forbidden"]
    assert _causes(tmp_path / "store", [*web, *cut, *large]) == {
        "cannot decode: image file is truncated (… bytes not processed)": 7,
        large[0]: 3,
        "cannot read file: HTTP 404 Not Found": 2,
        "cannot read file: HTTP 403 Forbidden": 1,
    }


def test_twenty_causes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others counted, those too that came when as many were known as are kept: every image is in the sum."""
    errors = [f"fault {chr(97 + n)}" for n in range(26) for _ in range(1 + n % 2)]
    found = _causes(tmp_path / "one", errors)
    counts = Counter(errors)
    assert list(found)[:13] == [error for error in counts if counts[error] == 2]
    assert (len(found), found["others"], sum(found.values())) == (21, 6, 39)
    monkeypatch.setattr(store_contents, "_MOST_CAUSES", 5)
    few = _causes(tmp_path / "two", errors)
    assert (len(few), few["others"], sum(few.values())) == (6, 32, 39)
