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
    "copies": (
        "of copies it is by the model of copies, which on its test part found 97.7 % of copies, and called 8.7 % of "
        "2,300 clean images one, most of them of kinds that resemble each other"
    ),
    Kind.REDRAWN: (
        "of what is re-drawn it is by the model of layout, which on its test part found 88.5 % of photographs and "
        "paintings, and called 1.8 % of hard likenesses so"
    ),
}
"""What the benchmarks gave, as docs/accuracy.md and docs/protocols/redrawn.md have it."""


class Anchor(NamedTuple):
    """A picture, what it was made of, and how likely that is by the model; said: what was done."""

    said: str
    own: str
    other: str
    probability: float


class Anchors(NamedTuple):
    """Those of a kind. cut: where findings of it begin."""

    kind: str
    pairs: list[Anchor]
    cut: str


class Scale(NamedTuple):
    """Of each kind that was found, the gravest first; and where their cuts come from, a sentence for each model."""

    kinds: list[Anchors]
    sources: list[str]


def anchors_of(report: Report) -> Scale:
    """For whoever asks how like a finding must be."""
    results, told = report.results, _told()
    if not isinstance(results, AuditResults):
        return Scale([], [])
    found = {finding.kind for finding in report.matches}
    kinds = [kind for kind in (*COPIES, Kind.REDRAWN) if kind in found]
    cut, own = _cut_of_copies(results), _model("model")["cut"]
    copies = f"of copies a calibration of one's own moved it from {own:g}" if cut != own else MEASURED["copies"]
    sources = [copies] if set(kinds) - {Kind.REDRAWN} else []
    return Scale(
        [
            Anchors(str(kind), [_anchor(each, told["pictures"]) for each in told[kind]], _cut(kind, report, results))
            for kind in kinds
        ],
        sources + [MEASURED[Kind.REDRAWN]] * (Kind.REDRAWN in kinds),
    )


def _anchor(entry: dict[str, Any], pictures: list[str]) -> Anchor:
    probability = entry["probability"] if "probability" in entry else _drawn_anew(entry["signals"])
    own, other = (f"data:image/jpeg;base64,{pictures[entry[side]]}" for side in ("own", "other"))
    return Anchor(entry["said"], own, other, probability)


def _cut(kind: Kind, report: Report, results: AuditResults) -> str:
    if kind is Kind.REDRAWN:
        cut = results.redrawn.cut if results.redrawn and results.redrawn.cut is not None else _model("redrawn")["cut"]
        return f"from a probability of {cut:g} on"
    alike = f"from a similarity of {report.threshold:g} on, or " if kind is Kind.NEAR and report.threshold else ""
    return f"{alike}from a probability of {_cut_of_copies(results):g} on"


def _cut_of_copies(results: AuditResults) -> float:
    by = results.calibration
    return by.cut if by and by.cut is not None else float(_model("model")["cut"])


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
