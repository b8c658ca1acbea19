"""A curvature as a table: the summaries' numbers, and what is not resolved or not recorded."""

from dataclasses import replace

import numpy as np
from planted_results import planted_curvature
from wording import holds

from tetviz.figures import draw_named, printed, records
from tetviz.summaries import finite_curvature, mean_interval, slope_agreement


def test_rows_are_radii_with_the_numbers_of_the_summaries():
    result = planted_curvature()
    table = draw_named("curvature-table", [result])
    bend, slopes = mean_interval(finite_curvature(result, 4)), slope_agreement(result)
    frame, cells = table.frame, table.cells()
    np.testing.assert_array_equal(frame["radius"], result.radius)
    for name, values in (("curvature", bend.mean), ("curvature low", bend.low), ("cosine low", slopes["low"])):
        np.testing.assert_array_equal(frame[name], values)
    assert cells.index.tolist() == [f"{radius:g}" for radius in result.radius]
    assert cells.iloc[0, 0] == f"{bend.mean[0]:.4g} [{bend.low[0]:.4g}, {bend.high[0]:.4g}]"
    assert set(cells["surrogate (nat)"]) == {"0.004"} and "|w| = 10," in table.note
    assert "largest eigenvalues 5, 3, 2, 1.5, 1" in table.feet[0] and table.feet[1].startswith("trace 44.5 +- ")


def test_a_cosine_without_an_interval_is_not_resolved():
    result = planted_curvature(directions=7)  # one too few
    cells = draw_named("curvature-table", [result]).cells()
    assert set(cells["cosine of the gradients"]) == {"not resolved"} and set(cells["correlation of slopes"]) == {"-"}


def test_what_the_double_backward_pass_gives_no_number_for_is_said():
    table = draw_named("curvature-table", [planted_curvature(finite=False)])
    assert table.feet == ("surrogate Hessian of L_SDT at T = 4: the double backward pass is not finite",)
    assert set(table.cells()["surrogate (nat)"]) == {"-"}


def test_networks_stand_below_one_another():
    one, two = planted_curvature(), planted_curvature()
    two = replace(two, provenance=replace(two.provenance, label="b"))
    table = draw_named("curvature-table", [one, two])
    assert table.cells().index.tolist() == ["VGGSNN TET"] * 5 + ["b"] * 5
    assert table.feet == draw_named("curvature-table", [one]).feet  # what both share is said once


def test_json_has_the_hessian_and_a_record_for_each_radius():
    result = planted_curvature()
    hessian, *radii = records([result])
    assert (hessian["eigenvalues"], hessian["trace"]) == (result.eigenvalue.tolist(), result.trace_estimate.mean())
    assert [row["radius"] for row in radii] == result.radius.tolist()
    assert list(radii[0])[3:] == [
        *("radius", "curvature", "curvature_low", "curvature_high", "cosine", "low", "high", "correlation")
    ]
    holds(printed([result]), "BN statistics")
