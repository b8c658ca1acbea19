"""Operations of training: against nested loops, closed forms, and the laws that any count obeys."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from counting_networks import Tiny
from torch import nn
from torch.nn import functional as F
from wording import refuses

from reference import conv_synapses, lif_forward, linear_synapses
from tetviz.analysis.counting.backward import compute_training_cost
from tetviz.analysis.counting.operations import count_operations
from tetviz.analysis.counting.synapses import FanIn, count_pairs
from tetviz.errors import DataError, TrainingError
from tetviz.models import LIF, NEURONS, SpikingNetwork, build
from tetviz.models.layers import over_time
from tetviz.results import Result
from tetviz.results.schema import array_fields
from tetviz.training import mask_labels

PAIRS = ("dense", "forward", "backward", "backward_error", "backward_need", "weight")


def random_batch(samples=3, shape=(3, 8, 8), classes=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, *shape, generator=generator)
    return x, torch.randint(0, classes, (samples,), generator=generator)


def assert_same_counts(a: Result, b: Result, skip=("sample",)):
    for name in array_fields(type(a)):
        if name not in skip:
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def row(result, name):
    return list(result.names).index(name)


# --- pairs --------------------------------------------------------------------------------------------------


def random_convolution(seed):
    rng = np.random.default_rng(seed)

    def pair(low, high):
        return tuple(int(n) for n in rng.integers(low, high + 1, 2))

    groups, same = int(rng.integers(1, 4)), rng.random() < 0.2
    kernel, dilation = pair(1, 3), pair(1, 2)
    layer = nn.Conv2d(
        groups * int(rng.integers(1, 3)),
        groups * int(rng.integers(1, 4)),
        kernel,
        (1, 1) if same else pair(1, 3),
        "same" if same else pair(0, 3),
        dilation,
        groups,
        padding_mode=str(rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"])),
    )
    return layer, tuple(n + 5 for n in pair(0, 2))


@pytest.mark.parametrize("seed", range(40))
def test_pairs_of_a_convolution_are_those_of_nested_loops(seed):
    layer, size = random_convolution(seed)
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.rand(2, layer.in_channels, *size, generator=generator) < 0.4
    with torch.no_grad():
        outputs = torch.rand(layer(inputs.float()).shape, generator=generator) < 0.3
    synapses = conv_synapses(
        (layer.in_channels, *size),
        tuple(layer.weight.shape),
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.groups,
        layer.padding_mode,
    )
    fan = FanIn(layer)
    found = count_pairs(fan.of_marks(inputs), fan.outputs(outputs))
    everything = count_pairs(fan.of_all(inputs), fan.outputs(torch.ones_like(outputs)))
    # The synapses of an output stand together, outputs in the order of their elements.
    targets = np.repeat(np.arange(outputs[0].numel()), layer.weight[0].numel())
    for n in range(2):
        here, there = inputs[n].numpy(), outputs[n].flatten().numpy()
        pairs = zip(synapses, targets, strict=True)
        assert found[n] == sum(bool(there[o] and i is not None and here[i]) for (i, _), o in pairs)
    assert everything[0] == sum(i is not None for i, _ in synapses)


def test_pairs_of_a_linear_layer_are_those_of_nested_loops():
    inputs, outputs = torch.rand(4, 7) < 0.5, torch.rand(4, 5) < 0.5
    fan = FanIn(nn.Linear(7, 5))
    found = count_pairs(fan.of_marks(inputs), fan.outputs(outputs))
    for n in range(4):
        assert found[n] == sum(bool(inputs[n][i] and outputs[n][o]) for i, (o, _) in linear_synapses(7, 5))


# --- a network by hand --------------------------------------------------------------------------------------


class Triangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, u):
        ctx.save_for_backward(u)
        return (u > 1).to(u.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (u,) = ctx.saved_tensors
        return gradient * (1 - (u - 1).abs()).clamp(min=0)


def fire(current_TB, detach):
    u, spikes, inside = torch.zeros_like(current_TB[0]), [], []
    for current in current_TB:
        u = 0.5 * u + current
        s = Triangle.apply(u)
        inside.append((u.detach() - 1).abs() < 1)
        u = u * (1 - (s.detach() if detach else s))
        spikes.append(s)
    return torch.stack(spikes), torch.stack(inside)


def by_hand(net, x, labels_B, steps, loss, detach):
    """Synapses, input, need and error of every layer of the tiny network, from autograd written out."""

    def conv(layer, norm, y):
        current = layer(y.flatten(0, 1)).unflatten(0, y.shape[:2])
        current.retain_grad()
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        normalised = (current - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        return current, normalised

    x = x.expand(steps, *x.shape)
    i1, n1 = conv(net.conv1, net.bn1, x)
    s1, h1 = fire(n1, detach)
    i2, n2 = conv(net.conv2, net.bn2, s1)
    s2, h2 = fire(n2, detach)
    pooled = over_time(net.pool, s2)
    window = torch.nn.functional.max_pool2d(h2.float().flatten(0, 1), 2).unflatten(0, h2.shape[:2]) > 0
    i3, n3 = conv(net.conv3, net.bn3, pooled)
    s3, h3 = fire(n3 + pooled, detach)
    logits = net.fc(s3.flatten(2))
    logits.retain_grad()
    if loss == "sdt":
        value = F.cross_entropy(logits.mean(0), labels_B)
    else:
        value = torch.stack([F.cross_entropy(o, labels_B) for o in logits]).mean()
    value.backward()
    for layer, y, need, current in (
        (net.conv1, x, None, i1),
        (net.conv2, s1, h1, i2),
        (net.conv3, pooled, window, i3),
    ):
        synapses = conv_synapses(
            tuple(y.shape[2:]),
            tuple(layer.weight.shape),
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
            "zeros",
        )
        targets = np.repeat(np.arange(current[0, 0].numel()), layer.weight[0].numel())
        yield [i for i, _ in synapses], targets, y, need, current.grad
    fc = linear_synapses(32, 10)
    yield [i for i, _ in fc], np.array([o for _, (o, _) in fc]), s3.flatten(2), h3.flatten(2), logits.grad


@pytest.mark.parametrize("detach", [False, True])
@pytest.mark.parametrize("loss", ["sdt", "tet"])
def test_the_tiny_network_is_that_of_nested_loops(loss, detach):
    torch.manual_seed(4)
    net = Tiny("time", lambda axis: LIF(detach_reset=detach))
    x, labels_B = random_batch(2)
    result = compute_training_cost(net, (x, labels_B), 3, loss)
    assert list(result.names) == ["conv1", "conv2", "conv3", "fc"]
    for layer, (sources, targets, y, need, gradient) in enumerate(by_hand(net, x, labels_B, 3, loss, detach)):
        for t in range(3):
            expected = dict.fromkeys(PAIRS, 0)
            for n in range(2):
                s, d = y[t, n].detach() != 0, gradient[t, n].flatten() != 0
                h = need[t, n] if need is not None else torch.zeros_like(s)
                s, d, h = s.numpy(), d.numpy(), h.numpy()
                for i, o in zip(sources, targets, strict=True):
                    if i is None:
                        continue
                    expected["dense"] += 1
                    expected["forward"] += s[i]
                    expected["backward"] += h[i] and d[o]
                    expected["backward_error"] += need is not None and d[o]
                    expected["backward_need"] += h[i]
                    expected["weight"] += s[i] and d[o]
            found = {name: getattr(result, name)[layer, t] for name in PAIRS}
            assert found == expected
    assert result.backward[1:].min() > 0 and (result.backward[1:] < result.backward_error[1:]).any()
    assert result.spiking.tolist() == [0, 1, 0, 1]
    assert result.input_gradient.tolist() == [0, 1, 1, 1]
    assert result.neurons.tolist() == [256, 128, 32]


def test_neurons_carry_nothing_into_the_last_step():
    torch.manual_seed(4)
    for detach in (False, True):
        net = Tiny("time", lambda axis, detach=detach: LIF(detach_reset=detach))
        result = compute_training_cost(net, random_batch(2), 3)
        size = 2 * result.neurons[:, None]
        np.testing.assert_array_equal(result.surrogate_mac, size * [1, 1, 1])
        np.testing.assert_array_equal(result.leak_mac, size * [1, 1, 0])
        np.testing.assert_array_equal(result.reset_mac, size * [1, 1, 0] * (not detach))


def test_neurons_that_detach_their_carry_carry_nothing():
    torch.manual_seed(4)
    result = compute_training_cost(Tiny("time", lambda axis: LIF(detach_carry=True)), random_batch(2), 3)
    assert result.leak_mac.sum() == result.reset_mac.sum() == 0 < result.surrogate_mac.sum()


# --- closed forms -------------------------------------------------------------------------------------------


class TwoLinear(SpikingNetwork):
    """fc1, the identity, then neurons, then fc2."""

    def __init__(self, features=8, classes=3, between=None):
        super().__init__()
        self.fc1, self.lif = nn.Linear(features, features, bias=False), LIF()
        self.between = between or nn.Identity()
        self.fc2 = nn.Linear(features, classes)
        self.fc1.weight.data.copy_(torch.eye(features))

    def body(self, x_TBCHW):
        return self.fc2(self.between(self.lif(self.fc1(x_TBCHW.flatten(2)))))


def test_each_phase_of_a_layer_in_closed_form():
    # Of 8 neurons 4 fire within the window, 2 fire beyond it (u = 2.5), 2 are silent below it (u = -0.5).
    torch.manual_seed(0)
    x = torch.tensor([1.2] * 4 + [2.5] * 2 + [-0.5] * 2).reshape(1, 8, 1, 1).repeat(5, 1, 1, 1)
    result = compute_training_cost(TwoLinear(), (x, torch.arange(5) % 3), 1)
    by_name = {name: [int(n) for n in getattr(result, name)[:, 0]] for name in PAIRS}
    assert by_name == {
        "dense": [5 * 64, 5 * 24],
        "forward": [5 * 64, 5 * 6 * 3],
        "backward": [0, 5 * 4 * 3],
        "backward_error": [0, 5 * 24],
        "backward_need": [0, 5 * 4 * 3],
        "weight": [5 * 8 * 4, 5 * 6 * 3],
    }
    assert result.active_inputs[:, 0].tolist() == [40, 30]
    assert result.active_errors[:, 0].tolist() == [20, 15]
    assert result.needed_inputs[:, 0].tolist() == [0, 20]
    assert result.responsive[:, 0].tolist() == [20]


def normal_mass(low, high, spread):
    return (math.erf(high / spread / math.sqrt(2)) - math.erf(low / spread / math.sqrt(2))) / 2


def responsive(neuron, current):
    return neuron.trace(current).slopes != 0


@pytest.mark.parametrize(
    ("surrogate", "spread", "reach", "percent"),
    [
        ("rectangle", 0.5, 0.5, 47.72),
        ("rectangle", 1, 0.5, 24.17),
        ("rectangle", 2, 0.5, 12.10),
        ("triangle", 1, 1, 47.72),
    ],
)
def test_the_share_of_neurons_with_gradient_is_the_mass_under_the_surrogate(surrogate, spread, reach, percent):
    # Potentials N(0, s^2), the threshold at s.
    mass = normal_mass(spread - reach, spread + reach, spread)
    assert round(100 * mass, 2) == percent
    current = spread * torch.randn(1, 400_000, generator=torch.Generator().manual_seed(1))
    share = responsive(LIF(threshold=spread, surrogate=surrogate), current).double().mean().item()
    assert abs(share - mass) < 4 * math.sqrt(mass * (1 - mass) / 400_000)


@pytest.mark.parametrize(("surrogate", "share"), [("triangle", 0.4085), ("rectangle", 0.2029)])
def test_leak_and_reset_lower_that_share_in_the_steady_state(surrogate, share):
    current = torch.randn(40, 20_000, generator=torch.Generator().manual_seed(2))
    assert responsive(LIF(surrogate=surrogate), current)[10:].double().mean().item() == pytest.approx(share, abs=0.003)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("kind", ["lif", "plif"])
def test_derivatives_are_those_of_the_neurons_own_leak_and_reset(kind, reset):
    current = np.random.default_rng(0).normal(0.6, 0.6, (7, 40))
    neuron = NEURONS[kind](leak=0.8, threshold=0.9, gamma=0.3, reset=reset).double()
    u, _ = lif_forward(current, 0.8, 0.9, "triangle", 0.3, reset)
    found = responsive(neuron, torch.from_numpy(current))
    np.testing.assert_array_equal(found.numpy(), np.abs(u - 0.9) < 0.3)


@pytest.mark.parametrize("surrogate", ["exponential", "arctan", "sigmoid"])
def test_a_surrogate_without_bounds_has_gradient_everywhere(surrogate):
    assert responsive(LIF(surrogate=surrogate), 3 * torch.randn(3, 1000)).all()


def test_an_untrained_tdbn_network_has_the_share_of_the_closed_form():
    torch.manual_seed(0)
    model = build("snn5", width=0.25, in_channels=3, image_size=16, norm="tdbn")
    x, labels_B = random_batch(64, (3, 16, 16))
    result = compute_training_cost(model, (x, labels_B), 1, bn="batch")
    shares = result.responsive[:, 0] / (64 * result.neurons)
    assert shares[0] == pytest.approx(normal_mass(0, 2, 1), abs=0.01)
    assert np.abs(shares - normal_mass(0, 2, 1)).max() < 0.06


# --- where the error is needed ------------------------------------------------------------------------------


class Around(SpikingNetwork):
    """Two layers of neurons whose spikes meet in a function before a linear layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.a, self.b = nn.Linear(12, 12), nn.Linear(12, 12)
        self.lif_a, self.lif_b = LIF(), LIF()
        self.fc = nn.LazyLinear(10)

    def body(self, x_TBCHW):
        x = x_TBCHW.flatten(2)
        return self.fc(self.function(self.lif_a(self.a(x)), self.lif_b(self.b(x))))


def need_behind(function, samples=32):
    torch.manual_seed(7)
    x, labels_B = 2 * torch.randn(samples, 12, 1, 1), torch.zeros(samples, dtype=torch.long)
    net = Around(function)
    net(x, 1)  # makes the lazy layer
    result = compute_training_cost(net, (x, labels_B), 1)
    a = (net.a(x.flatten(1)) - 1).abs() < 1
    b = (net.b(x.flatten(1)) - 1).abs() < 1
    return result.needed_inputs[row(result, "fc"), 0], a, b, (net.a(x.flatten(1)) > 1), (net.b(x.flatten(1)) > 1)


def test_a_sum_needs_the_error_of_either_side():
    found, a, b, *_ = need_behind(torch.add)
    assert found == (a | b).sum()


def test_a_difference_does_not_cancel():
    found, a, b, *_ = need_behind(torch.sub)
    assert found == (a | b).sum() and (a & b).any()


def test_a_product_needs_the_error_where_the_other_factor_is_not_0():
    found, a, b, s_a, s_b = need_behind(torch.mul)
    assert found == ((a & s_b) | (b & s_a)).sum()


def test_a_pooling_needs_the_error_where_one_of_its_neurons_does():
    found, a, *_ = need_behind(lambda s, _: F.avg_pool1d(s, 3))
    assert found == a.unflatten(1, (4, 3)).any(2).sum()


def test_a_detached_side_needs_nothing():
    found, a, *_ = need_behind(lambda s, r: s + r.detach())
    assert found == a.sum()


def test_parameters_between_neuron_and_layer_need_every_error():
    torch.manual_seed(0)
    x = torch.randn(6, 8, 1, 1)
    for between in (nn.LayerNorm(8), nn.PReLU(), nn.Linear(8, 8)):
        result = compute_training_cost(TwoLinear(between=between), (x, torch.zeros(6, dtype=torch.long)), 2)
        assert (result.needed_inputs[row(result, "fc2")] == 6 * 8).all()


def test_a_residual_block_needs_what_its_neurons_respond_to():
    torch.manual_seed(0)
    model = build("resnet19", width=0.0625, in_channels=3, image_size=8)
    result = compute_training_cost(model, random_batch(2), 2, bn="batch")
    neurons = dict(zip(list(result.neuron_names), result.responsive, strict=True))
    for layer, neuron in [
        ("blocks.0.conv1.conv", "lif"),
        ("blocks.0.shortcut.conv", "lif"),
        ("blocks.0.conv2.conv", "blocks.0.lif1"),
        ("blocks.1.conv1.conv", "blocks.0.lif2"),
        ("fc2", "lif_fc1"),
    ]:
        np.testing.assert_array_equal(result.needed_inputs[row(result, layer)], neurons[neuron])
    assert result.spiking[row(result, "fc1")] == 0 and result.not_counted == ()


# --- laws ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bn", ["frozen", "batch"])
@pytest.mark.parametrize("loss", ["sdt", "tet", "total"])
@pytest.mark.parametrize("name", ["snn5", "vggsnn", "vggsnn-nopool", "resnet19"])
def test_fewer_pairs_are_left_with_each_side(name, loss, bn):
    torch.manual_seed(1)
    model = build(name, width=0.0625, in_channels=2, image_size=16, num_classes=5, surrogate="rectangle")
    result = compute_training_cost(model, random_batch(3, (2, 16, 16), 5), 2, loss, bn=bn)
    assert (result.backward <= np.minimum(result.backward_error, result.backward_need)).all()
    assert (np.maximum(result.backward_error, result.backward_need) <= result.dense).all()
    assert (result.weight <= result.forward).all() and (result.forward <= result.dense).all()
    assert (result.backward_need + result.backward_error - result.backward <= result.dense).all()
    taking = result.input_gradient == 1
    assert (result.weight[taking] <= result.backward_error[taking]).all()
    assert taking.tolist() == [False] + [True] * (len(taking) - 1)
    assert result.backward[0].sum() == 0
    for count, size in (("active_inputs", "inputs"), ("needed_inputs", "inputs"), ("active_errors", "outputs")):
        assert (getattr(result, count) <= 3 * getattr(result, size)[:, None]).all()
    assert result.spiking[0] == 0 and result.not_counted == ()


def test_statistics_of_the_batch_spread_errors_over_whole_channels():
    torch.manual_seed(1)
    model = build("snn5", width=0.25, in_channels=2, image_size=16, num_classes=5)
    frozen, batch = (
        compute_training_cost(model, random_batch(8, (2, 16, 16), 5), 2, bn=bn) for bn in ("frozen", "batch")
    )
    size = 8 * batch.outputs[:, None]
    assert (batch.active_errors[:3] > 0.99 * size[:3]).all()
    assert (frozen.active_errors[:-1] < 0.95 * size[:-1]).all()
    np.testing.assert_array_equal(batch.dense, frozen.dense)


def test_batches_add_up_and_steps_of_the_forward_phase_are_those_of_a_shorter_run():
    torch.manual_seed(1)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=3)
    x, labels_B = random_batch(7, (1, 16, 16), 3)
    whole = compute_training_cost(model, (x, labels_B), 4)
    parts = compute_training_cost(model, [(x[:4], labels_B[:4]), (x[4:], labels_B[4:])], 4)
    assert_same_counts(whole, parts)
    shorter = compute_training_cost(model, (x, labels_B), 2)
    np.testing.assert_array_equal(shorter.forward, whole.forward[:, :2])
    np.testing.assert_array_equal(shorter.responsive, whole.responsive[:, :2])


@pytest.mark.parametrize("name", ["vggsnn", "resnet19"])
def test_the_forward_phase_is_that_of_inference(name):
    torch.manual_seed(1)
    model = build(name, width=0.125, in_channels=2, image_size=16)
    x, labels_B = random_batch(4, (2, 16, 16))
    with torch.no_grad():
        for _ in range(20):
            model(x, 3)
    training, inference = compute_training_cost(model, (x, labels_B), 3), count_operations(model.eval(), x, 3)
    at = [list(inference.names).index(layer) for layer in list(training.names)]
    np.testing.assert_array_equal(training.forward, (inference.mac + inference.ac)[at])
    np.testing.assert_array_equal(training.dense, inference.inbounds_mac[at])
    kinds = [list(inference.inputs)[layer] for layer in at]
    assert [kind == "binary" for kind in kinds] == (training.spiking == 1).tolist()
    assert (training.forward.sum(1) > 0).mean() > 0.9


def test_layers_step_by_step_count_as_at_once():
    class Looped(Tiny):
        def body(self, x, lead):
            def each(module, y):
                return torch.stack([module(step) for step in y])

            s1 = self.lif1(each(self.bn1, each(self.conv1, x)))
            s2 = self.lif2(each(self.bn2, each(self.conv2, s1)))
            pooled = each(self.pool, s2)
            s3 = self.lif3(each(self.bn3, each(self.conv3, pooled)) + pooled)
            return each(self.fc, s3.flatten(2))

    batch = random_batch(2)
    neuron = lambda axis: LIF()  # noqa: E731
    assert_same_counts(
        compute_training_cost(Tiny("time", neuron), batch, 3), compute_training_cost(Looped("time", neuron), batch, 3)
    )


def test_event_frames_of_0_and_1_are_added():
    torch.manual_seed(1)
    model = build("snn5", width=0.0625, in_channels=2, image_size=16, num_classes=3)
    x = (torch.rand(3, 2, 2, 16, 16) < 0.2).float()
    result = compute_training_cost(model, (x, torch.tensor([0, 1])), 3)
    assert result.spiking[0] == 1
    np.testing.assert_array_equal(result.active_inputs[0], x.flatten(1).sum(1))


def test_the_model_is_left_alone():
    torch.manual_seed(1)
    model = build("resnet19", width=0.0625, in_channels=3, image_size=8)
    model.train()
    model.fc1.eval()
    first = next(model.parameters())
    first.requires_grad_(False)
    model.fc2.weight.grad = torch.ones_like(model.fc2.weight)
    batch = random_batch(2)
    kept = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    x, state = batch[0].clone(), torch.random.get_rng_state()
    for bn in ("frozen", "batch"):
        compute_training_cost(model, batch, 2, bn=bn)
    assert torch.equal(torch.random.get_rng_state(), state) and torch.equal(batch[0], x)
    assert all(torch.equal(a, b) for a, b in zip(kept.values(), model.state_dict().values(), strict=True))
    assert modes == [module.training for module in model.modules()]
    assert not first.requires_grad and (model.fc2.weight.grad == 1).all() and model.fc1.weight.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# --- what cannot be counted ---------------------------------------------------------------------------------


def test_what_has_weights_and_is_not_counted_is_listed():
    net = TwoLinear(between=nn.PReLU())
    net.spare = nn.Linear(2, 2)
    result = compute_training_cost(net, (torch.randn(2, 8, 1, 1), torch.zeros(2, dtype=torch.long)), 2)
    strange, unused = list(result.not_counted)
    assert strange.startswith("between (PReLU)") and unused.startswith("spare (Linear): was not called")
    assert result.parameters == 64 + 1 + 27 + 6


def test_steps_that_cannot_be_told_apart_are_refused():
    class Twice(TwoLinear):
        def body(self, x_TBCHW):
            return torch.stack([self.fc2(self.lif(self.fc1(self.fc1(x.flatten(1))))[None])[0] for x in x_TBCHW])

    batch = torch.randn(2, 8, 1, 1), torch.zeros(2, dtype=torch.long)
    with refuses(ValueError, "fc1 apart"):
        compute_training_cost(Twice(), batch, 2)


def test_a_layer_that_is_used_twice_over_all_steps_is_added():
    class Shared(TwoLinear):
        def body(self, x_TBCHW):
            return self.fc2(self.lif(self.fc1(self.fc1(x_TBCHW.flatten(2)))))

    batch = torch.rand(2, 8, 1, 1) + 0.1, torch.zeros(2, dtype=torch.long)
    result = compute_training_cost(Shared(), batch, 2)
    assert (result.dense[0] == 2 * 2 * 64).all() and (result.forward[0] == 2 * 2 * 64).all()


def test_misuse_is_refused():
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    batch = random_batch(2, (1, 16, 16))
    with refuses(ValueError, "timesteps"):
        compute_training_cost(model, batch)
    with refuses(ValueError, "batch-norm policy"):
        compute_training_cost(model, batch, 2, bn="recalibrate")
    with refuses(ValueError, "unknown loss"):
        compute_training_cost(model, batch, 2, "mae")
    with refuses(ValueError, "LIF"):
        compute_training_cost(nn.Linear(2, 2), batch, 2)
    with refuses(DataError, "no samples"):
        compute_training_cost(model, [], 2)
    with refuses(DataError, "out range"):
        compute_training_cost(model, (batch[0], torch.tensor([0, 10])), 2)
    model.classifier.bias.data.fill_(float("nan"))
    with refuses(TrainingError, "diverged"):
        compute_training_cost(model, batch, 2)


def test_it_takes_t_and_records_where_it_ran():
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    model.timesteps = 3
    result = compute_training_cost(model.double(), random_batch(2, (1, 16, 16)))
    assert result.timestep.tolist() == [1, 2, 3] and result.t_train == 3
    assert (result.provenance.device, result.provenance.dtype) == ("cpu", "float64")
    assert result.parameters == sum(p.numel() for p in model.parameters())
    assert result.weights.sum() == sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert dataclasses.asdict(result)["optimizer"] == ""


def test_samples_that_end_within_the_run_are_refused():
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    x_TB, labels_BT = torch.randn(3, 2, 1, 16, 16), mask_labels(torch.arange(2), torch.tensor([2, 3]), 3)
    with refuses(DataError, "training cost 2 3 --timesteps"):
        compute_training_cost(model, (x_TB, labels_BT), 3)
    shorter = compute_training_cost(model, (x_TB, labels_BT), 2)
    np.testing.assert_array_equal(shorter.forward, compute_training_cost(model, (x_TB, torch.arange(2)), 2).forward)
