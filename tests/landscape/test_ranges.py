"""Ranges: the known radius of quadratic bowls, and losses that have none."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

from tetviz.errors import DataError
from tetviz.landscape import HOLD_ALL_BUT_WEIGHTS, Evaluator, Plane, find_range

UP_TO = 16.0


class Known(nn.Module):
    """O(t) = (z, 0) with log(1 + exp(-z)) = t L(w), so that L_TET of T steps is L (T + 1) / 2."""

    def __init__(self, loss):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 2, dtype=torch.float64))
        self.loss = loss
        self.calls = 0

    def forward(self, x, timesteps):
        self.calls += 1
        z = -torch.log(torch.expm1(torch.arange(1, timesteps + 1, dtype=torch.float64) * self.loss(self.weight[0])))
        return torch.stack([z, torch.zeros_like(z)], 1)[:, None].expand(timesteps, len(x), 2)


class CalledTooOftenError(Exception):
    pass


def evaluator_of(loss, timesteps=1):
    return Evaluator(Known(loss), [(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.long))], timesteps)


def plane(x=(1.0, 0.0), y=(0.0, 1.0)):
    x, y = ({"weight": torch.tensor([d], dtype=torch.float64)} for d in (x, y))
    return Plane(x, y, 0, (-1, -1), "none", HOLD_ALL_BUT_WEIGHTS)


def two_digits_up(value):
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit - 1e-6) * unit


def assert_found(found, radius):
    """Not below the radius, at most 5 % beyond it before it is rounded up, and two digits long."""
    assert found >= radius * (1 - 1e-9)
    assert found <= two_digits_up(radius / 0.95) * (1 + 1e-9)
    assert float(f"{found:.2g}") == found


@given(st.floats(0.02, 12), st.floats(1.5, 50), st.floats(0.01, 1), st.sampled_from(["sdt", "tet"]))
@settings(max_examples=20)
def test_the_radius_of_a_bowl_is_found(radius, factor, floor, loss):
    """floor + c r^2 is factor times floor at r = sqrt(floor (factor - 1) / c)."""
    c = floor * (factor - 1) / radius**2
    assert_found(find_range(evaluator_of(lambda w: floor + c * (w**2).sum()), plane(), loss, factor), radius)


@given(st.floats(0.1, 8), st.integers(1, 4))
@settings(max_examples=8)
def test_the_rise_is_the_mean_over_both_axes_and_both_ways_of_the_whole_run(radius, timesteps):
    """L = floor + a x^2 + b x + c y^2: the slope cancels, the mean curvature is (a + c) / 2; the axes count by length.

    L_TET of T steps is (T + 1) / 2 of it, which changes no ratio."""
    a, c, floor, factor = 3.0 / radius**2, 0.25 / radius**2, 0.5, 4.0
    slope = 0.2 / radius
    mean = (a + 4 * c) / 2  # y is 2 long
    expected = math.sqrt(floor * (factor - 1) / mean)
    evaluator = evaluator_of(lambda w: floor + a * w[0] ** 2 + slope * w[0] + c * w[1] ** 2, timesteps)
    assert_found(find_range(evaluator, plane(y=(0.0, 2.0)), "tet", factor), expected)


def test_ten_times_is_the_default_and_the_loss_counts():
    evaluator = evaluator_of(lambda w: 0.1 + (w**2).sum(), 3)
    assert find_range(evaluator, plane()) == find_range(evaluator, plane(), "sdt", 10.0)
    assert_found(find_range(evaluator, plane(), "tet"), math.sqrt(0.9))
    assert find_range(evaluator, plane(), "sdt") != find_range(evaluator, plane(), "tet")


@pytest.mark.parametrize("loss", [lambda w: 0.5 + 0 * w[0], lambda w: 0.5 / (1 + (w**2).sum())], ids=["flat", "falls"])
def test_a_loss_that_never_rises_is_an_error(loss):
    with refuses(DataError, "10 times"):
        find_range(evaluator_of(loss), plane())


def test_the_last_distance_is_sixteen():
    """Just within reach, and just beyond it."""
    within = evaluator_of(lambda w: 0.1 + 0.9 * (w**2).sum() / 15.9**2)
    assert find_range(within, plane()) == 16.0
    with refuses(DataError, "distance 16"):
        find_range(evaluator_of(lambda w: 0.1 + 0.9 * (w**2).sum() / 16.1**2), plane())


@pytest.mark.parametrize("where", [0.0, 0.7])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error(where, value):
    """At the checkpoint itself, or on the way; NumPy warns of none of it."""
    evaluator = evaluator_of(
        lambda w: 0.5 + 0.001 * w[0] ** 2 if w.abs().max() < where else torch.tensor(value).double()
    )
    with refuses(DataError, "not finite"):
        find_range(evaluator, plane())


@pytest.mark.parametrize("start", [0.0, 2e-9])
def test_a_loss_of_zero_at_the_checkpoint_has_no_multiple(start):
    """Ten times nothing is nothing, at any distance: that must be said."""

    class Confident(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1, 2, dtype=torch.float64))
            self.calls = 0

        def forward(self, x, timesteps):
            self.calls += 1
            if self.calls > 200:
                raise CalledTooOftenError
            z = (20.0 if start else 2000.0) - 100 * (self.weight**2).sum()
            return torch.stack([z, torch.zeros_like(z)]).expand(timesteps, len(x), 2)

    evaluator = Evaluator(Confident(), [(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.long))], 1)
    if start:  # tiny, but a multiple of it is found: 10 times at r = sqrt(ln(10) / 100)
        assert_found(find_range(evaluator, plane()), math.sqrt(math.log(10) / 100))
    else:
        with refuses(DataError, "0 checkpoint"):
            find_range(evaluator, plane())


@pytest.mark.parametrize("factor", [1.0, 0.5, -1.0, math.nan])
def test_a_factor_that_is_no_rise_is_refused(factor):
    """The command refuses it; the function must not halve the distance until it is 0."""

    def loss(w):
        if len(calls) > 300:
            raise CalledTooOftenError
        calls.append(w)
        return 0.1 + (w**2).sum()

    calls = []
    with refuses(ValueError, "factor"):
        find_range(evaluator_of(loss), plane(), "sdt", factor)


def test_a_loss_that_jumps_at_once_has_a_range_all_the_same():
    """A spiking loss is discontinuous: a tiny step may reach the goal. The range stays a positive number."""
    found = find_range(evaluator_of(lambda w: 0.1 + 5 * (w.abs().max() > 1e-4)), plane())
    assert_found(found, 1e-4)


def test_the_probe_is_at_rest_afterwards_and_the_network_is_untouched():
    evaluator = evaluator_of(lambda w: 0.1 + (w**2).sum())
    before = evaluator.measure({}).sdt_loss
    assert find_range(evaluator, plane()) == find_range(evaluator, plane())
    np.testing.assert_array_equal(evaluator.measure({}).sdt_loss, before)
    assert all(not origin.any() for origin in evaluator.origin.values())
