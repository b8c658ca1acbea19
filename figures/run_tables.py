"""Tables over trained networks: Tables 1, 2 and 4 of the TET paper, and one's own rows of Table 3."""

import math
from collections.abc import Sequence

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.labels import data_context
from tetviz.figures.step_table import TABLE_CAPTION, step_accuracy_table
from tetviz.figures.tables import Table
from tetviz.results import ScalingCurve
from tetviz.summaries import wilson
from tetviz.summaries.runs import Run, mean_and_deviation, runs_of

# Data set, architecture, T and k; then the loss.
Cells = dict[tuple[str, str, int, float], dict[str, list[Run]]]

_LOSSES = ("sdt", "tet", "total")
_CELLS = (
    "accuracy at the training T in %, mean ± sample standard deviation over n networks; of a single network with the "
    "95 % Wilson interval over samples"
)


def loss_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks by the loss that they were trained with: Table 1 of the TET paper.

    Args:
        curves: one for each network.

    Returns:
        A row for each data set, architecture and T, a column for each loss, and what the last adds to L_SDT.
    """
    cells = _grouped(curves)
    losses = _losses(cells)
    shown: dict[str, list[str]] = {_head(loss): [] for loss in losses}
    gains: list[str] = []
    compare = "sdt" in losses and len(losses) > 1
    for by_loss in cells.values():
        for loss in losses:
            shown[_head(loss)].append(_cell(by_loss.get(loss, [])))
        if compare:
            gains.append(_gain(by_loss, losses[-1]))
    if compare:
        shown[f"{losses[-1].upper()} minus SDT (points)"] = gains
    rows = pd.Index([_row_name(*key) for key in cells], name="data, network, T")
    caption = _caption(f"Networks trained with {_listed(losses)} (TET paper, Table 1): {_CELLS}", curves, cells)
    return Table(_long(cells), caption, pd.DataFrame(shown, index=rows), "losses")


def own_rows(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks, a row for each setting: one's own rows of Table 3 of the TET paper.

    Args:
        curves: one for each network.

    Returns:
        Data set, method, architecture, T and accuracy.
    """
    cells = _grouped(curves)
    rows = [
        {"method": loss.upper(), "network": key[1], "T": key[2], "accuracy (%)": _cell(runs), "n": len(runs)}
        for key, by_loss in cells.items()
        for loss, runs in by_loss.items()
    ]
    names = [key[0] for key, by_loss in cells.items() for _ in by_loss]
    caption = _caption(f"Trained networks (own rows of a table as the TET paper's Table 3): {_CELLS}", curves, cells)
    return Table(_long(cells), caption, pd.DataFrame(rows, index=pd.Index(names, name="data")), "own")


def smooth_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks of smooth neurons, sigmoid(k (u - V_th)), and of spiking ones: Table 2 of the TET paper.

    Args:
        curves: one for each network, some of them smooth.

    Returns:
        A row for each k, a column for each loss.

    Raises:
        ResultError: no network is smooth.
    """
    cells = _grouped(curves)
    if all(math.isinf(key[3]) for key in cells):
        raise ResultError(
            "no network has smooth neurons; train some with tetviz ablation, or tetviz train --surrogate sigmoid --k K"
        )
    one = len({key[:3] for key in cells}) == 1
    losses = _losses(cells)
    shown = {_head(loss): [_cell(by_loss.get(loss, [])) for by_loss in cells.values()] for loss in losses}
    names = [_neurons(key[3]) if one else _row_name(*key) for key in cells]
    caption = _caption(
        f"Smooth neurons, sigmoid(k (u - V_th)), and spiking ones (TET paper, Table 2): {_CELLS}", curves, cells
    )
    return Table(_long(cells), caption, pd.DataFrame(shown, index=pd.Index(names, name="neurons")), "smooth")


def step_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of each step alone and its variance over time: Table 4 of the TET paper.

    Args:
        curves: one for each network.

    Returns:
        The table of :func:`tetviz.figures.step_accuracy_table`.
    """
    frame = step_accuracy_table(curves)
    heads = {name: f"{name} (%^2)" if name.startswith("var") else name for name in map(str, frame.columns)}
    shown = frame.rename(columns={**heads, "T_train": "trained at T"})
    contexts = [data_context(curve) for curve in curves]
    return Table(frame, compose_caption(TABLE_CAPTION, curves, contexts), shown, "steps")


def _grouped(curves: Sequence[ScalingCurve]) -> Cells:
    # NaN is not equal to itself, so spiking networks have k = infinity here: they are the limit of smooth ones.
    if not curves:
        raise ResultError("no scaling curve for a table")
    cells: Cells = {}
    for run in runs_of(curves):
        k = math.inf if math.isnan(run.k) else run.k
        cells.setdefault((run.dataset, run.network, run.t_train, k), {}).setdefault(run.loss, []).append(run)
    return dict(sorted(cells.items()))


def _losses(cells: Cells) -> list[str]:
    found = {loss for by_loss in cells.values() for loss in by_loss}
    return [loss for loss in _LOSSES if loss in found] + sorted(found - set(_LOSSES))


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return "-"
    mean, deviation = mean_and_deviation(100 * run.accuracy for run in runs)
    if len(runs) > 1:
        return f"{mean:.2f} ± {deviation:.2f} (n = {len(runs)})"
    low, high = wilson([runs[0].accuracy], [runs[0].samples])
    return f"{mean:.2f} [{100 * low[0]:.2f}, {100 * high[0]:.2f}]"


def _gain(by_loss: dict[str, list[Run]], loss: str) -> str:
    if not by_loss.get("sdt") or not by_loss.get(loss):
        return "-"
    first, second = (mean_and_deviation(100 * run.accuracy for run in by_loss[name])[0] for name in ("sdt", loss))
    return f"{second - first:+.2f}"


def _long(cells: Cells) -> pd.DataFrame:
    rows = []
    for (dataset, network, t_train, k), by_loss in cells.items():
        for loss, runs in by_loss.items():
            mean, deviation = mean_and_deviation(100 * run.accuracy for run in runs)
            low, high = wilson([run.accuracy for run in runs], [run.samples for run in runs])
            rows.append(
                {
                    "dataset": dataset,
                    "network": network,
                    "T": t_train,
                    "k": k if math.isfinite(k) else math.nan,
                    "loss": loss,
                    "networks": len(runs),
                    "mean accuracy (%)": mean,
                    "standard deviation (points)": deviation,
                    "accuracies (%)": " ".join(f"{100 * run.accuracy!r}" for run in runs),
                    "wilson low (%)": " ".join(repr(100 * float(end)) for end in low),
                    "wilson high (%)": " ".join(repr(100 * float(end)) for end in high),
                    "seeds": " ".join(str(run.seed) for run in runs),
                    "samples": " ".join(str(run.samples) for run in runs),
                    "names": "; ".join(run.name for run in runs),
                }
            )
    return pd.DataFrame(rows).set_index("dataset")


def _caption(what: str, curves: Sequence[ScalingCurve], cells: Cells) -> str:
    unlike = [
        runs[0].loss.upper()
        for by_loss in cells.values()
        for runs in by_loss.values()
        if len({(run.settings, run.lamb if run.lamb == run.lamb else None) for run in runs}) > 1
    ]
    note = "Networks of one cell differ in more than their seed" if unlike else ""
    return compose_caption(what, curves, [data_context(curve) for curve in curves], note)


def _head(loss: str) -> str:
    return f"{loss.upper().replace('>', ', then ')} (%)"


def _listed(losses: Sequence[str]) -> str:
    return " and ".join(f"L_{loss.upper()}" for loss in losses)


def _neurons(k: float) -> str:
    return f"k = {k:g}" if math.isfinite(k) else "spikes"


def _row_name(dataset: str, network: str, t_train: int, k: float) -> str:
    words = [dataset, network, f"T = {t_train}", _neurons(k) if math.isfinite(k) else ""]
    return ", ".join(word for word in words if word)
