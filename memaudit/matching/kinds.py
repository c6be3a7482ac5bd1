"""The kinds of matches and of findings: all that rank, count, accept or document them read it here."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from memaudit.errors import UsageError


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
ALL: Final = (*COPIES, Kind.REDRAWN)
"""Those that may count (`--kinds`)."""
FACE: Final = "face"  # a face that matches another: a finding, and no copy of an image
FINDINGS: Final = (*sorted(map(str, COPIES)), str(Kind.REDRAWN), FACE)
"""Those of a finding."""


def kinds_of(given: str | Iterable[str], by_default: tuple[Kind, ...] = ALL) -> tuple[Kind, ...]:
    """Names, also with commas between them, in the order of `ALL`; "all", and none of them for the default. Raises
    UsageError for another name."""
    names = [name.strip() for part in ([given] if isinstance(given, str) else given) for name in part.split(",")]
    named = {name for name in names if name}
    if not named:
        return by_default
    for name in named - {"all", *ALL}:
        close = get_close_matches(name, ALL, n=1)
        hint = f"did you mean {str(close[0])!r}?" if close else f"expected some of {', '.join(ALL)}, or all"
        raise UsageError(f"--kinds: unknown kind {name!r}: {hint}")
    return ALL if "all" in named else tuple(kind for kind in ALL if kind in named)


def left_out_of(kinds: Collection[str]) -> list[str]:
    """The kinds that do not count, the gravest first."""
    return [str(kind) for kind in ALL if kind not in kinds]
