"""On the page of an audit that looked for people, pictures are blurred until somebody asks."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from audited_page import compared_faces, pictured, write_audited
from msgspec.structs import replace

from memaudit.report.model import HeldOutImage, Miss, Redrawn, coverage_of, rate_of
from memaudit.statistics import rate_of as rate
from memaudit.types import Coverage

VOID = ("img", "meta", "input", "br", "line", "rect")
ANEW = Redrawn(
    measured=True,
    headline="Re-drawn: 1",
    searched=rate_of(rate(1, Coverage(400, 400))),
    compared=coverage_of(Coverage(1, 1)),
)


class _Pictures(HTMLParser):
    """Counts the pictures of a page, and those that stand in nothing that is blurred."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self._within: list[tuple[str, bool]] = []
        self.all = self.clear = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "img" and told.get("data-name"):
            self.all += 1
            self.clear += not any(veiled for _, veiled in self._within)
        if tag not in VOID:
            self._within.append((tag, "veiled" in (told.get("class") or "").split()))

    def handle_endtag(self, tag: str) -> None:
        if any(tag == name for name, _ in self._within):
            while self._within.pop()[0] != tag:
                pass


def test_what_is_drawn_anew_and_what_is_no_finding_is_blurred(tmp_path: Path) -> None:
    """Beside findings, where the box stands that shows them; and without any, where it stands with the others."""
    copy, drawn = pictured(tmp_path, 0), pictured(tmp_path, 2)
    held_out = HeldOutImage(image_id="held-out", similarity=0.5, picture=copy.reference_picture)
    anew = replace(drawn, kind="re-drawn", probability=0.9, nearest_held_out=held_out)
    miss = Miss(
        query_id="gen-x",
        reference_id="train-x",
        similarity=0.3,
        view="whole",
        kind="similar",
        query_picture=copy.query_picture,
        reference_picture=copy.reference_picture,
    )
    people = compared_faces(0)
    for findings, shown in (([copy, anew], 4 + 3 + 2), ([], 2)):
        write_audited(tmp_path, findings, faces=people, redrawn=ANEW, misses=[miss])
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        pictures = _Pictures(page)
        assert (pictures.all, pictures.clear) == (shown, 0)
        assert page.count('id="unveil"') == 1
    write_audited(tmp_path, [copy], misses=[miss])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert _Pictures(page).clear == 4
    assert 'id="unveil"' not in page
