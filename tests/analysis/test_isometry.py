"""Block isometry against exact Jacobians, closed forms, and laws that they obey."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from depth_networks import Carry, Over, Scale, theory_network
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from wording import refuses

from tetviz.analysis import compute_isometry, gaussian_phi
from tetviz.analysis.isometry import standard_error
from tetviz.analysis.isometry_theory import gaussian_mass
from tetviz.analysis.jacobian import candidates, find_blocks
from tetviz.errors import DataError, ModelError, TrainingError
from tetviz.models import LIF, SNN5, Calling, ConvNorm, ForeignNetwork, build
from tetviz.models.blocks import BasicBlock, MSBlock, SEWBlock
from tetviz.models.layers import Parts, time_major
from tetviz.summaries.isometry import closed_form_error, gradient_growth, isometry_table, running_product
from tetviz.training import mask_labels
from tetviz.training.data.torchvision import import_torchvision

BLOCKS = r"blocks\.\d+"


def seeded(make, seed=0):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return make()


def batch(samples=8, channels=4, side=4, seed=1, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    x = scale * torch.randn(samples, channels, side, side, generator=generator)
    return [(x, torch.arange(samples) % 2)]


def exact(network, x, steps):
    """tr(J(t, t') J(t, t')^T) / d of a module by full autograd, of one sample, (T, T)."""
    x_T = time_major(x, steps).detach().clone()
    jacobian = torch.autograd.functional.jacobian(lambda each: network(each), x_T)
    rows = jacobian.reshape(steps, -1, steps, x_T[0].numel())
    return (rows.double() ** 2).sum((1, 3)) / rows.shape[1]


@pytest.mark.parametrize("factor", [1.0, 0.5, -3.0])
def test_a_scaled_identity_has_the_square_of_its_factor(factor):
    result = compute_isometry(Over(Scale(factor), Scale(1.0)), batch(), 3, blocks=BLOCKS, probes=2)
    np.testing.assert_allclose(result.phi[0], factor**2 * np.eye(3), rtol=1e-6)
    assert result.step_phi[0] == pytest.approx(factor**2) and result.run_phi[0] == pytest.approx(factor**2)
    assert result.step_phi_se[0] == pytest.approx(0, abs=1e-6)
    assert result.bypass.tolist() == [0, 0] and np.isnan(result.closed_form).all()


def test_what_is_carried_over_stands_beside_the_diagonal():
    carry = 0.5
    result = compute_isometry(Over(Scale(1), Carry(carry)), batch(), 4, blocks=BLOCKS)
    t = np.arange(4)
    expected = np.where(t[:, None] >= t, carry ** (2.0 * (t[:, None] - t)), 0)
    np.testing.assert_allclose(result.phi[1], expected, rtol=1e-6)
    assert result.step_phi[1] == pytest.approx(1)
    assert result.run_phi[1] == pytest.approx(expected.sum() / 4)


def test_a_convolution_has_the_mean_squared_norm_of_its_rows():
    conv = seeded(lambda: nn.Conv2d(4, 6, 3, 2, 1))
    network = Over(Scale(1), ConvNorm(conv, nn.Identity()))
    result = compute_isometry(network, batch(32), 2, blocks=BLOCKS, probes=64)
    basis = torch.eye(64).reshape(64, 4, 4, 4)
    rows = (conv(basis) - conv(torch.zeros_like(basis))).flatten(1).detach()
    expected = float((rows**2).sum() / rows.shape[1])
    assert abs(result.step_phi[1] - expected) < 4 * result.step_phi_se[1] < 0.05 * expected


@pytest.mark.parametrize("block", ["plain", "sew", "ms"])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_estimates_agree_with_the_whole_jacobian(block, reset):
    parts = Parts(partial(LIF, reset=reset, surrogate="arctan"))
    made = {"plain": BasicBlock, "sew": SEWBlock, "ms": MSBlock}[block]
    network = seeded(lambda: Over(made(2, 2, 1, parts))).double().eval()
    (x, labels), steps, probes = batch(3, 2, 3)[0], 3, 400
    x = 2 * x.double()
    result = compute_isometry(network, [(x, labels)], steps, bn="frozen", probes=probes)
    expected = np.stack([exact(network.blocks[0], x[k : k + 1], steps).numpy() for k in range(3)])
    np.testing.assert_allclose(result.phi[0], expected.mean(0), rtol=0.08, atol=0.02 * expected.mean(0).max())
    assert result.run_phi[0] == pytest.approx(expected.sum(2).mean(), rel=0.03)
    assert result.step_phi[0] == pytest.approx(np.trace(expected.mean(0)) / steps, rel=0.03)


def test_statistics_of_the_batch_take_part():
    norm = nn.BatchNorm2d(3)
    network = seeded(lambda: Over(Scale(1), ConvNorm(nn.Conv2d(3, 3, 1, bias=False), norm))).double()
    x = batch(4, 3, 2)[0][0].double()
    result = compute_isometry(network, [(x, torch.zeros(4, dtype=torch.long))], 1, blocks=BLOCKS, probes=800)
    training = copy.deepcopy(network.blocks[1]).train()
    jacobian = torch.autograd.functional.jacobian(training, x[None]).reshape(48, 48)
    assert result.run_phi[1] == pytest.approx(float((jacobian**2).sum()) / 48, rel=0.03)
    frozen = compute_isometry(
        network, [(x, torch.zeros(4, dtype=torch.long))], 1, blocks=BLOCKS, bn="frozen", probes=99
    )
    weight = network.blocks[1].conv.weight
    assert frozen.run_phi[1] == pytest.approx(float((weight.detach() ** 2).sum() / 3 / (1 + norm.eps)), rel=0.05)


@pytest.mark.parametrize("name", ["cifar-resnet", "snn5", "sew-resnet18"])
def test_the_network_is_left_as_it_is(name):
    model = seeded(lambda: build(name, in_channels=1, image_size=16, width=0.125)).train()
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    compute_isometry(model, batch(4, 1, 16), 2, probes=1)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()]
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_same_seed_gives_the_same_numbers():
    model = seeded(lambda: build("cifar-resnet", in_channels=1, image_size=8, width=0.25, depth=8, block="plain"))
    first, again, other = (compute_isometry(model, batch(4, 1, 8), 2, probes=2, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.phi, again.phi)
    assert (first.phi != other.phi).any()


# Closed forms


@pytest.mark.parametrize(
    ("surrogate", "threshold", "mass", "phi"),
    [
        ("rectangle", 0.5, 0.4772, 0.8938),
        ("rectangle", 1.0, 0.2417, 1.8109),
        ("triangle", 1.0, 0.1610, 1.2059),
    ],
)
def test_normal_potentials_give_the_known_numbers(surrogate, threshold, mass, phi):
    assert gaussian_mass(surrogate, 1, threshold, 0, threshold) == pytest.approx(mass, abs=5e-5)
    assert gaussian_phi(surrogate, 1, threshold) == pytest.approx(phi, abs=5e-5)
    # Twenty blocks of width 128: product and mean of what is measured.
    network = seeded(lambda: theory_network(surrogate, 1, threshold, tdbn=True))
    x = seeded(lambda: threshold * torch.randn(256, 128, 1, 1), seed=5)
    result = compute_isometry(network, [(x, torch.arange(256) % 2)], 1, blocks=BLOCKS, probes=1)
    assert result.step_phi.mean() == pytest.approx(phi, rel=0.03)
    assert result.rate.mean() == pytest.approx(0.158655, rel=0.03)


def test_plain_batch_norm_at_a_low_threshold_explodes():
    network = seeded(lambda: theory_network("rectangle", 1, 0.5, tdbn=False))
    x = seeded(lambda: 0.5 * torch.randn(256, 128, 1, 1), seed=5)
    result = compute_isometry(network, [(x, torch.arange(256) % 2)], 1, blocks=BLOCKS, probes=1)
    first, others = gaussian_phi("rectangle", 1, 0.5, gain=1), gaussian_phi("rectangle", 1, 0.5, gain=1, std=1)
    assert (first, others) == (pytest.approx(3.575, abs=1e-3), pytest.approx(1.600, abs=1e-3))
    assert result.step_phi[0] == pytest.approx(first, rel=0.05)
    assert result.step_phi[1:].mean() == pytest.approx(others, rel=0.03)
    assert 1e4 < running_product(result)[0] < 8e4
    assert result.rate[0, 0] == pytest.approx(0.159, rel=0.05)
    assert result.rate[2:].mean() == pytest.approx(0.309, rel=0.02)


@given(
    surrogate=st.sampled_from(["rectangle", "triangle", "exponential", "arctan", "sigmoid"]),
    gamma=st.floats(0.3, 2),
    threshold=st.floats(0.2, 2),
    mean=st.floats(-1, 1),
    std=st.floats(0.2, 2),
)
def test_the_mass_is_that_of_the_midpoint_rule(surrogate, gamma, threshold, mean, std):
    """Whose error is at most h / 2 times the total variation; the normal distribution ends at 8 deviations here."""
    points = 1_000_000
    z = 16 * (torch.arange(points, dtype=torch.float64) + 0.5) / points - 8
    slopes = LIF(0.0, threshold, surrogate, gamma).trace((mean + std * z)[None, :, None]).slopes.flatten()
    values = slopes**2 * torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    error = 8 / points * float(values.diff().abs().sum())
    assert abs(gaussian_mass(surrogate, gamma, threshold, mean, std) - 16 * float(values.mean())) < error + 1e-9


def ms_block(gain, samples=16):
    parts = Parts(partial(LIF, 0.25, 0.5, "rectangle", 1.0, detach_reset=True), threshold=0.5)
    network = seeded(lambda: Over(MSBlock(16, 16, 1, parts)))
    nn.init.constant_(network.blocks[0].conv2.norm.weight, gain)
    x = seeded(lambda: 0.5 * torch.randn(6, samples, 16, 8, 8))
    return network, [(x, torch.arange(samples) % 2)]


def test_a_silenced_ms_block_is_an_isometry():
    network, data = ms_block(0.0)
    result = compute_isometry(network, data, probes=1, timesteps=6)
    np.testing.assert_array_equal(result.phi[0], np.eye(6))
    assert result.run_phi.tolist() == [1.0] and result.run_phi_se.tolist() == [0.0]
    np.testing.assert_array_equal(result.closed_form, np.ones((1, 6)))


def test_an_ms_block_that_speaks_stretches_by_its_branch():
    result = compute_isometry(*ms_block(0.5), timesteps=6, probes=2)
    assert result.run_phi[0] == pytest.approx(1.9, abs=0.1)
    assert closed_form_error(result) < 0.03


@pytest.mark.parametrize(
    "settings",
    [
        {"block": "plain"},
        {"block": "plain", "norm": "tdbn"},
        {"block": "sew"},
        {"block": "sew", "connect": "IAND"},
        {"block": "ms", "zero_init": False},
    ],
)
def test_closed_forms_of_residual_blocks_hold_at_initialisation(settings):
    model = seeded(lambda: build("cifar-resnet", in_channels=1, image_size=8, depth=14, **settings))
    result = compute_isometry(model, batch(32, 1, 8, scale=2.0), 2, probes=2)
    assert list(result.names) == [f"blocks.{k}" for k in range(6)]
    assert closed_form_error(result) < 0.06
    np.testing.assert_allclose(result.closed_form.mean(1), result.step_phi, rtol=0.2)


def test_the_closed_form_of_and_holds_while_there_are_spikes():
    # Block by block AND leaves fewer of them, until a few neurons decide.
    model = seeded(lambda: build("cifar-resnet", in_channels=1, image_size=8, depth=8, block="sew", connect="AND"))
    result = compute_isometry(model, batch(32, 1, 8, scale=2.0), 2, probes=2)
    assert result.closed_form[0].mean() == pytest.approx(result.step_phi[0], rel=0.1)


def test_the_closed_form_of_a_shortcut_that_pools():
    parts = Parts(threshold=0.5)
    network = seeded(lambda: Over(MSBlock(8, 16, 2, parts, pooled=True)))
    result = compute_isometry(network, batch(32, 8, 7, scale=0.5), 2, probes=4)
    assert result.closed_form.mean() == pytest.approx(result.step_phi[0], rel=0.08)


def test_the_closed_form_of_one_layer_is_exact():
    # The squared slopes of a layer times the squared rows of its weights is the trace itself.
    model = seeded(lambda: SNN5(2, 1, 16, 0.25))
    result = compute_isometry(model, batch(16, 1, 16), 2, bn="frozen", probes=16)
    assert list(result.modules) == ["chain"] * 4
    assert list(result.names) == [f"features.{k}" for k in (3, 6, 9, 12)]
    for block in (1, 2):
        assert abs(result.closed_form[block].mean() - result.step_phi[block]) < 0.1 * result.step_phi[block]


# Laws


def test_the_product_says_what_becomes_of_the_gradient():
    model = seeded(lambda: build("cifar-resnet", in_channels=1, image_size=8, depth=20, block="plain"))
    result = compute_isometry(model, batch(32, 1, 8, scale=2.0), 2, probes=2)
    product, growth = running_product(result), gradient_growth(result)
    np.testing.assert_allclose(np.sqrt(product), np.sqrt(growth), rtol=0.25)
    assert product[0] > 10
    np.testing.assert_allclose(result.output_gradient[:-1], result.input_gradient[1:], rtol=1e-5)
    assert (result.bypass < 1e-5).all()
    table = isometry_table(result)
    assert table["product"].tolist() == pytest.approx(product.tolist()) and len(table) == 9


@pytest.mark.parametrize(
    ("kind", "depth", "expected"), [("silent", 80, 1), ("ms", 9, 4.4), ("plain", 9, 0.89), ("sew", 9, 2.7)]
)
def test_depth_does_to_gradients_what_is_known_of_these_blocks(kind, depth, expected):
    # Norm of the gradient at the first input over that at the last output, measured on the published MS block and LIF.
    parts = Parts(partial(LIF, 0.25, 0.5, "rectangle", 1.0, detach_reset=True), threshold=0.5)

    def make():
        blocks = [{"plain": BasicBlock, "sew": SEWBlock}.get(kind, MSBlock)(16, 16, 1, parts) for _ in range(depth)]
        for module in nn.ModuleList(blocks).modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 0.5)
        if kind == "silent":
            for block in blocks:
                block.silence()
        return Over(*([] if kind in ("silent", "ms") else [parts.neuron()]), *blocks)

    x = seeded(lambda: 0.5 * torch.randn(2, 8, 16, 8, 8), seed=5)
    result = compute_isometry(seeded(make), [(x, torch.arange(8) % 2)], 2, probes=1)
    growth = math.sqrt(gradient_growth(result)[0])
    assert growth == 1 if kind == "silent" else growth == pytest.approx(expected, rel=0.15)
    assert math.sqrt(running_product(result)[0]) == pytest.approx(growth, rel=0.25)


def test_gradients_do_not_depend_on_how_samples_are_batched():
    model = seeded(
        lambda: build("cifar-resnet", in_channels=1, image_size=8, depth=8, block="plain", width=0.5)
    ).double()
    ((x, labels),) = batch(6, 1, 8, scale=2.0)
    whole = compute_isometry(model, [(x, labels)], 2, bn="frozen", probes=1)
    parts = compute_isometry(model, [(x[:2], labels[:2]), (x[2:], labels[2:])], 2, bn="frozen", probes=1)
    for name in ("input_gradient", "output_gradient", "layer_gradient", "rate", "potential_std", "mass"):
        np.testing.assert_allclose(getattr(whole, name), getattr(parts, name), rtol=1e-6, err_msg=name)


def test_gradients_are_those_of_each_sample():
    network, ((x, labels),) = Over(Scale(2.0), Scale(1.0)), batch(3, 2, 1)
    result = compute_isometry(network, [(x, labels)], 1, "sdt", blocks=BLOCKS)
    norms = []
    for sample, label in zip(x, labels, strict=True):
        leaf = (2 * sample[None]).requires_grad_()
        nn.functional.cross_entropy(leaf.flatten(1), label[None]).backward()
        norms.append(float(leaf.grad.norm()))
    expected = math.sqrt(np.mean(np.square(norms)))
    assert result.output_gradient[0, 0] == pytest.approx(expected)
    assert result.input_gradient[0, 0] == pytest.approx(2 * expected)


def test_rates_and_potentials_are_those_of_the_neurons():
    model = seeded(lambda: build("cifar-resnet", in_channels=1, image_size=8, depth=8, block="plain", width=0.5)).eval()
    ((x, labels),) = batch(6, 1, 8, scale=2.0)
    seen = {}
    neuron = model.stem[1]
    neuron.register_forward_hook(lambda _, args, output: seen.update(current=args[0].detach(), spikes=output.detach()))
    with torch.no_grad():
        model(x, 3)
    result = compute_isometry(model, [(x, labels)], 3, bn="frozen", probes=1)
    assert result.neuron_names[0] == "stem.1" and result.rate.shape == (7, 3)
    np.testing.assert_allclose(result.rate[0], seen["spikes"].mean((1, 2, 3, 4)), rtol=1e-6)
    u = torch.zeros_like(seen["current"][0])
    for t, current in enumerate(seen["current"]):
        u = 0.5 * u + current
        np.testing.assert_allclose(result.potential_mean[0, t], u.mean(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.potential_std[0, t], u.std(correction=0), rtol=1e-4)
        np.testing.assert_allclose(result.mass[0, t], ((1 - (u - 1).abs()).clamp(min=0) ** 2).mean(), rtol=1e-4)
        u = u * (u <= 1)


def test_standard_errors_cover():
    # A random network of one layer on many draws of few samples: the error is as large as it says.
    network = seeded(lambda: Over(nn.Sequential(LIF(), ConvNorm(nn.Conv2d(4, 4, 1), nn.Identity()))))
    network.blocks[0][1].conv.weight.data.normal_(generator=torch.Generator().manual_seed(0))
    runs = [
        compute_isometry(network, batch(12, 4, 2, seed=k), 1, blocks=BLOCKS, probes=2, seed=k, bn="frozen")
        for k in range(150)
    ]
    values, errors = np.array([r.step_phi[0] for r in runs]), np.array([r.step_phi_se[0] for r in runs])
    covered = np.abs(values - values.mean()) < 2.2 * errors  # 97.5 % quantile of t with 11 degrees of freedom
    assert 0.88 < covered.mean() <= 1
    assert np.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.2)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_the_standard_error_is_over_samples_unless_there_is_one(probes, samples, seed):
    estimates = np.random.default_rng(seed).normal(size=(probes, samples))
    means = estimates.mean(0) if samples > 1 else estimates[:, 0]
    if len(means) == 1:
        assert math.isnan(standard_error(estimates))
    else:
        expected = math.sqrt(sum((m - means.mean()) ** 2 for m in means) / (len(means) - 1) / len(means))
        assert standard_error(estimates) == pytest.approx(expected)


# Networks of someone else's


class Steps(nn.Module):
    """Hard threshold with a slope of its own, one step a call, and a state."""

    def __init__(self):
        super().__init__()
        self.u = 0.0

    def reset(self):
        self.u = 0.0

    def forward(self, x):
        self.u = 0.5 * self.u + x
        spikes = (self.u > 1).to(x.dtype)
        smooth = torch.sigmoid(4 * (self.u - 1))
        return (spikes - smooth).detach() + smooth


def small(neuron):
    return seeded(lambda: nn.Sequential(nn.Linear(16, 12), neuron(), nn.Linear(12, 12), neuron(), nn.Linear(12, 2)))


def test_a_network_of_steps_gives_what_one_of_runs_does():
    one_by_one = nn.Sequential(nn.Flatten(), small(Steps))

    class Run(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = copy.deepcopy(one_by_one)

        def forward(self, x_BT):
            for module in self.inner.modules():
                if isinstance(module, Steps):
                    module.reset()
            return torch.stack([self.inner(x_B) for x_B in x_BT.transpose(0, 1)], 1)

    x = 3 * batch(5, 1, 4)[0][0]
    data = [(x, torch.arange(5) % 2)]
    stepwise = compute_isometry(ForeignNetwork(one_by_one, Calling("step", "step"), 3), data, probes=3)
    whole = compute_isometry(ForeignNetwork(Run(), Calling("batch-major", "batch-major"), 3), data, probes=3)
    assert list(stepwise.names) == ["network.1.3"] and list(whole.names) == ["network.inner.1.3"]
    for name in ("phi", "rate", "input_gradient", "layer_gradient"):
        np.testing.assert_allclose(getattr(stepwise, name), getattr(whole, name), rtol=1e-5, err_msg=name)
    assert 0 < stepwise.rate.mean() < 1 and np.isnan(stepwise.closed_form).all() and np.isnan(stepwise.mass).all()


def test_spikingjelly_and_snntorch_have_gradients():
    jelly = pytest.importorskip("spikingjelly.activation_based.neuron")
    snntorch = pytest.importorskip("snntorch")
    nets = [small(jelly.LIFNode), small(lambda: snntorch.Leaky(0.5, init_hidden=True))]
    for net in nets:
        model = ForeignNetwork(nn.Sequential(nn.Flatten(), net), Calling("step", "step"), 3).eval()
        result = compute_isometry(model, [(5 * torch.ones(4, 1, 4, 4), torch.arange(4) % 2)], probes=2)
        assert result.step_phi[0] > 0 and (result.input_gradient > 0).any() and len(result.neuron) == 2
        assert result.bypass[0] < 1e-5


def test_the_blocks_of_spikingjelly_stretch_as_ours():
    import_torchvision()
    theirs = pytest.importorskip("spikingjelly.activation_based.model.sew_resnet")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    ours = seeded(lambda: build("sew-resnet18", num_classes=2, neuron="if", surrogate="arctan", detach_reset=True))
    constants = {"surrogate_function": surrogate.ATan(2.0), "detach_reset": True}
    net = theirs.sew_resnet18(spiking_neuron=neuron.IFNode, cnf="ADD", num_classes=2, **constants)
    net.load_state_dict(dict(zip(net.state_dict(), ours.state_dict().values(), strict=True)))
    functional.set_step_mode(net, "m")
    foreign = ForeignNetwork(net.double(), Calling("time-major", "time-major"), 2)
    data = [(batch(2, 3, 16)[0][0].double(), torch.arange(2))]
    with refuses(ModelError, "8 network\\.layer\\d+\\.\\d+"):
        compute_isometry(foreign, data, probes=1)
    found = compute_isometry(foreign, data, probes=1, blocks=r"network\.layer\d+\.\d+")
    expected = compute_isometry(ours.double(), data, 2, probes=1)
    assert len(found.block) == 8 and found.step_phi.min() > 0.1
    for name in ("phi", "input_gradient", "output_gradient", "bypass", "layer_gradient", "rate"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_module_that_works_in_place_changes_nothing():
    class InPlace(nn.Module):
        def forward(self, x):
            return x.mul_(3)

    result = compute_isometry(Over(Scale(2.0), InPlace(), Scale(1.0)), batch(), 2, blocks=BLOCKS)
    assert result.step_phi.tolist() == pytest.approx([4, 9, 1])


def test_neurons_without_a_surrogate_are_named():
    class Hard(nn.Module):
        def forward(self, x):
            return (x > 0).to(x.dtype)

    with refuses(ModelError, "blocks.1"):
        compute_isometry(
            Over(Scale(1.0), Hard(), ConvNorm(nn.Conv2d(4, 4, 1), nn.Identity())), batch(), 2, blocks=BLOCKS
        )


class Skipping(nn.Module):
    def __init__(self, skip=0.5):
        super().__init__()
        self.a, self.b, self.c, self.skip = LIF(), LIF(), LIF(), skip

    def forward(self, x, timesteps=None):
        a = self.a(time_major(x, timesteps))
        return self.c(0.3 * self.b(a) + self.skip * a).flatten(2).unflatten(2, (2, -1)).mean(3)


def test_neurons_that_are_no_chain_need_blocks():
    data = [(batch(scale=2.0)[0][0], torch.arange(8) % 2)]
    with refuses(ModelError, "--blocks"):
        compute_isometry(Skipping(), data, 2)
    assert compute_isometry(Skipping(), data, 2, blocks="b").bypass[0] > 0.1


def test_a_silent_branch_and_a_silent_network_are_told_apart():
    # No gradient goes either way, but only one of them is a chain.
    data = [(batch(scale=2.0)[0][0], torch.arange(8) % 2)]
    with refuses(ModelError, "gradient through"):
        compute_isometry(Skipping(0.0), data, 2)
    silent = seeded(lambda: SNN5(2, 4, 16, 0.125, Parts(lambda: LIF(threshold=50.0))))
    result = compute_isometry(silent, batch(4, 4, 16), 2)
    assert list(result.modules) == ["chain"] * 4 and (result.phi == 0).all()


def test_a_silent_normalisation_is_no_layer_of_neurons():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.fire, self.norm = Steps(), nn.BatchNorm1d(16)
            nn.init.zeros_(self.norm.weight)

        def forward(self, x):
            return x + self.norm(self.fire(x))

    net = nn.Sequential(nn.Flatten(), Branch(), Branch(), nn.Linear(16, 2))
    model = ForeignNetwork(net, Calling("step", "step"), 2)
    with refuses(ModelError, "repeats 2"):
        compute_isometry(model, batch(5, 1, 4))
    result = compute_isometry(model, batch(5, 1, 4), blocks=r"network\.[12]")
    assert list(result.neuron_names) == ["network.1.fire", "network.2.fire"]
    assert result.step_phi.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing", "2 blocks\\.\\d+"),
        (r"blocks|blocks\.0", "blocks.0"),
    ],
)
def test_patterns_that_name_no_blocks(pattern, message):
    with refuses(ModelError, message):
        compute_isometry(Over(Scale(1), Scale(1)), batch(), 2, blocks=pattern)
    with refuses(ValueError, "regular expression"):
        compute_isometry(Over(Scale(1)), batch(), 2, blocks="(")


def test_a_block_that_is_never_called_is_named():
    model = SNN5(2, 1, 16, 0.125)  # its features are a list
    with refuses(ModelError, "--blocks 5"):
        compute_isometry(model, batch(4, 1, 16), 2, blocks="features")


def test_what_cannot_be_measured_is_said():
    with refuses(ModelError, "--blocks"):
        compute_isometry(Over(Scale(1)), batch(), 2)
    with refuses(DataError, "one sample"):
        compute_isometry(Over(Scale(1)), batch(1), 2, blocks=BLOCKS)
    with refuses(DataError, "empty"):
        compute_isometry(Over(Scale(1)), [], 2, blocks=BLOCKS)
    with refuses(TrainingError, "nan"):
        compute_isometry(Over(Scale(math.nan)), batch(), 2, blocks=BLOCKS)
    with refuses(ValueError, "policy"):
        compute_isometry(Over(Scale(1)), batch(), 2, blocks=BLOCKS, bn="recalibrate")
    with refuses(ValueError, "probes"):
        compute_isometry(Over(Scale(1)), batch(), 2, blocks=BLOCKS, probes=0)
    with refuses(ValueError, "timesteps"):
        compute_isometry(Over(Scale(1)), batch(), blocks=BLOCKS)


def test_an_error_lists_what_blocks_may_be():
    def repeats(network):
        return candidates(network).removeprefix("what repeats: ").split("; ")

    residual = seeded(lambda: build("resnet19", width=0.03))
    assert repeats(residual)[0] == r"BasicBlock 8 times, blocks\.\d+"
    # Patterns find what they were made of.
    pattern = repeats(residual)[0].rpartition(", ")[2]
    assert [block.kind for block in find_blocks(residual, pattern)] == ["BasicBlock"] * 8
    convs = {name for name, module in residual.named_modules() if isinstance(module, ConvNorm)}
    kind, _, pattern = repeats(residual)[1].rpartition(", ")
    assert kind == f"ConvNorm {len(convs)} times"
    assert convs <= {block.name for block in find_blocks(residual, pattern)}
    flat = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.Tanh())
    assert repeats(flat) == [r"Linear 2 times, \d+"]
    assert repeats(nn.Sequential(flat, copy.deepcopy(flat))) == [r"Sequential 2 times, \d+"]
    assert candidates(nn.Sequential(nn.Tanh())) == "nothing in it repeats, the names are 0"
    assert candidates(nn.Tanh()) == "nothing in it repeats, the names are none"


def test_samples_that_end_within_the_run_are_refused():
    x_TB, labels_BT = torch.randn(3, 4, 1, 16, 16), mask_labels(torch.arange(4), torch.tensor([3, 2, 3, 3]), 3)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    with refuses(DataError, "isometry 2 3 --timesteps"):
        compute_isometry(model, (x_TB, labels_BT), 3)
