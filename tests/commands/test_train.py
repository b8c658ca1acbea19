"""``tetviz train``: what it leaves, and that a run that was stopped or killed goes on."""

import random
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_runs import bytes_in, tetviz
from data_sets import write_digits
from killed_runs import Server
from moved_run import (
    EPOCHS,
    KEEPING,
    KEPT,
    last_line,
)
from wording import heard

from tetviz.results import load
from tetviz.results.files import hidden_beside
from tetviz.training import Checkpoint

TRAIN = ("train", "--model", "snn5", "--width", 0.0625, "--lr", 0.01, "--timesteps", 2, "--epochs", 2)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .npz file of a few digits, so that an epoch takes moments."""
    path = tmp_path_factory.mktemp("data") / "small.npz"
    write_digits(path, train=80, test=40)
    return path


RUN = (
    *("train", "--model", "snn5", "--width", 0.0625, "--data", "npz", "--stage", "1:3", "--stage", "2:4@0.02"),
    *("--switch", "sdt@2", "--optimizer", "sgd", "--lr", 0.01, "--augment", "flip", "--batch-size", 16, "--seed", 3),
)


def epochs_done(path: Path, before: int = 0) -> int:
    return int(torch.load(path, weights_only=True)["epoch"]) if path.exists() else before


def same_run(one: Path, two: Path) -> None:
    for suffix in (".pt", ".last.pt"):
        assert one.with_suffix(suffix).read_bytes() == two.with_suffix(suffix).read_bytes(), suffix


def test_train_leaves_the_best_and_the_last_epoch(tmp_path: Path) -> None:
    path = tmp_path / "tet.pt"
    result = tetviz(*TRAIN, "--data", "digits", "--loss", "tet", "-o", path)
    best, last = Checkpoint.load(path), Checkpoint.load(path.with_name("tet.last.pt"))
    assert sorted(p.name for p in path.parent.glob("tet*.pt")) == ["tet.last.pt", "tet.pt"]
    assert last.epoch == len(last.history) == 2
    assert best.history == last.history[: best.epoch]
    assert best.resume == {} and last.resume
    record = best.history[-1]
    (line,) = result.stdout.splitlines()
    assert f"{record['test_accuracy']:.2%}" in line and f"{record['test_tet_loss']:.4f}" in line
    assert f"{record['test_sdt_loss']:.4f}" in line and str(path) in line
    assert re.search(r"epoch 2/2 .*test \d", result.stderr) and "epoch 1/2" not in result.stdout


def test_a_killed_training_goes_on_to_the_same_weights(server: Server, small: Path, tmp_path: Path) -> None:
    command = (*RUN, "--data-root", small, "-o")
    assert server.run(tmp_path, *command, "whole.pt") == 0
    last = tmp_path / "parts.last.pt"
    chance = random.Random(1)
    for goal in (1, 4):  # in the first stage and in the second
        pause = chance.uniform(0, 0.05)

        def stop(goal: int = goal, pause: float = pause) -> bool:
            if epochs_done(last) < goal:
                return False
            time.sleep(pause)
            return True

        resume = ("--resume",) if goal > 1 else ()
        assert server.run(tmp_path, *command, "parts.pt", *resume, stop=stop) == -signal.SIGKILL
        assert goal <= epochs_done(last) < 7
        Checkpoint.load(last)
    assert server.run(tmp_path, *command, "parts.pt", "--resume") == 0
    same_run(tmp_path / "whole.pt", tmp_path / "parts.pt")
    first, second = (load(tmp_path / f"{name}.epochs.h5") for name in ("whole", "parts"))
    assert first.provenance.checkpoint_sha256 == second.provenance.checkpoint_sha256
    assert [record["loss"] for record in Checkpoint.load(last).history] == ["tet"] * 2 + ["sdt"] * 5
    assert [record["timesteps"] for record in Checkpoint.load(last).history] == [1] * 3 + [2] * 4


def test_interrupted_training_says_how_to_go_on(server: Server, small: Path, tmp_path: Path) -> None:
    last = tmp_path / "a b.last.pt"
    command = (*RUN, "--data-root", small, "-o")
    code = server.run(tmp_path, *command, "a b.pt", stop=last.exists, how=signal.SIGINT)
    said = (tmp_path / "stderr").read_text()
    assert code == 130 and "Traceback" not in said
    typed = said.strip().splitlines()[-1]
    assert "a b.last.pt" in said and typed.endswith("--resume")
    program, *again = shlex.split(typed)
    assert program == "tetviz" and server.run(tmp_path, *again) == 0
    assert server.run(tmp_path, *command, "whole.pt") == 0
    same_run(tmp_path / "whole.pt", tmp_path / "a b.pt")


@pytest.mark.parametrize(
    "more",
    [
        ("--optimizer", "adam", "--precision", "float64", "--val-fraction", 0),
        ("--optimizer", "adamw", "--weight-decay", 0.01, "--neuron", "plif", "--precision", "bfloat16"),
        ("--optimizer", "sgd", "--norm", "tdbn", "--surrogate", "arctan"),
    ],
)
def test_stopped_and_resumed_a_training_leaves_the_bytes_of_one_that_was_not(
    more: tuple[Any, ...], server: Server, small: Path, tmp_path: Path
) -> None:
    command = ("train", "--width", 0.0625, "--data", "npz", "--timesteps", 2, "--epochs", 5, "--augment", "crop")
    command = (*command, "--batch-size", 40, "--keep-every", 1, *more, "--data-root", small, "-o")
    assert server.run(tmp_path, *command, "whole.pt") == 0
    last = tmp_path / "parts.last.pt"
    for goal, how in ((0, signal.SIGKILL), (1, signal.SIGTERM)):

        def stop(goal: int = goal) -> bool:
            return epochs_done(last, -1) >= goal

        resume = ("--resume",) if goal else ()
        code = server.run(tmp_path, *command, "parts.pt", *resume, stop=stop, how=how)
        assert code == (143 if how == signal.SIGTERM else -how), (tmp_path / "stderr").read_text()
        assert epochs_done(last) >= goal
    assert server.run(tmp_path, *command, "parts.pt", "--resume") == 0
    same_run(tmp_path / "whole.pt", tmp_path / "parts.pt")
    kept = bytes_in(tmp_path / "parts.kept")
    assert {name: kept.get(name) for name in bytes_in(tmp_path / "whole.kept")} == bytes_in(tmp_path / "whole.kept")


def test_resume_names_what_differs(server: Server, small: Path, tmp_path: Path) -> None:
    command = (*RUN, "--data-root", small, "-o", tmp_path / "x.pt")
    tetviz(*command)
    before = bytes_in(tmp_path)
    for option, value, name in (
        ("--lr", 0.5, "lr"),
        ("--seed", 9, "seed"),
        ("--loss", "sdt", "loss"),
        ("--width", 0.125, "width"),
        ("--stage", "3:1", "stages"),
        ("--batch-size", 8, "batch_size"),
        ("--image-size", 32, "image_size"),
    ):
        error = tetviz(*command, option, value, "--resume", code=1).stderr.strip().splitlines()[-1]
        assert re.search(rf"\b{name} \(was ", error), error
        assert bytes_in(tmp_path) == before


def test_resume_without_a_run_replaces_nothing(small: Path, tmp_path: Path) -> None:
    command = (*RUN, "--data-root", small, "-o", tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(b"precious")
    tetviz(*command, "--resume", code=1)
    assert (tmp_path / "x.pt").read_bytes() == b"precious"


def test_kept_epochs_survive_a_resume(data: Path, tet: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in tet.with_name("tet.kept").iterdir()) == KEPT
    target = tmp_path / "x.pt"
    command = (*KEEPING, "--data-root", data, "--epochs", EPOCHS, "-o", target)

    def stop(_: Any, record: dict[str, Any]) -> None:
        if record["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tetviz.commands.progress.TrainingProgress.on_epoch", stop)
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
        one = Checkpoint.load(folder / name)
        assert one.epoch == int(name[6:10]) and one.resume == {}
        assert (folder / name).read_bytes() == (tet.with_name("tet.kept") / name).read_bytes(), name
    replaced_only_by_force(data, target)


def replaced_only_by_force(data: Path, target: Path) -> None:
    command = (*KEEPING, "--data-root", data, "--epochs", 1, "-o", target)
    for path in target.parent.glob("x*.pt"):
        path.unlink()
    before = bytes_in(target.parent)
    error = last_line(tetviz(*command, code=1))
    assert "epoch-0000.pt" in error and "--force" in error and bytes_in(target.parent) == before
    tetviz(*command, "--force")
    assert sorted(path.name for path in target.with_name("x.kept").iterdir()) == KEPT[:2]


def test_keep_every_second_epoch(data: Path, tmp_path: Path) -> None:
    tetviz(*KEEPING, "--data-root", data, "--epochs", 2, "--keep-every", 2, "-o", tmp_path / "x.pt")
    assert sorted(path.name for path in (tmp_path / "x.kept").iterdir()) == [KEPT[0], KEPT[2]]
    tetviz(*KEEPING, "--data-root", data, "--epochs", 1, "--keep-every", 0, "-o", tmp_path / "y.pt")
    assert not (tmp_path / "y.kept").exists()


def test_half_written_epochs_go_when_a_run_is_begun_anew(small: Path, tmp_path: Path) -> None:
    command = (*KEEPING, "--data-root", small, "--epochs", 1, "-o", tmp_path / "x.pt")
    tetviz(*command)
    before = bytes_in(tmp_path)
    left = hidden_beside(tmp_path / "x.kept/epoch-0007.pt", "-0.partial")
    for again in ("--force", "--resume"):
        left.write_bytes(b"half of an epoch that is not reached")
        tetviz(*command, again)
        assert bytes_in(tmp_path).keys() == before.keys()


RANDOM_DATA = """
import numpy as np
from torch.utils.data import Dataset
import torch

class Noisy(Dataset):
    labels = [k % 2 for k in range(40)]
    def __init__(self, draw): self.draw = draw
    def __len__(self): return 40
    def __getitem__(self, k):
        return torch.full((1, 16, 16), float(k % 2)) + float(self.draw()), k % 2

def own(split): return Noisy(np.random.default_rng().normal)
def seeded(split): return Noisy(np.random.normal)
"""


@pytest.mark.parametrize("kind", ["own", "seeded"])
def test_a_run_on_random_samples_goes_on_and_says_what_is_held(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = f"random_data_{kind}"
    (tmp_path / f"{module}.py").write_text(RANDOM_DATA)
    command = (*KEEPING, "--data", f"{module}:{kind}", "--trust", "--epochs", 1, "-o", tmp_path / "x.pt")
    for more in ((), ("--resume",)):
        said = tetviz(*command, *more).stderr
        notes = [line for line in said.splitlines() if "each time" in line]
        assert len(notes) == (kind == "own")
        for line in notes:
            heard(line, f"{module}:own --resume labels alone")


def test_compiled_neurons_change_no_byte_of_a_training(tmp_path: Path, small: Path) -> None:
    said = {}
    for when in ("off", "on"):
        path = tmp_path / f"{when}.pt"
        said[when] = tetviz(*RUN, "--data-root", small, "--compile", when, "-o", path).stderr
    same_run(tmp_path / "off.pt", tmp_path / "on.pt")
    assert "compil" not in said["off"]
    assert said["on"].count("the gradients are the same to the last bit") == 2  # of T = 1 and T = 2
