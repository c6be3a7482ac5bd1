"""What `--verify` takes, and the similarities from which pixels are worth looking at."""

from __future__ import annotations

from memaudit.encoders.specs import families
from memaudit.errors import UsageError

VERIFY = ("auto", "pixels", "none")
PAIR_FLOORS = {n: each.pair_floor for n, each in families().items() if each.pair_floor is not None}
"""From which pairs of one set are checked, by encoder; measured, docs/protocols/pixel-matching.md. Others have none."""
SEARCH_FLOORS = {n: each.search_floor for n, each in families().items() if each.search_floor is not None}
"""From which training images are candidates for a picture that is searched, by encoder; measured,
docs/protocols/pixel-matching.md. For others it is the threshold: pixels then tell what kind of copy a match is."""


def require_choice(verify: str) -> None:
    """Raise UsageError for another choice than VERIFY's."""
    if verify not in VERIFY:
        raise UsageError(f"unknown --verify {verify!r}: expected one of {', '.join(VERIFY)}")
