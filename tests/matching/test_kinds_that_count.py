"""Names of kinds, as `--kinds` takes them."""

from __future__ import annotations

import pytest

from memaudit.errors import UsageError
from memaudit.matching.kinds import ALL, COPIES, Kind, kinds_of, left_out_of


def test_names_come_in_the_order_of_gravity() -> None:
    assert kinds_of("re-drawn, verbatim,template") == (Kind.VERBATIM, Kind.TEMPLATE, Kind.REDRAWN)
    assert kinds_of(["partial", "verbatim,near-duplicate"]) == (Kind.VERBATIM, Kind.NEAR, Kind.PARTIAL)


def test_none_is_the_default_and_all_is_all() -> None:
    assert kinds_of("") == kinds_of(()) == kinds_of("all") == ALL
    assert kinds_of("", COPIES) == COPIES
    assert kinds_of("all", COPIES) == ALL


@pytest.mark.parametrize(
    ("given", "hint"),
    [("redrawn", "did you mean 're-drawn'?"), ("verbatim,face", "unknown kind 'face'"), ("similar", "unknown kind")],
)
def test_another_name_is_refused(given: str, hint: str) -> None:
    """With the likeliest meaning: misspelt, a kind would silently not count."""
    with pytest.raises(UsageError) as refused:
        kinds_of(given)
    assert hint in str(refused.value)


def test_what_does_not_count() -> None:
    assert left_out_of(ALL) == []
    assert left_out_of(("verbatim", "near-duplicate")) == ["template", "partial", "re-drawn"]
