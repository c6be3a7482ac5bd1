"""Figures that every kind of report holds: counts, shares, coverage, rates, histograms, and the encoder's identity."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, convert

from memaudit.types import NO_FILE

if TYPE_CHECKING:
    from memaudit import types
    from memaudit.audit import results
    from memaudit.matching.calibrated import Calibrated

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Json = dict[str, JsonValue]
"""A JSON object."""


def says(description: str) -> Meta:
    """What a field means: for the JSON Schema and the table in docs/reference/report.md."""
    return Meta(description=description)


Whole = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=0, le=10**12)]
Share = Annotated[float, Meta(ge=0, le=1)]
Similarity = Annotated[float, Meta(ge=-1, le=1)]
Threshold = Annotated[float, Meta(gt=0, le=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


def file_digest(sha256: str) -> str | UnsetType:
    """The digest of a file that an embedding was made from; nothing where that is not known."""
    return UNSET if sha256 == NO_FILE else sha256


class Part(Struct, frozen=True):
    """A part of a report. What a newer version adds to it is read over here, and stays in `Report.content`."""


class Coverage(Part, frozen=True, kw_only=True):
    """How much of what was asked for was measured."""

    measured: Annotated[Count, says("measured")]
    total: Annotated[Count, says("asked for")]
    share: Annotated[Share, says("measured / total; 0 of nothing")]


class AllCopies(Part, frozen=True, kw_only=True):
    """Bounds of a rate with the copies that were not detected, by what was found of the planted ones."""

    kind: Annotated[Name, says("of planted copies: that which is found least, by which high and upper are")]
    low: Annotated[Share, says("lower end of the two-sided interval, by the kind that is found most")]
    high: Annotated[Share, says("upper end of the two-sided interval")]
    upper: Annotated[Share, says("one-sided upper bound")]
    confidence: Annotated[Share, says("of interval and bound")]


class Rate(Part, frozen=True, kw_only=True):
    """A share of what was measured, with Clopper-Pearson bounds."""

    count: Annotated[Count, says("how many")]
    n: Annotated[Count, says("of how many that were measured")]
    value: Annotated[Share | None, says("count / n; null where nothing was measured")]
    low: Annotated[Share, says("lower end of the two-sided interval")]
    high: Annotated[Share, says("upper end of the two-sided interval")]
    upper: Annotated[Share, says("one-sided upper bound")]
    confidence: Annotated[Share, says("of interval and bound")]
    coverage: Annotated[Coverage, says("n, and what it was measured of")]
    effective: Annotated[
        NotNegative | UnsetType, says("as how many independent draws n counts in the bounds; absent: as n")
    ] = UNSET
    all_copies: Annotated[
        AllCopies | UnsetType,
        says("bounds of all copies; absent: those above are of detectable ones"),
    ] = UNSET

    @property
    def stated(self) -> Rate | AllCopies:
        """The bounds that are told to people."""
        return self.all_copies or self


class Bin(Part, frozen=True, kw_only=True):
    """A bin of a histogram, from `low` to below `high`."""

    low: Annotated[float, says("lower edge")]
    high: Annotated[float, says("upper edge")]
    count: Annotated[Whole, says("how many values lie in it")]


class Encoder(Part, frozen=True, kw_only=True):
    """What made the embeddings. Those of two encoders are comparable if all but threshold and source are equal."""

    name: Annotated[str, says("name, as `memaudit encoders list` prints it")]
    weights_sha256: Annotated[str, says("SHA-256 of the weights; empty without any")]
    preprocessing: Annotated[str, says("how a picture is prepared")]
    dim: Annotated[int, Meta(ge=1), says("length of an embedding")]
    threshold: Annotated[Threshold, says("the encoder's own for near-duplicate")]
    source: Annotated[str, says("where that threshold comes from")] = ""


class Calibration(Part, frozen=True, kw_only=True):
    """By which calibration it was settled what a copy is."""

    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$"), says("that its file holds of itself")]
    threshold: Annotated[Threshold, says("similarity from which a pair is a copy whatever pixels say")]
    cut: Annotated[Share | None, says("probability from which it is one below that; null: the model's own")]
    own_cut: Annotated[Share, says("the model's own")]
    found: Annotated[Whole | UnsetType, says("audits: generations with a match that counts")] = UNSET
    beyond: Annotated[
        Whole | UnsetType, says("of them, those that have it by parts of pictures or their prompt alone")
    ] = UNSET

    @property
    def sentence(self) -> str:
        """For a reader of the report."""
        cut = "" if self.cut is None else f", or a probability of {self.cut:g}"
        told = f"By calibration {self.digest[:12]} a copy has a similarity of {self.threshold:g}{cut}, or more."
        if self.beyond is UNSET or self.found is UNSET:
            return told
        return (
            f"{told} That, and the precision and recall that it states, are of whole pictures: {self.beyond:,} of the "
            f"{self.found:,} generations found have no such match, but one by parts of pictures or by their prompt, "
            "decided as without a calibration."
        )


def calibration_of(settled: Calibrated | None, beyond: types.Coverage | None = None) -> Calibration | None:
    """beyond: of the generations that an audit found, those that the calibration does not speak of."""
    if settled is None:
        return None
    return Calibration(
        digest=settled.digest,
        threshold=settled.threshold,
        cut=settled.cut,
        own_cut=settled.own_cut,
        found=UNSET if beyond is None else beyond.total,
        beyond=UNSET if beyond is None else beyond.measured,
    )


def coverage_of(coverage: types.Coverage) -> Coverage:
    return Coverage(measured=coverage.measured, total=coverage.total, share=coverage.share)


def all_copies_of(bounds: results.AllCopies | None) -> AllCopies | UnsetType:
    return convert(bounds, AllCopies, from_attributes=True) if bounds else UNSET


def rate_of(rate: types.Rate, all_copies: results.AllCopies | None = None) -> Rate:
    return Rate(
        count=rate.count,
        n=rate.coverage.measured,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        upper=rate.upper,
        confidence=rate.confidence,
        coverage=coverage_of(rate.coverage),
        effective=UNSET if rate.effective is None else rate.effective,
        all_copies=all_copies_of(all_copies),
    )


def encoder_of(spec: types.EncoderSpec) -> Encoder:
    return Encoder(**asdict(spec))
