"""Digests are of the content."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from memaudit.files import digest_of, sha256_of


def test_sha256_is_that_of_the_bytes(tmp_path: Path) -> None:
    """A known value."""
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of(tmp_path / "a").startswith("ba7816bf")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(st.text(), json_values, max_size=4))
def test_the_digest_is_of_the_content(value: dict[str, object]) -> None:
    """Order of keys and a round trip through JSON do not change it; one more key does."""
    assert digest_of(value) == digest_of(dict(reversed(value.items())))
    assert digest_of(value) == digest_of(json.loads(json.dumps(value)))
    assert digest_of({**value, "one more key": 1}) != digest_of(value)
