"""p-values by rank, and the step-up rule."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.statistics import benjamini_hochberg, rank_p


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
