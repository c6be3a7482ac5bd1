"""Reports of audits and dedup runs that no run had to make: complete, sealed, and valid against the schema."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memaudit import __version__
from memaudit.encoders.encoder import spec_of
from memaudit.encoders.specs import families
from memaudit.files import digest_of
from memaudit.gate import GateResult, Policy, hold
from memaudit.images.copy_kinds import PLANTED
from memaudit.images.view_names import DEFAULT_VIEWS, view_names
from memaudit.report.document import digests_of_parts
from memaudit.report.model import SCHEMA
from memaudit.report.model import Report as TypedReport
from memaudit.report.parsing import report_of
from memaudit.statistics import greater_rate_p, rate_of
from memaudit.types import Coverage, EncoderSpec

Report = dict[str, Any]
SSCD = spec_of(families()["sscd"])
SFACE = EncoderSpec("sface", "b" * 64, "112", 128, 0.6)
OTHER = EncoderSpec("thumbnail", "", "16", 256, 0.95)
COPY = {"kind": "near-duplicate", "paired": True, "near_duplicates": 3, "probability": 0.2}


def full(count: int) -> Report:
    return Coverage(count, count).as_dict()


def planted(found: int = 10_000, of: int = 10_000, **by_kind: tuple[int, int]) -> Report:
    """What an audit detects of planted copies: as good as all, or so many of each kind (re_encoded=(36, 40))."""
    counts = dict.fromkeys(PLANTED, (found, of)) | {kind.replace("_", "-"): each for kind, each in by_kind.items()}
    kinds = [
        {"kind": kind, "found": rate_of(x, Coverage(m, m)).as_dict(), "matched": {"": x}}
        for kind, (x, m) in counts.items()
    ]
    return {"asked": of * len(counts), "images": of * len(counts), "unreadable": 0, "kinds": kinds}


def redrawn(
    count: int, n: int = 1000, total: int | None = None, controls: int | None = 500, alike: int = 0, **more: Any
) -> Report:
    """results["redrawn"] of an audit: so many generations of n, and of the held-out images."""
    p = greater_rate_p(count, n, alike, controls) if controls and controls >= 100 else None
    of_controls = controls and {
        "matched": rate_of(alike, Coverage(controls, controls)).as_dict(),
        "greater_rate_p": p,
        "why_no_p": "" if p else "too few",
    }
    return {
        "measured": True,
        "headline": f"Re-drawn: {count}",
        "searched": rate_of(count, Coverage(n, n if total is None else total)).as_dict(),
        "control": of_controls or None,
        "compared": full(50),
        "floor": 0.3,
        "cut": 0.5,
        **more,
    }


AS_BY_DEFAULT: Report = {
    "views": [*view_names(DEFAULT_VIEWS)],
    "verified": full(40),
    "blank": 0,
    "unpaired": 0,
    "planted": planted(),
    "effort": {
        "match_from": 0.3,
        "generation_views": full(9000),
        "control_views": full(4500),
        "reference_windows": None,
    },
    "redrawn": redrawn(0, 5000),
}
"""How hard an audit looks, and what of the model's output it leaves out, where nobody asks for less."""


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
    lost = range(measured.total - left_out, measured.total)
    numbers = {"found": [number_of(each, i) for i, each in enumerate(findings)], "left_out": [*lost]}
    outcomes = {
        "digest": digest_of([prompts, n]) if prompts else None,
        "total": measured.total,
        "found": [each["query_id"] for each in findings],
        "left_out": [f"lost-{i}" for i in range(left_out)],
        "by_prompt": {"asked": [{"seeds": 1, "prompts": measured.total}], **numbers},
    }
    returned = rate_of(len(findings), measured).as_dict()
    results = {
        "conclusive": conclusive,
        "reasons": [] if conclusive else ["a shard was missing"],
        "headline": "headline",
        "searched": returned,
        "by_prompt": {"returned": {**returned}, "seeds": [{"seeds": 1, "prompts": n}]},
        "paired": None,
        "references": Coverage(*references).as_dict(),
        "control": None if controls is None else control(controls),
        "outcomes": outcomes,
        **AS_BY_DEFAULT,
        **more,
    }
    inputs = {"generations": "g", "references": store}
    return report_json("audit", inputs, encoder, threshold, measured, results, findings, days_old=days_old)


def number_of(found: Report, place: int) -> int:
    """Of the prompt of a finding: that in its generation's name, or its place."""
    digits = re.fullmatch(r"gen-(\d+)\.png", found["query_id"])
    return int(digits[1]) if digits else place


def control(count: int) -> Report:
    return {
        "matched": rate_of(0, Coverage(count, count)).as_dict(),
        "excluded_controls": 0,
        "relabelling_p": None,
        "greater_rate_p": None,
        "why_no_p": "",
    }


def dedup(low: float = 0.995, store: str = "s1", encoder: EncoderSpec = SSCD, **changes: Any) -> Report:
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
    return report_json("dedup", {"store": store}, encoder, encoder.threshold, Coverage(1000, 1000), results, [])


def report_json(
    kind: str,
    inputs: dict[str, str],
    encoder: EncoderSpec,
    threshold: float,
    coverage: Coverage,
    results: Report,
    findings: list[Report],
    *,
    days_old: float = 0,
) -> Report:
    """A sealed report of this schema: JSON with no more in it than a report must have."""
    created = datetime.now(UTC) - timedelta(days=days_old)
    return sealed(
        {
            "schema": SCHEMA,
            "kind": kind,
            "created": created.isoformat(timespec="seconds"),
            "memaudit": __version__,
            "inputs": inputs,
            "encoder": encoder.as_dict(),
            "threshold": threshold,
            "coverage": coverage.as_dict(),
            "results": results,
            "findings": findings,
        }
    )


def typed(report: Report, name: str = "report.json") -> TypedReport:
    """The report as the gate's functions take it."""
    return report_of(report, name)


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
    if not report["schema"].endswith("1"):
        content["digests"] = digests_of_parts(content)
    return {**content, "digest": digest_of(content)}


def write(path: Path, report: Report) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report), encoding="utf-8")
    return path


def held(
    reports: Sequence[tuple[str, Report]], policy: Policy, baseline: Report | None = None, **more: Any
) -> GateResult:
    """What the gate makes of reports."""
    named = [(name, typed(report, name)) for name, report in reports]
    return hold(named, policy, baseline=typed(baseline) if baseline else None, **more)
