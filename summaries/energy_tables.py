"""Tables of energy: over T, by layer, over conventions, and beside an ANN of the same shapes.

Every table carries its caption in ``attrs["caption"]``: constants, convention, T, and what is missing.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.results import OperationCounts, default_timestep
from tetviz.results.schema import FloatArray, IntArray
from tetviz.summaries.conventions import SIDE_COSTS, factors, incomplete
from tetviz.summaries.costs import COSTS, CostModel, quantised_bits, quantised_mac
from tetviz.summaries.energy import EnergyReport, estimate_energy

_SIDE_NAMES = {
    "bias_add": "bias add",
    "norm_mac": "norm MAC",
    "residual_add": "residual add",
    "pool_add": "pool add",
    "readout_add": "readout add",
    "neuron_mul": "leak mul",
    "neuron_add": "neuron add",
    "neuron_compare": "compare",
    "neuron_reset": "reset",
}


_ESTIMATE = "rate x FLOPs x T, an estimate"


def energy_table(report: EnergyReport) -> pd.DataFrame:
    """Energy and accuracy at every T: Figure 4B of the TET paper as numbers.

    Args:
        report: the energy.

    Returns:
        A row for each T with columns ``accuracy (%)``, ``MAC``, ``AC``, ``energy (nJ)``, ``side (nJ)``,
        ``right per uJ`` (right answers per microjoule of ``energy``), and with a memory model ``memory low (nJ)`` and
        ``memory high (nJ)``; per sample, summed over steps 1..T.
    """
    columns = {
        "accuracy (%)": 100 * report.counts.accuracy,
        "MAC": report.total_mac,
        "AC": report.total_ac,
        "energy (nJ)": report.total_pj / 1e3,
        "side (nJ)": report.total_side_pj / 1e3,
        "right per uJ": report.accuracy_per_joule / 1e6,
    }
    if report.cost.memory is not None:
        columns["memory low (nJ)"] = report.total_memory_low_pj / 1e3
        columns["memory high (nJ)"] = report.total_memory_high_pj / 1e3
    frame = pd.DataFrame(columns, index=pd.Index(report.counts.timestep, name="T"))
    return _captioned(frame, _caption(report))


def layer_table(report: EnergyReport, timestep: int | None = None) -> pd.DataFrame:
    """Synaptic operations and their energy by layer.

    Args:
        report: the energy.
        timestep: T; by default that of training.

    Returns:
        A row for each layer with weights and one for their ``total``, with columns ``input`` (its class), ``dense MAC``
        (all pairs, padding included), ``MAC``, ``AC``, ``energy (nJ)`` and ``share (%)`` of it, per sample, summed over
        steps 1..T, and ``spikes/synapse``: ACs over the in-bounds pairs of one step, per inference, to be held against
        :func:`tetviz.summaries.break_even`; NaN where a layer computes MACs. ``total`` has that of the others.
    """
    counts = report.counts
    t = _at(counts, timestep)
    names, inputs = counts.names, counts.inputs
    rows = np.flatnonzero((counts.dense_mac + report.mac + report.ac > 0).any(1))
    taken = (report.mac, report.ac, counts.inbounds_mac, counts.dense_mac)
    mac, ac, pairs, dense = (_until(column, t)[rows] for column in taken)
    spiking = (mac == 0) & (counts.weights[rows] > 0)
    fed, fired = _with_total(pairs * spiking), _with_total(ac * spiking)
    mac, ac = _with_total(mac), _with_total(ac)
    energy = mac * report.cost.mac + ac * report.cost.ac
    frame = pd.DataFrame(
        {
            "input": [*(inputs[row] for row in rows), ""],
            "dense MAC": _with_total(dense) / report.runs,
            "MAC": mac / report.runs,
            "AC": ac / report.runs,
            "spikes/synapse": _ratio(t * fired, fed),
            "energy (nJ)": energy / report.runs / 1e3,
            "share (%)": 100 * _ratio(energy, np.full(len(energy), energy[-1])),
        },
        index=pd.Index([*(names[row] for row in rows), "total"], name="layer"),
    )
    return _captioned(frame, _caption(report, t))


def side_table(report: EnergyReport, timestep: int | None = None) -> pd.DataFrame:
    """What is computed beside synaptic operations, by layer.

    Args:
        report: the energy.
        timestep: T; by default that of training.

    Returns:
        A row for each layer that does any of it and one for their ``total``: counts and their energy ``side (nJ)``, per
        sample, summed over steps 1..T. Nothing of it is in the energy of other tables but where they say ``side``.
    """
    t = _at(report.counts, timestep)
    taken = {title: _until(report.side[name], t) / report.runs for name, title in _SIDE_NAMES.items()}
    taken["side (nJ)"] = _until(report.side_pj, t) / report.runs / 1e3
    frame = pd.DataFrame(taken, index=pd.Index(report.counts.names, name="layer"))
    frame = frame[(frame[list(_SIDE_NAMES.values())] > 0).any(axis=1)]
    frame.loc["total"] = frame.sum()
    return _captioned(frame, _caption(report, t, "operations beside synaptic ones"))


def off_headline_table(report: EnergyReport, timestep: int | None = None) -> pd.DataFrame:
    """What is in no headline: operations beside synaptic ones, and memory.

    Returns:
        A row for each kind of operation that there is, for their ``total``, and for both bounds of a memory model, with
        columns ``operations``, ``pJ each`` and ``energy (nJ)``, per sample, summed over steps 1..T.
    """
    t = _at(report.counts, timestep)
    rows = {}
    for name, column in report.side.items():
        count, price = column[:, :t].sum() / report.runs, getattr(report.cost, SIDE_COSTS[name])
        if count:
            rows[name.replace("_", " ")] = (count, price, count * price / 1e3)
    sums = {"total": report.total_side_pj}
    if report.cost.memory is not None:
        bounds = {"low": report.total_memory_low_pj, "high": report.total_memory_high_pj}
        sums |= {f"memory {report.cost.memory.name}, {bound}": pj for bound, pj in bounds.items()}
    rows |= {name: (np.nan, np.nan, pj[t - 1] / 1e3) for name, pj in sums.items()}
    columns = ["operations", "pJ each", "energy (nJ)"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    what = f"Beside synaptic operations: per sample, summed over steps 1..T = {t}; {report.cost.name}"
    caption = "; ".join([what, f"convention {report.convention.label}", *report.notes])
    return _captioned(frame.rename_axis("not in the headline"), caption)


def spike_table(counts: OperationCounts, timestep: int | None = None) -> pd.DataFrame:
    """How much the neurons of each layer fire.

    Args:
        counts: exact counts.
        timestep: T; by default that of training.

    Returns:
        A row for each layer of neurons and one for all, ``total``, with columns ``neurons``, ``spikes/neuron`` (per
        inference, that is over steps 1..T; the measure of arXiv 2201.07209), ``rate (%)`` (spikes per neuron and
        step), ``never (%)`` and ``always (%)``: neurons that fired at none of the steps 1..T for any sample, and at
        all of them for every sample.
    """
    t = _at(counts, timestep)
    rows = np.flatnonzero(counts.neurons)
    names = counts.names
    taken = {
        "neurons": counts.neurons[rows],
        "spikes": _until(counts.spikes, t)[rows],
        "steps": _until(counts.neuron_compare, t)[rows],
        "never": counts.never_fired[rows, t - 1],
        "always": counts.always_fired[rows, t - 1],
    }
    neurons, spikes, steps, never, always = map(_with_total, taken.values())
    frame = pd.DataFrame(
        {
            "neurons": neurons,
            "spikes/neuron": _ratio(spikes, neurons * counts.runs),
            "rate (%)": 100 * _ratio(spikes, steps),
            "never (%)": 100 * _ratio(never, neurons),
            "always (%)": 100 * _ratio(always, neurons),
        },
        index=pd.Index([*(names[row] for row in rows), "total"], name="layer"),
    )
    return _captioned(frame, "; ".join([f"Spikes per inference over steps 1..T, T = {t}", *incomplete(counts)]))


def convention_table(
    counts: OperationCounts, cost: CostModel | str | None = None, timestep: int | None = None
) -> pd.DataFrame:
    """The same spikes under each convention: strict and tet, first layer per-step and once.

    Of networks that multiply activations also ssa and sdsa.

    Args:
        counts: exact counts.
        cost: a cost model, or what :func:`tetviz.summaries.load_cost` takes; by default the one that the counts name.
        timestep: T; by default that of training.

    Returns:
        Four rows, or six, such as ``tet, once``, with columns ``MAC``, ``AC`` and ``energy (nJ)``, per sample, summed
        over steps 1..T.
    """
    t = _at(counts, timestep)
    presets = [(name, first) for name in ("strict", "tet") for first in ("per-step", "once")]
    presets += [(name, "per-step") for name in ("ssa", "sdsa") if factors(counts)]
    reports = [estimate_energy(counts, cost, name, first_layer=first) for name, first in presets]
    frame = pd.DataFrame(
        {
            "MAC": [report.total_mac[t - 1] for report in reports],
            "AC": [report.total_ac[t - 1] for report in reports],
            "energy (nJ)": [report.total_pj[t - 1] / 1e3 for report in reports],
        },
        index=pd.Index([report.convention.label for report in reports], name="convention, first layer"),
    )
    notes = dict.fromkeys(note for report in reports for note in report.notes)
    return _captioned(frame, "; ".join([_heading(reports[0].cost, t), *notes]))


def baselines(report: EnergyReport, timestep: int | None = None) -> pd.DataFrame:
    """Compute of ANNs of the same shapes, beside the SNN at the same constants.

    The ANN runs once, with a MAC for each pair: ``padded`` counts padding taps, as FLOPs / 2 do, ``in-bounds`` does
    not. The quantised one has 8-bit weights and activations of ceil(log2(T + 1)) bits (Yan, Bai, Wong 2024), at
    :func:`tetviz.summaries.costs.quantised_mac` a MAC; the SNN is held against it in the 8-bit arithmetic of
    ``45nm-int8-acc32``. Neither is the same network: its accuracy is not the SNN's, and its activations are dense.

    Args:
        report: the energy of the SNN.
        timestep: T; by default that of training.

    Returns:
        A row for each ANN, with columns ``MAC``, ``pJ/MAC``, ``energy (nJ)``, ``SNN (nJ)`` at the constants of that
        row, and ``ANN/SNN``, above 1 where the SNN needs less, NaN where not all was counted; per sample.
    """
    counts = report.counts
    t = _at(counts, timestep)
    # Of recurrent weights, which have nothing to do at step 1, those of a later one.
    padded, inbounds = (column.max(1).sum() / report.runs for column in (counts.dense_mac, counts.inbounds_mac))
    bits, integer = quantised_bits(t), COSTS["45nm-int8-acc32"]
    rows = {
        "ANN, padded": (padded, report.cost.mac, report.cost),
        "ANN, in-bounds": (inbounds, report.cost.mac, report.cost),
        f"{bits}-bit ANN, in-bounds": (inbounds, quantised_mac(bits), integer),
    }
    frame = pd.DataFrame(
        [
            (mac, pj, mac * pj / 1e3, (report.total_mac[t - 1] * cost.mac + report.total_ac[t - 1] * cost.ac) / 1e3)
            for mac, pj, cost in rows.values()
        ],
        columns=["MAC", "pJ/MAC", "energy (nJ)", "SNN (nJ)"],
        index=pd.Index(list(rows), name="baseline"),
    )
    ratio = _ratio(frame["energy (nJ)"].to_numpy(), frame["SNN (nJ)"].to_numpy())
    frame["ANN/SNN"] = ratio if report.complete else np.nan
    return _captioned(frame, _caption(report, t))


def beside_anns(report: EnergyReport, timestep: int | None = None) -> pd.DataFrame:
    """The same spikes under each convention, beside dense ANNs of the same shapes in the same arithmetic.

    Returns:
        The rows of :func:`convention_table`, one for the convention of the report if it is another, what
        :func:`rate_estimate` makes of it, and the rows of :func:`baselines` but for the quantised ANN; columns ``MAC``,
        ``AC``, ``energy (nJ)``, ``of the ANN (%)`` (of the energy of the one without padding; NaN where not all was
        counted) and ``headline``, a flag.
    """
    t = _at(report.counts, timestep)
    table = convention_table(report.counts, report.cost, t)
    headline = replace(report.convention, norm="fold").label  # batch norm is not in the headline
    table.loc[headline] = [report.total_mac[t - 1], report.total_ac[t - 1], report.total_pj[t - 1] / 1e3]
    anns = baselines(report, t).iloc[:-1].assign(AC=0.0)
    papers = rate_estimate(report, t)
    if papers is not None:
        table.loc[_ESTIMATE] = papers
    whole: pd.DataFrame = pd.concat([table, anns[table.columns]]).rename_axis("convention, first layer")
    energy = whole["energy (nJ)"].to_numpy()
    share = 100 * _ratio(energy, np.full(len(energy), energy[-1]))
    whole["of the ANN (%)"] = share if report.complete else np.nan
    return _captioned(whole.assign(headline=whole.index == headline), str(table.attrs["caption"]))


def rate_estimate(report: EnergyReport, timestep: int | None = None) -> list[float] | None:
    """What papers estimate in place of counts: firing rate x FLOPs x T.

    Each step of a layer costs dense MACs x the part of its input that is not 0, as ACs, where the convention makes ACs
    of it; where it makes MACs, all of its dense MACs. It takes padding for inputs, and every input to reach as many
    outputs.

    Returns:
        MACs, ACs and energy in nJ, per sample, summed over steps 1..T; None where the file does not hold the rates.
    """
    counts, t = report.counts, _at(report.counts, timestep)
    if counts.active_inputs is None or counts.input_elements is None:
        return None
    rate = np.nan_to_num(_ratio(counts.active_inputs, counts.input_elements))
    spiking = (report.mac.sum(1) == 0)[:, None]
    masks = [[counts.modules[row] == "mul" and report.convention.products == "sdsa"] for row in counts.layer]
    ac = _until(np.where(spiking & ~np.array(masks, dtype=bool).reshape(-1, 1), rate * counts.dense_mac, 0), t).sum()
    mac = _until(np.where(spiking, 0, counts.dense_mac), t).sum()
    ac, mac = ac / report.runs, mac / report.runs
    return [mac, ac, (mac * report.cost.mac + ac * report.cost.ac) / 1e3]


def _heading(cost: CostModel, timestep: int | None = None, what: str = "synaptic operations only") -> str:
    until = "T" if timestep is None else f"T = {timestep}"
    heading = f"Per sample, summed over steps 1..{until}; {cost.constants()}, {what}"
    return heading if cost.memory is None else f"{heading}; memory {cost.memory.name}"


def _caption(report: EnergyReport, timestep: int | None = None, what: str = "synaptic operations only") -> str:
    return "; ".join([_heading(report.cost, timestep, what), f"convention {report.convention.label}", *report.notes])


def _captioned(frame: pd.DataFrame, caption: str) -> pd.DataFrame:
    frame.attrs["caption"] = caption
    return frame


def _at(counts: OperationCounts, timestep: int | None) -> int:
    t = default_timestep(counts) if timestep is None else timestep
    if t not in counts.timestep:
        raise ResultError(f"T = {t}: the counts hold T = 1 to {counts.timestep[-1]}")
    return t


def _until(column: IntArray | FloatArray, timestep: int) -> IntArray:
    return np.asarray(column[:, :timestep].sum(1))


def _with_total(column: IntArray) -> IntArray:
    return np.append(column, column.sum())


def _ratio(part: IntArray | FloatArray, whole: IntArray | FloatArray) -> FloatArray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)
