"""Every operation that mixes elements is counted by hand here, or listed: nothing is missed in silence."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
import torch
from counting_networks import Behind, dyadic
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from tetviz.analysis import count_operations

T, B, N, D = 3, 2, 4, 8
Function = Callable[[Tensor, Tensor, Tensor], Tensor]


def tokens(x: Tensor) -> Tensor:
    """T x B x N x D of T x B x 2 x 4 x 4."""
    return x.flatten(2).unflatten(2, (N, D))


def sequences() -> Tensor:
    return dyadic((T, B, 2, 4, 4), 11)


def counted(function: Function) -> Any:
    x = sequences()
    with torch.no_grad():
        features = function((x > 0.25).float(), (x < 0.5).float(), x).flatten(2).shape[2]
    return count_operations(Behind(features, function), x, T)


def products(counts: Any) -> dict[str, list[int]]:
    """Dense pairs, ACs and MACs of each step of the rows that hold products."""
    rows = [i for i, name in enumerate(counts.names) if ": " in name]
    return {
        column: getattr(counts, column)[rows].sum(0).tolist() for column in ("dense_mac", "inbounds_mac", "ac", "mac")
    }


def pairs(a: Tensor, b: Tensor, equation: str) -> list[int]:
    """Pairs of elements that are not 0, of each step, by an einsum over marks of one step."""
    return [int(torch.einsum(equation, (x != 0).double(), (y != 0).double()).sum()) for x, y in zip(a, b, strict=True)]


# Q of one train of spikes, K of another, both T x B x N x D: Q K^T in every way to write it.
SCORES: dict[str, Function] = {
    "matmul": lambda q, k, x: tokens(q) @ tokens(k).transpose(2, 3),
    "scaled": lambda q, k, x: (tokens(q) @ tokens(k).transpose(2, 3)) * 0.125,
    "scaled before": lambda q, k, x: (tokens(q) * 0.125) @ tokens(k).transpose(2, 3),
    "einsum": lambda q, k, x: torch.einsum("tbnd,tbmd->tbnm", tokens(q), tokens(k)),
    "einsum, batch first": lambda q, k, x: torch.einsum(
        "btnd,btmd->tbnm", tokens(q).transpose(0, 1), tokens(k).transpose(0, 1)
    ),
    "bmm": lambda q, k, x: torch.bmm(tokens(q).flatten(0, 1), tokens(k).flatten(0, 1).transpose(1, 2)).unflatten(
        0, q.shape[:2]
    ),
    "baddbmm": lambda q, k, x: torch.baddbmm(
        torch.zeros(1, N, N), tokens(q).flatten(0, 1), tokens(k).flatten(0, 1).transpose(1, 2)
    ).unflatten(0, q.shape[:2]),
    "broadcasting and a sum": lambda q, k, x: (tokens(q)[..., :, None, :] * tokens(k)[..., None, :, :]).sum(-1),
    "a loop over tokens": lambda q, k, x: torch.stack(
        [(tokens(q)[..., n : n + 1, :] * tokens(k)).sum(-1) for n in range(N)], 2
    ),
    "a loop over steps": lambda q, k, x: torch.stack(
        [a @ b.transpose(1, 2) for a, b in zip(tokens(q), tokens(k), strict=True)]
    ),
    "and of both": lambda q, k, x: (
        ((tokens(q) > 0)[..., :, None, :] & (tokens(k) > 0)[..., None, :, :]).to(x.dtype).sum(-1)
    ),
}


@pytest.mark.parametrize("function", SCORES.values(), ids=SCORES)
def test_a_product_of_spikes_is_counted_however_it_is_written(function: Function) -> None:
    x, counts = sequences(), counted(function)
    expected = pairs(tokens(x > 0.25), tokens(x < 0.5), "bnd,bmd->bnm")
    dense = [B * N * N * D] * T
    assert products(counts) == {"dense_mac": dense, "inbounds_mac": dense, "ac": expected, "mac": [0] * T}
    assert counts.pool_add.sum() == 0
    assert list(counts.not_counted) == []
    assert 0 < sum(expected) < sum(dense)


def dots(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([torch.dot(x, y).expand(B, 1) for x, y in zip(a, b, strict=True)])


# name -> function, einsum of the marks of each step, whether one of both is spikes
KINDS: dict[str, tuple[Function, Callable[[Tensor], tuple[Tensor, Tensor]], str, bool]] = {
    "spikes and what is none": (
        lambda s, r, x: tokens(s) @ tokens(x.tanh()).transpose(2, 3),
        lambda x: (tokens(x > 0.25), tokens(x + 9)),
        "bnd,bmd->bnm",
        True,
    ),
    "neither is spikes": (
        lambda s, r, x: tokens(x.tanh()) @ tokens(x.sin()).transpose(2, 3),
        lambda x: (tokens(x), tokens(x)),
        "bnd,bmd->bnm",
        False,
    ),
    "gate of spikes": (lambda s, r, x: s * r, lambda x: (x > 0.25, x < 0.5), "bchw,bchw->bchw", True),
    "gate of a value": (lambda s, r, x: s * x.tanh(), lambda x: (x > 0.25, x + 9), "bchw,bchw->bchw", True),
    "gate of two values": (lambda s, r, x: x.tanh() * x.sigmoid(), lambda x: (x, x + 9), "bchw,bchw->bchw", False),
    "gate in place": (lambda s, r, x: x.tanh().mul_(s), lambda x: (x + 9, x > 0.25), "bchw,bchw->bchw", True),
    "mask of a channel": (
        lambda s, r, x: s * r.sum((3, 4), keepdim=True).gt(12).to(x.dtype),
        lambda x: (x > 0.25, ((x < 0.5).sum((3, 4)) > 12)),
        "bchw,bc->bchw",
        True,
    ),
    "addcmul": (
        lambda s, r, x: torch.addcmul(x.tanh(), s, x.sigmoid()),
        lambda x: (x > 0.25, x + 9),
        "bchw,bchw->bchw",
        True,
    ),
    "quotient": (lambda s, r, x: s / x.sigmoid(), lambda x: (x > 0.25, x + 9), "bchw,bchw->bchw", True),
    "dot product": (
        lambda s, r, x: dots(s[:, 0].flatten(1), r[:, 0].flatten(1)),
        lambda x: (x[:, :1] > 0.25, x[:, :1] < 0.5),
        "bchw,bchw->b",
        True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("function", "factors", "equation", "spikes"), KINDS.values(), ids=KINDS)
def test_pairs_are_acs_where_one_of_both_is_spikes(
    function: Function, factors: Callable[[Tensor], tuple[Tensor, Tensor]], equation: str, spikes: bool
) -> None:
    counts = counted(function)
    expected = pairs(*factors(sequences()), equation)
    found = products(counts)
    assert found["ac" if spikes else "mac"] == expected
    assert found["mac" if spikes else "ac"] == [0] * T
    assert list(counts.not_counted) == []
    assert sum(expected) > 0


def attend(s: Tensor, r: Tensor, x: Tensor, contiguous: bool = True, **settings: Any) -> Tensor:
    q, k, v = (tokens(each).unflatten(3, (2, D // 2)).transpose(2, 3) for each in (s, r, x.tanh()))
    if contiguous:
        q, k, v = (each.contiguous() for each in (q, k, v))
    lead = q.shape[:2]
    y = F.scaled_dot_product_attention(*(each.flatten(0, 1) for each in (q, k, v)), **settings)
    return y.unflatten(0, lead)


@pytest.mark.parametrize("backend", [None, SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize("contiguous", [True, False])
@pytest.mark.parametrize("masked", ["", "causal", "mask"])
def test_attention_counts_the_same_on_every_kernel(backend: Any, contiguous: bool, masked: str) -> None:
    settings: dict[str, Any] = {"": {}, "causal": {"is_causal": True}, "mask": {"attn_mask": torch.eye(N) > 0}}[masked]

    def function(s: Tensor, r: Tensor, x: Tensor) -> Tensor:
        if backend is None:
            return attend(s, r, x, contiguous, **settings)
        with sdpa_kernel(backend):
            return attend(s, r, x, contiguous, **settings)

    counts = counted(function)
    x = sequences()
    heads = [tokens(each).unflatten(3, (2, D // 2)).transpose(2, 3) for each in (x > 0.25, x < 0.5, x)]
    seen = {"": torch.ones(N, N), "causal": torch.ones(N, N).tril(), "mask": torch.eye(N)}[masked]
    found = products(counts)
    assert found["dense_mac"] == [2 * B * N * N * D] * T
    assert found["ac"] == pairs(heads[0], heads[1], "bhnd,bhmd->bhnm")
    assert found["mac"] == [int(torch.einsum("nm,bhmd->", seen, (v != 0).float())) for v in heads[2]]
    assert list(counts.not_counted) == []


class Kernel(nn.MultiheadAttention):
    """Attention of torch, which has a kernel of its own for networks in eval mode."""

    def __init__(self) -> None:
        super().__init__(D, 2, batch_first=True)


def test_multi_head_attention_is_its_layers_and_its_products() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = Kernel()

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            s = tokens((x > 0).to(x.dtype)).flatten(0, 1)
            y, _ = self.attention(s, s, s, need_weights=False)
            return y.unflatten(0, (len(x), -1)).flatten(2)

    fast = torch.backends.mha.get_fastpath_enabled()
    counts = count_operations(Net(), sequences(), T)
    assert torch.backends.mha.get_fastpath_enabled() == fast
    weighted = counts.weights > 0
    assert counts.dense_mac[weighted].sum(0).tolist() == [B * N * 4 * D * D] * T
    assert counts.dense_mac[~weighted].sum(0).tolist() == [2 * B * N * N * D] * T
    assert list(counts.not_counted) == []


# Side operations, a step: additions, or multiply-adds of a scale.
BESIDE: dict[str, tuple[Function, str, Callable[[Tensor], int]]] = {
    "sum": (lambda s, r, x: s.sum((3, 4)), "pool_add", lambda x: int((x > 0.25).sum())),
    "cumsum": (lambda s, r, x: s.flatten(2).cumsum(2), "pool_add", lambda x: int((x > 0.25).sum())),
    "softmax": (lambda s, r, x: x.softmax(4), "norm_mac", lambda x: x.numel()),
    "log_softmax": (lambda s, r, x: x.log_softmax(4), "norm_mac", lambda x: x.numel()),
    "logsumexp": (lambda s, r, x: x.logsumexp(4), "norm_mac", lambda x: x.numel()),
    "variance": (lambda s, r, x: x.var(4), "norm_mac", lambda x: x.numel()),
    "adaptive pool over five axes": (
        lambda s, r, x: F.adaptive_avg_pool3d(s, (None, 1, 1)),
        "pool_add",
        lambda x: int((x > 0.25).sum()),
    ),
}


@pytest.mark.parametrize(("function", "column", "expected"), BESIDE.values(), ids=BESIDE)
def test_what_is_no_product_stands_beside(function: Function, column: str, expected: Callable[[Tensor], int]) -> None:
    counts = counted(function)
    i = list(counts.names).index("between")
    assert getattr(counts, column)[i].tolist() == [expected(step) for step in sequences()]
    assert list(counts.not_counted) == []
    assert counts.dense_mac[counts.weights == 0].sum() == 0


LISTED: dict[str, Function] = {
    "fft_rfft": lambda s, r, x: torch.fft.irfft(torch.fft.rfft(s, dim=4) * 0.5, dim=4),
    "cumprod": lambda s, r, x: (1 + s).flatten(2).cumprod(2),
    "prod": lambda s, r, x: (1 + x).prod(4),
    "bilinear upsampling": lambda s, r, x: F.interpolate(s.flatten(0, 1), scale_factor=2, mode="bilinear").unflatten(
        0, s.shape[:2]
    ),
    "grid_sample": lambda s, r, x: F.grid_sample(
        s.flatten(0, 1), torch.zeros(s.shape[0] * s.shape[1], 4, 4, 2), align_corners=False
    ).unflatten(0, s.shape[:2]),
    "cdist": lambda s, r, x: torch.cdist(tokens(s), tokens(x)),
    "scatter_add": lambda s, r, x: torch.zeros(*s.shape[:2], 4).scatter_add(
        2, torch.zeros(*s.shape[:2], 32, dtype=torch.int64), s.flatten(2)
    ),
    "index_add": lambda s, r, x: torch.zeros(*s.shape[:2], 4).index_add(
        2, torch.zeros(32, dtype=torch.int64), s.flatten(2)
    ),
    "convolution of two activations": lambda s, r, x: torch.stack(
        [F.conv2d(a, b[:1]).expand(B, -1, -1, -1) for a, b in zip(s, r, strict=True)]
    ),
    "cross": lambda s, r, x: torch.linalg.cross(tokens(s)[..., :3], tokens(x)[..., :3], dim=3),
    "addbmm": lambda s, r, x: torch.stack(
        [torch.addbmm(torch.zeros(N, N), a, a.transpose(1, 2)).expand(B, N, N) for a in tokens(s)]
    ),
    "a sum of computed weights": lambda s, r, x: (s.flatten(2) * torch.arange(32.0).sin()).sum(2, keepdim=True),
    "a custom operation": lambda s, r, x: torch.ops.tetviz_tests.mix(s),
}  # fmt: skip


@torch.library.custom_op("tetviz_tests::mix", mutates_args=())
def mix(x: Tensor) -> Tensor:
    return x.flip(-1) * x


@pytest.mark.parametrize("function", LISTED.values(), ids=LISTED)
def test_what_is_in_no_table_is_listed(function: Function) -> None:
    counts = counted(function)
    assert any("between" in entry for entry in counts.not_counted)


class Inline(nn.Module):
    """Neurons without a module of their own, with a leak and a hard reset by multiplication."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(32, 3)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        u, outputs = torch.zeros_like(x[0].flatten(1)), []
        s = torch.zeros_like(u)
        for step in x.flatten(2):
            u = 0.5 * u * (1 - s) + step
            s = (u - 0.25 > 0).to(u.dtype)
            outputs.append(self.layer(s))
        return torch.stack(outputs)


def test_a_reset_by_multiplication_is_no_product_of_activations() -> None:
    counts = count_operations(Inline(), sequences(), T)
    assert products(counts)["dense_mac"] == [0] * T
    assert list(counts.not_counted) == []
    assert sum(counts.ac.sum(0)) > 0


def test_the_kernel_of_an_lstm_counts_as_its_parts() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.odd = nn.LSTM(32, 5)

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            y: Tensor = self.odd((x.flatten(2) > 0).to(x.dtype))[0]
            return y

    model, x = Net(), sequences()
    fused = count_operations(model, x, T)
    precision = {"allow_tf32"} & signature(torch.backends.mkldnn.flags).parameters.keys()
    with torch.backends.mkldnn.flags(enabled=False, **dict.fromkeys(precision)):
        parts = count_operations(model, x, T)
    named = {"odd.weight_ih_l0": 32, "odd.weight_hh_l0": 5}
    for counts in (fused, parts):
        for name, features in named.items():
            assert counts.dense_mac[counts.names.index(name)].tolist() == [B * 20 * features] * T
        spikes = [20 * int((step > 0).sum()) for step in x]
        assert counts.ac[counts.names.index("odd.weight_ih_l0")].tolist() == spikes
        assert counts.mac[counts.names.index("odd.weight_hh_l0")].tolist() == [0] + [B * 20 * 5] * (T - 1)
        assert products(counts)["mac"] == [2 * B * 5] + [3 * B * 5] * (T - 1)
        assert list(counts.not_counted) == []
