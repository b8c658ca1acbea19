"""Types and values of attributes and arrays: one schema, held to by every reader."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from planted_attack import planted_attack
from planted_compression import planted_compression
from planted_isometry import planted_isometry
from planted_results import (
    planted_counts,
    planted_curvature,
    planted_curve,
    planted_history,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from planted_smoothness import planted_smoothness
from planted_training import planted_training

from tetviz.errors import ResultError
from tetviz.figures import printed
from tetviz.results import KINDS, load, save
from tetviz.results.plain import MOST_TIMESTEPS, check_plain, fits, read_json
from tetviz.results.schema import attribute_fields

MADE = {
    result.kind: result
    for result in (
        *(planted_surface(size=3), planted_trajectory(), planted_lines(), planted_sharpness(), planted_curvature()),
        *(planted_curve(tmax=4), planted_counts(), planted_history(), planted_training(), planted_isometry()),
        *(planted_compression(), planted_attack(), planted_smoothness()),
    )
}
WRONG = [5, 1.5, [1, 2], "x", "[]", '{"a": 1}', "[" * 10**4, "1" * 5000, b"\xff\xfe"]


def planted(kind: str, path: Path, where: str, name: str, value: Any) -> Path:
    save(path, MADE[kind])
    with h5py.File(path, "r+") as file:
        node = file if not where else file[where]
        del node.attrs[name]
        node.attrs[name] = value
    return path


def test_every_kind_is_here() -> None:
    assert set(MADE) == set(KINDS)


@pytest.mark.parametrize("kind", MADE)
def test_an_attribute_of_another_type_is_refused_in_a_line(kind: str, tmp_path: Path) -> None:
    for name in attribute_fields(KINDS[kind]):
        before = getattr(MADE[kind], name)
        for value in WRONG:
            path = planted(kind, tmp_path / "a.h5", "", name, value)
            try:
                found = getattr(load(path), name)
            except ResultError as error:
                named = name in str(error) or "TrainingHistory" in str(error)  # epochs point into losses and stages
                assert "\n" not in str(error) and named and len(str(error)) < 1000
            else:
                assert type(found) is type(before), (name, value)


@pytest.mark.parametrize("name", ["label", "training", "doctor", "created", "network", "neurons", "data_settings"])
def test_a_provenance_of_another_type_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    for value in WRONG:
        path = planted("scaling", tmp_path / "a.h5", "provenance", name, value)
        try:
            found = getattr(load(path).provenance, name)
        except ResultError as error:
            assert "\n" not in str(error) and name in str(error)
        else:
            assert type(found) is type(getattr(MADE["scaling"].provenance, name))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("training", {"loss": ["tet"]}),
        ("training", {"loss": "total", "lamb": "x", "seed": 0}),
        ("training", {"seed": None}),
        ("network", {"width": "wide"}),
        ("network", {"options": [1]}),
        ("neurons", {"surrogate": "sigmoid", "gamma": "x"}),
        ("doctor", [["a", "b"]]),
        ("doctor", [[1, 2, 3]]),
    ],
)
def test_a_setting_of_another_type_is_refused(name: str, settings: Any, tmp_path: Path) -> None:
    path = planted("scaling", tmp_path / "a.h5", "provenance", name, json.dumps(settings))
    with pytest.raises(ResultError, match=name):
        load(path)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("surface", "loss", "\x1b[31mtet"),
        ("surface", "t_train", -1),
        ("surface", "t_train", MOST_TIMESTEPS + 1),
        ("energy", "names", "[]"),
        ("history", "losses", "[]"),
        ("history", "stages", "[]"),
        ("lines", "path", "x"),
    ],
)
def test_a_value_out_of_its_limits_is_refused(kind: str, name: str, value: Any, tmp_path: Path) -> None:
    said = "loss_index|stage" if kind == "history" else name
    with pytest.raises(ResultError, match=said) as error:
        load(planted(kind, tmp_path / "a.h5", "", name, value))
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("surface", "timestep", 2**62),
        ("surface", "timestep", 0),
        ("surface", "x", np.nan),
        ("surface", "x", 5.0),
        ("surface", "y", np.inf),
        ("history", "loss_index", 99),
        ("history", "timesteps", 2**40),
        ("energy", "mac", -1),
        ("energy", "mac", 2**62),
    ],
)
def test_a_number_out_of_its_limits_is_refused(kind: str, name: str, value: Any, tmp_path: Path) -> None:
    path = save(tmp_path / "a.h5", MADE[kind])
    with h5py.File(path, "r+") as file:
        values = file[name][...]
        values.flat[0] = value
        file[name][...] = values
    with pytest.raises(ResultError, match=name):
        load(path)


def test_types() -> None:
    assert fits(1, int) and fits(1, float) and fits(1.0, float) and fits(True, bool) and fits(None, int | None)
    assert not fits(True, int) and not fits(True, float) and not fits(1.0, int) and not fits(None, int)
    assert fits(("a",), tuple[str, ...]) and fits(((1, 2),), tuple[tuple[int, int], ...])
    assert not fits(("a", 1), tuple[str, ...]) and not fits(((1, 2, 3),), tuple[tuple[int, int], ...])
    assert fits({"a": [1]}, dict[str, list[int]]) and not fits({1: [1]}, dict[str, list[int]])


def test_plain_values_are_as_large_as_they_look() -> None:
    check_plain({"a": [1, 2.5, None, True, "x", ("y",)]}, "it")
    loop: dict[str, Any] = {}
    loop["a"] = loop
    wide: list[Any] = []
    for _ in range(30):
        wide = [wide, wide]
    for value in (loop, wide, {1: 2}, {("a", "b"): 1}, [object()], [b"x"], [1j]):
        with pytest.raises(ValueError, match="it "):
            check_plain(value, "it")
    for text in ("[" * 10**5, "1" * 5000, "{", '{"a": NaN', "[" * 40 + "]" * 40):
        with pytest.raises(ValueError, match="it "):
            read_json(text, "it")


@pytest.mark.parametrize("kind", MADE)
def test_positions_count_up_one_by_one(kind: str) -> None:
    result = MADE[kind]
    positions = {field: schema["first"] for field, schema in result.held().items() if schema["first"] is not None}
    for field, first in positions.items():
        values = getattr(result, field)
        assert values.tolist() == list(range(first, first + len(values)))
        for moved in (values + 1, values[::-1] - 1, np.full_like(values, 2**62)) if len(values) else ():
            with pytest.raises(ValueError, match=rf"\.{field}: expected "):
                dataclasses.replace(result, **{field: moved})


def test_most_kinds_have_positions() -> None:
    assert {kind for kind, made in MADE.items() if any(s["first"] is not None for s in made.held().values())} == (
        MADE.keys() - {"history"}
    )


@pytest.mark.parametrize("name", ["phi", "step_phi", "run_phi_se", "closed_form", "bypass", "mass", "layer_gradient"])
def test_squares_and_norms_are_not_negative(name: str) -> None:
    result = MADE["isometry"]
    with pytest.raises(ValueError, match=rf"\.{name}: expected values from 0"):
        dataclasses.replace(result, **{name: getattr(result, name) - 1e9})


@pytest.mark.parametrize("kind", ["surface", "scaling"])
def test_accuracies_are_fractions(kind: str) -> None:
    for change in (-1, 1.01):
        with pytest.raises(ValueError, match=r"accuracy: expected values from 0 to 1"):
            dataclasses.replace(MADE[kind], accuracy=MADE[kind].accuracy + change)


def test_lines_that_are_not_all_named_are_numbered() -> None:
    lines = dataclasses.replace(planted_interpolation(), names=("straight",) * 9)
    assert "line 1" in printed([lines])


def test_a_trace_of_no_parameters_has_no_mean() -> None:
    assert "over n nan" in printed([dataclasses.replace(MADE["curvature"], parameters=0)])
