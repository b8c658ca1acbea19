import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from foreign_networks import SIDE, TIME_MAJOR, B, K, Net, T, images
from torch import Tensor, nn
from torch.nn import functional as F
from wording import refuses

from tetviz.errors import ModelError
from tetviz.models import Calling, ForeignNetwork, adapt, check_contract, propose


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
        (Net(clamps), "first.weight"),
        (Net(normalises), "last.weight"),
        (Net(lambda net, x: net.steps(x) / 0), "step 1"),
        (Net(late_nan), "outputs 3"),
        (Net(stops), "network StopIteration"),
        (Net(lambda net, x: sys.exit("over")), "SystemExit over"),
        (Net(lambda net, x: net.steps(x) + np.random.rand()), "random numbers"),
        (Net(lambda net, x: net.steps(x) + random.random()), "random numbers"),
        (Net(lambda net, x: F.dropout(net.steps(x))), "random numbers"),
        (Net(stuck_in_training, norm=nn.BatchNorm1d(K)), "normalises statistics"),
        (Net(only_now_and_then), "outside attributes"),
    ],
)
def test_what_cannot_be_measured(net: Net, message: str) -> None:
    with refuses(ModelError, message) as caught:
        adapt(net, images(), T, **TIME_MAJOR)
    assert "\n" not in str(caught.value)


def test_samples_that_reach_only_the_next_are_seen() -> None:
    def mixes(net: Net, x: Tensor) -> Tensor:
        outputs = net.steps(x)
        return outputs + F.pad(outputs[:, B // 2 - 1 : -1], (0, 0, B // 2, 0)) if x.shape[1] == B else outputs

    with refuses(ModelError, "change samples"):
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

    with refuses(ModelError, "network expects"):
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
    with refuses(ModelError, "follows RuntimeError"):
        adapt(flat, images(), T, takes="time-major", gives="mean", recover="reduction")
    model = adapt(flat, images(), T, takes="time-major", gives="mean", recover="prefix")
    torch.testing.assert_close(model(images(), T), Net().steps([images()] * T), rtol=0, atol=1e-4)


@pytest.mark.parametrize("gives", ["mean", "sum"])
@pytest.mark.parametrize("timesteps", [1, T])
def test_a_t_that_does_not_arrive_is_seen(gives: str, timesteps: int) -> None:
    net = Net(lambda net, x: sum(net.steps([x] * 3)), depth=timesteps)
    calling = {"takes": "static", "gives": gives, "timesteps_by": "attribute:depth", "recover": "prefix"}
    with refuses(ModelError, "reach network"):
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
        with refuses(ModelError, "T = 4 T = 5 --timesteps-by"):
            adapt(Net(function), images(), T, **calling)
    model = adapt(Net(function), images(), T, **calling, timesteps_by="fixed")
    torch.testing.assert_close(model(images(), T), Net().steps([images()] * T), rtol=0, atol=1e-5)
    assert model(images()).shape == (T, B, K)
    with refuses(ModelError, "4 alone 3"):
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
        ({"takes": "static", "gives": "time-major", "timesteps_by": "fixed:4"}, "timesteps_by"),
        ({"takes": "static", "gives": "mean", "timesteps_by": "fixed", "recover": "prefix"}, "allows alone"),
        ({"takes": "step", "gives": "step", "timesteps_by": "fixed"}, "is called"),
    ],
)
def test_fixed_excludes(values: dict[str, Any], message: str) -> None:
    with refuses(ValueError, message):
        Calling(**values)


def test_fixed_to_what_has_to_be_said() -> None:
    with refuses(ValueError, "network fixed"):
        ForeignNetwork(Net(), Calling("static", "time-major", timesteps_by="fixed"))
