"""What training operations show: the energy of the three phases by layer, what is not 0, and the cost of a run."""

from collections.abc import Sequence
from typing import Any

from tetviz.figures.formatting import energy_unit, number, short
from tetviz.figures.table import Column, Table, stacked
from tetviz.figures.view import Choices, TableOf, View, Words
from tetviz.results import TrainingOperations
from tetviz.summaries.names import counted, data_context, network_names
from tetviz.summaries.training import (
    DENSITIES,
    PHASES,
    SPARSITIES,
    densities,
    neuron_energy,
    optimizer_energy,
    phase_energy,
    run_energy,
    schedule_cost,
    training_table,
)

_BN = {"frozen": "BN as a constant map", "batch": "BN statistics of each batch"}


def context_parts(result: TrainingOperations) -> list[str]:
    """The choices that training energies rest on, one by one."""
    parts = [
        f"L_{result.loss.upper()}",
        f"T = {result.timestep[-1]}",
        data_context(result),
        _BN.get(result.bn, f"BN {result.bn}"),
        f"{result.cost} ({result.mac_pj:g} pJ a MAC, {result.ac_pj:g} pJ an AC)",
    ]
    return [part for part in parts if part]


def energies_table(results: Sequence[TrainingOperations], choices: Choices) -> Table:
    """Energies of the phases of networks, by layer."""
    factor, unit = energy_unit(max(float(training_table(result)["dense"].max()) for result in results))
    columns = tuple(
        Column(f"{name} ({unit})", of=f"{name} (nJ)", form=lambda nj: short(1e3 * nj / factor))
        for name in (*PHASES, *SPARSITIES)
    )
    return stacked(network_names(results), [_energies(result, columns) for result in results])


def _energies(result: TrainingOperations, columns: tuple[Column, ...]) -> Table:
    frame = (training_table(result) / 1e3).add_suffix(" (nJ)")
    shares = (100 * densities(result)).add_suffix(" (%)")
    missing = "; ".join(result.not_counted)
    return Table(
        frame.join(shares).assign(samples=len(result.sample)),
        columns,
        about="Energy of training by layer: forward (FP), input gradient (BP), weight gradient (WU), their sum "
        "(effective), with one-sided sparsity and dense",
        note=f"Energy of a sample, by exact counts{f'; incomplete: {missing}' if missing else ''}",
        label="training",
    )


def densities_table(results: Sequence[TrainingOperations], choices: Choices) -> Table:
    """Shares that are not 0 in networks, by layer."""
    return stacked(network_names(results), [_densities(result) for result in results])


def _densities(result: TrainingOperations) -> Table:
    frame = (100 * densities(result)).add_suffix(" (%)")
    frame.insert(0, "FP and WU", ["AC" if spiking else "MAC" for spiking in result.spiking])
    return Table(
        frame.assign(samples=len(result.sample)),
        (Column("FP and WU"), *(Column(f"{name} (%)", form=".1f") for name in DENSITIES)),
        about="Shares of elements (d_in, d_err, d_need) and of pairs that are not 0 in training, by layer, and what a "
        "pair of FP and WU costs",
        label="densities",
    )


def _words(results: Sequence[TrainingOperations], choices: Choices) -> Words:
    said = [
        f"{name}: {sentence}" if len(results) > 1 else sentence
        for name, result in zip(network_names(results), results, strict=True)
        for sentence in (*_outside(result), _run(result))
    ]
    return Words(tuple(said))


def _outside(result: TrainingOperations) -> list[str]:
    lines = [f"beside the layers: {_energy(float(neuron_energy(result).sum()))} for the neurons' backward pass"]
    if result.optimizer and result.train_batch_size:
        lines[0] += (
            f", {_energy(optimizer_energy(result) / result.train_batch_size)} for {result.optimizer} "
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
    constant = ", batch norm a constant map" if result.bn == "frozen" else ""
    return (
        f"this run: {parts} = {counted(schedule_cost(stages), 'timestep-epoch')}{against}; "
        f"{counted(result.train_samples, 'sample')} an epoch, {number(run_energy(result))} J if every epoch and step "
        f"costs what these do{constant}"
    )


def _energy(pj: float) -> str:
    factor, unit = energy_unit(pj)
    return f"{number(pj / factor)} {unit}"


def _records(results: Sequence[TrainingOperations], choices: Choices) -> list[dict[str, Any]]:
    """Origin, energies in pJ for a sample, densities by layer, and the whole run."""
    return [_record(result) for result in results]


def _record(result: TrainingOperations) -> dict[str, Any]:
    layers = training_table(result).drop(index="total")
    steps = phase_energy(result).sum(1)
    return {
        "checkpoint": result.provenance.checkpoint,
        "loss": result.loss,
        "bn": result.bn,
        "timesteps": int(result.timestep[-1]),
        "cost": result.cost,
        "layer": layers.index.tolist(),
        **{f"{name}_pj": layers[name].tolist() for name in (*PHASES, *SPARSITIES)},
        **{str(name): column.tolist() for name, column in densities(result).items()},
        **{f"{phase}_pj_by_timestep": of_phase.tolist() for phase, of_phase in zip(PHASES, steps, strict=True)},
        "neurons_pj": float(neuron_energy(result).sum()),
        "optimizer_pj_per_update": optimizer_energy(result),
        "timestep_epochs": schedule_cost(result.stages),
        "train_samples": result.train_samples,
        "run_joules": run_energy(result),
        "not_counted": result.not_counted,
    }


VIEW = View[TrainingOperations](
    title="What training costs",
    takes="files of tetviz training-energy",
    describe=lambda result: f"What training computes at T = {result.timestep[-1]}",
    context=lambda result: "; ".join(context_parts(result)),
    tables={
        "training-table": TableOf("energy of training by layer and phase", energies_table),
        "density-table": TableOf("shares that are not 0 in training, by layer", densities_table),
    },
    record=_records,
    figure="tetviz.figures.plots.training_cost:draw_training_cost",
    alt="Energy of a training step of {}, by phase and layer",
    words=_words,
)
