"""Normalisation and neurons as one function: gradients by finite differences, second ones, bits of the plain pair."""

import pytest
import torch
from torch import nn

from tetviz.models import IF, LIF
from tetviz.models.fused import can_fuse, can_fuse_with, fire, normalise_and_fire
from tetviz.models.kernels import Rule
from tetviz.models.neuron import PLIF
from tetviz.models.norm import ConvNorm, TdBN

T, SHAPE = 3, (6, 4, 5, 5)
RULES = [
    {},
    {"reset": "soft", "leak": 0.8},
    {"detach_reset": True, "surrogate": "arctan"},
    {"reset": "soft", "detach_reset": True, "surrogate": "exponential", "gamma": 0.5},
    {"surrogate": "rectangle", "threshold": 0.6},
    {"detach_carry": True},
    {"detach_carry": True, "reset": "soft", "surrogate": "arctan"},
]


def pair(norm=TdBN, dtype=torch.float64, **rule):
    torch.manual_seed(1)
    norm = norm(SHAPE[1])
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.normal_()
    return norm.to(dtype), LIF(**rule)


def plain(x, norm, neuron):
    return neuron(norm(x).view(T, -1, *x.shape[1:]))


def results(function, x, norm, neuron):
    """Spikes, first and second derivatives of a scalar of them, and the running statistics."""
    x, weights = x.clone().requires_grad_(), [norm.weight, norm.bias]
    spikes = function(x, norm, neuron)
    generator = torch.Generator().manual_seed(2)
    value = (spikes * torch.randn(spikes.shape, generator=generator, dtype=x.dtype)).sum() ** 2
    first = torch.autograd.grad(value, [x, *weights], create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), [x, *weights])
    x_only = torch.autograd.grad(function(x, norm, neuron).sum(), [x, *weights])
    return [spikes.detach(), *first, *second, *x_only, *norm.state_dict().values()]


def fused(x, norm, neuron):
    return normalise_and_fire(x, T, norm, neuron)


@pytest.mark.parametrize("norm", [TdBN, nn.BatchNorm2d])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_gives_the_bits_of_normalisation_and_neurons(rule, norm, dtype):
    x = 2 * torch.randn(SHAPE, dtype=dtype) + 1
    found, wanted = (results(function, x, *pair(norm, dtype, **rule)) for function in (fused, plain))
    assert 0 < found[0].mean() < 1
    second = slice(4, 7)  # terms of second derivatives meet in another order
    close = 1e-12 if dtype == torch.float64 else 1e-5
    for a, b in zip(found[second], wanted[second], strict=True):
        assert b.abs().max() > 0
        assert torch.allclose(a, b, rtol=0, atol=close * b.abs().max().item())
    del found[second], wanted[second]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


WIDE = {"reset": "soft", "detach_reset": True, "threshold": 50.0, "gamma": 100.0}  # every potential is on one slope


def test_gradients_are_those_of_the_step_whose_derivative_the_triangle_is():
    norm, neuron = pair(**WIDE)
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    spikes = fused(x, norm, neuron)
    assert not spikes.any()
    weight, direction = torch.randn_like(spikes), torch.randn_like(x)
    (found,) = torch.autograd.grad(spikes, x, weight)

    def value(x):
        current, u, total = nn.functional.batch_norm(x, None, None, norm.weight, norm.bias, True), 0.0, 0.0
        for now, own in zip(current.view(T, -1, *x.shape[1:]), weight, strict=True):
            u = 0.5 * u + now
            z = (u - 50) / 100
            total = total + (own * (0.5 + z + 0.5 * z**2)).sum()
        return total.item()

    with torch.no_grad():
        quotient = (value(x + 1e-4 * direction) - value(x - 1e-4 * direction)) / 2e-4
    assert (found * direction).sum().item() == pytest.approx(quotient, rel=1e-6)


def test_second_derivatives_are_those_of_finite_differences():
    norm, neuron = pair(**WIDE)
    x = torch.randn(SHAPE, dtype=torch.float64, requires_grad=True)
    grad_s = torch.randn(T, SHAPE[0] // T, *SHAPE[1:], dtype=torch.float64)

    def gradient(x):
        return torch.autograd.grad(fused(x, norm, neuron), x, grad_s, create_graph=True)[0]

    assert torch.autograd.gradcheck(gradient, (x,), fast_mode=True)


@pytest.mark.parametrize("rule", RULES)
def test_kernels_give_the_bits_of_neurons(rule):
    current = (2 * torch.randn(T, 97)).requires_grad_()
    grad = torch.randn(T, 97)
    spikes = LIF(**rule)(current)
    kernels = Rule.of(LIF(**rule)).kernels()
    with torch.no_grad():
        assert torch.equal(kernels.forward(current.unbind()), spikes)
        found = kernels.backward(current.unbind(), grad.unbind())
    assert torch.equal(found, torch.autograd.grad(spikes, current, grad)[0])


@pytest.mark.parametrize("rule", RULES)
def test_neurons_alone_give_the_bits_of_neurons(rule):
    neuron, results = LIF(**rule), []
    given = 2 * torch.randn(T, 2, 7, dtype=torch.float64)
    for function in (lambda x: fire(x, neuron), neuron):
        x = given.clone().requires_grad_()
        spikes = function(x)
        (grad,) = torch.autograd.grad((spikes * x).sum() ** 2, x, create_graph=True)
        (plain,) = torch.autograd.grad(function(x).sum(), x)
        results.append([spikes, plain, grad, torch.autograd.grad((grad**2).sum(), x)[0]])
    (*found, second), (*wanted, other) = results
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert torch.allclose(second, other, rtol=1e-12, atol=1e-12)
    assert 0 < found[0].mean() < 1
    assert can_fuse(neuron)


def test_one_value_a_channel_has_no_variance():
    with pytest.raises(ValueError, match="more than one value a channel"):
        normalise_and_fire(torch.ones(1, 4, 1, 1), 1, *pair(dtype=torch.float32))


def conv_norm(norm=None):
    return ConvNorm(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2) if norm is None else norm)


class OwnRule(LIF):
    """Neurons of a subclass."""


@pytest.mark.parametrize(
    ("conv", "neuron", "can"),
    [
        (conv_norm(), LIF(), True),
        (conv_norm(TdBN(2)), IF(), True),
        (conv_norm(), LIF(surrogate="sigmoid"), False),
        (conv_norm(), PLIF(), False),
        (conv_norm(), OwnRule(), False),
        (conv_norm(), LIF(threshold=torch.ones(2, 1, 1)), False),
        (conv_norm(nn.Identity()), LIF(), False),
        (conv_norm(nn.BatchNorm2d(2, momentum=None)), LIF(), False),
        (conv_norm(nn.BatchNorm2d(2, affine=False)), LIF(), False),
        (conv_norm(nn.BatchNorm2d(2, track_running_stats=False)), LIF(), False),
        (nn.Conv2d(1, 2, 1), LIF(), False),
    ],
)
def test_what_is_fused_is_what_the_function_knows(conv, neuron, can):
    assert can_fuse_with(conv, neuron) is can


@pytest.mark.parametrize("watched", ["pair", "norm", "neuron"])
@pytest.mark.parametrize("hook", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"])
def test_what_is_watched_is_not_fused(watched, hook):
    conv, neuron = conv_norm(), LIF()
    handle = getattr({"pair": conv, "norm": conv.norm, "neuron": neuron}[watched], hook)(lambda *given: None)
    assert not can_fuse_with(conv, neuron)
    handle.remove()
    assert can_fuse_with(conv, neuron)
