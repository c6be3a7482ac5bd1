"""`memaudit serve` under load: seconds from request to verdict, memory, and whether a verdict is lost or wrongly clean.

A server in a process of its own holds requests against `--images` real pictures (and `--rows` synthetic embeddings).
`--clients` threads send `--requests` requests, each over a connection of its own: `--pictures` of them go through
encoder and pixels (altered copies of training images, which must fail, and pictures that are not there, which must
pass), the rest are no pictures, blank, half a body from a slow client, and pictures sent before. A request that is
told to come again comes again. lost: no answer after all; wrongly clean: pass for a copy or for what is no picture.
memory: resident, of the server, after a tenth of the requests and after all.

Where others use the machine seconds are of theirs as well.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

import memaudit as ma
from benchmarks.alterations import SETTINGS, Beside, copies_of
from benchmarks.audit.commands import embedded
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import pictures_of, sample_emoji, sample_photographs, sized
from benchmarks.synthetic import make_store
from memaudit.store import Store
from scripts.alterations import read_rgb, write_picture

ENCODER = "sscd"
COPY, NEW, NONE, BLANK, SLOW, AGAIN = "a copy", "not in the set", "no picture", "blank", "half a body, slow", "again"
RIGHT = {COPY: "fail", NEW: "pass", NONE: "inconclusive", BLANK: "inconclusive", SLOW: "408"}
# Copies that an audit finds whatever the picture
SURE = ("JPEG 30", "resize 0.5", "grey", "jitter 0.4", "blur 2")
_PATIENCE = 300.0  # seconds that a request comes again


class Request(NamedTuple):
    """kind: of RIGHT, or AGAIN with the kind of what is sent again."""

    kind: str
    of: str
    data: bytes


class Outcome(NamedTuple):
    kind: str
    of: str
    verdict: str
    seconds: float
    refused: int


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for figure in _figures(options, work):
        yield replace(figure, data=f"views {options.views}: {figure.data}")


def _figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    files, store = _made(options, work)
    requests = _requests(options, files, work)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "memaudit", "serve", str(store.folder), "--json", "--views", options.views),
            *("--request-seconds", "2", "--queue", str(options.queue), "--check-seconds", "600"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    if server.stdout is None:
        raise ValueError("the server has no output")
    begun = json.loads(server.stdout.readline())
    client = Client(int(urlsplit(begun["url"]).port or 0), begun["token"])
    try:
        first = len(requests) // 10
        with ThreadPoolExecutor(options.clients) as pool:
            start = time.perf_counter()
            outcomes = list(pool.map(client.sent, requests[:first]))
            early = _resident_mb(server.pid)
            outcomes += pool.map(client.sent, requests[first:])
            seconds = time.perf_counter() - start
        late = _resident_mb(server.pid)
    finally:
        server.send_signal(signal.SIGTERM)  # of a shell's background job SIGINT is ignored
        code = server.wait(60)
    yield from _told(outcomes)
    count = len(outcomes)
    yield Figure("all", count, "requests/s", count / seconds, note=f"{options.clients} clients")
    yield Figure("all", count, "told to come again", sum(each.refused for each in outcomes))
    yield Figure("server", count, "resident MB after a tenth", early)
    yield Figure("server", count, "resident MB after all", late)
    yield Figure("server", 1, "exit code", code, asked="0")


def _made(options: argparse.Namespace, work: Path) -> tuple[dict[str, Path], Store]:
    """Pictures by name, the first `--images` of them in the store."""
    folder = sample_photographs()[0].parents[1]
    (work / "pictures").mkdir()
    files = dict[str, Path]()
    for number, (_, path) in enumerate(pictures_of(folder)[: options.images + options.strangers]):
        files[f"{number:05d}.png"] = work / "pictures" / f"{number:05d}.png"
        write_picture(sized(read_rgb(path)), files[f"{number:05d}.png"])
    training = dict(list(files.items())[: options.images])
    real = Store.open(embedded(training, work / "real", ENCODER))
    if not options.rows:
        return files, real
    synthetic = make_store(work / "synthetic", options.rows, real.encoder)
    return files, Store.open(ma.merge_stores([real, synthetic], work / "store").folder)


def _requests(options: argparse.Namespace, files: dict[str, Path], work: Path) -> list[Request]:
    """In an order that follows from nothing but the numbers."""
    paths, rng = list(files.items()), random.Random(0)
    beside = Beside(sorted(sample_emoji().rglob("*.png")), tuple(sample_photographs()))
    settings = {name: SETTINGS[name] for name in SURE}
    found = list[Request]()
    place = work / "sent.jpg"
    while len(found) < options.pictures:
        number = len(found) // 2 // len(settings)
        name, path = paths[number % options.images]
        for setting, altered in copies_of(path, f"{name} {number // options.images}", beside, settings):
            altered.save(place, "JPEG", quality=SETTINGS[setting].quality)
            found.append(Request(COPY, COPY, place.read_bytes()))
            stranger = read_rgb(paths[options.images + len(found) % options.strangers][1])
            stranger.crop((len(found) % 7, 0, stranger.width, stranger.height)).save(place, "JPEG", quality=90)
            found.append(Request(NEW, NEW, place.read_bytes()))
    found = found[: options.pictures]
    write_picture(Image.new("RGB", (256, 256), "white"), work / "blank.png")
    blank = (work / "blank.png").read_bytes()
    for number in range(options.requests - len(found)):
        once = found[rng.randrange(options.pictures)]
        kind = (NONE, BLANK, NONE, BLANK, NONE, BLANK, NONE, BLANK, NONE, SLOW)[number % 10]
        if number % options.again == 0:
            found.append(Request(AGAIN, once.of, once.data))
        else:
            found.append(Request(kind, kind, {NONE: rng.randbytes(2000), BLANK: blank}.get(kind, once.data)))
    rng.shuffle(found)
    return found


class Client:
    """Sends requests, each over a connection of its own. Any thread may."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._headers = port, {"Authorization": f"Bearer {token}"}

    def sent(self, request: Request) -> Outcome:
        start, refused = time.perf_counter(), 0
        while time.perf_counter() - start < _PATIENCE:
            asked = time.perf_counter()
            with suppress(OSError, http.client.HTTPException, ValueError):
                verdict = self._slow(request) if request.kind == SLOW else self._asked(request)
                if verdict != "503":
                    return Outcome(request.kind, request.of, verdict, time.perf_counter() - asked, refused)
            refused += 1
            time.sleep(0.05)
        return Outcome(request.kind, request.of, "lost", time.perf_counter() - start, refused)

    def _asked(self, request: Request) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        try:
            connection.request("POST", "/check", request.data, self._headers)
            answer = connection.getresponse()
            body = answer.read()
            return str(json.loads(body)["verdict"]) if answer.status == 200 else str(answer.status)
        finally:
            connection.close()

    def _slow(self, request: Request) -> str:
        """Half of the picture, and then nothing."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=_PATIENCE) as connection:
            lines = [f"{name}: {value}" for name, value in self._headers.items()]
            head = ["POST /check HTTP/1.1", "Host: 127.0.0.1", *lines, f"Content-Length: {len(request.data)}", "", ""]
            connection.sendall("\r\n".join(head).encode() + request.data[: len(request.data) // 2])
            return connection.recv(1 << 16).split(b" ")[1].decode()


def _told(outcomes: Sequence[Outcome]) -> Iterator[Figure]:
    for kind in (COPY, NEW, AGAIN, NONE, BLANK, SLOW):
        part = [each for each in outcomes if each.kind == kind]
        if not part:
            continue
        seconds = np.array([each.seconds for each in part])
        right = sum(each.verdict == RIGHT[each.of] for each in part)
        yield Figure(kind, len(part), "as expected", right)
        yield Figure(kind, len(part), "p50, s", float(np.percentile(seconds, 50)))
        yield Figure(kind, len(part), "p99, s", float(np.percentile(seconds, 99)), most=float(seconds.max()))
    wrong = sum(each.verdict == "pass" and RIGHT[each.of] != "pass" for each in outcomes)
    yield Figure("all", len(outcomes), "lost", sum(each.verdict == "lost" for each in outcomes), asked="0")
    yield Figure("all", len(outcomes), "wrongly clean", wrong, asked="0")


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--requests", metavar="N", type=int, default=10_000)
    add("--pictures", metavar="N", type=int, default=1000, help="of them, through encoder and pixels")
    add("--again", metavar="N", type=int, default=20, help="every so manieth of the others is one of these again")
    add("--clients", metavar="N", type=int, default=16)
    add("--queue", metavar="N", type=int, default=8, help="pictures that may wait at the server")
    add("--images", metavar="N", type=int, default=60, help="real pictures in the training set")
    add("--strangers", metavar="N", type=int, default=30, help="real pictures that are not in it")
    add("--rows", metavar="N", type=int, default=20_000, help="synthetic embeddings in it")
    add("--views", default="none", help="of what is checked; tiles is what an audit takes by default")


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures)
