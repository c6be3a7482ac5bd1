"""The server of the page: on the loopback interface alone, for one browser, with nothing of it from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

from memaudit.errors import MemauditError
from memaudit.reviewing.access import Access
from memaudit.reviewing.desk import Desk, RefusedError
from memaudit.reviewing.page import Page
from memaudit.reviewing.pictures import NotShownError
from memaudit.serving.http import ADDRESS, HEADERS, Answer, BoundedServer, QuietHandler, as_json, is_loopback, told

_MOST_BODY = 1 << 16  # bytes of a decision
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_USED = "This link is none, or was used before. Run memaudit review again: nothing that was decided is lost."


class Server(BoundedServer):
    """desk: what is shown. port: 0 for any that is free. Raises UsageError for one that is taken."""

    def __init__(self, desk: Desk, page: Page, port: int = 0) -> None:
        super().__init__(Handler, port)
        self.desk = desk
        self.page = page
        self.access = Access(self.server_port)

    @property
    def url(self) -> str:
        """Where the page is, with the token that is good once."""
        return f"http://{ADDRESS}:{self.server_port}/?token={self.access.token}"


class Handler(QuietHandler):
    server: Server
    sent = MappingProxyType({"Content-Security-Policy": _POLICY, **HEADERS})

    def answer_to_get(self) -> Answer:
        return self._guarded(self._got)

    def answer_to_post(self) -> Answer:
        return self._guarded(self._posted)

    def _guarded(self, answer: Callable[[str, Mapping[str, str]], Answer]) -> Answer:
        if refusal := self._refused():
            self.close_connection = True
            return refusal
        try:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
            return answer(parts.path, query)
        except (RefusedError, ValueError) as error:
            return told(HTTPStatus.BAD_REQUEST, str(error))
        except NotShownError as error:
            return told(HTTPStatus.NOT_FOUND, str(error))
        except (MemauditError, OSError) as error:
            return told(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))

    def _refused(self) -> Answer | None:
        """What no page of ours asks for, whoever asks."""
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or not is_loopback(hosts[0]) or not self.path.startswith("/"):
            return told(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to 127.0.0.1 and localhost alone")
        of_page = self.headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none")
        if not of_page and (self.command == "POST" or urlsplit(self.path).path != "/"):
            return told(HTTPStatus.FORBIDDEN, "another site asks")
        if self.command == "POST" and self.headers.get("Origin", "").lower() != f"http://{hosts[0].lower()}":
            return told(HTTPStatus.FORBIDDEN, "another site asks, or one that does not say which it is")
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
            return as_json(self._sheet(query))
        picture = path.removeprefix("/picture/").split("/")
        if path.startswith("/picture/") and len(picture) == 2:
            return Answer(HTTPStatus.OK, self.server.desk.picture(*picture), "image/jpeg")
        return told(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _sheet(self, query: Mapping[str, str]) -> dict[str, object]:
        place, step = (int(query.get(name, "0")) for name in ("from", "step"))
        return self.server.desk.next(place, step, query.get("which", ""), query.get("who", ""))

    def _posted(self, path: str, query: Mapping[str, str]) -> Answer:
        self.close_connection = True  # unless the body was read to its end
        if not self._is_known():
            return Answer(HTTPStatus.FORBIDDEN, _USED.encode(), "text/plain")
        length = self.body_length(_MOST_BODY)
        if path != "/api/decide" or self.headers.get_content_type() != "application/json":
            return told(HTTPStatus.NOT_FOUND, "there is nothing here that takes that")
        if length is None:
            return told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a decision has {_MOST_BODY:,} bytes at most")
        data = self.rfile.read(length)
        self.close_connection = False
        return as_json(self.server.desk.decide(data))

    def _is_known(self) -> bool:
        return self.server.access.knows("; ".join(self.headers.get_all("Cookie", [])))
