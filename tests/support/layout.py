"""Where the texts of a figure lie, measured: what overlaps, and what the edge cuts."""

import itertools

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

SLACK = 1.5  # pixels at 100 dots an inch that boxes of letters may share


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Titles, labels, ticks, legends and notes beside marks with the boxes that they fill, in pixels."""
    figure.set_dpi(100)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    found = [figure._suptitle] if figure._suptitle else []
    for legend in figure.legends:
        found += legend.get_texts()
    for axes in _all_axes(figure.axes):
        if axes.name == "3d":  # its ticks turn with the view
            continue
        found += [axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            margin = 1e-6 * (high - low)
            found += [t.label1 for t in axis.get_major_ticks() if low - margin <= t.get_loc() <= high + margin]
            found += [t.label2 for t in axis.get_major_ticks() if low - margin <= t.get_loc() <= high + margin]
        found += axes.get_legend().get_texts() if axes.get_legend() else []
    shown = [text for text in found if text.get_visible() and text.get_text().strip()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in shown]


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts that lie on one another."""
    boxes = [(text, box.padded(-SLACK / 2)) for text, box in texts(figure)]
    return [(a, b) for (a, one), (b, two) in itertools.combinations(boxes, 2) if _area(one, two) > 0]


def cut(figure: Figure) -> list[str]:
    """Texts that reach over the edge of the figure."""
    boxes, (width, height) = texts(figure), figure.get_size_inches() * 100
    page = Bbox([[-SLACK, -SLACK], [width + SLACK, height + SLACK]])
    return [text for text, box in boxes if not (page.contains(*box.min) and page.contains(*box.max))]


def _all_axes(axes):
    for each in axes:
        yield each
        yield from _all_axes(each.child_axes)


def _area(one: Bbox, two: Bbox) -> float:
    width = min(one.x1, two.x1) - max(one.x0, two.x0)
    height = min(one.y1, two.y1) - max(one.y0, two.y0)
    return max(width, 0) * max(height, 0)
