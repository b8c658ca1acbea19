"""Curvature: the surrogate Hessian against autograd and NumPy, and the measured loss at finite radii."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from analytic_models import Misled, NoSecond, Quadratic, batches, spd
from planted_results import planted_curvature
from scipy.integrate import trapezoid
from torch import nn
from torch.func import functional_call
from wording import refuses

from tetviz.errors import DataError, ResultError
from tetviz.landscape import Evaluator, Store, compute_curvature
from tetviz.landscape import hessian as operators
from tetviz.landscape.gradient import random_parameters, surrogate_gradient
from tetviz.landscape.hessian import SurrogateHessian, spectral_density, top_eigenvalues, trace_estimates
from tetviz.models import LIF, build
from tetviz.results import load
from tetviz.summaries import finite_curvature, outlying_eigenvalues, slope_agreement
from tetviz.training import mask_labels
from tetviz.training.losses import LOSSES

SIZE = 12
START = np.linspace(-1, 1.4, SIZE)
RADII = (0.01, 0.1, 1.0)
FIELDS = (
    *("sdt_loss", "tet_loss", "done", "shifted_sdt_loss", "shifted_tet_loss", "shifted_done", "eigenvalue"),
    *(
        "eigenvalue_residual",
        "trace_estimate",
        "bin",
        "density",
        "repeat_density",
        "slope",
        "surrogate_curvature",
        "center_sdt_loss",
    ),
)


class Tiny(nn.Module):
    """Two linear layers with spiking neurons between them, float64."""

    def __init__(self, surrogate, gamma=1.0, hidden=6):
        super().__init__()
        generator = torch.Generator().manual_seed(4)
        self.first, self.second = nn.Linear(5, hidden), nn.Linear(hidden, 3)
        self.neurons = LIF(0.5, 0.6, surrogate, gamma)
        self.double()
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator, dtype=torch.float64))

    def forward(self, x, timesteps):
        current = self.first(x.flatten(1)).expand(timesteps, -1, -1)
        return self.second(self.neurons(current))


def images(*sizes):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(sum(sizes), 5, 1, 1, generator=generator).double(), torch.arange(sum(sizes)) % 3
    return list(zip(x.split(sizes), y.split(sizes), strict=True))


def hessian_of(model, data, timesteps=3, loss="sdt"):
    evaluator = Evaluator(model, data, timesteps)
    return SurrogateHessian(evaluator, loss, random_parameters(evaluator))


def columns(hessian, matrix):
    return (hessian @ torch.as_tensor(matrix)).detach().numpy()


def quadratic(matrix=None):
    matrix = spd(SIZE, 1) if matrix is None else matrix
    return Quadratic(matrix, np.linspace(-1, 1.4, len(matrix)), minimum=0.1 * np.ones(len(matrix)))


def planted(model=None, **settings):
    settings = {"directions": 5, "radii": RADII, "trace_probes": 4, "lanczos_steps": 6, "bins": 64, **settings}
    return compute_curvature(Evaluator(model or quadratic(), batches(), 2), **settings)


def units(result, size=SIZE):
    """The directions, from their stored seeds."""
    draws = [np.random.default_rng(seed).standard_normal((1, size))[0] for seed in result.direction_seed]
    return np.array([z / np.linalg.norm(z) for z in draws])


# --- the operator -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["sdt", "tet"])
def test_the_hessian_of_a_smooth_network_is_that_of_autograd(loss):
    model = Tiny("sigmoid", 0.3)
    data = images(4, 3)
    x, labels = torch.cat([x for x, _ in data]), torch.cat([y for _, y in data])
    names = ["first.weight", "second.weight"]
    shapes = [model.get_parameter(n).shape for n in names]

    def value(flat):
        parts = flat.split([s.numel() for s in shapes])
        weights = {n: part.view(s) for n, part, s in zip(names, parts, shapes, strict=True)}
        return LOSSES[loss](functional_call(model, weights, (x, 3)), labels)

    at = torch.cat([model.get_parameter(n).detach().flatten() for n in names])
    exact = torch.autograd.functional.hessian(value, at).numpy()
    v = np.random.default_rng(0).standard_normal((len(at), 3))
    found = columns(hessian_of(model, data, loss=loss), v)
    np.testing.assert_allclose(found, exact @ v, rtol=1e-8, atol=1e-10)
    assert np.abs(exact).max() > 1e-2


@pytest.mark.parametrize("loss", ["sdt", "tet"])
@pytest.mark.parametrize("surrogate", ["triangle", "arctan"])
def test_the_surrogate_hessian_is_symmetric(surrogate, loss):
    hessian = hessian_of(Tiny(surrogate), images(6), loss=loss)
    generator = np.random.default_rng(0)
    u, v = (generator.standard_normal((hessian.shape[0], 4)) for _ in range(2))
    there, back = u.T @ columns(hessian, v), (v.T @ columns(hessian, u)).T
    assert np.abs(there).max() > 0.1
    np.testing.assert_allclose(there, back, rtol=1e-9, atol=1e-10)


def test_the_number_of_batches_does_not_change_it():
    """loss-landscape adds up the means of the batches: its eigenvalues grew with the number of batches."""
    whole, parts = (hessian_of(Tiny("triangle"), images(*sizes)) for sizes in ((9,), (4, 4, 1)))
    v = np.random.default_rng(0).standard_normal((whole.shape[0], 2))
    np.testing.assert_allclose(columns(parts, v), columns(whole, v), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(top_eigenvalues(parts, 2)[0], top_eigenvalues(whole, 2)[0], rtol=1e-6)


def test_biases_are_held_and_their_columns_left_out():
    hessian = hessian_of(Tiny("triangle"), images(4))
    assert hessian.shape == (5 * 6 + 6 * 3,) * 2


def test_a_weight_that_the_output_does_not_depend_on_has_no_curvature():
    class Idle(Quadratic):
        def __init__(self):
            super().__init__(spd(4), np.ones(4))
            self.idle = nn.Parameter(torch.ones(1, 2, dtype=torch.float64))

    hessian = hessian_of(Idle(), batches())
    np.testing.assert_allclose(columns(hessian, np.eye(6))[:4, :4], spd(4), atol=1e-9)
    np.testing.assert_array_equal(columns(hessian, np.eye(6))[4:], 0)


# --- eigenvalues, trace, density ----------------------------------------------------------------------------


def test_the_largest_eigenvalues_with_their_residuals():
    """The largest, not the largest in size, which power iteration finds."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((SIZE, SIZE)))
    matrix = rotation @ np.diag([-50.0, *np.linspace(0.1, 7, SIZE - 1)]) @ rotation.T
    matrix = (matrix + matrix.T) / 2
    model = Quadratic(matrix, np.zeros(SIZE), floor=0.3)
    values, residuals = top_eigenvalues(hessian_of(model, batches()), 4)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix)[::-1][:4], rtol=1e-3)
    assert (np.diff(values) < 0).all()
    assert (residuals < 1e-2).all()


@pytest.mark.parametrize("size", [1, 2])
def test_one_or_two_parameters_have_eigenvalues_too(size):
    """Such as the learned leaks of two layers, with a policy that moves nothing else."""
    matrix = spd(size) if size > 1 else np.array([[2.0]])
    result = planted(quadratic(matrix), directions=2)
    assert result.eigenvalue[0] == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-3)


def test_a_hessian_of_zero_is_said_to_be_zero_and_radii_are_measured():
    """Of a network whose neurons are all far from their thresholds."""
    model = Quadratic(np.zeros((SIZE, SIZE)), np.ones(SIZE), floor=1.0)
    result = planted(model)
    np.testing.assert_allclose(result.eigenvalue, 0, atol=1e-9)
    np.testing.assert_allclose(result.sdt_loss, 1.0, rtol=1e-12)


def test_a_hessian_of_low_rank_has_eigenvalues_of_zero_and_finite_residuals():
    matrix = np.zeros((SIZE, SIZE))
    matrix[0, 0], matrix[1, 1] = 3.0, 2.0
    values, residuals = top_eigenvalues(hessian_of(quadratic(matrix), batches()), 4)
    np.testing.assert_allclose(values, [3, 2, 0, 0], atol=1e-3)
    assert not np.isnan(residuals).any()


def test_estimates_of_the_trace_are_unbiased_and_as_many_as_asked_for():
    """PyHessian stops when the running mean happens not to move: 31 to 72 probes, 63 to 80 for a trace of 65.8."""
    matrix = spd(SIZE, 1)
    hessian = hessian_of(quadratic(), batches())
    estimates = trace_estimates(hessian, 300, seed=5)
    assert len(estimates) == 300
    error = estimates.std(ddof=1) / math.sqrt(300)
    assert abs(estimates.mean() - np.trace(matrix)) < 4 * error
    # Of random signs the variance is twice the sum of squares off the diagonal.
    exact = math.sqrt(2 * (np.sum(matrix**2) - np.sum(np.diag(matrix) ** 2)))
    assert estimates.std(ddof=1) == pytest.approx(exact, rel=0.25)
    np.testing.assert_array_equal(trace_estimates(hessian, 3, seed=5), estimates[:3])
    assert trace_estimates(hessian, 3, seed=6).tolist() != estimates[:3].tolist()


def test_random_signs_find_the_trace_of_a_diagonal_exactly():
    estimates = trace_estimates(hessian_of(quadratic(np.diag(np.arange(1.0, 8))), batches()), 5)
    np.testing.assert_allclose(estimates, 28, rtol=1e-9)


@pytest.mark.parametrize("steps", [12, 30])
def test_the_density_has_integral_one_and_the_mean_of_the_eigenvalues(steps):
    """PyHessian squares the whole matrix of eigenvectors: its densities have the integral 30."""
    size = 40
    matrix = spd(size, 1, low=-1.0, high=4.0)
    model = Quadratic(matrix, np.zeros(size), floor=0.4)
    places, densities = spectral_density(hessian_of(model, batches()), steps, 400, 2)
    density = densities.mean(0)
    assert (density >= 0).all()
    assert trapezoid(density, places) == pytest.approx(1, abs=0.01)
    # Three starting vectors: the mean of v'Hv / v'v has the variance 2 var(lambda) / (3 (n + 2)).
    values = np.linalg.eigvalsh(matrix)
    error = math.sqrt(2 * values.var() / (3 * (size + 2)))
    assert abs(trapezoid(places * density, places) - values.mean()) < 4 * error + 0.02
    assert places[0] < -1
    assert places[-1] > 4


def test_a_hessian_of_low_rank_has_a_density_of_integral_one():
    """Lanczos ends early on it, as on any network with fewer different eigenvalues than Lanczos vectors."""
    matrix = np.zeros((SIZE, SIZE))
    matrix[0, 0], matrix[1, 1] = 3.0, 2.0
    places, densities = spectral_density(hessian_of(quadratic(matrix), batches()), SIZE, 400, 2)
    density = densities.mean(0)
    assert trapezoid(density, places) == pytest.approx(1, abs=0.02)
    assert trapezoid(density[places < 1], places[places < 1]) > 0.5


def test_the_density_carries_the_spread_over_its_random_starts(monkeypatch):
    """Two of 300 eigenvalues lie apart; of a mean alone nobody sees that single starts meet from 0 to 4 and more."""
    monkeypatch.setattr("tetviz.landscape.hessian.DENSE_ROWS", 0)
    matrix = np.diag(np.concatenate([np.linspace(0, 0.5, 298), [10.0, 9.0]]))
    found = compute_curvature(
        Evaluator(Quadratic(matrix, np.zeros(300)), batches(), 2),
        2,
        (0.1,),
        eigenvalues=2,
        trace_probes=2,
        lanczos_steps=20,
    )
    assert found.repeat_density.shape == (len(found.repeat), len(found.bin))
    np.testing.assert_allclose(found.repeat_density.mean(0), found.density)
    for each in found.repeat_density:
        assert trapezoid(each, found.bin) == pytest.approx(1, abs=0.02)
    above = found.bin >= found.eigenvalue.max() / 2
    single = [300 * trapezoid(each[above], found.bin[above]) for each in found.repeat_density]
    outliers = outlying_eigenvalues(found)
    assert outliers.mean == pytest.approx(np.mean(single)) and max(single) > 1.5 * min(single)
    assert outliers.low < 2 < outliers.high


def test_a_matrix_that_is_decomposed_whole_has_no_spread():
    _, densities = spectral_density(hessian_of(quadratic(), batches()), 5, 50, 4)
    assert (densities == densities[0]).all()


def test_the_seed_decides_the_random_vectors_and_the_callers_random_state_is_left_alone(monkeypatch):
    monkeypatch.setattr("tetviz.landscape.hessian.DENSE_ROWS", 0)
    hessian = hessian_of(quadratic(), batches())
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    runs = [(*top_eigenvalues(hessian, 3, s), *spectral_density(hessian, 6, 32, 2, s)) for s in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    for one, again in zip(runs[0], runs[1], strict=True):
        np.testing.assert_array_equal(one, again)
    assert not np.array_equal(runs[0][3], runs[2][3])


# --- finite radii -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["sdt", "tet"])
def test_a_quadratic_has_the_same_curvature_at_every_radius(loss):
    model = quadratic()
    result = planted(model, loss=loss)
    v = units(result)
    exact = np.einsum("ki,ij,kj->k", v, spd(SIZE, 1), v)
    np.testing.assert_allclose(result.surrogate_curvature, exact, rtol=1e-9)
    for timestep in (1, 2):
        np.testing.assert_allclose(finite_curvature(result, timestep), np.tile(exact[:, None], 3), rtol=1e-7)
    np.testing.assert_allclose(result.slope, v @ model.gradient(START), rtol=1e-9, atol=1e-12)
    assert result.gradient_norm == pytest.approx(np.linalg.norm(model.gradient(START)), rel=1e-9)
    assert result.weight_norm == pytest.approx(np.linalg.norm(START), rel=1e-12)
    assert (result.parameters, result.loss, result.note) == (SIZE, loss, "")
    np.testing.assert_allclose(result.center_sdt_loss, model.loss(START), rtol=1e-12)


def test_steps_are_where_they_are_said_to_be():
    model = quadratic()
    result = planted(model)
    v, length = units(result), np.linalg.norm(START)
    for i, radius in enumerate(RADII):
        for j, side in enumerate((-1, 1)):
            exact = model.loss(START + side * radius * length * v)
            np.testing.assert_allclose(result.sdt_loss[:, i, j, 1], exact, rtol=1e-10)
            for base in (0, 1):
                draws = [np.random.default_rng(s).standard_normal((1, SIZE))[0] for s in result.base_seed[:, base]]
                u = np.array([z / np.linalg.norm(z) for z in draws])
                exact = model.loss(START + radius * length * u + side * radius * length * v)
                np.testing.assert_allclose(result.shifted_sdt_loss[:, base, i, j, 1], exact, rtol=1e-10)
    seeds = np.concatenate([result.direction_seed, result.base_seed.ravel()])
    assert len(set(seeds.tolist())) == 15


def test_the_curvature_of_a_smooth_network_is_the_limit_of_finite_ones():
    evaluator = Evaluator(Tiny("sigmoid", 0.3), images(8), 3)
    result = compute_curvature(evaluator, 6, (1e-3, 1e-2, 1e-1), eigenvalues=1, trace_probes=1, lanczos_steps=4)
    off = np.abs(finite_curvature(result, 3) - result.surrogate_curvature[:, None]).max(0)
    assert off[0] < 1e-3 * np.abs(result.surrogate_curvature).max()
    assert off[0] < 0.1 * off[1] < 0.1 * off[2]


def test_the_surrogate_curvature_of_hard_spikes_is_not_a_limit_of_anything_measured():
    """What studies report as "the Hessian of a spiking network" is not the curvature of its loss."""
    evaluator = Evaluator(Tiny("triangle"), images(8), 3)
    result = compute_curvature(evaluator, 6, (1e-3, 1e-2, 1e-1), eigenvalues=1, trace_probes=1, lanczos_steps=4)
    off = np.abs(finite_curvature(result, 3) - result.surrogate_curvature[:, None])
    assert (off.max(0) > 0.2 * np.abs(result.surrogate_curvature).max()).all()


def test_the_finite_curvature_of_planted_losses():
    result = planted_curvature()
    exact = 4 / (1 + 10 * result.radius) * (1 + 0.1 * np.cos(np.arange(8)))[:, None]
    np.testing.assert_allclose(finite_curvature(result, 4), exact, rtol=1e-6)
    done = result.done.copy()
    done[2, 1, 0] = 0
    found = finite_curvature(dataclasses.replace(result, done=done), 4)
    assert np.argwhere(np.isnan(found)).tolist() == [[2, 1]]


# --- slopes -------------------------------------------------------------------------------------------------


def agreement_of(degrees, bend=0.02, size=6, directions=160):
    """Of a loss whose slope is turned from what backward believes; what a quadratic adds is known as well."""
    a, b = np.zeros(size), np.zeros(size)
    a[0], b[0], b[1] = 1.0, np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    start = np.linspace(-0.3, 0.3, size)
    model = Misled(bend * np.eye(size), start, a, 2.5 * b)
    result = compute_curvature(
        Evaluator(model, batches(1), 1),
        directions,
        (0.3,),
        eigenvalues=1,
        trace_probes=1,
        lanczos_steps=2,
        bins=8,
    )
    true, believed = a + bend * start, 2.5 * b + bend * start
    return slope_agreement(result), true @ believed / np.linalg.norm(true) / np.linalg.norm(believed)


@pytest.mark.parametrize("degrees", [0, 60, 130])
def test_the_cosine_is_that_of_the_angle_between_both_gradients(degrees):
    found, exact = agreement_of(degrees)
    assert exact == pytest.approx(np.cos(np.deg2rad(degrees)), abs=0.02)
    assert (found["low"] <= found["cosine"]).all()
    assert (found["cosine"] <= found["high"]).all()
    assert (found["low"] <= exact + 1e-3).all()
    assert (found["high"] >= exact - 1e-3).all()
    assert (found["high"] - found["low"] < 0.35).all()
    np.testing.assert_allclose(found["correlation"], exact, atol=0.2)


def test_the_right_gradient_of_a_quadratic_has_cosine_one():
    result = planted(Quadratic(0.05 * np.eye(SIZE), 4 * START), directions=64, eigenvalues=1, lanczos_steps=2)
    found = slope_agreement(result)
    np.testing.assert_allclose(found["correlation"], 1, rtol=1e-9)
    np.testing.assert_allclose(found["cosine"][0], 1, atol=0.02)
    assert (found["low"] <= 1).all()
    assert (found["high"] >= 1).all()


def test_slopes_at_base_points_that_disagree_resolve_nothing():
    result = planted_curvature()
    shifted = result.shifted_sdt_loss.copy()
    shifted[:, 1] = shifted[:, 1, :, ::-1]
    found = slope_agreement(dataclasses.replace(result, shifted_sdt_loss=shifted))
    for name in ("cosine", "low", "high"):
        assert np.isnan(found[name]).all(), name
    assert np.isfinite(found["correlation"]).all()


def test_slopes_that_are_planted_alike_have_cosine_one():
    found = slope_agreement(planted_curvature())
    for name in ("cosine", "low", "high", "correlation"):
        np.testing.assert_allclose(found[name], 1, rtol=1e-6)
    opposite = planted_curvature()
    found = slope_agreement(dataclasses.replace(opposite, slope=-opposite.slope))
    np.testing.assert_allclose(found["cosine"], -1, rtol=1e-6)


def test_directions_that_are_not_measured_yet_are_left_out():
    result = planted_curvature(directions=12)
    generator = np.random.default_rng(0)
    result = dataclasses.replace(result, slope=result.slope * generator.uniform(0.2, 2, 12))
    done = result.shifted_done.copy()
    done[0, 0, 1, 0] = done[4, 1, 1, 1] = 0
    found = slope_agreement(dataclasses.replace(result, shifted_done=done))
    slope, here = result.slope, 0.01 * np.sin(1 + np.arange(12))
    everyone = list(range(12))
    for radius, known in enumerate([everyone, [each for each in everyone if each not in (0, 4)], everyone]):
        cosine = slope[known] @ here[known] / np.linalg.norm(slope[known]) / np.linalg.norm(here[known])
        assert found["cosine"][radius] == pytest.approx(cosine, rel=1e-6)
        assert found["correlation"][radius] == pytest.approx(cosine, rel=1e-6)


def test_seven_directions_are_too_few_for_a_cosine():
    result = planted_curvature()
    done = result.shifted_done.copy()
    done[7:, :, 1] = 0
    found = slope_agreement(dataclasses.replace(result, shifted_done=done))
    assert np.isnan([found[name][1] for name in ("cosine", "low", "high", "correlation")]).all()
    assert np.isfinite(found["cosine"][[0, 2, 3, 4]]).all()


# --- what cannot be differentiated twice --------------------------------------------------------------------


def test_a_double_backward_that_is_not_finite_is_noted_and_radii_are_measured():
    """snnTorch's sigmoid surrogate of slope 25 gives NaN there; its first derivative is in order."""
    model = NoSecond(spd(SIZE, 1), START, minimum=0.1 * np.ones(SIZE))
    result = planted(model)
    assert "not finite" in result.note
    for name in ("eigenvalue", "eigenvalue_residual", "trace_estimate", "density", "surrogate_curvature"):
        assert np.isnan(getattr(result, name)).all(), name
    v = units(result)
    exact = np.einsum("ki,ij,kj->k", v, spd(SIZE, 1), v)
    np.testing.assert_allclose(finite_curvature(result, 2), np.tile(exact[:, None], 3), rtol=1e-7)
    np.testing.assert_allclose(result.slope, v @ model.gradient(START), rtol=1e-9, atol=1e-12)
    assert result.done.all()
    assert result.shifted_done.all()


# --- files and hygiene --------------------------------------------------------------------------------------


@pytest.fixture
def hessians(monkeypatch):
    """Counts how often a Hessian is built."""
    built = []

    class Counted(SurrogateHessian):
        def __init__(self, *arguments):
            built.append(1)
            super().__init__(*arguments)

    monkeypatch.setattr(operators, "SurrogateHessian", Counted)
    return built


def test_a_resumed_run_goes_on_to_the_same_bytes_and_computes_no_second_hessian(tmp_path, hessians):
    whole = planted(store=Store(tmp_path / "whole.h5"))
    assert len(hessians) == 1

    def stop(done, total):
        assert total == 5 * 3 * 2 * 3
        if done in (3, 25):
            raise KeyboardInterrupt

    path = tmp_path / "part.h5"
    for reached in (3, 25):
        with pytest.raises(KeyboardInterrupt):
            planted(store=Store(path, progress=stop))
        part = load(path)
        assert part.done.sum() + part.shifted_done.sum() == reached
        assert len(hessians) == 2
    calls = []
    resumed = planted(store=Store(path, progress=lambda *at: calls.append(at)))
    assert calls == [(k, 90) for k in range(26, 91)]
    assert len(hessians) == 2
    for name in FIELDS:
        if name not in ("bin", "density"):
            assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes(), name
    planted(store=Store(path, force=True))
    assert len(hessians) == 3


def test_another_curvature_in_the_same_file_is_refused_before_its_hessian_is_computed(tmp_path, hessians):
    store = Store(tmp_path / "c.h5")
    planted(store=store)
    before = (tmp_path / "c.h5").read_bytes()
    with refuses(ResultError, "another curvature"):
        planted(loss="tet", store=store)
    assert (tmp_path / "c.h5").read_bytes() == before
    assert len(hessians) == 1


@pytest.mark.parametrize("frozen", [False, True])
def test_the_network_is_left_alone(frozen):
    model = Tiny("triangle").requires_grad_(not frozen)
    model.train()
    before = copy.deepcopy(model.state_dict())
    rng = torch.get_rng_state()
    result = compute_curvature(
        Evaluator(model, images(4), 2), 2, (0.1,), eigenvalues=1, trace_probes=1, lanczos_steps=3
    )
    assert np.isfinite(result.eigenvalue).all()
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(p.requires_grad is not frozen and p.grad is None for p in model.parameters())
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), rng)


def test_the_file_is_the_result(tmp_path):
    stored, memory = planted(store=Store(tmp_path / "c.h5")), planted()
    for name in FIELDS:
        if name not in ("bin", "density"):
            np.testing.assert_array_equal(getattr(stored, name), getattr(memory, name))
    assert stored.provenance.request == memory.provenance.request
    assert stored.weight_norm == memory.weight_norm
    assert (stored.eigenvalue_residual >= 0).all()


def test_both_passes_keep_all_bits_and_are_deterministic(monkeypatch):
    """TF32 rounds to 10 bits of mantissa; a convolution's backward pass reads the switch when it runs."""
    seen = []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic))
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            seen.append((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic))
            return gradient

    model = quadratic()
    plain = model.forward
    monkeypatch.setattr(model, "forward", lambda *inputs: Watched.apply(plain(*inputs)))
    planted(model, directions=2)
    assert len(seen) > 4 and set(seen) == {(False, True)}


def test_another_batch_norm_policy_is_refused():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    evaluator = Evaluator(model, [(torch.zeros(2, 2), torch.zeros(2, dtype=torch.long))], 1, bn="batch")
    with refuses(ValueError, "frozen"):
        compute_curvature(evaluator)


class OverTime(Tiny):
    """The same of sequences."""

    def forward(self, x_TB, timesteps):
        return self.second(self.neurons(self.first(x_TB[:timesteps].flatten(2))))


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_leave_padding_out(loss):
    model, x_TB, labels_B = OverTime("triangle"), torch.randn(4, 5, 5, dtype=torch.float64), torch.arange(5) % 3
    lengths_B = torch.tensor([4, 1, 2, 3, 2])
    x_TB[torch.arange(4)[:, None] >= lengths_B] = 9.0
    model.timesteps = 4
    labels_BT = mask_labels(labels_B, lengths_B, 4)
    evaluator = Evaluator(model, [(x_TB[:, :2], labels_BT[:2]), (x_TB[:, 2:], labels_BT[2:])], 4)
    weights = random_parameters(evaluator)
    slow = copy.deepcopy(model)
    own = [slow.get_parameter(name) for name in weights]
    each = [
        LOSSES[loss](slow(x_TB[:n, i : i + 1, :, None, None], n), labels_B[i : i + 1])
        for i, n in enumerate(lengths_B.tolist())
    ]
    gradients = torch.autograd.grad(torch.stack(each).mean(), own, create_graph=True)
    for found, expected in zip(surrogate_gradient(evaluator, loss, weights).values(), gradients, strict=True):
        torch.testing.assert_close(found, expected.detach())
    z = torch.ones(sum(weight.numel() for weight in own), dtype=torch.float64)
    along = torch.cat([each.flatten() for each in gradients]) @ z
    second = torch.cat([each.flatten() for each in torch.autograd.grad(along, own)])
    torch.testing.assert_close(SurrogateHessian(evaluator, loss, weights) @ z, second)


def test_statistics_are_not_estimated_on_padding():
    x_TB, labels_B = torch.randn(3, 4, 1, 16, 16), torch.arange(4)
    labels_BT = mask_labels(labels_B, torch.tensor([3, 3, 2, 3]), 3)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    with refuses(DataError, "statistics 2 3 frozen"):
        Evaluator(model, [(x_TB, labels_B)], 3, bn="recalibrate", calibration=[(x_TB, labels_BT)])
    with refuses(DataError, "statistics 2 3 frozen"):
        Evaluator(model, [(x_TB, labels_BT)], 3, bn="batch").measure({})
