"""Tables of energy: over T, by layer, under each convention, and of training."""

from collections.abc import Callable, Sequence

import pandas as pd

from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import intervals, network_rows, rounded
from tetviz.figures.plots.energy import Pricing, priced
from tetviz.figures.plots.style import energy_unit
from tetviz.figures.table import Table
from tetviz.results import OperationCounts, TrainingOperations
from tetviz.summaries import (
    EnergyReport,
    baselines,
    convention_table,
    densities,
    energy_table,
    layer_table,
    training_table,
    wilson,
)
from tetviz.summaries.names import data_context, network_names
from tetviz.summaries.scaling import table_timesteps

_COUNTED = "Synaptic operations, by exact counts"


def accuracy_energy_table(counts: Sequence[OperationCounts], pricing: Pricing | None = None) -> Table:
    """Energy and accuracy of networks at every T."""
    reports = priced(counts, pricing)
    unit = _unit(reports)
    frames, shown, contexts = [], [], []
    for name, report in zip(network_names(counts), reports, strict=True):
        table = energy_table(report)
        frame = network_rows(name, table.reset_index())
        low, high = wilson(report.counts.accuracy, report.samples)
        frame.insert(2, "accuracy low (%)", 100 * low)
        frame.insert(3, "accuracy high (%)", 100 * high)
        frame.insert(1, "samples", report.samples)
        frames.append(frame)
        rows = frame[frame["T"].isin(table_timesteps(report.counts))]
        text = rounded(in_unit(rows.drop(columns=["samples", "accuracy low (%)", "accuracy high (%)"]), *unit))
        text["accuracy (%)"] = intervals(rows, "accuracy (%)", "accuracy low (%)", "accuracy high (%)", ".2f")
        shown.append(text)
        contexts.append(_context(report, table))
    caption = compose_caption(
        "Energy of a sample and accuracy at T timesteps",
        counts,
        contexts,
        _COUNTED,
        "In brackets 95 % Wilson intervals over samples" if any(report.samples for report in reports) else "",
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "energy")


def energy_layers_table(
    counts: Sequence[OperationCounts], timestep: int | None = None, pricing: Pricing | None = None
) -> Table:
    """Operations and energy of every layer of networks."""
    what = "Operations and energy of a sample by layer"
    return _by_report(counts, pricing, what, "layers", lambda report: layer_table(report, timestep))


def energy_conventions_table(
    counts: Sequence[OperationCounts], timestep: int | None = None, pricing: Pricing | None = None
) -> Table:
    """The same spikes of networks under each convention."""
    what = "Operations and energy of a sample under each convention, beside dense ANNs of the same shapes"
    return _by_report(counts, pricing, what, "conventions", lambda report: _beside_anns(report, timestep))


def training_cost_table(results: Sequence[TrainingOperations]) -> Table:
    """Energy of training networks by layer and phase, and the shares that are not 0."""
    tables = [training_table(result) for result in results]
    frames = []
    for name, result, table in zip(network_names(results), results, tables, strict=True):
        energies = (table / 1e3).add_suffix(" (nJ)")
        frame = energies.join((100 * densities(result)).add_suffix(" (%)")).reset_index(names="layer")
        frames.append(network_rows(name, frame.assign(samples=len(result.sample))))
    contexts = [
        f"L_{r.loss.upper()}; T = {r.timestep[-1]}; {data_context(r)}; BN {r.bn}; {r.cost} ({r.mac_pj:g} pJ a MAC, "
        f"{r.ac_pj:g} pJ an AC)"
        for r in results
    ]
    missing = [sentence for result in results for sentence in result.not_counted]
    caption = compose_caption(
        "Energy of training on a sample, by layer: forward (FP), input gradient (BP), weight gradient (WU), their sum "
        "(effective), with one-sided sparsity and dense; shares of elements (d_in, d_err, d_need) and pairs that are "
        "not 0",
        results,
        contexts,
        f"Incomplete: {'; '.join(dict.fromkeys(missing))}" if missing else "",
    )
    whole, unit = pd.concat(frames), energy_unit(max(float(table["dense"].max()) for table in tables))
    return Table(whole, caption, rounded(in_unit(whole.drop(columns="samples"), *unit)), "training")


def in_unit(frame: pd.DataFrame, factor: float, unit: str) -> pd.DataFrame:
    """A table with its energies in another unit; the joule is the largest."""
    larger, its_name = energy_unit(1e3 * factor)
    scales = {column: 1e3 / factor for column in frame.columns if column.endswith("(nJ)")}
    scales |= {column: larger / 1e6 for column in frame.columns if column == "right per uJ"}
    names = {column: column.replace("nJ", unit).replace("uJ", its_name) for column in scales}
    return frame.assign(**{column: frame[column] * scale for column, scale in scales.items()}).rename(columns=names)


def _by_report(
    counts: Sequence[OperationCounts],
    pricing: Pricing | None,
    what: str,
    label: str,
    of: Callable[[EnergyReport], pd.DataFrame],
) -> Table:
    reports = priced(counts, pricing)
    tables = [of(report) for report in reports]
    whole = pd.concat(
        network_rows(name, table.reset_index()).assign(samples=report.samples)
        for name, report, table in zip(network_names(counts), reports, tables, strict=True)
    )
    contexts = [_context(report, table) for report, table in zip(reports, tables, strict=True)]
    caption = compose_caption(what, counts, contexts, _COUNTED)
    return Table(whole, caption, rounded(in_unit(whole.drop(columns="samples"), *_unit(reports))), label)


def _beside_anns(report: EnergyReport, timestep: int | None) -> pd.DataFrame:
    table = convention_table(report.counts, report.cost, timestep)
    anns = baselines(report, timestep).iloc[:-1].assign(AC=0.0)  # the last is in another arithmetic
    whole: pd.DataFrame = pd.concat([table, anns[table.columns]])
    whole.index.name = table.index.name
    whole["of the ANN (%)"] = 100 * whole["energy (nJ)"] / anns["energy (nJ)"].iloc[-1]
    whole.attrs = table.attrs
    return whole


def _unit(reports: Sequence[EnergyReport]) -> tuple[float, str]:
    return energy_unit(max(float(report.total_pj[-1]) for report in reports))


def _context(report: EnergyReport, table: pd.DataFrame) -> str:
    # The caption of a table says the steps that are summed, the prices and the convention.
    told = str(table.attrs["caption"])
    return "; ".join(part for part in (data_context(report.counts), told[:1].lower() + told[1:]) if part)
