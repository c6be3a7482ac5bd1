"""A filter that takes more women than men: the shift is measured as it was made, and weights undo it."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array
from vectors import vector_store

from memaudit.dedup.skew_sums import ValueCounter
from memaudit.dedup.skew_values import Entries
from memaudit.errors import UsageError
from memaudit.filters.results import Reweighted, ReweightOptions, Shares
from memaudit.filters.reweight import reweight
from memaudit.filters.selection import Names, Selection, select
from memaudit.filters.shares import shares_of
from memaudit.filters.values import Values, read_values, sums_of
from memaudit.store import Store
from memaudit.types import Coverage, silent

WORDS = 60
WITHOUT_CLUSTERS = ReweightOptions(clusters=0)
Kept = NDArray[np.bool_]


class World(NamedTuple):
    """latent: what the filter goes by, which embeddings show in part; keep: the probability of being left."""

    store: Store
    captions: list[str]
    latent: NDArray[np.float64]
    keep: NDArray[np.float64]
    kept: Kept


def world(folder, seed: int = 0, rows: int = 6000, dim: int = 16) -> World:
    """Of 30 % of the captions "woman" is a word, of 28 % "man"; the filter takes what has much of a quality that more
    pictures of women have: the shares fall by 14 and 6 %, as in the pre-training mitigations of DALL-E 2."""
    rng = np.random.default_rng(seed)
    woman = rng.random(rows) < 0.3
    man = ~woman & (rng.random(rows) < 0.4)
    latent = rng.normal(size=rows) + 0.937 * woman + 0.716 * man
    vectors = rng.normal(size=(rows, dim))
    vectors[:, 0] += 1.5 * latent
    vectors[:, 1] += woman
    chance = 1 / (np.arange(WORDS) + 5)
    captions = []
    for row in range(rows):
        words = [f"w{word}" for word in rng.choice(WORDS, 4, p=chance / chance.sum())]
        captions.append(" ".join([*words, *["woman"] * int(woman[row]), *["man"] * int(man[row])]))
    keep = 1 / (1 + np.exp(2.2 * latent - 3.2))
    kept = rng.random(rows) < keep
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    store = vector_store(folder, unit, captions=captions, shard_rows=4096)
    return World(store, captions, latent, keep, kept)


def weighted(made: World, options: ReweightOptions = WITHOUT_CLUSTERS) -> Reweighted:
    names = made.store.all_columns().image_id[made.kept]
    return reweight(made.store, select(made.store, Names(names, "keep.txt")), options)


def entry(result: Reweighted, value: str) -> dict[str, float]:
    place = int(np.flatnonzero(result.shares.value == value)[0])
    return {name: column[place] for name, column in result.shares._asdict().items()}


def has(made: World, word: str) -> Kept:
    return np.array([word in caption.split() for caption in made.captions])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> World:
    return world(tmp_path_factory.mktemp("world") / "store")


@pytest.fixture(scope="module")
def result(made) -> Reweighted:
    return weighted(made)


def test_the_shift_is_measured_as_it_was_made(made, result):
    for word in ("woman", "man"):
        row, own = entry(result, word), has(made, word)
        assert row["share_before"] == pytest.approx(own.mean())
        assert row["share_after"] == pytest.approx(own[made.kept].mean())
        assert row["ratio"] == pytest.approx(own[made.kept].mean() / own.mean())
    assert entry(result, "woman")["ratio"] == pytest.approx(0.86, abs=0.03)
    assert entry(result, "man")["ratio"] == pytest.approx(0.94, abs=0.03)
    assert entry(result, "woman")["q"] < 1e-3


def test_weights_restore_every_share(made, result):
    shares = result.shares
    assert shares.restored.all()
    assert np.abs(shares.difference_weighted).max() < 0.02
    assert np.abs(shares.difference).max() > 0.03
    weight = result.weight[result.chosen.kept]
    assert weight.mean() == pytest.approx(1)
    own = has(made, "woman")
    assert np.average(own[made.kept], weights=weight) == pytest.approx(own.mean(), abs=2e-3)


def test_what_only_the_embeddings_show_comes_back_in_part(made, result):
    """No word says how much of the quality a picture has: the classifier of embeddings sees a part of it."""
    kept = np.average(made.latent[made.kept])
    by_weight = np.average(made.latent[made.kept], weights=result.weight[made.kept])
    assert (by_weight - kept) / (made.latent.mean() - kept) > 0.35
    before, after = result.told
    assert before > 0.53
    assert abs(after - 0.5) < 0.01


def test_as_many_images_as_equal_ones(result):
    weight = result.weight[result.chosen.kept]
    assert result.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    assert 0.7 < result.effective / len(weight) < 1


def test_where_nothing_is_left_it_is_said(tmp_path):
    made = world(tmp_path / "store", 1)
    made = made._replace(kept=made.kept & ~has(made, "w7"))
    result = weighted(made)
    row = entry(result, "w7")
    assert (row["after"], row["share_weighted"]) == (0, 0)
    assert result.shares.gone.sum() == 1
    assert not result.shares.restored[result.shares.value == "w7"].any()
    assert result.shares.restored[result.shares.value != "w7"].all()


def test_a_rare_value_that_is_gone_is_not_restored():
    """The interval of a share of 0 reaches up to that of a rare value: nothing of it came back."""
    columns = dict.fromkeys(Shares._fields, np.zeros(2))
    columns |= {"share_before": np.array([0.01, 0.01]), "high": np.array([0.02, 0.02]), "after": np.array([0, 3])}
    assert Shares(**columns).restored.tolist() == [False, True]


def test_a_word_of_all_that_is_left_has_the_whole_share():
    """Whatever the digits of the weights: a share of 1.0000000000000002 made a report that nothing reads."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        kept = np.arange(60) < 50
        has = np.column_stack([kept | (np.arange(60) < 55), np.arange(60) < 40])
        weight = np.where(kept, rng.uniform(0.2, 3, 60), 0.0)
        chosen = Selection(np.arange(60), kept, np.arange(60), np.empty(0, np.int64), Coverage(1, 1))
        found = shares_of(Values(csr_array(has.astype(float)), [("word", "a"), ("word", "b")], {}, ""), chosen, weight)
        (place,) = np.flatnonzero(found.value == "a")
        effective = weight.sum() ** 2 / (weight @ weight)
        assert (found.share_weighted[place], found.high[place]) == (1.0, 1.0)
        assert found.low[place] == pytest.approx(0.025 ** (1 / effective))


def test_the_limit_holds_weights_down_and_it_is_said(tmp_path):
    """Of women hardly any are left: ten times the mean is not enough for them."""
    made = world(tmp_path / "store", 2)
    women = np.flatnonzero(has(made, "woman"))
    made.kept[women[20:]] = False
    result = weighted(made, ReweightOptions(max_weight=3.0, clusters=0))
    assert result.weight.max() <= 3 * (1 + 1e-6)
    assert result.beyond > 0.2
    row = entry(result, "woman")
    assert row["share_weighted"] < 0.5 * row["share_before"]
    assert not result.shares.restored[result.shares.value == "woman"].any()


def test_clusters_are_named_by_captions_and_balanced(made):
    result = weighted(made, ReweightOptions(clusters=6))
    clusters = result.shares.feature == "cluster"
    assert clusters.sum() == 6
    assert result.shares.restored[clusters].all()
    assert all(" w" in str(name) for name in result.shares.value[clusters])


def test_the_same_whatever_the_order_of_seeds(made, result):
    again = weighted(made)
    assert (again.weight == result.weight).all()
    other = weighted(made, ReweightOptions(clusters=0, seed=5))
    assert np.corrcoef(other.weight[made.kept], result.weight[made.kept])[0, 1] > 0.95


def test_sums_are_those_of_the_counter(made):
    """The sums over families that dedup's skew counts one by one."""
    rng = np.random.default_rng(4)
    chosen = select(made.store, Names(made.store.all_columns().image_id[made.kept], "keep.txt"))
    chosen = chosen._replace(family=np.unique(rng.integers(0, 2000, len(chosen.rows)), return_inverse=True)[1])
    values = read_values(made.store, chosen, None, silent)
    counter = ValueCounter()
    for rows in np.array_split(np.argsort(chosen.family, kind="stable"), 5):
        of = values.of[rows].tocoo()
        order = np.argsort(of.row, kind="stable")
        counter.add(chosen.family[rows], chosen.kept[rows], Entries(of.row[order], of.col[order], values.names))
    inside, outside = counter.finish()
    place = [list(counter.values.codes).index(name) for name in values.names]
    found = sums_of(values.of, chosen.kept.astype(float), chosen.family)
    for expected, told in zip((*inside, *outside), (*found[0], *found[1]), strict=True):
        assert told == pytest.approx(expected[place])


def test_intervals_hold_at_their_confidence():
    """Of 300 data sets that are drawn and filtered anew, in families that are alike and stay or go together, 95 % of
    the intervals hold the share of what they are drawn from; weights are one over the true probability."""
    shares, held = np.linspace(0.05, 0.6, 8), np.empty((300, 8))
    for seed in range(len(held)):
        rng = np.random.default_rng(seed)
        family = np.repeat(np.arange(700), rng.integers(1, 5, 700))
        has = (rng.random((700, 8)) < shares)[family] ^ (rng.random((len(family), 8)) < 0.02)
        probability = 1 / (1 + np.exp(-(0.5 + has[:, :3] @ [1.0, -1.5, 0.7])))
        by_family = np.bincount(family, probability)[family] / np.bincount(family)[family]
        kept = rng.random(700)[family] < by_family
        weight = np.where(kept, 1 / by_family, 0.0)
        chosen = Selection(np.arange(len(family)), kept, family, np.empty(0, np.int64), Coverage(1, 1))
        values = Values(csr_array(has.astype(float)), [("word", str(place)) for place in range(8)], {}, "")
        found = shares_of(values, chosen, weight)
        order = np.argsort(found.value.astype(int))
        truth = shares * 0.98 + (1 - shares) * 0.02
        held[seed] = (found.low[order] <= truth) & (truth <= found.high[order])
    assert 0.93 < held.mean() < 0.985
    assert held.mean(axis=0).min() > 0.9


def test_impossible_options_are_refused(made):
    everything = made._replace(kept=np.ones(len(made.kept), bool))
    with pytest.raises(UsageError, match="the filter removed nothing"):
        weighted(everything)
    with pytest.raises(UsageError, match="--max-weight 1: expected more than 1"):
        weighted(made, ReweightOptions(max_weight=1.0))
    for clusters in (-1, 65_537):
        with pytest.raises(UsageError, match=f"--clusters {clusters}: expected 0 to 65,536"):
            weighted(made, ReweightOptions(clusters=clusters))
