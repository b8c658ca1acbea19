"""The one measurement: against plain runs, over chunks of data, and leaving everything as it was."""

import numpy as np
import pytest
import torch
from networks import ONE_OF_EACH
from torch import nn
from torch.utils.data import Dataset
from wording import refuses

import reference
from tetviz.errors import DataError
from tetviz.models import LIF, build
from tetviz.training import measure, sdt_loss, tet_loss, to_batches

ARRAYS = ("sdt_loss", "tet_loss", "step_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se")


class Samples(Dataset):
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.x[index], int(self.y[index])


def warmed(name="snn5", classes=4, **settings):
    torch.manual_seed(0)
    model = build(name, num_classes=classes, in_channels=1, image_size=16, width=0.0625, **settings)
    with torch.no_grad():
        for _ in range(10):
            model(torch.randn(8, 1, 16, 16), 2)
    return model.eval()


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_every_t_equals_a_plain_run_of_t_steps(name):
    model = warmed(name)
    x, y = torch.randn(6, 1, 16, 16), torch.arange(6) % 4
    profile = measure(model, [(x, y)], 5)
    for t in range(1, 6):
        with torch.no_grad():
            out = model(x, t).double()
        logits, labels = out.numpy(), y.numpy()
        assert profile.sdt_loss[t - 1] == pytest.approx(reference.sdt_loss(logits, labels), abs=1e-12)
        assert profile.tet_loss[t - 1] == pytest.approx(reference.tet_loss(logits, labels), abs=1e-12)
        assert profile.step_loss[t - 1] == pytest.approx(reference.sdt_loss(logits[t - 1 :], labels), abs=1e-12)
        assert profile.accuracy[t - 1] == (out.mean(0).argmax(1) == y).double().mean()
        assert profile.step_accuracy[t - 1] == (out[-1].argmax(1) == y).double().mean()


def test_standard_errors_are_those_of_the_per_sample_losses():
    model, x, y = warmed(), torch.randn(9, 1, 16, 16), torch.arange(9) % 4
    profile = measure(model, [(x, y)], 3)
    with torch.no_grad():
        out = model(x, 3).double()
    for name, loss in (("sdt_loss_se", sdt_loss), ("tet_loss_se", tet_loss)):
        values = np.array([loss(out[:, i : i + 1], y[i : i + 1]).item() for i in range(9)])
        assert getattr(profile, name)[-1] == pytest.approx(values.std(ddof=1) / 3)


def test_batches_do_not_matter_beyond_rounding():
    model = warmed().double()
    data = Samples(torch.randn(13, 1, 16, 16), torch.arange(13) % 4)
    whole, parts = (measure(model, data, 3, batch_size=size) for size in (13, 4))
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10)
    assert whole.samples == parts.samples == 13


def test_sequences_of_a_data_set_are_turned_time_first():
    model = warmed()
    x_NTCHW, y = torch.randn(5, 3, 1, 16, 16), torch.arange(5) % 4
    ((x_TBCHW, labels),) = to_batches(Samples(x_NTCHW, y), 8)
    assert x_TBCHW.shape == (3, 5, 1, 16, 16)
    assert torch.equal(x_TBCHW[2, 4], x_NTCHW[4, 2])
    profile = measure(model, Samples(x_NTCHW, y), 3)
    with torch.no_grad():
        assert profile.sdt_loss[-1] == pytest.approx(sdt_loss(model(x_TBCHW).double(), labels).item())


def test_a_single_batch_needs_no_list():
    batch = torch.randn(3, 1, 16, 16), torch.arange(3)
    model = warmed()
    np.testing.assert_array_equal(measure(model, batch, 2).sdt_loss, measure(model, [batch], 2).sdt_loss)


def test_indices_choose_samples_and_their_order():
    data = Samples(torch.arange(4.0)[:, None, None, None], torch.arange(4))
    ((x, y),) = to_batches(data, 9, [3, 1])
    assert x.flatten().tolist() == [3, 1]
    assert y.tolist() == [3, 1]


@pytest.mark.parametrize("failing", [False, True])
def test_nothing_of_the_caller_changes(failing):
    model = warmed(norm="tdbn")
    model.train()
    model.features[0].eval()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    flags = {m: m.training for m in model.modules()}
    x, y = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 9 if failing else 3])
    kept, numpy_state, torch_state = x.clone(), np.random.get_state()[1].copy(), torch.get_rng_state()
    try:
        measure(model, Samples(x, y), 2)
    except DataError:
        assert failing
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert all(m.training is flag for m, flag in flags.items())
    assert all(m.membrane is None and not m.carry for m in model.modules() if isinstance(m, LIF))
    assert torch.equal(x, kept)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert torch.is_grad_enabled()


def test_a_module_that_is_not_ours_is_run_once_in_whole():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))
            self.calls = []

        def forward(self, x, timesteps):
            self.calls.append(timesteps)
            return torch.randn(timesteps, len(x), 3)

    model = Counter()
    measure(model, [(torch.zeros(2, 1, 1, 1), torch.zeros(2, dtype=torch.long))], 7)
    assert model.calls == [7]


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_out_of_range_is_named(label):
    with refuses(DataError, f"{label} 4 0 3"):
        measure(warmed(), [(torch.zeros(2, 1, 16, 16), torch.tensor([0, label]))], 1)


def test_no_samples_are_named():
    with refuses(DataError, "empty"):
        measure(warmed(), [], 1)


def test_a_sequence_that_is_too_short_is_named():
    with refuses(DataError, "2 3 timesteps"):
        measure(warmed(), [(torch.zeros(2, 1, 1, 16, 16), torch.zeros(1, dtype=torch.long))], 3)


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3), (1, 4, 3)])
def test_outputs_that_are_not_logits_over_time_are_named(shape):
    class Wrong(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, x, timesteps):
            return torch.zeros(shape)

    with refuses(ValueError):
        measure(Wrong(), [(torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.long))], 2)


def test_timesteps_below_one_are_refused():
    with refuses(ValueError, "least 1"):
        measure(warmed(), [], 0)


def test_a_dead_network_is_at_chance_exactly():
    model = warmed()
    nn.init.zeros_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    profile = measure(model, [(torch.randn(8, 1, 16, 16), torch.arange(8) % 4)], 3)
    np.testing.assert_allclose(profile.sdt_loss, np.log(4))
    np.testing.assert_allclose(profile.tet_loss, np.log(4))
    np.testing.assert_array_equal(profile.accuracy, 0.25)


def test_a_module_that_works_in_place_does_not_reach_the_callers_batch():
    class InPlace(nn.Module):
        def forward(self, x, timesteps):
            x.unsqueeze_(0).add_(1)
            return x.flatten(2).repeat(timesteps, 1, 1)

    batch = torch.zeros(2, 1, 1, 3), torch.zeros(2, dtype=torch.long)
    first, second = (measure(InPlace(), [batch], 2) for _ in range(2))
    assert first.sdt_loss[0] == second.sdt_loss[0] == pytest.approx(np.log(3))
    assert batch[0].shape == (2, 1, 1, 3) and not batch[0].any()


def test_a_nan_predicts_nothing():
    class Broken(nn.Module):
        def forward(self, x, timesteps):
            return torch.full((timesteps, len(x), 3), float("nan"))

    profile = measure(Broken(), [(torch.zeros(4, 1, 1, 1), torch.zeros(4, dtype=torch.long))], 2)
    assert np.isnan(profile.sdt_loss).all()
    np.testing.assert_array_equal(profile.accuracy, 0)
