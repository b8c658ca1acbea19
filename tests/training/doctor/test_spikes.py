import torch
from doctor_networks import Calls, Foreign, Neuron, T, batches_for, healthy_batches, sick, warmed
from torch import nn
from wording import heard

from tetviz.models import LIF


def test_silent_layers_are_named():
    model = warmed()
    data = batches_for(model, 1, 16)
    model.features[6].threshold = 1e9
    message = sick(model, "spikes", data, verdict="warning")
    assert message.startswith("silent on 23 samples at T = 4: features.6 (LIF)") and "features.1 " not in message
    for module in model.modules():
        if isinstance(module, LIF):
            module.threshold = 1e9
    heard(sick(model, "spikes", data), "neuron fires")


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
    heard(sick(model, "spikes", verdict="warning"), "spiking layer")


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
    heard(message, "L_SDT 0 L_TET")


def test_a_network_that_refuses_float64_is_told():
    fixed = torch.eye(16)
    message = sick(Foreign(Calls(lambda x: x @ fixed)), "precision", verdict="warning")
    heard(message, "float64")
