"""The model of a copy: what it says follows from what an alignment shows, and from that alone."""

from __future__ import annotations

import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import photograph

from memaudit.matching.agreement import NONE, Agreement
from memaudit.matching.align import Alignment, Way
from memaudit.matching.differences import NOTHING_SHOWN, Differences
from memaudit.matching.model import AGREEING, SIGNALS, Trees, agreeing, copy_model, signals_of
from memaudit.matching.pictures import picture_of
from memaudit.matching.rule import closest, signals_of_pair
from memaudit.types import Float64

IN_PLACE = Alignment(np.eye(2, 3), Way.FRAME)
SHARES = st.floats(0, 1)
SHOWN = st.builds(
    Agreement,
    alike=SHARES,
    patches=st.integers(0, 144),
    edge_alike=SHARES,
    edges=st.integers(0, 144),
    of_query=SHARES,
    of_reference=SHARES,
    worst=SHARES,
    kept=SHARES,
    coloured=SHARES,
    crossing=SHARES,
    correlation=SHARES,
    shown_kept=SHARES,
    distance=SHARES,
)
DIFFERING = st.builds(
    Differences,
    beyond=SHARES,
    ragged=SHARES,
    solid=SHARES,
    pieces=st.integers(0, 40),
    lost=SHARES,
    more_lost=SHARES,
    outlined=SHARES,
    recoloured=st.floats(0, 100),
)
AGAINST = ("beyond", "ragged", "lost", "more_lost")
EITHER = ("solid", "pieces", "crossing", "features", "patches", "outlined", "recoloured")
FOR = [name for name in SIGNALS if name not in (*AGAINST, *EITHER)]


def signals(found: Agreement, differing: Differences, inliers: int = 0, share: float = 0.0) -> Float64:
    return signals_of(IN_PLACE._replace(inliers=inliers, inlier_share=share), found, differing, 100)


def test_the_numbers_are_a_model() -> None:
    model = copy_model()
    assert (model.closest >= 0).all()
    assert all(np.diff(column).min() >= 0 for column in (*model.curve, *model.unfitting))
    assert 0 < model.cut < 1


def test_what_no_alignment_fits_is_never_probable_enough() -> None:
    """That its curve ends below the cut: pictures of which next to nothing agrees are no copies."""
    model = copy_model()
    assert 0 < model.probability_unfitting(-100.0) <= model.probability_unfitting(100.0) < model.cut


@given(SHOWN, DIFFERING, st.integers(0, 600), SHARES)
def test_a_probability_is_one(found: Agreement, differing: Differences, inliers: int, share: float) -> None:
    values = signals(found, differing, inliers, share)
    assert values.shape == (len(SIGNALS),)
    assert np.isfinite(values).all()
    assert 0 < copy_model().probability(copy_model().logit(values)) < 1


@given(SHOWN, DIFFERING, st.sampled_from(FOR), SHARES)
def test_more_of_what_agrees_never_makes_a_copy_less_likely(
    found: Agreement, differing: Differences, name: str, more: float
) -> None:
    values = signals(found, differing)
    higher = values.copy()
    higher[SIGNALS.index(name)] += more
    assert copy_model().logit(values) <= copy_model().logit(higher) + 1e-9


@given(SHOWN, DIFFERING, st.sampled_from(AGAINST), SHARES)
def test_more_of_what_differs_never_makes_a_copy_more_likely(
    found: Agreement, differing: Differences, name: str, more: float
) -> None:
    values = signals(found, differing)
    higher = values.copy()
    higher[SIGNALS.index(name)] += more
    assert copy_model().logit(values) >= copy_model().logit(higher) - 1e-9


def test_what_shows_nothing_is_no_copy() -> None:
    """Two white pages lie on each other, and nothing differs."""
    model = copy_model()
    blank = NONE._replace(of_query=1.0, of_reference=1.0, worst=0.0, kept=1.0)
    for found in (blank, NONE):
        assert model.probability(model.logit(signals(found, NOTHING_SHOWN))) < model.cut


def test_few_patches_say_less() -> None:
    whole = NONE._replace(alike=1.0, correlation=1.0, shown_kept=1.0, distance=0.0, worst=0.0, of_query=1.0)
    said = [copy_model().closeness(agreeing(IN_PLACE, whole._replace(patches=patches))) for patches in (0, 3, 12, 100)]
    assert said == sorted(said)
    assert said[1] < said[2] == said[3]


def test_trees_are_walked_as_they_are_written() -> None:
    """By the plain way, node by node."""
    told = json.loads(files("memaudit.matching").joinpath("model.json").read_text(encoding="utf-8"))
    trees, rng = copy_model().trees, np.random.default_rng(0)
    for _ in range(50):
        values = rng.uniform(-0.5, 1.2, len(SIGNALS)) * rng.choice([1, 40, 400], len(SIGNALS))
        total = 0.0
        for tree in told["trees"]:
            node = 0
            while tree["left"][node] != node:
                low = values[tree["signal"][node]] <= tree["at"][node]
                node = tree["left" if low else "right"][node]
            total += tree["value"][node]
        assert trees.sum(values) == pytest.approx(total)


def test_a_tree_of_one_leaf_adds_it() -> None:
    leaf = {"signal": [0], "at": [0], "left": [0], "right": [0], "value": [0.5]}
    split = {"signal": [1, 0, 0], "at": [2, 0, 0], "left": [1, 1, 2], "right": [2, 1, 2], "value": [0, 1, 10]}
    trees = Trees.of([leaf, split])
    assert [trees.sum(np.array([0.0, value])) for value in (2.0, 2.1)] == [1.5, 10.5]


def test_a_picture_is_its_own_copy() -> None:
    picture = picture_of(photograph(5))
    model, values = copy_model(), signals_of_pair(picture, picture, closest(picture, picture))
    assert model.probability(model.logit(values)) > 0.98
    assert dict(zip(AGREEING, values, strict=False))["alike"] == 1.0
