"""Parts of figures of curves: means with bands, gaps, scales, and the legend that names the networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from tetviz.figures.plots.contours import HOLE
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import characters, figure_title
from tetviz.results import Lines
from tetviz.results.schema import FloatArray
from tetviz.summaries.intervals import METHOD, Interval, mean_interval
from tetviz.summaries.names import network_names

GAP = "not evaluated yet or not finite"
# A wider range than this is drawn by its logarithm.
WIDE = 100.0


def faint(style: dict[str, Any]) -> dict[str, Any]:
    """A style for what stands in the background of a curve."""
    return {"color": style["color"], "linestyle": style["linestyle"], "linewidth": 0.5, "alpha": 0.3}


def of_planes(values: FloatArray) -> FloatArray:
    """Means over the two lines of each plane, which are not independent draws."""
    planes = np.arange(len(values)) // 2
    return np.stack([values[planes == plane].mean(0) for plane in np.unique(planes)])


def draw_band(axes: Axes, x: FloatArray, draws: FloatArray, style: dict[str, Any], markers: int = 8) -> Interval:
    """A mean over draws with its interval, from those draws that are complete, or from all while none is.

    Args:
        draws: (draw, x), NaN where there is no value.
    """
    interval = mean_interval(draws[_averaged(draws)])
    if interval.draws > 1:
        axes.fill_between(
            x, interval.low, interval.high, color=style["color"], alpha=0.22, linewidth=0, gid="band", zorder=1.5
        )
    axes.plot(x, interval.mean, **style, markevery=marked(len(x), markers), gid="mean")
    return interval


def marked(points: int, markers: int = 8) -> tuple[int, int]:
    """Which points of a curve get a marker: not the ends of a long one, where the frame would cut it."""
    step = max(1, points // markers)
    return step // 2, step


def draw_gaps(axes: Axes, x: FloatArray, means: Sequence[FloatArray]) -> bool:
    """Hatches where no curve of a panel has a value."""
    missing = np.isfinite(np.stack(means)).sum(axis=0) == 0
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    for start, end in _runs(missing):
        axes.axvspan(edges[start], edges[end], **HOLE, linewidth=0, zorder=0, gid="gap")
    return bool(np.any(missing))


def scale_values(axes: Axes, values: Sequence[FloatArray], *, from_median: bool = False, wide: float = WIDE) -> None:
    """A logarithmic axis for values over a wide range, one that is linear around 0 where some are negative.

    Args:
        values: all that is drawn on it; NaN is passed over.
    """
    flat = np.concatenate([np.ravel(v) for v in values])
    sizes = np.abs(flat[np.isfinite(flat) & (flat != 0)])
    if not len(sizes):
        return
    bottom = float(np.median(sizes)) if from_median else float(sizes.min())
    if sizes.max() <= wide * bottom:
        return
    if np.nanmin(flat) > 0:
        axes.set_yscale("log")
    elif from_median:
        axes.set_yscale("symlog", linthresh=10.0 ** np.floor(np.log10(bottom)), linscale=0.6)
        axes.autoscale_view(scalex=False)  # else the margins are those of the linear axis


def finish(axes: Axes) -> None:
    """The grid and frame of a panel of curves."""
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=2, width=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def band_keys(figure: Figure, draws: str = "planes") -> list[Patch]:
    """The legend entry of the bands of :func:`draw_band`."""
    drawn = any(area.get_gid() == "band" for axes in figure.axes for area in axes.collections)
    return [Patch(color="0.5", alpha=0.3, linewidth=0, label=f"{METHOD} over {draws}")] * drawn


def gap_key() -> Patch:
    """The legend entry of gaps."""
    return Patch(**HOLE, label=GAP, linewidth=0)


def planes_context(lines: Lines, context: str) -> str:
    """A caption with the number of planes and of points measured."""
    count = (len(lines.line) + 1) // 2
    planes = f"{count} planes of 2 lines" if count > 1 else "1 plane of 2 lines, no interval"
    complete = int((of_planes(lines.done == 1) == 1).all(1).sum())
    if 0 < complete < count:
        planes = f"{planes}, mean of the {complete} complete"
    return with_points(lines, f"{context}; {planes}")


def with_points(lines: Lines, context: str) -> str:
    """A caption with the number of points measured, while they are not all."""
    done = lines.done
    return context if done.all() else f"{context}; {int(done.sum()):,} of {done.size:,} points"


def name_networks(
    figure: Figure,
    results: Sequence[Lines],
    steps: Sequence[int],
    contexts: Sequence[str],
    styles: Sequence[dict[str, Any]],
    extra: Sequence[Line2D | Patch],
) -> int:
    """The legend below the panels and the caption above them."""
    same, same_t = len(set(contexts)) == 1, len(set(steps)) == 1
    handles: list[Line2D | Patch] = []
    for name, t, context, style in zip(network_names(results), steps, contexts, styles, strict=True):
        text = name if same_t else f"{name} (T = {t})"
        handles.append(Line2D([], [], **style, label=wrap(text if same else f"{text}; {context}", 105)))
    caption = "; ".join(([f"T = {steps[0]}"] if same_t else []) + ([contexts[0]] if same else []))
    return legend_below(figure, [*handles, *extra], wrap_evenly(caption, 105))


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


def _averaged(draws: FloatArray) -> npt.NDArray[np.intp]:
    # A mean over whatever has been measured at each place would jump where the draws change.
    complete = np.isfinite(draws).reshape(len(draws), -1).all(1)
    return np.flatnonzero(complete) if complete.any() else np.arange(len(draws))


def _runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    steps = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))
