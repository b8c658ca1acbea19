"""A curvature in tables and charts: the summaries' numbers, and what is not resolved or not recorded."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_curvature

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw, draw_named, printed, records
from tetviz.figures.views.curvature import VIEW
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
    assert "BN statistics frozen" in printed([result])


def charts(**changes):
    return VIEW.curves([planted_curvature(**changes)], Choices())


def planted_bends(directions):
    radius = np.array([0.003, 0.01, 0.03, 0.1, 0.3])
    return 4 / (1 + 10 * radius) * (1 + 0.1 * np.cos(np.arange(directions)))[:, None]


def test_finite_differences_give_the_planted_curvature():
    np.testing.assert_allclose(finite_curvature(planted_curvature(), 4), planted_bends(8), rtol=1e-9)
    np.testing.assert_allclose(finite_curvature(planted_curvature(loss="tet"), 4), 1.1 * planted_bends(8), rtol=1e-9)


def test_the_charts_show_spectrum_curvature_and_agreement():
    result = planted_curvature()
    spectrum, bend, slope = charts()
    np.testing.assert_array_equal(spectrum.series[-1].y, result.density)
    np.testing.assert_array_equal([each.y for each in spectrum.series[:-1]], result.repeat_density)
    assert [mark.at for mark in spectrum.marks] == [5, 3, 2, 1.5, 1] and spectrum.marks[0].text == "5"
    assert spectrum.y.scale == "log" and spectrum.dotted == "largest eigenvalues"
    *directions, mean, surrogate = bend.series
    interval = mean_interval(planted_bends(8))
    np.testing.assert_allclose([each.y for each in directions], planted_bends(8), rtol=1e-9)
    np.testing.assert_allclose([mean.y, mean.high], [interval.mean, interval.high], rtol=1e-9)
    assert surrogate.y == pytest.approx(np.full(5, 0.004)) and bend.x.scale == slope.x.scale == "log"
    cosine, correlation = slope.series
    for values in (cosine.y, cosine.low, cosine.high, correlation.y):
        np.testing.assert_allclose(values, 1)
    assert slope.y.lines == (0.0, 1.0) and not slope.note
    context = VIEW.curves_context(result, Choices())
    assert "8 random directions" in context and "T = 4" in context and "256 samples" in context


@pytest.mark.parametrize("note", ["", "the double backward pass is not finite"])
def test_a_hessian_that_is_not_finite_is_not_drawn(note):
    spectrum, bend, _ = charts(finite=False, note=note)
    assert not spectrum.series and not spectrum.marks and len(bend.series) == 9
    assert spectrum.note == (note or "no density: not computed yet or not finite")
    assert charts(note="stopped early")[0].note == "stopped early" and not charts(note="stopped early")[0].series
    figure = draw([planted_curvature(finite=False, note=note)])
    assert spectrum.note in [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]


def test_one_direction_has_no_interval_and_no_correlation():
    _, bend, slope = charts(directions=1)
    assert not bend.band and "take more directions" in slope.note
    assert "1 random direction, no interval" in VIEW.curves_context(planted_curvature(directions=1), Choices())


def test_a_half_done_curvature_has_its_gaps():
    done = np.ones((8, 5, 2))
    done[:, 3:, 1] = 0
    _, bend, slope = charts(done=done)
    assert bend.gaps and slope.gaps
    for series in slope.series:
        assert np.isnan(series.y).tolist() == [False] * 3 + [True] * 2
    assert np.isfinite(bend.series[8].y).tolist() == [True] * 3 + [False] * 2
    assert "64 of 80 points" in VIEW.curves_context(planted_curvature(done=done), Choices())
    done[2:], done[:2] = 0, 1
    np.testing.assert_allclose(charts(done=done)[1].series[8].y, planted_bends(8)[:2].mean(0), rtol=1e-9)
    assert len(draw([planted_curvature(done=np.zeros((8, 5, 2)))]).axes) == 3


def test_a_wide_range_of_both_signs_is_logarithmic_on_both_sides():
    result = planted_curvature()
    result.sdt_loss[::2, 0] += 10
    result.sdt_loss[1::2, 0] -= 10
    assert draw([result]).axes[1].get_yscale() == "symlog"


def test_another_loss_is_refused():
    with pytest.raises(ResultError, match="measured for 'sdt'"):
        draw([planted_curvature()], loss="tet")
