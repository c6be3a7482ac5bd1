"""The Croissant description of an export with the fields of its responsible-AI vocabulary, as far as they are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memaudit.cards.figures import figures_of
from memaudit.cards.given import TO_FILL, ExportFacts, Given, headline_of
from memaudit.errors import UsageError
from memaudit.filters.results import CLUSTER
from memaudit.report.model import DedupResults, FilterResults, ReweightResults, ShareRow, SkewRow

RAI = "http://mlcommons.org/croissant/RAI/1.0"
SHIFTS = 10  # the largest shifts of shares that are named
TELLING = 0.05  # q up to which a shift is more than chance gives
_OF_THE_PROVIDER = {
    "rai:dataCollection": "how the images were collected",
    "rai:dataCollectionType": "kinds of collection, such as web scraping",
    "rai:dataCollectionTimeframe": "from when to when the images were collected",
    "rai:personalSensitiveInformation": "people and sensitive content that the images show",
    "rai:dataUseCases": "uses that the data are meant for",
    "rai:dataSocialImpact": "risks for people, and what is done about them",
    "rai:dataReleaseMaintenancePlan": "how long and by whom the data are maintained",
}


def with_rai(given: Given) -> dict[str, Any]:
    """Raises UsageError unless one export is given."""
    if len(given.exports) != 1:
        raise UsageError(
            f"--to croissant describes an export, and {len(given.exports)} were given: name the folder that memaudit "
            "export wrote, and the runs that it comes from"
        )
    (export,) = given.exports
    known = {
        "rai:dataPreprocessingProtocol": [*_as_list(export, "rai:dataPreprocessingProtocol"), *_processing(given)],
        "rai:machineAnnotationTools": [*_tools(given)],
        "rai:dataLimitations": [*_limits(given)],
        "rai:dataBiases": [*_shifts(given)],
    }
    said = {name: values for name, values in known.items() if values}
    missing = {name: f"{TO_FILL}{what}" for name, what in _OF_THE_PROVIDER.items()}
    missing |= {name: f"{TO_FILL}{what}" for name, what in (("license", "licence"), ("citeAs", "citation"))}
    conforms = [export.croissant["conformsTo"], RAI]
    return {**missing, **export.croissant, "conformsTo": conforms, **said}


def _as_list(export: ExportFacts, name: str) -> list[str]:
    said = export.croissant.get(name, [])
    return [said] if isinstance(said, str) else list(said)


def _processing(given: Given) -> Iterator[str]:
    for report in given.reports:
        if isinstance(report.results, DedupResults | FilterResults | ReweightResults):
            yield f"memaudit {report.kind}, report sha256:{report.digest}: {headline_of(report)}"


def _tools(given: Given) -> Iterator[str]:
    for report in given.reports:
        results = report.results
        encoders = results.encoders if isinstance(results, FilterResults) else filter(None, [report.encoder])
        for encoder in encoders:
            weights = f", weights sha256:{encoder.weights_sha256}" if encoder.weights_sha256 else ""
            yield f"memaudit {report.head.memaudit} {report.kind}: encoder {encoder.name}{weights}"


def _limits(given: Given) -> Iterator[str]:
    yield from given.inconclusive
    for report in given.reports:
        missed = report.coverage.total - report.coverage.measured
        if missed:
            yield f"{missed:,} of {report.coverage.total:,} images of the {report.kind} run were not measured."
        for figure in figures_of(report):
            if figure.low is not None and "recall" in figure.name and isinstance(report.results, DedupResults):
                sure = f", {figure.confidence:.0%} interval" if figure.confidence else f"; {figure.note}"
                yield f"{figure.said}: {figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f}{sure})."


def _shifts(given: Given) -> Iterator[str]:
    """Words, values and clusters whose share a run shifted by more than chance."""
    for report in given.reports:
        results = report.results
        if isinstance(results, DedupResults) and results.skew:
            for row in [row for row in results.skew.rows if row.q <= TELLING][:SHIFTS]:
                yield _shift(report.kind, row)
        if isinstance(results, ReweightResults):
            for each in [row for row in results.rows if row.q <= TELLING][:SHIFTS]:
                yield (
                    f"The filter left {each.share_after:.4f} of {each.feature} {_value(each)}, before it were "
                    f"{each.share_before:.4f}; by weight {each.share_weighted:.4f}."
                )


def _value(row: ShareRow) -> str:
    """Of a cluster its number alone: captions or an image_id follow it, which are not for a card."""
    return row.value.partition(":")[0] if row.feature == CLUSTER else repr(row.value)


def _shift(kind: str, row: SkewRow) -> str:
    return (
        f"Removal by {kind} changed the share of {row.feature} {row.value!r} by a factor of {row.ratio:.3f} "
        f"({row.low:.3f} to {row.high:.3f})."
    )
