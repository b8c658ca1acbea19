"""Attacks on networks whose answer is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from wording import refuses

from tetviz.analysis import compute_attack
from tetviz.errors import DataError


class Bright(nn.Module):
    """Class 1 where the mean pixel is above a half; the gradient is that of a line."""

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        x = x if x.dim() == 5 else x.expand(timesteps, *x.shape)
        z = self.scale * (x.flatten(2).mean(2) - 0.5)
        return torch.stack([-z, z], 2)


class Corner(Bright):
    """Sees the pixel in the corner alone."""

    def forward(self, x: Tensor, timesteps: int) -> Tensor:
        return super().forward(x[..., :1, :1], timesteps)


def images(value: float, samples: int = 6) -> tuple[Tensor, Tensor]:
    return torch.full((samples, 1, 4, 4), value), torch.full((samples,), int(value > 0.5))


@pytest.mark.parametrize("method", ["fgsm", "bim", "pgd"])
def test_pixels_cross_the_border_only_where_epsilon_reaches_it(method):
    for epsilon, expected in ((0.15, 1.0), (0.05, 0.0)):
        result = compute_attack(Bright(), images(0.6), 3, method, iterations=10, epsilon=epsilon)
        assert result.success[-1] == expected and result.clean_accuracy.tolist() == [1.0] * 3
        assert result.accuracy.tolist() == [1 - expected] * 3
        assert result.distance.max() <= epsilon**2 + 1e-6


def test_images_as_spikes_err_and_the_control_seldom_does():
    result = compute_attack(Corner(), images(1.0, 50), 8, "g2s-image", iterations=5)
    # All 8 spikes of the corner go, of 128; as many at random leave it at a half or more.
    assert result.success[-1] == 1.0 and result.control_success[-1] <= 0.6
    assert result.flips[0] == pytest.approx(8 / 128)
    assert (np.diff(result.success) >= 0).all() and result.zero_gradient[0] == 0


def test_without_gradient_spikes_are_flipped_by_the_share_of_the_flipper():
    result = compute_attack(Bright(0.0), (torch.rand(400, 1, 8, 8), torch.zeros(400).long()), 4, iterations=2)
    # Both outputs are equal: no class is the one largest, so nothing succeeds.
    assert result.zero_gradient.tolist() == [1.0, 1.0] and not result.succeeded.any()
    assert result.flips == pytest.approx(0.05, abs=0.002)


def test_the_same_seed_gives_the_same_and_leaves_the_callers_numbers():
    before = torch.get_rng_state()
    first, again = (compute_attack(Bright(), images(0.8, 20), 4, iterations=4, seed=3) for _ in range(2))
    assert np.array_equal(first.succeeded, again.succeeded) and torch.equal(before, torch.get_rng_state())


def test_events_are_changed_as_spikes_and_towards_a_target():
    events = (torch.arange(4 * 8 * 16).view(4, 8, 1, 4, 4) % 5 > 0).float(), torch.ones(8).long()
    result = compute_attack(Bright(), events, 4, "g2s-spike", targeted=True)
    assert result.success[-1] == 1.0 and result.accuracy[-1] == 0.0 and np.isnan(result.resampling_error)
    none = compute_attack(Bright(), events, 4, "g2s-spike", budget=1e-9)
    assert none.success[-1] == 0.0


def test_other_data_are_refused():
    with pytest.raises(DataError, match="images; use g2s-image"):
        compute_attack(Bright(), images(0.6), 2, "g2s-spike")


def test_noise_is_of_the_size_asked_for_and_its_control_another_draw():
    bright = (torch.full((400, 1, 8, 8), 0.6), torch.ones(400).long())
    for noise, expected in (("gaussian", 0.1**2), ("salt-and-pepper", 0.1 * (0.6**2 + 0.4**2) / 2)):
        found = compute_attack(Bright(), bright, 2, noise, epsilon=0.1)
        assert found.distance.mean() == pytest.approx(expected, rel=0.05)
        assert found.iteration.tolist() == [1]
        assert not found.succeeded.any() and not found.control_succeeded.any()
    few = compute_attack(Corner(), bright, 2, "salt-and-pepper", epsilon=0.5)
    assert few.success[0] == pytest.approx(0.25, abs=0.07) == few.control_success[0]
    assert few.succeeded.tolist() != few.control_succeeded.tolist()
    assert few.accuracy[-1] == pytest.approx(1 - few.success[0])


def test_events_are_dropped_by_their_share():
    events = torch.ones(2, 300, 1, 4, 4), torch.ones(300).long()
    found = compute_attack(Bright(), [events], 2, "drop", epsilon=0.3)
    assert found.distance.mean() == pytest.approx(0.3, abs=0.02)
    with refuses(DataError, "drop images g2s-image fgsm bim pgd gaussian salt-and-pepper"):
        compute_attack(Bright(), images(0.6), 2, "drop")
