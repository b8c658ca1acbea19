"""A measuring command given again: what is there is kept, what is missing is drawn, and another request is refused."""

import os
from pathlib import Path
from typing import Any

import click
import h5py
import pytest
import torch
from cli_runs import bytes_in, refused, tetviz

from tetviz.commands.measure import Job, recording
from tetviz.commands.movable import open_movable
from tetviz.models import ModelSpec, build
from tetviz.training import Checkpoint, load_data

# A command, an option that asks for something else, and the figures beside the result of tet.pt.
COMMANDS: dict[str, tuple[tuple[Any, ...], tuple[Any, ...], set[str]]] = {
    "scale": (("--tmax", 3), ("--tmax", 4), {"tet.scale.png"}),
    "energy": (("--tmax", 2), ("--convention", "strict"), {"tet.energy.png"}),
    "isometry": (("--probes", 1), ("--seed", 1), {"tet.isometry.png"}),
    "training-energy": ((), ("--bn", "batch"), {"tet.training-energy.png"}),
}


@pytest.fixture
def nets(tmp_path: Path) -> list[Path]:
    """Two untrained networks."""
    data, paths = load_data("digits", split="test"), []
    for seed, name in enumerate(("sdt", "tet")):
        spec = ModelSpec("snn5", 10, data.in_channels, data.image_size, 0.0625)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            state = build(spec).state_dict()
        paths.append(tmp_path / f"{name}.pt")
        Checkpoint(spec, state, 2, data=data.spec.to_dict()).save(paths[-1])
    return paths


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_given_again_says_so_and_draws_what_is_missing(name: str, nets: list[Path], tmp_path: Path) -> None:
    options, other, figures = COMMANDS[name]
    command = (name, nets[1], "--samples", 12, *options)
    first = tetviz(*command)
    before = bytes_in(tmp_path)
    target = tmp_path / f"tet.{name}.h5"
    again = tetviz(*command)
    assert f"{target}: is there already, finished" in again.stderr and "wrote" not in again.stderr
    assert again.stdout == first.stdout and bytes_in(tmp_path) == before

    for figure in figures:
        (tmp_path / figure).unlink()
    drawn = tetviz(*command)
    assert all(f"wrote {tmp_path / figure}" in drawn.stderr for figure in figures)
    assert drawn.stdout == first.stdout and bytes_in(tmp_path) == before

    for figure in figures:  # as one that --force was about to replace when it was killed
        (tmp_path / figure).write_bytes(b"of another result")
        os.utime(tmp_path / figure, ns=(0, target.stat().st_mtime_ns - 1))
    drawn = tetviz(*command)
    assert all(f"wrote {tmp_path / figure}" in drawn.stderr for figure in figures) and bytes_in(tmp_path) == before
    assert tetviz(*command, "--json").stdout == tetviz(*command, "--json", "--force").stdout

    for wanted in (other, ("--split", "train" if name != "training-energy" else "test")):
        refused(tmp_path, *command, *wanted, words=(target.name, "exists already, measured with another", "--force"))
    with h5py.File(target, "r+") as file:
        file["provenance"].attrs["request"] = ""
    refused(tmp_path, *command, words=(target.name, "does not say what was asked for"))


def test_what_is_missing_of_several_is_measured_and_the_overlay_drawn(nets: list[Path], tmp_path: Path) -> None:
    command = ("scale", *nets, "--samples", 12, "--tmax", 3)
    first, before = tetviz(*command), bytes_in(tmp_path)
    (tmp_path / "sdt-tet.scale.png").unlink()
    again = tetviz(*command)
    assert "wrote" in again.stderr and again.stdout == first.stdout and bytes_in(tmp_path) == before

    for left in ("tet.scale.h5", "tet.scale.png", "sdt-tet.scale.png"):
        (tmp_path / left).unlink()
    rest = tetviz(*command)
    assert rest.stderr.count("is there already") == 1 and rest.stdout == first.stdout
    assert set(bytes_in(tmp_path)) == set(before)


def test_another_request_is_refused_before_anything_is_measured(nets: list[Path], tmp_path: Path) -> None:
    tetviz("scale", nets[1], "--samples", 12, "--tmax", 3)
    words = ("tet.scale.h5", "exists already")
    refused(tmp_path, "scale", *nets, "--samples", 12, "--tmax", 4, words=words)


def test_figures_asked_for_later_are_drawn(nets: list[Path], tmp_path: Path) -> None:
    command = ("scale", nets[1], "--samples", 12, "--tmax", 3)
    tetviz(*command)
    said = tetviz(*command, "--exit", "both", "--per-class")
    assert f"wrote {tmp_path / 'tet.exit.png'}, {tmp_path / 'tet.classes.png'}" in said.stderr


@pytest.mark.parametrize("resumes", [True, False])
def test_what_is_stopped_says_whether_the_same_command_goes_on(
    resumes: bool, nets: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with click.Context(click.Command("demo")):
        session = open_movable(nets[0], timesteps=2, batch_size=10, samples=10, seed=0, allow_chance=True)
    job = Job(nets[0], nets[0].with_suffix(".h5"), force=True, finished=False, resumes=resumes)
    with pytest.raises(click.exceptions.Exit), recording(session, job, 9):
        job.target.touch()
        raise KeyboardInterrupt
    told = capsys.readouterr().err.splitlines()[-1]
    again = "Go on with the same command (without --force)" if resumes else "A demo begins anew, with --force"
    assert told == f"stopped; every finished point is in {job.target}. {again}"
