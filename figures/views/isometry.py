"""What a block isometry shows: how much each block stretches gradients on their way back."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.formatting import digits
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View
from tetviz.results import BlockIsometry
from tetviz.summaries.isometry import depth_summary, isometry_table
from tetviz.summaries.names import bn_words, counted, data_context, network_names

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
    figure="tetviz.figures.plots.isometry:draw_isometry",
    alt="How much the blocks of {} stretch gradients",
)
