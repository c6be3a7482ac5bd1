"""Audits and look-ups by a calibration: what its cut does to them, and what they say of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from altered import saved
from pictures import MakeFolder, MakeStore, altered, draw, photograph
from vectors import vector_store

from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError
from memaudit.gate import GatePolicy, Policy, judge
from memaudit.images.sources import iter_images
from memaudit.images.views import views_of
from memaudit.index import ExactSearch
from memaudit.lookup.evidence import evidence_of
from memaudit.lookup.run import LookupOptions, look_up
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.identity import digest_of_model
from memaudit.matching.model import copy_model
from memaudit.report.audit import write_audit
from memaudit.report.model import AuditResults
from memaudit.store import Store
from memaudit.types import EncoderSpec

BELOW = 0.7  # similarity of each generation to its picture; the threshold is 0.8


def settled(encoder: EncoderSpec, cut: float | None) -> Calibrated:
    return Calibrated("c" * 64, encoder.threshold, cut, copy_model().cut, None, encoder, digest_of_model())


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    """Three training images and a generation of each: a copy, a copy, another picture."""
    folder = tmp_path_factory.mktemp("sides")
    stores = []
    for name in ("training", "generations"):
        paths = [folder / f"{name}-{number}.png" for number in range(3)]
        for number, path in enumerate(paths):
            image = photograph(number if name == "training" or number < 2 else 9, (160, 120))
            (image if name == "training" else saved(image, 50)).save(path, compress_level=1)
        vectors = np.zeros((3, 6))
        vectors[np.arange(3), 2 * np.arange(3)] = 1.0 if name == "training" else BELOW
        vectors[np.arange(3), 2 * np.arange(3) + 1] = 0.0 if name == "training" else np.sqrt(1 - BELOW**2)
        stores.append(
            vector_store(
                folder / name,
                vectors,
                ids=[path.stem for path in paths],
                uris=[str(path) for path in paths],
                hashes=[hashlib.sha256(path.read_bytes()).hexdigest() for path in paths],
            )
        )
    return stores[1], stores[0]


def audited(sides: tuple[Store, Store], cut: float | None) -> AuditResult:
    generations, training = sides
    options = AuditOptions(match_from=0.5, calibrated=settled(training.encoder, cut))
    return audit(generations, ExactSearch(training), options=options)


def test_an_audit_goes_by_the_cut(sides: tuple[Store, Store], tmp_path: Path) -> None:
    """What it no longer finds is among the likeliest misses, likeliest first, and the gate is inconclusive."""
    own, strict = audited(sides, None), audited(sides, 1.0)
    assert own.scores.regurgitated.tolist() == [True, True, False]
    assert strict.scores.regurgitated.tolist() == [False, False, False]
    misses = strict.likeliest_misses
    assert misses is not None
    assert sorted(misses.query[:2].tolist()) == [0, 1]
    assert misses.query[2] == 2
    assert (misses.query == misses.reference).all()
    assert (np.diff(misses.probability) <= 0).all()
    assert own.likeliest_misses is not None
    assert own.likeliest_misses.query.tolist() == [2]

    report = write_audit(strict, *sides, tmp_path / "out")
    assert isinstance(report.results, AuditResults)
    assert report.inputs["calibration"] == "c" * 64
    assert report.results.calibration is not None
    assert report.results.calibration.cut == 1.0
    said = "By calibration cccccccccccc a copy has a similarity of 0.8, or a probability of 1, or more."
    assert said in (tmp_path / "out" / "report.html").read_text()
    assert "a probability of 1 was asked for, not " in report.results.headline
    assert report.content["results"]["likeliest_misses"][0]["query_id"].startswith("generations-")
    for policy, outcome in ((GatePolicy(), "inconclusive"), (GatePolicy(calibrations=("c" * 64,)), "pass")):
        rules = {rule.rule: rule.outcome for rule in judge("a", report, Policy(gate=policy))}
        assert rules["calibrations"] == outcome


def test_without_pixels_no_miss_is_called_unlikely(sides: tuple[Store, Store]) -> None:
    generations, training = sides
    assert audit(generations, ExactSearch(training), options=AuditOptions(match="none")).likeliest_misses is None


def test_another_encoder_is_refused(sides: tuple[Store, Store]) -> None:
    generations, training = sides
    other = settled(EncoderSpec("other", "", "", 6, 0.8), None)
    with pytest.raises(InconclusiveError, match="made with encoder other"):
        audit(generations, ExactSearch(training), options=AuditOptions(match_from=0.5, calibrated=other))


def test_a_look_up_says_by_which_calibration(picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path) -> None:
    store, encoder = make_store(picture_folder(4)), load_encoder("thumbnail")
    altered(draw(2)).save(tmp_path / "asked.png")
    for by in (None, settled(store.encoder, 0.9)):
        options = LookupOptions(views_of("none"), calibrated=by)
        found = look_up(iter_images([str(tmp_path / "asked.png")]), ExactSearch(store), encoder, options)
        said = evidence_of(found, 0.01, {}).as_dict()
        assert said.get("calibration") == (by and {"digest": "c" * 64, "cut": 0.9})
        assert evidence_of(found, 0.01, {}).outcome == "found"
