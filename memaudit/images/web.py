"""Reading http:// and https:// URLs: in bounded time, of bounded size, from machines that may be asked.

A URL that cannot be read is an OSError with its reason. What may pass (an answer such as 503 or 429, a refused or
broken connection, silence) is tried again. Nothing is asked for but the URL itself, by GET: no HEAD, no proxy.
"""

from __future__ import annotations

import base64
import errno
import io
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from memaudit.images.hosts import addresses_of

MOST_BYTES = 256 << 20  # of one answer: a whole image, or what is read at once of a larger file
CONNECT_S = 10.0
SILENCE_S = 20.0  # without a byte
WHOLE_S = 120.0  # for one URL, with its redirects, tries and waits
TRIES = 3
WAITS_S = (0.5, 2.0)  # before the second and the third try
LONGEST_WAIT_S = 10.0  # that a server may ask for
REDIRECTS = 5
_REDIRECTING = (301, 302, 303, 307, 308)
_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)
_GIVEN_UP = 3  # URLs of a host in a row that could not be connected to: its next ones are tried once
_AT_ONCE = 1 << 18
_unreachable: dict[str, int] = {}  # by host


class Part(NamedTuple):
    """Bytes of a file, `size` of them from `start` on."""

    start: int
    size: int


class Answer(NamedTuple):
    """What a server sent. whole: all of the file, also where a part was asked for. size: the file's, -1 if unknown."""

    data: bytes
    whole: bool
    size: int
    media_type: str


class WebError(OSError):
    """Why a URL cannot be read. passing: another try may succeed, after `wait` seconds if the server says so."""

    def __init__(self, reason: str, *, number: int = errno.EIO, passing: bool = False, wait: float | None = None):
        super().__init__(number, reason)
        self.passing, self.wait = passing, wait


def get(url: str, part: Part | None = None) -> Answer:
    """Read a URL, or a part of it. A server that knows no parts sends all: `whole` is set then.

    Raises WebError, in `WHOLE_S` seconds at the latest.
    """
    end, host = time.monotonic() + WHOLE_S, urlsplit(url).netloc
    tries = 1 if _unreachable.get(host, 0) >= _GIVEN_UP else TRIES
    for number in range(1, tries + 1):
        try:
            answer = _followed(url, part, end)
        except WebError as error:
            wait = WAITS_S[min(number, len(WAITS_S)) - 1] if error.wait is None else error.wait
            if not error.passing or wait > LONGEST_WAIT_S or time.monotonic() + wait > end or number == tries:
                _unreachable[host] = _unreachable.get(host, 0) + 1 if isinstance(error, NoConnectionError) else 0
                raise _counted(error, number) from None
            time.sleep(wait)
        else:
            _unreachable.pop(host, None)
            return answer
    raise AssertionError("the last try ends the loop")


class NoConnectionError(WebError):
    """Nobody is there."""


def _counted(error: WebError, tries: int) -> WebError:
    return WebError(f"{error.strerror}{f' (tried {tries} times)' if tries > 1 else ''}", number=error.errno or 0)


def _followed(url: str, part: Part | None, end: float) -> Answer:
    first = here = _split(url)
    for _ in range(REDIRECTS + 1):
        login = here.netloc == first.netloc  # a name and a password are for the host that they were given for
        with _asked(here, part, end, login=login) as response:
            place = response.headers.get("Location") if response.status in _REDIRECTING else None
            if place is None:
                return _answer(response, part)
            here = _split(urljoin(here.geturl(), place))
    raise WebError(f"more than {REDIRECTS} redirects")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError as error:
        raise WebError(f"not a valid URL: {error}", number=errno.EINVAL) from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise WebError("not a valid http or https URL, or it leads to what is none", number=errno.EINVAL)
    return parts


@contextmanager
def _asked(url: SplitResult, part: Part | None, end: float, *, login: bool) -> Iterator[HTTPResponse]:
    """The answer to GET, its head read. What goes wrong within the block is a WebError as well."""
    host, connection = url.hostname or "", HTTPConnection(url.hostname or "")
    line = _connected(url, end)
    try:
        connection.sock = line
        connection.putrequest("GET", _target(url), skip_host=True, skip_accept_encoding=True)
        for name, value in _headers(url, part, login=login).items():
            connection.putheader(name, value)
        connection.endheaders()
        yield connection.getresponse()
    except WebError:
        raise
    except TimeoutError:
        late = time.monotonic() >= end
        reason = f"not read within {WHOLE_S:g} s" if late else f"{host} says nothing for {SILENCE_S:g} s"
        raise WebError(reason, passing=not late) from None
    except IncompleteRead:
        raise WebError("the answer ends early", passing=True) from None
    except (HTTPException, ValueError) as error:
        raise WebError(f"the answer is no HTTP: {type(error).__name__}") from None
    except OSError as error:
        raise WebError(f"{host}: {error.strerror or error}", passing=True) from None
    finally:
        line.hang_up()


def _target(url: SplitResult) -> str:
    path = quote(url.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{url.query}" if url.query else "")
    return quote(path, safe="".join(map(chr, range(33, 127))))  # what else is in the query


def _headers(url: SplitResult, part: Part | None, *, login: bool) -> dict[str, str]:
    host = (url.hostname or "").encode("idna").decode()
    headers = {"Host": f"[{host}]" if ":" in host else host, "Accept-Encoding": "identity", "Connection": "close"}
    if url.port is not None:
        headers["Host"] += f":{url.port}"
    if part is not None:
        headers["Range"] = f"bytes={part.start}-{part.start + part.size - 1}"
    if url.username is not None and login:
        name = f"{unquote(url.username)}:{unquote(url.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(name.encode()).decode()}"
    return {**headers, "User-Agent": "memaudit", "Accept": "*/*"}


def _connected(url: SplitResult, end: float) -> _Line:
    """A connection to the first address of the host that takes one, and no other than those that were looked at."""
    host = url.hostname or ""
    why: Exception | None = None
    try:
        addresses = addresses_of(host, url.port or (443 if url.scheme.lower() == "https" else 80))
    except PermissionError as error:
        raise WebError(str(error.strerror), number=errno.EACCES) from None
    except OSError as error:
        raise NoConnectionError(str(error.strerror), number=errno.EHOSTUNREACH, passing=True) from None
    for family, place in addresses:
        plain = socket.socket(family, socket.SOCK_STREAM)
        try:
            plain.settimeout(max(0.1, min(CONNECT_S, end - time.monotonic())))
            plain.connect(place)
            encrypted = url.scheme.lower() == "https"
            return _Line(_tls().wrap_socket(plain, server_hostname=host) if encrypted else plain, end)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise WebError(f"{host} is not who it says: {error.verify_message}") from None
        except OSError as error:
            plain.close()
            why = error
    reason = f"no connection within {CONNECT_S:g} s" if isinstance(why, TimeoutError) else _reason(why)
    raise NoConnectionError(f"{host}: {reason}", number=errno.ECONNREFUSED, passing=True)


def _reason(error: Exception | None) -> str:
    return str(getattr(error, "strerror", None) or error)


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Line:
    """A connected socket, of which no wait is longer than SILENCE_S, nor goes beyond `end`. What HTTPConnection uses of
    a socket."""

    def __init__(self, plain: socket.socket, end: float) -> None:
        self._socket, self._end = plain, end

    def _wait_no_longer(self) -> None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(min(SILENCE_S, left))

    def sendall(self, data: bytes) -> None:
        self._wait_no_longer()
        self._socket.sendall(data)

    def receive(self, buffer: Any) -> int:
        self._wait_no_longer()
        return self._socket.recv_into(buffer)

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Received(self))

    def close(self) -> None:
        """HTTPConnection is done with it, though the answer is still to be read."""

    def hang_up(self) -> None:
        self._socket.close()


class _Received(io.RawIOBase):
    def __init__(self, line: _Line) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.receive(buffer)


def _answer(response: HTTPResponse, part: Part | None) -> Answer:
    media_type = response.headers.get_content_type()
    size, whole = response.length if response.length is not None else -1, True
    if part is not None and response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return Answer(b"", False, _total(response), media_type)
    if part is not None and response.status == HTTPStatus.PARTIAL_CONTENT:
        if not response.headers.get("Content-Range", "").lower().startswith(f"bytes {part.start}-"):
            raise WebError("the server sends another part of the file than was asked for")
        size, whole = _total(response), False
    elif response.status != HTTPStatus.OK:
        raise _refused(response)
    return Answer(_decoded(response, _body(response)), whole, size, media_type)


def _total(response: HTTPResponse) -> int:
    """The file's size, as `bytes 0-99/1234` says it."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2].strip()
    return int(total) if total.isascii() and total.isdigit() and len(total) < 19 else -1


def _refused(response: HTTPResponse) -> WebError:
    status = response.status
    name = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "unknown"
    asked = response.headers.get("Retry-After", "")
    wait = float(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None
    number = {403: errno.EACCES, 404: errno.ENOENT, 410: errno.ENOENT}.get(status, errno.EIO)
    return WebError(f"HTTP {status} {name}", number=number, passing=status in _MAY_PASS, wait=wait)


def _body(response: HTTPResponse) -> bytes:
    announced = response.length
    if announced is not None and announced > MOST_BYTES:
        raise WebError(f"{announced:,} bytes announced, over the limit of {MOST_BYTES:,}", number=errno.EFBIG)
    data = bytearray()
    while more := response.read1(_AT_ONCE):
        data += more
        _require_small(len(data))
    if announced is not None and len(data) < announced:
        raise WebError(f"the answer ends early: {len(data):,} of {announced:,} bytes came", passing=True)
    return bytes(data)


def _require_small(size: int) -> None:
    if size > MOST_BYTES:
        raise WebError(f"over the limit of {MOST_BYTES:,} bytes", number=errno.EFBIG)


def _decoded(response: HTTPResponse, data: bytes) -> bytes:
    """Undo a compression that nobody asked for, as far as the limit goes."""
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate") or response.status != HTTPStatus.OK:
        raise WebError(f"the answer is encoded as {encoding[:20]!r}, which was not asked for")
    unpacked = zlib.decompressobj(47)  # gzip or zlib, by its header
    try:
        plain = unpacked.decompress(data, MOST_BYTES + 1)
    except zlib.error:
        raise WebError(f"the answer's {encoding} encoding is damaged") from None
    _require_small(len(plain))
    if not unpacked.eof:
        raise WebError(f"the answer's {encoding} encoding ends early", passing=True)
    return plain
