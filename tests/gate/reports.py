"""Reports of audits and dedup runs that no run had to make: complete, sealed, and valid against the schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memaudit.files import digest_of
from memaudit.report.document import digests_of_parts, make_report
from memaudit.statistics import rate_of
from memaudit.types import Coverage, EncoderSpec

Report = dict[str, Any]
SSCD = EncoderSpec("sscd", "a" * 64, "288", 512, 0.75)
SFACE = EncoderSpec("sface", "b" * 64, "112", 128, 0.6)
OTHER = EncoderSpec("thumbnail", "", "16", 256, 0.95)
COPY = {"kind": "near-duplicate", "paired": True, "near_duplicates": 3}


def finding(query: int | str, reference: str = "", **changes: Any) -> Report:
    """One finding, as an audit writes it."""
    name = query if isinstance(query, str) else f"gen-{query:04d}.png"
    return {
        "query_id": name,
        "reference_id": reference or f"train-{name}",
        "similarity": 0.91,
        "prompt": f"prompt of {name}",
        "query_picture": f"thumbnails/{name}.jpg" if "/" not in name else None,
        "reference_picture": "thumbnails/training-1.jpg",
        **COPY,
        **changes,
    }


def audit(
    n: int = 1000,
    found: Sequence[int | Report] = (),
    *,
    total: int | None = None,
    prompts: str | None = "same",
    left_out: int = 0,
    encoder: EncoderSpec = SSCD,
    threshold: float = 0.75,
    controls: int | None = 500,
    references: tuple[int, int] = (1000, 1000),
    store: str = "s1",
    days_old: float = 0,
    conclusive: bool = True,
    **more: Any,
) -> Report:
    """An audit's report. found: numbers of generations, or findings. prompts: which set of prompts; None: unknown."""
    findings = [each if isinstance(each, dict) else finding(each) for each in found]
    measured = Coverage(n, n if total is None else total)
    outcomes = {
        "digest": digest_of([prompts, n]) if prompts else None,
        "total": measured.total,
        "found": [each["query_id"] for each in findings],
        "left_out": [f"lost-{i}" for i in range(left_out)],
    }
    results = {
        "conclusive": conclusive,
        "reasons": [] if conclusive else ["a shard was missing"],
        "headline": "headline",
        "searched": rate_of(len(findings), measured).as_dict(),
        "paired": None,
        "references": Coverage(*references).as_dict(),
        "control": None if controls is None else control(controls),
        "outcomes": outcomes,
        **more,
    }
    report = make_report(
        "audit",
        inputs={"generations": "g", "references": store},
        encoder=encoder,
        threshold=threshold,
        coverage=measured,
        results=results,
        findings=findings,
    )
    created = datetime.now(UTC) - timedelta(days=days_old)
    return sealed({**report, "created": created.isoformat(timespec="seconds")})


def control(count: int) -> Report:
    return {
        "matched": rate_of(0, Coverage(count, count)).as_dict(),
        "excluded_controls": 0,
        "relabelling_p": None,
        "greater_rate_p": None,
        "why_no_p": "",
    }


def dedup(low: float = 0.995, store: str = "s1", **changes: Any) -> Report:
    """A dedup run's report."""
    estimate = {"found": 1000, "total": 1000, "value": 1.0, "low": low, "high": 1.0}
    results = {
        "conclusive": True,
        "reasons": [],
        "headline": "headline",
        **dict.fromkeys(("images", "kept", "dropped", "unreadable"), 0),
        "pairs_added_by_clustering": [900],
        "recall": {"sampled": 1000, "census": False, "by_pair": estimate, "by_image": estimate},
        **changes,
    }
    return make_report(
        "dedup",
        inputs={"store": store},
        encoder=SSCD,
        threshold=0.75,
        coverage=Coverage(1000, 1000),
        results=results,
        findings=[],
    )


def faces(
    count: int, expected: float, p: float | None, measured: int = 1000, gallery: tuple[int, int] = (1000, 1000)
) -> Report:
    """results["faces"] of an audit. gallery: training images that could be searched for faces, of all."""
    return {
        "threshold": 0.5,
        "one_to_one_threshold": 0.363,
        "calibration": "control",
        "gallery_faces": 1000,
        "scored_faces": measured,
        "images_without_face": 0,
        "same_picture": 0,
        "new_picture": count,
        "matched": rate_of(count, Coverage(measured, 1000)).as_dict(),
        "expected_false_matches": expected,
        "excess_p": p,
        "coverage": Coverage(measured, 1000).as_dict(),
        "gallery_coverage": Coverage(*gallery).as_dict(),
    }


def face_audit(count: int, expected: float, p: float | None, **more: Any) -> Report:
    """The report of an audit of two stores of faces."""
    report = audit(1000, [face(number) for number in range(count)], encoder=SFACE, threshold=0.5, controls=None)
    report["inputs"] = {"generated faces": "gf", "training faces": "tf"}
    report["results"].pop("outcomes")
    report["results"].update(about="faces", faces=faces(count, expected, p), **more)
    return sealed(report)


def face(query: int | str, reference: str = "") -> Report:
    return finding(query, reference, kind="face", paired=False, image_similarity=None)


def sealed(report: Report) -> Report:
    """The report with digests that fit: a change that they cannot find."""
    content = {key: value for key, value in report.items() if key not in ("digest", "digests")}
    if report["schema"].endswith("2"):
        content["digests"] = digests_of_parts(content)
    return {**content, "digest": digest_of(content)}


def write(path: Path, report: Report) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report), encoding="utf-8")
    return path
