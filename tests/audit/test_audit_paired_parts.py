"""A film or a sheet gave its prompt's image back if any picture in it did."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from vectors import Vectors, near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted, by_pattern, compiled_pattern, from_metadata, lines_of
from memaudit.audit.results import AuditResult, OwnImages
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch
from memaudit.report.audit import write_audit
from memaudit.store import Store
from memaudit.types import Status

TRAINING, HELD_OUT = random_vectors(1, 40), random_vectors(7, 40)
FILM = ["film.gif", "film.gif#frame=1", "film.gif#frame=2"]
PAIRING = {"film.gif": Prompted("t-00003", "p"), "still.png": Prompted("t-00004", "q")}


def made(folder: Path, copied: dict[int, Vectors], statuses: list[Status] | None = None) -> Store:
    """A film of three frames and a still; copied: which rows are copies of what."""
    vectors = random_vectors(2, 4)
    for row, vector in copied.items():
        vectors[row] = near(3, vector[None], 0.1)[0]
    return vector_store(folder / "made", vectors, ids=[*FILM, "still.png"], statuses=statuses)


def audited(folder: Path, copied: dict[int, Vectors], statuses: list[Status] | None = None) -> AuditResult:
    references = vector_store(folder / "training", TRAINING, prefix="t", captions=["a caption"] * 40)
    generations = made(folder, copied, statuses)
    result = audit(generations, ExactSearch(references), pairing=PAIRING, options=AuditOptions(match="none"))
    write_audit(result, generations, references, folder / "out")
    return result


def test_an_image_in_a_later_frame_is_its_prompts(tmp_path: Path) -> None:
    """In the paired rate, in what kind of image comes back, and in the tables; the film is one pair."""
    result = audited(tmp_path, {2: TRAINING[3], 1: TRAINING[9]})
    assert result.paired is not None
    assert (result.paired.count, result.paired.coverage.measured, result.paired.coverage.total) == (1, 2, 2)
    assert result.scores.paired_match.tolist() == [False, False, True, False]
    assert result.why is not None
    (band,) = (each for each in result.why.bands if each.feature == "near-duplicates")
    assert (band.came_back.count, band.came_back.coverage.measured) == (1, 2)
    matches = pq.read_table(tmp_path / "out" / "matches.parquet").to_pydict()
    assert dict(zip(matches["query_id"], matches["is_prompts_image"], strict=True)) == {FILM[1]: False, FILM[2]: True}
    assert pq.read_table(tmp_path / "out" / "scores.parquet")["paired_id"].to_pylist() == ["t-00003"] * 3 + ["t-00004"]


@pytest.mark.parametrize(
    ("last", "copied", "counted"),
    [
        (Status.UNREADABLE, {}, (0, 1, 2)),
        (Status.UNREADABLE, {0: TRAINING[3]}, (1, 2, 2)),
        (Status.BLANK, {}, (0, 2, 2)),
    ],
    ids=["unread", "found in another", "blank"],
)
def test_a_frame_that_could_not_be_read_may_be_the_prompts_image(
    tmp_path: Path, last: Status, copied: dict[int, Vectors], counted: tuple[int, int, int]
) -> None:
    """Then the pair was not measured, unless another frame gives the image back. A blank one shows nothing."""
    paired = audited(tmp_path, copied, [Status.OK, Status.OK, last, Status.OK]).paired
    assert paired is not None
    assert (paired.count, paired.coverage.measured, paired.coverage.total) == counted


def test_a_film_that_begins_black_is_a_pair(tmp_path: Path) -> None:
    """Blank is what has no picture with something on it."""
    paired = audited(tmp_path, {1: TRAINING[3]}, [Status.BLANK, Status.OK, Status.BLANK, Status.OK]).paired
    assert paired is not None
    assert (paired.count, paired.coverage.measured, paired.coverage.total) == (1, 2, 2)
    none = audited(tmp_path / "none", {}, [*[Status.BLANK] * 3, Status.OK]).paired
    assert none is not None
    assert (none.count, none.coverage.measured, none.coverage.total) == (0, 1, 1)


def own_images(folder: Path, copied: dict[int, Vectors], statuses: list[Status] | None = None) -> OwnImages:
    references = vector_store(folder / "training", TRAINING, prefix="t")
    control = vector_store(folder / "control", HELD_OUT, prefix="h")
    pairing = {**PAIRING, "still.png": Prompted("h-00004", "q", held_out=True)}
    options = AuditOptions(match="none")
    found = audit(
        made(folder, copied, statuses), ExactSearch(references), pairing=pairing, control=control, options=options
    ).control
    assert found is not None
    assert found.own_images is not None
    return found.own_images


def test_the_matched_design_looks_at_every_frame(tmp_path: Path) -> None:
    """As of the paired rate."""
    for number, frame in enumerate((None, 0, 2)):
        own = own_images(tmp_path / str(number), {} if frame is None else {frame: TRAINING[3]})
        assert (own.training.count, own.training.coverage.measured) == (0 if frame is None else 1, 1)
        assert (own.held_out.count, own.held_out.coverage.measured) == (0, 1)


@pytest.mark.parametrize(
    ("last", "copied", "counted"),
    [
        (Status.UNREADABLE, {}, (0, 0, 1)),
        (Status.UNREADABLE, {0: TRAINING[3]}, (1, 1, 1)),
        (Status.BLANK, {}, (0, 1, 1)),
    ],
    ids=["unread", "found in another", "blank"],
)
def test_the_matched_design_takes_no_frame_that_was_not_read_for_another_image(
    tmp_path: Path, last: Status, copied: dict[int, Vectors], counted: tuple[int, int, int]
) -> None:
    rate = own_images(tmp_path, copied, [Status.OK, Status.OK, last, Status.OK]).training
    assert (rate.count, rate.coverage.measured, rate.coverage.total) == counted


def test_pictures_of_a_file_go_by_its_line(tmp_path: Path) -> None:
    """By its name as by its metadata: they are no pairs of their own. What has a line of its own goes by that."""
    training = vector_store(tmp_path / "training", TRAINING[:5], ids=["a.png", *"bcde"])
    told = json.dumps({"training_id": "a.png", "prompt": "p"})
    ids = ["a_1.png", "a_1.png#cell=0,0,9,9", "gone.gif#frame=2"]
    store = vector_store(tmp_path / "made", random_vectors(2, 3), ids=ids, metadata=[told] * 3)
    assert sorted(from_metadata(store)) == ["a_1.png", "gone.gif#frame=2"]
    pairs = from_metadata(store)
    assert lines_of(store, pairs).tolist() == [0, 0, 1]
    pattern = compiled_pattern(r"(?P<image_id>[^_]+)_(?P<seed>\d+)\.png")
    named = vector_store(tmp_path / "named", random_vectors(2, 2), ids=ids[:2])
    assert by_pattern(named, training, pattern, {}) == {"a_1.png": Prompted("a.png", "", "1")}
    both = {"a_1.png": Prompted("a.png"), "a_1.png#cell=0,0,9,9": Prompted("b")}
    assert lines_of(named, both).tolist() == [0, 1]
    assert np.array_equal(lines_of(named, {}), [-1, -1])
