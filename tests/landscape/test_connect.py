"""Bezier curves between checkpoints: their geometry, their training on a loss with a curved valley, and hygiene."""

import numpy as np
import pytest
import torch
from analytic_models import PerStep, Ring, batches
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset
from wording import refuses

from tetviz.errors import DataError, TrainingError
from tetviz.landscape import Evaluator, bezier, compute_curve, train_curve
from tetviz.models import build
from tetviz.summaries import barriers
from tetviz.training import mask_labels

ANGLE = np.deg2rad(170)
X = np.linspace(0, 1, 41)


def blank(samples=64):
    return TensorDataset(torch.zeros(samples, 1, 1, 1), torch.zeros(samples, dtype=torch.long))


def ring():
    return Ring([1.0, 0.0]), Ring([np.cos(ANGLE), np.sin(ANGLE)])


def states(*models):
    return [{n: p.detach().clone() for n, p in model.named_parameters()} for model in models]


def trained(seed=0, **settings):
    first, second = ring()
    settings = {"epochs": 20, "lr": 0.05, "batch_size": 8, "seed": seed, **settings}
    return train_curve(first, *states(first, second), blank(), 2, **settings)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    models = [build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4) for _ in range(2)]
    data = TensorDataset(torch.randn(12, 1, 16, 16), torch.arange(12) % 4)
    return *models, data


@given(st.floats(0, 1), st.integers(0, 1000))
@settings(max_examples=50)
def test_the_closed_form_and_the_tangent(t, seed):
    generator = np.random.default_rng(seed)
    w0, c, w1 = ({"w": torch.from_numpy(generator.standard_normal((2, 3)))} for _ in range(3))

    def at(t):
        return bezier(w0, c, w1, t)["w"].numpy()

    a, b, d = (each["w"].numpy() for each in (w0, c, w1))
    np.testing.assert_allclose(at(t), (1 - t) * ((1 - t) * a + t * b) + t * ((1 - t) * b + t * d), atol=1e-14)
    h = 1e-4
    np.testing.assert_allclose((at(t + h) - at(t - h)) / (2 * h), 2 * (1 - t) * (b - a) + 2 * t * (d - b), atol=1e-9)


def test_both_ends_are_exact_to_the_last_bit():
    generator = torch.Generator().manual_seed(0)
    w0, c, w1 = ({"w": scale * torch.randn(100, generator=generator)} for scale in (1, 1e3, 1e-3))
    assert torch.equal(bezier(w0, c, w1, 0.0)["w"], w0["w"])
    assert torch.equal(bezier(w0, c, w1, 1.0)["w"], w1["w"])


def test_a_control_point_in_the_middle_makes_a_straight_line():
    w0, w1 = {"w": torch.tensor([1.0, 2.0]).double()}, {"w": torch.tensor([-3.0, 5.0]).double()}
    middle = {"w": (w0["w"] + w1["w"]) / 2}
    for t in (0.2, 0.7):
        torch.testing.assert_close(bezier(w0, middle, w1, t)["w"], (1 - t) * w0["w"] + t * w1["w"])


def test_training_finds_the_way_around_a_ridge():
    """Two minima of (|w|^2 - 1)^2, nearly opposite each other: a barrier of about 1, and a valley that is a circle."""
    first, second = ring()
    control = trained()
    lines = compute_curve(Evaluator(first, batches(), 2), second.state_dict(), control, X)
    found = barriers(lines, "sdt", 2)
    # The chord passes the origin at a distance of cos(85 degrees).
    assert found["straight"] == pytest.approx((np.cos(ANGLE / 2) ** 2 - 1) ** 2, rel=1e-9)
    assert found["straight"] > 0.95
    assert 0 <= found["curve"] < 0.25
    assert lines.sdt_loss[1, 20, 1] < 0.2
    assert control["weight"].norm() > 1.2
    assert not control["weight"].requires_grad


def test_the_losses_on_the_curve_are_those_of_its_points():
    first, second = ring()
    control = {"weight": torch.tensor([[0.3, 1.7]], dtype=torch.float64)}
    lines = compute_curve(Evaluator(first, batches(), 2), second.state_dict(), control, X)
    t = X[:, None]
    w0, c, w1 = np.array([1.0, 0.0]), np.array([0.3, 1.7]), np.array([np.cos(ANGLE), np.sin(ANGLE)])
    on_curve = (1 - t) ** 2 * w0 + 2 * t * (1 - t) * c + t**2 * w1
    np.testing.assert_allclose(lines.sdt_loss[1, :, 1], first.loss(on_curve), rtol=1e-12)
    np.testing.assert_allclose(lines.sdt_loss[0, :, 1], first.loss((1 - t) * w0 + t * w1), rtol=1e-12)
    np.testing.assert_array_equal(lines.sdt_loss[:, [0, -1]], [lines.end_sdt_loss] * 2)
    assert (lines.path, lines.names, lines.bn) == ("bezier", ("straight", "curve"), "frozen")


def test_arc_lengths():
    first, second = ring()
    control = {"weight": torch.tensor([[0.3, 1.7]], dtype=torch.float64)}
    lines = compute_curve(Evaluator(first, batches(), 1), second.state_dict(), control, X)
    w0, c, w1 = np.array([1.0, 0.0]), np.array([0.3, 1.7]), np.array([np.cos(ANGLE), np.sin(ANGLE)])
    np.testing.assert_allclose(lines.arc[0], X * np.linalg.norm(w1 - w0), rtol=1e-12)
    fine = np.linspace(0, 1, 40001)[:, None]
    speed = np.linalg.norm(2 * (1 - fine) * (c - w0) + 2 * fine * (w1 - c), axis=1)
    exact = np.concatenate([[0], np.cumsum((speed[1:] + speed[:-1]) / 2) / 40000])[::1000]
    assert (lines.arc[1] <= exact + 1e-12).all()
    np.testing.assert_allclose(lines.arc[1], exact, rtol=1e-3)
    assert lines.arc[1, -1] > lines.arc[0, -1]


def test_the_seed_decides_the_curve():
    one, again, other = (trained(seed, epochs=2) for seed in (0, 0, 1))
    assert torch.equal(one["weight"], again["weight"])
    assert not torch.equal(one["weight"], other["weight"])


def test_the_loss_that_is_trained_is_the_one_asked_for():
    slopes = np.array([[2.0, 0.1], [-1.0, 3.0]])
    models = PerStep(slopes, [-1.0, 0.0]), PerStep(slopes, [0.0, -1.0])
    controls = {}
    for loss in ("sdt", "tet"):
        arguments = (models[0], *states(*models), blank(8), 2)
        controls[loss] = train_curve(*arguments, loss=loss, epochs=1, lr=1e-3, batch_size=8)["weight"]
    # One step of Adam has the length of the learning rate, downhill.
    start = np.array([-0.5, -0.5])
    for loss, control in controls.items():
        np.testing.assert_allclose(np.abs(control.numpy()[0] - start), 1e-3, rtol=1e-3)
        assert models[0].loss(loss, control.numpy()[0], 2) < models[0].loss(loss, start, 2)


def test_progress_reports_the_mean_loss_of_every_epoch():
    reports = []
    trained(epochs=20, progress=lambda *at: reports.append(at))
    assert [epoch for epoch, _ in reports] == list(range(1, 21))
    assert reports[-1][1] < 0.25 < reports[0][1] < 1.1


def test_a_batch_norm_network_runs_and_is_left_alone(network):
    first, second, data = network
    first.train()
    first.classifier.eval()
    first.features[0].requires_grad_(False)
    before = {n: t.clone() for n, t in first.state_dict().items()}
    flags = [(m, m.training) for m in first.modules()]
    grads = {n: p.requires_grad for n, p in first.named_parameters()}
    ends = states(first, second)
    kept = [{n: t.clone() for n, t in end.items()} for end in ends]
    rng = torch.get_rng_state()
    try:
        control = train_curve(first, *ends, data, 2, epochs=1, batch_size=6)
    finally:
        first.requires_grad_()
    assert torch.equal(torch.get_rng_state(), rng)
    assert set(control) == set(ends[0])
    assert all(torch.isfinite(t).all() for t in control.values())
    middle = {n: (ends[0][n] + ends[1][n]) / 2 for n in control}
    assert not torch.equal(control["classifier.weight"], middle["classifier.weight"])
    assert all(torch.equal(t, before[n]) for n, t in first.state_dict().items())
    assert all(m.training is flag for m, flag in flags)
    assert grads["classifier.weight"]
    assert all(p.grad is None for p in first.parameters())
    for end, copy_ in zip(ends, kept, strict=True):
        assert all(torch.equal(end[n], copy_[n]) for n in end)
    evaluator = Evaluator(first, data, 2, bn="recalibrate", calibration=data)
    lines = compute_curve(evaluator, second.state_dict(), control, np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(lines.sdt_loss).all()
    assert lines.bn == "recalibrate"


def test_statistics_are_recalibrated_on_the_curve(network):
    """At x = 1 with the statistics of the first checkpoint it would be neither of the two networks."""
    first, second, data = network
    start, end = states(first, second)
    control = {n: (w + end[n]) / 2 for n, w in start.items()}
    evaluator = Evaluator(first, data, 2, bn="recalibrate", calibration=data)
    lines = compute_curve(evaluator, second.state_dict(), control, np.array([0.0, 1.0]))
    expected = Evaluator(second, data, 2, bn="recalibrate", calibration=data).measure({})
    for line in (0, 1):
        np.testing.assert_array_equal(lines.sdt_loss[line, 1], expected.sdt_loss)
    np.testing.assert_array_equal(lines.end_sdt_loss[1], Evaluator(second, data, 2).measure({}).sdt_loss)


def test_a_loss_that_is_not_finite_ends_the_training():
    first, second = ring()
    start, end = states(first, second)
    end["weight"][0, 0] = torch.nan
    with refuses(TrainingError, "1 learning"):
        train_curve(first, start, end, blank(), 2, epochs=3)


def test_the_modes_are_restored_after_an_error():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 1))

        def forward(self, x, timesteps):
            raise RuntimeError("broken")

    model = Broken().eval()
    with refuses(RuntimeError, "broken"):
        train_curve(model, *states(model, model), blank(), 2)
    assert not model.training


def test_statistics_of_padding_are_refused(network):
    first, second, _ = network
    x_NT, labels_BT = torch.randn(4, 3, 1, 16, 16), mask_labels(torch.arange(4), torch.tensor([3, 2, 3, 3]), 3)
    data = [(x, labels) for x, labels in zip(x_NT, labels_BT, strict=True)]
    with refuses(DataError, "statistics 2 3"):
        train_curve(first, *states(first, second), data, 3, epochs=1)
