"""Intervals of a mean: their coverage, their laws and their edges; p-values and their adjustment."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from tetviz.summaries.intervals import holm, mean_interval

# As docs/definitions.md has it, from benchmarks/interval_coverage.py.
COVERAGE = {
    "normal": {3: 95.2, 5: 95.0, 10: 94.9, 20: 95.0},
    "exponential": {3: 90.1, 5: 91.2, 10: 93.4, 20: 94.3},
    "lognormal": {3: 86.1, 5: 86.7, 10: 89.4, 20: 91.5},
}
DRAWN = {
    "normal": (lambda generator, shape: generator.standard_normal(shape), 0.0),
    "exponential": (lambda generator, shape: generator.exponential(size=shape), 1.0),
    "lognormal": (lambda generator, shape: generator.lognormal(size=shape), np.exp(0.5)),
}


def arrays(found):
    return found.mean, found.low, found.high, found.p


@pytest.mark.parametrize("draws", [3, 5, 10, 20])
@pytest.mark.parametrize("shape", DRAWN)
def test_intervals_hold_the_mean_as_often_as_the_documents_say(shape, draws):
    make, mean = DRAWN[shape]
    found = mean_interval(3 + 2 * make(np.random.default_rng(draws), (draws, 20_000)))
    held = 100 * ((found.low <= 3 + 2 * mean) & (found.high >= 3 + 2 * mean)).mean()
    assert held == pytest.approx(COVERAGE[shape][draws], abs=0.7)  # whose standard error is 0.2
    if shape == "normal":
        assert abs(held - 95) < 0.6
        below, above = (found.low > 3).mean(), (found.high < 3).mean()
        assert abs(below - above) < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_the_ends_are_where_the_transformed_statistic_is_an_outer_quantile_of_student(seed):
    """By bisection on the mean, from the formula of Hall 1992 as it is printed, with nothing but loops."""
    values = np.random.default_rng(seed).lognormal(size=7)
    n, mean = 7, sum(values) / 7
    second, third = (sum((v - mean) ** k for v in values) / n for k in (2, 3))
    spread, skewness = (second * n / (n - 1)) ** 0.5, third / (second * n / (n - 1)) ** 1.5

    def transformed(mu):
        t = n**0.5 * (mean - mu) / spread
        return t + skewness * t**2 / (3 * n**0.5) + skewness**2 * t**3 / (27 * n) + skewness / (6 * n**0.5)

    found, outer = mean_interval(values), stats.t.ppf(0.975, n - 1)
    far = 1e3 * spread
    assert found.low == pytest.approx(optimize.brentq(lambda mu: transformed(mu) - outer, mean - far, mean + far))
    assert found.high == pytest.approx(optimize.brentq(lambda mu: transformed(mu) + outer, mean - far, mean + far))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(transformed(0)), n - 1))


def test_draws_without_skewness_have_the_interval_of_student():
    for values in (np.array([1.0, 4.0]), np.array([-3.0, -1.0, 0.0, 1.0, 3.0])):
        found = mean_interval(values)
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        np.testing.assert_allclose([found.low, found.high], [low, high], atol=1e-12)
        assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_intervals_of_skewed_draws_reach_further_to_the_side_of_the_tail():
    values = np.array([0.0, 0.1, 0.2, 0.3, 4.0])
    found, mirrored = mean_interval(values), mean_interval(-values)
    assert found.high - found.mean > 2 * (found.mean - found.low)
    np.testing.assert_allclose([mirrored.low, mirrored.high], [-found.high, -found.low])


@given(st.integers(0, 2**31), st.integers(2, 9), st.floats(0.01, 3))
@settings(max_examples=50)
def test_the_p_value_is_below_five_percent_where_the_interval_leaves_out_0(seed, draws, shift):
    found = mean_interval(shift + np.random.default_rng(seed).exponential(size=(draws, 5)) - 1)
    np.testing.assert_array_equal(found.p < 0.05, (found.low > 0) | (found.high < 0))


@pytest.mark.parametrize("draws", [2, 5, 30])
@pytest.mark.parametrize("constant", [0.0, -1.5, 1e6, 0.1, 1e300])
def test_equal_draws_have_an_interval_of_no_width(draws, constant):
    found = mean_interval(np.full((draws, 2, 3), constant))
    for values in (found.mean, found.low, found.high):
        np.testing.assert_allclose(values, np.full((2, 3), constant), rtol=1e-14)
    assert (found.p == (1.0 if constant == 0 else 0.0)).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e150, 1e300])
def test_tiny_and_huge_draws_neither_vanish_nor_overflow(scale):
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found, expected = mean_interval(scale * values), mean_interval(values)
    np.testing.assert_allclose([found.low, found.high], [scale * expected.low, scale * expected.high], rtol=1e-12)
    assert found.p == pytest.approx(float(expected.p))


def test_a_single_draw_has_a_mean_and_no_interval():
    found = mean_interval(np.array([[1.0, 2.0, np.nan]]))
    np.testing.assert_array_equal(found.mean, [1, 2, np.nan])
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.draws == 1


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_a_column_that_is_not_finite_stays_so_alone(odd):
    values = np.random.default_rng(0).standard_normal((8, 3, 2))
    whole = mean_interval(values)
    values[5, 1, 0] = odd
    found = mean_interval(values)
    others = np.ones((3, 2), bool)
    others[1, 0] = False
    assert not np.isfinite(found.mean[1, 0])
    assert np.isnan([found.low[1, 0], found.high[1, 0], found.p[1, 0]]).all()
    for now, before in zip(arrays(found), arrays(whole), strict=True):
        np.testing.assert_array_equal(now[others], before[others])


def test_columns_of_nothing_but_nan_are_no_error():
    found = mean_interval(np.full((4, 2), np.nan))
    assert np.isnan(arrays(found)).all()
    assert mean_interval(np.empty((3, 0))).mean.shape == (0,)


@given(st.integers(0, 2**31), st.integers(2, 12), st.floats(-1e3, 1e3), st.floats(0.01, 100))
@settings(max_examples=25)
def test_intervals_shift_and_scale_with_the_draws_and_know_no_order(seed, draws, shift, scale):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((draws, 2))
    found, moved = mean_interval(values), mean_interval(shift + scale * values)
    width = (found.high - found.low).max()
    for name in ("mean", "low", "high"):
        expected = shift + scale * getattr(found, name)
        np.testing.assert_allclose(getattr(moved, name), expected, rtol=1e-9, atol=1e-9 * (1 + scale * width))
    for now, before in zip(arrays(mean_interval(generator.permutation(values))), arrays(found), strict=True):
        np.testing.assert_allclose(now, before, rtol=1e-9, atol=1e-12)
    assert (found.low < found.mean).all() and (found.mean < found.high).all()


def test_no_draw_is_an_error():
    with pytest.raises(ValueError, match="no draw"):
        mean_interval(np.empty((0, 3)))


def test_adjusted_p_values_are_those_of_a_loop():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.04, 0.9])
    expected, before = {}, 0.0
    for k, at in enumerate(sorted(range(6), key=lambda i: p[i])):
        before = expected[at] = max(before, min(1.0, (6 - k) * p[at]))
    np.testing.assert_allclose(holm(p), [expected[i] for i in range(6)])
    assert holm(p).tolist() == pytest.approx([0.05, 0.12, 0.12, 0.03, 0.12, 0.9])
    assert holm(np.array([])).tolist() == [] and holm(np.array([0.2])).tolist() == [0.2]


def test_of_noise_alone_adjusted_values_rarely_fall_below_five_percent():
    """Also where the values hang together: three groups of six that are equal."""
    generator = np.random.default_rng(3)
    for p in (generator.random((2000, 18)), generator.random((2000, 3)).repeat(6, 1)):
        assert np.mean([(holm(row) < 0.05).any() for row in p]) < 0.065
