"""``tetviz import --draws`` and what follows, on a network with a Bernoulli encoder."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from cli_runs import refused, tetviz
from wording import heard

from tetviz.results import load

NETS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, random=True):
        super().__init__()
        self.random, self.fc = random, nn.Linear(256, 10)

    def forward(self, x_TB):
        shares = x_TB.sigmoid()
        return self.fc((torch.bernoulli(shares) if self.random else shares).flatten(2))

build = Net
"""
COMMON = ("import", "w.pth", "--factory", "drawing_nets:build", "--timesteps", 3, "--data", "digits", "-o", "net.pt")
STATED = ("--takes", "time-major", "--gives", "time-major")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "drawing_nets.py").write_text(NETS)
    generator = torch.Generator().manual_seed(0)
    weights = {"fc.weight": torch.randn(10, 256, generator=generator) / 8, "fc.bias": torch.zeros(10)}
    torch.save(weights, tmp_path / "w.pth")
    yield tmp_path
    sys.modules.pop("drawing_nets", None)


def test_a_stochastic_network_is_measured_over_its_draws(here: Path) -> None:
    refused(here, *COMMON, *STATED, "--trust", words=("random numbers", "--draws N"))
    refused(here, *COMMON, "--trust", words=("keeps the contract with", "--gives time-major", "--draws 1"))
    imported = tetviz(*COMMON, *STATED, "--trust", "--draws", 4)
    assert ", mean over draws: 4" in imported.stdout
    samples = ("--samples", 40, "--trust")
    tetviz("scale", "net.pt", "--tmax", 3, *samples)
    tetviz("energy", "net.pt", "--tmax", 3, *samples)
    tetviz("landscape", "net.pt", "--grid", 3, "--allow-chance", *samples)
    scale, energy, surface = (load(f"net.{kind}.h5") for kind in ("scale", "energy", "landscape"))
    for each in (scale, energy, surface):
        assert each.provenance.draws == "4"
    assert scale.accuracy[-1] == energy.accuracy[-1] == surface.accuracy[0, 1, 1, -1]
    assert scale.sdt_loss[-1] == energy.sdt_loss[-1] == surface.sdt_loss[0, 1, 1, -1]
    assert len(surface.sample) == 40
    assert len(scale.sample) == len(energy.sample) == 160
    assert json.loads(tetviz("scale", "net.pt", "--tmax", 3, *samples, "--force", "--json").stdout)[0]["samples"] == 40
    examined = json.loads(tetviz("doctor", "net.pt", *samples, "--json", code=1).stdout)  # it is at chance
    assert heard(examined[0]["message"], "agree bit for bit of 4 draws the accuracy is")


def test_draws_of_what_draws_nothing(here: Path) -> None:
    still = ("--factory-args", '{"random": false}', "--trust", "--draws", 4)
    refused(here, *COMMON, *STATED, *still, words=("draws no random numbers", "leave out --draws"))
    refused(here, *COMMON[:2], "--timesteps", 3, "--draws", 4, "-o", "net.pt", code=2, words=("only with --factory",))
