"""The page that the server gives out: made once, of this package alone."""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

from memaudit.report.page import script_of, text_of
from memaudit.reviewing.desk import MOST_WHO, MOST_WHY, Desk

_ICON = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"><path d="M0 0h.9v1H0zM1.1 0H2v1h-.9z"/></svg>'


class File(NamedTuple):
    data: bytes
    kind: str


class Page(NamedTuple):
    """html: of the page itself; files: what it asks for, by path."""

    html: bytes
    files: dict[str, File]


def page_of(desk: Desk) -> Page:
    queue = desk.queue
    data = {
        "roles": queue.roles._asdict(),
        "veiled": queue.veiled,
        "who": desk.who,
        "most": {"who": MOST_WHO, "why": MOST_WHY},
    }
    html = text_of(
        "review.html", title=queue.title, notes=queue.notes, file=desk.book.path.name, data=data, roles=queue.roles
    )
    script, _ = script_of("viewer.js", "review.js")
    folder = resources.files("memaudit.report").joinpath("templates")
    style = "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "review.css"))
    files = {
        "/page.css": File(style.encode(), "text/css"),
        "/page.js": File(script.encode(), "text/javascript"),
        "/icon.svg": File(_ICON, "image/svg+xml"),
    }
    return Page(html.encode(), files)
