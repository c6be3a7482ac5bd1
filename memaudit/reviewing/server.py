"""The server of the page: on the loopback interface alone, for one browser, with nothing of it from elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from memaudit.errors import MemauditError, UsageError
from memaudit.reviewing.access import Access, is_loopback
from memaudit.reviewing.desk import Desk, RefusedError
from memaudit.reviewing.page import Page
from memaudit.reviewing.pictures import NotShownError

ADDRESS = "127.0.0.1"
_MOST_BODY = 1 << 16  # bytes of a decision
_MOST_THREADS = 64
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_USED = "This link is none, or was used before. Run memaudit review again: nothing that was decided is lost."


class Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    kind: str = "application/json"
    more: Mapping[str, str] = {}


def _told(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, json.dumps({"error": why}).encode())


class Server(ThreadingHTTPServer):
    """desk: what is shown. port: 0 for any that is free. Raises UsageError for one that is taken."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, desk: Desk, page: Page, port: int = 0) -> None:
        try:
            super().__init__((ADDRESS, port), Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port {port} cannot be had ({error}): choose another, or 0 for any that is free"
            ) from None
        self.desk = desk
        self.page = page
        self.access = Access(self.server_port)

    @property
    def url(self) -> str:
        """Where the page is, with the token that is good once."""
        return f"http://{ADDRESS}:{self.server_port}/?token={self.access.token}"

    def verify_request(self, request: object, client_address: object) -> bool:
        """Whoever opens connections without end gets no more of them."""
        return threading.active_count() < _MOST_THREADS

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "memaudit"
    sys_version = ""
    timeout = 60

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class calls it so
        """Nothing: the token would be in it."""

    def do_GET(self) -> None:
        self._send(self._guarded(self._got))

    def do_POST(self) -> None:
        self._send(self._guarded(self._posted))

    def _guarded(self, answer: Callable[[str, Mapping[str, str]], Answer]) -> Answer:
        if refusal := self._refused():
            self.close_connection = True
            return refusal
        try:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
            return answer(parts.path, query)
        except (RefusedError, ValueError) as error:
            return _told(HTTPStatus.BAD_REQUEST, str(error))
        except NotShownError as error:
            return _told(HTTPStatus.NOT_FOUND, str(error))
        except (MemauditError, OSError) as error:
            return _told(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _refused(self) -> Answer | None:
        """What no page of ours asks for, whoever asks."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not is_loopback(hosts[0]) or not self.path.startswith("/"):
            return _told(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to 127.0.0.1 and localhost alone")
        of_page = self.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
        if not of_page and (self.command == "POST" or urlsplit(self.path).path != "/"):
            return _told(HTTPStatus.FORBIDDEN, "another site asks")
        if self.command == "POST" and self.headers.get("Origin", "").lower() != f"http://{hosts[0].lower()}":
            return _told(HTTPStatus.FORBIDDEN, "another site asks, or one that does not say which it is")
        return None

    def _got(self, path: str, query: Mapping[str, str]) -> Answer:
        access, page = self.server.access, self.server.page
        admitted = path == "/" and access.admits(query.get("token", ""))
        if not admitted and not self._is_known():
            return Answer(HTTPStatus.FORBIDDEN, _USED.encode(), "text/plain")
        if path == "/":
            return Answer(HTTPStatus.OK, page.html, "text/html", {"Set-Cookie": access.set_cookie} if admitted else {})
        if path in page.files:
            return Answer(HTTPStatus.OK, page.files[path].data, page.files[path].kind)
        if path == "/api/sheet":
            return _json(self._sheet(query))
        picture = path.removeprefix("/picture/").split("/")
        if path.startswith("/picture/") and len(picture) == 2:
            return Answer(HTTPStatus.OK, self.server.desk.picture(*picture), "image/jpeg")
        return _told(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _sheet(self, query: Mapping[str, str]) -> dict[str, object]:
        place, step = (int(query.get(name, "0")) for name in ("from", "step"))
        return self.server.desk.next(place, step, query.get("which", ""), query.get("who", ""))

    def _posted(self, path: str, query: Mapping[str, str]) -> Answer:
        self.close_connection = True  # unless the body was read to its end
        if not self._is_known():
            return Answer(HTTPStatus.FORBIDDEN, _USED.encode(), "text/plain")
        length = self.headers.get("Content-Length", "")
        if path != "/api/decide" or self.headers.get_content_type() != "application/json":
            return _told(HTTPStatus.NOT_FOUND, "there is nothing here that takes that")
        if not length.isdecimal() or int(length) > _MOST_BODY or "Transfer-Encoding" in self.headers:
            return _told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a decision has {_MOST_BODY:,} bytes at most")
        data = self.rfile.read(int(length))
        self.close_connection = False
        return _json(self.server.desk.decide(data))

    def _is_known(self) -> bool:
        return self.server.access.knows("; ".join(self.headers.get_all("Cookie", [])))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = {**HEADERS, **answer.more, "Content-Length": str(len(answer.body))}
        headers |= {"Connection": "close"} if self.close_connection else {}
        charset = "" if answer.kind.startswith("image/") else "; charset=utf-8"
        for name, value in ({"Content-Type": answer.kind + charset} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)


def _json(value: Mapping[str, object]) -> Answer:
    return Answer(HTTPStatus.OK, json.dumps(value, allow_nan=False).encode())
