"""The lean training step: the bits of the plain one, in less memory, and off where someone watches."""

import copy
import dataclasses

import pytest
import torch
from stripes import Stripes
from torch import nn

from tetviz.models import build
from tetviz.training import Stage, Switch, steps
from tetviz.training.losses import make_loss
from tetviz.training.steps import LeanSteps, fusable, spikes_as_bytes


def plainly(monkeypatch):
    """Trains without the lean step."""
    monkeypatch.setattr(steps, "fusable", lambda model: [])
    monkeypatch.setattr(steps, "_pack", lambda tensor: (tensor, None))


def network(name="snn5", **options):
    torch.manual_seed(0)
    options = {"num_classes": 3, "in_channels": 2, "image_size": 16, "width": 0.125} | options
    return build(name, **options).train()


def gradients(model, x, fused, kept=None, dtype=torch.float32, autocast=None):
    """The loss, the gradients and the statistics of a training step."""
    model = copy.deepcopy(model).to(dtype)

    def pack(tensor):
        packed = steps._pack(tensor)
        if kept is not None:
            kept[(packed[0].data_ptr(), packed[0].nbytes)] = packed[0].nbytes
        return packed

    saved = spikes_as_bytes() if kept is None else torch.autograd.graph.saved_tensors_hooks(pack, steps._unpack)
    if not fused:
        logits = model(x.to(dtype), 3)
        loss = make_loss("total", 0.05, 1.0)(logits, torch.arange(len(x)) % 3)
        loss.backward()
    else:
        with LeanSteps().step(model, 3):
            with saved:
                logits = model(x.to(dtype), 3)
            loss = make_loss("total", 0.05, 1.0)(logits, torch.arange(len(x)) % 3)
            loss.backward()
    return [loss.detach(), *(p.grad for p in model.parameters()), *model.state_dict().values()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("snn5", {}),
        ("snn5", {"norm": "tdbn", "reset": "soft"}),
        ("snn5", {"detach_reset": True, "surrogate": "arctan", "threshold": 0.7}),
        ("snn5", {"surrogate": "rectangle", "neuron": "if"}),
        ("snn5", {"surrogate": "exponential", "gamma": 0.5, "leak": 0.8}),
        ("snn5", {"surrogate": "sigmoid"}),
        ("snn5", {"neuron": "plif"}),
        ("vggsnn", {}),
        ("resnet19", {"options": {"checkpointing": 2}}),
        ("resnet19", {"norm": "tdbn"}),
        ("sew-resnet18", {}),
        ("ms-resnet20", {}),
        ("spiking-resnet18", {}),
    ],
)
def test_a_lean_step_gives_the_bits_of_the_plain_one(name, options, dtype):
    model, x = network(name, **options), 2 * torch.randn(4, 2, 16, 16)
    found, wanted = (gradients(model, x, fused, dtype=dtype) for fused in (True, False))
    assert len(found) == len(wanted)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert any(g.abs().max() > 0 for g in found[1:])
