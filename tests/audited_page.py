"""Pages of audits that no run had to make: findings with pictures, alignments and digests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pictures import photograph
from PIL import Image

from memaudit.encoders.encoder import spec_of
from memaudit.encoders.specs import families
from memaudit.report.bindings import bound_to
from memaudit.report.document import make_report, write_report
from memaudit.report.model import (
    Alignment,
    AuditResults,
    AuditSimilarities,
    Bin,
    ByPrompt,
    Control,
    FaceCounts,
    Faces,
    ImageMatch,
    Miss,
    Report,
    Seeds,
    coverage_of,
    rate_of,
)
from memaudit.report.pages import write_report_page
from memaudit.statistics import rate_of as rate
from memaudit.types import Coverage

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\"><h1>taken</h1> {{ 7 * 7 }} \u2028"
HALF = Alignment(
    matrix=[0.5, 0.0, 0.25, 0.0, 0.5, 0.125], query_box=[0, 0, 1, 1], reference_box=[0.25, 0.17, 0.75, 0.67]
)
"""A generation that is the middle of a training image of 4 : 3, enlarged."""


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def finding(number: int, **changes: Any) -> ImageMatch:
    """A generation that repeats a training image; two generations each."""
    made = ImageMatch(
        query_id=f"gen-{number:05d}",
        reference_id=f"train-{number // 2:05d}",
        similarity=round(0.99 - number * 1e-5, 5),
        kind=("verbatim", "template", "partial")[number % 3],
        verified=True,
        paired=False,
        near_duplicates=1 + number % 4,
        prompt=f"prompt {number}",
        caption=HOSTILE if number == 1 else f"caption {number}",
        query_sha256=digest(f"q{number}"),
        reference_sha256=digest(f"r{number // 2}"),
    )
    return replace(made, **changes)


def pictured(out: Path, number: int, side: int = 240) -> ImageMatch:
    """The same, with pictures and an alignment: the generation is the middle half of the training image."""
    folder = out / "thumbnails"
    folder.mkdir(parents=True, exist_ok=True)
    whole = photograph(number // 2, (side * 4 // 3, side))
    part = whole.crop((side // 3, side * 17 // 100 - 1, side, side * 67 // 100 + 1)).resize(whole.size)
    names = (f"thumbnails/generation-{number}.jpg", f"thumbnails/training-{number // 2}.jpg")
    for name, picture in zip(names, (part, whole), strict=True):
        picture.save(out / name, quality=90)
    return finding(number, query_picture=names[0], reference_picture=names[1], alignment=HALF)


def results(found: int, n: int, **changes: Any) -> AuditResults:
    measured = Coverage(n, n)
    returned = rate_of(rate(found, measured))
    bins = [Bin(low=i / 10, high=(i + 1) / 10, count=(n * i) // 50 + 1) for i in range(10)]
    fields: dict[str, Any] = {
        "conclusive": True,
        "reasons": [],
        "headline": f"{found:,} of {n:,} prompts gave a training image back.",
        "references": coverage_of(Coverage(8000, 8000)),
        "searched": returned,
        "by_prompt": ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=n)]),
        "paired": None,
        "control": Control(
            matched=rate_of(rate(0, Coverage(500, 500))),
            usable=500,
            relabelling_p=0.01,
            greater_rate_p=0.0003,
            why_no_p="",
        ),
        "verified": coverage_of(measured),
        "views": ["whole", "tile 1,1"],
        "similarities": AuditSimilarities(generations=bins, control=bins),
        "misses": [Miss(query_id="gen-x", reference_id="train-x", similarity=0.3, view="whole", kind="similar")],
    }
    return AuditResults(**{**fields, **changes})


def compared_faces(count: int, p: float | None = None, **changes: Any) -> Faces:
    """So many of 700 people match."""
    matched = rate_of(rate(count, Coverage(700, 700)))
    shown = FaceCounts(
        images=1200, with_face=800, without_face=400, unreadable=0, faces=950, comparable=900, small=50, most=3
    )
    return Faces(
        threshold=0.5,
        one_to_one_threshold=0.363,
        calibration="control",
        gallery_faces=5000,
        gallery_coverage=coverage_of(Coverage(1, 1)),
        scored_faces=900,
        generated=shown,
        images_without_face=400,
        matched=matched,
        expected_false_matches=0.9,
        excess_p=p,
        same_picture=min(count, 3),
        new_picture=max(0, count - 3),
        coverage=matched.coverage,
        **{"people": 700, **changes},
    )


def write_audited(
    out: Path, findings: Sequence[ImageMatch], n: int = 400, beside: bool = False, **changes: Any
) -> Report:
    """Report and page of an audit in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    report = make_report(
        "audit",
        inputs={"generations": "g", "references": "r"},
        encoder=spec_of(families()["sscd"]),
        threshold=0.75,
        coverage=Coverage(n, n),
        results=results(len(findings), n, **changes),
        findings=findings,
        bound=bound_to(out),
    )
    write_report_page(out / "report.html", report, beside=beside)
    write_report(out / "report.json", report)
    return report


def noise(path: Path, seed: int, side: int) -> None:
    """A picture that does not get smaller: what a page has room for is soon used up."""
    Image.effect_noise((side, side), 40 + seed % 60).convert("RGB").save(path, quality=82)
