"""Ratios and the Pareto front of a compression, in closed form."""

import numpy as np
import pytest
from planted_compression import planted_compression

from tetviz.summaries.compression import compression_table, pareto


def test_ratios_are_those_of_the_planted_network():
    row = compression_table(planted_compression(), 4).loc["s0.9"]
    assert row["sparsity"] == pytest.approx(0.9)
    assert row["memory"] == pytest.approx(0.1)
    assert row["spikes ratio"] == pytest.approx(0.9)
    assert row["operations ratio"] == pytest.approx(0.09)
    assert row["synaptic ratio"] == pytest.approx(0.2)
    assert row["energy pj"] == pytest.approx(1.36e5 * 0.2 * 4)


def test_memory_of_quantised_weights_goes_by_their_bits():
    assert compression_table(planted_compression(), 4).loc["b3", "memory"] == pytest.approx(3 / 32)


def test_the_interval_of_an_accuracy_is_wilsons():
    row = compression_table(planted_compression(), 4).loc["dense"]
    p, n, z = row["accuracy"], 1000, 1.959964
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    assert row["high"] - row["low"] == pytest.approx(2 * half, rel=1e-5)


def test_the_front_is_what_nothing_dominates():
    cost, value = np.array([1.0, 2.0, 3.0, 2.0, 1.0]), np.array([0.5, 0.9, 0.8, 0.9, 0.4])
    assert pareto(cost, value).tolist() == [1, 1, 0, 1, 0]
