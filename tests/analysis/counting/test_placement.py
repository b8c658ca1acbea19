"""Every call is of the right step: layers on tokens, time on any axis, layers that are called at some steps only."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import published_layouts as published
import pytest
import torch
from counting_networks import Above, PlainLIF, StepLoop, dyadic, make_dyadic
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tetviz.analysis import count_operations
from tetviz.analysis.counting.placement import Place, whole_sums
from tetviz.models import Calling, ForeignNetwork, build
from tetviz.summaries import baselines, estimate_energy
from tetviz.training.published import convert

T, B, N, D, OUT = 4, 3, 5, 6, 7


def tokens() -> Tensor:
    return dyadic((T, B, N, D), 3)[:, :, None]  # T x B x 1 x N x D, an image of one channel


def of_layer(counts: Any, name: str, column: str) -> list[int]:
    return getattr(counts, column)[list(counts.names).index(name)].tolist()  # type: ignore[no-any-return]


class OnTokens(nn.Module):
    """Spikes of T x B x N x D through ``layer``, in any order of axes; what comes out is averaged over tokens."""

    def __init__(self, layer: nn.Module, call: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.fire, self.layer, self.call = Above(), make_dyadic(layer), call

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        return self.call(self.layer, self.fire(x[:timesteps, :, 0]))


def conv(layer: nn.Module, s: Tensor) -> Tensor:
    y: Tensor = layer(s.flatten(0, 1).transpose(1, 2))
    return y.mean(2).unflatten(0, s.shape[:2])


LAYOUTS: dict[str, tuple[Callable[[], nn.Module], Callable[[Any, Tensor], Tensor]]] = {
    "T x B x N x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s).mean(2)),
    "TB x N x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s.flatten(0, 1)).mean(1).unflatten(0, s.shape[:2])),
    "TBN x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s.flatten(0, 2)).unflatten(0, s.shape[:3]).mean(2)),
    "B x T x N x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s.transpose(0, 1)).mean(2).transpose(0, 1)),
    "BT x N x D": (
        lambda: nn.Linear(D, OUT),
        lambda f, s: f(s.transpose(0, 1).flatten(0, 1)).mean(1).unflatten(0, (s.shape[1], -1)).transpose(0, 1),
    ),
    "B x N x T x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s.permute(1, 2, 0, 3)).mean(1).transpose(0, 1)),
    "N x T x B x D": (lambda: nn.Linear(D, OUT), lambda f, s: f(s.permute(2, 0, 1, 3)).mean(0)),
    "Conv1d on TB x D x N": (lambda: nn.Conv1d(D, OUT, 1), conv),
    "Conv1d of width 3": (lambda: nn.Conv1d(D, OUT, 3, padding=1), conv),
    "Conv3d, time last": (
        lambda: nn.Conv3d(D, OUT, 1),
        lambda f, s: f(s.permute(1, 3, 2, 0)[:, :, :, None]).mean((2, 3)).permute(2, 0, 1),
    ),
    "Conv1d over time, causal": (
        lambda: nn.Conv1d(D * N, OUT, 2),
        lambda f, s: f(F.pad(s.flatten(2).permute(1, 2, 0), (1, 0))).permute(2, 0, 1),
    ),
    "einsum": (lambda: nn.Linear(D, OUT), lambda f, s: torch.einsum("tbnd,od->tbno", s, f.weight).mean(2)),
    "a loop over steps": (lambda: nn.Linear(D, OUT), lambda f, s: torch.stack([f(step).mean(1) for step in s])),
    "a loop over tokens": (
        lambda: nn.Linear(D, OUT),
        lambda f, s: torch.stack([f(s[:, :, n]) for n in range(N)]).mean(0),
    ),
    "a loop over tokens, then steps": (
        lambda: nn.Linear(D, OUT),
        lambda f, s: torch.stack([torch.stack([f(step[:, n]) for step in s]) for n in range(N)]).mean(0),
    ),
    "a loop over samples": (
        lambda: nn.Linear(D, OUT),
        lambda f, s: torch.stack([f(s[:, b]).mean(1) for b in range(s.shape[1])], 1),
    ),
}  # fmt: skip


def expected_pairs(name: str, layer: nn.Module, s: Tensor) -> list[int]:
    """ACs of each step by brute force: what a run of t steps does more than one of t - 1."""
    ones = torch.ones_like(layer.weight)  # type: ignore[arg-type]

    def total(s: Tensor) -> int:
        if name == "Conv1d of width 3":
            return int(F.conv1d(s.flatten(0, 1).transpose(1, 2), ones, padding=1).sum())
        if name == "Conv1d over time, causal":
            return int(F.conv1d(F.pad(s.flatten(2).permute(1, 2, 0), (1, 0)), ones).sum())
        return OUT * int(s.sum())

    until = [0] + [total(s[:t]) for t in range(1, T + 1)]
    return [b - a for a, b in pairwise(until)]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layer_on_tokens_counts_each_step(name: str) -> None:
    make, call = LAYOUTS[name]
    model = OnTokens(make(), call)
    counts = count_operations(model, tokens(), T)
    expected = expected_pairs(name, model.layer, (tokens()[:, :, 0] > 0).float())
    assert list(counts.not_counted) == []
    assert of_layer(counts, "layer", "ac") == expected
    assert len(set(expected)) > 1
    assert set(of_layer(counts, "layer", "dense_mac")[1:]) == {sum(of_layer(counts, "layer", "dense_mac")) // T} or (
        name == "Conv1d over time, causal"
    )


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_number_of_samples_changes_nothing(samples: int) -> None:
    make, call = LAYOUTS["BT x N x D"]
    x = tokens()[:, :samples]
    counts = count_operations(OnTokens(make(), call), x, T)
    assert of_layer(counts, "layer", "ac") == [OUT * int((step > 0).sum()) for step in x]


def test_a_network_that_takes_one_step_of_tokens_counts_each() -> None:
    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fire, self.layer = Above(), nn.Linear(D, OUT)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.layer(self.fire(x[:, 0])).mean(1)
            return y

    x = tokens()
    expected = [OUT * int((step > 0).sum()) for step in x]
    foreign = count_operations(ForeignNetwork(Step(), Calling("step", "step")), x, T)
    looped = count_operations(StepLoop(Step()), x, T)
    assert of_layer(foreign, "network.layer", "ac") == of_layer(looped, "step.layer", "ac") == expected


class Recurrent(nn.Module):
    """Neurons that get their own spikes of the step before through ``recurrent``.

    Args:
        first: whether a state of zeros goes through it at step 1, or nothing does.
    """

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first, self.fire = first, Above(0.5)
        self.input, self.recurrent, self.head = nn.Linear(N * D, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 3)
        self.seen: list[Tensor] = []
        make_dyadic(self)

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        s = torch.zeros(x.shape[1], 8) if self.first else None
        outputs, self.seen = [], []
        for step in x[:timesteps].flatten(2):
            u = self.input(step)
            s = self.fire(u if s is None else u + self.recurrent(s))
            self.seen.append(s)
            outputs.append(self.head(s))
        return torch.stack(outputs)


@pytest.mark.parametrize("first", [True, False])
def test_recurrent_weights_cost_from_step_2_on(first: bool) -> None:
    model, x = Recurrent(first), tokens()
    counts = count_operations(model, x, T)
    with torch.no_grad():
        model(x, T)
    spikes = [int(s.sum()) for s in model.seen]
    assert of_layer(counts, "recurrent", "ac") == [0] + [8 * n for n in spikes[:-1]]
    assert of_layer(counts, "head", "ac") == [3 * n for n in spikes]
    assert list(counts.not_counted) == []
    assert sum(spikes[:-1]) > 0
    inbounds = baselines(estimate_energy(counts), T)["MAC"]["ANN, in-bounds"]
    assert inbounds == N * D * 8 + 8 * 8 + 8 * 3  # the ANN has all weights


@pytest.mark.parametrize("kind", ["RLeaky", "RSynaptic"])
def test_recurrent_neurons_of_snntorch_are_counted_whole(kind: str) -> None:
    snntorch = pytest.importorskip("snntorch")

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fc1, self.fc2 = nn.Linear(N * D, 16), nn.Linear(16, 3)
            decays = {"beta": 0.9} if kind == "RLeaky" else {"alpha": 0.8, "beta": 0.9}
            self.lif = getattr(snntorch, kind)(linear_features=16, threshold=0.3, **decays)
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            state = self.lif.init_rleaky() if kind == "RLeaky" else self.lif.init_rsynaptic()
            outputs, self.seen = [], []
            for step in x[:timesteps].flatten(2):
                state = self.lif(self.fc1(step), *state)
                self.seen.append(state[0])
                outputs.append(self.fc2(state[0]))
            return torch.stack(outputs)

    model, x = Net(), tokens()
    counts = count_operations(model, x, T)
    with torch.no_grad():
        model(x, T)
    spikes = [int((s != 0).sum()) for s in model.seen]
    assert of_layer(counts, "lif.recurrent", "ac") == [0] + [16 * n for n in spikes[:-1]]
    assert of_layer(counts, "fc2", "ac") == [3 * n for n in spikes]
    assert list(counts.not_counted) == []
    assert sum(spikes[:-1]) > 0


CELLS: dict[str, tuple[Callable[[int, int], nn.Module], int]] = {
    "LSTMCell": (nn.LSTMCell, 4),
    "GRUCell": (nn.GRUCell, 3),
    "RNNCell": (nn.RNNCell, 1),
}


@pytest.mark.parametrize("name", CELLS)
def test_recurrent_cells_are_counted_whole(name: str) -> None:
    make, gates = CELLS[name]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.fire, self.cell = Above(), make(N * D, 8)

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            state, outputs = None, []
            for step in self.fire(x[:timesteps].flatten(2)):
                state = self.cell(step, state)
                outputs.append(state[0] if isinstance(state, tuple) else state)
            return torch.stack(outputs)

    x = tokens()
    counts = count_operations(Net(), x, T)
    assert of_layer(counts, "cell.weight_ih", "ac") == [8 * gates * int((step > 0).sum()) for step in x]
    assert of_layer(counts, "cell.weight_hh", "mac") == [0] + [B * gates * 64] * (T - 1)
    assert list(counts.not_counted) == []


class OfficialMSResNet(published.MSResNet):
    """The published forward: T in the code, an adaptive pool over five axes, a mean over time before the readout."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x_T = self.conv1(x.unsqueeze(0).repeat(3, 1, 1, 1, 1))
        x_T = self.conv5_x(self.conv4_x(self.conv3_x(self.conv2_x(x_T))))
        return self.fc(F.adaptive_avg_pool3d(self.fire(x_T), (None, 1, 1)).flatten(2).mean(0))  # type: ignore[no-any-return]


def test_one_network_has_one_energy_whatever_the_way_in() -> None:
    torch.manual_seed(1)
    network = OfficialMSResNet(18, classes=10, width=0.125).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):  # so that neurons fire
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, 0.2, 0.6)
    by_layout = convert(network.state_dict(), image_size=32)
    ours = build(by_layout.spec)
    ours.load_state_dict(by_layout.state)
    convention = Calling("static", "mean", recover="reduction", timesteps_by="fixed")
    x = torch.randn(2, 3, 32, 32)
    reports = [
        estimate_energy(count_operations(model, x, 3))
        for model in (ours.eval(), ForeignNetwork(network, convention, 3))
    ]
    for name in ("total_pj", "total_side_pj", "total_mac", "total_ac"):
        assert getattr(reports[0], name).tolist() == getattr(reports[1], name).tolist()
    assert [report.counts.not_counted for report in reports] == [(), ()]
    assert reports[0].counts.spikes.sum() > 0


def test_what_runs_over_whole_sequences_costs_the_same_as_step_by_step() -> None:
    class Last(nn.Module):
        """Current-based neurons and layers over the last axis."""

        def __init__(self) -> None:
            super().__init__()
            self.c1, self.n1 = nn.Conv3d(N * D, 8, 1, bias=False), PlainLIF(-1)
            self.c2 = nn.Conv3d(8, 3, 1, bias=False)
            make_dyadic(self)

        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            x = x[:timesteps].flatten(2).movedim(0, -1)[:, :, None, None]
            y: Tensor = self.c2(self.n1(self.c1(x)))
            return y.flatten(1, 3).movedim(-1, 0)

    class First(Last):
        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            u, outputs = torch.zeros(x.shape[1], 8), []
            for step in x[:timesteps].flatten(2):
                u = 0.5 * u + F.linear(step, self.c1.weight.flatten(1))
                s = (u > 1.0).to(u.dtype)
                u = u * (1 - s)
                outputs.append(F.linear(s, self.c2.weight.flatten(1)))
            return torch.stack(outputs)

    last, first = (count_operations(model(), tokens(), T) for model in (Last, First))
    for column in ("dense_mac", "inbounds_mac", "mac", "ac"):
        assert getattr(last, column).sum(0).tolist() == getattr(first, column).sum(0).tolist()
    assert last.ac.sum() > 0
    assert list(last.warnings) == []


def test_places_arrange_any_order_of_axes() -> None:
    x = torch.arange(T * B * N * D).reshape(T, B, N, D)
    orders = {(0, 1, 2, 3): Place(None, N * D, N * D), (1, 0, 2, 3): Place(None, N * D, T * N * D)}
    orders |= {(2, 0, 1, 3): Place(None, D, D), (1, 2, 0, 3): Place(None, D, T * N * D)}
    for order, place in orders.items():
        rearranged = place.arrange(x.permute(order), T, B)
        assert torch.equal(rearranged.sort(2).values, x.flatten(2))
        sums = place.sums(x.permute(order), x.numel(), T, B)
        assert sums is not None
        assert sums.tolist() == x.sum((1, 2, 3)).tolist()


@given(st.lists(st.integers(0, 2**24), min_size=1, max_size=40), st.integers(1, 40))
def test_whole_numbers_are_added_exactly(values: list[int], times: int) -> None:
    counts = torch.tensor(values * times, dtype=torch.float64)
    expected = sum(values) * times
    for dtype in (torch.float32, torch.float64):
        assert int(whole_sums(counts.to(dtype)[None])) == expected
