"""What became of each generation, short enough for report.json: two reports tell whether their runs are paired."""

from __future__ import annotations

import hashlib

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from memaudit.audit.results import AuditResult, ByPrompt
from memaudit.files import digest_of
from memaudit.report.model import Outcomes, OutcomesByPrompt, Seeds
from memaudit.store import Columns

_DIGITS = 12  # 48 bits: of a million prompts one in 300 million is taken for another


def outcomes_of(result: AuditResult, queries: Columns) -> Outcomes:
    """The regurgitated generations, those that do not count, and a digest of all that were asked for.

    digest: of the sorted (query_id, prompt, seed) of all generations, and the names of missing ones; None where a
    prompt is not known, for generations that only have the same names are not the same. found: those that the rate of
    the full search counts; left_out: blank, unreadable, undecided and missing ones, and those without a match that are
    another's picture again.
    """
    ids = [str(image_id) for image_id in queries.image_id]
    keys = [[*key] for key in zip(ids, result.prompts, result.seeds, strict=True)]
    known = bool(ids) and all(result.prompts)
    found, left_out = np.flatnonzero(result.counted & result.scores.regurgitated), np.flatnonzero(~result.counted)
    return Outcomes(
        digest=digest_of(sorted([*keys, *([name, "", ""] for name in result.missing)])) if known else None,
        total=len(ids) + len(result.missing),
        found=[ids[row] for row in found],
        left_out=[*(ids[row] for row in left_out), *result.missing],
        by_prompt=_by_prompt(result, result.by_prompt, found, left_out) if result.by_prompt else UNSET,
    )


def _by_prompt(
    result: AuditResult, prompts: ByPrompt, found: NDArray[np.intp], left_out: NDArray[np.intp]
) -> OutcomesByPrompt:
    sizes, counts = np.unique(prompts.asked, return_counts=True)
    return OutcomesByPrompt(
        asked=[Seeds(seeds=s, prompts=p) for s, p in zip(sizes.tolist(), counts.tolist(), strict=True)],
        found=prompts.prompt[found].tolist(),
        left_out=[*prompts.prompt[left_out].tolist(), *prompts.of_missing.tolist()],
        shares=UNSET if prompts.shares is None else prompts.shares[prompts.prompt[found]].tolist(),
        prompts=[_digest(key) for key in prompts.keys] if result.model else UNSET,
    )


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS] if key else ""
