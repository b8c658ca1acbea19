"""What a network of someone else's may do to itself, to torch and to its caller, and what is proposed for it."""

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.errors import DataError, ModelError
from tetviz.models import Calling, ForeignNetwork, adapt, check_contract, propose
from tetviz.models.foreign.isolation import Hosting, differentiating, generators_kept
from tetviz.models.foreign.network import NetworkError

T, B, K, SIDE = 4, 8, 5, 4
TIME_MAJOR: dict[str, Any] = {"takes": "time-major", "gives": "time-major"}


def images(samples: int = B) -> Tensor:
    return torch.randn(samples, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Leaky neurons between two layers; ``function(net, x)`` is its forward."""

    def __init__(self, function: Callable[..., Any] | None = None, **attributes: Any) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.first, self.last = nn.Linear(2 * SIDE * SIDE, 24), nn.Linear(24, K)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def steps(self, x_TB: Any) -> Tensor:
        v: Tensor | float = 0.0
        outputs = []
        for x_B in x_TB:
            v = 0.6 * v + self.first(x_B.flatten(1))
            spikes = (v > 1).to(v)
            v = v - spikes
            outputs.append(self.last(spikes))
        return torch.stack(outputs)

    def forward(self, x: Tensor, *args: Any) -> Any:
        return self.steps(x) if self.function is None else self.function(self, x, *args)


# --- what breaks the contract ---------------------------------------------------------------------------------


def clamps(net: Net, x: Tensor) -> Tensor:
    net.first.weight.data.clamp_(-0.1, 0.1)  # the second time nothing changes any more
    return net.steps(x)


def normalises(net: Net, x: Tensor) -> Tensor:
    net.last.weight.data.div_(net.last.weight.data.norm())
    return net.steps(x)


def late_nan(net: Net, x: Tensor) -> Tensor:
    outputs = net.steps(x)
    return torch.cat([outputs[:2], outputs[2:] * torch.nan])


def stops(net: Net, x: Tensor) -> Tensor:
    next(iter([]))
    return net.steps(x)


def stuck_in_training(net: Net, x: Tensor) -> Tensor:
    net.norm.train()
    return net.norm(net.steps(x).flatten(0, 1)).unflatten(0, x.shape[:2])  # type: ignore[no-any-return]


def only_now_and_then(net: Net, x: Tensor) -> Tensor:
    KEPT.append(1)
    return net.steps(x) + len(KEPT)


KEPT: list[int] = []


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Net(clamps), "forward changes the parameters first.weight"),
        (Net(normalises), "forward changes the parameters last.weight"),
        (Net(lambda net, x: net.steps(x) / 0), "the outputs are not finite, first at step 1: (-inf|inf|nan)"),
        (Net(late_nan), "the outputs are not finite, first at step 3: nan"),
        (Net(stops), "the network raised: StopIteration$"),
        (Net(lambda net, x: sys.exit("over")), "the network raised: SystemExit: over$"),
        (Net(lambda net, x: net.steps(x) + np.random.rand()), "draws random numbers also in eval mode"),
        (Net(lambda net, x: net.steps(x) + random.random()), "draws random numbers also in eval mode"),
        (Net(lambda net, x: F.dropout(net.steps(x))), "draws random numbers also in eval mode"),
        (Net(stuck_in_training, norm=nn.BatchNorm1d(K)), "norm normalises by statistics of the batch in eval mode too"),
        (Net(only_now_and_then), "kept from run to run, outside the attributes of its modules"),
    ],
)
def test_what_cannot_be_measured(net: Net, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        adapt(net, images(), T, **TIME_MAJOR)
    assert "\n" not in str(caught.value)


def test_samples_that_reach_only_the_next_are_seen() -> None:
    def mixes(net: Net, x: Tensor) -> Tensor:
        outputs = net.steps(x)
        return outputs + F.pad(outputs[:, B // 2 - 1 : -1], (0, 0, B // 2, 0)) if x.shape[1] == B else outputs

    with pytest.raises(ModelError, match="change with the other samples of the batch"):
        adapt(Net(mixes), images(), T, **TIME_MAJOR)


def test_membranes_may_be_buffers_that_the_state_dict_holds() -> None:
    class Steps(Net):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("v", torch.ones(1, 24))

        def reset(self) -> None:
            self.v = torch.zeros(1, 24)

        def forward(self, x: Tensor, *args: Any) -> Tensor:
            v = 0.6 * self.v + self.first(x.flatten(1))
            spikes = (v > 1).to(v)
            self.v = v - spikes
            return self.last(spikes)  # type: ignore[no-any-return]

    model, x = adapt(Steps(), images(), T, takes="step", gives="step"), images()
    torch.testing.assert_close(model(x, T), Net().steps([x] * T), rtol=0, atol=1e-5)
    assert model.network.v.shape == (1, 24)


def test_a_state_that_is_handed_back_has_to_be_passed() -> None:
    def cell(net: Net, x: Tensor, v: Tensor | None = None) -> tuple[Tensor, Tensor]:
        v = 0.6 * (0.0 if v is None else v) + net.first(x.flatten(1))
        spikes = (v > 1).to(v)
        return net.last(spikes), v - spikes

    with pytest.raises(ModelError, match="the network hands its state back and expects it again"):
        adapt(Net(cell), images(), T, takes="step", gives="step", item="spk")
    model = adapt(Net(cell), images(), T, takes="step", gives="step", state="passed")
    torch.testing.assert_close(model(images(), T), Net().steps([images()] * T), rtol=0, atol=1e-5)
    assert propose(Net(cell), images(), T) == [Calling("step", "step", state="passed")]
    silent = Net(cell)
    nn.init.zeros_(silent.first.weight)  # says the same at every step, of every sample: that is no proof
    nn.init.zeros_(silent.first.bias)
    adapt(silent, images(), T, takes="step", gives="step", item="spk")


def test_what_follows_a_mean_may_need_prefixes() -> None:
    flat = Net(lambda net, x: net.steps(x).mean(0).view(x.shape[1], K))
    with pytest.raises(
        ModelError, match=r"what follows the mean or sum takes no time axis: .*RuntimeError.*recover prefix"
    ):
        adapt(flat, images(), T, takes="time-major", gives="mean", recover="reduction")
    model = adapt(flat, images(), T, takes="time-major", gives="mean", recover="prefix")
    torch.testing.assert_close(model(images(), T), Net().steps([images()] * T), rtol=0, atol=1e-4)


@pytest.mark.parametrize("gives", ["mean", "sum"])
@pytest.mark.parametrize("timesteps", [1, T])
def test_a_t_that_does_not_arrive_is_seen(gives: str, timesteps: int) -> None:
    net = Net(lambda net, x: sum(net.steps([x] * 3)), depth=timesteps)
    calling = {"takes": "static", "gives": gives, "timesteps_by": "attribute:depth", "recover": "prefix"}
    with pytest.raises(ModelError, match="T does not reach the network"):
        adapt(net, images(), timesteps, **calling)


class Leaky(nn.Module):
    """Spikes alone are given, and a spike leaves nothing behind: what shows least of a swapped time axis."""

    def __init__(self, seed: int, soft: bool) -> None:
        super().__init__()
        self.soft, self.fc = soft, nn.Linear(2 * SIDE * SIDE, K)
        nn.init.normal_(self.fc.weight, generator=torch.Generator().manual_seed(seed))

    def forward(self, x: Tensor) -> Tensor:
        v, outputs = torch.zeros(()), []
        for x_B in x:
            v = v + (self.fc(x_B.flatten(1)) - v) / 2
            spikes = (v >= 1).to(v)
            v = v - spikes if self.soft else v * (1 - spikes)
            outputs.append(spikes)
        return torch.stack(outputs)


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_a_swapped_time_axis_shows_in_small_networks_too(seed: int, soft: bool) -> None:
    assert propose(Leaky(seed, soft), images(), T) == [Calling(**TIME_MAJOR)]


def test_a_network_may_refuse_what_is_out_of_range() -> None:
    def checks(net: Net, x: Tensor) -> Tensor:
        if x.abs().max() > images().abs().max() + 1:
            raise ValueError("out of range")
        return net.steps(x)

    assert adapt(Net(checks), images(), T, **TIME_MAJOR)(images(), T).shape == (T, B, K)


# --- a T that stands in the code ------------------------------------------------------------------------------

HARD: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "images in": (lambda net, x: net.steps([x] * T), {"takes": "static", "gives": "time-major"}),
    "batch first out": (
        lambda net, x: net.steps([x] * T).transpose(0, 1),
        {"takes": "static", "gives": "batch-major"},
    ),
    "an entry": (lambda net, x: {"o": net.steps([x] * T)}, {"takes": "static", "gives": "time-major", "item": "o"}),
    "a list": (lambda net, x: [*net.steps([x] * T)], {"takes": "static", "gives": "time-major"}),
    "a mean": (
        lambda net, x: net.steps([x] * T).mean(0),
        {"takes": "static", "gives": "mean", "recover": "reduction"},
    ),
    "sequences in": (lambda net, x: net.steps(x[t] for t in range(len(x) or T)) if len(x) == T else 1 / 0, TIME_MAJOR),
}


@pytest.mark.parametrize("name", sorted(HARD))
def test_a_network_with_t_in_its_code_runs_for_that_alone(name: str) -> None:
    function, calling = HARD[name]
    if calling["takes"] != "static":
        with pytest.raises(ModelError, match=r"runs for T = 4, but not for T = 5: .* state timesteps_by fixed"):
            adapt(Net(function), images(), T, **calling)
    model = adapt(Net(function), images(), T, **calling, timesteps_by="fixed")
    torch.testing.assert_close(model(images(), T), Net().steps([images()] * T), rtol=0, atol=1e-5)
    assert model(images()).shape == (T, B, K)
    with pytest.raises(ModelError, match=r"runs for T = 4 alone .*a run of 3 steps was asked for"):
        model(images(), 3)
    assert Calling(**calling, timesteps_by="fixed") in propose(Net(function), images(), T)


def test_frames_beyond_a_fixed_t_are_left_out() -> None:
    function, calling = HARD["sequences in"]
    x = torch.randn(T + 3, B, 2, SIDE, SIDE)
    model = adapt(Net(function), x, T, **calling, timesteps_by="fixed")
    assert torch.equal(model(x), Net().steps(x[:T]))
    assert check_contract(model, x[:T], T) == K


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"takes": "static", "gives": "time-major", "timesteps_by": "fixed:4"}, "timesteps_by must be"),
        ({"takes": "static", "gives": "mean", "timesteps_by": "fixed", "recover": "prefix"}, "allows T alone"),
        ({"takes": "step", "gives": "step", "timesteps_by": "fixed"}, "is called T times"),
    ],
)
def test_fixed_excludes(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calling(**values)


def test_fixed_to_what_has_to_be_said() -> None:
    with pytest.raises(ValueError, match="say the T that the network is fixed to"):
        ForeignNetwork(Net(), Calling("static", "time-major", timesteps_by="fixed"))


# --- proposals ------------------------------------------------------------------------------------------------


def test_a_whole_run_is_not_proposed_as_a_step() -> None:
    def mean(net: Net, x: Tensor) -> Tensor:
        return net.steps([x] * net.T).mean(0)

    adapt(Net(mean, T=T), images(), T, takes="step", gives="step")  # no run can tell, so who states it is believed
    found = propose(Net(mean, T=T), images(), T)
    assert {each.takes for each in found} == {"static"}
    assert {each.recover for each in found} == {"reduction"}


def test_a_t_inside_is_found() -> None:
    net = Net(lambda net, x: net.steps([x] * net.encoder.T), encoder=nn.Identity())
    net.encoder.T = T
    (found,) = propose(net, images(), T)
    assert found == Calling("static", "time-major", timesteps_by="attribute:*.T")
    assert found.options().endswith("--timesteps-by 'attribute:*.T'")  # a shell leaves it alone


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda net, x: net.steps(x[..., :1]), r"the network raised: RuntimeError: mat1 and mat2"),
        (lambda net, x: F.dropout(net.steps(x)), "--takes time-major --gives time-major: .*draws random numbers"),
        (lambda net, x: "text", "the output is of type str"),
        (lambda net, x: {}, "the output is a dictionary"),
    ],
)
def test_where_nothing_fits_the_furthest_reason_is_told(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        propose(Net(function), images(), T)
    assert isinstance(caught.value, NetworkError) == ("mat1" in message)


# --- the caller's things --------------------------------------------------------------------------------------


def settings() -> list[Any]:
    flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, torch.get_float32_matmul_precision()
    return [torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled(), *flags]


CHANGES: dict[str, Callable[[], Any]] = {
    "precision": lambda: torch.set_default_dtype(torch.float64),
    "device": lambda: torch.set_default_device("meta"),
    "gradients": lambda: torch.set_grad_enabled(False),
    "determinism": lambda: torch.use_deterministic_algorithms(True),
    "tf32": lambda: torch.set_float32_matmul_precision("high"),
    "tf32 of cudnn": lambda: setattr(torch.backends.cudnn, "allow_tf32", False),
    "tf32, the new way": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "tf32 of products, the new way": lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32"),
}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_settings_of_torch_are_put_back(name: str) -> None:
    if "new way" in name and not hasattr(torch.backends, "fp32_precision"):
        pytest.skip("before torch 2.9 there is one way")
    before = settings()
    with Hosting("code"):
        CHANGES[name]()
    assert settings() == before
    with pytest.raises(DataError, match="code: ValueError: no"), Hosting("code", DataError):
        CHANGES[name]()
        raise ValueError("no\nfurther lines")
    assert settings() == before
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # torch refuses where flags were mixed
        pass


def test_what_is_printed_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    adapt(Net(lambda net, x: print("seen") or net.steps(x)), images(), T, **TIME_MAJOR)
    captured = capsys.readouterr()
    assert not captured.out
    assert "seen" in captured.err


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_without_a_dtype_are_in_the_precision_of_the_network(dtype: torch.dtype) -> None:
    seen: list[torch.dtype] = []

    def makes_zeros(net: Net, x: Tensor) -> Tensor:
        seen.append(torch.zeros(3).dtype)
        return net.steps(x)

    model = ForeignNetwork(Net(makes_zeros), Calling(**TIME_MAJOR), T).to(dtype)
    assert model(images().to(dtype), T).dtype == dtype
    assert seen == [dtype]
    assert torch.get_default_dtype() == torch.float32


def test_all_generators_are_kept() -> None:
    def draws() -> list[float]:
        return [float(torch.rand(())), random.random(), float(np.random.rand())]

    with generators_kept(torch.device("cpu")):
        first = draws()
    assert draws() == first


def test_a_backward_pass_is_one_line() -> None:
    class Bad(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:
            raise ValueError("none here\nat all")

    value = Bad.apply(torch.ones((), requires_grad=True))  # type: ignore[no-untyped-call]
    with pytest.raises(ModelError, match=r"backward pass raised: ValueError: none here$"), differentiating(value):
        value.backward()
    with pytest.raises(ModelError, match="no gradient reaches the network"):
        differentiating(value.detach())


# --- the libraries themselves ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "Alpha", "RLeaky", "RSynaptic", "Lapicque"])
def test_neurons_of_snntorch_that_keep_their_state(kind: str) -> None:
    snntorch = pytest.importorskip("snntorch")
    constants: dict[str, Any] = {"beta": 0.8, "init_hidden": True, "output": True}
    constants |= {"alpha": 0.9} if kind in ("Synaptic", "Alpha", "RSynaptic") else {}
    constants |= {"linear_features": K} if kind.startswith("R") else {}

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc, self.lif = nn.Linear(2 * SIDE * SIDE, K), getattr(snntorch, kind)(**constants)

        def forward(self, x_B: Tensor) -> Any:
            return self.lif(5 * self.fc(x_B.flatten(1)))

    net, x = Loop(), images()
    assert Calling("step", "step", "mem") in propose(net, x, T)
    found = {item: adapt(net, x, T, takes="step", gives="step", item=item)(x, T) for item in ("spk", "mem")}
    net.lif.reset_mem()
    steps = [net(x) for _ in range(T)]
    for item, at in (("spk", 0), ("mem", -1)):
        assert torch.equal(found[item], torch.stack([step[at] for step in steps]))
    assert found["mem"].std(0).max() > 0  # the steps differ


@pytest.mark.parametrize("mode", ["s", "m"])
def test_neurons_as_spikingjelly_had_them_before_version_2(mode: str) -> None:
    class Memory(nn.Module):
        """Keeps states in a dictionary, and raises where their shape is that of another batch."""

        def __init__(self) -> None:
            super().__init__()
            self._memories: dict[str, Any] = {"v": 0.0}

        def reset(self) -> None:
            self._memories["v"] = 0.0

        def single(self, x: Tensor) -> Tensor:
            v = self._memories["v"]
            if isinstance(v, Tensor) and v.shape != x.shape:
                raise ValueError("a state of another batch")
            v = v + (x - v) / 2
            spikes = (v >= 1).to(x)
            self._memories["v"] = v * (1 - spikes)
            return spikes

        def forward(self, x: Tensor) -> Tensor:
            return self.single(x) if mode == "s" else torch.stack([self.single(x_B) for x_B in x])

    net = nn.Sequential(nn.Flatten(1 if mode == "s" else 2), nn.Linear(2 * SIDE * SIDE, K), Memory())
    nn.init.normal_(net[1].weight, generator=torch.Generator().manual_seed(0))
    calling = Calling("step", "step") if mode == "s" else Calling(**TIME_MAJOR)
    assert propose(net, images(), T) == [calling]
    found, v, steps = ForeignNetwork(net, calling, T)(images(), T), torch.zeros(()), []
    for _ in range(T):
        v = v + (net[1](images().flatten(1)) - v) / 2
        steps.append((v >= 1).to(v))
        v = v * (1 - steps[-1])
    assert torch.equal(found, torch.stack(steps))
    assert 0 < found.mean() < 1
    assert net[2]._memories == {"v": 0.0}


@pytest.mark.parametrize(("averages", "fitting"), [(True, "mean"), (False, "time-major")])
def test_layer_by_layer_containers_of_spikingjelly(averages: bool, fitting: str) -> None:
    layer = pytest.importorskip("spikingjelly.activation_based.layer")
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")

    class LayerByLayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.T = T
            self.conv = layer.SeqToANNContainer(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6))
            self.sn, self.fc = neuron.LIFNode(step_mode="m"), nn.Linear(6 * SIDE * SIDE, K)

        def forward(self, x: Tensor) -> Tensor:
            spikes = self.sn(2 * self.conv(x.unsqueeze(0).repeat(self.T, 1, 1, 1, 1))).flatten(2)
            if averages:
                return self.fc(spikes.mean(0))  # type: ignore[no-any-return]
            return torch.stack([self.fc(s) for s in spikes])

    net = LayerByLayer().eval()
    found = propose(net, images(), T)
    assert [each.gives for each in found] == [fitting]
    outputs = ForeignNetwork(net, found[0], T)(images(), T)
    own = net(images())
    torch.testing.assert_close(outputs.mean(0) if averages else outputs, own, rtol=0, atol=1e-5)
    assert outputs.std(0).max() > 1e-3
