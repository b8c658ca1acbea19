"""Charts that are lines and points, as data: drawn for print and for a page from the same numbers."""

from dataclasses import dataclass

import numpy as np

from tetviz.results.schema import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Series:
    """A line of points of one network.

    Attributes:
        network: position of its network, which decides colour and marker.
        x: coordinates.
        y: values, NaN where there is none.
        low: lower ends of their intervals; None where there are none.
        high: upper ends.
        texts: what a reader who points at a point is told, in lines; empty where there is nothing to tell.
        ringed: positions of the points that stand out.
        thin: whether it stands in the background.
        joined: whether its points are joined by a line.
        every: whether each point has a marker; else some of a line do.
    """

    network: int
    x: FloatArray | IntArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    texts: tuple[str, ...] = ()
    ringed: tuple[int, ...] = ()
    thin: bool = False
    joined: bool = True
    every: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line.

    Attributes:
        at: its coordinate.
        network: position of the network that it belongs to.
        dashed: whether it is dashed, not dotted.
        text: what stands above it.
    """

    at: float
    network: int
    dashed: bool = False
    text: str = ""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: what it measures, with the unit.
        scale: ``linear``, ``log``, ``log2`` (numbers of timesteps) or ``whole`` (epochs).
        ticks: names of the places 0, 1, ... of an axis of things; empty for numbers.
        bold: the one of them that stands out.
        least: the range that it covers at least, so that a flat curve does not look like a wild one.
        within: the values that it does not go beyond; None for any.
        zero: whether a line marks 0.
    """

    title: str
    scale: str = "linear"
    ticks: tuple[str, ...] = ()
    bold: str = ""
    least: float = 0.0
    within: tuple[float, float] | None = None
    zero: bool = False


@dataclass(frozen=True, eq=False)
class Curves:
    """A chart.

    Attributes:
        title: above it.
        alt: what it shows, for those who do not see it.
        networks: what the networks are called.
        x: the axis of the coordinates.
        y: the axis of the values.
        series: the lines.
        ring: what a ring around a point means; empty where there is none.
        band: what a band means.
        thin: what a thin line means.
        dashed: what a dashed vertical line means.
        dotted: what a dotted one means.
        marks: the vertical lines.
        methods: what the colours of the networks follow, such as the losses that they were trained with; by default
            their names.
        fold: the title under which a page folds it; empty to show it. A picture shows what is not folded.
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
    dashed: str = ""
    dotted: str = ""
    marks: tuple[Mark, ...] = ()
    methods: tuple[str, ...] = ()
    fold: str = ""


def position(axis: FloatArray | IntArray, value: float) -> tuple[int, ...]:
    """Where a value stands on an axis, as the one point that a ring is around; nowhere if it is not on it."""
    return tuple(np.flatnonzero(axis == value).tolist())
