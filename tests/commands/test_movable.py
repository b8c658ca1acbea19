"""What all commands that move a network have in common: files, streams, seeds, and that they go on."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from cli_runs import bytes_in, tetviz
from click.testing import Result
from moved_run import (
    COMMANDS,
    KINDS,
    NAMES,
    SAMPLES,
    command_of,
    last_line,
    result_of,
    same_datasets,
)

from tetviz.landscape import Evaluator
from tetviz.results import Lines, load


def test_files_figures_and_streams(tet: Path, measured: dict[str, Result]) -> None:
    for name, result in measured.items():
        target = tet.with_name(NAMES[name])
        done, total = load(target, KINDS[name]).progress()
        assert done == total > 0
        assert target.with_suffix(".png").read_bytes().startswith(b"drawn")
        assert f"wrote {target}" in result.stderr and "wrote" not in result.stdout
        assert re.search(r"\d+ points, .* about \d", result.stderr) and "points," not in result.stdout
        assert "Warning" not in result.stderr
        assert "T = 2" in result.stdout
        with h5py.File(target) as file:
            assert file["provenance"].attrs["command"].startswith(f"tetviz {name} {tet}")
    assert tet.with_name("tet-other.curve.pt").exists()
    assert not [path for path in tet.parent.iterdir() if "partial" in path.name]


def test_json_is_the_same_measurement(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    for name, rows in records.items():
        assert isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows), name


def test_a_seed_means_the_same_planes_to_every_command(tet: Path, measured: dict[str, Result]) -> None:
    surface, line, sharpness = (result_of(name, tet) for name in ("landscape", "line", "sharpness"))
    np.testing.assert_array_equal(line.direction_seed, surface.direction_seed.ravel())
    for plane in (0, 1):  # the second is built only after the network has been moved along the first
        for lines in (line, sharpness):
            np.testing.assert_allclose(lines.sdt_loss[2 * plane], surface.sdt_loss[plane, 2], rtol=1e-6)
            np.testing.assert_allclose(lines.sdt_loss[2 * plane + 1], surface.sdt_loss[plane, :, 2], rtol=1e-6)


def test_a_plane_does_not_depend_on_how_many_there_are(
    tet: Path, measured: dict[str, Result], quick: Any, tmp_path: Path
) -> None:
    many = tmp_path / "many.h5"
    tetviz("line", tet, "--planes", 3, "--grid", 3, *SAMPLES, "-o", many)
    np.testing.assert_allclose(load(many, Lines).sdt_loss[:4], result_of("line", tet).sdt_loss[:, ::2], rtol=1e-6)


def test_info_and_plot_know_every_kind(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    for name in COMMANDS:
        target = tet.with_name(NAMES[name])
        said = tetviz("info", target).stdout
        done, total = result_of(name, tet).progress()
        assert re.search(rf"^kind +{KINDS[name].kind}$", said, re.M)
        assert re.search(rf"^points done +{done} of {total}$", said, re.M)
        figure = tmp_path / f"{name}.png"
        options = () if name == "curvature" else ("--loss", "tet")
        result = tetviz("plot", target, *options, "-o", figure)
        assert figure.read_bytes().startswith(b"\x89PNG") and result.stdout == "" and str(figure) in result.stderr


def interrupted(after: int) -> Callable[..., Any]:
    """Evaluator.measure that is stopped by the user at a point."""
    original, count = Evaluator.measure, 0

    def measure(self: Evaluator, *args: Any, **options: Any) -> Any:
        nonlocal count
        if count == after:
            raise KeyboardInterrupt
        count += 1
        return original(self, *args, **options)

    return measure


# After how many evaluations a run is stopped, and other options that its file must refuse, with what they change.
STOPS: dict[str, tuple[tuple[int, ...], dict[tuple[Any, ...], str]]] = {
    "landscape": (
        (10, 30),
        {
            ("--seed", 1): "plane seed",
            ("--params", "bias=random"): "policy",
            ("--planes", 3): "plane",
        },
    ),
    "sharpness": ((15,), {("--rho", "0.01,0.2"): "rho"}),
    "line": ((14,), {("--range", "-2:2"): "range", ("--samples", 19): "samples"}),
    "interpolate": ((9,), {("--calibration", 19): "calibration"}),
    "connect": ((4,), {("--samples", 19): "samples"}),
    "trajectory": ((3, 12), {("--bn", "batch"): "bn"}),
    "curvature": ((20,), {("--radii", "0.03"): "radius"}),
}


@pytest.mark.parametrize("name", STOPS)
def test_a_stopped_run_goes_on_to_the_same_numbers(
    name: str, run: Path, tet: Path, measured: dict[str, Result], quick: pytest.MonkeyPatch
) -> None:
    command, target = command_of(name, run), run.with_name(NAMES[name])
    stops, others = STOPS[name]
    for after in stops:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Evaluator, "measure", interrupted(after))
            result = tetviz(*command, code=130)
        assert str(target) in last_line(result) and "same command" in last_line(result) and result.stdout == ""
        done, total = load(target, KINDS[name]).progress()
        assert done < total
    assert re.search(rf"^points done +{done} of {total}$", tetviz("info", target).stdout, re.M)
    before = bytes_in(run.parent)
    for option, word in others.items():
        error = last_line(tetviz(*command, *option, code=1))
        assert re.search(rf"with another [^;]*\b{word}\b", error) and "--force" in error, error
        assert bytes_in(run.parent) == before
    result = tetviz(*command)
    assert f"resumed: {done} of {total}" in result.stderr or not done
    assert "surrogate Hessian" not in result.stderr and "training the curve" not in result.stderr
    same_datasets(target, tet.with_name(NAMES[name]))
    if name != "curvature":
        assert result.stdout == measured[name].stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_finished_file_is_replaced_only_by_force(
    name: str, run: Path, tet: Path, measured: dict[str, Result], quick: Any
) -> None:
    target = run.with_name(NAMES[name])
    for path in [target, target.with_suffix(".png"), *([target.with_suffix(".pt")] if name == "connect" else [])]:
        path.write_bytes(tet.with_name(path.name).read_bytes())
    before = bytes_in(run.parent)
    again = tetviz(*command_of(name, run))
    assert f"{target}: is there already, finished" in again.stderr and "wrote" not in again.stderr
    assert again.stdout == measured[name].stdout and bytes_in(run.parent) == before
    error = last_line(tetviz(*command_of(name, run), "--samples", 10, code=1))
    assert target.name in error and "another" in error and "--force" in error
    assert bytes_in(run.parent) == before
    target.with_suffix(".png").unlink()
    assert f"wrote {target.with_suffix('.png')}" in tetviz(*command_of(name, run)).stderr
    assert bytes_in(run.parent) == before
    if name not in ("landscape", "connect", "trajectory"):
        return
    tetviz(*command_of(name, run), "--samples", 10, "--force")
    assert len(load(target, KINDS[name]).sample) == 10
    assert target.with_suffix(".png").read_bytes().startswith(b"drawn")


@pytest.mark.parametrize("name", ["landscape", "sharpness", "line", "curvature"])
def test_a_network_at_chance_is_measured_only_on_demand(name: str, run: Path, quick: Any) -> None:
    run.write_bytes(run.with_name("chance.pt").read_bytes())
    before = bytes_in(run.parent)
    error = last_line(tetviz(*command_of(name, run), code=1))
    assert "no better than chance" in error and "--allow-chance" in error and "log 10 = 2.3026" in error
    assert bytes_in(run.parent) == before
    if name == "line":
        result = tetviz(*command_of(name, run), "--allow-chance")
        assert "warning: above chance: no better than chance" in result.stderr
        assert run.with_name(NAMES[name]).exists()
