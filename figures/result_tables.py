"""Tables of results of each kind: what the commands print, with intervals, for papers and spreadsheets."""

import math
from collections.abc import Sequence

import pandas as pd

from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import digits, intervals, network_rows, number
from tetviz.figures.table import Table
from tetviz.results import BlockIsometry, ScalingCurve, TrainingHistory
from tetviz.results.schema import FloatArray
from tetviz.summaries import wilson
from tetviz.summaries.isometry import isometry_table
from tetviz.summaries.names import (
    data_context,
    history_context,
    isometry_context,
    network_names,
)
from tetviz.summaries.scaling import table_timesteps


def scale_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy, its growth and both losses of networks at every T."""
    frames, shown = [], []
    for name, curve in zip(network_names(curves), curves, strict=True):
        columns: dict[str, FloatArray] = {}
        for head, values in (("accuracy", curve.accuracy), ("step accuracy", curve.step_accuracy)):
            low, high = wilson(values, len(curve.sample))
            columns |= {f"{head} (%)": 100 * values, f"{head} low (%)": 100 * low, f"{head} high (%)": 100 * high}
        columns |= {"growth (%)": 100 * curve.relative_growth, "L_SDT (nat)": curve.sdt_loss}
        columns |= {"L_TET (nat)": curve.tet_loss, "step loss (nat)": curve.step_loss}
        frame = network_rows(name, pd.DataFrame(columns, index=pd.Index(curve.timestep, name="T")).reset_index())
        frame.insert(2, "samples", len(curve.sample))
        frames.append(frame)
        rows = frame.iloc[[t - 1 for t in table_timesteps(curve)]]
        text = pd.DataFrame({"T": rows["T"]}, index=rows.index)
        for head in ("accuracy", "step accuracy"):
            text[f"{head} (%)"] = intervals(rows, f"{head} (%)", f"{head} low (%)", f"{head} high (%)", ".2f")
        text["growth (%)"] = _numbers(rows["growth (%)"], "+.2f")
        for head in ("L_SDT (nat)", "L_TET (nat)"):
            text[head] = _numbers(rows[head], ".4f")
        shown.append(text)
    caption = compose_caption(
        "Accuracy at T timesteps, that of step T alone, growth over the training T, and losses",
        curves,
        [data_context(curve) for curve in curves],
        "In brackets 95 % Wilson intervals over samples",
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "scale")


def history_table(histories: Sequence[TrainingHistory]) -> Table:
    """Losses and accuracy of training runs after every epoch."""
    frames, shown = [], []
    for name, history in zip(network_names(histories), histories, strict=True):
        frame = history.to_frame().drop(columns=["loss_index", "stage"]).reset_index()
        frame = frame.rename(columns=str)
        shares = [column for column in frame.columns if column.endswith("accuracy")]
        for column in shares:
            frame[column] *= 100
        heads = {c: f"{c} (%)" if c in shares else f"{c} (nat)" for c in frame.columns if "_loss" in c or c in shares}
        frame = network_rows(name, frame.rename(columns={**heads, "timesteps": "T", "loss": "trained on"}))
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
            "training loss (nat)": _numbers(rows["train_loss (nat)"], ".4f"),
            "held out (%)": _numbers(rows["val_accuracy (%)"], ".2f"),
            "test (%)": _numbers(rows["test_accuracy (%)"], ".2f"),
            "L_SDT (nat)": _numbers(rows["test_sdt_loss (nat)"], ".4f"),
            "L_TET (nat)": _numbers(rows["test_tet_loss (nat)"], ".4f"),
        }
        shown.append(network_rows(name, pd.DataFrame(text)))
    caption = compose_caption(
        "Training by epoch: the loss trained on, accuracy on held-out samples and on the test split, and both losses "
        "on the test split, which chooses nothing",
        histories,
        list(map(history_context, histories)),
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "history")


def block_table(results: Sequence[BlockIsometry]) -> Table:
    """Block dynamical isometry of networks, block by block."""
    frames, shown = [], []
    for name, result in zip(network_names(results), results, strict=True):
        frame = network_rows(name, isometry_table(result).reset_index())
        frame["samples"], frame["probes"] = len(result.sample), result.probes
        frames.append(frame)
        text = {
            "block": frame["block"].tolist(),
            "type": frame["type"].tolist(),
            "phi (1 s.e.)": [_with_error(*row) for row in zip(frame["phi"], frame["se"], strict=True)],
            "closed form": _digits(frame["closed form"]),
            "product": _digits(frame["product"]),
            "growth": _digits(frame["growth"]),
            "gradient (nat)": _digits(frame["gradient"]),
            "bypass": _digits(frame["bypass"]),
        }
        shown.append(network_rows(name, pd.DataFrame(text)))
    contexts = [isometry_context(result) for result in results]
    caption = compose_caption(
        "Block dynamical isometry: phi(JJ^T) within a step, its closed form, the product of phi over a block and all "
        "behind it beside the growth of the squared gradient, the gradient at the block's input, and the share of it "
        "that bypasses the block",
        results,
        contexts,
    )
    return Table(pd.concat(frames), caption, pd.concat(shown), "isometry")


def _numbers(values: "pd.Series[float]", form: str) -> list[str]:
    return [number(value, form) for value in values]


def _digits(values: "pd.Series[float]") -> list[str]:
    return [digits(value) for value in values]


def _with_error(phi: float, error: float) -> str:
    return digits(phi) + f" ({error:.1g})" * (math.isfinite(phi) and math.isfinite(error))
