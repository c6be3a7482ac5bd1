"""Audits and look-ups by a calibration: what its cut does to them, and what they say of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
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
from memaudit.matching import decide as decide_module
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.candidates import Basis, Candidates
from memaudit.matching.compare import Checks, Files
from memaudit.matching.decide import Decided, decide
from memaudit.matching.identity import digest_of_model
from memaudit.matching.kinds import Kind
from memaudit.matching.model import copy_model
from memaudit.matching.plan import MatchPlan
from memaudit.matching.search import QueryBlock, Scope, Searched, StoredQueries, search
from memaudit.report.audit import write_audit
from memaudit.report.model import AuditResults
from memaudit.store import Store
from memaudit.types import Coverage, EncoderSpec, Int64, Progress, silent

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
    assert (report.results.calibration.found, report.results.calibration.beyond) == (0, 0)
    said = (
        "By calibration cccccccccccc a copy has a similarity of 0.8, or a probability of 1, or more. That, and the "
        "precision and recall that it states, are of whole pictures: 0 of the 0 generations found have no such match"
    )
    assert said in (tmp_path / "out" / "report.html").read_text()
    assert "a probability of 1 was asked for, not " in report.results.headline
    assert report.content["results"]["likeliest_misses"][0]["query_id"].startswith("generations-")
    for policy, outcome in ((GatePolicy(), "inconclusive"), (GatePolicy(calibrations=("c" * 64,)), "pass")):
        rules = {rule.rule: rule.outcome for rule in judge("a", report, Policy(gate=policy))}
        assert rules["calibrations"] == outcome


OWN, THRESHOLD = 0.8, 0.95  # the encoder's own threshold, and a calibrated one


def decided(
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[Store, Store],
    pair: tuple[Basis, float, float | None],
    plan: MatchPlan,
    probability: float,
    threshold: float = THRESHOLD,
) -> Decided:
    """What becomes of one pair whose pixels say this, and tell it apart where that makes no copy. pair: what it was
    found by, how similar that is, and how similar the whole pictures are, None: less than the floor."""
    basis, similarity, whole = pair
    one = np.array([0])
    found = Candidates(
        one, one, np.array([similarity], np.float32), np.array([basis], np.int8), np.array(["a tile"], object)
    )
    as_whole = Candidates.whole(one, one, np.array([whole], np.float32)) if whole else Candidates.joined([])

    def check(pairs: Candidates, *given: object) -> Checks:
        cut = given[2] if isinstance(given[2], float) else copy_model().cut
        is_copy, size = probability >= cut, len(pairs.query)
        return Checks.of_nothing(size)._replace(
            read=np.ones(size, bool),
            kind=np.full(size, Kind.NEAR if is_copy else Kind.SIMILAR, object),
            probability=np.full(size, probability, np.float32),
            apart=np.full(size, not is_copy),
        )

    monkeypatch.setattr(decide_module, "_checked", check)
    none = np.empty(0, np.int64)
    nothing = Candidates.joined([])
    searched = Searched(none, np.empty(0, np.float32), none, nothing, found, nothing, nothing, as_whole)
    return decide(searched, StoredQueries(sides[0]), sides[1], threshold, plan, silent)


BY_LABELS = MatchPlan(0.3, -1, on_pixels=True, cut=0.9, labelled=True)


@pytest.mark.parametrize(
    ("pair", "plan", "probability", "threshold", "is_match"),
    [
        # Whole pictures: similarity alone, whatever pixels say, below it the cut
        ((Basis.WHOLE, 0.96, None), BY_LABELS, 0.01, THRESHOLD, True),
        ((Basis.WHOLE, 0.94, None), BY_LABELS, 0.89, THRESHOLD, False),
        ((Basis.WHOLE, 0.94, None), BY_LABELS, 0.91, THRESHOLD, True),
        ((Basis.WHOLE, 0.31, None), replace(BY_LABELS, cut=0.1), 0.2, THRESHOLD, True),
        # Also where a tile is more similar
        ((Basis.VIEW, 0.98, 0.96), BY_LABELS, 0.01, THRESHOLD, True),
        ((Basis.VIEW, 0.98, 0.5), replace(BY_LABELS, cut=0.1), 0.2, THRESHOLD, True),
        # Tiles: as without a calibration, pixels tell apart what they are similar to
        ((Basis.VIEW, 0.97, None), BY_LABELS, 0.01, THRESHOLD, False),
        ((Basis.TILE, 0.97, 0.5), BY_LABELS, 0.01, THRESHOLD, False),
        ((Basis.VIEW, 0.97, None), replace(BY_LABELS, labelled=False), 0.01, THRESHOLD, False),
        # A threshold and a cut below memaudit's own make nothing of them
        ((Basis.VIEW, 0.7, None), replace(BY_LABELS, cut=0.1), 0.2, 0.6, False),
        ((Basis.VIEW, 0.7, None), replace(BY_LABELS, cut=0.1), 0.5, 0.6, True),
        ((Basis.WHOLE, 0.2, None), replace(BY_LABELS, cut=0.1), 0.2, 0.6, False),  # a prompt's, below the floor
    ],
)
def test_what_was_labelled_is_decided_as_it_was_measured_and_all_else_as_ever(
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[Store, Store],
    pair: tuple[Basis, float, float | None],
    plan: MatchPlan,
    probability: float,
    threshold: float,
    *,
    is_match: bool,
) -> None:
    assert sides[1].encoder.threshold == OWN
    found = decided(monkeypatch, sides, pair, plan, probability, threshold)
    assert len(found.matched()) == is_match


@pytest.mark.parametrize(
    ("pair", "probability", "beyond"),
    [
        ((Basis.WHOLE, 0.96, None), 0.01, 0),
        ((Basis.VIEW, 0.98, 0.96), 0.01, 0),
        ((Basis.VIEW, 0.98, 0.5), 0.95, 0),
        ((Basis.VIEW, 0.98, None), 0.95, 1),
    ],
)
def test_matches_that_labels_do_not_speak_of_are_counted(
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[Store, Store],
    pair: tuple[Basis, float, float | None],
    probability: float,
    beyond: int,
) -> None:
    assert decided(monkeypatch, sides, pair, BY_LABELS, probability).beyond_labels == Coverage(beyond, 1)


def test_by_similarity_alone_a_tile_has_to_reach_the_own_threshold(
    monkeypatch: pytest.MonkeyPatch, sides: tuple[Store, Store]
) -> None:
    plan = MatchPlan(0.6, 0.6, on_pixels=False, labelled=True)
    found = [
        len(decided(monkeypatch, sides, pair, plan, 0.0, 0.6).matched())
        for pair in ((Basis.WHOLE, 0.7, None), (Basis.VIEW, 0.7, None), (Basis.VIEW, 0.9, None), (Basis.VIEW, 0.9, 0.7))
    ]
    assert found == [1, 0, 1, 1]


class WithTile:
    """One picture and a tile of it, which is nearer to the first training image than the whole is."""

    def __len__(self) -> int:
        return 1

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        for name, cosine in (("whole", 0.9), ("tile", 0.99)):
            vector = np.array([[cosine, np.sqrt(1 - cosine**2), 0, 0, 0, 0]], np.float32)
            yield QueryBlock(np.array([0]), np.array([name], object), vector)

    def files(self, rows: Int64) -> Files:
        raise AssertionError


def test_a_search_keeps_how_similar_whole_pictures_are(sides: tuple[Store, Store]) -> None:
    """Where the similarity of a tile hides it."""
    found = search(WithTile(), Scope(ExactSearch(sides[1]), 0.8, 0.5, 10), None, silent)
    assert found.candidates.basis.tolist() == [Basis.VIEW]
    assert found.candidates.similarity.tolist() == pytest.approx([0.99], abs=1e-3)
    assert found.as_whole.similarity.tolist() == pytest.approx([0.9], abs=1e-3)
    assert (found.as_whole.query.tolist(), found.as_whole.reference.tolist()) == ([0], [0])


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
