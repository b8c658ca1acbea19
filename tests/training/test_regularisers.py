"""The decay of TRT and the regularisers of potentials: slow formulas, values by hand, steps of a training by hand."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from striped import CONFIG, SPEC, TEST, TRAIN
from torch import Tensor, nn
from wording import refuses

from tetviz.errors import TrainingError
from tetviz.models import LIF, build
from tetviz.training import Checkpoint, Stage, decay_over_time, fit, im_regulariser, parallel, rmp_regulariser, steps
from tetviz.training.batches import to_batches
from tetviz.training.loop import kept_folder
from tetviz.training.losses import make_loss
from tetviz.training.regularisers import Regulariser, decayed

ONE_STEP = dataclasses.replace(
    CONFIG, stages=(Stage(3, 1),), optimizer="sgd", lr=0.1, batch_size=1000, val_fraction=0, precision="float64"
)


def run(folder, config):
    folder.mkdir(exist_ok=True)
    fit(config, TRAIN, TEST, best_path=folder / "best.pt", last_path=folder / "last.pt", keep_every=1)
    return Checkpoint.load(folder / "last.pt")


def test_the_decay_is_that_of_a_loop():
    generator = np.random.default_rng(0)
    values = [generator.normal(size=5), generator.normal(size=(2, 3)), np.zeros(1)]
    total = 0.0
    for t in range(4):
        for w in (float(each) for every in values for each in every.flat):
            total += 0.3 * w**2 / (1 + (math.exp(0.7 * t) - 1) * (abs(w) + 1e-5)) / 4
    weights = [torch.tensor(each, requires_grad=True) for each in values]
    decay = decay_over_time(weights, 4, 0.3, 0.7)
    assert decay.item() == pytest.approx(total, rel=1e-12)
    decay.backward()
    assert torch.isfinite(torch.cat([weight.grad.flatten() for weight in weights])).all()


def test_without_growth_and_in_one_step_the_decay_is_l2():
    w = torch.randn(4, 3, dtype=torch.float64)
    l2 = float((w**2).sum())
    assert decay_over_time([w], 6, 0.1, 0.0).item() == pytest.approx(0.1 * l2, rel=1e-12)
    assert decay_over_time([w], 1, 0.1, 5.0).item() == pytest.approx(0.1 * l2, rel=1e-12)
    assert decay_over_time([w], 6, 0.1, 0.5).item() < 0.1 * l2


def test_a_steep_decay_stays_finite():
    w = torch.tensor([0.0, 1e-3, 2.0], requires_grad=True)
    decay_over_time([w], 2000, 1.0, 100.0).backward()
    assert torch.isfinite(w.grad).all()


def test_what_is_decayed():
    model = build("snn5", image_size=16, width=0.05, neuron="plif")
    names = {name for name, each in model.named_parameters() if any(each is other for other in decayed(model))}
    assert names == {name for name, _ in model.named_parameters() if name.endswith(".weight")}
    assert {name.rpartition(".")[2] for name, _ in model.named_parameters()} == {"weight", "bias", "w"}


def test_regularisers_by_hand():
    u = torch.tensor([[[0.2, 1.4]], [[-0.4, 0.8]]])
    assert im_regulariser(u).item() == pytest.approx((0.5 - 0.25) ** 2)
    assert rmp_regulariser(u).item() == pytest.approx((0.2**2 + 0.4**2 + 0.4**2 + 0.8**2) / 4)
    assert rmp_regulariser(torch.tensor([0.0, 1.0, -0.0])).item() == pytest.approx(1 / 3)  # u = 1 does not fire


@pytest.mark.parametrize("name", ["im", "rmp"])
@pytest.mark.parametrize("neuron", ["lif", "plif"])
def test_the_penalty_is_that_of_potentials_seen_from_outside(name, neuron):
    torch.manual_seed(0)
    model = build(dataclasses.replace(SPEC, neuron=neuron, threshold=0.7)).double().train()
    x, currents = torch.randn(4, 1, 16, 16, dtype=torch.float64), {}
    regulariser = Regulariser(model, name, 0.3)
    with regulariser.watching(), steps.LeanSteps().step(model, 3):
        logits = model(x, 3)
        penalty = regulariser.penalty()
        assert all(each.potentials is None for each in model.modules() if isinstance(each, LIF))
    other = copy.deepcopy(model)
    for each in other.modules():
        if isinstance(each, LIF):
            each.register_forward_hook(lambda lif, given, _: currents.update({lif: given[0]}))
    assert torch.equal(other(x, 3), logits)
    expected = 0.0
    for lif, current in currents.items():
        u = lif.trace(current.detach()).potentials / 0.7
        pulled = (u.mean() - 0.5 / 3) ** 2 if name == "im" else ((u - (u > 1).double()) ** 2).mean()
        expected += 0.3 * pulled.item()
    assert len(currents) == 5
    assert penalty.item() == pytest.approx(expected, rel=1e-10)


def by_hand(config, folder, penalty):
    """The weights after one step of SGD, from those that the run started from."""
    model = Checkpoint.load(kept_folder(folder / "best.pt") / "epoch-0000.pt").model().train()
    [(x, labels_B)] = to_batches(TRAIN, len(TRAIN))
    potentials = []
    for each in model.modules():
        if isinstance(each, LIF):
            each.register_forward_hook(lambda lif, given, _: potentials.append(u_of(lif, given[0])))
    loss = make_loss(config.loss, config.lamb)(model(x.double(), 3), labels_B) + penalty(model, potentials)
    names, weights = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, weights)
    return {name: w.detach() - 0.1 * g for name, w, g in zip(names, weights, gradients, strict=True)}


def u_of(lif: LIF, current_TB: Tensor) -> Tensor:
    return torch.stack([u for u, _, _ in lif.steps(current_TB, lif.rest(current_TB))])


@pytest.mark.parametrize(
    ("change", "penalty"),
    [
        (
            {"loss": "trt", "lamb": 0.2, "decay": 0.5, "delta": 0.3},
            lambda model, _: decay_over_time([p for n, p in model.named_parameters() if "bias" not in n], 3, 0.5, 0.3),
        ),
        ({"reg": "im", "reg_weight": 5.0}, lambda _, us: 5 * sum((u.mean() - 0.5 / 3) ** 2 for u in us)),
        ({"reg": "rmp", "reg_weight": 5.0}, lambda _, us: 5 * sum(((u - (u > 1).double()) ** 2).mean() for u in us)),
    ],
)
def test_a_step_of_training_is_that_by_hand(tmp_path, change, penalty):
    config = dataclasses.replace(ONE_STEP, **change)
    last = run(tmp_path, config)
    assert change.items() <= last.training.items()
    expected = by_hand(config, tmp_path, penalty)
    for name, each in expected.items():
        torch.testing.assert_close(last.state[name], each, rtol=1e-9, atol=1e-11)
    without = by_hand(config, tmp_path, lambda *_: 0.0)
    assert max(float((each - without[name]).abs().max()) for name, each in expected.items()) > 1e-4


def test_blocks_that_run_again_are_counted_once(tmp_path):
    spec = dataclasses.replace(SPEC, name="resnet19", width=0.0625)
    config = dataclasses.replace(ONE_STEP, spec=spec, stages=(Stage(2, 2),), batch_size=32, reg="rmp", reg_weight=1.0)
    plain = run(tmp_path / "plain", config)
    again = run(
        tmp_path / "again", dataclasses.replace(config, spec=dataclasses.replace(spec, options={"checkpointing": 2}))
    )
    assert plain.history == again.history
    assert all(torch.equal(each, again.state[name]) for name, each in plain.state.items())


def test_settings_of_other_choices_are_not_recorded():
    names = {"rho", "decay", "delta", "reg", "reg_weight"}
    assert not names & CONFIG.to_dict().keys()
    assert names & dataclasses.replace(CONFIG, loss="trt").to_dict().keys() == {"decay", "delta"}
    assert names & dataclasses.replace(CONFIG, reg="im").to_dict().keys() == {"reg", "reg_weight"}


def test_what_is_wrong_is_refused(tmp_path, monkeypatch):
    with refuses(ValueError, "'in' im rmp"):
        dataclasses.replace(CONFIG, reg="in")
    with refuses(ValueError, "reg_weight -1"):
        dataclasses.replace(CONFIG, reg_weight=-1)
    monkeypatch.setattr(parallel, "size", lambda: 2)
    with refuses(TrainingError, "'im' one process"):
        run(tmp_path, dataclasses.replace(CONFIG, reg="im"))


def test_a_network_without_neurons_has_no_penalty():
    regulariser = Regulariser(nn.Linear(2, 2), "im", 1.0)
    with regulariser.watching():
        assert regulariser.penalty() == 0.0
