"""Parts of figures of curves: the frame of a panel, and the legend."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tetviz.figures.plots.venues import characters, figure_title


def finish(axes: Axes) -> None:
    """The grid and frame of a panel of curves."""
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=2, width=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_below(figure: Figure, handles: Sequence[Line2D | Patch], caption: str, narrow: bool = False) -> int:
    """A legend below all panels, in as few rows as its texts allow, and a caption above."""
    labels = [str(handle.get_label()) for handle in handles]
    fit = characters(68 if narrow else 116, narrow=narrow)
    longest = max(len(line) for label in labels for line in label.splitlines() or [""])
    columns = min(len(handles), max(1, fit // (longest + 9)))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=columns, handlelength=3.2)
    rows = -(-sum(1 + label.count("\n") for label in labels) // columns)
    title = figure_title(caption)
    if title:
        figure.suptitle(title)
    return rows + title.count("\n") + bool(title)
