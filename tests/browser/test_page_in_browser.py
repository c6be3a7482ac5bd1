"""The audit's page in a real browser: looked at, decided on, saved, merged, printed; by keyboard, offline, small."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from audited_page import HOSTILE, digest, finding, noise, pictured, write_audited
from msgspec.structs import replace
from PIL import Image
from vectors import near, random_vectors, vector_store

import memaudit as ma
from memaudit.report.printing import print_page
from memaudit.reviews import read_reviews
from scripts.fetch_axe import axe_path

if TYPE_CHECKING:
    from conftest import Opening
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an audit with eight findings of four training images, and a hostile caption."""
    out = tmp_path_factory.mktemp("audited") / "audit"
    write_audited(out, [pictured(out, number) for number in range(8)])
    return out / "report.html"


def saved(page: Page) -> list[dict[str, Any]]:
    """What the page saves as reviews.jsonl."""
    with page.expect_download() as download:
        page.click("#r-save")
    assert download.value.suggested_filename == "reviews.jsonl"
    return [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]


def told(page: Page) -> list[str]:
    """What stands on each card about what people said."""
    return [text.strip() for text in page.locator("#findings [data-f=said]").all_inner_texts()]


def pair(number: int) -> list[str]:
    return sorted((digest(f"q{number}"), digest(f"r{number // 2}")))


def name(page: Page, who: str) -> None:
    page.fill("#r-who", who)


def first(page: Page) -> str:
    return page.locator("#findings [data-f=query_id]").first.inner_text()


# --- decide --------------------------------------------------------------------------------------------------------


def test_a_verdict_needs_a_name_is_kept_and_is_saved(audited: Path, open_page: Opening, tmp_path: Path) -> None:
    """Marked by a click, it is there after a reload; reviews.jsonl is what calibrate reads; taken back, it is gone,
    and from a file that was handed on before as well."""
    page = open_page(audited)
    mark = page.locator("#findings article").first.get_by_role("button", name="copy", exact=True)
    mark.click()
    assert page.locator("#r-note").inner_text() == "Whose verdict is it? Enter your name."
    assert page.evaluate("document.activeElement.id") == "r-who"
    name(page, "A.  Auditor ")
    mark.click()
    assert told(page)[0] == "copy (A. Auditor)"
    page.reload()
    assert page.input_value("#r-who") == "A. Auditor"
    assert told(page)[0] == "copy (A. Auditor)"
    assert "1 of 8 decided" in page.locator("#r-count").inner_text()
    lines = saved(page)
    assert [(line["left_sha256"], line["right_sha256"]) for line in lines] == [tuple(pair(0))]
    assert (lines[0]["verdict"], lines[0]["who"]) == ("copy", "A. Auditor")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", lines[0]["when"])
    page.locator("#findings article").first.get_by_role("button", name="take back").click()
    assert told(page)[0] == ""
    for name_of, some in (("before", lines), ("after", saved(page))):
        (tmp_path / f"{name_of}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in some))
    both = read_reviews([tmp_path / "before.jsonl", tmp_path / "after.jsonl"])
    assert (both.verdicts, both.counts.superseded) == ({}, 1)


def test_two_tabs_lose_nothing(audited: Path, open_page: Opening, tmp_path: Path) -> None:
    """The page of a report, and a copy of it under another name: each keeps what the other wrote, and shows it."""
    page = open_page(audited)
    other = page.context.new_page()
    (audited.parent / "signed.html").write_bytes(audited.read_bytes())
    other.goto((audited.parent / "signed.html").as_uri())
    name(page, "Ann")
    page.locator("#findings article").first.get_by_role("button", name="copy", exact=True).click()
    other.locator("#r-count", has_text="1 of 8 decided").wait_for()
    name(other, "Bob")
    other.locator("#findings article").nth(1).get_by_role("button", name="unsure", exact=True).click()
    page.locator("#findings article").nth(2).get_by_role("button", name="copy", exact=True).click()
    said = ["copy (Ann)", "unsure (Bob)", "copy (Ann)"]
    assert told(page)[:3] == said
    for each in (page, other):
        each.reload()
        assert told(each)[:3] == said
        assert len(saved(each)) == 3
    (audited.parent / "signed.html").unlink()


def test_names_and_notes_of_what_was_kept_before(audited: Path, open_page: Opening, tmp_path: Path) -> None:
    """Lines and a name that an earlier page kept with a blank too many are the same person's. A browser that keeps
    nothing is told of after files were loaded, too."""
    page = open_page(audited)
    name(page, "Ann Lee")
    page.locator("#findings article").first.get_by_role("button", name="copy", exact=True).click()
    for key in page.evaluate("Object.keys(localStorage)"):
        page.evaluate(
            "key => localStorage.setItem(key, localStorage.getItem(key).replace('Ann Lee', 'Ann  Lee '))", key
        )
    page.reload()
    assert (told(page)[0], page.input_value("#r-who")) == ("copy (Ann Lee)", "Ann Lee")
    page.keyboard.press("j")
    page.keyboard.press("5")
    assert [(line["verdict"], line["who"]) for line in saved(page)] == [("taken back", "Ann Lee")]
    page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error() } }")
    (tmp_path / "none.jsonl").write_text("null\n")
    page.set_input_files("#r-files", tmp_path / "none.jsonl")
    page.locator("#r-note", has_text="line 1. This browser keeps nothing for this page").wait_for()


def test_accepted_needs_a_reason_and_a_day(audited: Path, open_page: Opening) -> None:
    page = open_page(audited)
    name(page, "A")
    page.locator("#findings article").first.get_by_role("button", name="accepted").click()
    assert page.locator("#viewer").is_visible()
    assert "Accepted needs a reason" in page.locator("#v-note").inner_text()
    page.fill("#v-why", "a flag")
    page.fill("#v-until", "2999-12-31")
    page.locator("#v-marks").get_by_role("button", name="accepted").click()
    assert page.locator("#v-note").inner_text() == ""
    line = saved_from(page)
    assert (line["verdict"], line["why"], line["until"]) == ("accepted", "a flag", "2999-12-31")
    assert page.locator("#v-said").inner_text() == "accepted until 2999-12-31 (A: a flag)"


def saved_from(page: Page) -> dict[str, Any]:
    page.keyboard.press("Escape")
    lines = saved(page)
    page.keyboard.press("Space") if not page.locator("#viewer").is_visible() else None
    assert len(lines) == 1
    return lines[0]


def test_reviews_of_several_people_are_merged_and_disagreements_shown(
    audited: Path, open_page: Opening, tmp_path: Path
) -> None:
    """Lines of two files beside one's own; the same line twice is once, of one person the later counts; what is not
    understood is named by its line, and what follows is read."""
    left, right = pair(0)
    line = {"left_sha256": left, "right_sha256": right, "verdict": "not a copy", "who": "B", "when": "2026-11-02"}
    earlier = {**line, "who": " b", "verdict": "unsure", "when": "2026-11-01"}
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, (line, earlier, line))) + "\n")
    other = {
        **line,
        "left_sha256": right.upper(),
        "right_sha256": left,
        "who": "<i>C</i>",
        "verdict": "copy",
        "why": HOSTILE,
    }
    (tmp_path / "c.jsonl").write_text(json.dumps(other) + '\n{"left_sha256": 1}\nno json\nnull\n')
    page = open_page(audited)
    name(page, "A")
    page.locator("#findings article").first.get_by_role("button", name="copy", exact=True).click()
    page.set_input_files("#r-files", [tmp_path / "c.jsonl", tmp_path / "b.jsonl"])
    page.locator("#r-note", has_text="not understood").wait_for()
    assert page.locator("#r-note").inner_text() == "c.jsonl: not understood, and left out: line 2, 3, 4."
    said = told(page)[0]
    assert said.startswith("People disagree · copy (A) · copy (<i>C</i>: </script><img")
    assert said.endswith("not a copy (B)")
    assert "1 disagree" in page.locator("#r-count").inner_text()
    assert len(saved(page)) == 4
    page.select_option("#f-review", "differ")
    assert page.locator("#findings article").count() == 1
    assert page.title() == "Regurgitation audit"


def test_what_the_page_saves_is_what_others_read(audited: Path, open_page: Opening, tmp_path: Path) -> None:
    """`calibrate` reads the file, pair by pair and word by word."""
    page = open_page(audited)
    name(page, "A. Auditor")
    for number, word in enumerate(("copy", "not a copy", "unsure")):
        page.locator("#findings article").nth(number).get_by_role("button", name=word, exact=True).click()
    lines = saved(page)
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    merged = read(tmp_path / "reviews.jsonl")
    assert merged == {(line["left_sha256"], line["right_sha256"]): line["verdict"] for line in lines}
    assert sorted(merged.values()) == ["copy", "not a copy", "unsure"]


def read(path: Path) -> dict[tuple[str, str], str]:
    return {(each.left, each.right): str(verdict) for each, verdict in read_reviews([path]).verdicts.items()}


def test_what_is_decided_in_the_page_changes_the_gate(tmp_path: Path, open_page: Opening) -> None:
    """Marked, saved, fed back: the gate clears what a person calls no copy, and not what one is unsure of; its
    own page then shows both."""
    out = tmp_path / "audit"
    write_audited(out, [pictured(out, number) for number in range(2)], n=1000)
    page = open_page(out / "report.html")
    name(page, "A. Auditor")
    words = ("not a copy", "unsure")
    for number, word in enumerate(words):
        page.locator("#findings article").nth(number).get_by_role("button", name=word, exact=True).click()
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(line) + "\n" for line in saved(page)))
    counted = {each: found(out, reviews) for each, reviews in (("before", []), ("after", [tmp_path / "reviews.jsonl"]))}
    assert counted == {"before": "2", "after": "1"}
    ma.run_gate(out / "report.json", reviews=[tmp_path / "reviews.jsonl"], page=tmp_path / "judged.html")
    judged = open_page(tmp_path / "judged.html")
    assert "Verdict of the gate" in judged.locator(".verdict").inner_text()
    assert "A. Auditor" in told(judged)[0]


def found(out: Path, reviews: list[Path]) -> str:
    """What the gate counts against the limit on findings."""
    return next(rule.figure for rule in ma.run_gate(out, reviews=reviews).rules if rule.rule == "max_findings")


# --- look ----------------------------------------------------------------------------------------------------------


def pixels(page: Page) -> Any:
    """The drawing in the viewer, as it is on the screen."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#stage > svg").first.screenshot())).convert("L"), float)


def test_a_pair_is_enlarged_and_laid_on_each_other_as_aligned(audited: Path, open_page: Opening) -> None:
    """The generation is the middle of the training image: as a difference that part is dark, and nothing else; a slider
    uncovers it from the right; the frame is where the report says."""
    page = open_page(audited)
    page.locator("#findings button.frame").first.click()
    assert page.locator("#stage > svg").count() == 2
    assert page.locator("#stage rect").count() == 2
    page.uncheck("#v-boxes")
    page.select_option("#v-mode", "difference")
    page.wait_for_selector("#stage svg svg.difference")
    seen = pixels(page)
    height, width = seen.shape
    inner = seen[int(height * 0.22) : int(height * 0.62), int(width * 0.3) : int(width * 0.7)]
    outer = np.concatenate([seen[: int(height * 0.15)].ravel(), seen[int(height * 0.72) :].ravel()])
    assert inner.mean() < 0.35 * outer.mean()
    page.select_option("#v-mode", "slider")
    page.fill("#v-slider", "1000")
    page.wait_for_selector("#stage svg svg.slider[width='0']", state="attached")
    page.fill("#v-slider", "0")
    page.wait_for_selector("#stage svg svg.slider[x='0']", state="attached")
    assert page.locator("#v-how").inner_text().startswith("The generation is laid on the training image as the audit")
    page.select_option("#v-mode", "flicker")
    page.wait_for_selector("#stage svg svg.flicker")
    page.check("#v-boxes")
    page.wait_for_selector("#stage rect")
    box = page.evaluate(
        "(r => ['x', 'y', 'width', 'height'].map(n => +r.getAttribute(n)))(document.querySelector('#stage rect'))"
    )
    assert box == pytest.approx([0.25 * 320, 0.17 * 240, 0.5 * 320, 0.5 * 240])


def test_the_keyboard_suffices(audited: Path, open_page: Opening) -> None:
    """j and k go through the findings, the space bar enlarges, digits decide; typing in a field is typing."""
    page = open_page(audited)
    page.focus("#r-who")
    page.keyboard.type("jk 5")
    assert page.input_value("#r-who") == "jk 5"
    page.keyboard.press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("1")
    page.keyboard.press("k")
    page.keyboard.press("4")
    assert told(page)[:3] == ["unsure (jk 5)", "copy (jk 5)", ""]
    page.keyboard.press("Space")
    assert page.locator("#viewer").is_visible()
    assert page.locator("#v-title").inner_text().startswith("1 of 8")
    page.keyboard.press("j")
    assert page.locator("#v-title").inner_text().startswith("2 of 8")
    page.keyboard.press("2")
    assert page.locator("#v-said").inner_text() == "not a copy (jk 5)"
    page.keyboard.press("5")
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()
    assert told(page)[1] == ""


def test_findings_stand_by_kind_and_by_training_image(audited: Path, open_page: Opening) -> None:
    """The gravest first; the filters and orders leave what they should."""
    page = open_page(audited)
    headings = page.locator("#findings h3").all_inner_texts()
    assert [text.split()[0] for text in headings] == ["Verbatim", "Template", "Partial"]
    page.select_option("#f-kind", "partial")
    assert page.locator("#findings article").count() == 2
    page.select_option("#f-kind", "")
    page.select_option("#f-order", "generation")
    assert page.locator("#findings h3").count() == 0
    assert first(page) == "gen-00000"


def test_a_hostile_caption_stays_text(audited: Path, open_page: Opening) -> None:
    page = open_page(audited)
    page.fill("#f-text", "TAKEN</H1>")
    assert page.locator("#findings article").count() == 1
    assert page.title() == "Regurgitation audit"
    assert page.locator("h1").count() == 1
    assert page.locator("#findings script, #findings img[onerror]").count() == 0


# --- large, small, and on paper ------------------------------------------------------------------------------------


def test_ten_thousand_findings_open_in_three_seconds(tmp_path: Path, open_page: Opening) -> None:
    """Below 25 MB; as many pictures as fit are in the page, which says how many; the others say where theirs are."""
    (tmp_path / "thumbnails").mkdir()
    findings = []
    for number in range(10_000):
        each = finding(number, prompt=f"a long prompt of some words, number {number}")
        if number < 600:
            names = [f"thumbnails/{side}-{number}.jpg" for side in ("generation", "training")]
            for place, path in enumerate(names):
                noise(tmp_path / path, number + place, 240)
            each = replace(each, query_picture=names[0], reference_picture=names[1])
        findings.append(each)
    write_audited(tmp_path, findings, n=20_000)
    size = (tmp_path / "report.html").stat().st_size
    assert 20e6 < size < 25e6
    began = time.monotonic()
    page = open_page(tmp_path / "report.html")
    assert page.locator("#findings article").count() == 100
    wall = time.monotonic() - began
    processor = processor_time(page, lambda: opened_again(page, tmp_path / "report.html"))
    print(f"10,000 findings: {size / 1e6:.1f} MB, {wall:.2f} s, {processor:.2f} s of the processor")
    assert processor < 3
    said = page.locator("p", has_text="have their pictures in this page").inner_text()
    count = int(said.split()[0].replace(",", ""))
    assert 100 < count < 600
    page.select_option("#f-order", "weakest")
    assert page.locator("#findings article").first.get_by_text("picture not available: the run kept none").count() == 2
    page.select_option("#f-order", "similarity")
    for _ in range(5):
        page.locator(".pager .on").first.click()
    assert "the picture is beside the page: thumbnails/" in page.locator("#findings").inner_text()
    page.fill("#f-text", "number 9999")
    assert page.locator("#f-shown").inner_text() == "1 to 1 of 1 (of 10,000)"


def opened_again(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    assert page.locator("#findings article").count() == 100


def processor_time(page: Page, action: Callable[[], None]) -> float:
    """Seconds that it takes on the thread of the page: a machine that is busy must not fail a test."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    before = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    action()
    after = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(after["TaskDuration"] - before.get("TaskDuration", 0.0))


def test_many_lines_are_loaded_at_once(audited: Path, open_page: Opening, tmp_path: Path) -> None:
    """Time by the number of lines, and not by its square."""
    lines = [
        {"left_sha256": digest(f"a{n}"), "right_sha256": digest(f"b{n}"), "verdict": "copy", "who": "B"}
        for n in range(5000)
    ]
    pairs = [{**line, "left_sha256": pair(n)[0], "right_sha256": pair(n)[1]} for n, line in enumerate(lines[:8])]
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, *pairs, *pairs]))
    page = open_page(audited)

    def load() -> None:
        page.set_input_files("#r-files", [tmp_path / "b.jsonl"])
        page.locator("#r-count", has_text="8 of 8 decided").wait_for(timeout=120_000)

    assert processor_time(page, load) < 3
    assert len(saved(page)) == 5008


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_telephone_shows_it_without_sideways_scroll(audited: Path, open_page: Opening, dark: bool) -> None:
    page = open_page(audited, width=400, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    page.locator("#findings button.frame").first.click()
    assert page.evaluate("document.getElementById('viewer').scrollWidth <= 400")


def pages_of(pdf: Path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))


def test_on_paper_a_page_of_summary_then_six_findings_a_page(tmp_path: Path) -> None:
    """24 findings: the summary, four pages of them, and the figures."""
    write_audited(tmp_path / "none", [])
    write_audited(tmp_path / "some", [pictured(tmp_path / "some", number) for number in range(24)])
    counts = []
    for name in ("none", "some"):
        assert print_page(tmp_path / name / "report.html", tmp_path / f"{name}.pdf") is None
        counts.append(pages_of(tmp_path / f"{name}.pdf"))
    print(counts)
    assert counts[1] - counts[0] in (3, 4, 5)
    assert counts[0] <= 5


def test_pictures_beside_the_page_and_a_loud_line_where_they_are_missing(tmp_path: Path, open_page: Opening) -> None:
    out = tmp_path / "audit"
    write_audited(out, [pictured(out, number) for number in range(2)], beside=True)
    page = open_page(out / "report.html")
    assert page.evaluate("document.querySelector('#findings img').naturalWidth") == 320
    assert page.locator("#beside").inner_text().startswith("The pictures are not in this page.")
    assert not page.locator("#missing").is_visible()
    (out / "report.html").rename(tmp_path / "alone.html")
    page = open_page(tmp_path / "alone.html")
    page.wait_for_selector("#missing:visible")
    assert page.get_by_text("missing: thumbnails/generation-0.jpg").count() == 1


def test_faces_are_blurred_until_somebody_asks(tmp_path: Path, open_page: Opening) -> None:
    out = tmp_path / "audit"
    shown = pictured(out, 0)
    from memaudit.report.model import FaceMatch

    face = FaceMatch(
        query_id="gen-0",
        reference_id="train-0",
        similarity=0.7,
        kind="face",
        paired=False,
        near_duplicates=1,
        same_picture=False,
        query_picture=shown.query_picture,
        reference_picture=shown.reference_picture,
    )
    write_audited(out, [face])  # type: ignore[list-item]
    page = open_page(out / "report.html")
    blurred = "getComputedStyle(document.querySelector('#findings img')).filter"
    assert page.evaluate(blurred) == "blur(10px)"
    page.locator("#findings button.frame").first.click()
    enlarged = "getComputedStyle(document.querySelector('#stage image')).filter"
    page.wait_for_selector("#stage image")
    assert page.evaluate(enlarged) == "blur(30px)"
    page.keyboard.press("Escape")
    page.check("#unveil")
    assert page.evaluate(blurred) == "none"
    page.locator("#findings button.frame").first.click()
    page.wait_for_selector("#stage image")
    assert page.evaluate(enlarged) == "none"


# --- accessible ----------------------------------------------------------------------------------------------------


def violations(page: Page) -> list[str]:
    page.evaluate(axe_path().read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")[
        "violations"
    ]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_the_audits_page(audited: Path, open_page: Opening, dark: bool) -> None:
    """The page, and the enlarged pair with a verdict on it."""
    assert violations(open_page(audited, width=400, dark=dark)) == []
    page = open_page(audited, dark=dark)
    assert violations(page) == []
    name(page, "A")
    page.keyboard.press("Escape")
    page.locator("#findings button.frame").first.click()
    page.locator("#v-marks").get_by_role("button", name="copy", exact=True).click()
    assert violations(page) == []


@pytest.fixture(scope="module")
def deduped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of three groups, of similarities about 0.92, 0.85 and 0.8."""
    folder = tmp_path_factory.mktemp("deduped")
    vectors = np.concatenate([near(9, np.repeat(random_vectors(i, 1), 4, axis=0), 0.2 + 0.1 * i) for i in range(3)])
    store = vector_store(folder / "s", vectors, uris=[str(folder / "none.png")] * 12)
    ma.run_dedup(store, folder / "out", threshold=0.7, match="none")
    return folder / "out" / "report.html"


def test_groups_are_filtered_and_another_threshold_is_tried(deduped: Path, open_page: Opening) -> None:
    page = open_page(deduped)
    assert page.locator("#g-shown").inner_text() == "3 of 3 groups shown"
    page.fill("#g-size", "5")
    assert page.locator("#g-shown").inner_text() == "0 of 3 groups shown"
    page.fill("#g-size", "")
    assert (
        page.locator("#g-said")
        .inner_text()
        .endswith("link 12 images into 3 groups: this run’s own threshold, without what pixels decide.")
    )
    page.fill("#g-threshold", "20")
    assert page.locator("#g-at").inner_text() == "1.000"
    assert page.locator("#g-said").inner_text().startswith("0 pairs")
    assert page.locator(".family figure.out").count() == 9  # all but the three that are kept


def test_pairs_of_a_dedup_are_marked_and_the_next_run_follows(
    deduped: Path, open_page: Opening, tmp_path: Path
) -> None:
    """One that was removed is called no copy, by keyboard and in the enlarged pair: saved, fed back, it stays."""
    page = open_page(deduped)
    name(page, "A. Auditor")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("2")
    page.locator(".family button.frame").nth(1).click()
    assert page.locator("#v-title").inner_text().startswith("2 of ")
    assert page.locator("#v-ids").inner_text().startswith("removed image image-000")
    page.locator("#v-marks").get_by_role("button", name="copy", exact=True).click()
    page.keyboard.press("Escape")
    assert page.locator(".family .said").all_inner_texts()[:2] == ["not a copy (A. Auditor)", "copy (A. Auditor)"]
    page.reload()
    assert page.locator("#r-count").inner_text().startswith("2 of ")
    lines = saved(page)
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = deduped.parent.parent / "s"
    ma.run_dedup(store, tmp_path / "again", threshold=0.7, match="none", reviews=[tmp_path / "reviews.jsonl"])
    dropped = [set((place / "drop.txt").read_text().split()) for place in (deduped.parent, tmp_path / "again")]
    assert len(dropped[0] - dropped[1]) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_the_page_of_a_dedup(deduped: Path, open_page: Opening, dark: bool) -> None:
    page = open_page(deduped, dark=dark)
    assert violations(page) == []
    page.locator(".family button.frame").first.click()
    assert violations(page) == []
    narrow = open_page(deduped, width=400, dark=dark)
    assert violations(narrow) == []
    assert narrow.evaluate("document.documentElement.scrollWidth") == 400
