"""The guard over HTTP: POST /check with a picture, GET /health and /metrics.

Whoever has the token may ask. Requests are bounded in bytes and in time, connections in number, pictures by a queue;
nothing of a picture is written.
"""

from __future__ import annotations

import hmac
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from memaudit.files import reason_of
from memaudit.guard.desk import Desk, FullError
from memaudit.guard.metrics import KIND, Metrics
from memaudit.images.parts import pixels_of
from memaudit.serving.http import ADDRESS, HEADERS, Answer, BoundedServer, QuietHandler, as_json, is_loopback, told

_CHUNK = 1 << 16
_LINGER, _STEP = 1.0, 0.01  # seconds
_MOST_REFUSED = 64
_GONE = int(getattr(select, "POLLRDHUP", select.POLLHUP))
_BODY = b'{"error": "too many connections: ask again", "verdict": "inconclusive"}'
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Limits(NamedTuple):
    """most_bytes, most_pixels: of a picture, with all its frames. seconds: in which a request must be there, from
    its first byte to its last; a connection that says nothing is closed after as long. connections: at once."""

    most_bytes: int
    most_pixels: int
    seconds: float
    connections: int


class Server(BoundedServer):
    """Raises UsageError for an address or port that cannot be had."""

    def __init__(
        self, desk: Desk, metrics: Metrics, token: str, limits: Limits, port: int = 0, address: str = ADDRESS
    ) -> None:
        self.desk, self.metrics, self.token, self.limits = desk, metrics, token.encode(), limits
        self.is_local = address in (ADDRESS, "::1", "localhost")
        self.open: dict[socket.socket, float] = {}  # connections that are read from, and until when
        self.lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._answering: set[socket.socket] = set()
        self._refused: deque[tuple[socket.socket, float]] = deque()  # and until when they are left open
        super().__init__(Handler, port, address)

    @property
    def url(self) -> str:
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def service_actions(self) -> None:
        """Close what is slow: a client that sends a byte now and then keeps a thread for ever."""
        now = time.monotonic()
        while self._refused and self._refused[0][1] < now:
            self.close_request(self._refused.popleft()[0])
        with self.lock:
            late = [connection for connection, until in self.open.items() if until < now]
            for connection in late:
                del self.open[connection]
        for connection in late:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)  # what is read ends here; the answer still goes out

    def process_request(self, request: object, client_address: object) -> None:
        """Say so to whom there is no room for; BoundedServer would hang up on him."""
        assert isinstance(request, socket.socket)
        with self.lock:
            if has_room := self._has_room():
                self._connections.add(request)
        if has_room:
            try:
                super().process_request(request, client_address)
            except BaseException:  # no thread could be started
                with self.lock:
                    self._connections.discard(request)
                raise
            return
        self.metrics.answered(503)
        with suppress(OSError):
            request.settimeout(1)
            request.sendall(_BUSY)
            request.shutdown(socket.SHUT_WR)
        self._refused.append((request, time.monotonic() + _LINGER))  # closed at once, he would not read it
        while len(self._refused) > _MOST_REFUSED:
            self.close_request(self._refused.popleft()[0])

    def _has_room(self) -> bool:
        """Who has hung up takes no room, though his thread does not know it yet: a client that asks again at once would
        be turned away by himself. Who has only said that he sends no more looks the same, so that there are bounds."""
        most, now = self.limits.connections, len(self._connections)
        return now < most or (now < 2 * most and now - _hung_up(self._connections) < most)

    def process_request_thread(self, request: object, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)  # type: ignore[arg-type]
        finally:
            with self.lock:
                self._connections.discard(request)

    def verify_request(self, request: object, client_address: object) -> bool:
        return True

    @contextmanager
    def reading(self, connection: socket.socket) -> Iterator[None]:
        """A request must be there before its time is over."""
        with self.lock:
            self.open[connection] = time.monotonic() + self.limits.seconds
        try:
            yield
        finally:
            with self.lock:
                self.open.pop(connection, None)
                self._answering.discard(connection)

    def leave(self, connection: socket.socket) -> None:
        """Its request is there: what follows takes as long as it takes."""
        with self.lock:
            self.open.pop(connection, None)
            self._answering.add(connection)

    def wait_for_answers(self) -> None:
        """Let the answers out that are on their way: this process is about to end."""
        end = time.monotonic() + self.limits.seconds
        while self._answering and time.monotonic() < end:
            time.sleep(_STEP)

    def until(self, connection: socket.socket) -> float | None:
        """When the time of a request that is being read is over; None: it is over."""
        with self.lock:
            return self.open.get(connection)


def _hung_up(connections: Collection[socket.socket]) -> int:
    """How many of them nobody is at the other end of any more, as far as that is known."""
    poll = select.poll()
    known = [number for connection in connections if (number := connection.fileno()) >= 0]  # below 0: closed here
    for number in known:
        poll.register(number, _GONE)
    return len(connections) - len(known) + len(poll.poll(0))


class Handler(QuietHandler):
    server: Server
    connection: socket.socket
    sent = MappingProxyType({"Content-Security-Policy": "default-src 'none'", **HEADERS})

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.limits.seconds)

    def finish(self) -> None:
        """What a client still sends is read away for a moment: with bytes unread, closing would take back the answer
        that is on its way."""
        super().finish()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER)
            end = time.monotonic() + _LINGER
            while time.monotonic() < end and self.connection.recv(_CHUNK):
                pass

    def handle_one_request(self) -> None:
        with self.server.reading(self.connection):
            super().handle_one_request()

    def send_whole(self, answer: Answer) -> None:
        self.server.metrics.answered(answer.status)
        super().send_whole(answer)

    def answer_to_get(self) -> Answer:
        if refusal := self._wrong_host():
            return refusal
        if self.path == "/health":
            desk = self.server.desk
            more = {"doubts": list(desk.doubts), "notes": list(desk.notes)} if self._has_token() else {}
            return as_json({"status": "ok", **more})
        if self.path != "/metrics":
            return told(HTTPStatus.NOT_FOUND, "there is nothing here: GET /health or /metrics, POST /check")
        if not self._has_token():
            return self._unknown()
        return Answer(HTTPStatus.OK, self.server.metrics.text, KIND)

    def answer_to_post(self) -> Answer:
        self.close_connection = True  # unless the body was read to its end
        if refusal := self._wrong_host():
            return refusal
        if self.path != "/check":
            return told(HTTPStatus.NOT_FOUND, "there is nothing here: POST /check")
        if not self._has_token():
            return self._unknown()
        if "Content-Length" not in self.headers:
            return told(HTTPStatus.LENGTH_REQUIRED, "say how many bytes the picture has (Content-Length)")
        most = self.server.limits.most_bytes
        length = self.body_length(most)
        if length is None:
            return told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a picture has {most:,} bytes at most (--max-bytes)")
        data = self._body(length)
        if data is None:
            return told(
                HTTPStatus.REQUEST_TIMEOUT, f"the picture was not there within {self.server.limits.seconds:g} s"
            )
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        pixels, limit = pixels_of(data), self.server.limits.most_pixels
        if pixels > limit:
            why = f"a picture has {limit:,} pixels at most in all its frames (--max-pixels); this one has {pixels:,}"
            return as_json({"error": why, "verdict": "inconclusive"}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._checked(data)

    def _body(self, length: int) -> bytes | None:
        """The picture; None where it did not come in time, or the client is gone."""
        parts, left = list[bytes](), length
        while left:
            try:
                part = self.rfile.read1(min(left, _CHUNK))
            except OSError:
                return None
            if not part or self.server.until(self.connection) is None:
                return None
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def _checked(self, data: bytes) -> Answer:
        self.server.leave(self.connection)
        try:
            return as_json(self.server.desk.check(data).as_dict())
        except OSError as error:
            body = {"error": f"the log cannot be written: {reason_of(error)}", "verdict": "inconclusive"}
            return as_json(body, HTTPStatus.INTERNAL_SERVER_ERROR)
        except FullError:
            body = {"error": "the queue is full: ask again", "verdict": "inconclusive"}
            return as_json(body, HTTPStatus.SERVICE_UNAVAILABLE)._replace(more={"Retry-After": "1"})

    def _wrong_host(self) -> Answer | None:
        hosts = self.headers.get_all("Host", [])
        if self.server.is_local and (len(hosts) != 1 or not is_loopback(hosts[0])):
            self.close_connection = True
            return told(HTTPStatus.MISDIRECTED_REQUEST, "this server answers to 127.0.0.1 and localhost alone")
        return None

    def _has_token(self) -> bool:
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self.server.token)

    def _unknown(self) -> Answer:
        self.close_connection = True
        return told(HTTPStatus.UNAUTHORIZED, "no token, or a wrong one", WWW_Authenticate="Bearer")
