"""memaudit review: served until Ctrl-C, which ends it with a line; nothing is opened that nobody asked for."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from calls import Memaudit
from pictures import altered, draw, write_pictures

import memaudit as ma


@pytest.fixture
def audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an audit with one finding, in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "training", range(4))
    write_pictures(tmp_path / "generations", range(500, 502))
    altered(draw(1)).save(tmp_path / "generations" / "copy.png")
    ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    return tmp_path / "audit"


def begun(*arguments: str | Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """The command as a program, and what it says when it is ready."""
    command = [sys.executable, "-m", "memaudit", "review", *map(str, arguments), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeded)
    assert process.stdout
    return process, json.loads(process.stdout.readline())


def heeded() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and so this test perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def entered(told: dict[str, Any]) -> Callable[[str], None]:
    """What sends a decision on the first pair, as the page would; it returns when that is said to be written."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    opener.open(told["url"], timeout=20).read()
    root = told["url"].partition("?")[0]
    with opener.open(f"{root}api/sheet?from=0&step=1", timeout=20) as answer:
        pair = json.load(answer)["sheet"]["members"][0]["pair"]
    headers = {"Content-Type": "application/json", "Origin": root.rstrip("/")}

    def decide(verdict: str) -> None:
        body = json.dumps({"pairs": [pair], "verdict": verdict, "who": "Ann"}).encode()
        opener.open(urllib.request.Request(f"{root}api/decide", body, headers), timeout=20).read()

    return decide


def test_killed_in_the_middle_of_a_hundred_decisions(audited: Path, memaudit: Memaudit) -> None:
    """Every decision that the page was told is written is there, whole, in its order; the same command goes on."""
    process, told = begun("audit")
    decide = entered(told)
    sent = ["copy" if number % 2 else "unsure" for number in range(100)]
    done = list[str]()

    def all_of_them() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            for verdict in sent:
                decide(verdict)
                done.append(verdict)

    thread = threading.Thread(target=all_of_them)
    thread.start()
    while len(done) < 40:
        time.sleep(0.001)
    process.kill()
    thread.join()
    assert 40 <= len(done) < 100
    lines = [json.loads(line)["verdict"] for line in Path("reviews.jsonl").read_text().splitlines()]
    assert lines in (done, sent[: len(done) + 1])  # one may be written of which nobody could be told any more
    again, told = begun("audit")
    assert told["people"] == {"Ann": 1}
    entered(told)("not a copy")
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=30)
    assert len(Path("reviews.jsonl").read_text().splitlines()) == len(lines) + 1
    assert [path.name for path in Path().glob(".reviews*")] == []


def test_ctrl_c_ends_it_with_a_line(audited: Path, memaudit: Memaudit) -> None:
    """Exit code 0, how many decisions are where; called again it goes on; the gate clears what was decided."""
    process, told = begun("audit", "--who", "Ann")
    assert (told["pairs"], told["people"]) == (1, {})
    entered(told)("not a copy")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(told["url"], timeout=20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert err == ("memaudit: review ended: 1 decision of this page in reviews.jsonl; the same command goes on\n")
    again = memaudit("review", "audit/report.json", "--status", "--json").json
    assert again == {
        "out": "reviews.jsonl",
        "pairs": 1,
        "sheets": 1,
        "people": {"Ann": 1},
        "disagreeing": 0,
        "decisions": 0,
    }
    assert "1 pair on 1 sheet. Decided in reviews.jsonl: Ann: 1." in memaudit("review", "audit", "--status").out
    counts = [
        next(
            rule["figure"]
            for rule in memaudit("gate", "audit/report.json", *more, "--json").json["rules"]
            if rule["rule"] == "max_findings"
        )
        for more in ((), ("--reviews", "reviews.jsonl"))
    ]
    assert counts == ["1", "0"]


def test_nothing_decided_nothing_written(audited: Path) -> None:
    process, _ = begun("audit", "--out", "r.jsonl")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert err == "memaudit: review ended: nothing was decided, and r.jsonl not written\n"
    assert not Path("r.jsonl").exists()


def test_nothing_is_opened_that_nobody_asked_for(
    audited: Path, memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --open a file of the user's own leads there: the token is not in the list of processes."""
    opened = list[str]()
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr("memaudit.api.review_page.ReviewPage.serve", lambda page: look(opened))
    seen = list[str]()

    def look(addresses: list[str]) -> None:
        seen.extend(Path(address.removeprefix("file://")).read_text() for address in addresses)

    done = memaudit("review", "audit")
    assert (done.code, opened) == (0, [])
    assert "Open http://127.0.0.1:" in done.out
    assert memaudit("review", "audit", "--open").code == 0
    assert [address.startswith("file:///") for address in opened] == [True]
    assert "token" not in opened[0]
    assert 'http-equiv="refresh" content="0;url=http://127.0.0.1:' in seen[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("training",), "training has no report.json: name the folder of an audit or a dedup"),
        (("nowhere",), "nowhere"),
        (("audit", "--out", "r.csv"), "--out r.csv: expected a file that ends in .jsonl"),
        (("audit", "--out", "diary.jsonl"), "diary.jsonl"),
        (("audit", "--out", "nowhere/r.jsonl"), "--out nowhere/r.jsonl: there is no folder nowhere"),
        (("pairs.csv",), "pairs pairs.csv, line 2: there is no column 'left_sha256'"),
        (("clean",), "the report has no findings: there is nothing to review"),
        (("extraction",), "is a report of extraction: expected one of audit or dedup"),
    ],
)
def test_what_cannot_be_reviewed(audited: Path, memaudit: Memaudit, arguments: tuple[str, ...], words: str) -> None:
    Path("diary.jsonl").write_text("today\n")
    Path("pairs.csv").write_text("a,b\n1,2\n")
    if arguments == ("clean",):
        write_pictures(Path("others"), range(700, 702))
        ma.run_audit("others", "store", out="clean")
    if arguments == ("extraction",):
        write_pictures(Path("seeds"), range(3))
        ma.run_extract("seeds", out="extraction", prompt_pattern="{prompt}{seed}.png")
    memaudit("review", *arguments, "--status").failed(2, words)
    assert Path("diary.jsonl").read_text() == "today\n"


def test_half_a_line_is_told(audited: Path, memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memaudit.api.review_page.ReviewPage.serve", lambda page: None)
    Path("r.jsonl").write_text('{"left_sha256": "a')
    done = memaudit("review", "audit", "--out", "r.jsonl")
    assert "r.jsonl: 18 bytes of a line that was not finished were taken away" in done.err
    assert Path("r.jsonl").read_text() == ""
