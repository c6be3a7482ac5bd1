"""memaudit history, and what differs between the training sets of two audits."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import altered, draw, write_pictures

from memaudit.cli.app import run
from memaudit.report.history import Entry, chart_of, write_history


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two audits of the same generations: the training set lost one picture that came back, and got another one."""
    folder = tmp_path_factory.mktemp("history")
    write_pictures(folder / "train", range(8))
    write_pictures(folder / "model", range(500, 510))
    for number in (1, 2):
        altered(draw(number)).save(folder / "model" / f"copy-{number}.png")
    shutil.copytree(folder / "train", folder / "train-2")
    (folder / "train-2" / "0001.png").unlink()
    draw(50).save(folder / "train-2" / "0050.png")
    names = sorted(path.name for path in (folder / "model").iterdir())
    lines = [f"{name},{number:04d}.png,prompt {number}" for number, name in enumerate(names, 2)][:6]
    lines += [f"{name},0002.png,prompt {number}" for number, name in enumerate(names, 2)][6:]
    (folder / "pairing.csv").write_text("\n".join(["generation,image_id,prompt", *lines]) + "\n")
    for train, out in (("train", "audit-1"), ("train-2", "audit-2")):
        steps = (
            f"embed {folder / train} --out {folder / f'store-{out}'} --encoder thumbnail",
            f"audit {folder / 'model'} --against {folder / f'store-{out}'} --pairing {folder / 'pairing.csv'} "
            f"--out {folder / out}",
        )
        for step in steps:
            assert run([*step.split(), "--quiet"]) in (0, 3), step
    return folder


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def of(self, tag: str, kind: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.seen if name == tag and kind in (attrs.get("class") or "").split()]


def test_rates_side_by_side_and_what_differs(memaudit: Memaudit, made: Path, tmp_path: Path) -> None:
    """New, gone and what differs in the training set; on the page a dot an audit, and a border between the sets."""
    reports = [made / "audit-2" / "report.json", made / "audit-1" / "report.json"]
    called = memaudit("history", *reports, "--out", tmp_path / "h.html")
    assert called.code == 0, called.err
    assert "The training set has 1 files that it had not, and lacks 1 that it had." in called.out
    assert "The training image of 1 of the 2 findings before is no longer in it" in called.out
    assert "Caveat: they are about different training sets" in called.out
    assert "New: 0\nGone: 1\n  copy-1.png → 0001.png\nChanged: 0" in called.out
    page = (tmp_path / "h.html").read_text()
    tags = Tags(page)
    assert len(tags.of("circle", "dot")) == 2
    assert len(tags.of("line", "border")) == 1
    assert len(tags.of("line", "way")) == 1
    assert not [tag for tag, attrs in tags.seen if tag in ("script", "img", "link") or "href" in attrs]
    value = memaudit("history", *reports, "--out", tmp_path / "h.html", "--json").json
    assert [audit["found"] for audit in value["audits"]] == [2, 1]
    assert [audit["other_set"] for audit in value["audits"]] == [False, True]
    assert value["since"]["lists"]["Gone"] == ["copy-1.png → 0001.png"]


def test_compare_says_what_differs_in_the_training_set(memaudit: Memaudit, made: Path) -> None:
    reports = [made / name / "report.json" for name in ("audit-1", "audit-2")]
    value = memaudit("compare", *reports, "--json").json
    assert (value["training_sets"]["added"], value["training_sets"]["removed"]) == (1, 1)
    assert value["training_sets"]["files"] == [8, 8]


def test_where_a_store_is_gone_the_rates_stand_and_it_is_said(memaudit: Memaudit, made: Path, tmp_path: Path) -> None:
    for name in ("audit-1", "audit-2"):
        shutil.copytree(made / name, tmp_path / name)
    called = memaudit("compare", *(tmp_path / name / "report.json" for name in ("audit-1", "audit-2")))
    assert called.code == 0
    assert "What differs between the training sets is not known" in called.out


def test_a_folder_stands_for_its_audits(memaudit: Memaudit, made: Path, tmp_path: Path) -> None:
    """Other reports in it are passed over; a single audit has no since; nothing is counted twice."""
    value = memaudit("history", made, made / "audit-1" / "report.json", "--out", tmp_path / "h.html", "--json").json
    assert len(value["audits"]) == 2
    value = memaudit("history", made / "audit-1", "--out", tmp_path / "h.html", "--json").json
    assert value["since"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.json"], "none.json"),
        (["audit-1/report.json", "--out", "h.txt"], "expected a file that ends in .html"),
        (["audit-1/report.json", "--out", "other.html"], "is no page of a history: choose another --out"),
        (["empty"], "empty"),
    ],
)
def test_what_cannot_be_is_one_line(
    memaudit: Memaudit, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "audit-1", tmp_path / "audit-1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other.html").write_text("<title>mine</title>")
    memaudit("history", *arguments).failed(2, words)
    assert (tmp_path / "other.html").read_text() == "<title>mine</title>"


def test_a_dedup_report_is_none(memaudit: Memaudit, made: Path, tmp_path: Path) -> None:
    assert memaudit("dedup", made / "store-audit-1", "--out", tmp_path / "dedup").code == 0
    memaudit("history", tmp_path / "dedup" / "report.json", "--out", tmp_path / "h.html").failed(2, "is no audit")


def test_hostile_names_are_only_text(memaudit: Memaudit, made: Path, tmp_path: Path) -> None:
    folder = tmp_path / '<img src=x onerror="alert(1)">'
    shutil.copytree(made / "audit-1", folder)
    assert memaudit("history", folder, made / "audit-2", "--out", tmp_path / "h.html").code == 0
    page = (tmp_path / "h.html").read_text()
    assert "img" not in {tag for tag, _ in Tags(page).seen}
    assert json.dumps("default-src 'none'")[1:-1] in page


def entry(value: float | None, high: float, **changes: object) -> Entry:
    known = {"name": "a", "created": "2026-01-01", "found": 0, "measured": 10, "low": 0.0, "findings": 0}
    return Entry(**{**known, "value": value, "high": high, "training_set": "s", **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("high", [1.0, 0.5, 0.21, 0.031, 0.003, 0.00006])
def test_the_axis_begins_at_zero_and_holds_the_highest_end(high: float) -> None:
    chart = chart_of([entry(high / 2, high), entry(0.0, high / 3)])
    assert chart.ticks[0][1] == "0%"
    assert 2 <= len(chart.ticks) <= 7
    assert min(y for y, _ in chart.ticks) <= min(mark.high for mark in chart.marks)
    assert all(re.fullmatch(r"[\d.e-]+%", words) for _, words in chart.ticks)


def test_one_audit_is_one(tmp_path: Path) -> None:
    write_history(tmp_path / "h.html", [entry(0.1, 0.2)], "prompts", None)
    assert "<h1>1 audit</h1>" in (tmp_path / "h.html").read_text(encoding="utf-8")


def test_no_line_leads_over_what_cannot_be_compared() -> None:
    chart = chart_of(
        [entry(0.1, 0.2), entry(0.1, 0.2, break_="the encoders differ"), entry(None, 0.2), entry(0.1, 0.2)]
    )
    assert [mark.line is None for mark in chart.marks] == [True, True, True, True]
    assert chart.marks[2].y is None
