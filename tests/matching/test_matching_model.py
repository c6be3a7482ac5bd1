"""The model of a copy: what it says follows from what an alignment shows, and from that alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memaudit.matching.agreement import NONE, Agreement
from memaudit.matching.align import Alignment, Way
from memaudit.matching.model import SIGNALS, copy_model, signals_of
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


def signals(found: Agreement, inliers: int = 0, share: float = 0.0) -> Float64:
    return signals_of(IN_PLACE._replace(inliers=inliers, inlier_share=share), found)


def test_more_of_each_signal_never_speaks_against_a_copy() -> None:
    model = copy_model()
    assert model.names == SIGNALS
    assert (model.coefficients >= 0).all()
    assert all(np.diff(column).min() >= 0 for column in model.curve)
    assert 0 < model.cut <= model.part_cut < 1


@given(SHOWN, st.integers(0, 600), SHARES)
def test_a_probability_is_one(found: Agreement, inliers: int, share: float) -> None:
    values = signals(found, inliers, share)
    assert values.shape == (len(SIGNALS),)
    assert np.isfinite(values).all()
    assert 0 < copy_model().probability(copy_model().logit(values)) < 1


@given(SHOWN, st.integers(0, 59), SHARES)
def test_more_inliers_never_make_a_copy_less_likely(found: Agreement, inliers: int, share: float) -> None:
    few, more = (copy_model().logit(signals(found, count, share)) for count in (inliers, inliers + 1))
    assert few <= more


def test_what_shows_nothing_is_no_copy() -> None:
    """Two white pages lie on each other, and nothing differs."""
    model = copy_model()
    blank = NONE._replace(of_query=1.0, of_reference=1.0, worst=0.0, kept=1.0)
    assert model.probability(model.logit(signals(blank))) < model.cut
    assert model.probability(model.logit(signals(NONE))) < 0.01


def test_few_patches_say_less() -> None:
    whole = NONE._replace(alike=1.0, correlation=1.0, shown_kept=1.0, distance=0.0, worst=0.0, of_query=1.0)
    said = [copy_model().logit(signals(whole._replace(patches=patches))) for patches in (0, 3, 12, 100)]
    assert said == sorted(said)
    assert said[1] < said[2] == said[3]
