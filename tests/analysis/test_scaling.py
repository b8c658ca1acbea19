"""Time scalability: growth, variance, and one pass standing for all shorter runs."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from networks import settled_network
from torch import nn
from wording import refuses

import reference
from tetviz.analysis import compute_scaling, temporal_variance
from tetviz.analysis.predictions import confidence
from tetviz.errors import CheckpointError, DataError
from tetviz.models import build
from tetviz.results import Provenance, ScalingCurve
from tetviz.results.schema import array_fields
from tetviz.summaries.exits import exit_curve, exit_timesteps
from tetviz.training import load_data, mask_labels


@pytest.fixture(scope="module")
def network():
    return settled_network()


def test_one_long_run_holds_every_shorter_one(network):
    model, batches = network
    long = compute_scaling(model, batches, 12)
    for t in (1, 3, 7):
        short = compute_scaling(model, batches, t)
        for name in ("accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss"):
            np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[:t])


def test_growth_is_relative_to_the_training_t(network):
    curve = compute_scaling(*network, 6)
    assert curve.t_train == 2
    assert curve.relative_growth[1] == 0
    np.testing.assert_allclose(curve.relative_growth, curve.accuracy / curve.accuracy[1] - 1)


def test_growth_is_nan_where_it_has_no_base(network):
    assert np.isnan(compute_scaling(*network, 4, t_train=9).relative_growth).all()


def test_losses_obey_jensen_and_step_losses_average_to_tet(network):
    curve = compute_scaling(*network, 8)
    assert (curve.sdt_loss <= curve.tet_loss + 1e-12).all()
    np.testing.assert_allclose(np.cumsum(curve.step_loss) / curve.timestep, curve.tet_loss)


def test_temporal_variance_is_the_sample_variance_beyond_training():
    accuracy = [0.1, 0.2, 0.9, 0.8, 0.6]
    mean = (0.9 + 0.8 + 0.6) / 3
    expected = sum((a - mean) ** 2 for a in accuracy[2:]) / 2
    assert temporal_variance(accuracy, 2) == pytest.approx(expected)
    assert np.isnan(temporal_variance(accuracy, 4))
    assert temporal_variance(accuracy, 0) == pytest.approx(np.var(accuracy, ddof=1))


def test_without_any_t_train_it_says_so(network):
    _, batches = network
    bare = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=3)
    with refuses(ValueError, "t_train"):
        compute_scaling(bare, batches, 4)


def outputs_of(model, x, timesteps):
    with torch.no_grad():
        return model(x, timesteps).double().numpy()


def test_every_sample_is_kept_as_a_plain_run_has_it(network):
    model, batches = network
    curve = compute_scaling(model, batches, 5, keep_outputs=True)
    x, labels = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches]).numpy()
    out = outputs_of(model, x, 5)
    np.testing.assert_array_equal(curve.label, labels)
    assert (curve.num_classes, curve.output_class.tolist()) == (3, [0, 1, 2])
    np.testing.assert_allclose(curve.outputs, out.transpose(1, 0, 2), atol=1e-6)
    for t in range(1, 6):
        means = reference.mean_output(out[:t])
        for i, mean in enumerate(means):
            p = sorted(reference.softmax(mean))
            entropy = -sum(q * np.log(q) for q in p) / np.log(3)
            assert curve.prediction[i, t - 1] == mean.argmax()
            assert curve.step_prediction[i, t - 1] == out[t - 1, i].argmax()
            assert curve.margin[i, t - 1] == pytest.approx(p[-1] - p[-2], abs=1e-6)
            assert curve.entropy[i, t - 1] == pytest.approx(entropy, abs=1e-6)
    np.testing.assert_array_equal((curve.prediction == labels[:, None]).mean(0), curve.accuracy)
    np.testing.assert_array_equal((curve.step_prediction == labels[:, None]).mean(0), curve.step_accuracy)


def test_a_short_file_is_the_beginning_of_a_long_one_in_every_array(network):
    model, batches = network
    short, long = (compute_scaling(model, batches, t, keep_outputs=True) for t in (4, 16))
    for name, schema in array_fields(ScalingCurve).items():
        a, b = getattr(short, name), getattr(long, name)
        if "timestep" in schema["dims"]:
            b = b.take(np.arange(4), axis=schema["dims"].index("timestep"))
        np.testing.assert_array_equal(a, b, strict=True, err_msg=name)


def test_outputs_are_kept_only_if_asked_for_and_the_frame_has_a_row_for_each_t(network):
    curve = compute_scaling(*network, 4)
    assert curve.outputs.shape == (18, 4, 0) and len(curve.output_class) == 0
    frame = curve.to_frame()
    assert frame.index.tolist() == [1, 2, 3, 4] and frame.index.name == "timestep"
    assert list(frame) == ["accuracy", "step_accuracy", "sdt_loss", "tet_loss", "step_loss", "relative_growth"]


def test_samples_and_labels_follow_the_indices():
    digits = load_data("digits", split="test")
    torch.manual_seed(0)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=10)
    model.timesteps = 2
    indices = np.array([40, 3, 17, 5, 8])
    curve = compute_scaling(model, digits, 3, indices=indices, batch_size=2)
    np.testing.assert_array_equal(curve.sample, indices)
    np.testing.assert_array_equal(curve.label, digits.labels[indices])


class Foreign(nn.Module):
    """Any network at all: outputs are what a function makes of the first T steps of a fixed random signal."""

    def __init__(self, front):
        super().__init__()
        self.front = front
        self.weight = nn.Parameter(torch.randn(12, 3, generator=torch.Generator().manual_seed(0)))
        self.timesteps = 2

    def forward(self, x, timesteps):
        current = x.flatten(-3)[..., :12]
        if x.dim() == 4:
            current = current * torch.arange(1, timesteps + 1)[:, None, None]
        return self.front(current[:timesteps]) @ self.weight


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class BatchStatistics(nn.Module):
    """Normalises by the statistics of all steps and samples at hand, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(12, track_running_stats=False)

    def forward(self, x):
        return self.norm(x.flatten(0, 1)).view_as(x)


LOOKING_AHEAD = {
    "the next step": lambda x: x + torch.cat([x[1:], 0 * x[:1]]),
    "the last step": lambda x: x + x[-1:],
    "the mean over time": lambda x: x - x.mean(0),
    "its own length": lambda x: x / len(x),
}


@pytest.mark.parametrize("name", LOOKING_AHEAD)
def test_a_network_that_looks_ahead_is_refused_with_its_layer(name, network):
    model = Foreign(Calls(LOOKING_AHEAD[name]))
    with refuses(CheckpointError, "timesteps earlier"):
        compute_scaling(model, network[1], 12)


def test_a_network_of_batch_statistics_is_refused_with_its_layer(network):
    with refuses(CheckpointError, "x.pt front.norm BatchNorm1d"):
        compute_scaling(Foreign(BatchStatistics()), network[1], 12, provenance=Provenance(checkpoint="x.pt"))


def test_a_network_of_ours_without_running_statistics_is_refused(network):
    model = copy.deepcopy(network[0])
    names = [name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    norm = model.get_submodule(names[1])
    norm.running_mean = norm.running_var = None
    with pytest.raises(CheckpointError) as error:
        compute_scaling(model, network[1], 12)
    assert f"{names[1]} (" in str(error.value) and "track_running_stats" in str(error.value)


def test_a_causal_network_that_is_not_ours_is_measured_and_left_alone(network):
    model = Foreign(Calls(lambda x: x.cumsum(0))).train()
    state = torch.get_rng_state()
    curve = compute_scaling(model, network[1], 9)
    assert curve.prefix_test.startswith("ok: a run of 6 steps begins like those of 1 to 5")
    assert model.training and torch.equal(torch.get_rng_state(), state)
    x, _ = network[1][0]
    out = outputs_of(model, x, 9)
    np.testing.assert_array_equal(curve.prediction[:10, 8], out.mean(0).argmax(1))


def test_what_the_prefix_test_cannot_settle_is_said(network):
    noisy = Foreign(Calls(lambda x: x + torch.randn_like(x)))
    curve = compute_scaling(noisy, network[1], 4)
    assert curve.prefix_test.startswith("warning: not tested: two equal runs differ")


def test_sequences_are_tested_as_far_as_they_go():
    x, y = torch.randn(3, 10, 1, 16, 16), torch.arange(10) % 3
    curve = compute_scaling(Foreign(Calls(lambda x: x.cumsum(0))), [(x, y)], 3)
    assert curve.prefix_test.startswith("ok: a run of 3 steps")
    with refuses(DataError, "3 4 timesteps"):
        compute_scaling(Foreign(Calls(lambda x: x.cumsum(0))), [(x, y)], 4)


@pytest.mark.parametrize(
    ("front", "labels", "error", "words"),
    [
        (lambda x: x[0], 3, ValueError, "outputs 8"),
        (lambda x: x.repeat(2, 1, 1), 3, ValueError, "2 timesteps 1"),
        (lambda x: x, 9, DataError, "label 7"),
    ],
)
def test_what_is_no_output_is_said_before_anything_is_measured(front, labels, error, words):
    batch = torch.randn(10, 1, 16, 16), torch.arange(10) % labels
    with refuses(error, words):
        compute_scaling(Foreign(Calls(front)), [batch], 4)


def test_outputs_that_are_nan_predict_no_class_and_are_never_sure(network):
    curve = compute_scaling(Foreign(Calls(lambda x: x * float("nan"))), network[1], 2)
    assert (curve.prediction == -1).all() and (curve.step_prediction == -1).all() and (curve.accuracy == 0).all()
    assert np.isnan(curve.margin).all() and np.isnan(curve.entropy).all()


def test_nothing_to_measure_is_said(network):
    model, batches = network
    with refuses(DataError, "no samples"):
        compute_scaling(model, [], 4)
    with refuses(ValueError, "least 1"):
        compute_scaling(model, batches, 0)


def test_confidence_of_sure_unsure_and_single_outputs():
    margin, entropy = confidence(torch.tensor([[[1000.0, 0.0, 0.0], [2.0, 2.0, 2.0]]]).double())
    np.testing.assert_allclose(margin, [[1, 0]], atol=1e-12)
    np.testing.assert_allclose(entropy, [[0, 1]], atol=1e-12)
    assert all(torch.isnan(values).all() for values in confidence(torch.zeros(2, 3, 1)))


def test_peak_memory_does_not_grow_with_t():
    """Peaks of resident memory, of a process that makes a short run and then a long one."""
    code = (
        "import resource, torch\n"
        "from tetviz.analysis import compute_scaling\n"
        "from tetviz.models import build\n"
        "torch.set_num_threads(1)\n"
        "model = build('snn5', width=0.125, in_channels=1, image_size=16, num_classes=10)\n"
        "model.timesteps = 4\n"
        "batch = torch.rand(256, 1, 16, 16), torch.arange(256) % 10\n"
        "for tmax in (8, 64):\n"
        "    compute_scaling(model, [batch], tmax)\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    short, long = map(int, run.stdout.split())
    assert 0 < long < 1.1 * short


def test_a_sample_stands_still_behind_its_end(network):
    model, _ = network
    x_TB, labels_B, lengths_B = torch.randn(5, 6, 1, 16, 16), torch.arange(6) % 3, torch.tensor([1, 4, 2, 3, 3, 2])
    curve = compute_scaling(model, (x_TB, mask_labels(labels_B, lengths_B, 5)), 5, keep_outputs=True)
    for i, n in enumerate(lengths_B.tolist()):
        alone = compute_scaling(model, (x_TB[:n, i : i + 1], labels_B[i : i + 1]), n, keep_outputs=True)
        for name in ("prediction", "margin", "entropy"):
            found, expected = getattr(curve, name)[i], getattr(alone, name)[0]
            np.testing.assert_allclose(found, np.append(expected, [expected[-1]] * (5 - n)), atol=1e-6)
        np.testing.assert_array_equal(curve.step_prediction[i], [*alone.step_prediction[0], *[-1] * (5 - n)])
        assert np.isnan(curve.outputs[i, n:]).all() and not np.isnan(curve.outputs[i, :n]).any()
    assert curve.length.tolist() == lengths_B.tolist() and curve.step_samples.tolist() == [6, 5, 3, 1, 0]
    np.testing.assert_array_equal((curve.prediction == labels_B.numpy()[:, None]).mean(0), curve.accuracy)
    stops = exit_timesteps(curve, "margin", 2.0)  # none is ever so sure
    assert stops.tolist() == lengths_B.tolist() and exit_curve(curve, "margin").mean_timesteps[-1] == 2.5
    assert compute_scaling(model, (x_TB, labels_B), 5).length is None
