"""Losses and their gradients against loops and closed forms; Jensen's inequality."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from wording import refuses

import reference
from tetviz.training import mse_regulariser, sdt_loss, tet_loss, total_loss
from tetviz.training.losses import LOSSES, make_loss, mse_loss, trt_loss

sizes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(2, 6), st.integers(0, 2**31), st.floats(0.01, 50))


def draw(size):
    steps, batch, classes, seed, scale = size
    generator = np.random.default_rng(seed)
    return scale * generator.standard_normal((steps, batch, classes)), generator.integers(0, classes, batch)


@given(sizes)
def test_values_and_gradients_agree_with_the_closed_forms(size):
    logits, labels = draw(size)
    pairs = [
        (sdt_loss, reference.sdt_loss, reference.sdt_gradient, ()),
        (tet_loss, reference.tet_loss, reference.tet_gradient, ()),
        (total_loss, reference.total_loss, reference.total_gradient, (0.2, 0.7)),
    ]
    for ours, value, gradient, extra in pairs:
        logits_TBK = torch.tensor(logits, requires_grad=True)
        loss = ours(logits_TBK, torch.from_numpy(labels), *extra)
        loss.backward()
        assert loss.item() == pytest.approx(value(logits, labels, *extra), rel=1e-12)
        np.testing.assert_allclose(logits_TBK.grad.numpy(), gradient(logits, labels, *extra), rtol=1e-9, atol=1e-14)


@given(sizes)
def test_sdt_never_exceeds_tet(size):
    logits, labels = (torch.from_numpy(a) for a in draw(size))
    assert sdt_loss(logits, labels) <= tet_loss(logits, labels) * (1 + 1e-12) + 1e-12


def test_the_papers_middle_step_is_not_an_inequality():
    """-log mean_t S(O(t)) lies between the two only if softmax were convex; here it is below L_SDT."""
    logits, label = torch.tensor([[[0.0, 0.0]], [[10.0, 10.0 - 10.0]]]), torch.tensor([1])
    middle = -torch.log(logits.softmax(2).mean(0)[0, 1])
    assert middle < sdt_loss(logits, label) < tet_loss(logits, label)


def test_one_step_makes_both_losses_equal():
    logits, labels = torch.randn(1, 6, 4), torch.arange(6) % 4
    torch.testing.assert_close(sdt_loss(logits, labels), tet_loss(logits, labels))


def test_the_regulariser_and_its_weight():
    logits, labels = torch.full((2, 3, 4), 1.5), torch.zeros(3, dtype=torch.long)
    assert mse_regulariser(logits).item() == 0.25
    assert total_loss(logits, labels, lamb=1.0).item() == 0.25
    assert total_loss(logits, labels, lamb=0.0) == tet_loss(logits, labels)


def test_losses_by_name():
    logits, labels = torch.randn(3, 2, 4), torch.tensor([0, 3])
    assert make_loss("total", 0.3, 2.0)(logits, labels) == total_loss(logits, labels, 0.3, 2.0)
    assert all(make_loss(name)(logits, labels) == LOSSES[name](logits, labels) for name in LOSSES)
    assert make_loss("trt", 0.3)(logits, labels) == trt_loss(logits, labels, 0.3)
    with refuses(ValueError, "known total"):
        make_loss("mae")


def test_mse_is_the_squared_distance_of_the_mean_output_to_one_hot() -> None:
    logits = torch.tensor([[[1.0, 0.0, 2.0]], [[3.0, 0.0, 0.0]]])  # mean 2, 0, 1
    assert mse_loss(logits, torch.tensor([0])) == pytest.approx((1 + 0 + 1) / 3)
    assert mse_loss(logits, torch.tensor([1])) == pytest.approx((4 + 1 + 1) / 3)
    repeated = logits[:1].expand(5, -1, -1)
    assert mse_loss(repeated, torch.tensor([2])) == mse_loss(logits[:1], torch.tensor([2]))


@given(sizes, st.floats(0, 1))
def test_trt_is_that_of_a_loop(size, eta) -> None:
    logits, labels = draw(size)
    steps, batch, classes = logits.shape
    squares = [
        (logits[t, b, k] - (k == labels[b])) ** 2 for t in range(steps) for b in range(batch) for k in range(classes)
    ]
    expected = (1 - eta) * reference.tet_loss(logits, labels) + eta * sum(squares) / len(squares)
    assert trt_loss(torch.tensor(logits), torch.from_numpy(labels), eta).item() == pytest.approx(expected, rel=1e-12)


def test_trt_counts_the_steps_that_a_sample_has() -> None:
    logits = torch.randn(3, 2, 4)
    labels_BT = torch.tensor([[1, 1, -100], [2, 2, 2]])
    alone = [trt_loss(logits[:2, :1], torch.tensor([1])), trt_loss(logits[:, 1:], torch.tensor([2]))]
    torch.testing.assert_close(trt_loss(logits, labels_BT), sum(alone) / 2)
