"""Every image of a store gets a decision and a reason, a block at a time; nothing is kept or dropped in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from clumps import POSITIVE, ROWS, SEEDS, clump_store
from vectors import random_vectors, vector_store

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.filters.apply import logit_at
from memaudit.filters.filter_file import Filter, read_filter, write_filter
from memaudit.filters.joined import Joined
from memaudit.filters.shown import DROPPED, KEPT, Shown
from memaudit.filters.train import TrainOptions, train
from memaudit.report.document import read_report
from memaudit.report.filtering import write_applied
from memaudit.report.model import FilterResults
from memaudit.types import Status


@pytest.fixture
def made(tmp_path: Path) -> tuple[Filter, Joined]:
    joined = Joined([clump_store(tmp_path / "store")])
    return train(joined, SEEDS, None, "clump", TrainOptions(sample=0)).filter, joined


def test_every_image_has_a_decision(made: tuple[Filter, Joined], tmp_path: Path) -> None:
    """The table, the two lists and the report agree; scores are those of the probe."""
    found, joined = made
    (tmp_path / "out").mkdir()
    report = write_applied(found, joined, tmp_path / "out", cut=0.5)
    assert read_report(tmp_path / "out" / "report.json") == report
    results = report.results
    assert isinstance(results, FilterResults)
    table = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pydict()
    logits = np.concatenate([found.probe.logits(block.embeddings, block.scored) for block in joined.blocks()])
    assert np.allclose(table["score"], found.probe.probabilities(logits))
    dropped = [i for i, score in zip(table["image_id"], table["score"], strict=True) if score >= 0.5]
    lists = [(tmp_path / "out" / name).read_text().split() for name in ("keep.txt", "drop.txt")]
    assert lists[1] == dropped
    assert sorted(lists[0] + lists[1]) == sorted(table["image_id"])
    assert (results.decided.kept, results.decided.dropped) == (len(lists[0]), len(lists[1]))
    assert np.mean([int(i[-5:]) < POSITIVE for i in dropped]) > 0.5
    assert "was not measured" in results.headline
    shown = [each.image_id for each in results.dropped_shown]
    assert len(shown) == min(DROPPED, len(dropped))
    assert set(shown) <= set(dropped)
    score_of = dict(zip(table["image_id"], table["score"], strict=True))
    best = sorted(lists[0], key=lambda name: -score_of[name])[:KEPT]
    assert [each.image_id for each in results.kept_shown] == best
    assert len(table["image_id"]) == ROWS


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_what_is_shown_of_the_kept_does_not_depend_on_blocks(size: int) -> None:
    """The dropped are a random draw: each is as likely."""
    score = np.random.default_rng(0).random(1000)
    score[::10] = np.nan
    dropped = score >= 0.5
    shown = Shown()
    for low in range(0, 1000, size):
        part = slice(low, low + size)
        shown.add(low, dropped[part], ~dropped[part], score[part])
    kept = np.flatnonzero(~dropped & np.isfinite(score))
    assert shown.kept.tolist() == kept[np.argsort(-score[kept])][:KEPT].tolist()
    assert len(set(shown.dropped.tolist())) == DROPPED
    assert dropped[shown.dropped].all()
    assert 200 < shown.dropped.mean() < 800


@pytest.mark.parametrize("unscored", [None, "keep", "drop"])
def test_what_could_not_be_scored_is_said(tmp_path: Path, made: tuple[Filter, Joined], unscored: str | None) -> None:
    """It is in neither list, and the run inconclusive, unless somebody says what becomes of it."""
    statuses = [Status.OK, Status.BLANK, Status.UNREADABLE, Status.OK]
    store = vector_store(tmp_path / "other", random_vectors(9, 4), statuses=statuses)
    (tmp_path / "out").mkdir()
    report = write_applied(made[0], Joined([store]), tmp_path / "out", 0.5, unscored)
    assert isinstance(report.results, FilterResults)
    assert report.results.unscored == {"blank": 1, "unreadable": 1}
    assert report.results.conclusive is (unscored is not None)
    table = pq.read_table(tmp_path / "out" / "decisions.parquet").to_pydict()
    assert table["decision"][1:3] == 2 * [unscored or "undecided"]
    assert table["reason"][1:3] == ["blank", "unreadable"]
    assert table["score"][1:3] == [None, None]
    listed = [(tmp_path / "out" / name).read_text().split() for name in ("keep.txt", "drop.txt")]
    assert sum(map(len, listed)) == (4 if unscored else 2)
    assert (report.coverage.measured, report.coverage.total) == (2, 4)


def test_another_encoder_is_refused(made: tuple[Filter, Joined], tmp_path: Path) -> None:
    store = vector_store(tmp_path / "other", random_vectors(9, 4), weights="f" * 64)
    with pytest.raises(InputError, match="embed with the same encoder and weights"):
        write_applied(made[0], Joined([store]), tmp_path, 0.5)


def test_a_cut_has_to_be_measured_or_given(made: tuple[Filter, Joined]) -> None:
    with pytest.raises(InconclusiveError, match="no cut that was shown to find 95%"):
        logit_at(made[0], None)
    with pytest.raises(UsageError, match="--cut 1 is out of range"):
        logit_at(made[0], 1.0)


def test_the_file_is_read_as_it_was_written(made: tuple[Filter, Joined], tmp_path: Path) -> None:
    write_filter(tmp_path, made[0], [])
    assert read_filter(tmp_path) == made[0]


def test_a_changed_file_is_refused(made: tuple[Filter, Joined], tmp_path: Path) -> None:
    """A number, or parts that do not fit together."""
    write_filter(tmp_path, made[0], [])
    path = tmp_path / "filter.json"
    path.write_text(path.read_text().replace('"rounds": 1', '"rounds": 2'))
    with pytest.raises(InconclusiveError, match="was changed after it was written"):
        read_filter(tmp_path)
    write_filter(tmp_path, replace(made[0], planes=((1.0, 2.0),)), [])
    with pytest.raises(InputError, match="do not fit together"):
        read_filter(tmp_path)
    with pytest.raises(InputError, match="holds no filter"):
        read_filter(tmp_path / "nowhere")
