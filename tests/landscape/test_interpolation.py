"""The straight line between two checkpoints: closed forms, exact ends, batch-norm statistics, barriers."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from analytic_models import Analytic, Quadratic, Ring, batches, spd
from planted_results import planted_interpolation
from torch import nn
from wording import refuses

from tetviz.errors import CheckpointError, ResultError
from tetviz.landscape import Evaluator, Store, compute_curve, compute_interpolation
from tetviz.models import build
from tetviz.results import load
from tetviz.summaries import barriers

X = np.array([-0.5, 0.0, 0.25, 0.5, 1.0, 1.5])
FIELDS = ("sdt_loss", "tet_loss", "accuracy", "done", "end_sdt_loss", "end_tet_loss", "end_accuracy", "arc")


def small():
    return build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)


@pytest.fixture(scope="module")
def networks():
    """Two networks trained from different seeds on the same data, which do well with their own statistics alone."""
    torch.manual_seed(0)
    x, y = torch.randn(24, 1, 16, 16), torch.arange(24) % 4
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = small()
        optimizer = torch.optim.Adam(model.parameters(), 1e-2)
        for _ in range(25):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x, 2).mean(0), y).backward()
            optimizer.step()
        model.timesteps = 2
        models.append(model.eval())
    return *models, [(x[:14], y[:14]), (x[14:], y[14:])]


@pytest.fixture(scope="module")
def line(networks):
    first, second, data = networks
    return compute_interpolation(Evaluator(first, data, 2, calibration=data), second.state_dict(), X)


class Recorder(Analytic):
    """Keeps every weight that it was called with; float32."""

    seen: list = []  # noqa: RUF012

    def __init__(self, start):
        super().__init__(start)
        self.float()

    def height(self):
        self.seen.append(self.weight.detach().clone())
        return 1 + (self.weight**2).mean()


def test_the_closed_form_on_a_quadratic():
    w0, w1 = np.array([1.0, -2.0, 0.5]), np.array([-1.0, 0.5, 3.0])
    model = Quadratic(spd(3), w0, minimum=[0.1, 0.2, 0.3])
    lines = compute_interpolation(Evaluator(model, batches(), 2), model.at(w1).state_dict(), X)
    exact = model.loss((1 - X[:, None]) * w0 + X[:, None] * w1)
    for loss in (lines.sdt_loss, lines.tet_loss):
        np.testing.assert_allclose(loss[0], exact[:, None] * np.ones(2), rtol=1e-12)
    np.testing.assert_allclose(lines.end_sdt_loss, np.repeat(model.loss([w0, w1])[:, None], 2, 1), rtol=1e-12)
    np.testing.assert_allclose(lines.arc, [np.linalg.norm(w1 - w0) * X], rtol=1e-14)
    assert (lines.path, lines.names, lines.bn) == ("linear", ("straight",), "straight")
    np.testing.assert_array_equal(lines.x, X)
    assert lines.done.all()


def test_both_ends_are_exact_to_the_last_bit():
    """w + x (w' - w), as other tools step, is another network at x = 1; loss-landscapes never visits the start."""
    generator = torch.Generator().manual_seed(0)
    w0, w1 = torch.randn(200, generator=generator), 1e-3 * torch.randn(200, generator=generator)
    assert not torch.equal(w0 + (w1 - w0), w1)
    model, other = Recorder(w0), Recorder(w1)
    Recorder.seen.clear()
    compute_interpolation(Evaluator(model, batches(), 1), other.state_dict(), np.array([0.0, 1.0, 2.0]))
    # The two ends, then the line from coarse to fine: 0, 2, 1.
    expected = [model.weight, other.weight, model.weight, None, other.weight]
    assert len(Recorder.seen) == 5
    for seen, wanted in zip(Recorder.seen, expected, strict=True):
        assert wanted is None or torch.equal(seen, wanted)


def test_an_end_with_the_statistics_of_the_start_is_not_the_second_checkpoint(networks, line):
    """loss-landscapes reported 5.756 at the end of such a line, of a network whose loss is 0.0022."""
    first, second, data = networks
    own = [Evaluator(model, data, 2).measure({}) for model in (first, second)]
    at0, at1 = (int(np.flatnonzero(line.x == x)[0]) for x in (0, 1))
    assert line.names == ("held", "interpolated", "recalibrated")
    for name in ("sdt_loss", "tet_loss", "accuracy"):
        values = getattr(line, name)
        np.testing.assert_array_equal(values[0, at0], getattr(own[0], name))
        np.testing.assert_array_equal(values[1, at0], getattr(own[0], name))
        np.testing.assert_array_equal(values[1, at1], getattr(own[1], name))
        np.testing.assert_array_equal(getattr(line, f"end_{name}"), [getattr(each, name) for each in own])
    assert line.sdt_loss[0, at1, -1] > own[1].sdt_loss[-1] + 0.1


def test_the_barrier_is_above_the_true_ends_whatever_the_treatment(networks, line):
    first, second, data = networks
    ends = np.mean([Evaluator(model, data, 2).measure({}).sdt_loss[-1] for model in (first, second)])
    inside = (line.x >= 0) & (line.x <= 1)
    found = barriers(line, "sdt", 2)
    for index, name in enumerate(("held", "interpolated", "recalibrated")):
        assert found[name] == pytest.approx(line.sdt_loss[index, inside, -1].max() - ends, rel=1e-12)


def test_statistics_are_recalibrated_at_every_point(networks, line):
    """Against means and unbiased variances of what every normalisation is given, gathered by hooks."""
    first, second, data = networks
    model = copy.deepcopy(first)
    with torch.no_grad():
        for mine, other in zip(model.parameters(), second.parameters(), strict=True):
            mine.copy_(0.5 * mine + 0.5 * other)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    gathered = {norm: [] for norm in norms}

    def gather(norm, inputs):
        channels = inputs[0].transpose(0, 1).flatten(1)
        gathered[norm].append((channels.mean(1), channels.var(1, unbiased=True)))

    handles = [norm.register_forward_pre_hook(gather) for norm in norms]
    with torch.no_grad():
        model.train()
        for x, _ in data:
            model(x, 2)
    for handle in handles:
        handle.remove()
    for norm, values in gathered.items():
        assert len(values) == 2
        norm.running_mean.copy_(torch.stack([mean for mean, _ in values]).mean(0))
        norm.running_var.copy_(torch.stack([variance for _, variance in values]).mean(0))
    expected = Evaluator(model.eval(), data, 2).measure({})
    at = int(np.flatnonzero(line.x == 0.5)[0])
    np.testing.assert_allclose(line.sdt_loss[2, at], expected.sdt_loss, rtol=1e-4)
    assert abs(line.sdt_loss[0, at, -1] - expected.sdt_loss[-1]) > 1e-2


def test_without_calibration_data_no_line_is_recalibrated(networks):
    first, second, data = networks
    lines = compute_interpolation(Evaluator(first, data, 2), second.state_dict(), np.array([0.0, 1.0]))
    assert lines.names == ("held", "interpolated")
    assert lines.calibration.size == 0


def test_counters_are_not_interpolated(networks, monkeypatch):
    """Averaged counts of batches are no integers; loss-landscape's states mode meets a long tensor and stops."""
    first, second = copy.deepcopy(networks[0]), copy.deepcopy(networks[1])
    for model, count in ((first, 7), (second, 10)):
        for name, buffer in model.named_buffers():
            if name.endswith("num_batches_tracked"):
                buffer.fill_(count)
    evaluator, seen = Evaluator(first, networks[2], 2), []
    measure = evaluator.measure

    def spy(*arguments, **settings):
        profile = measure(*arguments, **settings)
        seen.append({n: b.clone() for n, b in evaluator.model.named_buffers() if not b.is_floating_point()})
        return profile

    monkeypatch.setattr(evaluator, "measure", spy)
    compute_interpolation(evaluator, second.state_dict(), np.array([0.5]))
    assert len(seen) == 2
    assert seen[0]
    for counters, count in zip(seen, (7, 7), strict=True):
        assert all(c.dtype == torch.int64 and int(c) == count for c in counters.values())


def test_a_network_with_other_float_buffers_ends_at_the_second_checkpoint_too():
    """Statistics that are held although nobody said so: loss-landscapes' bug, with a running threshold."""

    class Threshold(Quadratic):
        def __init__(self, threshold):
            super().__init__(np.eye(2), np.ones(2) * threshold)
            self.register_buffer("threshold", torch.tensor(threshold, dtype=torch.float64))

        def height(self):
            return super().height() + self.threshold**2

    first, second = Threshold(1.0), Threshold(3.0)
    lines = compute_interpolation(Evaluator(first, batches(), 1), second.state_dict(), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(lines.end_sdt_loss[:, 0], [2.1, 18.1], rtol=1e-12)
    np.testing.assert_array_equal(lines.sdt_loss[0, [0, 2], 0], lines.end_sdt_loss[:, 0])


def test_a_variance_that_turns_negative_is_nan_and_done(networks):
    """Its root is NaN, and a NaN potential fires no spike: unchecked, that is the finite loss of a dead layer."""
    first, _, data = networks
    state = {n: t * 0.1 if n.endswith("running_var") else t for n, t in first.state_dict().items()}
    lines = compute_interpolation(Evaluator(first, data, 2), state, np.array([-0.5, 0.0, 1.0, 1.5]))
    assert np.isnan(lines.sdt_loss[1, 3]).all()
    assert np.isfinite(lines.sdt_loss[1, :3]).all()
    assert np.isfinite(lines.sdt_loss[0]).all()
    assert lines.done.all()
    assert np.isfinite(list(barriers(lines, "sdt", 2).values())).all()


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_the_barrier_of_a_double_well(tilt):
    """(w^2 - 1)^2 + tilt w + c from -1 to 1: higher than the wells in between and outside, where it does not count."""
    model = Ring([-1.0], tilt=tilt, floor=0.5)
    x = np.linspace(-0.5, 1.5, 161)
    lines = compute_interpolation(Evaluator(model, batches(), 2), model.at([1.0]).state_dict(), x)
    w = 2 * np.linspace(0, 1, 20001) - 1
    exact = ((w**2 - 1) ** 2 + tilt * w).max()
    for loss in ("sdt", "tet"):
        assert barriers(lines, loss, 2) == {"straight": pytest.approx(exact, rel=1e-4)}
    assert lines.sdt_loss[0, 0, 1] > 8
    if not tilt:
        assert barriers(lines, "sdt", 1)["straight"] == pytest.approx(1.0, rel=1e-12)


def test_the_barrier_takes_the_mean_of_the_two_ends_and_may_be_negative():
    """Frankle et al. 2020, section 2: above the mean of both ends, not above the higher or the lower one."""
    model = Quadratic(np.eye(1), [1.0])
    lines = compute_interpolation(Evaluator(model, batches(), 1), model.at([3.0]).state_dict(), np.linspace(0, 1, 5))
    assert barriers(lines, "sdt", 1)["straight"] == pytest.approx(4.6 - (0.6 + 4.6) / 2)


def test_barriers_on_planted_humps():
    found = barriers(planted_interpolation(barrier=2.0), "sdt", 4)
    # 0.1 + 0.2 x + 8 x (1 - x) / 2^k on a grid of 0.05, above 0.2.
    x = np.linspace(0, 1, 21)
    for k, name in enumerate(("held", "interpolated", "recalibrated")):
        assert found[name] == pytest.approx((0.1 + 0.2 * x + 8 * x * (1 - x) / 2**k).max() - 0.2, rel=1e-9)


def test_a_barrier_of_which_a_part_is_not_measured_is_nan():
    """From coarse to fine the ends come first: their maximum is not the barrier of the path."""
    lines = planted_interpolation()
    values, done = lines.sdt_loss.copy(), lines.done.copy()
    hump = np.abs(lines.x - 0.5) < 0.3
    values[0, hump], done[0, hump] = np.nan, 0
    found = barriers(dataclasses.replace(lines, sdt_loss=values, done=done), "sdt", 4)
    assert np.isnan(found["held"])
    assert found["interpolated"] == barriers(lines, "sdt", 4)["interpolated"]


def test_a_path_that_diverges_has_no_low_barrier():
    lines = planted_interpolation()
    values = lines.sdt_loss.copy()
    values[0, np.abs(lines.x - 0.5) < 0.3] = np.inf
    assert not np.isfinite(barriers(dataclasses.replace(lines, sdt_loss=values), "sdt", 4)["held"])


def test_an_infinite_loss_is_kept_as_it_is():
    model = Quadratic(np.eye(2), [1.0, 0.0])
    lines = compute_interpolation(
        Evaluator(model, batches(), 2), model.at([0.0, 1e3]).state_dict(), np.array([0.0, 1.0])
    )
    assert np.isinf(lines.sdt_loss[0, 1]).all()
    assert np.isnan(lines.sdt_loss_se[0, 1]).all()
    assert lines.done.all()


@pytest.mark.parametrize("change", ["shape", "missing", "buffer"])
@pytest.mark.parametrize("kind", ["line", "curve"])
def test_another_architecture_is_refused(networks, change, kind):
    first, second, data = networks
    state = dict(second.state_dict())
    name = next(n for n in state if n.endswith("running_mean" if change == "buffer" else "weight"))
    if change == "shape":
        state[name] = torch.zeros(3, 3)
    else:
        del state[name]
    evaluator = Evaluator(first, data, 2)
    with refuses(CheckpointError, name):
        if kind == "line":
            compute_interpolation(evaluator, state, X)
        else:
            compute_curve(evaluator, state, evaluator.origin, np.array([0.0, 1.0]))


def test_an_interrupted_run_goes_on_to_the_same_bytes(networks, tmp_path):
    first, second, data = networks
    evaluator = Evaluator(first, data, 2, calibration=data)
    whole = compute_interpolation(evaluator, second.state_dict(), X, store=Store(tmp_path / "whole.h5"))

    def stop(done, total):
        if done == 8:
            raise KeyboardInterrupt

    path, calls = tmp_path / "part.h5", []
    with pytest.raises(KeyboardInterrupt):
        compute_interpolation(evaluator, second.state_dict(), X, store=Store(path, progress=stop))
    assert load(path).done.sum() == 8
    again = Store(path, progress=lambda *at: calls.append(at))
    resumed = compute_interpolation(evaluator, second.state_dict(), X, store=again)
    assert calls == [(k, 18) for k in range(9, 19)]
    for name in FIELDS:
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


@pytest.mark.parametrize("part", ["weights", "buffers"])
def test_a_line_to_another_checkpoint_in_the_same_file_is_refused(networks, tmp_path, part):
    first, second, data = networks
    evaluator, state = Evaluator(first, data, 2), second.state_dict()
    compute_interpolation(evaluator, state, np.array([0.0, 1.0]), store=Store(tmp_path / "l.h5"))
    name = next(n for n in state if n.endswith("weight" if part == "weights" else "running_var"))
    other = {**state, name: state[name] * 1.01}
    with refuses(ResultError, "holds another"):
        compute_interpolation(evaluator, other, np.array([0.0, 1.0]), store=Store(tmp_path / "l.h5"))


def test_the_networks_are_left_alone(networks):
    first, second, data = networks
    before = [{n: t.clone() for n, t in model.state_dict().items()} for model in (first, second)]
    rng = torch.get_rng_state()
    compute_interpolation(Evaluator(first, data, 2, calibration=data), second.state_dict(), X)
    for model, state in zip((first, second), before, strict=True):
        assert all(torch.equal(t, state[n]) for n, t in model.state_dict().items())
        assert all(p.requires_grad for p in model.parameters())
        assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)
