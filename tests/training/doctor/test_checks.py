"""The doctor: a planted sickness for every check, healthy networks, and a network that is left as it was."""

import json
import random

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from doctor_networks import Calls, Foreign, T, batches_for, healthy_batches, sick, verdicts, warmed
from networks import ONE_OF_EACH
from torch import nn
from torch.nn import functional as F
from wording import heard, refuses

from tetviz.commands.doctor import doctor
from tetviz.errors import DataError
from tetviz.models import LIF, ModelSpec, SpikingNetwork, build
from tetviz.training import Checkpoint
from tetviz.training.doctor import CHECKS, Finding, examine


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_our_networks_are_healthy(name):
    model = warmed(name, width=0.125)
    findings = examine(model, batches_for(model, 1, 16), T)
    assert [finding.check for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if finding.verdict != "ok"] == []


def test_a_healthy_foreign_network_is_healthy():
    findings = examine(Foreign(), healthy_batches(), T)
    assert verdicts(findings) == dict.fromkeys(CHECKS, "ok")
    by_check = {finding.check: finding.message for finding in findings}
    heard(by_check["repeatable"], "40 samples")
    heard(by_check["causal in t"], "4 1 3 depends")
    assert "32" not in by_check["spikes"] and "on 23 samples at T = 4, 1 spiking layers" in by_check["spikes"]
    heard(by_check["time"], "40 samples 4 25x25")


def test_a_data_set_and_a_single_batch_are_data_too():
    model = Foreign()
    (x, y), (more, labels) = healthy_batches()
    whole = torch.cat([x, more]), torch.cat([y, labels])
    data = [(a, int(b)) for a, b in zip(*whole, strict=True)]

    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return len(data)

        def __getitem__(self, index):
            return data[index]

    for given in (Samples(), whole, iter([whole])):
        findings = examine(model, given, T, batch_size=16)
        assert verdicts(findings) == dict.fromkeys(CHECKS, "ok")
        assert "40 samples" in findings[0].message


def test_sequences_are_examined():
    model = Foreign()
    x_TBCHW = torch.randn(T + 1, 12, 1, 3, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        y = model(x_TBCHW, T).mean(0).argmax(1)
    assert verdicts(examine(model, (x_TBCHW, y), T)) == dict.fromkeys(CHECKS, "ok")


def test_one_timestep_is_examined():
    heard(sick(Foreign(), "causal in t", timesteps=1, verdict="ok"), "nothing 1")


def test_what_no_network_can_help_is_raised():
    with refuses(DataError, "empty"):
        examine(Foreign(), [], T)
    with refuses(DataError, "out range"):
        examine(Foreign(), [(torch.zeros(2, 1, 3, 3), torch.tensor([0, 4]))], T)
    with refuses(DataError, "frames"):
        examine(Foreign(), [(torch.zeros(2, 2, 1, 3, 3), torch.tensor([0, 1]))], T)
    with refuses(ValueError, "least 1"):
        examine(Foreign(), healthy_batches(), 0)


def test_a_network_that_cannot_run_is_a_finding():
    class Crashes(nn.Module):
        def forward(self, x, timesteps):
            return self.nothing

    findings = examine(Crashes(), healthy_batches(), T)
    assert [finding.check for finding in findings] == list(CHECKS)
    heard(findings[0].message, "'nothing'")
    failed = {check for check, verdict in verdicts(findings).items() if verdict == "failure"}
    assert failed == set(CHECKS) - {"tied tensors", "reset gradient", "batch norm"}
    flat = sick(nn.Sequential(), "repeatable")
    assert "TypeError" in flat


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value):
    model = warmed()
    with torch.no_grad():
        model.features[2].conv.bias[0] = value
        model.classifier.weight[1, 2] = value
    data = batches_for(warmed(), 1, 16)
    message = sick(model, "finite", data)
    assert "L_SDT nan at T = 1" in message or "L_SDT inf at T = 1" in message
    heard(message, "features.2.conv.bias classifier.weight")
    # NaN is as repeatable as any number, and as causal.
    assert {verdicts(examine(model, data, T))[check] for check in ("repeatable", "causal in t")} == {"ok"}


def test_the_layer_that_overflows_is_named():
    model = Foreign()
    with torch.no_grad():
        model.last.weight.fill_(3e38)
    heard(sick(model, "finite"), "behind Linear")


def test_chance_is_named():
    model = warmed()
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    message = sick(model, "above chance", batches_for(warmed(), 1, 16))
    heard(message, "L_SDT 1.3863 4")


def test_a_detached_reset_is_named():
    model = warmed(detach_reset=True)
    message = sick(model, "reset gradient", batches_for(model, 1, 16), verdict="warning")
    assert "features.1 (LIF), features.3 (LIF)" in message and "1 more" in message


def test_a_detached_carry_is_named():
    model = warmed(detach_carry=True)
    message = sick(model, "reset gradient", batches_for(model, 1, 16), verdict="warning")
    assert "detach the carried potential" in message and "detach_carry=False" in message


def test_work_in_place_is_named():
    class Dimension(nn.Module):
        def forward(self, x, timesteps):
            return x.unsqueeze_(1).repeat(1, timesteps, 1, 1, 1).transpose(0, 1)

    class InPlace(Foreign):
        def __init__(self):
            super().__init__()
            self.add_dimension = Dimension()

        def forward(self, x, timesteps):
            return super().forward(self.add_dimension(x, timesteps), timesteps)

    data = healthy_batches()
    message = sick(InPlace(), "inputs untouched", data, verdict="warning")
    heard(message, "add_dimension")
    assert "from (23, 1, 3, 3) to (23, 1, 1, 3, 3)" in message
    assert data[0][0].shape == (23, 1, 3, 3)

    class Scales(Foreign):
        def forward(self, x, timesteps):
            return super().forward(x.mul_(2), timesteps)

    heard(sick(Scales(), "inputs untouched", verdict="warning"), "network Scales")


def test_work_in_place_in_a_network_of_ours_reaches_the_data():
    class Scales(SpikingNetwork):
        def __init__(self):
            super().__init__()
            self.first, self.lif, self.last = nn.Linear(9, 16), LIF(), nn.Linear(16, 4)

        def body(self, x_TBCHW):
            return self.last(self.lif(self.first(x_TBCHW.mul_(2).flatten(2))))

    x = torch.randn(T, 8, 1, 3, 3)
    message = sick(Scales(), "inputs untouched", (x, torch.arange(8) % 4))
    heard(message, "network caller's")


@pytest.mark.parametrize("make", [lambda: Foreign(keep=True), lambda: Foreign(Calls(F.dropout)), warmed])
def test_the_caller_keeps_everything(make):
    model = make()
    data = batches_for(model, 1, 16) if isinstance(model.state_dict().get("classifier.bias"), torch.Tensor) else None
    data = data or healthy_batches()
    model.train()
    next(model.children()).eval()
    next(model.parameters()).requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    identities = [id(parameter) for parameter in model.parameters()]
    flags = [(module.training, len(module._forward_hooks)) for module in model.modules()]
    grads = [parameter.requires_grad for parameter in model.parameters()]
    memories = [str(vars(module).get("_memories")) for module in model.modules()]
    copies = [(x.clone(), y.clone()) for x, y in data]
    generators = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    examine(model, data, T)
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert [id(parameter) for parameter in model.parameters()] == identities
    assert [(module.training, len(module._forward_hooks)) for module in model.modules()] == flags
    assert [parameter.requires_grad for parameter in model.parameters()] == grads
    assert [str(vars(module).get("_memories")) for module in model.modules()] == memories
    assert all(m.membrane is None and not m.carry for m in model.modules() if isinstance(m, LIF))
    assert all(torch.equal(a, p) and torch.equal(b, q) for (a, b), (p, q) in zip(data, copies, strict=True))
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (np.random.get_state()[1] == generators[1]).all() and random.getstate() == generators[2]
    assert torch.is_grad_enabled()


def test_a_finding_cannot_be_changed():
    with pytest.raises(AttributeError):
        Finding("finite", "ok", "").verdict = "failure"


def test_the_command_prints_a_line_for_each_finding_and_fails_where_a_check_does(tmp_path):
    torch.manual_seed(0)
    spec = ModelSpec("snn5", in_channels=1, image_size=16, width=0.0625)
    path = Checkpoint(spec, build(spec).state_dict(), 2, data={"name": "digits"}).save(tmp_path / "raw.pt")
    result = CliRunner().invoke(doctor, [str(path), "--samples", "20"])
    assert result.exit_code == 1, result.output
    lines = result.output.splitlines()
    assert [line[9:].split("  ")[0] for line in lines] == list(CHECKS)
    assert lines[0].startswith("ok       repeatable        two evaluations of 20 samples")
    assert lines[2].startswith("failure  above chance      no better than chance")
    result = CliRunner().invoke(doctor, [str(path), "--samples", "20", "--timesteps", "3", "--json"])
    assert result.exit_code == 1
    records = json.loads(result.output)
    assert [record["check"] for record in records] == list(CHECKS)
    assert set(records[0]) == {"checkpoint", "check", "verdict", "message"} and records[0]["checkpoint"] == str(path)
    assert "T = 1 to 3" in records[1]["message"]
