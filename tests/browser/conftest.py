"""A real browser: Debian's Chromium, driven by Playwright. Where either is missing they are skipped, and say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from memaudit.report.printing import find_chromium
from scripts.fetch_axe import axe_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = find_chromium()
Opening = Callable[..., "Page"]  # the fixture open_page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test here is slow, and needs both."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.slow)
        if CHROMIUM is None or find_spec("playwright") is None:
            missing = "Chromium: install it (Debian: apt-get install chromium)" if CHROMIUM is None else "Playwright"
            item.add_marker(pytest.mark.skip(reason=f"no {missing}, then ./scripts/test --all"))
        if "axe" in item.name and not axe_path().is_file():
            item.add_marker(pytest.mark.skip(reason="no axe-core: ./scripts/fetch_axe"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opening]:
    """Open a file in a fresh profile: open_page(path, width=400). What it asks for beside files is an error, and so is
    what its script throws, and what its policy refuses."""
    wrong: list[str] = []
    contexts = []

    def opened(path: Path, width: int = 1280, height: int = 1000, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: _local(request.url, wrong))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        page.goto(path.resolve().as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not [line for line in wrong if "ERR_FILE_NOT_FOUND" not in line]


def _local(url: str, wrong: list[str]) -> None:
    if not url.startswith(("file:", "data:", "blob:")):
        wrong.append(f"asked for {url}")
