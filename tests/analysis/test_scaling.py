"""Time scalability: growth, variance, and one pass standing for all shorter runs."""

import numpy as np
import pytest
import torch

from tetviz.analysis import compute_scaling, temporal_variance
from tetviz.models import build


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    model = build("snn5", width=0.0625, in_channels=1, image_size=16, num_classes=3)
    x, y = torch.randn(18, 1, 16, 16), torch.arange(18) % 3
    with torch.no_grad():
        for _ in range(20):
            model(x, 2)
    model.timesteps = 2
    return model.eval(), [(x[:10], y[:10]), (x[10:], y[10:])]


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
    with pytest.raises(ValueError, match="t_train"):
        compute_scaling(bare, batches, 4)
