"""The commands end to end on tiny real runs: what they write, what they print, and that stopped runs go on."""

import inspect
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import h5py
import numpy as np
import pytest
import torch
from cli_runs import bytes_in, command_named, run, strict_json, tetviz
from click.testing import Result
from killed_runs import Server

from tetviz.cli import main
from tetviz.results import ScalingCurve, Surface, load
from tetviz.training import Checkpoint, DataSpec, load_data

TRAIN = ("train", "--model", "snn5", "--width", 0.0625, "--lr", 0.01, "--timesteps", 2, "--epochs", 2)
COMMANDS = ("train", "landscape", "scale", "plot", "info", "demo")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    path = tmp_path_factory.mktemp("runs") / "tet.pt"
    return path, tetviz(*TRAIN, "--data", "digits", "--loss", "tet", "-o", path)


@pytest.fixture(scope="module")
def tet(trained: tuple[Path, Result]) -> Path:
    return trained[0]


@pytest.fixture(scope="module")
def sdt(tet: Path) -> Path:
    """A second checkpoint: the first with other weights."""
    content = torch.load(tet, weights_only=True)
    content["state"]["classifier.weight"] = content["state"]["classifier.weight"] * 0.5
    torch.save(content, tet.with_name("sdt.pt"))
    return tet.with_name("sdt.pt")


@pytest.fixture(scope="module")
def measured(tet: Path, sdt: Path) -> dict[str, Result]:
    """Both checkpoints measured by both commands; the output of the first as JSON."""
    outputs = {}
    for path in (tet, sdt):
        form = ["--json"] if path is tet else []
        for command, extra in (("landscape", ["--grid", 3]), ("scale", ["--tmax", 6])):
            outputs[f"{path.stem} {command}"] = tetviz(command, path, "--samples", 30, *extra, *form)
    return outputs


def test_files_are_named_as_documented(tet: Path, measured: dict[str, Result]) -> None:
    names = {path.name for path in tet.parent.iterdir()}
    expected = {f"{name}.{part}" for name in ("tet", "sdt") for part in ("landscape.h5", "landscape.png", "scale.h5")}
    assert expected | {"tet.scale.png", "sdt.scale.png"} <= names
    assert not [name for name in names if "partial" in name]
    for path in tet.parent.glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")


def test_landscape_prints_what_it_stores(tet: Path, measured: dict[str, Result]) -> None:
    rows = strict_json(measured["tet landscape"].stdout)
    with h5py.File(tet.with_name("tet.landscape.h5")) as file:
        assert file.attrs["kind"] == "surface" and file["done"][...].all()
        assert file["provenance"].attrs["command"].startswith(f"tetviz landscape {tet}")
        assert len(file["sample"]) == 30
        for row, name in zip(rows, ("sdt_loss", "tet_loss"), strict=True):
            values = file[name][0, :, :, -1]
            printed = [row[key] for key in ("centre", "lowest", "mean", "highest")]
            np.testing.assert_allclose(printed, [values[1, 1], values.min(), values.mean(), values.max()], rtol=1e-12)
    table = measured["sdt landscape"]
    surface = load(tet.with_name("sdt.landscape.h5"), Surface)
    assert f"{surface.sdt_loss[0, 1, 1, -1]:.4g}" in table.stdout
    assert "9 points" in table.stderr and "wrote" in table.stderr and "points" not in table.stdout


def test_centre_of_the_surface_is_the_loss_of_the_checkpoint(tet: Path, measured: dict[str, Result]) -> None:
    surface = load(tet.with_name("tet.landscape.h5"), Surface)
    data, model = load_data(DataSpec("digits"), split="test"), Checkpoint.load(tet).model()
    sdt, tet_losses, hits = [], [], []
    for index in surface.sample:
        x, label = data[int(index)]
        with torch.no_grad():
            outputs = model(x[None], 2)[:, 0].double()
        step = [-torch.log_softmax(o, 0)[label].item() for o in outputs]
        tet_losses.append(np.mean(step))
        sdt.append(-torch.log_softmax(outputs.mean(0), 0)[label].item())
        hits.append(outputs.mean(0).argmax().item() == label)
    assert surface.x[1] == surface.y[1] == 0
    assert surface.sdt_loss[0, 1, 1, -1] == pytest.approx(np.mean(sdt), abs=1e-6)
    assert surface.tet_loss[0, 1, 1, -1] == pytest.approx(np.mean(tet_losses), abs=1e-6)
    assert surface.accuracy[0, 1, 1, -1] == pytest.approx(np.mean(hits))
    assert sorted(np.bincount(data.labels[surface.sample])) == [3] * 10


def test_scale_prints_what_it_stores(tet: Path, measured: dict[str, Result]) -> None:
    printed = strict_json(measured["tet scale"].stdout)[0]
    with h5py.File(tet.with_name("tet.scale.h5")) as file:
        assert file.attrs["kind"] == "scaling" and file.attrs["t_train"] == printed["t_train"] == 2
        for name in ("timestep", "accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss", "relative_growth"):
            np.testing.assert_array_equal(file[name][...], printed[name])
        assert file.attrs["temporal_variance"] == printed["temporal_variance"]
    surface = load(tet.with_name("tet.landscape.h5"), Surface)
    np.testing.assert_allclose(printed["sdt_loss"][:2], surface.sdt_loss[0, 1, 1], atol=1e-6)
    assert printed["relative_growth"][1] == 0
    table = measured["sdt scale"].stdout
    curve = load(tet.with_name("sdt.scale.h5"), ScalingCurve)
    assert table.splitlines()[:2] == ["sdt: digits test, 30 samples", "In brackets 95 % Wilson intervals over samples"]
    assert [line.split()[0] for line in table.splitlines()[3:7]] == ["1", "2", "4", "6"]
    assert f" {100 * curve.accuracy[-1]:.2f} [" in table and f"{curve.sdt_loss[-1]:.4f}" in table


def test_json_is_json_where_a_number_is_missing(tet: Path, tmp_path: Path) -> None:
    result = tetviz("scale", tet, "--tmax", 1, "--samples", 10, "--json", "-o", tmp_path / "x.h5")
    assert strict_json(result.stdout)[0]["temporal_variance"] is None


def test_json_of_several_checkpoints_is_one_document(tet: Path, sdt: Path, tmp_path: Path) -> None:
    for path in (tet, sdt):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    both = [tmp_path / tet.name, tmp_path / sdt.name]
    assert len(strict_json(tetviz("scale", *both, "--tmax", 4, "--samples", 10, "--json").stdout)) == 2


def test_info_says_what_a_file_is(tet: Path, measured: dict[str, Result]) -> None:
    checkpoint = tetviz("info", tet).stdout
    for words in ("tetviz checkpoint", "snn5", "digits", "tet", "test_accuracy", "parameters"):
        assert words in checkpoint
    assert "can be resumed" not in checkpoint
    assert "can be resumed" in tetviz("info", tet.with_name("tet.last.pt")).stdout
    surface = tetviz("info", tet.with_name("tet.landscape.h5")).stdout
    assert re.search(r"points done +9 of 9", surface) and "surface" in surface and "checkpoint_sha256" in surface
    assert re.search(r"kind +scaling", tetviz("info", tet.with_name("tet.scale.h5")).stdout)


@pytest.mark.parametrize(("suffix", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_plot_draws_each_format(
    suffix: str, start: bytes, tet: Path, measured: dict[str, Result], tmp_path: Path
) -> None:
    one, figure = tet.with_name("tet.landscape.h5"), tmp_path / f"figure{suffix}"
    assert tetviz("plot", one, "-o", figure).stdout == ""
    assert figure.read_bytes().startswith(start)


def test_plot_draws_what_is_asked_for(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    surfaces = [tet.with_name(f"{name}.landscape.h5") for name in ("sdt", "tet")]
    curves = [tet.with_name(f"{name}.scale.h5") for name in ("sdt", "tet")]
    asked = {
        "default": (surfaces[1],),
        "tet": (surfaces[1], "--loss", "tet"),
        "first": (surfaces[1], "--t", 1),
        "second": (surfaces[1], "--t", 2),
        "both": surfaces,
        "curve": (curves[0],),
        "curves": curves,
    }
    for name, args in asked.items():
        tetviz("plot", *args, "-o", tmp_path / f"{name}.svg")
    drawn = {name: (tmp_path / f"{name}.svg").read_bytes() for name in asked}
    assert drawn.pop("second") == drawn["default"]
    assert len(set(drawn.values())) == len(drawn)
    before = bytes_in(tmp_path)
    for args, words in (
        ((surfaces[0], curves[0]), "one figure takes results of one kind"),
        ((surfaces[0], "--t", 3), "1 to 2"),
        ((curves[0], "--t", 1), "takes no timestep"),
    ):
        assert words in tetviz("plot", *args, "-o", tmp_path / "no.svg", code=1).stderr
    assert bytes_in(tmp_path) == before


def test_results_are_read_without_torch(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    result = str(tet.with_name("tet.landscape.h5"))
    code = (
        "import sys\nfrom tetviz.cli import main\n"
        f"main(['info', {result!r}], standalone_mode=False)\n"
        f"main(['plot', {result!r}, '-o', {str(tmp_path / 'x.png')!r}], standalone_mode=False)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] in ('torch', 'torchvision')]\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert run.returncode == 0, run.stderr


def test_help_is_quick_to_load() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "from tetviz.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(f"  {command} " in run.stdout for command in COMMANDS)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in run.stderr.splitlines()}
    assert not imported & {"torch", "numpy", "matplotlib", "h5py", "pandas", "rich"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_examples_that_parse(name: str) -> None:
    command = command_named(name)
    assert command.help and command.get_short_help_str()
    assert tetviz(name, "-h").stdout == tetviz(name, "--help").stdout
    text = command.help.replace("\\\n", " ")
    examples = [part for line in text.splitlines() if line.strip().startswith("tetviz ") for part in line.split("&&")]
    assert examples or name == "demo"
    for example in examples:
        program, which, *args = shlex.split(example)
        assert program == "tetviz"
        command_named(which).make_context(which, args, parent=click.Context(main, **main.context_settings))


def test_examples_of_the_group_parse() -> None:
    lines = [line for line in inspect.cleandoc(main.help or "").splitlines() if line.startswith("tetviz ")]
    assert len(lines) == 11
    for line in lines:
        _, which, *args = shlex.split(re.split(r" {2,}", line)[0])
        assert "..." not in args or which == "import"  # whose options do not fit on the line
        if "..." not in args:
            command_named(which).make_context(which, args, parent=click.Context(main, **main.context_settings))
    with pytest.raises(click.exceptions.NoArgsIsHelpError):
        main.make_context("tetviz", [])


def test_nothing_is_replaced_without_force(tet: Path, measured: dict[str, Result]) -> None:
    before = bytes_in(tet.parent)
    surface, figure = tet.with_name("tet.landscape.h5"), tet.with_name("tet.landscape.png")
    again = {
        "train": (*TRAIN, "--data", "digits", "-o", tet),
        "landscape": ("landscape", tet, "--grid", 5, "--samples", 30),
        "scale": ("scale", tet, "--tmax", 6),
        "plot": ("plot", surface, "-o", figure),
        "plot onto a result": ("plot", surface, "-o", surface, "--force"),
    }
    for args in again.values():
        error = tetviz(*args, code=1).stderr.splitlines()
        assert len(error) == 1 and error[0].startswith("Error: ")
    assert bytes_in(tet.parent) == before


def test_force_replaces(tet: Path, tmp_path: Path) -> None:
    path = tmp_path / "tet.pt"
    path.write_bytes(tet.read_bytes())
    tetviz("landscape", path, "--grid", 3, "--samples", 20)
    tetviz("landscape", path, "--grid", 5, "--samples", 20, "--force")
    assert load(tmp_path / "tet.landscape.h5", Surface).x.size == 5


def test_several_checkpoints_go_on_where_they_were_stopped(tet: Path, sdt: Path, tmp_path: Path) -> None:
    for path in (tet, sdt):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    first = load_of(tmp_path / "sdt.pt")
    args = ("landscape", tmp_path / "tet.pt", tmp_path / "sdt.pt", "--grid", 3, "--samples", 10)
    tetviz(*args)
    assert (tmp_path / "tet.landscape.h5").exists() and load_of(tmp_path / "sdt.pt", measure=False) == first
    before = bytes_in(tmp_path)
    again = tetviz(*args).stderr
    assert again.count("is there already, finished") == 2 and bytes_in(tmp_path) == before
    for command in ("landscape", "scale"):
        result = tetviz(command, tmp_path / "tet.pt", tmp_path / "no.pt", "--samples", 10, code=1)
        assert "no.pt" in result.stderr
    assert bytes_in(tmp_path) == before


def load_of(path: Path, measure: bool = True) -> bytes:
    """The losses of a checkpoint's surface, measured first if asked for."""
    if measure:
        tetviz("landscape", path, "--grid", 3, "--samples", 10)
    return load(path.with_name(f"{path.stem}.landscape.h5"), Surface).sdt_loss.tobytes()


def points_done(path: Path) -> int:
    return int(load(path, Surface).done.sum()) if path.exists() else 0


def test_a_killed_landscape_goes_on_to_the_same_bytes(tet: Path, server: Server, tmp_path: Path) -> None:
    command = ("landscape", tet, "--grid", 9, "--samples", 40, "--batch-size", 16)
    whole, parts = tmp_path / "whole.h5", tmp_path / "parts.h5"
    assert server.run(tmp_path, *command, "-o", whole) == 0
    chance = random.Random(0)
    goals = (chance.randrange(1, 20), chance.randrange(20, 60))
    for goal in goals:
        pause = chance.uniform(0, 0.02)

        def stop(goal: int = goal, pause: float = pause) -> bool:
            if points_done(parts) < goal:
                return False
            time.sleep(pause)
            return True

        assert server.run(tmp_path, *command, "-o", parts, stop=stop) == -signal.SIGKILL
        done = points_done(parts)
        assert goal <= done < 81
        info = tetviz("info", parts).stdout
        assert re.search(rf"points done +{done} of 81", info)
        half = load(parts, Surface)
        assert np.isfinite(half.sdt_loss[half.done == 1]).all()
    tetviz("plot", parts, "-o", tmp_path / "half.png")
    before = parts.read_bytes()
    for other in (("--seed", 1), ("--samples", 39), ("--grid", 5), ("--timesteps", 3), ("--range", "-2:2")):
        result = tetviz(*command, *other, "-o", parts, code=1)
        assert "another" in result.stderr and "--force" in result.stderr.splitlines()[-1]
        assert parts.read_bytes() == before
    assert server.run(tmp_path, *command, "-o", parts) == 0
    with h5py.File(whole) as one, h5py.File(parts) as other_file:
        assert set(one) == set(other_file)
        for name in one:
            if isinstance(one[name], h5py.Dataset):
                assert one[name][...].tobytes() == other_file[name][...].tobytes(), name


def test_a_partial_surface_is_not_taken_for_that_of_the_other_loss(tet: Path, server: Server, tmp_path: Path) -> None:
    target = tmp_path / "x.h5"
    command = ("landscape", tet, "--grid", 9, "--samples", 40, "-o", target)
    assert server.run(tmp_path, *command, "--loss", "sdt", stop=lambda: points_done(target) > 0) == -signal.SIGKILL
    result = run(*command, "--loss", "tet")
    assert result.exit_code == 1 or load(target, Surface).loss == "tet"
