"""The page on which images are labelled, in a browser: keys, the file that is saved, what stays, and its contrasts."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Opening
from pictures import MakeFolder, MakeStore

from memaudit.api.filtering import review_filter, train_filter
from memaudit.filters.labels import Answer, read_labels
from scripts.fetch_axe import axe_path


@pytest.fixture
def page(picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path) -> Path:
    store = make_store(picture_folder(16))
    labels = {"0001.png": 1, "0002.png": 0}
    return review_filter(train_filter(store, labels, tmp_path / "some", count=6, sample=6))


def test_keys_label_and_the_file_is_read(page: Path, open_page: Opening, tmp_path: Path) -> None:
    """Yes, no, unsure, one after the other; one is taken back; what was said stays when the page is loaded again."""
    opened = open_page(page)
    ids = opened.eval_on_selector_all(".one figcaption", "all => all.map(each => each.firstChild.textContent)")
    for key in ("y", "n", "u", "y"):
        opened.keyboard.press(key)
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Backspace")
    assert opened.text_content("#count") == f"3 of {len(ids)} have an answer"
    opened.reload()
    assert opened.text_content("#count") == f"3 of {len(ids)} have an answer"
    opened.click(".one:nth-child(5) button[data-say='0']")
    with opened.expect_download() as download:
        opened.click("#save")
    download.value.save_as(tmp_path / "labels.csv")
    yes, no, unsure = Answer
    assert read_labels([tmp_path / "labels.csv"]) == dict(zip([*ids[:3], ids[4]], [yes, no, unsure, no], strict=True))


def test_two_tabs_lose_nothing(page: Path, open_page: Opening) -> None:
    """Each keeps what the other wrote, and shows it."""
    opened = open_page(page)
    other = opened.context.new_page()
    other.goto(page.resolve().as_uri())
    opened.keyboard.press("y")
    other.locator("#count", has_text="1 of").wait_for()
    other.click(".one:nth-child(2) button[data-say='0']")
    opened.click(".one:nth-child(3) button[data-say='1']")
    for each in (opened, other):
        each.reload()
        pressed = each.eval_on_selector_all("button[aria-pressed=true]", "all => all.map(each => each.dataset.say)")
        assert pressed == ["1", "0", "1"]


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(page: Path, open_page: Opening, dark: bool) -> None:
    opened = open_page(page, dark=dark)
    opened.keyboard.press("y")
    opened.keyboard.press("n")
    opened.keyboard.press("u")
    opened.evaluate(axe_path().read_text(encoding="utf-8"))
    found = opened.evaluate("axe.run()")
    assert [violation["id"] for violation in found["violations"]] == []
