"""Surfaces for and from other programs, each read back in its own terms and not through what wrote it."""

import base64
import dataclasses
import math
import os
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click
import h5py
import numpy as np
import pandas as pd
import pytest
import xarray
from click.testing import CliRunner
from planted_results import (
    planted_curvature,
    planted_curve,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from wording import heard, refuses

from tetviz.commands.export import export
from tetviz.errors import OutputError, ResultError, TetvizError
from tetviz.results import Result, Surface, load, save
from tetviz.results.export import EXPORTS, choose_cut, export_result
from tetviz.results.loss_landscape import load_any, looks_like_loss_landscape, read_loss_landscape

# (rows, columns): square, wider than high, higher than wide
SIZES = [(3, 3), (2, 5), (5, 2), (1, 4), (4, 1)]
TG_NAME = "net.t7_weights_xignore=biasbn_xnorm=filter_yignore=biasbn_ynorm=filter.h5"
HELD, MOVED = "tensors of one dimension held (biasbn)", "tensors of one dimension moved along themselves"
MAKERS = {
    "surface": planted_surface,
    "trajectory": planted_trajectory,
    "scaling": planted_curve,
    "lines": planted_lines,
    "sharpness": planted_sharpness,
    "curvature": planted_curvature,
}


def tilted(rows: int, columns: int, split: str = "train", **attributes: Any) -> Surface:
    """L(x, y) = x + 10 y at T = 1, 1000 more for each further T and 5000 more for each plane; no axis is like another.

    The grid is not centred on 0: x from 0.25 in steps of 0.5, y from 1 in steps of 1.5.
    """
    x, y = 0.25 + 0.5 * np.arange(columns), 1 + 1.5 * np.arange(rows)
    values = np.empty((2, rows, columns, 3))
    for plane, j, i, t in np.ndindex(values.shape):
        values[plane, j, i, t] = x[i] + 10 * y[j] + 1000 * t + 5000 * plane
    surface = planted_surface(size=(rows, columns), planes=2, timesteps=3)
    provenance = dataclasses.replace(surface.provenance, split=split, checkpoint_sha256="ab" * 32)
    changes: dict[str, Any] = {
        "x": x,
        "y": y,
        "sdt_loss": values,
        "tet_loss": values + 0.5,
        "accuracy": 1 / (1 + values),
        "provenance": provenance,
        "loss": "sdt",
    }
    return dataclasses.replace(surface, **{**changes, **attributes})


def with_holes(surface: Surface) -> Surface:
    """Plane 0: (row 0, column 1) is not done; (1, 0) is NaN and (1, 1) infinite although done."""
    done, values, accuracy = surface.done.copy(), surface.sdt_loss.copy(), surface.accuracy.copy()
    done[0, 0, 1] = 0
    values[0, 0, 1] = accuracy[0, 0, 1] = np.nan
    values[0, 1, 0] = np.nan
    values[0, 1, 1] = np.inf
    return dataclasses.replace(surface, done=done, sdt_loss=values, accuracy=accuracy)


def as_the_tool_reads(path: Path, key: str) -> dict[tuple[float, float], float]:
    """Values by coordinates, in the order in which loss-landscape fills its points: x in the inner loop."""
    with h5py.File(path) as file:
        flat = file[key][...].ravel()
        found, k = {}, 0
        for y in file["ycoordinates"][...]:
            for x in file["xcoordinates"][...]:
                found[float(x), float(y)] = float(flat[k])
                k += 1
        assert k == len(flat)
    return found


def hand_made(path: Path, nx: int = 3, ny: int = 3, **replaced: Any) -> Path:
    """A file as the tool leaves it: L = x + 10 y + 100 filled one by one in its order, declared as (nx, ny)."""
    x, y = np.linspace(-1, 1, nx), np.linspace(0, 2, ny)
    losses, accuracies = -np.ones((nx, ny)), -np.ones((nx, ny))
    mesh_x, mesh_y = np.meshgrid(x, y)
    for k in range(nx * ny):
        losses.ravel()[k] = mesh_x.ravel()[k] + 10 * mesh_y.ravel()[k] + 100
        accuracies.ravel()[k] = 50 + k
    content = {
        "dir_file": TG_NAME,
        "xcoordinates": x,
        "ycoordinates": y,
        "train_loss": losses,
        "train_acc": accuracies,
    }
    with h5py.File(path, "w") as file:
        for name, value in {**content, **replaced}.items():
            if value is not None:
                file[name] = value
    return path


# --- loss-landscape: written --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_tool_reads_every_point_at_its_place(size: tuple[int, int], tmp_path: Path) -> None:
    path = export_result(tmp_path / "a.h5", tilted(*size), "loss-landscape", timestep=2, plane=1)
    losses, accuracies = as_the_tool_reads(path, "train_loss"), as_the_tool_reads(path, "train_acc")
    assert len(losses) == size[0] * size[1]
    for (x, y), loss in losses.items():
        assert loss == x + 10 * y + 6000
        assert accuracies[x, y] == pytest.approx(100 / (1 + loss), rel=1e-12)
    assert min(x for x, _ in losses) == 0.25
    assert min(y for _, y in losses) == 1


@pytest.mark.parametrize("size", SIZES)
def test_the_declared_shape_and_types_are_those_of_the_tool(size: tuple[int, int], tmp_path: Path) -> None:
    path = export_result(tmp_path / "a.h5", tilted(*size), "loss-landscape")
    with h5py.File(path) as file:
        assert set(file) == {"dir_file", "xcoordinates", "ycoordinates", "train_loss", "train_acc"}
        assert isinstance(file["dir_file"][()], bytes)
        for name in ("train_loss", "train_acc"):
            assert (file[name].shape, file[name].dtype) == (size[::-1], np.float64)
        assert file["xcoordinates"].shape == (size[1],)
        assert file["ycoordinates"].shape == (size[0],)


def test_a_square_array_is_drawn_the_right_way_round_as_it_stands(tmp_path: Path) -> None:
    path = export_result(tmp_path / "a.h5", tilted(3, 3), "loss-landscape", timestep=1)
    with h5py.File(path) as file:
        grid, x, y = (file[name][...] for name in ("train_loss", "xcoordinates", "ycoordinates"))
    mesh_x, mesh_y = np.meshgrid(x, y)
    np.testing.assert_array_equal(grid, mesh_x + 10 * mesh_y)


@pytest.mark.parametrize(
    ("split", "keys"), [("test", {"test_loss", "test_acc"}), ("train", {"train_loss", "train_acc"})]
)
def test_a_loss_on_test_samples_is_not_passed_off_as_a_training_loss(
    split: str, keys: set[str], tmp_path: Path
) -> None:
    path = export_result(tmp_path / "a.h5", tilted(2, 3, split), "loss-landscape")
    with h5py.File(path) as file:
        assert keys == {name for name in file if name.endswith(("_loss", "_acc"))}
    assert load_any(path).provenance.split == split  # type: ignore[attr-defined]


def test_what_is_not_done_is_the_sentinel_and_what_is_not_finite_is_nan(tmp_path: Path) -> None:
    surface = with_holes(tilted(2, 3))
    surface.sdt_loss[0, 1, 2] = 0
    path = export_result(tmp_path / "a.h5", surface, "loss-landscape")
    losses, accuracies = as_the_tool_reads(path, "train_loss"), as_the_tool_reads(path, "train_acc")
    assert losses[0.75, 1] == accuracies[0.75, 1] == -1
    assert math.isnan(losses[0.25, 2.5])
    assert math.isnan(losses[0.75, 2.5])
    assert losses[1.25, 2.5] == 0
    assert accuracies[0.25, 2.5] > 0
    assert sum(value < 0 for value in losses.values()) == 1


def test_the_attributes_say_what_the_data_sets_cannot(tmp_path: Path) -> None:
    path = export_result(tmp_path / "a.h5", tilted(2, 3), "loss-landscape", loss="tet", timestep=2, plane=1)
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
    expected = {"loss": "tet", "timestep": 2, "plane": 1, "plane_seed": 3, "norm": "filter", "bn": "frozen"}
    assert {name: attributes[name] for name in expected} == expected
    assert attributes["checkpoint_sha256"] == "ab" * 32
    assert (attributes["x_direction_seed"], attributes["y_direction_seed"]) == (2, 3)
    assert attributes["axis_order"].startswith("y, x")


# --- loss-landscape: read -----------------------------------------------------------------------------------


@pytest.mark.parametrize("nx", [2, 3, 5])
@pytest.mark.parametrize("ny", [2, 3, 4])
def test_a_file_of_the_tool_is_read_with_every_point_at_its_place(nx: int, ny: int, tmp_path: Path) -> None:
    path = hand_made(tmp_path / "a.h5", nx, ny)
    surface = read_loss_landscape(path)
    assert surface.sdt_loss.shape == (1, ny, nx, 1)
    for j, i in np.ndindex(ny, nx):
        assert surface.sdt_loss[0, j, i, 0] == surface.x[i] + 10 * surface.y[j] + 100
        assert surface.accuracy[0, j, i, 0] == (50 + j * nx + i) / 100
    assert surface.done.all()
    assert surface.timestep.tolist() == [1]


def test_nothing_is_invented(tmp_path: Path) -> None:
    surface = read_loss_landscape(hand_made(tmp_path / "a surface.h5"), "tet")
    assert surface.loss == "tet"
    assert np.isfinite(surface.tet_loss).all()
    for name in ("sdt_loss", "step_accuracy", "sdt_loss_se", "tet_loss_se", "axis_cosine"):
        assert np.isnan(getattr(surface, name)).all(), name
    assert surface.direction_seed.tolist() == [[-1, -1]]
    assert surface.plane_seed == -1
    known = {name: text for name, text in dataclasses.asdict(surface.provenance).items() if text}
    assert known == {"label": "a surface", "split": "train"}


def test_a_stopped_run_of_the_tool(tmp_path: Path) -> None:
    losses = np.array([[3.0, 0.0, -1.0], [np.nan, np.inf, -1.0]])
    accuracies = np.array([[-1.0, 0.0, -1.0], [100.0, 10.0, -1.0]])
    surface = read_loss_landscape(hand_made(tmp_path / "a.h5", 2, 3, train_loss=losses, train_acc=accuracies))
    # flattened, and x in the inner loop: rows of two
    np.testing.assert_array_equal(surface.sdt_loss[0, ..., 0], [[3, 0], [np.nan, np.nan], [np.inf, np.nan]])
    assert surface.done[0].tolist() == [[1, 1], [0, 1], [1, 0]]
    np.testing.assert_array_equal(surface.accuracy[0, ..., 0], [[np.nan, 0], [np.nan, 1], [0.1, np.nan]])


def test_an_array_that_another_program_declares_as_rows_of_x_is_read_the_same(tmp_path: Path) -> None:
    turned = np.add.outer(10 * np.linspace(0, 2, 2), np.linspace(-1, 1, 5)) + 100
    mine = read_loss_landscape(hand_made(tmp_path / "a.h5", 5, 2, train_loss=turned))
    np.testing.assert_array_equal(mine.sdt_loss, read_loss_landscape(hand_made(tmp_path / "b.h5", 5, 2)).sdt_loss)


def test_test_losses_are_read_where_there_are_no_training_losses(tmp_path: Path) -> None:
    values = np.arange(9.0).reshape(3, 3)
    both = hand_made(tmp_path / "a.h5", test_loss=values, test_acc=10 * values)
    assert read_loss_landscape(both).sdt_loss[0, 0, 0, 0] == 99
    alone = hand_made(tmp_path / "b.h5", train_loss=None, train_acc=None, test_loss=values)
    surface = read_loss_landscape(alone)
    assert surface.sdt_loss[0, ..., 0].tolist() == values.tolist()
    assert surface.provenance.split == "test"
    assert np.isnan(surface.accuracy).all()


@pytest.mark.parametrize(
    ("name", "norm", "policy", "bn"),
    [
        (TG_NAME, "filter", HELD, "frozen"),
        (f"{TG_NAME}_[-1.0,1.0,3]x[0.0,2.0,3].h5", "filter", HELD, "frozen"),
        ("a_weights_xnorm=layer_ynorm=layer_idx=2.h5", "layer", MOVED, "frozen"),
        ("a_weights.h5", "none", MOVED, "frozen"),
        ("a_states_xnorm=filter_ynorm=filter.h5", "filter", MOVED, "moved as the weights"),
        ("a_states_xignore=biasbn_xnorm=filter_yignore=biasbn_ynorm=filter.h5", "filter", HELD, "frozen"),
        ("a_weights_xignore=biasbn_xnorm=filter.h5", "x: filter; y: none", f"x: {HELD}; y: {MOVED}", "frozen"),
        ("my_xnorm=filter.h5", "", "", ""),
        ("weights.h5", "", "", ""),
    ],
)
@pytest.mark.parametrize("place", ["dir_file", "file name"])
def test_names_of_the_tool_say_how_the_directions_were_made(
    name: str, norm: str, policy: str, bn: str, place: str, tmp_path: Path
) -> None:
    if place == "dir_file":
        path = hand_made(tmp_path / "a.h5", dir_file=f"nets/of/mine/{name}".encode())
    else:
        path = hand_made(tmp_path / name, dir_file=None)
    surface = read_loss_landscape(path)
    assert (surface.norm, surface.policy, surface.bn) == (norm, policy, bn)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("split", ["test", "train"])
def test_there_and_back(size: tuple[int, int], split: str, tmp_path: Path) -> None:
    surface = tilted(*size, split, t_train=3, policy="random weight", axis_cosine=np.array([0.25, 0.5]))
    path = export_result(tmp_path / "a.h5", surface, "loss-landscape", loss="tet", timestep=2, plane=1)
    found = load_any(path)
    assert isinstance(found, Surface)
    np.testing.assert_array_equal(found.tet_loss[0, ..., 0], surface.tet_loss[1, ..., 1])
    np.testing.assert_allclose(found.accuracy[0, ..., 0], surface.accuracy[1, ..., 1], rtol=1e-14)
    assert np.isnan(found.sdt_loss).all()
    assert (found.loss, found.timestep.tolist(), found.t_train) == ("tet", [2], 3)
    for name in ("x", "y", "norm", "bn", "policy", "plane_seed", "orthogonal"):
        np.testing.assert_array_equal(getattr(found, name), getattr(surface, name))
    assert found.direction_seed.tolist() == [[2, 3]]
    assert found.axis_cosine.tolist() == [0.5]
    for name in ("created", "label", "dataset", "split", "checkpoint", "checkpoint_sha256"):
        assert getattr(found.provenance, name) == getattr(surface.provenance, name)
    assert found.provenance.torch_version == ""


def test_holes_there_and_back(tmp_path: Path) -> None:
    surface = with_holes(tilted(2, 3))
    found = read_loss_landscape(export_result(tmp_path / "a.h5", surface, "loss-landscape", timestep=1))
    assert found.done[0].tolist() == surface.done[0].tolist() == [[1, 0, 1], [1, 1, 1]]
    expected = np.where(np.isfinite(surface.sdt_loss), surface.sdt_loss, np.nan)
    np.testing.assert_array_equal(found.sdt_loss[0, ..., 0], expected[0, ..., 0])


def test_attributes_that_are_not_of_an_export_are_not_believed(tmp_path: Path) -> None:
    path = hand_made(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs.update(loss="tet", timestep=7, norm="none")
    found = read_loss_landscape(path)
    assert (found.loss, found.timestep.tolist(), found.norm) == ("sdt", [1], "filter")
    with h5py.File(path, "r+") as file:  # of the right origin, but of wrong types
        file.attrs.update(source="tetviz", loss=3, timestep="many", norm=np.arange(2), axis_cosine="x")
    found = read_loss_landscape(path)
    assert (found.loss, found.timestep.tolist(), found.norm) == ("sdt", [1], "filter")


# --- loss-landscape: told apart, and refused ----------------------------------------------------------------


def test_files_are_told_apart(tmp_path: Path) -> None:
    native, foreign = save(tmp_path / "a.h5", tilted(2, 3)), hand_made(tmp_path / "b.h5")
    assert not looks_like_loss_landscape(native)
    assert looks_like_loss_landscape(foreign)
    assert not looks_like_loss_landscape(tmp_path / "nothing.h5")
    assert not looks_like_loss_landscape(tmp_path)
    (tmp_path / "text.h5").write_text("xcoordinates")
    assert not looks_like_loss_landscape(tmp_path / "text.h5")
    assert load_any(native).provenance.label == "VGGSNN TET"  # type: ignore[attr-defined]
    assert load_any(foreign).provenance.label == "b"  # type: ignore[attr-defined]
    with h5py.File(native, "r+") as file:  # a result may hold further variables
        file["xcoordinates"] = np.arange(3)
    assert not looks_like_loss_landscape(native)
    with h5py.File(foreign, "r+") as file:  # and a foreign file may have a format of its own
        file.attrs["format"] = "1"
    assert looks_like_loss_landscape(foreign)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.arange(3)
    with refuses(ResultError, "other.h5 HDF5"):
        load_any(tmp_path / "other.h5")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"ycoordinates": None, "train_loss": np.ones(3), "train_acc": np.ones(3)}, "line 3"),
    ({"xcoordinates": None}, "no xcoordinates"),
    ({"train_loss": None, "train_acc": None}, "train_loss test_loss"),
    ({"train_loss": np.ones((3, 4))}, "train_loss (3, 4) (3, 3)"),
    ({"train_acc": np.ones(9)}, "train_acc (9,)"),
    ({"train_loss": np.array([[b"a"] * 3] * 3)}, "train_loss array"),
    ({"xcoordinates": np.float64(3)}, "xcoordinates list"),
    ({"xcoordinates": np.ones((3, 1))}, "xcoordinates list"),
    ({"ycoordinates": np.array([0, np.nan, 1])}, "ycoordinates list"),
    ({"xcoordinates": np.empty(0)}, "xcoordinates list"),
]


@pytest.mark.parametrize(("replaced", "message"), REFUSED)
def test_what_is_no_surface_is_refused_in_a_line(replaced: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = hand_made(tmp_path / "a.h5", **replaced)
    assert looks_like_loss_landscape(path)
    with refuses(ResultError, f"{message} a.h5") as error:
        load_any(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"), [("xdirection", "directions surface"), ("proj_xcoord", "projected trajectory")]
)
def test_the_other_files_of_the_tool_are_refused_by_name(name: str, message: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[f"{name}/0" if name == "xdirection" else name] = np.ones(4)
    with refuses(ResultError, f"{message} a.h5"):
        load_any(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["xcoordinates", "ycoordinates", "train_loss", "train_acc"])
def test_a_group_in_place_of_a_data_set(name: str, tmp_path: Path) -> None:
    path = hand_made(tmp_path / "a.h5", **{name: None})
    with h5py.File(path, "r+") as file:
        file.create_group(name)
    with refuses(ResultError, f"{name} a.h5"):
        load_any(path)


@pytest.mark.parametrize("value", [np.arange(3), 3.5, np.array([b"a"] * 2), b"\xff_weights.h5", "ok"])
def test_any_text_or_none_in_place_of_the_direction_file(value: Any, tmp_path: Path) -> None:
    assert read_loss_landscape(hand_made(tmp_path / "a.h5", dir_file=value)).done.all()


def test_truncated_anywhere(tmp_path: Path) -> None:
    whole, cut = hand_made(tmp_path / "a.h5").read_bytes(), tmp_path / "cut.h5"
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        for read in (read_loss_landscape, load_any):
            with refuses(ResultError, "cut.h5 HDF5") as error:
                read(cut)
            assert "\n" not in str(error.value)
    with refuses(ResultError, "nothing.h5"):
        read_loss_landscape(tmp_path / "nothing.h5")
    with refuses(ResultError, "folder"):
        read_loss_landscape(tmp_path)


@pytest.mark.parametrize("signature", [b"TREE", b"SNOD", b"HEAP", b"GCOL"])
def test_damage_inside_is_a_result_error_or_does_not_matter(signature: bytes, tmp_path: Path) -> None:
    whole, bad = hand_made(tmp_path / "a.h5").read_bytes(), tmp_path / "bad.h5"
    places = [k for k in range(len(whole)) if whole.startswith(signature, k)]
    assert places
    for place in places:
        bad.write_bytes(whole[:place] + b"XXXX" + whole[place + 4 :])
        for read in (read_loss_landscape, load_any):
            try:
                read(bad)
            except ResultError as error:
                assert "bad.h5" in str(error)
                assert "\n" not in str(error)


def test_a_loss_that_does_not_exist_is_a_value_error(tmp_path: Path) -> None:
    with refuses(ValueError, "'sdt' 'tet'"):
        read_loss_landscape(hand_made(tmp_path / "a.h5"), "mse")


# --- VTK ----------------------------------------------------------------------------------------------------


def numbers(element: ElementTree.Element) -> list[float]:
    assert element.get("format") == "binary"
    raw = base64.b64decode(element.text or "", validate=True)
    (length,) = struct.unpack_from("<Q", raw)
    assert length == len(raw) - 8
    code = {"Float64": "d", "Int64": "q", "UInt8": "B"}[str(element.get("type"))]
    return list(struct.unpack_from(f"<{length // struct.calcsize(code)}{code}", raw, 8))


def vtk_content(path: Path) -> tuple[str, dict[str, dict[str, list[float]]], dict[str, str]]:
    root = ElementTree.parse(path).getroot()
    assert root.attrib == {
        **{"type": "StructuredGrid", "version": "1.0", "byte_order": "LittleEndian", "header_type": "UInt64"}
    }
    grid = root[0]
    piece = grid.find("Piece")
    assert piece is not None
    assert piece.get("Extent") == grid.get("WholeExtent")
    places = {"points": piece.find("Points"), "data": piece.find("PointData"), "field": grid.find("FieldData")}
    arrays: dict[str, dict[str, list[float]]] = {}
    texts = {}
    for place, parent in places.items():
        assert parent is not None
        arrays[place] = {str(e.get("Name")): numbers(e) for e in parent if e.get("type") != "String"}
        for element in parent:
            if element.get("type") == "String":
                *codes, end = map(int, (element.text or "").split())
                assert end == 0
                texts[str(element.get("Name"))] = bytes(codes).decode()
    return str(piece.get("Extent")), arrays, texts


@pytest.mark.parametrize("size", SIZES)
def test_vtk_has_every_point_at_its_place_and_height(size: tuple[int, int], tmp_path: Path) -> None:
    rows, columns = size
    surface = tilted(rows, columns)
    path = export_result(tmp_path / "a.vts", surface, "vtk", loss="tet", timestep=2, plane=1)
    extent, arrays, texts = vtk_content(path)
    assert extent == f"0 {columns - 1} 0 {rows - 1} 0 0"
    points, data = arrays["points"]["Points"], arrays["data"]
    assert len(points) == 3 * rows * columns
    for j in range(rows):
        for i in range(columns):
            k = j * columns + i  # x changes fastest
            x, y = 0.25 + 0.5 * i, 1 + 1.5 * j
            assert points[3 * k : 3 * k + 3] == [x, y, x + 10 * y + 6000.5]
            assert data["sdt_loss"][k] == x + 10 * y + 6000
            assert data["accuracy"][k] == 1 / (x + 10 * y + 6001)
            for name in ("step_accuracy", "sdt_loss_se", "tet_loss_se"):
                assert data[name][k] == getattr(surface, name)[1, j, i, 1]
    assert set(data["done"]) == {1}
    assert set(data["vtkGhostType"]) == {0}
    assert arrays["field"] == {"timestep": [2], "plane": [1], "plane_seed": [3]}
    assert (texts["height"], texts["label"], texts["split"]) == ("tet_loss", "VGGSNN TET", "train")


def test_vtk_hides_points_without_a_height(tmp_path: Path) -> None:
    _, arrays, _ = vtk_content(export_result(tmp_path / "a.vts", with_holes(tilted(2, 3)), "vtk", timestep=1))
    data, heights = arrays["data"], arrays["points"]["Points"][2::3]
    assert data["vtkGhostType"] == [0, 2, 0, 2, 2, 0]
    assert data["done"] == [1, 0, 1, 1, 1, 1]
    assert heights == [10.25, 10.25, 11.25, 10.25, 10.25, 26.25]
    np.testing.assert_array_equal(data["sdt_loss"], [10.25, np.nan, 11.25, np.nan, np.inf, 26.25])
    assert math.isnan(data["tet_loss"][1])  # whatever the file holds where done is 0
    assert data["tet_loss"][3] == 25.75


def test_vtk_text_of_any_kind_survives(tmp_path: Path) -> None:
    text = 'дом <&> "x" --> ]]>'
    surface = planted_surface(label=text)
    assert vtk_content(export_result(tmp_path / "a.vts", surface, "vtk"))[2]["label"] == text


# --- tables and netCDF --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_csv_holds_every_kind(kind: str, tmp_path: Path) -> None:
    result: Result = MAKERS[kind]()
    table = pd.read_csv(export_result(tmp_path / "a.csv", result, "csv"), dtype=str).astype(float)
    frame = result.to_frame().reset_index()
    assert list(table.columns) == list(frame.columns)
    assert len(table) == len(frame) > 10
    np.testing.assert_allclose(table, frame.to_numpy(float), rtol=1e-14)


def test_csv_of_a_surface_line_by_line(tmp_path: Path) -> None:
    surface = with_holes(tilted(2, 3))
    lines = export_result(tmp_path / "a.csv", surface, "csv").read_text(encoding="utf-8").splitlines()
    header, *rows = [line.split(",") for line in lines]
    assert header[:4] == ["plane", "y", "x", "timestep"]
    assert len(rows) == 2 * 2 * 3 * 3
    column = header.index("sdt_loss")
    found = {tuple(map(float, row[:4])): row[column] for row in rows}
    assert float(found[1, 2.5, 0.75, 3]) == 0.75 + 25 + 2000 + 5000
    column = header.index("accuracy")
    assert {float(row[column]) for row in rows} >= set(surface.accuracy[1].ravel().tolist())  # to the last bit
    assert found[0, 1, 0.75, 1] == "nan"
    assert found[0, 2.5, 0.75, 1] == "inf"


@pytest.mark.parametrize("kind", MAKERS)
def test_netcdf_holds_every_kind_whole(kind: str, tmp_path: Path) -> None:
    result: Result = MAKERS[kind]()
    path = export_result(tmp_path / "a.nc", result, "netcdf")
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert dict(data.sizes) == result.sizes()
        assert set(result.held()) == {str(name) for name in data.variables}
        for name, schema in result.held().items():
            assert data[name].dims == schema["dims"]
            np.testing.assert_array_equal(data[name].values, getattr(result, name))
    assert type(load(path)) is type(result)


def test_a_file_of_the_tool_becomes_a_result(tmp_path: Path) -> None:
    path = export_result(tmp_path / "a.nc", load_any(hand_made(tmp_path / "tg.h5", 5, 2)), "netcdf")
    found = load(path, Surface)
    assert found.sdt_loss[0, 1, 4, 0] == 1 + 20 + 100
    with xarray.open_dataset(path, engine="h5netcdf") as data:
        assert float(data["sdt_loss"].sel(x=1, y=2, plane=0, timestep=1)) == 121


# --- what is chosen, and refused ----------------------------------------------------------------------------


def test_the_defaults_are_those_of_the_figures() -> None:
    surface = planted_surface(timesteps=6, t_train=4, loss="tet")
    assert dataclasses.astuple(choose_cut(surface)) == ("tet", 4, 0)
    assert choose_cut(dataclasses.replace(surface, t_train=9)).timestep == 6
    assert dataclasses.astuple(choose_cut(planted_trajectory(), "sdt", 2, 0)) == ("sdt", 2, 0)


@pytest.mark.parametrize("to", [name for name, each in EXPORTS.items() if each.cuts])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timestep": 9}, "9 VGGSNN TET 1 3"),
        ({"plane": 2}, "3 VGGSNN TET 1 2"),
        ({"plane": -1}, "plane 0"),
        ({"loss": "mse"}, "'mse'"),
        ({"loss": "tet"}, "finite 3 1"),
    ],
)
def test_what_a_surface_does_not_hold(to: str, options: dict[str, Any], message: str, tmp_path: Path) -> None:
    surface = tilted(2, 3)
    surface.tet_loss[0] = np.nan
    with refuses(ResultError, message):
        export_result(tmp_path / "a", surface, to, **options)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_surface_without_a_point_is_refused(tmp_path: Path) -> None:
    # arrays that were never written may hold anything
    with refuses(ResultError, "finite loss"):
        export_result(tmp_path / "a.vts", tilted(2, 3, done=np.zeros((2, 2, 3))), "vtk")


@pytest.mark.parametrize("to", ["csv", "netcdf"])
def test_options_of_a_cut_do_not_apply_to_a_whole_result(to: str, tmp_path: Path) -> None:
    with refuses(ValueError, to):
        export_result(tmp_path / "a", tilted(2, 3), to, timestep=1, plane=0)
    with refuses(ValueError, "'vtkk' 'vtk'"):
        export_result(tmp_path / "a", tilted(2, 3), "vtkk")


@pytest.mark.parametrize("to", EXPORTS)
def test_an_existing_file_is_kept_without_force_and_whole_after_a_failure(
    to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{EXPORTS[to].suffix}"
    path.write_text("precious")
    with refuses(OutputError, "--force"):
        export_result(path, tilted(2, 3), to)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with refuses(OutputError, "space left"):
            export_result(path, tilted(2, 3), to, force=True)
    assert path.read_text() == "precious"
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    export_result(path, tilted(2, 3), to, force=True)
    assert path.read_bytes() != b"precious"


@pytest.mark.parametrize("to", EXPORTS)
def test_the_same_result_gives_the_same_bytes(to: str, tmp_path: Path) -> None:
    surface = tilted(2, 3)
    a, b = (export_result(tmp_path / name, surface, to) for name in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()


# --- the command --------------------------------------------------------------------------------------------


def run(*args: Any) -> Any:
    return CliRunner().invoke(export, [str(arg) for arg in args])


@pytest.mark.parametrize("to", EXPORTS)
def test_the_command_writes_beside_the_file(to: str, tmp_path: Path) -> None:
    source = save(tmp_path / "tet.landscape.h5", tilted(2, 3, "test"))
    result = run(source, "--to", to)
    assert result.exit_code == 0, result.output
    target = tmp_path / f"tet.landscape{EXPORTS[to].suffix}"
    assert f"wrote {target}" in result.stderr
    assert result.stdout == ""
    assert {each.name for each in tmp_path.iterdir()} == {source.name, target.name}
    assert isinstance(run(source, "--to", to).exception, OutputError)
    assert run(source, "--to", to, "--force").exit_code == 0


def test_the_command_passes_its_options_on_and_says_what_it_took(tmp_path: Path) -> None:
    source = save(tmp_path / "a.h5", with_holes(tilted(2, 3, "test")))
    target = tmp_path / "b.h5"
    result = run(source, "--to", "loss-landscape", "--loss", "tet", "--t", 2, "--plane", 2, "-o", target)
    assert result.exit_code == 0, result.output
    heard(result.stderr, "L_TET 2 test_loss")
    assert as_the_tool_reads(target, "test_loss")[0.25, 2.5] == 0.25 + 25 + 6000.5
    result = run(target, "--to", "vtk")
    assert result.exit_code == 0, result.output
    assert vtk_content(tmp_path / "b.vts")[1]["data"]["tet_loss"][3] == 0.25 + 25 + 6000.5
    result = run(source, "--to", "vtk", "--t", 1)
    heard(result.stderr, "1 6 points")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--to", "csv", "--t", 2), "--to csv writes all losses, timesteps and planes; leave out --t"),
        (("--to", "netcdf", "--loss", "sdt", "--plane", 1), "leave out --loss, --plane"),
        (("--to", "vkt"), "did you mean 'vtk'"),
        (("--to", "vtk", "-o", "b.h5"), "writes a file that ends in .vts"),
        (("--to", "loss-landscape", "-o", "a.h5", "--force"), "is the file to export"),
        ((), "--to"),
    ],
)
def test_misuse_of_the_command(
    args: tuple[Any, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = save(Path("a.h5"), tilted(2, 3))
    before = source.read_bytes()
    result = run("a.h5", *args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert source.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("to", ["vtk", "loss-landscape"])
def test_the_command_refuses_what_is_no_surface(to: str, tmp_path: Path) -> None:
    source = save(tmp_path / "a.h5", planted_curve())
    error = run(source, "--to", to).exception
    assert isinstance(error, ResultError)
    heard(str(error), "'scaling'")


@pytest.mark.parametrize("to", EXPORTS)
@pytest.mark.parametrize("content", [None, b"", b"hello", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04" + bytes(500)])
def test_the_command_on_hostile_files(content: bytes | None, to: str, tmp_path: Path) -> None:
    source = tmp_path / "a.pt"
    if content is not None:
        source.write_bytes(content)
    error = run(source, "--to", to).exception
    assert isinstance(error, TetvizError)
    assert "a.pt" in str(error)
    assert "\n" not in str(error)
    assert len(list(tmp_path.iterdir())) == (content is not None)


def test_the_help_names_every_format() -> None:
    context = click.Context(export, info_name="export")
    text = export.get_help(context)
    for name in EXPORTS:
        assert f"\n  {name} " in text


def test_a_loss_that_no_surface_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    export_result(path, planted_surface(size=3), "loss-landscape")
    with h5py.File(path, "r+") as file:
        file.attrs["loss"] = "mean"
    with pytest.raises(ResultError, match="its loss is 'mean'"):
        read_loss_landscape(path)
