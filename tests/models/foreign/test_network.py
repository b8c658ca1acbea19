"""O(t) out of networks that others wrote: one reference, called in every way there is; what breaks the contract."""

import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from wording import refuses

from tetviz.errors import ModelError
from tetviz.models import Calling, ForeignNetwork, adapt, check_contract, propose
from tetviz.training import measure

T, B, K, SIDE = 4, 7, 10, 4


def images(samples: int = B, seed: int = 0) -> Tensor:
    return torch.randn(samples, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def sequences(timesteps: int = T + 2, samples: int = B, seed: int = 1) -> Tensor:
    return torch.randn(timesteps, samples, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


class Core(nn.Module):
    """Linear, leaky neurons that fire above 1 and lose 1, linear; steps() is the slow and obvious O(t)."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.last = nn.Linear(2 * SIDE * SIDE, 24), nn.Linear(24, K)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)

    def fire(self, x_B: Tensor, v: Tensor | float) -> tuple[Tensor, Tensor]:
        v = 0.6 * v + self.first(x_B.flatten(1))
        spikes = (v > 1).to(v)
        return spikes, v - spikes

    def steps(self, x_TB: Tensor) -> Tensor:
        v: Tensor | float = 0.0
        outputs = []
        for x_B in x_TB:
            spikes, v = self.fire(x_B, v)
            outputs.append(self.last(spikes))
        return torch.stack(outputs)

    def spikes(self, x_TB: Tensor) -> Tensor:
        v: Tensor | float = 0.0
        outputs = []
        for x_B in x_TB:
            spikes, v = self.fire(x_B, v)
            outputs.append(spikes)
        return torch.stack(outputs)


class Calls(nn.Module):
    """A core that is called as some function says."""

    def __init__(self, forward: Callable[..., Any], **attributes: Any) -> None:
        super().__init__()
        self.core, self.function = Core(), forward
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


class Stepwise(nn.Module):
    """One step a call, its membrane kept in the module."""

    def __init__(self, reset: bool = True) -> None:
        super().__init__()
        self.core, self.v = Core(), 0.0
        if reset:
            self.reset_mem = self.rest

    def rest(self) -> None:
        self.v = 0.0

    def forward(self, x_B: Tensor) -> Tensor:
        spikes, self.v = self.core.fire(x_B, self.v)
        return self.core.last(spikes)


def repeated(x_B: Tensor, timesteps: int) -> Tensor:
    return x_B.expand(timesteps, *x_B.shape)


def passed(net: Any, x_B: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
    spikes, state = net.core.fire(x_B, 0.0 if state is None else state)
    return net.core.last(spikes), state


class Told(nn.Module):
    """T in an attribute of a module inside."""

    def __init__(self) -> None:
        super().__init__()
        self.core, self.encoder = Core(), nn.Identity()
        self.encoder.T = 9

    def forward(self, x_B: Tensor) -> Tensor:
        return self.core.last(self.core.spikes(repeated(x_B, self.encoder.T)).mean(0))


def swapped(x: Tensor) -> Tensor:
    return x.transpose(0, 1)


STATIC_ONLY = {
    "argument": (
        lambda: Calls(lambda net, x, steps: net.core.steps(repeated(x, steps))),
        {"takes": "static", "gives": "time-major", "timesteps_by": "argument"},
    ),
    "argument by name": (
        lambda: Calls(lambda net, x, *, num_steps=1: swapped(net.core.steps(repeated(x, num_steps)))),
        {"takes": "static", "gives": "batch-major", "timesteps_by": "argument:num_steps"},
    ),
    "list of steps": (
        lambda: Calls(lambda net, x: [*net.core.steps(repeated(x, net.T))], T=3),
        {"takes": "static", "gives": "time-major", "timesteps_by": "attribute:T"},
    ),
    "mean before the head": (
        lambda: Told(),
        {"takes": "static", "gives": "mean", "timesteps_by": "attribute:encoder.T", "recover": "reduction"},
    ),
    "T wherever it stands": (
        lambda: Told(),
        {"takes": "static", "gives": "mean", "timesteps_by": "attribute:*.T", "recover": "prefix"},
    ),
}
ANY_INPUT: dict[str, tuple[Callable[[], nn.Module], dict[str, Any]]] = {
    "time-major": (
        lambda: Calls(lambda net, x: net.core.steps(x)),
        {"takes": "time-major", "gives": "time-major"},
    ),
    "batch-major": (
        lambda: Calls(lambda net, x: swapped(net.core.steps(swapped(x)))),
        {"takes": "batch-major", "gives": "batch-major"},
    ),
    "batch-major in, time-major out": (
        lambda: Calls(lambda net, x: net.core.steps(swapped(x))),
        {"takes": "batch-major", "gives": "time-major"},
    ),
    "spikes and outputs": (
        lambda: Calls(lambda net, x: (net.core.spikes(x), net.core.steps(x))),
        {"takes": "time-major", "gives": "time-major", "item": "mem"},
    ),
    "dictionary": (
        lambda: Calls(lambda net, x: {"o": net.core.steps(x), "spk": None}),
        {"takes": "time-major", "gives": "time-major", "item": "o"},
    ),
    "steps": (Stepwise, {"takes": "step", "gives": "step"}),
    "state passed on": (lambda: Calls(passed), {"takes": "step", "gives": "step", "state": "passed"}),
    "mean of outputs": (
        lambda: Calls(lambda net, x: net.core.steps(x).mean(dim=0)),
        {"takes": "time-major", "gives": "mean", "recover": "reduction"},
    ),
    "mean over axis 1": (
        lambda: Calls(lambda net, x: net.core.last(torch.mean(swapped(net.core.spikes(swapped(x))), 1))),
        {"takes": "batch-major", "gives": "mean", "recover": "reduction", "time_axis": 1},
    ),
    "sum divided": (
        lambda: Calls(lambda net, x: net.core.last(torch.sum(net.core.spikes(x), dim=(0,)) / len(x))),
        {"takes": "time-major", "gives": "mean", "recover": "reduction"},
    ),
    "sum": (
        lambda: Calls(lambda net, x: net.core.steps(x).sum(0)),
        {"takes": "time-major", "gives": "sum", "recover": "reduction"},
    ),
    "mean by prefixes": (
        lambda: Calls(lambda net, x: sum(net.core.steps(x)) / len(x)),
        {"takes": "time-major", "gives": "mean", "recover": "prefix"},
    ),
    "sum by prefixes": (
        lambda: Calls(lambda net, x: sum(net.core.steps(x))),
        {"takes": "time-major", "gives": "sum", "recover": "prefix"},
    ),
}
ALL = {**ANY_INPUT, **STATIC_ONLY}


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_convention_gives_the_same_outputs(name: str) -> None:
    make, calling = ALL[name]
    model, core = adapt(make(), images(), T, **calling), Core()
    for timesteps, samples in ((T, B), (1, 3), (6, 2)):
        x = images(samples, seed=timesteps)
        with torch.no_grad():
            expected = core.steps(repeated(x, timesteps))
            torch.testing.assert_close(model(x, timesteps), expected, rtol=0, atol=2e-5)
            if name in ANY_INPUT:
                frames = sequences(timesteps + 1, samples)
                found = model(frames, timesteps)
                torch.testing.assert_close(found, core.steps(frames[:timesteps]), rtol=0, atol=2e-5)
    assert model(images()).shape == (T, B, K)
    assert check_contract(model, sequences() if name in ANY_INPUT else images(), T) == K


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(ANY_INPUT)), st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_a_long_run_begins_like_a_shorter_one(name: str, t: int, samples: int, seed: int) -> None:
    make, calling = ANY_INPUT[name]
    model = ForeignNetwork(make(), Calling(**calling), T)
    x = sequences(6, samples, seed)
    with torch.no_grad():
        torch.testing.assert_close(model(x, 6)[:t], model(x, t), rtol=0, atol=2e-5)


def test_reduction_and_prefixes_agree_in_float64() -> None:
    net = Calls(lambda net, x: net.core.last(net.core.spikes(x).mean(0))).double()
    x = sequences().double()
    found = [
        ForeignNetwork(net, Calling("time-major", "mean", recover=recover), T)(x, T)
        for recover in ("reduction", "prefix")
    ]
    torch.testing.assert_close(*found, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (("time-majr", "time-major"), "'time-majr' 'time-major'"),
        (("time-major", "step"), "both neither"),
        (("time-major", "mean"), "outputs recovered"),
        (("time-major", "time-major", None, "", "modules", "prefix"), "leave recover"),
        (("static", "time-major"), "has told"),
        (("static", "time-major", None, "attribute:"), "timesteps_by argument"),
        (("static", "time-major", None, "guess"), "timesteps_by argument"),
        (("step", "step", None, "argument"), "called times"),
        (("time-major", "time-major", None, "", "passed"), "needs step"),
        (("time-major", "mean", None, "", "modules", "reduction", 2), "time_axis 0, 1 or -1"),
        (("step", "step", 1.5), "item must"),
    ],
)
def test_conventions_that_cannot_be(values: tuple[Any, ...], message: str) -> None:
    with refuses(ValueError, message):
        Calling(*values)


def test_the_convention_has_to_be_stated() -> None:
    with refuses(ValueError, "network called"):
        adapt(Core(), images(), T, takes="step")


# --- what breaks the contract ---------------------------------------------------------------------------------

TIME_MAJOR = {"takes": "time-major", "gives": "time-major"}


def in_place(net: Any, x: Tensor) -> Tensor:
    outputs: Tensor = net.core.steps(x)
    x.clamp_(min=0)
    return outputs


def noisy(net: Any, x: Tensor) -> Tensor:
    outputs: Tensor = net.core.steps(x)
    return outputs + torch.rand(())


def keeps(net: Any, x: Tensor) -> Tensor:
    net.memory = getattr(net, "memory", 0.0) + net.core.steps(x).mean()
    return net.core.steps(x) + net.memory


def by_batch(net: Any, x: Tensor) -> Tensor:
    return F.batch_norm(net.core.steps(x).flatten(0, 1), None, None, training=True).unflatten(0, x.shape[:2])


BROKEN: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], str]] = {
    "axes swapped in": (
        lambda: Calls(lambda net, x: net.core.steps(x)),
        {"takes": "batch-major", "gives": "batch-major"},
        "axes samples",
    ),
    "axes swapped out": (
        lambda: Calls(lambda net, x: swapped(net.core.steps(x))),
        TIME_MAJOR,
        "7 4 10 float32",
    ),
    "a mean in place of steps": (
        lambda: Calls(lambda net, x: net.core.steps(x).mean(0)),
        TIME_MAJOR,
        "4 7 10 gives",
    ),
    "steps in place of a mean": (
        lambda: Calls(lambda net, x: net.core.steps(x)),
        {"takes": "time-major", "gives": "mean", "recover": "prefix"},
        "outputs 7",
    ),
    "a tuple": (
        lambda: Calls(lambda net, x: (net.core.spikes(x), net.core.steps(x))),
        TIME_MAJOR,
        "tuple 2",
    ),
    "no such item": (
        lambda: Calls(lambda net, x: (net.core.steps(x),)),
        {**TIME_MAJOR, "item": 3},
        "has 3",
    ),
    "item of a tensor": (
        lambda: Calls(lambda net, x: net.core.steps(x)),
        {**TIME_MAJOR, "item": "mem"},
        "output stated",
    ),
    "no output": (lambda: Calls(lambda net, x: None), TIME_MAJOR, "type NoneType"),
    "integers": (lambda: Calls(lambda net, x: net.core.steps(x).long()), TIME_MAJOR, "int64"),
    "raises": (
        lambda: Calls(lambda net, x: {}["weights"]),
        TIME_MAJOR,
        "'weights'",
    ),
    "fixed T": (
        lambda: Calls(lambda net, x: net.core.steps(x[:4])),
        TIME_MAJOR,
        "outputs 5 6",
    ),
    "classes that grow": (
        lambda: Calls(lambda net, x: net.core.steps(x)[..., : x.shape[1]]),
        TIME_MAJOR,
        "changes 7 4 6 5",
    ),
    "works in place": (lambda: Calls(in_place), TIME_MAJOR, "works place"),
    "keeps state": (lambda: Calls(keeps), TIME_MAJOR, "kept Calls).memory"),
    "keeps its membrane": (lambda: Stepwise(reset=False), {"takes": "step", "gives": "step"}, "in Stepwise).v"),
    "random": (lambda: Calls(noisy), TIME_MAJOR, "random numbers"),
    "batch statistics": (lambda: Calls(by_batch), TIME_MAJOR, "normalises statistics"),
    "T never arrives": (
        lambda: Calls(lambda net, x: net.core.steps(repeated(x, 3)).mean(0), T=4),
        {"takes": "static", "gives": "mean", "timesteps_by": "attribute:T", "recover": "prefix"},
        "1 neuron",
    ),
    "no such attribute": (
        lambda: Calls(lambda net, x: net.core.steps(repeated(x, 3))),
        {"takes": "static", "gives": "time-major", "timesteps_by": "attribute:core.T"},
        "core.T",
    ),
    "no reduction": (
        lambda: Calls(lambda net, x: sum(net.core.steps(x)) / len(x)),
        {"takes": "time-major", "gives": "mean", "recover": "reduction"},
        "0 length 4",
    ),
    "two reductions": (
        lambda: Calls(lambda net, x: net.core.steps(x).mean(0) + net.core.steps(x).mean(0)),
        {"takes": "time-major", "gives": "mean", "recover": "reduction"},
        "2 times",
    ),
    "not linear": (
        lambda: Calls(lambda net, x: net.core.steps(x).mean(0).softmax(-1)),
        {"takes": "time-major", "gives": "mean", "recover": "reduction"},
        "follows reduction",
    ),
    "no pair of output and state": (
        lambda: Calls(lambda net, x, state: net.core.steps(x[None])[0]),
        {"takes": "step", "gives": "step", "state": "passed"},
        "output each",
    ),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_a_broken_contract_is_one_clear_line(name: str) -> None:
    make, calling, message = BROKEN[name]
    with refuses(ModelError, message) as caught:
        adapt(make(), images(), T, **calling)
    assert "\n" not in str(caught.value)


def test_reset_must_spare_the_weights() -> None:
    net = Calls(lambda net, x: net.core.steps(x))
    net.reset = lambda: nn.init.zeros_(net.core.last.weight)
    with refuses(ModelError, "core.last.weight"):
        adapt(net, images(), T, **TIME_MAJOR)


def test_static_images_alone() -> None:
    make, calling = ALL["argument"]
    model = adapt(make(), images(), T, **calling)
    with refuses(ModelError, "static repeats"):
        model(sequences(), T)


def test_a_few_samples_are_needed() -> None:
    with refuses(ValueError, "5 samples 4"):
        adapt(Calls(lambda net, x: net.core.steps(x)), images(4), T, **TIME_MAJOR)


# --- the caller's things --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(ALL))
def test_all_is_left_as_it_was(name: str) -> None:
    make, calling = ALL[name]
    net, x = make().train(), images()
    before = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    plain = {key: value for module in net.modules() for key, value in vars(module).items() if key in ("T", "v")}
    generators, untouched = (torch.get_rng_state(), random.getstate()), x.clone()
    model = adapt(net, x, T, **calling)
    model(x, T).sum().backward()
    assert net.training
    assert torch.equal(x, untouched)
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert plain == {key: value for m in net.modules() for key, value in vars(m).items() if key in ("T", "v")}
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    twin = copy.deepcopy(model)  # no state holds on to a graph
    with torch.no_grad():
        assert torch.equal(twin(x, T), model(x, T))


def test_states_are_taken_away_after_an_error_too() -> None:
    class Fails(Stepwise):
        def forward(self, x_B: Tensor) -> Tensor:
            super().forward(x_B)
            raise RuntimeError("at the first step")

    model = ForeignNetwork(Fails(), Calling("step", "step"), T)
    with refuses(ModelError, "first step"):
        model(images(), T)
    assert model.network.v == 0.0


# --- proposals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["time-major", "batch-major", "steps", "state passed on", "mean over axis 1", "sum by prefixes"]
)
def test_what_fits_is_proposed_and_nothing_that_does_not(name: str) -> None:
    make, calling = ALL[name]
    fitting = propose(make(), images(), T)
    assert Calling(**calling) in fitting
    assert {each.takes for each in fitting} == {calling["takes"]}


def test_an_attribute_that_holds_t_is_proposed() -> None:
    net = Calls(lambda net, x: (net.core.steps(repeated(x, net.num_steps)), None), num_steps=T)
    assert [each.options() for each in propose(net, images(), T)] == [
        "--takes static --gives time-major --item spk --timesteps-by attribute:num_steps"
    ]


# --- the libraries themselves ---------------------------------------------------------------------------------


def spikingjelly_net(mode: str) -> nn.Module:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(2, 8, 3, padding=1), layer.BatchNorm2d(8), neuron.LIFNode(), layer.Flatten(),
        layer.Linear(8 * SIDE * SIDE, K), neuron.IFNode(),
    )  # fmt: skip
    functional.set_step_mode(net, mode)
    for parameter in net.parameters():
        parameter.data.mul_(2)
    return net.eval()


@pytest.mark.parametrize("mode", ["s", "m"])
def test_spikingjelly_as_its_own_loop(mode: str) -> None:
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    net, x = spikingjelly_net(mode), sequences()
    calling = {"takes": "step", "gives": "step"} if mode == "s" else TIME_MAJOR
    model = adapt(net, x, T, **calling)
    functional.reset_net(net)
    with torch.no_grad():
        expected = torch.stack([net(x_B) for x_B in x]) if mode == "s" else net(x)
        functional.reset_net(net)
        assert torch.equal(model(x, len(x)), expected)
        assert 0 < expected.mean() < 1
        assert torch.equal(model(x[:, :3], 2), expected[:2, :3])  # another batch size: no state is left


@pytest.mark.parametrize("hidden", [False, True])
def test_snntorch_as_its_own_loop(hidden: bool) -> None:
    snntorch = pytest.importorskip("snntorch")
    utils = pytest.importorskip("snntorch.utils")

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc = nn.Linear(2 * SIDE * SIDE, K)
            self.lif = snntorch.Leaky(beta=0.8, init_hidden=hidden, output=True)

        def forward(self, x_B: Tensor) -> Any:
            return self.lif(3 * self.fc(x_B.flatten(1)))

    net, x = Loop(), sequences()
    found = {item: adapt(net, x, T, takes="step", gives="step", item=item)(x, len(x)) for item in ("spk", "mem")}
    utils.reset(net) if hidden else net.lif.reset_mem()
    steps = [net(x_B) for x_B in x]
    for at, item in enumerate(("spk", "mem")):
        assert torch.equal(found[item], torch.stack([step[at] for step in steps]))
    assert 0 < found["spk"].mean() < 1


@pytest.mark.parametrize("recover", ["reduction", "prefix"])
@pytest.mark.parametrize("takes", ["static", "time-major"])
def test_a_network_of_spikingjelly_that_averages_inside(takes: str, recover: str) -> None:
    ms_resnet = pytest.importorskip("spikingjelly.activation_based.model.ms_resnet")
    functional = pytest.importorskip("spikingjelly.activation_based.functional")
    torch.manual_seed(0)
    settings = {"layers": (1, 1, 1), "base_channels": 8, "stem_kernel_size": 3, "stem_stride": 1}
    net = ms_resnet.MSResNet(T=6, in_channels=2, num_classes=K, **settings).double()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 1.5)
            module.momentum = 1.0
    net(3 * torch.rand(32, 2, 8, 8, dtype=torch.float64))  # statistics that let neurons fire
    net.eval()
    told = {"timesteps_by": "attribute:T"} if takes == "static" else {}
    x = 3 * torch.rand(6, 2, 8, 8, dtype=torch.float64)
    model = adapt(net, x, T, takes=takes, gives="mean", recover=recover, **told)
    heads: list[Tensor] = []
    handle = net.head.register_forward_hook(lambda _, args, output: heads.append(output))
    with torch.no_grad():
        functional.reset_net(net)
        own = net(x)  # 6 steps
        handle.remove()
        found = model(x, 6)
    torch.testing.assert_close(found, heads[0], rtol=0, atol=1e-13)
    torch.testing.assert_close(found.mean(0), own, rtol=0, atol=1e-13)
    assert found.std(0).max() > 1e-3  # the steps differ
    assert net.T == 6


def test_any_module_can_be_measured() -> None:
    make, calling = ALL["batch-major"]
    model, x = adapt(make(), images(), T, **calling), images(30, seed=8)
    labels = Core().steps(repeated(x, T)).mean(0).argmax(1)
    profile = measure(model, [(x, labels)], T)
    assert profile.accuracy[-1] == 1
    assert profile.samples == 30
