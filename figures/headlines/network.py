"""The first numbers of results about a network itself: time, energy, gradients and training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from tetviz.figures.formatting import number, percent
from tetviz.figures.headlines.parts import Headline, first, position, text_table
from tetviz.figures.plots.style import energy_unit
from tetviz.results import BlockIsometry, OperationCounts, Result, ScalingCurve, TrainingHistory, TrainingOperations
from tetviz.results.schema import FloatArray
from tetviz.summaries import convention_table, run_energy, training_table, wilson
from tetviz.summaries.isometry import closed_form_error, gradient_growth
from tetviz.summaries.names import counted, data_context
from tetviz.summaries.scaling import table_timesteps


def _of_scaling(curve: ScalingCurve) -> Headline:
    low, high = wilson(curve.accuracy, len(curve.sample))
    rows = {}
    for t in table_timesteps(curve):
        i = t - 1
        rows[f"{t} (trained)" if t == curve.t_train else str(t)] = {
            "accuracy": f"{percent(curve.accuracy[i])} [{100 * low[i]:.2f}, {100 * high[i]:.2f}]",
            "L_SDT": number(curve.sdt_loss[i]),
            "L_TET": number(curve.tet_loss[i]),
        }
    variance = 1e4 * curve.temporal_variance
    beyond = (
        [f"variance of the step accuracy over t > {curve.t_train}: {variance:.4g} %²"] if np.isfinite(variance) else []
    )
    notes = ("[95 % Wilson interval over samples]; losses in nat", *beyond)
    return Headline(
        f"Time scalability up to T = {curve.timestep[-1]}", data_context(curve), text_table(rows, "T"), notes
    )


def _of_counts(counts: OperationCounts) -> Headline:
    frame = convention_table(counts)
    macs, acs, energies = frame.to_numpy().T
    scale, unit = energy_unit(1e3 * energies.max())
    columns = {
        "MAC": [f"{value:,.0f}" for value in macs],
        "AC": [f"{value:,.0f}" for value in acs],
        f"energy ({unit})": [number(1e3 * value / scale) for value in energies],
    }
    context = f"{data_context(counts)}; {frame.attrs['caption']}"
    return Headline(
        f"Operations of a run up to T = {counts.timestep[-1]}, and their energy",
        context,
        pd.DataFrame(columns, index=frame.index),
        tuple(f"incomplete: {sentence}" for sentence in counts.not_counted),
    )


def _of_training(result: TrainingOperations) -> Headline:
    table = training_table(result)
    totals = table.to_numpy()[-1]
    scale, unit = energy_unit(totals.max())
    row = dict(zip(table.columns, map(number, totals / scale), strict=True))
    frame = text_table({f"energy of a sample ({unit})": row}, "sum over layers")
    whole = run_energy(result)
    notes = [f"incomplete: {sentence}" for sentence in result.not_counted]
    if np.isfinite(whole):
        notes.append(f"the recorded run: {whole:.4g} J, if every epoch and step costs what these do")
    bn = {"frozen": "batch norm a constant map", "batch": "batch norm by the statistics of each batch"}
    context = (
        data_context(result),
        f"L_{result.loss.upper()}",
        bn.get(result.bn, result.bn),
        f"{result.cost} ({result.mac_pj:g} pJ a MAC, {result.ac_pj:g} pJ an AC)",
    )
    steps = len(result.timestep)
    return Headline(f"What training computes at T = {steps}", "; ".join(filter(None, context)), frame, tuple(notes))


def _of_isometry(result: BlockIsometry) -> Headline:
    rows = {
        name: dict(zip(("mean", "smallest", "largest"), map(number, ends), strict=True))
        for name, ends in {
            "phi within a step": _spread(result.step_phi),
            "phi of the run": _spread(result.run_phi),
        }.items()
    }
    growth, error = first(gradient_growth(result)), closed_form_error(result)
    notes = [f"the squared gradient grows {number(growth)} times from the last output to the first input"]
    notes += [f"closed form off by {100 * error:.2g} % on average"] if np.isfinite(error) else []
    notes += [f"not measured: {sentence}" for sentence in result.not_measured]
    bn = {"frozen": "BN statistics frozen", "batch": "BN statistics of each batch"}.get(result.bn, result.bn)
    context = f"{data_context(result)}; L_{result.loss.upper()}; {bn}; {counted(result.probes, 'probe')}"
    table = text_table(rows, f"T = {len(result.timestep)}")
    return Headline(f"Block isometry, {counted(len(result.block), 'block')}", context, table, tuple(notes))


def _of_history(history: TrainingHistory) -> Headline:
    shown = {"last": len(history.epoch) - 1}
    if history.best_epoch == history.epoch[-1]:
        shown = {"chosen and last": len(history.epoch) - 1}
    elif history.best_epoch in history.epoch:
        shown = {"chosen": position(history.epoch, history.best_epoch), **shown}
    rows = {
        f"{what}, {history.epoch[i]}": {
            "T": str(history.timesteps[i]),
            "held-out accuracy": percent(history.val_accuracy[i]),
            "test accuracy": percent(history.test_accuracy[i]),
            "test L_SDT": number(history.test_sdt_loss[i]),
            "test L_TET": number(history.test_tet_loss[i]),
        }
        for what, i in shown.items()
    }
    origin = history.provenance
    switch = f"switch {history.switch}" if history.switch else ""
    context = (origin.dataset, f"trained on {', '.join(dict.fromkeys(history.trained_on()))}", switch)
    stopped = history.planned_epochs > len(history.epoch)
    planned = f", {history.planned_epochs:,} were planned" if stopped else ""
    title = f"Training history, {counted(len(history.epoch), 'epoch')}{planned}"
    notes = ("losses in nat, of the test split, which chooses nothing",)
    return Headline(title, "; ".join(filter(None, context)), text_table(rows, "epoch"), notes)


def _spread(values: FloatArray) -> tuple[float, float, float]:
    known = values[np.isfinite(values)]
    return (known.mean(), known.min(), known.max()) if known.size else (np.nan, np.nan, np.nan)


MADE: dict[type[Result], Callable[[Any], Headline]] = {
    ScalingCurve: _of_scaling,
    OperationCounts: _of_counts,
    TrainingOperations: _of_training,
    BlockIsometry: _of_isometry,
    TrainingHistory: _of_history,
}
