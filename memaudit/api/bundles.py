"""Runs as evidence in one file, and its public edition."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from memaudit.api.bundle_verdicts import Judged, day_of, faults_of_verdict, verdict_of
from memaudit.api.diagnosis import machine_line, versions_of
from memaudit.api.gating import Verdict
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, Files, files_of, folder_of
from memaudit.bundling.archive import Content
from memaudit.bundling.checking import POLICY, VERDICT, Checked, Opened, check, open_bundle
from memaudit.bundling.contents import BLURRED, PICTURES, files_of_run, is_for_owner, runs_in
from memaudit.bundling.making import (
    contents_of,
    is_made_without_key,
    public_edition,
    secret_among,
    signed,
    write_bundle,
)
from memaudit.bundling.manifest import MANIFEST, json_bytes
from memaudit.bundling.shown import FACTS, check_shown, facts_of
from memaudit.bundling.signing import Passwords, make_keys, private_key
from memaudit.errors import InconclusiveError, UsageError
from memaudit.files import is_passage, real
from memaudit.folders import sole_writer_of
from memaudit.gate import DEFAULT_POLICY

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PACKAGES = ("numpy", "pillow", "msgspec", "pyarrow", "h5py", "scipy", "faiss-cpu", "faiss-gpu-cuvs", "torch")
_GUESSABLE = (
    "the bundle was made without a key, and its salt stays: who knows every byte of its private files could tell what "
    "the digests in its public edition stand for; bundle the runs again with --sign"
)
Keys = str | Path | Sequence[str | Path]
"""Files of keys."""


@dataclass(frozen=True, repr=False)
class Bundle:
    """A bundle that was written, and read again. signers: ids of the keys that signed it. warnings: what a reader must
    know besides.

    >>> _ = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> made = ma.bundle("audit", "evidence.zip")
    >>> str(made.verdict), made.full, made.signers
    ('fail', True, ())
    """

    path: Path
    verdict: Verdict
    full: bool
    files: int
    signers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        edition = "full" if self.full else "public"
        return {
            "path": str(self.path),
            "edition": edition,
            "verdict": str(self.verdict),
            "files": self.files,
            "signers": [*self.signers],
            "warnings": [*self.warnings],
        }

    def __repr__(self) -> str:
        return f"<Bundle: {self._said}>"

    def _repr_html_(self) -> str:
        cells = [("path", str(self.path)), ("signed by", ", ".join(self.signers))]
        return card("memaudit bundle", self._said, [*cells, ("warnings", "; ".join(self.warnings))])

    @property
    def _said(self) -> str:
        signed_by = f"signed by {len(self.signers):,}" if self.signers else "not signed"
        return f"{self.verdict}, {self.files:,} files, {signed_by}, in {self.path}"


@dataclass(frozen=True)
class KeyFiles:
    """A key that was made: the files of its private and its public half, and the id that both have.

    >>> ma.make_key("audit.key").private.stat().st_mode & 0o777 == 0o600
    True
    """

    private: Path
    public: Path
    key_id: str


def bundle(
    runs: AnyStore | Sequence[AnyStore],
    out: str | Path,
    *,
    policy: str | Path | None = None,
    accepted: str | Path | None = None,
    reviews: Files = (),
    baseline: str | Path | None = None,
    pictures: str = BLURRED,
    tables: bool = True,
    sign: Keys = (),
    timestamp: str | None = None,
    password_files: Files = (),
    judged: str | None = None,
) -> Bundle:
    """Put runs into one file that a stranger can verify: reports, pages, tables, thumbnails, policy, reviews, the
    verdict of the gate, and what all of it was made by. The same runs and options give the same bytes, judged as of the
    same day.

    runs: folders of audits, dedups, filters, reweights, extractions or release runs, or the runs. policy, accepted,
    reviews, baseline: what the gate judges by, as `run_gate` takes them; they are bundled as well. A release run's own
    verdict counts beside it: the graver is the bundle's; where the gate has no rules it is inconclusive. pictures:
    thumbnails blurred, as-they-are or none; crops of faces are never bundled. sign: files of private keys (`make_key`).
    password_files: of the keys that have one, a file each; else the variable MEMAUDIT_KEY_PASSWORD. timestamp: URL of
    an RFC 3161 authority, which is sent the manifest's sha256. judged: a day, such as 2026-11-28, against whose end
    acceptances, reviews and the age of reports are held; None: today, in UTC.

    Raises InputError for what is no such run, InconclusiveError for one that was changed or has no report yet,
    MissingDependencyError for a signature without the extra sign.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> _ = ma.make_key("audit.key")
    >>> len(ma.bundle(audit, "evidence.zip", sign="audit.key").signers)
    1
    """
    if pictures not in PICTURES:
        raise UsageError(f"--pictures {pictures!r} is none of {', '.join(PICTURES)}")
    if timestamp and not files_of(sign):
        raise UsageError("--timestamp without --sign: nothing would bind the stamp; name a key as well")
    keys = _keys(sign, password_files)
    several = list(runs) if isinstance(runs, Sequence) and not isinstance(runs, str) else [runs]
    folders = [folder_of(run) for run in several]
    if not folders:
        raise UsageError("no run given: name the folder of an audit, a dedup or another run")
    found, path = runs_in(folders), Path(out)
    judged_by = {"policy.toml": policy, "accepted.toml": accepted, "baseline/report.json": baseline}
    inputs = {name: Path(given) for name, given in judged_by.items() if given is not None}
    inputs |= {f"reviews/{number}.jsonl": given for number, given in enumerate(files_of(reviews), 1)}
    _require_apart(path, [*folders, *inputs.values(), *files_of(sign)])
    by = Judged(inputs, day_of(judged))
    verdict = verdict_of(found, folders, by)
    private = {name: Content(path=each) for name, each in inputs.items()}
    for run in found:
        private |= files_of_run(run, pictures=pictures, tables=tables)
    private.setdefault("policy.toml", Content(DEFAULT_POLICY.encode()))
    reports = {run.name: run.report for run in found}
    private[FACTS] = Content(json_bytes(facts_of(reports, _environment())))
    entries = contents_of(private, reports, verdict, by.policy, secret_among(keys))
    if keys:
        entries = signed(entries, verdict, keys, timestamp)
    return _written(path, entries, for_owner=any(map(is_for_owner, found)))


def publish_bundle(full: str | Path, out: str | Path) -> Bundle:
    """Write the public edition of a bundle: without captions, pictures and ids, by the manifest and with the signatures
    of the full one, so that whoever has both can tell that they are of one bundle.

    Raises InputError for what is no bundle, InconclusiveError for one that was changed, UsageError for an edition that
    is public already.

    >>> _ = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> _ = ma.bundle("audit", "evidence.zip")
    >>> ma.publish_bundle("evidence.zip", "public.zip").full
    False
    >>> ma.verify("public.zip", against="evidence.zip").sound
    True
    """
    opened, notes = _sound(Path(full))
    if not opened.full:
        raise UsageError(f"{full} is a public edition already: --public takes the full one")
    _require_apart(Path(out), [Path(full)])
    return replace(_written(Path(out), public_edition(opened), for_owner=False), warnings=notes)


def sign_bundle(
    given: str | Path, out: str | Path, keys: Keys, *, timestamp: str | None = None, password_files: Files = ()
) -> Bundle:
    """Write a bundle again, with further signatures. One that was made without a key keeps the salt that it has then,
    and a warning says so. password_files: as of `bundle`. Raises as `publish_bundle`, and
    InputError for what is no key, or is not opened.

    >>> _ = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> _ = ma.bundle("audit", "evidence.zip")
    >>> key = ma.make_key("board.key")
    >>> ma.sign_bundle("evidence.zip", "signed.zip", "board.key").signers == (key.key_id,)
    True
    """
    path = Path(given)
    read = _keys(keys, password_files)
    if not read:
        raise UsageError("no key given: name the file of a private key")
    opened, notes = _sound(path)
    _require_apart(Path(out), [path, *files_of(keys)])
    entries = signed(opened.entries, opened.verdict, read, timestamp)
    made = _written(Path(out), entries, for_owner=not path.stat().st_mode & 0o077)
    return replace(made, warnings=(*notes, _GUESSABLE) if is_made_without_key(opened) else notes)


def _keys(keys: Keys, password_files: Files) -> list[Ed25519PrivateKey]:
    passwords = Passwords.of(files_of(password_files))
    return [private_key(path, passwords) for path in files_of(keys)]


def make_key(path: str | Path, *, password_file: str | Path | None = None) -> KeyFiles:
    """Make a key to sign bundles with: `path`, for its owner alone, and its public half, `path`.pub, for everybody.
    password_file: a file with the password that it shall have; else the variable MEMAUDIT_KEY_PASSWORD; without both
    it has none. Raises UsageError where either is there already.

    >>> key = ma.make_key("audit.key")
    >>> key.public.name, len(key.key_id)
    ('audit.key.pub', 64)
    """
    files = [] if password_file is None else [Path(password_file)]
    return KeyFiles(*make_keys(Path(path), Passwords.of(files)))


def _sound(path: Path) -> tuple[Opened, tuple[str, ...]]:
    """The bundle, and what whoever signs it or hands it on must know: of which pages the digests alone were held."""
    opened, shown = open_bundle(path), Checked()
    checked = check(opened)
    wrong = [*checked.faults, *checked.unchecked]
    if opened.full and not wrong:
        wrong += [line for lines in faults_of_verdict(opened) for line in lines]
        shown = check_shown(opened)
        wrong += [*shown.faults, *shown.unchecked]
    for line in wrong:
        raise InconclusiveError(f"{path}: {line}")
    return opened, tuple(shown.notes)


def _environment() -> dict[str, object]:
    """Of whoever bundles: what the runs were made by is in their reports."""
    return {"python": platform.python_version(), "machine": machine_line(), "packages": versions_of(_PACKAGES)}


def _require_apart(out: Path, inputs: Sequence[Path]) -> None:
    if real(out) in {real(path) for path in inputs} or out.is_dir():
        raise UsageError(f"--out {out} is a folder, or read by this very call: name another file")
    if out.exists() and not _lists_files_of_one(out):
        raise UsageError(f"--out {out} exists already, and is no bundle: name another file")


def set_aside_earlier(paths: Sequence[Path]) -> None:
    """Rename bundles of an earlier run to NAME.earlier: none must pass for that of one that ends early, nor be lost to
    it. Raises UsageError, and renames none, where one is no bundle: the new one would be written over it."""
    there = [path for path in paths if path.exists()]
    for path in there:
        if not _lists_files_of_one(path):
            raise UsageError(f"[bundle] {path} exists already, and is no bundle: name another file, or move it away")
    for whole in {real(path) for path in there}:  # what a link leads to, and not the link
        os.replace(whole, whole.with_name(f"{whole.name}.earlier"))


def _lists_files_of_one(path: Path) -> bool:
    """Whether it is one, by an archive's table: one that was changed is a bundle too. What goes to a device or a pipe
    is not there to be read again, as each bundle is."""
    if is_passage(path):
        return False
    try:
        with ZipFile(path) as archive:
            return {MANIFEST, VERDICT, POLICY} <= {*archive.namelist()}
    except (OSError, BadZipFile, ValueError, NotImplementedError):
        return False


def _written(path: Path, entries: dict[str, Content], *, for_owner: bool) -> Bundle:
    with sole_writer_of(path):
        write_bundle(path, entries, for_owner=for_owner)
    opened = open_bundle(path)
    verdict = Verdict(opened.verdict["verdict"])
    return Bundle(path, verdict, opened.full, len(opened.entries), opened.signers)
