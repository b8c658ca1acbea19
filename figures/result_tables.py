"""Tables of results of each kind: what the commands print, with intervals, for papers and spreadsheets."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tetviz.figures.captions import compose_caption, sample_words
from tetviz.figures.energy import Pricing, priced
from tetviz.figures.labels import data_context, isometry_context, lines_context, network_names
from tetviz.figures.tables import Table
from tetviz.results import (
    BlockIsometry,
    Lines,
    OperationCounts,
    ScalingCurve,
    TrainingHistory,
    TrainingOperations,
    default_timestep,
)
from tetviz.results.schema import FloatArray
from tetviz.summaries import (
    EnergyReport,
    baselines,
    convention_table,
    densities,
    energy_table,
    layer_table,
    sharpness_table,
    training_table,
    wilson,
)
from tetviz.summaries.isometry import isometry_table
from tetviz.summaries.scaling import table_timesteps

# Of the numbers of sharpness that are no loss; r is a coordinate.
_UNITS = {"curvature": "nat per unit of r squared", "width": "unit of r", "roughness": ""}


def scale_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy, its growth and both losses of networks at every T.

    Args:
        curves: one for each network.

    Returns:
        A row for each network and T; for people the powers of two and the training T alone.
    """
    frames, shown = [], []
    for name, curve in zip(network_names(curves), curves, strict=True):
        columns: dict[str, FloatArray] = {}
        for head, values in (("accuracy", curve.accuracy), ("step accuracy", curve.step_accuracy)):
            low, high = wilson(values, len(curve.sample))
            columns |= {f"{head} (%)": 100 * values, f"{head} low (%)": 100 * low, f"{head} high (%)": 100 * high}
        columns |= {"growth (%)": 100 * curve.relative_growth, "L_SDT (nat)": curve.sdt_loss}
        columns |= {"L_TET (nat)": curve.tet_loss, "step loss (nat)": curve.step_loss}
        frame = _of_network(name, pd.DataFrame(columns, index=pd.Index(curve.timestep, name="T")).reset_index())
        frame.insert(2, "samples", len(curve.sample))
        frames.append(frame)
        rows = frame.iloc[[t - 1 for t in table_timesteps(curve)]]
        text = pd.DataFrame({"T": rows["T"]}, index=rows.index)
        for head in ("accuracy", "step accuracy"):
            text[f"{head} (%)"] = _intervals(rows, f"{head} (%)", f"{head} low (%)", f"{head} high (%)", "{:.2f}")
        text["growth (%)"] = [_signed(value) for value in rows["growth (%)"]]
        for head in ("L_SDT (nat)", "L_TET (nat)"):
            text[head] = [f"{value:.4f}" for value in rows[head]]
        shown.append(text)
    caption = compose_caption(
        "Accuracy at T timesteps, that of step T alone, growth over the training T, and losses",
        curves,
        [data_context(curve) for curve in curves],
        "In brackets 95 % Wilson intervals over samples",
        sample_words(curves),
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "scale")


def accuracy_energy_table(counts: Sequence[OperationCounts], pricing: Pricing | None = None) -> Table:
    """Energy and accuracy of networks at every T.

    Args:
        counts: one for each network.
        pricing: as in :func:`tetviz.figures.draw_energy`.

    Returns:
        A row for each network and T.
    """
    reports = priced(counts, pricing)
    frames, shown = [], []
    for name, report in zip(network_names(counts), reports, strict=True):
        frame = _of_network(name, energy_table(report).reset_index())
        low, high = wilson(report.counts.accuracy, report.samples)
        frame.insert(2, "accuracy low (%)", 100 * low)
        frame.insert(3, "accuracy high (%)", 100 * high)
        frame.insert(1, "samples", report.samples)
        frames.append(frame)
        text = _rounded(frame.drop(columns=["samples", "accuracy low (%)", "accuracy high (%)"]))
        text["accuracy (%)"] = _intervals(frame, "accuracy (%)", "accuracy low (%)", "accuracy high (%)", "{:.2f}")
        shown.append(text)
    caption = _energy_caption(
        "Energy of a sample and accuracy at every T, summed over steps 1..T", reports, every=False
    )
    return Table(
        pd.concat(frames), f"{caption} In brackets 95 % Wilson intervals over samples.", pd.concat(shown), "energy"
    )


def energy_layers_table(
    counts: Sequence[OperationCounts], timestep: int | None = None, pricing: Pricing | None = None
) -> Table:
    """Operations and energy of every layer of networks.

    Args:
        counts: one for each network.
        timestep: T; by default that of training.
        pricing: as in :func:`tetviz.figures.draw_energy`.

    Returns:
        A row for each network and layer, and one for the total of each.
    """
    return _by_report(
        counts, pricing, "Operations and energy of a sample by layer", "layers", lambda r: layer_table(r, timestep)
    )


def energy_conventions_table(
    counts: Sequence[OperationCounts], timestep: int | None = None, pricing: Pricing | None = None
) -> Table:
    """The same spikes of networks under each convention.

    Args:
        counts: one for each network.
        timestep: T; by default that of training.
        pricing: as in :func:`tetviz.figures.draw_energy`.

    Returns:
        A row for each network and convention, and for dense ANNs of the same shapes, with energies in % of the ANN
        that counts no padding.
    """
    return _by_report(
        counts,
        pricing,
        "Operations and energy of a sample under each convention, beside dense ANNs of the same shapes",
        "conventions",
        lambda r: _beside_anns(r, timestep),
    )


def flatness_table(results: Sequence[Lines], timestep: int | None = None) -> Table:
    """Sharpness of networks, each number with its interval over planes.

    Args:
        results: sharpnesses or lines along random directions, one for each network.
        timestep: number of timesteps; by default the training T of the first.

    Returns:
        A row for each network, loss and quantity.
    """
    t = default_timestep(results[0]) if timestep is None else timestep
    frames, shown = [], []
    for name, lines in zip(network_names(results), results, strict=True):
        by_loss = {}
        for loss in ("sdt", "tet"):
            frame = sharpness_table([lines], loss, t).droplevel(0, axis=1)
            by_loss[f"L_{loss.upper()}"] = _intervals(frame, "mean", "low", "high", "{:.4g}")
            rows = frame.rename_axis("quantity").reset_index()
            rows.insert(0, "loss", loss)
            rows["planes"] = len(lines.line) // 2
            frames.append(_of_network(name, rows))
            quantities = [_with_unit(str(quantity)) for quantity in frame.index]
        text = pd.DataFrame({"quantity": quantities, **by_loss})
        shown.append(_of_network(name, text[~(text[list(by_loss)] == "-").all(axis=1)]))
    caption = compose_caption(
        f"Sharpness at T = {t}, mean over planes",
        results,
        [f"{lines_context(lines)}; {len(lines.line) // 2} planes" for lines in results],
        "In brackets 95 % bootstrap intervals over planes",
        sample_words(results),
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "sharpness")


def training_cost_table(results: Sequence[TrainingOperations]) -> Table:
    """Energy of training networks by layer and phase, and the shares that are not 0.

    Args:
        results: one for each network.

    Returns:
        A row for each network and layer, and one for the total of each.
    """
    frames = []
    for name, result in zip(network_names(results), results, strict=True):
        energies = (training_table(result) / 1e3).add_suffix(" (nJ)")
        frame = energies.join((100 * densities(result)).add_suffix(" (%)")).reset_index(names="layer")
        frames.append(_of_network(name, frame.assign(samples=len(result.sample))))
    contexts = [
        f"L_{r.loss.upper()}; T = {r.timestep[-1]}; {data_context(r)}; BN {r.bn}; {r.cost} ({r.mac_pj:g} pJ a MAC, "
        f"{r.ac_pj:g} pJ an AC)"
        for r in results
    ]
    missing = [sentence for result in results for sentence in result.listed("not_counted")]
    caption = compose_caption(
        "Energy of training on a sample, by layer: forward (FP), input gradient (BP), weight gradient (WU), their sum "
        "(effective), with one-sided sparsity and dense; shares of elements (d_in, d_err, d_need) and pairs that are "
        "not 0",
        results,
        contexts,
        f"Incomplete: {'; '.join(dict.fromkeys(missing))}" if missing else "",
    )
    whole = pd.concat(frames)
    return Table(whole, caption, _rounded(whole.drop(columns="samples")), "training")


def history_table(histories: Sequence[TrainingHistory]) -> Table:
    """Losses and accuracy of training runs after every epoch.

    Args:
        histories: one for each run.

    Returns:
        A row for each run and epoch; for people the first, the chosen, the last, and those around a change.
    """
    frames, shown = [], []
    for name, history in zip(network_names(histories), histories, strict=True):
        frame = history.to_frame().drop(columns=["loss_index", "stage"]).reset_index()
        frame = frame.rename(columns=str)
        shares = [column for column in frame.columns if column.endswith("accuracy")]
        for column in shares:
            frame[column] *= 100
        heads = {c: f"{c} (%)" if c in shares else f"{c} (nat)" for c in frame.columns if "_loss" in c or c in shares}
        frame = _of_network(name, frame.rename(columns={**heads, "timesteps": "T", "loss": "trained on"}))
        frame.insert(2, "chosen", history.epoch == history.best_epoch)
        frames.append(frame)
        ends = [*history.ends("stage"), *history.ends("loss_index")]
        kept = {1, history.best_epoch, int(history.epoch[-1]), *ends, *(end + 1 for end in ends)}
        rows = frame[frame["epoch"].isin(kept)]
        epochs = [f"{e} (chosen)" if c else str(e) for e, c in zip(rows["epoch"], rows["chosen"], strict=True)]
        text = {
            "epoch": epochs,
            "T": rows["T"].tolist(),
            "trained on": [f"L_{loss.upper()}" for loss in rows["trained on"]],
            "training loss (nat)": _fixed(rows["train_loss (nat)"], 4),
            "held out (%)": _fixed(rows["val_accuracy (%)"], 2),
            "test (%)": _fixed(rows["test_accuracy (%)"], 2),
            "L_SDT (nat)": _fixed(rows["test_sdt_loss (nat)"], 4),
            "L_TET (nat)": _fixed(rows["test_tet_loss (nat)"], 4),
        }
        shown.append(_of_network(name, pd.DataFrame(text)))
    caption = compose_caption(
        "Training by epoch: the loss trained on, accuracy on held-out samples and on the test split, and both losses "
        "on the test split, which chooses nothing",
        histories,
        [f"{history.provenance.dataset} test split".strip() for history in histories],
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "history")


def block_table(results: Sequence[BlockIsometry]) -> Table:
    """Block dynamical isometry of networks, block by block.

    Args:
        results: one for each network.

    Returns:
        A row for each network and block.
    """
    frames, shown = [], []
    for name, result in zip(network_names(results), results, strict=True):
        frame = _of_network(name, isometry_table(result).reset_index())
        frame["samples"], frame["probes"] = len(result.sample), result.probes
        frames.append(frame)
        text = {
            "block": frame["block"].tolist(),
            "type": frame["type"].tolist(),
            "phi (1 s.e.)": [f"{p:.4g} ({se:.1g})" for p, se in zip(frame["phi"], frame["se"], strict=True)],
            **{column: [_short(value) for value in frame[column]] for column in ("closed form", "product", "growth")},
            "gradient (nat)": [_short(value) for value in frame["gradient"]],
            "bypass": [_short(value) for value in frame["bypass"]],
        }
        shown.append(_of_network(name, pd.DataFrame(text)))
    contexts = [isometry_context(result) for result in results]
    caption = compose_caption(
        "Block dynamical isometry: phi(JJ^T) within a step, its closed form, the product of phi over a block and all "
        "behind it beside the growth of the squared gradient, the gradient at the block's input, and the share of it "
        "that bypasses the block",
        results,
        contexts,
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "isometry")


def _by_report(
    counts: Sequence[OperationCounts],
    pricing: Pricing | None,
    what: str,
    label: str,
    of: Callable[[EnergyReport], pd.DataFrame],
) -> Table:
    reports = priced(counts, pricing)
    frames = [
        _of_network(name, of(report).reset_index()).assign(samples=report.samples)
        for name, report in zip(network_names(counts), reports, strict=True)
    ]
    whole = pd.concat(frames)
    # The caption of each table says the steps that are summed, and what holds for the other conventions.
    notes = dict.fromkeys(f"{of(report).attrs['caption']}." for report in reports)
    told = _energy_caption(what, reports, every=label == "conventions")
    return Table(whole, f"{told} {' '.join(notes)}", _rounded(whole.drop(columns="samples")), label)


def _beside_anns(report: EnergyReport, timestep: int | None) -> pd.DataFrame:
    table = convention_table(report.counts, report.cost, timestep)
    anns = baselines(report, timestep).iloc[:-1].assign(AC=0.0)  # the last is in another arithmetic
    whole: pd.DataFrame = pd.concat([table, anns[table.columns]])
    whole.index.name = table.index.name
    whole["of the ANN (%)"] = 100 * whole["energy (nJ)"] / anns["energy (nJ)"].iloc[-1]
    whole.attrs = table.attrs
    return whole


def _energy_caption(what: str, reports: Sequence[EnergyReport], *, every: bool = False) -> str:
    contexts = []
    for r in reports:
        own = [] if every else [f"convention {r.convention.label}"]  # all of them are rows
        contexts.append("; ".join([*own, r.cost.constants(), data_context(r.counts), *([] if every else r.notes)]))
    counts = [report.counts for report in reports]
    return compose_caption(what, counts, contexts, "Synaptic operations, by exact counts", sample_words(counts))


def _of_network(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.set_axis(pd.Index([name] * len(frame), name="network"))


def _intervals(frame: pd.DataFrame, mean: str, low: str, high: str, form: str) -> list[str]:
    cells = []
    for value, bottom, top in zip(frame[mean], frame[low], frame[high], strict=True):
        bracket = f" [{form.format(bottom)}, {form.format(top)}]" if np.isfinite([bottom, top]).all() else ""
        cells.append("-" if np.isnan(value) else form.format(value) + bracket)
    return cells


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    texts = {}
    for column in frame.columns:
        values = frame[column]
        texts[column] = [_short(value) for value in values] if values.dtype.kind == "f" else values.tolist()
    return pd.DataFrame(texts, index=frame.index)


def _with_unit(quantity: str) -> str:
    unit = next((unit for start, unit in _UNITS.items() if quantity.startswith(start)), "nat")
    return f"{quantity} ({unit})" if unit else quantity


def _fixed(values: "pd.Series[float]", decimals: int) -> list[str]:
    return ["-" if np.isnan(value) else f"{value:.{decimals}f}" for value in values]


def _short(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def _signed(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:+.2f}"
