"""Samples that end before the last frame: against each sample alone, in loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, Dataset, Subset
from wording import refuses

from tetviz.errors import DataError
from tetviz.models import Calling, ForeignNetwork, build
from tetviz.training import examine, mask_labels, measure, sdt_loss, tet_loss, to_batches, total_loss
from tetviz.training.batches import collate
from tetviz.training.padding import to_lengths

LOSSES = {"sdt": sdt_loss, "tet": tet_loss, "total": lambda logits, labels: total_loss(logits, labels, 0.3, 0.7)}
ARRAYS = ("sdt_loss", "tet_loss", "step_loss", "accuracy", "step_accuracy", "sdt_loss_se", "tet_loss_se")


@st.composite
def batches(draw):
    """Outputs, labels and lengths of a batch."""
    steps, samples, classes = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(2, 4))
    generator = np.random.default_rng(draw(st.integers(0, 2**31)))
    logits_TBK = torch.from_numpy(generator.standard_normal((steps, samples, classes)) * draw(st.floats(0.1, 20)))
    labels_B = torch.from_numpy(generator.integers(0, classes, samples))
    return logits_TBK, labels_B, torch.from_numpy(generator.integers(1, steps + 1, samples))


def one_by_one(loss, logits_TBK, labels_B, lengths_B):
    each = [loss(logits_TBK[:n, i : i + 1], labels_B[i : i + 1]) for i, n in enumerate(lengths_B)]
    return torch.stack(each).mean()


@pytest.mark.parametrize("name", LOSSES)
@given(batches())
def test_losses_and_gradients_are_those_of_each_sample_alone(name, batch):
    logits_TBK, labels_B, lengths_B = batch
    found, expected = logits_TBK.clone().requires_grad_(), logits_TBK.clone().requires_grad_()
    ours = LOSSES[name](found, mask_labels(labels_B, lengths_B, len(logits_TBK)))
    slow = one_by_one(LOSSES[name], expected, labels_B, lengths_B)
    torch.testing.assert_close(ours, slow, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(each, x)[0] for each, x in ((ours, found), (slow, expected))))


@given(batches())
def test_sdt_never_exceeds_tet(batch):
    logits_TBK, labels_B, lengths_B = batch
    labels_BT = mask_labels(labels_B, lengths_B, len(logits_TBK))
    assert sdt_loss(logits_TBK, labels_BT) <= tet_loss(logits_TBK, labels_BT) * (1 + 1e-12) + 1e-12


@given(batches(), st.integers(0, 3))
def test_lengths_of_the_whole_run_give_the_same_bits(batch, behind):
    logits_TBK, labels_B, lengths_B = batch
    steps = len(logits_TBK)
    labels_BT = mask_labels(labels_B, torch.full_like(lengths_B, steps), steps + behind)
    for loss in LOSSES.values():
        assert loss(logits_TBK.float(), labels_BT) == loss(logits_TBK.float(), labels_B)


@given(batches(), st.integers(0, 5))
def test_losses_add_up_over_samples(batch, cut):
    logits_TBK, labels_B, lengths_B = batch
    labels_BT, cut = mask_labels(labels_B, lengths_B, len(logits_TBK)), min(cut, len(labels_B))
    for loss in LOSSES.values():
        parts = [
            (logits_TBK[:, part], labels_BT[part]) for part in (slice(cut), slice(cut, None)) if len(labels_B[part])
        ]
        total = sum(len(labels) * loss(logits, labels) for logits, labels in parts)
        torch.testing.assert_close(total, len(labels_B) * loss(logits_TBK, labels_BT), rtol=1e-11, atol=1e-11)


class Leaky(nn.Module):
    """A causal network whose output is a leaky sum of a linear map."""

    def __init__(self, features=3, classes=3):
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(features, classes).double()

    def forward(self, x_TB, timesteps):
        potential, outputs = torch.zeros(()), []
        for frame in self.linear(x_TB[:timesteps].flatten(2)):
            potential = 0.6 * potential + frame
            outputs.append(potential)
        return torch.stack(outputs)


def padded_batch(samples=7, steps=5, seed=0, garbage=1e3):
    """Sequences with garbage behind the end of each, their labels and lengths; one has a single frame."""
    generator = torch.Generator().manual_seed(seed)
    x_TB = torch.randn(steps, samples, 3, 1, 1, generator=generator, dtype=torch.float64)
    lengths_B = torch.randint(1, steps + 1, (samples,), generator=generator)
    lengths_B[0] = 1
    behind = torch.arange(steps)[:, None] >= lengths_B
    x_TB[behind] += garbage
    return x_TB, torch.arange(samples) % 3, lengths_B


def expected_profile(outputs, labels, timesteps):
    """Each sample's own numbers at every T, from its outputs alone, L x 1 x K."""
    rows = []
    for t in range(1, timesteps + 1):
        runs = [(each[: min(t, len(each))], labels[i : i + 1]) for i, each in enumerate(outputs)]
        alone = [(each[t - 1 : t], labels[i : i + 1]) for i, each in enumerate(outputs) if len(each) >= t]
        sdt, tet = (np.array([float(loss(*run)) for run in runs]) for loss in (sdt_loss, tet_loss))
        hits, step_hits = ([float(each.mean(0).argmax() == label) for each, label in part] for part in (runs, alone))
        rows.append(
            {
                "sdt_loss": sdt.mean(),
                "tet_loss": tet.mean(),
                "accuracy": np.mean(hits),
                "step_loss": np.mean([float(sdt_loss(*run)) for run in alone]) if alone else np.nan,
                "step_accuracy": np.mean(step_hits) if alone else np.nan,
                "sdt_loss_se": sdt.std(ddof=1) / np.sqrt(len(sdt)),
                "tet_loss_se": tet.std(ddof=1) / np.sqrt(len(tet)),
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in ARRAYS}


@pytest.mark.parametrize("seed", range(3))
def test_a_profile_is_that_of_each_sample_alone(seed):
    model, (x_TB, labels_B, lengths_B) = Leaky(), padded_batch(seed=seed)
    lengths_B.clamp_(max=4)  # no sample has a fifth step
    labels_BT = mask_labels(labels_B, lengths_B, 5)
    with torch.no_grad():
        outputs = [model(x_TB[:n, i : i + 1], int(n)) for i, n in enumerate(lengths_B)]
    profile = measure(model, [(x_TB[:, :4], labels_BT[:4]), (x_TB[:, 4:], labels_BT[4:])], 5)
    for name, expected in expected_profile(outputs, labels_B, 5).items():
        np.testing.assert_allclose(getattr(profile, name), expected, rtol=1e-9, err_msg=name)
    assert np.isnan(profile.step_loss[-1]) and np.isnan(profile.step_accuracy[-1])
    assert profile.step_samples.tolist() == [int((lengths_B >= t).sum()) for t in range(1, 6)]


def test_a_built_network_that_streams_heeds_lengths_too():
    torch.manual_seed(0)
    model = build("snn5", num_classes=3, in_channels=1, image_size=16, width=0.0625)
    model(torch.randn(4, 8, 1, 16, 16), 4)
    model.eval().double()
    x_TB, labels_B = torch.randn(4, 5, 1, 16, 16, dtype=torch.float64), torch.arange(5) % 3
    lengths_B = torch.tensor([1, 4, 2, 3, 2])
    with torch.no_grad():
        outputs = [model(x_TB[:n, i : i + 1], int(n)) for i, n in enumerate(lengths_B)]
    x_TB[torch.arange(4)[:, None] >= lengths_B] = 50.0
    profile = measure(model, [(x_TB, mask_labels(labels_B, lengths_B, 4))], 4)
    for name, expected in expected_profile(outputs, labels_B, 4).items():
        np.testing.assert_allclose(getattr(profile, name), expected, rtol=1e-9, err_msg=name)


def test_a_profile_of_whole_lengths_has_the_same_bits():
    model, (x_TB, labels_B, _) = Leaky().float(), padded_batch()
    plain, whole = (
        measure(model, [(x_TB, labels)], 4) for labels in (labels_B, mask_labels(labels_B, torch.full((7,), 4), 5))
    )
    for name in (*ARRAYS, "step_samples"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(whole, name))


def test_labels_may_be_of_a_type_that_holds_no_lengths():
    model, (x_TB, labels_B, lengths_B) = Leaky(), padded_batch(steps=300)
    small, large = (measure(model, [(x_TB, labels)], 300) for labels in (labels_B.to(torch.uint8), labels_B))
    assert small.accuracy.tolist() == large.accuracy.tolist() and small.step_samples.tolist() == [7] * 300
    labels_BT = mask_labels(labels_B.to(torch.uint8), lengths_B, 300)
    assert torch.equal(labels_BT, mask_labels(labels_B, lengths_B, 300))


def test_padding_that_is_not_finite_reaches_no_number():
    model, (x_TB, labels_B, lengths_B) = Leaky(), padded_batch()
    labels_BT = mask_labels(labels_B, lengths_B, 5)
    reference = measure(model, [(x_TB, labels_BT)], 5)
    x_TB[torch.arange(5)[:, None] >= lengths_B] = float("nan")
    found = measure(model, [(x_TB, labels_BT)], 5)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(reference, name))


def test_networks_that_would_look_at_padding_are_refused():
    x_TB, labels_B, lengths_B = padded_batch()
    labels_BT = mask_labels(labels_B, lengths_B, 5)
    by_batch = nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False))
    with refuses(DataError, "statistics 1 5"):
        measure(by_batch, [(x_TB, labels_BT)], 5)
    alone = ForeignNetwork(Leaky(), Calling("time-major", "time-major", timesteps_by="fixed", sample_axes=1), 5)
    with refuses(DataError, "alone 1 5"):
        measure(alone, [(x_TB, labels_BT)], 5)


class Sequences(Dataset):
    def __init__(self, x_TB, labels_B, lengths):
        self.x, self.y, self.lengths = x_TB.transpose(0, 1), labels_B, lengths

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return self.x[index], int(self.y[index])


def test_the_lengths_of_a_data_set_and_of_its_parts():
    x_TB, labels_B, lengths_B = padded_batch()
    expected = mask_labels(labels_B, lengths_B, 5)
    mask = (torch.arange(5) < lengths_B[:, None]).numpy()
    for lengths in (lengths_B, lengths_B.tolist(), lengths_B.numpy(), mask):
        data = Sequences(x_TB, labels_B, lengths)
        for each in (data, Subset(data, range(7)), ConcatDataset([Subset(data, [0, 1]), Subset(data, range(2, 7))])):
            labels = [labels_BT for _, labels_BT in to_batches(each, 4)]
            assert torch.equal(torch.cat(labels), expected)
        ((_, labels_BT),) = to_batches(data, 9, [3, 1])
        assert torch.equal(labels_BT, expected[[3, 1]])
    again = list(to_batches(list(to_batches(data, 4)), 4))
    assert torch.equal(torch.cat([labels_BT for _, labels_BT in again]), expected)


def test_data_sets_of_which_some_have_lengths_are_refused():
    x_TB, labels_B, lengths_B = padded_batch()
    known, unknown = Sequences(x_TB, labels_B, lengths_B), Sequences(x_TB, labels_B, None)
    with refuses(DataError, "some none"):
        to_batches(ConcatDataset([known, unknown]))
    with refuses(DataError, "mask_labels"):
        list(to_batches(DataLoader(known, 4, collate_fn=collate)))
    assert len(list(to_batches(DataLoader(unknown, 4, collate_fn=collate)))) == 2
    with refuses(DataError, "6 7"):
        to_batches(Sequences(x_TB, labels_B, lengths_B[:6]))


@pytest.mark.parametrize(
    ("given", "frames", "words"),
    [
        ([2, 0], 3, "1 0 3"),
        ([4, 2], 3, "0 4 3"),
        ([2.0, 1.0], 3, "float64"),
        ([[2, 1]], 3, "whole booleans"),
        ([[True, False, True], [True] * 3], 3, "mask 0"),
        ([[True, True, True], [False] * 3], 3, "1 0 3"),
        ([[True, True]], 3, "bool (1, 2)"),
        ([1], 0, "one frame"),
    ],
)
def test_lengths_that_are_none(given, frames, words):
    with refuses(DataError, words):
        to_lengths(given, frames)


@pytest.mark.parametrize(
    "labels", [[[1, 1, 2], [0, 0, 0]], [[1, -100, 1], [0, 0, 0]], [[-100] * 3, [0] * 3], [[1, 1], [0, 0]]]
)
def test_labels_that_are_not_one_class_up_to_the_end(labels):
    with refuses(DataError, "classification"):
        list(to_batches([(torch.zeros(3, 2, 4), torch.tensor(labels))]))


def test_checks_look_at_whole_samples():
    model, (x_TB, labels_B, lengths_B) = Leaky(), padded_batch(samples=50, garbage=float("nan"))
    found = {each.check: each for each in examine(model, [(x_TB, mask_labels(labels_B, lengths_B, 5))], 5)}
    assert found["repeatable"].verdict == found["finite"].verdict == found["causal in t"].verdict == "ok"
    assert not [each.message for each in found.values() if "nan" in each.message]
