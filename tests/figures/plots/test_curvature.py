import numpy as np
import pytest
from planted_results import planted_curvature
from wording import heard

from tetviz.figures import draw_curvature
from tetviz.summaries import finite_curvature, mean_interval, slope_agreement


def of(axes, gid):
    return [
        artist for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.texts) if artist.get_gid() == gid
    ]


def planted_bends(directions):
    radius = np.array([0.003, 0.01, 0.03, 0.1, 0.3])
    return 4 / (1 + 10 * radius) * (1 + 0.1 * np.cos(np.arange(directions)))[:, None]


def test_finite_differences_give_the_planted_curvature():
    curvature = planted_curvature()
    np.testing.assert_allclose(finite_curvature(curvature, 4), planted_bends(8), rtol=1e-9)
    other = planted_curvature(loss="tet")
    np.testing.assert_allclose(finite_curvature(other, 4), 1.1 * planted_bends(8), rtol=1e-9)


def test_the_three_panels_show_spectrum_curvature_and_agreement():
    curvature = planted_curvature()
    figure = draw_curvature(curvature)
    spectrum, bend, slope = figure.axes
    assert spectrum.get_title().startswith("surrogate Hessian") and spectrum.get_yscale() == "log"
    np.testing.assert_array_equal(of(spectrum, "density")[0].get_ydata(), curvature.density)
    ticks = [segment[0][0] for segment in of(spectrum, "eigenvalues")[0].get_segments()]
    assert ticks == [5, 3, 2, 1.5, 1]
    interval = mean_interval(planted_bends(8))
    np.testing.assert_allclose(of(bend, "mean")[0].get_ydata(), interval.mean, rtol=1e-9)
    assert of(bend, "band")[0].get_paths()[0].vertices[:, 1].max() == pytest.approx(interval.high.max())
    assert len(of(bend, "direction")) == 8 and bend.get_xscale() == slope.get_xscale() == "log"
    (dashed,) = of(bend, "surrogate")
    assert list(dashed.get_ydata()) == pytest.approx([0.004, 0.004]) and dashed.get_linestyle() == "--"
    for gid in ("cosine", "correlation"):
        np.testing.assert_allclose(of(slope, gid)[0].get_ydata(), 1)
    np.testing.assert_allclose([segment[:, 1] for segment in of(slope, "interval")[0].get_segments()], 1)
    assert slope_agreement(curvature)["low"] == pytest.approx(np.ones(5))
    caption = figure.get_suptitle()
    assert "8 random directions" in caption and "T = 4" in caption and "256 samples" in caption
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "95 % skewness-corrected t intervals over directions" in named


@pytest.mark.parametrize("note", ["", "the double backward pass is not finite"])
def test_a_hessian_that_is_not_finite_is_not_drawn(note):
    figure = draw_curvature(planted_curvature(finite=False, note=note))
    spectrum, bend, _ = figure.axes
    assert not spectrum.lines and not of(bend, "surrogate")
    (text,) = of(spectrum, "note")
    assert text.get_text().replace("\n", " ") == (note or "no density: not computed yet or not finite")
    noted = draw_curvature(planted_curvature(note="stopped early")).axes[0]
    assert not noted.lines and of(noted, "note")[0].get_text() == "stopped early"


def test_one_direction_has_no_interval_and_no_correlation():
    figure = draw_curvature(planted_curvature(directions=1))
    assert not of(figure.axes[1], "band") and "more directions" in figure.axes[2].texts[0].get_text()
    heard(figure.get_suptitle(), "1 direction")


def test_a_half_done_curvature_is_drawn_with_its_gaps():
    done = np.ones((8, 5, 2))
    done[:, 3:, 1] = 0
    figure = draw_curvature(planted_curvature(done=done))
    assert of(figure.axes[1], "gap")[0].get_hatch()
    for gid in ("cosine", "correlation"):
        assert np.isnan(of(figure.axes[2], gid)[0].get_ydata()).tolist() == [False] * 3 + [True] * 2
    assert np.isfinite(of(figure.axes[1], "mean")[0].get_ydata()).tolist() == [True] * 3 + [False] * 2
    assert "64 of 80 points" in figure.get_suptitle()
    done[2:] = 0
    done[:2] = 1
    partial = draw_curvature(planted_curvature(done=done))
    np.testing.assert_allclose(of(partial.axes[1], "mean")[0].get_ydata(), planted_bends(8)[:2].mean(0), rtol=1e-9)
    assert len(draw_curvature(planted_curvature(done=np.zeros((8, 5, 2)))).axes) == 3


def test_a_wide_range_of_both_signs_is_logarithmic_on_both_sides():
    curvature = planted_curvature()
    curvature.sdt_loss[::2, 0] += 10
    curvature.sdt_loss[1::2, 0] -= 10
    assert draw_curvature(curvature).axes[1].get_yscale() == "symlog"
