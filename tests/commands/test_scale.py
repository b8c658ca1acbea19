"""``tetviz scale`` and what is made of its files: overlay, differences, early exit, classes."""

import json
import re
from pathlib import Path
from typing import Any

import cli_runs
import numpy as np
import pytest
import torch
from click.testing import Result

from tetviz.models import ModelSpec, build
from tetviz.results import ScalingCurve, load, save
from tetviz.summaries import class_accuracy, compare_scaling, exit_curve, wilson
from tetviz.training import Checkpoint, load_data

RUN = ("--tmax", "4", "--samples", "30")


def tetviz(*args: Any, code: int = 0) -> Result:
    result = cli_runs.tetviz(*args, code=code)
    if code == 1:
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("Error: ")
    return result


def plant(path: Path, seed: int = 0, **spec: Any) -> Path:
    """A checkpoint with a little structure: untrained weights whose neurons fire."""
    digits = load_data("digits", split="test")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = ModelSpec("snn5", 10, digits.in_channels, digits.image_size, 0.0625, **spec)
        model = build(made)
        x = torch.stack([digits[i][0] for i in range(32)])
        with torch.no_grad():
            for _ in range(20):
                model(x, 2)
            model.classifier.weight.mul_(6)
    Checkpoint(made, model.state_dict(), 2, data=digits.spec.to_dict()).save(path)
    return path


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return [plant(folder / f"{name}.pt", seed) for seed, name in enumerate(("sdt", "tet"))]


@pytest.fixture
def pair(originals: list[Path], tmp_path: Path) -> list[Path]:
    for path in originals:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return [tmp_path / path.name for path in originals]


@pytest.fixture(scope="module")
def measured(originals: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Result]:
    """Both checkpoints measured at once, with all that can be asked for."""
    folder = tmp_path_factory.mktemp("measured")
    for path in originals:
        (folder / path.name).write_bytes(path.read_bytes())
    paths = [folder / path.name for path in originals]
    return paths, tetviz("scale", *paths, *RUN, "--exit", "both", "--per-class")


def curves_of(paths: list[Path]) -> list[ScalingCurve]:
    return [load(path.with_suffix(".scale.h5"), ScalingCurve) for path in paths]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_several_checkpoints_are_overlaid_and_compared(measured: tuple[list[Path], Result]) -> None:
    pair, result = measured
    folder = pair[0].parent
    parts = ("scale.h5", "scale.png", "exit.png", "classes.png")
    made = {f"{name}.{part}" for name in ("sdt", "tet") for part in parts} | {f"sdt-tet.{part}" for part in parts[1:]}
    assert names_in(folder) == {"sdt.pt", "tet.pt"} | made
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in made if name.endswith(".png"))
    first, second = curves_of(pair)
    found = compare_scaling(first, second)
    text = result.stdout
    for t in (1, 2, 4):
        row = f"{found.mean[t - 1] * 100:+.2f} [{100 * found.low[t - 1]:+.2f}, {100 * found.high[t - 1]:+.2f}]"
        assert row in text
    assert found.sentence() in text and "T = 2: " in found.sentence()
    assert "paired interval over the same 30 samples" in text
    assert "over samples: another training seed would give another network" in text
    low, high = wilson(second.accuracy[3], 30)
    assert f"{100 * second.accuracy[3]:.2f} [{100 * low:.2f}, {100 * high:.2f}]" in text
    assert text.count("exit: margin") == text.count("exit: entropy") == text.count("class  samples") == 2
    for word in result.stderr.replace(",", " ").split():
        if word.endswith((".h5", ".png")):
            assert Path(word).exists()


def test_the_printed_tables_hold_what_the_file_holds(measured: tuple[list[Path], Result]) -> None:
    pair, result = measured
    text, curve = result.stdout, curves_of(pair)[0]
    swept = exit_curve(curve, "margin")
    table = text[text.index("exit: margin") :].split("\n\n")[0].splitlines()[1:]
    assert table[-1].split()[0] == "never" and "4.00" in table[-1] and f"{100 * curve.accuracy[-1]:.2f}" in table[-1]
    for row in table[:-1]:
        threshold, mean = re.match(r">= (\S+) +(\S+)", row).groups()  # type: ignore[union-attr]
        at = np.abs(swept.threshold - float(threshold)).argmin()
        assert swept.mean_timesteps[at] == pytest.approx(float(mean), abs=0.005)
        assert f"{100 * swept.accuracy[at]:.2f}" in row
    classes = text[text.index("class  samples") :].split("\n\n")[0].splitlines()[1:]
    expected = 100 * class_accuracy(curve)
    for each, row in enumerate(classes):
        cells = row.split()
        assert cells[:2] == [str(each), "3"]
        assert [float(cell) for cell in cells[2:]] == pytest.approx(expected.loc[each, [1, 2, 4]].tolist(), abs=0.005)


def test_json_has_one_record_a_checkpoint_with_intervals_and_differences(pair: list[Path]) -> None:
    records = json.loads(tetviz("scale", *pair, *RUN, "--json").stdout)
    first, second = curves_of(pair)
    found = compare_scaling(first, second)
    assert [record["samples"] for record in records] == [30, 30] and "difference" not in records[0]
    assert records[1]["baseline"] == "sdt" and records[1]["difference"] == found.mean.tolist()
    assert records[1]["difference_low"] == found.low.tolist() and records[1]["sentence"] == found.sentence()
    assert records[0]["accuracy_low"] == wilson(first.accuracy, 30)[0].tolist()
    assert records[0]["prefix_test"].startswith("ok: a run of 4 steps")
    again = json.loads(tetviz("compare", *(path.with_suffix(".scale.h5") for path in pair), "--json").stdout)
    assert again == records


def test_json_has_exits_and_classes_on_request(pair: list[Path]) -> None:
    arguments = (*RUN, "--exit", "entropy", "--per-class", "--json")
    (record,) = json.loads(tetviz("scale", pair[0], *arguments).stdout)
    (curve,) = curves_of(pair[:1])
    swept = exit_curve(curve, "entropy")
    assert record["entropy_exit_mean_timesteps"] == swept.mean_timesteps.tolist()
    assert record["entropy_exit_threshold"][-1] is None and "margin_exit_accuracy" not in record
    np.testing.assert_allclose(record["class_accuracy"], class_accuracy(curve).to_numpy())


def test_a_folder_takes_the_overlay(pair: list[Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    tetviz("scale", *pair, *RUN, "-o", tmp_path / "out")
    both = {f"{name}.{part}" for name in ("sdt", "tet") for part in ("scale.h5", "scale.png")}
    assert names_in(tmp_path / "out") == {"scale.png"} | both
    assert names_in(tmp_path) == {"sdt.pt", "tet.pt", "out"}


def test_nothing_is_replaced_without_force(pair: list[Path], tmp_path: Path) -> None:
    for name in ("sdt-tet.scale.png", "tet.exit.png", "sdt.scale.h5"):
        (tmp_path / name).write_bytes(b"precious")
        assert name in tetviz("scale", *pair, *RUN, "--exit", "margin", code=1).stderr
        assert names_in(tmp_path) == {"sdt.pt", "tet.pt", name}
        (tmp_path / name).unlink()
    (tmp_path / "tet.exit.png").write_bytes(b"another's")
    tetviz("scale", pair[1], *RUN)
    assert (tmp_path / "tet.exit.png").read_bytes() == b"another's"
    tetviz("scale", pair[1], *RUN, "--exit", "margin", "--force")
    assert (tmp_path / "tet.exit.png").read_bytes().startswith(b"\x89PNG")


def test_outputs_are_kept_on_request_and_the_table_stays_one_of_timesteps(pair: list[Path], tmp_path: Path) -> None:
    tetviz("scale", pair[0], *RUN, "--keep-outputs")
    file = tmp_path / "sdt.scale.h5"
    curve = load(file, ScalingCurve)
    mean = curve.outputs.cumsum(1) / curve.timestep[:, None]
    np.testing.assert_array_equal(mean.argmax(2), curve.prediction)
    assert "(sample 30, timestep 4, output_class 10)" in tetviz("info", file).stdout
    tetviz("export", file, "--to", "csv", "-o", tmp_path / "x.csv")
    rows = (tmp_path / "x.csv").read_text().splitlines()
    assert len(rows) == 5 and rows[0].startswith("timestep,accuracy,step_accuracy,")


def test_files_are_compared_and_drawn_again(measured: tuple[list[Path], Result], tmp_path: Path) -> None:
    pair, result = measured
    files = [path.with_suffix(".scale.h5") for path in pair]
    again = tetviz("compare", *files).stdout
    tail = result.stdout[result.stdout.index("tet minus sdt") :]
    assert again.endswith(tail)
    single = tetviz("compare", files[0], "--t", 3).stdout
    assert [line.split()[0] for line in single.splitlines()[2:]] == ["T", "3"]
    assert "T = 5: the scaling curve of sdt holds 1 to 4" in tetviz("compare", files[0], "--t", 5, code=1).stderr
    for option, name in (("--exits", "exit"), ("--per-class", "classes")):
        tetviz("plot", *files, option, "-o", tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes() == (pair[0].parent / f"sdt-tet.{name}.png").read_bytes()
        assert "leave out --t" in tetviz("plot", *files, option, "--t", 2, "-o", tmp_path / "y.png", code=2).output
    assert "exclude each other" in tetviz("plot", *files, "--exits", "--per-class", "-o", "y.png", code=2).output


def test_other_samples_are_no_comparison(pair: list[Path], tmp_path: Path) -> None:
    tetviz("scale", pair[0], *RUN)
    tetviz("scale", pair[1], "--tmax", 4, "--samples", 20)
    files = [path.with_suffix(".scale.h5") for path in pair]
    for form in ((), ("--json",)):
        error = tetviz("compare", *files, *form, code=1).stderr
        assert "different samples (30 and 20)" in error and "same --samples" in error
    assert tetviz("compare", files[0]).exit_code == 0


def test_checkpoints_of_other_data_are_measured_but_not_compared(pair: list[Path], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {f"x_{part}": rng.integers(0, 255, (20, 16, 16), dtype=np.uint8) for part in ("train", "test")}
    labels = {f"y_{part}": np.arange(20) % 10 for part in ("train", "test")}
    np.savez(tmp_path / "other.npz", **arrays, **labels)
    content = torch.load(pair[1], weights_only=True)
    content["data"] |= {"name": "npz", "root": str(tmp_path / "other.npz")}
    torch.save(content, pair[1])
    result = tetviz("scale", *pair, "--tmax", 2, "--samples", 10, "--json")
    assert "not given, accuracy minus that of the first network" in result.stderr
    assert "the checkpoints were measured on a different data set" in result.stderr
    assert [len(record["accuracy"]) for record in json.loads(result.stdout)] == [2, 2]
    assert "baseline" not in result.stdout
    assert (tmp_path / "sdt-tet.scale.png").exists()


def test_a_run_shorter_than_training_has_no_variance_beyond_it(pair: list[Path]) -> None:
    text = tetviz("scale", pair[0], "--tmax", 1, "--samples", 10).stdout
    assert "var 1..1" in text and "var 3" not in text


def test_a_network_that_is_not_causal_is_refused_with_its_layer(pair: list[Path], monkeypatch: Any) -> None:
    made = Checkpoint.model

    def without_statistics(self: Checkpoint, trust: bool = False) -> Any:
        model = made(self, trust=trust)
        norm: Any = model.get_submodule("features.2.norm")
        norm.running_mean = norm.running_var = None
        return model

    monkeypatch.setattr(Checkpoint, "model", without_statistics)
    error = tetviz("scale", pair[0], *RUN, code=1).stderr
    assert "sdt.pt: " in error and "features.2.norm (BatchNorm2d) normalises by statistics" in error
    assert names_in(pair[0].parent) == {"sdt.pt", "tet.pt"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("CKPT", "--tmax", 0), 2, "x>=1"),
        (("CKPT", "--exit", "softmax"), 2, "'margin', 'entropy', 'both'"),
        (("missing.pt",), 1, "missing.pt"),
        (("CKPT", "CKPT"), 2, "named twice"),
    ],
)
def test_bad_input_is_refused(arguments: tuple[Any, ...], code: int, words: str, pair: list[Path]) -> None:
    given = [pair[0] if each == "CKPT" else each for each in arguments]
    assert words in tetviz("scale", *given, code=code).output
    assert names_in(pair[0].parent) == {"sdt.pt", "tet.pt"}


def test_a_file_of_an_earlier_version_is_refused(pair: list[Path], tmp_path: Path) -> None:
    import h5py

    tetviz("scale", pair[0], *RUN)
    file = tmp_path / "sdt.scale.h5"
    curve = load(file, ScalingCurve)
    with h5py.File(file, "r+") as opened:
        del opened["prediction"]
    error = tetviz("plot", file, "-o", tmp_path / "x.png", code=1).stderr
    assert "must hold prediction; measure again" in error
    save(file, curve)
    tetviz("plot", file, "-o", tmp_path / "x.png")


def test_statistics_are_estimated_anew_at_every_t(pair: list[Path]) -> None:
    given = (*RUN, "--bn", "recalibrate", "--calibration", 20)
    again = pair[0].parent / "again.h5"
    result = tetviz("scale", pair[0], *given, "-o", again)
    assert "BN statistics re-estimated at every T on 20 training samples" in " ".join(result.stdout.split())
    tetviz("scale", pair[0], *RUN)
    recalibrated, frozen = load(again, ScalingCurve), load(pair[0].with_suffix(".scale.h5"), ScalingCurve)
    assert recalibrated.recalibrated == 20 and frozen.recalibrated == 0 and frozen.calibration is None
    assert recalibrated.provenance.request != frozen.provenance.request
    assert not np.isclose(recalibrated.tet_loss, frozen.tet_loss).any()
    pages = []
    for path in (again, pair[0].with_suffix(".scale.h5")):
        tetviz("report", path, "-o", path.with_suffix(".html"))
        pages.append(path.with_suffix(".html").read_text(encoding="utf-8"))
    assert ["re-estimated at every T on 20 training samples" in page for page in pages] == [True, False]
    assert ["Early exit: each sample stops" in page for page in pages] == [False, True]
    assert "--exit takes one run for all T" in tetviz("scale", pair[0], *given, "--exit", "both", code=2).stderr
    assert (
        "--bn frozen" in tetviz("plot", again, "--figure", "exits", "-o", pair[0].parent / "exits.pdf", code=1).stderr
    )
