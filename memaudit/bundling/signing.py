"""Who vouches for a bundle: an in-toto statement of the gate's verdict in a DSSE envelope, signed with Ed25519 keys.

The formats are those of others, so that others can check them: https://github.com/in-toto/attestation (Statement v1,
Test Result v0.1) and https://github.com/secure-systems-lab/dsse.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memaudit.bundling.manifest import json_bytes, json_in
from memaudit.errors import InconclusiveError, InputError, UsageError, require
from memaudit.files import read_small, reason_of, write_text
from memaudit.types import KEY_PASSWORD

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT, PREDICATE = "https://in-toto.io/Statement/v1", "https://in-toto.io/attestation/test-result/v0.1"
# Not decided is no pass, not even one with warnings, which is what WARNED means: the predicate has no fourth word
RESULTS = {"pass": "PASSED", "fail": "FAILED", "inconclusive": "FAILED"}
_MOST = 1 << 16  # bytes of a key file
_MOST_PASSWORD = 1023  # bytes: the library takes no longer one
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_PURPOSE = "a signature"


class MadeKey(NamedTuple):
    """A key that was made: its two files, and its id."""

    private: Path
    public: Path
    key_id: str


class Passwords(NamedTuple):
    """What opens keys, and where each was read, for who looks for the wrong one."""

    known: Sequence[tuple[str, bytes]] = ()

    @classmethod
    def of(cls, files: Sequence[Path]) -> Passwords:
        """Of files that hold one each, whose last line feed is not of it; of the variable where no file is named.
        Raises InputError for a file that holds none."""
        known = [(str(path), _password_in(path)) for path in files]
        of_variable = os.environ.get(KEY_PASSWORD, "")
        if of_variable and not files:
            known = [(KEY_PASSWORD, os.fsencode(of_variable))]
        for place, password in known:
            if not 0 < len(password) <= _MOST_PASSWORD:
                size = "is longer" if password else "is empty"
                raise InputError(f"the password in {place} {size}: expected 1 to {_MOST_PASSWORD:,} bytes")
        return cls(known)


NO_PASSWORD = Passwords()


def _password_in(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # a pipe as well
            os.set_blocking(file.fileno(), True)
            data = file.read(_MOST_PASSWORD + 3)
    except OSError as error:
        raise InputError(f"password file {path} cannot be read: {reason_of(error)}") from None
    return data.removesuffix(b"\n").removesuffix(b"\r")


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to would wait for ever; so it is empty."""
    return os.open(path, flags | os.O_NONBLOCK)


def make_keys(path: Path, passwords: Passwords = NO_PASSWORD) -> MadeKey:
    """Make an Ed25519 key in `path` (PEM, for its owner alone, encrypted by a password if one is given) and its
    public half in `path`.pub. Raises UsageError where either is there already."""
    require("cryptography", _PURPOSE)
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = path.with_name(f"{path.name}.pub")
    for each in (path, public):
        if each.exists() or each.is_symlink():
            raise UsageError(f"{each} exists already: a key is never written over; name another file")
    locked: form.KeySerializationEncryption = form.NoEncryption()
    for _, password in passwords.known[:1]:
        locked = form.BestAvailableEncryption(password)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(pem)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {reason_of(error)}") from None
    write_text(public, public_pem(key.public_key()).decode(), new=True)
    return MadeKey(path, public, key_id(key.public_key()))


def private_key(path: Path, passwords: Passwords = NO_PASSWORD) -> Ed25519PrivateKey:
    """Read a key to sign with. Raises InputError for anything but an Ed25519 key in PEM, and for one that has a
    password which is none of these."""
    require("cryptography", _PURPOSE)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = _key_file(path)
    try:
        try:
            key = load_pem_private_key(data, None)
        except TypeError:  # what the library says of a key that has a password
            key = _unlocked(data, path, passwords)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{path} is no private key in PEM: make one with memaudit bundle --new-key FILE") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"{path} is a private key of another kind: expected Ed25519")
    return key


def _unlocked(data: bytes, path: Path, passwords: Passwords) -> PrivateKeyTypes:
    """A key that has a password. Raises InputError where none of these is it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    for _, password in passwords.known:
        with suppress(ValueError):
            return load_pem_private_key(data, password)
    if passwords.known:
        places = ", ".join(place for place, _ in passwords.known)
        raise InputError(f"{path} has a password, and what is in {places} does not open it: name the right one")
    raise InputError(f"{path} has a password: put it into a file for --password-file, or into {KEY_PASSWORD}")


def secret_of(key: Ed25519PrivateKey) -> bytes:
    """What nobody else has."""
    return hashlib.sha256(b"memaudit bundle secret\0" + key.private_bytes_raw()).digest()


def trusted_id(given: str | Path) -> str:
    """The id of a public key: of a file in PEM, or the id itself, 64 hexadecimal digits."""
    if _KEY_ID.fullmatch(str(given)):
        return str(given)
    return key_id(_public_key(_key_file(Path(given)), str(given), InputError))


def _key_file(path: Path) -> bytes:
    try:
        return read_small(path, _MOST)
    except OSError as error:
        raise InputError(f"key {path} cannot be read: {reason_of(error)}") from None


def _public_key(pem: bytes, name: str, refusal: type[InputError | InconclusiveError]) -> Ed25519PublicKey:
    require("cryptography", _PURPOSE)
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise refusal(f"{name} is no public key in PEM: expected the .pub file of an Ed25519 key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise refusal(f"{name} is a public key of another kind: expected Ed25519")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    return key.public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the 32 bytes of the public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


class Rule(NamedTuple):
    name: str
    outcome: str


def statement_of(
    manifest: bytes, verdict: str, rules: Sequence[Rule], policy: Mapping[str, str], timestamp: bytes = b""
) -> bytes:
    """What is signed. policy: name and sha256 of what the rules were read from; timestamp: a time stamp of the
    manifest."""
    subjects = {"manifest.json": manifest, **({"timestamp.tsr": timestamp} if timestamp else {})}
    named = {passed: [rule.name for rule in rules if (rule.outcome == "pass") is passed] for passed in (True, False)}
    return json_bytes(
        {
            "_type": STATEMENT,
            "subject": [_descriptor(name, hashlib.sha256(data).hexdigest()) for name, data in subjects.items()],
            "predicateType": PREDICATE,
            "predicate": {
                "result": RESULTS[verdict],
                "configuration": [_descriptor(name, sha256) for name, sha256 in policy.items()],
                "passedTests": named[True],
                "warnedTests": [],
                "failedTests": named[False],
                "memauditVerdict": verdict,
            },
        }
    )


def _descriptor(name: str, sha256: str) -> dict[str, object]:
    return {"name": name, "digest": {"sha256": sha256}}


def encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what the signature is over."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


class Envelope(NamedTuple):
    """payload: the statement; signatures: by the id of the key."""

    payload: bytes
    signatures: Mapping[str, bytes]

    def written(self) -> bytes:
        listed = [{"keyid": key, "sig": _base64(sig)} for key, sig in sorted(self.signatures.items())]
        return json_bytes({"payload": _base64(self.payload), "payloadType": PAYLOAD_TYPE, "signatures": listed})

    def signed(self, keys: Sequence[Ed25519PrivateKey]) -> Envelope:
        new = {key_id(key.public_key()): key.sign(encoded(self.payload)) for key in keys}
        return Envelope(self.payload, {**self.signatures, **new})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def read_envelope(data: bytes, name: str) -> Envelope:
    """Raises InconclusiveError for anything that memaudit would have written otherwise."""
    try:
        value = json_in(data, name)
        assert isinstance(value, dict)
        found = {each["keyid"]: base64.b64decode(each["sig"], validate=True) for each in value["signatures"]}
        envelope = Envelope(base64.b64decode(value["payload"], validate=True), found)
        named = all(_KEY_ID.fullmatch(key) for key in found)  # nothing else is printed, or looked for in the bundle
        sound = bool(found) and named and envelope.written() == data
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        sound = False
    if not sound:
        raise InconclusiveError(f"{name} is no envelope as memaudit writes it: it was changed, or is damaged")
    return envelope


def require_signed(envelope: Envelope, key: str, pem: bytes, name: str) -> None:
    """Raise InconclusiveError unless this key signed, and is the one of that id."""
    require("cryptography", _PURPOSE)
    from cryptography.exceptions import InvalidSignature

    public = _public_key(pem, name, InconclusiveError)
    if key_id(public) != key or public_pem(public) != pem:
        raise InconclusiveError(f"{name} is not the key that it is called by: it was changed, or is damaged")
    try:
        public.verify(envelope.signatures[key], encoded(envelope.payload))
    except InvalidSignature:
        raise InconclusiveError(f"the signature of key {key[:16]}… is wrong: the statement or it was changed") from None
