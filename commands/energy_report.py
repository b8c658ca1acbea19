"""What operation counts say, printed: conventions beside ANNs, energy against accuracy, layers, spikes; and as JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tetviz.figures.report.blocks import TextTable
    from tetviz.summaries import EnergyReport


def report_energy(reports: "Sequence[EnergyReport]") -> None:
    """Prints the four tables of each checkpoint, and one that several have in common."""
    from tetviz.figures.report import tables_energy as tables
    from tetviz.summaries.names import data_context, network_names

    names = network_names([report.counts for report in reports])
    for index, (name, report) in enumerate(zip(names, reports, strict=True)):
        printed = [
            _lines(tables.conventions_beside_anns(report)),
            _lines(tables.energy_by_timestep(report)),
            _lines(tables.layers(report)),
            _lines(tables.beside_synapses(report)),
            _lines(tables.spikes(report)),
        ]
        text = "\n\n".join([f"{name}: {data_context(report.counts)}".removesuffix(": "), *printed])
        click.echo(f"\n{text}" if index else text)
    if len(reports) > 1:
        click.echo(f"\n{_lines(tables.networks_together(reports, names))}")


def _lines(table: "TextTable") -> str:
    from tetviz.figures import format_table
    from tetviz.figures.plots.style import plain_units

    return plain_units("\n".join(part for part in (table.caption, format_table(table.frame), *table.feet) if part))


def energy_record(report: "EnergyReport") -> dict[str, Any]:
    """Energy as plain values, in pJ per sample of runs of t steps."""
    from tetviz.results import default_timestep
    from tetviz.summaries import (
        CONVENTIONS,
        baselines,
        break_even,
        estimate_energy,
        layer_table,
        spike_table,
    )

    counts, t = report.counts, default_timestep(report.counts)
    record: dict[str, Any] = {
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
    }
    for name in CONVENTIONS:
        for first in ("per-step", "once"):
            other = estimate_energy(counts, report.cost, name, first_layer=first)
            record[f"{name}_{first.replace('-', '_')}_pj"] = other.total_pj.tolist()
    networks = baselines(report, t)
    record |= {"table_timestep": t, "ann": networks.index.tolist(), "ann_mac": networks["MAC"].tolist()}
    record |= {"ann_pj": (1e3 * networks["energy (nJ)"]).tolist(), "ann_snn_pj": (1e3 * networks["SNN (nJ)"]).tolist()}
    layers, spikes = layer_table(report, t), spike_table(counts, t)
    record["layer"] = layers.index.tolist()
    record |= {f"layer_{name}": layers[title].tolist() for name, title in _LAYER_COLUMNS.items()}
    record["layer_pj"] = (1e3 * layers["energy (nJ)"]).tolist()
    record["neuron_layer"] = spikes.index.tolist()
    record["neurons"] = spikes["neurons"].tolist()
    record["spikes_per_neuron"] = spikes["spikes/neuron"].tolist()
    record |= {name: (spikes[f"{name} (%)"] / 100).tolist() for name in ("rate", "never", "always")}
    record["notes"] = list(report.notes)
    return record | {name: list(getattr(counts, name)) for name in ("warnings", "not_counted")}


_LAYER_COLUMNS = {"input": "input", "mac": "MAC", "ac": "AC", "spikes_per_synapse": "spikes/synapse"}
