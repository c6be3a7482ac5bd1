"""The worlds that weights are measured in are what they say, and figures come of them."""

import numpy as np
import pytest

from benchmarks.reweighting import MAN, WOMAN, at_size, in_worlds, world


def test_a_world_has_the_shifts_of_2022():
    made = world(np.random.default_rng(0), 60_000)
    for word, ratio in ((WOMAN, 0.86), (MAN, 0.94)):
        has = np.array([word in text.split() for text in made.captions])
        assert np.average(has, weights=made.keep) / has.mean() == pytest.approx(ratio, abs=0.01)


def test_figures_of_a_world_and_of_a_size(tmp_path):
    told = {figure.measure: figure.median for figure in in_worlds(1, tmp_path, rows=3000)}
    assert told["of them restored, where any is left"] == 1
    assert told["values of which nothing is left, told so"] == 1
    assert abs(told["woman: weighted share / before"] - 1) < 0.02
    told = {figure.measure: figure.median for figure in at_size(2000, tmp_path)}
    assert told["rows of weights.parquet / kept"] == 1
