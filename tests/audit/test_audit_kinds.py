"""`audit --kinds`: what is of another kind stands in no figure, and is shown with its number."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import ImageOps
from test_audit_pixels import GENEROUS, stored, textured

import memaudit as ma
from memaudit.audit.pairing import Prompted
from memaudit.audit.planted import PlantedQueries
from memaudit.audit.planting import Copy, Planting
from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit, with_planted
from memaudit.audit.shortfalls import NO_VIEWS
from memaudit.errors import UsageError
from memaudit.index import ExactSearch
from memaudit.matching.kinds import ALL, Kind
from memaudit.matching.search import StoredQueries
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults, ImageMatch
from memaudit.store import Store

VERBATIM = AuditOptions(match_from=0.05, kinds=(Kind.VERBATIM,))


@pytest.fixture
def references(tmp_path: Path) -> Store:
    return stored(tmp_path / "train", {f"{seed:02d}": textured(seed) for seed in range(8)})


@pytest.fixture
def generations(tmp_path: Path) -> Store:
    """A verbatim copy, a template, one with a part of a training image, and a new picture."""
    template = textured(2)
    template.paste(ImageOps.autocontrast(textured(900).resize((70, 60)).convert("L")).convert("RGB"), (110, 20))
    pictures = {"copy": textured(1), "new": textured(500), "part": textured(3).crop((40, 30, 180, 140))}
    return stored(tmp_path / "gen", {**pictures, "template": template})


def counted(result: AuditResult, generations: Store) -> set[str]:
    names = generations.all_columns().image_id
    return {names[row].removesuffix(".png") for row in result.matches.query}


def test_only_the_named_kinds_stand_in_the_rate(generations: Store, references: Store) -> None:
    every = audit(generations, ExactSearch(references), options=GENEROUS)
    assert (every.searched.count, counted(every, generations)) == (3, {"copy", "template", "part"})
    one = audit(generations, ExactSearch(references), options=VERBATIM)
    assert (one.searched.count, counted(one, generations)) == (1, {"copy"})
    assert one.scores.regurgitated.sum() == 1
    assert one.not_counted is not None
    assert sorted(map(str, one.not_counted.kind)) == ["partial", "template"]
    assert one.misses is not None
    assert len(one.misses.query) == 1  # what does not count is no near miss


def test_the_prompts_own_image_goes_by_the_same_kinds(generations: Store, references: Store) -> None:
    """A template of it is none where only verbatim copies count, however similar it is."""
    prompts = {name: Prompted(own, "a prompt") for name, own in (("copy.png", "01.png"), ("template.png", "02.png"))}
    similar = AuditOptions(match_from=0.05, threshold=0.1, kinds=(Kind.VERBATIM,))
    result = audit(generations, ExactSearch(references), pairing=prompts, options=similar)
    assert result.paired is not None
    assert result.paired.count == 1


def test_held_out_images_go_by_the_same_kinds(generations: Store, references: Store, tmp_path: Path) -> None:
    """A part of a training image is no match where only verbatim copies count, and no control either."""
    pictures = {"new": textured(600), "part": textured(3).crop((40, 30, 180, 140)), "copy": textured(4)}
    control = stored(tmp_path / "control", pictures)
    result = audit(generations, ExactSearch(references), control=control, options=VERBATIM)
    assert result.control is not None
    assert (result.control.matched.count, result.control.excluded_controls) == (1, 2)


def test_planted_copies_are_found_by_the_same_kinds(references: Store, generations: Store, tmp_path: Path) -> None:
    """A crop that is a partial copy goes undetected where only verbatim copies count."""
    pictures = {"copy": textured(1), "part": textured(3).crop((40, 30, 180, 140))}
    made = Planting(2, (Copy("copy.png", "re-encoded", 1), Copy("part.png", "cropped", 3)))
    planted = PlantedQueries(made, StoredQueries(stored(tmp_path / "planted", pictures)))
    for options, parts in ((GENEROUS, 1), (VERBATIM, 0)):
        result = audit(generations, ExactSearch(references), options=options)
        told = with_planted(result, planted, ExactSearch(references), NO_VIEWS.windows, options).planted
        assert told
        found = {kind: rate.count for kind, rate, _ in told.kinds if rate and rate.coverage.total}
        assert found == {"re-encoded": 1, "cropped": parts}


def test_where_nothing_is_compared_everything_counts(generations: Store, references: Store) -> None:
    """A match at the threshold may be of any kind."""
    blind = AuditOptions(match="none", threshold=0.5, kinds=(Kind.TEMPLATE,))
    result = audit(generations, ExactSearch(references), options=blind)
    assert result.searched.count >= 2
    assert result.not_counted is not None
    assert not len(result.not_counted.query)


def test_report_and_tables_hold_what_does_not_count(generations: Store, references: Store, tmp_path: Path) -> None:
    result = audit(generations, ExactSearch(references), options=VERBATIM)
    write_audit(result, generations, references, tmp_path / "out")
    report = read_report(tmp_path / "out" / "report.json")
    results = report.results
    assert isinstance(results, AuditResults)
    assert results.counted_kinds == ["verbatim"]
    assert results.not_counted == {"template": 1, "near-duplicate": 0, "partial": 1}
    assert "not counted: template 1, near-duplicate 0, partial 1, re-drawn (not looked for)" in results.headline
    shown = {each.kind: each.counted is not False for each in report.findings if isinstance(each, ImageMatch)}
    assert shown == {"verbatim": True, "template": False, "partial": False}
    rows = pq.read_table(tmp_path / "out" / "matches.parquet").to_pylist()
    assert {(row["kind"], row["counted"]) for row in rows if row["rank"] == 1} == {
        ("verbatim", True),
        ("template", False),
        ("partial", False),
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count('<span class="tag">not counted</span>') == 2


def test_a_generation_with_matches_of_several_kinds_counts_with_the_gravest_that_does(tmp_path: Path) -> None:
    """It is one training image, and a part of it is another."""
    training = {"whole": textured(1), "part": textured(1).crop((40, 30, 180, 140)), "other": textured(2)}
    references = stored(tmp_path / "train", training)
    generations = stored(tmp_path / "gen", {"copy": textured(1)})
    options = AuditOptions(match_from=0.05, kinds=(Kind.PARTIAL,))
    result = audit(generations, ExactSearch(references), options=options)
    assert counted(result, generations) == {"copy"}
    assert [*map(str, result.matches.kind)] == ["partial"]
    assert result.kinds_of == {0: ("verbatim", "partial")}
    write_audit(result, generations, references, tmp_path / "out")
    (finding,) = read_report(tmp_path / "out" / "report.json").findings
    assert isinstance(finding, ImageMatch)
    assert (finding.kind, finding.kinds) == ("partial", ["verbatim", "partial"])


def test_all_kinds_is_what_an_audit_counts_by_itself(generations: Store, references: Store, tmp_path: Path) -> None:
    write_audit(audit(generations, ExactSearch(references), options=GENEROUS), generations, references, tmp_path / "o")
    results = read_report(tmp_path / "o" / "report.json").results
    assert isinstance(results, AuditResults)
    assert results.counted_kinds == [*map(str, ALL)]
    assert results.not_counted == {}
    assert "not counted" not in (tmp_path / "o" / "report.html").read_text()


def test_a_kind_that_is_none_is_refused_before_anything_is_embedded(generations: Store, references: Store) -> None:
    with pytest.raises(UsageError, match="unknown kind 'verbatm'"):
        ma.run_audit(generations, against=references, kinds="verbatm")
