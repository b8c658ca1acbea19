"""Scaling curves with batch-norm statistics of every T: against one evaluator for each T, and what is refused."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from networks import settled_network
from torch.utils.data import TensorDataset
from wording import heard, refuses

from tetviz.analysis import compute_scaling
from tetviz.errors import CheckpointError, DataError, ResultError
from tetviz.landscape import Evaluator
from tetviz.models.norm import fold
from tetviz.results import ScalingCurve, load, save
from tetviz.summaries.evidence import what_of
from tetviz.summaries.exits import exit_curve, exit_timesteps
from tetviz.summaries.names import data_context
from tetviz.training import mask_labels
from tetviz.training.recalibration import recalibrate


@pytest.fixture(scope="module")
def network():
    model, batches = settled_network()
    return model, batches, [(torch.randn(24, 1, 16, 16), torch.arange(24) % 3)]


@pytest.fixture(scope="module")
def curve(network):
    model, batches, others = network
    return compute_scaling(model, batches, 5, calibration=others, keep_outputs=True)


def test_every_t_is_a_run_with_statistics_of_that_t(network, curve):
    model, batches, others = network
    for t in range(1, 6):
        alone = copy.deepcopy(model)
        alone.timesteps = t
        profile = Evaluator(alone, batches, t, bn="recalibrate", calibration=others).measure({})
        for name in ("accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss"):
            assert getattr(curve, name)[t - 1] == getattr(profile, name)[-1], (name, t)
    assert curve.accuracy.tolist() == (curve.prediction == curve.label[:, None]).mean(0).tolist()
    assert curve.step_accuracy.tolist() == (curve.step_prediction == curve.label[:, None]).mean(0).tolist()
    assert curve.outputs.shape == (18, 5, 3)
    np.testing.assert_allclose(curve.relative_growth, curve.accuracy / curve.accuracy[1] - 1)


def test_statistics_of_one_t_are_wrong_at_others(network, curve):
    model, batches, others = network
    at_2 = copy.deepcopy(model)
    recalibrate(at_2, others, 2)
    frozen = compute_scaling(at_2, batches, 5)
    assert frozen.tet_loss[1] == curve.tet_loss[1]
    assert all(frozen.tet_loss[t] != curve.tet_loss[t] for t in (0, 2, 3, 4))


def test_the_network_is_left_as_it_was(network):
    model, batches, others = network
    before = {name: each.clone() for name, each in model.state_dict().items()}
    compute_scaling(model, batches, 2, calibration=others)
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert not any(module.training for module in model.modules())


def test_it_says_what_it_is_in_a_file_and_in_words(curve, tmp_path):
    save(tmp_path / "a.h5", curve)
    again = load(tmp_path / "a.h5", ScalingCurve)
    assert again.recalibrated == 24 and again.calibration.tolist() == list(range(24))
    heard(data_context(again), "re-estimated every T 24")
    assert "ok" in again.prefix_test
    assert what_of(again) == "scaling, recalibrate" and what_of(replace(again, calibration=None)) == "scaling"
    for ask in (lambda: exit_curve(again, "margin"), lambda: exit_timesteps(again, "entropy", 0.5)):
        with refuses(ResultError, "--bn frozen"):
            ask()


def test_progress_comes_to_all_samples(network):
    model, batches, others = network
    told = []
    compute_scaling(model, batches, 4, calibration=others, progress=told.append)
    assert sum(told) == pytest.approx(18) and len(told) == 8


def test_chosen_samples_are_recorded(network):
    model, batches, _ = network
    images, labels = (torch.cat([batch[part] for batch in batches]) for part in (0, 1))
    data = TensorDataset(images, labels)
    few = np.array([3, 4, 9])
    chosen = compute_scaling(model, data, 2, indices=few, calibration=data, calibration_indices=np.array([7, 1]))
    assert chosen.sample.tolist() == [3, 4, 9] and chosen.calibration.tolist() == [7, 1]
    assert chosen.label.tolist() == labels[few].tolist()


def test_what_cannot_be_is_refused(network):
    model, batches, others = network
    with refuses(CheckpointError, "no batch normalisation"):
        compute_scaling(fold(model), batches, 2, calibration=others)
    with refuses(DataError, "no samples"):
        compute_scaling(model, batches, 2, calibration=[])
    sequence = torch.randn(3, 4, 1, 16, 16)
    with refuses(DataError, "3 frames, T is 4"):
        compute_scaling(model, [(sequence, torch.zeros(4).long())], 4, calibration=others)
    ended = mask_labels(torch.zeros(4).long(), torch.tensor([3, 2, 3, 3]), 3)
    with refuses(DataError, "2 frames 3"):
        compute_scaling(model, [(sequence, ended)], 3, calibration=others)


def test_a_network_of_one_t_is_refused(network):
    model, batches, others = network
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tetviz.analysis.recalibrated.only_length", lambda _: 2)
        with refuses(CheckpointError, "one T alone"):
            compute_scaling(model, batches, 2, calibration=others)
