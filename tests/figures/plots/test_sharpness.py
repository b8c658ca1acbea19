import numpy as np
import pytest
from planted_results import planted_sharpness
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_sharpness
from tetviz.figures.plots.sharpness import mean_rise, worst_rise
from tetviz.results import Provenance
from tetviz.summaries import mean_interval, plane_values


def of(axes, gid):
    return [artist for artist in (*axes.lines, *axes.collections, *axes.patches) if artist.get_gid() == gid]


def test_the_mean_rise_is_that_of_the_planted_parabolas():
    result = planted_sharpness(planes=4)
    r, rises = mean_rise(result, "sdt", 4)
    bends = 2 * (1 + 0.2 * np.sin(1 + np.arange(8)))
    np.testing.assert_allclose(r, np.linspace(0, 1, 21), atol=1e-12)
    np.testing.assert_allclose(rises, bends.reshape(4, 2).mean(1)[:, None] * r**2 / 2, atol=1e-12)
    worst_r, worst = worst_rise(result, "sdt", 4)
    np.testing.assert_allclose(worst_r, r, atol=1e-8)
    np.testing.assert_allclose(worst, bends.reshape(4, 2).max(1)[:, None] * r**2 / 2, atol=1e-12)
    table = plane_values(result, "sdt", 4)
    np.testing.assert_allclose(table["rise at r = 0.5"], rises[:, np.isclose(r, 0.5)][:, 0])
    np.testing.assert_allclose(table["worst within r = 0.5"], worst[:, np.isclose(r, 0.5)][:, 0])


def test_the_three_panels_show_mean_steps_and_worst():
    result = planted_sharpness(planes=4)
    figure = draw_sharpness([result])
    mean, step, worst = figure.axes
    _, rises = mean_rise(result, "sdt", 4)
    np.testing.assert_allclose(of(mean, "mean")[0].get_ydata(), mean_interval(rises).mean)
    edges = of(mean, "band")[0].get_paths()[0].vertices
    assert edges[:, 1].max() == pytest.approx(mean_interval(rises).high[-1])
    np.testing.assert_allclose(of(step, "sam")[0].get_ydata(), 0.3 * result.rho)
    np.testing.assert_allclose(of(step, "mean")[0].get_ydata(), 0.1 * result.rho)
    assert (step.get_xscale(), step.get_yscale()) == ("log", "log")
    assert list(step.get_xticks()) == [0.01, 0.03, 0.1]
    np.testing.assert_allclose(of(worst, "mean")[0].get_ydata(), worst_rise(result, "sdt", 4)[1].mean(0))
    assert worst.get_title() == "worst within r on the lines of a plane"
    heard(figure.get_suptitle().replace("\n", " "), "4 random")


def test_the_worst_rise_is_on_either_side_and_stays():
    result = planted_sharpness(planes=1)
    result.sdt_loss[0, 10, -1] = 50.0
    r, worst = worst_rise(result, "sdt", 4)
    assert worst[0, r < 0.49].max() < 1 and np.allclose(worst[0, r > 0.49], 50 - 0.05)


def test_networks_are_overlaid_in_a_row_for_each_loss():
    other = planted_sharpness(sam=0.9, provenance=Provenance(label="SDT"), average=-0.1)
    figure = draw_sharpness([planted_sharpness(), other])
    assert len(figure.axes) == 8
    for row in (figure.axes[:4], figure.axes[4:]):
        drawn = [len(of(axes, gid)) for axes, gid in zip(row, ("mean", "sam", "mean", "mean"), strict=True)]
        assert drawn == [2, 2, 2, 1]
        assert row[1].get_yscale() != "log"
    with refuses(ResultError, "different bn"):
        draw_sharpness([planted_sharpness(), planted_sharpness(bn="batch")])


def test_differences_are_paired_by_plane():
    first = planted_sharpness()
    other = planted_sharpness(sdt_loss=first.sdt_loss * np.array([1.5, 2.5] * 5)[:, None, None])
    difference = of(draw_sharpness([first, other]).axes[3], "mean")[0]
    (_, before), (r, after) = mean_rise(first, "sdt", 4), mean_rise(other, "sdt", 4)
    np.testing.assert_allclose(difference.get_xdata(), r)
    np.testing.assert_allclose(difference.get_ydata(), (after - before).mean(0))


def test_a_half_done_sharpness_is_drawn_with_its_gaps():
    done = np.ones((10, 41))
    done[5, 20:], done[6:] = 0, 0
    result = planted_sharpness(done=done, sam_done=np.array([1, 0, 0]), average_done=np.zeros((5, 3)))
    figure = draw_sharpness([result])
    mean, step, worst = figure.axes
    assert np.isfinite(of(mean, "mean")[0].get_ydata()).all() and not of(mean, "gap")
    (sam,) = of(step, "sam")
    assert np.isfinite(sam.get_ydata()).tolist() == [True, False, False]
    assert of(step, "gap")[0].get_hatch() and np.isfinite(of(worst, "mean")[0].get_ydata()).all()
    caption = figure.get_suptitle().replace("\n", " ")
    assert "1 of 18 steps" in caption and "of the 2 complete" in caption


def test_what_has_not_begun_or_has_no_centre_is_refused():
    with refuses(ResultError, "finite value"):
        draw_sharpness([planted_sharpness(done=np.zeros((10, 41)))])
    done = np.zeros((10, 41))
    done[:, :5] = 1
    with refuses(ResultError, "loss centre"):
        draw_sharpness([planted_sharpness(done=done)])


def test_losses_that_are_not_finite_end_the_worst_rise():
    result = planted_sharpness(planes=1)
    result.sdt_loss[0, 5, -1] = np.nan
    r, worst = worst_rise(result, "sdt", 4)
    assert np.isfinite(worst[0, r < 0.74]).all() and np.isnan(worst[0, r > 0.74]).all()
    assert len(draw_sharpness([result]).axes) == 3


def test_no_steps_at_all_leave_their_panel_hatched():
    result = planted_sharpness(planes=1, sam_done=np.zeros(3), average_done=np.zeros((1, 3)))
    step = draw_sharpness([result]).axes[1]
    assert of(step, "gap") and not of(step, "band")
