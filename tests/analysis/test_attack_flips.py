"""The gradient-to-spike converter and spike flips, against closed forms."""

import pytest
import torch

from tetviz.analysis.attack.flips import convert_gradient, flip_exactly, flip_spikes
from tetviz.analysis.attack.gradient import attacker_view, input_gradient
from tetviz.models import LIF


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_the_converter_keeps_an_element_with_probability_by_its_size(generator):
    gradient = torch.tensor([[0.0, -0.5, 1.0]]).expand(10_000, 3)
    spikes = torch.tensor([[0.0, 1.0, 0.0]]).expand(10_000, 3)
    changed = convert_gradient(gradient, spikes, generator)
    assert (changed[:, 2] == 1).all() and (changed[:, 0] == 0).all()
    assert float((changed[:, 1] == 0).float().mean()) == pytest.approx(0.5, abs=0.015)


def test_the_largest_gradient_is_that_of_the_sample_not_of_the_batch(generator):
    gradient = torch.tensor([[1e-6, 0.0], [5.0, 0.0]])
    assert convert_gradient(gradient, torch.zeros(2, 2), generator).tolist() == [[1.0, 0.0], [1.0, 0.0]]


def test_an_all_zero_gradient_changes_nothing_and_gives_no_nan(generator):
    spikes = (torch.rand(4, 50, generator=generator) < 0.5).float()
    assert torch.equal(convert_gradient(torch.zeros(4, 50), spikes, generator), spikes)


def test_the_flipper_flips_its_share(generator):
    flipped = flip_spikes(torch.zeros(10, 100_000), 0.05, generator)
    assert float(flipped.mean()) == pytest.approx(0.05, abs=0.001)


def test_the_control_flips_exactly_as_many(generator):
    spikes = (torch.rand(3, 40, generator=generator) < 0.5).float()
    changed = flip_exactly(spikes, torch.tensor([0, 7, 40]), generator)
    assert (changed != spikes).sum(1).tolist() == [0, 7, 40]


def test_a_raised_threshold_opens_the_surrogate_of_neurons_that_fire_and_leaves_the_network():
    neurons = torch.nn.Sequential(LIF(leak=0.0, threshold=1.0, surrogate="rectangle"))

    def run(x):
        return torch.stack([neurons(x) * 3, torch.zeros_like(x)], -1).squeeze(2)

    x, label = torch.full((1, 1, 1), 1.2), torch.tensor([0])
    own = input_gradient(run, x, label)
    with attacker_view(neurons, threshold=2.0):
        assert neurons(x.requires_grad_()).item() == 0.0
        raised = input_gradient(run, x, label)
    # softmax of (3 s, 0): dL/dx = -3 (1 - p) h, h = 1 within half a width of the threshold.
    assert own.item() == pytest.approx(-3 * (1 - torch.sigmoid(torch.tensor(3.0)).item()), rel=1e-5)
    assert raised.item() == pytest.approx(-1.5, rel=1e-5)
    assert type(neurons[0]) is LIF and neurons(x).item() == 1.0
