"""Operation counts as tables: conventions beside ANNs, energy at every T, layers, spikes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from tetviz.figures.energy_tables import in_unit
from tetviz.figures.formatting import NO_NUMBER, amounts, number, numbered, told
from tetviz.figures.plots.style import energy_unit
from tetviz.figures.report.blocks import TextTable
from tetviz.results import default_timestep
from tetviz.summaries import (
    MEMORY_AWARE_BAND,
    EnergyReport,
    baselines,
    break_even,
    convention_table,
    energy_table,
    layer_table,
    spike_table,
)
from tetviz.summaries.conventions import SIDE_COSTS
from tetviz.summaries.names import counted


def conventions_beside_anns(report: EnergyReport) -> TextTable:
    """The same spikes under each convention, beside ANNs of the same shapes, at the T of training."""
    table, t = convention_table(report.counts, report.cost), default_timestep(report.counts)
    headline = replace(report.convention, norm="fold").label  # batch norm is not in the headline
    if headline not in table.index:
        mac, ac, pj = report.total_mac[t - 1], report.total_ac[t - 1], report.total_pj[t - 1]
        table.loc[headline] = [mac, ac, pj / 1e3]
    networks = baselines(report, t)
    dense, quantised = networks.iloc[:-1], networks.iloc[-1]
    factor, unit = unit_of(report)
    spent, ann = [*table["energy (nJ)"], *dense["energy (nJ)"]], float(dense["energy (nJ)"].iloc[-1])
    frame = pd.DataFrame(
        {
            "MAC": amounts([*table["MAC"], *dense["MAC"]]),
            "AC": amounts([*table["AC"], *(0 for _ in dense.index)]),
            f"energy ({unit})": energies(spent, factor / 1e3),
            "of the ANN": [number(part / ann, ".1%") if ann else NO_NUMBER for part in spent],
        },
        index=pd.Index(
            [*(f"{label}{' (headline)' * (label == headline)}" for label in table.index), *dense.index],
            name="convention, first layer",
        ),
    )
    low, high = MEMORY_AWARE_BAND
    *each, overall = layer_table(report, t)["spikes/synapse"]
    spiking = sum(spikes == spikes for spikes in each)
    return TextTable(
        table.attrs["caption"],
        frame,
        (
            f"{networks.index[-1]}: {quantised['energy (nJ)'] * 1e3 / factor:.3f} {unit}, the SNN in its arithmetic "
            f"(45nm-int8-acc32) {quantised['SNN (nJ)'] * 1e3 / factor:.3f} {unit}; an ANN is another network, of "
            "another accuracy",
            f"spikes per synapse per inference: {number(overall, '.4g')} in the {spiking} of "
            f"{counted(len(each), 'layer')} that take{'s' * (len(each) == 1)} spikes; break-even "
            f"{number(break_even(report.cost), '.4g')} by compute, {low} to {high} with memory (Dampfhoffer et al. "
            "2022)",
        ),
    )


def energy_by_timestep(report: EnergyReport) -> TextTable:
    """Energy against accuracy at every T."""
    table, counts = energy_table(report), report.counts
    factor, unit = unit_of(report)
    frame = _texts(in_unit(table, factor, unit))
    frame["accuracy (%)"] = [number(percent, ".2f") for percent in table["accuracy (%)"]]
    (right,) = (column for column in frame.columns if column.startswith("right per"))
    frame.insert(4, right, frame.pop(right))
    frame.index = frame.index.map(lambda t: f"{t} (trained)" if t == counts.t_train else str(t))
    return TextTable(table.attrs["caption"], frame.rename_axis("T"))


def layers(report: EnergyReport) -> TextTable:
    """The layers with weights."""
    table, t, counts = layer_table(report), default_timestep(report.counts), report.counts
    factor, unit = unit_of(report)
    dense = counts.dense_mac[:, :t].sum(1) / report.samples
    frame = _texts(in_unit(table, factor, unit))
    frame["spikes/synapse"] = [number(spikes, ".3f") for spikes in table["spikes/synapse"]]
    frame["share (%)"] = [number(share, ".1f") for share in table["share (%)"]]
    frame.insert(1, "dense MAC", amounts([*dense[(counts.dense_mac > 0).any(1)], dense.sum()]))
    return TextTable(table.attrs["caption"], frame)


def beside_synapses(report: EnergyReport) -> TextTable:
    """What is in no headline: operations beside synaptic ones, and memory."""
    t = default_timestep(report.counts)
    factor, unit = unit_of(report)
    totals = {name: column[:, :t].sum() / report.samples for name, column in report.side.items()}
    each = {name: getattr(report.cost, SIDE_COSTS[name]) for name in totals}
    done = [name for name, total in totals.items() if total]
    spent = [totals[name] * each[name] for name in done]
    frame = pd.DataFrame(
        {
            "operations": [*amounts([totals[name] for name in done]), NO_NUMBER],
            "pJ each": [*(f"{each[name]:g}" for name in done), NO_NUMBER],
            f"energy ({unit})": energies([*spent, report.total_side_pj[t - 1]], factor),
        },
        index=pd.Index([*(name.replace("_", " ") for name in done), "total"], name="not in the headline"),
    )
    for bound, pj in (("low", report.total_memory_low_pj), ("high", report.total_memory_high_pj)):
        if report.cost.memory is not None:
            frame.loc[f"memory {report.cost.memory.name}, {bound}"] = [
                NO_NUMBER,
                NO_NUMBER,
                *energies([pj[t - 1]], factor),
            ]
    return TextTable("", frame)


def spikes(report: EnergyReport) -> TextTable:
    """How much the neurons of each layer fire."""
    table = spike_table(report.counts)
    frame = numbered(table.astype({"neurons": "int64"}), ".2f")
    frame["spikes/neuron"] = [number(spikes, ".4f") for spikes in table["spikes/neuron"]]
    average = number(table["spikes/neuron"].iloc[-1], ".4f")
    foot = f"on average {average} spikes per neuron per inference (the measure of arXiv 2201.07209)"
    return TextTable(table.attrs["caption"], frame, (foot,))


def networks_together(reports: Sequence[EnergyReport], names: Sequence[str]) -> TextTable:
    """Energy and accuracy of several checkpoints at every T."""
    factor, unit = max(map(unit_of, reports))
    steps = range(1, 1 + max(len(report.counts.timestep) for report in reports))
    columns = {}
    for name, report in zip(names, reports, strict=True):
        missing = [NO_NUMBER] * (len(steps) - len(report.counts.timestep))
        columns[f"{name} (%)"] = [*(number(100 * share, ".2f") for share in report.counts.accuracy), *missing]
        columns[f"{name} ({unit})"] = [*energies(report.total_pj, factor), *missing]
    prices = told([price_words(report) for report in reports], names)
    notes = [f"{name}: {text}" for name, report in zip(names, reports, strict=True) for text in report.notes]
    head = f"Accuracy and energy per sample of synaptic operations, summed over steps 1..T; {'; '.join(prices)}"
    return TextTable("\n".join([head, *notes]), pd.DataFrame(columns, index=pd.Index(steps, name="T")))


def price_words(report: EnergyReport) -> str:
    """What an operation costs and what counts as one."""
    return f"{report.cost.constants()}, {report.convention.label}"


def unit_of(report: EnergyReport) -> tuple[float, str]:
    """The unit that a checkpoint's energies are printed in."""
    return energy_unit(float(report.total_pj[-1]))


def _texts(table: pd.DataFrame) -> pd.DataFrame:
    # Counts, and what is in joules or per so many of them.
    columns: dict[str, Any] = {}
    for name, column in table.items():
        title = str(name)
        if title.endswith("J)") or title.startswith("right per"):
            columns[title] = energies(column, 1)
        else:
            columns[title] = amounts(column) if title in ("MAC", "AC") else column.tolist()
    return pd.DataFrame(columns, index=table.index)


def energies(values: Iterable[float], factor: float) -> list[str]:
    """Energies in another unit.

    Args:
        values: the energies; NaN where there is none.
    """
    return [number(value / factor, ",.3f") for value in values]
