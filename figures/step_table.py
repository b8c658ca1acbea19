"""Per-step accuracy as a table: Table 4 of the TET paper."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import NO_NUMBER
from tetviz.figures.table import Table
from tetviz.results import ScalingCurve
from tetviz.summaries.names import data_context, network_names

MIN_STEPS = 8
TABLE_CAPTION = "Accuracy of each step t alone, in %, and its sample variance over steps, in %^2 (TET paper, Table 4)"


def step_table(curves: Sequence[ScalingCurve]) -> Table:
    """Accuracy of each step alone and its variance over time, with a caption."""
    frame = step_accuracy_table(curves)
    heads = {name: f"{name} (%^2)" if name.startswith("var") else name for name in map(str, frame.columns)}
    shown = frame.rename(columns={**heads, "T_train": "trained at T"})
    shown["trained at T"] = [str(t) if t else NO_NUMBER for t in frame["T_train"]]
    caption = compose_caption(TABLE_CAPTION, curves, [data_context(curve) for curve in curves])
    return Table(frame, caption, shown, "steps")


def step_accuracy_table(curves: Sequence[ScalingCurve]) -> pd.DataFrame:
    """Accuracy of the output of each step alone, and its variance over time: Table 4 of the TET paper.

    The steps shown are 1..S with S = 8, or twice the training T where that is more, or all there are. Both
    variances are sample variances (n - 1) over steps of the table alone: the first over the steps beyond
    training, which is what gives the paper's printed numbers (t = T_train+1..8), the second over all.

    Args:
        curves: one for each network.

    Returns:
        A row for each network, with ``T_train``, a column ``t=1`` ... for each step in percent, and two
        variance columns in percent squared whose names say the steps; the one over steps beyond training is left
        out where the table ends before them, or where no training T is known. NaN where a step was not measured, and
        for a variance over fewer than two steps or over one that was not measured.

    Raises:
        ResultError: there is no curve.
    """
    if not curves:
        raise ResultError("no scaling curve for a table")
    trained = [curve.t_train for curve in curves]
    last = min(max(int(curve.timestep[-1]) for curve in curves), max(MIN_STEPS, 2 * max(trained)))
    first = f"{trained[0] + 1}" if len(set(trained)) == 1 and trained[0] else "T_train+1"
    rows = []
    for curve in curves:
        percent = np.full(last, np.nan)
        shown = curve.timestep <= last
        percent[curve.timestep[shown] - 1] = 100 * curve.step_accuracy[shown]
        beyond = percent[curve.t_train :] if curve.t_train else percent[:0]
        rows.append(
            {
                "T_train": curve.t_train,
                **{f"t={step}": value for step, value in enumerate(percent, start=1)},
                **({f"var {first}..{last}": _sample_variance(beyond)} if any(0 < t < last for t in trained) else {}),
                f"var 1..{last}": _sample_variance(percent),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(network_names(curves), name="network"))


def _sample_variance(percent: np.ndarray) -> float:
    return float(np.var(percent, ddof=1)) if len(percent) > 1 else float("nan")
