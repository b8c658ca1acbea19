"""Bootstrap intervals of a mean over independent draws, such as random planes."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from tetviz.results.schema import FloatArray

CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """A mean over draws, with its 95 % interval.

    Attributes:
        mean: the mean, shaped like one draw.
        low: lower end of the interval; NaN for a single draw.
        high: upper end; NaN for a single draw.
        draws: number of draws.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    draws: int


def tail(draws: int) -> float:
    """The share of resamples beyond each end of an expanded percentile interval (Hesterberg 2015, section 4.2)."""
    student = stats.t.ppf(0.5 + CONFIDENCE / 2, draws - 1)
    return float(stats.norm.cdf(-math.sqrt(draws / (draws - 1)) * student))


def mean_of_complete(draws: FloatArray) -> Interval:
    """The mean over those draws that are complete, or over all while none is, with its interval.

    A mean over whatever has been measured at each place would jump where the draws change.

    Args:
        draws: (draw, place), NaN where there is no value.
    """
    complete = np.isfinite(draws).all(1)
    return bootstrap_mean(draws[complete] if complete.any() else draws)


def bootstrap_mean(values: FloatArray, seed: int = 0) -> Interval:
    """The mean over draws, with its 95 % expanded percentile bootstrap interval (Hesterberg 2015, section 4.2).

    The plain percentile interval of n draws is too narrow: of normal values it holds the mean in 76 % of cases
    at n = 3 and in 90 % at n = 10. The expanded one takes the percentiles at the levels
    Phi(-sqrt(n / (n - 1)) t), t the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom. It
    can still not reach beyond the smallest and the largest draw, so three draws remain too few.

    Args:
        values: draws along the first axis, resampled whole, so that all columns see the same resamples. A NaN
            makes its column NaN.
        seed: of the resampling.

    Returns:
        The mean and its interval.

    Raises:
        ValueError: there is no draw.
    """
    values = np.asarray(values, dtype=np.float64)
    draws = len(values)
    if draws == 0:
        raise ValueError("no draw to take a mean of")
    mean = values.mean(0)
    bounds = np.full((2, *mean.shape), np.nan)
    known = np.isfinite(mean)
    if draws > 1 and known.any():
        found = stats.bootstrap(
            (values[:, known],),
            np.mean,
            axis=0,
            n_resamples=RESAMPLES,
            batch=1000,
            vectorized=True,
            confidence_level=1 - 2 * tail(draws),
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        bounds[:, known] = found.confidence_interval
    return Interval(mean, bounds[0], bounds[1], draws)
