"""Bootstrap intervals: their coverage, their laws and their edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from wording import refuses

from tetviz.summaries.intervals import CONFIDENCE, RESAMPLES, bootstrap_mean


@pytest.mark.parametrize("draws", [5, 10, 30])
def test_intervals_of_normal_draws_hold_the_mean_as_often_as_they_say(draws):
    """500 columns at once. The plain percentile interval holds it in 0.90 at n = 10 and in less below."""
    values = 3 + 2 * np.random.default_rng(draws).standard_normal((draws, 500))
    found = bootstrap_mean(values)
    held = ((found.low <= 3) & (found.high >= 3)).mean()
    assert 0.90 <= held <= 0.97
    below, above = (found.low > 3).mean(), (found.high < 3).mean()
    assert abs(below - above) < 0.04
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-14)
    assert found.draws == draws
    student = stats.t.interval(0.95, draws - 1, values.mean(0), stats.sem(values))
    assert np.median((found.high - found.low) / (student[1] - student[0])) == pytest.approx(1, abs=0.12)


def test_an_interval_is_that_of_a_loop_over_resamples():
    """Plain resampling, one mean at a time, and the percentiles that Hesterberg widens."""
    values = np.random.default_rng(0).exponential(size=6)
    draw = np.random.default_rng(1)
    means = np.sort([np.mean([values[k] for k in draw.integers(0, 6, 6)]) for _ in range(RESAMPLES)])
    level = stats.norm.cdf(-np.sqrt(6 / 5) * stats.t.ppf(0.5 + CONFIDENCE / 2, 5))
    assert 0 < level < 0.025
    found = bootstrap_mean(values)
    assert found.mean.shape == found.low.shape == found.high.shape == ()
    spread = values.std()
    assert found.low == pytest.approx(np.quantile(means, level), abs=0.1 * spread)
    assert found.high == pytest.approx(np.quantile(means, 1 - level), abs=0.1 * spread)
    assert values.min() <= found.low <= found.mean <= found.high <= values.max()


@pytest.mark.parametrize("draws", [2, 5, 30])
@pytest.mark.parametrize("constant", [0.0, -1.5, 1e6, 0.1])
def test_equal_draws_have_an_interval_of_no_width(draws, constant):
    found = bootstrap_mean(np.full((draws, 2, 3), constant))
    for values in (found.mean, found.low, found.high):
        np.testing.assert_allclose(values, np.full((2, 3), constant), rtol=1e-14)


def test_a_single_draw_has_a_mean_and_no_interval():
    found = bootstrap_mean(np.array([[1.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(found.mean, [1, 2, np.nan])
    assert np.isnan(found.low).all()
    assert np.isnan(found.high).all()
    assert found.draws == 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_not_finite_stays_so_alone(odd):
    values = np.random.default_rng(0).standard_normal((8, 3, 2))
    whole = bootstrap_mean(values)
    values[5, 1, 0] = odd
    found = bootstrap_mean(values)
    others = np.ones((3, 2), bool)
    others[1, 0] = False
    assert not np.isfinite(found.mean[1, 0])
    assert np.isnan([found.low[1, 0], found.high[1, 0]]).all()
    for name in ("mean", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name)[others], getattr(whole, name)[others])


def test_columns_of_nothing_but_nan_are_no_error():
    found = bootstrap_mean(np.full((4, 2), np.nan))
    assert np.isnan([found.mean, found.low, found.high]).all()
    assert bootstrap_mean(np.empty((3, 0))).mean.shape == (0,)


@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(-1e3, 1e3), st.floats(0.01, 100))
@settings(max_examples=15)
def test_intervals_shift_and_scale_with_the_draws_and_the_mean_knows_no_order(seed, draws, shift, scale):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((draws, 2))
    found, moved = bootstrap_mean(values), bootstrap_mean(shift + scale * values)
    for name in ("mean", "low", "high"):
        np.testing.assert_allclose(getattr(moved, name), shift + scale * getattr(found, name), rtol=1e-9, atol=1e-9)
    shuffled = bootstrap_mean(generator.permutation(values))
    np.testing.assert_allclose(shuffled.mean, found.mean, rtol=1e-12, atol=1e-14)
    if draws > 4:
        width = found.high - found.low
        assert (np.abs(shuffled.low - found.low) < 0.15 * width).all()
    mirrored = bootstrap_mean(-values)
    np.testing.assert_allclose(mirrored.low, -found.high, rtol=1e-9, atol=0.15 * (found.high - found.low).max())
    assert (found.low <= found.mean + 1e-12).all()
    assert (found.mean <= found.high + 1e-12).all()


def test_the_same_seed_gives_the_same_interval_and_no_global_state_is_used():
    values = np.random.default_rng(0).standard_normal((7, 3))
    kept = values.copy()
    np.random.seed(0)
    state = np.random.get_state()[1].copy()
    first = bootstrap_mean(values)
    np.random.seed(1)
    second, other = bootstrap_mean(values), bootstrap_mean(values, seed=1)
    np.random.seed(0)
    assert (np.random.get_state()[1] == state).all()
    for name in ("mean", "low", "high"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()
    assert (first.low != other.low).any()
    np.testing.assert_array_equal(values, kept)


def test_all_columns_see_the_same_resamples():
    """So that bands of neighbouring points of a line move together."""
    column = np.random.default_rng(0).standard_normal(9)
    found = bootstrap_mean(np.stack([column, column, 2 * column], 1))
    assert found.low[0] == found.low[1]
    assert found.low[2] == pytest.approx(2 * found.low[0], rel=1e-12)


def test_no_draw_is_an_error():
    with refuses(ValueError, "no draw"):
        bootstrap_mean(np.empty((0, 3)))
