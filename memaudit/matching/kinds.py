"""What a match is, as far as it was looked at."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a match is, as far as it was looked at."""

    VERBATIM = "verbatim"
    NEAR = "near-duplicate"
    PARTIAL = "partial"  # a region of one is, or is a region of, the other
    TEMPLATE = "template"  # the same picture but for a part
    SIMILAR = "similar, not a copy"
