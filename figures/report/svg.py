"""Figures for print as part of a page: SVG whose ink follows the colours of the page."""

import io
import itertools
import re

from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from tetviz.figures.plots.contours import HOLE
from tetviz.figures.plots.style import paper_style
from tetviz.figures.report.blocks import Drawing
from tetviz.figures.report.colours import ON_DARK

_INK = ("#262626", "#000000")
# Greys of grid lines, from the "0.9" and "0.92" of the figures.
_GRID = ("#e5e5e5", "#e6e6e6", "#ebebeb", "#cccccc")
_PIXELS = 140  # of an inch: text as large as that of the page
_ON_HALO = "#010101"
_count = itertools.count(1)


def drawing(figure: Figure, alt: str) -> Drawing:
    """A figure as an SVG element.

    Its background is left out, and the ink of text and axes is that of the page, dark or light.
    """
    figure.patch.set_visible(False)
    for axes in figure.axes:
        if axes.patch.get_hatch() != HOLE["hatch"]:
            axes.patch.set_visible(False)
    _keep_ink_on_halos(figure)
    text = io.StringIO()
    with paper_style():
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Names that nothing refers to are left out, the others made unlike those of any other drawing.
    used, prefix = set(re.findall(r'(?:xlink:href="|url\()#([^")]+)', svg)), f"d{next(_count)}-"
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}{found[1]}"' if found[1] in used else "", svg)
    svg = re.sub(r'(xlink:href="|url\()#', rf"\1#{prefix}", svg)
    svg = re.sub(rf"(fill|stroke): ({'|'.join(_INK)})", r"\1: currentColor", svg)
    svg = re.sub(rf"stroke: ({'|'.join(_GRID)})", "stroke: var(--grid)", svg)
    for colour, lighter in ON_DARK.items():
        svg = re.sub(rf"(fill|stroke): {colour}", rf"\1: light-dark({colour}, {lighter})", svg)
    head, rest = svg.split(">", 1)
    width = round(_PIXELS * figure.get_figwidth())
    return Drawing(alt, re.sub(r' (width|height)="[\d.]+pt"', "", head) + f' style="max-width: {width}px">' + rest)


def _keep_ink_on_halos(figure: Figure) -> None:
    # Names and paths on a map have a white halo on a dark page too.
    for artist in figure.findobj(lambda each: bool(each.get_path_effects())):
        if isinstance(artist, Text | Line2D) and to_hex(artist.get_color()) in _INK:
            artist.set_color(_ON_HALO)
