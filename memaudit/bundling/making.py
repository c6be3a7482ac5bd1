"""A bundle put together, signed, and its public edition."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memaudit.bundling.archive import Content, write_archive
from memaudit.bundling.checking import POLICY, VERDICT, WHOLE_VERDICT, Opened, statement_in
from memaudit.bundling.manifest import (
    ATTESTATION,
    KEYS,
    MANIFEST,
    PUBLIC,
    SALT,
    TIMESTAMP,
    is_seal,
    json_bytes,
    manifest_of,
    salt_of,
    written,
)
from memaudit.bundling.redaction import public_policy, public_report, public_verdict
from memaudit.bundling.shown import INDEX, index_of
from memaudit.bundling.signing import Envelope, key_id, public_pem, read_envelope, secret_of
from memaudit.bundling.timestamps import stamped
from memaudit.errors import UsageError
from memaudit.files import whole_file
from memaudit.report.model import Report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def contents_of(
    private: Mapping[str, Content],
    reports: Mapping[str, Report],
    verdict: Mapping[str, Any],
    policy: Any,
    secret: bytes,
) -> dict[str, Content]:
    """All entries of the full edition that is not signed yet. reports: by their folder in it. verdict: as the gate
    gives it, with `created`; policy: the limits that it went by. secret: see `salt_of`."""
    shown = public_verdict(verdict)
    own = {
        **private,
        WHOLE_VERDICT: Content(json_bytes(verdict)),
        INDEX: Content(index_of(reports, verdict, full=True)),
    }
    salt = salt_of(own, secret)
    public = {
        VERDICT: Content(json_bytes(shown)),
        POLICY: Content(json_bytes(public_policy(policy))),
        f"{PUBLIC}{INDEX}": Content(index_of(reports, shown, full=False)),
        **{f"{PUBLIC}{name}.json": Content(json_bytes(public_report(each, salt))) for name, each in reports.items()},
    }
    manifest = written(manifest_of(own, public, salt))
    return {**own, **public, SALT: Content(salt), MANIFEST: Content(manifest)}


def signed(
    entries: Mapping[str, Content], verdict: Mapping[str, Any], keys: Sequence[Ed25519PrivateKey], authority: str | None
) -> dict[str, Content]:
    """The entries with signatures by these keys. authority: the URL of who stamps the manifest before that; None: only
    the stamp that is there already. Raises UsageError where what is signed cannot be stamped any more."""
    data = {name: entries[name].whole(name) for name in (ATTESTATION, MANIFEST, TIMESTAMP) if name in entries}
    if authority and ATTESTATION in data:
        raise UsageError("--timestamp comes before the first signature, which is over it: bundle the runs again")
    stamp = stamped(data[MANIFEST], authority) if authority else data.get(TIMESTAMP, b"")
    if ATTESTATION in data:
        envelope = read_envelope(data[ATTESTATION], ATTESTATION)
    else:
        envelope = Envelope(statement_in(entries, verdict, stamp), {})
    pems = {f"{KEYS}{key_id(key.public_key())}.pem": Content(public_pem(key.public_key())) for key in keys}
    seals = {ATTESTATION: Content(envelope.signed(keys).written()), **pems}
    return {**entries, **seals, **({TIMESTAMP: Content(stamp)} if stamp else {})}


def secret_among(keys: Sequence[Ed25519PrivateKey]) -> bytes:
    return secret_of(keys[0]) if keys else b""


def is_made_without_key(bundle: Opened) -> bool:
    """Whether the salt of a full edition follows from its private files, whoever signed it since."""
    if not bundle.full:
        return False
    salt = bundle.data(SALT)
    others = {name: each for name, each in bundle.entries.items() if not name.startswith(PUBLIC) and not is_seal(name)}
    del others[SALT]
    return salt_of(others, secret_among([])) == salt


def public_edition(bundle: Opened) -> dict[str, Content]:
    """What everybody may see, and what vouches for it."""
    return {name: each for name, each in bundle.entries.items() if name.startswith(PUBLIC) or is_seal(name)}


def write_bundle(out: Path, entries: Mapping[str, Content], *, for_owner: bool) -> None:
    """for_owner: for nobody else to read, whatever the umask. Raises as `write_archive` and `whole_file`."""
    with whole_file(out) as file:
        if for_owner:
            os.fchmod(file.fileno(), 0o600)
        write_archive(file, entries)
