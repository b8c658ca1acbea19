"""Figures of early exit and of classes."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_curve
from wording import refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_classes, draw_exits, save_figure
from tetviz.figures.plots.style import METHOD_STYLES
from tetviz.figures.plots.venues import use_style
from tetviz.summaries import class_accuracy, exit_curve


def lines(axes, gid):
    return [line for line in axes.lines if line.get_gid() == gid]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_panel_for_each_rule_has_the_curve_its_band_and_fixed_t():
    curve = planted_curve()
    figure = draw_exits([curve])
    assert [axes.get_title()[:20] for axes in figure.axes] == ["Early exit where the"] * 2
    for axes, rule in zip(figure.axes, ("margin", "entropy"), strict=True):
        found = exit_curve(curve, rule)
        (line,), (fixed,), (ring,) = (
            lines(axes, gid) for gid in ("curve", "the same T for every sample", "training T")
        )
        np.testing.assert_array_equal(line.get_xdata(), found.mean_timesteps)
        np.testing.assert_array_equal(line.get_ydata(), 100 * found.accuracy)
        np.testing.assert_array_equal(fixed.get_ydata(), 100 * curve.accuracy)
        assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([4], [100 * curve.accuracy[3]])
        assert line.get_color() == METHOD_STYLES["tet"]["color"] and axes.get_xscale() == "log"
        assert [each.get_gid() for each in axes.collections] == ["interval"]
    assert legend_labels(figure) == [
        "VGGSNN TET",
        "the same T for every sample",
        "95 % Wilson interval over samples",
        "training T",
    ]
    assert figure.get_suptitle() == "cifar10 test, 1,000 samples"


def test_one_rule_makes_one_panel_and_several_networks_share_it():
    figure = draw_exits([planted_curve(), planted_curve(label="SDT", sample=np.arange(10))], ["entropy"])
    (axes,) = figure.axes
    assert len(lines(axes, "curve")) == 2
    assert "SDT; cifar10 test, 10 samples" in legend_labels(figure) and figure.get_suptitle() == ""


def test_a_training_t_that_was_not_measured_is_not_marked():
    figure = draw_exits([planted_curve(t_train=0, tmax=6)])
    assert "training T" not in legend_labels(figure)


def test_classes_are_mapped_in_percent_on_shared_colours(tmp_path):
    curves = [planted_curve(top=0.5, label="SDT"), planted_curve()]
    figure = draw_classes(curves)
    *panels, bar = figure.axes
    maps = [next(each for each in axes.collections if each.get_gid() == "classes") for axes in panels]
    for image, curve in zip(maps, curves, strict=True):
        np.testing.assert_allclose(image.get_array(), 100 * class_accuracy(curve).to_numpy())
    assert maps[0].norm is maps[1].norm and bar.get_ylabel() == "accuracy (%)"
    for axes in panels:
        (mark,) = lines(axes, "training T")
        assert list(mark.get_xdata()) == [4, 4]
        low, high = axes.get_ylim()
        assert low > high == -0.5
    assert save_figure(figure, tmp_path / "x.png").stat().st_size > 10_000


def test_a_class_without_samples_stays_empty_and_equal_classes_look_equal():
    right = planted_curve(tmax=4, top=1.0)
    curve = replace(right, prediction=np.repeat(right.label[:, None], 4, 1), num_classes=11)
    figure = draw_classes([curve])
    (image,) = (each for each in figure.axes[0].collections if each.get_gid() == "classes")
    assert np.ma.getmaskarray(np.ma.masked_invalid(image.get_array()))[10].all()
    assert (image.norm.vmin, image.norm.vmax) == (98, 100)


def test_the_legend_covers_no_axes():
    figure = draw_exits([planted_curve(), planted_curve(label="a long name " * 12), planted_curve(label="c")])
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)


@pytest.mark.parametrize("draw", [draw_exits, draw_classes])
def test_nothing_to_draw_is_refused(draw):
    with refuses(ResultError, "scaling curve"):
        draw([])


@pytest.mark.parametrize("style", ["icml", "ieee"])
def test_titles_of_both_panels_are_equally_high(style):
    with use_style(style):
        figure = draw_exits([planted_curve()])
        figure.draw_without_rendering()
        one, two = (axes.title.get_window_extent() for axes in figure.axes)
        assert (one.y0, one.y1) == pytest.approx((two.y0, two.y1), abs=0.01)
