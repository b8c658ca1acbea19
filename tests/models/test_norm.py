"""tdBN against nn.BatchNorm2d and the loop of the reference; folding against eq. 6."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from wording import refuses

import reference
from tetviz.models import ConvNorm, TdBN, fold


def randomise(norm: nn.BatchNorm2d, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(norm.num_features, generator=generator))
        norm.bias.copy_(torch.randn(norm.num_features, generator=generator))


def sequence(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0.7, 2.0, shape))


def pair() -> tuple[TdBN, nn.BatchNorm2d]:
    """TdBN at alpha = V_th = 1 and plain batch normalisation with the same weights."""
    ours, plain = TdBN(3).double(), nn.BatchNorm2d(3).double()
    randomise(ours)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


# --- tdBN ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("merged", [False, True])
def test_is_batch_norm_over_time_and_batch_at_one(merged: bool) -> None:
    ours, plain = pair()
    for seed in range(3):
        x = sequence((4, 2, 3, 5, 5), seed)
        x_ours, x_plain = x.clone().requires_grad_(), x.flatten(0, 1).clone().requires_grad_()
        y_ours = ours(x_ours.flatten(0, 1)).unflatten(0, (4, 2)) if merged else ours(x_ours)
        y_plain = plain(x_plain).unflatten(0, (4, 2))
        assert torch.equal(y_ours, y_plain)
        upstream = sequence((4, 2, 3, 5, 5), seed + 10)
        y_ours.backward(upstream)
        y_plain.backward(upstream)
        assert x_ours.grad is not None
        assert x_plain.grad is not None
        assert torch.equal(x_ours.grad.flatten(0, 1), x_plain.grad)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, rtol=1e-14, atol=0)
    torch.testing.assert_close(ours.bias.grad, plain.bias.grad, rtol=1e-14, atol=0)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    for key, value in plain.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value), key
    ours.eval()
    plain.eval()
    x = sequence((4, 2, 3, 5, 5), 99)
    assert torch.equal(ours(x), plain(x.flatten(0, 1)).unflatten(0, (4, 2)))
    assert int(ours.num_batches_tracked) == 3  # nothing counts in eval mode


@given(alpha=st.floats(0.1, 2), threshold=st.floats(0.1, 3), seed=st.integers(0, 1000), steps=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_training_is_the_formula(alpha: float, threshold: float, seed: int, steps: int) -> None:
    norm = TdBN(2, alpha, threshold).double()
    randomise(norm, seed)
    x = sequence((steps, 2, 2, 3, 2), seed)
    y, mean, variance = reference.tdbn(
        x.numpy(), norm.weight.detach().numpy(), norm.bias.detach().numpy(), alpha, threshold, norm.eps
    )
    np.testing.assert_allclose(norm(x).detach().numpy(), y, rtol=1e-10, atol=1e-10)
    count = x.numel() / 2
    assert norm.running_mean is not None
    assert norm.running_var is not None
    np.testing.assert_allclose(
        norm.running_mean.numpy(), reference.running(np.zeros(2), mean, 0.1), rtol=1e-12, atol=1e-12
    )
    unbiased = variance * count / (count - 1)
    np.testing.assert_allclose(norm.running_var.numpy(), reference.running(np.ones(2), unbiased, 0.1), rtol=1e-12)


@pytest.mark.parametrize(("alpha", "threshold"), [(1.0, 0.5), (2**-0.5, 1.0), (2**-0.5, 0.5)])
def test_evaluation_is_the_formula_on_running_statistics(alpha: float, threshold: float) -> None:
    norm = TdBN(3, alpha, threshold).double()
    randomise(norm)
    for seed in range(4):
        norm(sequence((2, 3, 3, 4, 4), seed))
    norm.eval()
    x = sequence((2, 3, 3, 4, 4), 50)
    y = norm(x).detach()
    assert norm.running_mean is not None
    assert norm.running_var is not None
    for c in range(3):
        scaled = alpha * threshold * (x[:, :, c] - norm.running_mean[c]) / (norm.running_var[c] + 1e-5) ** 0.5
        expected = norm.weight[c].detach() * scaled + norm.bias[c].detach()
        torch.testing.assert_close(y[:, :, c], expected, rtol=1e-12, atol=1e-12)


def test_the_factor_scales_the_gradient_of_the_weight_not_of_the_bias() -> None:
    # in other code the factor sits in the initial weight: same function at the start, other training
    x, upstream = sequence((2, 3, 3, 4, 4)), sequence((2, 3, 3, 4, 4), 1)
    gradients = []
    for alpha, threshold in ((1.0, 1.0), (0.5, 0.5)):
        norm = TdBN(3, alpha, threshold).double()
        norm(x).backward(upstream)
        assert norm.weight.grad is not None
        assert norm.bias.grad is not None
        gradients.append((norm.weight.grad, norm.bias.grad))
    torch.testing.assert_close(gradients[1][0], 0.25 * gradients[0][0], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


def test_statistics_do_not_know_alpha_and_threshold() -> None:
    states = []
    for alpha, threshold in ((1.0, 1.0), (0.7, 0.3)):
        norm = TdBN(3, alpha, threshold).double()
        norm(sequence((2, 3, 3, 4, 4)))
        states.append(norm.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in ("running_mean", "running_var"))


def test_order_of_time_and_batch_does_not_matter() -> None:
    norm, other = TdBN(3).double(), TdBN(3).double()
    x = sequence((4, 2, 3, 5, 5))
    torch.testing.assert_close(norm(x), other(x.transpose(0, 1)).transpose(0, 1), rtol=1e-12, atol=1e-12)


def test_momentum_none_is_the_cumulative_average() -> None:
    # what a recalibration of the statistics sets; nn.BatchNorm2d averages all batches then
    ours, plain = pair()
    ours.momentum = plain.momentum = None  # type: ignore[assignment]
    for norm in (ours, plain):
        norm.reset_running_stats()
    for seed in range(4):
        x = sequence((2, 2, 3, 4, 4), seed)
        ours(x)
        plain(x.flatten(0, 1))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, msg=key)


def test_without_tracking_it_is_batch_norm_without_tracking() -> None:
    ours, plain = pair()
    for norm in (ours, plain):
        norm.track_running_stats = False
    x = sequence((2, 2, 3, 4, 4))
    assert torch.equal(ours(x), plain(x.flatten(0, 1)).unflatten(0, (2, 2)))
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value, msg=key)


def test_input_is_left_as_it_is() -> None:
    x = sequence((2, 2, 3, 4, 4))
    before = x.clone()
    TdBN(3).double()(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 1, 2, 3, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with refuses(ValueError, "expected 4D"):
        TdBN(3)(torch.zeros(shape))


def test_repr_shows_the_constants() -> None:
    assert "alpha=0.5" in repr(TdBN(3, 0.5, 0.25))
    assert "threshold=0.25" in repr(TdBN(3, 0.5, 0.25))


# --- folding one pair ---------------------------------------------------------------------------------------


def trained_pair(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> ConvNorm:
    torch.manual_seed(0)
    module = ConvNorm(conv, norm).double()
    randomise(norm)
    for seed in range(3):
        module(sequence((2, 3, conv.in_channels, 6, 6), seed))
    return module.eval()


CONVS: dict[str, Any] = {
    "plain": lambda: nn.Conv2d(4, 6, 3, 1, 1, bias=False),
    "bias": lambda: nn.Conv2d(4, 6, 3, 1, 1),
    "1x1 stride": lambda: nn.Conv2d(4, 6, 1, 2, bias=False),
    "grouped": lambda: nn.Conv2d(4, 6, 3, 1, 1, groups=2),
    "dilated circular": lambda: nn.Conv2d(4, 6, 3, 1, 2, dilation=2, padding_mode="circular"),
}


@pytest.mark.parametrize("name", CONVS)
@pytest.mark.parametrize(("alpha", "threshold"), [(None, None), (1.0, 1.0), (2**-0.5, 0.5)])
def test_folding_is_the_formula(name: str, alpha: float | None, threshold: float | None) -> None:
    norm = nn.BatchNorm2d(6) if alpha is None or threshold is None else TdBN(6, alpha, threshold)
    module = trained_pair(CONVS[name](), norm)
    folded = fold(module)
    assert isinstance(folded, ConvNorm)
    assert isinstance(folded.norm, nn.Identity)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    kernel, bias = reference.fold(
        module.conv.weight.detach().numpy(),
        None if module.conv.bias is None else module.conv.bias.detach().numpy(),
        norm.weight.detach().numpy(),
        norm.bias.detach().numpy(),
        norm.running_mean.numpy(),
        norm.running_var.numpy(),
        norm.eps,
        1.0 if alpha is None or threshold is None else alpha * threshold,
    )
    np.testing.assert_allclose(folded.conv.weight.detach().numpy(), kernel, rtol=1e-12, atol=1e-15)
    assert folded.conv.bias is not None
    np.testing.assert_allclose(folded.conv.bias.detach().numpy(), bias, rtol=1e-11, atol=1e-13)
    x = sequence((3, 2, 4, 6, 6), 77)
    torch.testing.assert_close(folded(x), module(x), rtol=1e-11, atol=1e-12)


def test_folding_leaves_the_original_alone_and_shares_nothing() -> None:
    module = trained_pair(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    folded = fold(module)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()
    assert all(torch.equal(module.state_dict()[k], v) for k, v in before.items())
    assert isinstance(module.norm, nn.BatchNorm2d)


def test_folding_twice_is_folding_once() -> None:
    once = fold(trained_pair(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)))
    twice = fold(once)
    assert all(torch.equal(a, b) for a, b in zip(once.parameters(), twice.parameters(), strict=True))


def test_folding_keeps_frozen_parameters_frozen() -> None:
    module = trained_pair(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)).requires_grad_(False)
    assert not any(p.requires_grad for p in fold(module).parameters())


def test_folding_a_norm_without_affine() -> None:
    torch.manual_seed(0)
    module = ConvNorm(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, affine=False)).double()
    for seed in range(3):
        module(sequence((2, 3, 4, 6, 6), seed))
    module.eval()
    x = sequence((2, 3, 4, 6, 6), 9)
    torch.testing.assert_close(fold(module)(x), module(x), rtol=1e-11, atol=1e-12)


def test_a_norm_elsewhere_is_refused_by_name() -> None:
    model = nn.Sequential(ConvNorm(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6)), nn.BatchNorm2d(6))
    with refuses(ValueError, "fold 1"):
        fold(model)


def test_a_norm_without_statistics_is_refused() -> None:
    module = ConvNorm(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6, track_running_stats=False))
    before = copy.deepcopy(module.state_dict())
    with refuses(ValueError, "running statistics"):
        fold(module)
    assert module.state_dict().keys() == before.keys()
