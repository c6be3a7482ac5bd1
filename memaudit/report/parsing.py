"""JSON becomes a typed report: earlier schemas by named upgrades, anything else as it is or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from memaudit.encoders.specs import family_of
from memaudit.errors import InputError
from memaudit.matching.kinds import FACE
from memaudit.report.faults import Fault, fault_of
from memaudit.report.model import (
    SCHEMA,
    AuditResults,
    DedupResults,
    ExtractionResults,
    FaceAuditResults,
    FaceMatch,
    FilterResults,
    Finding,
    Group,
    Head,
    ImageMatch,
    Json,
    JsonValue,
    Part,
    PromptGroup,
    Report,
    ReportOf,
    Results,
    ReweightResults,
    ShareRow,
    Unmeasured,
)

FACES = "faces"
FIRST_SCHEMA, SECOND_SCHEMA = "urn:memaudit:report:1", "urn:memaudit:report:2"
_Measures = AuditResults | DedupResults | ExtractionResults | FilterResults | ReweightResults
_RESULTS: dict[str, type[_Measures]] = {
    "audit": AuditResults,
    "dedup": DedupResults,
    "extraction": ExtractionResults,
    "filter": FilterResults,
    "reweight": ReweightResults,
}
_FINDINGS: dict[str, type[ImageMatch | Group | PromptGroup | ShareRow]] = {
    "audit": ImageMatch,
    "dedup": Group,
    "extraction": PromptGroup,
    "filter": PromptGroup,  # it has none
    "reweight": ShareRow,
}
MEASURE = {  # no run measured without it
    "audit": "searched",
    "dedup": "recall",
    "extraction": "memorised",
    "filter": "decided",
    "reweight": "effective",
}
P = TypeVar("P", bound=Part)


class FaultError(ValueError):
    """A value that the model refuses."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))


def without_digests_of_parts(report: Json) -> Json:
    """From the first schema: it has no digests that tell which part was changed."""
    return {"digests": {}, **report, "schema": SCHEMA}


def with_numbers_as_they_stand(report: Json) -> Json:
    """From the second schema, of 0.2: its digests are of numbers as they stand, 1.0 and 1 being two."""
    return {**report, "schema": SCHEMA}


def saying_what_it_is_about(report: Json) -> Json:
    """Audits of faces alone once did not say so: they are known by their inputs and by their encoder."""
    results, inputs, encoder = (report.get(name) for name in ("results", "inputs", "encoder"))
    if report.get("kind") != "audit" or not isinstance(results, dict):
        return report
    of_faces = isinstance(inputs, dict) and "training faces" in inputs and "references" not in inputs
    family = family_of(str(encoder.get("name"))) if isinstance(encoder, dict) else None
    of_faces = of_faces or (family is not None and family.embeds == FACES)
    return {**report, "results": {**results, "about": FACES}} if of_faces else report


UPGRADES: dict[str, tuple[Callable[[Json], Json], ...]] = {
    FIRST_SCHEMA: (without_digests_of_parts, saying_what_it_is_about),
    SECOND_SCHEMA: (with_numbers_as_they_stand, saying_what_it_is_about),
    SCHEMA: (saying_what_it_is_about,),
}


def report_of(content: Json, name: str) -> Report:
    """Hold a JSON object against the model. `name`: what an error calls it.

    Raises InputError, in one line that names the place, for what is no report of a schema that this version reads.
    """
    schema = content.get("schema")
    if not isinstance(schema, str) or schema not in UPGRADES:
        found = str(schema)[:80]
        *others, last = map(repr, UPGRADES)
        raise InputError(f"{name} has schema {found!r}, this version reads {', '.join(others)} and {last}")
    upgraded = content
    for upgrade in UPGRADES[schema]:
        upgraded = upgrade(upgraded)
    try:
        return _typed(upgraded, content)
    except FaultError as error:
        raise InputError(f"{name} is no valid report: {error}") from None


def _typed(upgraded: Json, content: Json) -> Report:
    head = _part(upgraded, Head, "")
    if head.kind not in _RESULTS:
        raise FaultError(Fault("kind", " or ".join(f'"{kind}"' for kind in _RESULTS), f'"{head.kind[:40]}"'))
    results = _part(upgraded.get("results"), _results_type(head.kind, upgraded.get("results")), "results")
    found = upgraded.get("findings")
    if not isinstance(found, list):
        raise FaultError(Fault("findings", "a list", "nothing" if found is None else type(found).__name__))
    findings = [_finding(head.kind, raw, f"findings[{number}]") for number, raw in enumerate(found)]
    return ReportOf(head=head, results=results, findings=findings, content=content)


def _results_type(kind: str, results: JsonValue) -> type[Results]:
    if not isinstance(results, dict):
        return _RESULTS[kind]
    if results.get("conclusive") is False and MEASURE[kind] not in results:
        return Unmeasured
    return FaceAuditResults if kind == "audit" and results.get("about") == FACES else _RESULTS[kind]


def _finding(kind: str, raw: JsonValue, place: str) -> Finding:
    if kind == "audit" and isinstance(raw, dict) and raw.get("kind") == FACE:
        return _part(raw, FaceMatch, place)
    return _part(raw, _FINDINGS[kind], place)


def _part(value: JsonValue, kind: type[P], place: str) -> P:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        fault = fault_of(value, kind, place)
        raise FaultError(fault or Fault(place or "report", "a valid part", str(error)[:200])) from None
