"""Tables of results of each kind: what the commands print, with intervals, for papers and spreadsheets."""

from collections.abc import Mapping, Sequence

import pandas as pd

from tetviz.errors import ResultError
from tetviz.figures.captions import compose_caption
from tetviz.figures.formatting import NO_NUMBER, intervals, network_rows
from tetviz.figures.table import Table
from tetviz.results import Lines, default_timestep
from tetviz.summaries import sharpness_table
from tetviz.summaries.names import (
    LOSSES,
    counted,
    lines_context,
    network_names,
)

# Of the numbers of sharpness that are no loss; r is a coordinate.
_UNITS = {"curvature": "nat/r^2", "width": "unit of r", "roughness": ""}


def flatness_table(results: Sequence[Lines], timestep: int | None = None) -> Table:
    """Sharpness of networks, each number with its interval over planes."""
    t = default_timestep(results[0]) if timestep is None else timestep
    names = network_names(results)
    frames = []
    cells: dict[str, dict[str, pd.Series[str]]] = {f"L_{loss.upper()}": {} for loss in LOSSES}
    for name, lines in zip(names, results, strict=True):
        for loss, columns in zip(LOSSES, cells.values(), strict=True):
            frame = sharpness_table([lines], loss, t).droplevel(0, axis=1)
            columns[name] = pd.Series(intervals(frame, "mean", "low", "high", ".3g"), frame.index)
            rows = frame.rename_axis("quantity").reset_index()
            rows.insert(0, "loss", loss)
            rows["planes"] = len(lines.line) // 2
            frames.append(network_rows(name, rows))
    whole = pd.concat(frames)
    if whole["mean"].isna().all():
        raise ResultError(
            f"the sharpness of {', '.join(names)} has no number that is known on all planes yet; finish its "
            "measurement first"
        )
    caption = compose_caption(
        f"Sharpness at T = {t}, mean over planes",
        results,
        [f"{lines_context(lines)}; {counted(len(lines.line) // 2, 'plane')}" for lines in results],
        "In brackets 95 % bootstrap intervals over planes" if whole["low"].notna().any() else "",
    )
    if len(names) == 1:
        shown = _known({loss: columns[names[0]] for loss, columns in cells.items()})
    else:
        blocks = {loss: _known(columns).reset_index(allow_duplicates=True) for loss, columns in cells.items()}
        shown = pd.concat([block.set_axis([loss] * len(block)) for loss, block in blocks.items()]).rename_axis("loss")
        shown.columns.name = "network"
    return Table(whole, caption, shown, "sharpness")


def _known(columns: "Mapping[str, pd.Series[str]]") -> pd.DataFrame:
    # Radii that one network alone has stand below the others.
    table = pd.concat(columns, axis=1).fillna(NO_NUMBER)
    known = table[(table != NO_NUMBER).any(axis=1)]
    return known.set_axis(pd.Index([_with_unit(str(quantity)) for quantity in known.index], name="quantity"))


def _with_unit(quantity: str) -> str:
    unit = next((unit for start, unit in _UNITS.items() if quantity.startswith(start)), "nat")
    return f"{quantity} ({unit})" if unit else quantity
