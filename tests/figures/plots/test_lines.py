from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_interpolation, planted_lines, planted_sharpness
from wording import heard, refuses

from tetviz.errors import ResultError
from tetviz.figures import draw_interpolation, draw_lines
from tetviz.figures.plots.interpolation import barrier
from tetviz.summaries.intervals import mean_interval


def of(axes, gid):
    return [artist for artist in (*axes.lines, *axes.collections, *axes.patches) if artist.get_gid() == gid]


def labels(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def band_of(axes):
    (band,) = of(axes, "band")
    return band.get_paths()[0].vertices


def test_lines_their_mean_and_its_interval_over_planes_are_drawn():
    lines = planted_lines(planes=5)
    figure = draw_lines([lines])
    loss, accuracy = figure.axes
    for axes, values in ((loss, lines.sdt_loss[..., -1]), (accuracy, 100 * lines.accuracy[..., -1])):
        for line, planted in zip(of(axes, "line"), values, strict=True):
            np.testing.assert_allclose(line.get_ydata(), planted)
            assert line.get_alpha() < 0.5
        interval = mean_interval((values[::2] + values[1::2]) / 2)
        (mean,) = of(axes, "mean")
        np.testing.assert_allclose(mean.get_ydata(), interval.mean)
        np.testing.assert_array_equal(mean.get_xdata(), lines.x)
        edges = band_of(axes)
        at_end = edges[np.isclose(edges[:, 0], 1)][:, 1]
        assert at_end.min() == pytest.approx(interval.low[-1]) and at_end.max() == pytest.approx(interval.high[-1])
    assert "5 planes of 2 lines" in figure.get_suptitle().replace("\n", " ")
    assert labels(figure) == ["VGGSNN TET", "95 % skewness-corrected t intervals over planes"]


def test_one_plane_has_no_interval_and_says_so():
    figure = draw_lines([planted_lines(planes=1)])
    assert not of(figure.axes[0], "band") and labels(figure) == ["VGGSNN TET"]
    heard(figure.get_suptitle().replace("\n", " "), "1 2 interval")


def test_networks_are_told_apart_in_both_losses():
    figure = draw_lines([planted_lines(), planted_lines(label="SDT"), planted_sharpness()], timestep=2)
    assert len(figure.axes) == 3
    assert r"\mathrm{SDT}" in figure.axes[0].get_ylabel() and r"\mathrm{TET}" in figure.axes[1].get_ylabel()
    styles = {(line.get_color(), line.get_marker(), line.get_markerfacecolor()) for line in of(figure.axes[0], "mean")}
    assert len(styles) == 3
    assert labels(figure)[:3] == ["VGGSNN TET #1", "SDT", "VGGSNN TET #2"]
    assert figure.get_suptitle().startswith("T = 2; cifar10 test, 1,024 samples; BN statistics frozen")
    differing = draw_lines([planted_lines(t_train=2), planted_lines(planes=1)], loss="tet")
    assert len(differing.axes) == 2
    assert "(T = 2)" in labels(differing)[0] and "(T = 4)" in labels(differing)[1]
    assert "5 planes" in labels(differing)[0] and "1 plane of" in labels(differing)[1].replace("\n", " ")


def test_a_mean_is_over_the_complete_planes_while_there_is_one():
    done = np.ones((6, 41))
    done[5, 20:] = 0
    lines = planted_lines(planes=3, done=done)
    figure = draw_lines([lines])
    (mean,) = of(figure.axes[0], "mean")
    np.testing.assert_allclose(mean.get_ydata(), lines.sdt_loss[:4, :, -1].mean(0))
    caption = figure.get_suptitle().replace("\n", " ")
    assert "planes of 2 lines" in caption and "225 of 246 points" in caption
    assert not of(figure.axes[0], "gap")


def test_gaps_are_hatched():
    done = np.ones((2, 41))
    done[:, 30:] = 0
    lines = planted_lines(planes=1, done=done)
    lines.sdt_loss[0, 5] = np.inf
    figure = draw_lines([lines])
    first, second = of(figure.axes[0], "gap")
    assert first.get_x() == pytest.approx(lines.x[5] - 0.025) and first.get_width() == pytest.approx(0.05)
    assert second.get_x() + second.get_width() == pytest.approx(1) and second.get_hatch()
    assert len(of(figure.axes[1], "gap")) == 1
    assert np.isnan(of(figure.axes[0], "mean")[0].get_ydata()[5])
    assert labels(figure)[-1] == "not evaluated yet or not finite"


def test_only_a_wide_range_is_logarithmic():
    assert draw_lines([planted_lines()]).axes[0].get_yscale() == "linear"
    wide = draw_lines([planted_lines(low=0.001)])
    assert [axes.get_yscale() for axes in wide.axes] == ["log", "linear"]


@pytest.mark.parametrize(
    ("name", "other"), [("plane_seed", 4), ("norm", "layer"), ("policy", "all"), ("orthogonal", 1), ("bn", "batch")]
)
def test_lines_measured_differently_are_not_compared(name, other):
    with refuses(ResultError, f"{name} {other}"):
        draw_lines([planted_lines(), planted_lines(**{name: other})])


def test_lines_without_values_or_of_another_path_are_refused():
    with refuses(ResultError, "no lines"):
        draw_lines([])
    with refuses(ResultError, "finite value"):
        draw_lines([planted_lines(done=np.zeros((10, 41)))])
    with refuses(ResultError, "random directions"):
        draw_lines([planted_interpolation()])
    with refuses(ResultError, "'random'"):
        draw_interpolation(planted_lines())


def test_an_interpolation_shows_its_lines_ends_and_barriers():
    lines = planted_interpolation(barrier=1.0)
    figure = draw_interpolation(lines)
    assert len(figure.axes) == 3
    names = [f"{name}_loss" for name in ("sdt", "tet")]
    for axes, name in zip(figure.axes, [*names, "accuracy"], strict=True):
        factor = 100 if name == "accuracy" else 1
        for line, planted in zip(of(axes, "line"), getattr(lines, name)[..., -1], strict=True):
            np.testing.assert_allclose(line.get_ydata(), factor * planted)
        (ends,) = of(axes, "end")
        np.testing.assert_allclose(ends.get_ydata(), factor * getattr(lines, f"end_{name}")[:, -1])
        assert list(ends.get_xdata()) == [0, 1]
    assert [line.get_linestyle() for line in of(figure.axes[0], "line")].count("--") <= 1
    held = barrier(lines.x, lines.sdt_loss[0, :, -1], np.array([0.1, 0.3]))
    assert held == pytest.approx(0.1 + 0.2 * 0.5 + 1 - 0.2, abs=0.01)
    texts = labels(figure)
    assert texts[0] == (r"held: barrier of $L_{\mathrm{SDT}}$ 1.00 nat, of $L_{\mathrm{TET}}$ 1.10 nat")
    assert [text.split(":")[0] for text in texts[:3]] == ["held", "interpolated", "recalibrated"]


def test_a_barrier_of_missing_points_is_a_lower_bound():
    lines = planted_interpolation(path="bezier")
    lines.done[1, 20:] = 0
    lines.done[0, 5:] = 0
    texts = labels(draw_interpolation(lines, loss="sdt"))
    assert texts[0].startswith("straight: barrier") and texts[0].endswith("unknown")
    assert "curve: barrier" in texts[1] and "at least 0.4" in texts[1]
    assert texts[-1] == "not evaluated yet or not finite"


def test_a_high_barrier_is_drawn_by_its_logarithm():
    figure = draw_interpolation(planted_interpolation(barrier=1234), "sdt")
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"]
    assert labels(figure)[0].endswith("1,234 nat")


@pytest.mark.parametrize("names", ["", "[]", '["a"]', '{"a": 1}'])
def test_lines_without_names_are_numbered(names):
    texts = labels(draw_interpolation(replace(planted_interpolation(), names=names)))
    assert [text.split(":")[0] for text in texts[:3]] == ["line 1", "line 2", "line 3"]


def test_the_caption_says_what_statistics_were_re_estimated_on():
    lines = planted_interpolation(calibration=np.arange(512))
    caption = draw_interpolation(lines).get_suptitle().replace("\n", " ")
    heard(caption, "re-estimated 512")
    bezier = planted_interpolation(path="bezier", calibration=np.arange(512))
    heard(draw_interpolation(bezier).get_suptitle().replace("\n", " "), "point 512")


def test_legend_and_labels_do_not_overlap():
    for figure in (
        draw_interpolation(planted_interpolation()),
        draw_lines([planted_lines(label=f"{k} a long name of a network " * 4) for k in range(3)]),
    ):
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
        assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)


def test_the_marks_at_the_ends_of_a_path_are_whole():
    lines = planted_interpolation()
    for axes in draw_interpolation(lines).axes:
        low, high = axes.get_xlim()
        assert low < lines.x.min() and high > lines.x.max()
    heard(draw_interpolation(lines).caption, "highest checkpoints")
