"""A report: what every kind has, and what each kind found."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from memaudit.report.model.audits import AuditResults, FaceAuditResults, ImageMatch
from memaudit.report.model.dedups import DedupResults, Group
from memaudit.report.model.extraction import ExtractionResults, PromptGroup
from memaudit.report.model.faces import FaceMatch
from memaudit.report.model.figures import Coverage, Encoder, Json, Name, Part, Threshold, says
from memaudit.report.model.filters import FilterResults
from memaudit.report.model.reweighting import ReweightResults, ShareRow

SCHEMA = "urn:memaudit:report:3"


class Unmeasured(Part, frozen=True, kw_only=True):
    """The results of a run that could not measure anything: nobody may take it for a clean one."""

    about: Annotated[str | UnsetType, says("faces, for an audit of two stores of faces")] = UNSET
    conclusive: Annotated[bool, says("false")]
    reasons: Annotated[list[str], says("why nothing was measured")]
    headline: Annotated[str, says("the same in a sentence")]


AuditFinding = ImageMatch | FaceMatch
AuditMeasures = AuditResults | FaceAuditResults
Results = AuditMeasures | DedupResults | ExtractionResults | FilterResults | ReweightResults | Unmeasured
Finding = AuditFinding | Group | PromptGroup | ShareRow
R = TypeVar("R", bound=Results, covariant=True)


class About(Part, frozen=True, kw_only=True):
    """What was examined, by whom and how, as whoever ran it says; empty where nobody did."""

    model: Annotated[str, says("name and version of the model under audit")] = ""
    training_set: Annotated[str, says("name and version of the training set")] = ""
    who: Annotated[str, says("who ran it")] = ""
    command: Annotated[str, says("the command, without what only its owner should know")] = ""


class Head(Part, frozen=True, kw_only=True):
    """What every report has beside its results and findings."""

    schema: Annotated[str, says("urn:memaudit:report: and a version")]
    kind: Annotated[str, says("audit, dedup, extraction, filter or reweight")]
    created: Annotated[str, says("ISO 8601, UTC")]
    memaudit: Annotated[str, says("version of memaudit")]
    inputs: Annotated[dict[str, str], says("digests of what was read, by role")]
    encoder: Annotated[Encoder | None, says("what made the embeddings; null if the run did not get that far")]
    threshold: Annotated[Threshold | None, says("similarity from which two images count as alike")]
    coverage: Annotated[Coverage, says("images that were measured")]
    digests: Annotated[
        dict[str, Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]],
        says("64 bits of the SHA-256 of each part, by its place: which part was changed"),
    ]
    files: Annotated[
        dict[str, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]] | UnsetType,
        says("SHA-256 of each table and list beside the report, and of each folder of pictures"),
    ] = UNSET
    stores: Annotated[
        dict[str, Name] | UnsetType,
        says("digest of each store that was read, by its path from the report's folder"),
    ] = UNSET
    about: Annotated[About | UnsetType, says("what was examined, by whom and how")] = UNSET
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$"), says("SHA-256 of all else in the report")]


class ReportOf(Struct, Generic[R], frozen=True, kw_only=True):
    """A report as it was made or read: typed, and `content`, its JSON with whatever a newer version added to it.

    What is written and what the digest is over is `content`; of a report by an earlier schema it is as it was read.
    """

    head: Head
    results: R
    findings: list[Finding]
    content: Json

    @property
    def kind(self) -> str:
        return self.head.kind

    @property
    def inputs(self) -> dict[str, str]:
        return self.head.inputs

    @property
    def encoder(self) -> Encoder | None:
        return self.head.encoder

    @property
    def threshold(self) -> float | None:
        return self.head.threshold

    @property
    def coverage(self) -> Coverage:
        return self.head.coverage

    @property
    def created(self) -> str:
        return self.head.created

    @property
    def digest(self) -> str:
        return self.head.digest

    @property
    def matches(self) -> list[AuditFinding]:
        """The findings of an audit, in their order; nothing for another kind."""
        return [each for each in self.findings if isinstance(each, ImageMatch | FaceMatch)]


Report = ReportOf[Results]
AuditReport = ReportOf[AuditMeasures]
DedupReport = ReportOf[DedupResults]
