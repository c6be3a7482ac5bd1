"""Pairs that findings are held against: for the kinds that were found, small, and as the models see them now."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.redrawn import redrawn_model
from memaudit.report.anchors import anchors_of
from memaudit.report.pages import write_report_page
from scripts.anchors import ANCHORS, said_of
from tests.gate.reports import audit, finding, redrawn, typed

TOLD: dict[str, Any] = json.loads(files("memaudit.report").joinpath("anchors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", COPIES)
def test_pixels_say_of_each_what_its_file_says(kind: Kind) -> None:
    """Drawn again and compared again: a model that changes has other anchors (python -m scripts.anchors)."""
    for anchor, told in zip(ANCHORS[kind], TOLD[kind], strict=True):
        assert said_of(kind, anchor)["probability"] == pytest.approx(told["probability"], abs=0.02)


def test_what_is_drawn_anew_is_called_so_by_the_model_of_the_day_and_a_likeness_is_not() -> None:
    """By the signals that the file has; the page has no encoder."""
    report = typed(audit(found=[finding(1, kind="re-drawn")], redrawn=redrawn(1)), "a")
    (anchors,) = anchors_of(report).kinds
    model = redrawn_model()
    for told, shown in zip(TOLD["re-drawn"], anchors.pairs, strict=True):
        signals = np.array(told["signals"])
        hopeful = model.may_be(signals[:5])
        assert shown.probability == pytest.approx(model.probability(model.logit(signals)) if hopeful else 0.0)
        assert (shown.probability >= model.cut) == (not told["said"].startswith("not called so"))


def test_only_kinds_that_were_found_have_theirs() -> None:
    """Each with the sentence that says where it begins, by this run's own cut."""
    found = [finding(n, kind=kind, verified=True) for n, kind in enumerate(("partial", "near-duplicate", "verbatim"))]
    shown, sources = anchors_of(typed(audit(found=found), "a"))
    assert [each.split(" ")[1] for each in sources] == ["copies"]
    assert [each.kind for each in shown] == ["verbatim", "near-duplicate", "partial"]
    assert all(2 <= len(each.pairs) <= 3 for each in shown)
    assert shown[1].cut.startswith("from a similarity of 0.75 on, or from a probability of 0.409 on")
    assert anchors_of(typed(audit(), "a")).kinds == []
    digest = "c" * 64
    by = {"digest": digest, "threshold": 0.7, "cut": 0.6, "own_cut": 0.409}
    partial = finding(1, kind="partial", verified=True)
    (own,), sources = anchors_of(typed(audit(found=[partial], calibration=by), "a"))
    assert own.cut == "from a probability of 0.6 on"
    assert sources == ["of copies a calibration of one's own moved it from 0.409"]


def test_they_take_a_few_kilobytes_of_the_page(tmp_path: Path) -> None:
    report = typed(audit(found=[finding(1, kind="verbatim", verified=True)]), "a")
    write_report_page(tmp_path / "with.html", report)
    write_report_page(tmp_path / "without.html", typed(audit(), "a"))
    page = (tmp_path / "with.html").read_text()
    assert page.count("data:image/jpeg") == 4
    assert sum(len(part.split('"')[0]) for part in page.split("data:image/jpeg")[1:]) < 7_000
    assert "data:image/jpeg" not in (tmp_path / "without.html").read_text()
    assert len(json.dumps(TOLD)) < 20_000
