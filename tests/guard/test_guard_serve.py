"""`memaudit serve`, a real process on loopback: the guard's verdicts, and what is wrong with a request harms nobody."""

from __future__ import annotations

import io
import json
import signal
import socket
import stat
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from pictures import altered, draw, write_pictures
from PIL import Image
from served import Served, asked

import memaudit as ma
from memaudit.api.guarding import _Log
from memaudit.errors import InputError, UsageError
from memaudit.guard.check import Guard, GuardVerdict, undecided
from memaudit.guard.desk import Desk, FullError
from memaudit.guard.metrics import Metrics
from memaudit.guard.server import Handler, Limits, Server
from memaudit.store import NO_FILE

LIMITS = (
    "--request-seconds",
    "1.5",
    "--max-bytes",
    "200000",
    "--max-pixels",
    "4000000",
    "--connections",
    "6",
    "--views",
    "none",
)


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


COPY, NEW = png(altered(draw(5))), png(draw(700))
BLANK = png(Image.new("RGB", (64, 64), "white"))
NO_PICTURE = b"no picture"


def bomb() -> bytes:
    """A PNG of 200 bytes that says it has 100,000 x 100,000 pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0" * 100


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    ma.embed(write_pictures(root / "training", range(8)), out=root / "store", encoder="thumbnail")
    return root / "store"


@pytest.fixture(scope="module")
def served(store: Path) -> Iterator[Served]:
    server = Served(store, *LIMITS)
    yield server
    assert server.end()[0] == 0


def verdict(served: Served, data: bytes) -> str:
    said = served.check(data)
    assert said.status == 200, said
    return str(said.json["verdict"])


def test_its_verdicts_are_those_of_the_guard(served: Served, store: Path) -> None:
    """Also repeated, and several over one connection."""
    guard = ma.open_guard(store, views="none")
    for data in (COPY, NEW, BLANK, NO_PICTURE, bomb(), b"", COPY):
        said = served.check(data)
        expected = json.loads(json.dumps(guard.check(data).as_dict()))
        assert {**said.json, "seconds": 0} == {**expected, "seconds": 0}
    assert [verdict(served, data) for data in (COPY, NEW, BLANK, NO_PICTURE)] == [
        "fail",
        "pass",
        "inconclusive",
        "inconclusive",
    ]


def test_health_says_it_lives_and_metrics_count(served: Served) -> None:
    assert json.loads(served.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[-16:]) == {
        "status": "ok"
    }
    before = served.metric('memaudit_checks_total{verdict="fail"}')
    served.check(COPY)
    assert served.metric('memaudit_checks_total{verdict="fail"}') == before + 1
    assert served.metric("memaudit_check_seconds_count") >= before + 1
    text = served.asked("GET", "/metrics").body.decode()
    names = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    for name in names:
        base = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
        assert f"# TYPE {base} " in text or f"# TYPE {name} " in text


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"POST /check HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nabc", 401),
        (b"POST /check HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nContent-Length: 3\r\n\r\nabc", 401),
        (b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 401),
        (b"GET /health HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 421),
        (b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 404),
        (b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n", 404),
        (b"PUT /check HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", 501),
    ],
)
def test_who_may_not_ask_is_refused(served: Served, data: bytes, status: int) -> None:
    said = served.raw(data)
    assert b" %d " % status in said.splitlines()[0]
    assert set(json.loads(said.partition(b"\r\n\r\n")[2])) == {"error"}


def test_what_is_no_request_is_refused(served: Served) -> None:
    assert b"Bad request syntax" in served.raw(b"nonsense\r\n\r\n")


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("-1", 413), ("many", 413), ("200001", 413), ("1" * 40, 413), ("3\r\nTransfer-Encoding: chunked", 413)],
)
def test_a_body_of_no_plain_length_is_refused(served: Served, length: str, status: int) -> None:
    said = served.head(0).replace(b"Content-Length: 0\r\n", f"Content-Length: {length}\r\n".encode() if length else b"")
    assert b" %d " % status in served.raw(said + b"abc").splitlines()[0]


def test_a_film_of_too_many_pixels_is_refused_before_it_is_decoded(served: Served) -> None:
    film = io.BytesIO()
    frame = Image.new("L", (1000, 1000))
    others = [Image.new("L", (1000, 1000), number) for number in range(1, 5)]
    frame.save(film, "GIF", save_all=True, append_images=others)
    said = served.check(film.getvalue())
    assert (said.status, said.json["verdict"]) == (413, "inconclusive")
    assert "4,000,000 pixels at most in all its frames (--max-pixels); this one has 5,000,000" in said.json["error"]
    assert verdict(served, COPY) == "fail"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d", 200),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked", 200),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: %d", 400),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nContent-Length: %d", 400),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length : %d\r\nContent-Length: 0", 400),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nno header\r\nContent-Length: %d", 400),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding : chunked", 400),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nTransfer-Encoding:\r\n chunked", 401),
        (b"POST /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\tx", 401),
        (b"DELETE /check HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d", 501),
    ],
)
def test_no_request_hides_in_another(served: Served, head: bytes, status: int) -> None:
    """Whoever passes both on takes the second answer for somebody else's: there is none."""
    hidden = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % served.token.encode()
    head = head % len(hidden) if b"%d" in head else head
    said = served.raw(head + b"\r\n\r\n" + hidden)
    assert b" %d " % status in said.splitlines()[0]
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"memaudit_checks" not in said


def dripped(served: Served) -> bytes:
    """What is said to a client that sends a byte now and then."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=0.2) as client:
        client.sendall(served.head(len(NEW)))
        for byte in NEW:
            client.sendall(bytes([byte]))
            with suppress(TimeoutError):
                return client.recv(1 << 16)
    return b""


def test_half_a_body_is_no_picture(served: Served) -> None:
    """Of a client that is slow, that sends a byte now and then, and that is gone."""
    start = time.monotonic()
    assert b" 408 " in served.raw(served.head(len(NEW)) + NEW[: len(NEW) // 2]).splitlines()[0]
    assert b" 408 " in dripped(served)
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        client.sendall(served.head(len(NEW)) + NEW[:100])
    assert time.monotonic() - start < 20
    assert verdict(served, COPY) == "fail"


def test_a_connection_that_says_nothing_is_closed(served: Served) -> None:
    assert served.raw(b"") == b""
    said = served.raw(b"POST /check HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
    assert not said or b" 401 " in said.splitlines()[0]  # as far as it came


def test_too_many_connections_are_told_to_come_again(served: Served) -> None:
    """And when the others are gone they are answered."""
    silent = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(6)]
    time.sleep(0.3)
    said = served.raw(served.head(len(COPY)) + COPY)
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in said
    assert json.loads(said.partition(b"\r\n\r\n")[2])["verdict"] == "inconclusive"
    for each in silent:
        each.close()
    deadline = time.monotonic() + 20
    while (status := served.check(COPY).status) == 503 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200


def test_who_has_hung_up_takes_no_room(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the server is busy and has not seen it: here its threads do not end at all, until all is over."""
    over = threading.Event()
    finish = Handler.finish

    def late(handler: Handler) -> None:
        over.wait()
        finish(handler)

    monkeypatch.setattr(Handler, "finish", late)
    metrics = Metrics({})
    desk = Desk(ma.open_guard(store, views="none"), metrics, 1, 60)
    with Server(desk, metrics, "token", Limits(200_000, 4_000_000, 60, 2)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        said = [asked(server.server_port, "token", "GET", "/health").status for _ in range(5)]
        over.set()
        server.shutdown()
    assert said == [200, 200, 200, 200, 503]  # twice as many threads as connections, and no more


def test_who_gets_no_thread_takes_no_room(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that is out of threads for a moment does not close the server for good."""

    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    metrics = Metrics({})
    desk = Desk(ma.open_guard(store, views="none"), metrics, 1, 60)
    with Server(desk, metrics, "token", Limits(200_000, 4_000_000, 60, 2)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with monkeypatch.context() as patch:
            patch.setattr("socketserver.ThreadingMixIn.process_request", none_left)
            for _ in range(5):
                with pytest.raises(ConnectionError):
                    asked(server.server_port, "token", "GET", "/health")
        assert asked(server.server_port, "token", "GET", "/health").status == 200
        server.shutdown()


def test_many_at_once_lose_none(served: Served) -> None:
    """Four clients: every request has its verdict, and the right one."""
    wanted = [(COPY, "fail"), (NEW, "pass"), (BLANK, "inconclusive"), (NO_PICTURE, "inconclusive")] * 6
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda each: verdict(served, each[0]), wanted))
    assert said == [expected for _, expected in wanted]


def test_it_ends_and_begins_again_with_the_same_token(store: Path, tmp_path: Path) -> None:
    """By SIGTERM with exit code 0; the log has the verdicts, and nothing else was written."""
    options = (*LIMITS, "--token-file", tmp_path / "token", "--log", tmp_path / "log.jsonl")
    before = sorted(store.rglob("*"))
    first = Served(store, *options)
    assert verdict(first, COPY) == "fail"
    code, said = first.end(signal.SIGTERM)
    assert (code, said.count("\n")) == (0, 2), said
    assert "left out: re-drawn pictures are not looked for" in said
    second = Served(store, *options, "--port", str(first.port))
    assert second.token == first.token
    assert verdict(second, NEW) == "pass"
    second.process.kill()
    second.process.wait()
    third = Served(store, *options, "--port", str(first.port))
    assert verdict(third, BLANK) == "inconclusive"
    assert third.end()[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["verdict"], line["matches"]) for line in lines] == [
        ("fail", ["0005.png"]),
        ("pass", []),
        ("inconclusive", []),
    ]
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert sorted(store.rglob("*")) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "token"]


def test_what_is_being_checked_when_it_ends_gets_its_verdict(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, begun = ma.open_guard(store, views="none"), threading.Event()
    check = guard.check_many

    def slow(images: list[bytes]) -> list[GuardVerdict]:
        begun.set()
        time.sleep(0.5)
        return check(images)

    monkeypatch.setattr(guard, "check_many", slow)
    server = ma.open_guard_server(guard)
    serving = threading.Thread(target=server.serve)
    serving.start()
    with ThreadPoolExecutor(1) as pool:
        said = pool.submit(asked, int(server.url.rpartition(":")[2]), server.token, "POST", "/check", COPY)
        assert begun.wait(60)
        server.stop()
        server.close()
        assert said.result().json["verdict"] == "fail"
    serving.join()


def test_a_line_of_the_log_that_was_cut_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"at": "2026-')  # the disk was full
    log = _Log(path)
    for why in ("one", "other"):
        log(undecided(why))
    assert [json.loads(line)["reasons"] for line in path.read_text().splitlines()[1:]] == [["one"], ["other"]]


class SlowGuard(Guard):
    """Says nothing until it is told to, and then what it is told to."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.fails = False

    def check_many(self, images: object) -> list[GuardVerdict]:
        self.goes_on.wait(60)
        if self.fails:
            raise RuntimeError("broken")
        return [undecided("seen")] * len(list(images))  # type: ignore[call-overload]


def test_a_full_queue_refuses_and_a_late_verdict_is_none() -> None:
    """Of what cannot be decided in time nothing is said but that; an unforeseen error ends nothing, and passes
    nothing."""
    guard, metrics = SlowGuard(), Metrics({})
    with Desk(guard, metrics, 1, 0.3) as desk, ThreadPoolExecutor(4) as pool:
        first = pool.submit(desk.check, b"1")
        time.sleep(0.1)
        second = pool.submit(desk.check, b"2")
        time.sleep(0.1)
        with pytest.raises(FullError):
            desk.check(b"3")
        for late in (first, second):
            assert "no verdict within 0.3 s" in late.result().reasons[0]
            assert late.result().sha256 != NO_FILE, "the log does not say which picture"
        guard.goes_on.set()
        deadline = time.monotonic() + 20
        while metrics.waiting() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert desk.check(b"4").reasons == ("seen",)
        guard.fails = True
        assert desk.check(b"5").reasons == ("internal error (RuntimeError): broken",)
        guard.fails = False
        assert desk.check(b"6").reasons == ("seen",)
        assert b'memaudit_checks_total{verdict="inconclusive"} 5' in metrics.text


def test_impossible_options_are_refused(store: Path, tmp_path: Path) -> None:
    guard = ma.open_guard(store)
    for option in ("max_bytes", "max_pixels", "queue", "connections", "request_seconds", "check_seconds"):
        with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} 0"):
            ma.open_guard_server(guard, **{option: 0})
    with pytest.raises(UsageError, match="--port 70000"):
        ma.open_guard_server(guard, port=70000)
    for address in ("300.1.1.1", "192.0.2.1"):  # none, and none of this machine
        with pytest.raises(UsageError, match=f"--host {address}"):
            ma.open_guard_server(guard, address=address)
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(InputError, match="holds no token"):
        ma.open_guard_server(guard, token_file=tmp_path / "token")
    with pytest.raises(InputError, match="--token-file"):
        ma.open_guard_server(guard, token_file=tmp_path)
    with pytest.raises(InputError, match="--log"):
        ma.open_guard_server(guard, log=tmp_path / "none" / "log")
