"""Directions: filter norms, roles, seeds, and what other tools get wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import OF_CONVOLUTIONS
from scipy import stats
from torch import nn
from wording import refuses

from reference import filter_normalise, filter_normalise_by_masks
from tetviz.landscape import (
    NORMS,
    Evaluator,
    filter_normalize,
    parameter_filters,
    parameter_roles,
    random_direction,
    random_plane,
)
from tetviz.models import LIF, build


@pytest.mark.parametrize("name", OF_CONVOLUTIONS)
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


def test_learned_leaks_are_dynamics_and_move_only_when_asked_to():
    model = build("snn5", width=0.125, image_size=16, neuron="plif")
    roles = parameter_roles(model)
    leaks = [name for name, role in roles.items() if role == "neuron"]
    assert leaks == [f"features.{layer}.w" for layer in (1, 3, 6, 9, 12)]
    held = random_direction(model, 0)
    assert not any(held[name].any() for name in leaks)
    policy = {"weight": "random", "bias": "hold", "norm": "hold", "neuron": "random"}
    moved = random_direction(model, 0, policy=policy)
    weights = dict(model.named_parameters())
    for name in leaks:  # a filter of one entry: the direction is plus or minus the parameter, here 0 at leak 1/2
        assert moved[name].shape == ()
        assert moved[name].abs() == weights[name].abs()
    with torch.no_grad():
        for name in leaks:
            weights[name].fill_(0.7)
    moved = random_direction(model, 0, policy=policy)
    assert all(abs(float(moved[name])) == pytest.approx(0.7) for name in leaks)


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


@pytest.mark.parametrize(
    ("norm", "policy", "words"),
    [("filters", None, "'filters' known: filter"), ("filter", {"weight": "random"}, "policy maps 'weight': 'random'")],
)
def test_misuse_is_named(norm, policy, words):
    with refuses(ValueError, words):
        random_direction(nn.Linear(2, 2), 0, norm, *([policy] if policy else []))


def test_float64_directions_equal_float32_ones_to_rounding():
    model = build("snn5", width=0.125, image_size=16)
    single = random_plane(model, 2).x
    double = random_plane(model.double(), 2).x
    for n, d in single.items():
        assert double[n].dtype == torch.float64
        torch.testing.assert_close(d.double(), double[n], rtol=1e-5, atol=1e-8)


LAYERS = {
    "linear": (lambda: nn.Linear(5, 3), (2, 5), -1),
    "bilinear": (lambda: nn.Bilinear(3, 4, 2), ((2, 3), (2, 4)), -1),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3), (2, 2, 7), 1),
    "conv2d": (lambda: nn.Conv2d(2, 3, (3, 2)), (2, 2, 6, 6), 1),
    "conv3d": (lambda: nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4), 1),
    "conv2d, 2 groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (2, 4, 6, 6), 1),
    "conv2d, depthwise": (lambda: nn.Conv2d(3, 6, 3, groups=3), (2, 3, 6, 6), 1),
    "transposed 1d": (lambda: nn.ConvTranspose1d(4, 3, 3, stride=2), (2, 4, 5), 1),
    "transposed 1d, 2 groups": (lambda: nn.ConvTranspose1d(4, 6, 3, groups=2), (2, 4, 5), 1),
    "transposed 2d": (lambda: nn.ConvTranspose2d(2, 5, (2, 3)), (2, 2, 4, 4), 1),
    "transposed 2d, 3 groups": (lambda: nn.ConvTranspose2d(6, 3, 2, groups=3), (2, 6, 4, 4), 1),
    "transposed 2d, depthwise": (lambda: nn.ConvTranspose2d(3, 6, 2, groups=3), (2, 3, 4, 4), 1),
    "transposed 3d, 2 groups": (lambda: nn.ConvTranspose3d(4, 2, 2, groups=2), (1, 4, 3, 3, 3), 1),
    "embedding": (lambda: nn.Embedding(7, 4), torch.arange(7), -1),
    "embedding bag": (lambda: nn.EmbeddingBag(6, 3, mode="sum"), torch.arange(6)[None], -1),
    "recurrent": (lambda: nn.RNN(3, 4), ((2, 3), (1, 4)), -1),
}


def influences(layer, inputs, axis):
    """Which entries of each weight make which output feature, by autograd alone: parameter name to a mask a feature."""
    torch.manual_seed(3)
    drawn = (
        [torch.randn(shape) for shape in inputs] if isinstance(inputs, tuple) and isinstance(inputs[0], tuple) else []
    )
    drawn = drawn or [inputs if isinstance(inputs, torch.Tensor) else torch.randn(inputs)]
    out = layer(*drawn)
    out = (out[0] if isinstance(out, tuple) else out).movedim(axis, 0)
    if isinstance(layer, nn.RNN):
        out = out[:, :1]  # the first step: later ones see every weight through the state
    weights = {name: p for name, p in layer.named_parameters() if "bias" not in name}
    masks = {name: [] for name in weights}
    for feature in out:
        gradients = torch.autograd.grad((feature**2).sum(), list(weights.values()), retain_graph=True)
        for name, gradient in zip(weights, gradients, strict=True):
            masks[name].append((gradient != 0).numpy())
    return masks


@pytest.mark.parametrize("kind", LAYERS)
def test_a_filter_is_all_the_weights_that_make_one_output_feature(kind):
    """Of every kind of layer, as autograd sees it. how-do-vits-work takes the norm over the filters, LandscapeViz over
    the last axis of a Keras kernel, all others over the rows of transposed convolutions and embeddings: wrong axes."""
    make, inputs, axis = LAYERS[kind]
    torch.manual_seed(0)
    layer = make()
    model = nn.ModuleDict({"layer": layer})
    direction = random_direction(model, 5)
    raw = random_direction(model, 5, "none")
    for name, masks in influences(layer, inputs, axis).items():
        own, full = dict(layer.named_parameters())[name], f"layer.{name}"
        assert (sum(mask.astype(int) for mask in masks) == 1).all()  # every entry makes one feature
        expected = filter_normalise_by_masks(raw[full].double().numpy(), own.detach().double().numpy(), masks)
        np.testing.assert_allclose(direction[full].numpy(), expected, rtol=2e-6)
        for mask in masks:
            assert direction[full][mask].norm().item() == pytest.approx(own.detach()[mask].norm().item(), rel=1e-6)


def test_the_rows_of_gates_and_of_attention_are_filters():
    """Every gate of a recurrent layer and each of query, key and value is an output feature of its own."""
    torch.manual_seed(0)
    model = nn.ModuleDict(
        {
            "gru": nn.GRU(3, 2, num_layers=2),
            "lstm": nn.LSTM(3, 4, proj_size=2),
            "attention": nn.MultiheadAttention(4, 2),
            "mixed": nn.MultiheadAttention(4, 2, kdim=3, vdim=5),
        }
    )
    direction, raw = random_direction(model, 1), random_direction(model, 1, "none")
    names = [n for n, p in model.named_parameters() if p.dim() == 2]
    assert len(names) == 4 + 3 + 2 + 4
    for name in names:
        weight = dict(model.named_parameters())[name].detach().double().numpy()
        np.testing.assert_allclose(
            direction[name].numpy(), filter_normalise(raw[name].double().numpy(), weight), rtol=2e-6
        )


def test_the_biases_of_recurrent_layers_and_of_attention_are_biases():
    """Their names are bias_ih_l0, in_proj_bias, bias_k: none is called bias."""
    model = nn.ModuleDict(
        {"gru": nn.GRU(3, 2), "cell": nn.LSTMCell(3, 2), "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True)}
    )
    roles = parameter_roles(model)
    for name in roles:
        assert roles[name] == ("bias" if "bias" in name else "weight"), name


@pytest.mark.parametrize("shape", [(6, 4), (5, 3, 2, 2)], ids=["matrix", "kernel"])
def test_other_axes_give_other_directions(shape):
    """how-do-vits-work: norms over axis 0; LandscapeViz: over the outputs at every tap; LLA: over the whole tensor."""
    generator = np.random.default_rng(0)
    d, w = (torch.from_numpy(generator.standard_normal(shape)) for _ in range(2))
    ours = filter_normalize({"w": d}, {"w": w})["w"]
    across = d * w.norm(dim=0, keepdim=True) / d.norm(dim=0, keepdim=True)
    assert not torch.allclose(ours, across)
    assert not torch.allclose(ours, d * w.norm() / d.norm())
    np.testing.assert_allclose(ours.numpy(), filter_normalise(d.numpy(), w.numpy()), rtol=1e-12)


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.floats(1e-3, 1e3))
@settings(max_examples=25)
def test_filter_normalisation_knows_no_scale_of_the_draw_and_is_its_own_fixed_point(seed, groups, ins, outs, scale):
    generator = np.random.default_rng(seed)
    model = nn.Sequential(nn.ConvTranspose2d(groups * ins, groups * outs, 2, groups=groups).double())
    filters = parameter_filters(model)
    weights = {n: torch.from_numpy(generator.standard_normal(p.shape)) for n, p in model.named_parameters()}
    draw = {n: torch.from_numpy(generator.standard_normal(p.shape)) for n, p in model.named_parameters()}
    once = filter_normalize(draw, weights, filters)
    twice = filter_normalize(once, weights, filters)
    scaled = filter_normalize({n: scale * d for n, d in draw.items()}, weights, filters)
    larger = filter_normalize(draw, {n: scale * w for n, w in weights.items()}, filters)
    for n, d in once.items():
        torch.testing.assert_close(twice[n], d, rtol=1e-12, atol=0)
        torch.testing.assert_close(scaled[n], d, rtol=1e-12, atol=0)
        torch.testing.assert_close(larger[n], scale * d, rtol=1e-12, atol=0)


def test_entries_are_standard_normal():
    """loss-landscapes draws from U[0, 1) and its plane is a cone around the diagonal (issue 4)."""
    model = nn.Linear(100, 200)
    entries = random_direction(model, 7, "none")["weight"].double().numpy().ravel()
    assert stats.kstest(entries, "norm").pvalue > 1e-3
    other = random_direction(model, 8, "none")["weight"].double().numpy().ravel()
    assert abs(np.corrcoef(entries, other)[0, 1]) < 5 / np.sqrt(len(entries))
    assert (entries < 0).mean() == pytest.approx(0.5, abs=0.02)


def test_parameters_of_one_axis_take_either_sign():
    """loss-landscapes rescales them entry by entry to +abs(theta): all directions are the same there (issue 3)."""
    torch.manual_seed(0)
    model = nn.Linear(3, 400)
    policy = {"weight": "hold", "bias": "random", "norm": "hold", "neuron": "hold"}
    x, y = (random_direction(model, seed, policy=policy)["bias"] for seed in (0, 1))
    bias = model.bias.detach()
    for d in (x, y):
        assert 0.4 < (d / bias > 0).double().mean() < 0.6
    assert 0.4 < (x == y).double().mean() < 0.6


@pytest.mark.parametrize("norm", NORMS)
def test_a_direction_does_not_know_device_order_or_what_else_is_random(norm):
    """The same seed on the evaluator's copy, in eval mode, or with frozen parameters, is the same direction."""
    model = build("snn5", width=0.0625, in_channels=1, image_size=16)
    direction = random_direction(model, 4, norm)
    model.eval().requires_grad_(False)
    torch.manual_seed(99)
    np.random.seed(99)
    again = random_direction(model, 4, norm)
    evaluator = Evaluator(model, [(torch.zeros(1, 1, 16, 16), torch.zeros(1, dtype=torch.long))], 1)
    copied = random_direction(evaluator.model, 4, norm)
    assert all(torch.equal(d, again[n]) and torch.equal(d, copied[n]) for n, d in direction.items())
    assert not any(d.requires_grad for d in direction.values())
