"""One planted case for each failure of energy.md, section 4.5, and what counting must leave as it was.

====================================  ==============================================================================
what others get wrong                 here
====================================  ==============================================================================
first layer, static image             test_a_static_first_layer_costs_every_step_and_is_marked
padding edges, stride                 test_operations.py, 40 geometries
grouped convolution                   test_a_grouped_convolution_has_the_pairs_of_its_groups
batch norm as synapses                test_normalisation_is_in_its_own_column
bias as synapses, or once a call      test_a_bias_is_in_its_own_column
pooling, dense                        test_poolings_add_the_spikes_that_exist
input after average pooling           test_operations_provenance.py
residual add missing                  test_a_residual_add_is_in_its_own_column
sums of spikes make dense MACs        test_operations_provenance.py
time divided out of [T, B]            test_time_is_never_divided_out
IF and LIF cost the same              test_operations.py
one element flips the class           test_operations_provenance.py
counts rounded in float32             test_counts_beyond_float32_and_int32_are_exact
modules under two names               test_a_module_with_two_names_counts_once
repeated calls, overwritten           test_a_module_that_runs_twice_counts_twice
own reductions counted                test_counting_twice_counts_the_same
exceptions swallowed, 0 reported      test_an_exception_of_the_network_goes_through
unknown neurons without spikes        test_spikes_of_any_neuron_are_counted
memory that was never written         test_a_run_depends_on_its_input_alone
state left behind                     test_the_network_and_the_world_are_as_before
unknown layers are silent zeros       test_what_is_not_understood_is_listed
====================================  ==============================================================================
"""

import copy
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from counting_networks import Above, OneLayer, PlainLIF, StepLoop, Tiny, dyadic, make_dyadic
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from wording import refuses

from tetviz.analysis import count_operations
from tetviz.errors import TetvizError
from tetviz.models import LIF
from tetviz.summaries import estimate_energy


def time_major(x: Tensor, timesteps: int) -> Tensor:
    return x[:timesteps] if x.dim() == 5 else x.expand(timesteps, *x.shape)


def of_layer(counts: Any, name: str, column: str) -> list[int]:
    return getattr(counts, column)[list(counts.names).index(name)].tolist()  # type: ignore[no-any-return]


class Then(nn.Module):
    """Flattened images to T x B x anything, through any function of them and the module itself."""

    def __init__(self, forward: Callable[[Any, Tensor], Tensor], **modules: nn.Module) -> None:
        super().__init__()
        self.function, self.neurons = forward, Above()
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        return self.function(self, self.neurons(time_major(x, timesteps)).flatten(2))


# --- synapses and what are none -----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["time", "batch", "merged", "loop"])
def test_a_static_first_layer_costs_every_step_and_is_marked(layout: str) -> None:
    x = dyadic((2, 3, 8, 8), 1)
    static, moving = count_operations(Tiny(layout), x, 4), count_operations(Tiny(layout), dyadic((4, 2, 3, 8, 8), 1), 4)
    first = list(static.names).index("conv1")
    assert static.static[first] == 1
    assert moving.static[first] == 0
    assert len(set(static.mac[first].tolist())) == 1
    frozen = x.expand(4, *x.shape).clone()  # a sequence that happens to stand still may move in a longer run
    assert count_operations(Tiny(layout), frozen, 4).static[first] == 0


def test_a_grouped_convolution_has_the_pairs_of_its_groups() -> None:
    x = dyadic((3, 8, 6, 6), 3)
    whole = count_operations(OneLayer(nn.Conv2d(8, 8, 3, padding=1), True), x, 2)
    for groups in (2, 4, 8):
        grouped = count_operations(OneLayer(nn.Conv2d(8, 8, 3, padding=1, groups=groups), True), x, 2)
        for column in ("dense_mac", "inbounds_mac", "ac"):
            assert (getattr(grouped, column) * groups == getattr(whole, column)).all()


def test_normalisation_is_in_its_own_column() -> None:
    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    x = dyadic((2, 3, 6, 6), 1)
    alone, both = (
        count_operations(OneLayer(layer, True), x, 2) for layer in (nn.Sequential(conv), nn.Sequential(conv, norm))
    )
    assert of_layer(both, "layer.0", "ac") == of_layer(alone, "layer.0", "ac")
    assert both.ac.sum() == alone.ac.sum()
    assert both.mac.sum() == 0
    assert both.norm_mac.sum(0).tolist() == of_layer(both, "layer.1", "norm_mac") == [2 * 4 * 16] * 2
    assert both.bias_add.sum() == alone.bias_add.sum() == 2 * 2 * 4 * 16


@pytest.mark.parametrize(
    ("make", "outputs", "axes"),
    [
        (lambda bias: nn.Conv2d(3, 4, 3, padding=1, bias=bias), 4 * 36, 3),
        (lambda bias: nn.Conv2d(3, 4, 2, 2, bias=bias), 4 * 9, 3),
        (lambda bias: nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=bias), 4 * 36, 3),
        (lambda bias: nn.ConvTranspose2d(3, 4, 2, 2, bias=bias), 4 * 144, 3),
        (lambda bias: nn.Linear(108, 7, bias=bias), 7, 1),
    ],
    ids=["conv", "conv with stride", "conv, circular", "transposed", "linear"],
)
@pytest.mark.parametrize("spikes", [True, False], ids=["binary", "analog"])
def test_a_bias_is_in_its_own_column(make: Any, outputs: int, axes: int, spikes: bool) -> None:
    x = dyadic((2, 3, 6, 6), 1)
    bare, biased = (count_operations(OneLayer(make(bias), spikes, axes), x, 3) for bias in (False, True))
    for column in ("dense_mac", "inbounds_mac", "mac", "ac", "unit_ac", "weights"):
        assert getattr(bare, column).sum() == getattr(biased, column).sum()
    assert bare.bias_add.sum() == 0
    assert biased.bias_add.sum(0).tolist() == [2 * outputs] * 3


class Pooled(nn.Module):
    """Spikes, a pooling and a linear layer."""

    def __init__(self, pool: nn.Module, features: int) -> None:
        super().__init__()
        self.neurons, self.pool, self.fc = Above(), pool, make_dyadic(nn.Linear(features, 3))

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        s = self.neurons(time_major(x, timesteps))
        y: Tensor = self.fc(self.pool(s.flatten(0, 1)).flatten(1))
        return y.unflatten(0, s.shape[:2])


@pytest.mark.parametrize(
    ("pool", "features", "side", "stride"),
    [
        (nn.AvgPool2d(2), 48, 2, 2),
        (nn.AdaptiveAvgPool2d(1), 3, 8, 8),
        (nn.AdaptiveAvgPool2d(4), 48, 2, 2),
        (nn.AvgPool2d(3), 12, 3, 3),  # leaves out the last two rows
        (nn.AvgPool2d(3, 1), 108, 3, 1),  # adds most elements nine times
    ],
)
def test_poolings_add_the_spikes_that_exist(pool: nn.Module, features: int, side: int, stride: int) -> None:
    x = dyadic((2, 3, 8, 8), 1)
    counts = count_operations(Pooled(pool, features), x, 2)
    in_windows = F.conv2d((x > 0).float(), torch.ones(3, 1, side, side), stride=stride, groups=3)
    assert of_layer(counts, "pool", "pool_add") == [int(in_windows.sum())] * 2
    assert counts.pool_add.sum() == 2 * in_windows.sum()
    assert counts.residual_add.sum() == counts.ac.sum() == 0
    assert counts.dense_mac.sum() == 2 * 2 * 3 * features
    silent = count_operations(Pooled(pool, features), -x.abs(), 2)
    assert silent.pool_add.sum() == 0


def test_a_residual_add_is_in_its_own_column() -> None:
    def block(module: Any, s: Tensor) -> Tensor:
        out: Tensor = module.second(module.first(s) + s)
        return out

    x = dyadic((4, 2, 3, 2, 2), 1)
    make = {name: make_dyadic(nn.Linear(12, 12)) for name in ("first", "second")}
    counts = count_operations(Then(block, **make), x, 4)
    assert counts.residual_add.sum(0).tolist() == [2 * 12] * 4
    plain = count_operations(Then(lambda module, s: module.second(module.first(s)), **make), x, 4)
    assert plain.residual_add.sum() == 0
    assert of_layer(plain, "first", "ac") == of_layer(counts, "first", "ac")


def test_time_is_never_divided_out() -> None:
    x = dyadic((5, 2, 3, 4, 4), 1)
    counts = count_operations(OneLayer(nn.Linear(48, 10), True, 1), x, 5)
    assert of_layer(counts, "layer", "ac") == [10 * int((step > 0).sum()) for step in x]


# --- numbers ------------------------------------------------------------------------------------------------


def test_counts_beyond_float32_and_int32_are_exact() -> None:
    # 1025 rows, 1447 weights to each: a sum in float32 loses the last digits, one in int32 its sign
    x = torch.ones(25, 1, 41, 1447)
    x[3, 0, 7, 11] = x[0, 0, 0, 0] = 0
    layer = nn.Linear(1447, 1449, bias=False)
    counts = count_operations(
        Then(lambda module, s: module.layer(s.unflatten(2, (41, 1447))).sum(2), layer=layer), x, 1
    )
    assert of_layer(counts, "layer", "ac") == [(25 * 41 * 1447 - 2) * 1449]
    assert counts.dense_mac.sum() == 25 * 41 * 1447 * 1449 > 2**31
    assert counts.ac.dtype == counts.unit_ac.dtype == np.int64
    assert float(np.float32(counts.ac.sum())) != counts.ac.sum()


def test_fan_outs_beyond_float32_are_exact() -> None:
    # an odd count above 2^24, which a float32 cannot hold; the two zeros reach 1 and 2 of the 33 x 33 outputs
    x = torch.ones(1, 1, 65, 65)
    x[0, 0, 64, 63:] = 0
    layer = nn.Conv2d(1, 1025, 33, padding=0, bias=False)
    counts = count_operations(OneLayer(layer, True), x, 1)
    assert of_layer(counts, "layer", "ac") == [1025 * (33**4 - 3)]
    assert float(np.float32(counts.ac.sum())) != counts.ac.sum()


def test_counting_twice_counts_the_same() -> None:
    model, x = Tiny("time", lambda axis: LIF()), dyadic((2, 3, 8, 8), 1)
    first = count_operations(model, x, 3)
    model.pool.register_forward_hook(lambda module, args, y: None)
    with FlopCounterMode(display=False) as flops:
        second = count_operations(model, x, 3)
    for name in ("dense_mac", "inbounds_mac", "mac", "ac", "unit_ac", "bias_add", "residual_add", "pool_add", "spikes"):
        assert getattr(first, name).tolist() == getattr(second, name).tolist()
    assert flops.get_total_flops() >= 2 * first.dense_mac.sum()


def test_a_run_depends_on_its_input_alone() -> None:
    model = Tiny("loop")
    first = count_operations(model, dyadic((2, 3, 8, 8), 1), 3)
    count_operations(model, dyadic((4, 3, 8, 8), 2), 5)
    again = count_operations(model, dyadic((2, 3, 8, 8), 1), 3)
    assert first.ac.tolist() == again.ac.tolist()
    assert first.spikes.tolist() == again.spikes.tolist()


# --- modules ------------------------------------------------------------------------------------------------


class TwoNames(nn.Module):
    """A layer registered as ``conv`` and inside ``block``, as in TET's ResNet-19; runs as often as it is told."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.conv, self.neurons = nn.Conv2d(3, 3, 3, padding=1, bias=False), Above()
        self.block = nn.Sequential(self.conv)
        self.times = times
        make_dyadic(self)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = time_major(x, timesteps)
        y = self.neurons(x).flatten(0, 1)
        for time in range(self.times):
            y = self.neurons((self.block if time % 2 else self.conv)(y))
        return y.unflatten(0, x.shape[:2]).flatten(2)[..., :3]


def test_a_module_with_two_names_counts_once() -> None:
    counts = count_operations(TwoNames(1), dyadic((2, 3, 4, 4), 1), 2)
    alone = count_operations(OneLayer(TwoNames(1).conv, True), dyadic((2, 3, 4, 4), 1), 2)
    assert counts.ac.sum(0).tolist() == alone.ac.sum(0).tolist()
    assert counts.weights.sum() == 81
    assert sum("conv" in name or "block" in name for name in list(counts.names)) == 1
    assert list(counts.not_counted) == []


def test_a_module_that_runs_twice_counts_twice() -> None:
    x = dyadic((2, 3, 4, 4), 1)
    counts = count_operations(TwoNames(2), x, 2)
    weight = TwoNames(1).conv.weight
    first = (x > 0).float()
    second = (F.conv2d(first, weight, padding=1) > 0).float()
    expected = sum(int(F.conv2d(s, torch.ones_like(weight), padding=1).sum()) for s in (first, second))
    assert counts.ac.sum(0).tolist() == [expected] * 2
    assert counts.dense_mac.sum(0).tolist() == [2 * 2 * 3 * 3 * 9 * 16] * 2
    assert counts.weights.sum() == 81
    assert list(counts.warnings) == list(counts.not_counted) == []


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        return u.gt(1.0).float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class BufferLIF(nn.Module):
    """The potential in a buffer, the spikes from an autograd function, a step a call, soft reset."""

    u: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("u", torch.zeros(1), persistent=False)

    def forward(self, current: Tensor) -> Tensor:
        self.u = self.u * 0.5 + current
        s: Tensor = _Step.apply(self.u)  # type: ignore[no-untyped-call]
        self.u = self.u - s
        return s


class WrittenLIF(nn.Module):
    """Spikes written into a tensor of zeros, as the code of some papers does."""

    def forward(self, current_TB: Tensor) -> Tensor:
        u, spikes = torch.zeros_like(current_TB[0]), torch.zeros_like(current_TB)
        for t in range(len(current_TB)):
            u = u * 0.5 * (1 - spikes[t - 1]) + current_TB[t] if t else current_TB[t]
            spikes[t] = (u - 1.0).ge(0).float()
        return spikes


class WhereIF(nn.Module):
    """Spikes chosen by torch.where."""

    def forward(self, current_TB: Tensor) -> Tensor:
        u, spikes = torch.zeros_like(current_TB[0]), []
        for current in current_TB:
            u = u + current
            fires = u > 1.0
            spikes.append(torch.where(fires, torch.ones_like(u), torch.zeros_like(u)))
            u = u.masked_fill(fires, 0.0)
        return torch.stack(spikes)


class HeavisideIF(nn.Module):
    """Spikes from torch.heaviside."""

    def forward(self, current_TB: Tensor) -> Tensor:
        return torch.heaviside(current_TB.cumsum(0) - 1, torch.ones(()))


class RoundedIF(nn.Module):
    """Spikes without a comparison: only the user knows."""

    def forward(self, current_TB: Tensor) -> Tensor:
        return current_TB.cumsum(0).ceil().clamp(0, 1)


class AllSteps(nn.Module):
    """A convolution, then layers that take all steps at once."""

    def __init__(self, step: nn.Sequential) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = time_major(x, timesteps)
        y: Tensor = self.step[0](x.flatten(0, 1)).unflatten(0, x.shape[:2])
        for layer in list(self.step)[1:]:
            y = layer(y)
        return y


def at_rest(step: Any) -> None:
    step[1].u = torch.zeros(1)


def spiking_network(neuron: nn.Module) -> nn.Module:
    """A convolution, the neurons ``step.1`` and a linear layer ``step.3``, all steps at once or a step a call."""
    layers = [make_dyadic(nn.Conv2d(3, 4, 3, padding=1)), neuron, nn.Flatten(-3), make_dyadic(nn.Linear(64, 5))]
    network = nn.Sequential(*layers)
    return StepLoop(network, at_rest) if isinstance(neuron, BufferLIF) else AllSteps(network)


@pytest.mark.parametrize("neuron", [BufferLIF, WrittenLIF, WhereIF, HeavisideIF, PlainLIF, LIF])
def test_spikes_of_any_neuron_are_counted(neuron: Callable[[], nn.Module]) -> None:
    model, x = spiking_network(neuron()), dyadic((2, 3, 4, 4), 1)
    seen: list[Tensor] = []
    handle = model.get_submodule("step.1").register_forward_hook(lambda module, args, y: seen.append(y.clone()))
    with torch.no_grad():
        model(x, 4)
    handle.remove()
    fired = (torch.stack(seen) if len(seen) > 1 else seen[0]).flatten(1).sum(1).int().tolist()
    counts = count_operations(model, x, 4)
    assert of_layer(counts, "step.1", "spikes") == fired
    assert of_layer(counts, "step.1", "neurons") == 64
    assert of_layer(counts, "step.3", "ac") == [5 * n for n in fired]
    assert list(counts.warnings) == list(counts.not_counted) == []
    assert 0 < sum(fired) < 4 * 2 * 64


def test_a_neuron_that_compares_nothing_can_be_named() -> None:
    model, x = spiking_network(RoundedIF()), dyadic((2, 3, 4, 4), 1)
    unnamed = count_operations(model, x, 4)
    assert list(unnamed.inputs)[list(unnamed.names).index("step.3")] == "analog"
    assert sum(of_layer(unnamed, "step.3", "mac")) > 0
    for spiking in (["step.1"], ["RoundedIF"]):
        named = count_operations(model, x, 4, spiking=spiking)
        assert of_layer(named, "step.3", "ac") == of_layer(unnamed, "step.3", "mac")
        assert of_layer(named, "step.3", "mac") == [0] * 4
        assert sum(of_layer(named, "step.1", "spikes")) * 5 == sum(of_layer(named, "step.3", "ac"))


class Shared(nn.Module):
    """Two layers of neurons of other sizes that share a module: the whole neuron, or its surrogate function."""

    def __init__(self, whole: bool, sides: tuple[int, int] = (4, 2)) -> None:
        super().__init__()
        first, second = sides
        self.conv = make_dyadic(nn.Conv2d(3, 4, 3, padding=1))
        self.next = make_dyadic(nn.Conv2d(4, 4, 3, stride=first // second, padding=1))
        self.fc = make_dyadic(nn.Linear(4 * second**2, 3))
        step = Above(1.0)
        self.lif1 = PlainLIF() if whole else Stepping(step)
        self.lif2 = self.lif1 if whole else Stepping(step)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        s = self.lif1(self.conv(x).expand(timesteps, -1, -1, -1, -1))
        r = self.lif2(self.next(s.flatten(0, 1)).unflatten(0, s.shape[:2]))
        self.seen = [s, r]
        logits: Tensor = self.fc(r.flatten(2))
        return logits


class Stepping(nn.Module):
    """LIF around a surrogate function."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step

    def forward(self, current_TB: Tensor) -> Tensor:
        u, spikes = torch.zeros_like(current_TB[0]), []
        for current in current_TB:
            u = 0.5 * u + current
            spikes.append(self.step(u))
            u = u * (1 - spikes[-1])
        return torch.stack(spikes)


@pytest.mark.parametrize("sides", [(4, 2), (4, 4)], ids=["other sizes", "one size"])
@pytest.mark.parametrize("whole", [True, False], ids=["neuron", "surrogate function"])
def test_layers_that_share_their_neurons_keep_their_spikes_apart(whole: bool, sides: tuple[int, int]) -> None:
    model, x = Shared(whole, sides), dyadic((2, 3, 4, 4), 1)
    with torch.no_grad():
        model(x, 4)
    fired = [s.flatten(1).sum(1).int().tolist() for s in model.seen]
    never = [int((s.flatten(2).amax((0, 1)) == 0).sum()) for s in model.seen]
    sizes = [s[0, 0].numel() for s in model.seen]
    counts = count_operations(model, x, 4)
    if whole:
        assert of_layer(counts, "lif1", "spikes") == np.sum(fired, 0).tolist()
        assert of_layer(counts, "lif1", "neurons") == sum(sizes)
        assert of_layer(counts, "lif1", "never_fired")[-1] == sum(never)
    else:
        assert [of_layer(counts, name, "spikes") for name in ("lif1", "lif2")] == fired
        assert [of_layer(counts, name, "neurons") for name in ("lif1", "lif2")] == sizes
        assert [of_layer(counts, name, "never_fired")[-1] for name in ("lif1", "lif2")] == never
    assert counts.neuron_compare.sum(0).tolist() == [2 * sum(sizes)] * 4
    assert list(counts.not_counted) == []
    assert 0 < sum(map(sum, fired)) < 8 * sum(sizes)


def test_what_runs_once_before_time_begins_is_counted_at_the_first_step() -> None:
    model, x = Shared(whole=True), dyadic((2, 3, 4, 4), 1)
    counts = count_operations(model, x, 4)
    assert of_layer(counts, "conv", "dense_mac") == [2 * 4 * 16 * 27, 0, 0, 0]
    assert of_layer(counts, "conv", "bias_add") == [2 * 4 * 16, 0, 0, 0]
    reaches = count_operations(OneLayer(model.conv, False), x, 1)
    assert of_layer(counts, "conv", "mac") == [int(reaches.mac.sum()), 0, 0, 0]
    assert [warning.split(":")[0] for warning in list(counts.warnings)] == ["conv"]


def test_layers_before_the_first_neuron_stand_still_together() -> None:
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), Above(), nn.Flatten()]
    network = make_dyadic(nn.Sequential(*layers, nn.Linear(16, 3)))
    counts = count_operations(StepLoop(network), dyadic((2, 3, 4, 4), 1), 3)
    assert [of_layer(counts, f"step.{layer}", "static") for layer in (0, 2, 6)] == [1, 1, 0]
    moving = count_operations(StepLoop(network), dyadic((3, 2, 3, 4, 4), 1), 3)
    assert moving.static.tolist() == [0] * len(moving.layer)
    once = estimate_energy(counts, first_layer="once")
    assert (once.mac[:, 1:] == 0).all()
    assert (once.side["bias_add"][:4, 1:] == 0).all()
    assert not once.notes


# --- what is not understood ---------------------------------------------------------------------------------


def bilinear(module: Any, s: Tensor) -> Tensor:
    out: Tensor = module.odd(s, s)
    return out


class Weighted(nn.Module):
    """One parameter, ``weight``, for an operation that is a layer's, or none."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(dyadic(shape, 1) + 1 / 16)


# name -> the network, and the pairs of one sample and step where the operation is one that can be understood
ODD: dict[str, tuple[Callable[[Any, Tensor], Tensor], nn.Module, int | None]] = {
    "embedding": (lambda m, s: m.odd(s.long()).sum(2), nn.Embedding(2, 3), None),
    "bilinear": (bilinear, nn.Bilinear(12, 12, 3, bias=False), None),
    "lstm": (lambda m, s: m.odd(s)[0], nn.LSTM(12, 3), 4 * 3 * (12 + 3)),
    "gru": (lambda m, s: m.odd(s)[0], nn.GRU(12, 3), 3 * 3 * (12 + 3)),
    "rnn": (lambda m, s: m.odd(s)[0], nn.RNN(12, 3), 3 * (12 + 3)),
    "einsum": (lambda m, s: torch.einsum("tbi,io->tbo", s, m.odd.weight), Weighted(12, 3), 36),
    "computed weight": (lambda m, s: F.linear(s, m.odd.weight.tanh()), Weighted(3, 12), 36),
    "matmul": (lambda m, s: s @ m.odd.weight, Weighted(12, 3), 36),
    "weight first": (lambda m, s: (m.odd.weight @ s.transpose(1, 2)).transpose(1, 2), Weighted(3, 12), 36),
    "batched weight": (lambda m, s: torch.bmm(s, m.odd.weight.expand(len(s), 12, 3)), Weighted(12, 3), 36),
    "prelu": (lambda m, s: m.odd(s), nn.PReLU(), None),
    "elementwise weight": (lambda m, s: s * m.odd.weight, Weighted(12), None),
    "weights of each position": (lambda m, s: (s[..., None] * m.odd.weight).sum(2), Weighted(12, 3), 36),
    "computed weights of each position": (
        lambda m, s: (s[..., None] * m.odd.weight.tanh()).sum(2),
        Weighted(12, 3),
        36,
    ),
}


@pytest.mark.parametrize(("function", "odd", "pairs"), ODD.values(), ids=ODD)
def test_what_is_not_understood_is_listed(function: Any, odd: nn.Module, pairs: int | None) -> None:
    x = dyadic((4, 2, 3, 2, 2), 1)
    counts = count_operations(Then(function, odd=odd), x, 4)
    listed = any("odd" in entry for entry in list(counts.not_counted))
    weighted = counts.dense_mac[counts.weights > 0].sum(0).tolist()
    assert listed if pairs is None else not counts.not_counted and weighted == [2 * pairs] * 4


class Tokens(nn.Module):
    """A layer on rows that are tokens of steps of samples, in a module that makes its spikes itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = make_dyadic(nn.Linear(4, 4))

    def forward(self, s: Tensor) -> Tensor:
        return (self.layer(s) > 0).to(s.dtype)


def test_a_layer_on_tokens_is_sorted_wherever_it_is() -> None:
    def tokens(module: Any, s: Tensor) -> Tensor:
        logits: Tensor = module.odd(s.unflatten(2, (3, 4))).flatten(2)
        return logits

    x = dyadic((4, 2, 3, 2, 2), 1)
    counts = count_operations(Then(tokens, odd=Tokens()), x, 4)
    assert of_layer(counts, "odd.layer", "ac") == [4 * int((step > 0).sum()) for step in x]
    assert list(counts.not_counted) == []


def test_what_no_run_can_sort_is_listed_wherever_it_is() -> None:
    def fewer(module: Any, s: Tensor) -> Tensor:
        for _ in range(len(s), 6):  # a longer run takes fewer calls
            y = module.odd(s[0].unflatten(1, (3, 4))).flatten(1)
        return y.expand(len(s), -1, -1)

    counts = count_operations(Then(fewer, odd=Tokens()), dyadic((4, 2, 3, 2, 2), 1), 4)
    assert any("odd.layer" in entry for entry in list(counts.not_counted))


def test_a_scripted_layer_is_counted() -> None:
    plain = OneLayer(nn.Sequential(make_dyadic(nn.Conv2d(3, 4, 3))), True)
    x = dyadic((2, 3, 4, 4), 1)
    expected = count_operations(plain, x, 3)
    plain.layer = torch.jit.script(plain.layer)
    counts = count_operations(plain, x, 3)
    assert (counts.ac == expected.ac).all()
    assert list(counts.names) == list(expected.names)
    assert expected.ac.sum() > 0


def test_products_of_two_activations_are_rows_of_their_own() -> None:
    def attention(module: Any, s: Tensor) -> Tensor:
        q, k, v = module.q(s), module.k(s), module.v(s)
        return (q @ k.transpose(1, 2)) @ v

    layers = {name: make_dyadic(nn.Linear(12, 3)) for name in "qkv"}
    counts = count_operations(Then(attention, **layers), dyadic((4, 2, 3, 2, 2), 1), 4)
    assert list(counts.not_counted) == []
    assert of_layer(counts, "q", "dense_mac") == [2 * 36] * 4
    assert of_layer(counts, "network: matmul over 3", "dense_mac") == [2 * 2 * 3] * 4
    assert of_layer(counts, "network: matmul over 2", "dense_mac") == [2 * 2 * 3] * 4


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4, affine=True), nn.LayerNorm([4, 2, 2])])
def test_normalisations_are_counted_or_listed(norm: nn.Module) -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, 1), norm)
    counts = count_operations(OneLayer(layer, True), dyadic((4, 2, 3, 2, 2), 1), 4)
    listed = any("layer.1" in entry for entry in list(counts.not_counted))
    assert listed or counts.norm_mac.sum(0).tolist() == [2 * 16] * 4


def test_a_layer_that_never_runs_is_listed() -> None:
    model = Then(lambda module, s: module.used(s), used=nn.Linear(12, 3), idle=nn.Linear(12, 3), mute=nn.ReLU())
    counts = count_operations(model, dyadic((4, 2, 3, 2, 2), 1), 4)
    remarks = [entry.split(":")[0].split(" ")[0] for entry in list(counts.not_counted) + list(counts.warnings)]
    assert remarks == ["idle"]


def test_a_pruned_or_reparametrised_layer_is_counted() -> None:
    pruned = torch.nn.utils.parametrizations.weight_norm(nn.Linear(12, 3))
    counts = count_operations(Then(lambda module, s: module.odd(s), odd=pruned), dyadic((4, 2, 3, 2, 2), 1), 4)
    assert counts.dense_mac.sum(0).tolist() == [2 * 36] * 4
    assert list(counts.inputs)[counts.dense_mac.sum(1).argmax()] == "binary"


# --- failures and traces ------------------------------------------------------------------------------------


class Broken(Tiny):
    """Fails in the second of its calls of ``bn2``."""

    def __init__(self) -> None:
        super().__init__("loop")
        self.calls = 0
        self.bn2.register_forward_hook(self.fail)

    def fail(self, module: nn.Module, args: Any, y: Tensor) -> None:
        self.calls += 1
        if self.calls == 2:
            raise ArithmeticError("planted")


def test_an_exception_of_the_network_goes_through() -> None:
    with refuses(ArithmeticError, "planted"):
        count_operations(Broken(), dyadic((2, 3, 8, 8), 1), 3)


@pytest.mark.parametrize("timesteps", [0, -1])
def test_a_run_has_steps(timesteps: int) -> None:
    with refuses(ValueError, "timesteps"):
        count_operations(Tiny(), dyadic((2, 3, 8, 8), 1), timesteps)


def test_a_sequence_must_be_long_enough() -> None:
    with pytest.raises((TetvizError, ValueError), match="3"):
        count_operations(Tiny(), dyadic((3, 2, 3, 8, 8), 1), 4)


def test_an_output_without_time_is_refused() -> None:
    class Timeless(Tiny):
        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            return super().forward(x, timesteps).mean(0)

    with refuses(ValueError, "time first"):
        count_operations(Timeless(), dyadic((2, 3, 8, 8), 1), 4)


def traces(model: nn.Module, x: Tensor) -> dict[str, Any]:
    """Everything that a measurement might leave behind."""
    hooks = [name for name in vars(nn.Module()) if "hooks" in name]
    everywhere = [name for name in vars(nn.modules.module) if name.startswith("_global") and "hooks" in name]
    return {
        "weights": {name: value.clone() for name, value in [*model.named_parameters(), *model.named_buffers()]},
        "gradients": {name: (value.grad, value.requires_grad) for name, value in model.named_parameters()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "types": {name: type(module) for name, module in model.named_modules()},
        "hooks": {(n, h): list(getattr(m, h) or ()) for n, m in model.named_modules() for h in hooks},
        "global hooks": {name: list(getattr(nn.modules.module, name) or ()) for name in everywhere},
        "input": (x.clone(), x._version),
        "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()),  # type: ignore[union-attr]
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "threads": torch.get_num_threads(),
        "default": torch.get_default_dtype(),
        "modes of torch": len(torch.utils._python_dispatch._get_current_dispatch_mode_stack()),
        "cudnn": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("broken", [True, False])
def test_the_network_and_the_world_are_as_before(broken: bool, train: bool) -> None:
    model = Broken() if broken else Tiny("time", lambda axis: LIF())
    model.train(train)
    model.conv2.eval().requires_grad_(False)
    model.pool.register_forward_hook(lambda module, args, y: None)
    x = dyadic((2, 3, 8, 8), 1)
    before = traces(model, x)
    if broken:
        with pytest.raises(ArithmeticError):
            count_operations(model, x, 3)
    else:
        count_operations(model, x, 3)
    after = traces(model, x)
    for name, value in before.items():
        assert same(value, after[name]), name


@pytest.mark.parametrize("layout", ["time", "loop"])
def test_a_network_in_train_mode_is_counted_in_eval_mode(layout: str) -> None:
    x = dyadic((2, 3, 8, 8), 1)
    model = Tiny(layout)
    model.pool = nn.Sequential(model.pool, nn.Dropout(0.5))
    evaluated, trained = count_operations(model, x, 3), count_operations(model.train(), x, 3)
    for name in ("mac", "ac", "unit_ac", "spikes", "pool_add"):
        assert getattr(evaluated, name).tolist() == getattr(trained, name).tolist()
    assert list(evaluated.inputs) == list(trained.inputs)


def test_a_network_that_works_in_place_leaves_the_input_alone() -> None:
    class InPlace(Tiny):
        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            return super().forward(x.mul_(0.5), timesteps)

    x = dyadic((2, 3, 8, 8), 1)
    kept = x.clone()
    counts = count_operations(InPlace(), x, 2)
    assert torch.equal(x, kept)
    halved = count_operations(Tiny(), x / 2, 2)
    assert counts.ac.tolist() == halved.ac.tolist()


def test_the_network_gives_the_same_output_afterwards() -> None:
    model, x = Tiny("time", lambda axis: LIF()), dyadic((2, 3, 8, 8), 1)
    twin = copy.deepcopy(model)
    count_operations(model, x, 3)
    y = model(x, 3)
    assert torch.equal(y, twin(x, 3))
    y.sum().backward()
    assert all(math.isfinite(float(p.grad.norm())) for p in model.parameters() if p.grad is not None)
    assert model.conv1.weight.grad is not None


# --- what a review found ------------------------------------------------------------------------------------


class SpikesInBlock(nn.Module):
    """Convolution, norm, bias and spikes in one block, without a module for the neurons."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.pool = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return (self.pool(self.bn(self.conv(x))) > 0.1).float()


def test_a_block_that_spikes_by_itself_keeps_its_side_operations() -> None:
    network = nn.Sequential(SpikesInBlock(), nn.Flatten(), nn.Linear(12, 3))
    counts = count_operations(StepLoop(network), dyadic((2, 2, 6, 6), 1), 3)
    assert of_layer(counts, "step.0.conv", "bias_add") == [2 * 3 * 16] * 3
    assert of_layer(counts, "step.0.bn", "norm_mac") == [2 * 3 * 16] * 3
    assert sum(of_layer(counts, "step.0.pool", "pool_add")) > 0


class Feedback(nn.Module):
    """A mean of spikes that an analog value joins from step 2 on."""

    def __init__(self) -> None:
        super().__init__()
        self.lif, self.pool, self.fc = Above(), nn.AvgPool2d(2), nn.Linear(2, 3)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        outputs = []
        for t in range(timesteps):
            pooled = self.pool(self.lif(x)).flatten(1)
            outputs.append(self.fc(pooled if t == 0 else pooled + x[:, :, 0, 0] * 0.3))
        return torch.stack(outputs)


def test_the_energy_of_a_short_run_is_the_beginning_of_a_long_one_whatever_enters_later() -> None:
    x = dyadic((2, 2, 2, 2), 3)
    short, long = (estimate_energy(count_operations(Feedback(), x, t)).total_pj for t in (1, 3))
    assert short[0] == long[0] > 0


def test_counting_inside_inference_mode_is_refused() -> None:
    with torch.inference_mode(), refuses(ValueError, "inference_mode"):
        count_operations(Tiny("time"), dyadic((2, 3, 8, 8), 1), 2)


def test_a_padding_that_is_cut_off_again_has_no_margins() -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3, padding=1)

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            padded = nn.functional.pad(x, (1, 1, 1, 1))[..., 1:-1, 1:-1]
            return self.conv(padded).flatten(1).expand(timesteps, -1, -1)

    x = dyadic((1, 2, 6, 6), 1)
    plain = count_operations(OneLayer(nn.Conv2d(2, 3, 3, padding=1), False), x, 1)
    assert count_operations(Cut(), x, 1).inbounds_mac.sum() == plain.inbounds_mac.sum()
