"""Rounds: what is learned, who is asked for next, and when a cut holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clumps import POSITIVE, ROWS, SEEDS, answer, clump_store, is_positive

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.filters.filter_file import Filter
from memaudit.filters.joined import Joined
from memaudit.filters.labels import Answer
from memaudit.filters.measure import measured
from memaudit.filters.train import Round, TrainOptions, train

PLAIN = TrainOptions(recall=0.8, count=20, sample=60)


@pytest.fixture
def joined(tmp_path: Path) -> Joined:
    return Joined([clump_store(tmp_path / "a"), clump_store(tmp_path / "b", 50, "b" * 64, noise=1.0)])


def labelled(made: Round, labels: dict[str, Answer]) -> dict[str, Answer]:
    return {**labels, **{each.image_id: answer(each.image_id) for each in made.images or ()}}


def test_a_few_rounds_end_in_a_cut_that_holds(joined: Joined) -> None:
    """By the true labels it finds what it says that it finds."""
    labels, found = dict(SEEDS), None
    for number in range(6):
        made = train(joined, labels, found, "clump", replace(PLAIN, measure=number > 1))
        found, labels = made.filter, labelled(made, labels)
        if found.cut is not None:
            break
    assert found is not None
    at, cut = found.at_cut, found.cut_logit
    assert at is not None
    assert cut is not None
    logits = np.concatenate([found.probe.logits(block.embeddings, block.scored) for block in joined.blocks()])
    recall = (logits[:POSITIVE] >= cut).sum() / POSITIVE
    precision = (np.flatnonzero(logits >= cut) < POSITIVE).mean()
    assert recall >= at.recall.lower >= 0.8
    assert at.precision.low <= precision <= at.precision.high
    assert at.rows == (logits >= cut).sum()


def test_likely_false_negatives_are_asked_for(joined: Joined) -> None:
    """Images near known positives that the probe rejects are of the class more often than others are."""
    made = train(joined, SEEDS, None, "clump", replace(PLAIN, count=40))
    missed = [each for each in made.images or () if each.why == "missed"]
    assert missed
    assert all(each.score < 0.5 for each in missed)
    probe = made.filter.probe
    logits = np.concatenate([probe.logits(block.embeddings, block.scored) for block in joined.blocks()])
    rejected = np.flatnonzero(probe.probabilities(logits) < 0.5)
    uncertain = {int(each.image_id[-5:]) for each in made.images or () if each.why == "uncertain"}
    left = [row for row in rejected.tolist() if row not in uncertain and f"image-{row:05d}" not in made.filter.sample]
    assert np.mean([is_positive(each.image_id) for each in missed]) > 2 * np.mean(np.array(left) < POSITIVE)


def test_who_is_asked_for_has_no_label_and_is_named_once(joined: Joined) -> None:
    made = train(joined, SEEDS, None, "clump", PLAIN)
    ids = [each.image_id for each in made.images or ()]
    assert len(ids) == len(set(ids)) == 80
    assert not set(ids) & set(SEEDS)
    drawn = [each for each in made.images or () if each.why == "sample"]
    assert sorted(made.filter.sample) == sorted(each.image_id for each in drawn)
    for each in drawn:
        assert each.stratum is not None
        share = sum(other.stratum == each.stratum for other in drawn) / made.filter.rows[each.stratum]
        assert each.inclusion == pytest.approx(share)


def test_the_same_labels_change_nothing(joined: Joined) -> None:
    """A call again, say after a kill, trains no further round and asks for nobody else."""
    first = train(joined, SEEDS, None, "clump", PLAIN)
    again = train(joined, SEEDS, first.filter, "clump", PLAIN)
    assert again.filter == first.filter
    assert again.images is None


def test_another_recall_is_measured_though_every_image_has_a_label(joined: Joined) -> None:
    """There is no sample then; a cut of before says nothing of what is asked now."""
    labels = {each: answer(each) for each in (f"image-{number:05d}" for number in range(ROWS))}
    low = train(joined, labels, None, "clump", replace(PLAIN, recall=0.5)).filter
    high = train(joined, labels, low, "clump", replace(PLAIN, recall=0.99))
    at = high.filter.at_cut
    assert low.cut is not None
    assert at is None or at.recall.lower >= 0.99
    assert high.measured is not None
    assert high.filter.recall == 0.99
    assert high.filter.cut != low.cut
    back = train(joined, labels, high.filter, "clump", replace(PLAIN, recall=0.5)).filter
    assert (back.cut, back.recall) == (low.cut, 0.5)


def test_a_cut_that_is_not_by_the_recall_beside_it_is_measured_again(joined: Joined) -> None:
    """As 0.3.0 wrote it."""
    labels = {each: answer(each) for each in (f"image-{number:05d}" for number in range(ROWS))}
    low = train(joined, labels, None, "clump", replace(PLAIN, recall=0.5)).filter
    asked = replace(PLAIN, recall=0.99)
    again = train(joined, labels, replace(low, recall=0.99), "clump", asked)
    assert again.measured is not None
    assert again.filter.cut == train(joined, labels, low, "clump", asked).filter.cut != low.cut
    assert train(joined, labels, again.filter, "clump", asked).measured is None


def test_a_cut_that_cannot_be_measured_anew_is_given_up(joined: Joined) -> None:
    """Should labels of its sample be gone, another recall is asked of no cut."""
    first = train(joined, SEEDS, None, "clump", PLAIN)
    labels = labelled(first, dict(SEEDS))
    asked = replace(PLAIN, recall=0.05)
    known = train(joined, labels, first.filter, "clump", asked).filter
    assert known.cut is not None
    fewer = {each: label for each, label in labels.items() if each != next(iter(known.sample))}
    assert train(joined, fewer, known, "clump", asked).filter.cut == known.cut
    assert train(joined, fewer, known, "clump", replace(asked, recall=0.99)).filter.cut is None


def test_labels_by_score_never_enter_the_estimate(joined: Joined) -> None:
    """With --measure the same sample says the same, whatever else is labelled; top-ups are of the same frame."""
    first = train(joined, SEEDS, None, "clump", PLAIN)
    sample = {**SEEDS, **{each: answer(each) for each in first.filter.sample}}
    keep = replace(PLAIN, measure=True, recall=0.99)
    alone = train(joined, sample, first.filter, "clump", keep)
    more = train(joined, labelled(first, dict(SEEDS)), first.filter, "clump", keep)
    assert alone.measured is not None
    assert more.measured is not None
    assert alone.measured.filter.estimate == more.measured.filter.estimate
    assert alone.filter.sample == more.filter.sample
    assert set(first.filter.sample) < set(more.filter.sample)
    assert more.filter.planes == first.filter.planes


def test_each_look_has_its_share_of_the_error(joined: Joined) -> None:
    """What was seen before is no further look."""
    first = train(joined, SEEDS, None, "clump", PLAIN)
    labels = labelled(first, dict(SEEDS))
    keep = replace(PLAIN, measure=True, recall=0.99)
    second = train(joined, labels, first.filter, "clump", keep)
    same = train(joined, labels, first.filter, "clump", keep)
    third = train(joined, labelled(second, labels), second.filter, "clump", keep)
    assert (second.filter.looks, same.filter.looks, third.filter.looks) == (1, 1, 2)
    assert second.measured is not None
    other = replace(second.measured.filter, recall=0.9)
    assert (measured(second.measured.filter, labels).filter.looks, measured(other, labels).filter.looks) == (1, 2)
    assert third.measured is not None
    errors = [made.measured.filter.estimate.error for made in (second, third) if made.measured.filter.estimate]  # type: ignore[union-attr]
    assert errors[0] > errors[1]


def test_a_sample_that_is_labelled_in_part_is_asked_for_again(joined: Joined) -> None:
    """No round begins that would lose it, unless it is said."""
    first = train(joined, SEEDS, None, "clump", PLAIN)
    most = {**SEEDS, **{each: answer(each) for each in list(first.filter.sample)[:50]}}
    held = train(joined, most, first.filter, "clump", PLAIN)
    assert held.filter.rounds == 1
    assert held.left == 10
    assert sorted(each.image_id for each in held.images or ()) == sorted(list(first.filter.sample)[50:])
    assert train(joined, most, first.filter, "clump", replace(PLAIN, again=True)).filter.rounds == 2


def test_a_store_that_grew_has_no_estimate_of_before(joined: Joined, tmp_path: Path) -> None:
    first = train(joined, SEEDS, None, "clump", PLAIN)
    labels = labelled(first, dict(SEEDS))
    other = Joined([clump_store(tmp_path / "c", noise=0.8), joined.stores[1]])
    with pytest.raises(InconclusiveError, match="not those that the sample was drawn from"):
        train(other, labels, first.filter, "clump", replace(PLAIN, measure=True))
    assert train(other, labels, first.filter, "clump", PLAIN).measured is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (replace(PLAIN, recall=1.0), "--recall 1 is out of range"),
        (replace(PLAIN, count=-1), "--next -1"),
        (replace(PLAIN, precision=1.0), "--precision 1 is out of range"),
        (replace(PLAIN, measure=True, again=True), "leave one out"),
        (replace(PLAIN, measure=True), "there is none: train one first"),
    ],
)
def test_impossible_options_are_refused(joined: Joined, options: TrainOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        train(joined, SEEDS, None, "clump", options)


def test_without_a_positive_nothing_is_learned(joined: Joined) -> None:
    with pytest.raises(InputError, match="no label says yes"):
        train(joined, {"image-00100": Answer.NO, "elsewhere": Answer.YES}, None, "clump", PLAIN)


def test_positives_alone_are_held_against_random_images(joined: Joined) -> None:
    made = train(joined, {"image-00000": Answer.YES}, None, "clump", PLAIN)
    assert made.filter.trained.presumed > 100
    assert isinstance(made.filter, Filter)
