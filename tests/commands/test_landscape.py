"""``tetviz landscape``: what it prints, records and draws."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import tetviz
from click.testing import Result
from moved_run import (
    SAMPLES,
    last_line,
    result_of,
)

from tetviz.results import Lines, Surface, load


def test_landscape_prints_both_planes(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    surface = result_of("landscape", tet)
    assert surface.sdt_loss.shape == (2, 5, 5, 2)
    for row, values in zip(records["landscape"], (surface.sdt_loss, surface.tet_loss), strict=True):
        values = values[..., -1]
        found = [row[key] for key in ("planes", "timesteps", "centre", "lowest", "mean", "highest", "not_finite")]
        np.testing.assert_allclose(
            found, [2, 2, values[0, 2, 2], values.min(), values.mean(), values.max(), 0], rtol=1e-12
        )
    table = measured["landscape"].stdout
    assert f"{surface.sdt_loss[0, 2, 2, -1]:.4g}" in table and f"{surface.tet_loss[..., -1].max():.4g}" in table
    assert "Means over 2 planes at T = 2, in brackets 95 %" in table and "BN statistics frozen" in table
    assert "2 planes are" in table and "few" in table


def test_options_of_the_landscape_are_recorded(tet: Path, quick: Any, tmp_path: Path) -> None:
    asked = {
        "plain": (),
        "norm": ("--direction-norm", "layer"),
        "params": ("--params", "bias=random"),
        "orthogonal": ("--orthogonal",),
        "recalibrate": ("--bn", "recalibrate", "--calibration", 30),
        "batch": ("--bn", "batch"),
    }
    results, said = {}, {}
    for name, args in asked.items():
        target = tmp_path / f"{name}.h5"
        said[name] = tetviz("landscape", tet, "--grid", 3, *SAMPLES, *args, "-o", target).stderr
        results[name] = load(target, Surface)
    plain = results["plain"]
    assert (plain.norm, plain.bn, plain.orthogonal, plain.policy) == (
        "filter",
        "frozen",
        0,
        "random weight; hold bias, norm, neuron",
    )
    assert results["norm"].norm == "layer"
    assert results["params"].policy == "random weight, bias; hold norm, neuron"
    assert results["orthogonal"].orthogonal == 1
    assert abs(results["orthogonal"].axis_cosine[0]) < 1e-6 < abs(plain.axis_cosine[0])
    assert results["recalibrate"].bn == "recalibrate" and len(results["recalibrate"].calibration) == 30
    assert results["batch"].bn == "batch"
    assert np.isnan(results["batch"].sdt_loss[..., 0]).all() and np.isfinite(results["batch"].sdt_loss[..., 1]).all()
    for name in ("recalibrate", "batch"):
        centre = f"{results[name].sdt_loss[0, 1, 1, -1]:.4f}"
        (note,) = [line for line in said[name].splitlines() if line.startswith(f"batch norm {name}")]
        assert centre in note and f"{plain.sdt_loss[0, 1, 1, -1]:.4f}" in note
    values = [result.sdt_loss[0, 0, 0, -1] for result in results.values()]
    assert len(set(values)) == len(values)  # each option did something


def test_t_chooses_what_is_drawn_and_printed(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    drawn = {}
    for t in (1, 2):
        table = tetviz("landscape", tet, "--grid", 3, *SAMPLES, "--t", t, "-o", tmp_path / f"{t}.h5").stdout
        assert f"\nAt T = {t}\n" in table
        drawn[t] = (tmp_path / f"{t}.png").read_bytes()
        assert drawn[t].startswith(b"\x89PNG")
    assert drawn[1] != drawn[2]
    for name in ("sdt_loss", "tet_loss"):
        one, two = (getattr(load(tmp_path / f"{t}.h5", Surface), name) for t in (1, 2))
        np.testing.assert_array_equal(one, two)


def test_range_auto_goes_as_far_as_the_loss_rises(run: Path, quick: Any) -> None:
    other = run.with_name("other.pt")
    result = tetviz("line", run, other, "--range", "auto:2", "--grid", 3, "--planes", 1, *SAMPLES)
    found = [float(d) for d in re.findall(r"L_SDT is 2 times as high at a distance of (\S+)", result.stderr)]
    lines = [load(run.with_name(f"{name}.line.h5"), Lines) for name in ("tet", "other")]
    assert len(found) == 2
    for each in lines:
        assert each.x.tolist() == [-max(found), 0, max(found)]
    widest = lines[found.index(max(found))].sdt_loss[..., -1]
    assert widest[:, [0, 2]].mean() == pytest.approx(2 * widest[0, 1], rel=0.3)
    assert widest[:, [0, 2]].mean() >= 2 * widest[0, 1] * (1 - 1e-6)


def test_range_auto_says_when_the_loss_does_not_rise(tet: Path, quick: Any, tmp_path: Path) -> None:
    chance = tet.with_name("chance.pt")
    result = tetviz(
        *("landscape", chance, "--allow-chance", "--range", "auto:1000", *SAMPLES, "-o", tmp_path / "x.h5"), code=1
    )
    assert "--range auto" in last_line(result) and "not 1000 times as much" in last_line(result)
    assert not list(tmp_path.iterdir())
