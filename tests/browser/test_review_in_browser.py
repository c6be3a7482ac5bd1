"""The review page in a real browser: marked, undone, gone on with, by two people; by keyboard, small, dark; and what
was decided counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from pictures import altered, draw, photograph, write_pictures

import memaudit as ma
from memaudit.api.review_page import ReviewPage
from scripts.fetch_axe import axe_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Reviewing = Callable[..., "Page"]  # the fixture reviewing


class Runs(NamedTuple):
    audit: Path
    dedup: Path
    store: Path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """An audit with four findings, and a dedup with a group of five."""
    root = tmp_path_factory.mktemp("to-review")
    write_pictures(root / "training", range(6))
    for number in range(4):
        picture = photograph(1, (319 - number, 239 - number))
        picture.save(root / "training" / f"near-{number}.png")
    photograph(1).save(root / "training" / "near.png")
    write_pictures(root / "generations", range(500, 502))
    for number in range(2, 6):
        altered(draw(number)).save(root / "generations" / f"copy-{number}.png")
    store = ma.embed(root / "training", out=root / "store", encoder="thumbnail")
    ma.run_audit(root / "generations", store, out=root / "audit")
    ma.run_dedup(store, out=root / "dedup", threshold=0.9)
    return Runs(root / "audit", root / "dedup", root / "store")


@pytest.fixture
def reviewing(browser: Browser) -> Iterator[Reviewing]:
    """Serve a page and open it: reviewing(audit, out, width=400). Whatever it asks for elsewhere is an error, and so is
    what its script throws or its policy refuses."""
    wrong, closing = list[str](), list[Callable[[], None]]()

    def opened(target: Path, out: Path, width: int = 1280, dark: bool = False, who: str = "") -> Page:
        served = ma.open_review(target, out, who=who)
        thread = threading.Thread(target=served.serve, daemon=True)
        thread.start()
        context = browser.new_context(
            viewport={"width": width, "height": 1000}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        root = served.url.partition("?")[0]
        page.on("request", lambda request: None if request.url.startswith(root) else wrong.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        closing.append(lambda: closed(served, thread, context.close))
        page.goto(served.url)
        page.wait_for_selector("#stage > *, #done:not([hidden])", state="attached")
        page.wait_for_selector("#sheet[aria-busy=false]", state="attached")
        return page

    yield opened
    for close in closing:
        close()
    assert [line for line in wrong if "status of 500" not in line and "status of 404" not in line] == []


def closed(served: ReviewPage, thread: threading.Thread, close: Callable[[], None]) -> None:
    close()
    served.stop()
    thread.join()
    served.close()


def lines_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def settled(page: Page, decided: str) -> None:
    page.locator("#p-text", has_text=decided).wait_for()
    page.wait_for_selector("#sheet[aria-busy=false]", state="attached")


def until(holds: Callable[[], bool]) -> None:
    """The page's policy lets Playwright evaluate no string of its own while it waits."""
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def mark(page: Page, name: str) -> None:
    page.locator("#marks").get_by_role("button", name=name, exact=True).click()


# --- decide --------------------------------------------------------------------------------------------------------


def test_marked_undone_reloaded_and_gone_on_with(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    """Each decision is in the file before the next pair is shown; a new page goes on where the last one was.
    A blank more makes nobody another person."""
    out = tmp_path / "r.jsonl"
    page = reviewing(runs.audit, out)
    assert page.evaluate("location.pathname + location.search") == "/"
    mark(page, "copy")
    assert page.locator("#note").inner_text() == "Whose verdict is it? Enter your name."
    page.fill("#who", "Ann  Lee ")
    page.keyboard.press("Tab")
    settled(page, "0 of 4 pairs decided by you")
    first = page.locator("#c-member").inner_text()
    mark(page, "copy")
    settled(page, "1 of 4 pairs decided by you")
    assert [line["verdict"] for line in lines_of(out)] == ["copy"]
    until(lambda: page.locator("#c-member").inner_text() != first)
    page.click("#undo")
    settled(page, "0 of 4 pairs decided by you")
    until(lambda: page.locator("#c-member").inner_text() == first)
    assert [(line["verdict"], line["who"]) for line in lines_of(out)] == [
        ("copy", "Ann Lee"),
        ("taken back", "Ann Lee"),
    ]
    mark(page, "not a copy")
    settled(page, "1 of 4 pairs decided by you")
    page.reload()
    settled(page, "1 of 4 pairs decided by you")
    assert page.input_value("#who") == "Ann  Lee "
    assert page.locator("#c-member").inner_text() != first
    again = reviewing(runs.audit, out, who="Ann Lee")
    settled(again, "1 of 4 pairs decided by you")
    assert again.locator("#c-member").inner_text() == page.locator("#c-member").inner_text()


def test_two_people_on_one_file_and_what_they_decide_counts(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    """By keyboard alone. The second sees the first's word after his own; where they differ both pages say so, and the
    gate clears what both call no copy."""
    out = tmp_path / "r.jsonl"
    ann, bob = reviewing(runs.audit, out, who="Ann"), reviewing(runs.audit, out, who="Bob")
    for page, keys in ((ann, "222"), (bob, "221")):
        for place, key in enumerate(keys, 1):
            page.keyboard.press(key)
            settled(page, f"{place} of 4 pairs decided by you")
    assert "Ann: 3" in bob.locator("#p-text").inner_text()
    assert "1 disagree" in bob.locator("#p-text").inner_text()
    ann.select_option("#which", "differ")
    ann.locator("#s-said", has_text="People disagree · not a copy (Ann) · copy (Bob)").wait_for()
    assert {line["who"] for line in lines_of(out)} == {"Ann", "Bob"}
    count = {name: found(runs.audit, files) for name, files in (("without", []), ("with", [out]))}
    assert count == {"without": "4", "with": "2"}


def found(out: Path, reviews: list[Path]) -> str:
    return next(rule.figure for rule in ma.run_gate(out, reviews=reviews).rules if rule.rule == "max_findings")


def test_others_words_come_after_ones_own(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    """So that two people look independently; a box shows them before."""
    out = tmp_path / "r.jsonl"
    ann = reviewing(runs.audit, out, who="Ann")
    ann.keyboard.press("1")
    settled(ann, "1 of 4")
    bob = reviewing(runs.audit, out, who="Bob")
    assert bob.locator("#s-said").inner_text() == "somebody has decided; you have not yet"
    bob.check("#others")
    assert bob.locator("#s-said").inner_text() == "copy (Ann)"


def test_accepted_needs_a_reason_and_a_day(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    page = reviewing(runs.audit, out, who="Ann")
    page.keyboard.press("3")
    page.locator("#note", has_text="Accepted needs a reason").wait_for()
    assert page.evaluate("document.activeElement.id") == "why"
    page.keyboard.type("our own 12")
    page.fill("#until", "2999-12-31")
    mark(page, "accepted")
    settled(page, "1 of 4")
    line = lines_of(out)[0]
    assert (line["verdict"], line["why"], line["until"]) == ("accepted", "our own 12", "2999-12-31")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("3")  # the next is offered the same, and takes a second press
    page.locator("#note", has_text="As the last one?").wait_for()
    assert len(lines_of(out)) == 1
    page.keyboard.press("3")
    settled(page, "2 of 4")
    assert [line["why"] for line in lines_of(out)] == ["our own 12", "our own 12"]


def test_a_group_is_decided_and_dedup_follows(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    """The kept image beside each removed one; one is called no copy, the rest copies: the next run keeps both."""
    out = tmp_path / "r.jsonl"
    page = reviewing(runs.dedup, out, who="Ann")
    page.locator("#s-title", has_text="group").wait_for()
    assert page.locator("#strip button").count() == 4
    kept = page.locator("#c-anchor").inner_text()
    parted = page.locator("#c-member").inner_text()
    page.keyboard.press("2")
    page.locator("#rest button", has_text="all 3 that are left: copies").click()
    settled(page, "4 of")
    verdicts = [line["verdict"] for line in lines_of(out)]
    assert verdicts == ["not a copy", "copy", "copy", "copy"]
    ma.run_dedup(runs.store, out=tmp_path / "before", threshold=0.9)
    ma.run_dedup(runs.store, out=tmp_path / "after", threshold=0.9, reviews=[out])
    dropped = [(tmp_path / name / "drop.txt").read_text().split() for name in ("before", "after")]
    assert parted in dropped[0]
    assert kept not in dropped[0]
    assert len(dropped[1]) == len(dropped[0]) - 1


# --- look ----------------------------------------------------------------------------------------------------------


def test_compared_in_four_ways_and_zoomed(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    page = reviewing(runs.dedup, tmp_path / "r.jsonl", who="Ann")
    for mode in ("slider", "flicker", "difference"):
        page.keyboard.press("m")
        page.wait_for_selector(f"#stage svg svg.{mode}")
    page.keyboard.press("m")
    page.wait_for_selector("#stage.pair")
    page.select_option("#v-zoom", "4")
    box = "document.querySelector('#stage > svg').getAttribute('viewBox').split(' ').map(Number)"
    until(lambda: page.evaluate(box)[2] < 100)
    before = page.evaluate(box)
    page.focus("#stage")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(box)[0] > before[0]
    page.wait_for_timeout(50)
    assert page.evaluate(box)[2] == before[2]


def test_hostile_names_stay_text_and_what_is_gone_is_said(reviewing: Reviewing, tmp_path: Path) -> None:
    """Of a proposal that somebody else made, and of the file of decisions."""
    hostile = "</script><img src=x onerror=alert(1)><h1>taken</h1> {{ 7 * 7 }}"
    row = {
        "left_sha256": "a" * 64,
        "right_sha256": "b" * 64,
        "left_uri": f"/none/{hostile}",
        "right_uri": "/etc/passwd",
    }
    (tmp_path / "pairs.jsonl").write_text(json.dumps({**row, "verdict": "copy", "who": hostile}) + "\n")
    page = reviewing(tmp_path / "pairs.jsonl", tmp_path / "<b>{{ 7 * 7 }}.jsonl", who=hostile)
    page.locator("#d-text", has_text="You have decided all of it: 1 pair.").wait_for()
    page.select_option("#which", "all")
    page.locator("#stage", has_text="picture not available: the file is another one than was examined").wait_for()
    assert page.locator("h1").count() == 1
    assert page.locator("h1 b, header b, #stage img").count() == 0
    assert "{{ 7 * 7 }}.jsonl" in page.locator("header").inner_text()
    assert page.locator("#c-member").inner_text().endswith("{{ 7 * 7 }}")
    assert page.input_value("#who") == hostile


def test_what_was_not_written_is_not_taken_for_written(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    """The disk is full: the pair stays, and the page says why."""
    page = reviewing(runs.audit, tmp_path / "r.jsonl", who="Ann")
    page.route(
        "**/api/decide", lambda route: route.fulfill(status=500, body='{"error": "r.jsonl cannot be written: full"}')
    )
    page.evaluate("window.console.error = () => {}")
    first = page.locator("#c-member").inner_text()
    page.keyboard.press("1")
    page.locator("#note", has_text="cannot be written: full").wait_for()
    assert page.locator("#c-member").inner_text() == first
    settled(page, "0 of 4")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_telephone_shows_it_without_sideways_scroll(
    runs: Runs, reviewing: Reviewing, tmp_path: Path, dark: bool
) -> None:
    for target in (runs.audit, runs.dedup):
        page = reviewing(target, tmp_path / "r.jsonl", width=400, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth") == 400


def violations(page: Page) -> list[str]:
    """As axe-core finds them. The page's policy lets no script in; a tool of the browser runs all the same."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": axe_path().read_text(encoding="utf-8")})
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
    return [f"{each['id']}: {node['html'][:200]}" for each in found["violations"] for node in each["nodes"][:3]]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_the_review_page(runs: Runs, reviewing: Reviewing, tmp_path: Path, dark: bool) -> None:
    for target, width in ((runs.audit, 1280), (runs.dedup, 400)):
        page = reviewing(target, tmp_path / f"{width}.jsonl", width=width, dark=dark, who="Ann")
        assert violations(page) == []
        page.keyboard.press("1")
        page.locator("#p-text", has_text="1 of").wait_for()
        assert violations(page) == []


def test_all_decided_says_so(runs: Runs, reviewing: Reviewing, tmp_path: Path) -> None:
    page = reviewing(runs.audit, tmp_path / "r.jsonl", who="Ann")
    for place in range(1, 5):
        page.keyboard.press("1")
        settled(page, f"{place} of 4")
    page.locator("#d-text", has_text="You have decided all of it: 4 pairs.").wait_for()
    page.select_option("#which", "all")
    page.locator("#s-said", has_text="copy (Ann)").wait_for()
