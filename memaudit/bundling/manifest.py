"""The manifest of a bundle: what is in it, so that a public edition can leave out what is not for everybody.

What everybody may see has its path, size and sha256 there. Of all else there is an HMAC over path and bytes, whose key,
the salt, is in the full edition alone: who has that can check everything, who has the public edition learns from these
lines only how many there are. One manifest, byte by byte the same, is in both; what is signed is its sha256.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, ValidationError, convert, to_builtins

from memaudit.bundling.archive import Content
from memaudit.errors import InconclusiveError
from memaudit.files import once

MANIFEST, SALT, PUBLIC = "manifest.json", "salt", "public/"
ATTESTATION, TIMESTAMP, KEYS = "attestation.json", "timestamp.tsr", "keys/"
SCHEMA = "urn:memaudit:bundle:1"


class PublicFile(Struct, frozen=True, forbid_unknown_fields=True):
    size: int
    sha256: str


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """private: the HMAC-SHA256 of each file that is not public, in hexadecimal, sorted. salt_sha256: of their key."""

    schema: str
    public: dict[str, PublicFile]
    private: list[str]
    salt_sha256: str


def json_bytes(value: object) -> bytes:
    """The only form in which JSON stands in a bundle: keys sorted, ASCII, one line feed at the end."""
    return (json.dumps(value, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def json_in(data: bytes, name: str) -> object:
    """What `json_bytes` wrote. Raises InconclusiveError for anything else, such as another form of the same."""
    try:
        value: object = json.loads(data, object_pairs_hook=once)
        sound = json_bytes(value) == data
    except (ValueError, RecursionError):
        sound = False
    if not sound:
        raise InconclusiveError(f"{name} is not as memaudit writes it: it was changed, or is damaged")
    return value


def is_seal(name: str) -> bool:
    """Whether an entry vouches for the manifest, and is not in it."""
    return name in (MANIFEST, ATTESTATION, TIMESTAMP) or name.startswith(KEYS)


def salted(salt: bytes, name: str, content: Content) -> str:
    """HMAC-SHA256 over path, a zero byte and the bytes."""
    code = hmac.new(salt, name.encode() + b"\0", "sha256")
    for chunk in content.chunks():
        code.update(chunk)
    return code.hexdigest()


def sha256_of_content(content: Content) -> tuple[str, int]:
    """And the size."""
    code, size = hashlib.sha256(), 0
    for chunk in content.chunks():
        code.update(chunk)
        size += len(chunk)
    return code.hexdigest(), size


def salt_of(private: Mapping[str, Content], secret: bytes) -> bytes:
    """The salt of a bundle: the same for the same files and the same secret, so that a bundle can be made again.

    secret: what only whoever signs has. Without one the salt can be computed by who has every byte of the private
    files, and by nobody else.
    """
    code = hmac.new(secret, b"memaudit bundle salt\0", "sha256")
    for name, content in sorted(private.items()):
        code.update(json_bytes([name, sha256_of_content(content)[0]]))
    return code.digest()


def manifest_of(private: Mapping[str, Content], public: Mapping[str, Content], salt: bytes) -> Manifest:
    files = {name: PublicFile(size, sha) for name, (sha, size) in _digests(public).items()}
    codes = sorted(salted(salt, name, content) for name, content in private.items())
    return Manifest(SCHEMA, files, codes, hashlib.sha256(salt).hexdigest())


def _digests(contents: Mapping[str, Content]) -> dict[str, tuple[str, int]]:
    return {name: sha256_of_content(content) for name, content in contents.items()}


def written(manifest: Manifest) -> bytes:
    return json_bytes(to_builtins(manifest))


def read_manifest(path: Path, entries: Mapping[str, Content]) -> Manifest:
    """Raises InconclusiveError where there is none, or one of another form."""
    if MANIFEST not in entries:
        raise InconclusiveError(f"{path} is a zip archive without {MANIFEST}: no bundle of memaudit, or a damaged one")
    value = json_in(entries[MANIFEST].whole(MANIFEST), f"{path}: {MANIFEST}")
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != SCHEMA:
        raise InconclusiveError(f"{path}: {MANIFEST} is of schema {str(schema)[:80]!r}, this version reads {SCHEMA!r}")
    try:
        manifest = convert(value, Manifest)
        if manifest.private == sorted(set(manifest.private)):
            return manifest
        why = "its private files are out of order, or there twice"
    except ValidationError as error:
        why = str(error)
    raise InconclusiveError(f"{path}: {MANIFEST} is not as memaudit writes it: {why}")


def faults_of_files(entries: Mapping[str, Content], manifest: Manifest) -> list[str]:
    """What is not as the manifest says, one line each."""
    faults = list(_faults_of_public(entries, manifest))
    own = {name: content for name, content in entries.items() if not name.startswith(PUBLIC) and not is_seal(name)}
    if not own:
        return faults  # the public edition: what is private lies elsewhere
    if SALT not in own:
        return [*faults, f"{SALT} is missing, the key to what is not public"]
    salt = own.pop(SALT).whole(SALT)
    if hashlib.sha256(salt).hexdigest() != manifest.salt_sha256:
        return [*faults, f"{SALT} is not the one that the manifest was made with"]
    found, listed = {salted(salt, name, content): name for name, content in own.items()}, set(manifest.private)
    strange = sorted(name for code, name in found.items() if code not in listed)
    missing = sum(code not in found for code in manifest.private)
    faults += [f"{name} is not what the manifest says: changed, renamed or added" for name in strange]
    if missing > len(strange):
        faults.append(f"{missing - len(strange):,} files that the manifest lists are not there")
    return faults


def _faults_of_public(entries: Mapping[str, Content], manifest: Manifest) -> list[str]:
    faults = list[str]()
    for name in sorted({*manifest.public, *(each for each in entries if each.startswith(PUBLIC))}):
        expected = manifest.public.get(name)
        if expected is None or name not in entries:
            faults.append(f"{name} is {'not there' if expected else 'not in the manifest'}")
        elif sha256_of_content(entries[name]) != (expected.sha256, expected.size):
            faults.append(f"{name} was changed: its bytes are not those that the manifest was made of")
    return faults
