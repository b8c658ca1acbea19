"""Per-step accuracy as a table, Table 4 of the TET paper, and tables as plain text and Markdown."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.labels import network_names
from tetviz.results import ScalingCurve

MIN_STEPS = 8


TABLE_CAPTION = "Accuracy of each step t alone, in %, and its sample variance over steps, in %^2 (TET paper, Table 4)"


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
        out where the table ends before them. NaN where a step was not measured, and for a variance over fewer than
        two steps or over one that was not measured.

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
                **({f"var {first}..{last}": _sample_variance(beyond)} if min(trained) < last else {}),
                f"var 1..{last}": _sample_variance(percent),
            }
        )
    return pd.DataFrame(rows, index=pd.Index(network_names(curves), name="network"))


def format_table(frame: pd.DataFrame, decimals: int = 2) -> str:
    """A table in columns of fixed width, for a terminal.

    Args:
        frame: any table; its index becomes the first column.
        decimals: of numbers that are not whole.

    Returns:
        Lines of text: whole numbers as they are, NaN as ``-``.
    """
    cells = _cells(frame, decimals)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join([row[0].ljust(len(first)), *others]).rstrip())
    return "\n".join(lines)


def to_markdown(frame: pd.DataFrame) -> str:
    """A table in Markdown, as GitHub shows it.

    Args:
        frame: any table; its index becomes the first column.

    Returns:
        Lines of text, with numbers as in :func:`format_table` at 2 decimals, right-aligned.
    """
    header, *body = [[cell.replace("|", r"\|") for cell in row] for row in _cells(frame, 2)]
    rule = [":---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *body))


def _cells(frame: pd.DataFrame, decimals: int) -> list[list[str]]:
    header = [str(frame.index.name or ""), *map(str, frame.columns)]
    columns = [[_cell(value, decimals) for value in frame[name].tolist()] for name in frame.columns]
    body = [[str(label), *row] for label, *row in zip(frame.index, *columns, strict=True)]
    return [header, *body]


def _cell(value: object, decimals: int) -> str:
    if isinstance(value, float):
        return "-" if np.isnan(value) else f"{value:.{decimals}f}"
    return str(value)


def _sample_variance(percent: np.ndarray) -> float:
    return float(np.var(percent, ddof=1)) if len(percent) > 1 else float("nan")
