"""The page of an extraction says what was measured, found or not, and what was not looked at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from memaudit.extraction.results import Extraction, PromptCluster
from memaudit.matching.kinds import Kind
from memaudit.report.extraction import write_extraction
from memaudit.report.inconclusive import write_inconclusive
from memaudit.statistics import rate_of
from memaudit.types import Coverage

CLEAN = Extraction(
    threshold=0.15,
    clique=10,
    digest="0" * 64,
    coverage=Coverage(48, 48),
    memorised=rate_of(0, Coverage(4, 4)),
    clusters=(),
    blank=0,
    inconclusive=(),
    redrawn=rate_of(0, Coverage(4, 4)),
)
CLOCK = PromptCluster(
    prompt="a clock",
    generations=12,
    compared=12,
    unreadable=0,
    blank=0,
    members=("0.png", "1.png"),
    uris=("gone/0.png", "gone/1.png"),
    sha256=("0" * 64, "1" * 64),
    files=2,
    mean_distance=0.04,
    largest_distance=0.05,
    proven=True,
    boxes=(None, None),
)


def page_of(result: Extraction, out: Path) -> str:
    write_extraction(result, out)
    return (out / "report.html").read_text(encoding="utf-8")


def test_nothing_found_is_not_nothing_measured(tmp_path: Path) -> None:
    """A clean run has its counts, and so has one that measured too little to be clean."""
    clean = page_of(CLEAN, tmp_path / "clean")
    assert '<div class="banner good">' in clean
    assert "0 of 4" in clean
    assert "<p>None.</p>" in clean
    assert "48 of 48 generations" in clean
    few = page_of(replace(CLEAN, inconclusive=("only 40 of 48 generations could be read",)), tmp_path / "few")
    assert '<div class="banner open">' in few
    assert "0 of 4" in few
    assert not [page for page in (clean, few) if "Nothing was measured" in page or "nothing was compared" in page]


def test_no_option_is_advised_that_the_command_lacks(tmp_path: Path) -> None:
    """Nor on the page of a run that could measure nothing."""
    write_inconclusive("extraction", "no generation to compare", tmp_path)
    pages = (page_of(CLEAN, tmp_path / "clean"), (tmp_path / "report.html").read_text(encoding="utf-8"))
    for page in pages:
        assert not [option for option in ("--model", "--who", "not named") if option in page]
    assert "<dd>48, of 4 prompts</dd>" in pages[0]


def test_what_was_not_looked_for_is_not_called_none(tmp_path: Path) -> None:
    """Without OpenCV verbatim copies alone are looked for: the headline claims no more, and the page says what was left
    out."""
    assert "verbatim the same, or one template, or share a part)" in page_of(CLEAN, tmp_path / "all")
    why = "comparing pixels needs OpenCV"
    lines = (
        f"templates, parts and pictures drawn anew: {why}",
        "2 films or files of several pages: the first frame only",
    )
    page = page_of(replace(CLEAN, no_parts=why, redrawn=None, no_redrawn=why, not_read=lines), tmp_path / "verbatim")
    assert "(at least 10 generations that are verbatim the same); with 95% confidence" in page
    assert f"Templates, parts and pictures drawn anew: not measured ({why})." in page
    assert [f"Not looked at: {line}." in page for line in lines] == [True, True]


def test_what_was_drawn_anew_alone_is_no_alarm_of_copies(tmp_path: Path) -> None:
    anew = replace(CLOCK, kind=Kind.REDRAWN, probability=0.9)
    page = page_of(replace(CLEAN, clusters=(anew,), redrawn=rate_of(1, Coverage(4, 4))), tmp_path)
    assert '<div class="banner open">' in page
    assert '<div class="banner bad">' in page_of(
        replace(CLEAN, clusters=(CLOCK,), memorised=rate_of(1, Coverage(4, 4))), tmp_path / "copies"
    )


def test_one_is_told_in_the_singular(tmp_path: Path) -> None:
    one = rate_of(1, Coverage(4, 4))
    anew = replace(CLEAN, redrawn=one, clusters=(replace(CLOCK, kind=Kind.REDRAWN, probability=0.9),))
    assert "Beside them 1 gives one picture drawn anew." in page_of(anew, tmp_path / "anew")
    found = replace(CLEAN, memorised=one, clusters=(CLOCK,))
    assert "1 of 4 prompts gives one picture again and again" in page_of(found, tmp_path / "found")
    short = replace(found, inconclusive=("a tar ends early",))
    assert "Found all the same: 1 prompt that gives one picture." in page_of(short, tmp_path / "short")
