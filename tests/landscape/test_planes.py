"""Planes: seeds, right angles that keep the norms, and surfaces of several planes at once."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

import reference
from tetviz.errors import CheckpointError
from tetviz.landscape import NORMS, RandomPlanes, compute_surface, parameter_roles, random_direction, random_plane
from tetviz.landscape.directions import inner
from tetviz.landscape.planes import orthogonalized, plane_seeds
from tetviz.models import build
from tetviz.results import MEASURED

ALL_RANDOM = {"weight": "random", "bias": "random", "norm": "random", "neuron": "random"}
SOME_SCALED = {"weight": "random", "bias": "hold", "norm": "scale", "neuron": "hold"}


@functools.cache
def trained():
    torch.manual_seed(0)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=4)
    x, labels = torch.randn(24, 1, 16, 16), torch.arange(24) % 4
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x, 2).mean(0), labels).backward()
        optimizer.step()
    return model


def network(dtype=torch.float32):
    """A network whose every layer spikes."""
    return copy.deepcopy(trained()).to(dtype)


def flat(direction):
    return np.concatenate([d.double().numpy().ravel() for d in direction.values()])


def cosine(a, b):
    a, b = flat(a), flat(b)
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def same(a, b):
    return list(a) == list(b) and all(torch.equal(d, b[n]) for n, d in a.items())


@given(st.integers(0, 2**63), st.integers(0, 20), st.integers(1, 20))
@settings(max_examples=50)
def test_the_first_planes_of_a_longer_list_are_the_same(seed, fewer, more):
    assert plane_seeds(seed, fewer + more)[:fewer] == plane_seeds(seed, fewer)


@given(st.integers(0, 2**63))
@settings(max_examples=50)
def test_all_direction_seeds_are_distinct(seed):
    """The tool of Li et al. seeds with 123 whatever --idx says: its runs 1 and 2 have identical directions."""
    seeds = [s for pair in plane_seeds(seed, 32) for s in pair]
    assert len(set(seeds)) == 64
    assert not set(seeds) & {s for pair in plane_seeds(seed + 1, 32) for s in pair}


@pytest.mark.parametrize("orthogonal", [False, True])
def test_a_list_of_planes_is_a_sequence_of_independent_ones(orthogonal):
    model = network()
    planes = RandomPlanes(model, 5, 4, orthogonal=orthogonal)
    assert len(planes) == 4
    assert len(list(planes)) == 4
    directions = [d for plane in planes for d in (plane.x, plane.y)]
    for i, a in enumerate(directions):
        for b in directions[:i]:
            assert 1e-9 < abs(cosine(a, b)) < 0.1 or (orthogonal and abs(cosine(a, b)) < 1e-7)
    fewer = RandomPlanes(model, 5, 2, orthogonal=orthogonal)
    for a, b in zip(fewer, planes[:2], strict=True):
        assert same(a.x, b.x)
        assert same(a.y, b.y)
        assert a.direction_seeds == b.direction_seeds
    alone = random_plane(model, 5, orthogonal=orthogonal)
    assert same(alone.x, planes[0].x)
    assert same(alone.y, planes[0].y)
    assert same(planes[-1].x, planes[3].x)
    with pytest.raises(IndexError):
        planes[4]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("policy", [ALL_RANDOM, SOME_SCALED])
def test_every_direction_is_rebuilt_from_its_own_seed(norm, policy):
    model = network()
    for plane in RandomPlanes(model, 9, 3, norm, policy):
        assert (plane.norm, plane.policy, plane.seed, plane.orthogonal) == (norm, policy, 9, False)
        for seed, direction in zip(plane.direction_seeds, (plane.x, plane.y), strict=True):
            assert same(random_direction(model, seed, norm, policy), direction)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_orthogonal_planes_have_a_right_angle_and_keep_their_norms(norm, dtype, seed):
    """Landscaper forgets to divide by the squared norm: its directions have the norms 79, 2306 and 9.9e9 and cosines of
    .9994 to 1.0000, so that its plane is a line. loss-landscapes turns before it normalises: the cosine is 0.14 again.
    """
    model = network(dtype)
    plain, plane = random_plane(model, seed, norm), random_plane(model, seed, norm, orthogonal=True)
    assert abs(plain.cosine) > 1e-5
    assert abs(plane.cosine) < 1e-7
    assert plane.cosine == pytest.approx(cosine(plane.x, plane.y), abs=1e-12)
    assert plane.orthogonal
    assert same(plane.x, plain.x)
    roles = parameter_roles(model)
    for name, weight in model.named_parameters():
        y, w = plane.y[name], weight.detach()
        assert y.dtype == dtype
        if roles[name] != "weight":
            assert not y.any()
        elif norm == "filter":
            torch.testing.assert_close(y.flatten(1).norm(dim=1), w.flatten(1).norm(dim=1), rtol=1e-6, atol=0)
        elif norm == "layer":
            torch.testing.assert_close(y.norm(), w.norm(), rtol=1e-6, atol=0)
    assert cosine(plane.y, plain.y) > 0.9  # turned as little as needed
    lengths = [np.linalg.norm(flat(d)) for d in (plane.x, plane.y, plain.y)]
    assert lengths[1] == pytest.approx(lengths[2], rel=0.1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("policy", [ALL_RANDOM, SOME_SCALED])
def test_what_is_not_random_does_not_turn(norm, policy):
    model = network(torch.float64)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.normal_(0, 0.1, generator=generator)
    plain, plane = random_plane(model, 2, norm, policy), random_plane(model, 2, norm, policy, orthogonal=True)
    assert abs(plane.cosine) < 1e-7
    roles = parameter_roles(model)
    for name, parameter in model.named_parameters():
        if policy[roles[name]] == "scale":
            assert torch.equal(plane.x[name], parameter)
            assert torch.equal(plane.y[name], parameter)
        if policy[roles[name]] != "random":
            assert torch.equal(plane.y[name], plain.y[name])


def test_a_right_angle_that_does_not_exist_is_named():
    """One weight: every direction is plus or minus it. And nothing random: nothing may turn."""
    model = nn.Linear(1, 1, bias=False)
    with refuses(CheckpointError, "made orthogonal"):
        random_plane(model, 0, orthogonal=True)
    held = {"weight": "scale", "bias": "hold", "norm": "hold", "neuron": "hold"}
    with refuses(ValueError, "parameter random"):
        random_plane(nn.Linear(3, 3), 0, policy=held, orthogonal=True)


@given(st.integers(0, 2**31), st.sampled_from(NORMS))
@settings(max_examples=20)
def test_turning_leaves_its_arguments_and_needs_no_random_numbers(seed, norm):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)).double()
    x, y = (random_direction(model, s, norm) for s in (seed, seed + 1))
    before = {n: d.clone() for n, d in x.items()}, {n: d.clone() for n, d in y.items()}
    state = torch.get_rng_state()
    turned = orthogonalized(model, x, y, norm)
    assert same(x, before[0])
    assert same(y, before[1])
    assert torch.equal(state, torch.get_rng_state())
    assert abs(cosine(x, turned)) < 1e-7
    again = orthogonalized(model, x, turned, norm)
    assert all(torch.allclose(d, turned[n], rtol=1e-9, atol=1e-12) for n, d in again.items())


@given(st.integers(0, 2**31))
@settings(max_examples=20)
def test_inner_product_and_cosine_are_those_of_one_long_vector(seed):
    draw = np.random.default_rng(seed)
    a, b = ({"w": torch.from_numpy(draw.normal(size=(3, 2))), "b": torch.from_numpy(draw.normal(size=2))} for _ in "ab")
    assert inner(a, b) == pytest.approx(math.fsum(flat(a) * flat(b)), abs=1e-12)


@pytest.mark.parametrize("orthogonal", [False, True])
def test_a_surface_of_several_planes_is_the_surfaces_of_each(orthogonal):
    model, x = network(torch.float64), torch.randn(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    data = [(x[:4], torch.arange(4)), (x[4:], torch.arange(2))]
    planes = RandomPlanes(model, 3, 3, orthogonal=orthogonal)
    grid = (np.array([-0.2, 0.0, 0.2]),) * 2
    together = compute_surface(model, data, planes, grid, 2)
    for index, plane in enumerate(planes):
        alone = compute_surface(model, data, plane, grid, 2)
        for name in (*MEASURED, "done", "direction_seed", "axis_cosine"):
            assert getattr(together, name)[index].tobytes() == getattr(alone, name)[0].tobytes()
        assert together.axis_cosine[index] == pytest.approx(cosine(plane.x, plane.y), abs=1e-12)
        assert tuple(together.direction_seed[index]) == plane.direction_seeds
    assert (together.plane_seed, together.orthogonal) == (3, int(orthogonal))
    others = compute_surface(model, data, RandomPlanes(model, 4, 3), grid, 2)
    for changed in (others.tet_loss != together.tet_loss, together.tet_loss[:1] != together.tet_loss[1:]):
        assert not changed[:, 1, 1].any()  # every plane goes through the checkpoint
        assert changed.any((1, 2, 3)).all()


def test_filter_norms_of_every_plane_against_loops():
    model = network(torch.float64)
    weights = {n: p.detach().numpy() for n, p in model.named_parameters() if p.dim() > 1}
    for plane in RandomPlanes(model, 1, 2):
        for seed, direction in zip(plane.direction_seeds, (plane.x, plane.y), strict=True):
            raw = random_direction(model, seed, "none")
            for n, w in weights.items():
                expected = reference.filter_normalise(raw[n].numpy(), w)
                np.testing.assert_allclose(direction[n].numpy(), expected, rtol=1e-12)
