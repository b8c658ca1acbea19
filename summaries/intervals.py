"""Intervals of a mean over independent draws, such as random planes, and p-values of many of them."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from tetviz.results.schema import FloatArray

CONFIDENCE = 0.95
METHOD = "95 % skewness-corrected t intervals"


@dataclass(frozen=True)
class Interval:
    """A mean over draws, with its 95 % interval.

    Attributes:
        mean: the mean, shaped like one draw.
        low: lower end of the interval; NaN for a single draw.
        high: upper end; NaN for a single draw.
        p: two-sided p-value of a mean of 0, below 0.05 where the interval leaves out 0; NaN for a single draw.
        draws: number of draws.
    """

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    p: FloatArray
    draws: int


def mean_of_complete(draws: FloatArray) -> Interval:
    """The mean over those draws that are complete, or over all while none is, with its interval.

    A mean over whatever has been measured at each place would jump where the draws change.

    Args:
        draws: (draw, place), NaN where there is no value.
    """
    complete = np.isfinite(draws).all(1)
    return mean_interval(draws[complete] if complete.any() else draws)


def mean_interval(values: FloatArray) -> Interval:
    """The mean over draws, with its 95 % t interval, corrected for skewness (Hall 1992).

    With s the sample standard deviation of n draws (n - 1), c their skewness (third central moment over s^3), and
    U = (mean - mu) / s,

        sqrt(n) (U + c U^2 / 3 + c^2 U^3 / 27 + c / 6n)

    is taken for Student's t with n - 1 degrees of freedom; the interval holds all mu for which it is not among the
    outermost 2.5 % on either side. For draws without skewness, such as any two, it is Student's interval. It is not
    random, knows no order of the draws, and shifts and scales with them.

    Args:
        values: draws along the first axis. A value that is not finite makes the ends of its column NaN.

    Returns:
        The mean and its interval; one of no width where all draws are equal.

    Raises:
        ValueError: there is no draw.
    """
    values = np.asarray(values, dtype=np.float64)
    draws = len(values)
    if draws == 0:
        raise ValueError("no draw to take a mean of")
    with np.errstate(over="ignore", invalid="ignore"):
        mean = values.mean(0)
        if draws == 1:
            unknown = np.full_like(mean, np.nan)
            return Interval(mean, unknown, unknown, unknown, draws)
        spread, skewness = _moments(values - mean)
        reach = student(draws) / np.sqrt(draws)
        low, high = (mean - spread * _untransform(end, skewness, draws) for end in (reach, -reach))
        studentised = _transform(mean / np.where(spread == 0, np.nan, spread), skewness, draws)
    p = 2 * stats.t.sf(np.sqrt(draws) * np.abs(studentised), draws - 1)
    return Interval(mean, low, high, np.where(spread == 0, mean == 0, p), draws)


def student(draws: int) -> float:
    """How many standard errors a 95 % interval of a mean of normal values reaches to either side of it."""
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, draws - 1))


def holm(p: FloatArray) -> FloatArray:
    """P-values adjusted for their number (Holm 1979): 95 times in 100 chance alone brings none of them below 0.05.

    Args:
        p: p-values of any dependence, none of them NaN.

    Returns:
        The k-th smallest of m times m + 1 - k, at least what any smaller one has become, and at most 1.
    """
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def _moments(deviations: FloatArray) -> tuple[FloatArray, FloatArray]:
    # In units of the largest deviation, whose powers neither overflow nor vanish.
    size = np.abs(deviations).max(0)
    unit = deviations / np.where(size == 0, 1, size)
    deviation = np.sqrt((unit**2).sum(0) / (len(unit) - 1))
    return size * deviation, (unit**3).mean(0) / np.where(deviation == 0, 1, deviation) ** 3


def _transform(studentised: FloatArray, skewness: FloatArray, draws: int) -> FloatArray:
    cubic = studentised + skewness * studentised**2 / 3 + skewness**2 * studentised**3 / 27
    return np.asarray(cubic + skewness / (6 * draws))


def _untransform(value: float, skewness: FloatArray, draws: int) -> FloatArray:
    # Where it is 3 ((1 + c z)^(1/3) - 1) / c, in a form that c = 0 has too.
    z = value - skewness / (6 * draws)
    root = np.cbrt(1 + skewness * z)
    return np.asarray(3 * z / (root**2 + root + 1))
