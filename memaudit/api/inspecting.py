"""What stores, indexes, reports and exports hold, and whether they are sound."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, Files, files_of, folder_of
from memaudit.bundling.archive import is_archive
from memaudit.errors import InputError, UsageError
from memaudit.files import digest_of, is_store, read_json
from memaudit.report.bindings import faults_beside, unchecked_beside
from memaudit.report.bounds import MOST_BYTES
from memaudit.report.document import read_report
from memaudit.report.model import Report


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
    """faults: what is wrong with a store, an index, an export, or a report, what is beside it and the stores that it is
    about. unchecked: what could not be told, because it is not there, or has no digest, as files of earlier versions.
    Sound is what has neither. notes: what a reader should know besides.

    >>> ma.verify(ma.embed("training", out="store", encoder="thumbnail")).sound
    True
    """

    path: Path
    faults: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.faults and not self.unchecked

    @property
    def outcome(self) -> str:
        """sound, not sound, or not checked whole."""
        return "not sound" if self.faults else "not checked whole" if self.unchecked else "sound"

    def __repr__(self) -> str:
        return f"<Verification of {self.path}: {self._said}>"

    def _repr_html_(self) -> str:
        return card("memaudit verify", self._said, [("path", str(self.path))])

    @property
    def _said(self) -> str:
        return "; ".join((self.outcome, *self.faults, *self.unchecked))


def describe(path: AnyStore) -> Description:
    """Say what a store, an index, an export, a filter, the evidence of a look-up, a bundle or a report.json holds.

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
    if kind == "export":
        from memaudit.exporting.checking import contents

        return Description({"kind": "export", **contents(folder)})
    if kind == "bundle":
        return Description(_contents_of_bundle(folder))
    if kind == "filter":
        return Description(_of_filter(folder))
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


def verify(
    path: AnyStore,
    *,
    keys: Files = (),
    against: str | Path | None = None,
    timestamp_ca: str | Path | None = None,
) -> Verification:
    """Re-compute every digest of a store, an index, an export, a filter, the evidence of a look-up, a bundle, or a
    report, the files beside it and the stores that it names.

    path: the folder of a run stands for its report. Of a bundle alone: keys: files of public keys, or their ids, of
    which each must have signed it; against: its full edition, or its public one; timestamp_ca: certificates, in PEM, of
    who may have made its time stamp. Raises InputError for something else, and for a report that is not
    sound; InconclusiveError for a manifest, or a signature, that was changed.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.verify("store").faults
    ()
    """
    folder = folder_of(path)
    kind = _kind(folder)
    if kind == "bundle":
        return _of_bundle(folder, files_of(keys), against, timestamp_ca)
    if files_of(keys) or against or timestamp_ca:
        raise UsageError(f"--key, --against and --timestamp-ca are for bundles, and {folder} is none: leave them out")
    if kind == "store":
        from memaudit.api.store_contents import faults_of, notes_of, unchecked_in

        return Verification(folder, *map(tuple, (faults_of(folder), unchecked_in(folder), notes_of(folder))))
    if kind == "index":
        from memaudit.index import index_unchecked, verify_index

        return Verification(folder, tuple(verify_index(folder)), tuple(index_unchecked(folder)))
    if kind == "export":
        from memaudit.exporting.checking import faults_of as faults_of_export

        return Verification(folder, tuple(faults_of_export(folder)))
    if kind == "filter":
        from memaudit.filters.filter_file import read_filter, read_next

        read_filter(folder)
        read_next(folder)
        return Verification(
            folder, (), (), ("labels.csv and next.csv are for people to write into: they have no digest",)
        )
    if kind == "evidence":
        return Verification(folder, tuple(_faults_of_evidence(folder)))
    report, beside = read_report(_report_at(folder)), _report_at(folder).parent
    of_stores = _stores_of(report, beside)
    faults = (*faults_beside(report, beside), *of_stores.faults)
    return Verification(folder, faults, (*unchecked_beside(report, beside), *of_stores.unchecked))


def _of_bundle(
    path: Path, keys: Sequence[Path], against: str | Path | None, authorities: str | Path | None
) -> Verification:
    from memaudit.api.bundle_verdicts import faults_of_verdict
    from memaudit.bundling.checking import check, open_bundle
    from memaudit.bundling.shown import check_shown
    from memaudit.bundling.signing import trusted_id

    bundle, other = open_bundle(path), open_bundle(Path(against)) if against is not None else None
    named = [trusted_id(key) for key in keys]
    found = check(bundle, named, other, Path(authorities) if authorities is not None else None)
    for full in (each for each in (bundle, other) if each is not None and each.full and not found.faults):
        faults, unchecked = ([f"{full.path}: {line}" for line in lines] for lines in faults_of_verdict(full))
        if faults:
            return Verification(path, tuple(faults))
        found.unchecked += unchecked
        shown = check_shown(full)
        if shown.faults:
            return Verification(path, tuple(f"{full.path}: {line}" for line in shown.faults))
        found.unchecked += [f"{full.path}: {line}" for line in shown.unchecked]
        found.notes += shown.notes
    return Verification(path, *map(tuple, (found.faults, found.unchecked, found.notes)))


def _of_filter(folder: Path) -> dict[str, object]:
    from memaudit.filters.filter_file import read_filter, read_next

    found = read_filter(folder)
    at = found.at_cut
    return {
        "kind": "filter",
        "class": found.name,
        "encoders": [encoder.identity for encoder in found.encoders],
        "prompt": found.text or "none",
        "rounds": found.rounds,
        "labels": {"of the class": found.trained.positive, "not": found.trained.negative},
        "to label": len(read_next(folder)),
        "recall asked": found.recall,
        "cut": found.cut_probability,
        "recall at the cut": None if at is None else {"estimate": at.recall.value, "lower bound": at.recall.lower},
        "precision at the cut": None if at is None else at.precision.value,
        "looks at a sample": found.looks,
        "digest": found.digest,
    }


def _stores_of(report: Report, beside: Path) -> Verification:
    """The stores that a report was written about, read whole."""
    faults, unchecked = list[str](), list[str]()
    for name, digest in (report.head.stores or {}).items():
        folder = Path(os.path.normpath(beside / name))
        if not is_store(folder):
            unchecked.append(f"{folder} is not there: the store that the report is about cannot be checked")
            continue
        try:
            from memaudit.api.store_contents import faults_as_read
        except ImportError as error:
            unchecked.append(f"{folder} cannot be checked here: {error}")
            continue
        faults += faults_as_read(folder, digest)
    return Verification(beside, tuple(faults), tuple(unchecked))


def _report_at(path: Path) -> Path:
    return path / "report.json" if path.is_dir() else path


def _contents_of_bundle(path: Path) -> dict[str, object]:
    from memaudit.bundling.checking import open_bundle
    from memaudit.bundling.manifest import TIMESTAMP

    bundle = open_bundle(path)
    return {
        "kind": "bundle",
        "edition": "full" if bundle.full else "public",
        "verdict": bundle.verdict["verdict"],
        "files": len(bundle.entries),
        "keys named in the envelope": [*bundle.signers],
        "time stamp": TIMESTAMP in bundle.entries,
    }


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
    if (path / "filter.json").is_file():
        return "filter"
    if _is_export(path):
        return "export"
    if is_archive(path):
        return "bundle"
    if path.is_file():
        of_lookup = str(read_json(path, most=MOST_BYTES).get("schema")).startswith("memaudit-lookup/")
        return "evidence" if of_lookup else "report"
    raise InputError(f"{path} is no store, index, export, filter or bundle, no report.json, and no folder of a run")


def _is_export(folder: Path) -> bool:
    """Finished or begun; what only has its plan yet says so there."""
    plan, written = folder / "plan.json", (folder / "export.json", folder / "files")
    if not plan.is_file():
        return False
    return any(path.exists() for path in written) or str(read_json(plan).get("schema")).startswith("memaudit-export/")


def shown(value: object) -> str:
    """A value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    if value is None or value == "":
        return "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
