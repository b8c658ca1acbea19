"""The lean training step: the bits of the plain one, in less memory, and off where someone watches."""

import copy
import dataclasses
import weakref
from contextlib import contextmanager, nullcontext

import pytest
import torch
from striped import Stripes
from torch import nn

from tetviz.models import LIF, ModelSpec, build, streaming
from tetviz.models.kernels import Kernels
from tetviz.training import Stage, Switch, TrainingConfig, fit, steps
from tetviz.training.losses import make_loss
from tetviz.training.monitor import Monitor
from tetviz.training.passes import compiling, has_compiler
from tetviz.training.steps import LeanSteps, fusable, spikes_as_bytes

SPEC = ModelSpec("snn5", num_classes=3, in_channels=1, image_size=16, width=0.125)
TRAIN, TEST = Stripes(60, 0), Stripes(30, 1)
CONFIG = TrainingConfig(SPEC, TRAIN.spec, (Stage(2, 2), Stage(3, 1)), batch_size=16, lr=5e-3, val_fraction=0.2)


class Stop(Monitor):
    """Ends a run in its second epoch."""

    def on_epoch(self, record):
        if record["epoch"] == 1:
            raise KeyboardInterrupt


def train(folder, config=CONFIG, **options):
    folder.mkdir(exist_ok=True)
    return fit(config, TRAIN, TEST, best_path=folder / "best.pt", last_path=folder / "last.pt", **options)


@contextmanager
def plainly():
    """Training steps as they were without any of this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "fusable", lambda model: ([], []))
        patch.setattr(steps, "_pack", lambda tensor: (tensor, None))
        yield


def network(name="snn5", **options):
    torch.manual_seed(0)
    options = {"num_classes": 3, "in_channels": 2, "image_size": 16, "width": 0.125} | options
    return build(name, **options).train()


def gradients(model, x, dtype=torch.float32, own=None):
    """The loss, the gradients and the statistics of a training step, and the bytes that it keeps."""
    model, packs = copy.deepcopy(model).to(dtype), []

    def pack(tensor):
        packed = steps._pack(tensor)
        packs.append(weakref.ref(packed[0]))
        return packed

    with (own or LeanSteps()).step(model, 3):
        with torch.autograd.graph.saved_tensors_hooks(pack, steps._unpack):
            logits = model(x.to(dtype), 3)
        # What was packed and given up in the forward pass is not kept, and where it was another tensor may be.
        storages = [tensor.untyped_storage() for tensor in (each() for each in packs) if tensor is not None]
        kept = {storage.data_ptr(): storage.nbytes() for storage in storages}
        del storages
        loss = make_loss("total", 0.05, 1.0)(logits, torch.arange(len(x)) % 3)
        loss.backward()
    found = [loss.detach(), *(p.grad for p in model.parameters()), *model.state_dict().values()]
    return found, sum(kept.values())


def same(found, wanted):
    return len(found) == len(wanted) and all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("snn5", {}),
        ("snn5", {"norm": "tdbn", "reset": "soft"}),
        ("snn5", {"detach_reset": True, "surrogate": "arctan", "threshold": 0.7}),
        ("snn5", {"surrogate": "rectangle", "neuron": "if"}),
        ("snn5", {"detach_carry": True}),
        ("ms-resnet20", {"detach_carry": True, "reset": "soft"}),
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
    found, _ = gradients(model, x, dtype)
    with plainly():
        wanted, _ = gradients(model, x, dtype)
    assert same(found, wanted)
    assert any(g.abs().max() > 0 for g in found[1:])


SHARES = [("snn5", 0.41), ("sew-resnet18", 0.6), ("resnet19", 0.52), ("ms-resnet20", 0.6)]


@pytest.mark.parametrize(("name", "share"), SHARES)
def test_a_lean_step_keeps_less(name, share):
    model, x = network(name, image_size=32), torch.randn(8, 2, 32, 32)
    _, ours = gradients(model, x)
    with plainly():
        _, plain = gradients(model, x)
    assert ours < share * plain


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "sdt", "switch": Switch("tet", 1)},
        {"loss": "total", "optimizer": "sgd", "augment": ("flip",)},
        {"loss": "total", "optimizer": "sam", "augment": ("flip",)},
        {"loss": "trt", "decay": 1e-3},
        {"reg": "im", "reg_weight": 0.1},
        {"reg": "rmp", "reg_weight": 0.1, "optimizer": "sam", "precision": "bfloat16"},
        {"precision": "bfloat16"},
        {"precision": "float64"},
        {"spec": dataclasses.replace(SPEC, detach_carry=True)},
        {"spec": dataclasses.replace(SPEC, norm="tdbn", reset="soft", surrogate="arctan")},
        {"spec": dataclasses.replace(SPEC, name="resnet19", width=0.0625, options={"checkpointing": 3})},
        {"spec": dataclasses.replace(SPEC, name="resnet19", width=0.0625, detach_reset=True), "precision": "bfloat16"},
    ],
)
def test_a_lean_training_gives_the_network_of_the_plain_one(tmp_path, changes):
    config = dataclasses.replace(CONFIG, **changes)
    lean = train(tmp_path / "lean", config)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "resumed", config, monitors=[Stop()])
    resumed = train(tmp_path / "resumed", config, resume=True)
    with plainly():
        plain = train(tmp_path / "plain", config)
    for each in (lean, resumed):
        assert each.history == plain.history
        assert same(list(each.state.values()), list(plain.state.values()))


def test_a_network_that_was_trained_leanly_is_as_any_other(tmp_path):
    model = network()
    with LeanSteps().step(model, 3):
        assert all(conv.firing and neuron.firing for conv, neuron in fusable(model)[0])
    assert not any(getattr(module, "firing", None) for module in model.modules())


def test_second_derivatives_are_those_of_the_plain_network():
    model, x = network(), 2 * torch.randn(4, 2, 16, 16, dtype=torch.float64)
    products = []
    for lean in (True, False):
        own = copy.deepcopy(model).double()
        with LeanSteps().step(own, 3) if lean else nullcontext(), spikes_as_bytes():
            loss = make_loss("tet", 0.05, 1.0)(own(x, 3), torch.arange(4) % 3)
            weights = list(own.parameters())
            grads = torch.autograd.grad(loss, weights, create_graph=True)
            products.append(torch.autograd.grad(sum((g**2).sum() for g in grads), weights))
    for a, b in zip(*products, strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12 * max(1.0, b.abs().max().item()))
    assert any(g.abs().max() > 0 for g in products[0])


def test_what_is_watched_runs_as_it_is():
    model, x = network(), torch.randn(4, 2, 16, 16)
    (pairs, alone), seen = fusable(model), []
    assert (len(pairs), alone) == (5, [])
    neuron = pairs[2][1]
    neuron.register_forward_hook(lambda module, given, spikes: seen.append((given[0], spikes)))
    assert [len(each) for each in fusable(model)] == [4, 0]
    gradients(model, x)
    [(current, spikes)] = seen
    assert not torch.equal(current, spikes)
    assert torch.equal(LIF()(current), spikes)


def test_foreign_networks_networks_in_eval_mode_and_streams_are_left_alone():
    model = network()
    assert fusable(nn.Sequential(*model.features)) == ([], [])
    assert fusable(copy.deepcopy(model).eval()) == ([], [])
    with streaming(model):
        assert fusable(model) == ([], [])


def heard(when, run):
    said = []
    with compiling(when, said.append):
        return run(), said


@pytest.mark.skipif(not has_compiler(), reason="there is no compiler")
def test_compiled_steps_give_the_same_bits():
    model, x, own = network(), 2 * torch.randn(4, 2, 16, 16), LeanSteps()
    (found, _), said = heard("on", lambda: gradients(model, x, own=own))
    assert [line.split()[0] for line in said] == ["compiling", "compiled"]
    assert all(own._kernels.values())
    with plainly():
        wanted, _ = gradients(model, x)
    assert same(found, wanted)
    (again, _), said = heard("on", lambda: gradients(model, x, own=own))
    assert same(again, wanted) and said == []


def test_kernels_that_round_otherwise_are_not_used(monkeypatch):
    def rounding(own):
        return own._replace(backward=lambda *given: own.backward(*given) * (1 + 2e-7))

    monkeypatch.setattr(Kernels, "compiled", rounding)
    monkeypatch.setattr(steps, "has_compiler", lambda: True)
    own = LeanSteps()
    _, said = heard("on", lambda: gradients(network(), torch.randn(4, 2, 16, 16), own=own))
    assert "round otherwise" in said[-1]
    assert list(own._kernels.values()) == [None]


def test_without_a_compiler_neurons_run_as_they_are(monkeypatch):
    def fails(own):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(Kernels, "compiled", fails)
    monkeypatch.setattr(steps, "has_compiler", lambda: True)
    _, said = heard("on", lambda: gradients(network(), torch.randn(4, 2, 16, 16)))
    assert said[-1] == "the neurons cannot be compiled here (RuntimeError): they run as they are"
    monkeypatch.setattr(steps, "has_compiler", lambda: False)
    assert heard("on", lambda: gradients(network(), torch.randn(4, 2, 16, 16)))[1] == []


def test_auto_compiles_once_steps_have_taken_so_long_that_it_pays(monkeypatch):
    monkeypatch.setattr(Kernels, "compiled", lambda own: own)
    monkeypatch.setattr(steps, "has_compiler", lambda: True)
    model, x, own = network(), torch.randn(4, 2, 16, 16), LeanSteps()
    assert heard("auto", lambda: gradients(model, x, own=own))[1] == []
    own._seconds[3] = 1e4
    assert heard("off", lambda: gradients(model, x, own=own))[1] == []
    assert heard("auto", lambda: gradients(model, x.double(), torch.float64, own=own))[1] == []
    assert len(heard("auto", lambda: gradients(model, x, own=own))[1]) == 2
