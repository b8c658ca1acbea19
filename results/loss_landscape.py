"""Surface files of tomgoldstein/loss-landscape (Li et al. 2018), written and read.

That tool declares its arrays as (nx, ny) and yet fills them y by y: element k of the flattened array belongs to
``xcoordinates[k % nx]`` and ``ycoordinates[k // nx]``. A square array therefore reads as Z[y, x]; one that is not
square is scrambled until it is flattened and reshaped to (ny, nx). Both directions are kept to that here.
Accuracies are in percent. A value below 0 marks a point that is not evaluated (it is filled with -1), NaN and
infinity count as evaluated. The tool reads no attributes, so these say what the data sets cannot.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import h5py
import numpy as np

from tetviz.errors import ResultError
from tetviz.results.contents import Contents
from tetviz.results.files import write_whole
from tetviz.results.hdf5 import FORMAT, WANTED, contents_of, hdf5_image, result_of
from tetviz.results.kinds import MEASURED, Surface
from tetviz.results.schema import FloatArray, Provenance, Result

AXIS_ORDER = "y, x: element k of a flattened array is at xcoordinates[k % nx], ycoordinates[k // nx]"
UNFILLED = -1.0

# Any of these at the root makes a file one of that tool: a surface, a set of directions, a projected trajectory.
_MARKS = ("xcoordinates", "xdirection", "proj_xcoord", "dir_file")
_ARRAYS = frozenset(["xcoordinates", "ycoordinates", *(f"{s}_{q}" for s in ("train", "test") for q in ("loss", "acc"))])
_ATTRIBUTES = ("bn", "norm", "policy", "orthogonal", "plane_seed", "t_train")
_RECORDED = ("created", "tetviz_version", "checkpoint", "checkpoint_sha256", "label", "dataset", "split")
_DIRECTIONS = re.compile(
    r"_(?P<kind>weights|states)(?P<tags>(_[xy](ignore|norm)=[a-z]+)*)(_same_dir)?(_idx=\d+)?\.h5(_\[|$)"
)

D = TypeVar("D", int, float, str)


def loss_key(surface: Surface) -> str:
    """The data set that the loss of a surface goes to.

    A loss on test samples is not called ``train_loss``, although that is what loss-landscape draws unless it is
    told ``--surf_name test_loss``: it would be mistaken for another measurement, and completed with one.
    """
    return "test_loss" if surface.provenance.split == "test" else "train_loss"


def write_loss_landscape(path: str | Path, surface: Surface, loss: str, timestep: int, plane: int = 0) -> None:
    """Writes one loss and the accuracy of one plane at one T as loss-landscape does, whole or not at all.

    Points that are not done are -1 and will be evaluated by a resumed run; done ones that are not finite are NaN.
    """
    step = surface.timestep.tolist().index(timestep)
    done = surface.done[plane] == 1
    values = getattr(surface, f"{loss}_loss")[plane, :, :, step]
    key = loss_key(surface)
    arrays = {key: values, key.replace("loss", "acc"): 100 * surface.accuracy[plane, :, :, step]}
    seeds = surface.direction_seed[plane]

    def fill(file: h5py.File) -> None:
        # No direction file exists. The text says so to people; the tool itself never reads it back.
        file["dir_file"] = f"none: tetviz, plane seed {surface.plane_seed}, norm {surface.norm}".encode()
        file["xcoordinates"], file["ycoordinates"] = surface.x, surface.y
        for name, grid in arrays.items():
            filled = np.where(done, np.where(np.isfinite(grid), grid, np.nan), UNFILLED)
            file[name] = filled.reshape(len(surface.x), len(surface.y))
        file.attrs.update(source="tetviz", axis_order=AXIS_ORDER, loss=loss, timestep=timestep, plane=plane)
        file.attrs.update({name: getattr(surface, name) for name in _ATTRIBUTES})
        file.attrs.update(x_direction_seed=seeds[0], y_direction_seed=seeds[1], axis_cosine=surface.axis_cosine[plane])
        for name in _RECORDED:
            text = str(getattr(surface.provenance, name))
            file.attrs[name] = text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0").decode()

    write_whole(path, hdf5_image(fill))


def looks_like_loss_landscape(path: str | Path) -> bool:
    """Whether a file is one of loss-landscape, by its content: a surface, but also directions or a projection."""
    try:
        return _is_of_it(contents_of(path, WANTED | _ARRAYS))
    except ResultError:
        return False


def _is_of_it(contents: Contents) -> bool:
    return contents.attributes.get("format") != FORMAT and any(mark in _names(contents) for mark in _MARKS)


def _names(contents: Contents) -> set[str]:
    return {*contents.places, *contents.texts, *contents.others}


def load_any(path: str | Path) -> Result:
    """Reads a tetviz result, or a surface of loss-landscape."""
    contents = contents_of(path, WANTED | _ARRAYS)
    return _surface(contents) if _is_of_it(contents) else result_of(contents)


def read_loss_landscape(path: str | Path, loss: str | None = None) -> Surface:
    """Reads a surface of loss-landscape: ``train_loss`` if there is one, else ``test_loss``.

    Nothing is invented: the other loss, the standard errors and the accuracy of a step are NaN, seeds are -1 and
    the cosine of the axes is NaN, unless the file is an export of tetviz, whose attributes say more. The number of
    timesteps of a network that has none is 1. What is done with batch norm, the norm and the policy are read off
    the names that the tool gives to its files, and are empty where a file has another name.

    Args:
        loss: what the loss is taken for, ``"sdt"`` or ``"tet"``; None takes what an export of tetviz says, else
            ``"sdt"``.

    Returns:
        A surface of one plane and one timestep; ``done`` is 0 where the file holds a value below 0.
    """
    if loss not in ("sdt", "tet", None):
        raise ValueError(f"loss {loss!r}: expected 'sdt' or 'tet'")
    return _surface(contents_of(path, WANTED | _ARRAYS), loss)


def _surface(contents: Contents, loss: str | None = None) -> Surface:
    path, held = contents.path, _names(contents)
    x, y = _axes(contents)
    split = next((each for each in ("train", "test") if f"{each}_loss" in held), None)
    if split is None:
        raise ResultError(f"{path}: holds no train_loss and no test_loss; its run has measured nothing yet")
    values = _grid(contents, f"{split}_loss", len(y), len(x))
    known = f"{split}_acc" in held
    percent = _grid(contents, f"{split}_acc", len(y), len(x)) if known else np.full_like(values, np.nan)
    names = [contents.texts.get("dir_file", ""), path.name]
    own = contents.attributes if contents.attributes.get("source") == "tetviz" else {}
    loss = loss or _noted(own, "loss", "sdt")
    if loss not in ("sdt", "tet"):
        raise ResultError(f"{path}: its loss is {loss!r}, expected 'sdt' or 'tet'; get another copy")
    done = ~(values < 0)
    measured: dict[str, Any] = {name: np.full((1, *values.shape, 1), np.nan) for name in MEASURED}
    measured[f"{loss}_loss"][0, ..., 0] = np.where(done, values, np.nan)
    measured["accuracy"][0, ..., 0] = np.where(done & ~(percent < 0), percent / 100, np.nan)
    timestep = max(1, _noted(own, "timestep", 1))
    recorded = {name: _noted(own, name, "") for name in _RECORDED}
    recorded |= {"label": recorded["label"] or Path(recorded["checkpoint"] or path).stem, "split": split}
    named = {"orthogonal": 0, "plane_seed": -1, "t_train": timestep, **_from_names(names)}
    attributes = {name: _noted(own, name, cast(Any, named[name])) for name in _ATTRIBUTES}
    try:
        return Surface(
            plane=np.arange(1),
            y=y,
            x=x,
            timestep=np.array([timestep]),
            sample=np.arange(0),
            calibration=np.arange(0),
            axis=np.arange(2),
            direction_seed=np.array([[_noted(own, f"{axis}_direction_seed", -1) for axis in "xy"]]),
            axis_cosine=np.array([_noted(own, "axis_cosine", float("nan"))]),
            **measured,
            done=done[None].astype(np.int64),
            loss=loss,
            **attributes,
            provenance=Provenance.from_texts(recorded),
        )
    except ValueError as error:
        raise ResultError(f"{path}: holds what no surface has ({error}); get another copy") from error


def _axes(contents: Contents) -> tuple[FloatArray, FloatArray]:
    path, held = contents.path, _names(contents)
    if "xcoordinates" not in held:
        what = (
            "holds directions, not a surface; give the surface file, whose name goes on with _[xmin,xmax,nx]x["
            if "xdirection" in held
            else "holds a projected trajectory, not a surface"
            if "proj_xcoord" in held
            else "has no xcoordinates, so it is no surface of loss-landscape, or its run stopped before the first point"
        )
        raise ResultError(f"{path}: {what}")
    x = _numbers(contents, "xcoordinates")
    if "ycoordinates" not in held:
        raise ResultError(
            f"{path}: is a line of {x.size} points (it has no ycoordinates), expected a surface; "
            "loss-landscape measures one with --y"
        )
    y = _numbers(contents, "ycoordinates")
    for name, values in (("xcoordinates", x), ("ycoordinates", y)):
        if values.ndim != 1 or not values.size or not np.isfinite(values).all():
            raise ResultError(f"{path}: {name} must be a list of finite numbers, got an array {values.shape}")
    return x, y


def _grid(contents: Contents, name: str, rows: int, columns: int) -> FloatArray:
    # Flattened, an array that another tool declares as (ny, nx) has the same order.
    values = _numbers(contents, name, {(columns, rows), (rows, columns)})
    return values.reshape(rows, columns)


def _numbers(contents: Contents, name: str, shapes: set[tuple[int, ...]] | None = None) -> FloatArray:
    path, place = contents.path, contents.places.get(name)
    if place is None or place.dtype.kind not in "fiu":
        raise ResultError(f"{path}: {name} must be an array of numbers; it is no surface of loss-landscape")
    if shapes is not None and place.shape not in shapes:
        expected = " or ".join(map(str, sorted(shapes)))
        raise ResultError(f"{path}: {name} has the shape {place.shape}, expected {expected} as the coordinates say")
    return cast(FloatArray, contents.read([name])[name].astype(np.float64))


def _from_names(names: list[str]) -> dict[str, Any]:
    # A running statistic has one dimension, so "biasbn" holds it even where the directions cover all states.
    for name in names:
        found = _DIRECTIONS.search(Path(name).name)
        if not found:
            continue
        tags = dict(tag.split("=") for tag in found["tags"].split("_") if tag)
        norm = [tags.get(f"{axis}norm", "none") for axis in "xy"]
        held = [tags.get(f"{axis}ignore") == "biasbn" for axis in "xy"]
        policy = [f"tensors of one dimension {'held (biasbn)' if each else 'moved along themselves'}" for each in held]
        frozen = found["kind"] == "weights" or all(held)
        return {"norm": _both(norm), "policy": _both(policy), "bn": "frozen" if frozen else "moved as the weights"}
    return dict.fromkeys(("norm", "policy", "bn"), "")


def _both(values: list[str]) -> str:
    return values[0] if values[0] == values[1] else f"x: {values[0]}; y: {values[1]}"


def _noted(own: Mapping[str, Any], name: str, default: D) -> D:
    value = own.get(name, default)
    return value if type(value) is type(default) else default
