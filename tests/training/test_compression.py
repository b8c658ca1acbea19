"""Compression: exact projections, weights that stay where they may be, ADMM that converges, runs that go on."""

import dataclasses

import numpy as np
import pytest
import torch
from striped import CONFIG, TEST, TRAIN, StopAfter

from tetviz.errors import CheckpointError, TrainingError
from tetviz.training import Checkpoint, Stage, fit
from tetviz.training.compression import CompressionPlan, Held, compress, magnitude_mask, project, quantise
from tetviz.training.compression.run import admm_distances

SHORT = CompressionPlan(epochs=4, retrain=2, lr=5e-3, batch_size=16)
DENSE = dataclasses.replace(CONFIG, stages=(Stage(2, 3),))


def fit_in(folder, config, **options):
    return fit(config, TRAIN, TEST, best_path=folder / "best.pt", last_path=folder / "last.pt", **options)


@pytest.fixture(scope="module")
def dense(tmp_path_factory):
    return fit_in(tmp_path_factory.mktemp("dense"), DENSE)


def weights_of(checkpoint):
    names = [name for name, tensor in checkpoint.state.items() if name.endswith("weight") and tensor.dim() > 1]
    return {name: checkpoint.state[name] for name in names}


@pytest.mark.parametrize(("count", "sparsity"), [(10, 0.5), (7, 0.9), (211, 0.9873), (1000, 0.75), (9, 0.0), (3, 0.99)])
def test_so_many_weights_are_kept_and_they_are_the_largest(count, sparsity):
    weight = torch.randn(count, generator=torch.Generator().manual_seed(count))
    mask = magnitude_mask(weight, sparsity)
    assert int(mask.sum()) == round((1 - sparsity) * count)
    assert mask.all() or not mask.any() or weight[mask].abs().min() >= weight[~mask].abs().max()


def test_of_equal_weights_the_first_are_kept():
    assert magnitude_mask(torch.tensor([[1.0, -1.0], [1.0, 1.0]]), 0.5).tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, float("nan")])
def test_a_sparsity_outside_is_refused(sparsity):
    with pytest.raises(ValueError, match=r"sparsity must be in \[0, 1\)"):
        magnitude_mask(torch.ones(3), sparsity)


def test_ternary_weights_of_the_worked_example():
    q, alpha = quantise(torch.tensor([0.9, -0.8, 0.1, 0.05, -1.1, 0.4]), 1.58)
    assert q.tolist() == [1, -1, 0, 0, -1, 0]
    assert alpha == pytest.approx(0.93333, abs=1e-5)


@pytest.mark.parametrize("bits", [1.58, 3])
def test_levels_are_nearly_the_best_of_all_scales(bits):
    weight = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    most = {1.58: 1, 3: 3}[bits]
    q, alpha = quantise(weight, bits)
    found = float(((weight - alpha * q) ** 2).sum())
    scales = np.linspace(0.05, 3, 2000)
    best = min(float(((weight - a * (weight / a).round().clamp(-most, most)) ** 2).sum()) for a in scales)
    assert found <= 1.02 * best


def test_more_bits_err_less_and_use_their_levels():
    weight = torch.randn(2000, generator=torch.Generator().manual_seed(1)).double()
    errors = []
    for bits in (1.58, 3, 4, 5, 6, 7, 8):
        q, alpha = quantise(weight, bits)
        most = 1 if bits == 1.58 else 2 ** (bits - 1) - 1
        assert alpha > 0
        assert int(q.abs().max()) == most
        errors.append(float(((weight - alpha * q) ** 2).sum()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4 * float((weight**2).sum())


@pytest.mark.parametrize("bits", [1, 2, 9, 3.5, 0])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=r"must be 1\.58"):
        quantise(torch.ones(3), bits)


def test_zeros_stay_zeros_and_a_projection_is_its_own():
    assert not project(torch.zeros(5), 0.5, 3).any()
    weight = torch.randn(50, generator=torch.Generator().manual_seed(2))
    before = weight.clone()
    once = project(weight, 0.6, 4)
    assert torch.equal(weight, before)
    assert torch.allclose(project(once, 0.6, 4), once, atol=1e-6)
    assert int((once != 0).sum()) <= 20


class Watch(StopAfter):
    """Looks at the weights after every step."""

    def __init__(self, constraint, bits):
        super().__init__(-1)
        self.constraint, self.bits, self.looks = constraint, bits, 0

    def on_batch(self, batch, batches, loss):
        self.looks += 1
        for name, weight in self.constraint.weights.items():
            kept = self.constraint.state_dict()["masks"][name]
            assert not weight[~kept].any()
            assert int(kept.sum()) == round(0.2 * kept.numel())
            if self.bits < 32:
                assert len(weight.unique()) <= {1.58: 3, 3: 7}[self.bits]


@pytest.mark.parametrize("bits", [32.0, 3, 1.58])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_after_every_step_pruned_weights_are_0_and_others_on_levels(dense, tmp_path, bits, optimizer, precision):
    config = dataclasses.replace(
        DENSE, stages=(Stage(2, 1),), optimizer=optimizer, weight_decay=0.1, precision=precision
    )
    held = Held({}, 0.8, bits)
    watch = Watch(held, bits)
    best = fit_in(tmp_path, config, start=dense.state, constraint=held, monitors=[watch])
    assert watch.looks > 3
    before = weights_of(dense)
    assert all(not torch.equal(now[now != 0], before[n][now != 0]) for n, now in weights_of(best).items())


def test_the_network_before_is_left_alone_and_the_result_says_how_it_was_made(dense, tmp_path):
    before = {name: tensor.clone() for name, tensor in dense.state.items()}
    plan = dataclasses.replace(SHORT, sparsity=0.75, bits=3, activity=1e-3)
    made = compress(dense, plan, TRAIN, TEST, tmp_path / "c.pt", origin="abc")
    assert all(torch.equal(tensor, before[name]) for name, tensor in dense.state.items())
    assert made.training["compressed"] == {"of": "abc", **dataclasses.asdict(plan)}
    for weight in weights_of(made).values():
        assert int((weight != 0).sum()) <= round(0.25 * weight.numel())
        assert len(weight.unique()) <= 7
    assert Checkpoint.load(tmp_path / "c.pt").model()(TEST.images[:4], 2).shape == (2, 4, 3)


@pytest.mark.parametrize("changes", [{"sparsity": 0.9}, {"bits": 1.58}])
def test_weights_come_to_their_projection_over_the_last_half_of_admm(dense, tmp_path, changes):
    plan = dataclasses.replace(SHORT, epochs=12, retrain=1, lr=5e-3, rho=0.01, batch_size=4, **changes)
    compress(dense, plan, TRAIN, TEST, tmp_path / "c.pt")
    distances = admm_distances(tmp_path / "c.pt")
    assert len(distances) == 12
    assert (np.diff(distances[5:]) < 0).all(), distances
    assert distances[-1] < 0.5 * distances[0]


@pytest.mark.parametrize("batches", [3, 10, 20])
def test_a_stopped_compression_goes_on_to_the_same_bits(dense, tmp_path, batches):
    plan = dataclasses.replace(SHORT, epochs=2, sparsity=0.9, bits=3, activity=0.01)
    whole, torn = tmp_path / "whole.pt", tmp_path / "torn.pt"
    compress(dense, plan, TRAIN, TEST, whole)
    with pytest.raises(KeyboardInterrupt):
        compress(dense, plan, TRAIN, TEST, torn, monitors=[StopAfter(batches)])
    compress(dense, plan, TRAIN, TEST, torn)
    assert whole.read_bytes() == torn.read_bytes()


def test_what_is_there_of_another_compression_is_refused(dense, tmp_path):
    plan = dataclasses.replace(SHORT, epochs=1, retrain=1, sparsity=0.5)
    compress(dense, plan, TRAIN, TEST, tmp_path / "c.pt")
    with pytest.raises(TrainingError, match="other settings: compressed"):
        compress(dense, dataclasses.replace(plan, rho=1.0), TRAIN, TEST, tmp_path / "c.pt")


def test_lambda_lowers_the_spikes(dense, tmp_path):
    def rate(activity):
        plan = dataclasses.replace(SHORT, activity=activity)
        model = compress(dense, plan, TRAIN, TEST, tmp_path / f"{activity}.pt").model()
        seen = []
        for module in model.modules():
            if type(module).__name__ == "LIF":
                module.register_forward_hook(lambda *call: seen.append(float(call[2].mean())))
        with torch.no_grad():
            model(TEST.images, 2)
        return np.mean(seen)

    assert rate(3.0) < 0.8 * rate(0.0)


def test_networks_that_tetviz_does_not_train_are_refused(dense, tmp_path):
    with pytest.raises(CheckpointError, match="records no data set"):
        compress(dataclasses.replace(dense, data={}), SHORT, TRAIN, TEST, tmp_path / "c.pt")


def test_a_damaged_state_is_refused(dense, tmp_path):
    fit_in(tmp_path, DENSE, start=dense.state, constraint=Held({"x": 1}, 0.5))
    with pytest.raises(TrainingError, match="damaged"):
        fit(
            DENSE,
            TRAIN,
            TEST,
            best_path=tmp_path / "best.pt",
            last_path=tmp_path / "last.pt",
            resume=True,
            constraint=Held({"x": 1}, 0.5, 3),
        )
