"""A report is never larger than its readers take: long texts are shortened, and findings beyond a size are not listed.

The tables beside it hold all of both.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from msgspec import UNSET, Struct, structs, to_builtins

from memaudit.report.model import Finding, ImageMatch, Results

MOST_BYTES = 64 * 2**20  # of a report.json: about a hundred thousand findings
SHORTENED = " … shortened"
_TEXTS = ("prompt", "caption", "seed", "reference_url", "value")  # fields that hold whatever somebody wrote
_LONGEST, _SHORTEST = 2000, 100  # bytes of such a field: less, the more findings there are
_SPARE = 2**20
_INDENT = 4  # of a line of a finding within the report
_DIGEST = 48  # bytes that a finding's own digest takes
R = TypeVar("R", bound=Results)
S = TypeVar("S", bound=Struct)


def bounded(results: R, findings: Sequence[Finding]) -> tuple[R, list[Finding]]:
    """The same with texts shortened; where that is too large, without what else a finding's generation matches; then
    without the last findings, and the run is inconclusive: whoever judges it does not see them all."""
    most = max(_SHORTEST, min(_LONGEST, MOST_BYTES // (6 * max(1, len(findings)))))
    results, short = _shortened(results, most), [_shortened(finding, most) for finding in findings]
    room = MOST_BYTES - _SPARE - _size(results)
    count = _fitting(short, room)
    if count < len(short):
        short = [_alone(finding) for finding in short]
        count = _fitting(short, room)
    if count == len(short):
        return results, short
    reason = f"only {count:,} of {len(short):,} findings have room in report.json; the tables beside it hold all"
    return (
        structs.replace(
            results,
            conclusive=False,
            reasons=[*results.reasons, reason],
            headline=f"Inconclusive: {reason}. {results.headline}",
        ),
        short[:count],
    )


def shortened(text: str, most: int) -> str:
    """About so many bytes of JSON at most, and then the word that says so."""
    taken = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "backslashreplace")) - 2
    if taken <= most:
        return text
    data = text.encode("utf-8", "backslashreplace")
    return data[: most * len(data) // taken].decode("utf-8", "ignore") + SHORTENED


def _shortened(part: S, most: int) -> S:
    """A struct, with the structs in it, and lists of them."""
    changes: dict[str, object] = {}
    for field in part.__struct_fields__:
        value = getattr(part, field)
        if field in _TEXTS and isinstance(value, str):
            changes[field] = shortened(value, most)
        elif isinstance(value, Struct):
            changes[field] = _shortened(value, most)
        elif isinstance(value, list) and value and isinstance(value[0], Struct):
            changes[field] = [_shortened(each, most) for each in value]
    return structs.replace(part, **changes) if changes else part


def _alone(finding: Finding) -> Finding:
    return structs.replace(finding, further=UNSET) if isinstance(finding, ImageMatch) else finding


def _fitting(findings: Sequence[Finding], room: int) -> int:
    for count, finding in enumerate(findings):
        room -= _size(finding) + _DIGEST
        if room < 0:
            return count
    return len(findings)


def _size(part: Struct) -> int:
    text = json.dumps(to_builtins(part), indent=2, ensure_ascii=False)
    return len(text.encode("utf-8", "backslashreplace")) + _INDENT * (text.count("\n") + 1)
