"""Every registered network: published sizes, shapes, causality, independence of the batch, folding."""

import copy
import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tetviz.models import LIF, MODELS, ConvNorm, TdBN, build, fold
from tetviz.models.layers import SpikingNetwork, time_major

NAMES = sorted(MODELS)

# classes -> parameters, from the tables of the papers and of their code; then the entries of the state_dict
PUBLISHED: dict[str, tuple[dict[str, Any], dict[int, int], int]] = {
    "snn5": ({}, {10: 2_253_098, 100: 2_253_098 + 90 * 2_049}, 5 * 7 + 2),
    "vggsnn": ({"in_channels": 2, "image_size": 48}, {10: 9_271_498, 100: 9_271_498 + 90 * 4_609}, 58),
    "vggsnn-nopool": ({"in_channels": 2, "image_size": 48}, {10: 9_271_498, 100: 9_271_498 + 90 * 4_609}, 58),
    "resnet19": ({}, {10: 12_630_858, 100: 12_653_988}, 124),
}


def side(name: str) -> int:
    """A small image that the network takes."""
    return 6 if name == "resnet19" else 16


def lively(name: str, norm: str = "bn", **settings: Any) -> SpikingNetwork:
    """A small network in eval mode whose layers all fire and whose running statistics are not trivial."""
    return copy.deepcopy(_lively(name, norm, **settings))


@functools.cache
def _lively(name: str, norm: str, **settings: Any) -> SpikingNetwork:
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(3)
    model = build(name, in_channels=2, image_size=side(name), width=0.08, norm=norm, **settings).double()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(1, 2, generator=generator)
                module.bias.uniform_(-0.5, 1, generator=generator)
            if isinstance(module, nn.Linear):
                module.bias.uniform_(0, 1.5, generator=generator)
        for _ in range(3):
            model(frames(name, 2, 4, generator))
    return model.eval()


def frames(name: str, steps: int, batch: int, generator: torch.Generator | None = None) -> Tensor:
    generator = generator or torch.Generator().manual_seed(11)
    shape = (steps, batch, 2, side(name), side(name))
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3


def neurons(model: nn.Module) -> list[LIF]:
    return [module for module in model.modules() if isinstance(module, LIF)]


def test_every_registered_model_has_a_published_size_here() -> None:
    assert set(PUBLISHED) == set(MODELS)


@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("name", NAMES)
def test_published_sizes(name: str, num_classes: int) -> None:
    settings, parameters, entries = PUBLISHED[name]
    with torch.device("meta"):
        model = build(name, num_classes=num_classes, **settings)
    assert sum(p.numel() for p in model.parameters()) == parameters[num_classes]
    assert len(model.state_dict()) == entries


@pytest.mark.parametrize(("num_classes", "expected"), [(10, 12_697_994), (100, 12_721_124)])
def test_resnet19_with_the_wide_stem(num_classes: int, expected: int) -> None:
    with torch.device("meta"):
        model = build("resnet19", num_classes=num_classes, stem=128)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("snn5", [480, 25_792, 205_184, 819_968, 1_181_184]),
        ("vggsnn", [1_344, 74_112, 295_680, 590_592, 1_181_184, 2_360_832, 2_360_832, 2_360_832]),
    ],
)
def test_published_layers(name: str, sizes: list[int]) -> None:
    with torch.device("meta"):
        model = build(name, **PUBLISHED[name][0])
    found = [sum(p.numel() for p in m.parameters()) for m in model.modules() if isinstance(m, ConvNorm)]
    assert found == sizes


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        ("snn5", 150_409_216),
        ("vggsnn", 1_361_654_784),
        ("resnet19", 2_216_495_616),
    ],
)
def test_published_operations(name: str, macs: int) -> None:
    # dense multiply-accumulates of one step: they pin every stride, kernel and image size
    settings, _, _ = PUBLISHED[name]
    with torch.device("meta"):
        model = build(name, **settings)
        found = []

        def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, nn.Conv2d):
                found.append(output[0].numel() * module.weight[0].numel())
            elif isinstance(module, nn.Linear):
                found.append(module.weight.numel())

        for module in model.modules():
            module.register_forward_hook(count)
        size = settings.get("image_size", 32)
        model(torch.empty(1, settings.get("in_channels", 3), size, size), 1)
    assert sum(found) == macs


def test_resnet19_has_19_weighted_layers_and_18_layers_of_neurons() -> None:
    with torch.device("meta"):
        model = build("resnet19")
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert sum(c.kernel_size == (3, 3) for c in convs) + 2 == 19
    assert sum(c.kernel_size == (1, 1) for c in convs) == 3
    assert all(c.bias is None for c in convs)
    assert len(neurons(model)) == 18


def test_resnet19_branches_that_meet_share_the_threshold() -> None:
    model = build("resnet19", norm="tdbn", threshold=0.5, width=0.05)
    for name, module in model.named_modules():
        if isinstance(module, TdBN):
            meets = "conv2." in name or "shortcut" in name
            assert module.alpha == pytest.approx(2**-0.5 if meets else 1), name
            assert module.threshold == 0.5


def test_vggsnn_pools_feed_quarters_to_the_next_layer() -> None:
    name = "vggsnn"
    model = lively(name)
    seen: set[float] = set()
    convs = [m for m in model.modules() if isinstance(m, ConvNorm)]
    convs[2].register_forward_hook(lambda _, inputs, __: seen.update(inputs[0].unique().tolist()))
    with torch.no_grad():
        model(frames(name, 2, 3))
    assert seen == {0, 0.25, 0.5, 0.75, 1}


# --- shapes and inputs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_size", [16, 23])
@pytest.mark.parametrize("name", NAMES)
def test_shapes(name: str, image_size: int) -> None:
    model = build(name, num_classes=4, in_channels=2, image_size=image_size, width=0.05).eval()
    with torch.no_grad():
        assert model(torch.zeros(3, 2, image_size, image_size), 5).shape == (5, 3, 4)
        assert model(torch.zeros(5, 3, 2, image_size, image_size)).shape == (5, 3, 4)
        assert model(torch.zeros(5, 3, 2, image_size, image_size), 2).shape == (2, 3, 4)
        assert model(torch.zeros(1, 1, 2, image_size, image_size)).shape == (1, 1, 4)


@pytest.mark.parametrize("name", NAMES)
def test_a_static_image_is_its_own_repetition(name: str) -> None:
    model, x = lively(name), frames(name, 1, 3)[0]
    before = x.clone()
    with torch.no_grad():
        shown = model(x, 4)
        assert torch.equal(shown, model(x[None].repeat(4, 1, 1, 1, 1)))
        model.timesteps = 4
        assert torch.equal(shown, model(x))
        assert len(model(x, 2)) == 2
        assert len(model(frames(name, 6, 3))) == 6  # a sequence brings its own number of steps
    assert torch.equal(x, before)
    assert x.shape == before.shape


@pytest.mark.parametrize("name", NAMES)
def test_a_second_call_gives_the_same(name: str) -> None:
    model, x = lively(name), frames(name, 3, 2)
    before = x.clone()
    with torch.no_grad():
        first = model(x)
        model(frames(name, 2, 5) + 1)
        assert torch.equal(model(x), first)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_changes_nothing_in_the_model(name: str) -> None:
    model = lively(name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(frames(name, 2, 3))
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = lively(name).train()
    model(frames(name, 3, 4)).logsumexp(-1).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        if "conv.bias" not in key:  # a bias before a batch normalisation has none
            assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_autocast_runs_forward_and_backward(name: str) -> None:
    model = build(name, in_channels=2, image_size=side(name), width=0.05).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(frames(name, 2, 2).float())
    logits.float().sum().backward()
    assert torch.isfinite(logits).all()
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("shape", "timesteps", "text"),
    [
        ((2, 2, 16, 16), None, "static images have no time axis"),
        ((2, 2, 16, 16), 0, "timesteps must be at least 1, got 0"),
        ((2, 2, 16, 16), -3, "timesteps must be at least 1, got -3"),
        ((3, 2, 2, 16, 16), 0, "timesteps must be at least 1, got 0"),
        ((3, 2, 2, 16, 16), 4, "has 3 timesteps, 4 were asked for"),
        ((0, 2, 2, 16, 16), None, "timestep"),
        ((2, 16, 16), 3, r"x_BCHW or a sequence x_TBCHW, got shape \(2, 16, 16\)"),
        ((1, 1, 2, 2, 16, 16), 1, "x_TBCHW, got shape"),
    ],
)
def test_wrong_inputs_are_refused(name: str, shape: tuple[int, ...], timesteps: int | None, text: str) -> None:
    model = build(name, in_channels=2, image_size=16, width=0.05).eval()
    with pytest.raises(ValueError, match=text):
        model(torch.zeros(shape), timesteps)


def test_time_is_added_as_a_view() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert time_major(x, 1000).data_ptr() == x.data_ptr()
    assert time_major(x, 7).shape == (7, 2, 3, 4, 4)


# --- properties of the measurement --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", NAMES)
def test_the_first_steps_of_a_long_run_are_a_short_run(name: str, norm: str) -> None:
    model, x = lively(name, norm), frames(name, 6, 3)
    rates: list[float] = []
    hooks = [n.register_forward_hook(lambda _, __, s: rates.append(s.mean().item())) for n in neurons(model)]
    with torch.no_grad():
        long = model(x)
        for hook in hooks:
            hook.remove()
        assert 0.02 < min(rates) <= max(rates) < 0.98, "a silent layer makes this test empty"
        assert long.std(0).min() > 0
        for steps in (1, 4):
            assert torch.equal(model(x, steps), long[:steps])
            assert torch.equal(model(x[:steps]), long[:steps])
        image = x[0]
        assert torch.equal(model(image, 4), model(image, 6)[:4])


@pytest.mark.parametrize("name", NAMES)
def test_a_later_input_changes_no_earlier_output(name: str) -> None:
    model, x = lively(name), frames(name, 5, 2)
    other = x.clone()
    other[3:] += 1
    with torch.no_grad():
        a, b = model(x), model(other)
    assert torch.equal(a[:3], b[:3])
    assert not torch.equal(a[3:], b[3:])


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_does_not_see_its_batch(name: str, norm: str) -> None:
    model, x = lively(name, norm), frames(name, 4, 5)
    with torch.no_grad():
        whole = model(x)
        split = torch.cat([model(x[:, :2]), model(x[:, 2:3]), model(x[:, 3:])], 1)
        swapped = model(x.flip(1)).flip(1)
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(swapped, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", NAMES)
def test_folding_is_exact(name: str, norm: str) -> None:
    model, x = lively(name, norm, threshold=0.8), frames(name, 5, 3)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    flags = {k: p.requires_grad for k, p in model.named_parameters()}
    with torch.no_grad():
        expected = model(x)
        folded = fold(model)
        assert not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in folded.modules())
        assert not folded.training
        torch.testing.assert_close(folded(x), expected, rtol=0, atol=1e-10)
        assert torch.equal(model(x), expected)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(model.state_dict()[k], v) for k, v in before.items())
    assert {k: p.requires_grad for k, p in model.named_parameters()} == flags
    convs = [m for m in model.modules() if isinstance(m, ConvNorm)]
    for module in convs:  # the statistics were not trivial, else folding had nothing to do
        assert isinstance(module.norm, nn.BatchNorm2d)
        assert module.norm.running_mean is not None
        assert module.norm.running_mean.abs().max() > 1e-3


# --- width and size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.05, 0.5, 1.5])
@pytest.mark.parametrize("name", NAMES)
def test_width_scales_every_hidden_layer(name: str, width: float) -> None:
    with torch.device("meta"):
        published, scaled = build(name, **PUBLISHED[name][0]), build(name, width=width, **PUBLISHED[name][0])
    for (key, a), (other, b) in zip(published.named_modules(), scaled.named_modules(), strict=True):
        assert key == other
        if isinstance(a, nn.Conv2d) and isinstance(b, nn.Conv2d):
            assert b.out_channels == max(1, round(a.out_channels * width)), key
            assert (a.kernel_size, a.stride, a.padding) == (b.kernel_size, b.stride, b.padding)
    *_, readout = (m for m in scaled.modules() if isinstance(m, nn.Linear))
    assert readout.out_features == 10


@pytest.mark.parametrize(("name", "smallest"), [("snn5", 16), ("vggsnn", 16), ("vggsnn-nopool", 16), ("resnet19", 4)])
def test_an_image_too_small_is_refused_and_the_smallest_runs(name: str, smallest: int) -> None:
    with pytest.raises(ValueError, match=f"image_size must be at least {smallest}, got {smallest - 1}"):
        build(name, image_size=smallest - 1)
    model = build(name, image_size=smallest, width=0.05).eval()
    assert model(torch.zeros(1, 3, smallest, smallest), 1).shape == (1, 1, 10)
