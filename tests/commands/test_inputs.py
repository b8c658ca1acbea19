"""Inputs that are not images, through the commands: vectors, time as the last axis, tokens, spike trains."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from cli_runs import tetviz
from torch.nn.functional import cross_entropy

from tetviz.results import ScalingCurve, load

NETS = """
import torch
from torch import nn

F, K, T = 12, 3, 5

class Leaky(nn.Module):
    def __init__(self, takes="vectors"):
        super().__init__()
        self.takes, self.first, self.last = takes, nn.Linear(F, 8), nn.Linear(8, K)
        self.table = nn.Embedding(50, F) if takes == "tokens" else None

    def step(self, x_BF, v):
        v = 0.5 * v + self.first(x_BF)
        spikes = (v > 0.3).to(v)
        return self.last(spikes), v * (1 - spikes)

    def forward(self, x):
        if self.takes == "tokens":                       # B N, the same at every step
            assert x.dtype == torch.int64
            x = self.table(x).mean(1).expand(T, -1, -1)
        if self.takes == "last":                         # B F T
            x = x.movedim(-1, 0)
        v, outputs = torch.zeros(x.shape[1], 8), []
        for x_BF in x:
            o, v = self.step(x_BF, v)
            outputs.append(o)
        y = torch.stack(outputs)
        return {"out": {"logits": y.movedim(0, -1)}} if self.takes == "last" else y

def build(takes="vectors"): return Leaky(takes)
"""
DATA = """
import torch
from torch.nn.functional import one_hot
from torch.utils.data import TensorDataset

g = torch.Generator().manual_seed(0)
x, y = (torch.rand(30, 5, 12, generator=g) < 0.3).float(), torch.arange(30) % 3   # T F
ids = torch.randint(0, 50, (30, 7), generator=g)
def vectors(split): return TensorDataset(x, y)
def last(split): return TensorDataset(x.transpose(1, 2), one_hot(y, 3).float())
def tokens(split): return TensorDataset(ids, y)
lengths = torch.arange(30) % 5 + 1
inside = torch.arange(5)[:, None] < lengths[:, None, None]
def padded(split): return TensorDataset(x.where(inside, 9.0), y, lengths)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input_nets.py").write_text(NETS)
    (tmp_path / "input_data.py").write_text(DATA)
    yield tmp_path
    for name in ("input_nets", "input_data"):
        sys.modules.pop(name, None)


def saved(takes: str) -> Any:
    """The network, whose weights are in w.pth."""
    namespace: dict[str, Any] = {}
    exec(NETS, namespace)
    torch.manual_seed(0)
    network = namespace["build"](takes)
    torch.save(network.state_dict(), "w.pth")
    return network


def imported(takes: str, data: str, *options: Any) -> str:
    factory = ("--factory", "input_nets:build", "--factory-args", f'{{"takes": "{takes}"}}')
    return tetviz("import", "w.pth", *factory, "--data", data, "--trust", "-o", "net.pt", *options).stderr


def scaled(*options: Any) -> float:
    """L_SDT at the longest T, of `tetviz scale`."""
    tetviz("scale", "net.pt", "--trust", "--tmax", 5, "-o", "s.h5", *options)
    curve = load("s.h5")
    assert isinstance(curve, ScalingCurve)
    return float(curve.sdt_loss[-1])


def own_data() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(DATA, namespace)
    return namespace


@pytest.mark.parametrize(
    ("takes", "data", "options", "shape"),
    [
        ("vectors", "vectors", ("--takes", "time-major", "--gives", "time-major"), "5 x 12 (T x F)"),
        (
            *("last", "last"),
            (
                *("--takes", "batch-channel-time", "--gives", "batch-channel-time"),
                *("--item", "out.logits", "--axes", "FT"),
            ),
            "5 x 12 (T x F)",
        ),
        (
            *("tokens", "tokens"),
            ("--takes", "static", "--gives", "time-major", "--integers", "--timesteps-by", "fixed"),
            "7 (F)",
        ),
    ],
)
def test_what_a_network_of_other_inputs_does(takes: str, data: str, options: tuple[str, ...], shape: str) -> None:
    network, samples = saved(takes), own_data()
    assert f"samples of {shape}, from 0 to" in imported(takes, f"input_data:{data}", "--timesteps", 5, *options)
    with torch.no_grad():
        if takes == "tokens":
            expected = network(samples["ids"])
        else:
            x_TBF = samples["x"].transpose(0, 1)
            expected = (
                network(x_TBF) if takes == "vectors" else network(x_TBF.movedim(0, -1))["out"]["logits"].movedim(-1, 0)
            )
    assert scaled() == pytest.approx(float(cross_entropy(expected.mean(0), samples["y"])), rel=1e-5)
    tetviz("doctor", "net.pt", "--trust", code=1)  # it is not trained
    tetviz("landscape", "net.pt", "--trust", "--grid", 3, "--allow-chance")


def test_what_fits_is_told_of_other_inputs_too() -> None:
    for takes, data, told in (
        ("vectors", ("input_data:vectors",), "--takes time-major --gives time-major"),
        (
            "last",
            ("input_data:last", "--axes", "FT"),
            "--takes batch-channel-time --gives batch-channel-time --item out.logits",
        ),
        ("tokens", ("input_data:tokens",), "--timesteps-by fixed --integers"),
    ):
        saved(takes)
        factory = ("--factory", "input_nets:build", "--factory-args", f'{{"takes": "{takes}"}}')
        result = tetviz(
            "import", "w.pth", *factory, "--data", *data, "--timesteps", 5, "--trust", "-o", "net.pt", code=1
        )
        assert told in result.stderr


def test_spike_trains_of_files(here: Path) -> None:
    network = saved("vectors")
    folder = here / "shd"
    folder.mkdir()
    draw = np.random.default_rng(0)
    counts_NTF = np.zeros((30, 5, 12), np.float32)
    for part in ("train", "test"):
        with h5py.File(folder / f"shd_{part}.h5", "w") as file:
            held = {
                name: file.create_dataset(f"spikes/{name}", (30,), h5py.vlen_dtype(kind))
                for name, kind in (("times", np.float16), ("units", np.uint16))
            }
            counts_NTF[:] = 0
            for at in range(30):
                frame, unit = draw.integers(0, 5, 40), draw.integers(0, 12, 40)
                unit[0] = 11
                held["times"][at], held["units"][at] = (frame + 0.5) / 5, unit
                np.add.at(counts_NTF[at], (frame, unit), 1)
            file["labels"] = np.arange(30, dtype=np.uint8) % 3
    options = (
        "--data-root",
        folder,
        "--duration",
        1,
        "--timesteps",
        5,
        "--takes",
        "time-major",
        "--gives",
        "time-major",
    )
    assert "hdf5-spikes, samples of 5 x 12 (T x F)" in imported("vectors", "hdf5-spikes", *options)
    with torch.no_grad():
        expected = network(torch.from_numpy(counts_NTF).transpose(0, 1)).mean(0)
    assert scaled() == pytest.approx(float(cross_entropy(expected, torch.arange(30) % 3)), rel=1e-5)


def test_axes_are_letters() -> None:
    told = tetviz("scale", "net.pt", "--axes", "time", code=2).stderr
    assert "expected the axes of a sample as letters" in told


def test_padding_counts_nowhere(here: Path) -> None:
    network, samples = saved("vectors"), own_data()
    called = ("--takes", "time-major", "--gives", "time-major")
    assert "from 0 to 1," in imported("vectors", "input_data:padded", "--lengths", "--timesteps", 5, *called)
    with torch.no_grad():
        alone = [network(x[:n, None])[:, 0] for x, n in zip(samples["x"], samples["lengths"], strict=True)]
    means = torch.stack([each.mean(0) for each in alone])
    assert scaled() == pytest.approx(float(cross_entropy(means, samples["y"])), rel=1e-5)
    curve = load("s.h5")
    assert isinstance(curve, ScalingCurve) and curve.step_samples.tolist() == [30, 24, 18, 12, 6]
    again = tetviz("scale", "net.pt", "--trust", "--tmax", 5, "-o", "s.h5")
    assert "samples of 1 to 5 frames" in again.stderr
    assert "samples have 1 to 5 of 5 steps" in again.stdout and "samples with a step T" in again.stdout
    told = tetviz("energy", "net.pt", "--trust", "--tmax", 5, "-o", "e.h5", "--json").stdout
    (counts,) = json.loads(told)
    assert counts["accuracy"] == pytest.approx(curve.accuracy.tolist())
    tetviz("landscape", "net.pt", "--trust", "--grid", 3, "--allow-chance")
    assert "--lengths" in tetviz("scale", "net.pt", "--data", "digits", "--lengths", "--trust", code=1).stderr
