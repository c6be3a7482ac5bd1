"""What a card is made from: reports, and what stores and exports say of themselves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from msgspec import UNSET

from memaudit.embedding.opt_outs import opt_out_counts
from memaudit.images.image_ref import object_in
from memaudit.images.remote import is_url
from memaudit.report.model import AuditResults, Model, Report
from memaudit.store import Store
from memaudit.types import Status

TO_FILL = "to be filled in by the provider: "
MOST_HOSTS = 1000
TOP = 0.1  # of the host names, those with the most images


class StoreFacts(NamedTuple):
    """hosts: images by the host that they were fetched from, as their uris or a column `url` say; unknown: images of
    which nothing says it; opted_out: what is known of opt-outs, a sentence."""

    digest: str
    images: int
    unreadable: int
    captions: int
    hosts: dict[str, int]
    unknown: int
    opted_out: str

    @property
    def top(self) -> list[tuple[str, int]]:
        """The tenth of the hosts that has the most images, at most `MOST_HOSTS`."""
        ordered = sorted(self.hosts.items(), key=lambda each: (-each[1], each[0]))
        return ordered[: min(MOST_HOSTS, math.ceil(TOP * len(ordered)))]


class ExportFacts(NamedTuple):
    """croissant: its description, as it was exported; content: of export.json."""

    croissant: dict[str, Any]
    content: dict[str, Any]


@dataclass(frozen=True)
class Given:
    """model, training_set: names that somebody gave; "" for none."""

    reports: tuple[Report, ...] = ()
    stores: tuple[StoreFacts, ...] = ()
    exports: tuple[ExportFacts, ...] = ()
    model: str = ""
    training_set: str = ""

    def of_kind(self, kind: str) -> tuple[Report, ...]:
        return tuple(report for report in self.reports if report.kind == kind)

    @property
    def made_by(self) -> Model | None:
        """The model that the audits name, where it is one."""
        audits = [report.results for report in self.reports if isinstance(report.results, AuditResults)]
        named = {each.model for each in audits if each.model}
        return next(iter(named)) if len(named) == 1 else None

    @property
    def audited(self) -> set[str]:
        """The names of the models that the audits are of, as far as they say it."""
        audits = self.of_kind("audit")
        named = {
            each.results.model.name for each in audits if isinstance(each.results, AuditResults) and each.results.model
        }
        return named | ({each.head.about.model for each in audits if each.head.about is not UNSET} - {""})

    @property
    def model_name(self) -> str:
        named = self.made_by.name if self.made_by else _about(self.reports, "model")
        return self.model or named or f"{TO_FILL}name of the model"

    @property
    def training_set_name(self) -> str:
        named = self.training_set or _about(self.reports, "training_set")
        return named or f"{TO_FILL}name of the training set"

    @property
    def created(self) -> str:
        """Of the latest report; "" without any."""
        return max((report.created for report in self.reports), default="")

    @property
    def inconclusive(self) -> list[str]:
        """A sentence each, without the reasons: these are for whoever ran it, with names and places of his."""
        return [_inconclusive(report) for report in self.reports if not report.results.conclusive]

    @property
    def sources(self) -> list[str]:
        """What the card rests on, by digest."""
        return [
            *(
                f"{_called(report)}, of {report.created[:10]}, by memaudit {report.head.memaudit}"
                for report in self.reports
            ),
            *(f"store sha256:{store.digest}" for store in self.stores),
            *(f"export of store sha256:{each.content['lineage']['store']}" for each in self.exports),
        ]


def _called(report: Report) -> str:
    return f"{report.kind} report sha256:{report.digest}"


def headline_of(report: Report) -> str:
    """A report's headline as a card may have it: without the reasons why it is inconclusive."""
    if report.results.conclusive:
        return report.results.headline
    told, reasons = report.results.headline, "; ".join(report.results.reasons)
    return told.replace(reasons, "the report says why") if reasons and reasons in told else _inconclusive(report)


def _inconclusive(report: Report) -> str:
    count, told = len(report.results.reasons), report.coverage
    why = f" ({count:,} {'reason' if count == 1 else 'reasons'}, which the report names)" if count else ""
    return f"{_called(report)} is inconclusive{why}: {told.measured:,} of {told.total:,} images were measured"


def _about(reports: Sequence[Report], what: str) -> str:
    """What all reports that say something say; "" where they differ."""
    said = {getattr(report.head.about, what) for report in reports if report.head.about is not UNSET} - {""}
    return said.pop() if len(said) == 1 else ""


def facts_of(store: Store) -> StoreFacts:
    """Memory: a block, and the names of the hosts."""
    hosts, unreadable, captions = Counter[str](), 0, 0
    for columns in store.iter_columns():
        unreadable += int((columns.status == Status.UNREADABLE).sum())
        captions += sum(map(bool, columns.caption))
        hosts.update(map(_host, columns.uri, columns.metadata))
    unknown = hosts.pop("", 0)
    said = opt_out_counts(store).sentence
    return StoreFacts(store.digest, len(store), unreadable, captions, dict(hosts), unknown, said)


def _host(uri: str, metadata: str) -> str:
    """From where an image was fetched: a column `url` of a table or of img2dataset, or else its own address."""
    said = (object_in(metadata) or {}).get("url") if '"url"' in metadata else None
    address = said if isinstance(said, str) and is_url(said) else uri
    if not is_url(address) or ".tar" in address:  # where an archive lies is not where its images come from
        return ""
    try:
        return (urlsplit(address).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
