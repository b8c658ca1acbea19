"""Differences between groups of networks over seeds, against SciPy and against draws."""

import math

import numpy as np
import pytest
from scipy import stats

from tetviz.summaries.seeds import detectable, difference, mean_over_seeds, reached, seeds_needed

DRAWS = 2000


def by_seed(values: np.ndarray, start: int = 0) -> dict[int, float]:
    return {start + seed: float(value) for seed, value in enumerate(values)}


def test_a_mean_has_students_interval_and_p_values() -> None:
    values = np.array([0.3, -0.1, 0.8, 0.4, 1.1])
    found, expected = mean_over_seeds(by_seed(values)), stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert 2 * min(found.p_above, found.p_below) == pytest.approx(expected.pvalue)
    assert mean_over_seeds(by_seed(values), null=0.5).p_above == pytest.approx(
        stats.ttest_1samp(values, 0.5, alternative="greater").pvalue
    )


def test_groups_that_share_seeds_are_paired() -> None:
    first, second = np.array([50.0, 60.0, 70.0]), np.array([51.0, 61.5, 71.0])
    found = difference(by_seed(first), by_seed(second) | {9: 0.0})
    assert found.paired
    assert found.seeds == 3
    assert found.p_above == pytest.approx(stats.ttest_rel(second, first, alternative="greater").pvalue)


def test_groups_of_other_seeds_are_compared_by_welch() -> None:
    first, second = np.array([1.0, 2.0, 4.0, 3.0]), np.array([7.0, 3.0, 12.0])
    found, expected = difference(by_seed(first), by_seed(second, 10)), stats.ttest_ind(second, first, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert not found.paired
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert 2 * min(found.p_above, found.p_below) == pytest.approx(expected.pvalue)


def test_a_seed_without_a_number_is_left_out_and_counted() -> None:
    found = mean_over_seeds({0: 1.0, 1: math.nan, 2: 3.0, 3: math.inf})
    assert (found.mean, found.seeds, found.left_out) == (2.0, 2, 2)
    alone = mean_over_seeds({0: 1.0})
    assert alone.mean == 1.0
    assert math.isnan(alone.low)
    assert math.isnan(mean_over_seeds({0: math.nan}).mean)


def test_seeds_that_agree_exactly_have_an_interval_of_no_width() -> None:
    found = mean_over_seeds({0: 2.0, 1: 2.0})
    assert (found.low, found.high, found.p_above) == (2.0, 2.0, 0.0)
    assert mean_over_seeds({0: 0.0, 1: 0.0}).p_above == 0.5


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_intervals_hold_the_difference_as_often_as_they_say(seeds: int, draw: str) -> None:
    generator = np.random.default_rng(seeds)
    seed_effect = generator.normal(0, 3, (DRAWS, seeds))  # of weights and order, which both groups share
    first, second = (seed_effect + getattr(generator, draw)(size=(DRAWS, seeds)) for _ in range(2))
    found = [difference(by_seed(a), by_seed(b + 1.5)) for a, b in zip(first, second, strict=True)]
    held = np.mean([each.low <= 1.5 <= each.high for each in found])
    assert 0.95 - 3 * math.sqrt(0.05 * 0.95 / DRAWS) < held < 0.985


def test_power_is_that_of_draws() -> None:
    draws = np.random.default_rng(1).normal(1.2, 1.0, (20_000, 8))
    seen = np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)
    assert reached(1.2, 1.0, 8) == pytest.approx(seen, abs=0.01)


def test_seeds_needed_is_the_smallest_number_that_suffices() -> None:
    for size in (0.3, 1.0, 2.5):
        needed = seeds_needed(size, 1.0)
        assert needed is not None
        assert reached(size, 1.0, needed) >= 0.8
        assert needed == 2 or reached(size, 1.0, needed - 1) < 0.8
    assert seeds_needed(0.0, 1.0) is seeds_needed(math.nan, 1.0) is seeds_needed(1e-4, 1.0) is None
    assert seeds_needed(1.0, 0.0) == 2


def test_detectable_is_the_size_that_the_seeds_see() -> None:
    assert reached(detectable(2.0, 5), 2.0, 5) == pytest.approx(0.8)
    assert detectable(0.0, 5) == 0
    assert math.isnan(detectable(1.0, 1))
