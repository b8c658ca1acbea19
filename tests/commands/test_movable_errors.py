"""What a user can do wrong with the commands that move a network: one line with the cure, and nothing is replaced."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cli_runs import bytes_in, refused, run
from planted_results import (
    planted_curvature,
    planted_curve,
    planted_interpolation,
    planted_lines,
    planted_sharpness,
    planted_surface,
    planted_trajectory,
)

from tetviz.errors import CheckpointError
from tetviz.landscape import Evaluator, compute_interpolation
from tetviz.models import ModelSpec, build, fold
from tetviz.results import save
from tetviz.training import Checkpoint, DataSpec

QUICK = ("--allow-chance", "--samples", 10)
COMMANDS: dict[str, str] = {
    "landscape": "A --grid 3",
    "sharpness": "A --grid 3 --planes 1",
    "line": "A --grid 3 --planes 1",
    "interpolate": "A B --grid 5",
    "connect": "A B --grid 3 --epochs 1",
    "trajectory": "A --grid 5",
    "plane": "A B C --grid 5",
    "curvature": "A --directions 2 --lanczos-steps 3 --trace-probes 2 --eigenvalues 1",
}


def untrained(path: Path, data: Path, seed: int, width: float = 0.0625) -> None:
    """A checkpoint with random weights: no better than chance, but made in no time."""
    spec = ModelSpec("snn5", num_classes=10, in_channels=1, image_size=16, width=width)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        state = build(spec).state_dict()
    recorded = DataSpec("npz", root=str(data), image_size=16).to_dict()
    Checkpoint(spec, state, 2, data=recorded, epoch=seed).save(path)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks A, B and C of one architecture, W of another, A.kept with the first three, and data.npz."""
    folder = tmp_path_factory.mktemp("originals")
    rng = np.random.default_rng(0)
    arrays = {f"x_{part}": rng.integers(0, 255, (20, 16, 16), dtype=np.uint8) for part in ("train", "test")}
    data = folder / "data.npz"
    np.savez(data, **arrays, **{f"y_{part}": np.arange(20) % 10 for part in ("train", "test")})
    (folder / "A.kept").mkdir()
    for seed, name in enumerate("ABC"):
        untrained(folder / f"{name}.pt", data, seed)
        (folder / "A.kept" / f"epoch-{seed:04d}.pt").write_bytes((folder / f"{name}.pt").read_bytes())
    untrained(folder / "W.pt", data, 3, 0.125)
    return folder


@pytest.fixture
def here(originals: Path, tmp_path: Path) -> Path:
    """A copy of the networks; the data stay where they are."""
    (tmp_path / "A.kept").mkdir()
    for path in originals.rglob("*.pt"):
        (tmp_path / path.relative_to(originals)).write_bytes(path.read_bytes())
    return tmp_path


def split(here: Path, text: str) -> list[str]:
    """A command line, in which A, B, C and W are the networks, DIR is their folder and '' is empty."""
    places = {name: str(here / f"{name}.pt") for name in "ABCW"}
    return [places.get(word, word.replace("DIR", str(here))) for word in shlex.split(text)]


def command_of(here: Path, name: str, *changes: tuple[str, str]) -> list[Any]:
    words = COMMANDS[name].split()
    for old, new in changes:
        words[words.index(old)] = new
    return [name, *split(here, " ".join(words)), *QUICK]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of the time of a small run."""
    for name in ("draw", "draw_surface"):
        monkeypatch.setattr(f"tetviz.figures.{name}", lambda *_, **__: None)
    monkeypatch.setattr("tetviz.commands.measure.save_figure", lambda _, path, source: path.write_bytes(b"drawn"))


@pytest.mark.parametrize("name", ["line", "plane"])
def test_a_command_is_right_without_a_mistake(name: str, here: Path, undrawn: None) -> None:
    """So that the refusals below are about the mistake."""
    result = run(*command_of(here, name))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("name", [*COMMANDS, "doctor"])
def test_what_is_no_checkpoint_is_refused(name: str, here: Path) -> None:
    (here / "folder.pt").mkdir()
    (here / "text.pt").write_text("hello")
    save(here / "x.landscape.h5", planted_surface())
    wrong = {
        "missing.pt": "no such file",
        "folder.pt": "is a folder",
        "text.pt": "text.pt",
        "x.landscape.h5": "not a checkpoint",
    }
    if name == "trajectory":
        refused(here, "trajectory", here / "missing.pt", words=("missing.kept", "--keep-every 1"))
        (here / "A.kept" / "epoch-0001.pt").write_text("hello")
        refused(here, *command_of(here, name), words=("epoch-0001.pt",))
        return
    given = ["doctor", here / "A.pt"] if name == "doctor" else command_of(here, name)
    for position, arg in enumerate(given):
        if not str(arg).endswith(".pt"):
            continue
        for file, word in wrong.items():
            refused(here, *given[:position], here / file, *given[position + 1 :], words=(file, word))


def test_nothing_is_measured_before_all_checkpoints_are_read(here: Path) -> None:
    for name in ("landscape", "sharpness", "line", "curvature", "doctor"):
        result = run(name, here / "A.pt", here / "missing.pt")
        assert result.exit_code == 1 and "missing.pt" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["interpolate", "connect", "plane", "trajectory"])
def test_networks_of_another_architecture(name: str, here: Path) -> None:
    if name == "trajectory":
        (here / "A.kept" / "epoch-0001.pt").write_bytes((here / "W.pt").read_bytes())
    command = command_of(here, name) if name == "trajectory" else command_of(here, name, ("B", "W"))
    refused(here, *command, words=("W.pt" if name != "trajectory" else "epoch", "another"))


def test_too_few_kept_checkpoints(here: Path) -> None:
    (here / "A.kept" / "epoch-0001.pt").unlink()
    refused(here, *command_of(here, "trajectory"), words=("A.kept", "2 checkpoints", "at least 3", "--keep-every 1"))
    refused(here, *command_of(here, "trajectory", ("A", "B")), words=("B.kept", "0 checkpoints", "--keep-every 1"))


def test_checkpoints_that_span_no_plane(here: Path) -> None:
    one, other = (Checkpoint.load(here / f"{name}.pt") for name in "AB")
    state = {n: (t + other.state[n]) / 2 if t.is_floating_point() else t for n, t in one.state.items()}
    Checkpoint(one.spec, state, 2, data=one.data).save(here / "middle.pt")
    for names in ("AAA", "ABA"):
        files = [here / f"{name}.pt" for name in names]
        refused(here, "plane", *files, "--grid", 5, *QUICK, words=("line", "plane"))
    refused(here, "plane", here / "A.pt", here / "B.pt", here / "middle.pt", *QUICK, words=("line", "plane"))
    for path in (here / "A.kept").iterdir():
        path.write_bytes((here / "A.pt").read_bytes())
    refused(here, *command_of(here, "trajectory"), words=("3 checkpoints", "plane"))


USAGE: dict[str, tuple[str, ...]] = {
    "landscape A --grid 4": ("4 points", "odd"),
    "sharpness A --grid 40": ("40 points", "odd"),
    "line A --grid 2": ("--grid", "x>=3"),
    "line A --range 0:1": ("centre 0", "0:1"),
    "sharpness A --range 1:-1": ("centre 0", "1:-1"),
    "landscape A --range auto:0.5": ("auto:0.5", "above 1"),
    "line A --range auto:1": ("auto:1", "above 1"),
    "line A --range auto:nan": ("auto:nan", "auto:10"),
    "sharpness A --range auto:x": ("auto:x", "auto:10"),
    "line A --range automatic": ("automatic", "LOW:HIGH"),
    "line A --range ''": ("LOW:HIGH",),
    "landscape A --grid 4 --range auto": ("4", "odd"),
    "landscape A --params nonsense": ("nonsense", "ROLE=TREATMENT", "weight", "random"),
    "landscape A --params bias=rand": ("bias=rand", "scale"),
    "sharpness A --params weights=random": ("weights=random", "neuron"),
    "line A --params weight=hold": ("everything is held", "random or scale"),
    "sharpness A --params weight=scale": ("--params", "random"),
    "curvature A --params weight=scale": ("--params", "random"),
    "landscape A --params weight=scale --orthogonal": ("--orthogonal",),
    "curvature A --radii nonsense": ("nonsense", "0.01,0.1"),
    "curvature A --radii 0.1,0": ("0.1,0", "positive"),
    "curvature A --radii=-0.1": ("-0.1", "positive"),
    "curvature A --radii nan": ("nan", "positive"),
    "curvature A --radii inf": ("inf", "positive"),
    "curvature A --radii ''": ("positive",),
    "curvature A --directions 1": ("--directions", "x>=2"),
    "curvature A --eigenvalues 0": ("--eigenvalues", "x>=1"),
    "curvature A --trace-probes 1": ("--trace-probes", "x>=2"),
    "curvature A --lanczos-steps 2": ("--lanczos-steps", "x>=3"),
    "curvature A --seed -1": ("--seed", "0<=x"),
    "sharpness A --rho 0": ("--rho", "positive"),
    "sharpness A --rho 0.1:0.2": ("0.1:0.2", "0.01,0.1"),
    "sharpness A --planes 0": ("--planes", "x>=1"),
    "landscape A --planes -3": ("--planes", "x>=1"),
    "line A --planes many": ("--planes", "many"),
    "line A --seed 9223372036854775808": ("--seed", "0<=x"),
    "connect A B --seed -1": ("--seed", "0<=x"),
    "landscape A --t 0": ("--t", "x>=1"),
    "landscape A --t 9": ("--t 9", "T = 2"),
    "sharpness A --t 9": ("--t 9", "T = 2"),
    "landscape A --bn recalibrat": ("recalibrat", "did you mean 'recalibrate'"),
    "plane A B C --bn Frozen": ("Frozen", "did you mean 'frozen'"),
    "sharpness A --direction-norm filters": ("filters", "did you mean 'filter'"),
    "line A --calibration 0": ("--calibration", "x>=1"),
    "interpolate A B --calibration 0": ("--calibration", "x>=1"),
    "line A --samples -1": ("--samples", "x>=0"),
    "doctor A --samples -1": ("--samples", "x>=0"),
    "doctor A --timesteps 0": ("--timesteps", "x>=1"),
    "curvature A --timesteps 0": ("--timesteps", "x>=1"),
    "line A --batch-size 0": ("--batch-size", "x>=1"),
    "line A --data npzz": ("npzz", "did you mean 'npz'"),
    "sharpness A -o DIR/x.txt": ("x.txt", ".h5"),
    "curvature A -o DIR/x": ("x", ".h5"),
    "interpolate A B -o DIR/x.pt": ("x.pt", ".h5"),
    "connect A B -o DIR/x.png": ("x.png", ".h5"),
    "trajectory A -o DIR/x.csv": ("x.csv", ".h5"),
    "plane A B C -o DIR/x.vts": ("x.vts", ".h5"),
    "sharpness A B -o DIR/x.h5": ("-o", "leave it out", "folder"),
    "line A B -o DIR/x.h5": ("-o", "leave it out"),
    "curvature A B -o DIR/x.h5": ("-o", "leave it out"),
    "sharpness A A": ("twice",),
    "line A B A": ("twice",),
    "curvature A A": ("twice",),
    "interpolate A": ("takes 2 values",),
    "interpolate A B C": ("C.pt",),
    "plane A B": ("takes 3 values",),
    "trajectory A B": ("B.pt",),
    "interpolate A B --grid 40": ("40 points", "0 or 1", "--grid 41"),
    "interpolate A B --range 0.5:1.5": ("0.5:1.5", "0 or 1"),
    "interpolate A B --range 1:0": ("1:0", "0 or 1"),
    "interpolate A B --range nan:nan": ("0 or 1",),
    "interpolate A B --range=-inf:inf": ("0 or 1",),
    "interpolate A B --range auto": ("auto", "LOW:HIGH"),
    "connect A B --epochs 0": ("--epochs", "x>=1"),
    "connect A B --lr 0": ("--lr", "x>0"),
    "connect A B --lr nan": ("--lr", "nan"),
    "connect A B --train-batch-size 0": ("--train-batch-size", "x>=1"),
    "connect A B --grid 2": ("--grid", "x>=3"),
    "trajectory A --grid 4": ("--grid", "x>=5"),
    "train --data npz -o DIR/x.pt --keep-every -1": ("--keep-every", "x>=0"),
    "compare": ("FILE.h5",),
    "compare DIR/x.h5 --t 0": ("--t", "x>=1"),
    "export DIR/x.h5": ("--to",),
    "export DIR/x.h5 --to vkt": ("vkt", "did you mean 'vtk'"),
    "export DIR/x.h5 --to csv --t 1": ("csv", "--t"),
    "export DIR/x.h5 --to netcdf --plane 1 --loss sdt": ("--loss, --plane",),
    "export DIR/x.h5 --to vtk -o DIR/x.csv": ("x.csv", ".vts"),
    "export DIR/x.h5 --to vtk --plane 0": ("--plane", "x>=1"),
}


@pytest.mark.parametrize("command", USAGE)
def test_usage_is_explained(command: str, here: Path) -> None:
    name, *words = split(here, command)
    extra = QUICK if name in COMMANDS and "--samples" not in words else ()
    refused(here, name, *words, *extra, code=2, words=USAGE[command])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_path_of_no_name_is_no_traceback(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    count = {"interpolate": 2, "connect": 2, "plane": 3}.get(name, 1)
    before = bytes_in(here)
    for odd in (".", "/", "", "a" * 300 + ".pt"):
        result = run(name, *[odd] * count)
        assert result.exit_code in (1, 2), f"{odd}: {result.output}"
        assert isinstance(result.exception, SystemExit), f"{odd}: {result.exception!r}"
    assert bytes_in(here) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_outputs_that_cannot_be_written(name: str, here: Path) -> None:
    save(here / "y.h5", planted_curve())
    (here / "text.h5").write_text("precious")
    (here / "z.png").write_text("precious")
    command = command_of(here, name)
    refused(here, *command, "-o", here / "nofolder" / "x.h5", words=("nofolder",))
    refused(here, *command, "-o", here / "y.h5", words=("y.h5", "'scaling'", "--force"))
    refused(here, *command, "-o", here / "text.h5", words=("text.h5", "--force"))
    refused(here, *command, "-o", here / "z.h5", words=("z.png", "--force"))


def test_a_half_finished_file_of_a_kind_that_is_alike(here: Path, undrawn: None) -> None:
    sharpness = planted_sharpness()
    sharpness.done[-1, -1] = 0
    save(here / "x.h5", sharpness)
    refused(here, *command_of(here, "line"), "-o", here / "x.h5", words=("sharpness", "--force"))
    lines = planted_lines()
    lines.done[-1, -1] = 0
    save(here / "y.h5", lines)
    for name in ("line", "interpolate", "connect"):
        command = command_of(here, name)
        result = run(*command, "-o", here / "y.h5")
        assert result.exit_code == 1 and "another lines" in result.stderr.splitlines()[-1], result.output
    assert "sharpness" in refused(here, *command_of(here, "sharpness"), "-o", here / "y.h5", words=("lines",))


def test_a_curve_never_replaces_a_checkpoint(here: Path, undrawn: None) -> None:
    for name in "AB":
        for force in ((), ("--force",)):
            before = (here / f"{name}.pt").read_bytes()
            result = run(*command_of(here, "connect"), "-o", here / f"{name}.h5", *force)
            assert result.exit_code in (1, 2) and isinstance(result.exception, SystemExit), result.output
            assert f"{name}.pt" in result.stderr.splitlines()[-1]
            assert (here / f"{name}.pt").read_bytes() == before


def test_a_curve_that_is_another_file(here: Path) -> None:
    middle = here / "A-B.curve.pt"
    for content, code in (((here / "C.pt").read_bytes(), 2), (b"hello", 1)):
        middle.write_bytes(content)
        for force in ((), ("--force",)):
            refused(here, *command_of(here, "connect"), *force, code=code, words=("A-B.curve.pt",))
            assert middle.read_bytes() == content


@pytest.mark.parametrize("name", [*COMMANDS, "doctor"])
def test_data_that_went_missing(name: str, here: Path) -> None:
    gone = here / "gone.npz"
    for path in [*here.glob("*.pt"), *here.glob("A.kept/*.pt")]:
        content = torch.load(path, weights_only=True)
        content["data"]["root"] = str(gone)
        torch.save(content, path)
    command = ["doctor", here / "A.pt"] if name == "doctor" else command_of(here, name)
    refused(here, *command, words=(str(gone),))


def test_more_samples_than_there_are(here: Path, undrawn: None) -> None:
    result = run(*command_of(here, "line"), "--samples", 10**6)
    assert result.exit_code in (0, 1) and not isinstance(result.exception, Exception), f"{result.exception!r}"
    if result.exit_code:
        assert "--samples" in result.stderr.splitlines()[-1]
    else:
        with h5py.File(here / "A.line.h5") as file:
            assert sorted(file["sample"][...]) == list(range(20))
    result = run(*command_of(here, "landscape"), "--bn", "recalibrate", "--calibration", 10**6)
    assert result.exit_code == 0, result.output
    with h5py.File(here / "A.landscape.h5") as file:
        assert sorted(file["calibration"][...]) == list(range(20))


def test_one_checkpoint_at_both_ends(here: Path, undrawn: None) -> None:
    (here / "same.pt").write_bytes((here / "A.pt").read_bytes())
    result = run("interpolate", here / "A.pt", here / "same.pt", "--grid", 5, *QUICK, "--json")
    assert not isinstance(result.exception, Exception), f"{result.exception!r}"  # a warning is an error here
    assert result.exit_code in (0, 1)


@pytest.mark.parametrize("name", ["doctor", "sharpness", "interpolate", "trajectory", "curvature"])
def test_devices_that_are_not_there(name: str, here: Path) -> None:
    command = ["doctor", here / "A.pt"] if name == "doctor" else command_of(here, name)
    for device in ("nonsense", "meta", "cuda:77"):
        refused(here, *command, "--device", device, words=(f"--device {device}",))


def test_event_options_are_refused_for_images(here: Path) -> None:
    for name in ("sharpness", "connect", "plane"):
        refused(here, *command_of(here, name), "--frames", 3, words=("--frames", "only for event data"))


def test_a_network_without_batch_norm_has_no_policy(here: Path) -> None:
    model = fold(Checkpoint.load(here / "A.pt").model())
    batches = [(torch.rand(4, 1, 16, 16), torch.arange(4))]
    for policy in ("recalibrate", "batch"):
        with pytest.raises(CheckpointError, match=f"no batch normalisation to {policy}; take the policy frozen"):
            Evaluator(model, batches, 2, bn=policy, calibration=batches)
    evaluator = Evaluator(model, batches, 2)
    lines = compute_interpolation(evaluator, model.state_dict(), np.array([0.0, 0.5, 1.0]))
    assert lines.names == ("straight",) and lines.bn == "straight"


@pytest.fixture
def results(tmp_path: Path) -> dict[str, Path]:
    """A file of each kind, and files that are none."""
    planted = {
        "surface": planted_surface(planes=2),
        "lines": planted_lines(),
        "path": planted_interpolation(),
        "sharpness": planted_sharpness(),
        "trajectory": planted_trajectory(),
        "curvature": planted_curvature(),
        "scaling": planted_curve(),
    }
    files = {name: save(tmp_path / f"{name}.h5", result) for name, result in planted.items()}
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "text.h5").write_text("hello")
    h5py.File(tmp_path / "empty.h5", "w").close()
    return files


def test_what_is_no_result_is_refused(results: dict[str, Path], here: Path, originals: Path) -> None:
    figure = here / "x.png"
    for file in (here / "missing.h5", here / "folder.h5", here / "text.h5", here / "empty.h5", originals / "A.pt"):
        refused(here, "compare", file, words=(file.name,))
        refused(here, "compare", results["lines"], file, words=(file.name,))
        refused(here, "plot", results["lines"], file, "-o", figure, words=(file.name,))
        refused(here, "export", file, "--to", "netcdf", "-o", here / "x.nc", words=(file.name,))


@pytest.mark.parametrize("kind", ["path", "trajectory", "curvature", "scaling"])
def test_compare_takes_random_directions_alone(kind: str, results: dict[str, Path], tmp_path: Path) -> None:
    for form in ((), ("--json",)):
        if kind != "scaling":
            refused(tmp_path, "compare", results[kind], *form)
        refused(tmp_path, "compare", results["sharpness"], results[kind], *form)


def test_compare_says_what_a_file_holds_and_not_what_it_is_compared_as(
    results: dict[str, Path], tmp_path: Path
) -> None:
    held = (f"{results['surface']} holds surface", f"{results['scaling']} holds scaling")
    refused(tmp_path, "compare", results["surface"], results["scaling"], words=held)


def test_compare_takes_what_was_measured_alike(results: dict[str, Path], tmp_path: Path) -> None:
    others = {
        "plane_seed": planted_lines(plane_seed=4),
        "norm": planted_lines(norm="layer"),
        "policy": planted_lines(policy="random bias"),
        "bn": planted_lines(bn="recalibrate"),
        "orthogonal": planted_lines(orthogonal=1),
        "x": planted_lines(size=21),
        "sample": planted_lines(sample=np.arange(1000)),
        "direction_seed": planted_lines(planes=4),
    }
    for word, other in others.items():
        save(tmp_path / "other.h5", other)
        for form in ((), ("--json",)):
            refused(tmp_path, "compare", results["lines"], tmp_path / "other.h5", *form, words=(word, "same command"))
    for form in ((), ("--json",)):
        refused(tmp_path, "compare", results["lines"], "--t", 9, *form, words=("timestep 9", "1 to 4"))


def test_plot_takes_what_fits_one_figure(results: dict[str, Path], tmp_path: Path) -> None:
    wrong: tuple[tuple[tuple[Any, ...], tuple[str, ...]], ...] = (
        (("surface", "lines"), ("lines", "surface")),
        (("trajectory", "curvature"), ("curvature", "trajectory")),
        (("trajectory", "trajectory"), ("takes one",)),
        (("curvature", "curvature"), ("takes one",)),
        (("lines", "path"), ("one figure takes results of one kind",)),
        (("lines", "--plane", 1), ("plane",)),
        (("lines", "--t", 9), ("9",)),
        (("sharpness", "--t", 9), ("9",)),
        (("trajectory", "--t", 9), ("9",)),
        (("curvature", "--t", 1), ("curvature",)),
        (("curvature", "--loss", "tet"), ("tet", "sdt")),
        (("surface", "--plane", 3), ("3",)),
        (("lines", "--all-t"), ("--all-t", "one surface")),
        (("trajectory", "--all-planes"), ("--all-planes", "trajectory")),
    )
    for args, words in wrong:
        given = [
            shutil.copy(results[arg], tmp_path / f"{number}.h5") if arg in results else arg
            for number, arg in enumerate(args)
        ]
        refused(tmp_path, "plot", *given, "-o", tmp_path / "x.png", words=words)


def test_export_takes_what_fits_the_format(results: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("lines", "path", "sharpness", "curvature", "scaling"):
        for to in ("vtk", "loss-landscape"):
            refused(tmp_path, "export", results[kind], "--to", to, words=("surface", "csv and netcdf"))
    surface = results["surface"]
    refused(tmp_path, "export", surface, "--to", "vtk", "--t", 9, words=("1 to 4", "--t"))
    refused(tmp_path, "export", surface, "--to", "vtk", "--plane", 3, words=("1 to 2", "--plane"))
    refused(tmp_path, "export", surface, "--to", "vtk", "-o", tmp_path / "no" / "x.vts", words=("no",))
    refused(tmp_path, "export", surface, "--to", "loss-landscape", "-o", surface, code=2, words=("name another",))
    refused(
        tmp_path, "export", surface, "--to", "loss-landscape", "-o", surface, "--force", code=2, words=("name another",)
    )
    refused(tmp_path, "export", surface, "--to", "loss-landscape", "-o", results["lines"], words=("--force",))


@pytest.mark.parametrize("kind", ["lines", "sharpness", "trajectory", "curvature"])
def test_a_result_with_a_part_missing_is_refused(kind: str, results: dict[str, Path], tmp_path: Path) -> None:
    content, path = results[kind].read_bytes(), tmp_path / "x.h5"
    for missing in ("sdt_loss", "done", "timestep", "provenance"):
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            del file[missing]
        for command in (("info", path), ("plot", path, "-o", tmp_path / "x.png"), ("compare", path)):
            refused(tmp_path, *command, words=(missing, "x.h5"))
    path.write_bytes(content)
    with h5py.File(path, "r+") as file:
        del file.attrs["t_train"]
    refused(tmp_path, "info", path, words=("t_train",))


def stop(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


STOPPED = {
    "curvature": "tetviz.landscape.hessian.top_eigenvalues",
    "connect": "tetviz.commands.pair.train_curve",
    "plane": "tetviz.landscape.trajectory.surface_fields",
    "doctor": "tetviz.training.examine",
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_stop_before_the_first_point_promises_no_file(name: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STOPPED[name], stop)
    before = bytes_in(here)
    result = run(*(["doctor", here / "A.pt"] if name == "doctor" else command_of(here, name)))
    assert result.exit_code == 130 and "stopped" in result.stderr
    assert "every finished point" not in result.stderr
    assert bytes_in(here) == before


def test_a_full_gpu_is_one_line(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 8 GiB.")

    for place, name in (
        ("tetviz.landscape.hessian.top_eigenvalues", "curvature"),
        ("tetviz.commands.pair.train_curve", "connect"),
        ("tetviz.landscape.sharpness.surrogate_gradient", "sharpness"),
    ):
        monkeypatch.setattr(place, full)
        result = run(*command_of(here, name))
        assert result.stderr.splitlines()[-1] == "Error: CUDA out of memory; lower --batch-size", result.output
        assert result.exit_code == 1 and result.stdout == ""


@pytest.mark.parametrize("name", ["interpolate", "connect", "plane"])
def test_the_same_weights_with_other_neurons_are_another_network(name: str, here: Path) -> None:
    content = torch.load(here / "B.pt", weights_only=True)
    content["spec"]["leak"] = 0.9
    torch.save(content, here / "W.pt")
    refused(here, *command_of(here, name, ("B", "W")), words=("W.pt", "leak 0.5 and 0.9"))


def test_kept_checkpoints_of_another_run(here: Path) -> None:
    content = torch.load(here / "A.pt", weights_only=True)
    content["training"]["seed"] = 12345
    torch.save(content, here / "A.pt")
    refused(here, *command_of(here, "trajectory"), words=("another run", "training"))
