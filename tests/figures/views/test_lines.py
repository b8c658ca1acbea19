"""The charts of lines: random directions with their mean, and lines between checkpoints with their barriers."""

from dataclasses import replace

import numpy as np
import pytest
from planted_results import planted_interpolation, planted_lines, planted_sharpness

from tetviz.errors import ResultError
from tetviz.figures import Choices, draw
from tetviz.figures.views import lines as along
from tetviz.figures.views import paths
from tetviz.summaries import barrier, mean_interval


def charts(*results, **choices):
    return along.VIEW.curves(results, Choices(**choices))


def between(result, **choices):
    return paths.VIEW.curves([result], Choices(**choices))


def strong(chart):
    return [series for series in chart.series if not series.thin]


def test_lines_their_mean_and_its_interval_over_planes_are_shown():
    lines = planted_lines(planes=5)
    loss, accuracy = charts(lines)
    for chart, values in ((loss, lines.sdt_loss[..., -1]), (accuracy, 100 * lines.accuracy[..., -1])):
        *directions, mean = chart.series
        np.testing.assert_allclose([each.y for each in directions], values)
        assert all(each.thin for each in directions)
        interval = mean_interval((values[::2] + values[1::2]) / 2)
        for drawn, expected in ((mean.y, interval.mean), (mean.low, interval.low), (mean.high, interval.high)):
            np.testing.assert_allclose(drawn, expected)
        np.testing.assert_array_equal(mean.x, lines.x)
    assert "5 planes of 2 lines" in along.VIEW.curves_context(lines, Choices())
    assert draw([lines]).axes[1].get_ylim()[1] <= 101


def test_one_plane_has_no_interval_and_says_so():
    lines = planted_lines(planes=1)
    assert not charts(lines)[0].band and np.isnan(charts(lines)[0].series[-1].low).all()
    assert "1 plane of 2 lines, no interval" in along.VIEW.curves_context(lines, Choices())


def test_networks_are_told_apart_in_both_losses():
    results = [planted_lines(), planted_lines(label="SDT"), planted_sharpness()]
    figure = draw(results, timestep=2)
    assert len(figure.axes) == 3
    assert r"\mathrm{SDT}" in figure.axes[0].get_ylabel() and r"\mathrm{TET}" in figure.axes[1].get_ylabel()
    means = [line for line in figure.axes[0].lines if line.get_gid() == "curve"]
    assert len({(line.get_color(), line.get_marker(), line.get_markerfacecolor()) for line in means}) == 3
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["VGGSNN TET #1", "SDT", "VGGSNN TET #2"]
    assert figure.get_suptitle().startswith("T = 2; cifar10 test, 1,024 samples; BN statistics frozen")
    differing = draw([planted_lines(t_train=2), planted_lines(planes=1)], loss="tet")
    assert len(differing.axes) == 2
    labels = [text.get_text().replace("\n", " ") for text in differing.legends[0].get_texts()]
    assert "T = 2" in labels[0] and "5 planes" in labels[0] and "T = 4" in labels[1] and "1 plane of" in labels[1]


def test_a_mean_is_over_the_complete_planes_while_there_is_one():
    done = np.ones((6, 41))
    done[5, 20:] = 0
    lines = planted_lines(planes=3, done=done)
    (mean,) = strong(charts(lines)[0])
    np.testing.assert_allclose(mean.y, lines.sdt_loss[:4, :, -1].mean(0))
    context = along.VIEW.curves_context(lines, Choices())
    assert "3 planes of 2 lines, mean of the 2 complete" in context and "225 of 246 points" in context
    assert not charts(lines)[0].gaps


def test_gaps_are_where_no_line_has_a_value():
    done = np.ones((2, 41))
    done[:, 30:] = 0
    lines = planted_lines(planes=1, done=done)
    lines.sdt_loss[0, 5] = np.inf
    loss, accuracy = charts(lines)
    first, second = loss.gaps
    assert first == (pytest.approx(lines.x[5] - 0.025), pytest.approx(lines.x[5] + 0.025))
    assert second[1] == pytest.approx(1) and len(accuracy.gaps) == 1
    assert np.isnan(strong(loss)[0].y[5])


def test_only_a_wide_range_is_logarithmic():
    assert charts(planted_lines())[0].y.scale == "linear"
    assert [chart.y.scale for chart in charts(planted_lines(low=0.001))] == ["log", "linear"]


@pytest.mark.parametrize(
    ("name", "other"), [("plane_seed", 4), ("norm", "layer"), ("policy", "all"), ("orthogonal", 1), ("bn", "batch")]
)
def test_lines_measured_differently_are_not_compared(name, other):
    with pytest.raises(ResultError, match=f"lines with a different {name}.*{other}"):
        draw([planted_lines(), planted_lines(**{name: other})])


def test_lines_without_values_are_refused():
    with pytest.raises(ResultError, match="no finite value"):
        draw([planted_lines(done=np.zeros((10, 41)))])


def test_a_path_shows_its_lines_ends_and_barriers():
    lines = planted_interpolation(barrier=1.0)
    found = between(lines)
    assert len(found) == 3
    for chart, name in zip(found, ["sdt_loss", "tet_loss", "accuracy"], strict=True):
        factor = 100 if name == "accuracy" else 1
        *ways, ends = chart.series
        np.testing.assert_allclose([each.y for each in ways], factor * getattr(lines, name)[..., -1])
        np.testing.assert_allclose(ends.y, factor * getattr(lines, f"end_{name}")[:, -1])
        assert ends.x.tolist() == [0, 1] and ends.ringed == (0, 1) and ends.network is None and not ends.joined
        assert "own BN statistics" in chart.ring
    held = barrier(lines.x, lines.sdt_loss[0, :, -1], np.array([0.1, 0.3]))
    assert held == pytest.approx(0.1 + 0.2 * 0.5 + 1 - 0.2, abs=0.01)
    assert found[0].networks[0] == "BN held: barrier of L_SDT 1.00 nat, of L_TET 1.10 nat"
    assert found[0].methods == ("held", "interpolated", "recalibrated")


def test_a_barrier_of_missing_points_is_a_lower_bound():
    lines = planted_interpolation(path="bezier")
    lines.done[1, 20:] = 0
    lines.done[0, 5:] = 0
    loss, _ = between(lines, loss="sdt")
    straight, curve = loss.networks
    assert straight.startswith("straight: barrier") and straight.endswith("unknown")
    assert "curve: barrier" in curve and "at least 0.4" in curve and loss.gaps


def test_a_high_barrier_is_drawn_by_its_logarithm():
    found = between(planted_interpolation(barrier=1234), loss="sdt")
    assert [chart.y.scale for chart in found] == ["log", "linear"] and found[0].networks[0].endswith("1,234 nat")


@pytest.mark.parametrize("names", [(), ("a",)])
def test_lines_without_names_are_numbered(names):
    (chart, *_) = between(replace(planted_interpolation(), names=names))
    assert chart.methods == ("line 1", "line 2", "line 3")


def test_the_caption_says_what_statistics_were_re_estimated_on():
    lines = planted_interpolation(calibration=np.arange(512))
    title = draw([lines]).get_suptitle().replace("\n", " ")
    assert title.startswith("SDT to TET; T = 4") or "T = 4" in title
    assert "re-estimated on 512 training samples where recalibrated" in title
    bezier = planted_interpolation(path="bezier", calibration=np.arange(512))
    assert "at every point on 512" in draw([bezier]).get_suptitle().replace("\n", " ")
    assert "the highest loss between the checkpoints minus the mean of theirs" in draw([lines]).caption


def test_the_marks_at_the_ends_of_a_path_are_whole():
    lines = planted_interpolation()
    for axes in draw([lines]).axes:
        low, high = axes.get_xlim()
        assert low < lines.x.min() and high > lines.x.max()


def test_a_long_name_breaks_no_word():
    figure = draw([planted_lines(label=f"{k} a long name of a network " * 4) for k in range(3)])
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= legend.x0 and legend.x1 <= figure.bbox.x1
    assert not any(legend.overlaps(axes.get_tightbbox()) for axes in figure.axes)
