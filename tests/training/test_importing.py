"""What import_foreign tells of weights, data and conventions that do not fit, and of networks that do."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from wording import heard, refuses

from tetviz.errors import CheckpointError, DataError, ModelError
from tetviz.models import Calling
from tetviz.training import Checkpoint, import_foreign, load_data, measure
from tetviz.training.importing import describe_input, hold_to_contract

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, kind="", inputs=16):
        super().__init__()
        self.kind, self.first, self.last = kind, nn.Linear(inputs, 8), nn.Linear(8, 3)
        self.drawn = torch.rand(8) > 0.5

    def forward(self, x_TB):
        spikes = (self.first(x_TB.flatten(2)).cumsum(0) > 4).to(x_TB)
        return self.last(spikes * self.drawn if self.kind == "drawn" else spikes)

class Last(Net):
    def forward(self, x_TB):
        return super().forward(x_TB)[-1]

class Step(Net):
    def forward(self, x_B):
        return self.last(self.first(x_B.flatten(1)))

class Fixed(Net):
    def forward(self, x_TB):
        assert len(x_TB) == 4
        return super().forward(x_TB)
"""
DATA = """
import torch
from torch.utils.data import TensorDataset

x = torch.randn(12, 2, 4, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 3.0])[:, None, None]
y = torch.arange(12) % 3
def images(split): return TensorDataset(x, y)
def larger(split): return TensorDataset(x.repeat(1, 1, 2, 2), y)
def frames(split): return TensorDataset(x.unsqueeze(1).repeat(1, 3, 1, 1, 1), y)
def many_channels(split): return TensorDataset(x.reshape(12, 16, 1, 1), y)
def few(split): return TensorDataset(x[:4], y[:4])
"""
TIME_MAJOR = Calling("time-major", "time-major")


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "nets.py").write_text(MODULE)
    (tmp_path / "my_data.py").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("nets", "my_data"):
        sys.modules.pop(name, None)


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"first.weight": (8, 16), "first.bias": (8,), "last.weight": (3, 8), "last.bias": (3,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def imported(
    state: dict[str, torch.Tensor] | None = None,
    calling: Calling | None = TIME_MAJOR,
    data: str = "images",
    factory: str = "nets:Net",
    **arguments: Any,
) -> Checkpoint:
    torch.save(state or weights(), "w.pth")
    samples = load_data(f"my_data:{data}", split="test", trust=True)
    return import_foreign("w.pth", factory, samples, 4, calling, arguments=arguments, trust=True)


# --- weights --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.net."])
def test_a_common_beginning_is_taken_off(prefix: str) -> None:
    plain = imported()
    behind = imported({f"{prefix}{name}": tensor for name, tensor in weights().items()})
    assert all(torch.equal(tensor, plain.state[name]) for name, tensor in behind.state.items())


def test_names_that_share_no_beginning_are_named_as_they_are() -> None:
    state = {f"module.{name}": tensor for name, tensor in weights().items()}
    with pytest.raises(CheckpointError, match=r"lacks first.bias \(--allow-missing\)$"):
        imported({name: tensor for name, tensor in state.items() if "first.bias" not in name})
    with pytest.raises(
        CheckpointError, match=r"lacks first.bias, last.bias .* and has unknown b.first.bias, b.last.bias \(--ignore\)$"
    ):
        imported({f"{'ab'[at % 2]}.{name}": tensor for at, (name, tensor) in enumerate(weights().items())})


def test_the_precision_is_that_of_the_weights() -> None:
    checkpoint = imported({name: tensor.double() for name, tensor in weights().items()})
    model = checkpoint.model(trust=True)
    data = load_data("my_data:images", split="test", trust=True)
    assert next(model.parameters()).dtype == torch.float64
    assert measure(model, data, 4).samples == 12


# --- networks -------------------------------------------------------------------------------------------------


def test_what_the_state_dict_does_not_hold_is_noticed() -> None:
    imported()
    with refuses(ModelError, "network Net).drawn"):
        imported(kind="drawn")


def test_random_numbers_are_the_callers_own() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    imported()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_fixed_t_is_recorded() -> None:
    checkpoint = imported(factory="nets:Fixed", calling=Calling("time-major", "time-major", timesteps_by="fixed"))
    path = checkpoint.save("c.pt")
    model = Checkpoint.load(path).model(trust=True)
    data = load_data("my_data:images", split="test", trust=True)
    assert hold_to_contract(model, "c.pt", data) == 3  # type: ignore[arg-type]
    assert measure(model, data, 4).samples == 12
    with refuses(ModelError, "4 alone"):
        measure(model, data, 3)


# --- data and conventions -------------------------------------------------------------------------------------


def test_the_input_is_described() -> None:
    data = load_data("my_data:images", split="test", trust=True)
    x = torch.stack([x for x, _ in data]).double()
    mean, deviation = x.mean((0, 2, 3)).tolist(), x.std((0, 2, 3), correction=0).tolist()
    assert describe_input(data) == (
        f"my_data:images, samples of 2 x 4 x 2 (C x H x W), from {x.min():.3g} to {x.max():.3g}, "
        f"mean {mean[0]:.3g}, {mean[1]:.3g}, standard deviation {deviation[0]:.3g}, {deviation[1]:.3g}"
    )
    frames = describe_input(load_data("my_data:frames", split="test", trust=True))
    assert "samples of 3 x 2 x 4 x 2 (T x C x H x W)" in frames
    assert frames.partition(", from")[2] == describe_input(data).partition(", from")[2]
    many = describe_input(load_data("my_data:many_channels", split="test", trust=True))
    assert f"mean {x.mean():.3g}, standard deviation {x.std(correction=0):.3g}" in many


@pytest.mark.parametrize("calling", [TIME_MAJOR, None])
def test_where_the_network_raises_the_cure_is_named(calling: Calling | None) -> None:
    with pytest.raises(ModelError) as caught:
        imported(data="larger", calling=calling)
    text = str(caught.value)
    heard(text, "mat1 mat2")
    heard(text, "my_data:larger 2 8 4")
    assert "--image-size" in text
    heard(text, "--data MODULE:FUNCTION")
    assert "\n" not in text


def test_no_cure_of_the_data_where_they_are_not_to_blame() -> None:
    with refuses(ModelError, "expected outputs") as caught:
        imported(calling=Calling("time-major", "batch-major"))
    assert "--image-size" not in str(caught.value)


def test_what_fits_is_told_with_what_is_taken_at_ones_word() -> None:
    with refuses(ModelError, "--takes --gives"):
        imported(calling=None)
    with refuses(ModelError, "--gives --recover"):
        imported(calling=None, factory="nets:Last")
    with refuses(ModelError, "--takes --gives"):
        imported(calling=None, factory="nets:Step")


@pytest.mark.parametrize(
    ("data", "message"),
    [("few", "4 samples 5"), ("frames", "3 4 timesteps")],
)
@pytest.mark.parametrize("calling", [TIME_MAJOR, None])
def test_too_few_samples_or_frames(data: str, message: str, calling: Calling | None) -> None:
    with refuses(DataError, message):
        imported(data=data, calling=calling)


def test_fewer_frames_than_in_training_can_be_measured() -> None:
    model = imported().model(trust=True)
    assert hold_to_contract(model, "c.pt", load_data("my_data:frames", split="test", trust=True)) == 3  # type: ignore[arg-type]
