"""Parts of figures of curves: the frame of a panel, and the legend."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tetviz.figures.plots.venues import characters, figure_title

Handle = Line2D | Patch
_ROWS = 30  # of networks in a legend, which leave room for the panels on a page


def finish(axes: Axes) -> None:
    """The grid and frame of a panel of curves."""
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=2, width=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(
    figure: Figure,
    handles: Sequence[Handle],
    caption: str,
    narrow: bool = False,
    keys: Sequence[Handle] = (),
) -> int:
    """A legend below all panels, in as few rows as its texts allow, and a caption above.

    Args:
        handles: of the networks; of many those are named that a page has room for, and the others counted.
        keys: what stands behind them.

    Returns:
        How many lines of text both take.
    """
    columns = _columns([*handles, *keys], narrow)
    named = list(handles)
    while len(named) > 1 and _lines(named) > _ROWS * columns:
        named.pop()
    left = len(handles) - len(named)
    more = [Line2D([], [], linestyle="none", label=f"and {left} more, which the caption names")] if left else []
    shown = [*named, *more, *keys]
    figure.legend(handles=shown, loc="outside lower center", ncols=columns, handlelength=3.2)
    title = figure_title(caption)
    if title:
        figure.suptitle(title)
    return -(-_lines(shown) // columns) + title.count("\n") + bool(title)


def _columns(handles: Sequence[Handle], narrow: bool) -> int:
    longest = max(len(line) for handle in handles for line in str(handle.get_label()).splitlines() or [""])
    return min(len(handles), max(1, characters(68 if narrow else 116, narrow=narrow) // (longest + 9)))


def _lines(handles: Sequence[Handle]) -> int:
    return sum(1 + str(handle.get_label()).count("\n") for handle in handles)
