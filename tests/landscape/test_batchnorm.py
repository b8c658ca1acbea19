"""Batch-norm policies against a network written out by hand, in which no torch normalisation takes part."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset
from wording import refuses

import reference
from tetviz.errors import CheckpointError, DataError
from tetviz.landscape import (
    BN_POLICIES,
    Evaluator,
    Store,
    compute_lines,
    compute_surface,
    grid_coordinates,
    random_plane,
)
from tetviz.models import TdBN, build
from tetviz.training import load_data, measure
from tetviz.training.recalibration import recalibrate

COORDINATES = (-1.0, 0.0, 0.5)
ALPHA, THRESHOLD = 0.5, 1.5


class Normed(nn.Module):
    """Two convolutions, each normalised, on an input that grows with time; dropout that must stay off."""

    def __init__(self, norm, momentum=0.3, dropout=True):
        super().__init__()
        make = {"bn": lambda c: nn.BatchNorm2d(c), "tdbn": lambda c: TdBN(c, ALPHA, THRESHOLD)}[norm]
        self.convs = nn.ModuleList([nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)])
        self.norms = nn.ModuleList([make(3), make(4)])
        self.dropout = nn.Dropout(0.5 if dropout else 0.0)
        self.readout = nn.Linear(4, 3)
        for norm_layer in self.norms:
            norm_layer.momentum = momentum
            nn.init.uniform_(norm_layer.weight, 0.5, 2)
            nn.init.normal_(norm_layer.bias)

    def forward(self, x, timesteps):
        h = torch.stack([x * (t + 1) for t in range(timesteps)]).flatten(0, 1)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            h = self.dropout(torch.relu(norm(conv(h))))
        return self.readout(h.mean((2, 3))).view(timesteps, len(x), 3)


Statistics = list[tuple[Tensor, Tensor]]


def by_hand(net: Normed, x: Tensor, timesteps: int, statistics: Statistics | None) -> tuple[Tensor, Statistics]:
    """Outputs, and mean and unbiased variance of every normalisation's input; normalised by those of the batch if
    none are given (by the biased variance then)."""
    factor = ALPHA * THRESHOLD if isinstance(net.norms[0], TdBN) else 1.0
    h, found = torch.stack([x * (t + 1) for t in range(timesteps)]).flatten(0, 1), []
    for layer, (conv, norm) in enumerate(zip(net.convs, net.norms, strict=True)):
        h = F.conv2d(h, conv.weight, conv.bias, padding=1)
        mean, var = (torch.from_numpy(v) for v in reference.channel_statistics(h.numpy()))
        found.append((mean, var))
        count = h.numel() // h.shape[1]
        used_mean, used_var = statistics[layer] if statistics else (mean, var * (count - 1) / count)
        h = (h - used_mean[:, None, None]) / torch.sqrt(used_var + norm.eps)[:, None, None]
        h = torch.relu(factor * norm.weight[:, None, None] * h + norm.bias[:, None, None])
    return F.linear(h.mean((2, 3)), net.readout.weight, net.readout.bias).view(timesteps, len(x), -1), found


def averaged(per_batch: list[Statistics]) -> Statistics:
    layers = len(per_batch[0])
    return [tuple(sum(each[k][i] for each in per_batch) / len(per_batch) for i in (0, 1)) for k in range(layers)]


def batches_of(sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(n, 2, 4, 4, generator=generator, dtype=torch.float64) + 0.3, torch.arange(n) % 3) for n in sizes
    ]


def network(norm, **settings):
    torch.manual_seed(1)
    model = Normed(norm, **settings).double()
    for layer in model.norms:
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 3)
    return model


def displaced(model, plane, x, y):
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for name, parameter in moved.named_parameters():
            parameter += x * plane.x[name] + y * plane.y[name]
    return moved


@torch.no_grad()
@pytest.mark.parametrize("norm", ["bn", "tdbn"])
@pytest.mark.parametrize("bn", BN_POLICIES)
def test_every_policy_is_what_it_says(norm, bn):
    """Statistics of the checkpoint; their mean over calibration batches, of unequal size too; those of each batch."""
    model, timesteps, t_train = network(norm), 3, 2
    model.timesteps = t_train
    data, calibration = batches_of([4, 3], 5), batches_of([6, 2, 3], 6)
    plane = random_plane(model, 0)
    axes = (np.array(COORDINATES), np.array(COORDINATES[1:]))
    surface = compute_surface(model, data, plane, axes, timesteps, bn=bn, calibration=calibration)
    for j, y in enumerate(axes[1]):
        for i, x in enumerate(axes[0]):
            moved = displaced(model, plane, x, y)
            statistics = {
                "frozen": [(layer.running_mean, layer.running_var) for layer in model.norms],
                "recalibrate": averaged([by_hand(moved, xs, t_train, None)[1] for xs, _ in calibration]),
                "batch": None,
            }[bn]
            logits = torch.cat([by_hand(moved, xs, timesteps, statistics)[0] for xs, _ in data], 1).numpy()
            expected = reference.profile(logits, torch.cat([labels for _, labels in data]).numpy())
            for name, values in expected.items():
                ours = getattr(surface, name)[0, j, i]
                np.testing.assert_allclose(ours[-1], values[-1], rtol=1e-9, err_msg=name)
                if bn == "batch":
                    assert np.isnan(ours[:-1]).all()
                else:
                    np.testing.assert_allclose(ours[:-1], values[:-1], rtol=1e-9, err_msg=name)
    assert surface.done.all()
    assert (surface.bn, surface.t_train) == (bn, t_train)


def test_batch_statistics_are_those_of_a_forward_pass_in_train_mode():
    """Statistics are over all T steps, so a run of fewer steps is no part of the run."""
    model, data = network("bn", dropout=False), batches_of([5, 4], 1)
    surface = compute_surface(model, data, random_plane(model, 0), 3, 4, bn="batch")
    trained = copy.deepcopy(model).train()
    with torch.no_grad():
        logits = torch.cat([trained(x, 4) for x, _ in data], 1).numpy()
        shorter = torch.cat([trained(x, 2) for x, _ in data], 1).numpy()
    labels = torch.cat([y for _, y in data]).numpy()
    assert surface.sdt_loss[0, 1, 1, 3] == pytest.approx(reference.sdt_loss(logits, labels), rel=1e-12)
    assert surface.tet_loss[0, 1, 1, 3] == pytest.approx(reference.tet_loss(logits, labels), rel=1e-12)
    for name in ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se"):
        assert np.isnan(getattr(surface, name)[..., :3]).all()
        assert np.isfinite(getattr(surface, name)[..., 3]).all()
    assert abs(reference.sdt_loss(shorter, labels) - reference.sdt_loss(logits[:2], labels)) > 1e-3


@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("bn", BN_POLICIES)
def test_the_callers_network_keeps_statistics_momentum_and_modes(bn, momentum):
    """loss-landscapes overwrites the running statistics of a network in train mode."""
    model = network("bn", momentum=momentum).train()
    model.norms[1].eval()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    compute_surface(model, batches_of([4], 0), random_plane(model, 0), 3, 2, bn=bn, calibration=batches_of([4], 1))
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(t, before[n]) for n, t in after.items())
    assert [layer.momentum for layer in model.norms] == [momentum, momentum]
    assert [m.training for m in model.modules()] == [m is not model.norms[1] for m in model.modules()]
    assert all(layer.track_running_stats for layer in model.norms)


@pytest.mark.parametrize("momentum", [0.3, None])
def test_recalibration_changes_the_statistics_and_nothing_else(momentum):
    """torch's update_bn puts the whole network into train mode: dropout changes the statistics."""
    model = network("bn", momentum=momentum).eval()
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    calibration = batches_of([5, 3], 2)
    inputs = [x.clone() for x, _ in calibration]
    state = torch.get_rng_state()
    recalibrate(model, calibration, 3)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        expected = averaged([by_hand(model, x, 3, None)[1] for x, _ in calibration])
    for layer, (mean, var) in zip(model.norms, expected, strict=True):
        torch.testing.assert_close(layer.running_mean, mean, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(layer.running_var, var, rtol=1e-10, atol=1e-12)
        assert layer.momentum == momentum
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(p, weights[n]) for n, p in model.named_parameters())
    assert all(torch.equal(x, y) for (x, _), y in zip(calibration, inputs, strict=True))


def test_an_exception_while_recalibrating_leaves_momentum_and_mode():
    model = network("bn").eval()

    def broken():
        yield from batches_of([3], 0)
        raise RuntimeError("no more data")

    with refuses(RuntimeError, "more data"):
        recalibrate(model, broken(), 2)
    assert [layer.momentum for layer in model.norms] == [0.3, 0.3]
    assert not any(module.training for module in model.modules())


def test_calibrating_on_its_own_data_changes_nothing_at_the_centre_and_lowers_the_rest():
    """With statistics from the very batches that calibrate, frozen and recalibrated agree where nothing moved.

    Away from there frozen ones are stale: in one CNN they made a surface look 3 to 7 times as sharp.
    """
    model, calibration, data = network("tdbn"), batches_of([6, 3], 2), batches_of([7], 3)
    model.timesteps = 2
    recalibrate(model.eval(), calibration, 2)
    plane = random_plane(model, 0)
    frozen = compute_surface(model, data, plane, 3, 2)
    anew = compute_surface(model, data, plane, 3, 2, bn="recalibrate", calibration=calibration)
    np.testing.assert_array_equal(frozen.sdt_loss[0, 1, 1], anew.sdt_loss[0, 1, 1])
    assert (np.abs(frozen.sdt_loss - anew.sdt_loss)[0, [0, 0, 2, 2], [0, 2, 0, 2]] > 1e-3).all()


@pytest.mark.parametrize("bn", BN_POLICIES)
def test_no_point_depends_on_the_points_before_it(bn):
    model, settings = network("bn"), {"bn": bn, "calibration": batches_of([4, 4], 1)}
    evaluator = Evaluator(model, batches_of([4, 2], 0), 2, **settings)
    first = evaluator.measure({})
    evaluator.measure({n: 3 * p for n, p in evaluator.origin.items()})
    again = evaluator.measure({})
    other = Evaluator(model, batches_of([4, 2], 0), 2, **settings).measure({})
    for name in ("sdt_loss", "tet_loss", "accuracy"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes() == getattr(other, name).tobytes()


@pytest.mark.parametrize("bn", ["recalibrate", "batch"])
def test_a_network_without_batch_norm_has_no_such_policy(bn):
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.readout = nn.Linear(32, 3)
            self.norm = nn.LayerNorm(32)

        def forward(self, x, timesteps):
            return self.readout(self.norm(x.flatten(1))).expand(timesteps, len(x), 3)

    model, data = Plain(), [(x.float(), y) for x, y in batches_of([4], 0)]
    with refuses(CheckpointError, bn):
        compute_surface(model, data, random_plane(model, 0), 3, 2, bn=bn, calibration=data)
    assert compute_surface(model, data, random_plane(model, 0), 3, 2, bn="frozen").done.all()


def test_misuse_is_named():
    model, data = network("bn"), batches_of([4], 0)
    with refuses(ValueError, "unknown batch-norm"):
        Evaluator(model, data, 2, bn="train")
    with refuses(ValueError, "give calibration"):
        Evaluator(model, data, 2, bn="recalibrate")
    with refuses(DataError, "no samples"):
        Evaluator(model, data, 2, bn="recalibrate", calibration=[])


def test_data_and_calibration_samples_are_recorded_in_order():
    model, drawn = network("bn"), np.array([7, 2, 5, 3, 0])
    x, y = (torch.cat(parts) for parts in zip(*batches_of([9], 4), strict=True))
    dataset, chosen = TensorDataset(x, y), np.array([8, 1, 4])
    settings = {
        "indices": chosen,
        "batch_size": 2,
        "bn": "recalibrate",
        "calibration": dataset,
        "calibration_indices": drawn,
    }
    surface = compute_surface(model, dataset, random_plane(model, 0), 3, 2, **settings)
    evaluator = Evaluator(model, dataset, 2, **settings)
    lines = compute_lines(evaluator, [random_plane(model, 0)], grid_coordinates(3), "sdt", Store())
    for result in (surface, lines):
        np.testing.assert_array_equal(result.sample, chosen)
        np.testing.assert_array_equal(result.calibration, drawn)
    calibration = [(x[[7, 2]], y[[7, 2]]), (x[[5, 3]], y[[5, 3]]), (x[[0]], y[[0]])]
    data = [(x[[8, 1]], y[[8, 1]]), (x[[4]], y[[4]])]
    by_batches = compute_surface(
        model, data, random_plane(model, 0), 3, 2, bn="recalibrate", calibration=calibration, indices=chosen
    )
    assert surface.sdt_loss.tobytes() == by_batches.sdt_loss.tobytes()
    frozen = compute_surface(model, dataset, random_plane(model, 0), 3, 2)
    np.testing.assert_array_equal(frozen.sample, np.arange(9))
    assert frozen.calibration.shape == (0,)


@pytest.fixture(scope="module")
def digits():
    """A spiking network fresh from initialisation (so that its statistics are off), and digits to measure it on."""
    torch.manual_seed(0)
    model = build("snn5", norm="tdbn", width=0.125, in_channels=1, image_size=16)
    model.timesteps = 3
    return model, load_data("digits", split="test", image_size=16), load_data("digits", split="train", image_size=16)


@pytest.mark.parametrize("bn", ["frozen", "recalibrate"])
def test_the_first_steps_of_a_longer_run_are_a_shorter_run(digits, bn):
    """Statistics are estimated in runs of the training T however long the measured runs are."""
    model, test, train = digits
    settings = {"indices": np.arange(20), "bn": bn, "calibration": train, "calibration_indices": np.arange(24)}
    long, short = (compute_surface(model, test, random_plane(model, 0), 3, t, **settings) for t in (5, 2))
    for name in ("sdt_loss", "tet_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se"):
        np.testing.assert_array_equal(getattr(long, name)[..., :2], getattr(short, name))
    assert (long.t_train, short.t_train) == (3, 3)


def test_recalibration_at_the_checkpoint_is_finite_and_uses_runs_of_the_training_length(digits):
    model, test, train = digits
    settings = {"indices": np.arange(20), "calibration": train, "calibration_indices": np.arange(24)}
    plane = random_plane(model, 0)
    centre = (np.zeros(1), np.zeros(1))
    losses = {}
    for t_train in (1, 3):
        trained = copy.deepcopy(model)
        trained.timesteps = t_train
        losses[t_train] = compute_surface(trained, test, plane, centre, 2, bn="recalibrate", **settings).tet_loss
    frozen = compute_surface(model, test, plane, centre, 2).tet_loss
    assert all(np.isfinite(loss).all() for loss in losses.values())
    assert not np.allclose(losses[1], losses[3], rtol=1e-4)
    assert not np.allclose(losses[3], frozen, rtol=1e-4)
    without = copy.deepcopy(model)
    without.timesteps = None  # T of the run is then that of training
    assert compute_surface(without, test, plane, centre, 3, bn="recalibrate", **settings).t_train == 3


def test_statistics_of_the_batch_at_hand_make_no_run_of_fewer_steps(digits):
    """A normalisation that keeps no running statistics uses the batch at hand, whatever the policy is called."""
    model = copy.deepcopy(digits[0])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
            module.num_batches_tracked = None
    x = torch.stack([digits[1][k][0] for k in range(8)])
    batches = [(x, torch.arange(8) % 4)]
    whole = compute_surface(model, batches, random_plane(model, 0), (np.zeros(1), np.zeros(1)), 3)
    for t in (1, 2, 3):
        entry = whole.sdt_loss[0, 0, 0, t - 1]
        assert np.isnan(entry) or entry == pytest.approx(measure(model, batches, t).sdt_loss[-1], rel=1e-5)
