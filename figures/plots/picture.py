"""Figures that show themselves in a notebook."""

import base64
import io
import re
from html import escape

import matplotlib
from matplotlib.figure import Figure

from tetviz.figures.plots.style import METADATA, paper_style


class Picture(Figure):
    """A matplotlib figure that a notebook shows, without pyplot and without ``%matplotlib``.

    Attributes:
        caption: what it shows and what that rests on, as plain text for a paper.
    """

    caption: str = ""

    def _repr_html_(self) -> str:
        told = f"<figcaption>{escape(self.caption)}</figcaption>" if self.caption else ""
        return f'<figure style="margin: 0">{image(self)}{told}</figure>'


def image(figure: Figure) -> str:
    """A figure as an HTML image that holds all of itself.

    An image, not an ``<svg>`` element: the identifiers and the styles of one picture cannot reach another one on the
    same page, and nothing in it can run.
    """
    buffer = io.BytesIO()
    # Letters as shapes: an image takes no font from the page, and not every machine has those of the formulas.
    with paper_style(), matplotlib.rc_context({"svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata=METADATA[".svg"])
    source = f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return f'<img src="{source}" alt="{escape(alternative(figure))}" style="max-width: 100%; background: white">'


def alternative(figure: Figure) -> str:
    """What a figure shows, for those who cannot see it."""
    if caption := getattr(figure, "caption", ""):
        return str(caption)
    parts = [figure.get_suptitle()]
    for axes in figure.axes:
        labels = [text for text in (axes.get_ylabel(), axes.get_xlabel()) if text]
        parts.append(": ".join(filter(None, (axes.get_title(), " against ".join(labels)))))
    return ". ".join(" ".join(_spoken(part).split()) for part in parts if part)


def _spoken(text: str) -> str:
    # Mathematical text without its markup: $L_{\mathrm{SDT}}$ is L_SDT, $\phi$ is phi.
    return re.sub(r"\\math\w+|(?<!\\)[${}]|\\(?=[$a-z])", "", text)
