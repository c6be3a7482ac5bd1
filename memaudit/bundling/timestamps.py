"""Time stamps by RFC 3161: an authority signs that the manifest was there at a time.

What is stamped is the manifest, before it is signed, and the signature is over the stamp as well: so nothing of either
can be taken out of one bundle into another.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import HTTPRedirectHandler, Request, build_opener

from memaudit.errors import InconclusiveError, InputError, UsageError, require
from memaudit.files import read_small, reason_of

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

_PURPOSE = "a time stamp"
_MOST = 1 << 20  # bytes of a stamp, and of a file of certificates
_WAIT = 60.0  # seconds


class _NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def stamped(message: bytes, authority: str) -> bytes:
    """Ask an authority, by its URL, for a stamp of the sha256 of `message`: nothing else is sent.

    Raises UsageError for no URL, InputError where it gives none. Whether it is to be trusted is asked when it is
    verified.
    """
    require("rfc3161_client", _PURPOSE)
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    if not authority.startswith(("http://", "https://")):
        raise UsageError(f"--timestamp {authority!r}: expected the http or https URL of a time stamp authority")
    asked = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256).build()
    request = Request(authority, asked.as_bytes(), {"Content-Type": "application/timestamp-query"}, method="POST")
    try:
        with build_opener(_NoRedirect).open(request, timeout=_WAIT) as response:
            data: bytes = response.read(_MOST + 1)
    except (OSError, HTTPException) as error:
        raise InputError(f"{authority} gave no time stamp: {reason_of(error)}") from None
    answer = _response(data, f"what {authority} sent", InputError)
    if answer.status != 0 or answer.tst_info.nonce != asked.nonce or not _is_of(answer, message):
        raise InputError(f"{authority} gave no time stamp: it refused, or answered another request")
    return data


def _response(data: bytes, name: str, refusal: type[InputError | InconclusiveError]) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    try:
        answer = decode_timestamp_response(data)
        if answer.as_bytes() == data and answer.tst_info:
            return answer
    except Exception:  # noqa: BLE001 - its parser says by many kinds of error that it is none
        pass
    raise refusal(f"{name} is no time stamp: it was changed, or is damaged")


def _is_of(answer: TimeStampResponse, message: bytes) -> bool:
    """Whether what was stamped is the sha256 of a message: that needs no trust in anybody."""
    return answer.tst_info.message_imprint.message == sha256(message).digest()


def stamped_at(data: bytes, message: bytes, name: str, authorities: Path | None) -> datetime:
    """When the stamp says that it was made. authorities: certificates in PEM of who is trusted; None: nobody is asked
    for, and what the stamp says is what whoever made it says.

    Raises InconclusiveError for a stamp of something else, or of nobody who is trusted.
    """
    require("rfc3161_client", _PURPOSE)
    from rfc3161_client import VerificationError, VerifierBuilder

    answer = _response(data, name, InconclusiveError)
    if not _is_of(answer, message):
        raise InconclusiveError(f"{name} is no stamp of this manifest: it is of something else")
    if authorities is not None:
        builder = VerifierBuilder()
        for certificate in _certificates(authorities):
            builder = builder.add_root_certificate(certificate)
        try:
            builder.build().verify_message(answer, message)
        except (VerificationError, ValueError) as error:
            raise InconclusiveError(f"{name} is no stamp of this manifest by that authority: {error}") from None
    return answer.tst_info.gen_time.astimezone(UTC)


def _certificates(path: Path) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(read_small(path, _MOST))
    except OSError as error:
        raise InputError(f"certificates {path} cannot be read: {reason_of(error)}") from None
    except ValueError:
        raise InputError(f"{path} holds no certificates in PEM: expected those of a time stamp authority") from None
