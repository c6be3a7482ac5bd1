"""Planted copies in an audit from end to end: one bound a claim, nothing left behind, off by name or without files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from vectors import random_vectors

import memaudit as ma
from memaudit.errors import UsageError
from memaudit.images.copy_kinds import PLANTED
from memaudit.report.model import AuditResults, Planted

pytestmark = pytest.mark.usefixtures("as_many_copies")


def results_of(run: ma.AuditRun) -> AuditResults:
    assert isinstance(run.results, AuditResults)
    return run.results


def planted_in(run: ma.AuditRun) -> Planted:
    planted = results_of(run).planted
    assert planted
    return planted


@pytest.fixture
def store(folders: Path) -> ma.Store:
    return ma.embed("training", out="store", encoder="thumbnail")


def test_headline_page_report_and_gate_state_one_bound(store: ma.Store, folders: Path) -> None:
    """By a kind that is mostly found: thumbnail finds no mirrored copy, and the bound by that is 100 %."""
    run = ma.run_audit("generations", store, out="audit")
    planted = planted_in(run)
    assert [each.kind for each in planted.kinds] == list(PLANTED)
    assert (planted.asked, planted.images, planted.unreadable) == (100, 12, 0)
    stated = results_of(run).searched.stated
    assert stated.upper == 1
    assert "with 95% confidence at most 100\u00a0%" in run.headline
    assert re.search(r"Of 60 altered [a-z ]+ found \d+, and \d+ of the \d+ mirrored ones, the h", run.headline)
    assert "at most 100\u00a0%" in (folders / "audit/report.html").read_text()
    rules = {rule.rule: rule for rule in ma.run_gate(run).rules}
    assert rules["max_rate"].figure == "100%"
    (folders / "some.toml").write_text('[audit]\nplanted = ["re-encoded"]\nmax_rate = 0.9\n')
    rule = next(rule for rule in ma.run_gate(run, "some.toml").rules if rule.rule == "max_rate")
    assert "planted ones that are re-encoded were found" in rule.sentence


def test_copies_count_nowhere_and_their_pictures_are_gone(store: ma.Store, folders: Path) -> None:
    """Same rates, findings and tables as without them; the store of their embeddings stays, for the next run."""
    run, alone = ma.run_audit("generations", store, out="audit"), ma.run_audit("generations", store, planted=0)
    assert results_of(run).searched.n == results_of(alone).searched.n == 5
    assert results_of(run).searched.upper == results_of(alone).searched.upper
    assert run.findings.to_arrow().num_rows == alone.findings.to_arrow().num_rows
    assert str(run.scores.to_arrow().to_pylist()) == str(alone.scores.to_arrow().to_pylist())
    assert not (folders / "audit/planted-pictures").exists()
    written = (folders / "audit/planted/shard-00000.h5").stat().st_mtime_ns
    again = ma.run_audit("generations", store, out="audit")
    assert planted_in(again) == planted_in(run)
    assert (folders / "audit/planted/shard-00000.h5").stat().st_mtime_ns == written
    assert ma.verify("audit").sound


def test_off_by_name_it_is_a_rate_of_detectable_copies(store: ma.Store) -> None:
    run = ma.run_audit("generations", store, planted=0)
    assert planted_in(run).why_none == "--planted 0"
    assert results_of(run).searched.stated == results_of(run).searched
    assert "These are rates of detectable copies" in run.headline
    assert run.headline.endswith("was not measured (--planted 0).")
    rule = next(rule for rule in ma.run_gate(run).rules if rule.rule == "max_rate")
    assert (str(rule.outcome), "(--planted 0)" in rule.sentence) == ("inconclusive", True)


def test_where_no_training_image_can_be_read_there_are_none(store: ma.Store, folders: Path) -> None:
    """Nor with an encoder that memaudit has not."""
    for path in (folders / "training").iterdir():
        path.unlink()
    run = ma.run_audit("generations", store)
    assert planted_in(run).why_none == "no file of the training set could be read"
    assert planted_in(run).unreadable > 0
    for name, seed in (("theirs", 1), ("ours", 2)):
        np.save(f"{name}.npy", random_vectors(seed, 20))
        Path(f"{name}.txt").write_text("\n".join(f"{name}-{i}" for i in range(20)))
        ma.import_embeddings(f"{name}.npy", name, ids=f"{name}.txt", encoder="foreign", threshold=0.9)
    run = ma.run_audit("ours", ma.open_store("theirs"))
    assert planted_in(run).why_none == "the encoder foreign is none of memaudit's"
    assert "rates of detectable copies" in run.headline


def test_impossible_numbers_are_refused_before_anything_is_embedded(store: ma.Store, folders: Path) -> None:
    with pytest.raises(UsageError, match="--planted -1 is out of range"):
        ma.run_audit("generations", store, out="audit", planted=-1)
    assert not (folders / "audit/generations").exists()
