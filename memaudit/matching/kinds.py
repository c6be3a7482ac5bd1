"""The kinds of matches and of findings: all that rank, count, accept or document them read it here."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a match is, as far as it was looked at."""

    VERBATIM = "verbatim"
    NEAR = "near-duplicate"
    PARTIAL = "partial"  # a region of one is, or is a region of, the other
    TEMPLATE = "template"  # the same picture but for a part
    REDRAWN = "re-drawn"  # the same picture drawn anew, hardly a pixel in common: beside the copies, and none of them
    SIMILAR = "similar, not a copy"


COPIES: Final = (Kind.VERBATIM, Kind.TEMPLATE, Kind.NEAR, Kind.PARTIAL)
"""Those of a match, the gravest first."""
FACE: Final = "face"  # a face that matches another: a finding, and no copy of an image
FINDINGS: Final = (*sorted(map(str, COPIES)), str(Kind.REDRAWN), FACE)
"""Those of a finding."""
