"""What finite steps say of the curvature of the measured loss, and of the surrogate gradient."""

import numpy as np
from scipy import stats
from scipy.integrate import trapezoid

from tetviz.results import Curvature, default_timestep
from tetviz.results.schema import FloatArray
from tetviz.summaries.intervals import Interval, mean_interval, student

FEWEST = 8
RESAMPLES = 2000


def finite_curvature(curvature: Curvature, timestep: int) -> FloatArray:
    """Second differences of the loss that is measured.

    (L(+r) + L(-r) - 2 L_0) / (r |w|)^2 along each direction. Averaged over directions and multiplied by the
    number of parameters it is comparable with the trace of a Hessian.

    Args:
        curvature: the measurement.
        timestep: number of timesteps.

    Returns:
        Nat over squared L2 length, direction x radius; NaN where it is not done.
    """
    values, centre = _losses(curvature, timestep)
    return np.asarray((values.sum(2) - 2 * centre) / (curvature.radius * curvature.weight_norm) ** 2)


def outlying_eigenvalues(curvature: Curvature) -> Interval:
    """How many eigenvalues of the surrogate Hessian lie above half of the largest.

    The number of parameters times the integral of the density from there on, from each random start; one start meets
    such an eigenvalue by chance, so that they differ by far more than the density in its bulk.

    Returns:
        The mean over random starts with its interval; NaN where eigenvalues or density are not known.
    """
    known = curvature.eigenvalue[np.isfinite(curvature.eigenvalue)]
    if curvature.repeat_density is None or not len(known) or known.max() <= 0:
        return mean_interval(np.array([np.nan]))
    above = curvature.bin >= known.max() / 2
    return mean_interval(
        curvature.parameters * trapezoid(curvature.repeat_density[:, above], curvature.bin[above], axis=1)
    )


def slope_agreement(curvature: Curvature) -> dict[str, FloatArray]:
    """The cosine between the surrogate gradient g and the gradient G of the loss smoothed over a radius.

    Along a random unit direction v the loss has the slope a = (L(+r) - L(-r)) / (2 r |w|). From a random point at
    the distance r, it is an estimate of v.G whose error is independent of the error from another such point, so
    with two points, slopes a and a', and b = v.g, over directions

        E[a b] = g.G / n        E[a a'] = |G|^2 / n        E[b b] = |g|^2 / n

    and the cosine is E[a b] / sqrt(E[a a'] E[b b]), the means taken over the directions measured. Where the
    errors are so large that E[a a'] comes out negative, it is not resolved: NaN. ``correlation`` is the plain
    one between the slopes at the checkpoint itself and b, whose size the steps of the loss pull down.

    Args:
        curvature: the measurement; the slopes are at the timesteps that the gradient was taken at.

    Returns:
        ``cosine`` with ``low`` and ``high``, its 95 % expanded percentile bootstrap interval (Hesterberg 2015,
        section 4.2; NaN where too many resamples are not resolved), and ``correlation``; each has a value for every
        radius, from the directions measured so far. NaN with fewer than eight directions.
    """
    timestep = default_timestep(curvature)
    steps = 2 * curvature.radius * curvature.weight_norm
    shifted = getattr(curvature, f"shifted_{curvature.loss}_loss")[..., timestep - 1]
    shifted = np.where(curvature.shifted_done == 1, shifted, np.nan)
    values, _ = _losses(curvature, timestep)
    around = (shifted[..., 1] - shifted[..., 0]) / steps
    here = (values[..., 1] - values[..., 0]) / steps
    found = {name: np.full(len(curvature.radius), np.nan) for name in ("cosine", "low", "high", "correlation")}
    generator = np.random.default_rng(0)
    for radius in range(len(curvature.radius)):
        known = np.isfinite(around[:, :, radius]).all(1) & np.isfinite(here[:, radius])
        a, plain, b = around[known, :, radius], here[known, radius], curvature.slope[known]
        if len(b) < FEWEST:
            continue
        found["cosine"][radius] = _cosine(a[None], b[None])[0]
        found["low"][radius], found["high"][radius] = resampled_cosine(a, b, generator)
        size = np.sqrt((plain @ plain) * (b @ b))
        found["correlation"][radius] = plain @ b / size if size > 0 else np.nan
    return found


def resampled_cosine(a: FloatArray, b: FloatArray, generator: np.random.Generator) -> tuple[float, float]:
    """The 95 % expanded percentile bootstrap interval of the cosine (Hesterberg 2015, section 4.2).

    Args:
        a: slopes, direction x 2.
        b: surrogate gradient along each direction.

    Returns:
        Its ends; NaN where so many resamples are not resolved that one of the ends is not.
    """
    beyond = stats.norm.cdf(-np.sqrt(len(b) / (len(b) - 1)) * student(len(b)))
    rows = generator.integers(0, len(b), (RESAMPLES, len(b)))
    draws = _cosine(a[rows], b[rows])
    # An interval of the draws that are resolved alone would be too narrow.
    if np.isfinite(draws).mean() <= 1 - beyond:
        return np.nan, np.nan
    low, high = np.nanquantile(draws, [beyond, 1 - beyond])
    return float(low), float(high)


def _cosine(a: FloatArray, b: FloatArray) -> FloatArray:
    # a: draw x direction x base, b: draw x direction.
    along = (a.mean(2) * b).mean(1)
    square = (a[..., 0] * a[..., 1]).mean(1)
    size = np.sqrt(np.maximum(square, 0) * (b**2).mean(1))
    return np.asarray(np.divide(along, size, out=np.full_like(along, np.nan), where=size > 0))


def _losses(curvature: Curvature, timestep: int) -> tuple[FloatArray, float]:
    values = getattr(curvature, f"{curvature.loss}_loss")[..., timestep - 1]
    centre = float(getattr(curvature, f"center_{curvature.loss}_loss")[timestep - 1])
    return np.where((curvature.done == 1) & np.isfinite(values), values, np.nan), centre
