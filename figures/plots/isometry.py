"""Block dynamical isometry over depth: phi of each block, the gradients that its product predicts, firing rates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import shared_text
from tetviz.figures.plots.axes import faint, finish, legend_below, scale_values
from tetviz.figures.plots.picture import Picture
from tetviz.figures.plots.style import paper_style, series_styles
from tetviz.figures.plots.text import wrap, wrap_evenly
from tetviz.figures.plots.venues import WIDTH, inches, text_lines, venue
from tetviz.figures.views.isometry import isometry_context
from tetviz.results import BlockIsometry
from tetviz.results.schema import FloatArray
from tetviz.summaries.isometry import gradient_norm, phi_reach, running_product
from tetviz.summaries.names import network_names
from tetviz.summaries.runs import architecture_of

_PREDICTED: dict[str, Any] = {"linestyle": ":", "linewidth": 1.1, "marker": "", "zorder": 1.8}
_MARKERS = 12
_FEW = 2
DEPTHS = ("absolute", "relative")


def draw_isometry(results: Sequence[BlockIsometry], depth: str | None = None) -> Picture:
    """Phi of every block, the gradient at its input, and the firing rate of every layer of neurons, over depth.

    Dotted are the predictions: phi by the closed form, the gradient by the product of phi over the blocks behind, from
    the one measured at the output of the last. Bands are 95 % t intervals of phi. Of a single network of several
    blocks and steps, faint lines are the gradient at each step. Of more than two networks the firing rate is the mean
    over the layers of each block, because the layers of a block take turns.

    Args:
        results: one for each network.
        depth: ``absolute`` for the number of the block and of the layer, ``relative`` for its share of all; None
            takes the latter where networks have different numbers of blocks.

    Returns:
        The figure.

    Raises:
        ResultError: there is no result.
        ValueError: another depth.
    """
    if not results:
        raise ResultError("no block isometry to draw")
    if depth not in (None, *DEPTHS):
        raise ValueError(f"unknown depth {depth!r}; known: {', '.join(DEPTHS)}")
    names = network_names(results)
    relative = depth == "relative" or (depth is None and len({len(result.block) for result in results}) > 1)
    by_block = len(results) > _FEW and all(np.isfinite(_block_rates(result)).any() for result in results)
    steps = len(results) == 1 and min(len(results[0].block), len(results[0].timestep)) > 1
    # Dotted is what is predicted, so all that is measured is solid; networks differ in colour and marker.
    styles = [{**style, "linestyle": "-", "linewidth": 1.1} for style in series_styles(names)]
    contexts = [isometry_context(result) for result in results]
    shared = shared_text(contexts)
    slide = venue().slide  # which has no height for two rows
    with paper_style():
        figure = Picture(layout="constrained")
        panels: Any = figure.subplot_mosaic("PGR" if slide else "PP;GR", height_ratios=None if slide else [1.15, 1])
        for result, style in zip(results, styles, strict=True):
            _draw_phi(panels["P"], result, style, relative)
            _draw_gradients(panels["G"], result, style, relative, steps)
            _draw_rates(panels["R"], result, style, relative, by_block)
        _label(panels, results, relative, by_block)
        called = _with_architectures(results, names)
        labels = [name if shared else f"{name}; {context}" for name, context in zip(called, contexts, strict=True)]
        handles = [Line2D([], [], **style, label=wrap(label, 105)) for label, style in zip(labels, styles, strict=True)]
        grey: dict[str, Any] = {"color": "0.4"}
        predicted = _predicted(grey, max(len(result.block) for result in results))
        handles.append(Line2D([], [], **predicted, label="predicted: closed form, product of phi"))
        if steps:
            handles.append(Line2D([], [], **faint({**grey, "linestyle": "-"}), label="gradient at each step"))
        caption = "; ".join(part for part in (names[0] if len(results) == 1 else "", shared) if part)
        rows = legend_below(figure, handles, wrap_evenly(caption, 105))
        figure.set_size_inches(inches(WIDTH), inches(2.9 if slide else 4.6) + text_lines(rows))
        phi, gradients, rates = ("left", "middle", "right") if slide else ("top", "bottom left", "bottom right")
        figure.caption = compose_caption(
            f"Block dynamical isometry over depth: phi(JJ^T) of every block within a step ({phi}), the gradient at its "
            f"input ({gradients}), {'mean firing rate of the layers of neurons of each block' * by_block}"
            f"{'firing rates of the layers of neurons' * (not by_block)} ({rates})",
            results,
            contexts,
            "Dotted are the closed form of phi, and the gradient that the product of phi predicts",
            "Bands are 95 % t intervals of phi" if any(np.isfinite(r.step_phi_se).any() for r in results) else "",
            "Faint lines are the gradient at each step" if steps else "",
            "Firing rates of layers outside of blocks are left out" if by_block and any(map(_outside, results)) else "",
        )
    return figure


def _with_architectures(results: Sequence[BlockIsometry], names: Sequence[str]) -> list[str]:
    # A name of a file seldom says what differs between networks of several architectures.
    kinds = [architecture_of(result.provenance) for result in results]
    if len(set(kinds)) == 1:
        return list(names)
    return [f"{name} ({kind})" if kind else name for name, kind in zip(names, kinds, strict=True)]


def _draw_phi(axes: Axes, result: BlockIsometry, style: dict[str, Any], relative: bool) -> None:
    x, reach = places(len(result.block), relative), np.nan_to_num(phi_reach(result))
    low, high = result.step_phi - reach, result.step_phi + reach
    # An area over a single block has no width.
    edge = 4.0 if len(x) == 1 else 0.0
    axes.fill_between(x, low, high, color=style["color"], alpha=0.25, linewidth=edge, gid="interval")
    axes.plot(x, result.step_phi, **style, markevery=max(1, len(x) // (2 * _MARKERS)), gid="phi")
    axes.plot(x, result.closed_form.mean(1), **_predicted(style, len(x)), gid="closed form")


def _draw_gradients(axes: Axes, result: BlockIsometry, style: dict[str, Any], relative: bool, steps: bool) -> None:
    x = places(len(result.block), relative)
    leaving = gradient_norm(result.output_gradient)[-1]
    if steps:
        axes.plot(x, _positive(result.input_gradient), **faint(style), gid="step")
    entering = _positive(gradient_norm(result.input_gradient))
    axes.plot(x, entering, **style, markevery=max(1, len(x) // _MARKERS), gid="gradient")
    predicted = _positive(leaving * np.sqrt(running_product(result)))
    axes.plot(x, predicted, **_predicted(style, len(x)), gid="product")


def _predicted(style: dict[str, Any], blocks: int) -> dict[str, Any]:
    # A line through a single block has no length.
    single = {"marker": "_", "markersize": 16, "linestyle": "none"} if blocks == 1 else {}
    return {**style, **_PREDICTED, **single}


def _block_rates(result: BlockIsometry) -> FloatArray:
    # The mean over the layers of neurons of every block, NaN for a block without any.
    rates = result.rate.mean(1)
    return np.array([rates[chosen].mean() if any(chosen) else np.nan for chosen in _inside(result)])


def _inside(result: BlockIsometry) -> list[list[bool]]:
    # Of every block, which layers of neurons are its own: they are named after it.
    owners = result.neuron_names
    return [[name.startswith(f"{block}.") for name in owners] for block in result.names]


def _outside(result: BlockIsometry) -> bool:
    return not all(map(any, zip(*_inside(result), strict=True)))


def _draw_rates(axes: Axes, result: BlockIsometry, style: dict[str, Any], relative: bool, by_block: bool) -> None:
    if by_block:
        x, every = places(len(result.block), relative), max(1, len(result.block) // _MARKERS)
        axes.plot(x, 100 * _block_rates(result), **style, markevery=every, gid="rate")
        return
    x = places(len(result.neuron), relative)
    # No line: from one layer of a block to the next, rates jump.
    axes.plot(
        x, 100 * result.rate.mean(1), **{**style, "linestyle": "none", "markersize": 2.5}, clip_on=False, gid="rate"
    )


def _label(panels: dict[str, Axes], results: Sequence[BlockIsometry], relative: bool, by_block: bool) -> None:
    of_blocks = "depth of the block (share of all blocks)" if relative else "block, in order of execution"
    of_neurons = "depth of the neurons (share of all layers)" if relative else "layer of neurons, in order of execution"
    phis = [values for result in results for values in (result.step_phi, result.closed_form.mean(1))]
    scale_values(panels["P"], phis, wide=20)
    panels["P"].axhline(1, color="0.4", linewidth=0.7, zorder=0, gid="isometry")
    panels["P"].set_ylabel(r"$\phi(JJ^T)$ within a step")
    panels["G"].set_yscale("log")
    panels["G"].set_ylabel("gradient at its input (nat)")
    panels["R"].set_ylabel("firing rate (% of steps)")
    of_rates = of_blocks if by_block else of_neurons
    for key, axes in panels.items():
        axes.set_xlabel(wrap(of_rates if key == "R" else of_blocks, 34 if venue().slide else 105))
        most = max(len(result.neuron if key == "R" and not by_block else result.block) for result in results)
        axes.set_xlim(*((0, 1) if relative else (0.5, most + 0.5)))
        if not relative:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        finish(axes)
    low, high = panels["R"].get_ylim()
    if low < high / 2:  # else nothing could be told apart
        panels["R"].set_ylim(bottom=0)
    low, high = panels["G"].get_ylim()
    if high < 10 * low:  # else the axis has no power of 10, or none but its own
        middle = np.sqrt(low * high)
        panels["G"].set_ylim(middle / np.sqrt(10), middle * np.sqrt(10))


def places(count: int, relative: bool) -> FloatArray:
    """Where blocks or layers stand on the axis of depth."""
    return (np.arange(count) + 0.5) / count if relative else np.arange(1.0, count + 1)


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.nan)
