"""Runs on a store that was moved together with its images, or without them, from another working folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pictures import altered, photograph

import memaudit as ma
from memaudit.errors import InputError

PIXELS = {"match": "pixels", "match_from": 0.05, "threshold": 0.99}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Training images of which one is another altered, and their store; generations of which one is a copy. Made by
    relative names, and moved; the working folder is another one by then."""
    monkeypatch.chdir(tmp_path)
    for folder in ("was/training", "was/generations"):
        Path(folder).mkdir(parents=True)
    for number in range(3):
        photograph(number).save(f"was/training/{number}.png")
    altered(photograph(0)).save("was/training/0-again.png")
    altered(photograph(1)).save("was/generations/copy.png")
    ma.embed("was/training", "was/store", encoder="thumbnail")
    shutil.move("was", "now")
    monkeypatch.chdir("/")
    return tmp_path / "now"


def test_runs_read_the_images(project: Path) -> None:
    deduped = ma.run_dedup(project / "store", project / "dedup", **PIXELS)
    assert deduped.conclusive
    assert sorted(deduped.drop) == ["0-again.png"]
    audited = ma.run_audit(project / "generations", project / "store", project / "audit", planted=0, **PIXELS)
    assert audited.conclusive
    assert [finding.reference_id for finding in audited.findings.rows] == ["1.png"]
    found = ma.run_lookup(project / "generations", project / "store", views="none", **PIXELS)
    assert (found.evidence.pixels.status, found.answers[0].matches[0].verified) == ("compared", True)
    exported = ma.export(deduped, project / "export", to="folder")
    assert exported.samples.exported == 3
    with ma.open_review(deduped, project / "reviews.jsonl") as page:
        assert page.notes == ()


def test_images_that_are_gone_are_one_line(project: Path) -> None:
    """Which was looked for, at which paths, relative to what, and what to do."""
    deduped = ma.run_dedup(project / "store", project / "dedup", **PIXELS)
    (project / "training").rename(project / "hidden")
    was, now = project.parent / "was", project
    line = (
        f"images of store {now}/store are not where it says: '0-again.png' was looked for at "
        f"{was}/training/0-again.png (as the store says), then {now}/training/0-again.png (as it lay from the store, "
        f"which stood in {was}); put them there, move the store together with them, or embed them anew"
    )
    again = ma.run_dedup(project / "store", project / "again", **PIXELS)
    assert line in again.report.content["results"]["reasons"]
    audited = ma.run_audit(project / "generations", project / "store", project / "audit", planted=0, **PIXELS)
    assert not audited.conclusive
    assert line in audited.report.content["results"]["reasons"]
    assert line in ma.run_lookup(project / "generations", project / "store", views="none", **PIXELS).warnings
    with pytest.raises(InputError) as refused:
        ma.export(deduped, project / "export", to="folder")
    assert str(refused.value).endswith(f"; {line.replace('0-again', '0')}")
    with ma.open_review(deduped, project / "reviews.jsonl") as page:
        assert page.notes == (line,)
