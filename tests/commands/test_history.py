"""``tetviz history``, ``tetviz plot --scatter``, ``tetviz train --k`` and ``tetviz ablation`` on tiny real runs."""

import csv
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import bytes_in, tetviz
from click.testing import Result
from planted_results import planted_curve, planted_history
from sklearn.datasets import load_digits

from tetviz.results import TrainingHistory, load, save
from tetviz.training import Checkpoint, DataSpec, load_data, measure

TRAIN = ("--width", 0.0625, "--lr", 0.01, "--batch-size", 16)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options that name an .npz file of a few digits."""
    digits = load_digits()
    images = np.kron(digits.images, np.ones((2, 2))).astype(np.uint8) * 15
    path = tmp_path_factory.mktemp("data") / "small.npz"
    np.savez(path, x_train=images[:80], y_train=digits.target[:80], x_test=images[80:120], y_test=digits.target[80:120])
    return "--data", "npz", "--data-root", str(path)


@pytest.fixture(scope="module")
def runs(data: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    common = ("train", *TRAIN, *data, "--loss", "sdt", "--stage", "1:2", "--stage", "2:2")
    tetviz(*common, "-o", folder / "sdt.pt")
    tetviz(*common, "--switch", "tet@1", "-o", folder / "switched.pt")
    return folder


@pytest.fixture
def folder(runs: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoints."""
    for path in runs.glob("*.pt"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_the_history_of_a_run_is_written_drawn_and_printed(folder: Path) -> None:
    path = folder / "switched.last.pt"
    result = tetviz("history", path)
    found = load(folder / "switched.last.history.h5", TrainingHistory)
    assert (folder / "switched.last.history.png").read_bytes().startswith(b"\x89PNG")
    last = Checkpoint.load(path)
    for name in ("epoch", "timesteps", "lr", "train_loss", "val_accuracy", "test_sdt_loss", "test_tet_loss"):
        np.testing.assert_array_equal(getattr(found, name), [record[name] for record in last.history])
    assert found.trained_on() == ["sdt", "tet", "tet", "tet"] and found.switch == "tet@1"
    assert found.best_epoch == last.resume["best"]["epoch"] == Checkpoint.load(folder / "switched.pt").epoch
    assert found.provenance.label == "switched" and found.provenance.dataset == "npz"
    lines = result.stdout.splitlines()
    assert [int(re.split(r"[ (]", line)[0]) for line in lines[2:]] == [1, 2, 3, 4]
    for record, line in zip(last.history, lines[2:], strict=True):
        assert f"{100 * record['test_accuracy']:.2f}" in line and f"{record['test_tet_loss']:.4f}" in line
    assert sum("(chosen)" in line for line in lines) == 1
    assert "wrote" in result.stderr and "holds the first" not in result.stderr


def test_the_chosen_checkpoint_is_said_to_hold_less(folder: Path) -> None:
    cut = Checkpoint.load(folder / "sdt.pt")
    cut = dataclasses.replace(cut, history=cut.history[:3], epoch=3)
    cut.save(folder / "cut.pt")
    assert "holds the first 3 of 4 epochs; OUTPUT.last.pt holds all" in tetviz("history", folder / "cut.pt").stderr
    assert load(folder / "cut.history.h5", TrainingHistory).epoch.tolist() == [1, 2, 3]


def test_json_is_every_number_of_every_run(folder: Path) -> None:
    both = [folder / "sdt.last.pt", folder / "switched.last.pt"]
    printed = json.loads(tetviz("history", *both, "--json").stdout)
    for path, record in zip(both, printed, strict=True):
        history = Checkpoint.load(path).history
        assert record["checkpoint"] == str(path) and record["loss"] == [entry["loss"] for entry in history]
        assert record["test_accuracy"] == [entry["test_accuracy"] for entry in history]
        assert record["stages"] == ["1:2", "2:2"] and record["planned_epochs"] == 4


def test_nothing_is_replaced_without_force_and_nothing_written_for_a_faulty_one(folder: Path) -> None:
    empty = dataclasses.replace(Checkpoint.load(folder / "sdt.pt"), history=[])
    empty.save(folder / "empty.pt")
    before = bytes_in(folder)
    refused = tetviz("history", folder / "sdt.last.pt", folder / "empty.pt", code=1)
    assert "empty.pt: records no epoch; give the OUTPUT.last.pt" in refused.stderr and bytes_in(folder) == before
    tetviz("history", folder / "sdt.last.pt")
    before = bytes_in(folder)
    assert "is there already" in tetviz("history", folder / "sdt.last.pt").stderr
    assert bytes_in(folder) == before
    (folder / "other.last.pt").write_bytes((folder / "switched.last.pt").read_bytes())
    again = ("history", folder / "other.last.pt", "-o", folder / "sdt.last.history.h5")
    assert "exists already, measured with another checkpoint_sha256" in tetviz(*again, code=1).stderr
    (folder / "other.last.pt").unlink()
    assert bytes_in(folder) == before
    tetviz("history", folder / "sdt.last.pt", "--force")


def test_plot_draws_histories_and_the_scatter(tmp_path: Path) -> None:
    runs = [save(tmp_path / "a.h5", planted_history()), save(tmp_path / "b.h5", planted_history(switch="tet@9"))]
    curves = [save(tmp_path / f"{n}.h5", planted_curve(tmax=5, label=n)) for n in ("sdt1", "sdt2", "tet1")]
    groups = ("--group", "SDT=sdt*", "--group", "tet*")
    asked = {
        "history": runs,
        "tet": (*runs, "--loss", "tet"),
        "scatter": (*curves, "--scatter"),
        "grouped": (*curves, "--scatter", *groups),
        "at 2": (*curves, "--scatter", "--t", 2, *groups),
        "curves": curves,
    }
    for name, args in asked.items():
        tetviz("plot", *args, "-o", tmp_path / f"{name}.svg")
    drawn = {name: (tmp_path / f"{name}.svg").read_text() for name in asked}
    assert len(set(drawn.values())) == len(drawn)
    assert "SDT, 2 networks" in drawn["grouped"] and "tet*, 1 network" in drawn["grouped"]
    assert "T = 2" in drawn["at 2"] and "switch of the loss" in drawn["history"]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("c.h5", "h.h5", "--scatter"), 1, "fig7 takes files of tetviz scale, one for each trained network, got"),
        (("c.h5", "--scatter", "--group", "sdt*"), 1, "no network fits 'sdt*'"),
        (("c.h5", "--scatter", "--t", 9), 1, "timestep 9"),
        (("c.h5", "--group", "tet*"), 2, "give both"),
        (("c.h5", "--scatter", "--group", "=x"), 2, "NAME=PATTERN"),
        (("c.h5", "--scatter", "--group", "a=x", "--group", "a=y"), 2, "the same name"),
        (("c.h5", "--scatter", "--loss", "sdt"), 2, "leave out --loss"),
        (("c.h5", "--scatter", "--plane", 1), 2, "leave out"),
        (("c.h5", "--scatter", "--all-t"), 2, "exclude each other"),
        (("h.h5", "--t", 2), 1, "takes no timestep; it takes loss"),
        (("h.h5", "c.h5"), 1, "history, scaling"),
    ],
)
def test_what_cannot_be_plotted_is_explained(args: tuple[Any, ...], code: int, words: str, tmp_path: Path) -> None:
    save(tmp_path / "c.h5", planted_curve(tmax=5, label="tet"))
    save(tmp_path / "h.h5", planted_history())
    args = tuple(tmp_path / arg if str(arg).endswith(".h5") else arg for arg in args)
    assert words in tetviz("plot", *args, "-o", tmp_path / "x.svg", code=code).stderr
    assert not (tmp_path / "x.svg").exists()


def test_k_is_one_over_gamma(data: tuple[str, ...], tmp_path: Path) -> None:
    common = ("train", *TRAIN, *data, "--timesteps", 1, "--epochs", 1, "--surrogate", "sigmoid")
    tetviz(*common, "--k", 20, "-o", tmp_path / "k.pt")
    tetviz(*common, "--gamma", 0.05, "-o", tmp_path / "gamma.pt")
    by_k, by_gamma = (Checkpoint.load(tmp_path / f"{name}.pt") for name in ("k", "gamma"))
    assert by_k.spec == by_gamma.spec and by_k.spec.gamma == 0.05 and by_k.history == by_gamma.history


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--k", 10), "--surrogate sigmoid"),
        (("--k", 10, "--surrogate", "arctan"), "got arctan"),
        (("--k", 10, "--surrogate", "sigmoid", "--gamma", 0.1), "give one of them"),
        (("--k", 0, "--surrogate", "sigmoid"), "--k"),
        (("--k", "inf", "--surrogate", "sigmoid"), "--k"),
    ],
)
def test_a_k_that_means_nothing_is_refused(options: tuple[Any, ...], words: str, tmp_path: Path) -> None:
    assert words in tetviz("train", "--data", "digits", *options, "-o", tmp_path / "x.pt", code=2).stderr
    assert not list(tmp_path.iterdir())


# --- the ablation -------------------------------------------------------------------------------------------

NAMES = ["sdt-k2", "tet-k2", "sdt-k0.5", "tet-k0.5", "sdt-spikes", "tet-spikes"]


def ablate(folder: Path, data: tuple[str, ...], *extra: Any, code: int = 0) -> Result:
    common = ("--k", 2, "--k", 0.5, *TRAIN, *data, "--timesteps", 2, "--epochs", 1, "-o", folder)
    return tetviz("ablation", *common, *extra, code=code)


@pytest.fixture(scope="module")
def ablated(data: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("ablation") / "made"
    return folder, ablate(folder, data)


def test_the_table_is_what_its_checkpoints_measure(ablated: tuple[Path, Result], data: tuple[str, ...]) -> None:
    folder, result = ablated
    test = load_data(DataSpec("npz", root=data[-1]), split="test")
    with (folder / "ablation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["checkpoint"] for row in rows] == [f"{name}.pt" for name in NAMES]
    printed = [line for line in result.stdout.splitlines() if line.startswith(("k = ", "spikes"))]
    marked = [line for line in (folder / "ablation.md").read_text().splitlines() if line.startswith(("| k", "| spi"))]
    latex = (folder / "ablation.tex").read_text().splitlines()
    typeset = [line.strip() for line in latex if line.strip().startswith(("k = ", "spikes"))]
    for line, plain in zip(typeset, marked, strict=True):
        cells = [
            cell.strip(" |\\") for cell in line.replace("$-$", "-").replace("$+$", "+").replace("--", "-").split("&")
        ]
        assert cells == [cell.strip() for cell in plain.strip("| ").split("|")]
    for index, row in enumerate(rows):
        checkpoint = Checkpoint.load(folder / row["checkpoint"])
        smooth = "spikes" not in row["checkpoint"]
        assert checkpoint.training["loss"] == row["loss"]
        assert checkpoint.spec.surrogate == ("sigmoid" if smooth else "triangle")
        own = measure(checkpoint.model(), test, 2)
        expected = {"accuracy": own.accuracy, "sdt_loss": own.sdt_loss, "tet_loss": own.tet_loss}
        if smooth:
            assert float(row["k"]) == 1 / checkpoint.spec.gamma
            network = checkpoint.model()
            for module in network.modules():
                if hasattr(module, "surrogate"):
                    module.surrogate = "arctan"  # forward, any but the sigmoid is the Heaviside step
            spiking = measure(network, test, 2)
            expected |= {"spiking_accuracy": spiking.accuracy, "spiking_sdt_loss": spiking.sdt_loss}
            assert float(row["transfer_gap"]) == pytest.approx(spiking.accuracy[-1] - own.accuracy[-1])
        else:
            assert row["k"] == row["spiking_accuracy"] == row["transfer_gap"] == ""
        for name, values in expected.items():
            assert float(row[name]) == pytest.approx(values[-1], abs=1e-6), (row["checkpoint"], name)
        for line in (printed[index // 2], marked[index // 2]):
            assert f"{100 * float(row['accuracy']):.2f}" in line and f"{float(row['sdt_loss']):.4f}" in line
            assert f"{float(row['tet_loss']):.4f}" in line
            assert not smooth or f"{100 * float(row['transfer_gap']):+.2f}" in line


def test_the_ablation_says_which_run_it_is_in_and_differs_only_in_what_it_ablates(
    ablated: tuple[Path, Result],
) -> None:
    folder, result = ablated
    assert re.findall(r"^\[(\d)/6\] (\S+):", result.stderr, re.M) == [(str(n), k) for n, k in enumerate(NAMES, 1)]
    whole = [Checkpoint.load(folder / f"{name}.pt") for name in NAMES]
    settings = [each.training | each.spec.to_dict() | {"loss": "", "surrogate": "", "gamma": 0} for each in whole]
    assert all(each == settings[0] for each in settings)


def test_a_smooth_network_is_the_one_that_train_makes(
    ablated: tuple[Path, Result], data: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("--timesteps", 2, "--epochs", 1, "--surrogate", "sigmoid", "--k", 2, "--loss", "sdt")
    tetviz("train", *TRAIN, *data, *options, "-o", tmp_path / "a.pt")
    one, other = Checkpoint.load(tmp_path / "a.pt"), Checkpoint.load(ablated[0] / "sdt-k2.pt")
    assert (one.spec, one.training, one.history) == (other.spec, other.training, other.history)
    assert all(torch.equal(tensor, other.state[name]) for name, tensor in one.state.items())


def test_a_second_run_trains_nothing_and_says_the_same(ablated: tuple[Path, Result], data: tuple[str, ...]) -> None:
    folder, first = ablated
    weights = {path: Checkpoint.load(path).state for path in folder.glob("*.pt")}
    csv_before = (folder / "ablation.csv").read_bytes()
    again = ablate(folder, data)
    assert again.stdout == first.stdout and (folder / "ablation.csv").read_bytes() == csv_before
    assert again.stderr.count("resumed: 1 of 1 epochs are done") == 6 and "test " not in again.stderr
    for path, state in weights.items():
        assert all(torch.equal(tensor, state[name]) for name, tensor in Checkpoint.load(path).state.items())
    assert len(json.loads(ablate(folder, data, "--json").stdout)) == 6


def test_a_stopped_ablation_goes_on(
    ablated: tuple[Path, Result], data: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tetviz.training

    fit, left = tetviz.training.fit, [3]

    def stop(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("tetviz.commands.ablation_runs.fit", stop)
        stopped = ablate(tmp_path, data, "--force", code=130)
    assert "Go on with:\ntetviz ablation" in stopped.stderr and not stopped.stderr.rstrip().endswith("--force")
    assert {path.stem for path in tmp_path.glob("*.last.pt")} == {f"{name}.last" for name in NAMES[:3]}
    assert not (tmp_path / "ablation.csv").exists()
    finished = ablate(tmp_path, data)
    assert finished.stderr.count("resumed") == 3 and finished.stdout == ablated[1].stdout


@pytest.mark.parametrize(
    ("extra", "code", "words"),
    [
        (("--seed", 5), 1, ("sdt-k2.last.pt: was trained with other settings", "seed (was 0, now 5)", "--force")),
        (("--width", 0.1), 1, ("width (was 0.0625, now 0.1)",)),
        (("--surrogate", "arctan"), 1, ("sdt-spikes.last.pt", "surrogate (was 'triangle', now 'arctan')")),
        (("--surrogate", "sigmoid"), 2, ("that of the spiking networks",)),
        (("--k", 2.0000001), 2, ("named twice",)),
        (("--k", 0), 2, ("--k",)),
    ],
)
def test_other_settings_are_refused_before_anything_is_trained(
    extra: tuple[Any, ...],
    code: int,
    words: tuple[str, ...],
    ablated: tuple[Path, Result],
    data: tuple[str, ...],
) -> None:
    before = bytes_in(ablated[0])
    refused = ablate(ablated[0], data, *extra, code=code)
    assert all(word in refused.stderr for word in words), refused.stderr
    assert "epoch" not in refused.stderr and bytes_in(ablated[0]) == before


def test_what_is_not_its_own_is_not_replaced(data: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("ablation.md", "tet-k2.pt"):
        (tmp_path / name).write_text("mine")
        assert f"{name}: exists already" in ablate(tmp_path, data, code=1).stderr
        assert (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
