"""Training histories, training energy and block isometry as tables."""

from tetviz.figures.formatting import energy_unit, number, numbered
from tetviz.figures.report.blocks import TextTable
from tetviz.results import TrainingOperations
from tetviz.summaries.names import counted
from tetviz.summaries.training import (
    densities,
    neuron_energy,
    optimizer_energy,
    run_energy,
    schedule_cost,
    training_table,
)


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
