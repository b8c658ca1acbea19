"""Samples of any axes, as the measurement has them and as the network gets them back."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from tetviz.errors import DataError, ModelError
from tetviz.models import Calling, ForeignNetwork, adapt, propose
from tetviz.models.foreign.check import other_values
from tetviz.training import measure, to_batches
from tetviz.training.axes import batch_time_first, check_axes, time_first
from tetviz.training.batches import class_of

T, B, F, K = 6, 8, 5, 3


@pytest.mark.parametrize(
    ("shape", "axes", "expected"),
    [
        ((F,), "", (F, 1, 1)),
        ((T, F), "", (T, F, 1, 1)),
        ((F, T), "FT", (T, F, 1, 1)),
        ((2, 3, 4), "", (2, 3, 4)),
        ((T, 3, 4), "TCL", (T, 3, 4, 1)),
        ((3, 4), "CL", (3, 4, 1)),
        ((3, 4, 2, T), "CHWT", (T, 3, 4, 2)),
        ((3, T, 4), "CTL", (T, 3, 4, 1)),
        ((T,), "T", (T, 1, 1, 1)),
    ],
)
def test_samples_become_time_first(shape: tuple[int, ...], axes: str, expected: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    got = time_first(x, axes)
    assert got.shape == expected
    at = axes.index("T") if "T" in axes else None
    assert torch.equal(got.reshape(-1), (x if at is None else x.movedim(at, 0)).reshape(-1))
    batch = torch.stack([x, x + 1], 1 if (axes or "TF" * (len(shape) in (2, 4))).startswith("T") else 0)
    both = batch_time_first(batch, axes)
    alone = both.transpose(0, 1) if len(expected) == 4 else both
    assert torch.equal(alone, torch.stack([got, got + 1]))


@pytest.mark.parametrize("axes", ["", "tf", "TT", "CDHWX", "CDHW", "FF", "T F", "TCDHW"])
def test_names_that_are_no_axes(axes: str) -> None:
    with pytest.raises(ValueError, match="expected the axes of a sample"):
        check_axes(axes)


def test_samples_that_do_not_have_them() -> None:
    with pytest.raises(ValueError, match=r"has 3 axes .* says 2"):
        time_first(torch.zeros(2, 3, 4), "TF")
    with pytest.raises(DataError, match="has 5 axes, expected 1 to 4"):
        next(iter(to_batches([(torch.zeros(2, 3, 4, 5, 6, 7), torch.zeros(2).long())])))


class Vectors(nn.Module):
    """A leaky sum of F features, in the axis order asked for."""

    def __init__(self, order: str = "TBF") -> None:
        super().__init__()
        self.order, self.fc = order, nn.Linear(F, K, bias=False)
        nn.init.normal_(self.fc.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        assert x.dim() == 3
        x_TBF = {"TBF": x, "BTF": x.transpose(0, 1), "BFT": x.movedim(-1, 0)}[self.order]
        v, outputs = torch.zeros(x_TBF.shape[1], K), []
        for x_BF in x_TBF:
            v = 0.5 * v + self.fc(x_BF)
            outputs.append(v)
        y_TBK = torch.stack(outputs)
        return {"TBF": y_TBK, "BTF": y_TBK.transpose(0, 1), "BFT": y_TBK.movedim(0, -1)}[self.order]


ORDERS = {"TBF": "time-major", "BTF": "batch-major", "BFT": "batch-channel-time"}


@pytest.mark.parametrize("order", ORDERS)
def test_a_network_of_vectors_in_every_order(order: str) -> None:
    """The issue's case: torch.stack of samples T x F, without trailing ones."""
    x_TBF = torch.randn(T, B, F, generator=torch.Generator().manual_seed(1))
    network = Vectors(order)
    name = ORDERS[order]
    model = adapt(network, x_TBF, T, takes=name, gives=name)
    expected = Vectors("TBF")(x_TBF)
    assert torch.equal(model(x_TBF), expected)
    assert torch.equal(model(x_TBF[..., None, None]), expected)
    stacked = torch.stack([x_TBF[:, at] for at in range(B)])
    assert adapt(network, stacked, T, takes=name, gives=name).calling == model.calling
    found = propose(network, x_TBF[..., None, None], T, sample_axes=1)
    assert [each.takes for each in found] == [name]
    assert found[0].options() == f"--takes {name} --gives {name}"
    samples = TensorDataset(x_TBF.transpose(0, 1), torch.arange(B) % K)
    loss = torch.nn.functional.cross_entropy(expected.mean(0), torch.arange(B) % K)
    for data in (samples, [(x_TBF, torch.arange(B) % K)]):
        assert measure(model, data, T).sdt_loss[-1] == pytest.approx(loss.item(), rel=1e-6)


def test_time_as_the_last_axis_of_images_and_a_mean_over_it() -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv3d(2, K, (4, 4, 1))

        def forward(self, x_BCHWT: Tensor) -> Tensor:
            return self.conv(x_BCHWT).flatten(1, 3).cumsum(-1).mean(-1)

    x_TBCHW = torch.randn(T, B, 2, 4, 4)
    network = Last()
    calling = {"takes": "batch-channel-time", "gives": "mean", "recover": "reduction", "time_axis": -1}
    model = adapt(network, x_TBCHW, T, **calling)
    expected = network.conv(x_TBCHW.movedim(0, -1)).flatten(1, 3).cumsum(-1)
    assert torch.allclose(model(x_TBCHW), expected.movedim(-1, 0), atol=1e-6)


def test_a_network_of_one_axis_takes_no_images() -> None:
    model = ForeignNetwork(Vectors(), Calling("time-major", "time-major", sample_axes=1))
    with pytest.raises(ModelError, match="takes samples of 1 axes at a step, the data have 5 x 2 x 1"):
        model(torch.randn(T, B, F, 2, 1))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.fc = nn.Embedding(50, 8), nn.Linear(8, K)

    def forward(self, tokens_BN: Tensor) -> Tensor:
        return self.fc(self.table(tokens_BN)).mean(1)


def test_tokens_stay_in_their_table() -> None:
    x_BN = torch.randint(0, 50, (B, 12), generator=torch.Generator().manual_seed(0))
    x_BN[0, 0], x_BN[1, 0] = 0, 49
    network = Tokens()
    seen: list[Tensor] = []
    network.table.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model = adapt(network, x_BN, 3, takes="step", gives="step", integers=True)
    assert all(x.dtype == torch.int64 and x.min() >= 0 and x.max() < 50 for x in seen)
    assert torch.equal(model(x_BN.float(), 3)[0], network(x_BN))
    with pytest.raises(ModelError, match="the network raised: RuntimeError"):
        adapt(network, x_BN.float(), 3, takes="step", gives="step")


def test_other_values_of_whole_numbers_stay_among_those_of_the_data() -> None:
    whole = torch.randint(3, 50, (B, 12)).float()
    for other in other_values(whole):
        assert whole.min() <= other.min() and other.max() <= whole.max()
        assert torch.equal(other, other.round())
    assert (other_values(whole)[0] != whole).any()
    assert other_values(whole + 0.5)[1].abs().max() > 5 * whole.max() / 2


@pytest.mark.parametrize(
    ("item", "output"),
    [
        ("out.logits", lambda y: {"out": {"logits": y, "x": 0}}),
        ("out.0", lambda y: {"out": (y, 0)}),
        ("1.mem", lambda y: (0, {"mem": y})),
        ("out.mem", lambda y: {"out": (0, y)}),
        ("a.b", lambda y: {"a.b": y}),
        ("-1.logits", lambda y: [0, {"logits": y}]),
    ],
)
def test_outputs_inside_of_outputs(item: str, output: object) -> None:
    class Nested(Vectors):
        def forward(self, x: Tensor) -> object:
            return output(super().forward(x))  # type: ignore[operator]

    x_TBF = torch.randn(T, B, F)
    model = adapt(Nested(), x_TBF, T, takes="time-major", gives="time-major", item=item)
    assert torch.equal(model(x_TBF), Vectors()(x_TBF))
    with pytest.raises(ModelError, match=r"has no item 'nothing'|item nothing of the output is stated"):
        adapt(Nested(), x_TBF, T, takes="time-major", gives="time-major", item="nothing.y")


def test_rows_of_one_1_are_classes() -> None:
    labels = torch.tensor([2, 0, 1, 0])
    one_hot = torch.nn.functional.one_hot(labels, 3)
    x_BF = torch.randn(4, F)
    for rows in (one_hot, one_hot.float(), one_hot.bool()):
        assert class_of(rows).tolist() == [2, 0, 1, 0]
        for data in (TensorDataset(x_BF, rows), [(x_BF, rows)]):
            assert next(iter(to_batches(data, 4)))[1].tolist() == [2, 0, 1, 0]
    assert class_of(np.array([0, 0, 1])) == 2
    alone = torch.tensor([0, 1, 0, 0])  # four labels, no row
    assert next(iter(to_batches([(x_BF, alone)])))[1].tolist() == [0, 1, 0, 0]
    with pytest.raises(DataError, match="labels must be one integer for each sample"):
        next(iter(to_batches([(x_BF, one_hot.float() * 0.9 + 0.05)])))
