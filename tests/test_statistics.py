"""Intervals and tests against published figures, scipy, and simulated truths."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, fisher_exact

from memaudit import statistics
from memaudit.errors import UsageError
from memaudit.statistics import (
    benjamini_hochberg,
    clopper_pearson_lower,
    clopper_pearson_upper,
    greater_rate_p,
    least_relabelling_p,
    mcnemar_p,
    rank_p,
    rate_of,
    ratio_interval,
    relabelling_p,
    rise_between,
    rise_p,
)
from memaudit.types import Coverage


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    n = draw(st.integers(1, 100_000))
    return draw(st.integers(0, n)), n


# --- rates ---------------------------------------------------------------------------------------------------------


def test_none_of_50_000_is_the_published_bound() -> None:
    """docs/protocols/statistics.md: 0 of 50,000 means at most 5.99e-5 one-sided, 7.38e-5 two-sided."""
    rate = rate_of(0, Coverage(50_000, 50_000))
    assert rate.upper == pytest.approx(5.99e-5, abs=5e-8)
    assert rate.high == pytest.approx(7.38e-5, abs=5e-8)
    assert (rate.low, rate.value) == (0, 0)


def test_300_of_50_000_is_the_published_interval() -> None:
    """docs/protocols/statistics.md: 300 of 50,000 is 0.6 %, from 0.534 to 0.672 %."""
    rate = rate_of(300, Coverage(50_000, 50_000))
    assert (rate.value, round(rate.low, 5), round(rate.high, 5)) == (0.006, 0.00534, 0.00672)


@settings(max_examples=150, deadline=None)
@given(counts(), st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999]))
def test_two_sided_interval_is_scipys_exact_one(count_n: tuple[int, int], confidence: float) -> None:
    """Clopper-Pearson as scipy finds it (by a root search, hence the tolerance), for any count."""
    count, n = count_n
    rate = rate_of(count, Coverage(n, n), confidence)
    expected = binomtest(count, n).proportion_ci(confidence, method="exact")
    assert rate.low == pytest.approx(expected.low, rel=1e-6, abs=1e-11)
    assert rate.high == pytest.approx(expected.high, rel=1e-6, abs=1e-11)


@settings(max_examples=100, deadline=None)
@given(counts(), st.sampled_from([0.9, 0.95, 0.99]))
def test_one_sided_bound_is_scipys_exact_one(count_n: tuple[int, int], confidence: float) -> None:
    """The bound that the gate holds against its limit, for the alternative "less"."""
    count, n = count_n
    expected = binomtest(count, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert rate_of(count, Coverage(n, n), confidence).upper == pytest.approx(expected, rel=1e-6, abs=1e-11)


@settings(max_examples=100, deadline=None)
@given(counts())
def test_interval_holds_the_estimate_and_the_bounds_are_in_order(count_n: tuple[int, int]) -> None:
    """0 <= low <= value <= upper <= high <= 1, always."""
    rate = rate_of(count_n[0], Coverage(count_n[1], count_n[1]))
    assert rate.value is not None
    assert 0 <= rate.low <= rate.value <= rate.upper <= rate.high <= 1


@settings(max_examples=100, deadline=None)
@given(counts())
def test_more_findings_or_fewer_generations_never_lower_the_bound(count_n: tuple[int, int]) -> None:
    """One finding more raises every bound; one generation less among those without a finding as well."""
    count, n = count_n
    rate = rate_of(count, Coverage(n, n))
    if count < n:
        worse = rate_of(count + 1, Coverage(n, n))
        fewer = rate_of(count, Coverage(n - 1, n))
        for bound in ("low", "high", "upper"):
            assert getattr(worse, bound) >= getattr(rate, bound)
            assert getattr(fewer, bound) >= getattr(rate, bound)


@pytest.mark.parametrize("n", [1, 3, 59, 299, 1000, 10**6, 10**9])
def test_no_finding_is_the_closed_form(n: int) -> None:
    """0 of n: 1 - 0.05^(1/n), about 3 / n: so many generations a "zero" policy takes."""
    rate = rate_of(0, Coverage(n, n))
    assert rate.upper == pytest.approx(-np.expm1(np.log(0.05) / n), rel=1e-9)
    assert rate.high == pytest.approx(-np.expm1(np.log(0.025) / n), rel=1e-9)


def test_nothing_measured_is_the_whole_interval() -> None:
    """Trap "an empty input scored as perfect": 0 of 0 has no value, and a bound of 1."""
    rate = rate_of(0, Coverage(0, 500))
    assert (rate.value, rate.low, rate.high, rate.upper) == (None, 0, 1, 1)
    assert rate.coverage.share == 0
    assert rate_of(0, Coverage(0, 0)).upper == 1


def test_large_sets_stay_finite() -> None:
    """A trillion generations give a bound, and not a NaN that no comparison would catch."""
    rate = rate_of(0, Coverage(10**12, 10**12))
    assert rate.upper == pytest.approx(3e-12, rel=0.01)
    assert rate_of(10**12, Coverage(10**12, 10**12)).low == pytest.approx(1, abs=1e-11)


@pytest.mark.parametrize(("count", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(count: int, n: int) -> None:
    """More findings than generations is a mistake of the caller, and not a rate."""
    for bound in (clopper_pearson_lower, clopper_pearson_upper):
        with pytest.raises(UsageError, match="impossible"):
            bound(count, n, 0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200), st.floats(0.001, 0.999), st.integers(0, 1000))
def test_interval_covers_the_true_rate(n: int, p: float, seed: int) -> None:
    """Clopper-Pearson never covers less than it says: exact, by summing over all counts."""
    covered = 0.0

    for count in range(n + 1):
        rate = rate_of(count, Coverage(n, n))
        covered += binom.pmf(count, n, p) * (rate.low <= p <= rate.high)
    assert covered >= 0.95 - 1e-9


# --- ratios over rows ----------------------------------------------------------------------------------------------


def test_ratio_of_single_pairs_is_the_binomial_interval() -> None:
    """With one pair for each row, rows are independent draws and the interval is Clopper-Pearson's."""
    found, true = np.array([1] * 90 + [0] * 10), np.ones(100, np.int64)
    expected = binomtest(90, 100).proportion_ci(0.95, method="exact")
    low, high = ratio_interval(found, true, 0.95)
    assert low == pytest.approx(expected.low, abs=0.01)
    assert high == pytest.approx(expected.high, abs=0.01)


def test_clumps_widen_the_interval() -> None:
    """The same 10 % missed in ten rows of 100 pairs is far less certain than in a thousand rows of one."""
    scattered = ratio_interval(np.array([1] * 900 + [0] * 100), np.ones(1000, np.int64), 0.95)
    clumped = ratio_interval(np.array([100] * 9 + [0]), np.full(10, 100), 0.95)
    assert clumped[0] < scattered[0] - 0.2
    assert clumped[1] > scattered[1]


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 60))
def test_ratio_interval_is_ordered_and_holds_the_ratio(data: st.DataObject, rows: int) -> None:
    """0 <= low <= ratio <= high <= 1 for any clumps, one row or many, all found or none."""
    true = np.array(data.draw(st.lists(st.integers(1, 1000), min_size=rows, max_size=rows)))
    found = np.array([data.draw(st.integers(0, int(t))) for t in true])
    low, high = ratio_interval(found, true, 0.95)
    assert 0 <= low <= found.sum() / true.sum() + 1e-12
    assert found.sum() / true.sum() - 1e-12 <= high <= 1


def test_nothing_missed_is_not_certainty() -> None:
    """59 rows without a miss bound the share of incomplete rows by 5 %; one row bounds next to nothing."""
    assert ratio_interval(np.full(59, 7), np.full(59, 7), 0.95)[0] == pytest.approx(0.95, abs=1e-3)
    assert ratio_interval(np.array([40]), np.array([40]), 0.95) == (pytest.approx(0.05), 1)


# --- the relabelling test ------------------------------------------------------------------------------------------


def p_of(weights: list[int], training: list[bool], references: int, controls: int) -> float:
    columns = (np.array(weights, dtype=np.int64), np.array(training, dtype=bool))
    return relabelling_p(*columns, references, controls, permutations=999, seed=0)


def test_without_matches_p_is_one() -> None:
    """No generation near any image speaks for nothing."""
    assert p_of([], [], 1000, 1000) == 1


def test_p_is_never_zero() -> None:
    """(1 + reached) / (1 + B): a thousand findings give 1 / 1000 with 999 permutations, and not 0."""
    assert p_of([1] * 1000, [True] * 1000, 5000, 5000) == 0.001


def test_all_matches_held_out_give_p_one() -> None:
    """A model whose generations resemble only images it never saw has memorised nothing."""
    assert p_of([2] * 30, [False] * 30, 500, 500) == 1


def test_many_training_matches_mean_little_beside_few_controls() -> None:
    """With 100 training images to each held-out one, twenty training matches are what chance gives."""
    assert p_of([1] * 20, [True] * 20, 100_000, 1_000) > 0.7
    assert p_of([1] * 20, [True] * 20, 1_000, 1_000) == 0.001


def test_one_group_that_returns_often_is_one_piece_of_evidence() -> None:
    """Fifty generations of one group are one label: the p-value cannot fall below the chance of that label."""
    assert p_of([50], [True], 500, 500) == pytest.approx(0.5, abs=0.06)
    assert p_of([50], [True], 500, 1000) == pytest.approx(1 / 3, abs=0.05)


def test_relabelling_is_the_exact_sum_over_labels() -> None:
    """Uneven weights, few images: the p-value is that of all ways to draw the labels."""
    weights, training = [5, 3, 1, 1], [True, False, True, True]

    def excess(labels: list[bool]) -> float:
        both = ((sum(w for w, label in zip(weights, labels, strict=True) if label), 10, 36), (sum(labels), 4, 4))
        return max((count - 5 / 9 * total) / math.sqrt(squares) for count, total, squares in both)

    ways = [excess([label < 5 for label in labels]) for labels in permutations(range(9), 4)]
    truth = sum(way >= excess(training) - 1e-9 for way in ways) / len(ways)  # labels 0 to 4 are training images
    columns = (np.array(weights, dtype=np.int64), np.array(training, dtype=bool))
    assert relabelling_p(*columns, 5, 4, permutations=99_999, seed=1) == pytest.approx(truth, abs=0.005)


def test_relabelling_does_not_depend_on_what_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory bound is no part of the result, beyond the draws themselves."""
    columns = (np.arange(1, 41), np.arange(40) < 25)
    whole = relabelling_p(*columns, 60, 40, permutations=9999, seed=0)
    monkeypatch.setattr(statistics, "_DRAWN_AT_ONCE", 1000)
    assert relabelling_p(*columns, 60, 40, permutations=9999, seed=0) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize(("groups", "references", "controls"), [(1, 3, 1), (4, 6, 4), (5, 4, 9), (0, 5, 5)])
def test_the_least_p_is_the_chance_that_all_labels_are_training(groups: int, references: int, controls: int) -> None:
    """What the test could show at most: by counting, 0 where there are fewer training images than groups."""
    truth = math.comb(references, groups) / math.comb(references + controls, groups)
    assert least_relabelling_p(groups, references, controls) == pytest.approx(truth)


@pytest.mark.parametrize(("references", "controls"), [(300, 300), (900, 100), (100, 300)])
def test_relabelling_is_valid_when_labels_are_exchangeable(references: int, controls: int) -> None:
    """Labels drawn by chance give p <= alpha no more often than alpha, for uneven weights (1,000 splits)."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 6, 40)
    labels = np.arange(references + controls) < references
    ps = np.array(
        [
            relabelling_p(weights, rng.permutation(labels)[:40], references, controls, permutations=199, seed=int(seed))
            for seed in rng.integers(0, 2**31, 1000)
        ]
    )
    for alpha in (0.01, 0.05, 0.2, 0.5):
        assert (ps <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 1000)
    assert (ps <= 0.5).mean() > 0.35  # and it is not valid by never speaking


# --- single matches ------------------------------------------------------------------------------------------------


def test_p_by_rank_counts_the_control_that_is_as_high() -> None:
    """(1 + #{control >= score}) / (1 + n): ties speak for the model, and no p is below 1 / (n + 1)."""
    control = np.array([0.1, 0.5, 0.5, 0.9])
    assert rank_p(np.array([0.95, 0.9, 0.6, 0.5, 0.0]), control).tolist() == [0.2, 0.4, 0.4, 0.8, 1.0]


def test_without_control_p_by_rank_is_one() -> None:
    """Nothing to compare with: nothing stands out."""
    assert rank_p(np.array([1.0, 0.0]), np.empty(0)).tolist() == [1, 1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0.001, 0.01, 0.02, 0.03, 0.2, 0.5, 1.0]), max_size=30))
def test_benjamini_hochberg_is_the_step_up_rule(p: list[float]) -> None:
    """Adjusted <= q for just those that the rule of 1995 rejects: the k smallest, k the last with p <= k q / m."""
    adjusted = benjamini_hochberg(np.array(p))
    for q in (0.01, 0.05, 0.1, 0.5):
        ordered = sorted(p)
        last = max((k for k in range(1, len(p) + 1) if ordered[k - 1] <= k * q / len(p)), default=0)
        expected = set(ordered[:last])
        assert {value for value, a in zip(p, adjusted, strict=True) if a <= q + 1e-12} == expected


# --- Fisher --------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(counts(), counts())
def test_greater_rate_p_is_fishers(left: tuple[int, int], right: tuple[int, int]) -> None:
    """One-sided, generations against control."""
    (k1, n1), (k2, n2) = left, right
    expected = fisher_exact([[k1, n1 - k1], [k2, n2 - k2]], alternative="greater").pvalue
    assert greater_rate_p(k1, n1, k2, n2) == pytest.approx(expected)


def test_greater_rate_p_looks_the_right_way() -> None:
    """Ten of a hundred against none is surprising, none against ten is not."""
    assert greater_rate_p(10, 100, 0, 100) < 0.001
    assert greater_rate_p(0, 100, 10, 100) == pytest.approx(1)


# --- two runs ------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_scipys_binomial_test(gained: int, lost: int) -> None:
    """Exact, one-sided, for any discordant pairs; without any it is 1."""
    n = gained + lost
    expected = binomtest(gained, n, alternative="greater").pvalue if n else 1.0
    assert mcnemar_p(gained, lost) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_mcnemar_is_the_textbooks_figure() -> None:
    """Ten gained, two lost: 79 of 4,096 tosses of twelve coins."""
    assert mcnemar_p(10, 2) == pytest.approx(79 / 4096)


@settings(max_examples=150, deadline=None)
@given(counts(), counts())
def test_rise_is_scipys_fisher_test(new: tuple[int, int], old: tuple[int, int]) -> None:
    """The hypergeometric tail as scipy sums it."""
    (count, n), (earlier, earlier_n) = new, old
    expected = greater_rate_p(count, n, earlier, earlier_n)
    assert rise_p(count, n, earlier, earlier_n) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_rise_is_small_and_soon_told_for_huge_counts() -> None:
    """A report may claim a billion generations: the answer is not the slower for it."""
    assert rise_p(10**6, 10**9, 10**6, 10**9) == pytest.approx(0.5, abs=0.01)
    assert rise_p(2 * 10**6, 10**9, 10**6, 10**9) < 1e-12
    assert rise_p(0, 0, 5, 10) == 1
    assert rise_p(10**6, 10**9, 2 * 10**6, 10**9) == pytest.approx(1)


@settings(max_examples=100, deadline=None)
@given(counts(), counts(), st.sampled_from([0.01, 0.05, 0.2]))
def test_bounds_of_a_rise_hold_the_rise(new: tuple[int, int], old: tuple[int, int], error: float) -> None:
    """Low <= value <= high, and a smaller error gives wider bounds."""
    rise, wider = rise_between(*new, *old, error), rise_between(*new, *old, error / 2)
    assert -1 <= wider.low <= rise.low <= rise.value <= rise.high <= wider.high <= 1


def test_bounds_of_a_rise_hold_what_they_promise() -> None:
    """Of simulated pairs of runs the true rise is above the upper bound no more often than the error allows."""
    rng = np.random.default_rng(0)
    for p_gained, p_lost in ((0.01, 0.01), (0.02, 0.0), (0.1, 0.08)):
        draws = rng.multinomial(400, [p_gained, p_lost, 1 - p_gained - p_lost], size=1500)
        missed = [p_gained - p_lost > rise_between(int(b), 400, int(c), 400, 0.05).high for b, c, _ in draws]
        assert np.mean(missed) <= 0.05


def test_nothing_measured_bounds_nothing() -> None:
    """[-1, 1], which no margin can mistake for no rise."""
    rise = rise_between(0, 0, 0, 0, 0.05)
    assert (rise.low, rise.high) == (-1, 1)


@settings(max_examples=300, deadline=None)
@given(
    st.data(), st.sampled_from([10, 1000, 10**5, 10**7, 10**9]), st.sampled_from([1e-6, 0.001, 0.025, 0.05, 0.1, 0.25])
)
def test_bounds_of_few_have_the_tail_that_was_asked_for(data: st.DataObject, most: int, tail: float) -> None:
    """What is summed without scipy has, by scipy's binomial distribution, that much beyond it.

    Its beta quantiles are no measure: of 999 in 10,134,486 with a tail of 1e-6 they are wrong by 1e-5.
    """
    n = data.draw(st.integers(1, most))
    count = data.draw(st.integers(0, min(n - 1, 1000)))
    assert binom.cdf(count, n, clopper_pearson_upper(count, n, tail)) == pytest.approx(tail, rel=1e-5)
    if count:
        assert binom.sf(count - 1, n, clopper_pearson_lower(count, n, tail)) == pytest.approx(tail, rel=1e-5)


@pytest.mark.parametrize(("count", "n"), [(1001, 1002), (1500, 4000), (50_000, 1_000_000), (1_000_000, 1_000_000_000)])
def test_without_scipy_many_findings_are_bounded_as_well(count: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that installs no SciPy sums, and gets what SciPy gives."""
    tails = (0.05, 0.025, 1e-4)
    with_scipy = [(clopper_pearson_lower(count, n, tail), clopper_pearson_upper(count, n, tail)) for tail in tails]
    monkeypatch.setattr(statistics, "find_spec", lambda name: None)
    summed = [(clopper_pearson_lower(count, n, tail), clopper_pearson_upper(count, n, tail)) for tail in tails]
    np.testing.assert_allclose(summed, with_scipy, rtol=1e-8)
