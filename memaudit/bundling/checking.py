"""Whether a bundle is whole, who vouches for it, and whether a public edition is one of a full edition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from memaudit import __version__
from memaudit.bundling.archive import Content, read_archive
from memaudit.bundling.manifest import (
    ATTESTATION,
    KEYS,
    MANIFEST,
    PUBLIC,
    SALT,
    TIMESTAMP,
    Manifest,
    faults_of_files,
    is_seal,
    json_bytes,
    json_in,
    read_manifest,
    sha256_of_content,
)
from memaudit.bundling.redaction import public_report, public_verdict
from memaudit.bundling.signing import Rule, read_envelope, require_signed, statement_of
from memaudit.bundling.timestamps import stamped_at
from memaudit.errors import InconclusiveError, MemauditError, MissingDependencyError
from memaudit.files import json_object_in
from memaudit.report.bindings import sha256_in
from memaudit.report.bounds import MOST_BYTES
from memaudit.report.document import report_in
from memaudit.report.model import Report
from memaudit.report.run_folder import REPORT

VERDICT, POLICY, WHOLE_VERDICT = f"{PUBLIC}verdict.json", f"{PUBLIC}policy.json", "verdict.json"
_VERDICTS = ("pass", "fail", "inconclusive")


@dataclass(frozen=True)
class Opened:
    """A bundle as it was read. signers: ids of the keys that its envelope names, whether or not they did sign."""

    path: Path
    entries: Mapping[str, Content]
    manifest: Manifest
    verdict: Mapping[str, Any]
    signers: tuple[str, ...]

    @property
    def full(self) -> bool:
        return SALT in self.entries

    def data(self, name: str) -> bytes:
        return self.entries[name].whole(f"{self.path}: {name}")


@dataclass
class Checked:
    """faults: what was changed. unchecked: what cannot be told here. notes: what a reader should know besides.
    signers: ids of the keys whose signatures are right."""

    faults: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    signers: list[str] = field(default_factory=list)


def open_bundle(path: Path) -> Opened:
    """Read every byte. Raises InputError for what is no bundle, InconclusiveError for one that was changed in its form.

    Whether its files are those of the manifest, and who signed, is what `check` says.
    """
    entries = read_archive(path)
    manifest = read_manifest(path, entries)
    for name in (VERDICT, POLICY):
        if name not in entries:
            raise InconclusiveError(f"{path}: {name} is not there: it was changed, or is damaged")
    verdict = json_in(entries[VERDICT].whole(VERDICT), f"{path}: {VERDICT}")
    if not isinstance(verdict, dict) or verdict.get("verdict") not in _VERDICTS:
        raise InconclusiveError(f"{path}: {VERDICT} holds no verdict: it was changed, or is damaged")
    signers: tuple[str, ...] = ()
    if ATTESTATION in entries:
        envelope = read_envelope(entries[ATTESTATION].whole(ATTESTATION), f"{path}: {ATTESTATION}")
        signers = tuple(sorted(envelope.signatures))
    return Opened(path, entries, manifest, verdict, signers)


def check(
    bundle: Opened, keys: Sequence[str] = (), against: Opened | None = None, authorities: Path | None = None
) -> Checked:
    """keys: ids of which each must have signed. against: the full edition, or the public one, of the same bundle.
    authorities: certificates of who may have made its time stamp.

    Raises InconclusiveError, in one line, where a signature or a stamp is wrong.
    """
    checked = Checked(faults_of_files(bundle.entries, bundle.manifest))
    if bundle.full and not checked.faults:
        checked.faults += _faults_of_runs(bundle, checked)
    _check_seals(bundle, checked, authorities)
    for key in keys:
        if key not in bundle.signers:
            checked.faults.append(f"{bundle.path} is not signed by key {key}")
    if against is not None:
        checked.faults += _faults_between(bundle, against, checked)
    if checked.faults:
        return Checked(checked.faults)  # nothing that it says of itself is to be read beside what is wrong with it
    said = "" if bundle.full else "; a public edition, without what is not for everybody"
    checked.notes.insert(0, f"verdict: {bundle.verdict['verdict']}{said}")
    if checked.signers and not keys:
        checked.notes.append("no key was named: whose that is, --key would tell")
    return checked


def _check_seals(bundle: Opened, checked: Checked, authorities: Path | None) -> None:
    entries = bundle.entries
    named = {MANIFEST, *(f"{KEYS}{key}.pem" for key in bundle.signers)}
    if bundle.signers:
        named |= {ATTESTATION, TIMESTAMP} & {*entries}
    for name in sorted(named ^ {name for name in entries if is_seal(name)}):
        checked.faults.append(f"{name} is {'not there' if name in named else 'there, and nothing of the envelope is'}")
    if not bundle.signers:
        checked.notes.append("not signed: nothing was changed since it was written, and nobody says by whom it was")
        if authorities is not None:
            checked.faults.append(f"{bundle.path} has no time stamp: it is not signed")
    if not bundle.signers or checked.faults:
        return
    try:
        _check_signatures(bundle, checked)
        _check_stamp(bundle, checked, authorities)
    except MissingDependencyError as error:
        checked.unchecked.append(str(error))


def _check_signatures(bundle: Opened, checked: Checked) -> None:
    envelope = read_envelope(bundle.data(ATTESTATION), ATTESTATION)
    stamp = bundle.data(TIMESTAMP) if TIMESTAMP in bundle.entries else b""
    if envelope.payload != statement_in(bundle.entries, bundle.verdict, stamp):
        raise InconclusiveError(f"{bundle.path}: what was signed is another manifest, verdict or time stamp")
    for key in bundle.signers:
        name = f"{KEYS}{key}.pem"
        require_signed(envelope, key, bundle.data(name), f"{bundle.path}: {name}")
        checked.signers.append(key)
        checked.notes.append(f"signed by key {key}")


def statement_in(entries: Mapping[str, Content], verdict: Mapping[str, Any], stamp: bytes) -> bytes:
    """The statement that these entries give: what is signed, and must have been."""
    try:
        rules = [Rule(f"{rule['report']}: {rule['rule']}", rule["outcome"]) for rule in verdict["rules"]]
    except (KeyError, TypeError):
        raise InconclusiveError(f"{VERDICT} has rules of another form: it was changed, or is damaged") from None
    policy = {POLICY: sha256_of_content(entries[POLICY])[0]}
    return statement_of(entries[MANIFEST].whole(MANIFEST), verdict["verdict"], rules, policy, stamp)


def _check_stamp(bundle: Opened, checked: Checked, authorities: Path | None) -> None:
    if TIMESTAMP not in bundle.entries:
        if authorities is not None:
            checked.faults.append(f"{bundle.path} has no time stamp")
        return
    name = f"{bundle.path}: {TIMESTAMP}"
    when = stamped_at(bundle.data(TIMESTAMP), bundle.data(MANIFEST), name, authorities)
    whose = "by the authority" if authorities else "as the stamp says: --timestamp-ca would tell whether it may"
    checked.notes.append(f"stamped at {_plain(when)}, {whose}")


def _plain(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def _faults_between(bundle: Opened, other: Opened, checked: Checked) -> list[str]:
    """Faults of the other one, and what says that the two are not of one bundle."""
    found = faults_of_files(other.entries, other.manifest)
    if other.full and not found:
        of_other = Checked()
        found = _faults_of_runs(other, of_other)
        checked.unchecked += [f"{other.path}: {line}" for line in of_other.unchecked]
    faults = [f"{other.path}: {fault}" for fault in found]
    if bundle.entries[MANIFEST].whole(MANIFEST) != other.entries[MANIFEST].whole(MANIFEST):
        faults.append(f"{bundle.path} and {other.path} are of different bundles: their manifests differ")
    if not (bundle.full or other.full):
        faults.append(f"{other.path} is a public edition as well: one of the two must be the full one")
    return faults


def told_by(bundle: Opened) -> str:
    """Which version wrote the bundle, as it says."""
    return str(bundle.verdict.get("memaudit"))


def reports_in(bundle: Opened) -> dict[str, Report]:
    """The reports of a full edition by their folder in it, each held against its own digest."""
    reports = dict[str, Report]()
    for name in bundle.entries:
        folder, _, file = name.rpartition("/")
        if file == REPORT and not is_seal(name) and not name.startswith((PUBLIC, "baseline/")):
            reports[folder] = read_bundled_report(bundle, name)
    return reports


def read_bundled_report(bundle: Opened, name: str) -> Report:
    if bundle.entries[name].size > MOST_BYTES:
        raise InconclusiveError(f"{bundle.path}: {name} is larger than any report")
    place = bundle.path / name
    return report_in(json_object_in(bundle.data(name), place), place)


def _faults_of_runs(bundle: Opened, checked: Checked) -> list[str]:
    """What whoever wrote the bundle put together that is not of one run."""
    faults = list[str]()
    try:
        reports = reports_in(bundle)
    except MemauditError as error:
        return [str(error)]
    for folder, report in reports.items():
        for name, content in bundle.entries.items():
            expected = sha256_in(report, name.removeprefix(f"{folder}/")) if name.startswith(f"{folder}/") else None
            if expected and sha256_of_content(content)[0] != expected:
                faults.append(f"{name} is another one than its report was written with")
        told = public_report(report, bundle.data(SALT))
        faults += faults_of_told(bundle, f"{PUBLIC}{folder}.json", f"{folder}/{REPORT}", json_bytes(told), checked)
    return faults + _faults_of_verdict(bundle, checked)


def _faults_of_verdict(bundle: Opened, checked: Checked) -> list[str]:
    try:
        expected = public_verdict(json_object_in(bundle.data(WHOLE_VERDICT), bundle.path / WHOLE_VERDICT))
        expected["memaudit"] = bundle.verdict.get("memaudit")
    except (KeyError, TypeError, MemauditError):
        return [f"{WHOLE_VERDICT} is no verdict of the gate"]
    return faults_of_told(bundle, VERDICT, WHOLE_VERDICT, json_bytes(expected), checked)


def faults_of_told(bundle: Opened, name: str, of: str, expected: bytes, checked: Checked) -> list[str]:
    """Unless a file tells what those do that it is made of. Another version may tell it in another way: whoever wrote
    the bundle says which, so that it is not taken for granted."""
    if name in bundle.entries and bundle.data(name) == expected:
        return []
    if name in bundle.entries and (version := told_by(bundle)) != __version__:
        checked.unchecked.append(
            f"{name} says that memaudit {version[:20]} made it, and this one would tell it in another way: verify "
            "it by that version"
        )
        return []
    return [f"{name} does not tell what {of} does"]
