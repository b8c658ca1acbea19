"""Spike functions against the formulas of the papers and against their own smooth primitives."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from wording import refuses

import reference
from tetviz.models import LIF, SURROGATES, build

NAMES = sorted(SURROGATES)
HARD = [name for name in NAMES if name != "sigmoid"]
WIDTHS = st.floats(0.05, 4)
POINTS = st.lists(st.floats(-6, 6), min_size=1, max_size=8)


def derivative(name: str, points: list[float], gamma: float) -> list[float]:
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(SURROGATES[name](x, 0.0, gamma).sum(), x)
    return [float(v) for v in gradient]


def test_every_surrogate_has_a_reference() -> None:
    assert {*reference.HARD, "sigmoid"} == set(SURROGATES)


@pytest.mark.parametrize("name", NAMES)
@given(points=POINTS, gamma=WIDTHS)
@settings(deadline=None, max_examples=25)
def test_forward_is_the_reference_step(name: str, points: list[float], gamma: float) -> None:
    x = torch.tensor(points, dtype=torch.float64)
    expected = [reference.spike(name, p, gamma) for p in points]
    np.testing.assert_allclose(SURROGATES[name](x, 0.0, gamma).numpy(), expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", NAMES)
@given(points=POINTS, gamma=WIDTHS)
@settings(deadline=None, max_examples=25)
def test_backward_is_the_reference_kernel(name: str, points: list[float], gamma: float) -> None:
    expected = [reference.kernel(name, p, gamma) for p in points]
    np.testing.assert_allclose(derivative(name, points, gamma), expected, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
@given(offset=st.floats(-3, 3), gamma=WIDTHS)
@settings(deadline=None, max_examples=20)
def test_backward_is_the_slope_of_the_smooth_primitive(name: str, offset: float, gamma: float) -> None:
    x, h = offset * gamma, 1e-5 * gamma
    kinks = {"rectangle": (-0.5, 0.5), "triangle": (-1, 0, 1), "exponential": (0,)}.get(name, ())
    assume(all(abs(offset - kink) > 1e-4 for kink in kinks))
    rise = reference.smooth_step(name, x + h, gamma) - reference.smooth_step(name, x - h, gamma)
    assert derivative(name, [x], gamma)[0] == pytest.approx(rise / (2 * h), rel=1e-4, abs=1e-5 / gamma)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
def test_kernel_has_unit_area(name: str, gamma: float) -> None:
    # x = gamma tan(a) maps the line onto an interval: the midpoint rule sees heavy tails too
    cells = 50_000
    angles = (np.arange(cells) + 0.5) / cells * np.pi - np.pi / 2
    slopes = np.array(derivative(name, list(gamma * np.tan(angles)), gamma))
    area = float(np.sum(slopes * gamma / np.cos(angles) ** 2) * np.pi / cells)
    assert area == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
@given(x=st.floats(0, 20), gamma=WIDTHS)
@settings(deadline=None, max_examples=25)
def test_kernel_is_even_and_never_negative(name: str, x: float, gamma: float) -> None:
    right, left = derivative(name, [x, -x], gamma)
    assert right == pytest.approx(left, rel=1e-9, abs=1e-14 / gamma)
    assert right >= 0


@pytest.mark.parametrize("name", HARD)
def test_step_is_strict_and_binary(name: str) -> None:
    smallest = torch.finfo(torch.float64).smallest_normal
    x = torch.tensor([-1.0, -smallest, -0.0, 0.0, smallest, 1.0], dtype=torch.float64)
    assert SURROGATES[name](x, 0.0, 1.0).tolist() == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("name", NAMES)
@given(points=POINTS, threshold=st.sampled_from([-0.5, 0.25, 1.0, 3.0]))
@settings(deadline=None, max_examples=20)
def test_the_threshold_shifts_the_step(name: str, points: list[float], threshold: float) -> None:
    u = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    spikes = SURROGATES[name](u, threshold, 0.7)
    (slope,) = torch.autograd.grad(spikes.sum(), u)
    shifted = [p - threshold for p in points]
    assert spikes.tolist() == pytest.approx([reference.spike(name, x, 0.7) for x in shifted], rel=1e-12)
    np.testing.assert_allclose(slope, [reference.kernel(name, x, 0.7) for x in shifted], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ["triangle", "rectangle"])
def test_compact_kernels_are_zero_outside(name: str) -> None:
    edge = {"triangle": 0.7, "rectangle": 0.35}[name]
    assert derivative(name, [edge * 1.0001, -edge * 1.0001, 50.0], 0.7) == [0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_peak_height(name: str) -> None:
    heights = {"triangle": 1, "rectangle": 1, "exponential": 0.5, "arctan": 1, "sigmoid": 0.25}
    assert derivative(name, [0.0], 0.4)[0] == pytest.approx(heights[name] / 0.4, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_upstream_gradient_is_multiplied(name: str) -> None:
    x = torch.tensor([0.1, -0.2], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad((SURROGATES[name](x, 0.0, 1.0) * torch.tensor([3.0, -5.0])).sum(), x)
    slopes = derivative(name, [0.1, -0.2], 1.0)
    assert gradient.tolist() == pytest.approx([3 * slopes[0], -5 * slopes[1]], rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_second_backward_is_the_derivative_of_the_kernel(name: str) -> None:
    points = [-1.3, -0.6, -0.2, 0.15, 0.45, 0.9]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((SURROGATES[name](x, 0.0, 0.8) ** 2 / 2 + x**3).sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    h = 1e-6
    expected = []
    for p in points:
        k = reference.kernel(name, p, 0.8)
        dk = (reference.kernel(name, p + h, 0.8) - reference.kernel(name, p - h, 0.8)) / (2 * h)
        expected.append(k * k + reference.spike(name, p, 0.8) * dk + 6 * p)
    np.testing.assert_allclose(curvature.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_double_backward_through_a_network_is_finite(name: str) -> None:
    torch.manual_seed(0)
    model = build("snn5", image_size=16, width=0.05, surrogate=name)
    weights = list(model.parameters())
    loss = model(torch.randn(2, 3, 16, 16), 2).logsumexp(-1).sum()
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    hessian_times_gradient = torch.autograd.grad(
        sum((g * g.detach()).sum() for g in gradients), weights, allow_unused=True
    )
    found = [h for h in hessian_times_gradient if h is not None]
    assert found
    assert all(torch.isfinite(h).all() for h in found)
    assert any(h.abs().max() > 0 for h in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtype_is_kept_forward_and_backward(name: str, dtype: torch.dtype) -> None:
    x = torch.tensor([-0.5, 0.25], dtype=dtype, requires_grad=True)
    y = SURROGATES[name](x, 0.0, 1.0)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert (y.dtype, gradient.dtype) == (dtype, dtype)


@pytest.mark.parametrize("gamma", [0, -1.0, float("nan")])
def test_width_must_be_positive(gamma: float) -> None:
    with refuses(ValueError, "gamma positive"):
        LIF(gamma=gamma)


def test_unknown_surrogate_lists_the_known() -> None:
    with refuses(ValueError, "'step'"):
        LIF(surrogate="step")
