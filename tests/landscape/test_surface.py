"""Surfaces: exact coordinates and axis order on planted losses, a plain loop on a real network, resumption."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

import reference
from tetviz.errors import ResultError
from tetviz.landscape import Plane, RandomPlanes, compute_surface, grid_coordinates, random_plane
from tetviz.landscape.store import coarse_to_fine
from tetviz.models import LIF, build
from tetviz.results import load, open_result, save
from tetviz.training import DataSpec, load_data

DIFFERENCES = {
    "plane": "another plane seed;",
    "weights": "another T of training;",
    "leak": "another network, data or batch size;",
    "data": "another choice of samples;",
    "grid": "another grid or range;",
    "timesteps": "another number of timesteps;",
    "loss": "another loss;",
}
FIELDS = ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se", "done")


class Planted(nn.Module):
    """Two parameters p, q; O(t) = [0, -t f(p, q)], so that CE against class 0 is log(1 + exp(-t f))."""

    def __init__(self, p=0.5, q=-0.25):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[p, q]], dtype=torch.float64))

    def forward(self, x, timesteps):
        p, q = self.weight[0]
        f = 1 + p + 3 * q
        steps = torch.arange(1, timesteps + 1, dtype=torch.float64)[:, None, None]
        return (steps * torch.stack([torch.zeros(()), -f])).expand(timesteps, len(x), 2).double()


def unit_plane():
    x, y = torch.tensor([[1.0, 0.0]], dtype=torch.float64), torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    policy = {"weight": "random", "bias": "hold", "norm": "hold", "neuron": "hold"}
    return Plane({"weight": x}, {"weight": y}, 0, (0, 1), "none", policy)


def planted_batches(samples=3):
    return [(torch.zeros(samples, 1, 1, 1), torch.zeros(samples, dtype=torch.long))]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    x, y = torch.randn(24, 1, 16, 16), torch.arange(24) % 4
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x, 2).mean(0), y).backward()
        optimizer.step()
    model.timesteps = 3
    return model, [(x[:16], y[:16]), (x[16:], y[16:])]


def test_values_and_axis_order_on_a_planted_loss_with_a_non_square_off_centre_grid():
    """Other tools transpose, shift rows against each other, or mislabel coordinates: none of it here."""
    xs, ys = np.array([-0.5, 0.0, 0.25, 1.5]), np.array([0.0, 2.0, 3.0])
    surface = compute_surface(Planted(), planted_batches(), unit_plane(), (xs, ys), 3)
    f = 1 + (0.5 + xs)[None, :, None] + 3 * (-0.25 + ys)[:, None, None]
    t = np.arange(1, 4)
    step = np.log1p(np.exp(-t * f))
    np.testing.assert_allclose(surface.tet_loss[0], np.cumsum(step, -1) / t, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(surface.sdt_loss[0], np.log1p(np.exp(-f * (t + 1) / 2)), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(surface.accuracy[0], np.broadcast_to(f > 0, step.shape))
    np.testing.assert_array_equal(surface.x, xs)
    np.testing.assert_array_equal(surface.y, ys)
    np.testing.assert_allclose(surface.tet_loss_se, 0, atol=1e-9)


def test_an_interrupted_run_goes_on_to_the_same_bytes(network, tmp_path):
    model, batches = network
    plane = random_plane(model, 1)
    whole = compute_surface(model, batches, plane, 5, path=tmp_path / "whole.h5")
    path = tmp_path / "part.h5"

    def stop(done, total):
        if done % 7 == 0:
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            compute_surface(model, batches, plane, 5, path=path, progress=stop)
    part = load(path)
    assert part.done.sum() == 21
    assert np.isnan(part.sdt_loss[part.done == 0]).all()
    assert np.isfinite(part.sdt_loss[part.done == 1]).all()
    calls = []
    resumed = compute_surface(model, batches, plane, 5, path=path, progress=lambda *at: calls.append(at))
    assert calls == [(22, 25), (23, 25), (24, 25), (25, 25)]
    for name in FIELDS:
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


def test_a_point_that_was_not_marked_done_is_computed_again(network, tmp_path):
    model, batches = network
    path = tmp_path / "s.h5"
    whole = compute_surface(model, batches, random_plane(model, 1), 3, path=path)
    with open_result(path) as stored:
        stored.sdt_loss[0, 1, 2] = 123.0
        stored.done[0, 1, 2] = 0
    again = compute_surface(model, batches, random_plane(model, 1), 3, path=path)
    for name in FIELDS:
        assert getattr(again, name).tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize("change", ["plane", "weights", "leak", "data", "grid", "timesteps", "loss"])
def test_another_surface_in_the_same_file_is_refused(network, tmp_path, change):
    model, batches = network
    path = tmp_path / "s.h5"
    arguments = {"model": model, "data": batches, "plane": random_plane(model, 1), "grid": 3, "timesteps": 2}
    compute_surface(**arguments, path=path)
    before = path.read_bytes()
    other = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    leaky = copy.deepcopy(model)
    leaky.features[1] = LIF(leak=0.9)
    arguments |= {
        "plane": {"plane": random_plane(model, 2)},
        "weights": {"model": other},
        "leak": {"model": leaky},
        "loss": {"loss": "tet"},
        "data": {"data": batches[:1]},
        "grid": {"grid": 5},
        "timesteps": {"timesteps": 1},
    }[change]
    with pytest.raises(ResultError, match=DIFFERENCES[change]):
        compute_surface(**arguments, path=path)
    assert path.read_bytes() == before
    compute_surface(**arguments, path=path, force=True)
    assert path.read_bytes() != before


def test_non_finite_losses_stay_what_they_are():
    """Landscaper replaces NaN by a mean and adds noise to the maxima."""
    model = Planted()
    ys = np.array([-1e308, 0.0])
    surface = compute_surface(model, planted_batches(), unit_plane(), (np.array([0.0, 1.0]), ys), 2)
    assert np.isfinite(surface.sdt_loss[0, 1]).all()
    assert not np.isfinite(surface.sdt_loss[0, 0]).any()
    assert surface.done.all()


def test_a_single_sample_has_no_standard_error():
    surface = compute_surface(Planted(), planted_batches(1), unit_plane(), 3, 1)
    assert np.isnan(surface.sdt_loss_se).all()


def test_the_default_grid_has_the_centre_exactly():
    axis = grid_coordinates(25)
    assert len(axis) == 25
    assert axis[12] == 0
    assert (axis[0], axis[-1]) == (-1, 1)
    np.testing.assert_allclose(axis, -axis[::-1], atol=0)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 10))
@settings(deadline=None)
def test_any_range_whose_nodes_hit_zero_is_accepted(left, right, step):
    axis = grid_coordinates(left + right + 1, -left * step, right * step)
    assert axis[left] == 0
    np.testing.assert_allclose(np.diff(axis), step, rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((24,), "odd"), ((2,), "least 3"), ((10, 0, 1), "inside"), ((10, -1, 2.5), "miss centre")],
)
def test_grids_without_the_centre_are_refused(arguments, message):
    with refuses(ValueError, message):
        grid_coordinates(*arguments)


@given(st.integers(1, 30), st.integers(1, 30))
@settings(deadline=None)
def test_points_come_once_each_and_coarse_first(rows, columns):
    points = list(coarse_to_fine(rows, columns))
    assert sorted(points) == [(j, i) for j in range(rows) for i in range(columns)]
    stride = 1
    while stride < max(rows, columns):
        coarse = {(j, i) for j in range(0, rows, stride) for i in range(0, columns, stride)}
        assert set(points[: len(coarse)]) == coarse
        stride *= 2


def test_the_file_is_the_surface(network, tmp_path):
    model, batches = network
    stored = compute_surface(model, batches, random_plane(model, 0), 3, loss="tet", path=tmp_path / "s.h5")
    memory = compute_surface(model, batches, random_plane(model, 0), 3, loss="tet")
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(stored, name), getattr(memory, name))
    assert (stored.loss, stored.bn, stored.norm, stored.plane_seed, stored.t_train) == ("tet", "frozen", "filter", 0, 3)
    assert stored.provenance.request == memory.provenance.request
    assert stored.sample.tolist() == list(range(24))
    save(tmp_path / "copy.h5", stored)
    assert (tmp_path / "copy.h5").read_bytes() == (tmp_path / "s.h5").read_bytes()


def test_misuse_is_named(network):
    model, batches = network
    with refuses(ValueError, "unknown loss"):
        compute_surface(model, batches, random_plane(model, 0), 3, loss="mse")
    with refuses(ValueError, "many timesteps"):
        compute_surface(Planted(), planted_batches(), unit_plane(), 3)


def test_the_plane_of_another_network_is_refused(network):
    model, batches = network
    other = build("snn5", width=0.125, in_channels=1, image_size=16, num_classes=4)
    with refuses(ValueError, "another network"):
        compute_surface(model, batches, random_plane(other, 0), 3)


SETTINGS = {"width": 0.125, "in_channels": 1, "image_size": 16}
CHOSEN, CALIBRATION = np.array([5, 3, 40, 41, 17, 200, 9, 10, 77, 310, 2, 0]), np.arange(30, 50)


@pytest.fixture(scope="module")
def digits():
    """SNN-5 trained on digits for a few steps, in float32, and both splits."""
    spec = DataSpec("digits", image_size=16)
    train, test = load_data(spec, split="train"), load_data(spec, split="test")
    torch.manual_seed(0)
    model = build("snn5", **SETTINGS)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    x, labels = torch.stack([train[k][0] for k in range(48)]), torch.as_tensor(train.labels[:48])
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x, 2).flatten(0, 1), labels.repeat(2)).backward()
        optimizer.step()
    model.zero_grad(set_to_none=True)
    model.timesteps = 2
    return model.eval(), train, test


def plain_loop(model, plane, axis, timesteps, test, train, bn):
    """A fresh network at every point, its moved weights loaded, run once over all samples; losses number by number."""
    dtype = next(model.parameters()).dtype
    x = torch.stack([test[k][0] for k in CHOSEN]).to(dtype)
    labels = np.array([test[k][1] for k in CHOSEN])
    calibration = [torch.stack([train[k][0] for k in CALIBRATION[a : a + 8]]).to(dtype) for a in (0, 8, 16)]
    grid = {}
    for j, b in enumerate(axis):
        for i, a in enumerate(axis):
            state = {n: t.clone() for n, t in model.state_dict().items()}
            for n in plane.x:
                state[n] = state[n] + float(a) * plane.x[n] + float(b) * plane.y[n]
            fresh = build("snn5", **SETTINGS).to(dtype).eval()
            fresh.load_state_dict(state)
            norms = [m for m in fresh.modules() if isinstance(m, nn.BatchNorm2d)]
            seen = {norm: [] for norm in norms}
            with torch.no_grad():
                if bn == "recalibrate":
                    for norm in norms:
                        norm.train()
                        norm.register_forward_hook(
                            lambda m, args, _, seen=seen: seen[m].append(reference.channel_statistics(args[0].numpy()))
                        )
                    for batch in calibration:
                        fresh(batch, model.timesteps)
                    for norm in norms:
                        norm.eval()
                        norm.running_mean.copy_(torch.from_numpy(sum(mean for mean, _ in seen[norm]) / len(seen[norm])))
                        norm.running_var.copy_(torch.from_numpy(sum(var for _, var in seen[norm]) / len(seen[norm])))
                        norm._forward_hooks.clear()
                logits = fresh(x, timesteps).double().numpy()
            grid[j, i] = reference.profile(logits, labels)
    return grid


def digits_surface(model, plane, train, test, timesteps=4, bn="frozen", points=5, **settings):
    axis = grid_coordinates(points, -0.4, 0.4)
    return compute_surface(
        model,
        test,
        plane,
        (axis, axis),
        timesteps,
        indices=CHOSEN,
        batch_size=8,
        bn=bn,
        calibration=train,
        calibration_indices=CALIBRATION,
        **settings,
    )


@pytest.mark.parametrize(("bn", "points"), [("frozen", 5), ("recalibrate", 2)])
def test_a_surface_of_digits_equals_a_plain_loop_in_float64(digits, bn, points):
    """All points and every T, both losses and both accuracies, to 1e-9. LossLens and others evaluate T alone.

    Of the recalibrated surface every second point, whose statistics the reference adds up number by number."""
    model, train, test = copy.deepcopy(digits[0]).double(), *digits[1:]
    plane = random_plane(model, 7)
    surface = digits_surface(model, plane, train, test, bn=bn)
    step = 1 if points == 5 else 4
    expected = plain_loop(model, plane, surface.x[::step], 4, test, train, bn)
    assert len(expected) == points**2
    for (j, i), profile in expected.items():
        for name, values in profile.items():
            ours = getattr(surface, name)[0, j * step, i * step]
            np.testing.assert_allclose(ours, values, rtol=0, atol=1e-9, err_msg=f"{name} at {j}, {i}")
    assert np.ptp(surface.sdt_loss[..., -1]) > 0.1
    assert (surface.sdt_loss <= surface.tet_loss + 1e-12).all()
    np.testing.assert_array_equal(surface.sample, CHOSEN)


def test_in_float32_a_surface_differs_from_float64_by_rounding_and_at_most_a_few_spikes(digits):
    """Measured: at most 4e-8 nat, no spike flips. A potential beside the threshold may flip one on other hardware."""
    model, train, test = digits
    plane = random_plane(model, 7)
    double = dataclasses.replace(plane, **{s: {n: t.double() for n, t in getattr(plane, s).items()} for s in "xy"})
    single = digits_surface(model, plane, train, test, 2)
    exact = digits_surface(copy.deepcopy(model).double(), double, train, test, 2)
    for name in ("sdt_loss", "tet_loss"):
        deviation = np.abs(getattr(single, name) - getattr(exact, name))
        assert deviation.max() < 0.05
        assert np.median(deviation) < 1e-6
    assert (single.provenance.dtype, exact.provenance.dtype) == ("float32", "float64")


@pytest.mark.parametrize("bn", ["frozen", "recalibrate", "batch"])
@pytest.mark.parametrize("interrupted", [False, True])
def test_the_network_and_all_random_states_are_bit_identical_afterwards(digits, bn, interrupted):
    """Parameters, buffers, addresses, flags, gradients, modes, and the generators of torch, NumPy and Python."""
    model, train, test = copy.deepcopy(digits[0]).train(), *digits[1:]
    model.classifier.weight.requires_grad_(False)
    model.features[0].eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    state = {n: (t.data_ptr(), t.clone()) for n, t in model.state_dict().items()}
    flags = [(n, p.requires_grad, None if p.grad is None else p.grad.clone()) for n, p in model.named_parameters()]
    modes = [module.training for module in model.modules()]
    attributes = [(m.momentum, m.track_running_stats) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    generators = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()

    def stop(done, total):
        if interrupted and done == 5:
            raise KeyboardInterrupt

    try:
        digits_surface(model, RandomPlanes(model, 1, 1), train, test, 1, bn, progress=stop)
        assert not interrupted
    except KeyboardInterrupt:
        assert interrupted
    after = model.state_dict()
    assert list(after) == list(state)
    for n, (address, values) in state.items():
        assert after[n].data_ptr() == address
        assert torch.equal(after[n], values)
    for (n, flag, grad), (m, parameter) in zip(flags, model.named_parameters(), strict=True):
        assert (n, flag) == (m, parameter.requires_grad)
        assert parameter.grad is None if grad is None else torch.equal(parameter.grad, grad)
    assert [module.training for module in model.modules()] == modes
    assert attributes == [(m.momentum, m.track_running_stats) for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (np.random.get_state()[1] == generators[1]).all()
    assert random.getstate() == generators[2]


@pytest.mark.parametrize("bn", ["frozen", "recalibrate"])
def test_three_planes_of_digits_are_three_surfaces(digits, bn):
    model, train, test = digits
    planes = RandomPlanes(model, 2, 3)
    together = digits_surface(model, planes, train, test, 2, bn, points=3)
    for k in range(3):
        alone = digits_surface(model, planes[k], train, test, 2, bn, points=3)
        for name in (*FIELDS, "axis_cosine", "direction_seed"):
            assert getattr(together, name)[k].tobytes() == getattr(alone, name)[0].tobytes()
    assert len({together.tet_loss[k].tobytes() for k in range(3)}) == 3
