"""What operation counts show: energy under each convention beside ANNs, at every T, by layer, and how neurons fire."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.curves import Axis, Curves, Series, position
from tetviz.figures.formatting import amount, energy_unit, number, shares, short, told
from tetviz.figures.selection import require_same_data
from tetviz.figures.table import NETWORK, Column, Table, stacked
from tetviz.figures.view import Choices, FigureOf, Pricing, TableOf, View, Words
from tetviz.results import OperationCounts, default_timestep
from tetviz.summaries import (
    CONVENTIONS,
    MEMORY_AWARE_BAND,
    EnergyReport,
    baselines,
    break_even,
    energy_table,
    estimate_energy,
    layer_table,
    spike_table,
    wilson,
)
from tetviz.summaries.energy_tables import beside_anns, off_headline_table
from tetviz.summaries.names import counted, data_context, network_names
from tetviz.summaries.scaling import table_timesteps

ANNS = ("ANN, padded", "ANN, in-bounds")
OTHER_PRICES = (
    "These networks are priced by other cost models or conventions, so their energies do not compare; price them alike "
    "with tetviz plot --cost, --convention, --first-layer and --pool."
)
_TOGETHER = "Accuracy and energy per sample of synaptic operations, summed over steps 1..T"
_EVERY_T = 10  # of longer runs, readers are shown the powers of two
_OPERATIONS = (Column("MAC", form=amount), Column("AC", form=amount))
_LAYER_COLUMNS = {"input": "input", "mac": "MAC", "ac": "AC", "spikes_per_synapse": "spikes/synapse"}

Unit = tuple[float, str]


def priced(counts: Sequence[OperationCounts], pricing: Pricing | None = None) -> list[EnergyReport]:
    """Counts with their price: what their files name, but for what is asked for in its place."""
    if not counts:
        raise ResultError("no operation counts to draw")
    return [estimate_energy(each, **(pricing or {})) for each in counts]


def unit_of(reports: Sequence[EnergyReport]) -> Unit:
    """The unit in which the energies of some networks are shown, and how many pJ it has."""
    return energy_unit(max(float(report.total_pj[-1]) for report in reports))


def energy_column(name: str, unit: Unit) -> Column:
    """A column of energies in nJ, or of right answers per uJ, in another unit; the joule is the largest."""
    factor, called = unit
    if name == "right per uJ":
        larger, called = energy_unit(1e3 * factor)
        return Column(f"right per {called}", of=name, form=lambda right: short(right * larger / 1e6))
    head = f"{name.removesuffix('(nJ)')}({called})"
    return Column(head, of=name, form=lambda nj: short(1e3 * nj / factor))


def networks_table(results: Sequence[OperationCounts], choices: Choices) -> Table:
    """Networks side by side at every T."""
    reports, names = priced(results, choices.pricing), network_names(results)
    unit, columns = unit_of(reports), list[Column]()
    values: dict[str, pd.Series] = {}
    for name, report in zip(names, reports, strict=True):
        table, accuracy, energy = energy_table(report), f"{name} (%)", f"{name} (nJ)"
        values |= {accuracy: table["accuracy (%)"], energy: table["energy (nJ)"]}
        columns += [Column(accuracy), energy_column(energy, unit)]
    prices = told([_price_words(report) for report in reports], names)
    notes = [f"{name}: {text}" for name, report in zip(names, reports, strict=True) for text in report.notes]
    longest = max((report.counts for report in reports), key=lambda counts: len(counts.timestep))
    return Table(
        pd.DataFrame(values).rename_axis(index="T", columns=NETWORK),
        tuple(columns),
        about="Accuracy and energy of a sample of networks side by side",
        note="; ".join([_TOGETHER, *prices, *notes]),
        rows=_shown_rows(longest),
        label="networks",
    )


def accuracy_curves(reports: Sequence[EnergyReport]) -> Curves:
    """Accuracy against energy, a point for each T: Figure 4B of the TET paper."""
    factor, unit = unit_of(reports)
    series = []
    for network, report in enumerate(reports):
        counts = report.counts
        energy = np.where(report.total_pj > 0, report.total_pj, np.nan) / factor  # 0 has no place on its axis
        told_shares = shares(counts.accuracy, report.samples)
        texts = [
            f"T = {t}\n{number(spent, ',.4g')} {unit} a sample\naccuracy {share}"
            for t, spent, share in zip(counts.timestep, energy, told_shares, strict=True)
        ]
        low, high = wilson(counts.accuracy, report.samples)
        ringed = position(counts.timestep, counts.t_train)
        ends = 100 * low, 100 * high
        series.append(Series(network, energy, 100 * counts.accuracy, *ends, tuple(texts), ringed, every=True))
    names = network_names([report.counts for report in reports])
    return Curves(
        title="Accuracy against energy, a point for each T",
        alt=f"Accuracy of {', '.join(names)} against the energy of a sample's synaptic operations; tables below have "
        "both.",
        networks=tuple(names),
        x=Axis(f"energy of a sample ({unit})", "log"),
        y=Axis("accuracy (%)"),
        series=tuple(series),
        ring="training T" if any(each.ringed for each in series) else "",
        band="95 % Wilson interval over samples",
    )


def convention_curves(reports: Sequence[EnergyReport], steps: Sequence[int], *, anns: bool) -> Curves:
    """Energy under each convention, a row of points each, and that of dense ANNs of the same shapes."""
    factor, unit = unit_of(reports)
    tables = [beside_anns(report, t) for report, t in zip(reports, steps, strict=True)]
    shown = [table if anns else table.drop(index=list(ANNS)) for table in tables]
    labels = list(dict.fromkeys(label for table in shown for label in table.index))
    series = []
    for network, table in enumerate(shown):
        energy = 1e3 * table["energy (nJ)"].to_numpy() / factor
        # Side by side in a row, as networks often cost the same.
        beside = 0.6 * ((network + 0.5) / len(reports) - 0.5)
        places = np.array([labels.index(label) + beside for label in table.index])
        texts = [f"{label}\n{spent:,.4g} {unit} a sample" for label, spent in zip(table.index, energy, strict=True)]
        series.append(Series(network, np.where(energy > 0, energy, np.nan), places, texts=tuple(texts), joined=False))
    headlines = {label for table in tables for label in table.index[table["headline"]]}
    names = network_names([report.counts for report in reports])
    return Curves(
        title=f"Energy by convention, and of ANNs of the same shapes, {at_words(steps)}",
        alt=f"Energy of a sample of {', '.join(names)} under each convention of counting, beside dense ANNs of the "
        "same shapes.",
        networks=tuple(names),
        x=Axis(f"energy of a sample ({unit})", "log"),
        y=Axis("", ticks=tuple(labels), bold=headlines.pop() if len(headlines) == 1 else ""),
        series=tuple(series),
    )


def at_words(steps: Sequence[int]) -> str:
    """At which T the energies of networks are."""
    return f"at T = {steps[0]}" if len(set(steps)) == 1 else "at the training T"


def _curves(results: Sequence[OperationCounts], choices: Choices) -> list[Curves]:
    reports = priced(results, choices.pricing)
    steps = [default_timestep(each) if choices.timestep is None else choices.timestep for each in results]
    return [accuracy_curves(reports), convention_curves(reports, steps, anns=True)]


def _by_network(make: Callable[[EnergyReport, int | None, Unit], Table]) -> Callable[..., Table]:
    """Tables of networks as one, in the unit of the largest of their energies."""

    def made(results: Sequence[OperationCounts], choices: Choices) -> Table:
        reports = priced(results, choices.pricing)
        unit = unit_of(reports)
        return stacked(network_names(results), [make(report, choices.timestep, unit) for report in reports])

    return made


def _conventions(report: EnergyReport, timestep: int | None, unit: Unit) -> Table:
    frame, anns = beside_anns(report, timestep), baselines(report, timestep)
    quantised = anns.iloc[-1]
    ann, snn = (f"{short(1e3 * quantised[name] / unit[0])} {unit[1]}" for name in ("energy (nJ)", "SNN (nJ)"))
    *each, overall = layer_table(report, timestep)["spikes/synapse"].tolist()
    spiking = int(np.isfinite(each).sum())
    low, high = MEMORY_AWARE_BAND
    return Table(
        frame.assign(samples=report.samples),
        (
            *_OPERATIONS,
            energy_column("energy (nJ)", unit),
            Column("of the ANN (%)", form=".1f"),
        ),
        about="Operations and energy of a sample under each convention, by exact counts, beside dense ANNs of the same "
        "shapes",
        note=frame.attrs["caption"],
        feet=()
        if not report.complete
        else (
            f"{anns.index[-1]}: {ann}, the SNN in its arithmetic (45nm-int8-acc32) {snn}; an ANN is another network, "
            "of another accuracy",
            f"spikes per synapse per inference: {number(overall)} in the {spiking} of {counted(len(each), 'layer')} "
            f"that take{'' if len(each) > 1 else 's'} spikes; break-even {number(break_even(report.cost))} by compute, "
            f"{low} to {high} with memory (Dampfhoffer et al. 2022)",
        ),
        key=Column("convention, first layer", marked="headline"),
        label="conventions",
    )


def _timesteps(report: EnergyReport, timestep: int | None, unit: Unit) -> Table:
    counts, frame = report.counts, energy_table(report)
    headline, *others = (energy_column(name, unit) for name in frame.columns if name.endswith("(nJ)"))
    low, high = wilson(counts.accuracy, report.samples)
    note = str(frame.attrs["caption"])
    frame.insert(0, "samples", report.samples)
    frame.insert(2, "accuracy low (%)", 100 * low)
    frame.insert(3, "accuracy high (%)", 100 * high)
    return Table(
        frame.assign(trained=counts.timestep == counts.t_train),
        (
            Column("accuracy (%)", low="accuracy low (%)", high="accuracy high (%)"),
            *_OPERATIONS,
            headline,
            energy_column("right per uJ", unit),
            *others,
        ),
        about="Energy of a sample, by exact counts, and accuracy at T timesteps",
        note=f"{note}; [95 % Wilson interval over samples]" if report.samples else note,
        rows=_shown_rows(counts),
        key=Column("T", marked="trained"),
        label="energy",
    )


def _layers(report: EnergyReport, timestep: int | None, unit: Unit) -> Table:
    frame = layer_table(report, timestep)
    return Table(
        frame.assign(samples=report.samples),
        (
            Column("input"),
            Column("dense MAC", form=amount),
            *_OPERATIONS,
            Column("spikes/synapse", form=short),
            energy_column("energy (nJ)", unit),
            Column("share (%)", form=".1f"),
        ),
        about="Operations and energy of a sample by layer, by exact counts",
        note=frame.attrs["caption"],
        label="layers",
    )


def _off_headline(report: EnergyReport, timestep: int | None, unit: Unit) -> Table:
    frame = off_headline_table(report, timestep)
    return Table(
        frame.assign(samples=report.samples),
        (Column("operations", form=amount), Column("pJ each", form="g"), energy_column("energy (nJ)", unit)),
        about="What is not in the headline: operations beside synaptic ones, and memory",
        note=frame.attrs["caption"],
        label="beside",
    )


def _spikes(report: EnergyReport, timestep: int | None, unit: Unit) -> Table:
    frame = spike_table(report.counts, timestep)
    average = number(frame["spikes/neuron"].iloc[-1], ".4f")
    return Table(
        frame.assign(samples=report.samples),
        (
            Column("neurons"),
            Column("spikes/neuron", form=".4f"),
            *(Column(name) for name in ("rate (%)", "never (%)", "always (%)")),
        ),
        about="How much the neurons of each layer fire",
        note=frame.attrs["caption"],
        feet=(f"on average {average} spikes per neuron per inference (the measure of arXiv 2201.07209)",),
        label="spikes",
    )


def _shown_rows(counts: OperationCounts) -> list[int]:
    steps = counts.timestep.tolist()
    rows = list(range(len(steps))) if len(steps) <= _EVERY_T else [steps.index(t) for t in table_timesteps(counts)]
    known = np.isfinite(counts.accuracy)  # of a network that runs for one T alone that T
    return [row for row in rows if known[row]] if known.any() else rows


def _price_words(report: EnergyReport) -> str:
    return f"{report.cost.constants()}, {report.convention.label}"


def _words(results: Sequence[OperationCounts], choices: Choices) -> Words:
    reports = priced(results, choices.pricing)
    prices = told([_price_words(report) for report in reports], network_names(results))
    return Words(warned=(OTHER_PRICES, *prices) if len(prices) > 1 else ())


def _records(results: Sequence[OperationCounts], choices: Choices) -> list[dict[str, Any]]:
    """Energies in pJ per sample of runs of t steps."""
    return [_record(report) for report in priced(results, choices.pricing)]


def _record(report: EnergyReport) -> dict[str, Any]:
    counts, t = report.counts, default_timestep(report.counts)
    networks, layers, spikes = baselines(report, t), layer_table(report, t), spike_table(counts, t)
    others = {
        f"{name}_{first.replace('-', '_')}_pj": estimate_energy(counts, report.cost, name, first_layer=first)
        for name in CONVENTIONS
        for first in ("per-step", "once")
    }
    return {
        "checkpoint": counts.provenance.checkpoint,
        "samples": report.samples,
        "t_train": counts.t_train,
        "convention": report.convention.label,
        "cost": report.cost.name,
        "mac_pj": report.cost.mac,
        "ac_pj": report.cost.ac,
        "timestep": counts.timestep.tolist(),
        **{name: getattr(counts, name).tolist() for name in ("accuracy", "step_accuracy", "sdt_loss", "tet_loss")},
        "mac": report.total_mac.tolist(),
        "ac": report.total_ac.tolist(),
        "energy_pj": report.total_pj.tolist(),
        "side_pj": report.total_side_pj.tolist(),
        "memory_low_pj": report.total_memory_low_pj.tolist(),
        "memory_high_pj": report.total_memory_high_pj.tolist(),
        "accuracy_per_joule": report.accuracy_per_joule.tolist(),
        "break_even": break_even(report.cost),
        **{name: other.total_pj.tolist() for name, other in others.items()},
        "table_timestep": t,
        "ann": networks.index.tolist(),
        "ann_mac": networks["MAC"].tolist(),
        "ann_pj": (1e3 * networks["energy (nJ)"]).tolist(),
        "ann_snn_pj": (1e3 * networks["SNN (nJ)"]).tolist(),
        "layer": layers.index.tolist(),
        **{f"layer_{name}": layers[title].tolist() for name, title in _LAYER_COLUMNS.items()},
        "layer_pj": (1e3 * layers["energy (nJ)"]).tolist(),
        "neuron_layer": spikes.index.tolist(),
        "neurons": spikes["neurons"].tolist(),
        "spikes_per_neuron": spikes["spikes/neuron"].tolist(),
        **{name: (spikes[f"{name} (%)"] / 100).tolist() for name in ("rate", "never", "always")},
        "notes": list(report.notes),
        "warnings": list(counts.warnings),
        "not_counted": list(counts.not_counted),
    }


_AT_T = ("timestep", "pricing")
_FOLD = "Every T, layers and spikes"

VIEW = View[OperationCounts](
    title="What it costs",
    takes="files of tetviz energy",
    describe=lambda counts: f"Operations of a run up to T = {counts.timestep[-1]}, and their energy",
    context=data_context,
    tables={
        "convention-table": TableOf(
            "operations and energy under each convention", _by_network(_conventions), heeds=_AT_T
        ),
        "energy-table": TableOf(
            "energy and accuracy at every T", _by_network(_timesteps), heeds=("pricing",), fold=_FOLD
        ),
        "layer-table": TableOf("operations and energy by layer", _by_network(_layers), heeds=_AT_T, fold=_FOLD),
        "beside-table": TableOf(
            "operations and memory that are not in the headline", _by_network(_off_headline), heeds=_AT_T, fold=_FOLD
        ),
        "spike-table": TableOf(
            "how much neurons fire, by layer", _by_network(_spikes), heeds=("timestep",), fold=_FOLD
        ),
        "networks-table": TableOf(
            "accuracy and energy of networks side by side", networks_table, heeds=("pricing",), each=False, least=2
        ),
    },
    record=_records,
    figure="tetviz.figures.plots.energy:draw_energy",
    table="energy-table",
    alt="Energy of {} at every T, under each convention and by layer",
    figures={
        "fig4b": FigureOf(
            "Figure 4B: accuracy against energy, a point for each T",
            "tetviz.figures.plots.energy:draw_accuracy_per_energy",
            heeds=("pricing",),
        ),
    },
    heeds=_AT_T,
    words=_words,
    curves=_curves,
    together=require_same_data,
)
