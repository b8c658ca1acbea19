"""How far the loss rises around networks: with the distance, after one gradient step, at worst."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption, losses_words, steps_words
from tetviz.figures.plots.axes import (
    band_keys,
    draw_band,
    draw_gaps,
    finish,
    gap_key,
    name_networks,
    of_planes,
    planes_context,
    scale_values,
)
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import axis_label, loss_symbol, wrap
from tetviz.figures.plots.venues import WIDTH, inches, tall, text_lines
from tetviz.figures.selection import chosen_losses, chosen_timestep, line_values, require_same_directions
from tetviz.figures.views.sharpness import lines_context
from tetviz.results import Lines, Sharpness
from tetviz.results.schema import FloatArray
from tetviz.summaries.intervals import METHOD
from tetviz.summaries.names import counted, network_name, network_names


def mean_rise(lines: Lines, loss: str, timestep: int) -> tuple[FloatArray, FloatArray]:
    """Rise of the loss from the centre of each plane: (L(-r) + L(+r)) / 2 - L(0), averaged over its two lines.

    Returns:
        Distances r that are on the grid on both sides, from 0 on, and rises (plane, r), NaN where one is
        missing.
    """
    values = line_values(lines, f"{loss}_loss", timestep)
    values = of_planes(values) - _center(lines, loss, timestep)
    back = [np.flatnonzero(np.isclose(lines.x, -r, atol=1e-9)) for r in lines.x]
    there = [index for index, (r, found) in enumerate(zip(lines.x, back, strict=True)) if r > -1e-9 and len(found)]
    here = [int(back[index][0]) for index in there]
    return lines.x[there], (values[:, there] + values[:, here]) / 2


def worst_rise(lines: Lines, loss: str, timestep: int) -> tuple[FloatArray, FloatArray]:
    """The largest rise of the loss within a distance, on both lines of each plane.

    Returns:
        Distances r, from 0 on, and rises (plane, r), NaN from the first point that is missing or not finite.
    """
    values = line_values(lines, f"{loss}_loss", timestep) - _center(lines, loss, timestep)
    distance = np.abs(lines.x).round(9)
    r = np.unique(distance)
    by_plane = values.reshape(-1, 2, len(lines.x))
    at_distance = np.stack([by_plane[:, :, distance == each].max((1, 2)) for each in r], axis=1)
    return r, np.maximum.accumulate(at_distance, axis=1)


def draw_sharpness(results: Sequence[Sharpness], loss: str | None = None, timestep: int | None = None) -> Picture:
    """How far the loss rises: the mean with the distance, after one step up the surrogate gradient, at worst.

    Args:
        results: measured along the same random directions, one for each network.
        loss: ``"sdt"`` or ``"tet"``; None takes the one asked for of a single network, a row for each with
            several.
        timestep: number of timesteps; None takes each network's training T.

    Returns:
        The figure, with three panels for each loss.
    """
    require_same_directions(results, same_bn=True)
    losses = chosen_losses(results, loss)
    steps = [chosen_timestep(result, timestep) for result in results]
    styles = series_styles(network_names(results))
    with paper_style():
        figure = Picture(layout="constrained")
        several = len(results) > 1
        grid: Any = figure.subplots(len(losses), 3 + several, sharex="col", squeeze=False)
        holes = False
        for row, (panels, name) in enumerate(zip(grid, losses, strict=True)):
            mean, step, worst, *paired = panels
            for axes in paired:
                _draw_differences(axes, results, name, steps, styles)
            holes |= _draw_mean(mean, results, name, steps, styles)
            holes |= _draw_steps(step, results, name, steps, styles)
            holes |= _draw_worst(worst, results, name, steps, styles)
            for axes in panels:
                finish(axes)
            mean.set_ylabel(f"rise of {loss_symbol(name)} (nat)")
            if row == 0:
                mean.set_title("mean at distance r")
                step.set_title(wrap("after one step of length rho", 22 if several else 38))
                worst.set_title(wrap("worst within r on the lines of a plane", 22 if several else 38))
                for axes in paired:
                    axes.set_title(wrap(f"mean, minus that of {network_names(results)[0]}", 22))
        grid[-1, 0].set_xlabel(axis_label("r", results[0].norm))
        grid[-1, 1].set_xlabel("rho (share of weight norm)")
        for axes in grid[-1, 2:]:
            axes.set_xlabel(axis_label("r", results[0].norm))
        extra: list[Any] = [
            Line2D([], [], color="0.4", marker="o", label="along the surrogate gradient (SAM)"),
            Line2D([], [], color="0.4", linewidth=0.8, label="in random directions, mean"),
        ]
        bands = band_keys(figure, "planes or steps")
        extra += [*bands, *[gap_key()] * holes]
        contexts = [_with_steps(result, planes_context(result, lines_context(result))) for result in results]
        rows = name_networks(figure, results, steps, contexts, styles, extra)
        figure.set_size_inches(inches(WIDTH), tall(2.0 * len(losses)) + text_lines(3 + rows))
        figure.caption = compose_caption(
            f"Rise of {losses_words(losses)} (nat) around networks, {steps_words(results, steps)}: the mean at "
            "distance r (left), after one step of length rho along the surrogate gradient or in random directions "
            "(middle), at worst within r on the two lines of a plane (right)"
            + (", and the mean minus that of the first network, plane by plane (far right)" if several else ""),
            results,
            contexts,
            f"Bands are {METHOD} over planes or steps" if bands else "",
            "Rho is a share of the L2 norm of the weights",
            "Hatched: no network has a value there" if holes else "",
        )
    return figure


def _draw_mean(axes: Axes, results: Sequence[Sharpness], loss: str, steps: Sequence[int], styles: Any) -> bool:
    drawn, places = [], []
    for result, t, style in zip(results, steps, styles, strict=True):
        r, rises = mean_rise(result, loss, t)
        drawn.append(draw_band(axes, r, rises, style, markers=5).mean)
        places.append(r)
    return _finish_distances(axes, places, drawn)


def _draw_steps(axes: Axes, results: Sequence[Sharpness], loss: str, steps: Sequence[int], styles: Any) -> bool:
    drawn: list[FloatArray] = []
    for result, t, style in zip(results, steps, styles, strict=True):
        center, at = _center(result, loss, t), result.timestep == t
        sam = cast(FloatArray, getattr(result, f"sam_{loss}_loss"))[:, at][:, 0]
        sam = np.where((result.sam_done == 1) & np.isfinite(sam), sam - center, np.nan)
        average = cast(FloatArray, getattr(result, f"average_{loss}_loss"))[:, :, at][..., 0]
        average = np.where((result.average_done == 1) & np.isfinite(average), average - center, np.nan)
        axes.plot(result.rho, sam, **style, gid="sam")
        drawn.append(sam)
        if len(average):
            interval = draw_band(
                axes, result.rho, average, {**style, "marker": "_" * (len(result.rho) == 1), "linewidth": 0.8}
            )
            drawn += [interval.mean, interval.low]
    rho = np.unique(np.concatenate([result.rho for result in results]))
    known = np.concatenate(drawn)
    known = known[np.isfinite(known)]
    if len(rho) and rho.min() > 0:
        axes.set_xscale("log")
        axes.set_xlim(rho.min() / 1.2, rho.max() * 1.2)
    if len(known) and known.min() > 0:
        axes.set_yscale("log")
    else:
        scale_values(axes, drawn, from_median=True, wide=10)
    if 0 < len(rho) <= 5:
        axes.xaxis.set_major_locator(FixedLocator(list(rho)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    return all(len(values) == len(rho) for values in drawn) and draw_gaps(axes, rho, drawn)


def _draw_worst(axes: Axes, results: Sequence[Sharpness], loss: str, steps: Sequence[int], styles: Any) -> bool:
    drawn, places = [], []
    for result, t, style in zip(results, steps, styles, strict=True):
        r, rises = worst_rise(result, loss, t)
        drawn.append(draw_band(axes, r, rises, style, markers=5).mean)
        places.append(r)
    return _finish_distances(axes, places, drawn)


def _draw_differences(axes: Axes, results: Sequence[Sharpness], loss: str, steps: Sequence[int], styles: Any) -> None:
    # Planes are shared, so differences are paired: their bands are narrower than those of the means are apart.
    first_r, first = mean_rise(results[0], loss, steps[0])
    axes.axhline(0, color="0.4", linewidth=0.7, zorder=0, gid="zero")
    for result, t, style in zip(results[1:], steps[1:], styles[1:], strict=True):
        r, rises = mean_rise(result, loss, t)
        if np.array_equal(r, first_r) and rises.shape == first.shape:
            draw_band(axes, r, rises - first, style, markers=5)
    axes.set_xlim(0, first_r.max())


def _finish_distances(axes: Axes, places: Sequence[FloatArray], drawn: Sequence[FloatArray]) -> bool:
    scale_values(axes, drawn, from_median=True)
    axes.set_xlim(0, max(r.max() for r in places))
    return all(np.array_equal(r, places[0]) for r in places) and draw_gaps(axes, places[0], drawn)


def _center(lines: Lines, loss: str, timestep: int) -> float:
    # The centre of every line is the checkpoint itself.
    values = line_values(lines, f"{loss}_loss", timestep)[:, np.isclose(lines.x, 0, atol=1e-9)]
    found = values[np.isfinite(values)]
    if not len(found):
        name = network_name(lines.provenance)
        raise ResultError(f"the sharpness of {name} has no loss at its centre yet; finish its measurement first")
    return float(found[0])


def _with_steps(result: Sharpness, context: str) -> str:
    done, size = int(result.sam_done.sum() + result.average_done.sum()), result.sam_done.size + result.average_done.size
    context = f"{context}; {counted(len(result.draw), 'random step')} of each length"
    return context if done == size else f"{context}; {done} of {size} steps"
