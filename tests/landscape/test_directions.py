"""Directions: filter norms, roles, seeds, and what other tools get wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from reference import filter_normalise
from tetviz.landscape import filter_normalize, parameter_roles, random_direction, random_plane
from tetviz.models import LIF, MODELS, build


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_filter_has_the_norm_of_its_weights_and_all_else_is_held(name):
    model = build(name, width=0.125, image_size=16)
    plane = random_plane(model, seed=3)
    roles = parameter_roles(model)
    for direction in (plane.x, plane.y):
        assert list(direction) == [n for n, _ in model.named_parameters()]
        for n, parameter in model.named_parameters():
            if roles[n] == "weight":
                expected = parameter.detach().flatten(1).norm(dim=1)
                torch.testing.assert_close(direction[n].flatten(1).norm(dim=1), expected, rtol=1e-6, atol=0)
            else:
                assert roles[n] in ("bias", "norm")
                assert not direction[n].any()


@given(st.integers(0, 2**31), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_filter_normalize_agrees_with_loops_over_filters(seed, filters, size):
    generator = np.random.default_rng(seed)
    d, w = (torch.from_numpy(generator.standard_normal((filters, 2, size, size))) for _ in range(2))
    ours = filter_normalize({"w": d}, {"w": w})["w"]
    np.testing.assert_allclose(ours.numpy(), filter_normalise(d.numpy(), w.numpy()), rtol=1e-12)


def test_a_filter_of_zeros_stays_zero_and_finite():
    w = torch.randn(3, 4)
    w[1] = 0
    d = filter_normalize({"w": torch.randn(3, 4)}, {"w": w})["w"]
    assert d[1].eq(0).all()
    assert torch.isfinite(filter_normalize({"w": torch.zeros(3, 4)}, {"w": w})["w"]).all()


def test_directions_are_rebuilt_from_their_stored_seed_alone():
    model = build("snn5", width=0.125, image_size=16)
    plane = random_plane(model, seed=11)
    for seed, direction in zip(plane.direction_seeds, (plane.x, plane.y), strict=True):
        again = random_direction(model, seed)
        assert all(torch.equal(direction[n], again[n]) for n in direction)


def test_two_seeds_give_two_planes_and_the_axes_are_nearly_orthogonal():
    """loss-landscape fixes its seed to 123; loss-landscapes draws from U[0, 1): its axes have cosine 0.75."""
    model = build("snn5", width=0.25, image_size=16)
    first, second = random_plane(model, 0), random_plane(model, 1)
    flat = [torch.cat([t.flatten() for t in d.values()]) for d in (first.x, first.y, second.x)]
    for a, b in ((0, 1), (0, 2)):
        assert abs(torch.nn.functional.cosine_similarity(flat[a], flat[b], dim=0)) < 0.05


def test_the_callers_random_state_and_model_are_left_alone():
    model = build("snn5", width=0.125, image_size=16)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    random_plane(model, 0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


def test_aliased_modules_have_one_direction():
    """A state_dict holds a tensor under every name of its module; drawing one direction a name is wrong."""

    class Aliased(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 3)
            self.again = self.first

    model = Aliased()
    assert len(model.state_dict()) == 4
    assert list(random_direction(model, 0)) == ["first.weight", "first.bias"]


def test_roles_go_by_module_not_by_number_of_axes():
    class LearnedLeak(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(()))

    class NeuronWithWeights(LIF):
        def __init__(self):
            super().__init__()
            self.per_neuron = nn.Parameter(torch.ones(2, 2))

    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm([2, 4, 4]), LearnedLeak(), NeuronWithWeights()
    )
    roles = parameter_roles(model)
    assert roles == {
        "0.weight": "weight",
        "0.bias": "bias",
        "1.weight": "norm",
        "1.bias": "norm",
        "2.weight": "norm",
        "2.bias": "norm",
        "3.w": "neuron",
        "4.per_neuron": "neuron",
    }


@pytest.mark.parametrize("norm", ["filter", "layer", "weight", "none"])
def test_norms(norm):
    model = nn.Sequential(nn.Linear(4, 3))
    w = model[0].weight.detach().double()
    raw = torch.from_numpy(np.random.default_rng(5).standard_normal((3, 4)))
    expected = {
        "filter": raw * (w.norm(dim=1) / raw.norm(dim=1))[:, None],
        "layer": raw * w.norm() / raw.norm(),
        "weight": raw * w,
        "none": raw,
    }[norm]
    torch.testing.assert_close(random_direction(model, 5, norm)["0.weight"], expected.float())


def test_policy_random_hold_scale():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    nn.init.normal_(model[1].weight)
    policy = {"weight": "hold", "bias": "random", "norm": "scale", "neuron": "hold"}
    d = random_direction(model, 0, policy=policy)
    assert not d["0.weight"].any()
    torch.testing.assert_close(d["0.bias"].abs(), model[0].bias.detach().abs())
    assert torch.equal(d["1.weight"], model[1].weight)


@pytest.mark.parametrize(("norm", "policy"), [("filters", None), ("filter", {"weight": "random"})])
def test_misuse_is_named(norm, policy):
    with pytest.raises(ValueError, match=r"known: filter|a policy maps"):
        random_direction(nn.Linear(2, 2), 0, norm, *([policy] if policy else []))


def test_float64_directions_equal_float32_ones_to_rounding():
    model = build("snn5", width=0.125, image_size=16)
    single = random_plane(model, 2).x
    double = random_plane(model.double(), 2).x
    for n, d in single.items():
        assert double[n].dtype == torch.float64
        torch.testing.assert_close(d.double(), double[n], rtol=1e-5, atol=1e-8)
