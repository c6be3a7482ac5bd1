"""Prompts are drawn as often as a training by weights sees their images."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vectors import random_vectors, vector_store

from memaudit.audit.prompt_weights import ImageWeights
from memaudit.audit.prompts import choose_prompts
from memaudit.errors import InputError

ROWS, DRAWN = 300, 60


def write(path, ids, weights):
    pq.write_table(pa.table({"image_id": ids, "weight": weights, "measured": [True] * len(ids)}), path)
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weighted") / "store"
    return vector_store(folder, random_vectors(0, ROWS), captions=[f"caption {row}" for row in range(ROWS)])


def test_what_they_stand_for_is_unbiased(store, tmp_path):
    """Over many seeds the weights of the drawn ones add up to those of all, whatever part of all is looked at."""
    ids = store.all_columns().image_id.tolist()[:250]
    weights = np.random.default_rng(1).gamma(0.7, 1.4, len(ids)) + 0.05
    chances = ImageWeights.read(write(tmp_path / "w.parquet", ids, weights))
    of = dict(zip(ids, weights, strict=True))
    heavy = {name for name in ids if of[name] > np.quantile(weights, 0.8)}
    all_of, heavy_of = [], []
    for seed in range(150):
        prompts = choose_prompts(store, DRAWN, seed=seed, weights=chances).prompts
        assert len(prompts) == DRAWN
        assert {prompt.strategy for prompt in prompts} == {"random by weight"}
        all_of.append(sum(prompt.weight for prompt in prompts))
        heavy_of.append(sum(prompt.weight for prompt in prompts if prompt.image_id in heavy))
    error = 4 * np.std(all_of) / np.sqrt(len(all_of))
    assert np.mean(all_of) == pytest.approx(weights.sum(), abs=error)
    error = 4 * np.std(heavy_of) / np.sqrt(len(heavy_of))
    assert np.mean(heavy_of) == pytest.approx(sum(of[name] for name in heavy), abs=error)


def test_what_has_no_weight_is_never_drawn(store, tmp_path):
    ids = store.all_columns().image_id.tolist()[:20]
    chances = ImageWeights.read(write(tmp_path / "w.parquet", ids, np.full(20, 1.5)))
    prompts = choose_prompts(store, DRAWN, weights=chances).prompts
    assert {prompt.image_id for prompt in prompts} == set(ids)
    assert [prompt.weight for prompt in prompts] == [1.5] * 20


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, -2.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_no_weight_is_refused(tmp_path, weights):
    with pytest.raises(InputError, match="holds no weights of memaudit reweight"):
        ImageWeights.read(write(tmp_path / "w.parquet", ["a", "b"], weights))
