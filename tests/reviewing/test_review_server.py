"""The server of the review page: who may ask, for what, and what is in the file when it answers."""

from __future__ import annotations

import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from desks import Caller, Runs, served, write_runs
from PIL import Image

import memaudit as ma
from memaudit.errors import UsageError
from memaudit.reviewing.pictures import NotShownError, Pictures
from memaudit.reviewing.queue import Shown
from memaudit.reviews import Verdict, read_reviews


@pytest.fixture
def caller(runs: Runs, tmp_path: Path) -> Iterator[Caller]:
    with served(runs.audit, tmp_path / "r.jsonl") as found:
        yield found


# --- who may ask ---------------------------------------------------------------------------------------------------


def test_the_token_is_good_once(runs: Runs, tmp_path: Path) -> None:
    """Exchanged for a cookie that scripts and other sites do not have; the same address is refused the second time."""
    with served(runs.audit, tmp_path / "r.jsonl") as caller:
        other = Caller.__new__(Caller)
        other.__dict__ = {**caller.__dict__, "cookie": ""}
        assert other.enter().status == 403
        assert other.send("GET", f"/?{caller.query}", Cookie=caller.cookie).status == 200  # a reload
        assert caller.cookie.startswith(f"memaudit-review-{caller.port}=")


def test_the_cookie_is_for_this_site_and_no_script(runs: Runs, tmp_path: Path) -> None:
    with ma.open_review(runs.audit, tmp_path / "r.jsonl") as page:
        thread = threading.Thread(target=page.serve, daemon=True)
        thread.start()
        reply = Caller(page).enter()
        assert page.url.endswith("?token=")
        page.stop()
        thread.join()
    assert reply.headers["Set-Cookie"].endswith("; Path=/; HttpOnly; SameSite=Strict")


@pytest.mark.parametrize(
    "path", ["/", "/?token=", "/?token=a", "/page.js", "/api/sheet?from=0&step=1", "/picture/a/large"]
)
@pytest.mark.parametrize(
    "cookie", ["", "memaudit-review=x", "memaudit-review-{port}=wrong", "memaudit-review-{port}=\xe9"]
)
def test_nothing_without_the_cookie(caller: Caller, path: str, cookie: str) -> None:
    reply = caller.send("GET", path, Cookie=cookie.format(port=caller.port))
    assert reply.status == 403
    assert b"Run memaudit review again" in reply.body
    assert (
        caller.send("POST", "/api/decide", b"{}", Cookie=cookie.format(port=caller.port), Origin=caller.origin).status
        == 403
    )


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "0.0.0.0",
        "localhost.",
        "a@127.0.0.1",
        "",
    ],
)
def test_another_name_is_answered_nothing(caller: Caller, host: str) -> None:
    """A page elsewhere whose name was made to lead to this machine."""
    reply = caller.send("GET", "/", Host=host)
    assert reply.status == 421
    assert caller.send("POST", "/api/decide", b"{}", Host=host, Origin=f"http://{host}").status == 421


@pytest.mark.parametrize("host", ["localhost:{port}", "127.0.0.1", "[::1]:9", "LocalHost:65535"])
def test_names_of_this_machine(caller: Caller, host: str) -> None:
    """The port may be that of a tunnel."""
    assert caller.send("GET", "/", Host=host.format(port=caller.port)).status == 200


def test_two_hosts_are_none(caller: Caller) -> None:
    with socket.create_connection((caller.host, caller.port), timeout=20) as raw:
        raw.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil\r\nCookie: {caller.cookie}\r\n\r\n".encode())
        assert b" 421 " in raw.recv(200)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_no_other_site_decides(caller: Caller, headers: dict[str, str], tmp_path: Path) -> None:
    pair = caller.sheet()["sheet"]["members"][0]["pair"]
    body = json.dumps({"pairs": [pair], "verdict": "copy", "who": "Ann"}).encode()
    given = {"Origin": caller.origin, "Content_Type": "application/json"}
    given |= {name: value.format(port=caller.port) for name, value in headers.items()}
    assert caller.send("POST", "/api/decide", body, **given).status == 403
    assert not (tmp_path / "r.jsonl").exists()


def test_what_another_site_may_not_see(caller: Caller) -> None:
    picture = caller.sheet()["sheet"]["anchor"]["picture"]
    for path in ("/page.js", "/api/sheet?from=0&step=1", f"/picture/{picture}/small"):
        assert caller.send("GET", path, Sec_Fetch_Site="cross-site").status == 403
        assert caller.send("GET", path, Sec_Fetch_Site="same-origin").status == 200


def test_every_answer_forbids_what_it_can(caller: Caller) -> None:
    for path in ("/", "/page.css", "/nothing", "/api/sheet?from=0&step=1"):
        headers = caller.send("GET", path).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Server"].strip() == "memaudit"
        assert "Access-Control-Allow-Origin" not in headers


def test_only_this_machine_is_listened_to(runs: Runs, tmp_path: Path) -> None:
    with ma.open_review(runs.audit, tmp_path / "r.jsonl") as page:
        assert page._server.server_address[0] == "127.0.0.1"


# --- for what ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd/large",
        "/etc/passwd",
        "%2e%2e/large",
        "p0-0-00000000000000000000000000000000/large",
        "p0-0/large",
        "C:\\secret/large",
        "{picture}/../../x",
        "{picture}/huge",
        "{pair}/large",
        "{picture}x/large",
        "\x00/large",
    ],
)
def test_a_picture_has_a_name_that_was_given_out_and_no_path(caller: Caller, name: str) -> None:
    sheet = caller.sheet()["sheet"]
    path = "/picture/" + name.format(picture=sheet["anchor"]["picture"], pair=sheet["members"][0]["pair"])
    reply = caller.send("GET", path.replace("\x00", "%00"))
    assert reply.status in (400, 404)
    assert b"root:" not in reply.body


def test_pictures_are_jpegs_of_bounded_size(runs: Runs, tmp_path: Path) -> None:
    for target in runs:
        with served(target, tmp_path / f"{target.stem}.jsonl") as caller:
            sheet = caller.sheet()["sheet"]
            for shown in (sheet["anchor"], *sheet["members"]):
                reply = caller.send("GET", f"/picture/{shown['picture']}/small")
                assert (reply.status, reply.headers["Content-Type"]) == (200, "image/jpeg"), (target, reply)
                assert max(Image.open(io.BytesIO(reply.body)).size) <= 360


def test_no_answer_has_a_path_of_this_machine(runs: Runs, tmp_path: Path) -> None:
    """Ids are the user's own, of a proposal the ends of its addresses; where a file lies stays here."""
    for target in runs:
        with served(target, tmp_path / f"{target.stem}.jsonl") as caller:
            assert str(runs.audit.parent).encode() not in caller.send("GET", "/").body
            assert str(runs.audit.parent) not in json.dumps(caller.sheet())


def test_a_file_that_is_another_by_now_is_not_shown(tmp_path: Path) -> None:
    """Nor where it is gone: of an audit the run's own thumbnail is, where there is one."""
    runs = write_runs(tmp_path / "own")
    for path in (tmp_path / "own" / "generations").iterdir():
        Image.new("RGB", (40, 40), "red").save(path)
    for path in (tmp_path / "own" / "training").iterdir():
        path.unlink()
    with served(runs.audit, tmp_path / "r.jsonl") as caller:
        sheet = caller.sheet()["sheet"]
        for shown in (sheet["members"][0], sheet["anchor"]):
            reply = caller.send("GET", f"/picture/{shown['picture']}/large")
            assert reply.status == 200
            assert Image.open(io.BytesIO(reply.body)).convert("RGB").resize((1, 1)).getpixel((0, 0))[1] > 30  # not red
        for path in (runs.audit / "thumbnails").iterdir():
            path.unlink()
        for shown in (sheet["members"][0], sheet["anchor"]):
            reply = caller.send("GET", f"/picture/{shown['picture']}/small")
            assert (reply.status, reply.json) == (404, {"error": "its picture is not beside the report any more"})


def test_without_a_thumbnail_a_file_that_is_another_is_said(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "red").save(tmp_path / "a.png")
    for uri, why in (
        ("a.png", "the file is another one than was examined"),
        ("b.png", "the file cannot be read any more"),
    ):
        with pytest.raises(NotShownError, match=why):
            Pictures().jpeg(Shown("a", "0" * 63 + "1", str(tmp_path / uri)), "small")


@pytest.mark.parametrize(
    "query",
    [
        "from=x&step=1",
        "from=-1000000000000000000&step=1",
        "from=99999999999999999999&step=-1",
        "from=1&step=1&" + "a=1&" * 30,
    ],
)
def test_hostile_numbers(caller: Caller, query: str) -> None:
    assert caller.send("GET", f"/api/sheet?{query}").status in (200, 400)


@pytest.mark.parametrize(
    "line",
    ["GET http://127.0.0.1/ HTTP/1.1", "OPTIONS / HTTP/1.1", "GET //etc/passwd HTTP/1.1", "PUT /x HTTP/1.1", "BREW"],
)
def test_hostile_requests(caller: Caller, line: str) -> None:
    with socket.create_connection((caller.host, caller.port), timeout=20) as raw:
        raw.sendall(f"{line}\r\nHost: 127.0.0.1\r\nCookie: {caller.cookie}\r\n\r\n".encode())
        assert b"200 OK" not in raw.recv(300)


# --- decisions -----------------------------------------------------------------------------------------------------


def test_a_decision_is_in_the_file_when_it_is_answered(caller: Caller, tmp_path: Path) -> None:
    sheet = caller.sheet(who="Ann", which="open")
    pair = sheet["sheet"]["members"][0]["pair"]
    reply = caller.decide([pair], "not a copy", why=" looked twice\u2028here ")
    assert reply.status == 200, reply.body
    line = json.loads((tmp_path / "r.jsonl").read_text())
    assert (line["verdict"], line["who"], line["why"]) == ("not a copy", "Ann", "looked twice\u2028here")
    assert list(read_reviews([tmp_path / "r.jsonl"]).verdicts.values()) == [Verdict.NO_COPY]
    assert reply.json["progress"]["own"] == 1
    assert caller.sheet(who="ann", which="open")["at"] != sheet["at"]  # names differ in more than case
    assert caller.decide([pair], "taken back").json["progress"]["own"] == 0
    assert read_reviews([tmp_path / "r.jsonl"]).verdicts == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"who": "  "}, "enter your name"),
        ({"verdict": "accepted"}, "needs a reason"),
        ({"verdict": "accepted", "why": "x", "until": "tomorrow"}, "is no day"),
        ({"verdict": "maybe"}, "is no verdict"),
        ({"verdict": ""}, "is no verdict"),
        ({"pairs": []}, "one pair at least"),
        ({"pairs": ["d0-0-" + "0" * 32]}, "no such pair"),
        ({"pairs": ["x"] * 101}, "one pair at least"),
        ({"pairs": "x"}, "not understood"),
        ({"left_sha256": "a"}, "not understood"),
    ],
)
def test_decisions_that_cannot_be_meant(caller: Caller, change: dict[str, object], words: str, tmp_path: Path) -> None:
    pair = caller.sheet()["sheet"]["members"][0]["pair"]
    body = json.dumps({"pairs": [pair], "verdict": "copy", "who": "Ann", **change}).encode()
    reply = caller.send("POST", "/api/decide", body, Content_Type="application/json", Origin=caller.origin)
    assert reply.status == 400
    assert words in reply.json["error"]
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content_Type": "text/plain"}, b"{}", 404),
        ({"Content_Length": "99999999"}, b"", 413),
        ({"Content_Length": "-1"}, b"", 413),
        ({}, b"\xff\xfe", 400),
        ({}, b"[" * 60_000, 400),
    ],
)
def test_bodies_that_are_none(caller: Caller, headers: dict[str, str], body: bytes, status: int) -> None:
    given = {"Content_Type": "application/json", "Origin": caller.origin, **headers}
    assert caller.send("POST", "/api/decide", body, **given).status == status


def test_one_file_paired_with_itself_is_a_copy(caller: Caller) -> None:
    members = [caller.sheet(at)["sheet"]["members"][0] for at in range(3)]
    (same,) = (each for each in members if each["same_file"])
    assert "byte by byte" in caller.decide([same["pair"]], "not a copy").json["error"]
    assert caller.decide([same["pair"]], "copy").status == 200


def test_two_people_on_one_file(runs: Runs, tmp_path: Path) -> None:
    """Two servers: what one writes the other shows, by name; disagreements are found."""
    out = tmp_path / "r.jsonl"
    with served(runs.audit, out) as ann, served(runs.audit, out) as bob:
        here, there = ann.sheet()["sheet"]["members"][0], bob.sheet()["sheet"]["members"][0]
        assert here["pair"] != there["pair"]  # names are of one server
        ann.decide([here["pair"]], "copy", "Ann")
        assert bob.decide([here["pair"]], "unsure", "Bob").status == 400
        told = bob.decide([there["pair"]], "not a copy", "Bob").json
        assert told["progress"]["people"] == {"Ann": 1, "Bob": 1}
        assert told["progress"]["differ"] == 1
        found = ann.sheet(which="differ")
        assert [line["who"] for line in found["sheet"]["members"][0]["said"]] == ["Ann", "Bob"]
        assert found["left"] == 1


def test_a_port_that_is_taken(runs: Runs, tmp_path: Path) -> None:
    with ma.open_review(runs.audit, tmp_path / "r.jsonl") as page:
        taken = page._server.server_port
        page._server.allow_reuse_address = False
        with pytest.raises(UsageError, match=f"--port {taken} cannot be had"):
            ma.open_review(runs.audit, tmp_path / "s.jsonl", port=taken)
