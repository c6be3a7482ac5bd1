"""What stores, indexes and reports hold, and whether they are sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, folder_of
from memaudit.errors import InputError
from memaudit.files import digest_of, is_store, read_json
from memaudit.report.bindings import faults_beside, notes_beside
from memaudit.report.bounds import MOST_BYTES
from memaudit.report.document import read_report


@dataclass(frozen=True, repr=False)
class Description:
    """What something holds: names and values.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.describe("store").values["rows"]
    12
    """

    values: Mapping[str, object]

    def __repr__(self) -> str:
        return f"<Description of {self._what}: {', '.join(self._facts)}>"

    def _repr_html_(self) -> str:
        return card(f"memaudit {self._what}", "", [(name, shown(value)) for name, value in self._facts.items()])

    @property
    def _what(self) -> str:
        return str(self.values.get("kind", "installation"))

    @property
    def _facts(self) -> dict[str, object]:
        return {name: value for name, value in self.values.items() if name != "kind"}


@dataclass(frozen=True, repr=False)
class Verification:
    """faults: what is wrong with a store, an index, or a report and what is beside it; none if it is sound. notes: what
    has no digest by which to tell, as files of earlier versions, and what is not there.

    >>> ma.verify(ma.embed("training", out="store", encoder="thumbnail")).sound
    True
    """

    path: Path
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.faults

    def __repr__(self) -> str:
        return f"<Verification of {self.path}: {self._said}>"

    def _repr_html_(self) -> str:
        return card("memaudit verify", self._said, [("path", str(self.path))])

    @property
    def _said(self) -> str:
        return "; ".join(self.faults) or "sound"


def describe(path: AnyStore) -> Description:
    """Say what a store, an index, the evidence of a look-up or a report.json holds.

    Raises InputError for something else.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.describe(store).values["status"]
    {'ok': 12}
    """
    folder = folder_of(path)
    kind = _kind(folder)
    if kind == "store":
        from memaudit.api.store_contents import contents_of

        return Description(contents_of(folder))
    if kind == "index":
        from memaudit.index import read_manifest

        return Description({"kind": "index", **read_manifest(folder)})
    if kind == "evidence":
        return Description({"kind": "evidence of a look-up", **read_json(folder, most=MOST_BYTES)})
    report = read_report(_report_at(folder))
    return Description(
        {
            "kind": f"report of {report.kind}",
            "created": report.created,
            "headline": report.results.headline,
            "coverage": report.content["coverage"],
            "threshold": report.threshold,
            "findings": len(report.findings),
            "digest": report.digest,
        }
    )


def verify(path: AnyStore) -> Verification:
    """Re-compute every digest of a store, an index, the evidence of a look-up, or a report and the tables beside it.

    path: the folder of a run stands for its report. Raises InputError for something else, and for a report that is not
    sound; InconclusiveError for a manifest that was changed.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.verify("store").faults
    ()
    """
    folder = folder_of(path)
    kind = _kind(folder)
    if kind == "store":
        from memaudit.api.store_contents import faults_of, notes_of

        return Verification(folder, tuple(faults_of(folder)), tuple(notes_of(folder)))
    if kind == "index":
        from memaudit.index import index_notes, verify_index

        return Verification(folder, tuple(verify_index(folder)), tuple(index_notes(folder)))
    if kind == "evidence":
        return Verification(folder, tuple(_faults_of_evidence(folder)))
    report, beside = read_report(_report_at(folder)), _report_at(folder).parent
    return Verification(folder, tuple(faults_beside(report, beside)), tuple(notes_beside(report, beside)))


def _report_at(path: Path) -> Path:
    return path / "report.json" if path.is_dir() else path


def _faults_of_evidence(path: Path) -> list[str]:
    content = read_json(path, most=MOST_BYTES)
    written = content.pop("sha256", None)
    sound = written == digest_of(content)
    return [] if sound else [f"{path} was changed after it was written: its digest does not fit its content; run again"]


def _kind(path: Path) -> str:
    if is_store(path):
        return "store"
    if (path / "index.json").is_file():
        return "index"
    if (path / "report.json").is_file():
        return "report"
    if path.is_file():
        of_lookup = str(read_json(path, most=MOST_BYTES).get("schema")).startswith("memaudit-lookup/")
        return "evidence" if of_lookup else "report"
    raise InputError(f"{path} is neither a store, nor an index, nor a report.json, nor the folder of a run")


def shown(value: object) -> str:
    """A value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
