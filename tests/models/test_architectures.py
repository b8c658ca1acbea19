"""Every registered network: published sizes, shapes, causality, independence of the batch, folding."""

import copy
import functools
from typing import Any

import pytest
import torch
from networks import OF_CONVOLUTIONS, ONE_OF_EACH
from torch import Tensor, nn
from wording import refuses

from tetviz.models import LIF, MODELS, ConvNorm, TdBN, build, fold, streaming
from tetviz.models.blocks import MSBlock
from tetviz.models.layers import SpikingNetwork, time_major

NAMES = OF_CONVOLUTIONS
DEEP_KINDS = ["sew-resnet50", "ms-resnet104"]  # bottlenecks; a stem with biases, pooled shortcuts
KINDS = [*ONE_OF_EACH, *DEEP_KINDS]
MNIST = {"in_channels": 1, "image_size": 28}
CORA = {"in_channels": 1_433}
IMAGENET = {"num_classes": 1000, "image_size": 224}

# One network of each kind: all that is not the plan alone.
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in ONE_OF_EACH} | {
    "sew-resnet18 AND": ("sew-resnet18", {"connect": "AND"}),
    "sew-resnet18 IAND": ("sew-resnet18", {"connect": "IAND"}),
    "cifar-resnet plain": ("cifar-resnet", {"block": "plain"}),
    "plif soft": ("cifar-resnet", {"neuron": "plif", "reset": "soft"}),
    "if soft": ("sew-resnet18", {"neuron": "if", "reset": "soft"}),
}

# classes -> parameters, from the tables of the papers and of their code; then the entries of the state_dict
PUBLISHED: dict[str, tuple[dict[str, Any], dict[int, int], int]] = {
    "snn5": ({}, {10: 2_253_098, 100: 2_253_098 + 90 * 2_049}, 5 * 7 + 2),
    "vggsnn": ({"in_channels": 2, "image_size": 48}, {10: 9_271_498, 100: 9_271_498 + 90 * 4_609}, 58),
    "vggsnn-nopool": ({"in_channels": 2, "image_size": 48}, {10: 9_271_498, 100: 9_271_498 + 90 * 4_609}, 58),
    "resnet19": ({}, {10: 12_630_858, 100: 12_653_988}, 124),
    "spiking-resnet18": (IMAGENET, {1000: 11_689_512, 10: 11_689_512 - 990 * 513}, 122),
    "spiking-resnet34": (IMAGENET, {1000: 21_797_672, 10: 21_797_672 - 990 * 513}, 218),
    "sew-resnet18": (IMAGENET, {1000: 11_689_512, 10: 11_689_512 - 990 * 513}, 122),
    "sew-resnet34": (IMAGENET, {1000: 21_797_672, 10: 21_797_672 - 990 * 513}, 218),
    "sew-resnet50": (IMAGENET, {1000: 25_557_032, 10: 25_557_032 - 990 * 2_049}, 320),
    "sew-resnet101": (IMAGENET, {1000: 44_549_160, 10: 44_549_160 - 990 * 2_049}, 104 * 6 + 2),
    "sew-resnet152": (IMAGENET, {1000: 60_192_808, 10: 60_192_808 - 990 * 2_049}, 155 * 6 + 2),
    "ms-resnet18": (IMAGENET, {1000: 11_693_736, 10: 11_693_736 - 990 * 513}, 21 * 6 + 2),
    "ms-resnet34": (IMAGENET, {1000: 21_801_896, 10: 21_801_896 - 990 * 513}, 37 * 6 + 2),
    "ms-resnet104": (IMAGENET, {1000: 77_350_504, 10: 77_350_504 - 990 * 513}, 107 * 6 + 5 + 2),
    "ms-resnet20": ({}, {10: 272_474, 100: 272_474 + 90 * 65}, 21 * 6 + 2),
    "ms-resnet110": ({}, {10: 1_730_714, 100: 1_730_714 + 90 * 65}, 111 * 6 + 2),
    "ms-resnet482": ({}, {10: 7_758_106, 100: 7_758_106 + 90 * 65}, 483 * 6 + 2),
    "cifar-resnet": ({}, {10: 272_474, 100: 272_474 + 90 * 65}, 21 * 6 + 2),
    # weights and biases of 784-400-200-10
    "fc": (MNIST, {10: 784 * 400 + 400 + 400 * 200 + 200 + 200 * 10 + 10}, 6),
    # two convolutions, scale and shift of both STFN, readout; of Cora's 2,708 nodes with 1,433 features
    "gcsnn": (CORA, {7: 1_433 * 400 + 400 * 400 + 2 * 2 * 2_708 * 400 + 400 * 7}, 2 + 4 + 1),
    "gasnn": (CORA, {7: 1_433 * 400 + 400 * 400 + 2 * 2 * 2_708 * 400 + 400 * 7 + 2 * 2 * 400}, 2 * 2 + 4 + 1),
}


def side(name: str) -> int:
    """A small image that the network takes."""
    return 6 if name == "resnet19" else 8 if name in CIFAR else 16


CIFAR = ("ms-resnet20", "ms-resnet110", "ms-resnet482", "cifar-resnet")


def lively(case: str, norm: str = "bn", **settings: Any) -> SpikingNetwork:
    """A small network in eval mode whose layers all fire and whose running statistics are not trivial."""
    name, own = CASES.get(case, (case, {}))
    return copy.deepcopy(_lively(name, norm, **own, **settings))


@functools.cache
def _lively(name: str, norm: str, **settings: Any) -> SpikingNetwork:
    generator = torch.Generator().manual_seed(7)
    torch.manual_seed(3)
    width = 0.25 if name in CIFAR else 0.08
    model = build(name, in_channels=2, image_size=side(name), width=width, norm=norm, **settings).double()
    # where potentials are summed from block to block, each adds little, or the last neurons fire at every step
    small = {id(block.conv2.norm) for block in model.modules() if isinstance(block, MSBlock)}
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(1, 2, generator=generator)
                module.bias.uniform_(-0.5, 1, generator=generator)
                if id(module) in small:
                    module.weight.mul_(0.3)
                    module.bias.sub_(0.25).mul_(0.2)
                if settings.get("connect") == "AND":  # both sides of it must fire
                    module.bias.add_(1)
            if isinstance(module, nn.Linear):
                module.bias.uniform_(0, 1.5, generator=generator)
        for _ in range(3):
            model(frames(name, 2, 4, generator))
    return model.eval()


def cheapest(name: str) -> str:
    """Where a full-sized network is built and run soonest: no memory for the large ones, no detours for the deep."""
    return "cpu" if name in CIFAR else "meta"


def frames(case: str, steps: int, batch: int, generator: torch.Generator | None = None) -> Tensor:
    name, _ = CASES.get(case, (case, {}))
    generator = generator or torch.Generator().manual_seed(11)
    shape = (steps, batch, 2, side(name), side(name))
    return torch.randn(shape, generator=generator, dtype=torch.float64) * 3


def neurons(model: nn.Module) -> list[LIF]:
    return [module for module in model.modules() if isinstance(module, LIF)]


def test_every_registered_model_has_a_published_size_here() -> None:
    assert set(PUBLISHED) == set(MODELS)


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_sizes(name: str) -> None:
    settings, parameters, entries = PUBLISHED[name]
    for num_classes, expected in parameters.items():
        with torch.device(cheapest(name)):
            model = build(name, **{**settings, "num_classes": num_classes})
        assert sum(p.numel() for p in model.parameters()) == expected
        assert len(model.state_dict()) == entries


@pytest.mark.parametrize("block", ["plain", "sew", "ms"])
@pytest.mark.parametrize(("depth", "expected"), [(8, 78_042), (20, 272_474), (56, 855_770)])
def test_a_cifar_resnet_has_the_same_size_with_every_block(block: str, depth: int, expected: int) -> None:
    # 97,152 more with every n: a block of each stage, 2 (9 c^2 + 2 c) for c = 16, 32, 64
    with torch.device("meta"):
        model = build("cifar-resnet", depth=depth, block=block)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    ("name", "neurons_", "convs"),
    [
        ("spiking-resnet18", 17, 20),
        ("spiking-resnet34", 33, 36),
        ("sew-resnet18", 20, 20),
        ("sew-resnet34", 36, 36),
        ("sew-resnet50", 53, 53),
        ("sew-resnet101", 104, 104),
        ("sew-resnet152", 155, 155),
        ("ms-resnet18", 17, 21),
        ("ms-resnet34", 33, 37),
        ("ms-resnet104", 103, 109),
        ("ms-resnet20", 19, 21),
        ("ms-resnet110", 109, 111),
        ("ms-resnet482", 481, 483),
    ],
)
def test_published_numbers_of_layers(name: str, neurons_: int, convs: int) -> None:
    with torch.device("meta"):
        model = build(name, width=0.1)
    assert len(neurons(model)) == neurons_
    assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == convs


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
        ("vggsnn-nopool", 660_943_872),
        ("resnet19", 2_216_495_616),
        ("spiking-resnet18", 1_814_073_344),
        ("spiking-resnet34", 3_663_761_408),
        ("sew-resnet18", 1_814_073_344),
        ("sew-resnet34", 3_663_761_408),
        ("sew-resnet50", 4_089_184_256),
        ("sew-resnet101", 7_801_405_440),  # those of torchvision's ResNet
        ("sew-resnet152", 11_513_626_624),
        ("ms-resnet18", 1_826_918_400),
        ("ms-resnet34", 3_676_606_464),
        ("ms-resnet104", 12_597_497_856),
        # by hand: stem 27 * 16 * 32^2; a stage 9 * 16^2 * 32^2 a convolution, half of it where channels double;
        # shortcuts 16 * 32 * 16^2 and 32 * 64 * 8^2; readout 640
        *(
            (name, 442_368 + 2_359_296 * (2 * n + 2 * (2 * n - 1) + 1) + 2 * 131_072 + 640)
            for name, n in (("ms-resnet20", 3), ("ms-resnet110", 18), ("ms-resnet482", 80))
        ),
    ],
)
def test_published_operations(name: str, macs: int) -> None:
    # dense multiply-accumulates of one step: they pin every stride, kernel and image size
    settings, _, _ = PUBLISHED[name]
    with torch.device(cheapest(name)), torch.no_grad():
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
@pytest.mark.parametrize("name", KINDS)
def test_shapes(name: str, image_size: int) -> None:
    model = build(name, num_classes=4, in_channels=2, image_size=image_size, width=0.05).eval()
    with torch.no_grad():
        assert model(torch.zeros(3, 2, image_size, image_size), 5).shape == (5, 3, 4)
        assert model(torch.zeros(5, 3, 2, image_size, image_size)).shape == (5, 3, 4)
        assert model(torch.zeros(5, 3, 2, image_size, image_size), 2).shape == (2, 3, 4)
        assert model(torch.zeros(1, 1, 2, image_size, image_size)).shape == (1, 1, 4)


@pytest.mark.parametrize("name", CASES)
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


@pytest.mark.parametrize("name", CASES)
def test_a_second_call_gives_the_same(name: str) -> None:
    model, x = lively(name), frames(name, 3, 2)
    before = x.clone()
    with torch.no_grad():
        first = model(x)
        model(frames(name, 2, 5) + 1)
        assert torch.equal(model(x), first)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", CASES)
def test_evaluation_changes_nothing_in_the_model(name: str) -> None:
    model = lively(name)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(frames(name, 2, 3))
    after = model.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


@pytest.mark.parametrize("name", [*CASES, *DEEP_KINDS])
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = lively(name).train()
    model(frames(name, 3, 4)).logsumexp(-1).sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        if "conv.bias" not in key:  # a bias before a batch normalisation has none
            assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", KINDS)
def test_bfloat16_autocast_runs_forward_and_backward(name: str) -> None:
    model = build(name, in_channels=2, image_size=side(name), width=0.05).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(frames(name, 2, 2).float())
    logits.float().sum().backward()
    assert torch.isfinite(logits).all()
    assert all(p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("shape", "timesteps", "text"),
    [
        ((2, 2, 16, 16), None, "static images"),
        ((2, 2, 16, 16), 0, "timesteps 1 0"),
        ((2, 2, 16, 16), -3, "timesteps 1 -3"),
        ((3, 2, 2, 16, 16), 0, "timesteps 1 0"),
        ((3, 2, 2, 16, 16), 4, "3 4 asked"),
        ((0, 2, 2, 16, 16), None, "timestep"),
        ((2, 16, 16), 3, "x_BCHW x_TBCHW 2 16"),
        ((1, 1, 2, 2, 16, 16), 1, "x_TBCHW shape"),
    ],
)
def test_wrong_inputs_are_refused(name: str, shape: tuple[int, ...], timesteps: int | None, text: str) -> None:
    model = build(name, in_channels=2, image_size=16, width=0.05).eval()
    with refuses(ValueError, text):
        model(torch.zeros(shape), timesteps)


def test_time_is_added_as_a_view() -> None:
    x = torch.randn(2, 3, 4, 4)
    assert time_major(x, 1000).data_ptr() == x.data_ptr()
    assert time_major(x, 7).shape == (7, 2, 3, 4, 4)


# --- properties of the measurement --------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", CASES)
def test_the_first_steps_of_a_long_run_are_a_short_run(name: str, norm: str) -> None:
    model, x = lively(name, norm), frames(name, 6, 3)
    rates: list[float] = []
    hooks = [n.register_forward_hook(lambda _, __, s: rates.append(s.mean().item())) for n in neurons(model)]
    with torch.no_grad():
        long = model(x)
        for hook in hooks:
            hook.remove()
        assert 0.005 < min(rates) <= max(rates) < 0.98, "a silent layer makes this test empty"
        assert long.std(0).min() > 0
        for steps in (1, 4):
            assert torch.equal(model(x, steps), long[:steps])
            assert torch.equal(model(x[:steps]), long[:steps])
        image = x[0]
        assert torch.equal(model(image, 4), model(image, 6)[:4])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CASES])
def test_the_first_steps_of_a_long_run_are_a_short_run_at_every_depth(name: str) -> None:
    model, x = lively(name), frames(name, 4, 2)
    with torch.no_grad():
        long = model(x)
        assert long.std(0).min() > 0
        assert torch.equal(model(x, 2), long[:2])


@pytest.mark.parametrize("name", [*CASES, *(name for name in NAMES if name not in CASES)])
def test_chunks_of_a_run_are_the_run(name: str) -> None:
    model, x = lively(name), frames(name, 4, 2)
    with torch.no_grad():
        whole = model(x)
        with streaming(model):
            chunks = [model(part) for part in (x[:1], x[1:4])]
    assert torch.equal(torch.cat(chunks), whole)


@pytest.mark.parametrize("name", ["spiking-resnet18", "sew-resnet50", "ms-resnet104"])
def test_an_imagenet_network_takes_an_image_of_cifars_size_and_of_any(name: str) -> None:
    for size in (1, 8, 32, 37):
        model = build(name, image_size=size, width=0.05).eval()
        x = torch.randn(3, 2, 3, size, size, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            whole = model(x)
            assert whole.shape == (3, 2, 10)
            assert torch.equal(model(x, 2), whole[:2])


@pytest.mark.parametrize("name", CASES)
def test_a_later_input_changes_no_earlier_output(name: str) -> None:
    model, x = lively(name), frames(name, 5, 2)
    other = x.clone()
    other[3:] += 1
    with torch.no_grad():
        a, b = model(x), model(other)
    assert torch.equal(a[:3], b[:3])
    assert not torch.equal(a[3:], b[3:])


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", CASES)
def test_a_sample_does_not_see_its_batch(name: str, norm: str) -> None:
    model, x = lively(name, norm), frames(name, 4, 5)
    with torch.no_grad():
        whole = model(x)
        split = torch.cat([model(x[:, :2]), model(x[:, 2:3]), model(x[:, 3:])], 1)
        swapped = model(x.flip(1)).flip(1)
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(swapped, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("name", [*CASES, *DEEP_KINDS])
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
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[k], v) for k, v in before.items())
    assert {k: p.requires_grad for k, p in model.named_parameters()} == flags
    convs = [m for m in model.modules() if isinstance(m, ConvNorm)]
    for module in convs:  # the statistics were not trivial, else folding had nothing to do
        assert isinstance(module.norm, nn.BatchNorm2d)
        assert module.norm.running_mean is not None
        assert module.norm.running_mean.abs().max() > 1e-3


# --- width and size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [0.05, 0.5, 1.5])
@pytest.mark.parametrize("name", KINDS)
def test_width_scales_every_hidden_layer(name: str, width: float) -> None:
    with torch.device("meta"):
        published, scaled = build(name, **PUBLISHED[name][0]), build(name, width=width, **PUBLISHED[name][0])
    for (key, a), (other, b) in zip(published.named_modules(), scaled.named_modules(), strict=True):
        assert key == other
        if isinstance(a, nn.Conv2d) and isinstance(b, nn.Conv2d):
            assert b.out_channels == max(1, round(a.out_channels * width)), key
            assert (a.kernel_size, a.stride, a.padding) == (b.kernel_size, b.stride, b.padding)
    *_, readout = (m for m in scaled.modules() if isinstance(m, nn.Linear))
    assert readout.out_features == PUBLISHED[name][0].get("num_classes", 10)


@pytest.mark.parametrize(("name", "smallest"), [("snn5", 16), ("vggsnn", 16), ("vggsnn-nopool", 16), ("resnet19", 4)])
def test_an_image_too_small_is_refused_and_the_smallest_runs(name: str, smallest: int) -> None:
    with refuses(ValueError, f"{smallest} {smallest - 1} image_size"):
        build(name, image_size=smallest - 1)
    model = build(name, image_size=smallest, width=0.05).eval()
    assert model(torch.zeros(1, 3, smallest, smallest), 1).shape == (1, 1, 10)
