"""Running statistics that are not those of the weights, and inputs of another scale: told, and nothing else is."""

import copy

import pytest
import torch
from doctor_networks import Foreign, T, batches_for, found, healthy_batches, sick, warmed
from torch import nn

from tetviz.training.doctor.statistics import running_statistics


class Normed(nn.Module):
    """A convolution, its normalisation, and a read-out that fits labels of the train mode."""

    def __init__(self, momentum=0.1, norm=nn.BatchNorm2d, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm, self.head = nn.Conv2d(3, 16, 3), norm(16, momentum=momentum), nn.Linear(16 * 36, 4)
        with torch.no_grad():
            self.conv.weight.mul_(torch.linspace(0.2, 8, 16)[:, None, None, None])
            self.conv.bias.copy_(torch.linspace(-4, 4, 16))
            self.head.weight.mul_(6)
        self.train()
        for _ in range(40):
            self(images(64), 1)

    def forward(self, x, timesteps):
        spikes = (self.norm(self.conv(x)) > 0.5).to(x)
        return self.head(spikes.flatten(1)).expand(timesteps, -1, -1)


def factor_in(message):
    return float(message.split("the inputs are ")[1].split(" times")[0])


def images(samples, factor=1.0):
    return factor * torch.randn(samples, 3, 8, 8)


def examined(network, x=None):
    torch.manual_seed(5)
    x = images(32) if x is None else x
    with torch.no_grad():
        labels = copy.deepcopy(network).train()(x, 1).mean(0).argmax(1)
    return running_statistics(network.eval(), x, labels, 1)


def test_statistics_that_never_caught_up_are_told_with_the_policy_that_mends_it():
    ((verdict, message),) = examined(Normed(momentum=1e-4))
    assert verdict == "warning" and "have not caught up with the weights" in message and "--bn recalibrate" in message
    running, batch = (float(word) for word in message.split() if word[0].isdigit() and "." in word)
    assert running > 2 * batch


@pytest.mark.parametrize("momentum", [0.1, None])
def test_statistics_that_did_are_ok(momentum):
    ((verdict, message),) = examined(Normed(momentum=momentum))
    assert verdict == "ok" and message.startswith("L_SDT ")


@pytest.mark.parametrize("factor", [0.8, 0.5, 1.25, 255.0])
def test_inputs_of_another_scale_are_told_with_the_factor(factor):
    network = Normed()
    torch.manual_seed(7)
    (verdict, message), *_ = examined(network, images(32, factor))
    assert verdict == "warning" and "norm (BatchNorm2d)" in message and "normalisation of the training" in message
    assert factor_in(message) == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("factor", [0.95, 1.0, 1.05])
def test_inputs_of_nearly_the_same_scale_are_not(factor):
    torch.manual_seed(7)
    assert [verdict for verdict, _ in examined(Normed(), images(32, factor))] == ["ok"]


def test_networks_of_tetviz_and_networks_without_a_normalisation_pass():
    message = found(Foreign(), "batch norm", healthy_batches())[0].message
    assert message == "no normalisation keeps running statistics"
    model = warmed()
    (finding,) = found(model, "batch norm", batches_for(model, 1, 16))
    assert finding.verdict == "ok", finding


def test_a_network_of_tetviz_on_darker_images_is_told():
    model = warmed()
    batches = [(0.6 * x, y) for x, y in batches_for(model, 1, 16)]
    message = sick(model, "batch norm", batches, T, verdict="warning")
    assert factor_in(message) == pytest.approx(0.6, rel=0.1)
