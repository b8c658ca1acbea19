"""Checkpoints on a plane: coordinates, principal planes, residuals, and what an explained variance hides."""

import dataclasses

import numpy as np
import pytest
import torch
from analytic_models import Quadratic, batches, spd, vector
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from torch import nn
from wording import refuses

from tetviz.errors import CheckpointError, ResultError
from tetviz.landscape import (
    Evaluator,
    Plane,
    Store,
    Waypoint,
    compute_trajectory,
    plane_through,
    principal_plane,
    project,
)
from tetviz.landscape.trajectory import covering, displacements
from tetviz.models import build
from tetviz.results import load

SIZE = 7
FIELDS = (
    *("sdt_loss", "tet_loss", "done", "true_sdt_loss", "true_tet_loss", "true_accuracy", "projected_sdt_loss"),
    *("projected_tet_loss", "projected_accuracy", "point_x", "point_y", "residual", "distance"),
)


def moves(rows):
    """Displacements over two tensors, of four entries and of the rest."""
    rows = torch.as_tensor(np.asarray(rows))
    return [{"a": row[:4].reshape(2, 2), "b": row[4:]} for row in rows]


def flat(*directions):
    return np.array([vector(direction) for direction in directions])


def cloud(points=6, seed=0, size=SIZE):
    return np.random.default_rng(seed).standard_normal((points, size)) * np.linspace(3, 0.3, size)


def plane_of(x, y):
    (x, y) = moves([x, y])
    return Plane(x, y, 0, (-1, -1), "unit", {})


def quadratic_path(points=5, seed=3):
    model = Quadratic(spd(SIZE), cloud(1, 9)[0], minimum=0.1 * np.arange(SIZE))
    weights = model.weight.detach().numpy()[0] + 0.4 * cloud(points, seed)
    return model, np.vstack([weights, model.weight.detach().numpy()])


def waypoints(model, weights):
    return [Waypoint(f"epoch {i}", i, model.at(w).state_dict()) for i, w in enumerate(weights)]


@pytest.mark.parametrize("cosine", [0.0, 0.6, -0.95])
def test_coordinates_on_axes_of_any_length_and_angle(cosine):
    """loss-landscape projects by w.d / |d|: off by |d| for what is no unit vector, and wrong for axes at an angle."""
    generator = np.random.default_rng(0)
    q, _ = np.linalg.qr(generator.standard_normal((SIZE, 2)))
    x, y = 3.5 * q[:, 0], 0.2 * (cosine * q[:, 0] + np.sqrt(1 - cosine**2) * q[:, 1])
    rows = cloud()
    found, distance, residual = project(plane_of(x, y), moves(rows))
    expected, *_ = np.linalg.lstsq(np.stack([x, y], 1), rows.T, rcond=None)
    np.testing.assert_allclose(found, expected.T, rtol=1e-9)
    np.testing.assert_allclose(distance, np.linalg.norm(rows, axis=1), rtol=1e-12)
    off = np.linalg.norm(rows.T - np.stack([x, y], 1) @ expected, axis=0)
    np.testing.assert_allclose(residual, off / np.linalg.norm(rows, axis=1), rtol=1e-9)
    inside = np.outer([1.0, -2.0], x) + np.outer([0.5, 3.0], y)
    found, _, residual = project(plane_of(x, y), moves(inside))
    np.testing.assert_allclose(found, [[1, 0.5], [-2, 3]], rtol=1e-9)
    np.testing.assert_allclose(residual, 0, atol=1e-12)


def test_the_residual_in_closed_form():
    """sin of the angle to the plane; 1 at a right angle, 0 for the reference, which is at the origin."""
    x, y, z = np.eye(SIZE)[:3]
    rows = [2 * x + y, z, 3 * x + 4 * z, np.zeros(SIZE)]
    found, distance, residual = project(plane_of(x, y), moves(rows))
    np.testing.assert_allclose(found, [[2, 1], [0, 0], [3, 0], [0, 0]], atol=1e-15)
    np.testing.assert_allclose(distance, [np.sqrt(5), 1, 5, 0], rtol=1e-15)
    np.testing.assert_allclose(residual, [0, 1, 0.8, 0], atol=1e-15)


@given(st.integers(0, 10**6), st.integers(2, 9))
@settings(max_examples=25)
def test_the_principal_plane_is_that_of_a_singular_value_decomposition(seed, points):
    rows = cloud(points, seed)
    plane, explained, centred = principal_plane(moves(rows))
    _, s, axes = np.linalg.svd(rows)
    np.testing.assert_allclose(explained, s[:2] ** 2 / (s**2).sum(), rtol=1e-9)
    mine = flat(plane.x, plane.y)
    np.testing.assert_allclose(mine @ mine.T, np.eye(2), atol=1e-7)
    if len(s) < 3 or min(s[0] - s[1], s[1] - s[2]) > 0.05:
        np.testing.assert_allclose(np.abs(np.diag(mine @ axes[:2].T)), 1, atol=1e-7)
    if points > 2:
        np.testing.assert_allclose(centred, PCA(2).fit(rows).explained_variance_ratio_, atol=1e-9)
    else:
        np.testing.assert_allclose(centred, [1, 0], atol=1e-9)
    assert (plane.norm, plane.direction_seeds) == ("unit", (-1, -1))


def test_the_principal_plane_goes_through_the_reference_and_the_path_is_not_shifted():
    """landscapeviz draws centred coordinates over an uncentred mesh: its path is off by the mean of the path."""
    x, y = np.linalg.qr(np.random.default_rng(1).standard_normal((SIZE, 2)))[0].T
    at = np.array([[5.0, 1.0], [4.0, 2.0], [3.0, -1.0], [1.0, 0.5], [0.0, 0.0]])
    rows = at @ np.stack([x, y])
    plane, explained, _ = principal_plane(moves(rows))
    found, _, residual = project(plane, moves(rows))
    assert explained.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(residual, 0, atol=1e-9)
    np.testing.assert_array_equal(found[-1], [0, 0])
    np.testing.assert_allclose(found @ flat(plane.x, plane.y), rows, atol=1e-12)


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_a_plane_through_three_networks_holds_them(seed):
    rows = cloud(2, seed)
    plane = plane_through(moves(rows))
    found, _, residual = project(plane, moves(np.vstack([rows, np.zeros(SIZE)])))
    np.testing.assert_allclose(residual, 0, atol=1e-12)
    axes = flat(plane.x, plane.y)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(found[0], [np.linalg.norm(rows[0]), 0], atol=1e-12)
    assert found[1, 1] > 0
    assert np.linalg.norm(found[1]) == pytest.approx(np.linalg.norm(rows[1]), rel=1e-12)
    np.testing.assert_array_equal(found[2], [0, 0])


@pytest.mark.parametrize("factors", [(1, 2), (1, 1), (0, 1), (1, 0), (0, 0), (-1, 3)])
def test_three_networks_on_a_line_are_refused(factors):
    rows = np.outer(factors, cloud(1)[0])
    with refuses(CheckpointError, "line same"):
        plane_through(moves(rows))


@pytest.mark.parametrize("factors", [(1,), (0,), (1, 2, 3), (0, 0, 0), (1, 1, 0), (-1, 1)])
def test_checkpoints_on_a_line_span_no_plane(factors):
    with refuses(CheckpointError, "span plane"):
        principal_plane(moves(np.outer(factors, cloud(1)[0])))


@given(st.lists(st.floats(-100, 100, allow_subnormal=False), min_size=1, max_size=6), st.integers(7, 41))
def test_the_grid_covers_all_points_and_holds_zero(values, points):
    values = np.array(values)
    extent = max(values.max(), 0) - min(values.min(), 0)
    if extent < 1e-6:
        return
    grid = covering(values, points)
    step = grid[1] - grid[0]
    assert 0.0 in grid
    np.testing.assert_allclose(np.diff(grid), step, rtol=1e-9)
    assert points - 1 <= len(grid) <= points + 1
    for low, high in ((grid[0], min(values.min(), 0)), (max(values.max(), 0), grid[-1])):
        assert 0.25 * extent - 0.5001 * step <= high - low <= 0.25 * extent + 0.5001 * step


@pytest.mark.parametrize("sign", [1, -1])
def test_a_path_on_one_side_of_the_reference_has_a_margin_on_both(sign):
    grid = covering(sign * np.array([4.0, 8.0]), 25)
    # 8 wide, margins of 2: 24 steps of 0.5.
    np.testing.assert_allclose(grid, np.sort(sign * np.arange(-2, 10.1, 0.5)), atol=1e-12)


def test_an_axis_that_no_point_leaves_still_has_a_grid():
    grid = covering(np.zeros(3), 5)
    assert 0.0 in grid
    assert np.isfinite(grid).all()
    assert (np.diff(grid) > 0).all()


@pytest.mark.parametrize("loss", ["sdt", "tet"])
def test_losses_of_checkpoints_projections_and_surface_in_closed_form(loss):
    model, weights = quadratic_path()
    evaluator = Evaluator(model, batches(), 2)
    found = compute_trajectory(evaluator, waypoints(model, weights), points=9, loss=loss)
    plane, explained, centred = principal_plane(displacements(evaluator, waypoints(model, weights)))
    w, axes = weights[-1], flat(plane.x, plane.y)
    at = np.stack([found.point_x, found.point_y], 1)
    np.testing.assert_allclose(at, (weights - w) @ axes.T, atol=1e-9)
    projected = w + at @ axes
    for name in ("sdt", "tet"):
        for kind, exact in (("true", model.loss(weights)), ("projected", model.loss(projected))):
            np.testing.assert_allclose(getattr(found, f"{kind}_{name}_loss"), exact[:, None] * np.ones(2), rtol=1e-9)
        grid = w + found.x[None, :, None] * axes[0] + found.y[:, None, None] * axes[1]
        np.testing.assert_allclose(getattr(found, f"{name}_loss")[0, :, :, 1], model.loss(grid), rtol=1e-9)
    assert (np.abs(found.true_sdt_loss - found.projected_sdt_loss)[:-1] > 1e-3).all()
    off = np.linalg.norm(weights - projected, axis=1)[:-1]
    np.testing.assert_allclose(found.residual[:-1], off / np.linalg.norm(weights - w, axis=1)[:-1], rtol=1e-9)
    np.testing.assert_array_equal([at[-1], [found.residual[-1], found.distance[-1]]], 0)
    np.testing.assert_array_equal(found.true_sdt_loss[-1], found.projected_sdt_loss[-1])
    np.testing.assert_array_equal(found.explained, explained)
    np.testing.assert_array_equal(found.explained_centred, centred)
    assert list(found.names) == [f"epoch {i}" for i in range(6)]
    assert (found.epoch.tolist(), found.path, found.loss, found.norm) == (list(range(6)), "training", loss, "unit")


def test_the_explained_variance_does_not_tell_that_the_late_path_is_off_the_plane():
    """Measured on a CNN: 98 % of the variance explained, and 79 % of the late displacements out of the plane."""
    x, y, *others = np.eye(SIZE)
    back = np.linspace(1, 0, 9)[:, None]
    rows = 10 * back**3 * x + 3 * np.sin(6 * back) * back**2 * y + 0.8 * back * others[0]
    model = Quadratic(np.diag([0.1, 0.1, 5.0, 1, 1, 1, 1]), np.zeros(SIZE))
    found = compute_trajectory(Evaluator(model, batches(), 1), waypoints(model, rows), points=5)
    assert found.explained_centred.sum() > 0.95
    assert found.explained.sum() > 0.95
    assert found.residual[0] < 0.2
    assert (found.residual[6:8] > 0.6).all()
    assert (np.diff(found.residual[1:8]) > 0).all()
    true, seen = found.true_sdt_loss[6:8, 0] - 0.1, found.projected_sdt_loss[6:8, 0] - 0.1
    assert (true > 2 * seen).all()


def test_a_given_plane_that_is_neither_unit_nor_square():
    model, weights = quadratic_path()
    x, y = 2 * np.eye(SIZE)[0], 0.5 * (np.eye(SIZE)[0] + np.eye(SIZE)[1])
    plane = Plane({"weight": torch.tensor(x[None])}, {"weight": torch.tensor(y[None])}, 0, (-1, -1), "unit", {})
    points = waypoints(model, weights)
    found = compute_trajectory(Evaluator(model, batches(), 1), points, plane, points=5, path="checkpoints")
    offsets = weights - weights[-1]
    np.testing.assert_allclose(found.point_y, 2 * offsets[:, 1], atol=1e-9)
    np.testing.assert_allclose(found.point_x, (offsets[:, 0] - offsets[:, 1]) / 2, atol=1e-9)
    projected = np.where(np.arange(SIZE) < 2, weights, weights[-1])
    np.testing.assert_allclose(found.projected_sdt_loss[:, 0], model.loss(projected), rtol=1e-9)
    assert np.isnan([found.explained, found.explained_centred]).all()
    assert found.path == "checkpoints"


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path):
    model, weights = quadratic_path()
    arguments = (waypoints(model, weights), None, 5)
    whole = compute_trajectory(Evaluator(model, batches(), 1), *arguments, store=Store(tmp_path / "whole.h5"))

    def stop(done, total):
        if done == 11:
            raise KeyboardInterrupt

    path, evaluator = tmp_path / "part.h5", Evaluator(model, batches(), 1)
    with pytest.raises(KeyboardInterrupt):
        compute_trajectory(evaluator, *arguments, store=Store(path, progress=stop))
    part = load(path)
    assert part.done.sum() == 11
    assert np.isfinite(part.true_sdt_loss).all()
    measured, measure = [], evaluator.measure
    evaluator.measure = lambda *args, **kwargs: measured.append(1) or measure(*args, **kwargs)
    resumed = compute_trajectory(evaluator, *arguments, store=Store(path))
    assert len(measured) == resumed.done.size - 11
    for name in FIELDS:
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


def test_another_path_in_the_same_file_is_refused(tmp_path):
    model, weights = quadratic_path()
    evaluator, store = Evaluator(model, batches(), 1), Store(tmp_path / "t.h5")
    compute_trajectory(evaluator, waypoints(model, weights), points=5, store=store)
    weights[1] += 1e-9
    with refuses(ResultError, "another trajectory"):
        compute_trajectory(evaluator, waypoints(model, weights), points=5, store=store)


@pytest.fixture(scope="module")
def epochs():
    torch.manual_seed(1)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    x, y = torch.randn(16, 1, 16, 16), torch.arange(16) % 4
    optimizer, kept = torch.optim.Adam(model.parameters(), 1e-2), []
    for epoch in range(4):
        kept.append(Waypoint(f"epoch {epoch}", epoch, {n: t.clone() for n, t in model.state_dict().items()}))
        for _ in range(8):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x, 2).mean(0), y).backward()
            optimizer.step()
    model.timesteps = 2
    model.load_state_dict(kept[-1].state)
    return model.eval(), kept, [(x, y)]


@pytest.mark.parametrize("bn", ["frozen", "recalibrate"])
def test_true_losses_are_those_of_the_checkpoints_with_their_own_statistics(epochs, bn):
    """Counters are long tensors, on which loss-landscape's states mode stops with a TypeError."""
    model, path, data = epochs
    assert any(t.dtype == torch.int64 for t in path[0].state.values())
    evaluator = Evaluator(model, data, 2, bn=bn, calibration=data)
    found = compute_trajectory(evaluator, path, points=5)
    own = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    for i, point in enumerate(path):
        own.load_state_dict(point.state)
        expected = Evaluator(own, data, 2).measure({})
        np.testing.assert_array_equal(found.true_sdt_loss[i], expected.sdt_loss)
        np.testing.assert_array_equal(found.true_tet_loss[i], expected.tet_loss)
        np.testing.assert_array_equal(found.true_accuracy[i], expected.accuracy)
    borrowed = Evaluator(model, data, 2).measure({n: path[1].state[n] for n in evaluator.origin}).sdt_loss
    assert np.abs(found.true_sdt_loss[1] - borrowed).max() > 1e-2
    np.testing.assert_array_equal(found.projected_sdt_loss[-1], evaluator.measure({}).sdt_loss)
    at0 = [int(np.flatnonzero(axis == 0)[0]) for axis in (found.y, found.x)]
    np.testing.assert_array_equal(found.sdt_loss[0, at0[0], at0[1]], found.projected_sdt_loss[-1])


def test_float64_checkpoints_of_a_float32_reference(epochs):
    """loss-landscape takes the dot product of Float and Double tensors, and stops."""
    model, path, data = epochs
    double = [
        dataclasses.replace(p, state={n: t.double() if t.is_floating_point() else t for n, t in p.state.items()})
        for p in path
    ]
    one, other = (compute_trajectory(Evaluator(model, data, 2), each, points=5) for each in (path, double))
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("change", ["shape", "missing", "statistics"])
def test_a_checkpoint_of_another_architecture_is_named(epochs, change):
    model, path, data = epochs
    state = dict(path[1].state)
    name = next(n for n in state if n.endswith("running_mean" if change == "statistics" else "weight"))
    if change == "shape":
        state[name] = torch.zeros(2, 2)
    else:
        del state[name]
    wrong = [path[0], Waypoint("the odd one", 1, state), *path[2:]]
    with refuses(CheckpointError, name):
        compute_trajectory(Evaluator(model, data, 2), wrong, points=5)


def test_the_network_and_the_checkpoints_are_left_alone(epochs):
    model, path, data = epochs
    before = {n: t.clone() for n, t in model.state_dict().items()}
    kept = [{n: t.clone() for n, t in point.state.items()} for point in path]
    rng = torch.get_rng_state()
    compute_trajectory(Evaluator(model, data, 2, bn="recalibrate", calibration=data), path, points=5)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    for point, state in zip(path, kept, strict=True):
        assert all(torch.equal(t, state[n]) for n, t in point.state.items())
    assert torch.equal(torch.get_rng_state(), rng)
