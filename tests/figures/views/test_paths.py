"""Barriers between checkpoints and checkpoints on a plane: tables hold the numbers of the results."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_interpolation, planted_trajectory

from tetviz.figures import Choices, draw_named, printed, records
from tetviz.figures.registry import default_table, view_of
from tetviz.summaries import barriers, mean_along


@pytest.mark.parametrize("path", ["linear", "bezier"])
@pytest.mark.parametrize("timestep", [None, 2])
def test_barriers_are_those_of_the_summaries(path, timestep):
    lines = planted_interpolation(path=path)
    step = timestep or 4
    table = view_of([lines]).tables["barrier-table"].make([lines], Choices(timestep=timestep))
    rows = table.frame
    expected = [
        (f"L_{loss.upper()}", name, *getattr(lines, f"end_{loss}_loss")[:, step - 1], height, means[name])
        for loss in ("sdt", "tet")
        for means in [mean_along(lines, loss, step)]
        for name, height in barriers(lines, loss, step).items()
    ]
    assert rows[["loss", "line"]].to_numpy().tolist() == [list(row[:2]) for row in expected]
    np.testing.assert_allclose(rows.iloc[:, 2:].to_numpy(float), [row[2:] for row in expected])
    cells = table.cells()
    assert cells["barrier (nat)"].tolist() == [f"{row[4]:.4f}" for row in expected]
    assert table.note == f"At T = {step}"


def test_a_barrier_beyond_all_bounds_is_a_dash():
    lines = planted_interpolation()
    loss = lines.sdt_loss.copy()
    loss[0, 20] = np.inf
    cells = draw_named("barrier-table", [replace(lines, sdt_loss=loss)]).cells()
    assert cells["barrier (nat)"].tolist()[0] == "-" != cells["barrier (nat)"].tolist()[1]


def test_json_of_paths_has_the_names_of_the_columns():
    first, *others = records([planted_interpolation()])
    assert list(first) == ["loss", "timesteps", "line", "first", "second", "barrier", "mean along"]
    assert len(others) == 5 and first["loss"] == "L_SDT" and first["timesteps"] == 4
    (row, *_) = records([planted_trajectory()])
    assert list(row) == [
        *("name", "x", "y", "distance", "residual", "L_SDT", "L_SDT on plane", "L_TET", "L_TET on plane", "accuracy")
    ]


@pytest.mark.parametrize("path", ["training", "checkpoints"])
def test_checkpoints_on_a_plane_are_those_of_the_result(path):
    result = planted_trajectory(path=path)
    cells = draw_named("checkpoint-table", [result]).cells()
    assert cells.index.tolist() == list(result.names)
    for head, values in (
        ("x", result.point_x),
        ("residual", result.residual),
        ("L_SDT (nat)", result.true_sdt_loss[:, 3]),
        ("L_TET on plane (nat)", result.projected_tet_loss[:, 3]),
    ):
        np.testing.assert_allclose(cells[head].astype(float), values, atol=5.1e-5)
    assert cells["accuracy"].tolist() == [f"{100 * share:.2f}%" for share in result.true_accuracy[:, 3]]
    assert ("the axes hold 90.0% + 6.0% of" in printed([result])) == (path == "training")


def test_lines_between_checkpoints_have_a_view_of_their_own():
    assert default_table([planted_interpolation()]) == "barrier-table"
    assert default_table([planted_trajectory()]) == "checkpoint-table"
    assert "barrier" in printed([planted_interpolation()], Choices())
