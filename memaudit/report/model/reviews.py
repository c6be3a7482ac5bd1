"""What people said of a pair, in a report."""

from __future__ import annotations

from typing import Annotated

from memaudit.report.model.figures import Part, says


class Said(Part, frozen=True, kw_only=True):
    """What one person says in the end."""

    who: Annotated[str, says("who")]
    verdict: Annotated[str, says("copy, not a copy, accepted or unsure")]
    when: Annotated[str, says("ISO 8601; empty where it is not known")] = ""
    why: Annotated[str, says("why")] = ""
    until: Annotated[str | None, says("last day on which it holds; null: for good")] = None


class Told(Part, frozen=True, kw_only=True):
    """What was said of a finding's two files before: it does not change what the finding counts for."""

    verdict: Annotated[str, says("what all say who are sure; unsure where nobody is, disagreement where they differ")]
    said: Annotated[list[Said], says("by whom")]
