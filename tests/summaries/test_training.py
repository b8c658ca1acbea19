"""Energies of training from known counts."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_training import planted_training
from wording import refuses

from tetviz.summaries.costs import load_cost
from tetviz.summaries.training import (
    PHASES,
    densities,
    neuron_energy,
    optimizer_energy,
    optimizer_mac,
    phase_energy,
    phase_pairs,
    run_energy,
    schedule_cost,
    training_table,
    with_cost,
)


def test_the_schedules_of_the_paper():
    assert schedule_cost([(6, 300)]) == 1800
    assert schedule_cost([(2, 300), (6, 50)]) == 900
    assert schedule_cost([]) == 0


@given(st.lists(st.tuples(st.integers(1, 64), st.integers(1, 500)), max_size=5), st.integers(1, 9))
def test_a_schedule_adds_up(stages, share):
    head, tail = stages[:share], stages[share:]
    assert schedule_cost(stages) == schedule_cost(head) + schedule_cost(tail)
    assert schedule_cost([(3 * t, epochs) for t, epochs in stages]) == 3 * schedule_cost(stages)


def test_spikes_are_added_and_errors_multiplied():
    energy = phase_energy(planted_training())
    assert energy.shape == (3, 3, 2)
    np.testing.assert_allclose(energy[:, 0, 0], [1000 * 4.6, 0, 500 * 4.6])
    np.testing.assert_allclose(energy[:, 1, 0], [1000 * 0.9, 1200 * 4.6, 400 * 0.9])
    np.testing.assert_allclose(energy[:, 2, 1], [25 * 0.9, 30 * 4.6, 10 * 0.9])


def test_one_side_keeps_more_and_dense_all_at_the_price_of_a_mac():
    result = planted_training()
    one_sided, dense = phase_energy(result, "one-sided"), phase_energy(result, "dense")
    np.testing.assert_allclose(one_sided[:, 1, 0], [1000 * 0.9, 2000 * 4.6, 1000 * 0.9])
    np.testing.assert_allclose(dense[:, 1, 0], 4000 * 4.6)
    np.testing.assert_allclose(dense[:, 0, 0], [1000 * 4.6, 0, 1000 * 4.6])
    assert (phase_energy(result) <= one_sided).all() and (one_sided <= dense).all()
    pairs = [phase_pairs(result, sparsity) for sparsity in ("effective", "one-sided", "dense")]
    assert (pairs[0] <= pairs[1]).all() and (pairs[1] <= pairs[2]).all()
    with refuses(ValueError, "'dense'"):
        phase_pairs(result, "dens")


def test_the_table_adds_up_over_phases_layers_and_steps():
    result = planted_training()
    table = training_table(result)
    assert table.index.tolist() == [*list(result.names), "total"]
    np.testing.assert_allclose(table[list(PHASES)].sum(axis=1), table["effective"])
    np.testing.assert_allclose(table.drop(index="total").sum(), table.loc["total"])
    assert table.loc["total", "effective"] == pytest.approx(phase_energy(result).sum())
    assert table.loc["total", "dense"] == pytest.approx(2 * 4.6 * (3 * 5100 - 1000))


def test_energies_follow_the_cost_model():
    result = planted_training()
    half = with_cost(result, load_cost("45nm-fp16"))
    assert (half.cost, half.mac_pj, half.ac_pj) == ("45nm-fp16", 1.5, 0.4)
    np.testing.assert_array_equal(half.forward, result.forward)
    np.testing.assert_allclose(phase_energy(half)[0, 1], 1000 * 0.4)
    np.testing.assert_allclose(neuron_energy(half), neuron_energy(result) * 1.5 / 4.6)


def test_neurons_take_three_multiply_adds_and_in_the_last_step_one():
    np.testing.assert_allclose(neuron_energy(planted_training(steps=3))[0], 64 * 4.6 * np.array([3, 3, 1]))


@pytest.mark.parametrize(
    ("settings", "macs"),
    [
        (("sgd",), 1),
        (("sgd", 0.9), 2),
        (("sgd", 0.9, 1e-4), 3),
        (("adam", 0.9), 8),
        (("sam", 0.9, 1e-4), 5),
        (("adamw", 0.0, 1e-2), 9),
    ],
)
def test_an_optimiser_step_in_multiply_adds(settings, macs):
    assert optimizer_mac(*settings) == macs


def test_an_optimiser_that_is_not_known_is_refused():
    with refuses(ValueError, "'adam'"):
        optimizer_mac("adan")


def test_the_optimiser_does_not_depend_on_t():
    assert optimizer_energy(planted_training(steps=2)) == optimizer_energy(planted_training(steps=7)) == 500 * 8 * 4.6
    assert math.isnan(optimizer_energy(planted_training(optimizer="", optimizer_mac=0)))


def test_a_whole_run_in_joules():
    result = planted_training()
    of_a_sample = phase_energy(result).sum() + neuron_energy(result).sum()
    # 12 samples in batches of 5 are 3 steps of the optimiser in each of 350 epochs.
    expected = of_a_sample / 2 * 12 * 900 + 350 * 3 * 500 * 8 * 4.6
    assert run_energy(result) == pytest.approx(expected * 1e-12)
    twice = dataclasses.replace(result, optimizer="sam")
    assert run_energy(twice) == pytest.approx((of_a_sample / 2 * 12 * 900 * 2 + 350 * 3 * 500 * 8 * 4.6) * 1e-12)
    for unknown in ({"stages": ()}, {"train_samples": 0}, {"train_batch_size": 0}):
        assert math.isnan(run_energy(dataclasses.replace(result, **unknown)))


def test_densities_of_elements_and_of_pairs():
    frame = densities(planted_training())
    np.testing.assert_allclose(frame.loc["features.2.conv"], [0.25, 0.5, 0.5, 0.3, 0.3, 0.1])
    np.testing.assert_allclose(frame.loc["classifier"], [0.25, 1, 0.5, 0.3, 0.2, 0.1])
    first = frame.loc["features.0.conv"]
    np.testing.assert_allclose(first[["d_in", "d_err", "d_wu"]], [1, 0.5, 0.5])
    assert first[["d_need", "dual", "product"]].isna().all()
