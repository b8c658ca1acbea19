"""How figures look and how they are saved: colours, sizes, a style for print, deterministic files."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import seaborn
from matplotlib.figure import Figure

from tetviz.errors import TetvizError
from tetviz.figures.plots.venues import venue
from tetviz.results import known_suffix, writable_target, write_whole
from tetviz.results.contents import open_regular

DPI = 200
MOST_DOTS = 65_000  # of a side of a .png, which matplotlib draws up to 2^16
SUFFIXES = (".png", ".pdf", ".svg")
COLORMAP = "viridis"

# The colour-blind palette of seaborn. SDT and TET differ in lightness too, so they stay apart in grey.
_BLUE, _ORANGE, _GREEN, _RED, _PINK, _BROWN = seaborn.color_palette("colorblind").as_hex()[:6]
_INDIGO = "#332288"  # of Paul Tol's muted palette
_MARKS: list[dict[str, Any]] = [
    {"marker": "o", "linestyle": "-"},
    {"marker": "s", "linestyle": "--"},
    {"marker": "D", "linestyle": "-."},
    {"marker": "v", "linestyle": ":"},
    {"marker": "P", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"marker": "X", "linestyle": (0, (8, 2))},
    {"marker": "^", "linestyle": (0, (3, 1, 1, 1))},
    {"marker": "<", "linestyle": (0, (2, 1))},
]
METHOD_STYLES: dict[str, dict[str, Any]] = {
    "sdt": {"color": _BLUE, **_MARKS[0]},
    "tet": {"color": _ORANGE, **_MARKS[1]},
}
_OTHER_COLOURS = (_GREEN, _PINK, _BROWN, "0.25", _INDIGO, _RED)
# Of networks beyond the eighth.
_REPEATS: list[dict[str, Any]] = [
    {},
    {"markerfacecolor": "white", "linewidth": 0.9},
    {"fillstyle": "left", "markerfacecoloralt": "white", "linewidth": 2.2},
]

_RC: dict[str, Any] = {
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "tetviz",
}
# Dates and program versions are left out, so equal figures are equal files.
METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".svg": {"Date": None, "Creator": None},
}


_SOURCE, _HEAD = "tetviz-source", 4096


@contextmanager
def paper_style() -> Iterator[None]:
    """The look of every tetviz figure, in the measure of the venue in use; text stays text in PDF and SVG.

    Yields:
        Nothing; matplotlib's settings are as before after the block.
    """
    settings: Any = {**seaborn.axes_style("ticks"), **seaborn.plotting_context("paper"), **_RC, **venue().settings()}
    with matplotlib.rc_context(settings):
        yield


def series_styles(names: Sequence[str]) -> list[dict[str, Any]]:
    """A line style for each network; one whose name says SDT or TET always has that method's colour."""
    methods = [method_of(name) for name in names]
    looks = [{**marks, **repeat} for repeat in _REPEATS for marks in _MARKS]
    # The first network of a method has the marker of that method; all others share out what is left.
    own = {methods.index(method): at for at, method in enumerate(METHOD_STYLES) if method in methods}
    left = cycle(look for at, look in enumerate(looks) if at not in own.values())
    colours = cycle(_OTHER_COLOURS)
    styles = []
    for index, method in enumerate(methods):
        colour = METHOD_STYLES[method]["color"] if method else next(colours)
        styles.append({"color": colour, **(looks[own[index]] if index in own else next(left))})
    return styles


def method_of(name: str) -> str | None:
    """The training loss that a network's name tells of.

    Returns:
        ``"sdt"`` or ``"tet"``; None where the name has neither of the two as a word, or both.
    """
    found = set(re.findall(r"(?<![a-z])(sdt|tet)(?![a-z])", name.lower()))
    return found.pop() if len(found) == 1 else None


def save_figure(figure: Figure, path: str | Path, source: str = "") -> Path:
    """Writes a figure, whole or not at all; the same figure gives the same bytes.

    Args:
        figure: any figure.
        path: a file name that ends in .png (200 dots an inch, fewer where a side had more than 65,000), .pdf or
            .svg; replaced if it exists.
        source: SHA-256 of what it is drawn from, which a .png keeps for :func:`source_of`; ``""`` for none.

    Returns:
        The path.

    Raises:
        OutputError: the suffix is another one, or the file cannot be written.
    """
    path = Path(path)
    suffix = known_suffix(path, "a figure", SUFFIXES)
    target, drawn = writable_target(path, force=True), io.BytesIO()
    dots = min(DPI, MOST_DOTS / max(figure.get_size_inches()))
    kept = {_SOURCE: source} if source and suffix == ".png" else {}
    with paper_style():
        figure.savefig(drawn, format=suffix[1:], dpi=dots, metadata=METADATA[suffix] | kept)
    return write_whole(target, drawn.getvalue())


def source_of(path: Path) -> str:
    """What a figure says that it is drawn from; ``""`` where it does not say, is none, or is not there."""
    try:
        with open_regular(path) as file:
            found = re.search(rb"tEXt%s\0([0-9a-f]{64})" % _SOURCE.encode(), file.read(_HEAD))
    except (OSError, TetvizError):
        return ""
    return found.group(1).decode() if found else ""
