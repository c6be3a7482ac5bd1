"""Runs to be reviewed, pages that are being served, and requests to them as any program could make them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pictures import altered, draw, write_pictures

import memaudit as ma
from memaudit.api.review_page import ReviewPage


class Runs(NamedTuple):
    audit: Path
    dedup: Path
    pairs: Path


def write_runs(folder: Path) -> Runs:
    """An audit with three findings, a dedup with a group of four and one of two, and a proposal."""
    write_pictures(folder / "training", range(8))
    for number, of in enumerate((1, 1, 1, 2)):
        picture = altered(draw(of)).rotate(number, fillcolor="gray")
        picture.save(folder / "training" / f"near-{number}.png")
    (folder / "training" / "same.png").write_bytes((folder / "training" / "0002.png").read_bytes())
    write_pictures(folder / "generations", range(500, 503))
    for number in (3, 4):
        altered(draw(number)).save(folder / "generations" / f"copy-{number}.png")
    (folder / "generations" / "same.png").write_bytes((folder / "training" / "0005.png").read_bytes())
    store = ma.embed(folder / "training", out=folder / "store", encoder="thumbnail")
    ma.run_audit(folder / "generations", store, out=folder / "audit")
    ma.run_dedup(store, out=folder / "dedup", threshold=0.9)
    ma.propose_labels(store, folder / "to-label.csv", match_from=0.2)
    return Runs(folder / "audit", folder / "dedup", folder / "to-label.csv")


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Requests to a page. cookie: as the page gave it."""

    def __init__(self, page: ReviewPage) -> None:
        parts = urlsplit(page.url)
        self.host, self.port, self.query = parts.hostname or "", parts.port or 0, parts.query
        self.cookie = ""

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Headers by their names with _ for -; an empty one is left out."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        named = {"Cookie": self.cookie, "Host": f"{self.host}:{self.port}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in named.items():
            if value:
                connection.putheader(name, value)
        if body is not None and "Content-Length" not in named:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        reply = Reply(answer.status, dict(answer.getheaders()), answer.read())
        connection.close()
        return reply

    def enter(self) -> Reply:
        """Exchange the token for the cookie."""
        reply = self.send("GET", f"/?{self.query}")
        self.cookie = reply.headers.get("Set-Cookie", "").partition(";")[0]
        return reply

    def sheet(self, place: int = 0, which: str = "all", who: str = "", step: int = 1) -> Any:
        who = who.replace(" ", "+")
        reply = self.send("GET", f"/api/sheet?from={place}&step={step}&which={which.replace(' ', '+')}&who={who}")
        assert reply.status == 200, reply
        return reply.json

    def decide(self, pairs: list[str], verdict: str, who: str = "Ann", **more: str) -> Reply:
        body = json.dumps({"pairs": pairs, "verdict": verdict, "who": who, **more}).encode()
        return self.send("POST", "/api/decide", body, Content_Type="application/json", Origin=self.origin)


@contextmanager
def served(target: Path, out: Path, **options: Any) -> Iterator[Caller]:
    """A page in a thread, and a caller who has exchanged the token."""
    with ma.open_review(target, out, **options) as page:
        thread = threading.Thread(target=page.serve, daemon=True)
        thread.start()
        try:
            caller = Caller(page)
            assert caller.enter().status == 200
            yield caller
        finally:
            page.stop()
            thread.join()
