"""A small HTTP server of the standard library: who may ask by which name, how answers are sent, how many at once."""

from __future__ import annotations

import errno
import json
import re
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from memaudit.errors import UsageError

ADDRESS = "127.0.0.1"
MOST_THREADS = 64
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine by a name that no other server can have: a page elsewhere whose name was
    made to lead here has its own. The port may be another one, at the near end of a tunnel."""
    return _LOOPBACK.fullmatch(host.lower()) is not None


class Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    kind: str = "application/json"
    more: Mapping[str, str] = {}


def told(status: HTTPStatus, why: str, **more: str) -> Answer:
    """Why a request is refused."""
    return Answer(
        status, json.dumps({"error": why}).encode(), more={name.replace("_", "-"): v for name, v in more.items()}
    )


def as_json(value: Mapping[str, object], status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, json.dumps(value, allow_nan=False).encode())


class BoundedServer(ThreadingHTTPServer):
    """A thread for each connection, and no more than `most_threads` of them. Raises UsageError for an address or a port
    that cannot be had."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    most_threads = MOST_THREADS

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int, address: str = ADDRESS) -> None:
        try:
            self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
            super().__init__((address, port), handler)
        except (OSError, OverflowError) as error:
            if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
                raise UsageError(
                    f"--host {address} cannot be had ({error}): expected an address of this machine"
                ) from None
            raise UsageError(
                f"--port {port} cannot be had ({error}): choose another, or 0 for any that is free"
            ) from None

    def verify_request(self, request: object, client_address: object) -> bool:
        """Whoever opens connections without end gets no more of them."""
        return threading.active_count() < self.most_threads

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error."""


class QuietHandler(BaseHTTPRequestHandler):
    """Sends answers whole, and logs nothing: a token would be in it. sent: headers of all answers."""

    protocol_version = "HTTP/1.1"
    server_version = "memaudit"
    sys_version = ""
    timeout = 60
    sent: Mapping[str, str] = HEADERS

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class calls it so
        """Nothing."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses: a request that is none, or of another method."""
        self.close_connection = True
        self.send_whole(told(HTTPStatus(code), message or HTTPStatus(code).phrase))

    def parse_request(self) -> bool:
        """Refuse headers that who stands between, such as a proxy, may read in another way: where a request ends must
        not be in doubt."""
        if not super().parse_request():
            return False
        if self.headers.defects or len(self.headers.get_all("Content-Length", [])) > 1:
            self.send_error(HTTPStatus.BAD_REQUEST, "headers that can be read in two ways")
            return False
        return True

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is its body, and no request
        self.send_whole(self.answer_to_get())

    def do_POST(self) -> None:
        self.send_whole(self.answer_to_post())

    def answer_to_get(self) -> Answer:
        raise NotImplementedError

    def answer_to_post(self) -> Answer:
        raise NotImplementedError

    def send_whole(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {**self.sent, **answer.more, "Content-Length": str(len(answer.body))}
        headers |= {"Connection": "close"} if self.close_connection else {}
        charset = "" if answer.kind.startswith("image/") else "; charset=utf-8"
        for name, value in ({"Content-Type": answer.kind + charset} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def body_length(self, most: int) -> int | None:
        """The bytes of the body, as the request says it; None where it says nothing that can be heeded."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 15 or int(length) > most or "Transfer-Encoding" in self.headers:
            return None
        return int(length)
