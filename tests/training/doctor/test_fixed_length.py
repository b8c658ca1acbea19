"""Networks that run for one T alone: whether they look ahead is tested at the T that they have."""

import numpy as np
import pytest
import torch
from doctor_networks import verdicts
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

from tetviz.analysis import compute_operations, compute_scaling
from tetviz.errors import CheckpointError
from tetviz.landscape import Evaluator, RandomPlanes, compute_surface
from tetviz.models import Calling, ForeignNetwork, only_length
from tetviz.training.doctor import examine

T = 4


def images(samples=40):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(samples, 1, 6, 6, generator=generator)


class OverTime(nn.Module):
    """Mixes steps by a matrix, steps x steps, as attention and norms over time do; a PSN does before it fires."""

    def __init__(self, weights):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(weights, dtype=torch.float32))

    def forward(self, x):
        return torch.einsum("st,tb...->sb...", self.weight, x)


def network(*between, fixed=True):
    torch.manual_seed(0)
    body = nn.Sequential(
        layer.Conv2d(1, 4, 3, padding=1, step_mode="m"),
        *between,
        layer.Flatten(step_mode="m"),
        layer.Linear(144, 3, step_mode="m"),
    )
    with torch.no_grad():
        body[-1].weight.mul_(8)
    calling = Calling("time-major", "time-major", timesteps_by="fixed" if fixed else "")
    return ForeignNetwork(body, calling, T).eval()


def lif():
    return neuron.LIFNode(tau=1.2, v_threshold=0.3, step_mode="m")


def psn():
    made = neuron.PSN(T, surrogate_function=surrogate.ATan())
    with torch.no_grad():
        made.weight.copy_(torch.rand(T, T))
        made.bias.fill_(-0.3)
    return made


def labelled(model):
    x = images()
    with torch.no_grad():
        labels = model(x, T).mean(0).argmax(1)
    return [(x, labels)]


class Attention(nn.Module):
    """Weighs all steps by how silent the later ones are; a rectifier makes it deaf to all above 0.2."""

    def forward(self, x):
        mean = x.flatten(2).mean(2)
        return x * (1 + (0.2 - mean[1:]).relu().sum(0))[None, :, None, None, None]


AHEAD = {
    "attention that heeds what is darker": lambda: [lif(), Attention()],
    "psn": lambda: [psn()],
    "mean over time": lambda: [lif(), OverTime(np.full((T, T), 1 / T))],
    "frame 2 in O(1) alone": lambda: [lif(), OverTime(np.eye(T) + 0.5 * np.eye(T, k=1) * (np.arange(T) == 0)[:, None])],
}
CAUSAL = {
    "masked psn": lambda: [neuron.MaskedPSN(k=2, T=T, surrogate_function=surrogate.ATan(), lambda_init=1.0)],
    "lower triangle": lambda: [lif(), OverTime(np.tril(np.ones((T, T))))],
}


@pytest.mark.parametrize("between", AHEAD.values(), ids=AHEAD)
def test_a_network_of_one_t_that_looks_ahead_is_told_and_has_no_curve(between):
    model = network(*between())
    data = labelled(model)
    (finding,) = (each for each in examine(model, data, T) if each.check == "causal in t")
    assert finding.verdict == "warning" and "outputs depend on a later frame: network." in finding.message
    assert "a run of it is one of T = 4 alone, its outputs at t < 4 are none of t steps" in finding.message
    with pytest.raises(CheckpointError, match="outputs depend on a later frame"):
        compute_scaling(model, data, T)


@pytest.mark.parametrize("between", CAUSAL.values(), ids=CAUSAL)
def test_a_network_of_one_t_that_is_causal_has_its_curve(between):
    model = network(*between())
    assert only_length(model) == T
    data = labelled(model)
    assert verdicts(examine(model, data, T))["causal in t"] == "ok"
    curve = compute_scaling(model, data, T)
    assert curve.prefix_test == "ok: it runs for T = 4 alone; no output depends on a later frame"
    assert np.isfinite(curve.accuracy).all()


def test_its_energy_and_its_landscape_have_the_one_t_that_it_runs_for():
    model = network(psn())
    data = labelled(model)
    counts = compute_operations(model, data, T)
    assert np.isnan(counts.accuracy[:-1]).all() and counts.accuracy[-1] == 1
    assert any("outputs depend on a later frame" in each for each in counts.warnings)
    surface = compute_surface(model, data, RandomPlanes(model, 0, 1)[0], 3, T)
    assert np.isnan(surface.sdt_loss[..., :-1]).all() and np.isfinite(surface.sdt_loss[..., -1]).all()
    assert Evaluator(model, data, T).only_longest


def test_a_network_of_any_t_that_looks_ahead_is_refused_with_the_way_to_measure_it():
    """A norm over all steps runs at every T, but is no run of fewer steps at any."""

    class Normed(nn.Module):
        def forward(self, x):
            return x - x.mean(0, keepdim=True)

    model = network(lif(), Normed(), fixed=False)
    with pytest.raises(CheckpointError, match="import it with --timesteps-by fixed") as error:
        compute_scaling(model, labelled(model), T)
    assert "network.2 (Normed) lets later timesteps into earlier outputs" in str(error.value)
    functional.reset_net(model)
    assert only_length(model) is None
