"""Sections of what laws ask to be published of training data, as far as reports and stores know them.

Art. 53: the template for the public summary of training content (Art. 53(1)(d) of Regulation (EU) 2024/1689), AI
Office, 24 July 2025. AB 2013: California Civil Code section 3111(a). What memaudit cannot know is left to the provider,
and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memaudit.cards.escaping import escaped
from memaudit.cards.figures import figures_of
from memaudit.cards.given import MOST_HOSTS, TO_FILL, Given, StoreFacts, headline_of
from memaudit.report.model import DedupResults, FilterResults, ReweightResults

ART53 = "Public summary of training content, Art. 53(1)(d) AI Act: what was measured"
ART53_SOURCE = (
    "Sections and numbers are those of the AI Office's Template for the Public Summary of Training Content for "
    "general-purpose AI models (24 July 2025). This is no complete summary, and no legal advice."
)
AB2013 = "Training data documentation, California Civil Code section 3111(a) (AB 2013): what was measured"
AB2013_SOURCE = (
    "Numbers are those of section 3111(a) of the California Civil Code, as added by AB 2013 (chapter 817 of the "
    "statutes of 2024). This is no complete documentation, and no legal advice."
)


class Field(NamedTuple):
    """said: what is known, a paragraph each; asked: what is left to the provider, "" for nothing."""

    number: str
    title: str
    said: tuple[str, ...] = ()
    asked: str = ""


def art53(given: Given) -> list[Field]:
    return [
        Field("1.1", "Provider", (), "name and contact details, and those of an authorised representative"),
        Field("1.2", "Model", _named(given), "versions, models that it depends on, date of placing on the market"),
        Field(
            "1.3",
            "Modalities, size and other characteristics of the training data",
            ("Modality that was measured: image.", *_sizes(given.stores)),
            "other modalities, the size range of each, types of content, latest date of acquisition, languages",
        ),
        Field("2.1", "Publicly available datasets", (), "names, identifiers and links of large public datasets"),
        Field(
            "2.2", "Private datasets of third parties", (), "whether licensed from rightsholders, and from whom else"
        ),
        Field(
            "2.3",
            "Data crawled and scraped from online sources",
            tuple(_crawled(given.stores)),
            "crawlers and their behaviour, period of collection, types of content; the list of domain names by the "
            "size of the content, for hosts above are counted by images",
        ),
        Field("2.4", "User data", (), "whether data of users of the provider's services were used"),
        Field("2.5", "Synthetic data", (), "whether data made by AI models were used, and by which"),
        Field("2.6", "Other sources", (), "offline and other sources"),
        Field(
            "3.1",
            "Respect of reservations of rights from the text and data mining exception",
            tuple(_reservations(given.stores)),
            "measures before and during collection, protocols honoured, signature of the code of practice",
        ),
        Field("3.2", "Removal of illegal content", (), "measures to avoid or remove illegal content"),
        Field("3.3", "Other information", tuple(_processing(given)), ""),
    ]


def ab2013(given: Given) -> list[Field]:
    return [
        Field("(1)", "Sources or owners of the datasets", tuple(_crawled(given.stores)), "owners, and other sources"),
        Field("(2)", "How the datasets further the intended purpose of the system", (), "the purpose, and how"),
        Field("(3)", "Number of data points", _sizes(given.stores), "data points of other datasets"),
        Field("(4)", "Types of data points", _types(given.stores), "other types; the labels used, if any"),
        Field("(5)", "Protection by copyright, trademark or patent, or public domain", (), "which of these"),
        Field("(6)", "Whether datasets were purchased or licensed", (), "which, and by whom"),
        Field("(7)", "Whether datasets include personal information", (), "as Civil Code 1798.140(v) defines it"),
        Field("(8)", "Whether datasets include aggregate consumer information", (), "as 1798.140(b) defines it"),
        Field(
            "(9)",
            "Cleaning, processing or other modification, and its purpose",
            tuple(_processing(given)),
            "other processing, and the intended purpose of each",
        ),
        Field("(10)", "Period of collection", (), "from when to when, and whether collection is ongoing"),
        Field("(11)", "Dates of first use in development", (), "of each dataset"),
        Field("(12)", "Whether synthetic data generation is or was used", (), "whether, and what for"),
    ]


def document(title: str, about: str, fields: Sequence[Field], given: Given) -> str:
    """As Markdown."""
    lines = [f"# {title}", "", about, ""]
    lines += [f"**Inconclusive.** {escaped(each)}.\n" for each in given.inconclusive]
    for field in fields:
        lines += [f"## {field.number} {field.title}", ""]
        for each in field.said:
            lines += [each, ""]
        if field.asked:
            lines += [f"*{TO_FILL}{field.asked}.*", ""]
    lines += ["## What this rests on", "", *(f"- {escaped(each)}" for each in given.sources)]
    return "\n".join(lines) + "\n"


def _named(given: Given) -> tuple[str, ...]:
    if given.model_name.startswith(TO_FILL):
        return ()
    digest = f" Digest of its weights: {given.made_by.digest}." if given.made_by else ""
    return (f"As the audits call it: {escaped(given.model_name)}.{digest}",)


def _sizes(stores: Sequence[StoreFacts]) -> tuple[str, ...]:
    return tuple(
        f"Store {store.digest[:12]}: {store.images:,} images, of which {store.unreadable:,} could not be read, before "
        "any that a run removed."
        for store in stores
    )


def _types(stores: Sequence[StoreFacts]) -> tuple[str, ...]:
    return tuple(f"Images; {store.captions:,} of {store.images:,} with a caption." for store in stores)


def _crawled(stores: Sequence[StoreFacts]) -> Iterator[str]:
    """Hosts as the uris of a store have them, and what they leave unknown."""
    for store in stores:
        if not store.hosts:
            yield f"Store {store.digest[:12]} does not say of any of its {store.images:,} images from where it came."
            continue
        cut = f", the first {MOST_HOSTS:,}" if len(store.top) == MOST_HOSTS else ""
        yield (
            f"Store {store.digest[:12]} names {len(store.hosts):,} hosts for {store.images - store.unknown:,} images, "
            f"and none for {store.unknown:,}. The tenth of the hosts with the most images{cut}:"
        )
        yield "\n".join(f"- {escaped(host)}: {count:,}" for host, count in store.top)


def _reservations(stores: Sequence[StoreFacts]) -> Iterator[str]:
    for store in stores:
        yield f"Store {store.digest[:12]}: {store.opted_out}"


def _processing(given: Given) -> Iterator[str]:
    for report in given.reports:
        if isinstance(report.results, DedupResults | FilterResults | ReweightResults):
            yield escaped(f"{headline_of(report)} (memaudit {report.kind}, report sha256:{report.digest})")
        elif report.kind == "audit":
            for figure in figures_of(report):
                if figure.name.endswith("regurgitation-rate") and figure.low is not None and figure.high is not None:
                    yield (
                        f"Memorization audit: {figure.said}, {figure.value:.4%} ({figure.low:.4%} to "
                        f"{figure.high:.4%}, {figure.confidence:.0%} interval, of {figure.n:,})."
                    )
