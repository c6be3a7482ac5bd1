"""A bundle put together, signed, and its public edition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from msgspec import UNSET, to_builtins

from memaudit.bundling.archive import Content, write_archive
from memaudit.bundling.checking import POLICY, VERDICT, WHOLE_VERDICT, Opened, statement_in
from memaudit.bundling.contents import RunFolder
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
from memaudit.bundling.signing import Envelope, key_id, public_pem, read_envelope, secret_of
from memaudit.bundling.timestamps import stamped
from memaudit.errors import UsageError
from memaudit.files import whole_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

INDEX, FACTS = "index.html", "facts.json"


def facts_of(runs: Sequence[RunFolder], environment: Mapping[str, object]) -> dict[str, object]:
    """What was examined, how and by what: digests of stores, model and generations, commands, encoders, versions."""
    return {"runs": [_facts_of_run(run) for run in runs], "bundled with": dict(environment)}


def _facts_of_run(run: RunFolder) -> dict[str, object]:
    head, results = run.report.head, run.report.results
    model = getattr(results, "model", UNSET)
    return {
        "folder": run.name,
        "kind": run.report.kind,
        "created": run.report.created,
        "memaudit": head.memaudit,
        "headline": results.headline,
        "about": to_builtins(head.about) if head.about is not UNSET else None,
        "model": to_builtins(model) if model is not UNSET else None,
        "encoder": to_builtins(run.report.encoder),
        "inputs": dict(run.report.inputs),
        "stores": dict(head.stores) if head.stores is not UNSET else {},
        "report": run.report.digest,
    }


def contents_of(
    private: Mapping[str, Content], runs: Sequence[RunFolder], verdict: Mapping[str, Any], policy: Any, secret: bytes
) -> dict[str, Content]:
    """All entries of the full edition that is not signed yet. verdict: as the gate gives it, with `created`; policy:
    the limits that it went by. secret: see `salt_of`."""
    shown = public_verdict(verdict)
    own = {**private, WHOLE_VERDICT: Content(json_bytes(verdict)), INDEX: Content(_index(runs, verdict, full=True))}
    salt = salt_of(own, secret)
    public = {
        VERDICT: Content(json_bytes(shown)),
        POLICY: Content(json_bytes(public_policy(policy))),
        f"{PUBLIC}{INDEX}": Content(_index(runs, shown, full=False)),
        **{f"{PUBLIC}{run.name}.json": Content(json_bytes(public_report(run.report, salt))) for run in runs},
    }
    manifest = written(manifest_of(own, public, salt))
    return {**own, **public, SALT: Content(salt), MANIFEST: Content(manifest)}


def _index(runs: Sequence[RunFolder], verdict: Mapping[str, Any], *, full: bool) -> bytes:
    """The first page. That of the public edition has no sentence of a report."""
    loader = jinja2.PackageLoader("memaudit.bundling")
    pages = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    models = sorted({run.report.head.about.model for run in runs if run.report.head.about} - {""})
    rules = sorted(verdict["rules"], key=lambda rule: rule["outcome"] == "pass")
    values = {"runs": runs, "verdict": verdict, "rules": rules, "models": models, "full": full}
    return (pages.get_template("index.html").render(**values).rstrip("\n") + "\n").encode("utf-8", "backslashreplace")


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


def public_edition(bundle: Opened) -> dict[str, Content]:
    """What everybody may see, and what vouches for it."""
    return {name: each for name, each in bundle.entries.items() if name.startswith(PUBLIC) or is_seal(name)}


def write_bundle(out: Path, entries: Mapping[str, Content], *, for_owner: bool) -> None:
    """for_owner: for nobody else to read, whatever the umask. Raises as `write_archive` and `whole_file`."""
    with whole_file(out, for_owner=for_owner) as file:
        write_archive(file, entries)
