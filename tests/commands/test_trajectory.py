"""``tetviz trajectory`` and ``plane``: checkpoints on a plane."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import tetviz
from click.testing import Result
from moved_run import (
    EPOCHS,
    result_of,
)

from tetviz.results import Trajectory, load
from tetviz.training import Checkpoint


def weights(path: Path) -> np.ndarray:
    checkpoint = Checkpoint.load(path)
    return np.concatenate([p.detach().double().numpy().ravel() for p in checkpoint.model().parameters()])


def test_trajectory_prints_what_it_stores(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    found, rows = result_of("trajectory", tet), records["trajectory"]
    assert [row["name"] for row in rows] == [f"epoch {k}" for k in range(EPOCHS + 1)] == list(found.names)
    kept = [weights(tet.with_name("tet.kept") / f"epoch-{k:04d}.pt") for k in range(EPOCHS + 1)]
    np.testing.assert_allclose(found.distance, [np.linalg.norm(w - kept[-1]) for w in kept], rtol=1e-5)
    for k, row in enumerate(rows):
        assert row["x"] == found.point_x[k] and row["residual"] == found.residual[k]
        assert row["L_SDT"] == found.true_sdt_loss[k, -1] and row["L_SDT on plane"] == found.projected_sdt_loss[k, -1]
        assert row["L_TET"] == found.true_tet_loss[k, -1] and row["accuracy"] == found.true_accuracy[k, -1]
        assert f"{row['L_SDT']:.4f}" in measured["trajectory"].stdout
        off = math.hypot(row["x"], row["y"]) ** 2 + (row["residual"] * row["distance"]) ** 2
        assert math.sqrt(off) == pytest.approx(row["distance"], rel=1e-4)
    assert f"{found.explained[0]:.1%} + {found.explained[1]:.1%}" in measured["trajectory"].stdout
    assert found.true_sdt_loss[-1, -1] == found.projected_sdt_loss[-1, -1]


def test_the_true_losses_of_a_trajectory_are_those_of_the_history(tet: Path, quick: Any, tmp_path: Path) -> None:
    tetviz("trajectory", tet, "--grid", 5, "--samples", 0, "-o", tmp_path / "x.h5")
    found = load(tmp_path / "x.h5", Trajectory)
    history = Checkpoint.load(tet.with_name("tet.last.pt")).history
    for name in ("sdt_loss", "tet_loss", "accuracy"):
        expected = [record[f"test_{name}"] for record in history]
        np.testing.assert_allclose(getattr(found, f"true_{name}")[1:, -1], expected, rtol=1e-5)


def test_plane_goes_through_three_checkpoints(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    found, rows = result_of("plane", tet), records["plane"]
    assert [row["name"] for row in rows] == ["tet", "other", "early"] and found.path == "checkpoints"
    here, other, early = (weights(tet.with_name(f"{name}.pt")) for name in ("tet", "other", "early"))
    assert (rows[0]["x"], rows[0]["y"], rows[0]["residual"]) == (0, 0, 0)
    assert rows[1]["x"] == pytest.approx(np.linalg.norm(other - here), rel=1e-5)
    assert rows[1]["y"] == pytest.approx(0, abs=1e-4)
    assert math.hypot(rows[2]["x"], rows[2]["y"]) == pytest.approx(np.linalg.norm(early - here), rel=1e-5)
    assert max(row["residual"] for row in rows) < 1e-4
    assert f"{rows[2]['L_SDT']:.4f}" in measured["plane"].stdout
    centre = [int(np.flatnonzero(axis == 0)[0]) for axis in (found.y, found.x)]
    assert found.sdt_loss[0, centre[0], centre[1], -1] == rows[0]["L_SDT"]
