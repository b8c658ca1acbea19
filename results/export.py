"""Results in the formats of other programs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tetviz.errors import ResultError, printable, unknown
from tetviz.results.files import writable_target, write_whole
from tetviz.results.hdf5 import save
from tetviz.results.kinds import Surface, default_timestep
from tetviz.results.loss_landscape import write_loss_landscape
from tetviz.results.schema import Result
from tetviz.results.vtk import write_vtk

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one, or skips before one


@dataclass(frozen=True)
class Cut:
    """The part of a surface that a format for one surface takes.

    Attributes:
        loss: ``"sdt"`` or ``"tet"``.
        timestep: number of timesteps T.
        plane: position along the plane axis.
    """

    loss: str
    timestep: int
    plane: int


@dataclass(frozen=True)
class Export:
    """A format.

    Attributes:
        suffix: what its files' names end in.
        write: writes a file, whole or not at all: path, result, and the cut if there is one.
        cuts: whether it takes one loss of one plane at one T; otherwise the whole result, of any kind.
    """

    suffix: str
    write: Callable[[Path, Result, Cut | None], None]
    cuts: bool


def export_result(
    path: str | Path,
    result: Result,
    to: str,
    *,
    loss: str | None = None,
    timestep: int | None = None,
    plane: int | None = None,
    force: bool = False,
) -> Path:
    """Writes a result in the format of another program, whole or not at all.

    Args:
        loss: the loss, for a format that takes one; None takes the one that the surface was asked for.
        timestep: the same for T; None takes the training T, or the last where that was not measured.
        plane: the same for the position along the plane axis; None takes 0.
    """
    if to not in EXPORTS:
        raise ValueError(unknown("format", to, EXPORTS))
    chosen = EXPORTS[to]
    asked = {"loss": loss, "timestep": timestep, "plane": plane}
    given = [name for name, value in asked.items() if value is not None]
    if given and not chosen.cuts:
        raise ValueError(f"{to} takes the whole result; leave out {', '.join(given)}")
    path = writable_target(path, force)
    chosen.write(path, result, choose_cut(result, loss, timestep, plane) if chosen.cuts else None)
    return path


def choose_cut(result: Result, loss: str | None = None, timestep: int | None = None, plane: int | None = None) -> Cut:
    """What to take of a surface where a format has room for one loss at one T.

    Args:
        loss: None takes the one that the surface was asked for.
        timestep: None takes the training T, or the last where that was not measured.
        plane: None takes 0.
    """
    if not isinstance(result, Surface):
        raise ResultError(f"the result is of kind {result.kind!r}, expected a surface; csv and netcdf take every kind")
    name = f"the surface of {result.provenance.label or result.provenance.checkpoint or 'an unnamed network'}"
    steps, planes = result.timestep.tolist(), len(result.plane)
    loss = result.loss if loss is None else loss
    timestep = default_timestep(result) if timestep is None else timestep
    plane = 0 if plane is None else plane
    if loss not in ("sdt", "tet"):
        raise ResultError(f"loss {loss!r}: {name} holds sdt and tet")
    if timestep not in steps:
        raise ResultError(f"timestep {timestep}: {name} holds {steps[0]} to {steps[-1]}; choose another --t")
    if not 0 <= plane < planes:
        raise ResultError(f"plane {plane + 1}: {name} holds 1 to {planes}; choose another --plane")
    values = getattr(result, f"{loss}_loss")[plane, :, :, steps.index(timestep)]
    if not np.isfinite(values[result.done[plane] == 1]).any():
        raise ResultError(
            f"{name} has no finite {loss} loss at T = {timestep} on plane {plane + 1}; finish its measurement, or "
            "choose another --loss, --t or --plane"
        )
    return Cut(loss, timestep, plane)


def _loss_landscape(path: Path, result: Result, cut: Cut | None) -> None:
    assert isinstance(result, Surface) and cut
    write_loss_landscape(path, result, cut.loss, cut.timestep, cut.plane)


def _vtk(path: Path, result: Result, cut: Cut | None) -> None:
    assert isinstance(result, Surface) and cut
    write_vtk(path, result, cut.loss, cut.timestep, cut.plane)


def _csv(path: Path, result: Result, _: Cut | None) -> None:
    write_whole(path, csv_text(result.to_frame()).encode())


def csv_text(frame: pd.DataFrame, *, index: bool = True, missing: str = "nan") -> str:
    """A table as CSV that a spreadsheet reads as data: no text is a formula, and each is in a line."""
    harmless = frame.set_axis(frame.columns.map(_harmless), axis=1)
    for at, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            harmless.isetitem(at, frame.iloc[:, at].map(_harmless).to_list())
    if not isinstance(frame.index, pd.MultiIndex):  # which are numbers
        harmless.index = frame.index.map(_harmless)
    return str(harmless.to_csv(index=index, na_rep=missing, lineterminator="\n"))


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return printable(f"'{value}" if value.startswith(_FORMULA) else value)


def _netcdf(path: Path, result: Result, _: Cut | None) -> None:
    # A result file is netCDF-4 as it is; under this name other programs see it too.
    save(path, result)


EXPORTS = {
    "loss-landscape": Export(".loss-landscape.h5", _loss_landscape, cuts=True),
    "vtk": Export(".vts", _vtk, cuts=True),
    "csv": Export(".csv", _csv, cuts=False),
    "netcdf": Export(".nc", _netcdf, cuts=False),
}
