from dataclasses import replace

import numpy as np
from planted_results import planted_curve
from wording import refuses

from tetviz import results
from tetviz.errors import ResultError
from tetviz.figures import draw_scaling
from tetviz.figures.plots.style import METHOD_STYLES
from tetviz.summaries import wilson


def main_lines(axes):
    return [line for line in axes.lines if line.get_gid() == "curve"]


def bands(axes):
    return [each for each in axes.collections if each.get_gid() == "interval"]


def rings(axes):
    return [line for line in axes.lines if line.get_gid() == "training T"]


def legend_labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_are_drawn_in_percent():
    curve = planted_curve(t_train=4)
    left, right = draw_scaling([curve]).axes
    np.testing.assert_array_equal(main_lines(left)[0].get_xdata(), np.arange(1, 65))
    np.testing.assert_allclose(main_lines(left)[0].get_ydata(), 100 * curve.accuracy)
    (faint,) = [line for line in left.lines if line.get_gid() == "output of step t alone"]
    np.testing.assert_allclose(faint.get_ydata(), 100 * curve.step_accuracy)
    assert faint.get_alpha() < 0.6 and faint.get_color() == METHOD_STYLES["tet"]["color"]
    np.testing.assert_allclose(main_lines(right)[0].get_ydata(), 100 * curve.relative_growth)
    assert any(list(line.get_ydata()) == [0, 0] for line in right.lines)


def test_bands_are_wilson_intervals_of_the_accuracy():
    curves = [planted_curve(), planted_curve(label="SDT", sample=np.arange(50))]
    left, right = draw_scaling(curves).axes
    assert len(bands(left)) == 2 and not bands(right)
    for band, curve in zip(bands(left), curves, strict=True):
        (path,) = band.get_paths()
        low, high = wilson(curve.accuracy, len(curve.sample))
        found = path.vertices[(path.vertices[:, 0] == 8)][:, 1]
        assert {round(each, 9) for each in found} == {round(100 * low[7], 9), round(100 * high[7], 9)}
    assert np.ptp(bands(left)[1].get_paths()[0].vertices[:, 1]) > np.ptp(bands(left)[0].get_paths()[0].vertices[:, 1])


def test_the_axis_is_log2_with_its_powers_as_ticks():
    for tmax, ticks in [(64, [1, 2, 4, 8, 16, 32, 64]), (8, [1, 2, 4, 8]), (6, [1, 2, 4, 6]), (1, [1])]:
        figure = draw_scaling([planted_curve(tmax=tmax, t_train=1)])
        for axes in figure.axes:
            assert axes.get_xscale() == "log"
            assert list(axes.get_xticks()) == ticks
            figure.draw_without_rendering()
            assert [label.get_text() for label in axes.get_xticklabels()] == [str(tick) for tick in ticks]


def test_the_training_t_is_marked_on_each_curve():
    curves = [planted_curve(t_train=3, label="SDT"), planted_curve(t_train=4)]
    figure = draw_scaling(curves)
    left, right = figure.axes
    assert [list(ring.get_xdata()) for ring in rings(left)] == [[3], [4]]
    assert [ring.get_ydata()[0] for ring in rings(left)] == [
        100 * curves[0].accuracy[2],
        100 * curves[1].accuracy[3],
    ]
    assert [(list(ring.get_xdata()), list(ring.get_ydata())) for ring in rings(right)] == [
        ([3], [0]),
        ([4], [0]),
    ]
    assert rings(left)[0].get_color() == METHOD_STYLES["sdt"]["color"]


def test_a_training_t_that_is_not_known_is_not_marked():
    figure = draw_scaling([planted_curve(t_train=0, tmax=6)])
    assert not rings(figure.axes[0]) and "training T" not in legend_labels(figure)
    assert "not measured" in figure.axes[1].texts[0].get_text()


def test_the_legend_names_every_network_once():
    figure = draw_scaling([planted_curve(), planted_curve(), planted_curve(label="SDT $x$")])
    assert legend_labels(figure) == [
        "VGGSNN TET #1 (trained at T=4)",
        "VGGSNN TET #2 (trained at T=4)",
        r"SDT \$x\$ (trained at T=4)",
        "output of step t alone",
        "95 % Wilson interval over samples",
        "training T",
    ]
    assert figure.get_suptitle() == "cifar10 test, 1,000 samples"


def test_the_legend_covers_no_axes():
    for label in (
        "SDT",
        "a name that is so long that it does not fit beside another one, or in one line " * 2,
    ):
        figure = draw_scaling([planted_curve(), planted_curve(label=label), planted_curve(label="c")])
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
        assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_differing_data_is_said_for_each_network():
    other = planted_curve(label="SDT", sample=np.arange(10))
    figure = draw_scaling([planted_curve(), other])
    assert "10 samples" in legend_labels(figure)[1] and figure.get_suptitle() == ""


def test_a_flat_curve_looks_flat_and_nan_is_a_gap():
    flat = np.full(64, 0.1)
    curve = replace(planted_curve(), accuracy=flat, step_accuracy=flat, relative_growth=0 * flat)
    left, right = draw_scaling([curve]).axes
    assert np.ptp(left.get_ylim()) >= 2 and np.ptp(right.get_ylim()) >= 1
    accuracy = planted_curve().accuracy.copy()
    accuracy[10] = np.nan
    left, _ = draw_scaling([replace(planted_curve(), accuracy=accuracy)]).axes
    assert np.isnan(main_lines(left)[0].get_ydata()[10])


def test_a_file_gives_the_figure_that_memory_gives(tmp_path):
    curve = planted_curve()
    results.save(tmp_path / "curve.h5", curve)
    loaded = results.load(tmp_path / "curve.h5")
    for here, there in zip(draw_scaling([curve]).axes, draw_scaling([loaded]).axes, strict=True):
        for mine, other in zip(here.lines, there.lines, strict=True):
            np.testing.assert_array_equal(mine.get_xydata(), other.get_xydata())


def test_nothing_to_draw_is_refused():
    with refuses(ResultError, "scaling curve"):
        draw_scaling([])


def test_a_legend_of_very_many_networks_has_room_on_a_page_and_counts_the_others():
    curves = [planted_curve(tmax=2, t_train=1, label=f"network {at}", sample=np.arange(20)) for at in range(300)]
    figure = draw_scaling(curves)
    assert figure.get_size_inches()[1] < 10
    labels = legend_labels(figure)
    named = [label for label in labels if label.startswith("network ")]
    (more,) = [label for label in labels if label.startswith("and ")]
    assert more == f"and {300 - len(named)} more, which the caption names"
    assert "training T" in labels[labels.index(more) :] and 30 <= len(named) < 300
    assert all(f"network {at}" in figure.caption for at in range(300))
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1 and figure.bbox.y0 <= legend.y0
    assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)
