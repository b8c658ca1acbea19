"""Tables over trained networks: Tables 1 and 2 of the TET paper, and one's own rows of Table 3."""

import json
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import NO_NUMBER
from tetviz.figures.table import Table
from tetviz.results import ScalingCurve
from tetviz.summaries import wilson
from tetviz.summaries.names import data_context
from tetviz.summaries.runs import Run, mean_and_deviation, runs_of

Row = tuple[str, str, int, float]  # data set, architecture, T and k
Cells = dict[Row, dict[str, list[Run]]]  # then the method: runs that differ in nothing but their seed

_LOSSES = ("sdt", "tet", "total")
_TRANSFER = (
    "What the weights of smooth neurons do when the neurons spike is another measurement, of tetviz ablation, which "
    "writes it to ablation.csv, .md and .tex"
)


def loss_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks by the loss that they were trained with: Table 1 of the TET paper."""
    cells = _grouped(curves)
    rows, names = [], []
    for key, by_method in cells.items():
        for method, runs in by_method.items():
            gain = {"minus SDT (points)": _gain(by_method, method)} if "SDT" in _methods(cells) else {}
            rows.append({"trained with": method, "accuracy (%)": _cell(runs), **gain})
            names.append(_row_name(*key))
    caption = _caption("Networks by the loss trained with (TET paper, Table 1)", curves, cells)
    shown = pd.DataFrame(rows, index=pd.Index(names, name="data, network, T"))
    return Table(_long(cells), caption, shown, "losses")


def own_rows(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks, a row for each setting: one's own rows of Table 3 of the TET paper."""
    cells = _grouped(curves)
    rows = [
        {"method": method, "network": key[1], "T": key[2], "accuracy (%)": _cell(runs)}
        for key, by_method in cells.items()
        for method, runs in by_method.items()
    ]
    names = [key[0] for key, by_method in cells.items() for _ in by_method]
    caption = _caption("Trained networks (own rows of a table as the TET paper's Table 3)", curves, cells)
    return Table(_long(cells), caption, pd.DataFrame(rows, index=pd.Index(names, name="data")), "own")


def smooth_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of networks of smooth neurons, sigmoid(k (u - V_th)), and of spiking ones: Table 2 of the TET paper."""
    cells = _grouped(curves)
    if all(math.isinf(key[3]) for key in cells):
        raise ResultError(
            "no network has smooth neurons; train some with tetviz ablation, or tetviz train --surrogate sigmoid --k K"
        )
    one = len({key[:3] for key in cells}) == 1
    shown = {f"{method} (%)": [_cell(row.get(method, [])) for row in cells.values()] for method in _methods(cells)}
    names = [_neurons(key[3]) if one else _row_name(*key) for key in cells]
    what = "Smooth neurons, sigmoid(k (u - V_th)), and spiking ones (TET paper, Table 2)"
    caption = _caption(what, curves, cells, _TRANSFER)
    return Table(_long(cells), caption, pd.DataFrame(shown, index=pd.Index(names, name="neurons")), "smooth")


def _grouped(curves: Sequence[ScalingCurve]) -> Cells:
    if not curves:
        raise ResultError("no scaling curve for a table")
    runs = runs_of(curves)
    cells: Cells = {}
    for run in sorted(runs, key=_order):
        peers = [other for other in runs if (_row(other), _loss_words(other)) == (_row(run), _loss_words(run))]
        method = ", ".join([_loss_words(run), *unlike(run, peers)])
        cells.setdefault(_row(run), {}).setdefault(method, []).append(run)
    return dict(sorted(cells.items()))


def _row(run: Run) -> Row:
    # NaN is not equal to itself, so spiking networks have k = infinity here: they are the limit of smooth ones.
    return run.dataset, run.network, run.t_train, math.inf if math.isnan(run.k) else run.k


def _order(run: Run) -> tuple[int, str, float]:
    rank = _LOSSES.index(run.loss) if run.loss in _LOSSES else len(_LOSSES)
    return rank, run.loss, 0.0 if math.isnan(run.lamb) else run.lamb


def _loss_words(run: Run) -> str:
    loss = run.loss.upper().replace(">", ", then ")
    return f"{loss}, lambda {run.lamb:g}" if "total" in run.loss else loss


def unlike(run: Run, peers: Sequence[Run]) -> list[str]:
    """The settings of a run that are not those of all its peers, such as ``["lr 0.01"]``."""
    known, others = _settings(run), [_settings(peer) for peer in peers]
    return [_words(name, value) for name, value in known.items() if any(each.get(name) != value for each in others)]


def _words(name: str, value: object) -> str:
    if name == "switch":
        return f"switched after epoch {str(value).partition('@')[2]}"
    return f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}".strip()


def _settings(run: Run) -> dict[str, Any]:
    training, neurons = json.loads(run.settings)
    return {**training, **neurons}


def _methods(cells: Cells) -> list[str]:
    ordered = sorted((_order(runs[0]), method) for row in cells.values() for method, runs in row.items())
    return list(dict.fromkeys(method for _, method in ordered))


def _cell(runs: Sequence[Run]) -> str:
    if not runs:
        return NO_NUMBER
    mean, deviation = mean_and_deviation(100 * run.accuracy for run in runs)
    if len(runs) > 1:
        return f"{mean:.2f} ± {deviation:.2f} (n = {len(runs)})"
    low, high = wilson([runs[0].accuracy], [runs[0].samples])
    return f"{mean:.2f} [{100 * low[0]:.2f}, {100 * high[0]:.2f}]"


def _gain(by_method: dict[str, list[Run]], method: str) -> str:
    if "SDT" not in by_method or method == "SDT":
        return NO_NUMBER
    first, second = (mean_and_deviation(100 * run.accuracy for run in by_method[name])[0] for name in ("SDT", method))
    return f"{second - first:+.2f}"


def _long(cells: Cells) -> pd.DataFrame:
    rows = []
    for (dataset, network, t_train, k), by_method in cells.items():
        for method, runs in by_method.items():
            mean, deviation = mean_and_deviation(100 * run.accuracy for run in runs)
            low, high = wilson([run.accuracy for run in runs], [run.samples for run in runs])
            rows.append(
                {
                    "dataset": dataset,
                    "network": network,
                    "T": t_train,
                    "k": k if math.isfinite(k) else math.nan,
                    "method": method,
                    "loss": runs[0].loss,
                    "lambda": runs[0].lamb,
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


def _caption(what: str, curves: Sequence[ScalingCurve], cells: Cells, *notes: str) -> str:
    rows = [[run for runs in row.values() for run in runs] for row in cells.values()]
    differing = ", ".join(sorted({name for runs in rows for name in _differing(runs)}))
    counts = {len(runs) for row in cells.values() for runs in row.values()}
    spread = "mean ± sample standard deviation over n networks" if max(counts) > 1 else ""
    single = "of a single network " if spread else ""
    wilson_words = f"{single}with the 95 % Wilson interval over samples" if min(counts) == 1 else ""
    cell = "; ".join(part for part in (spread, wilson_words) if part)
    what = f"{what}: accuracy at the training T in %, {cell}"
    note = f"Networks of one architecture and T differ in more than their loss and seed: {differing}"
    return compose_caption(what, curves, [data_context(curve) for curve in curves], *notes, note * bool(differing))


def _differing(runs: Sequence[Run]) -> set[str]:
    # A switch of the loss is what the loss of such a run is.
    known = [_settings(run) for run in runs]
    return {
        name for name in set().union(*known) - {"switch"} if any(each.get(name) != known[0].get(name) for each in known)
    }


def _neurons(k: float) -> str:
    return f"k = {k:g}" if math.isfinite(k) else "spikes"


def _row_name(dataset: str, network: str, t_train: int, k: float) -> str:
    words = [dataset, network, f"T = {t_train}", _neurons(k) if math.isfinite(k) else ""]
    return ", ".join(word for word in words if word)
