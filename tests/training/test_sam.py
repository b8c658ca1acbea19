"""Sharpness-aware minimisation: its step against one by hand, and what it leaves as it was."""

import dataclasses
import math

import pytest
import torch
from striped import CONFIG, TEST, TRAIN
from torch import Tensor, nn
from wording import refuses

from tetviz.training import Checkpoint, Stage, TrainingConfig, fit, tet_loss, to_batches
from tetviz.training.loop import kept_folder
from tetviz.training.sam import uphill

ONE_STEP = dataclasses.replace(
    CONFIG,
    stages=(Stage(2, 1),),
    optimizer="sam",
    rho=0.3,
    lr=0.1,
    batch_size=1000,
    val_fraction=0,
    precision="float64",
)


def run(folder, config=ONE_STEP):
    folder.mkdir(exist_ok=True)
    fit(config, TRAIN, TEST, best_path=folder / "best.pt", last_path=folder / "last.pt", keep_every=1)
    return Checkpoint.load(folder / "last.pt")


def gradients(model: nn.Module, x: Tensor, labels_B: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(tet_loss(model(x, 2), labels_B), list(model.parameters())))


def test_a_step_is_that_by_hand(tmp_path):
    last = run(tmp_path)
    model = Checkpoint.load(kept_folder(tmp_path / "best.pt") / "epoch-0000.pt").model().train()
    [(x, labels_B)] = to_batches(TRAIN, len(TRAIN))
    x, weights = x.double(), list(model.parameters())
    g = gradients(model, x, labels_B)
    statistics = {name: each.clone() for name, each in model.named_buffers()}
    length = math.sqrt(sum(float((each**2).sum()) for each in g))
    with torch.no_grad():
        for weight, each in zip(weights, g, strict=True):
            weight += 0.3 * each / length
    uphill_g = gradients(model, x, labels_B)
    with torch.no_grad():
        for weight, each, above in zip(weights, g, uphill_g, strict=True):
            weight -= 0.3 * each / length + 0.1 * above
    expected = {**dict(model.named_parameters()), **statistics}
    assert expected.keys() == last.state.keys()
    for name, each in expected.items():
        torch.testing.assert_close(last.state[name], each.detach(), rtol=1e-9, atol=1e-11)
    assert max(float((a - b).abs().max()) for a, b in zip(g, uphill_g, strict=True)) > 1e-3


def test_without_a_step_uphill_it_is_sgd(tmp_path):
    config = dataclasses.replace(CONFIG, stages=(Stage(2, 2),), optimizer="sam", rho=0.0, augment=("flip",))
    sam = run(tmp_path / "sam", config)
    sgd = run(tmp_path / "sgd", dataclasses.replace(config, optimizer="sgd", rho=0.05))
    assert sam.history == sgd.history
    assert all(torch.equal(each, sgd.state[name]) for name, each in sam.state.items())
    assert sam.training["rho"] == 0 and "rho" not in sgd.training


def test_uphill_is_a_step_of_length_rho_and_back():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    model(torch.randn(5, 3)).square().sum().backward()
    model.load_state_dict(before)
    g = [weight.grad.clone() for weight in model.parameters()]
    with pytest.raises(KeyboardInterrupt), uphill(model, 0.7):
        steps = [weight.detach() - before[name] for name, weight in model.named_parameters()]
        model(torch.randn(5, 3))
        raise KeyboardInterrupt
    assert math.sqrt(sum(float((step**2).sum()) for step in steps)) == pytest.approx(0.7, rel=1e-5)
    cosine = sum(float((a * b).sum()) for a, b in zip(steps, g, strict=True))
    assert cosine == pytest.approx(0.7 * math.sqrt(sum(float((each**2).sum()) for each in g)), rel=1e-5)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())


def test_where_all_gradients_are_0_nothing_moves():
    model = nn.Linear(2, 2)
    (model(torch.ones(1, 2)) * 0).sum().backward()
    before = model.weight.detach().clone()
    with uphill(model, 0.7):
        assert torch.equal(model.weight, before)


@pytest.mark.parametrize("rho", [-0.1, math.inf, math.nan])
def test_other_lengths_are_refused(rho):
    with refuses(ValueError, "rho"):
        TrainingConfig(CONFIG.spec, CONFIG.data, CONFIG.stages, optimizer="sam", rho=rho)
