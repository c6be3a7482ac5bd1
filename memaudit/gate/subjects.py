"""What an audit is about, images or faces alone, and which of its findings are about images."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from memaudit.encoders.specs import family_of

FACES = "faces"
FACE = "face"  # kind of a finding


def about_faces(report: Mapping[str, Any]) -> bool:
    """Whether an audit compared two stores of faces, and no images. Its rate is one of faces.

    Earlier reports do not say so: theirs is known by its inputs and by its encoder.
    """
    if report["kind"] != "audit":
        return False
    inputs = report.get("inputs") or {}
    of_faces = "training faces" in inputs and "references" not in inputs
    family = family_of(str((report.get("encoder") or {}).get("name", "")))
    return report["results"].get("about") == FACES or of_faces or (family is not None and family.embeds == FACES)


def training_set_of(report: Mapping[str, Any]) -> str | None:
    """Digest of the store that the report is about; None where the run did not get that far."""
    key = "store" if report["kind"] == "dedup" else "training faces" if about_faces(report) else "references"
    return (report.get("inputs") or {}).get(key)


def subject_places(report: Mapping[str, Any]) -> list[int]:
    """The places of the findings that an audit's rate is about: a face that matches is no copy of an image."""
    everything = about_faces(report)
    return [place for place, each in enumerate(report["findings"]) if everything or each.get("kind") != FACE]


def of_subject(report: Mapping[str, Any], accepted: Collection[int]) -> set[int]:
    """Those of the accepted places that the rate is about."""
    return set(accepted).intersection(subject_places(report)) if accepted else set()
