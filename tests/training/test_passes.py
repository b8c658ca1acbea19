"""Runs a step at a time, and compiled: the bits of the network as it is, and nothing left behind."""

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from tetviz.landscape import Evaluator
from tetviz.models import LIF, build
from tetviz.models.norm import ConvNorm, scale_and_shift
from tetviz.training import passes
from tetviz.training.passes import Passes, compiling, outputs
from tetviz.training.profile import evaluating

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler here")
COMPILED = "the outputs are the same to the last bit"


def network(name="snn5", **settings):
    torch.manual_seed(0)
    model = build(name, num_classes=4, in_channels=2, image_size=16, width=0.05, **settings).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 2)
            for tensor in (module.running_mean, module.weight, module.bias):
                nn.init.normal_(tensor, 0.3, 0.3)
    return model


def in_whole(model, x, timesteps):
    with torch.no_grad():
        return model(x, timesteps)


def collected(run, model, x, timesteps=3):
    with evaluating(model):
        return torch.cat(list(run(model, x, timesteps)))


@NEEDS_COMPILER
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("snn5", {}),
        ("ms-resnet20", {"neuron": "plif", "norm": "tdbn"}),
        ("resnet19", {"neuron": "if", "reset": "soft"}),
    ],
)
def test_a_compiled_step_gives_the_same_bits_at_any_weights(name, settings):
    model, run, said = network(name, **settings), Passes(), []
    for x in (torch.randn(5, 2, 16, 16), torch.randn(3, 5, 2, 16, 16)):
        with compiling("on", said.append):
            assert torch.equal(collected(run, model, x), in_whole(model, x, 3))
        with torch.no_grad():
            for tensor in [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]:
                tensor.mul_(1.1)
        moved = in_whole(model, x, 3)
        assert moved.abs().sum() > 0
        assert torch.equal(collected(run, model, x), moved)
    assert [line for line in said if line.endswith(COMPILED)], said
    assert len(said) == 2, said


def test_scale_and_shift_are_those_that_torch_normalises_with():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(300).eval()
    nn.init.uniform_(norm.running_var, 0.01, 3)
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        nn.init.normal_(tensor)
    x = torch.randn(4, 300, 5, 5)
    scale, shift = (each.detach().double()[:, None, None] for each in scale_and_shift(norm))
    with torch.no_grad():
        normalised = norm(x)
    assert torch.equal(normalised, (x.double() * scale + shift).float())


@NEEDS_COMPILER
def test_more_networks_than_the_compiler_counts_variants():
    said = []
    with compiling("on", said.append):
        for _ in range(10):
            collected(Passes(), network(), torch.randn(2, 2, 16, 16), 1)
    assert sum(line.endswith(COMPILED) for line in said) == 10


@NEEDS_COMPILER
def test_it_is_compiled_once_it_would_have_paid(monkeypatch):
    said, x = [], torch.randn(2, 2, 16, 16)
    for seconds, times in ((1e9, 0), (0.0, 1)):
        monkeypatch.setattr(passes, "_SECONDS_PER_CONVOLUTION", seconds)
        run, model = Passes(), network()
        with compiling("auto", said.append):
            collected(run, model, x)
            assert not said
            collected(run, model, x)
            collected(run, model, x)
        assert sum(line.endswith(COMPILED) for line in said) == times


def test_without_a_compiler_nothing_is_tried(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    said, model, x = [], network(), torch.randn(2, 2, 16, 16)
    with compiling("on", said.append):
        assert torch.equal(collected(Passes(), model, x), in_whole(model, x, 3))
    assert not said


@NEEDS_COMPILER
def test_other_bits_are_found_and_not_used(monkeypatch):
    exact = passes.scale_and_shift
    monkeypatch.setattr(passes, "scale_and_shift", lambda norm: [each * (1 + 2**-23) for each in exact(norm)])
    said, model, x = [], network(), torch.randn(2, 2, 16, 16)
    run = Passes()
    with compiling("on", said.append):
        for _ in range(2):
            assert torch.equal(collected(run, model, x), in_whole(model, x, 3))
    assert said[1:] == ["the compiled step rounds otherwise on this machine: the network runs as it is"]


@NEEDS_COMPILER
def test_a_network_that_cannot_be_compiled_runs_as_it_is(monkeypatch):
    def broken(*_, **__):
        raise torch._dynamo.exc.Unsupported("planted")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    said, model, x = [], network(), torch.randn(2, 2, 16, 16)
    with compiling("on", said.append):
        assert torch.equal(collected(Passes(), model, x), in_whole(model, x, 3))
    assert said[1:] == ["the step cannot be compiled here (Unsupported): the network runs as it is"]


@NEEDS_COMPILER
def test_a_run_that_is_given_up_leaves_nothing_behind():
    model, run, x = network(), Passes(), torch.randn(2, 2, 16, 16)
    with compiling("on"), evaluating(model):
        list(run(model, x, 1))
        unfinished = run(model, x, 3)
        next(unfinished)
        unfinished.close()
    assert all(module.constants is module.held is None for module in model.modules() if isinstance(module, ConvNorm))
    assert all(module.membrane is None for module in model.modules() if isinstance(module, LIF))
    assert torch.equal(collected(outputs, model, x), in_whole(model, x, 3))


@NEEDS_COMPILER
def test_an_evaluator_gives_the_same_profiles():
    model, batch = network(), (torch.randn(6, 2, 16, 16), torch.arange(6) % 4)
    found = []
    for when in ("on", "off"):
        evaluator = Evaluator(model, [batch], 3)
        with compiling(when):
            found += [evaluator.measure({}), evaluator.measure({n: p * 1.2 for n, p in evaluator.origin.items()})]
    for name in ("sdt_loss", "tet_loss", "accuracy"):
        assert np.array_equal(getattr(found[0], name), getattr(found[2], name))
        assert np.array_equal(getattr(found[1], name), getattr(found[3], name))


@pytest.mark.parametrize(("samples", "together"), [(64, 32), (32, 32), (40, 20), (5, 5), (97, 97), (1, 1), (250, 25)])
def test_parts_of_a_batch_are_of_one_size(samples, together):
    assert passes._together(samples) == together


@NEEDS_COMPILER
@pytest.mark.parametrize("shape", [(40, 2, 16, 16), (3, 40, 2, 16, 16)])
def test_a_batch_in_parts_gives_the_same_bits(shape):
    said, model, run, x = [], network(), Passes(), torch.randn(shape)
    with compiling("on", said.append):
        assert torch.equal(collected(run, model, x), in_whole(model, x, 3))
    assert said[-1].endswith(COMPILED)
    assert [step.samples for step in run._steps.values()] == [20]
