"""How often the intervals of tetviz hold what they are intervals of: the tables of docs/definitions.md.

    python benchmarks/interval_coverage.py

Every number is a percentage of independent sets of draws. Beside each interval stand the ones that it was chosen over.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from tetviz.results.schema import FloatArray
from tetviz.summaries.curvature import resampled_cosine
from tetviz.summaries.intervals import mean_interval
from tetviz.summaries.scaling import FEW_SPLIT, paired_interval

DRAWS = (3, 5, 10, 20)
SETS = 100_000
RESAMPLED_SETS, RESAMPLES = 4000, 1999
Make = Callable[[np.random.Generator, tuple[int, int]], FloatArray]
SHAPES: dict[str, tuple[Make, float]] = {
    "normal": (lambda generator, shape: generator.standard_normal(shape), 0.0),
    "exponential": (lambda generator, shape: generator.exponential(size=shape), 1.0),
    "lognormal": (lambda generator, shape: generator.lognormal(size=shape), float(np.exp(0.5))),
}


def corrected(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What tetviz takes."""
    found = mean_interval(values)
    return found.low, found.high


def student(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Student's interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return values.mean(0) - half, values.mean(0) + half


def bootstrap(method: str) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Scipy's interval, at the levels that Hesterberg 2015 (section 4.2) takes for few draws."""

    def interval(values: FloatArray) -> tuple[FloatArray, FloatArray]:
        n = len(values)
        level = 1 - 2 * stats.norm.cdf(-np.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1))
        found = stats.bootstrap(
            (values[:, :RESAMPLED_SETS],),
            np.mean,
            axis=0,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=100,
            confidence_level=level,
            method=method,
            rng=np.random.default_rng(0),
        )
        return found.confidence_interval.low, found.confidence_interval.high

    return interval


INTERVALS = {
    "tetviz": corrected,
    "Student": student,
    "expanded percentile bootstrap": bootstrap("percentile"),
    "expanded BCa bootstrap": bootstrap("BCa"),
}


def of_means() -> Iterator[str]:
    """Coverage of a mean, by method, shape and number of draws, with the median width."""
    yield f"{'interval of a mean':30} {'draws of':12}" + "".join(f"{f'K = {k}':>16}" for k in DRAWS)
    for method, interval in INTERVALS.items():
        for shape, (make, mean) in SHAPES.items():
            cells = []
            for draws in DRAWS:
                low, high = interval(make(np.random.default_rng(draws), (draws, SETS)))
                held = 100 * ((low <= mean) & (mean <= high)).mean()
                cells.append(f"{held:6.1f} ({np.median(high - low):5.2f})")
            yield f"{method:30} {shape:12}" + "".join(f"{cell:>16}" for cell in cells)


def of_accuracies() -> Iterator[str]:
    """Coverage of a difference of accuracies, exact, and how often equal networks are told apart."""
    yield "difference of accuracies: shares that one of two alone gets right, coverage, called different though equal"
    for samples in (30, 100, 360, 1000):
        for p, q in ((0.02, 0.02), (0.1, 0.1), (0.02, 0.06), (0.05, 0.2)):
            b, c = (each.ravel() for each in np.indices((samples + 1, samples + 1)))
            b, c = b[b + c <= samples], c[b + c <= samples]
            chances = stats.multinomial(samples, [p, q, 1 - p - q]).pmf(np.stack([b, c, samples - b - c], 1))
            low, high = paired_interval(b, c, samples)
            held = 100 * chances[(low <= q - p) & (q - p <= high)].sum()
            told = 100 * chances[((low > 0) | (high < 0)) & (b + c >= FEW_SPLIT)].sum()
            yield f"N = {samples:4}  {p:.2f} {q:.2f}  {held:6.1f}" + (f"  {told:4.1f}" if p == q else "")


def of_cosines(sets: int = 500) -> Iterator[str]:
    """Coverage of the cosine of gradients where it is resolved, for slopes that are normal."""
    yield "cosine of gradients: directions, cosine, noise over slope, coverage where resolved, share resolved"
    generator = np.random.default_rng(0)
    for directions in (8, 16, 32, 64):
        for cosine in (0.0, 0.5, 0.9):
            for noise in (0.0, 0.5):
                held = []
                for _ in range(sets):
                    b = generator.standard_normal(directions)
                    g = cosine * b + np.sqrt(1 - cosine**2) * generator.standard_normal(directions)
                    a = g[:, None] + noise * generator.standard_normal((directions, 2))
                    low, high = resampled_cosine(a, b, generator)
                    if np.isfinite(low):
                        held.append(low <= cosine <= high)
                yield (
                    f"N = {directions:3}  {cosine:.1f}  {noise:.1f}  {100 * np.mean(held):6.1f}"
                    f"  {100 * len(held) / sets:6.1f}"
                )


def main() -> None:
    """Prints the tables."""
    for table in (of_means, of_accuracies, of_cosines):
        for line in table():
            print(line, flush=True)


if __name__ == "__main__":
    main()
