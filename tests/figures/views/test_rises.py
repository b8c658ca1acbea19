"""The charts of sharpness: rises in every panel, paired differences, and what is not measured."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_sharpness

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw
from tetviz.figures.views.sharpness import VIEW
from tetviz.results import Provenance
from tetviz.summaries import mean_interval
from tetviz.summaries.flatness import mean_rises, worst_rises


def charts(*results, **choices):
    return VIEW.curves(results, Choices(**choices))


def test_the_three_charts_show_mean_steps_and_worst():
    result = planted_sharpness(planes=4)
    mean, step, worst = charts(result)
    r, rises = mean_rises(result, "sdt", 4)
    (line,) = mean.series
    interval = mean_interval(rises)
    for drawn, expected in ((line.x, r), (line.y, interval.mean), (line.low, interval.low), (line.high, interval.high)):
        np.testing.assert_allclose(drawn, expected)
    sam, average = step.series
    np.testing.assert_allclose(sam.y, 0.3 * result.rho)
    np.testing.assert_allclose(average.y, 0.1 * result.rho)
    assert (step.x.scale, step.y.scale, step.x.at) == ("log", "log", (0.01, 0.03, 0.1)) and average.thin
    assert "SAM" in step.strong and "random directions" in step.thin and "steps" in step.band
    np.testing.assert_allclose(worst.series[0].y, worst_rises(result, "sdt", 4)[1].mean(0))
    assert line.texts[10].startswith("r = 0.5\nmean rise of L_SDT 0.") and "planes" in mean.band
    assert "4 random steps of each length" in VIEW.curves_context(result, Choices())


def test_networks_are_overlaid_in_a_row_for_each_loss():
    other = planted_sharpness(sam=0.9, provenance=Provenance(label="SDT"), average=-0.1)
    found = charts(planted_sharpness(), other)
    assert [chart.row for chart in found] == [0] * 4 + [1] * 4
    for row in (found[:4], found[4:]):
        assert [len([each for each in chart.series if not each.thin]) for chart in row] == [2, 2, 2, 1]
        assert row[1].y.scale != "log"
    with pytest.raises(ResultError, match="different bn"):
        draw([planted_sharpness(), planted_sharpness(bn="batch")])


def test_differences_are_paired_by_plane():
    first = planted_sharpness()
    other = planted_sharpness(sdt_loss=first.sdt_loss * np.array([1.5, 2.5] * 5)[:, None, None])
    chart = charts(first, other)[3]
    (line,) = chart.series
    (_, before), (r, after) = mean_rises(first, "sdt", 4), mean_rises(other, "sdt", 4)
    np.testing.assert_allclose(line.x, r)
    np.testing.assert_allclose(line.y, (after - before).mean(0))
    assert line.network == 1 and chart.y.lines == (0.0,)
    apart = charts(first, planted_sharpness(planes=3))[3]
    assert not apart.series and "same planes" in apart.note


def test_a_half_done_sharpness_has_its_gaps():
    done = np.ones((10, 41))
    done[5, 20:], done[6:] = 0, 0
    result = planted_sharpness(done=done, sam_done=np.array([1, 0, 0]), average_done=np.zeros((5, 3)))
    mean, step, worst = charts(result)
    assert np.isfinite(mean.series[0].y).all() and not mean.gaps and np.isfinite(worst.series[0].y).all()
    assert np.isfinite(step.series[0].y).tolist() == [True, False, False]
    assert step.gaps == ((pytest.approx(0.02), pytest.approx(0.1)),)
    context = VIEW.curves_context(result, Choices())
    assert "1 of 18 steps" in context and "mean of the 2 complete" in context


def test_what_has_not_begun_or_has_no_centre_is_refused():
    for done, words in ((np.zeros((10, 41)), "no loss at its centre"), (np.ones((10, 41)), "no loss at its centre")):
        done[:, 5:] = 0
        with pytest.raises(ResultError, match=words):
            charts(planted_sharpness(done=done))


def test_no_steps_at_all_leave_their_panel_hatched():
    result = planted_sharpness(planes=1, sam_done=np.zeros(3), average_done=np.zeros((1, 3)))
    step = charts(result)[1]
    assert step.gaps and not step.band
    assert [patch.get_hatch() for patch in draw([result]).axes[1].patches if patch.get_gid() == "gap"]


def test_no_lengths_of_steps_leave_their_panel_empty():
    nothing = {"rho": np.zeros(0), "sam_done": np.zeros(0), "average_done": np.zeros((5, 0))}
    losses = ("sdt_loss", "tet_loss", "accuracy", "sdt_loss_se", "tet_loss_se")
    plain = planted_sharpness()
    fields = {f"sam_{name}": np.zeros((0, 4)) for name in losses if hasattr(plain, f"sam_{name}")}
    fields |= {f"average_{name}": np.zeros((5, 0, 4)) for name in losses if hasattr(plain, f"average_{name}")}
    assert not charts(replace(plain, **nothing, **fields))[1].series
