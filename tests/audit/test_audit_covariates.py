"""Why images come back: rates by near-duplicates and by simplicity, counted by hand."""

from pathlib import Path

import numpy as np
import pytest
from vectors import families, near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.results import Covariates
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch
from memaudit.statistics import rate_of
from memaudit.store import Store

OPTIONS = AuditOptions(threshold=0.8)


def training_store(folder: Path, simplicity: list[float] | None = None) -> Store:
    """40 single images, then five families of 4, two of 12; simplicity rises along the rows."""
    vectors = families(1, [1] * 40 + [4] * 5 + [12] * 2, noise=0.2)
    measures = simplicity or [row / len(vectors) for row in range(len(vectors))]
    return vector_store(folder / "t", vectors, prefix="t", simplicity=measures)


def why_of(folder: Path, training: Store, generated: np.ndarray, prompts: list[int] | None) -> Covariates:
    generations = vector_store(folder / "g", generated, prefix="g")
    pairing = {f"g-{i:05d}": Prompted(f"t-{row:05d}") for i, row in enumerate(prompts)} if prompts else None
    why = audit(generations, ExactSearch(training), pairing=pairing, options=OPTIONS).why
    assert why is not None
    return why


def counts(why: Covariates, feature: str) -> dict[float, tuple[int, int]]:
    return {
        band.low: (band.came_back.count, band.came_back.coverage.measured)
        for band in why.bands
        if band.feature == feature
    }


def test_paired_rates_are_those_of_the_prompts_images(tmp_path: Path) -> None:
    """Of the prompts in each band, how many got their image back: by eye 1 of 10, 2 of 4, 3 of 6."""
    training = training_store(tmp_path)
    prompts = [*range(10), 40, 44, 48, 52, 60, 62, 64, 72, 74, 76]
    copied = {0, 40, 44, 60, 62, 72}
    vectors = training.embeddings(np.array(prompts))
    strangers = random_vectors(9, len(prompts))
    generated = np.array([v if p in copied else s for p, v, s in zip(prompts, vectors, strangers, strict=True)])
    why = why_of(tmp_path, training, generated, prompts)
    assert why.paired
    assert counts(why, "near-duplicates") == {1: (1, 10), 2: (2, 4), 10: (3, 6)}
    truth: dict[float, tuple[int, int]] = {}
    for prompt in prompts:
        low = min(prompt / 84 // 0.2 * 0.2, 0.8)
        count, n = truth.get(round(low, 1), (0, 0))
        truth[round(low, 1)] = (count + (prompt in copied), n + 1)
    assert counts(why, "simplicity") == truth
    assert all(band.training is None for band in why.bands)


def test_rates_have_their_intervals(tmp_path: Path) -> None:
    """Clopper-Pearson on each, as anywhere."""
    training = training_store(tmp_path)
    why = why_of(tmp_path, training, training.embeddings(np.arange(40)), list(range(40)))
    assert why.bands[0].came_back == rate_of(40, why.bands[0].came_back.coverage)


def test_unpaired_findings_stand_beside_the_training_set(tmp_path: Path) -> None:
    """Thirty findings, all of a family of twelve: 100 % of the findings, 24 of 84 training images."""
    training = training_store(tmp_path)
    generated = np.concatenate([near(2, training.embeddings(np.arange(60, 72)), 0.05), random_vectors(5, 20)])
    why = why_of(tmp_path, training, generated, None)
    assert not why.paired
    shares = {b.low: (b.came_back, b.training) for b in why.bands if b.feature == "near-duplicates"}
    found, among = shares[10]
    assert among is not None
    assert (found.count, found.coverage.measured) == (12, 12)
    assert (among.count, among.coverage.measured) == (24, 84)
    assert shares[1][0].count == 0
    assert found == rate_of(12, found.coverage, effective=1)
    assert among == rate_of(24, among.coverage)


def test_a_family_that_comes_back_again_and_again_is_one_draw(tmp_path: Path) -> None:
    """One memorised image 40 times, beside two others: three draws, as far as the bounds go."""
    training = training_store(tmp_path)
    again = near(2, np.repeat(training.embeddings(np.array([61])), 40, axis=0), 0.05)
    why = why_of(tmp_path, training, np.concatenate([again, training.embeddings(np.array([0, 1]))]), None)
    found = {b.low: b.came_back for b in why.bands if b.feature == "near-duplicates"}
    assert (found[10].count, found[1].count, found[10].coverage.measured) == (40, 2, 42)
    for band in found.values():
        assert band.effective is not None
        assert band.effective < 3
    assert found[10].low < 0.3


def test_beyond_a_number_of_images_each_is_a_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that neither their embeddings nor the join of them grow with what came back."""
    training = training_store(tmp_path)
    again = near(2, training.embeddings(np.arange(60, 72)), 0.05)
    monkeypatch.setattr("memaudit.audit.families.JOINED", 11)
    monkeypatch.setattr("memaudit.audit.families.components", None)
    why = why_of(tmp_path, training, again, None)
    (band,) = (each for each in why.bands if each.feature == "near-duplicates" and each.low == 10)
    assert band.came_back == rate_of(12, band.came_back.coverage)


def test_without_findings_there_is_nothing_to_explain(tmp_path: Path) -> None:
    """No pairing, no finding: no band, rather than bands of nothing."""
    assert why_of(tmp_path, training_store(tmp_path), random_vectors(5, 20), None).bands == ()


def test_imported_embeddings_have_no_simplicity(tmp_path: Path) -> None:
    """What was never decoded is in no band of simplicity, and counted."""
    training = training_store(tmp_path, simplicity=[float("nan")] * 84)
    why = why_of(tmp_path, training, training.embeddings(np.arange(5)), list(range(5)))
    assert counts(why, "simplicity") == {}
    assert why.without == 5


def captioned_store(folder: Path, captions: list[str]) -> Store:
    return vector_store(folder / "t", random_vectors(1, len(captions)), prefix="t", captions=captions)


def test_captions_are_told_by_how_often_and_how_long_they_are(tmp_path: Path) -> None:
    """Six images of one caption of two words, twelve of others of five: those of the first come back."""
    captions = ["a  horse", *["a horse"] * 5, *(f"picture {n} of a horse" for n in range(12)), ""]
    training = captioned_store(tmp_path, captions)
    generated = np.concatenate([training.embeddings(np.arange(6)), random_vectors(5, 13)])
    why = why_of(tmp_path, training, generated, list(range(19)))
    assert counts(why, "images of its caption") == {5: (6, 6), 1: (0, 12)}
    assert counts(why, "words of its caption") == {1: (6, 6), 4: (0, 12)}
    assert why.odds == ()  # simplicity is alike, and one has no caption: nothing is left but near-duplicates, all 1


def test_odds_are_of_families_with_the_others_held_fixed(tmp_path: Path) -> None:
    """What comes back follows from simplicity, and from how often the caption stands there not at all."""
    rng = np.random.default_rng(0)
    simplicity = rng.random(160)
    captions = [f"picture {n if n % 2 else 0} of it" for n in range(160)]
    training = vector_store(
        tmp_path / "t", random_vectors(1, 160), prefix="t", captions=captions, simplicity=simplicity.tolist()
    )
    copied = rng.random(160) < simplicity
    generated = np.where(copied[:, None], training.embeddings(np.arange(160)), random_vectors(5, 160))
    why = why_of(tmp_path, training, generated, list(range(160)))
    told = {each.feature: each for each in why.odds}
    assert list(told) == ["simplicity", "images of its caption"]
    assert told["simplicity"].by == "larger by 0.2"
    assert told["simplicity"].low > 1
    assert told["images of its caption"].low < 1 < told["images of its caption"].high
    assert {each.families for each in why.odds} == {160}
