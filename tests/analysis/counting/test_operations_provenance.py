"""What makes a tensor decides how its synapses are counted: every class of input, and what contradicts it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from counting_networks import Above, Behind, dyadic
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.analysis import count_operations
from tetviz.errors import DataError, TetvizError

T, B, OUT = 3, 2, 3
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


def merged(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of B x C x H x W, applied to all steps."""
    return lambda s: function(s.flatten(0, 1)).unflatten(0, s.shape[:2])


def written(s: Tensor) -> Tensor:
    """Spikes written into a tensor of zeros, step by step."""
    out = torch.zeros_like(s)
    for t in range(len(s)):
        out[t] = s[t]
    return out


def indexed(x: Tensor) -> Tensor:
    """Spikes written where the input is positive."""
    out = torch.zeros_like(x)
    out[x > 0] = 1.0
    return out


class Surrogate(torch.autograd.Function):
    """A step with another gradient, as most packages define it."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        return (u > 0).float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


BINARY: dict[str, Function] = {
    "a comparison": lambda s, r, x: s,
    "greater or equal": lambda s, r, x: x.ge(0.25).to(x.dtype),
    "less": lambda s, r, x: torch.lt(x, 0).to(x.dtype),
    "heaviside": lambda s, r, x: torch.heaviside(x, torch.zeros(())),
    "an autograd function": lambda s, r, x: Surrogate.apply(x),  # type: ignore[no-any-return, no-untyped-call]
    "a comparison with out": lambda s, r, x: torch.gt(x, 0.0, out=torch.empty_like(x)),
    "another precision": lambda s, r, x: s.double().half().float(),
    "bool": lambda s, r, x: (x > 0).bool(),
    "max pooling": lambda s, r, x: merged(nn.MaxPool2d(2))(s),
    "adaptive max pooling": lambda s, r, x: merged(nn.AdaptiveMaxPool2d(2))(s),
    "the maximum over space": lambda s, r, x: s.amax((3, 4)),
    "concatenation": lambda s, r, x: torch.cat([s, r], 2),
    "a stack of steps": lambda s, r, x: torch.stack([(s if t % 2 else r)[t] for t in range(len(s))]),
    "a permutation": lambda s, r, x: s.permute(0, 1, 4, 2, 3).contiguous(),
    "a view": lambda s, r, x: s.view(*s.shape[:2], -1),
    "a slice": lambda s, r, x: s[..., 1:, ::2],
    "an index": lambda s, r, x: s[:, :, :, [2, 0]],
    "a flip": lambda s, r, x: s.flip(4),
    "padding": lambda s, r, x: F.pad(s, (1, 1, 1, 1)),
    "replicate padding": lambda s, r, x: merged(lambda s: F.pad(s, (1, 1, 1, 1), mode="replicate"))(s),
    "repetition": lambda s, r, x: s.repeat(1, 1, 2, 1, 1),
    "a copy": lambda s, r, x: s.clone().detach(),
    "dropout in eval mode": lambda s, r, x: F.dropout(s, 0.5, training=False),
    "writing into zeros": lambda s, r, x: written(s),
    "a product of spikes": lambda s, r, x: s * r,
    "both": lambda s, r, x: torch.logical_and(s > 0, r > 0).to(x.dtype),
    "either": lambda s, r, x: torch.maximum(s, r),
    "no spike": lambda s, r, x: 1 - s,
    "upsampling": lambda s, r, x: merged(lambda s: F.interpolate(s, scale_factor=2))(s),
    "a choice of numbers": lambda s, r, x: torch.where(x > 0, 1.0, 0.0),
    "a choice of tensors": lambda s, r, x: torch.where(x > 0, torch.ones_like(x), torch.zeros_like(x)),
    "spikes or nothing": lambda s, r, x: torch.where(x > 0, s, 0.0),
    "a number at places": lambda s, r, x: torch.zeros_like(x).masked_fill(x > 0, 1.0),
    "a number at places, in place": lambda s, r, x: torch.zeros_like(x).masked_fill_(x > 0, 1.0),
    "a number by index": lambda s, r, x: indexed(x),
    "and": lambda s, r, x: ((s > 0) & (r > 0)).to(x.dtype),
    "or": lambda s, r, x: ((s > 0) | (r > 0)).to(x.dtype),
    "not": lambda s, r, x: (~(s > 0)).to(x.dtype),
    "any": lambda s, r, x: (x > 0.5).any(2, keepdim=True).to(x.dtype),
    "upsampling, exact": lambda s, r, x: merged(lambda s: F.interpolate(s, scale_factor=2, mode="nearest-exact"))(s),
    "chunks": lambda s, r, x: torch.cat(s.chunk(2, 2)[::-1], 2),
}
SCALED: dict[str, Function] = {
    "times a constant": lambda s, r, x: 0.5 * s,
    "times a tensor of one element": lambda s, r, x: s * torch.tensor(0.75),
    "over a constant": lambda s, r, x: s / 4,
    "times a constant in place": lambda s, r, x: s.clone().mul_(0.5),
    "a view of them": lambda s, r, x: (0.5 * s).flatten(2),
    "max pooling of them": lambda s, r, x: merged(nn.MaxPool2d(2))(0.5 * s),
    "a choice of a number": lambda s, r, x: torch.where(x > 0, 0.75, 0.0),
    "a number at places": lambda s, r, x: torch.zeros_like(x).masked_fill(x > 0, 0.75),
}
TERNARY: dict[str, Function] = {
    "a difference of spikes": lambda s, r, x: s - r,
    "a sign": lambda s, r, x: x.sign(),
    "a view of them": lambda s, r, x: (s - r).transpose(2, 3),
}
GRADED: dict[str, Function] = {
    "a sum of two": lambda s, r, x: s + r,
    "a sum of three": lambda s, r, x: s + r + s,
    "a sum in place": lambda s, r, x: s.clone().add_(r),
    "a view of them": lambda s, r, x: (s + r)[..., ::2],
    "max pooling of them": lambda s, r, x: merged(nn.MaxPool2d(2))(s + r),
    "a sum over space": lambda s, r, x: s.sum((3, 4)),
}
POOLED: dict[str, tuple[Function, int]] = {
    "2 x 2": (lambda s, r, x: merged(nn.AvgPool2d(2))(s), 4),
    "4 x 2": (lambda s, r, x: merged(nn.AvgPool2d((4, 2)))(s), 8),
    "3 x 3, without the rest": (lambda s, r, x: merged(nn.AvgPool2d(3))(s), 9),
    "functional": (lambda s, r, x: merged(lambda s: F.avg_pool2d(s, 2))(s), 4),
    "a mean over space": (lambda s, r, x: s.mean((3, 4)), 16),
    "adaptive, to one": (lambda s, r, x: merged(nn.AdaptiveAvgPool2d(1))(s), 16),
    "sums, by another divisor": (lambda s, r, x: merged(lambda s: F.avg_pool2d(s, 2, divisor_override=1))(s), 1),
    "a view of them": (lambda s, r, x: merged(nn.AvgPool2d(2))(s).flatten(2).contiguous(), 4),
    "concatenated": (lambda s, r, x: torch.cat([merged(nn.AvgPool2d(2))(s), merged(nn.AvgPool2d(2))(r)], 2), 4),
}
UNFOLDABLE: dict[str, Function] = {
    "overlapping": lambda s, r, x: merged(nn.AvgPool2d(3, stride=1))(s),
    "padded": lambda s, r, x: merged(nn.AvgPool2d(2, padding=1))(s),
    "with gaps": lambda s, r, x: merged(nn.AvgPool2d(1, stride=2))(merged(nn.AvgPool2d(2, stride=1))(s)),
}
ANALOG: dict[str, Function] = {
    "tanh": lambda s, r, x: x.tanh(),
    "spikes times what is no spike": lambda s, r, x: s * x.tanh(),
    "a comparison, smoothed": lambda s, r, x: torch.sigmoid(4 * x),
    "spikes plus what is no spike": lambda s, r, x: s + x.tanh(),
}


def counted(function: Function) -> tuple[Any, int, np.ndarray]:
    """The counts, the row of ``layer``, and what enters it, T x (B x features)."""
    x = dyadic((T, B, 2, 4, 4), 7)
    entering = function((x > 0.25).float(), (x < 0.5).float(), x).flatten(2)
    counts = count_operations(Behind(entering.shape[2], function), x, T)
    return counts, list(counts.names).index("layer"), entering.flatten(1).double().numpy()


def check(function: Function, kind: str, spikes: bool) -> tuple[Any, int, np.ndarray]:
    counts, i, entering = counted(function)
    pairs = OUT * (entering != 0).sum(1)
    assert list(counts.inputs)[i] == kind
    assert counts.ac[i].tolist() == (pairs if spikes else 0 * pairs).tolist()
    assert counts.mac[i].tolist() == (0 * pairs if spikes else pairs).tolist()
    assert list(counts.warnings) == list(counts.not_counted) == []
    assert 0 < pairs.sum() <= OUT * entering.size
    return counts, i, entering


@pytest.mark.parametrize("function", BINARY.values(), ids=BINARY)
def test_spikes_stay_binary(function: Function) -> None:
    check(function, "binary", True)


@pytest.mark.parametrize("function", SCALED.values(), ids=SCALED)
def test_spikes_of_another_height_are_scaled(function: Function) -> None:
    check(function, "scaled", True)


@pytest.mark.parametrize("function", TERNARY.values(), ids=TERNARY)
def test_signed_spikes_are_ternary(function: Function) -> None:
    _, _, entering = check(function, "ternary", True)
    assert set(np.unique(entering)) == {-1, 0, 1}


@pytest.mark.parametrize("function", GRADED.values(), ids=GRADED)
def test_sums_of_spikes_are_graded_and_each_spike_is_a_unit(function: Function) -> None:
    counts, i, entering = check(function, "graded", False)
    assert counts.unit_ac[i].tolist() == (OUT * entering.sum(1)).tolist()
    assert (counts.unit_ac[i] > counts.mac[i]).any()
    assert counts.foldable[i] == 1


@pytest.mark.parametrize(("function", "window"), POOLED.values(), ids=POOLED)
def test_means_of_spikes_are_pooled_and_fold_into_their_spikes(function: Function, window: int) -> None:
    counts, i, entering = check(function, "pooled", False)
    np.testing.assert_allclose(counts.unit_ac[i], OUT * window * entering.sum(1), rtol=1e-6)
    assert counts.foldable[i] == 1


@pytest.mark.parametrize("function", UNFOLDABLE.values(), ids=UNFOLDABLE)
def test_pools_that_overlap_or_pad_do_not_fold(function: Function) -> None:
    counts, i, _ = check(function, "pooled", False)
    assert counts.foldable[i] == 0


@pytest.mark.parametrize("function", ANALOG.values(), ids=ANALOG)
def test_what_is_no_spike_is_analog(function: Function) -> None:
    counts, i, _ = check(function, "analog", False)
    assert counts.unit_ac[i].sum() == counts.foldable[i] == 0


def test_spikes_hidden_by_arithmetic_are_a_warning_until_they_are_named() -> None:
    def straight_through(s: Tensor, r: Tensor, x: Tensor) -> Tensor:
        smooth = torch.sigmoid(x)
        return ((x > 0).to(x.dtype) - smooth).detach() + smooth

    x = dyadic((T, B, 2, 4, 4), 7)
    model = Behind(32, straight_through)
    unnamed = count_operations(model, x, T)
    i = list(unnamed.names).index("layer")
    assert list(unnamed.inputs)[i] == "analog"
    assert any("layer" in warning and "spiking" in warning for warning in list(unnamed.warnings))
    named = count_operations(model, x, T, spiking=["between"])
    assert list(named.warnings) == []
    assert (named.ac[list(named.names).index("layer")] == OUT * (x > 0).flatten(1).sum(1).numpy()).all()


SELECTED: dict[str, Function] = {
    "the largest": lambda s, r, x: F.one_hot(x.flatten(2).argmax(2), 32).to(x.dtype),
    "the three largest": lambda s, r, x: torch.zeros_like(x.flatten(2)).scatter(2, x.flatten(2).topk(3).indices, 1.0),
    "rows of a table": lambda s, r, x: torch.eye(32)[x.flatten(2).argmax(2)],
}


@pytest.mark.parametrize("function", SELECTED.values(), ids=SELECTED)
def test_fixed_values_at_places_that_the_input_chooses_are_not_fixed(function: Function) -> None:
    counts, i, entering = counted(function)
    assert (counts.ac + counts.mac)[i].tolist() == (OUT * (entering != 0).sum(1)).tolist()
    assert list(counts.inputs)[i] == "analog"
    assert any("layer" in warning and "spiking" in warning for warning in list(counts.warnings))


def test_the_input_is_data_even_where_it_looks_like_spikes() -> None:
    x = (dyadic((T, B, 2, 4, 4), 7) > 0).float()
    counts = count_operations(Behind(32, lambda s, r, x: x), x, T)
    assert list(counts.inputs)[list(counts.names).index("layer")] == "data"
    assert counts.mac.sum() == OUT * x.sum()
    assert counts.ac.sum() == 0


def test_silent_layers_cost_nothing_and_keep_their_class() -> None:
    counts, i, _ = counted(lambda s, r, x: (x > 9).to(x.dtype))
    assert list(counts.inputs)[i] == "binary"
    assert counts.ac[i].sum() == counts.mac[i].sum() == 0
    assert counts.dense_mac[i].sum() == T * B * 32 * OUT
    assert list(counts.warnings) == []


def half_in_place(s: Tensor, r: Tensor, x: Tensor) -> Tensor:
    s = s.clone()
    s[0, :, 0, 0, 0] = 0.5
    return s


def half_unseen(s: Tensor, r: Tensor, x: Tensor) -> Tensor:
    s = s.clone()
    s.numpy()[0, :, 0, 0, 0] = 0.5  # no operation of torch
    return s


@pytest.mark.parametrize(("function", "kind"), [(half_in_place, "mixed"), (half_unseen, "binary")])
def test_one_odd_element_is_a_warning_and_no_silent_flip(function: Function, kind: str) -> None:
    counts, i, entering = counted(function)
    assert (entering == 0.5).sum() == B
    assert list(counts.inputs)[i] == kind
    assert (counts.ac + counts.mac)[i].tolist() == (OUT * (entering != 0).sum(1)).tolist()
    assert kind == "mixed" or counts.mac[i].sum() == 0
    assert any("layer" in warning for warning in list(counts.warnings))


@pytest.mark.parametrize(
    "plant",
    [lambda s: s.numpy().fill(0.25), lambda s: np.negative(s.numpy(), out=s.numpy())],
    ids=["another height", "another sign"],
)
def test_spikes_that_are_none_are_a_warning(plant: Callable[[Tensor], None]) -> None:
    def function(s: Tensor, r: Tensor, x: Tensor) -> Tensor:
        s = s.clone()
        plant(s)
        return s

    counts, i, _ = counted(function)
    assert list(counts.inputs)[i] == "binary"
    assert any("layer" in warning for warning in list(counts.warnings))


class TwoInputs(nn.Module):
    """One layer that receives spikes first, and then what is no spike."""

    def __init__(self) -> None:
        super().__init__()
        self.neurons, self.shared = Above(), nn.Linear(32, 32, bias=False)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        y = self.shared(self.neurons(x[:timesteps].flatten(2))).tanh()
        logits: Tensor = self.shared(y)
        return logits


def test_a_layer_that_receives_spikes_and_others_keeps_them_apart() -> None:
    x = dyadic((T, B, 2, 4, 4), 7)
    counts = count_operations(TwoInputs(), x, T)
    i = list(counts.names).index("shared")
    assert counts.ac[i].tolist() == (32 * (x > 0).flatten(1).sum(1)).tolist()
    assert counts.mac[i].tolist() == [32 * 32 * B] * T
    assert counts.dense_mac[i].tolist() == [2 * 32 * 32 * B] * T
    assert set(list(counts.inputs)[i].split(", ")) == {"binary", "analog"}


def binary_data() -> Tensor:
    return (dyadic((T, B, 2, 4, 4), 7) > 0).float()


@pytest.mark.parametrize("stated", ["yes", True, "auto"])
def test_an_input_of_spikes_makes_the_first_layer_add(stated: str | bool) -> None:
    x = binary_data()
    counts = count_operations(Behind(32, lambda s, r, x: x), x, T, input_spikes=stated)
    i = list(counts.names).index("layer")
    assert list(counts.inputs)[i] == "binary"
    assert counts.ac[i].tolist() == [OUT * int(step.sum()) for step in x]
    assert counts.mac.sum() == 0
    assert list(counts.warnings) == []
    unstated = count_operations(Behind(32, lambda s, r, x: x), x, T)
    assert any("input_spikes (--input-spikes yes)" in warning for warning in unstated.warnings)


def test_an_image_of_spikes_still_is_the_same_at_every_step() -> None:
    counts = count_operations(Behind(32, lambda s, r, x: x), binary_data()[0], T, input_spikes="yes")
    assert counts.static[list(counts.names).index("layer")] == 1


def test_an_input_that_is_no_spikes_is_not_taken_for_them() -> None:
    x = dyadic((T, B, 2, 4, 4), 7)
    automatic = count_operations(Behind(32, lambda s, r, x: x), x, T, input_spikes="auto")
    assert list(automatic.inputs)[list(automatic.names).index("layer")] == "data"
    with pytest.raises(DataError, match=r"stated to be spikes, but holds values besides 0 and 1, between -1 and 1"):
        count_operations(Behind(32, lambda s, r, x: x), x, T, input_spikes="yes")
    with pytest.raises(ValueError, match="unknown choice of input_spikes 'maybe'"):
        count_operations(Behind(32, lambda s, r, x: x), x, T, input_spikes="maybe")


def test_an_unknown_name_of_spiking_modules_is_refused_with_the_nearest() -> None:
    with pytest.raises(TetvizError, match="unknown module or type in spiking 'betwen'; did you mean 'between'"):
        count_operations(Behind(32, lambda s, r, x: x), binary_data(), T, spiking=["betwen"])
