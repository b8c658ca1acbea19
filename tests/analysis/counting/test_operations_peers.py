"""The counts of SpikingJelly and NeuroBench, where energy.md found them right, and networks of other packages."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from counting_networks import OneLayer, StepLoop, Tiny, dyadic, make_dyadic
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.analysis import count_operations

T, B = 4, 3

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "k3 p0": lambda: nn.Conv2d(4, 8, 3),
    "k3 p1": lambda: nn.Conv2d(4, 8, 3, padding=1),
    "k3 s2 p1": lambda: nn.Conv2d(4, 8, 3, 2, 1),
    "k7 s2 p3": lambda: nn.Conv2d(4, 8, 7, 2, 3),
    "k3 dilated": lambda: nn.Conv2d(4, 8, 3, padding=2, dilation=2),
    "k3x5": lambda: nn.Conv2d(4, 8, (3, 5), padding=(1, 2)),
    "gaps": lambda: nn.Conv2d(4, 8, 2, 3),
    "depthwise": lambda: nn.Conv2d(4, 8, 3, padding=1, groups=4),
    "same": lambda: nn.Conv2d(4, 8, 3, padding="same"),
    "circular": lambda: nn.Conv2d(4, 8, 3, padding=1, padding_mode="circular"),
    "reflect": lambda: nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"),
    "1x1": lambda: nn.Conv2d(4, 8, 1, bias=False),
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def synops(model: nn.Module, x: Tensor, timesteps: int) -> int:
    """SpikingJelly's count of a run, all steps and samples."""
    op_counter = pytest.importorskip("spikingjelly.activation_based.op_counter")
    counter = op_counter.SynOpCounter()
    with op_counter.DispatchCounterMode([counter]), torch.no_grad():
        model(x, timesteps)
    return int(counter.get_total())


class ForNeuroBench(nn.Module):
    """A network with its number of steps, called with the images alone."""

    def __init__(self, network: nn.Module, timesteps: int) -> None:
        super().__init__()
        self.network, self.timesteps = network, timesteps

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x, self.timesteps)
        return logits


def neurobench(model: nn.Module, x: Tensor, timesteps: int) -> dict[str, int]:
    """NeuroBench's counts of a run: effective ACs and MACs, and the pairs within the input, which it calls dense."""
    models = pytest.importorskip("neurobench.models", reason="neurobench does not install here")
    workload = pytest.importorskip("neurobench.metrics.workload", reason="neurobench does not install here")
    wrapped, metric = models.TorchModel(ForNeuroBench(model, timesteps)), workload.SynapticOperations()
    wrapped.register_hooks()
    with torch.no_grad():
        outputs = wrapped(x)
        metric(wrapped, outputs, (x.flatten(0, -4) if x.dim() == 5 else x, None))
    wrapped.cleanup_hooks()
    return {"ac": metric.AC, "mac": metric.MAC, "inbounds_mac": metric.total_synops}


def totals(counts: Any) -> dict[str, int]:
    return {name: int(getattr(counts, name).sum()) for name in ("ac", "mac", "inbounds_mac")}


@every_layer
def test_synapses_of_a_layer_equal_spikingjellys(make: Callable[[], nn.Module]) -> None:
    model, x = OneLayer(make_dyadic(make()), True), dyadic((T, B, 4, 9, 9), 1)
    ours = count_operations(model, x, T)
    assert ours.ac.sum() == synops(model, x, T) > 0


@every_layer
@pytest.mark.parametrize("spikes", [True, False], ids=["binary", "analog"])
def test_synapses_of_a_layer_equal_neurobenchs(make: Callable[[], nn.Module], spikes: bool) -> None:
    model, x = OneLayer(make_dyadic(make()), spikes), dyadic((T, B, 4, 9, 9), 1)
    assert totals(count_operations(model, x, T)) == neurobench(model, x, T)


def test_pruned_synapses_equal_neurobenchs() -> None:
    model = make_dyadic(OneLayer(nn.Conv2d(4, 8, 3, 2, 1), True))
    x = dyadic((T, B, 4, 9, 9), 1)
    with torch.no_grad():
        model.layer.weight[::2, 1:, 0] = 0
    pruned = count_operations(model, x, T, skip_zero_weights=True)
    assert pruned.ac.sum() == neurobench(model, x, T)["ac"]
    assert pruned.ac.sum() < count_operations(model, x, T).ac.sum()


@pytest.mark.parametrize("layout", ["time", "loop"])
def test_the_tiny_network_equals_both_peers(layout: str) -> None:
    model, x = Tiny(layout), dyadic((B, 3, 8, 8), 1)
    ours = count_operations(model, x, T)
    assert totals(ours) == neurobench(model, x, T)
    assert ours.ac.sum() == synops(model, x, T)


# --- networks of other packages -----------------------------------------------------------------------------


SNNTORCH = "scaled"  # its spikes are multiplied by graded_spikes_factor, which is 1


class Leaky(nn.Module):
    """snnTorch's neuron as a layer of one tensor, its potential kept from step to step."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        snntorch = pytest.importorskip("snntorch")
        self.neuron = snntorch.Leaky(beta=0.5, **settings)
        self.rest()

    def rest(self) -> None:
        self.mem = self.neuron.reset_mem()

    def forward(self, current: Tensor) -> Tensor:
        spikes, self.mem = self.neuron(current, self.mem)
        return spikes


def layered(neuron: Callable[[], nn.Module], conv: Any = nn.Conv2d, linear: Any = nn.Linear) -> nn.Sequential:
    """Conv, neuron, conv, neuron, linear; one step of 3 x 8 x 8 images."""
    layers = [conv(3, 4, 3, padding=1), neuron(), conv(4, 6, 3, stride=2, padding=1), neuron()]
    return make_dyadic(nn.Sequential(*layers, nn.Flatten(-3), linear(96, 5)))  # type: ignore[return-value]


def hooked(model: nn.Module, x: Tensor, neuron: type[nn.Module]) -> dict[str, list[int]]:
    """Spikes of every layer of neurons, and pairs of every layer of weights whose input is not 0, for each step."""
    steps: dict[str, list[Tensor]] = {}

    def note(name: str, of_all_steps: Tensor) -> None:
        steps.setdefault(name, []).append(of_all_steps)

    def look(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: Any, args: Any, y: Any) -> None:
            if isinstance(module, neuron):
                note(name, y.clone())
                return
            mask, ones = (args[0] != 0).double(), torch.ones_like(module.weight, dtype=torch.float64)
            if isinstance(module, nn.Linear):
                note(name, F.linear(mask, ones))
            else:
                lead = mask.shape[:-3]
                taps = F.conv2d(mask.reshape(-1, *mask.shape[-3:]), ones, None, module.stride, module.padding)
                note(name, taps.unflatten(0, lead))

        return hook

    handles = [
        module.register_forward_hook(look(name))
        for name, module in model.named_modules()
        if isinstance(module, (neuron, nn.Conv2d, nn.Linear))
    ]
    with torch.no_grad():
        model(x, T)
    for handle in handles:
        handle.remove()
    stacked = {name: torch.stack(seen) if len(seen) > 1 else seen[0] for name, seen in steps.items()}
    return {name: [int(n) for n in seen.reshape(T, -1).sum(1)] for name, seen in stacked.items()}


def check(model: nn.Module, neuron: type[nn.Module], neurons: dict[str, int], kind: str = "binary") -> None:
    x = dyadic((B, 3, 8, 8), 1)
    seen, counts = hooked(model, x, neuron), count_operations(model, x, T)
    names = list(counts.names)
    for name, expected in seen.items():
        i = next(i for i, layer in enumerate(names) if layer == name or layer.startswith(f"{name}."))
        if name in neurons:
            assert counts.spikes[i].tolist() == expected
            assert counts.neurons[i] == neurons[name]
            assert 0 < sum(expected) < T * B * neurons[name]
        else:
            first = name.endswith("0")
            assert (counts.mac if first else counts.ac)[i].tolist() == expected
            assert list(counts.inputs)[i] == ("data" if first else kind)
    assert counts.spikes.sum() == sum(sum(seen[name]) for name in neurons)
    assert list(counts.warnings) == list(counts.not_counted) == []


def test_a_network_of_snntorch() -> None:
    def rest(step: nn.Module) -> None:
        for module in step.modules():
            if isinstance(module, Leaky):
                module.rest()

    check(StepLoop(layered(Leaky), rest), Leaky, {"step.1": 256, "step.3": 96}, SNNTORCH)


def test_a_network_of_snntorch_that_hides_its_state() -> None:
    snntorch = pytest.importorskip("snntorch")
    utils = pytest.importorskip("snntorch.utils")
    model = StepLoop(layered(lambda: snntorch.Leaky(beta=0.5, init_hidden=True)), utils.reset)
    check(model, snntorch.Leaky, {"step.1": 256, "step.3": 96}, SNNTORCH)


@pytest.mark.parametrize("kind", ["LIFNode", "IFNode", "ParametricLIFNode"])
def test_a_network_of_spikingjelly_step_by_step(kind: str) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    node = getattr(neuron, kind)
    check(StepLoop(layered(node), functional.reset_net), node, {"step.1": 256, "step.3": 96})


class MultiStep(nn.Module):
    """A network of SpikingJelly that takes all steps at once."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        functional = pytest.importorskip("spikingjelly.activation_based.functional")
        functional.reset_net(self.step)
        logits: Tensor = self.step(x.expand(timesteps, *x.shape))
        return logits


@pytest.mark.parametrize("kind", ["LIFNode", "IFNode"])
def test_a_network_of_spikingjelly_all_steps_at_once(kind: str) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    node = getattr(neuron, kind)
    step = layered(node, layer.Conv2d, layer.Linear)
    functional.set_step_mode(step, "m")
    check(MultiStep(step), node, {"step.1": 256, "step.3": 96})
    one_by_one = StepLoop(layered(node), functional.reset_net)
    x = dyadic((B, 3, 8, 8), 1)
    assert (
        count_operations(MultiStep(step), x, T).ac.sum(0).tolist()
        == count_operations(one_by_one, x, T).ac.sum(0).tolist()
    )


@pytest.mark.parametrize(("kind", "apart"), [("PSN", T * T), ("MaskedPSN", 7), ("SlidingPSN", 7)])
def test_parallel_neurons_of_spikingjelly_multiply_by_a_matrix_of_steps(kind: str, apart: int) -> None:
    node = getattr(pytest.importorskip("spikingjelly.activation_based.neuron"), kind)
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    settings = {"PSN": {"T": T}, "MaskedPSN": {"k": 2, "T": T, "lambda_init": 1.0}, "SlidingPSN": {"k": 2}}[kind]
    surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate").ATan()
    step = nn.Sequential(layer.Conv2d(3, 4, 3), node(surrogate_function=surrogate, **settings), layer.Flatten())
    functional.set_step_mode(step, "m")
    with torch.no_grad():
        for weight in step[1].parameters():
            weight.abs_().add_(0.1)
    model, neurons = MultiStep(step).eval(), 4 * 6 * 6
    for skips, pairs in ((False, T * T), (True, apart)):  # of a band of 2, 1 + 2 + 2 + 2 are not 0
        counts = count_operations(model, dyadic((B, 3, 8, 8), 1), T, skip_zero_weights=skips)
        assert counts.names[1] == "step.1" and counts.neurons[1] == neurons
        assert counts.mac[1].sum() == pairs * neurons * B
        assert not counts.not_counted and not counts.warnings
