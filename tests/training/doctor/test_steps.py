"""Neurons that carry nothing from step to step: left in single-step mode, or without a state."""

import pytest
import torch
from doctor_networks import Foreign, T, batches_for, found, sick, warmed
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from tetviz.models import Calling, ForeignNetwork


def network(mode, takes="time-major", gives="time-major"):
    torch.manual_seed(0)
    body = nn.Sequential(
        layer.Conv2d(1, 8, 3), neuron.LIFNode(tau=1.5, v_threshold=0.4), layer.Flatten(), layer.Linear(128, 4)
    )
    functional.set_step_mode(body, "m")
    with torch.no_grad():
        body[-1].weight.mul_(4)
    body[1].step_mode = mode
    if takes == "step":
        functional.set_step_mode(body, "s")
    return ForeignNetwork(body, Calling(takes, gives), T).eval()


@pytest.fixture
def data():
    return batches_for(network("m"), side=6)


def test_neurons_left_in_single_step_mode_are_named(data):
    message = sick(network("s"), "steps", data, verdict="warning")
    assert "network.1 (LIFNode) take one call for one step, and get all 4 steps in one" in message
    assert "functional.set_step_mode" in message


def test_the_same_neurons_called_step_by_step_are_right(data):
    for model in (network("m"), network("s", "step", "step")):
        (finding,) = found(model, "steps", data)
        assert (finding.verdict, finding.message) == ("ok", "O(t) of one frame shown 4 times changes with t")


def test_a_network_without_a_state_is_told():
    class Step(nn.Module):
        def forward(self, x):
            return (x > 0.2).to(x)

    class Stateless(Foreign):
        def __init__(self):
            super().__init__()
            self.neuron = Step()

    model = Stateless()
    message = sick(model, "steps", batches_for(model), verdict="warning")
    assert "O(t) of one frame shown 4 times is the same at every t" in message


def test_a_single_step_and_networks_of_tetviz_pass():
    model = warmed()
    data = batches_for(model, 1, 16)
    assert found(model, "steps", data)[0].verdict == "ok"
    assert found(model, "steps", data, timesteps=1)[0].message.startswith("nothing to test at T = 1")
