"""``tetviz plot`` on planted files of every kind."""

import dataclasses
import shutil

import numpy as np
import pytest
from cli_runs import refused
from click.testing import CliRunner
from PIL import Image
from planted_results import (
    planted_curvature,
    planted_curve,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)
from wording import heard

from tetviz.cli import main
from tetviz.errors import ResultError
from tetviz.figures import draw
from tetviz.results import open_result, save

PLANTED = {
    "surface": lambda: planted_surface(planes=3),
    "trajectory": planted_trajectory,
    "lines": planted_lines,
    "interpolation": planted_interpolation,
    "sharpness": planted_sharpness,
    "curvature": planted_curvature,
    "scaling": planted_curve,
}


@pytest.fixture
def files(tmp_path):
    return {name: str(save(tmp_path / f"{name}.h5", make())) for name, make in PLANTED.items()}


def plot(*args):
    return CliRunner().invoke(main, ["plot", *map(str, args)])


@pytest.mark.parametrize("name", PLANTED)
def test_every_kind_has_a_figure(name, files, tmp_path):
    result = plot(files[name], "-o", tmp_path / "a.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", [name for name in PLANTED if name != "scaling"])
def test_a_file_that_is_still_written_can_be_drawn(name, files, tmp_path):
    with open_result(files[name]) as result:
        done = result.done.reshape(-1)
        done[len(done) // 5 :] = 0
        for array in ("sdt_loss", "tet_loss", "accuracy"):
            values = getattr(result, array)
            values[result.done == 0] = np.nan
        if name == "sharpness":
            result.sam_done[1:], result.average_done[:] = 0, 0
            result.sam_sdt_loss[1:], result.average_sdt_loss[:] = np.nan, np.nan
        if name == "trajectory":
            result.projected_tet_loss[:] = np.nan
        if name == "interpolation":
            for array in ("sdt_loss", "tet_loss", "accuracy"):
                getattr(result, f"end_{array}")[:] = np.nan
        if name == "curvature":
            result.density[:], result.eigenvalue[:], result.surrogate_curvature[:] = np.nan, np.nan, np.nan
    out = plot(files[name], "-o", tmp_path / "a.svg")
    assert out.exit_code == 0, out.output
    text = (tmp_path / "a.svg").read_text()
    assert " points" in text


def test_planes_and_timesteps_are_chosen(files, tmp_path):
    surface = files["surface"]
    drawn = {}
    for name, options in {
        "first": (),
        "one": ("--plane", 1),
        "third": ("--plane", 3),
        "planes": ("--all-planes", "--t", 2),
        "all t": ("--all-t", "--plane", 2, "--loss", "sdt"),
    }.items():
        result = plot(surface, *options, "-o", tmp_path / f"{name}.svg")
        assert result.exit_code == 0, result.output
        drawn[name] = (tmp_path / f"{name}.svg").read_text()
    assert drawn["first"] == drawn["one"] and "plane 3 of 3" in drawn["third"]
    assert "plane 2 of 3" in drawn["planes"] and "as in training" in drawn["all t"]
    assert plot(surface, "--plane", 2, "-o", tmp_path / "t.gif").exit_code == 0
    with Image.open(tmp_path / "t.gif") as image:
        assert image.n_frames == 4
    refused = plot(surface, "-o", tmp_path / "t.gif")
    assert refused.exit_code == 1 and "exists already" in refused.output


@pytest.mark.parametrize(
    ("names", "options", "output", "words", "code"),
    [
        (["surface"], ["--plane", 4], "a.png", "4 VGGSNN TET 1 3", 1),
        (["surface"], ["--plane", 0], "a.png", "x>=1", 2),
        (["lines"], ["--plane", 1], "a.png", "and timestep", 1),
        (["lines"], ["--all-t"], "a.png", "--all-t", 1),
        (
            ["surface", "surface"],
            ["--all-planes"],
            "a.png",
            "--all-planes 1 2",
            1,
        ),
        (["trajectory"], [], "a.gif", "surface trajectory", 1),
        (["scaling"], [], "a.gif", "surface scaling", 1),
        (["surface"], ["--t", 2], "a.gif", "them --t", 2),
        (["surface"], ["--all-t", "--t", 2], "a.png", "leave out --t", 2),
        (["surface"], ["--all-planes", "--plane", 2], "a.png", "--plane", 2),
        (["surface"], ["--all-planes", "--all-t"], "a.png", "exclude other", 2),
        (["surface"], ["--all-planes"], "a.gif", "exclude other", 2),
        (["curvature"], ["--t", 2], "a.png", "timestep loss", 1),
        (["curvature"], ["--loss", "tet"], "a.png", "'sdt'", 1),
        (["curvature", "curvature"], [], "a.png", "2 curvature", 1),
        (["surface"], [], "a.jpg", "png pdf", 1),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(names, options, output, words, code, files, tmp_path):
    given = [shutil.copy(files[name], tmp_path / f"{number}.h5") for number, name in enumerate(names)]
    result = plot(*given, *options, "-o", tmp_path / output)
    assert result.exit_code == code, result.output
    (error,) = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    heard(error, words)
    assert error == result.output.splitlines()[-1]
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("value", [1e308, -1e308])
def test_a_number_that_no_axis_can_show_is_refused_in_a_line(value):
    surface = planted_surface(size=5)
    losses = surface.tet_loss.copy()
    losses.flat[-1] = value
    with pytest.raises(ResultError, match=r"its tet_loss reaches 1e\+308"):
        draw([dataclasses.replace(surface, tet_loss=losses)])


def test_files_of_kinds_that_do_not_belong_together_are_named(tmp_path):
    for name, result in (("a.h5", planted_curve()), ("b.h5", planted_surface()), ("c.h5", planted_curve())):
        save(tmp_path / name, result)
    files = [tmp_path / name for name in ("a.h5", "b.h5", "c.h5")]
    for options in ((), ("--figure", "fig4a")):
        line = refused(tmp_path, "plot", *files, *options, "-o", tmp_path / "x.png")
        assert line.endswith(f"({files[0]} holds scaling, {files[1]} holds surface)")
