"""Dynamic inference: accuracy against mean T, when each sample stops as soon as the network is sure of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tetviz.errors import ResultError, unknown
from tetviz.results import ScalingCurve
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.names import samples_of
from tetviz.summaries.scaling import is_right, wilson

RULES = ("margin", "entropy")
TABLE_MEANS = (1, 1.1, 1.25, 1.5, 2, 3, 4, 6)
POINTS = 200


@dataclass(frozen=True)
class ExitCurve:
    """Accuracy against mean T of one rule; every array is over thresholds, from the one that stops first.

    Attributes:
        rule: ``margin`` or ``entropy``.
        threshold: of the rule; infinite (entropy: minus infinite) where nothing stops before the last step.
        mean_timesteps: mean over samples of the T at which they stop.
        accuracy: of the mean output of steps 1..T at that T, a fraction.
        low: lower end of its 95 % Wilson interval.
        high: upper end.
        unsure: share of the samples that never pass the threshold and run to the last step.
        samples: number of samples.
    """

    rule: str
    threshold: FloatArray
    mean_timesteps: FloatArray
    accuracy: FloatArray
    low: FloatArray
    high: FloatArray
    unsure: FloatArray
    samples: int


def exit_timesteps(curve: ScalingCurve, rule: str, threshold: float) -> IntArray:
    """When each sample stops: at the first T where the network is sure, else at the last that it has.

    Confidence is that of the softmax of the *mean* output of steps 1..T. (Published code thresholds the softmax of
    the sum, whose temperature falls with T.)

    Args:
        curve: a scaling curve.
        rule: ``margin`` stops where the margin is at least the threshold; ``entropy`` where the normalised entropy
            is at most the threshold.
        threshold: of the rule.

    Returns:
        A number of timesteps for each sample. A sample whose outputs are not finite is never sure.

    Raises:
        ResultError: every T was a run of its own, with batch-norm statistics re-estimated.
        ValueError: there is no such rule.
    """
    return _stops(curve, _surest(curve, rule), _sign(rule) * threshold)


def exit_curve(curve: ScalingCurve, rule: str, thresholds: Sequence[float] | None = None) -> ExitCurve:
    """Accuracy against mean T.

    By default about 200 thresholds that the samples themselves pass, from one that stops all of them at T = 1 to
    one that stops none, so chosen that the mean T grows by about the same factor from one to the next.

    Args:
        curve: a scaling curve.
        rule: ``margin`` or ``entropy``, as in :func:`exit_timesteps`.
        thresholds: others.

    Returns:
        A point for each threshold.
    """
    surest, right, rows = _surest(curve, rule), is_right(curve), np.arange(len(curve.sample))
    levels = _even_levels(surest) if thresholds is None else np.sort(_sign(rule) * np.asarray(thresholds, float))
    stops = [_stops(curve, surest, level) for level in levels]
    accuracy = np.array([right[rows, stop - 1].mean() for stop in stops])
    low, high = wilson(accuracy, len(samples_of(curve)))
    return ExitCurve(
        rule=rule,
        threshold=_sign(rule) * levels,
        mean_timesteps=np.array([stop.mean() for stop in stops]),
        accuracy=accuracy,
        low=low,
        high=high,
        unsure=np.array([(surest[:, -1] < level).mean() for level in levels]),
        samples=len(samples_of(curve)),
    )


def table_points(curve: ExitCurve) -> list[int]:
    """Which points of an exit curve a table has rows for.

    They are chosen by their mean T alone, never by their accuracy, so their intervals are honest.
    """
    last = float(curve.mean_timesteps[-1])
    doubling = [2.0**power for power in range(3, 64) if 2.0**power < last]
    wanted = [mean for mean in (*TABLE_MEANS, *doubling) if mean < last]
    nearest = {int(np.abs(curve.mean_timesteps - mean).argmin()) for mean in wanted}
    return sorted(nearest | {len(curve.mean_timesteps) - 1})


def _surest(curve: ScalingCurve, rule: str) -> FloatArray:
    if curve.recalibrated:
        raise ResultError(
            "no sample can exit early where batch-norm statistics were re-estimated at every T: each T is a run of its "
            "own; measure with tetviz scale --bn frozen"
        )
    # The highest confidence that each sample has had up to each T: it stops where that first reaches a level.
    confidence = _sign(rule) * getattr(curve, rule).astype(np.float64)
    known: FloatArray = np.where(np.isnan(confidence), -np.inf, confidence)
    return np.maximum.accumulate(known, axis=1)


def _sign(rule: str) -> float:
    # Of confidence: a large margin, a small entropy.
    if rule not in RULES:
        raise ValueError(unknown("rule", rule, RULES))
    return 1.0 if rule == "margin" else -1.0


def _stops(curve: ScalingCurve, surest: FloatArray, level: float) -> IntArray:
    stops = np.asarray(1 + (surest[:, :-1] < level).sum(1))
    return stops if curve.length is None else np.minimum(stops, curve.length)


def _even_levels(surest: FloatArray) -> FloatArray:
    # Below the k-th smallest of all values before the last step there are k, so that level has mean T = 1 + k / N.
    samples, steps = surest.shape
    values = np.sort(surest[:, :-1].ravel())
    values = values[np.isfinite(values)]
    ranks = np.rint(samples * (np.geomspace(1, steps, POINTS) - 1)).astype(int)
    levels = np.unique(values[ranks[ranks < len(values)]])
    return np.append(levels, np.inf)
