"""The doctor: a planted sickness for every check, healthy networks, and a patient that is left as it was."""

import json
import random

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from networks import ONE_OF_EACH
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tetviz.commands.doctor import doctor
from tetviz.errors import DataError
from tetviz.models import LIF, ModelSpec, SpikingNetwork, build
from tetviz.training import Checkpoint
from tetviz.training.doctor import CHECKS, Finding, examine

T = 4
OWN_GENERATOR = torch.Generator().manual_seed(0)


class Neuron(nn.Module):
    """Integrate-and-fire, written like SpikingJelly's: it may keep its membrane from call to call."""

    def __init__(self, keep=False):
        super().__init__()
        self.v_threshold, self.keep = 1.0, keep
        self._memories = {"v": 0.0}

    def forward(self, x_TB):
        v = self._memories["v"] if self.keep else 0.0
        spikes = []
        for current in x_TB:
            v = v + current
            s = (v > self.v_threshold).to(v)
            v = v * (1 - s)
            spikes.append(s)
        self._memories["v"] = v
        return torch.stack(spikes)


class Foreign(nn.Module):
    """A network that knows nothing of tetviz; static samples are encoded once."""

    def __init__(self, middle=None, keep=False, front=None, classes=4):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.last = nn.Linear(9, 16), nn.Linear(16, classes)
        self.front, self.middle = front or nn.Identity(), middle or nn.Identity()
        self.neuron = Neuron(keep)
        with torch.no_grad():
            self.last.weight.mul_(4)

    def forward(self, x, timesteps):
        current = self.first(x.flatten(-3))
        if x.dim() == 4:
            current = current.expand(timesteps, *current.shape)
        return self.last(self.middle(self.neuron(self.front(current[:timesteps]))))


class Calls(nn.Module):
    """A layer out of a function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class OverMerged(nn.Module):
    """A layer that knows no time, applied to time and batch at once."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.flatten(0, 1)).view_as(x)


def batches_for(model, channels=1, side=3, samples=40):
    """Two batches whose labels are what a clean copy of the network says, so that it is better than chance."""
    generator = torch.Generator().manual_seed(5)
    x = 2 * torch.randn(samples, channels, side, side, generator=generator)
    with torch.no_grad():
        labels = model(x, T).mean(0).argmax(1)
    half = samples // 2 + 3
    return [(x[:half], labels[:half]), (x[half:], labels[half:])]


def healthy_batches():
    return batches_for(Foreign())


def warmed(name="snn5", **settings):
    torch.manual_seed(0)
    settings = {"num_classes": 4, "in_channels": 1, "image_size": 16, "width": 0.0625, **settings}
    model = build(name, **settings)
    x = 2 * torch.randn(16, 1, 16, 16)
    with torch.no_grad():
        for _ in range(40):
            model(x, 3)
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(4)
    return model.eval()


def found(model, check, data=None, timesteps=T):
    """All findings must be there; those of one check, the worst first."""
    findings = examine(model, healthy_batches() if data is None else data, timesteps)
    assert list(dict.fromkeys(finding.check for finding in findings)) == list(CHECKS)
    assert all(finding.verdict in ("ok", "warning", "failure") for finding in findings)
    assert all(finding.message and "\n" not in finding.message for finding in findings)
    return [finding for finding in findings if finding.check == check]


def sick(model, check, data=None, timesteps=T, verdict="failure"):
    (finding,) = found(model, check, data, timesteps)
    assert finding.verdict == verdict, finding
    return finding.message


def verdicts(findings):
    return {finding.check: finding.verdict for finding in findings}


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
    assert "40 samples agree bit for bit" in by_check["repeatable"]
    assert "a run of 4 steps begins like those of 1 to 3; no output depends on a later frame" in by_check["causal in t"]
    assert "32" not in by_check["spikes"] and "on 23 samples at T = 4, 1 spiking layers" in by_check["spikes"]
    assert "a point of 40 samples at T = 4: a 25x25 surface" in by_check["time"]


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
    assert "nothing to test at T = 1" in sick(Foreign(), "causal in t", timesteps=1, verdict="ok")


def test_what_no_network_can_help_is_raised():
    with pytest.raises(DataError, match="empty"):
        examine(Foreign(), [], T)
    with pytest.raises(DataError, match="out of range"):
        examine(Foreign(), [(torch.zeros(2, 1, 3, 3), torch.tensor([0, 4]))], T)
    with pytest.raises(DataError, match="frames"):
        examine(Foreign(), [(torch.zeros(2, 2, 1, 3, 3), torch.tensor([0, 1]))], T)
    with pytest.raises(ValueError, match="at least 1"):
        examine(Foreign(), healthy_batches(), 0)


# repeatable


def test_shuffled_data_are_named():
    x, y = (torch.cat(parts) for parts in zip(*healthy_batches(), strict=True))
    loader = DataLoader(TensorDataset(x, y), 7, shuffle=True)
    message = sick(Foreign(), "repeatable", loader)
    assert "the data change" in message and "shuffl" in message
    assert "dropout" not in message and "state" not in message


def test_augmented_data_are_named():
    class Augmented(list):
        def __iter__(self):
            return ((x + torch.randn(x.shape), y) for x, y in super().__iter__())

    assert "the data change" in sick(Foreign(), "repeatable", Augmented(healthy_batches()))


def test_dropout_that_is_kept_on_is_named():
    class MonteCarlo(Foreign):
        def eval(self):
            super().eval()
            self.middle.train()
            return self

    message = sick(MonteCarlo(nn.Dropout(0.5)), "repeatable")
    assert "dropout stays active after eval() in middle (Dropout)" in message
    assert "besides" not in message and "data change" not in message and "leaks" not in message
    both = MonteCarlo(nn.Dropout(0.5), front=Calls(lambda x: F.dropout(x, 0.5)))
    assert "in middle (Dropout): let eval() reach it; besides, a random function" in sick(both, "repeatable")


@pytest.mark.parametrize(
    "noise",
    [
        lambda x: F.dropout(x, 0.5),
        lambda x: x * random.random(),
        lambda x: x * float(np.random.rand()),
    ],
)
def test_randomness_in_forward_is_named(noise):
    message = sick(Foreign(Calls(noise)), "repeatable")
    assert "a random function in forward" in message
    assert "stays active" not in message and "leaks" not in message
    assert "see repeatable" in sick(Foreign(Calls(noise)), "causal in t", verdict="warning")


def test_randomness_from_elsewhere_is_told_apart():
    message = sick(Foreign(Calls(lambda x: x * torch.rand((), generator=OWN_GENERATOR))), "repeatable")
    assert "outside its modules" in message and "F.dropout" not in message


def test_leaked_state_is_named():
    message = sick(Foreign(keep=True), "repeatable")
    assert "state leaks from one run into the next, in neuron (Neuron): v; reset it" in message
    assert "random" not in message and "data change" not in message


def test_leaked_state_in_lists_and_buffers_is_named():
    class Lists(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("total", torch.zeros(()))
            self.trace = [torch.zeros(())]

        def forward(self, x):
            out = x * (1 + self.total + self.trace[0])
            self.total += 0.1
            self.trace = [self.trace[0] + 0.1]
            return out

    message = sick(Foreign(Lists()), "repeatable")
    assert "in middle (Lists): total, trace; reset it" in message


def test_state_that_does_not_fit_the_next_batch_is_a_finding():
    (x, y), _ = healthy_batches()
    message = sick(Foreign(keep=True), "repeatable", [(x, y), (x[:5], y[:5])])
    assert "cannot be measured: RuntimeError" in message
    assert "in neuron (Neuron): v" in message


def test_state_of_a_graph_is_named():
    model = Foreign()
    model(healthy_batches()[0][0], T)
    message = sick(model, "repeatable")
    assert "neuron (Neuron) keep tensors of an autograd graph" in message
    assert not model.neuron._memories["v"].is_leaf


def test_batch_norm_in_train_mode_is_named():
    class AlwaysTraining(Foreign):
        def train(self, mode=True):
            return super().train(True)

    message = sick(AlwaysTraining(OverMerged(nn.BatchNorm1d(16))), "repeatable")
    assert "middle.layer (BatchNorm1d) stay in train mode after eval()" in message
    assert "running_mean, running_var" in message
    assert verdicts(examine(AlwaysTraining(), healthy_batches(), T))["repeatable"] == "ok"
    assert verdicts(examine(Foreign(OverMerged(nn.BatchNorm1d(16))), healthy_batches(), T))["repeatable"] == "ok"


def test_a_network_that_cannot_run_is_a_finding():
    class Crashes(nn.Module):
        def forward(self, x, timesteps):
            return self.nothing

    findings = examine(Crashes(), healthy_batches(), T)
    assert [finding.check for finding in findings] == list(CHECKS)
    assert "has no attribute 'nothing'" in findings[0].message
    failed = {check for check, verdict in verdicts(findings).items() if verdict == "failure"}
    assert failed == set(CHECKS) - {"tied tensors", "reset gradient"}
    flat = sick(nn.Sequential(), "repeatable")
    assert "TypeError" in flat


# finite, above chance


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(value):
    model = warmed()
    with torch.no_grad():
        model.features[2].conv.bias[0] = value
        model.classifier.weight[1, 2] = value
    data = batches_for(warmed(), 1, 16)
    message = sick(model, "finite", data)
    assert "L_SDT nan at T = 1" in message or "L_SDT inf at T = 1" in message
    assert "features.2.conv.bias, classifier.weight hold" in message
    # NaN is as repeatable as any number, and as causal.
    assert {verdicts(examine(model, data, T))[check] for check in ("repeatable", "causal in t")} == {"ok"}


def test_the_layer_that_overflows_is_named():
    model = Foreign()
    with torch.no_grad():
        model.last.weight.fill_(3e38)
    assert "first behind last (Linear)" in sick(model, "finite")


def test_chance_is_named():
    model = warmed()
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    message = sick(model, "above chance", batches_for(warmed(), 1, 16))
    assert "no better than chance (L_SDT 1.3863 at T = 4, log 4 = 1.3863)" in message


# tied tensors


def two_layers():
    model = Foreign(nn.Linear(16, 16))
    model.extra = nn.Linear(16, 16)
    return model


def test_tied_weights_are_named():
    model = two_layers()
    model.extra.weight = model.middle.weight
    message = sick(model, "tied tensors", verdict="warning")
    assert "middle.weight = extra.weight" in message and "moved once" in message and "bias" not in message


def test_a_module_under_two_names_is_named_once():
    model = Foreign(nn.Sequential(nn.Linear(16, 16)))
    model.extra = model.middle
    message = sick(model, "tied tensors", verdict="warning")
    assert message.startswith("middle = extra: ")


def test_overlapping_parameters_are_named():
    model, base = two_layers(), torch.randn(20, 16)
    model.middle.weight, model.extra.weight = nn.Parameter(base[:16]), nn.Parameter(base[4:])
    message = sick(model, "tied tensors")
    assert "middle.weight and extra.weight overlap" in message


def test_parts_of_one_storage_do_not_overlap():
    model, rows, columns = two_layers(), torch.randn(32, 16), torch.randn(16, 32)
    model.middle.weight, model.extra.weight = nn.Parameter(rows[:16]), nn.Parameter(rows[16:])
    assert "each with one name" in sick(model, "tied tensors", verdict="ok")
    model.middle.weight, model.extra.weight = nn.Parameter(columns[:, :16]), nn.Parameter(columns[:, 16:])
    sick(model, "tied tensors", verdict="ok")
    model.extra.weight = nn.Parameter(columns[:, 15:31])
    sick(model, "tied tensors")


# reset gradient


def test_a_detached_reset_is_named():
    model = warmed(detach_reset=True)
    message = sick(model, "reset gradient", batches_for(model, 1, 16), verdict="warning")
    assert "features.1 (LIF), features.3 (LIF)" in message and "1 more" in message


# causal in t


def test_a_layer_that_averages_over_all_steps_is_named():
    average = Calls(lambda x: x.mean(0, keepdim=True).expand_as(x))
    message = sick(Foreign(average), "causal in t")
    assert "a run of 4 steps does not begin like one of 1" in message and "middle (Calls) lets later" in message


def test_a_network_that_averages_without_a_layer_is_named():
    class Averages(Foreign):
        def forward(self, x, timesteps):
            return super().forward(x, timesteps).mean(0).expand(timesteps, -1, -1)

    assert "the network (Averages) lets later" in sick(Averages(), "causal in t")


def test_the_layer_is_found_in_a_batch_first_network():
    class BatchFirst(Foreign):
        def forward(self, x, timesteps):
            spikes_BT = self.neuron(self.first(x.flatten(1)).expand(timesteps, -1, -1)).transpose(0, 1)
            merged = self.front(spikes_BT)
            return self.last(self.middle(merged.view_as(spikes_BT))).transpose(0, 1)

    assert verdicts(examine(BatchFirst(), healthy_batches(), T))["causal in t"] == "ok"
    average = Calls(lambda x: x - x.mean(1, keepdim=True))
    message = sick(BatchFirst(average, front=nn.Flatten(0, 1)), "causal in t")
    assert "middle (Calls) lets later" in message


def test_a_layer_that_takes_the_next_frame_is_named():
    ahead = Calls(lambda x: x.roll(-1, 0))
    message = sick(Foreign(front=ahead), "causal in t")
    assert "outputs depend on a later frame: front (Calls)" in message


def test_batch_statistics_in_eval_are_named():
    model = warmed()
    channels = model.features[2].norm.num_features
    model.features[2].norm = nn.BatchNorm2d(channels, track_running_stats=False)
    message = sick(model.eval(), "causal in t", batches_for(warmed(), 1, 16))
    assert (
        "does not begin like one of 1: features.2.norm (BatchNorm2d) normalises by statistics of all timesteps"
        in message
    )
    assert "track_running_stats=True" in message


def test_a_network_of_ours_that_averages_when_run_in_whole_is_named():
    class Averages(SpikingNetwork):
        def __init__(self):
            super().__init__()
            self.first, self.lif, self.average = nn.Linear(9, 4), LIF(), Calls(lambda x: x - x.mean(0))

        def body(self, x_TBCHW):
            return self.average(self.lif(self.first(x_TBCHW.flatten(2))))

    message = sick(Averages(), "causal in t")  # step by step it has nothing to average over
    assert "does not begin like one of" in message and "average (Calls) lets later" in message


def test_rounding_is_no_failure():
    # Sums over a merged axis whose order depends on T: the same function, other last bits.
    def sums(x):
        large = 1e7 * len(x)
        return (x + large) - large

    message = sick(Foreign(Calls(sums)), "causal in t", verdict="warning")
    assert "up to rounding" in message


def test_a_network_without_sequences_is_told():
    class Images(Foreign):
        def forward(self, x, timesteps):
            if x.dim() == 5:
                raise ValueError("images only")
            return super().forward(x, timesteps)

    assert "not tested" in sick(Images(), "causal in t", verdict="ok")


# inputs untouched


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
    assert "add_dimension (Dimension) works in place" in message
    assert "from (23, 1, 3, 3) to (23, 1, 1, 3, 3)" in message
    assert data[0][0].shape == (23, 1, 3, 3)

    class Scales(Foreign):
        def forward(self, x, timesteps):
            return super().forward(x.mul_(2), timesteps)

    assert "the network (Scales) works in place" in sick(Scales(), "inputs untouched", verdict="warning")


def test_work_in_place_in_a_network_of_ours_reaches_the_data():
    class Scales(SpikingNetwork):
        def __init__(self):
            super().__init__()
            self.first, self.lif, self.last = nn.Linear(9, 16), LIF(), nn.Linear(16, 4)

        def body(self, x_TBCHW):
            return self.last(self.lif(self.first(x_TBCHW.mul_(2).flatten(2))))

    x = torch.randn(T, 8, 1, 3, 3)
    message = sick(Scales(), "inputs untouched", (x, torch.arange(8) % 4))
    assert "the network (Scales) works in place on the caller's samples and changes their values" in message


# spikes


def test_silent_layers_are_named():
    model = warmed()
    data = batches_for(model, 1, 16)
    model.features[6].threshold = 1e9
    message = sick(model, "spikes", data, verdict="warning")
    assert message.startswith("silent on 23 samples at T = 4: features.6 (LIF)") and "features.1 " not in message
    for module in model.modules():
        if isinstance(module, LIF):
            module.threshold = 1e9
    assert "no neuron fires" in sick(model, "spikes", data)


def test_saturated_layers_are_named():
    model = warmed()
    data = batches_for(model, 1, 16)
    model.features[3].threshold = -1e9
    message = sick(model, "spikes", data, verdict="warning")
    assert "every neuron fires" in message and ": features.3 (LIF);" in message


def test_the_rate_is_that_of_the_spikes():
    class Third(nn.Module):
        def forward(self, x):
            out = torch.zeros_like(x)
            out.view(-1)[::4] = 1
            return out

    model = Foreign()
    model.neuron = Third()
    assert sick(model, "spikes", verdict="ok").startswith("25.00% of the neurons fire a step")


def test_a_network_without_spikes_is_told():
    model = Foreign()
    model.neuron = nn.Tanh()
    assert "no spiking layer" in sick(model, "spikes", verdict="warning")


def test_layers_that_pass_spikes_on_are_none():
    nested = nn.Sequential(nn.Identity(), nn.Dropout(0.5), Calls(lambda x: x))
    assert "1 spiking layers" in sick(Foreign(nested), "spikes", verdict="ok")

    class WithSurrogate(Neuron):  # SpikingJelly's neurons hold their surrogate as a module
        def __init__(self):
            super().__init__()
            self.surrogate = Calls(lambda u: (u > 1).to(u))

        def forward(self, x_TB):
            return self.surrogate(x_TB.cumsum(0))

    model = Foreign()
    model.neuron = nn.Sequential(WithSurrogate())
    assert "1 spiking layers" in sick(model, "spikes", verdict="ok")
    model.neuron[0].surrogate = Calls(torch.zeros_like)
    assert "neuron.0 (WithSurrogate);" in sick(model, "spikes")


# precision


def test_rounding_that_moves_the_loss_is_told():
    rounds = Calls(lambda x: (x + 2e7) - 2e7)
    message = sick(Foreign(front=rounds), "precision", verdict="warning")
    assert "take --precision float64" in message and " 0.00% of the spikes" not in message
    data = [(x.double(), y) for x, y in healthy_batches()]
    assert "--precision" not in sick(Foreign(front=rounds).double(), "precision", data, verdict="ok")


def test_flipped_spikes_are_counted():
    flips = Calls(lambda x: x + 2 * (x.dtype == torch.float64) * (torch.arange(16) == 3))
    model = Foreign(front=flips)
    nn.init.zeros_(model.first.weight)
    nn.init.zeros_(model.first.bias)
    with torch.no_grad():
        model.last.weight[:, 3] = 0  # so the one neuron of 16 that flips says nothing
    message = sick(model, "precision", verdict="ok")
    assert message.startswith(f"6.25% of the spikes ({23 * T} of {23 * T * 16})")
    assert "L_SDT by 0 and L_TET by 0" in message


def test_a_network_that_refuses_float64_is_told():
    fixed = torch.eye(16)
    message = sick(Foreign(Calls(lambda x: x @ fixed)), "precision", verdict="warning")
    assert "cannot be run in float64" in message


# the patient


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


# the command


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
