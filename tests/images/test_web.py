"""URLs on a real server: each fault is one reason, in bounded time and of bounded size."""

from __future__ import annotations

import gzip
import io
import socket
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError, UsageError
from memaudit.images import hosts, web
from memaudit.images.hosts import addresses_of, allow_hosts
from memaudit.images.reading import open_binary, read_bytes, tar_member
from memaudit.images.sources import iter_images, read_image


def png(seed: int = 1) -> bytes:
    """A small picture with something in it."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 40 + seed).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


PNG = png()


class Server(ThreadingHTTPServer):
    """Counts what is asked for; `files` are served whole, or by parts if `parts`."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Whoever asks goes away in the middle: that is what is tested."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: Counter[str] = Counter()
        self.files: dict[str, bytes] = {"/a.png": PNG}
        self.parts = True
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.head(500)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.server.asked[path] += 1
        name = path.strip("/").partition(".")[0]
        if path in self.server.files:
            self.file(self.server.files[path])
        elif name.isdigit():
            self.head(int(name), {"Retry-After": "0"} if name == "429" else {})
        elif name == "later":
            self.head(503, {"Retry-After": "3600"})
        elif name.startswith("twice"):
            self.head(503) if self.server.asked[path] < 3 else self.file(PNG)
        else:
            FAULTS[name](self)

    def head(self, status: int, headers: dict[str, str] | None = None, length: int = 0) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def file(self, data: bytes) -> None:
        asked = self.headers.get("Range")
        if not asked or not self.server.parts:
            self.head(200, length=len(data))
        else:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            total = len(data)
            data = data[int(first) : int(last) + 1]
            self.head(206, {"Content-Range": f"bytes {first}-{int(first) + len(data) - 1}/{total}"}, len(data))
        self.wfile.write(data)

    def drip(self) -> None:
        for _ in range(1000):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.05)


def _short(answers: Answers) -> None:
    answers.head(200, length=2 * len(PNG))
    answers.wfile.write(PNG)


def _encoded(answers: Answers, data: bytes, name: str = "gzip") -> None:
    answers.head(200, {"Content-Encoding": name}, len(data))
    answers.wfile.write(data)


def _huge(answers: Answers) -> None:
    answers.head(200, length=10_000_000_000)
    answers.wfile.write(bytes(1 << 16))


def _endless(answers: Answers) -> None:
    answers.send_response(200)
    answers.end_headers()
    while True:
        answers.wfile.write(bytes(1 << 16))


def _drip(answers: Answers) -> None:
    answers.head(200, length=1000)
    answers.drip()


def _drip_head(answers: Answers) -> None:
    answers.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    answers.drip()


FAULTS: dict[str, Callable[[Answers], object]] = {
    "short": _short,
    "gzip": lambda a: _encoded(a, gzip.compress(PNG)),
    "badgzip": lambda a: _encoded(a, b"no gzip at all"),
    "cutgzip": lambda a: _encoded(a, gzip.compress(PNG)[:-20]),
    "bomb": lambda a: _encoded(a, gzip.compress(bytes(1 << 24))),
    "brotli": lambda a: _encoded(a, b"x", "br"),
    "silent": lambda _: time.sleep(3),
    "huge": _huge,
    "endless": _endless,
    "drip": _drip,
    "driphead": _drip_head,
    "noise": lambda a: a.wfile.write(b"hello\r\n\r\n"),
    "circle": lambda a: a.head(302, {"Location": "/circle.png"}),
    "moved": lambda a: a.head(301, {"Location": "/a.png"}),
    "away": lambda a: a.head(302, {"Location": f"http://localhost:{a.server.server_port}/a.png"}),
    "file": lambda a: a.head(302, {"Location": "file:///etc/passwd"}),
}
REASONS = {
    "short": "the answer ends early: … of … bytes came (tried 3 times)",
    "badgzip": "the answer's gzip encoding is damaged",
    "cutgzip": "the answer's gzip encoding ends early (tried 3 times)",
    "bomb": "over the limit of 1,048,576 bytes",
    "brotli": "the answer is encoded as 'br', which was not asked for",
    "silent": "127.0.0.1 says nothing for 0.4 s (tried 3 times)",
    "huge": "10,000,000,000 bytes announced, over the limit of 1,048,576",
    "endless": "over the limit of 1,048,576 bytes",
    "drip": "not read within 2 s",
    "driphead": "not read within 2 s",
    "noise": "the answer is no HTTP: BadStatusLine",
    "circle": "more than 5 redirects",
    "away": "localhost is at …, no public address: memaudit --allow-host localhost would read it",
    "file": "not a valid http or https URL, or it leads to what is none",
    "403": "HTTP 403 Forbidden",
    "404": "HTTP 404 Not Found",
    "418": "HTTP 418 …",
    "429": "HTTP 429 Too Many Requests (tried 3 times)",
    "500": "HTTP 500 Internal Server Error (tried 3 times)",
    "503": "HTTP 503 Service Unavailable (tried 3 times)",
    "799": "HTTP 799 unknown",
    "later": "HTTP 503 Service Unavailable",
}
READABLE = ("a", "gzip", "moved", "twice")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that may be asked, and limits that are reached soon."""
    for name, value in {"SILENCE_S": 0.4, "WHOLE_S": 2.0, "WAITS_S": (0.01, 0.02), "MOST_BYTES": 1 << 20}.items():
        monkeypatch.setattr(web, name, value)
    monkeypatch.setattr(web, "_unreachable", {})
    with Server() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(hosts, "_named", {f"127.0.0.1:{server.server_port}"})
        yield server
        server.shutdown()


def matches(reason: str, expected: str) -> bool:
    """… stands for anything."""
    start, _, rest = expected.partition("…")
    return reason.startswith(start) and (reason.endswith(rest.rpartition("…")[2]) if "…" in expected else not rest)


def test_a_bad_url_is_a_row_with_its_reason(server: Server, tmp_path: Path) -> None:
    """All of them in one manifest: as many rows as lines, those that can be read are, and it ends."""
    names = [f"{name}.png" for name in (*REASONS, *READABLE)]
    (tmp_path / "m.csv").write_text("path\n" + "".join(f"{server.url}/{name}\n" for name in names))
    columns = embed([tmp_path / "m.csv"], tmp_path / "store", load_encoder("thumbnail")).all_columns()
    found = {image_id.rpartition("/")[2]: row for row, image_id in enumerate(columns.image_id)}
    assert list(found) == names
    for name, expected in REASONS.items():
        error = columns.error[found[f"{name}.png"]]
        assert columns.status[found[f"{name}.png"]] == "unreadable"
        assert error.isprintable()
        assert matches(error, f"cannot read file: {expected}"), error
    assert {columns.status[found[f"{name}.png"]] for name in READABLE} == {"ok"}


def test_what_may_pass_is_tried_again_and_nothing_else(server: Server) -> None:
    """Nor does it wait for as long as a server wishes."""
    for name in ("403.png", "503.png", "later.png"):
        with pytest.raises(OSError, match="HTTP"):
            read_bytes(f"{server.url}/{name}")
    assert read_bytes(f"{server.url}/twice.png") == PNG
    assert server.asked == {"/403.png": 1, "/503.png": 3, "/later.png": 1, "/twice.png": 3}


def test_a_host_where_nobody_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused has its own reason; after three URLs its next ones are tried once."""
    monkeypatch.setattr(web, "_unreachable", {})
    monkeypatch.setattr(web, "WAITS_S", (0.0, 0.0))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setattr(hosts, "_named", {"127.0.0.1"})
    for tried in (" (tried 3 times)", " (tried 3 times)", " (tried 3 times)", ""):
        with pytest.raises(OSError, match="Connection refused") as caught:
            read_bytes(f"http://127.0.0.1:{port}/a.png")
        assert caught.value.strerror == f"127.0.0.1: Connection refused{tried}"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.100.100.200"),
        *("0.0.0.0", "2130706433", "0x7f.1", "::1", "::ffff:127.0.0.1", "fe80::1", "fd00:ec2::254", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "224.0.0.1"),
    ],
)
def test_what_is_not_public_is_not_asked(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """However the address is written; unless it is named."""
    monkeypatch.setattr(hosts, "_named", set())
    with pytest.raises(PermissionError, match="no public address"):
        addresses_of(host, 80)
    allow_hosts([host])
    assert addresses_of(host, 80)


def test_what_is_public_may_be_asked() -> None:
    """Without an option."""
    assert [each.place for each in addresses_of("1.1.1.1", 443)] == [("1.1.1.1", 443)]
    assert addresses_of("2606:4700:4700::1111", 443)


def test_networks_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network allows its hosts; what is neither host nor network is wrong usage."""
    monkeypatch.setattr(hosts, "_named", set())
    allow_hosts(["10.0.0.0/8"])
    assert addresses_of("10.9.8.7", 80)
    monkeypatch.setenv(hosts.VARIABLE, "192.168.1.1, ::1")
    assert addresses_of("192.168.1.1", 80)
    assert addresses_of("::1", 80)
    with pytest.raises(PermissionError):
        addresses_of("192.168.1.2", 80)
    for wrong in ("", "http://a/b"):
        with pytest.raises(UsageError, match="--allow-host"):
            allow_hosts([wrong])


def test_a_manifest_cannot_name_what_only_this_machine_reaches(server: Server, tmp_path: Path) -> None:
    """A source that a person names by its URL may name more at that place, but not at another port or host."""
    other = f"http://127.0.0.1:{server.server_port + 1}/a.png"
    server.files["/m.csv"] = f"path\na.png\n{server.url}/b.png\n{other}\nhttp://localhost/c.png\n".encode()
    server.files["/b.png"] = png(2)
    hosts._named.clear()
    store = embed([f"{server.url}/m.csv"], tmp_path / "store", load_encoder("thumbnail"))
    columns = store.all_columns()
    assert list(columns.status) == ["ok", "ok", "unreadable", "unreadable"]
    assert "127.0.0.1 is at 127.0.0.1, no public address" in columns.error[2]
    assert "localhost is at" in columns.error[3]


@pytest.mark.filterwarnings("error")
def test_other_protocols_and_urls_within_urls() -> None:
    """Neither leads around the rule; a device behind file:// is none of the files that are read."""
    for url, reason in {
        "ftp://127.0.0.1/a.png": "no public address",
        "sftp://localhost/a.png": "no public address",
        "zip://a.png::http://127.0.0.1/x.zip": "is a URL within a URL",
        "file:///dev/zero": "not a regular file",
    }.items():
        with pytest.raises((OSError, InputError), match=reason):
            read_bytes(url)


@pytest.mark.parametrize("parts", [True, False])
def test_files_on_servers_with_and_without_parts(server: Server, parts: bool) -> None:
    """Any place of a file can be read; without parts it comes whole, and twice at most."""
    server.parts = parts
    server.files["/a.tar"] = data = bytes(range(256)) * 2000
    with open_binary(f"{server.url}/a.tar") as handle:
        assert handle.read(3) == b"\0\1\2"
        handle.seek(300_000)
        assert handle.read(5) == data[300_000:300_005]
        handle.seek(-2, io.SEEK_END)
        assert handle.read() == data[-2:]
    for offset in (0, 1000, 500_000):
        assert read_bytes(tar_member(f"{server.url}/a.tar", offset, 100, "x")) == data[offset : offset + 100]
    assert server.asked["/a.tar"] <= (4 if parts else 3)
    server.files["/empty.tar"] = b""
    with open_binary(f"{server.url}/empty.tar") as handle:
        assert handle.read() == b""


def test_a_folder_on_a_web_server(server: Server) -> None:
    """Its page's links to what is below it, sub-folders too; nothing hidden, nothing elsewhere."""
    page = '<a href="../">up</a> <a href="b%20b.png">b</a> <a href="/d/a.png?x=1">a</a> <a href=".x.png">'
    page += '<a href="s/">s</a> <a href="http://localhost/d/z.png">z</a> <a href="?C=N">sort</a>'
    server.files |= {"/d/": page.encode(), "/d/s/": b'<a href="c.png">c</a>'}
    refs = list(iter_images([f"{server.url}/d/"]))
    assert [ref.image_id for ref in refs] == ["a.png", "b b.png", "s/c.png"]
    assert refs[1].uri == f"{server.url}/d/b%20b.png"


def test_a_source_that_cannot_be_reached(server: Server) -> None:
    """One line with the reason."""
    for name, reason in {"/503": "cannot be reached: HTTP 503", "/404.csv": "cannot be read: HTTP 404"}.items():
        with pytest.raises(InputError, match=reason):
            list(iter_images([server.url + name]))


def test_a_signed_url_and_a_password(server: Server) -> None:
    """The query is sent as it stands; a password to the host that it was given for only."""
    assert read_bytes(f"{server.url}/a.png?X-Amz-Signature=a%2Fb&t=ä b") == PNG
    seen: list[str | None] = []
    FAULTS["login"] = lambda a: (seen.append(a.headers["Authorization"]), a.file(PNG))
    read_bytes(server.url.replace("//", "//me:s%20@") + "/login.png")
    assert seen == ["Basic bWU6cyA="]


@pytest.mark.parametrize("parts", [True, False])
def test_archives_and_tables_on_a_web_server(server: Server, tmp_path: Path, parts: bool) -> None:
    """A tar, a table of images and one of URLs, each behind a signature, are read as if they were here."""
    server.parts = parts
    tar, table, names = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, data in {"a.png": PNG, "b.png": png(2), "a.txt": b"one"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    pq.write_table(pa.table({"image": [PNG, png(3)], "caption": ["one", "two"]}), table)
    pq.write_table(pa.table({"path": ["a.png"], "caption": ["one"]}), names)
    server.files |= {"/a.tar": tar.getvalue(), "/t.parquet": table.getvalue(), "/n.parquet": names.getvalue()}
    for name, rows in {"a.tar": 2, "t.parquet": 2, "n.parquet": 1}.items():
        url = f"{server.url}/{name}?X-Amz-Signature=abc"
        columns = embed([url], tmp_path / name, load_encoder("thumbnail")).all_columns()
        assert list(columns.status) == ["ok"] * rows, columns.error
        assert columns.caption[0] == "one"
        assert read_image(columns.uri[0]) == PNG
