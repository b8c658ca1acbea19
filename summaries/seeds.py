"""Differences between groups of trained networks, over seeds of training: intervals, p-values, and how many it takes.

The unit is the trained network. What is measured several times of one, such as on random planes, is averaged first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from tetviz.summaries.intervals import CONFIDENCE

FEW_SEEDS = 3
POWER = 0.8
METHOD = "95 % Student t intervals over training seeds"
_MOST_SEEDS = 10_000


@dataclass(frozen=True)
class SeedMean:
    """A mean over training seeds with its 95 % interval.

    Attributes:
        mean: the mean.
        low: lower end of the interval; NaN with fewer than two seeds.
        high: upper end.
        p_above: p-value of a mean of ``null`` or less, against a larger one.
        p_below: of a mean of ``null`` or more, against a smaller one.
        deviation: sample standard deviation of the draws, from which the interval is; NaN with fewer than two seeds.
        seeds: number of networks, or of pairs of them.
        paired: whether the draws are differences between networks of the same seed.
        left_out: seeds without a finite number.
    """

    mean: float
    low: float
    high: float
    p_above: float
    p_below: float
    deviation: float
    seeds: int
    paired: bool
    left_out: int = 0

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def mean_over_seeds(values: Mapping[int, float], null: float = 0.0, paired: bool = False) -> SeedMean:
    """The mean over seeds with Student's 95 % interval.

    Not the interval corrected for skewness that planes have: of the three to ten draws here the skewness cannot be
    known, and p-values far below 0.05, which many claims at once take, come out 1.4 times too small with it. The
    difference between two groups that do not differ is symmetric, where Student's are kept.

    Args:
        values: a number for each seed; one that is not finite is left out, and counted.
        null: what the mean is tested against.
        paired: whether they are differences.
    """
    found = np.array([value for value in values.values() if math.isfinite(value)])
    left_out = len(values) - len(found)
    if len(found) < 2:
        mean = float(found.mean()) if len(found) else math.nan
        return SeedMean(mean, math.nan, math.nan, math.nan, math.nan, math.nan, len(found), paired, left_out)
    deviation = float(found.std(ddof=1))
    error = deviation / math.sqrt(len(found))
    return _around(float(found.mean()), error, len(found) - 1, null, deviation, len(found), paired, left_out)


def difference(first: Mapping[int, float], second: Mapping[int, float], null: float = 0.0) -> SeedMean:
    """The mean of a second group minus that of a first one.

    Paired where the groups share two seeds or more: then those alone count, since a seed decides the initial weights
    and the order of the samples of both. Else Welch's interval of two independent groups.

    Args:
        first: a number for each seed.
        second: likewise.
        null: what the difference is tested against.
    """
    shared = sorted(first.keys() & second.keys())
    if len(shared) > 1:
        return mean_over_seeds({seed: second[seed] - first[seed] for seed in shared}, null, paired=True)
    groups = [np.array([value for value in group.values() if math.isfinite(value)]) for group in (first, second)]
    left_out = len(first) + len(second) - sum(map(len, groups))
    seeds = min(map(len, groups))
    mean = float(groups[1].mean() - groups[0].mean()) if seeds else math.nan
    if seeds < 2:
        return SeedMean(mean, math.nan, math.nan, math.nan, math.nan, math.nan, seeds, False, left_out)
    squares = [float(group.var(ddof=1)) / len(group) for group in groups]
    total = sum(squares)
    spread = sum(square**2 / (len(group) - 1) for square, group in zip(squares, groups, strict=True))
    freedom = total**2 / spread if spread > 0 else float(seeds - 1)
    return _around(mean, math.sqrt(total), freedom, null, math.sqrt(total * seeds), seeds, False, left_out)


def _around(
    mean: float, error: float, freedom: float, null: float, deviation: float, seeds: int, paired: bool, left_out: int
) -> SeedMean:
    reach = float(special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    if error > 0:
        above = float(special.stdtr(freedom, (null - mean) / error))
    else:  # all draws are equal
        above = 0.5 if mean == null else float(mean < null)
    return SeedMean(mean, mean - reach, mean + reach, above, 1 - above, deviation, seeds, paired, left_out)


def seeds_needed(size: float, deviation: float, power: float = POWER) -> int | None:
    """How many seeds a paired difference takes to leave out 0 so often, at 95 %.

    Args:
        size: the difference.
        deviation: standard deviation of the differences between networks of the same seed.
        power: how often.

    Returns:
        The smallest number, at least two; None where it is more than 10,000 or not known.
    """
    if not (math.isfinite(size) and math.isfinite(deviation)) or size == 0:
        return None
    low, high = 2, 2
    while reached(size, deviation, high) < power:
        if high >= _MOST_SEEDS:
            return None
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(size, deviation, middle) >= power else (middle, high)
    return low if reached(size, deviation, low) >= power else high


def reached(size: float, deviation: float, seeds: int) -> float:
    """How often so many seeds have an interval that leaves out 0 (of the noncentral t distribution)."""
    if deviation == 0:
        return 1.0
    limit = float(stats.t.ppf(0.5 + CONFIDENCE / 2, seeds - 1))
    shift = abs(size) / deviation * math.sqrt(seeds)
    power = float(stats.nct.sf(limit, seeds - 1, shift) + stats.nct.cdf(-limit, seeds - 1, shift))
    return power if math.isfinite(power) else float(stats.norm.sf(limit - shift))


def detectable(deviation: float, seeds: int, power: float = POWER) -> float:
    """The smallest difference that so many seeds have an interval without 0 of so often; NaN with fewer than two."""
    if seeds < 2 or not math.isfinite(deviation):
        return math.nan
    low, high = 0.0, deviation
    while high and reached(high, deviation, seeds) < power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle, deviation, seeds) >= power else (middle, high)
    return high
