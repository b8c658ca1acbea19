"""A measuring command given again: what is there is kept, what is missing is drawn, and another request is refused."""

import os
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
import pytest
import torch
from cli_runs import bytes_in, refused, tetviz
from PIL import Image
from wording import heard

from tetviz.commands.measure import Job, recording
from tetviz.commands.movable import open_movable
from tetviz.landscape.evaluator import Evaluator
from tetviz.models import ModelSpec, build
from tetviz.results import Surface, load
from tetviz.training import Checkpoint, DataSpec, load_data
from tetviz.training.data.images import FolderImages

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
        os.utime(tmp_path / figure, ns=(0, target.stat().st_mtime_ns + 10**12))  # by a clock that ran ahead
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


@pytest.fixture
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of digits as images, for the networks of 10 classes."""
    root, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for split in ("train", "test"):
        for label in range(10):
            (root / split / str(label)).mkdir(parents=True)
            Image.fromarray(draw.integers(0, 256, (16, 16, 3), np.uint8)).save(root / split / str(label) / "0.png")
    return root


@pytest.fixture
def of_pictures(tmp_path: Path, pictures: Path) -> Path:
    """An untrained network for them."""
    spec = ModelSpec("snn5", 10, 3, 16, 0.0625)
    data = DataSpec("imagefolder", str(pictures), image_size=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        Checkpoint(spec, build(spec).state_dict(), 2, data=data.to_dict()).save(tmp_path / "tet.pt")
    return tmp_path / "tet.pt"


def touched_once_read(monkeypatch: pytest.MonkeyPatch, path: Path, at: int = 7) -> None:
    """Changes a file of a folder of images as soon as another one of the same split is read."""
    read = FolderImages.__getitem__

    def change(self: FolderImages, index: int) -> Any:
        if index == at and str(path) in self.paths:
            Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
        return read(self, index)

    monkeypatch.setattr(FolderImages, "__getitem__", change)


@pytest.mark.parametrize(
    "command",
    [
        ("scale", "--tmax", 2),
        ("energy", "--tmax", 2),
        ("isometry", "--probes", 1, "--split", "test"),
        ("training-energy", "--split", "test"),
        ("landscape", "--grid", 3, "--allow-chance"),
        ("landscape", "--grid", 3, "--allow-chance", "--bn", "recalibrate", "TRAIN"),
        ("curvature", "--allow-chance"),
        ("doctor",),
    ],
    ids=lambda command: "-".join(str(part).strip("-") for part in command[::2]),
)
@pytest.mark.parametrize("place", ["2", "9"])  # of a file that was read before the change, and of one behind it
def test_a_file_that_changes_while_samples_are_read_is_named_and_nothing_is_written(
    command: tuple[Any, ...],
    place: str,
    of_pictures: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split = "train" if "TRAIN" in command else "test"
    changed = pictures / split / place / "0.png"
    touched_once_read(monkeypatch, changed)
    name, *options = (part for part in command if part != "TRAIN")
    line = refused(tmp_path, name, of_pictures, *options)
    assert heard(line).startswith(f"Error: {changed}: changed during the run: nothing was written")


def test_a_file_that_vanishes_while_samples_are_read_is_named(
    of_pictures: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, read = pictures / "test/9/0.png", FolderImages.__getitem__

    def remove(self: FolderImages, index: int) -> Any:
        gone.unlink(missing_ok=True)
        return read(self, index)

    monkeypatch.setattr(FolderImages, "__getitem__", remove)
    heard(refused(tmp_path, "scale", of_pictures, "--tmax", 2), "cannot be read as an image")


def test_a_surface_is_finished_when_its_data_change_after_they_were_read(
    of_pictures: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, measured = pictures / "test/3/0.png", Evaluator.measure
    command = ("landscape", of_pictures, "--grid", 3, "--allow-chance", "-o")
    tetviz(*command, tmp_path / "whole.h5")

    def measure(self: Evaluator, state: Any) -> Any:
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(changed)
        return measured(self, state)

    monkeypatch.setattr(Evaluator, "measure", measure)
    said = tetviz(*command, tmp_path / "o.h5").stderr
    warning = next(line for line in said.splitlines() if str(changed) in line)
    heard(warning, "warning: changed during the run; result samples read at its beginning")
    found, whole = (load(tmp_path / name, Surface) for name in ("o.h5", "whole.h5"))
    assert found.sdt_loss.tobytes() == whole.sdt_loss.tobytes()
    refused(tmp_path, *command, tmp_path / "o.h5", words=("holds another surface",))
