"""What became of each generation, short enough for report.json: two reports tell whether their runs are paired."""

from __future__ import annotations

import numpy as np

from memaudit.audit.results import AuditResult
from memaudit.files import digest_of
from memaudit.report.model import Outcomes
from memaudit.store import Columns


def outcomes_of(result: AuditResult, queries: Columns) -> Outcomes:
    """The regurgitated generations, those that do not count, and a digest of all that were asked for.

    digest: of the sorted (query_id, prompt, seed) of all generations, and the names of missing ones; None where a
    prompt is not known, for generations that only have the same names are not the same. found: those that the rate of
    the full search counts; left_out: blank, unreadable and missing ones, and those without a match that are another's
    picture again.
    """
    ids = [str(image_id) for image_id in queries.image_id]
    keys = [[*key] for key in zip(ids, result.prompts, result.seeds, strict=True)]
    known = bool(ids) and all(result.prompts)
    return Outcomes(
        digest=digest_of(sorted([*keys, *([name, "", ""] for name in result.missing)])) if known else None,
        total=len(ids) + len(result.missing),
        found=[ids[row] for row in np.flatnonzero(result.counted & result.scores.regurgitated)],
        left_out=[*(ids[row] for row in np.flatnonzero(~result.counted)), *result.missing],
    )
