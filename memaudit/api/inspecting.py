"""What stores, indexes and reports hold, and whether they are sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, folder_of, is_store
from memaudit.errors import InputError
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
    """faults: what is wrong with a store, an index or a report; none if it is sound.

    >>> ma.verify(ma.embed("training", out="store", encoder="thumbnail")).sound
    True
    """

    path: Path
    faults: tuple[str, ...]

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
    """Say what a store, an index or a report.json holds. Raises InputError for something else.

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
    report = read_report(folder)
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
    """Re-compute every digest of a store, an index or a report.json.

    Raises InputError for something else, and for a report that is not sound.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.verify("store").faults
    ()
    """
    folder = folder_of(path)
    kind = _kind(folder)
    if kind == "store":
        from memaudit.api.store_contents import faults_of

        return Verification(folder, tuple(faults_of(folder)))
    if kind == "index":
        from memaudit.index import verify_index

        return Verification(folder, tuple(verify_index(folder)))
    read_report(folder)
    return Verification(folder, ())


def _kind(path: Path) -> str:
    if is_store(path):
        return "store"
    if (path / "index.json").is_file():
        return "index"
    if path.is_file():
        return "report"
    raise InputError(f"{path} is neither a store, nor an index, nor a report.json")


def shown(value: object) -> str:
    """A value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
