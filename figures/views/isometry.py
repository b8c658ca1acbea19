"""What a block isometry shows: how much each block stretches gradients on their way back."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.curves import Axis, Curves, Series, scale_of
from tetviz.figures.formatting import digits, number
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.results import BlockIsometry
from tetviz.results.schema import FloatArray
from tetviz.summaries.isometry import depth_summary, gradient_norm, isometry_table, phi_reach, running_product
from tetviz.summaries.names import bn_words, counted, data_context, network_names
from tetviz.summaries.runs import architecture_of

_COLUMNS = (
    Column("type"),
    Column("phi (1 s.e.)", of="phi", form=digits, error="se"),
    Column("closed form", form=digits),
    Column("phi of the run", of="phi run", form=digits, error="se run"),
    Column("product", form=digits),
    Column("growth", form=digits),
    Column("gradient (nat)", of="gradient", form=digits),
    Column("bypass", form=digits),
)


_PREDICTED = "predicted, by the closed form or the product of phi"
_WIDE = 20.0
_FEW = 2  # networks, of which the firing rate of every layer is shown


def isometry_charts(results: Sequence[BlockIsometry], choices: Choices) -> list[Curves]:
    """Phi of every block, the gradient at its input, and firing rates, over depth, beside what is predicted.

    The gradient is predicted by the product of phi over the blocks behind, from the one measured at the output of the
    last.
    """
    relative = len({len(result.block) for result in results}) > 1
    if choices.depth is not None:
        relative = choices.depth == "relative"
    return [_phi_chart(results, relative), _gradient_chart(results, relative), _rate_chart(results, relative)]


def _phi_chart(results: Sequence[BlockIsometry], relative: bool) -> Curves:
    series: list[Series] = []
    for network, result in enumerate(results):
        x, reach = places(len(result.block), relative), phi_reach(result)
        told, closed = _texts(result.names, "phi", result.step_phi), result.closed_form.mean(1)
        series.append(Series(network, x, result.step_phi, result.step_phi - reach, result.step_phi + reach, told))
        series.append(
            Series(network, x, closed, texts=_texts(result.names, "closed form of phi", closed), predicted=True)
        )
    return Curves(
        "phi(JJ^T) of every block within a step",
        f"phi of the blocks of {_listed(results)} over depth, beside its closed form; 1 is isometry.",
        tuple(_called(results)),
        _depth("block", relative),
        Axis("phi(JJ^T) within a step", *scale_of([each.y for each in series], wide=_WIDE), lines=(1.0,)),
        tuple(series),
        predicted=_PREDICTED,
        band="95 % t interval of phi" if any(np.isfinite(result.step_phi_se).any() for result in results) else "",
    )


def _gradient_chart(results: Sequence[BlockIsometry], relative: bool) -> Curves:
    by_step = len(results) == 1 and min(len(results[0].block), len(results[0].timestep)) > 1
    series: list[Series] = []
    for network, result in enumerate(results):
        x, entering = places(len(result.block), relative), _positive(gradient_norm(result.input_gradient))
        product = gradient_norm(result.output_gradient)[-1] * np.sqrt(running_product(result))
        if by_step:
            series += [Series(network, x, _positive(step), thin=True) for step in result.input_gradient.T]
        series.append(Series(network, x, entering, texts=_texts(result.names, "gradient", entering, " nat")))
        told = _texts(result.names, "gradient by the product", product, " nat")
        series.append(Series(network, x, _positive(product), texts=told, predicted=True))
    return Curves(
        "Gradient at the input of every block",
        f"Gradient at the input of the blocks of {_listed(results)}, beside what the product of phi predicts.",
        tuple(_called(results)),
        _depth("block", relative),
        Axis("gradient at its input (nat)", "log" if any(np.isfinite(each.y).any() for each in series) else "linear"),
        tuple(series),
        thin="gradient at each step" if by_step else "",
        predicted=_PREDICTED,
        row=1,
    )


def _rate_chart(results: Sequence[BlockIsometry], relative: bool) -> Curves:
    # Of more than two networks by block, because the layers of a block take turns.
    by_block = len(results) > _FEW and all(np.isfinite(_block_rates(result)).any() for result in results)
    series = []
    for network, result in enumerate(results):
        rates, names = (_block_rates(result), result.names) if by_block else (result.rate.mean(1), result.neuron_names)
        told = _texts(names, "firing rate", 100 * rates, " %")
        # From one layer of a block to the next, rates jump: no line joins them.
        series.append(Series(network, places(len(rates), relative), 100 * rates, texts=told, joined=by_block))
    what = "Mean firing rate of the layers of neurons of each block" if by_block else "Firing rates of the layers"
    return Curves(
        what,
        f"{what}, of {_listed(results)}, over depth.",
        tuple(_called(results)),
        _depth("block" if by_block else "layer of neurons", relative),
        Axis("firing rate (% of steps)", within=(0.0, 100.0)),
        tuple(series) if any(len(each.x) for each in series) else (),
        predicted=_PREDICTED,
        row=1,
    )


def _depth(what: str, relative: bool) -> Axis:
    return Axis(f"{what}, share of all") if relative else Axis(f"{what}, in order of execution", "whole")


def _listed(results: Sequence[BlockIsometry]) -> str:
    return ", ".join(network_names(results))


def _called(results: Sequence[BlockIsometry]) -> list[str]:
    # A name of a file seldom says what differs between networks of several architectures.
    names, kinds = network_names(results), [architecture_of(result.provenance) for result in results]
    if len(set(kinds)) == 1:
        return names
    return [f"{name} ({kind})" if kind else name for name, kind in zip(names, kinds, strict=True)]


def _texts(names: Sequence[str], what: str, values: FloatArray, unit: str = "") -> tuple[str, ...]:
    return tuple(f"{name}\n{what} {number(value)}{unit}" for name, value in zip(names, values, strict=True))


def places(count: int, relative: bool) -> FloatArray:
    """Where blocks or layers stand on the axis of depth."""
    return (np.arange(count) + 0.5) / count if relative else np.arange(1.0, count + 1)


def _positive(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.nan)


def _block_rates(result: BlockIsometry) -> FloatArray:
    # The mean over the layers of neurons of every block, NaN for a block without any.
    rates = result.rate.mean(1)
    return np.array([rates[chosen].mean() if any(chosen) else np.nan for chosen in _inside(result)])


def _inside(result: BlockIsometry) -> list[list[bool]]:
    # Of every block, which layers of neurons are its own: they are named after it.
    return [[name.startswith(f"{block}.") for name in result.neuron_names] for block in result.names]


def _caption(results: Sequence[BlockIsometry], choices: Choices) -> list[str]:
    by_block = len(results) > _FEW and all(np.isfinite(_block_rates(result)).any() for result in results)
    outside = any(not all(map(any, zip(*_inside(result), strict=True))) for result in results)
    rates = (
        "mean firing rate of the layers of neurons of each block"
        if by_block
        else "firing rates of the layers of neurons"
    )
    return [
        "Block dynamical isometry over depth: phi(JJ^T) of every block within a step, the gradient at its input, "
        f"{rates} of the layers of neurons{' of each block' if by_block else ''}",
        "Firing rates of layers outside of blocks are left out" if by_block and outside else "",
    ]


def isometry_context(result: BlockIsometry) -> str:
    """The choices that a block isometry rests on, besides its network."""
    parts = [f"L_{result.loss.upper()}", f"T = {len(result.timestep)}", data_context(result), bn_words(result)]
    return "; ".join(part for part in [*parts, f"{result.probes} probes"] if part)


def block_table(results: Sequence[BlockIsometry], choices: Choices) -> Table:
    """Networks block by block."""
    return stacked(network_names(results), [_blocks(result) for result in results])


def _blocks(result: BlockIsometry) -> Table:
    whole = depth_summary(result)
    error = whole["closed form error"]
    off = f", closed form off by {error:.1%} on average" if math.isfinite(error) else ""
    foot = (
        f"{counted(len(result.block), 'block')}: phi {_span(whole['least'], whole['most'])}{off}; the norm of the "
        f"gradient grows {digits(whole['growth'])} times from the last output to the first input, by the product "
        f"{digits(whole['product'])} (product and growth above are of its square)"
    )
    missing = tuple(f"not measured: {sentence}" for sentence in result.not_measured)
    frame = isometry_table(result).assign(samples=len(result.sample), probes=result.probes)
    return Table(
        frame,
        _COLUMNS,
        about="Block dynamical isometry: phi(JJ^T) within a step, its closed form, the product of phi over a block and "
        "all behind it beside the growth of the squared gradient, the gradient at the block's input, and the share of "
        "it that bypasses the block",
        feet=(foot, *missing),
        label="isometry",
    )


def depth_table(results: Sequence[BlockIsometry], choices: Choices) -> Table:
    """Networks, of several depths perhaps, side by side."""
    names = pd.Index(network_names(results), name="network")
    columns = (
        Column("blocks", form=".0f"),
        Column("smallest phi", of="least", form=digits),
        Column("largest phi", of="most", form=digits),
        Column("closed form off", of="closed form error", form=".1%"),
        Column("norm of the gradient grows", of="growth", form=digits),
        Column("by the product", of="product", form=digits),
        Column("firing rate", of="rate", form=".1%"),
    )
    frame = pd.DataFrame([depth_summary(result) for result in results], index=names)
    return Table(frame, columns, about="Block dynamical isometry of whole networks", label="depth")


def record(results: Sequence[BlockIsometry], choices: Choices) -> list[dict[str, Any]]:
    """Origin, the columns of the table by block, gradients and rates by layer and step."""
    return [_record(result) for result in results]


def _record(result: BlockIsometry) -> dict[str, Any]:
    table = isometry_table(result)
    return {
        "checkpoint": result.provenance.checkpoint,
        "label": result.provenance.label,
        "loss": result.loss,
        "bn": result.bn,
        "timesteps": len(result.timestep),
        "probes": result.probes,
        "samples": len(result.sample),
        "block": table.index.tolist(),
        **{str(name).replace(" ", "_"): column.tolist() for name, column in table.items()},
        "block_gradient_by_timestep": result.input_gradient.tolist(),
        "layer": list(result.layer_names),
        "layer_gradient_by_timestep": result.layer_gradient.tolist(),
        "neurons": list(result.neuron_names),
        "rate_by_timestep": result.rate.tolist(),
        "mass_by_timestep": result.mass.tolist(),
        "not_measured": list(result.not_measured),
    }


def _span(least: float, most: float) -> str:
    low, high = digits(least), digits(most)
    return low if low == high else f"{low} to {high}"


def _doubts(result: BlockIsometry) -> list[str]:
    return [] if np.isfinite(result.phi).all() else ["some phi are not finite"]


VIEW = View[BlockIsometry](
    title="What depth does to gradients",
    takes="files of tetviz isometry",
    describe=lambda result: f"Block isometry, {counted(len(result.block), 'block')}",
    context=isometry_context,
    doubts=_doubts,
    tables={
        "isometry-table": TableOf("phi(JJ^T), its closed form and gradients by block", block_table),
        "depth-table": TableOf("phi and gradients of whole networks", depth_table, each=False, least=2),
    },
    record=record,
    curves=isometry_charts,
    caption=_caption,
    heeds=("depth",),
)
