"""What is measured on a network that draws random numbers."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tetviz.analysis import compute_operations, compute_scaling, count_operations
from tetviz.landscape import Evaluator, compute_surface, random_plane
from tetviz.landscape.gradient import surrogate_gradient
from tetviz.models import ForeignNetwork, adapt
from tetviz.models.foreign.draws import drawn
from tetviz.models.foreign.isolation import drawn_from
from tetviz.summaries.names import data_context, samples_of
from tetviz.summaries.scaling import compare_scaling, right_shares
from tetviz.training import mask_labels, measure
from tetviz.training.doctor import examine
from tetviz.training.doctor.causal import causality

T, SAMPLES, PIXELS = 3, 10, 4


class Readout(nn.Module):
    """A Bernoulli encoder and a linear readout, so that the expectation is a sum over 2^4 patterns of spikes."""

    def __init__(self, look_ahead: bool = False) -> None:
        super().__init__()
        self.fc, self.look_ahead = nn.Linear(PIXELS, 3), look_ahead
        for parameter in self.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))

    def forward(self, x: Tensor) -> Tensor:
        # Drawn samples first, so that another T draws others.
        spikes = (torch.rand(x.transpose(0, 1).shape, dtype=x.dtype) < x.transpose(0, 1)).to(x).transpose(0, 1)
        outputs: Tensor = self.fc(spikes.flatten(2))
        return outputs + outputs.mean(0) if self.look_ahead else outputs


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(SAMPLES, 1, 2, 2, generator=generator)
    labels = torch.randint(3, (SAMPLES,), generator=generator)
    return [(x[:6], labels[:6]), (x[6:], labels[6:])]


def network(draws: int, **settings: Any) -> ForeignNetwork:
    return adapt(Readout(**settings), batches()[0][0], T, takes="time-major", gives="time-major", draws=draws)


def slowly(model: ForeignNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Losses and hits of every sample at T, the mean over draws, one after the other."""
    losses, hits = [], []
    for number, (x, labels) in enumerate(batches()):
        for b in range(len(labels)):
            loss, hit = [], []
            for draw in range(model.calling.draws):
                model.drawing = number, draw
                mean = model(x, T)[:, b].detach().double().mean(0)
                loss.append(-math.log(float(mean.softmax(0)[labels[b]])))
                hit.append(float(mean.argmax() == labels[b]))
            losses.append(np.mean(loss))
            hits.append(np.mean(hit))
    model.drawing = 0, 0
    return np.array(losses), np.array(hits)


def test_a_profile_is_of_the_mean_over_draws_of_every_sample() -> None:
    model = network(5)
    losses, hits = slowly(model)
    before = drawn_from(torch.device("cpu"))
    seen: list[int] = []
    profile = measure(model, batches(), T, progress=seen.append)
    assert drawn_from(torch.device("cpu")) == before
    assert profile.samples == SAMPLES and seen == [6, 4]
    assert profile.sdt_loss[-1] == pytest.approx(losses.mean(), abs=1e-6)
    assert profile.accuracy[-1] == pytest.approx(hits.mean())
    assert profile.sdt_loss_se[-1] == pytest.approx(losses.std(ddof=1) / math.sqrt(SAMPLES), rel=1e-5)
    again = measure(model, batches(), T)
    assert all(np.array_equal(value, getattr(again, name)) for name, value in vars(profile).items())
    assert model.drawing == (0, 0)


def expected(weight: Tensor, bias: Tensor) -> tuple[float, float, float]:
    """Loss and accuracy of one step in closed form, and the deviation of the loss of one draw of all samples."""
    loss = accuracy = variance = 0.0
    for x, labels in batches():
        for pixels, label in zip(x.flatten(1).double(), labels, strict=True):
            mean = square = 0.0
            for pattern in itertools.product((0.0, 1.0), repeat=PIXELS):
                spikes = torch.tensor(pattern, dtype=torch.float64)
                share = float(torch.where(spikes > 0, pixels, 1 - pixels).prod())
                logits = weight @ spikes + bias
                value = -float(logits.log_softmax(0)[label])
                mean, square = mean + share * value, square + share * value**2
                accuracy += share * float(logits.argmax() == label) / SAMPLES
            loss, variance = loss + mean / SAMPLES, variance + (square - mean**2) / SAMPLES**2
    return loss, accuracy, math.sqrt(variance)


def test_many_draws_come_to_the_expectation_in_closed_form() -> None:
    model, draws = network(400), 400
    loss, accuracy, deviation = expected(
        model.network.fc.weight.detach().double(), model.network.fc.bias.detach().double()
    )
    profile = measure(model, batches(), 1)
    assert profile.sdt_loss[0] == pytest.approx(loss, abs=4 * deviation / math.sqrt(draws))
    assert profile.accuracy[0] == pytest.approx(accuracy, abs=4 * 0.5 / math.sqrt(SAMPLES * draws))
    assert abs(measure(network(1), batches(), 1).sdt_loss[0] - loss) > deviation / 100  # one draw is another number


def test_a_measurement_that_fails_leaves_the_draw_as_it_was() -> None:
    model = network(2)
    with pytest.raises(ValueError, match="expected"), drawn(model, [1, 2]) as passes:
        for number in passes:
            if number == 2:
                raise ValueError("expected")
    assert model.drawing == (0, 0)


def test_every_point_of_a_surface_sees_the_same_draws() -> None:
    model = network(3)
    plane = random_plane(model, seed=0)
    surface = compute_surface(model, batches(), plane, grid=3, timesteps=T)
    profile = measure(model, batches(), T)
    assert np.array_equal(surface.sdt_loss.squeeze()[1, 1], profile.sdt_loss)
    assert np.array_equal(surface.accuracy.squeeze()[1, 1], profile.accuracy)
    near = Evaluator(model, batches(), T).measure_along(
        (1e-4, plane.x)
    )  # noise of other draws would be 1000 times that
    assert abs(near.sdt_loss[-1] - profile.sdt_loss[-1]) < 1e-3
    assert near.sdt_loss[-1] != profile.sdt_loss[-1]


def test_a_gradient_is_that_of_the_loss_that_is_measured() -> None:
    model = network(3).double()
    evaluator = Evaluator(model, [(x.double(), y) for x, y in batches()], T)
    weight = evaluator.origin["network.fc.weight"]
    gradient = surrogate_gradient(evaluator, "sdt", {"network.fc.weight": weight})["network.fc.weight"]
    step = 1e-5
    for at in ((0, 0), (2, 3)):
        values = []
        for sign in (1, -1):
            moved = weight.clone()
            moved[at] += sign * step
            values.append(evaluator.measure({"network.fc.weight": moved}).sdt_loss[-1])
        assert float(gradient[at]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-5)


def test_a_scaling_curve_has_a_row_for_each_draw_and_counts_samples_once() -> None:
    model = network(4)
    curve = compute_scaling(model, batches(), T)
    assert curve.sample.tolist() == 4 * list(range(SAMPLES))
    assert len(samples_of(curve)) == SAMPLES
    _, hits = slowly(model)
    assert right_shares(curve)[:, -1] == pytest.approx(hits)
    assert right_shares(curve).mean(0) == pytest.approx(curve.accuracy)
    assert "in distribution" in curve.prefix_test
    assert curve.provenance.draws == "4"
    assert data_context(curve) == f"{SAMPLES} samples, draws of each: 4"
    other = compute_scaling(network(2), batches(), T)
    difference = compare_scaling(curve, other)
    assert difference.samples == SAMPLES
    assert difference.mean == pytest.approx(other.accuracy - curve.accuracy)


def test_operations_are_summed_over_draws_too() -> None:
    model = network(3)
    counts = compute_operations(model, batches(), T)
    spikes = 0.0
    with drawn(model, batches()) as passes:
        for x, _ in passes:
            entering: list[Tensor] = []
            handle = model.network.fc.register_forward_pre_hook(lambda _, args, kept=entering: kept.append(args[0]))
            model(x, T)
            handle.remove()
            spikes += float(entering[0].sum())
    assert counts.ac.sum() + counts.mac.sum() == 3 * spikes  # to each of the three outputs
    assert len(counts.sample) == 3 * SAMPLES and len(samples_of(counts)) == SAMPLES
    assert not counts.not_counted
    x = batches()[0][0]
    assert count_operations(model, x, T).sample.tolist() == 3 * list(range(len(x)))


def test_what_looks_ahead_is_found_behind_random_numbers() -> None:
    x = torch.rand(T, SAMPLES, 1, 2, 2, generator=torch.Generator().manual_seed(3))
    verdict, message = causality(network(2), x, T)
    assert verdict == "ok" and "in distribution" in message
    verdict, message = causality(network(2, look_ahead=True), x, T)
    assert verdict == "failure" and "does not begin like" in message


def test_the_doctor_says_how_far_draws_vary() -> None:
    model = network(8)
    found = {each.check: each for each in examine(model, batches(), T)}
    accuracies = []
    for draw in range(8):
        right = 0
        for number, (x, labels) in enumerate(batches()):
            model.drawing = number, draw
            right += int((model(x, T).double().mean(0).argmax(1) == labels).sum())
        accuracies.append(100 * right / SAMPLES)
    model.drawing = 0, 0
    assert found["repeatable"].verdict == "ok"
    low, high, spread = min(accuracies), max(accuracies), np.std(accuracies, ddof=1)
    assert found["repeatable"].message.endswith(
        f"of 8 draws the accuracy is {low:.2f}% to {high:.2f}%, standard deviation {spread:.2g} points"
    )
    assert found["causal in t"].verdict == "ok"
    assert found["precision"].verdict == "ok"


def test_the_doctor_names_the_cure_of_a_network_that_is_stochastic() -> None:
    class Unstated(Readout):
        def forward(self, x: Tensor, timesteps: int) -> Tensor:
            return super().forward(x.expand(timesteps, *x.shape))

    found = {each.check: each for each in examine(Unstated(), batches(), T)}
    assert found["repeatable"].verdict == "failure"
    assert "import it with --draws N" in found["repeatable"].message


def test_samples_that_end_early_are_drawn_like_all_others() -> None:
    model, lengths = network(5), torch.tensor([3, 1, 2, 3, 2, 1])
    x = torch.rand(T, 6, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    labels = batches()[0][1]
    profile = measure(model, [(x, mask_labels(labels, lengths, T))], T)
    loss, hit = np.zeros(6), np.zeros(6)
    with torch.no_grad(), drawn(model, [x]) as passes:
        for each in passes:
            outputs = model(each, T).double()
            for b, length in enumerate(lengths):
                mean = outputs[:length, b].mean(0)
                loss[b] += float(nn.functional.cross_entropy(mean, labels[b])) / 5
                hit[b] += (int(mean.argmax()) == int(labels[b])) / 5
    assert profile.sdt_loss[-1] == pytest.approx(loss.mean(), rel=1e-12)
    assert profile.sdt_loss_se[-1] == pytest.approx(loss.std(ddof=1) / 6**0.5, rel=1e-9)
    assert profile.accuracy[-1] == pytest.approx(hit.mean(), rel=1e-12)
    assert profile.samples == 6 and profile.step_samples.tolist() == [6, 4, 2]
    curve = compute_scaling(model, [(x, mask_labels(labels, lengths, T))], T)
    assert curve.step_samples.tolist() == [6, 4, 2] and curve.length.tolist() == 5 * lengths.tolist()
    assert samples_of(curve).tolist() == list(range(6))
    counts = compute_operations(model, [(x, mask_labels(labels, lengths, T))], T)
    assert counts.step_runs.tolist() == [30, 20, 10] and len(counts.length) == 30
    (repeatable,) = (
        each for each in examine(model, [(x, mask_labels(labels, lengths, T))], T) if each.check == "repeatable"
    )
    assert "of 5 draws the accuracy is" in repeatable.message
