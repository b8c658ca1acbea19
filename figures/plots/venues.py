"""How wide a figure is and how large its text: tetviz's own measure, and those of the venues that print it.

Figures are designed for a page of 7.2 inches with text of 8 points, narrow ones for a column of 4.2 inches. The
functions below turn a length, a font size or a number of characters of that design into those of the venue in use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tetviz.errors import unknown

WIDTH, COLUMN, SIZE = 7.2, 4.2, 8.0
_LINE = 0.165  # inches that a line of text takes in the design
_SLIDE = 0.42  # of the width that panels on a slide are high; titles and legends take the rest of 16:9

# Bundled with matplotlib, so that a figure is the same everywhere; an SVG names what a viewer may have instead.
_SANS: dict[str, Any] = {"font.family": ["DejaVu Sans"]}
_TIMES: dict[str, Any] = {
    "font.family": ["STIXGeneral", "serif", "DejaVu Sans"],
    "font.serif": ["STIXGeneral", "Times New Roman", "Nimbus Roman", "Times"],
    "mathtext.fontset": "stix",
}


@dataclass(frozen=True)
class Venue:
    """The measure of a page.

    Attributes:
        text: width of the text block in inches.
        column: width of a narrow figure in inches: a column, where there are two.
        size: ordinary text of figures, in points.
        fonts: matplotlib's settings of the typeface.
        character: mean width of a character, in those of DejaVu Sans of the same size.
        captioned: whether a caption stands below each figure, so that a title inside would say the same again.
        slide: whether a figure is shown on a screen, which is wider than high.
    """

    text: float
    column: float
    size: float
    fonts: dict[str, Any]
    character: float
    captioned: bool = False
    slide: bool = False

    def settings(self) -> dict[str, Any]:
        """The venue as settings of matplotlib."""
        scale = self.size / SIZE
        sizes = {
            "font.size": 8,
            "axes.labelsize": 8,
            "axes.titlesize": 8,
            "figure.titlesize": 9 if self.size >= SIZE else 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7.5,
            "legend.title_fontsize": 7.5,
            "lines.linewidth": 1.4,
            "lines.markersize": 4.5,
            "axes.linewidth": 0.7,
            "hatch.linewidth": 0.5,
        }
        return {**self.fonts, **{name: value * scale for name, value in sizes.items()}}


VENUES: dict[str, Venue] = {
    "tetviz": Venue(WIDTH, COLUMN, SIZE, _SANS, 1.0),
    "neurips": Venue(5.5, 3.3, 7.0, _TIMES, 0.8, captioned=True),
    "icml": Venue(6.75, 3.25, 7.5, _TIMES, 0.8, captioned=True),
    "ieee": Venue(7.16, 3.5, 8.0, _TIMES, 0.8, captioned=True),
    "slides": Venue(10.0, 8.0, 12.0, _SANS, 1.0, slide=True),
}

_ACTIVE: ContextVar[Venue] = ContextVar("venue", default=VENUES["tetviz"])


@contextmanager
def use_style(name: str) -> Iterator[None]:
    """Draws for a venue, for the length of a ``with`` block.

    Args:
        name: in :data:`VENUES`.

    Yields:
        Nothing.

    Raises:
        ValueError: there is no such venue.
    """
    if name not in VENUES:
        raise ValueError(unknown("style", name, VENUES))
    token = _ACTIVE.set(VENUES[name])
    try:
        yield
    finally:
        _ACTIVE.reset(token)


def venue() -> Venue:
    """The venue in use."""
    return _ACTIVE.get()


def figure_title(text: str) -> str:
    """The title over all panels: networks, data and choices, which the caption says too."""
    return "" if venue().captioned else text


def inches(length: float, *, narrow: bool = False) -> float:
    """A length of the design, on the page of the venue."""
    return length * (venue().column / COLUMN if narrow else venue().text / WIDTH)


def tall(length: float, *, narrow: bool = False) -> float:
    """The height of all panels of a figure; on a slide no more than leaves the figure wider than high."""
    most = _SLIDE * (COLUMN if narrow else WIDTH)
    return inches(min(length, most) if venue().slide else length, narrow=narrow)


def points(size: float) -> float:
    """A font size of the design, in the text of the venue."""
    return size * venue().size / SIZE


def text_lines(count: float) -> float:
    """The height of lines of text."""
    return _LINE * count * venue().size / SIZE


def characters(count: float, *, narrow: bool = False) -> int:
    """How many characters fit where so many do in the design."""
    return max(8, int(count * inches(1, narrow=narrow) / (points(1) * venue().character)))
