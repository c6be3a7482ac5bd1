"""The matched design: own images returned to captions of the training set, and to held-out ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vectors import Vectors, near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.run import audit
from memaudit.errors import UsageError
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults, OwnImages, Report
from memaudit.statistics import greater_rate_p
from memaudit.store import Store

TRAINING, HELD_OUT = random_vectors(0, 200), random_vectors(1, 120)
SIDE = 60  # prompts of each


def matched(folder: Path, own: dict[int, int], others: dict[int, int], *, training: Vectors = TRAINING) -> Report:
    """own, others: which generation of training captions, and of held-out ones, is a copy of which image."""
    references = vector_store(folder / "training", training, prefix="train")
    control = vector_store(folder / "control", HELD_OUT, prefix="held")
    made = random_vectors(2, 2 * SIDE)
    made[[*own]] = near(3, training[[*own.values()]], 0.1)
    made[[SIDE + i for i in others]] = near(4, HELD_OUT[[*others.values()]], 0.1)
    generations = vector_store(folder / "generations", made, prefix="gen")
    result = audit(generations, ExactSearch(references), pairing=pairing(), control=control)
    write_audit(result, generations, references, folder / "out")
    return read_report(folder / "out" / "report.json")


def pairing() -> dict[str, Prompted]:
    def line(number: int) -> Prompted:
        held_out, image = number >= SIDE, number % SIDE
        name = f"{'held' if held_out else 'train'}-{image:05d}"
        weight = 0.0 if held_out else 4.0
        return Prompted(name, f"prompt {number}", strategy="matched", weight=weight, held_out=held_out)

    return {f"gen-{number:05d}": line(number) for number in range(2 * SIDE)}


def results_of(report: Report) -> AuditResults:
    assert isinstance(report.results, AuditResults)
    return report.results


def own_images(report: Report) -> OwnImages:
    control = results_of(report).control
    assert control
    assert control.own_images
    return control.own_images


def test_own_images_that_come_back_to_one_side(tmp_path: Path) -> None:
    """Six of 60 training captions and none of 60 held-out ones; another image's copy does not count."""
    own = own_images(matched(tmp_path, {**{i: i for i in range(6)}, 9: 70}, {3: 4}))
    assert (own.training.count, own.training.n, own.held_out.count, own.held_out.n) == (6, 60, 0, 60)
    assert own.p == pytest.approx(greater_rate_p(6, 60, 0, 60))
    assert own.p is not None
    assert own.p < 0.05
    assert own.joined == 0


def test_a_model_that_returns_both_alike_is_not_accused(tmp_path: Path) -> None:
    own = own_images(matched(tmp_path, {i: i for i in range(9)}, {i: i for i in range(9)}))
    assert (own.training.count, own.held_out.count) == (9, 9)
    assert own.p is not None
    assert own.p > 0.5


def test_near_duplicates_stand_for_one_prompt(tmp_path: Path) -> None:
    """Forty prompts of one motif, all of which return, are one observation."""
    training = TRAINING.copy()
    training[:40] = near(5, np.repeat(TRAINING[:1], 40, axis=0), 0.1)
    own = own_images(matched(tmp_path, {i: i for i in range(40)}, {}, training=training))
    assert own.joined == 39
    assert (own.training.count, own.training.n) == (1, 21)


def test_held_out_prompts_say_nothing_of_the_training_set(tmp_path: Path) -> None:
    """They weigh nothing in the rate of captions, are no pairs of training images, and name none that is missing."""
    results = results_of(matched(tmp_path, {0: 0}, {3: 4}))
    assert results.conclusive, results.reasons
    assert results.paired
    assert results.paired.coverage.total == 60
    assert results.by_prompt
    assert results.by_prompt.weighted
    assert results.by_prompt.weighted.value == pytest.approx(1 / 60)
    assert results.control
    assert results.control.greater_rate_p is None
    assert "unequal numbers of captions" in results.control.why_no_rate_p
    assert results.control.relabelling_p is not None


def test_held_out_prompts_need_their_images(tmp_path: Path) -> None:
    stores: list[Store] = [vector_store(tmp_path / name, TRAINING[:5], prefix=name) for name in ("gen", "train")]
    with pytest.raises(UsageError, match="give these with --control"):
        audit(stores[0], ExactSearch(stores[1]), pairing=pairing())


def test_held_out_images_that_are_not_there(tmp_path: Path) -> None:
    references = vector_store(tmp_path / "training", TRAINING, prefix="train")
    control = vector_store(tmp_path / "control", HELD_OUT, prefix="other")
    generations = vector_store(tmp_path / "generations", random_vectors(2, 2 * SIDE), prefix="gen")
    result = audit(generations, ExactSearch(references), pairing=pairing(), control=control)
    assert any("60 held-out images that the pairing names are not in" in reason for reason in result.inconclusive)
    assert result.control
    assert result.control.own_images
    assert result.control.own_images.p is None
    assert result.control.own_images.held_out.coverage.total == 60


def test_images_that_both_sides_have_stand_for_either(tmp_path: Path) -> None:
    """Fifty images of which the same file is held out, too, and which come back to both: about half of the prompts that
    stand for them are held-out ones. All of them were training ones, and it looked like memorising."""
    training = TRAINING.copy()
    training[:50] = HELD_OUT[:50]
    both = {image: image for image in range(50)}
    own = own_images(matched(tmp_path, both, both, training=training))
    assert own.joined == 50
    assert own.training.count + own.held_out.count == 50
    assert 12 <= own.held_out.count <= 38
