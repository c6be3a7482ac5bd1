"""The control: what held-out images say about chance, and when they may not be asked."""

from pathlib import Path

import numpy as np
import pytest
from vectors import Vectors, families, near, random_vectors, vector_store

from memaudit.audit import AuditOptions, audit, control
from memaudit.index import ExactSearch
from memaudit.records import Control, Status


def measured(
    folder: Path,
    training: Vectors,
    held_out: Vectors,
    generated: Vectors,
    threshold: float = 0.8,
    **columns: object,
) -> Control:
    """Audit vectors against vectors with a control; `columns` are the control store's."""
    references = vector_store(folder / "training", training, shard_rows=1024)
    controls = vector_store(folder / "control", held_out, shard_rows=1024, **columns)  # type: ignore[arg-type]
    generations = vector_store(folder / "generations", generated, shard_rows=1024)
    options = AuditOptions(threshold=threshold, neighbours=3)
    result = audit(generations, ExactSearch(references), control=controls, options=options).control
    assert result is not None
    return result


def test_planted_copies_give_a_small_p(tmp_path: Path) -> None:
    """Forty training images came back and no held-out one: with as many held-out as training, that is no chance."""
    training, held_out = random_vectors(1, 200), random_vectors(2, 200)
    generated = np.concatenate([near(3, training[:40], 0.3), random_vectors(4, 60)])
    result = measured(tmp_path, training, held_out, generated)
    assert (result.nearer_training, result.nearer_control) == (40, 0)
    assert result.relabelling_p == 1e-4
    assert result.greater_rate_p is not None
    assert result.greater_rate_p < 1e-6
    assert result.why_no_p == ""
    assert result.matched.count == 0


def test_without_matches_p_is_one(tmp_path: Path) -> None:
    """A clean model gives 1.0, and not a small p from a distribution of nothing."""
    result = measured(tmp_path, random_vectors(1, 150), random_vectors(2, 150), random_vectors(3, 80))
    assert (result.nearer_training, result.nearer_control, result.relabelling_p) == (0, 0, 1)
    assert result.greater_rate_p == pytest.approx(1)


def test_resembling_both_sides_alike_is_chance(tmp_path: Path) -> None:
    """A model that is as near to images it never saw as to its training images has learned the subject."""
    training, held_out = random_vectors(1, 200), random_vectors(2, 200)
    result = measured(tmp_path, training, held_out, near(3, np.concatenate([training[:30], held_out[:30]]), 0.3))
    assert (result.nearer_training, result.nearer_control) == (30, 30)
    assert result.relabelling_p is not None
    assert result.relabelling_p > 0.3


def test_the_nearer_side_counts(tmp_path: Path) -> None:
    """A generation near a training and a held-out image counts for the nearer one."""
    middle = random_vectors(5, 1)
    left, right = near(6, middle, 0.55), near(7, middle, 0.55)
    assert (left @ right.T).item() < 0.8  # apart from each other, both near to the middle
    training, held_out = random_vectors(1, 150), random_vectors(2, 150)
    training[0], held_out[0] = left[0], right[0]
    generated = np.concatenate([near(8, left, 0.1), near(9, left, 0.1), near(10, right, 0.1)])
    result = measured(tmp_path, training, held_out, generated)
    assert (result.nearer_training, result.nearer_control) == (2, 1)


def test_ties_speak_for_the_model(tmp_path: Path) -> None:
    """A generation exactly in the middle between a training and a held-out image counts for the held-out one."""
    axes = np.eye(32)
    training, held_out = axes[[0, 5]], np.concatenate([axes[[1]], random_vectors(2, 150)])
    result = measured(tmp_path, training, held_out, (axes[0] + axes[1])[None] / np.sqrt(2), threshold=0.7)
    assert (result.nearer_training, result.nearer_control) == (0, 1)


def test_generations_weigh_and_not_images(tmp_path: Path) -> None:
    """Thirty generations of one training image, one of each of three held-out ones: a single label decides, p = 1/2."""
    training, held_out = random_vectors(1, 200), random_vectors(2, 200)
    generated = near(3, np.concatenate([np.repeat(training[:1], 30, axis=0), held_out[:3]]), 0.3)
    result = measured(tmp_path, training, held_out, generated)
    assert (result.nearer_training, result.nearer_control) == (30, 3)
    assert result.relabelling_p == pytest.approx(0.5, abs=0.03)


def test_members_of_a_family_are_one_piece_of_evidence(tmp_path: Path) -> None:
    """Six near-duplicates that all came back share their label: as many held-out images, so p = 1/2 and not 1/64."""
    family = families(9, [6], noise=0.25)
    training = np.concatenate([random_vectors(1, 194), family])
    result = measured(tmp_path, training, random_vectors(2, 200), near(3, family, 0.1))
    assert (result.nearer_training, result.nearer_control) == (6, 0)
    assert result.relabelling_p == pytest.approx(0.5, abs=0.03)


def test_contaminated_controls_are_excluded_and_counted(tmp_path: Path) -> None:
    """Held-out images that were trained on, with all their training copies, cannot tell the sides apart."""
    family = families(9, [25], noise=0.2)
    training = np.concatenate([random_vectors(1, 200), family])
    held_out = np.concatenate([random_vectors(2, 150), training[:7], near(3, training[7:10], 0.3), family[:1]])
    generated = np.concatenate([training[:10], family, near(4, training[50:60], 0.3)])
    result = measured(tmp_path, training, held_out, generated)
    assert result.excluded_controls == 11
    assert result.excluded_references == 10 + 25  # the whole family, although only 3 neighbours are asked for
    assert (result.nearer_training, result.nearer_control) == (10, 0)
    assert (result.matched.count, result.matched.coverage.measured) == (11, 161)


def test_more_matches_than_the_first_look_are_all_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One contaminated control may have thousands of training copies; searched again in parts, none stays."""
    monkeypatch.setattr(control, "_SEARCHED_AGAIN", 80)
    groups = families(9, [40, 33, 28], noise=0.15)
    training = np.concatenate([random_vectors(1, 120), groups])
    held_out = np.concatenate([random_vectors(2, 120), groups[[0, 1, 50, 90]]])
    result = measured(tmp_path, training, held_out, random_vectors(3, 5))
    assert (result.excluded_controls, result.excluded_references) == (4, 101)


@pytest.mark.parametrize(("controls", "contaminated", "speaks"), [(99, 0, False), (100, 0, True), (100, 1, False)])
def test_fewer_than_100_usable_controls_give_no_p(
    tmp_path: Path, controls: int, contaminated: int, speaks: bool
) -> None:
    """Not even when 100 were given and one of them was trained on; the reason says how many there were."""
    training = random_vectors(1, 150)
    held_out = np.concatenate([random_vectors(2, controls - contaminated), training[:contaminated]])
    result = measured(tmp_path, training, held_out, near(3, training[:20], 0.3))
    assert (result.relabelling_p is not None) is speaks
    assert (result.greater_rate_p is not None) is speaks
    reason = "" if speaks else f"{controls - contaminated} usable held-out images, at least 100 are needed"
    assert result.why_no_p == reason


@pytest.mark.parametrize("status", [Status.BLANK, Status.UNREADABLE])
def test_blank_and_unreadable_images_are_no_controls(tmp_path: Path, status: Status) -> None:
    """A thousand white pages match nothing and say nothing: they do not count as held-out images that were scored."""
    statuses = [Status.OK] * 60 + [status] * 200
    result = measured(tmp_path, random_vectors(1, 50), random_vectors(2, 260), random_vectors(3, 20), statuses=statuses)
    total = 60 if status is Status.BLANK else 260  # blank ones are out of scope, unreadable ones are a loss
    assert (result.matched.coverage.measured, result.matched.coverage.total) == (60, total)
    assert result.relabelling_p is None
    assert len(result.best_similarity) == 60


def test_a_control_with_nothing_to_compare(tmp_path: Path) -> None:
    """No usable image at all is no control, with a reason, and no crash."""
    result = measured(
        tmp_path, random_vectors(1, 50), random_vectors(2, 3), random_vectors(3, 20), statuses=[Status.BLANK] * 3
    )
    assert result.why_no_p.startswith("0 usable")
    assert result.matched.value is None


def test_best_similarity_of_each_control(tmp_path: Path) -> None:
    """The control's histogram is of its nearest training images, one for each held-out image."""
    training = random_vectors(1, 60)
    result = measured(tmp_path, training, near(2, training[:5], 0.3), random_vectors(3, 5))
    assert len(result.best_similarity) == 5
    assert (result.best_similarity > 0.8).all()


SPLITS = 80


@pytest.mark.parametrize(
    ("sizes", "references", "wanted", "count"),
    [
        pytest.param([1] * 400, 230, 400, 60, id="single images"),
        pytest.param([2] * 250, 250, 250, 60, id="all in pairs"),
        pytest.param([3] * 100 + [1] * 400, 400, 500, 60, id="some families"),
        pytest.param([3] * 150 + [1] * 400, 500, 150, 250, id="a generator that prefers families"),
        pytest.param([5] * 60 + [1] * 100, 80, 160, 60, id="far more held-out than training images"),
    ],
)
def test_p_is_valid_when_the_split_was_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], references: int, wanted: int, count: int
) -> None:
    """A generator that knows the subjects but not the split is accused at 5 % in about 5 % of splits, families or not.

    Families that the split cut are left out; to judge what is left as if images were independent gave p <= 0.05 in
    65 % of splits of a set that lies in pairs.
    """
    monkeypatch.setattr(control, "PERMUTATIONS", 199)
    rng = np.random.default_rng(0)
    population = families(5, sizes, noise=0.25)
    centres = families(5, [1] * len(sizes), noise=1e-9)
    ps = []
    for split in range(SPLITS):
        order = rng.permutation(len(population))
        generated = near(split, centres[rng.integers(0, wanted, count)], 0.25)
        training, held_out = population[order[:references]], population[order[references:]]
        result = measured(tmp_path / str(split), training, held_out, generated)
        assert result.relabelling_p is not None
        ps.append(result.relabelling_p)
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SPLITS)
    assert np.mean(ps) >= 0.5 - 3 * np.sqrt(1 / 12 / SPLITS)
