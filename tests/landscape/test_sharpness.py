"""Steps up the surrogate gradient and in random directions: exact on quadratics, a plain backward on a network."""

import copy

import numpy as np
import pytest
import torch
from analytic_models import NoSecond, PerStep, Quadratic, batches, spd, vector
from torch import nn
from wording import refuses

from tetviz.errors import CheckpointError, ResultError
from tetviz.landscape import HOLD_ALL_BUT_WEIGHTS, Evaluator, RandomPlanes, Store, compute_sharpness
from tetviz.landscape.gradient import random_parameters, surrogate_gradient
from tetviz.models import build
from tetviz.results import load, open_result
from tetviz.summaries import plane_values
from tetviz.training.losses import LOSSES

SIZE = 6
START = np.array([0.9, -0.4, 1.2, 0.3, -0.8, 0.5])
RHO = (0.01, 0.1, 0.5)
X = np.linspace(-1, 1, 5)
FIELDS = (
    *("sdt_loss", "tet_loss", "done", "sam_sdt_loss", "sam_tet_loss", "sam_done"),
    *("average_sdt_loss", "average_tet_loss", "average_done"),
)


class WithBias(Quadratic):
    """A quadratic beside a long bias that is held, and does nothing."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.bias = nn.Parameter(torch.full((3,), 100.0, dtype=torch.float64))

    def height(self):
        return super().height() + 0 * self.bias.sum()


def quadratic():
    return WithBias(spd(SIZE, 2), START, minimum=0.2 * np.ones(SIZE))


def sharpness(model, planes=4, samples=(3,), timesteps=3, **arguments):
    evaluator = Evaluator(model, batches(*samples), timesteps)
    return compute_sharpness(evaluator, RandomPlanes(evaluator.model, 7, planes), X, RHO, **arguments)


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
    return model.double().eval(), [(x[:14].double(), y[:14]), (x[14:].double(), y[14:])]


def test_the_step_up_the_gradient_of_a_quadratic():
    model = quadratic()
    result = sharpness(model)
    g = model.gradient(START)
    assert result.weight_norm == pytest.approx(np.linalg.norm(START), rel=1e-14)
    for i, rho in enumerate(RHO):
        exact = model.loss(START + rho * np.linalg.norm(START) * g / np.linalg.norm(g))
        np.testing.assert_allclose(result.sam_sdt_loss[i], exact, rtol=1e-10)
        np.testing.assert_allclose(result.sam_tet_loss[i], exact, rtol=1e-10)


def test_random_steps_are_along_the_stored_seeds_and_of_the_same_length():
    model = quadratic()
    result = sharpness(model)
    assert len(set(result.draw_seed.tolist())) == 4
    for draw, seed in enumerate(result.draw_seed):
        z = np.random.default_rng(seed).standard_normal((1, SIZE))[0]
        for i, rho in enumerate(RHO):
            exact = model.loss(START + rho * np.linalg.norm(START) * z / np.linalg.norm(z))
            np.testing.assert_allclose(result.average_sdt_loss[draw, i], exact, rtol=1e-10)


def test_the_table_shows_their_rises():
    model = quadratic()
    result = sharpness(model)
    table = plane_values(result, "sdt", 3, (0.5,))
    g, length = model.gradient(START), np.linalg.norm(START)
    sam = model.loss(START + 0.1 * length * g / np.linalg.norm(g)) - model.loss(START)
    np.testing.assert_allclose(table["SAM at rho = 0.1"], sam, rtol=1e-9)
    average = result.average_sdt_loss[:, 1, 2] - model.loss(START)
    np.testing.assert_allclose(table["average at rho = 0.1"], average, rtol=1e-9)
    assert (sam > average).all()


@pytest.mark.parametrize("timesteps", [1, 3])
def test_each_loss_is_climbed_along_its_own_gradient(timesteps):
    slopes = np.array([[1.0, 0.2, 0, 0, 0, 0], [-0.5, 1.5, 0, 0.3, 0, 0], [0, 0, 1.0, 0, -2.0, 0.4]])
    model = PerStep(slopes, START)
    result = sharpness(model, timesteps=timesteps)
    for name in ("sdt", "tet"):
        g = model.gradient(name, START, timesteps)
        for i, rho in enumerate(RHO):
            w = START + rho * np.linalg.norm(START) * g / np.linalg.norm(g)
            found = getattr(result, f"sam_{name}_loss")[i]
            np.testing.assert_allclose(found, [model.loss(name, w, t + 1) for t in range(timesteps)], rtol=1e-10)
    if timesteps == 3:
        g = [model.gradient(name, START, 3) for name in ("sdt", "tet")]
        assert g[0] @ g[1] < 0.9 * np.linalg.norm(g[0]) * np.linalg.norm(g[1])


def test_batches_of_any_size_weigh_by_their_samples():
    """loss-landscape sums the means of the batches: its gradients and Hessians grow with their number."""
    whole, parts = sharpness(quadratic(), samples=(9,)), sharpness(quadratic(), samples=(4, 4, 1))
    np.testing.assert_allclose(whole.sam_sdt_loss, parts.sam_sdt_loss, rtol=1e-12)
    probes = [Evaluator(quadratic(), batches(*sizes), 3) for sizes in ((9,), (4, 4, 1))]
    one, other = (vector(surrogate_gradient(p, "sdt", random_parameters(p))) for p in probes)
    np.testing.assert_allclose(one, quadratic().gradient(START), rtol=1e-10)
    np.testing.assert_allclose(other, one, rtol=1e-12)


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path):
    whole = sharpness(quadratic(), store=Store(tmp_path / "whole.h5"))
    path, calls = tmp_path / "part.h5", []

    def stop(done, total):
        calls.append((done, total))
        if done in (2, 9, 20):
            raise KeyboardInterrupt

    for reached in (2, 9, 20):
        with pytest.raises(KeyboardInterrupt):
            sharpness(quadratic(), store=Store(path, progress=stop))
        part = load(path)
        assert sum(int(flags.sum()) for flags in (part.sam_done, part.average_done, part.done)) == reached
    resumed = sharpness(quadratic(), store=Store(path, progress=lambda *at: calls.append(at)))
    assert calls == [(k, 3 + 4 * 3 + 8 * 5) for k in range(1, 56)]
    for name in FIELDS:
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


def test_points_that_were_not_marked_done_are_computed_again(tmp_path):
    path = tmp_path / "s.h5"
    whole = sharpness(quadratic(), store=Store(path))
    with open_result(path) as stored:
        stored.sam_sdt_loss[1], stored.average_tet_loss[2, 0] = 123.0, 123.0
        stored.sam_done[1], stored.average_done[2, 0] = 0, 0
    again = sharpness(quadratic(), store=Store(path))
    for name in FIELDS:
        assert getattr(again, name).tobytes() == getattr(whole, name).tobytes()


def test_other_step_lengths_in_the_same_file_are_refused(tmp_path):
    evaluator = Evaluator(quadratic(), batches(), 3)
    planes = RandomPlanes(evaluator.model, 7, 2)
    compute_sharpness(evaluator, planes, X, (0.1,), store=Store(tmp_path / "s.h5"))
    with refuses(ResultError, "another rho"):
        compute_sharpness(evaluator, planes, X, (0.2,), store=Store(tmp_path / "s.h5"))


def test_a_gradient_of_zero_is_refused_in_words():
    with refuses(CheckpointError, "L_SDT 0.0"):
        sharpness(Quadratic(spd(SIZE), np.ones(SIZE), minimum=np.ones(SIZE)))


def test_a_gradient_that_is_not_finite_is_refused_in_words():
    with refuses(CheckpointError, "no way"):
        sharpness(Quadratic(spd(SIZE), np.ones(SIZE), floor=np.nan))


def test_a_second_derivative_is_not_needed():
    model = NoSecond(spd(SIZE), START)
    assert np.isfinite(sharpness(model).sam_sdt_loss).all()


def test_a_weight_that_the_output_does_not_depend_on_has_no_gradient():
    """As of a head that is used in training alone."""

    class Idle(Quadratic):
        def __init__(self):
            super().__init__(spd(SIZE), START)
            self.idle = nn.Parameter(torch.ones(2, 2, dtype=torch.float64))

    evaluator = Evaluator(Idle(), batches(), 2)
    gradient = surrogate_gradient(evaluator, "sdt", random_parameters(evaluator))
    assert not gradient["idle"].any()
    np.testing.assert_allclose(gradient["weight"][0], Idle().gradient(START), rtol=1e-10)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("loss", ["sdt", "tet"])
def test_the_surrogate_gradient_is_a_plain_backward_over_all_samples(network, loss, frozen):
    """Also of parameters that the caller froze, which stay frozen."""
    model, data = copy.deepcopy(network[0]), network[1]
    model.zero_grad()
    logits = model(torch.cat([x for x, _ in data]), 3)
    LOSSES[loss](logits, torch.cat([y for _, y in data])).backward()
    expected = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    model.requires_grad_(not frozen)
    evaluator = Evaluator(model, data, 3)
    gradient = surrogate_gradient(evaluator, loss, random_parameters(evaluator))
    assert set(gradient) == {n for n, p in model.named_parameters() if p.dim() >= 2}
    for name, tensor in gradient.items():
        assert tensor.abs().max() > 0
        torch.testing.assert_close(tensor, expected[name], rtol=1e-9, atol=1e-12)
    assert all(p.requires_grad is not frozen and p.grad is None for p in model.parameters())


def test_the_gradient_is_taken_at_the_checkpoint_wherever_the_probe_was_before(network):
    evaluator = Evaluator(network[0], network[1], 3)
    weights = random_parameters(evaluator)
    before = vector(surrogate_gradient(evaluator, "sdt", weights))
    evaluator.measure({name: 2 * weight for name, weight in weights.items()})
    np.testing.assert_array_equal(vector(surrogate_gradient(evaluator, "sdt", weights)), before)


def test_a_network_rises_more_up_the_gradient_than_at_random_and_is_left_alone(network):
    model, data = network
    before = {n: t.clone() for n, t in model.state_dict().items()}
    rng = torch.get_rng_state()
    evaluator = Evaluator(model, data, 3)
    # Steps that single spikes do not hide: which network training gives depends on the processor.
    result = compute_sharpness(evaluator, RandomPlanes(evaluator.model, 0, 4), np.array([-0.1, 0.0, 0.1]), (0.1, 0.3))
    table = plane_values(result, "sdt", 3, (0.1,))
    for rho in ("0.1", "0.3"):
        assert table[f"SAM at rho = {rho}"][1] > table[f"average at rho = {rho}"].mean()
    norms = [p.detach().norm() for p in model.parameters() if p.dim() >= 2]
    assert result.weight_norm == pytest.approx(float(torch.stack(norms).norm()), rel=1e-12)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)


def test_what_a_policy_holds_is_not_moved_up_the_gradient():
    model = quadratic()
    policy = dict(HOLD_ALL_BUT_WEIGHTS, bias="scale")
    evaluator = Evaluator(model, batches(), 3)
    result = compute_sharpness(evaluator, RandomPlanes(evaluator.model, 7, 1, policy=policy), X, RHO)
    assert result.weight_norm == pytest.approx(np.linalg.norm(START), rel=1e-14)
