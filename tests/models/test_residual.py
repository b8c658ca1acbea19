"""Residual networks against SpikingJelly's and against the papers' drawings, their start, and recomputation."""

import copy
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_networks
import torch
from torch import Tensor, nn
from torch.func import functional_call
from wording import refuses

from tetviz.models import LIF, ImageNetResNet, ModelSpec, SpikingNetwork, TdBN, build, streaming
from tetviz.models.blocks import MSBlock, SEWBlock
from tetviz.models.layers import DropoutOverTime, Parts
from tetviz.models.residual import CIFARResNet, ResidualNetwork
from tetviz.models.stack import ResidualStack
from tetviz.training.data.torchvision import import_torchvision

MS = {"leak": 0.25, "threshold": 0.5, "surrogate": "rectangle", "detach_reset": True}
T = 3


def trained(name: str, image_size: int = 16, **settings: Any) -> tuple[SpikingNetwork, Tensor]:
    """A network in float64 and eval mode whose layers fire and whose statistics are not trivial, and a sequence."""
    torch.manual_seed(1)
    model = build(name, num_classes=7, image_size=image_size, **settings).double()
    x_TBCHW = 2 * torch.randn(T, 4, 3, image_size, image_size, dtype=torch.float64)
    small = {id(block.conv2.norm) for block in model.modules() if isinstance(block, MSBlock)}
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.8, 1.6)
                module.bias.uniform_(-0.3, 0.8 if settings.get("connect") != "AND" else 2)
                if id(module) in small:
                    module.weight.mul_(0.3)
                    module.bias.mul_(0.1)
        for _ in range(2):
            model(x_TBCHW)
    return model.eval(), x_TBCHW[:, :2]


def check_alive(model: nn.Module, x_TBCHW: Tensor) -> None:
    """Few neurons fire always or never, else a comparison of outputs says little."""
    rates: list[float] = []
    neurons = [module for module in model.modules() if isinstance(module, LIF)]
    hooks = [n.register_forward_hook(lambda _, __, s: rates.append(s.mean().item())) for n in neurons]
    with torch.no_grad():
        logits_TBK = model(x_TBCHW)
    for hook in hooks:
        hook.remove()
    assert len(rates) == len(neurons)
    assert 0.005 < min(rates) <= max(rates) < 0.99
    assert logits_TBK.std(0).min() > 1e-3


# --- SpikingJelly -------------------------------------------------------------------------------------------


def published(module: str) -> Any:
    """A module of SpikingJelly's networks, which import torchvision."""
    import_torchvision()
    return pytest.importorskip(f"spikingjelly.activation_based.model.{module}")


def take_weights(theirs: nn.Module, ours: nn.Module) -> None:
    """Copies a state tensor by tensor, in the order in which both name them."""
    state, own = ours.state_dict(), theirs.state_dict()
    assert [tuple(t.shape) for t in own.values()] == [tuple(t.shape) for t in state.values()]
    theirs.load_state_dict(dict(zip(own, state.values(), strict=True)), assign=True)


@pytest.mark.parametrize(
    ("name", "connect"),
    [
        ("spiking-resnet18", None),
        ("sew-resnet18", "ADD"),
        ("sew-resnet18", "AND"),
        ("sew-resnet18", "IAND"),
        ("sew-resnet50", "ADD"),
    ],
)
def test_spiking_and_sew_resnets_are_those_of_spikingjelly(name: str, connect: str | None) -> None:
    family = published(f"{'sew' if connect else 'spiking'}_resnet")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    options = {} if connect is None else {"connect": connect}
    ours, x_TBCHW = trained(name, neuron="if", **options)
    check_alive(ours, x_TBCHW)
    make = getattr(family, name.replace("-", "_"))
    cnf = {"cnf": connect} if connect else {}
    with torch.device("meta"):
        theirs = make(spiking_neuron=neuron.IFNode, num_classes=7, **cnf).eval()
    functional.set_step_mode(theirs, "m")
    take_weights(theirs, ours)
    with torch.no_grad():
        torch.testing.assert_close(ours(x_TBCHW), theirs(x_TBCHW), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("name", "layers"), [("ms-resnet18", (2, 2, 2, 2)), ("ms-resnet34", (3, 4, 6, 3))])
def test_ms_resnets_are_those_of_spikingjelly(name: str, layers: tuple[int, ...]) -> None:
    ms_resnet = published("ms_resnet")
    ours, x_TBCHW = trained(name, width=0.25, **MS)
    check_alive(ours, x_TBCHW)
    with torch.device("meta"):
        theirs = ms_resnet.MSResNet(T=T, num_classes=7, layers=layers, base_channels=16).eval()
    take_weights(theirs, ours)
    with torch.no_grad():
        # theirs returns the mean of O(t)
        torch.testing.assert_close(ours(x_TBCHW).mean(0), theirs(x_TBCHW), rtol=0, atol=1e-11)


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_learned_leaks_are_those_of_spikingjelly(reset: str, detach_reset: bool) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")
    from tetviz.models import PLIF

    ours = PLIF(0.7, 0.9, "arctan", 1.0, detach_reset, reset).double()
    theirs = neuron.ParametricLIFNode(
        init_tau=1 / (1 - 0.7),
        decay_input=False,
        v_threshold=0.9,
        v_reset=0.0 if reset == "hard" else None,
        surrogate_function=surrogate.ATan(alpha=2.0),
        detach_reset=detach_reset,
        step_mode="m",
    ).double()
    x_TB = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 0.3
    results = []
    for node in (ours, theirs):
        current_TB = x_TB.clone().requires_grad_()
        spikes_TB = node(current_TB)
        (spikes_TB * x_TB.cos()).sum().backward()
        assert current_TB.grad is not None
        assert node.w.grad is not None
        assert node.w.grad.abs() > 1e-3
        results.append((spikes_TB.detach(), current_TB.grad, node.w.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-12)  # their initial w is a float32


# --- the papers' drawings -----------------------------------------------------------------------------------


def numbers(model: nn.Module) -> dict[str, reference_networks.Array]:
    return {name: tensor.numpy().astype(np.float64) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("depth", "block", "connect", "reset"),
    [
        (20, "ms", "ADD", "hard"),
        (14, "ms", "ADD", "soft"),
        (14, "plain", "ADD", "hard"),
        (14, "plain", "ADD", "soft"),
        (14, "sew", "ADD", "hard"),
        (14, "sew", "AND", "hard"),
        (14, "sew", "IAND", "soft"),
    ],
)
def test_cifar_resnets_are_the_papers(depth: int, block: str, connect: str, reset: str) -> None:
    settings = {"depth": depth, "block": block, "connect": connect, "width": 0.5}
    model, x_TBCHW = trained("cifar-resnet", 8, leak=0.25, threshold=0.5, reset=reset, **settings)
    check_alive(model, x_TBCHW)
    neuron = reference_networks.Neuron(0.25, 0.5, reset == "soft")
    expected = reference_networks.cifar_resnet(x_TBCHW.numpy(), numbers(model), depth, block, connect, neuron)
    with torch.no_grad():
        np.testing.assert_allclose(model(x_TBCHW).numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "kind", "counts", "connect"),
    [
        ("spiking-resnet18", "plain", [2, 2, 2, 2], "ADD"),
        ("sew-resnet18", "sew", [2, 2, 2, 2], "IAND"),
        ("sew-resnet50", "sew-bottleneck", [3, 4, 6, 3], "IAND"),
        ("ms-resnet18", "ms", [2, 2, 2, 2], "ADD"),
        ("ms-resnet104", "ms-deep", [3, 8, 32, 8], "ADD"),
    ],
)
@pytest.mark.parametrize("image_size", [16, 19])
def test_imagenet_resnets_are_the_papers(
    name: str, kind: str, counts: list[int], connect: str, image_size: int
) -> None:
    options = {"connect": connect} if kind.startswith("sew") else {}
    model, x_TBCHW = trained(name, image_size, width=0.1, leak=0.5, threshold=1.0, **options)
    check_alive(model, x_TBCHW)
    neuron = reference_networks.Neuron()
    expected = reference_networks.imagenet_resnet(x_TBCHW.numpy(), numbers(model), kind, counts, connect, neuron)
    with torch.no_grad():
        np.testing.assert_allclose(model(x_TBCHW).numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["spiking-resnet18", "sew-resnet18", "ms-resnet18", "cifar-resnet"])
def test_the_mean_of_the_outputs_is_the_published_output(name: str) -> None:
    model, x_TBCHW = trained(name, width=0.1)
    assert isinstance(model, ResidualNetwork)
    seen: list[Tensor] = []
    model.dropout.register_forward_hook(lambda _, __, features_TBC: seen.append(features_TBC))
    with torch.no_grad():
        logits_TBK = model(x_TBCHW)
        torch.testing.assert_close(logits_TBK.mean(0), model.fc(seen[0].mean(0)), rtol=0, atol=1e-13)
    assert not torch.allclose(logits_TBK[0], logits_TBK[1])


def test_a_stem_run_once_and_repeated_is_one_run_at_every_step() -> None:
    # training mode: the statistics over T copies are those of one
    torch.manual_seed(0)
    model = build("sew-resnet18", width=0.1, image_size=16).double().train()
    assert isinstance(model.stem, nn.Sequential)
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    every = model.stem[0](x.expand(5, *x.shape))
    once = model.stem[0](x[None])
    torch.testing.assert_close(every, once.expand_as(every), rtol=0, atol=1e-12)


# --- how they start -----------------------------------------------------------------------------------------


def norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "blocks"), [("ms-resnet18", 8), ("ms-resnet34", 16), ("ms-resnet104", 51), ("ms-resnet20", 9)]
)
@pytest.mark.parametrize("norm", ["bn", "tdbn"])
def test_ms_resnets_start_with_the_gain_of_the_threshold_and_silent_branches(name: str, blocks: int, norm: str) -> None:
    for settings, silent in (({}, blocks), ({"zero_init": False}, 0)):
        model = build(name, width=0.05, norm=norm, **MS, **settings)
        weights = [n.weight.unique().tolist() for n in norms(model)]
        assert weights.count([0.0]) == silent
        # tdBN multiplies by alpha V_th beside the weight, and alpha is 1: V_th once, either way
        assert [w for w in weights if w != [0.0]] == [[1.0 if norm == "tdbn" else 0.5]] * (len(weights) - silent)
        assert all((n.alpha, n.threshold) == (1, 0.5) for n in norms(model) if isinstance(n, TdBN))
        assert all(n.bias.eq(0).all() for n in norms(model))


@pytest.mark.parametrize("name", ["spiking-resnet18", "sew-resnet18", "sew-resnet50"])
def test_networks_of_fang_start_as_torchvisions(name: str) -> None:
    torch.manual_seed(0)
    model = build(name, width=0.5)
    assert all(n.weight.eq(1).all() and n.bias.eq(0).all() for n in norms(model))
    for conv in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
        fan_out = conv.out_channels * conv.kernel_size[0] ** 2
        assert conv.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.2)
    silent = build(name, width=0.05, zero_init=True)
    blocks = 16 if name == "sew-resnet50" else 8
    assert sum(bool(n.weight.eq(0).all()) for n in norms(silent)) == blocks


def test_ms_resnets_leave_convolutions_as_torch_makes_them() -> None:
    torch.manual_seed(0)
    model = build("ms-resnet18", width=0.5)
    for conv in (m for m in model.modules() if isinstance(m, nn.Conv2d)):
        fan_in = conv.in_channels * conv.kernel_size[0] ** 2
        assert conv.weight.abs().max() <= fan_in**-0.5
        assert conv.weight.std().item() == pytest.approx((3 * fan_in) ** -0.5, rel=0.1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["bn", "tdbn"])
def test_an_ms_block_starts_as_the_identity_and_so_does_its_gradient(norm: str, training: bool) -> None:
    torch.manual_seed(0)
    block = MSBlock(6, 6, 1, Parts(LIF, norm)).train(training)
    block.silence()
    x = torch.randn(4, 3, 6, 5, 5).requires_grad_()
    v = torch.randn(4, 3, 6, 5, 5)
    y = block(x)
    assert torch.equal(y, x)
    (back,) = torch.autograd.grad(y, x, v)
    assert torch.equal(back, v)


@pytest.mark.parametrize("reset", ["hard", "soft"])
@pytest.mark.parametrize("hidden", [None, 3])
@pytest.mark.parametrize("connect", ["ADD", "AND", "IAND"])
def test_a_silenced_sew_block_hands_on_its_spikes(connect: str, hidden: int | None, reset: str) -> None:
    torch.manual_seed(0)
    parts = Parts(lambda: LIF(1.0, 0.7, reset=reset), threshold=0.7)
    block = SEWBlock(6, 6, 1, parts, connect=connect, hidden=hidden)
    spikes = (torch.rand(5, 3, 6, 5, 5) < 0.4).float()
    assert not torch.equal(block(spikes), spikes)
    block.silence()
    assert torch.equal(block(spikes), spikes)


def test_add_counts_where_and_and_iand_stay_binary() -> None:
    for connect in ("ADD", "AND", "IAND"):
        model, x_TBCHW = trained("sew-resnet18", width=0.1, connect=connect)
        assert isinstance(model.blocks, ResidualStack)
        seen: set[float] = set()
        model.blocks.register_forward_hook(lambda _, __, y, seen=seen: seen.update(y.unique().tolist()))  # type: ignore[misc]
        with torch.no_grad():
            model(x_TBCHW)
        assert seen == {0, 1} if connect != "ADD" else ({0, 1, 2} <= seen <= set(range(10)))


def test_dropout_has_one_mask_for_all_timesteps() -> None:
    model = build("ms-resnet104", width=0.05)
    assert isinstance(model, ResidualNetwork)
    assert model.dropout.p == 0.2
    torch.manual_seed(0)
    dropout, x_TBC = DropoutOverTime(0.2), torch.ones(5, 40, 50)
    y_TBC = dropout(x_TBC)
    assert torch.equal(y_TBC, y_TBC[:1].expand_as(y_TBC))
    assert y_TBC.unique().tolist() == [0, 1.25]
    assert (y_TBC == 0).float().mean() == pytest.approx(0.2, abs=0.03)
    assert dropout.eval()(x_TBC) is x_TBC


# --- recomputation ------------------------------------------------------------------------------------------


def after_two_steps(model: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Gradients and buffers after two passes of training."""
    for scale in (1, 2):
        model(scale * x, T).logsumexp(-1).sum().backward()
    gradients = {f"{name}.grad": p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert len(gradients) == sum(1 for _ in model.parameters())
    return gradients | dict(model.named_buffers())


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ms-resnet20", {"zero_init": False}),
        ("ms-resnet20", {"neuron": "plif", "norm": "tdbn", "zero_init": False}),
        ("cifar-resnet", {"block": "plain"}),
        ("sew-resnet18", {"reset": "soft"}),
        ("resnet19", {}),
    ],
)
def test_recomputing_changes_no_gradient_and_no_statistics(name: str, settings: dict[str, Any], blocks: int) -> None:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    results = []
    for checkpointing in (0, blocks):
        torch.manual_seed(0)
        model = build(name, image_size=8, width=0.25, checkpointing=checkpointing, **settings)
        results.append(after_two_steps(model, x))
    kept, again = results
    assert kept.keys() == again.keys()
    for key, value in kept.items():
        assert torch.equal(value, again[key]), key
    assert (
        kept["blocks.0.conv1.norm.num_batches_tracked" if name != "sew-resnet18" else "stem.0.norm.num_batches_tracked"]
        == 2
    )


def ms20(checkpointing: int = 1) -> CIFARResNet:
    torch.manual_seed(0)
    return CIFARResNet(width=0.25, zero_init=False, checkpointing=checkpointing)


def runs_of_a_block(model: nn.Module, step: Callable[[nn.Module], Any]) -> int:
    runs: list[int] = []
    assert isinstance(model, ResidualNetwork)
    hook = model.blocks[3].register_forward_pre_hook(lambda *_: runs.append(1))
    step(model)
    hook.remove()
    return len(runs)


def test_blocks_run_twice_in_training_and_once_elsewhere() -> None:
    x = torch.randn(2, 3, 8, 8)

    def train(model: nn.Module) -> None:
        model(x, 2).sum().backward()

    assert runs_of_a_block(ms20(), train) == 2
    assert runs_of_a_block(ms20(0), train) == 1
    assert runs_of_a_block(ms20().eval(), train) == 1
    with torch.no_grad():
        assert runs_of_a_block(ms20(), lambda model: model(x, 2)) == 1


def test_recomputing_uses_the_weights_that_were_lent() -> None:
    x, gradients = torch.randn(2, 3, 8, 8), []
    for checkpointing in (0, 2):
        model = ms20(checkpointing)
        lent = {n: (1.5 * p.detach()).requires_grad_() for n, p in model.named_parameters()}
        buffers = {n: b.clone() for n, b in model.named_buffers()}
        before = {n: b.clone() for n, b in model.named_buffers()}
        functional_call(model, (lent, buffers), (x, 2)).logsumexp(-1).sum().backward()
        assert all(torch.equal(b, before[n]) for n, b in model.named_buffers())
        assert buffers["blocks.4.conv1.norm.num_batches_tracked"] == 1
        gradients.append({n: p.grad for n, p in lent.items()} | buffers)
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert torch.equal(gradient, gradients[1][name]), name


def test_streaming_recomputes_nothing_and_keeps_its_gradients() -> None:
    x_TBCHW, gradients = torch.randn(4, 2, 3, 8, 8), []
    for checkpointing in (0, 1):
        model = ms20(checkpointing)
        with streaming(model):
            total = sum((model(part).logsumexp(-1).sum() for part in x_TBCHW.split(2)), torch.zeros(()))
        total.backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(a is not None and b is not None and torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_second_derivatives_pass_through_recomputation() -> None:
    x, results = torch.randn(2, 3, 8, 8), []
    for checkpointing in (0, 1):
        model = ms20(checkpointing)
        weights = [p for p in model.parameters() if p.dim() > 1]
        gradients = torch.autograd.grad(model(x, 2).logsumexp(-1).sum(), weights, create_graph=True)
        results.append(torch.autograd.grad(sum((g**2).sum() for g in gradients), weights[0])[0])
    torch.testing.assert_close(results[0], results[1])


def test_a_copy_recomputes_too() -> None:
    model = copy.deepcopy(ms20())
    assert runs_of_a_block(model, lambda m: m(torch.randn(2, 3, 8, 8), 2).sum().backward()) == 2


PEAK = """
import re, torch
from pathlib import Path
from tetviz.models import build

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024

torch.set_num_threads(1)
torch.manual_seed(0)
model, x = build("ms-resnet482", width=0.25, checkpointing=4).train(), torch.randn(8, 3, 32, 32)
build("ms-resnet20", width=0.25, checkpointing=4)(x, 2).logsumexp(-1).sum().backward()  # what torch loads at first
peaks = [peak()]
for model.blocks.checkpointing in (4, 0):
    model.zero_grad()
    model(x, 2).logsumexp(-1).sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())
    peaks.append(peak())
print(*peaks)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell a process's peak memory")
def test_ms_resnet482_trains_in_bounded_memory() -> None:
    returning = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # what is freed is not kept for later by glibc
    run = subprocess.run([sys.executable, "-c", PEAK], env=returning, capture_output=True, text=True, check=True)
    before, recomputing, keeping = map(float, run.stdout.split())
    assert recomputing - before < 0.25 * (keeping - before), f"MiB: {run.stdout}"


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("sew-resnet18", {"connect": "XOR"}, "'XOR' ADD AND IAND"),
        ("sew-resnet18", {"connect": 3}, "sew-resnet18 str 3"),
        ("sew-resnet18", {"depth": 34}, "sew-resnet18 connect zero_init"),
        ("ms-resnet20", {"block": "plain"}, "ms-resnet20"),
        ("ms-resnet18", {"zero_init": "no"}, "zero_init 'no'"),
        (
            "spiking-resnet18",
            {"connect": "AND"},
            "spiking-resnet18 zero_init",
        ),
        ("ms-resnet18", {"checkpointing": "x"}, "checkpointing 'x'"),
        ("ms-resnet18", {"checkpointing": -1}, "0 number -1"),
        ("vggsnn-nopool", {"pool": True}, "vggsnn-nopool pool"),
        ("cifar-resnet", {"depth": 21}, "6 2 layers 8 14 20"),
        ("cifar-resnet", {"depth": 2}, "depth 2"),
        ("cifar-resnet", {"block": "dense"}, "'dense'"),
        ("cifar-resnet", {"connect": "AND"}, "connect=AND block=sew"),
        ("cifar-resnet", {"zero_init": 3}, "option zero_init 3"),
    ],
)
def test_wrong_options_are_refused_by_name(name: str, options: dict[str, Any], text: str) -> None:
    with refuses(ValueError, text):
        build(ModelSpec(name, width=0.05, options=options))


@pytest.mark.parametrize(
    ("block", "depths"), [("plain", "18, 34"), ("sew", "18, 34, 50, 101, 152"), ("ms", "18, 34, 104")]
)
def test_a_depth_that_was_never_published_is_refused(block: str, depths: str) -> None:
    with refuses(ValueError, f"{block} {depths} 20"):
        ImageNetResNet(depth=20, block=block)
