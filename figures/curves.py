"""Charts that are lines and points, as data: drawn for print and for a page from the same numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tetviz.figures.formatting import number
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries import Interval

GAP = "not evaluated yet or not finite"
_MARGIN = 0.05  # of a range, so that a curve at its end is seen whole
WIDE = 100.0  # a wider range than this is shown by its logarithm


@dataclass(frozen=True, eq=False)
class Series:
    """A line of points.

    Attributes:
        network: position of its network, or of what else the colours tell apart, which decides colour and marker; None
            where it belongs to none.
        x: coordinates.
        y: values, NaN where there is none.
        low: lower ends of their intervals; None where there are none.
        high: upper ends.
        texts: what a reader who points at a point is told, in lines; empty where there is nothing to tell.
        ringed: positions of the points that stand out.
        thin: whether it stands in the background.
        predicted: whether it is predicted, not measured: it is dotted, and all else in the chart solid.
        joined: whether its points are joined by a line.
        every: whether each point has a marker; else some of a line do.
    """

    network: int | None
    x: FloatArray | IntArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    texts: tuple[str, ...] = ()
    ringed: tuple[int, ...] = ()
    thin: bool = False
    joined: bool = True
    every: bool = False
    predicted: bool = False

    @property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Where an interval has none beside it, so that no band but a bar shows it."""
        if self.low is None or self.high is None:
            return np.zeros(len(self.x), bool)
        known = np.isfinite(self.low) & np.isfinite(self.high)
        beside = np.concatenate([[False], known, [False]])
        return np.asarray(known & ~beside[:-2] & ~beside[2:])


@dataclass(frozen=True)
class Mark:
    """A vertical line.

    Attributes:
        at: its coordinate.
        network: position of what it belongs to, as that of a series.
        dashed: whether it is dashed, not dotted.
        text: what stands above it.
    """

    at: float
    network: int | None
    dashed: bool = False
    text: str = ""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: what it measures, with the unit.
        scale: ``linear``, ``log``, ``symlog`` (linear around 0), ``log2`` (numbers of timesteps) or ``whole`` (epochs).
        linear: how far from 0 a ``symlog`` axis is linear.
        ticks: names of the places 0, 1, ... of an axis of things; empty for numbers.
        bold: the one of them that stands out.
        least: the range that it covers at least, so that a flat curve does not look like a wild one.
        within: the values that there are, beyond which a linear axis goes by a margin only, too narrow for a tick; None
            for any.
        lines: values that a line marks; the axis has them.
        at: the numbers that have ticks; empty to leave that to what draws it.
    """

    title: str
    scale: str = "linear"
    linear: float = 0.0
    ticks: tuple[str, ...] = ()
    bold: str = ""
    least: float = 0.0
    within: tuple[float, float] | None = None
    lines: tuple[float, ...] = ()
    at: tuple[float, ...] = ()

    def bounded(self, low: float, high: float) -> tuple[float, float]:
        """From where to where it goes, for the ends that fit what is drawn."""
        if high - low < self.least:
            low, high = (low + high - self.least) / 2, (low + high + self.least) / 2
        least, most = self.within or (low, high)
        spare = _MARGIN * (high - low) if self.scale == "linear" else 0.0
        return max(low, least - spare), min(high, most + spare)


ACCURACY = Axis("accuracy (%)", least=2.0, within=(0.0, 100.0))


@dataclass(frozen=True, eq=False)
class Curves:
    """A chart.

    Attributes:
        title: above it.
        alt: what it shows, for those who do not see it.
        networks: what the colours tell apart is called: networks, or the quantities and ways of a single result.
        x: the axis of the coordinates.
        y: the axis of the values.
        series: the lines.
        ring: what a ring around a point means; empty where there is none.
        band: what a band means.
        thin: what a thin line means.
        strong: what a line with markers means, where that has to be said.
        predicted: what a dotted line means, of those that are no vertical ones.
        dashed: what a dashed vertical line means.
        dotted: what a dotted one means.
        marks: the vertical lines.
        methods: what the colours of the networks follow, such as the losses that they were trained with; by default
            their names.
        fold: the title under which a page folds it; empty to show it. A picture shows what is not folded.
        gaps: from where to where no line has a value; see :data:`GAP`.
        note: what stands in the middle of it, such as why it is empty.
        row: the row of a picture of several charts that it stands in.
    """

    title: str
    alt: str
    networks: tuple[str, ...]
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    ring: str = ""
    band: str = ""
    thin: str = ""
    strong: str = ""
    predicted: str = ""
    dashed: str = ""
    dotted: str = ""
    marks: tuple[Mark, ...] = ()
    methods: tuple[str, ...] = ()
    fold: str = ""
    gaps: tuple[tuple[float, float], ...] = ()
    note: str = ""
    row: int = 0


def position(axis: FloatArray | IntArray, value: float) -> tuple[int, ...]:
    """Where a value stands on an axis, as the one point that a ring is around; nowhere if it is not on it."""
    return tuple(np.flatnonzero(axis == value).tolist())


def marked(curves: Curves, series: Series, markers: int = 8) -> list[int]:
    """The positions of a line that have markers: on an axis of timesteps the powers of two, which are its ticks.

    Elsewhere they are evenly spread, and those of different networks apart, as lines may lie on one another.
    """
    if series.every or not series.joined:
        return list(range(len(series.x)))
    if curves.x.scale == "log2" and np.all(series.x == np.floor(series.x)):
        return [index for index, t in enumerate(series.x.tolist()) if int(t) & (int(t) - 1) == 0]
    step = max(1, len(series.x) // markers)
    first = (2 * (series.network or 0) + 1) * step // (2 * len(curves.networks))
    return list(range(first, len(series.x), step))


def scale_of(values: Sequence[FloatArray], *, from_median: bool = False, wide: float = WIDE) -> tuple[str, float]:
    """The scale for values over a wide range: logarithmic, and linear around 0 where some are not positive.

    Args:
        values: all that is drawn; NaN is passed over.
        from_median: whether the range begins at the median of the sizes, not at the smallest: values that go to 0
            have no smallest size to speak of. Without it, values that are not positive stay on a linear scale.

    Returns:
        The scale of an :class:`Axis`, and how far from 0 it is linear.
    """
    flat = np.concatenate([np.ravel(each) for each in values])
    sizes = np.abs(flat[np.isfinite(flat) & (flat != 0)])
    bottom = float(np.median(sizes) if from_median else sizes.min()) if len(sizes) else 0.0
    if not len(sizes) or sizes.max() <= wide * bottom:
        return "linear", 0.0
    if np.nanmin(flat) > 0:
        return "log", 0.0
    return ("symlog", float(10.0 ** np.floor(np.log10(bottom)))) if from_median else ("linear", 0.0)


def gaps_of(x: FloatArray | IntArray, lines: Sequence[FloatArray]) -> tuple[tuple[float, float], ...]:
    """From where to where none of some lines over the same coordinates has a value."""
    missing = ~np.isfinite(np.stack(lines)).any(0)
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    steps = np.diff(np.concatenate([[0], missing.astype(int), [0]]))
    runs = zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True)
    return tuple((float(edges[start]), float(edges[end])) for start, end in runs)


def interval_texts(x: FloatArray, mean: Interval, at: str, what: str, unit: str) -> tuple[str, ...]:
    """What a reader who points at a mean is told: where it is, the mean, its interval."""
    ends = zip(x.tolist(), mean.mean.tolist(), mean.low.tolist(), mean.high.tolist(), strict=True)
    return tuple(
        f"{at} = {place:g}\n{what} {number(value)}{f' [{low:.4g}, {high:.4g}]' * math.isfinite(low)} {unit}"
        for place, value, low, high in ends
    )
