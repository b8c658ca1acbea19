"""What tables say of block isometries."""

import math

import numpy as np
import pytest
from planted_isometry import planted_isometry

from tetviz.summaries.isometry import (
    closed_form_error,
    depth_summary,
    gradient_growth,
    gradient_norm,
    isometry_table,
    running_product,
)


def test_the_product_is_over_a_block_and_all_behind_it():
    result = planted_isometry(blocks=3, run_phi=np.array([2.0, 3.0, 5.0]))
    assert running_product(result).tolist() == [30, 15, 5]


def test_growth_is_from_the_last_output_back():
    result = planted_isometry(blocks=4)
    np.testing.assert_allclose(gradient_growth(result), running_product(result))
    silent = planted_isometry(blocks=4, output_gradient=np.zeros((4, 2)))
    assert np.isnan(gradient_growth(silent)).all()


def test_norms_of_steps_add_up_in_squares():
    assert gradient_norm(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [5, 0]


def test_a_row_for_each_block():
    table = isometry_table(planted_isometry(blocks=5))
    assert table.index.tolist() == [f"blocks.{k}" for k in range(5)]
    assert table["phi"].tolist() == [1.2] * 5 and table["closed form"].tolist() == pytest.approx([1.14] * 5)
    assert table["phi run"].iloc[0] == pytest.approx(1.2 * 1.125)
    assert table["gradient"].iloc[0] == pytest.approx(0.1 * math.sqrt(table["product"].iloc[0]))


def test_the_error_of_closed_forms_leaves_out_what_has_none():
    assert closed_form_error(planted_isometry()) == pytest.approx(0.05)
    forms = np.full((9, 2), np.nan)
    assert math.isnan(closed_form_error(planted_isometry(closed_form=forms)))
    forms[0] = 1.8
    assert closed_form_error(planted_isometry(closed_form=forms)) == pytest.approx(0.5)


def test_a_network_in_one_row():
    phi = np.array([2.0, 0.5, 3.0])
    whole = depth_summary(planted_isometry(blocks=3, step_phi=phi, run_phi=np.array([2.0, 3.0, 6.0])))
    assert (whole["blocks"], whole["least"], whole["most"], whole["product"]) == (3, 0.5, 3.0, 6.0)
    result = planted_isometry(blocks=3)
    whole = depth_summary(result)
    # Norms, not their squares.
    assert whole["growth"] == pytest.approx(np.linalg.norm(result.input_gradient[0]) / 0.1) == whole["product"]
    assert whole["rate"] == pytest.approx(result.rate.mean()) and whole["closed form error"] == pytest.approx(0.05)
    silent = {name: np.zeros((0, 2)) for name in ("rate", "potential_mean", "potential_std", "mass")}
    empty = planted_isometry(blocks=3, neuron=np.zeros(0, int), neuron_names=(), **silent)
    assert math.isnan(depth_summary(empty)["rate"])
