import random
from typing import Any

import numpy as np
import pytest
import torch
from foreign_networks import TIME_MAJOR, B, Net, T
from torch import Tensor, nn
from torch.nn import functional as F
from wording import refuses

from tetviz.errors import ModelError
from tetviz.models import Calling, ForeignNetwork, adapt, propose
from tetviz.models.foreign.draws import Stilled, drawn, draws_of
from tetviz.models.foreign.isolation import drawn_from

CPU = torch.device("cpu")


def shares() -> Tensor:
    return torch.rand(B, 2, 4, 4, generator=torch.Generator().manual_seed(1))


def step_by_step(net: Net, x: Tensor) -> Tensor:
    return net.steps([torch.bernoulli(x_B) for x_B in x])


def at_once(net: Net, x: Tensor) -> Tensor:
    return net.steps((torch.rand(x.transpose(0, 1).shape) < x.transpose(0, 1)).float().transpose(0, 1))


def poisson(net: Net, x: Tensor) -> Tensor:
    return net.steps(torch.poisson(3 * x.abs()))


def with_dropout(net: Net, x: Tensor) -> Tensor:
    return F.dropout(net.steps(x), 0.5)


def with_numpy(net: Net, x: Tensor) -> Tensor:
    return net.steps([x_B * float(np.random.rand()) + random.random() for x_B in x])


STOCHASTIC = [step_by_step, at_once, poisson, with_dropout, with_numpy]


@pytest.mark.parametrize("function", STOCHASTIC)
def test_a_stochastic_network_is_taken_with_draws_stated(function: Any) -> None:
    with refuses(ModelError, "random numbers --draws N"):
        adapt(Net(function), shares(), T, **TIME_MAJOR)
    net = Net(function)
    before = drawn_from(CPU)
    model = adapt(net, shares(), T, **TIME_MAJOR, draws=3)
    outputs = model(shares(), T)
    assert torch.equal(outputs, model(shares(), T))
    assert drawn_from(CPU) == before  # of torch, numpy and Python
    others = []
    with drawn(model, [shares(), shares()]) as passes:
        others = [model(x, T) for x in passes]
    assert torch.equal(others[0], outputs)  # batch 0, draw 0
    assert len(others) == 2 * 3
    assert all(not torch.equal(a, b) for i, a in enumerate(others) for b in others[:i])
    assert torch.equal(outputs, model(shares(), T))


def test_draws_are_other_ones_than_those_of_the_caller() -> None:
    model = adapt(Net(step_by_step), shares(), T, **TIME_MAJOR, draws=1)
    torch.manual_seed(5)
    first = model(shares(), T)
    torch.manual_seed(6)
    assert torch.equal(first, model(shares(), T))


def test_a_network_that_draws_nothing_is_not_run_so_many_times() -> None:
    with refuses(ModelError, "draws 8 no random numbers --draws"):
        adapt(Net(), shares(), T, **TIME_MAJOR, draws=8)
    assert draws_of(adapt(Net(), shares(), T, **TIME_MAJOR)) == 1


def test_that_nothing_is_drawn_is_no_matter_of_the_outputs() -> None:
    silent = Net(step_by_step)
    nn.init.zeros_(silent.first.weight)
    nn.init.zeros_(silent.first.bias)
    adapt(silent, shares(), T, **TIME_MAJOR, draws=2)


def mixing(net: Net, x: Tensor) -> Tensor:
    outputs = poisson(net, x)
    return outputs + outputs.flip(1)


def test_samples_that_mix_are_found_behind_random_numbers() -> None:
    with refuses(ModelError, "change samples"):
        adapt(Net(mixing), shares(), T, **TIME_MAJOR, draws=2)
    with refuses(ModelError, "time and samples swapped"):
        adapt(Net(at_once), shares(), T, takes="batch-major", gives="batch-major", draws=2)


def test_state_that_leaks_is_found_behind_random_numbers() -> None:
    kept: list[int] = []

    def leaks(net: Net, x: Tensor) -> Tensor:
        kept.append(1)
        return step_by_step(net, x) + len(kept)

    with refuses(ModelError, "state is kept from run to run"):
        adapt(Net(leaks), shares(), T, **TIME_MAJOR, draws=2)


def test_o_of_a_mean_is_recovered_from_the_same_draws() -> None:
    def mean(net: Net, x: Tensor) -> Tensor:
        return step_by_step(net, x).mean(0)

    stated = {"takes": "time-major", "gives": "mean", "recover": "reduction", "draws": 2}
    model, whole = (
        adapt(Net(f), shares(), T, **c) for f, c in ((mean, stated), (step_by_step, {**TIME_MAJOR, "draws": 2}))
    )
    assert torch.equal(model(shares(), T), whole(shares(), T))


@pytest.mark.parametrize("draws", [-1, 1.5, True, 10**9])
def test_draws_is_a_number(draws: Any) -> None:
    with refuses(ValueError, "draws whole number"):
        Calling(**TIME_MAJOR, draws=draws)


def test_prefixes_would_be_of_other_draws() -> None:
    with refuses(ValueError, "prefix draws reduction"):
        Calling("time-major", "mean", recover="prefix", draws=2)


def test_draws_are_part_of_the_convention() -> None:
    calling = Calling(**TIME_MAJOR, draws=4)
    assert calling.options() == "--takes time-major --gives time-major --draws 4"
    assert "--draws 4" in repr(ForeignNetwork(Net(), calling, T))
    assert propose(Net(step_by_step), shares(), T, draws=1) == [Calling(**TIME_MAJOR, draws=1)]


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (lambda x: torch.rand(3, 4), 0.1),
        (lambda x: torch.rand_like(x), 0.1),
        (lambda x: torch.empty(3, 4).uniform_(-1, 3), -0.6),
        (lambda x: torch.randn(3, 4), -1.28155),
        (lambda x: torch.normal(2.0, 3.0, (3, 4)), 2 - 3 * 1.28155),
        (lambda x: torch.empty(3, 4).normal_(2.0, 3.0), 2 - 3 * 1.28155),
        (lambda x: torch.normal(x, 1.0), 0.5 - 1.28155),
        (lambda x: torch.bernoulli(x), 1.0),
        (lambda x: torch.bernoulli(x / 10), 0.0),
        (lambda x: torch.empty(3, 4).bernoulli_(0.3), 1.0),
        (lambda x: torch.empty(3, 4).bernoulli_(x / 10), 0.0),
        (lambda x: torch.poisson(4 * x), 2.0),
        (lambda x: torch.randint(5, 25, (3, 4)), 7),
        (lambda x: torch.randint_like(x, 20), 2.0),
        (lambda x: torch.empty(3, 4).exponential_(2.0), 0.0526803),
        (lambda x: F.dropout(x, 0.5), 1.0),
        (lambda x: F.dropout(x, 0.95), 0.0),
        (lambda x: torch.native_dropout(x, 0.5, True)[0], 1.0),
        (lambda x: F.dropout(x, 0.5, training=False), 0.5),
    ],
)
def test_random_numbers_are_held_still(draw: Any, expected: float) -> None:
    with Stilled(0.1):
        found = draw(torch.full((3, 4), 0.5))
    torch.testing.assert_close(found, torch.full((3, 4), expected, dtype=found.dtype), rtol=0, atol=1e-4)
