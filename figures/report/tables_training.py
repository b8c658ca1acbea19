"""Training histories, training energy and block isometry as tables."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from tetviz.figures.formatting import digits, number, numbered
from tetviz.figures.plots.style import energy_unit
from tetviz.figures.report.blocks import TextTable
from tetviz.results import BlockIsometry, TrainingHistory, TrainingOperations
from tetviz.summaries.isometry import depth_summary, isometry_table
from tetviz.summaries.names import bn_words, counted, network_names
from tetviz.summaries.training import (
    densities,
    neuron_energy,
    optimizer_energy,
    run_energy,
    schedule_cost,
    training_table,
)


def history_table(run: TrainingHistory) -> TextTable:
    """The first, last and chosen epoch of a run, and those around a change."""
    changes = [*run.ends("stage"), *run.ends("loss_index")]
    shown = {1, *changes, *(epoch + 1 for epoch in changes), run.best_epoch, int(run.epoch[-1])}
    at = np.flatnonzero(np.isin(run.epoch, list(shown)))  # an epoch 0 stands for none
    frame = pd.DataFrame(
        {
            "T": list(map(str, run.timesteps[at])),
            "loss": [run.trained_on()[index] for index in at],
            "training loss": [number(value, ".4f") for value in run.train_loss[at]],
            "held out": [number(value, ".2%") for value in run.val_accuracy[at]],
            "test": [number(value, ".2%") for value in run.test_accuracy[at]],
            "L_SDT": [number(value, ".4f") for value in run.test_sdt_loss[at]],
            "L_TET": [number(value, ".4f") for value in run.test_tet_loss[at]],
        },
        index=pd.Index([f"{e} (chosen)" if e == run.best_epoch else str(e) for e in run.epoch[at]], name="epoch"),
    )
    left = run.planned_epochs - len(run.epoch)
    return TextTable("", frame, (f"{len(run.epoch)} of {counted(run.planned_epochs, 'epoch')}",) * (left > 0))


def training_energies(result: TrainingOperations) -> tuple[TextTable, TextTable]:
    """What training on a sample costs, and what is not 0 in it."""
    table = training_table(result)
    factor, unit = energy_unit(float(table["dense"].max()))
    energies = numbered((table / factor).rename_axis(f"energy ({unit})"), ".4f")
    shares = densities(result).map(lambda share: number(share, ".1%"))
    shares.insert(0, "FP and WU", ["AC" if spiking else "MAC" for spiking in result.spiking])
    head = (
        f"training on a sample, L_{result.loss.upper()}, T = {result.timestep[-1]}, BN {result.bn}, {result.cost} "
        f"({result.mac_pj:g} pJ a MAC, {result.ac_pj:g} pJ an AC)"
    )
    return TextTable(head, energies, (*_outside(result), _run(result))), TextTable("", shares)


def _outside(result: TrainingOperations) -> list[str]:
    def shown(pj: float) -> str:
        factor, unit = energy_unit(pj)
        return f"{pj / factor:.4g} {unit}"

    lines = [f"beside the layers: {shown(float(neuron_energy(result).sum()))} for the neurons' backward pass"]
    if result.optimizer:
        lines[0] += (
            f", {shown(optimizer_energy(result) / result.train_batch_size)} for {result.optimizer} "
            f"({counted(result.parameters, 'parameter')} x {result.optimizer_mac} multiply-adds for a batch of "
            f"{result.train_batch_size})"
        )
    if result.normalised and result.bn == "frozen":
        lines.append(
            "batch norm counts as a constant map; by the statistics of each batch, as in training, hardly any error "
            "is 0 (--bn batch)"
        )
    if result.normalised:
        lines.append(f"not counted: normalising {counted(result.normalised, 'value')} a sample, forward and backward")
    return lines


def _run(result: TrainingOperations) -> str:
    stages = result.stages
    if not stages:
        return "the run: not recorded in the checkpoint"
    parts = " + ".join(f"{counted(epochs, 'epoch')} at T = {timesteps}" for timesteps, epochs in stages)
    longest, epochs = max(timesteps for timesteps, _ in stages), sum(epochs for _, epochs in stages)
    whole = schedule_cost([(longest, epochs)])
    against = f" ({schedule_cost(stages) / whole:.0%} of {whole:,} at T = {longest})" if len(stages) > 1 else ""
    return (
        f"this run: {parts} = {counted(schedule_cost(stages), 'timestep-epoch')}{against}; "
        f"{counted(result.train_samples, 'sample')} an epoch, {run_energy(result):.4g} J if every epoch and "
        f"step costs what these do{', batch norm a constant map' * (result.bn == 'frozen')}"
    )


def block_table(result: BlockIsometry) -> TextTable:
    """A block isometry, block by block."""
    table = isometry_table(result)
    frame = pd.DataFrame(
        {
            "type": table["type"].tolist(),
            "phi [1 s.e.]": _with_errors(table["phi"], table["se"]),
            "closed form": [digits(value) for value in table["closed form"]],
            "phi of the run": _with_errors(table["phi run"], table["se run"]),
            "product": [digits(value) for value in table["product"]],
            "growth": [digits(value) for value in table["growth"]],
            "gradient": [digits(value) for value in table["gradient"]],
        },
        index=table.index,
    )
    head = (
        f"L_{result.loss.upper()}, T = {len(result.timestep)}, {counted(len(result.sample), 'sample')}, "
        f"{counted(result.probes, 'probe')}, {bn_words(result)}"
    )
    whole = depth_summary(result)
    error = whole["closed form error"]
    foot = (
        f"{counted(len(table), 'block')}: phi {_span(whole)}"
        f"{f', closed form off by {error:.1%} on average' if math.isfinite(error) else ''}; the norm of the "
        f"gradient grows {digits(whole['growth'])} times from the last output to the first input, by the product "
        f"{digits(whole['product'])} (product and growth above are of its square)"
    )
    return TextTable(head, frame, (foot,))


def depth_table(results: Sequence[BlockIsometry]) -> TextTable:
    """Networks, of several depths perhaps, side by side."""
    summaries = [depth_summary(result) for result in results]
    frame = pd.DataFrame(
        {
            "blocks": [str(int(each["blocks"])) for each in summaries],
            "phi": [_span(each) for each in summaries],
            "closed form off": [number(each["closed form error"], ".1%") for each in summaries],
            "norm of the gradient grows": [digits(each["growth"]) for each in summaries],
            "by the product": [digits(each["product"]) for each in summaries],
            "firing rate": [number(each["rate"], ".1%") for each in summaries],
        },
        index=pd.Index(network_names(results), name="network"),
    )
    return TextTable("", frame)


def _span(summary: dict[str, float]) -> str:
    least, most = (digits(summary[name]) for name in ("least", "most"))
    return least if least == most else f"{least} to {most}"


def _with_errors(values: Iterable[float], errors: Iterable[float]) -> list[str]:
    pairs = zip(values, errors, strict=True)
    return [digits(v) + f" [{e:.1g}]" * (math.isfinite(v) and math.isfinite(e)) for v, e in pairs]
