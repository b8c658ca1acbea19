"""Lines: the rows and columns of the surfaces of the same planes, and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

import reference
from tetviz.landscape import (
    BN_POLICIES,
    HOLD_ALL_BUT_WEIGHTS,
    NORMS,
    Evaluator,
    Plane,
    RandomPlanes,
    Store,
    compute_lines,
    compute_surface,
    grid_coordinates,
)
from tetviz.models import build
from tetviz.results import MEASURED, load


class Known(nn.Module):
    """O(t) = (z, 0) with log(1 + exp(-z)) = t L(w), so that step t has the cross-entropy t L(w) for class 0."""

    def __init__(self, loss, start):
        super().__init__()
        self.weight = nn.Parameter(torch.as_tensor(np.asarray(start, dtype=np.float64))[None])
        self.loss = loss

    def forward(self, x, timesteps):
        z = -torch.log(torch.expm1(torch.arange(1, timesteps + 1, dtype=torch.float64) * self.loss(self.weight[0])))
        return torch.stack([z, torch.zeros_like(z)], 1)[:, None].expand(timesteps, len(x), 2)


def plane_of(x, y):
    x, y = ({"weight": torch.as_tensor(np.asarray(d, dtype=np.float64))[None]} for d in (x, y))
    return Plane(x, y, 0, (-1, -1), "none", HOLD_ALL_BUT_WEIGHTS)


def samples(count=3):
    return [(torch.zeros(count, 1, 1, 1), torch.zeros(count, dtype=torch.long))]


@pytest.fixture(scope="module")
def spiking():
    torch.manual_seed(0)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    x, labels = torch.randn(10, 1, 16, 16), torch.arange(10) % 4
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x, 2).mean(0), labels).backward()
        optimizer.step()
    model.timesteps = 2
    return model.eval(), [(x[:6], labels[:6]), (x[6:], labels[6:])]


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 6))
@settings(max_examples=20)
def test_a_quadratic_has_its_value_along_every_line_and_arc_is_the_distance(seed, planes, points):
    draw = np.random.default_rng(seed)
    root = draw.standard_normal((3, 3))
    hessian, floor = root @ root.T / np.trace(root @ root.T), float(draw.uniform(0.05, 1))
    minimum, start = draw.uniform(-1, 1, (2, 3))
    directions, x = draw.uniform(-1, 1, (planes, 2, 3)), np.sort(draw.uniform(-2, 3, points))
    h, m = torch.from_numpy(hessian), torch.from_numpy(minimum)
    evaluator = Evaluator(Known(lambda w: floor + 0.5 * (w - m) @ h @ (w - m), start), samples(), 2)
    lines = compute_lines(evaluator, [plane_of(dx, dy) for dx, dy in directions], x)
    assert lines.sdt_loss.shape == (2 * planes, points, 2)
    for line, d in enumerate(directions.reshape(2 * planes, 3)):
        for i, at in enumerate(x):
            sdt, tet = reference.growing_losses(reference.bowl(start + at * d, minimum, hessian, floor), 2)
            np.testing.assert_allclose(lines.sdt_loss[line, i], sdt, rtol=1e-9)
            np.testing.assert_allclose(lines.tet_loss[line, i], tet, rtol=1e-9)
            assert lines.arc[line, i] == pytest.approx(np.sqrt(sum(d**2)) * at, rel=1e-13)
    assert lines.done.all()


@pytest.mark.parametrize("bn", BN_POLICIES)
def test_lines_are_the_row_and_the_column_of_the_surface_through_its_centre(spiking, bn):
    model, data = spiking
    axis = grid_coordinates(4, -1, 2)
    settings = {"bn": bn, "calibration": data[:1]}
    planes = RandomPlanes(model, 6, 2)
    surface = compute_surface(model, data, planes, (axis, axis), 3, **settings)
    lines = compute_lines(Evaluator(model, data, 3, **settings), planes, axis)
    for k in range(2):
        for name in (*MEASURED, "done"):
            grid, along = getattr(surface, name)[k], getattr(lines, name)
            assert along[2 * k].tobytes() == grid[1].tobytes()  # y = 0
            assert along[2 * k + 1].tobytes() == grid[:, 1].copy().tobytes()  # x = 0
    assert np.ptp(lines.tet_loss[..., -1]) > 1e-3
    np.testing.assert_array_equal(lines.direction_seed, np.ravel([plane.direction_seeds for plane in planes]))
    assert list(lines.names) == ["plane 1, x", "plane 1, y", "plane 2, x", "plane 2, y"]
    assert (lines.bn, lines.norm, lines.plane_seed, lines.t_train) == (bn, "filter", 6, 2)


@pytest.mark.parametrize("norm", NORMS)
def test_arc_is_the_length_of_the_direction_times_the_coordinate(spiking, norm):
    model, data = spiking
    planes, x = RandomPlanes(model, 1, 2, norm), np.array([-0.5, 0.0, 2.0])
    lines = compute_lines(Evaluator(model, data[:1], 1), planes, x)
    for line, direction in enumerate(d for plane in planes for d in (plane.x, plane.y)):
        square = sum(float((tensor.double() ** 2).sum()) for tensor in direction.values())
        np.testing.assert_allclose(lines.arc[line], np.sqrt(square) * x, rtol=1e-12)


def test_a_line_without_end_points_and_its_file(spiking, tmp_path):
    model, data = spiking
    planes, x, path = RandomPlanes(model, 1, 1), grid_coordinates(3), tmp_path / "l.h5"
    stored = compute_lines(Evaluator(model, data, 2), planes, x, "tet", Store(path))
    memory = compute_lines(Evaluator(model, data, 2), planes, x, "tet")
    for name in (*MEASURED, "done", "arc", "x"):
        assert getattr(stored, name).tobytes() == getattr(memory, name).tobytes()
    assert stored.provenance.request == memory.provenance.request == load(path).provenance.request
    assert (stored.loss, stored.path) == ("tet", "random")
    assert stored.end_sdt_loss.shape == (0, 2)


def test_misuse_is_named(spiking):
    model, data = spiking
    evaluator, x = Evaluator(model, data, 2), grid_coordinates(3)
    with refuses(ValueError, "unknown loss"):
        compute_lines(evaluator, RandomPlanes(model, 1, 1), x, "mse")
    other = build("snn5", width=0.125, in_channels=1, image_size=16, num_classes=4)
    with refuses(ValueError, "another network"):
        compute_lines(evaluator, RandomPlanes(other, 1, 1), x)
    with refuses(ValueError, "least plane"):
        compute_lines(evaluator, [], x)
