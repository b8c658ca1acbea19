"""The commands that move a network, end to end on a tiny run: what they write and print, and that they go on."""

import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cli_runs import bytes_in, strict_json, tetviz
from click.testing import Result
from planted_results import planted_lines, planted_sharpness
from sklearn.datasets import load_digits

from tetviz.commands.console import print_results
from tetviz.commands.pair import about_all
from tetviz.landscape import Evaluator
from tetviz.results import Curvature, Lines, Provenance, Sharpness, Surface, Trajectory, load
from tetviz.training import Checkpoint

TRAIN = (
    *("train", "--model", "snn5", "--width", 0.0625, "--timesteps", 2, "--lr", 0.01, "--batch-size", 32),
    *("--data", "npz", "--keep-every", 1),
)
EPOCHS = 3
KEPT = [f"epoch-{k:04d}.pt" for k in range(EPOCHS + 1)]
SAMPLES = ("--samples", 20)
PLANES = ("--planes", 2, "--grid", 5, *SAMPLES)
NOISE = "within the noise of the directions"
# What each command is called with: the network TET, another OTHER, and the first epoch EARLY of one run.
COMMANDS: dict[str, tuple[Any, ...]] = {
    "landscape": ("TET", *PLANES),
    "sharpness": ("TET", *PLANES, "--rho", "0.01,0.1"),
    "line": ("TET", *PLANES),
    "interpolate": ("TET", "OTHER", "--grid", 5, *SAMPLES, "--calibration", 20),
    "connect": ("TET", "OTHER", "--grid", 3, *SAMPLES, "--calibration", 20, "--epochs", 1),
    "trajectory": ("TET", "--grid", 5, *SAMPLES),
    "plane": ("TET", "OTHER", "EARLY", "--grid", 5, *SAMPLES),
    "curvature": (
        *("TET", "--directions", 3, "--radii", "0.03,0.3", "--eigenvalues", 2, "--trace-probes", 2),
        *("--lanczos-steps", 3, *SAMPLES),
    ),
}
KINDS: dict[str, type[Any]] = {
    "landscape": Surface,
    "sharpness": Sharpness,
    "line": Lines,
    "interpolate": Lines,
    "connect": Lines,
    "trajectory": Trajectory,
    "plane": Trajectory,
    "curvature": Curvature,
}
NAMES = {
    "landscape": "tet.landscape.h5",
    "sharpness": "tet.sharpness.h5",
    "line": "tet.line.h5",
    "interpolate": "tet-other.path.h5",
    "connect": "tet-other.curve.h5",
    "trajectory": "tet.trajectory.h5",
    "plane": "tet.plane.h5",
    "curvature": "tet.curvature.h5",
}


def last_line(result: Result) -> str:
    return result.stderr.strip().splitlines()[-1]


def no_figure(*_: Any, **__: Any) -> None:
    return None


def empty_figure(_: Any, path: Path) -> None:
    path.write_bytes(b"drawn")


@contextmanager
def undrawn() -> Iterator[pytest.MonkeyPatch]:
    """Figures take most of the time of a small run; most tests are not about them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw", "draw_surface"):
            patch.setattr(f"tetviz.figures.{name}", no_figure)
        patch.setattr("tetviz.commands.measure.save_figure", empty_figure)
        yield patch


@pytest.fixture
def quick() -> Iterator[pytest.MonkeyPatch]:
    with undrawn() as patch:
        yield patch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    digits = load_digits()
    images = np.kron(digits.images, np.ones((2, 2))).astype(np.uint8) * 15
    path = tmp_path_factory.mktemp("data") / "small.npz"
    y = digits.target
    np.savez(path, x_train=images[:400], y_train=y[:400], x_test=images[400:460], y_test=y[400:460])
    return path


@pytest.fixture(scope="module")
def tet(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs with all of them kept; beside it same.pt, other.pt, early.pt and chance.pt."""
    path = tmp_path_factory.mktemp("runs") / "tet.pt"
    tetviz(*TRAIN, "--data-root", data, "--epochs", EPOCHS, "-o", path)
    kept = path.with_name("tet.kept")
    last = kept / f"epoch-{EPOCHS:04d}.pt"
    for name, source in (
        ("tet", last),
        ("same", last),
        ("other", kept / "epoch-0002.pt"),
        ("early", kept / "epoch-0001.pt"),
        ("chance", kept / "epoch-0000.pt"),
    ):
        path.with_name(f"{name}.pt").write_bytes(source.read_bytes())
    return path


@pytest.fixture
def run(tet: Path, tmp_path: Path) -> Path:
    """The run in a folder of its own."""
    (tmp_path / "tet.kept").mkdir()
    names = [f"{name}.pt" for name in ("tet", "same", "other", "early", "chance")]
    for name in (*names, *(f"tet.kept/{name}" for name in KEPT)):
        (tmp_path / name).write_bytes((tet.parent / name).read_bytes())
    return tmp_path / "tet.pt"


def command_of(name: str, tet: Path) -> list[Any]:
    places = {word: tet.with_name(f"{word.lower()}.pt") for word in ("TET", "OTHER", "EARLY", "SAME", "CHANCE")}
    return [name, *(places.get(arg, arg) if isinstance(arg, str) else arg for arg in COMMANDS[name])]


@pytest.fixture(scope="module")
def measured(tet: Path) -> dict[str, Result]:
    """Every command with its table."""
    with undrawn():
        return {name: tetviz(*command_of(name, tet)) for name in COMMANDS}


@pytest.fixture(scope="module")
def records(tet: Path, measured: dict[str, Result], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every command with --json, into copies of the files that lack one point."""
    folder, found = tmp_path_factory.mktemp("json"), {}
    with undrawn():
        for name in COMMANDS:
            target = folder / NAMES[name]
            for path in (target, target.with_suffix(".pt")):
                if (source := tet.with_name(path.name)).exists():
                    path.write_bytes(source.read_bytes())
            with h5py.File(target, "r+") as file:
                last = tuple(size - 1 for size in file["done"].shape)
                file["done"][last] = 0
                file["sdt_loss"][last] = np.nan
            result = tetviz(*command_of(name, tet), "--json", "-o", target)
            found[name] = strict_json(result.stdout)
            assert "resumed" in result.stderr
            same_datasets(target, tet.with_name(NAMES[name]))
    return found


def result_of(name: str, tet: Path) -> Any:
    return load(tet.with_name(NAMES[name]), KINDS[name])


def test_files_figures_and_streams(tet: Path, measured: dict[str, Result]) -> None:
    for name, result in measured.items():
        target = tet.with_name(NAMES[name])
        done, total = load(target, KINDS[name]).progress()
        assert done == total > 0
        assert target.with_suffix(".png").read_bytes() == b"drawn"
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


def rise(values: np.ndarray, x: np.ndarray, r: float) -> float:
    """Mean over lines of the loss at +r and -r, minus that at 0."""
    at = {float(c): i for i, c in enumerate(x)}
    return float(np.mean((values[:, at[r]] + values[:, at[-r]]) / 2 - values[:, at[0.0]]))


def quantities(rows: list[dict[str, Any]], loss: str) -> dict[str, dict[str, Any]]:
    return {row["quantity"]: row for row in rows if row["loss"] == loss and "checkpoint" in row}


@pytest.mark.parametrize("name", ["sharpness", "line"])
def test_sharpness_and_line_print_what_they_store(
    name: str, tet: Path, measured: dict[str, Result], records: dict[str, Any]
) -> None:
    lines = result_of(name, tet)
    for loss in ("sdt", "tet"):
        values, rows = getattr(lines, f"{loss}_loss")[..., -1], quantities(records[name], loss)
        for r in (0.5, 1.0):
            mean = rise(values, lines.x, r)
            row = rows[f"rise at r = {r:g}"]
            assert row["mean"] == pytest.approx(mean, rel=1e-9)
            assert row["low"] <= row["mean"] <= row["high"]
            assert f"{mean:.4g}" in measured[name].stdout
        assert "rise at r = 0.1" not in rows  # no point of this grid
    if name == "sharpness":
        centre = lines.sdt_loss[0, 2, -1]
        rows = quantities(records[name], "sdt")
        assert rows["SAM at rho = 0.1"]["mean"] == pytest.approx(lines.sam_sdt_loss[1, -1] - centre, rel=1e-9)
        assert rows["SAM at rho = 0.1"]["low"] is None
        average = (lines.average_sdt_loss[:, 1, -1] - centre).mean()
        assert rows["average at rho = 0.1"]["mean"] == pytest.approx(average, rel=1e-9)


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


@pytest.mark.parametrize("path", ["interpolate", "connect"])
def test_paths_print_what_they_store(
    path: str, tet: Path, measured: dict[str, Result], records: dict[str, Any]
) -> None:
    lines, rows = result_of(path, tet), records[path]
    names = lines.names
    assert names == (("held", "interpolated", "recalibrated") if path == "interpolate" else ("straight", "curve"))
    assert [(row["loss"], row["line"]) for row in rows] == [(f, n) for f in ("L_SDT", "L_TET") for n in names]
    inside = (lines.x >= 0) & (lines.x <= 1)
    assert lines.x[inside][[0, -1]].tolist() == [0, 1]
    for row in rows:
        loss = f"{row['loss'][2:].lower()}_loss"
        ends = getattr(lines, f"end_{loss}")[:, -1]
        between = getattr(lines, loss)[names.index(row["line"]), inside, -1]
        assert [row["first"], row["second"]] == ends.tolist()
        assert row["barrier"] == pytest.approx(between.max() - ends.mean(), rel=1e-9)
        assert between.min() - 1e-9 <= row["mean along"] <= between.max() + 1e-9
        assert f"{row['barrier']:.4f}" in measured[path].stdout
    assert lines.provenance.checkpoint == f"{tet}, {tet.with_name('other.pt')}"


def test_the_ends_of_a_path_are_the_checkpoints(tet: Path, measured: dict[str, Result]) -> None:
    lines, centre = result_of("interpolate", tet), result_of("landscape", tet).sdt_loss[0, 2, 2]
    np.testing.assert_allclose(lines.end_sdt_loss[0], centre, rtol=1e-9)
    x = lines.x.tolist()
    np.testing.assert_allclose(lines.sdt_loss[0, x.index(0)], lines.end_sdt_loss[0], rtol=1e-9)  # held
    np.testing.assert_allclose(lines.sdt_loss[1, x.index(1)], lines.end_sdt_loss[1], rtol=1e-9)  # interpolated
    curve = result_of("connect", tet)
    np.testing.assert_allclose(curve.sdt_loss[0, [0, -1]], curve.sdt_loss[1, [0, -1]], rtol=1e-6)
    assert not np.allclose(curve.sdt_loss[0, 1], curve.sdt_loss[1, 1], rtol=1e-6)
    assert curve.bn == "recalibrate" and len(curve.calibration) == 20


def test_what_networks_do_not_share_is_not_told_of_both(tet: Path, tmp_path: Path) -> None:
    first, other = Checkpoint.load(tet), tmp_path / "other.pt"
    replace(first, training={**first.training, "loss": "sdt"}).save(other)
    subject = replace(planted_lines(), provenance=Provenance(training="of the first", neurons="of the first"))
    both, same = (about_all(subject, (tet, second)).provenance for second in (other, tet))
    assert both.training == {} and same.training["loss"] == "tet"
    assert both.neurons == same.neurons and both.neurons["neuron"] == "lif"


def test_where_no_difference_can_be_given_the_tables_are(capsys: pytest.CaptureFixture[str]) -> None:
    origins = (Provenance(label=name, network=name, checkpoint_sha256=name) for name in ("one", "other"))
    results = [replace(planted_sharpness(), provenance=origin) for origin in origins]
    why = "warning: no difference is given: the checkpoints were measured on a different network"
    print_results(results, as_json=False)
    printed = capsys.readouterr()
    assert "one: 1,024 samples" in printed.out and "\nother: 1,024 samples" in printed.out and why in printed.out
    print_results(results, as_json=True)
    printed = capsys.readouterr()
    assert why in printed.err and len(strict_json(printed.out)) == 2 * 2 * (3 * 4 + 3 + 2 * 3)


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


def test_curvature_prints_what_it_stores(tet: Path, measured: dict[str, Result], records: dict[str, Any]) -> None:
    found, table = result_of("curvature", tet), measured["curvature"].stdout
    hessian, *radii = records["curvature"]
    assert "surrogate Hessian of L_SDT at T = 2 (not the curvature of the measured loss)" in table
    assert hessian["eigenvalues"] == found.eigenvalue.tolist() and len(hessian["eigenvalues"]) == 2
    assert f"{hessian['eigenvalues'][0]:.4g}" in table
    assert hessian["trace"] == pytest.approx(found.trace_estimate.mean())
    moved = [w.detach().double() for w in Checkpoint.load(tet).model().parameters() if w.dim() > 1]
    assert found.parameters == hessian["parameters"] == sum(w.numel() for w in moved)
    assert found.weight_norm == pytest.approx(math.sqrt(sum(float((w**2).sum()) for w in moved)))
    assert [row["radius"] for row in radii] == [0.03, 0.3]
    for i, row in enumerate(radii):
        step = row["radius"] * found.weight_norm
        rises = found.sdt_loss[:, i, :, -1].sum(1) - 2 * found.center_sdt_loss[-1]
        assert row["curvature"] == pytest.approx((rises / step**2).mean(), rel=1e-9)
        assert re.search(rf"^{row['radius']:g} +{re.escape(format(row['curvature'], '.4g'))} \[", table, re.M)


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


@pytest.mark.parametrize("name", ["sharpness", "line", "landscape"])
def test_the_same_network_twice_is_within_the_noise(name: str, run: Path, quick: Any) -> None:
    same = run.with_name("same.pt")
    table = tetviz(name, run, same, *COMMANDS[name][1:]).stdout
    for loss in ("L_SDT", "L_TET"):
        line = next(line for line in table.splitlines() if line.startswith(f"{loss}, rise at r = 0.5"))
        assert NOISE in line and "same minus tet" in line and "flatter" not in line
    assert re.search("^tet: ", table, re.M) and re.search("^same: ", table, re.M)
    assert table.count("Means over 2 planes at T = 2") == 2
    kind = NAMES[name].split(".")[1]
    again = tetviz("compare", run.with_name(f"tet.{kind}.h5"), run.with_name(f"same.{kind}.h5"))
    assert set(again.stdout.splitlines()) <= set(table.splitlines())  # landscape prints its own numbers, too
    assert again.stderr == ""
    pairs = [row for row in strict_json(compare_json(run, kind)) if "first" in row]
    assert pairs and all(row["mean"] in (0, None) for row in pairs)
    assert next(row["sentence"] for row in pairs if row["quantity"] == "rise at r = 0.5") in table


def compare_json(run: Path, kind: str) -> str:
    return tetviz("compare", *(run.with_name(f"{name}.{kind}.h5") for name in ("tet", "same")), "--json").stdout


def test_several_results_go_into_a_folder(run: Path, quick: Any) -> None:
    (run.parent / "out").mkdir()
    tetviz("line", run, run.with_name("early.pt"), *COMMANDS["line"][1:], "-o", run.parent / "out")
    names = {"tet.line.h5", "tet.line.png", "early.line.h5", "early.line.png"}
    assert {path.name for path in (run.parent / "out").iterdir()} == names
    assert not list(run.parent.glob("*.h5"))


def test_two_networks_are_compared_plane_by_plane(run: Path, quick: Any) -> None:
    rows = strict_json(tetviz("line", run, run.with_name("early.pt"), *COMMANDS["line"][1:], "--json").stdout)
    one, other = (load(run.with_name(f"{name}.line.h5"), Lines) for name in ("tet", "early"))
    (found,) = [row for row in rows if row.get("first") and (row["loss"], row["quantity"]) == ("sdt", "rise at r = 1")]
    assert (found["first"], found["second"], found["planes"]) == ("tet", "early", 2)
    gap = rise(other.sdt_loss[..., -1], other.x, 1.0) - rise(one.sdt_loss[..., -1], one.x, 1.0)
    assert found["mean"] == pytest.approx(gap, rel=1e-9)
    single = tetviz("compare", run.with_name("tet.line.h5"), "--t", 1).stdout
    assert "T = 1" in single and f"{rise(one.sdt_loss[..., 0], one.x, 0.5):.4g}" in single and "minus" not in single


def test_a_grid_without_one_half_still_gives_a_verdict(run: Path, quick: Any) -> None:
    table = tetviz("line", run, run.with_name("early.pt"), "--planes", 5, "--grid", 3, *SAMPLES).stdout
    assert "nan" not in table
    assert re.search(rf"^L_SDT, .*({NOISE}|flatter)", table, re.M)


def attributes(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return dict(file.attrs)


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
            ("--seed", 1): "plane_seed",
            ("--params", "bias=random"): "policy",
            ("--planes", 3): "plane",
        },
    ),
    "sharpness": ((15,), {("--rho", "0.01,0.2"): "rho"}),
    "line": ((14,), {("--range", "-2:2"): "x", ("--samples", 19): "sample"}),
    "interpolate": ((9,), {("--calibration", 19): "calibration"}),
    "connect": ((4,), {("--samples", 19): "sample"}),
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


# Long sums of float32 in an order of their own; what is measured is the same to the last bit.
ROUNDED = {"bin", "density", "eigenvalue", "eigenvalue_residual", "surrogate_curvature", "trace_estimate", "slope"}


def same_datasets(one: Path, other: Path) -> None:
    with h5py.File(one) as a, h5py.File(other) as b:
        assert set(a) == set(b)
        for name in a:
            if name in ROUNDED:
                size = np.abs(b[name][...]).max()
                np.testing.assert_allclose(a[name][...], b[name][...], rtol=1e-3, atol=1e-3 * size + 1e-3)
            elif isinstance(a[name], h5py.Dataset):
                assert a[name][...].tobytes() == b[name][...].tobytes(), name


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
    assert target.with_suffix(".png").read_bytes() == b"drawn"


def test_connect_keeps_its_curve(run: Path, tet: Path, measured: dict[str, Result], quick: Any) -> None:
    command, target = command_of("connect", run), run.with_name(NAMES["connect"])
    first = tetviz(*command).stderr
    middle = target.with_suffix(".pt")
    assert "training the curve for 1 epochs" in first and "epoch 1/1" in first and str(middle) in first
    settings = Checkpoint.load(middle).training
    assert settings["epochs"] == 1 and settings["loss"] == "sdt"
    same_datasets(target, tet.with_name(NAMES["connect"]))  # the same training
    curve = middle.read_bytes()
    for path in (target, target.with_suffix(".png")):
        path.unlink()
    before = bytes_in(run.parent)
    error = last_line(tetviz(*command, "--epochs", 2, "--seed", 5, code=1))
    assert "epochs (was 1, now 2)" in error and "seed (was 0, now 5)" in error and "--force" in error
    assert bytes_in(run.parent) == before
    again = tetviz(*command).stderr
    assert "training the curve" not in again and middle.read_bytes() == curve
    same_datasets(target, tet.with_name(NAMES["connect"]))
    assert re.search(r"training epochs +1", tetviz("info", middle).stdout)


def test_a_curve_between_other_networks_is_not_taken(
    run: Path, tet: Path, measured: dict[str, Result], quick: Any
) -> None:
    target = run.with_name(NAMES["connect"])
    middle = target.with_suffix(".pt")
    middle.write_bytes(tet.with_name(middle.name).read_bytes())
    result = tetviz(*command_of("connect", run))  # the folder was moved, the networks are the same
    assert "training the curve" not in result.stderr
    for path in (target, target.with_suffix(".png")):
        path.unlink()
    run.with_name("other.pt").write_bytes(run.with_name("early.pt").read_bytes())
    before = bytes_in(run.parent)
    error = last_line(tetviz(*command_of("connect", run), code=1))
    assert middle.name in error and "between" in error and "--force" in error
    assert bytes_in(run.parent) == before


def test_kept_epochs_survive_a_resume(data: Path, tet: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in tet.with_name("tet.kept").iterdir()) == KEPT
    target = tmp_path / "x.pt"
    command = (*TRAIN, "--data-root", data, "--epochs", EPOCHS, "-o", target)

    def stop(_: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tetviz.commands.console.TrainingProgress.on_epoch", stop)
        assert "--resume" in last_line(tetviz(*command, code=130))
    folder = tmp_path / "x.kept"
    assert sorted(path.name for path in folder.iterdir()) == KEPT[:3]
    before = {name: (folder / name).read_bytes() for name in KEPT[:2]}
    tetviz(*command, "--resume")
    assert sorted(path.name for path in folder.iterdir()) == KEPT
    assert {name: (folder / name).read_bytes() for name in before} == before
    epochs = tmp_path / "x.epochs.h5"
    written = load(epochs)
    epochs.unlink()
    tetviz(*command, "--resume")
    assert load(epochs).epoch.tolist() == written.epoch.tolist() == list(range(1, EPOCHS + 1))
    for name in KEPT:
        one, other = (Checkpoint.load(path / name) for path in (folder, tet.with_name("tet.kept")))
        assert one.epoch == int(name[6:10]) and one.resume == {}
        assert all(torch.equal(tensor, other.state[key]) for key, tensor in one.state.items()), name
    replaced_only_by_force(data, target)


def replaced_only_by_force(data: Path, target: Path) -> None:
    command = (*TRAIN, "--data-root", data, "--epochs", 1, "-o", target)
    for path in target.parent.glob("x*.pt"):
        path.unlink()
    before = bytes_in(target.parent)
    error = last_line(tetviz(*command, code=1))
    assert "epoch-0000.pt" in error and "--force" in error and bytes_in(target.parent) == before
    tetviz(*command, "--force")
    assert sorted(path.name for path in target.with_name("x.kept").iterdir()) == KEPT[:2]


def test_keep_every_second_epoch(data: Path, tmp_path: Path) -> None:
    tetviz(*TRAIN, "--data-root", data, "--epochs", 2, "--keep-every", 2, "-o", tmp_path / "x.pt")
    assert sorted(path.name for path in (tmp_path / "x.kept").iterdir()) == [KEPT[0], KEPT[2]]
    tetviz(*TRAIN, "--data-root", data, "--epochs", 1, "--keep-every", 0, "-o", tmp_path / "y.pt")
    assert not (tmp_path / "y.kept").exists()


def test_a_good_network_passes_the_doctor(tet: Path, tmp_path: Path) -> None:
    before = bytes_in(tet.parent)
    result = tetviz("doctor", tet, tet.with_name("other.pt"), *SAMPLES)
    assert result.stderr == "" and "failure" not in result.stdout and f"{tet}:" in result.stdout
    rows = strict_json(tetviz("doctor", tet, *SAMPLES, "--json").stdout)
    checks = ["repeatable", "finite", "above chance", "tied tensors", "reset gradient", "causal in t"]
    assert [row["check"] for row in rows][:6] == checks
    assert all(row["checkpoint"] == str(tet) and row["verdict"] in ("ok", "warning") for row in rows)
    for row in rows:
        if row["check"] in ("finite", "repeatable", "causal in t"):
            assert row["message"] in result.stdout
    assert bytes_in(tet.parent) == before


def test_a_sick_network_fails_the_doctor(tet: Path, tmp_path: Path) -> None:
    content = torch.load(tet, weights_only=True)
    content["state"] = {n: t * 0 if n.endswith("weight") else t for n, t in content["state"].items()}
    torch.save(content, tmp_path / "sick.pt")
    result = tetviz("doctor", tmp_path / "sick.pt", *SAMPLES, code=1)
    assert re.search(r"^failure +above chance +no better than chance", result.stdout, re.M)
    assert re.search(r"^(failure|warning) +spikes ", result.stdout, re.M)
    rows = strict_json(tetviz("doctor", tet, tmp_path / "sick.pt", *SAMPLES, "--json", code=1).stdout)
    assert {row["checkpoint"] for row in rows if row["verdict"] == "failure"} == {str(tmp_path / "sick.pt")}
    assert [path.name for path in tmp_path.iterdir()] == ["sick.pt"]


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


def test_export_to_every_format(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    surface, source = result_of("landscape", tet), tmp_path / "tet.landscape.h5"
    source.write_bytes(tet.with_name("tet.landscape.h5").read_bytes())
    said = {to: tetviz("export", source, "--to", to) for to in ("loss-landscape", "vtk", "csv", "netcdf")}
    assert all(result.stdout == "" and "wrote" in result.stderr for result in said.values())
    assert "L_SDT at T = 2, plane 1 of 2" in said["vtk"].stderr
    names = {f"tet.landscape{end}" for end in (".h5", ".loss-landscape.h5", ".vts", ".csv", ".nc")}
    assert {path.name for path in tmp_path.iterdir()} == names
    same_datasets(tmp_path / "tet.landscape.nc", source)
    with h5py.File(tmp_path / "tet.landscape.loss-landscape.h5") as file:
        np.testing.assert_allclose(np.sort(file["test_loss"][...], None), np.sort(surface.sdt_loss[0, ..., -1], None))
    header, *rows = (tmp_path / "tet.landscape.csv").read_text().splitlines()
    assert len(rows) == surface.sdt_loss.size and "sdt_loss" in header.split(",")
    assert "StructuredGrid" in (tmp_path / "tet.landscape.vts").read_bytes()[:300].decode(errors="replace")
    exported = tmp_path / "tet.landscape.loss-landscape.h5"
    tetviz("plot", exported, "-o", tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "surface" in tetviz("info", exported).stdout
    cut = tetviz("export", source, "--to", "vtk", "--loss", "tet", "--t", 1, "--plane", 2, "-o", tmp_path / "cut.vts")
    assert "L_TET at T = 1, plane 2 of 2" in cut.stderr
    before = bytes_in(tmp_path)
    for to in said:
        assert "--force" in last_line(tetviz("export", source, "--to", to, code=1))
    assert bytes_in(tmp_path) == before
    tetviz("export", source, "--to", "vtk", "--loss", "tet", "--force")
    assert (tmp_path / "tet.landscape.vts").read_bytes() != before["tet.landscape.vts"]


def test_every_kind_is_exported(tet: Path, measured: dict[str, Result], tmp_path: Path) -> None:
    for name in COMMANDS:
        for to in ("csv", "netcdf"):
            end = "csv" if to == "csv" else "nc"
            tetviz("export", tet.with_name(NAMES[name]), "--to", to, "-o", tmp_path / f"{name}.{end}")
        same_datasets(tmp_path / f"{name}.nc", tet.with_name(NAMES[name]))
        assert len((tmp_path / f"{name}.csv").read_text().splitlines()) > 5
