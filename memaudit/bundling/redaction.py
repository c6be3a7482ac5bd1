"""What of a run everybody may see: its figures. Captions, prompts, paths and sentences are left out, ids are salted.

Of a text nothing is kept unless it is one of a few words of memaudit's own: a field that is new is not public until
somebody says so here.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from msgspec import UNSET, Struct

from memaudit import __version__
from memaudit.images.copy_kinds import PLANTED
from memaudit.matching.kinds import Kind
from memaudit.report.model import AuditResults, Report, Results

SCHEMA = "urn:memaudit:public-report:1"
# Fields that name an image, a prompt or a store: they become digests that only who has the salt can open
_IDS = {
    *("query_id", "reference_id", "image_id", "query_sha256", "reference_sha256", "sha256"),
    *("query_face", "reference_face", "found", "left_out", "prompts", "digest", "whole", "tiles", "details"),
}
_WORDS = {"kind", "kinds", "view", "views", "method", "side"}  # fields whose values memaudit chooses
# Pictures, and where something lies on one
_PICTURES = {
    *("alignment", "boxes", "picture", "pictures"),
    *("query_picture", "reference_picture", "query_crop", "reference_crop"),
}
_COUNTED = {"kinds", "not_counted"}  # objects whose keys are kinds
_WORD = re.compile(r"[a-z][a-z0-9 ,-]{0,60}")
_KINDS = {*map(str, Kind), *PLANTED, "similar", "not compared"}
_NUMERIC = re.compile(r"[≥≤<>=]? ?[\d.,]+ ?%?|yes|no|none|none measured|pass|fail|inconclusive")
_LENGTH = 32  # hexadecimal digits of a salted id
# What a policy says of single stores, encoders and reports
_NAMED = ("encoders", "training_sets", "calibrations", "release")


class Salted:
    """Ids made unreadable: the same id gives the same digest within a bundle, and another in every other."""

    def __init__(self, salt: bytes) -> None:
        self._key = hmac.new(salt, b"memaudit ids", "sha256").digest()

    def __call__(self, value: str) -> str:
        return hmac.new(self._key, value.encode("utf-8", "backslashreplace"), "sha256").hexdigest()[:_LENGTH]


def public_report(report: Report, salt: bytes) -> dict[str, object]:
    """A report without a caption, a picture or an id."""
    salted, head = Salted(salt), report.head
    encoder = report.encoder
    about = head.about if head.about is not UNSET else None
    return {
        "schema": SCHEMA,
        "kind": report.kind,
        "created": report.created,
        "memaudit": head.memaudit,
        "model": about.model if about else "",
        "model_digest": _digest_of_model(report.results),
        "who": about.who if about else "",
        "encoder": {"name": encoder.name, "weights_sha256": encoder.weights_sha256, "dim": encoder.dim}
        if encoder
        else None,
        "threshold": report.threshold,
        "coverage": _public(report.coverage, "", salted),
        "inputs": {role: salted(digest) for role, digest in report.inputs.items()},
        "report": salted(report.digest),
        "results": _public(report.results, "", salted),
        "findings": [_public(finding, "", salted) for finding in report.findings],
    }


def _digest_of_model(results: Results) -> str | None:
    """Of the weights that were audited: the one digest that a public edition is about."""
    model = results.model if isinstance(results, AuditResults) else None
    return model.digest if model else None


def _public(value: object, name: str, salted: Salted) -> object:
    """What may be shown of a field, UNSET for nothing."""
    if name in _PICTURES:
        return UNSET
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _text(value, name, salted)
    if isinstance(value, Struct):
        parts = {field: _public(getattr(value, field), field, salted) for field in value.__struct_fields__}
        return {field: part for field, part in parts.items() if part is not UNSET}
    if isinstance(value, dict) and name in _COUNTED:
        return {key: part for key, part in value.items() if key in _KINDS and isinstance(part, int)}
    if isinstance(value, Sequence):
        parts_of_list = [_public(part, name, salted) for part in value]
        return [part for part in parts_of_list if part is not UNSET]
    return UNSET


def _text(value: str, name: str, salted: Salted) -> object:
    if name in _IDS:
        return salted(value)
    if name in ("kind", "kinds", "counted_kinds"):
        return value if value in _KINDS else UNSET
    return value if name in _WORDS and _WORD.fullmatch(value) else UNSET


def public_verdict(verdict: Mapping[str, Any]) -> dict[str, object]:
    """Which rules led to a verdict, by their names and figures, without sentences and findings."""
    rules = [
        {
            "report": rule["report"],
            "rule": rule["rule"],
            "outcome": rule["outcome"],
            **{name: rule[name] for name in ("figure", "limit") if _NUMERIC.fullmatch(rule[name])},
        }
        for rule in verdict["rules"]
    ]
    return {
        "memaudit": __version__,
        "verdict": verdict["verdict"],
        "created": verdict["created"],
        **({"judged": verdict["judged"]} if "judged" in verdict else {}),  # 0.2 did not say
        "rules": rules,
        "counts": verdict["counts"],
    }


def public_policy(policy: Any) -> dict[str, object]:
    """The limits of a policy, a dataclass of sections, without those that name stores, encoders and reports."""
    sections: dict[str, dict[str, object]] = asdict(policy)
    return {
        section: {name: value for name, value in limits.items() if name not in _NAMED}
        for section, limits in sections.items()
    }
