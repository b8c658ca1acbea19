"""Charts that are lines and points, as data: drawn for print and for a page from the same numbers."""

from dataclasses import dataclass, field

from tetviz.results.schema import FloatArray


@dataclass(frozen=True, eq=False)
class Series:
    """A line of points of one network.

    Attributes:
        network: position of its network, which decides colour and marker.
        x: coordinates.
        y: values, NaN where there is none.
        low: lower ends of their intervals; None where there are none.
        high: upper ends.
        texts: what a reader who points at a point is told; empty where there is nothing to tell.
        ringed: positions of the points that stand out.
        thin: whether it stands in the background.
        joined: whether its points are joined by a line.
    """

    network: int
    x: FloatArray
    y: FloatArray
    low: FloatArray | None = None
    high: FloatArray | None = None
    texts: tuple[str, ...] = ()
    ringed: tuple[int, ...] = ()
    thin: bool = False
    joined: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: what it measures, with the unit.
        scale: ``linear``, ``log``, ``log2`` (numbers of timesteps) or ``whole`` (epochs).
        ticks: names of the places 0, 1, ... of an axis of things; empty for numbers.
    """

    title: str
    scale: str = "linear"
    ticks: tuple[str, ...] = ()


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
        marks: coordinates of vertical lines, each with its network and whether it is dashed, not dotted.
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
    marks: tuple[tuple[float, int, bool], ...] = field(default=())
