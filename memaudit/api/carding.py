"""Cards: what others want to be told of a model or a training set, in their own forms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memaudit import __version__
from memaudit.api.exporting import Export
from memaudit.api.gating import AnyReport, report_of
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, folder_of, store_at
from memaudit.cards.cyclonedx import cyclonedx
from memaudit.cards.disclosures import AB2013, AB2013_SOURCE, ART53, ART53_SOURCE, ab2013, art53, document
from memaudit.cards.given import TO_FILL, ExportFacts, Given, facts_of
from memaudit.cards.model_index import model_index
from memaudit.cards.rai import with_rai
from memaudit.errors import EmptyInputError, UsageError
from memaudit.exporting.checking import contents, description
from memaudit.exporting.plan import PLAN
from memaudit.exporting.run import CROISSANT, EXPORT, SUMS
from memaudit.files import is_store, real, write_text
from memaudit.report.run_folder import REPORT
from memaudit.store import MANIFEST

_READ = (REPORT, MANIFEST, PLAN, EXPORT, CROISSANT, SUMS)  # in the folder of a source
FORMS = ("model-index", "croissant", "cyclonedx", "art53", "ab2013")
Source = AnyReport | AnyStore | Export
"""A report or the folder of its run, a store, or an export; or what was made or opened there."""


@dataclass(frozen=True, repr=False)
class Card:
    """A card as it was written. to_fill: what the provider has to fill in; warnings: runs that are inconclusive.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), model="our-model 1")
    >>> ma.write_card(audit, "bom.json", to="cyclonedx").to_fill
    ('intended use, other limitations, risks',)
    """

    path: Path
    to: str
    text: str
    warnings: tuple[str, ...] = ()

    @property
    def to_fill(self) -> tuple[str, ...]:
        found = [part.partition("\n")[0] for part in self.text.split(TO_FILL)[1:]]
        return tuple(dict.fromkeys(part.split('"')[0].rstrip(".*") for part in found))

    def as_dict(self) -> dict[str, Any]:
        return {"out": str(self.path), "to": self.to, "to_fill": list(self.to_fill), "warnings": list(self.warnings)}

    def __repr__(self) -> str:
        return f"<Card {self.path}: {self.to}, {len(self.to_fill):,} fields for the provider>"

    def _repr_html_(self) -> str:
        return card("memaudit card", repr(self)[1:-1], [("to fill in", "; ".join(self.to_fill))])


def write_card(
    sources: Source | Sequence[Source], out: str | Path, *, to: str, model: str = "", training_set: str = ""
) -> Card:
    """Write a card from reports, stores and an export. What they do not know is left to the provider, and says so.

    sources: reports or the folders of their runs, stores, exports. to: model-index (Hugging Face, with a table),
    croissant (of an export, with its responsible-AI fields), cyclonedx (1.6, a model's bill of materials), art53 (the
    EU's summary of training content) or ab2013 (California). model, training_set: names; "": as the reports say it.

    Raises UsageError for an unknown form, one that lacks its source, a `model` other than the audits', and an `out`
    that the card is made from.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> made = ma.write_card([store, ma.run_dedup(store)], "ab2013.md", to="ab2013", training_set="ours 1")
    >>> made.text.splitlines()[0]
    '# Training data documentation, California Civil Code section 3111(a) (AB 2013): what was measured'
    """
    if to not in FORMS:
        raise UsageError(f"unknown --to {to!r}: expected one of {', '.join(FORMS)}")
    path, listed = Path(out), _listed(sources)
    _require_apart(path, listed)
    given = _given(listed, model, training_set)
    _require_of_model(given)
    text = _text(given, to)
    write_text(path, text)
    return Card(path, to, text, tuple(given.inconclusive))


def _require_apart(out: Path, sources: Sequence[Any]) -> None:
    """Raise UsageError where the card would be written over what it is made from."""
    for source in sources:
        place = Path(source) if isinstance(source, str | Path) else source.folder
        if real(out) in {real(each) for each in (place, *(place / name for name in _READ))}:
            raise UsageError(f"--out {out} is what the card is made from: name another file")


def _require_of_model(given: Given) -> None:
    """Raise UsageError where the card would call one model by the name of another: figures and digest are of it."""
    others = sorted(given.audited - {given.model}) if given.model else []
    if others:
        raise UsageError(
            f"--model {given.model!r}: an audit among the sources is of {others[0]!r}: leave --model out, or "
            "name audits of that model alone"
        )


def _listed(sources: Source | Sequence[Source]) -> list[Any]:
    given = list(sources) if isinstance(sources, list | tuple) else [sources]
    if not given:
        raise EmptyInputError("a card is made from something: name reports, runs, stores or an export")
    return given


def _given(sources: Sequence[Any], model: str, training_set: str) -> Given:
    reports, stores, exports = [], [], []
    for source in sources:
        folder = Path(source) if isinstance(source, str | Path) else getattr(source, "folder", None)
        if folder is not None and is_store(folder):
            stores.append(facts_of(store_at(source)))
        elif folder is not None and (folder / PLAN).is_file():
            exports.append(_export(folder_of(source)))
        else:
            reports.append(report_of(folder / REPORT if folder is not None and folder.is_dir() else source))
    return Given(tuple(reports), tuple(stores), tuple(exports), model, training_set)


def _export(folder: Path) -> ExportFacts:
    return ExportFacts(description(folder), contents(folder))


def _text(given: Given, to: str) -> str:
    match to:
        case "model-index":
            return model_index(given)
        case "croissant":
            return _json(with_rai(given))
        case "cyclonedx":
            return _json(cyclonedx(given, __version__))
        case "art53":
            return document(ART53, ART53_SOURCE, art53(given), given)
    return document(AB2013, AB2013_SOURCE, ab2013(given), given)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
