"""Tables over trained networks: Tables 1 and 2 of the TET paper, and one's own rows of Table 3."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.table import Column, Table
from tetviz.figures.view import Choices, TableOf
from tetviz.results import ScalingCurve
from tetviz.summaries import wilson
from tetviz.summaries.runs import Run, mean_and_deviation, runs_of, settings_of, takes_lambda, unlike

Row = tuple[str, str, int, float]  # data set, architecture, T and k
Cells = dict[Row, dict[str, list[Run]]]  # then the method: runs that differ in nothing but their seed

RUNS = "files of tetviz scale, one for each trained network"
_LOSSES = ("sdt", "tet", "total", "mse", "trt")
_ACCURACY = Column(
    "accuracy (%)",
    of="mean accuracy (%)",
    low="low (%)",
    high="high (%)",
    deviation="standard deviation (points)",
    count="networks",
)
_TRANSFER = (
    "What the weights of smooth neurons do when the neurons spike is another measurement, of tetviz ablation, which "
    "writes it to ablation.csv, .md and .tex"
)


def loss_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Accuracy of networks by the loss that they were trained with: Table 1 of the TET paper."""
    table = _table("Networks by the loss trained with (TET paper, Table 1)", curves, "losses")
    against = [Column("minus SDT (points)", form="+.2f")] if "SDT" in set(table.frame["method"]) else []
    columns = (Column("trained with", of="method"), _ACCURACY, *against)
    return dataclasses.replace(table, columns=columns, key=Column("data, network, T", of="setting"))


def smooth_table(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Accuracy of networks of smooth neurons, sigmoid(k (u - V_th)), and of spiking ones: Table 2 of the TET paper."""
    what = "Smooth neurons, sigmoid(k (u - V_th)), and spiking ones (TET paper, Table 2)"
    table = _table(what, curves, "smooth")
    if table.frame["k"].isna().all():
        raise ResultError(
            "no network has smooth neurons; train some with tetviz ablation, or tetviz train --surrogate sigmoid --k K"
        )
    one = len(table.frame.reset_index()[["dataset", "network", "T"]].drop_duplicates()) == 1
    return dataclasses.replace(
        table,
        columns=(Column("neurons", of="neurons" if one else "setting"), _ACCURACY),
        across=Column("trained with", of="method"),
        note=". ".join(part for part in (_TRANSFER, table.note) if part),
    )


def own_rows(curves: Sequence[ScalingCurve], choices: Choices) -> Table:
    """Accuracy of networks, a row for each setting: one's own rows of Table 3 of the TET paper."""
    table = _table("Trained networks (own rows of a table as the TET paper's Table 3)", curves, "own")
    columns = (Column("method"), Column("network"), Column("T"), _ACCURACY)
    return dataclasses.replace(table, columns=columns, key=Column("data", of="dataset"))


def _table(what: str, curves: Sequence[ScalingCurve], label: str) -> Table:
    cells = _grouped(curves)
    rows = [[run for runs in row.values() for run in runs] for row in cells.values()]
    differing = ", ".join(sorted({name for runs in rows for name in _differing(runs)}))
    counts = {len(runs) for row in cells.values() for runs in row.values()}
    spread = "mean ± sample standard deviation over n networks" if max(counts) > 1 else ""
    single = "of a single network " if spread else ""
    wilson_words = f"{single}with the 95 % Wilson interval over samples" if min(counts) == 1 else ""
    cell = "; ".join(part for part in (spread, wilson_words) if part)
    note = f"Networks of one architecture and T differ in more than their loss and seed: {differing}"
    return Table(
        _frame(cells),
        about=f"{what}: accuracy at the training T in %, {cell}",
        note=note if differing else "",
        label=label,
    )


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
    return f"{loss}, lambda {run.lamb:g}" if takes_lambda(run.loss) else loss


def _frame(cells: Cells) -> pd.DataFrame:
    rows = []
    for key, by_method in cells.items():
        plain = _mean(by_method["SDT"])[0] if "SDT" in by_method else math.nan
        rows += [_numbers(key, method, runs, plain) for method, runs in by_method.items()]
    return pd.DataFrame(rows).set_index("dataset")


def _numbers(key: Row, method: str, runs: Sequence[Run], plain: float) -> dict[str, Any]:
    dataset, network, t_train, k = key
    mean, deviation = _mean(runs)
    low, high = (100 * ends for ends in wilson([run.accuracy for run in runs], [run.samples for run in runs]))
    neurons = f"k = {k:g}" if math.isfinite(k) else "spikes"
    return {
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
        "low (%)": low[0] if len(runs) == 1 else math.nan,
        "high (%)": high[0] if len(runs) == 1 else math.nan,
        "minus SDT (points)": math.nan if method == "SDT" else mean - plain,
        "accuracies (%)": " ".join(f"{100 * run.accuracy!r}" for run in runs),
        "wilson low (%)": " ".join(repr(float(end)) for end in low),
        "wilson high (%)": " ".join(repr(float(end)) for end in high),
        "seeds": " ".join(str(run.seed) for run in runs),
        "samples": " ".join(str(run.samples) for run in runs),
        "names": "; ".join(run.name for run in runs),
        "neurons": neurons,
        "setting": ", ".join(
            word for word in (dataset, network, f"T = {t_train}", neurons if math.isfinite(k) else "") if word
        ),
    }


def _mean(runs: Sequence[Run]) -> tuple[float, float]:
    return mean_and_deviation(100 * run.accuracy for run in runs)


def _differing(runs: Sequence[Run]) -> set[str]:
    # A switch of the loss is what the loss of such a run is.
    known = [settings_of(run) for run in runs]
    return {
        name for name in set().union(*known) - {"switch"} if any(each.get(name) != known[0].get(name) for each in known)
    }


RUN_TABLES = {
    "table1": TableOf[ScalingCurve](
        "Table 1: accuracy by the loss trained with, mean and deviation over seeds",
        loss_table,
        takes=RUNS,
        each=False,
        by_name=True,
    ),
    "table2": TableOf[ScalingCurve](
        "Table 2: smooth neurons, sigmoid(k (u - V_th)), beside spiking ones",
        smooth_table,
        takes="files of tetviz scale, of the networks of tetviz ablation",
        each=False,
        by_name=True,
    ),
    "table3": TableOf[ScalingCurve](
        "Table 3, one's own rows: accuracy by data set, method, network and T",
        own_rows,
        takes=RUNS,
        each=False,
        by_name=True,
    ),
}
