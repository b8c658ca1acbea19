"""Training in several processes by torchrun: the same numbers as in one, files and words of the first alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_sets import write_digits

from tetviz.training import Checkpoint, parallel

SUPPORT = Path(__file__).parents[1] / "support"
# Of 100 samples 90 are trained on: the last batch of 32 has 26, of which three processes take 9, 9 and 8.
TRAIN = (
    *("train", "--data", "npz", "--model", "snn5", "--width", 0.0625, "--timesteps", 2, "--batch-size", 32),
    *("--augment", "flip", "--precision", "float64", "--lr", 0.01),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "small.npz"
    write_digits(path, train=100, test=30)
    return path


def started(processes: int, *args: Any, folder: Path) -> "subprocess.Popen[str]":
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)) * (processes > 1)
    command = [sys.executable, *(("-m",) * (processes > 1)), *torchrun, "-m", "tetviz", *map(str, args)]
    pipe = subprocess.PIPE
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, stdout=pipe, stderr=pipe, text=True, env=environment, start_new_session=True
    )


def finished(processes: int, *args: Any, folder: Path, code: int = 0) -> tuple[str, str]:
    running = started(processes, *args, folder=folder)
    out, said = running.communicate(timeout=300)
    assert running.returncode == code, said
    return out, said


def test_statistics_and_gradients_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    script = SUPPORT / "synchronised_run.py"
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert float(run.stdout) < 1e-12


def test_a_sharpness_aware_training_of_two_processes_is_that_of_one(data: Path, tmp_path: Path) -> None:
    given = (*TRAIN, "--data-root", data, "--optimizer", "sam", "--rho", 0.3, "--epochs", 1)
    for processes in (1, 2):
        finished(processes, *given, "-o", f"{processes}.pt", folder=tmp_path)
    one, two = (Checkpoint.load(tmp_path / f"{processes}.last.pt") for processes in (1, 2))
    assert one.history[0]["train_loss"] == pytest.approx(two.history[0]["train_loss"], rel=1e-9)
    for name, each in one.state.items():
        torch.testing.assert_close(two.state[name], each, rtol=1e-7, atol=1e-9)


def test_a_training_of_two_processes_resumed_by_one_and_by_three_is_that_of_one(data: Path, tmp_path: Path) -> None:
    given = (*TRAIN, "--data-root", data)
    finished(1, *given, "--epochs", 3, "-o", "one.pt", folder=tmp_path)
    whole = Checkpoint.load(tmp_path / "one.last.pt")

    running = started(2, *given, "--epochs", 3, "-o", "many.pt", folder=tmp_path)
    last = tmp_path / "many.last.pt"
    deadline = time.monotonic() + 200
    while not (last.exists() and Checkpoint.load(last).epoch == 1) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode != 0 and said.count("stopped; every finished epoch is in many.last.pt") == 1, said
    assert "torchrun --nproc-per-node 2 -m tetviz train" in said and said.count("epoch 1/3") == 1
    epoch = Checkpoint.load(last).epoch
    assert 1 <= epoch < 3

    finished(3, *given, "--epochs", 3, "-o", "many.pt", "--resume", folder=tmp_path)
    many = Checkpoint.load(last)
    for first, second in zip(whole.history, many.history, strict=True):
        assert first.keys() == second.keys()
        for name, value in first.items():
            assert second[name] == (value if isinstance(value, str) else pytest.approx(value, rel=1e-9, abs=1e-12))
    for name, tensor in whole.state.items():
        torch.testing.assert_close(many.state[name], tensor, rtol=1e-6, atol=1e-9)
    assert whole.resume["seen"] == many.resume["seen"]


def test_an_error_is_said_once(data: Path, tmp_path: Path) -> None:
    given = (*TRAIN, "--data-root", data, "--epochs", 1)
    _, said = finished(2, *given, "--resume", "-o", "none.pt", folder=tmp_path, code=1)
    assert said.count("none.last.pt: no such file, there is nothing to go on from; leave out --resume") == 1
    far = ("--epochs", 9, "--optimizer", "sgd", "--lr", 1e30, "--weight-decay", 1e30)
    _, said = finished(2, *given, *far, "-o", "far.pt", folder=tmp_path, code=1)
    assert said.count("lower the learning rate (--lr)") == 1, said
    _, said = finished(2, "scale", "none.pt", folder=tmp_path, code=1)
    assert said.count("torchrun is for tetviz train") == 1


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(parallel, "size", lambda: 3)
    return monkeypatch


@pytest.mark.parametrize("samples", [1, 2, 7, 9])
def test_shares_are_the_batch_and_their_weights_mean_its_loss(three: pytest.MonkeyPatch, samples: int) -> None:
    x, labels, losses = torch.randn(2, samples, 1, 4, 4), torch.arange(samples), torch.rand(samples)
    parts, mean = [], 0.0
    for rank in range(3):
        three.setattr(parallel, "rank", lambda rank=rank: rank)
        own_x, own_labels, weight = parallel.own_share((x, labels))
        parts.append((own_x, own_labels))
        mean += weight * float(losses[own_labels].mean()) / 3 if len(own_labels) else 0.0
    assert torch.equal(torch.cat([own for own, _ in parts], 1), x)
    assert torch.equal(torch.cat([own for _, own in parts]), labels)
    assert mean == pytest.approx(float(losses.mean()))


@pytest.mark.parametrize("samples", [0, 3, 10, 29])
def test_batches_that_are_measured_are_shared_out_whole(three: pytest.MonkeyPatch, samples: int) -> None:
    found = []
    for rank in range(3):
        three.setattr(parallel, "rank", lambda rank=rank: rank)
        found.append(parallel.own_batches(samples, 4))
    assert sorted(np.concatenate(found).tolist()) == list(range(samples))
    assert all(set(own) >= set(range(4 * (i // 4), min(4 * (i // 4) + 4, samples))) for own in found for i in own)
