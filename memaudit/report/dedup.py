"""Files of a dedup run: pairs, groups, decisions, keep and drop lists, thumbnails, report.html, report.json."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from memaudit.records import Decision, DedupResult, Int64, Reason
from memaudit.report.document import make_report, write_report
from memaudit.report.page import histogram, percent, percent_down, write_page
from memaudit.report.pictures import Pictures
from memaudit.report.tables import rank_of, write_lines, write_table
from memaudit.store import Store

GROUPS_SHOWN = 50
MEMBERS_SHOWN = 12
PAIRS_SHOWN = 24
SIZE_BANDS = ((2, 2), (3, 4), (5, 9), (10, 19), (20, 99), (100, None))


def write_dedup(result: DedupResult, store: Store, out: Path) -> dict[str, Any]:
    """Write every file of a dedup run into `out` and return the report. report.json comes last."""
    _write_tables(result, out)
    pictures = Pictures(out)
    groups = _largest_groups(result, store, pictures)
    report = make_report(
        "dedup",
        inputs={"store": result.store_digest},
        encoder=result.encoder,
        threshold=result.threshold,
        coverage=result.coverage,
        results=_results(result),
        findings=groups,
    )
    borderline = _borderline_pairs(result, store, pictures)
    write_page(out / "report.html", "dedup.html", report=report, borderline=borderline, members_shown=MEMBERS_SHOWN)
    write_report(out / "report.json", report)
    return report


def _write_tables(result: DedupResult, out: Path) -> None:
    decisions, pairs = result.decisions, result.pairs
    ids = decisions.image_id
    write_table(
        out / "pairs.parquet",
        {
            "left_id": ids[pairs.left],
            "right_id": ids[pairs.right],
            "similarity": pairs.similarity,
            "exact": pairs.exact,
        },
    )
    grouped = np.flatnonzero((decisions.reason == Reason.CHOSEN) | (decisions.decision == Decision.DROP))
    grouped = grouped[np.lexsort((rank_of(ids[grouped]), decisions.group[grouped]))]
    write_table(out / "groups.parquet", {"group": decisions.group[grouped], "image_id": ids[grouped]})
    dropped = decisions.decision == Decision.DROP
    witness = np.full(len(ids), None, dtype=object)
    witness[dropped] = ids[decisions.witness[dropped]]
    write_table(
        out / "decisions.parquet",
        {
            "image_id": ids,
            "decision": decisions.decision.astype(str),
            "group": decisions.group,
            "witness_id": witness,
            "witness_similarity": np.where(dropped, decisions.similarity, np.nan),
            "reason": decisions.reason.astype(str),
        },
    )
    write_lines(out / "keep.txt", ids[decisions.decision == Decision.KEEP])
    write_lines(out / "drop.txt", ids[dropped])


def _results(result: DedupResult) -> dict[str, Any]:
    sizes = _group_sizes(result)
    return {
        "conclusive": not result.inconclusive,
        "reasons": list(result.inconclusive),
        "headline": _headline(result),
        "method": result.method,
        "keep_rule": result.keep_rule,
        "images": result.coverage.total,
        "kept": result.count(Decision.KEEP),
        "dropped": result.count(Decision.DROP),
        "unreadable": result.count(Decision.UNREADABLE),
        "exact_duplicates": int((result.decisions.reason == Reason.COPY).sum()),
        "near_duplicates": int((result.decisions.reason == Reason.NEAR).sum()),
        "groups": len(sizes),
        "largest_group": int(sizes.max(initial=0)),
        "pairs": len(result.pairs.left),
        "pairs_added_by_clustering": list(result.added),
        "recall": asdict(result.recall),
        "group_sizes": [
            {"low": low, "high": high, "groups": int(((sizes >= low) & (sizes <= (high or np.inf))).sum())}
            for low, high in SIZE_BANDS
        ],
        "similarities": histogram(result.pairs.similarity, min(result.threshold, 0.99), 1.0, 25),
    }


def _group_sizes(result: DedupResult) -> Int64:
    readable = result.decisions.group[result.decisions.group >= 0]
    sizes = np.bincount(readable)
    return np.asarray(sizes[sizes > 1], dtype=np.int64)


def _headline(result: DedupResult) -> str:
    dropped, total = result.count(Decision.DROP), result.coverage.measured
    recall = result.recall.by_pair
    removal = (
        f"{dropped:,} of {total:,} images ({percent(dropped / total)}) can go: each has a duplicate that stays, "
        f"exact or of similarity {result.threshold:g} and more."
        if dropped
        else f"No duplicates of similarity {result.threshold:g} and more among {total:,} images."
    )
    if result.inconclusive:
        return f"Inconclusive: {'; '.join(result.inconclusive)}. {removal}"
    if recall.value is None:
        return (
            f"{removal} None of {result.recall.sampled:,} distinct images compared exactly with all others has another."
        )
    return f"{removal} This run found {percent(recall.value)} of the near-duplicate pairs ({_certainty(result)})."


def _certainty(result: DedupResult) -> str:
    recall = result.recall
    if recall.census:
        return "every image was checked against every other"
    return f"at least {percent_down(recall.by_pair.low)}, from {recall.sampled:,} images checked against all"


def _largest_groups(result: DedupResult, store: Store, pictures: Pictures) -> list[dict[str, Any]]:
    decisions = result.decisions
    sizes = np.bincount(decisions.group[decisions.group >= 0])
    largest = [g for g in np.argsort(-sizes, kind="stable")[:GROUPS_SHOWN] if sizes[g] > 1]
    return [_group(result, store, pictures, int(number)) for number in largest]


def _group(result: DedupResult, store: Store, pictures: Pictures, number: int) -> dict[str, Any]:
    """The kept image first, then the dropped ones by falling similarity to it."""
    decisions = result.decisions
    rows = np.flatnonzero(decisions.group == number)
    is_dropped = decisions.decision[rows] == Decision.DROP
    rows = rows[np.lexsort((rank_of(decisions.image_id[rows]), -decisions.similarity[rows], is_dropped))]
    shown = rows[:MEMBERS_SHOWN]
    columns = store.columns(shown)
    return {
        "kind": "group",
        "group": number,
        "size": len(rows),
        "smallest_similarity": round(float(decisions.similarity[rows].min()), 4),
        "members": [
            {
                "image_id": columns.image_id[i],
                "caption": columns.caption[i],
                "decision": str(decisions.decision[row]),
                "reason": str(decisions.reason[row]),
                "similarity": round(float(decisions.similarity[row]), 4),
                "picture": pictures.add(f"image-{row}", columns.uri[i]),
            }
            for i, row in enumerate(shown.tolist())
        ],
    }


def _borderline_pairs(result: DedupResult, store: Store, pictures: Pictures) -> list[dict[str, Any]]:
    """The pairs nearest above the threshold: whoever judges the threshold has to look at these."""
    pairs = result.pairs
    chosen = np.argsort(pairs.similarity, kind="stable")[:PAIRS_SHOWN]
    left, right = store.columns(pairs.left[chosen]), store.columns(pairs.right[chosen])
    return [
        {
            "similarity": float(pairs.similarity[index]),
            "sides": [
                {
                    "image_id": side.image_id[i],
                    "picture": pictures.add(f"image-{rows[index]}", side.uri[i]),
                }
                for side, rows in ((left, pairs.left), (right, pairs.right))
            ],
        }
        for i, index in enumerate(chosen.tolist())
    ]
