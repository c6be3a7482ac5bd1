"""What an audit is about, images or faces alone, and which of its findings are about images."""

from __future__ import annotations

from collections.abc import Collection

from memaudit.matching.kinds import FACE, Kind
from memaudit.report.model import (
    AuditFinding,
    AuditResults,
    Calibration,
    DedupResults,
    FaceAuditResults,
    ImageMatch,
    Report,
    Unmeasured,
)

FACES = "faces"
_TRAINING_SET = {"dedup": "store", "reweight": "store", "filter": "store 1"}
_BESIDE = (FACE, Kind.REDRAWN)


def about_faces(report: Report) -> bool:
    """Whether an audit compared two stores of faces, and no images. Its rate is one of faces."""
    return isinstance(report.results, FaceAuditResults | Unmeasured) and report.results.about == FACES


def measured_by(report: Report) -> AuditResults | FaceAuditResults | None:
    """What an audit measured; None for one that could not, and for another kind of report."""
    return report.results if isinstance(report.results, AuditResults | FaceAuditResults) else None


def calibration_of(report: Report) -> Calibration | None:
    """By which calibration a run went; None for one that went by none."""
    return report.results.calibration if isinstance(report.results, AuditResults | DedupResults) else None


def looked_at_faces(report: Report) -> bool:
    """Whether an audit compared faces, alone or beside images."""
    results = measured_by(report)
    return results is not None and bool(results.faces)


def training_set_of(report: Report) -> str | None:
    """Digest of the store that the report is about; None where the run did not get that far."""
    key = "training faces" if about_faces(report) else _TRAINING_SET.get(report.kind, "references")
    return report.inputs.get(key)


def subject_places(report: Report) -> list[int]:
    """The places of the findings that an audit's rate is about: a face that matches is no copy of an image, and neither
    is an image drawn anew. What is of a kind that does not count is not among them."""
    everything = about_faces(report)
    return [
        place for place, each in enumerate(report.matches) if everything or (each.kind not in _BESIDE and counts(each))
    ]


def counts(finding: AuditFinding) -> bool:
    """Whether a finding is of a kind that counts."""
    return not isinstance(finding, ImageMatch) or finding.counted is not False


def redrawn_places(report: Report) -> list[int]:
    """The places of the findings that are training images drawn anew."""
    return [place for place, each in enumerate(report.matches) if each.kind == Kind.REDRAWN]


def of_subject(report: Report, accepted: Collection[int]) -> set[int]:
    """Those of the accepted places that the rate is about."""
    return set(accepted).intersection(subject_places(report)) if accepted else set()
