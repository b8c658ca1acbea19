"""Surfaces of losses that are known functions of the weights: every value, coordinate and flag against its formula."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

import reference
from tetviz.landscape import (
    HOLD_ALL_BUT_WEIGHTS,
    NORMS,
    Evaluator,
    Plane,
    compute_surface,
    grid_coordinates,
    random_plane,
)
from tetviz.models import build
from tetviz.results import MEASURED, load, open_result
from tetviz.training import measure

ALL_RANDOM = {"weight": "random", "bias": "random", "norm": "random", "neuron": "random"}


class Known(nn.Module):
    """O(t) = (z, 0) with log(1 + exp(-z)) = t L(w), so that step t has the cross-entropy t L(w) for class 0."""

    visited: list[torch.Tensor] = []  # noqa: RUF012 - of the class, so that copies of a network share it

    def __init__(self, loss, start, dtype=torch.float64):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(np.asarray(start), dtype=dtype)[None])
        self.loss = loss

    def forward(self, x, timesteps):
        Known.visited.append(self.weight.detach()[0].clone())
        steps = torch.arange(1, timesteps + 1, dtype=self.weight.dtype)
        z = -torch.log(torch.expm1(steps * self.loss(self.weight[0])))
        return torch.stack([z, torch.zeros_like(z)], 1)[:, None].expand(timesteps, len(x), 2)


@pytest.fixture(autouse=True)
def forget():
    Known.visited = []


def bowl_network(hessian, minimum, floor, start, dtype=torch.float64):
    h, m = torch.as_tensor(hessian, dtype=dtype), torch.as_tensor(minimum, dtype=dtype)
    return Known(lambda w: floor + 0.5 * (w - m) @ h @ (w - m), start, dtype)


def plane_of(x, y, dtype=torch.float64):
    x, y = ({"weight": torch.as_tensor(np.asarray(d), dtype=dtype)[None]} for d in (x, y))
    return Plane(x, y, 0, (-1, -1), "none", HOLD_ALL_BUT_WEIGHTS)


def samples(count=3):
    return [(torch.zeros(count, 1, 1, 1), torch.zeros(count, dtype=torch.long))]


def same(first, second):
    """Every array of both, bit by bit: NaN where NaN is."""
    return all(getattr(first, n).tobytes() == getattr(second, n).tobytes() for n in (*MEASURED, "done", "x", "y"))


@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))
@settings(max_examples=40)
def test_a_quadratic_bowl_has_its_value_at_every_point(seed, dimensions, timesteps, rows, columns):
    """Axes at any angle, a grid that is neither square nor centred on 0 nor even, a minimum beside the checkpoint."""
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((dimensions, dimensions))
    hessian, floor = root @ root.T / np.trace(root @ root.T), float(draw.uniform(0.05, 1))
    minimum, start, dx, dy = draw.uniform(-1, 1, (4, dimensions))
    xs, ys = np.sort(draw.uniform(-2, 3, columns)), np.sort(draw.uniform(-1, 4, rows))
    network, plane = bowl_network(hessian, minimum, floor, start), plane_of(dx, dy)
    surface = compute_surface(network, samples(), plane, (xs, ys), timesteps)
    for j in range(rows):
        for i in range(columns):
            loss = reference.bowl(start + xs[i] * dx + ys[j] * dy, minimum, hessian, floor)
            sdt, tet = reference.growing_losses(loss, timesteps)
            np.testing.assert_allclose(surface.sdt_loss[0, j, i], sdt, rtol=1e-9)
            np.testing.assert_allclose(surface.tet_loss[0, j, i], tet, rtol=1e-9)
    np.testing.assert_array_equal(surface.x, xs)
    np.testing.assert_array_equal(surface.y, ys)
    assert surface.done.all()
    cosine = sum(a * b for a, b in zip(dx, dy, strict=True)) / math.sqrt(sum(dx**2) * sum(dy**2))
    assert surface.axis_cosine[0] == pytest.approx(cosine, abs=1e-14)
    assert plane.cosine == surface.axis_cosine[0]


def test_the_first_axis_of_the_grid_is_y_and_the_second_x():
    """L = 100 + x + 10 y.

    The tool of Li et al. declares (nx, ny) and stores [y, x], which scrambles every grid that is not square.
    Landscaper stores coordinates transposed against its losses. loss-landscapes walks to and fro and shifts every
    second row by a step: rows of a probe read 6, 8, 10, ... and 4, 6, 8, ...
    """
    xs, ys = np.array([-3.0, -1.0, 0.0, 4.0, 6.0]), np.array([-2.0, 0.0, 7.0])
    network = Known(lambda w: 100 + w[0] + 10 * w[1], [0.0, 0.0])
    surface = compute_surface(network, samples(), plane_of([1, 0], [0, 1]), (xs, ys), 1)
    assert surface.sdt_loss.shape == (1, 3, 5, 1)
    for j, y in enumerate(ys):
        for i, x in enumerate(xs):
            assert surface.sdt_loss[0, j, i, 0] == pytest.approx(100 + x + 10 * y, abs=1e-10)


@pytest.mark.parametrize(
    ("norm", "points", "low", "high"),
    [
        ("filter", 25, -1, 1),
        ("filter", 10, -0.5, 4),
        ("layer", 11, -1, 1),
        ("weight", 3, -0.1, 0.1),
        ("weight", 4, -1, 2),
        ("none", 16, -2.6, 0.4),
    ],
)
def test_the_minimum_is_exactly_at_the_centre_of_odd_and_of_even_grids(norm, points, low, high):
    """Landscaper's even grids have it at (0.33, -0.11); loss-landscapes' 11 x 11 grid misses it (0.093 for 0.0027)."""
    start = [0.7, -1.3, 0.2, 2.0]
    network = bowl_network(np.diag([1.0, 2.0, 3.0, 0.5]), start, 0.25, start)
    axis = grid_coordinates(points, low, high)
    surface = compute_surface(network, samples(), random_plane(network, 3, norm), (axis, axis), 2)
    for loss in (surface.sdt_loss, surface.tet_loss):
        j, i = np.unravel_index(loss[0, :, :, -1].argmin(), (points, points))
        assert (surface.x[i], surface.y[j]) == (0.0, 0.0)
    itself = measure(network, samples(), 2)
    for name in MEASURED:
        assert getattr(surface, name)[0, j, i].tobytes() == getattr(itself, name).tobytes()


def test_a_ridge_varies_along_one_axis_alone():
    network = Known(lambda w: 0.3 + (w[0] - w[1]) ** 2, [0.4, 0.4])
    xs, ys = np.linspace(-1, 1, 5), np.linspace(-3, 2, 4)
    surface = compute_surface(network, samples(), plane_of([1, -1], [1, 1]), (xs, ys), 1)
    np.testing.assert_allclose(surface.tet_loss[0, :, :, 0], np.tile(0.3 + 4 * xs**2, (4, 1)), rtol=1e-12)
    turned = compute_surface(network, samples(), plane_of([1, 1], [1, -1]), (ys, xs), 1)
    np.testing.assert_allclose(turned.tet_loss[0].swapaxes(0, 1), surface.tet_loss[0], rtol=1e-12)


def test_the_weights_at_a_label_are_those_that_the_label_says():
    """At the label 1.0 Landscaper has moved 0.909 of the way; loss-landscapes covers half its distance."""
    start, dx, dy = np.array([0.3, -0.7]), np.array([0.1, 0.2]), np.array([-0.4, 0.9])
    network = bowl_network(np.eye(2), start, 0.1, start)
    axis = grid_coordinates(5)
    compute_surface(network, samples(), plane_of(dx, dy), (axis, axis), 1)
    visited = {tuple(w.tolist()) for w in Known.visited}
    assert len(Known.visited) == len(visited) == 25
    expected = {tuple(((start + x * dx) + y * dy).tolist()) for x in axis for y in axis}
    assert visited == expected
    assert tuple((start + dx + dy).tolist()) in visited


def test_every_point_is_computed_from_the_checkpoint_and_not_from_its_neighbour():
    """An in-place walk adds up rounding: after thousands of float32 steps the centre is no longer the checkpoint."""
    start = np.float32([0.1, -0.7, 1e3])
    network = bowl_network(np.diag([1, 1, 1e-4]), start, 0.5, start, torch.float32)
    plane = plane_of([0.3, 1e-3, 7.7], [0.1, -1.1, 1e2], torch.float32)
    axis = grid_coordinates(21)
    fine = compute_surface(network, samples(), plane, (axis, axis), 2)
    coarse = compute_surface(network, samples(), plane, (axis[::10], axis[::10]), 2)
    single = compute_surface(network, samples(), plane, (axis[[0]], axis[[20]]), 2)
    for name in MEASURED:
        values = getattr(fine, name)
        assert values[:, ::10, ::10].tobytes() == getattr(coarse, name).tobytes()
        assert values[:, 20:, :1].tobytes() == getattr(single, name).tobytes()
    centre = [w for w in Known.visited if np.array_equal(w.numpy(), start)]
    assert len(centre) == 2  # of the fine and of the coarse grid


def hollow(w):
    """A loss that is NaN where w0 > 0.4."""
    return 0.5 + torch.sqrt(0.4 - w[0]) ** 2 + w[1] ** 2


def test_nan_stays_nan_is_done_and_is_not_computed_again(tmp_path):
    """Landscaper puts the mean of the finite values in its place: a diverged region is drawn at middle height."""
    network, axis, path = Known(hollow, [0.0, 0.0]), grid_coordinates(5), tmp_path / "s.h5"
    surface = compute_surface(network, samples(), plane_of([1, 0], [0, 1]), (axis, axis), 2, path=path)
    bad = np.broadcast_to(axis > 0.4, (5, 5))
    for name in ("sdt_loss", "tet_loss"):
        np.testing.assert_array_equal(np.isnan(getattr(surface, name)[0, :, :, -1]), bad)
    assert (surface.accuracy[0][bad] == 0).all()
    assert surface.done.all()
    with open_result(path) as stored:
        stored.done[0, 0, 0] = 0  # an unfinished file
    calls = len(Known.visited)
    again = compute_surface(network, samples(), plane_of([1, 0], [0, 1]), (axis, axis), 2, path=path)
    assert len(Known.visited) == calls + 1
    assert same(surface, again)


def test_an_infinite_loss_is_kept_without_a_warning():
    """A diverged point is a result; NumPy must not warn of its standard error."""
    network = Known(lambda w: 400 + 500 * w[0] ** 2, [0.0, 0.0])  # z is -inf beyond 709
    surface = compute_surface(network, samples(), plane_of([1, 0], [0, 1]), 3, 1)
    np.testing.assert_array_equal(np.isinf(surface.sdt_loss[0, :, :, 0]), [[True, False, True]] * 3)
    np.testing.assert_allclose(surface.sdt_loss[0, :, 1, 0], 400)
    assert surface.done.all()


def test_two_calls_give_the_same_bits():
    """Landscaper adds noise to the maxima: two calls differ by 0.056."""
    network, plane = Known(hollow, [0.0, 0.0]), plane_of([1, 0], [0, 1])
    first, second = (compute_surface(network, samples(), plane, 5, 2) for _ in range(2))
    assert np.isnan(first.sdt_loss).any()
    assert same(first, second)
    assert first.provenance.request == second.provenance.request


def test_a_loss_of_exactly_zero_is_done_and_is_not_computed_again(tmp_path):
    """The tool of Li et al. takes every value <= 0 for missing and computes it again for ever."""
    network, path = Sure(), tmp_path / "s.h5"
    plane = plane_of([1, 0], [0, 1])
    surface = compute_surface(network, samples(), plane, 3, 2, path=path)
    assert (surface.sdt_loss == 0).all()
    assert (surface.tet_loss == 0).all()
    assert surface.done.all()
    assert Sure.calls == 9
    with open_result(path) as stored:
        stored.done[0, 0, 0] = 0  # an unfinished file
    assert same(surface, compute_surface(network, samples(), plane, 3, 2, path=path))
    assert Sure.calls == 10


class Sure(nn.Module):
    calls = 0

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 2, dtype=torch.float64))

    def forward(self, x, timesteps):
        Sure.calls += 1
        return torch.tensor([2000.0, 0.0], dtype=torch.float64).expand(timesteps, len(x), 2)


class FailingError(Exception):
    pass


@pytest.mark.parametrize("ending", ["whole", "interrupted", "the network raises"])
def test_the_network_is_not_moved_nor_are_its_flags_changed(ending):
    """loss-landscapes leaves the network 76 % of its norm away, and no parameter of it requires a gradient."""

    def loss(w):
        if ending == "the network raises" and len(Known.visited) == 12:
            raise FailingError
        return 0.2 + (w**2).sum()

    def stop(done, _):
        if ending == "interrupted" and done == 12:
            raise KeyboardInterrupt

    network = Known(loss, [0.5, -0.5])
    network.other = nn.Linear(2, 2).double()
    network.other.bias.requires_grad_(False)
    network.other.eval()
    network.weight.grad = torch.full((1, 2), 3.0, dtype=torch.float64)
    addresses = {n: p.data_ptr() for n, p in network.named_parameters()}
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    zero = {"other.weight": torch.zeros(2, 2), "other.bias": torch.zeros(2)}
    plane = plane_of([1, 0], [0, 1])
    plane = dataclasses.replace(plane, x={**plane.x, **zero}, y={**plane.y, **zero})
    endings = {"whole": None, "interrupted": KeyboardInterrupt, "the network raises": FailingError}
    if endings[ending] is None:
        compute_surface(network, samples(), plane, 5, 1, progress=stop)
    else:
        with pytest.raises(endings[ending]):
            compute_surface(network, samples(), plane, 5, 1, progress=stop)
    assert addresses == {n: p.data_ptr() for n, p in network.named_parameters()}
    assert all(torch.equal(p, before[n]) for n, p in network.named_parameters())
    assert {n: p.requires_grad for n, p in network.named_parameters()} == {
        "weight": True,
        "other.weight": True,
        "other.bias": False,
    }
    assert torch.equal(network.weight.grad, torch.full((1, 2), 3.0, dtype=torch.float64))
    assert (network.training, network.other.training) == (True, False)


@pytest.mark.parametrize("norm", NORMS)
def test_a_network_fresh_from_its_initialisation_works(norm):
    """loss-landscapes divides by every entry: a zero bias, as batch normalisation starts with, is an error there."""
    torch.manual_seed(0)
    network = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=3)
    nn.init.zeros_(network.classifier.bias)
    nn.init.zeros_(network.classifier.weight[1])
    batch = [(torch.rand(4, 1, 16, 16), torch.arange(4) % 3)]
    plane = random_plane(network, 0, norm, ALL_RANDOM)
    surface = compute_surface(network, batch, plane, 3, 2)
    assert surface.done.all()
    assert np.isfinite(surface.sdt_loss).all() or norm == "none"  # a negative gain is no error, nor a NaN
    assert np.isfinite(surface.axis_cosine).all()
    if norm != "none":
        assert not plane.x["classifier.bias"].any()
    if norm in ("filter", "weight"):
        assert not plane.x["classifier.weight"][1].any()


class LearnedLeak(nn.Module):
    """L = 0.1 + (tau - 0.5)^2 with a parameter without axes."""

    def __init__(self):
        super().__init__()
        self.tau = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, x, timesteps):
        z = -torch.log(torch.expm1(0.1 + (self.tau - 0.5) ** 2))
        return torch.stack([z, torch.zeros_like(z)]).expand(timesteps, len(x), 2)


@pytest.mark.parametrize(("norm", "length"), [("filter", 0.5), ("layer", 0.5), ("weight", None), ("none", None)])
def test_parameters_without_axes_move_like_any_other(norm, length):
    """loss-landscapes raises a TypeError for them, such as a learned leak."""
    network = LearnedLeak()
    plane = random_plane(network, 1, norm, ALL_RANDOM)
    assert plane.x["tau"].shape == ()
    if length is not None:
        assert abs(float(plane.x["tau"])) == pytest.approx(length, rel=1e-14)
    axis = grid_coordinates(3)
    surface = compute_surface(network, samples(), plane, (axis, axis), 1)
    moved = axis[None, :] * float(plane.x["tau"]) + axis[:, None] * float(plane.y["tau"])
    np.testing.assert_allclose(surface.sdt_loss[0, :, :, 0], 0.1 + moved**2, rtol=1e-10)


def test_float64_and_float32_networks_are_measured_in_their_own_precision():
    hessian, start = np.diag([1.0, 4.0]), [0.25, -0.5]
    surfaces = {}
    for dtype in (torch.float32, torch.float64):
        network = bowl_network(hessian, start, 0.3, start, dtype)
        surfaces[dtype] = compute_surface(network, samples(), plane_of([0.1, 0.7], [0.3, 0.2], dtype), 5, 2)
        assert surfaces[dtype].provenance.dtype == str(dtype).removeprefix("torch.")
        assert all(w.dtype == dtype for w in Known.visited)
        Known.visited = []
    single, double = surfaces.values()
    np.testing.assert_allclose(single.sdt_loss, double.sdt_loss, rtol=1e-5)
    assert (single.sdt_loss != double.sdt_loss).any()


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 3, math.pi / 2, 2.0, math.pi])
def test_the_cosine_of_the_axes_is_that_of_their_angle(angle):
    plane = plane_of([3.0, 0.0], [0.2 * math.cos(angle), 0.2 * math.sin(angle)])
    assert plane.cosine == pytest.approx(math.cos(angle), abs=1e-15)


def test_every_plane_has_its_own_cosine_and_an_axis_of_zeros_has_none():
    network = bowl_network(np.eye(2), [0, 0], 0.1, [0, 0])
    planes = [plane_of([1, 0], [0, 1]), plane_of([1, 0], [1, 1]), plane_of([1, 0], [0, 0])]
    surface = compute_surface(network, samples(), planes, 3, 1)
    np.testing.assert_allclose(surface.axis_cosine, [0, math.sqrt(0.5), np.nan], atol=1e-15)
    assert np.ptp(surface.sdt_loss[2], axis=0).max() == 0  # nothing changes along an axis of zeros


def test_planes_are_measured_one_by_one_and_each_has_its_own_values(tmp_path):
    network = Known(lambda w: 1 + w[0] + 2 * w[1], [0.0, 0.0])
    planes = [plane_of([0.1, 0], [0, 0.1]), plane_of([0, 0.1], [0.1, 0]), plane_of([0.1, 0.1], [0.2, 0])]
    xs, ys = np.array([-1.0, 0.0, 2.0]), np.array([0.0, 1.0])
    surface = compute_surface(network, samples(), planes, (xs, ys), 1, path=tmp_path / "s.h5")
    x, y = np.meshgrid(xs, ys)
    expected = [1 + 0.1 * x + 0.2 * y, 1 + 0.2 * x + 0.1 * y, 1 + 0.3 * x + 0.2 * y]
    np.testing.assert_allclose(load(tmp_path / "s.h5").tet_loss[..., 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(surface.plane, [0, 1, 2])


def test_a_grid_of_whole_numbers_is_the_grid_of_the_same_numbers(tmp_path):
    """The request is hashed from the coordinates: 1 and 1.0 must not be two measurements."""
    network, path = bowl_network(np.eye(2), [0, 0], 0.1, [0, 0]), tmp_path / "s.h5"
    plane = plane_of([1, 0], [0, 1])
    compute_surface(network, samples(), plane, ([-1, 0, 1], [0, 1]), 1, path=path)
    compute_surface(network, samples(), plane, (np.array([-1.0, 0.0, 1.0]), np.array([0.0, 1.0])), 1, path=path)


@pytest.mark.parametrize("timesteps", [0, -1])
def test_a_run_of_no_steps_is_refused(timesteps):
    network = bowl_network(np.eye(2), [0, 0], 0.1, [0, 0])
    network.timesteps = 4
    with refuses(ValueError, "timesteps"):
        compute_surface(network, samples(), plane_of([1, 0], [0, 1]), 3, timesteps)


def test_sample_numbers_that_do_not_fit_the_batches_are_refused():
    """They are recorded, and their number is the divisor of the surrogate gradient."""
    network = bowl_network(np.eye(2), [0, 0], 0.1, [0, 0])
    with refuses(ValueError, "indices"):
        Evaluator(network, samples(3), 1, indices=np.arange(5))
