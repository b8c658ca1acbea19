"""``tetviz attack`` from checkpoints to table, file and figure."""

import json

import pytest
import torch
from cli_runs import refused, tetviz

from tetviz.models import ModelSpec, build
from tetviz.results import AttackRun, load
from tetviz.training import Checkpoint, load_data


@pytest.fixture
def checkpoint(tmp_path):
    data = load_data("digits", split="test")
    spec = ModelSpec("snn5", 10, 1, data.image_size, 0.1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = build(spec).state_dict()
    return Checkpoint(spec, state, 2, {"loss": "sdt"}, data.spec.to_dict()).save(tmp_path / "net.pt")


def test_it_writes_what_it_prints(checkpoint):
    said = tetviz("attack", checkpoint, "--method", "pgd", "--iterations", 2, "--samples", 20, "--seed", 7, "--json")
    result = load(checkpoint.with_name("net.attack.h5"), AttackRun)
    (printed,) = json.loads(said.stdout)
    assert printed["success"] == pytest.approx(result.success.tolist(), nan_ok=True)
    assert (result.method, result.attack_seed, len(result.sample), len(result.timestep)) == ("pgd", 7, 20, 2)
    assert checkpoint.with_name("net.attack.png").stat().st_size > 1000


def test_events_methods_do_not_take_images(checkpoint):
    words = ("g2s-spike", "the data are images", "use g2s-image")
    refused(checkpoint.parent, "attack", checkpoint, "--method", "g2s-spike", words=words)
