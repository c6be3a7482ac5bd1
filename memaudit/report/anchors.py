"""Pairs that a reader can hold findings against, for each kind, and where its cut comes from.

The pairs were drawn by scripts/anchors.py; anchors.json has them, with what pixels say of each.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np

from memaudit.matching.kinds import COPIES, Kind
from memaudit.report.model import AuditResults, Report

MEASURED = {
    "copies": "of its test part 97.5 % of the copies are found, and 9.0 % of 2,300 clean look-alikes are called one",
    Kind.REDRAWN: "of its test part 88.5 % of photographs and paintings are found, 1.8 % of hard likenesses called so",
}
"""What the benchmarks gave, as docs/accuracy.md and docs/protocols/redrawn.md have it."""


class Anchor(NamedTuple):
    """A picture, what it was made of, and how likely that is by the model; said: what was done."""

    said: str
    own: str
    other: str
    probability: float


class Anchors(NamedTuple):
    """Those of a kind. cut: where findings of it begin, and where that comes from, in a sentence."""

    kind: str
    pairs: list[Anchor]
    cut: str


def anchors_of(report: Report) -> list[Anchors]:
    """Of each kind that was found, the gravest first."""
    results, told = report.results, _told()
    if not isinstance(results, AuditResults):
        return []
    found = {finding.kind for finding in report.matches}
    return [
        Anchors(str(kind), [_anchor(each, told["pictures"]) for each in told[kind]], _cut(kind, report, results))
        for kind in (*COPIES, Kind.REDRAWN)
        if kind in found
    ]


def _anchor(entry: dict[str, Any], pictures: list[str]) -> Anchor:
    probability = entry["probability"] if "probability" in entry else _drawn_anew(entry["signals"])
    own, other = (f"data:image/jpeg;base64,{pictures[entry[side]]}" for side in ("own", "other"))
    return Anchor(entry["said"], own, other, probability)


def _cut(kind: Kind, report: Report, results: AuditResults) -> str:
    if kind is Kind.REDRAWN:
        cut = results.redrawn.cut if results.redrawn and results.redrawn.cut is not None else _model("redrawn")["cut"]
        return f"from a probability of {cut:g} on, by the model of layout: {MEASURED[Kind.REDRAWN]}"
    by = results.calibration
    own = _model("model")["cut"]
    whose = "a calibration of its own" if by and by.cut is not None else f"the model of copies: {MEASURED['copies']}"
    cut = by.cut if by and by.cut is not None else own
    alike = f"from a similarity of {report.threshold:g} on, or " if kind is Kind.NEAR and report.threshold else ""
    return f"{alike}from a probability of {cut:g} on, by {whose}"


def _drawn_anew(signals: list[float]) -> float:
    """As memaudit.matching.redrawn has it, which a page cannot load."""
    model = _model("redrawn")
    sketched = np.array(list(model["sketched"].values()))
    if np.array(signals[: len(sketched)]) @ sketched < model["least"]:
        return 0.0
    logit = float(np.array(signals) @ np.array(list(model["weights"].values()))) + model["intercept"]
    return float(np.interp(logit, model["curve"]["logit"], model["curve"]["probability"]))


@cache
def _told() -> dict[str, Any]:
    told: dict[str, Any] = json.loads(files("memaudit.report").joinpath("anchors.json").read_text(encoding="utf-8"))
    return told


@cache
def _model(name: str) -> dict[str, Any]:
    model: dict[str, Any] = json.loads(files("memaudit.matching").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return model
